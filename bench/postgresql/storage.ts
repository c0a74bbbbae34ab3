import { secondsOf } from '../measure.ts';
import { operationsOf } from '../operations.ts';
import { withStores } from './stores.ts';
import { query, type Tables, tidy } from './tables.ts';

// What the operations leave in the server: its log (WAL), its tables and indexes, its way of updating rows.

/** Bytes of WAL that a refresh writes, its commit included; of grants refreshed here twice, in no order of theirs. */
export function walOfRefresh(tables: Tables, count: number): Promise<number> {
  return withStores(tables, { synchronousCommit: 'off', concurrency: 1 }, async (engine) => {
    const position = async () => {
      const text = `SELECT (pg_current_wal_insert_lsn() - '0/0')::text AS bytes`;
      return Number((await query<{ bytes: string }>(tables.url, text))[0]?.bytes);
    };
    const before = await position();
    for (let time = 0; time < 2; time += 1) await secondsOf(operationsOf(engine, tables).rotate(count), 1);
    return ((await position()) - before) / (2 * count);
  });
}

const sizeOf = async (url: string, ...tables: string[]) => {
  const text = 'SELECT sum(pg_total_relation_size(name::regclass))::bigint AS bytes FROM unnest($1::text[]) name';
  const [row] = await query<{ bytes: string }>(url, text, [tables]);
  return Number(row?.bytes);
};

/** Bytes of a grant and its access token, in tables and indexes. */
export const bytesOfGrant = async ({ url, grants }: Tables): Promise<number> =>
  (await sizeOf(url, 'oauth_grant', 'access_token')) / grants;

/** Bytes of a further access token of every grant, in no order of theirs, as refreshes come. */
export async function bytesOfFurtherToken({ url, grants }: Tables): Promise<number> {
  const before = await sizeOf(url, 'access_token');
  await query(
    url,
    `INSERT INTO access_token (grant_id, digest, issued_at, expires_at, attempt)
      SELECT grant_id, substr(sha256(digest), 1, 16), issued_at, expires_at, attempt FROM access_token ORDER BY digest`,
  );
  return ((await sizeOf(url, 'access_token')) - before) / grants;
}

/** The share of refreshes that touched no index (HOT), where every grant is refreshed several times in a mixed order. */
export async function hotShare(tables: Tables, times: number): Promise<number> {
  const updates = async () => {
    const text = `SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'oauth_grant'`;
    const [row] = await query<{ n_tup_upd: string; n_tup_hot_upd: string }>(tables.url, text);
    return { all: Number(row?.n_tup_upd), hot: Number(row?.n_tup_hot_upd) };
  };
  await tidy(tables.url);
  const before = await updates();
  await withStores(tables, { synchronousCommit: 'off', concurrency: 8 }, async (engine) => {
    const { rotate } = operationsOf(engine, tables);
    for (let time = 0; time < times; time += 1) await secondsOf(rotate(tables.grants), 8);
  });
  // A session hands in its counts when it ends, a moment later.
  let after = await updates();
  while (after.all - before.all < times * tables.grants) after = await updates();
  return (after.hot - before.hot) / (after.all - before.all);
}
