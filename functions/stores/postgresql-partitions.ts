import * as flat from './postgresql-statements.ts';
import type { Statements } from './sql-dialect.ts';

// What PostgreSQL is sent where access tokens are in expiry partitions (sql/postgresql/oauth-partitions.sql). Look-ups and
// revocations are the same text: they name the parent, and its key is the grant and the digest.

const { dueBesideAccessTokens, storing, ...statements } = flat;

export const partitioned: Statements = {
  ...statements,
  ...storing({
    column: ', slot',
    value: ', oauth_slot(grant_id, :accessDigest, :accessIssuedAt, :accessExpiresAt)',
  }),
  emptyAccessPartitions: 'SELECT records FROM oauth_empty_access_partition(:now::bigint) AS records',
  purgeAccessTokens: 'SELECT oauth_purge_access_tokens(:now::bigint, :limit::bigint)',
  backlog: {
    ...statements.backlog,
    accessTokens: `SELECT records, oldest FROM oauth_access_token_backlog(:now::bigint, :most::bigint) UNION ALL ${dueBesideAccessTokens}`,
  },
};
