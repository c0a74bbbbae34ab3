import type { ReadConsistency, WriteConsistency } from '../../config/consistency.ts';
import { StoreError } from '../../domain/errors.ts';

/** How many replicas a store asks, and how many must have a new record before it is acknowledged. */
export interface Consistency {
  readonly read: ReadConsistency;
  readonly write: WriteConsistency;
}

export function chunks<T>(all: readonly T[], size: number): T[][] {
  const count = Math.ceil(all.length / size);
  return Array.from({ length: count }, (_, index) => all.slice(index * size, (index + 1) * size));
}

/** More often than this a record does not change between two looks at it, unless others write to it all the time. */
const MOST_TURNS = 100;

/** Counts how often something is decided anew since others had changed the record meanwhile. */
export function createTurns(): () => void {
  let turns = 0;
  return () => {
    turns += 1;
    if (turns >= MOST_TURNS) throw new StoreError('throttled', 'others write to the record all the time');
  };
}
