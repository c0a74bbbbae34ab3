import { type Clock, seconds } from '../../domain/clock.ts';
import { StoreError } from '../../domain/errors.ts';
import type { PurgeReport, PurgeRequest } from '../../domain/ports.ts';
import { createQueue, type Entry, newEntry } from './queue.ts';

export type EvictionPolicy = 'LRU' | 'LFU' | 'FIFO';

/** What the cache may hold, and for how long; `Infinity`: no limit. */
export interface Limits {
  readonly maxElements: number;
  readonly timeToLiveSeconds: number;
  readonly timeToIdleSeconds: number;
  readonly evictionPolicy: EvictionPolicy;
}

/**
 * How the limits concern the records of a table:
 *
 * - `element` counts; is evicted, or ended by time, unless it is kept; is refused when all that is left is kept
 * - `mark`    counts; is kept from the start, and never refused: a revocation always takes place
 * - `part`    belongs to an element and goes with it
 */
export type Standing = 'element' | 'mark' | 'part';

/** Records of one kind under their keys, and when the purge removes each. */
export interface Table<V> {
  readonly size: number;
  /** The record, which counts as used. */
  get(key: string): V | undefined;
  /**
   * Stores a record in place of the one under that key. `kept`: never evicted or ended by time.
   *
   * @throws {StoreError} throttled: the cache is full, and all that is in it is kept; nothing has changed
   */
  put(key: string, value: V, dueAt: number, kept?: boolean): void;
  /** From now on the record is kept. */
  keep(key: string): void;
  /** Changes when the record is due. */
  defer(key: string, dueAt: number): void;
  delete(key: string): boolean;
  /** The key of a record that is due, the longest due first. */
  findDue(now: number): string | undefined;
  /** How many records are due, and since when the first is. */
  countDue(now: number): { readonly records: number; readonly oldestDueAt?: number };
}

type Purgeable = Pick<Table<unknown>, 'findDue' | 'countDue' | 'delete'>;

/** The tables of a cache, and the limits over all of them together. */
export interface Elements {
  /** `onRemove` is told of every record that leaves or is replaced, whatever the reason. */
  createTable<V>(standing: Standing, onRemove?: (value: V, key: string) => void): Table<V>;
  /** Ends what has lived or idled too long. To be called before elements are reached by other ways than their table. */
  sweep(): void;
  /** Removes what is due, kind after kind, record by record: work for what is due, not for what stays. */
  purge(kinds: Readonly<Record<string, readonly Purgeable[]>>, request: PurgeRequest): PurgeReport;
  /** Every record of every table. */
  values(): unknown[];
}

interface Place {
  readonly table: Purgeable;
  readonly key: string;
}

interface Element<V> {
  readonly value: V;
  readonly addedMs: number;
  uses: number;
  readonly due: Entry<Place>;
  /** Its place among those that may be evicted, next victim first. */
  readonly turn: Entry<Place>;
  /** Its place among those whose time ends. */
  readonly end: Entry<Place>;
}

/** Each operation takes O(log n) steps for n elements, and as many again for each element that it ends or evicts. */
export function createElements(limits: Limits, clock: Clock): Elements {
  const { maxElements, evictionPolicy } = limits;
  const timeToLiveMs = limits.timeToLiveSeconds * 1000;
  const timeToIdleMs = limits.timeToIdleSeconds * 1000;
  const isBounded = maxElements < Number.POSITIVE_INFINITY;
  const isTimed = Math.min(timeToLiveMs, timeToIdleMs) < Number.POSITIVE_INFINITY;
  const turns = createQueue<Place>();
  const ends = createQueue<Place>();
  const all: ReadonlyMap<string, { readonly value: unknown }>[] = [];
  const counted: Purgeable[] = [];
  let count = 0;
  let tick = 0;

  /** Ranks an element anew, by what has been done with it so far. */
  const enlist = ({ turn, end, uses, addedMs }: Element<unknown>) => {
    const isFirst = turn.position < 0;
    if (isBounded && (isFirst || evictionPolicy !== 'FIFO')) {
      tick += 1;
      turns.put(turn, evictionPolicy === 'LFU' ? uses : 0, tick);
    }
    if (isTimed) ends.put(end, Math.min(addedMs + timeToLiveMs, clock() + timeToIdleMs));
  };
  const withdraw = ({ turn, end }: Element<unknown>) => {
    turns.remove(turn);
    ends.remove(end);
  };
  const remove = ({ table, key }: Place) => table.delete(key);

  const sweep = () => {
    if (!ends.first()) return;
    const nowMs = clock();
    for (let first = ends.first(); first && first.rank <= nowMs; first = ends.first()) remove(first.item);
  };

  const findDue = (now: number): Place | undefined => {
    for (const table of counted) {
      const key = table.findDue(now);
      if (key !== undefined) return { table, key };
    }
    return undefined;
  };
  /** Removes what is due anyway, then what the policy chooses, until one more element has room. */
  const makeRoom = (standing: Standing) => {
    while (count >= maxElements) {
      const leaving = findDue(seconds(clock)) ?? turns.first()?.item;
      if (leaving) remove(leaving);
      else if (standing === 'mark') return;
      else
        throw new StoreError('throttled', 'the cache is full of records that guard against replay until they are due');
    }
  };

  const createTable = <V>(standing: Standing, onRemove?: (value: V, key: string) => void): Table<V> => {
    const records = new Map<string, Element<V>>();
    const dues = createQueue<Place>();
    const isElement = standing === 'element';
    const table: Table<V> = {
      get size() {
        return records.size;
      },
      get(key) {
        if (isElement) sweep();
        const element = records.get(key);
        if (element && (element.turn.position >= 0 || element.end.position >= 0)) {
          element.uses += 1;
          enlist(element);
        }
        return element?.value;
      },
      put(key, value, dueAt, kept = !isElement) {
        if (standing !== 'part') sweep();
        const uses = records.get(key)?.uses ?? 0;
        if (!table.delete(key) && standing !== 'part') makeRoom(standing);
        const place = { table, key };
        const entries = { due: newEntry(place), turn: newEntry(place), end: newEntry(place) };
        const element = { value, addedMs: isTimed ? clock() : 0, uses, ...entries };
        records.set(key, element);
        dues.put(element.due, dueAt);
        if (standing !== 'part') count += 1;
        if (!kept) enlist(element);
      },
      keep(key) {
        const element = records.get(key);
        if (element) withdraw(element);
      },
      defer(key, dueAt) {
        const element = records.get(key);
        if (element) dues.put(element.due, dueAt);
      },
      delete(key) {
        const element = records.get(key);
        if (!element) return false;
        records.delete(key);
        dues.remove(element.due);
        withdraw(element);
        if (standing !== 'part') count -= 1;
        onRemove?.(element.value, key);
        return true;
      },
      findDue(now) {
        const first = dues.first();
        return first && first.rank <= now ? first.item.key : undefined;
      },
      countDue(now) {
        const records = dues.countUpTo(now);
        const first = dues.first();
        return { records, ...(first && records > 0 && { oldestDueAt: first.rank }) };
      },
    };
    all.push(records);
    if (standing !== 'part') counted.push(table);
    return table;
  };

  const purge: Elements['purge'] = (kinds, { now, limit, deadlineMs = Number.POSITIVE_INFINITY }) => {
    const removed = Object.fromEntries(Object.keys(kinds).map((kind) => [kind, 0]));
    const report = (more: boolean): PurgeReport => {
      const due = Object.values(kinds).flatMap((tables) => tables.map((table) => table.countDue(now)));
      const oldestDueAt = Math.min(...due.map((each) => each.oldestDueAt ?? Number.POSITIVE_INFINITY));
      const records = due.reduce((sum, each) => sum + each.records, 0);
      return { removed, more, backlog: { records, precision: 'exact', ...(records > 0 && { oldestDueAt }) } };
    };
    let left = limit;
    for (const [kind, tables] of Object.entries(kinds)) {
      for (const table of tables) {
        for (let key = table.findDue(now); key !== undefined; key = table.findDue(now)) {
          if (left <= 0 || clock() >= deadlineMs) return report(true);
          table.delete(key);
          removed[kind] = (removed[kind] ?? 0) + 1;
          left -= 1;
        }
      }
    }
    return report(false);
  };

  const values = () => all.flatMap((records) => [...records.values()].map(({ value }) => value));

  return { createTable, sweep, purge, values };
}
