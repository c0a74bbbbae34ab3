import { applySchema } from '../../functions/stores/postgresql-schema.ts';
import { startPostgresql } from '../../test/engines/postgresql.ts';
import { query } from '../postgresql/tables.ts';
import { DATA, DAY, HOUR, NOW } from '../records.ts';
import type { Purged, PurgedEngine } from './engine.ts';

const hashed = (text: string, bytes: number) => `substr(sha256((${text})::bytea), 1, ${bytes})`;

/** When grant number `i` began, and its id. */
const beganOf = (i: string, grants: number) => `(${NOW - HOUR} + (${i})::bigint * ${HOUR} / ${grants})`;
const idOf = (i: string, grants: number) =>
  `(decode(lpad(to_hex(${beganOf(i, grants)}), 8, '0'), 'hex') || ${hashed(`'g' || (${i})`, 8)})`;

const GRANT_COLUMNS =
  'grant_id, client_id, subject, created_at, data, retain_until, refresh_expires_at, attempt, refresh_digest';
const TOKEN_COLUMNS = 'grant_id, digest, issued_at, expires_at, attempt';

/** Sessions that fill a table at once. */
const SESSIONS = 2;

/** Inserts so many rows, `i` their numbers, each session its share of them. */
const make = (url: string, text: string, count: number) =>
  Promise.all(
    Array.from({ length: SESSIONS }, (_, session) =>
      query(url, `${text} FROM generate_series(${session}::bigint, ${count - 1}, ${SESSIONS}) i`),
    ),
  );

/** Does something to a table that has no index but its key meanwhile: they are built more quickly afterwards. */
async function withoutIndexes(url: string, table: string, work: () => Promise<unknown>): Promise<void> {
  const indexes = await query<{ name: string; definition: string }>(
    url,
    `SELECT indexrelid::regclass AS name, pg_get_indexdef(indexrelid) AS definition
      FROM pg_index WHERE indrelid = '${table}'::regclass AND NOT indisprimary`,
  );
  for (const { name } of indexes) await query(url, `DROP INDEX ${name}`);
  await work();
  for (const { definition } of indexes) await query(url, definition);
}

async function filled(url: string, grants: number, partitions: boolean): Promise<Purged> {
  await applySchema({ connectionString: url }, { partitions });
  const [began, id, attempt] = [beganOf('i', grants), idOf('i', grants), hashed(`'t' || i`, 16)];
  await withoutIndexes(url, 'oauth_grant', () =>
    make(
      url,
      `INSERT INTO oauth_grant (${GRANT_COLUMNS})
        SELECT ${id}, 'client-' || lpad((i % 50)::text, 17, '0'), 'subject-' || lpad((i / 3)::text, 28, '0'), ${began},
          '${DATA}', ${NOW + 2 * DAY}, ${began} + ${DAY}, ${attempt}, ${hashed(`'r' || i`, 32)}`,
      grants,
    ),
  );
  /** Tokens with what stands in their columns; in the layout with partitions the slot stands there too. */
  const makeTokens = (count: number, grantId: string, digest: string, expiresAt: string) => {
    const columns = partitions ? `${TOKEN_COLUMNS}, slot` : TOKEN_COLUMNS;
    const slot = partitions ? `, 1 + ${expiresAt} / ${HOUR} % 3` : ''; // the ring of the hour
    const values = `${grantId}, ${hashed(digest, 16)}, ${expiresAt} - ${HOUR}, ${expiresAt}, ${attempt}${slot}`;
    return make(url, `INSERT INTO access_token (${columns}) SELECT ${values}`, count);
  };
  /** What autovacuum does in its time: to tables with rows, and to no empty partition. */
  const tidy = async () => {
    const tables = await query<{ name: string }>(
      url,
      `SELECT oid::regclass AS name FROM pg_class
        WHERE relkind = 'r' AND relname ~ '^(oauth_grant|access_token(_[0-6])?)$' AND pg_relation_size(oid) > 0`,
    );
    for (const { name } of tables) await query(url, `VACUUM ANALYZE ${name}`);
  };
  await makeTokens(grants, id, `'a' || i`, `(${began} + 1 + ${HOUR})`);
  await tidy();
  await query(url, 'CHECKPOINT');
  // What look-ups read is in the server's memory, as it is where they are answered all the time.
  for (const table of ['oauth_grant', 'access_token']) {
    await query(
      url,
      `SET enable_seqscan = off; SET enable_bitmapscan = off; SELECT count(attempt) FROM (SELECT attempt FROM ${table} ORDER BY grant_id) AS rows`,
    );
  }
  let times = 0;
  return {
    place: { engine: 'postgresql', settings: { connectionString: url, ...(partitions && { expiryPartitions: true }) } },
    async expire(count) {
      times += 1;
      const endOfHour = NOW - (NOW % HOUR);
      const expiresAt = `(${endOfHour - HOUR} + i * ${HOUR} / ${count})`;
      await makeTokens(count, idOf(`i * 7919 % ${grants}`, grants), `'e${times}.' || i`, expiresAt);
      await tidy();
      // Behind a checkpoint the images of full pages are in the log of a purge by rows, as they are where it runs all the time;
      // of what empties a partition they would be nearly all.
      if (!partitions) await query(url, 'CHECKPOINT');
    },
    async countExpired() {
      const [row] = await query<{ count: string }>(url, `SELECT count(*) FROM access_token WHERE expires_at <= ${NOW}`);
      return Number(row?.count);
    },
    async logged() {
      const [row] = await query<{ bytes: string }>(url, `SELECT pg_current_wal_insert_lsn() - '0/0' AS bytes`);
      return Number(row?.bytes);
    },
  };
}

export const postgresql: PurgedEngine = {
  name: 'postgresql',
  title: 'PostgreSQL',
  log: 'WAL',
  emptied: { seconds: { most: 0.1 }, bytes: { most: 20_000 } },
  async start() {
    const server = await startPostgresql('18', {
      fsync: 'on',
      synchronous_commit: 'on',
      full_page_writes: 'on',
      shared_buffers: '8GB',
      max_wal_size: '8GB',
      checkpoint_timeout: '1h', // one is made when a table has been filled, so that every figure begins behind one
      autovacuum: 'off', // it would hit one slice and not the other
    });
    return {
      description: `PostgreSQL ${server.version}`,
      stop: server.stop,
      async create(name, grants, layout) {
        await query(server.url, `CREATE DATABASE ${name}`);
        return filled(server.url.replace(/\/postgres$/, `/${name}`), grants, layout === 'partitioned');
      },
    };
  },
};
