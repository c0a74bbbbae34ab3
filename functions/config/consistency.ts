/** What a read may ask for on self-managed Apache Cassandra. */
const readConsistencies = [
  'ONE',
  'TWO',
  'THREE',
  'QUORUM',
  'ALL',
  'LOCAL_ONE',
  'LOCAL_QUORUM',
  'EACH_QUORUM',
  'SERIAL',
  'LOCAL_SERIAL',
] as const;

/** What a write may ask for on self-managed Apache Cassandra. */
const writeConsistencies = [
  'ANY',
  'ONE',
  'TWO',
  'THREE',
  'QUORUM',
  'ALL',
  'LOCAL_ONE',
  'LOCAL_QUORUM',
  'EACH_QUORUM',
] as const;

export type ReadConsistency = (typeof readConsistencies)[number];
export type WriteConsistency = (typeof writeConsistencies)[number];

/** The levels that each engine accepts for reads and for writes, its default first. */
export const consistencies = {
  cassandra: { readConsistency: readConsistencies, writeConsistency: writeConsistencies },
  keyspaces: { readConsistency: ['LOCAL_QUORUM', 'ONE', 'LOCAL_ONE'], writeConsistency: ['LOCAL_QUORUM'] },
} as const;
