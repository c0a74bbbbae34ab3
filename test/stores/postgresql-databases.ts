import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll } from 'vitest';
import { startPostgresql } from '../engines/postgresql.ts';

const isServed = process.platform === 'linux' && process.arch === 'x64';
/** Whether there is a server of PostgreSQL for tests of this machine. */
export const hasPostgresql = process.env.POSTGRESQL_URL !== undefined || isServed;

/** Databases on a server, POSTGRESQL_URL or one of its own, until the tests of the file are over. */
export async function postgresqlDatabases() {
  const server =
    process.env.POSTGRESQL_URL === undefined && isServed
      ? await startPostgresql('18')
      : { url: '', stop: async () => {} };
  const serverUrl = process.env.POSTGRESQL_URL ?? (server.url || 'postgres://127.0.0.1');
  const made: string[] = [];
  const clients: pg.Client[] = [];
  afterAll(async () => {
    await Promise.all(clients.map((client) => client.end()));
    const admin = await connect(serverUrl);
    for (const database of made) await admin.query(`DROP DATABASE ${database} WITH (FORCE)`);
    await admin.end();
    await server.stop();
  });

  async function connect(url: string) {
    const client = new pg.Client({ connectionString: url });
    client.on('error', () => {});
    await client.connect();
    return client;
  }
  async function session(url: string) {
    const client = await connect(url);
    clients.push(client);
    return client;
  }
  async function newDatabase() {
    const database = `test_${randomUUID().replaceAll('-', '')}`;
    const admin = await connect(serverUrl);
    await admin.query(`CREATE DATABASE ${database}`);
    await admin.end();
    made.push(database);
    const url = new URL(serverUrl);
    url.pathname = `/${database}`;
    return url.href;
  }
  const rowsOf = async (url: string, text: string) => {
    const client = await connect(url);
    return client
      .query(text)
      .then(({ rows }) => rows)
      .finally(() => client.end());
  };
  return { newDatabase, session, rowsOf };
}

/** A user of the server, who needs no password on one that a test starts. */
export function as(url: string, user?: string): string {
  const at = new URL(url);
  if (user !== undefined) at.username = user;
  return at.href;
}

/** Everything that a script can make, as the server describes it. */
export const catalogQueries = [
  `SELECT relname, relkind, reloptions, relacl::text FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1`,
  `SELECT attrelid::regclass::text AS relation, attname, format_type(atttypid, atttypmod), attnotnull, attacl::text, attnum,
      pg_get_expr(adbin, adrelid)
    FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace) ORDER BY 1, attnum`,
  `SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid), indisvalid FROM pg_index
    WHERE indrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace) ORDER BY 1`,
  `SELECT conname, conrelid::regclass::text AS relation, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2`,
  `SELECT proname, prosecdef, proconfig, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1`,
  'SELECT component, version FROM oauth_schema ORDER BY 1',
  `SELECT nspacl::text FROM pg_namespace WHERE nspname = 'public'`,
];
