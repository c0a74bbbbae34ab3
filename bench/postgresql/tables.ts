import pg from 'pg';
import { DATA, DAY, type Grants, HOUR, NOW, SEALED } from '../records.ts';

// The records of records.ts, a million of them, made in the server.

export interface Tables extends Grants {
  readonly url: string;
}

/** Runs one script, or one statement, and gives its rows. */
export async function query<Row extends pg.QueryResultRow>(
  url: string,
  text: string,
  values?: unknown[],
): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Row>(text, values)).rows;
  } finally {
    await client.end();
  }
}

/**
 * Live grants with a refresh token and one access token each, every second one refreshed once if `refreshed`; beside them
 * as many rows of the floor's tables: `bare` with a payload of 200 bytes, and `bare_child`, of which each has one, as wide
 * as an access token.
 */
export async function fill(url: string, grants: number, { refreshed }: { refreshed: boolean }): Promise<Tables> {
  const hashed = (text: string, bytes: number) => `substr(sha256((${text} || i)::bytea), 1, ${bytes})`;
  const long = (text: string, bytes: number) =>
    `substr(decode(repeat(encode(${hashed(text, 32)}, 'hex'), 7), 'hex'), 1, ${bytes})`;
  const again = `(${refreshed} AND i % 2 = 1)`;
  const began = `${NOW} - ${HOUR} + (i::bigint * ${HOUR} / ${grants})`;
  const grantId = `decode(lpad(to_hex(${began}), 8, '0'), 'hex') || ${hashed(`'g'`, 8)}`;
  const each = (rows: number) => `FROM generate_series(0, ${rows - 1}) i`;
  await query(
    url,
    `
    CREATE TABLE bare (
      k bytea PRIMARY KEY, grant_id bytea NOT NULL, n bigint NOT NULL, scope text, payload bytea) WITH (fillfactor = 70);
    CREATE TABLE bare_child (
      k bytea, digest bytea, issued_at bigint NOT NULL, n bigint NOT NULL, attempt bytea NOT NULL, PRIMARY KEY (k, digest));
    CREATE INDEX ON bare_child (n);
    CREATE TABLE bare_indexed (LIKE bare INCLUDING ALL);
    CREATE INDEX ON bare_indexed (grant_id); CREATE INDEX ON bare_indexed (n); CREATE INDEX ON bare_indexed (scope, n);
    INSERT INTO bare SELECT ${grantId}, ${hashed(`'x'`, 12)}, 0, 'openid orders:read',
      ${long(`'p'`, 200)} ${each(grants)};
    INSERT INTO bare_child SELECT ${grantId}, ${hashed(`'a'`, 16)}, ${began}, ${began} + ${HOUR} + 1, ${hashed(`'t'`, 16)}
      ${each(grants)};
    INSERT INTO oauth_grant (grant_id, client_id, subject, created_at, data, retain_until, refresh_expires_at, attempt,
        refresh_digest, retired_at, retired_digest, successor)
      SELECT ${grantId}, 'client-' || lpad((i % 50)::text, 17, '0'), 'subject-' || lpad((i / 3)::text, 28, '0'),
        ${began}, '${DATA}', ${NOW} + ${2 * DAY}, ${began} + ${DAY}, ${hashed(`'t'`, 16)}, ${hashed(`'r'`, 32)},
        CASE WHEN ${again} THEN ${NOW} END, CASE WHEN ${again} THEN ${hashed(`'o'`, 32)} END,
        CASE WHEN ${again} THEN ${long(`'s'`, SEALED)} END ${each(grants)};
    INSERT INTO access_token (grant_id, digest, issued_at, expires_at, attempt)
      SELECT ${grantId}, ${hashed(`'a'`, 16)}, ${began}, ${began} + ${HOUR} + 1, ${hashed(`'t'`, 16)} ${each(grants)};
  `,
  );
  await tidy(url);
  return { url, grants, refreshed: new Map() };
}

/** What autovacuum does in its time, done at a time of our choosing. */
export async function tidy(url: string): Promise<void> {
  for (const table of ['bare', 'bare_child', 'bare_indexed', 'oauth_grant', 'access_token', 'authorization_code']) {
    await query(url, `VACUUM ANALYZE ${table}`);
  }
}
