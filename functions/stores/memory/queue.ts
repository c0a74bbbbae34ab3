/** The place of an item in a queue. */
export interface Entry<T> {
  readonly item: T;
  /** The lowest comes first; `tie` decides among equals. */
  rank: number;
  tie: number;
  /** Where in the heap it stands; -1: it is in no queue. */
  position: number;
}

export const newEntry = <T>(item: T): Entry<T> => ({ item, rank: 0, tie: 0, position: -1 });

/** A queue by rank: a binary heap whose entries know where they stand, so that each can move or leave in O(log n). */
export interface Queue<T> {
  first(): Entry<T> | undefined;
  /** How many there are up to this rank: so many steps. */
  countUpTo(rank: number): number;
  /** Adds an entry, or moves one that is in the queue. */
  put(entry: Entry<T>, rank: number, tie?: number): void;
  /** Takes an entry out if it is in. */
  remove(entry: Entry<T>): void;
}

export function createQueue<T>(): Queue<T> {
  const heap: Entry<T>[] = [];
  const isBefore = (a: Entry<T>, b: Entry<T>) => a.rank < b.rank || (a.rank === b.rank && a.tie < b.tie);
  const stand = (entry: Entry<T>, position: number) => {
    heap[position] = entry;
    entry.position = position;
  };
  const swap = (a: Entry<T>, b: Entry<T>) => {
    const { position } = a;
    stand(a, b.position);
    stand(b, position);
  };
  const settle = (entry: Entry<T>) => {
    while (entry.position > 0) {
      const parent = heap[(entry.position - 1) >> 1];
      if (!parent || !isBefore(entry, parent)) break;
      swap(entry, parent);
    }
    for (;;) {
      const left = heap[2 * entry.position + 1];
      const right = heap[2 * entry.position + 2];
      const child = left && right && isBefore(right, left) ? right : left;
      if (!child || !isBefore(child, entry)) break;
      swap(entry, child);
    }
  };
  const countFrom = (position: number, rank: number): number => {
    const entry = heap[position];
    if (!entry || entry.rank > rank) return 0;
    return 1 + countFrom(2 * position + 1, rank) + countFrom(2 * position + 2, rank);
  };
  return {
    first: () => heap[0],
    countUpTo: (rank) => countFrom(0, rank),
    put(entry, rank, tie = 0) {
      entry.rank = rank;
      entry.tie = tie;
      if (entry.position < 0) stand(entry, heap.length);
      settle(entry);
    },
    remove(entry) {
      if (entry.position < 0) return;
      const last = heap.pop();
      if (last && last !== entry) {
        stand(last, entry.position);
        settle(last);
      }
      entry.position = -1;
    },
  };
}
