import type { Clock } from '../domain/clock.ts';
import type { Engine } from '../domain/ports.ts';
import { connectionOf, isRefusal, type PostgresqlSettings, storeError } from './postgresql-connection.ts';
import { partitioned } from './postgresql-partitions.ts';
import { execute, type Prepared } from './postgresql-prepared.ts';
import * as statements from './postgresql-statements.ts';
import { createSqlEngine } from './sql.ts';
import type { Row, Run } from './sql-dialect.ts';
import { connectAs } from './sql-login.ts';
import { createPool } from './sql-pool.ts';

// PostgreSQL 13 or newer, Aurora PostgreSQL, and PGlite, the embedded one. Default isolation (READ COMMITTED); a
// statement is a transaction of its own, so nothing is ever left open. Acknowledged is durable as far as
// `synchronous_commit` says (on, the default: on disk, and on the synchronous standbys if there are any; Aurora: in its
// storage; PGlite: in its files, which it never syncs). Neither driver repeats a statement by itself.

/** The four stores on a PostgreSQL server (driver `pg`), or embedded (driver `@electric-sql/pglite`). */
export async function createEngine(settings: PostgresqlSettings, clock: Clock): Promise<Engine> {
  const driver = settings.embedded === undefined ? await server(settings) : await embedded(settings.embedded);
  const bound = new Map<string, Prepared & { names: string[] }>();
  const run: Run = async (name, text, values) => {
    const statement = bound.get(name) ?? { name, ...numbered(text) };
    bound.set(name, statement);
    try {
      const rows = await driver.query(
        statement,
        statement.names.map((value) => values[value] ?? null),
      );
      return { rows, changed: rows.length };
    } catch (cause) {
      throw storeError(cause);
    }
  };
  return createSqlEngine(settings.expiryPartitions ? partitioned : statements, run, clock, driver.close);
}

interface Driver {
  query(statement: Prepared, values: unknown[]): Promise<Row[]>;
  close(): Promise<void>;
}

const INT8 = 20;

async function server(settings: PostgresqlSettings): Promise<Driver> {
  const { default: pg } = await import('pg');
  const query_timeout = settings.pool?.statementTimeoutMs ?? 10_000;
  const broken = new WeakSet<object>();
  const pool = createPool(
    {
      open: () =>
        connectAs(settings, async (known) => {
          const client = new pg.Client({ ...(await connectionOf(known)), query_timeout, keepAlive: true });
          // The query under way fails with the same.
          client.on('error', () => broken.add(client)).on('end', () => broken.add(client));
          await client.connect();
          return client;
        }),
      isBroken: (client) => broken.has(client),
      // An empty query is answered without being planned.
      validate: (client) => client.query(settings.validationQuery ?? ''),
      close: (client) => client.end().catch(() => {}),
    },
    settings.pool,
  );
  const parserOf = (type: number) => (type === INT8 ? Number : pg.types.getTypeParser(type, 'text'));
  return {
    query: (statement, values) =>
      pool.use(async (client) => {
        try {
          return await execute(client, statement, values, parserOf);
        } catch (error) {
          if (!isRefusal(error)) broken.add(client);
          throw error;
        }
      }),
    close: pool.close,
  };
}

async function embedded(directory: string): Promise<Driver> {
  const { PGlite } = await import('@electric-sql/pglite');
  const database = await PGlite.create(directory, { parsers: { [INT8]: Number } });
  const worker = {
    query: async (text: string) => (await database.query<Row>(text)).rows,
    script: async (text: string) => {
      await database.exec(text);
    },
  };
  const { applyAlone } = await import('./postgresql-schema.ts');
  await applyAlone(worker);
  return {
    query: async ({ text }, values) => (await database.query<Row>(text, values)).rows,
    close: () => database.close(),
  };
}

/** `:name` becomes `$1`, `$2`, …: the same name, the same number. */
function numbered(text: string): { text: string; names: string[] } {
  const names: string[] = [];
  const replaced = text.replaceAll(/(?<!:):([A-Za-z_]\w*)/g, (_, name: string) => {
    if (!names.includes(name)) names.push(name);
    return `$${names.indexOf(name) + 1}`;
  });
  return { text: replaced, names };
}
