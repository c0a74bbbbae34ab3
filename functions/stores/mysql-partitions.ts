import { due, dueBesideAccessTokens, rotated } from './mysql-statements.ts';
import type { Statements } from './sql-dialect.ts';
import { type Ring, rings } from './sql-partitions.ts';

// What MySQL and MariaDB are sent where access tokens are in expiry partitions (sql/mysql/oauth-partitions.sql): what removes
// them, and a rotation that looks for its new token in all partitions. Everything else is the same.

// A token of a ring is due at the end of its hour or day; those are removed row by row that were not emptied in their turn.

const partitionsOf = ({ slots }: Ring) => slots.map((slot) => `access_token_${slot}`).join(', ');

const dueOf = (partitions: string, condition: string) => `
    (SELECT grant_id, digest, slot FROM access_token PARTITION (${partitions}) WHERE ${condition}
      ORDER BY expires_at LIMIT :limit FOR UPDATE SKIP LOCKED)`;

const ringBacklog = (ring: Ring) => `
SELECT count(*) AS records, min(due) AS oldest FROM (
  SELECT (expires_at DIV ${ring.width} + 1) * ${ring.width} AS due FROM access_token PARTITION (${partitionsOf(ring)})
    WHERE expires_at < :now DIV ${ring.width} * ${ring.width} ORDER BY expires_at LIMIT :most) AS counted`;

/** The statements for a server whose others are these. */
export const partitioned = (statements: Statements): Statements => ({
  ...statements,
  rotate: rotated({ partitions: true }),
  emptyAccessPartitions: 'CALL oauth_empty_access_partitions(:now)',
  purgeAccessTokens: `
DELETE t FROM (${[
    dueOf('access_token_0', 'expires_at <= :now'),
    ...rings.map((ring) => dueOf(partitionsOf(ring), `expires_at < (:now DIV ${ring.width} - 1) * ${ring.width}`)),
  ].join(' UNION ALL')} LIMIT :limit
  ) AS expired STRAIGHT_JOIN access_token AS t
    ON t.grant_id = expired.grant_id AND t.digest = expired.digest AND t.slot = expired.slot`,
  backlog: {
    ...statements.backlog,
    accessTokens: [
      due('access_token PARTITION (access_token_0)', 'expires_at'),
      ...rings.map(ringBacklog),
      dueBesideAccessTokens,
    ].join(' UNION ALL'),
  },
});
