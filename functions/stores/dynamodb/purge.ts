import type { Clock } from '../../domain/clock.ts';
import type { PurgeReport, PurgeRequest } from '../../domain/ports.ts';
import { tokensOf } from './records.ts';
import { chunks, type Item, type Key, keyOf, type Table } from './table.ts';

const BATCH = 25;

/** Gives a `purgeExpired` that counts items by kind, each kind given with its letter, and removes those of `silent` uncounted. */
export type Purge = (
  kinds: Readonly<Record<string, string>>,
  silent?: string,
) => (request: PurgeRequest) => Promise<PurgeReport>;

/**
 * A table that removes by itself what is due is left to do so. One that does not (a global table with strong consistency
 * has no TTL) is read as a whole, and what is due is removed item by item, each on the condition that it still is.
 */
export function createPurge(table: Table, clock: Clock, nativeTimeToLive: boolean): Purge {
  if (nativeTimeToLive) return () => async () => ({ removed: {}, more: false });

  /** Removes access tokens from a grant that have expired; how many, none where somebody else was faster. */
  const removeTokens = async (key: Key, names: readonly string[]): Promise<number> => {
    const { applied } = await table.update(key, ({ name }) => {
      const paths = names.map((each) => `a.${name(each)}`);
      return {
        set: Object.fromEntries(paths.map((path) => [path, undefined])),
        when: paths.map((path) => `attribute_exists(${path})`),
      };
    });
    return applied ? names.length : 0;
  };

  return (kinds, silent = '') => {
    const kindOf = new Map(Object.entries(kinds).map(([kind, letter]) => [letter, kind]));
    const letters = [...kindOf.keys(), ...silent];
    return async ({ now, limit, deadlineMs = Number.POSITIVE_INFINITY }) => {
      const removed = Object.fromEntries(Object.keys(kinds).map((kind) => [kind, 0]));
      let left = limit;
      const dueAt = (item: Item) => Number(item.l ?? Number.POSITIVE_INFINITY);
      const removeItem = async (key: Key) =>
        (await table.remove(key, ({ value }) => [`l <= ${value(now)}`])).applied ? 1 : 0;
      /** Takes up to so many of what is left to remove, and gives back as many as were not removed; how many were. */
      const count = async (kind: string, wanted: number, remove: (taken: number) => Promise<number>) => {
        const taken = Math.min(wanted, left);
        if (taken === 0) return 0;
        left -= taken;
        const gone = await remove(taken);
        left += taken - gone;
        removed[kind] = (removed[kind] ?? 0) + gone;
        return gone;
      };
      const purgeItem = async (item: Item) => {
        const key = { p: item.p as Uint8Array, k: item.k as Uint8Array };
        const kind = kindOf.get(String.fromCharCode(key.p[0] ?? 0));
        const expired = Object.entries(tokensOf(item)).flatMap(([name, { x }]) => (Number(x) <= now ? [name] : []));
        const gone = await count('accessTokens', expired.length, (taken) => removeTokens(key, expired.slice(0, taken)));
        if (gone < expired.length || dueAt(item) > now) return;
        if (kind === undefined) await removeItem(key);
        else await count(kind, 1, () => removeItem(key));
      };
      const pages = table.scan(({ value }) => {
        const ofKind = letters.map((letter) => `begins_with(p, ${value(keyOf(letter).p)})`).join(' OR ');
        return `(${ofKind}) AND (l <= ${value(now)} OR attribute_exists(a))`;
      });
      for await (const items of pages) {
        for (const batch of chunks(items, BATCH)) {
          if (left <= 0 || clock() >= deadlineMs) return { removed, more: true };
          await Promise.all(batch.map(purgeItem));
        }
      }
      return { removed, more: left <= 0 };
    };
  };
}
