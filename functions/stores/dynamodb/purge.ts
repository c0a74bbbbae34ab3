import { createHash } from 'node:crypto';
import { purgedAttributes } from '../../config/dynamodb.ts';
import type { Clock } from '../../domain/clock.ts';
import type { Backlog, PurgeReport, PurgeRequest } from '../../domain/ports.ts';
import { type Key, keyOf, type Table, type Terms } from './table.ts';
import type { Item } from './values.ts';

const BATCH = 25;
/** So many items are read to estimate what is due. */
const SAMPLE = 500;

/** Gives a `purgeExpired` that counts items by kind, each kind given with its letter, and removes those of `silent` uncounted. */
export type Purge = (
  kinds: Readonly<Record<string, string>>,
  silent?: string,
) => (request: PurgeRequest) => Promise<PurgeReport>;

const dueIn = (letters: readonly string[], now: number) => (terms: Terms) => {
  const ofKind = letters.map((letter) => `begins_with(p, ${terms.value(keyOf(letter).p)})`);
  return `(${ofKind.join(' OR ')}) AND l <= ${terms.value(now)}`;
};

const oldestOf = (due: readonly Item[]): Pick<Backlog, 'oldestDueAt'> =>
  due.length === 0 ? {} : { oldestDueAt: Math.min(...due.map(({ l }) => Number(l))) };

/**
 * A table that removes by itself what is due is left to do so, and a sample says how far behind it is. One that does not
 * (a global table with strong consistency has no TTL) is read as a whole, and what is due is removed item by item, each
 * on the condition that it still is.
 */
export const createPurge = (table: Table, clock: Clock, nativeTimeToLive: boolean): Purge =>
  nativeTimeToLive ? watching(table) : removing(table, clock);

/** Another part each time, whatever the interval. */
const partFor = (now: number, parts: number) => createHash('sha256').update(`${now}`).digest().readUInt32BE() % parts;

/** Reads one part of the table, and takes the rest to be like it. */
const watching =
  (table: Table): Purge =>
  (kinds) =>
  async ({ now }) => {
    const counted = await table.countedItems();
    const parts = Math.min(Math.max(Math.ceil(counted / SAMPLE), 1), 1_000_000);
    const sample = table.scan({
      filter: dueIn(Object.values(kinds), now),
      only: purgedAttributes,
      segment: { number: partFor(now, parts), of: parts },
      limit: SAMPLE,
    });
    const first = await sample.next();
    const { items, read, more } = first.value ?? { items: [], read: 0, more: false };
    const backlog: Backlog =
      parts === 1
        ? { records: items.length, precision: more ? 'at least' : 'exact', ...oldestOf(items) }
        : {
            records: Math.round((items.length / Math.max(read, 1)) * counted),
            precision: 'estimated',
            ...oldestOf(items),
          };
    return { removed: {}, more: false, backlog };
  };

const removing =
  (table: Table, clock: Clock): Purge =>
  (kinds, silent = '') => {
    const kindOf = new Map(Object.entries(kinds).map(([kind, letter]) => [letter, kind]));
    const letters = [...kindOf.keys(), ...silent];
    return async ({ now, limit, deadlineMs = Number.POSITIVE_INFINITY }) => {
      const removed = Object.fromEntries(Object.keys(kinds).map((kind) => [kind, 0]));
      let left = limit;
      const kindOfItem = ({ p }: Item) => kindOf.get(String.fromCharCode((p as Uint8Array)[0] ?? 0));
      const removeItem = async (item: Item) => {
        const key: Key = { p: item.p as Uint8Array, k: item.k as Uint8Array };
        const gone = await table.drop(key, ({ value }) => [`l <= ${value(now)}`]);
        const kind = kindOfItem(item);
        if (!gone || kind === undefined) return;
        removed[kind] = (removed[kind] ?? 0) + 1;
        left -= 1;
      };
      const pages = table.scan({ filter: dueIn(letters, now), only: purgedAttributes });
      for await (const { items, more } of pages) {
        for (let rest = items; rest.length > 0 || more; ) {
          const isLate = clock() >= deadlineMs;
          if (isLate || left <= 0) {
            const due = rest.filter((item) => kindOfItem(item) !== undefined);
            if (due.length === 0 && !isLate) break;
            return { removed, more: true, backlog: { records: due.length, precision: 'at least', ...oldestOf(due) } };
          }
          if (rest.length === 0) break;
          // No more at a time than may be removed, should all of them count.
          const some = rest.slice(0, Math.min(BATCH, left));
          rest = rest.slice(some.length);
          await Promise.all(some.map(removeItem));
        }
      }
      return { removed, more: false, backlog: { records: 0, precision: 'exact' } };
    };
  };
