import type { Statements } from './sql-dialect.ts';
import { rings } from './sql-partitions.ts';
import * as flat from './sqlserver-statements.ts';

// What SQL Server is sent where access tokens are in expiry partitions (sql/sqlserver/oauth-partitions.sql). All else is the
// same text: the column that tells the partition is computed, and whoever stores a token looks for its digest in all of them.

const { dueBesideAccessTokens, ...statements } = flat;

// Tokens in no ring, and those that were not emptied while it was their turn.
const removed = (due: string) => `
DELETE TOP (@limit - @changed) FROM access_token
  FROM access_token WITH (READPAST, READCOMMITTEDLOCK, ROWLOCK, INDEX (access_token_expires)) WHERE ${due};
SET @changed = @changed + @@ROWCOUNT;`;

// A token of a ring is due when its hour or day is over: until then it cannot be emptied. Each partition is counted by itself,
// so that no more than `most` is read of it.
const dueIn = (slot: number, width: number) => `
SELECT COUNT(*) AS records, (MIN(counted.due) / ${width} + 1) * ${width} AS oldest FROM (
  SELECT TOP (@most) expires_at AS due FROM access_token
    WHERE slot = ${slot} AND expires_at < @now / ${width} * ${width} ORDER BY expires_at) AS counted`;

export const partitioned: Statements = {
  ...statements,
  emptyAccessPartitions: 'EXEC oauth_empty_access_partition @now = @now;',
  purgeAccessTokens: `
SET NOCOUNT ON;
SET XACT_ABORT ON;
SET DEADLOCK_PRIORITY LOW;
DECLARE @changed bigint = 0;
BEGIN TRANSACTION;${removed('slot = 0 AND expires_at <= @now')}${rings
    .map(({ slots, width }) =>
      removed(`slot IN (${slots.join(', ')}) AND expires_at < (@now / ${width} - 1) * ${width}`),
    )
    .join('')}
COMMIT TRANSACTION;
SELECT @changed AS changed;`,
  backlog: {
    ...statements.backlog,
    accessTokens: [
      `
SELECT COUNT(*) AS records, MIN(counted.due) AS oldest FROM (
  SELECT TOP (@most) expires_at AS due FROM access_token WHERE slot = 0 AND expires_at <= @now ORDER BY expires_at) AS counted`,
      ...rings.flatMap(({ slots, width }) => slots.map((slot) => dueIn(slot, width))),
      dueBesideAccessTokens,
    ].join(' UNION ALL'),
  },
};
