import * as flat from './oracle-statements.ts';
import type { Statements } from './sql-dialect.ts';
import { rings } from './sql-partitions.ts';

// What Oracle is sent where access tokens are in expiry partitions (sql/oracle/oauth-partitions.sql). All else is the same text:
// the column that tells the partition is virtual, and whoever stores a token looks for its digest in all of them.

const { dueBesideAccessTokens, removing, ...statements } = flat;

// A token of a ring is due when its hour or day is over: until then it cannot be emptied. Each partition is counted by itself,
// so that no more than `most` is read of it.
const dueIn = (slot: number, width: number) => `
SELECT COUNT(*) AS "records", (FLOOR(MIN(due) / ${width}) + 1) * ${width} AS oldest FROM (
  SELECT expires_at AS due FROM access_token WHERE slot = ${slot} AND expires_at < FLOOR(:i_now / ${width}) * ${width}
    ORDER BY expires_at FETCH FIRST (:i_most) ROWS ONLY)`;

export const partitioned: Statements = {
  ...statements,
  emptyAccessPartitions: `
BEGIN
  oauth_empty_access_partition(:i_now, :o_records);
END;`,
  // Tokens in no ring, and those that were not emptied while it was their turn.
  purgeAccessTokens: removing(
    'access_token',
    'slot = 0 AND expires_at <= :i_now',
    ...rings.map(
      ({ slots, width }) => `slot IN (${slots.join(', ')}) AND expires_at < (FLOOR(:i_now / ${width}) - 1) * ${width}`,
    ),
  ),
  backlog: {
    ...statements.backlog,
    accessTokens: [
      `
SELECT COUNT(*) AS "records", MIN(due) AS oldest FROM (
  SELECT expires_at AS due FROM access_token WHERE slot = 0 AND expires_at <= :i_now
    ORDER BY expires_at FETCH FIRST (:i_most) ROWS ONLY)`,
      ...rings.flatMap(({ slots, width }) => slots.map((slot) => dueIn(slot, width))),
      dueBesideAccessTokens,
    ].join(' UNION ALL'),
  },
};
