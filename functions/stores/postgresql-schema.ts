import { setTimeout } from 'node:timers/promises';
import { systemClock } from '../domain/clock.ts';
import { StoreError } from '../domain/errors.ts';
import { connectionOf, type PostgresqlSettings, storeError } from './postgresql-connection.ts';
import type { Row } from './sql-dialect.ts';
import {
  createSchema,
  type Patience,
  packagedScripts,
  type SchemaDialect,
  type Session,
  updateSchema,
} from './sql-schema.ts';

// How PostgreSQL applies scripts beside traffic: a script is one transaction that gives up after {@link LOCK_MS} ms without its
// lock, and is tried again, so that no look-up waits longer behind it. One that says so at its head runs statement by
// statement, as CREATE INDEX CONCURRENTLY must; it can be repeated from its start.

/** The longest that a statement of ours stands in the way of others while it waits for its lock. */
const LOCK_MS = 200;
/** In which everybody else gets on before the next attempt. */
const PAUSE_MS = 1000;
const POLL_MS = 100;
const LOCK = 7267093219450;
/** Refused for a moment: a lock that did not come in time, a deadlock. */
const PASSING = ['55P03', '40P01'];
/** Not what stands in our oauth_schema: another column, another type. */
const STRANGE = ['42703', '42883', '22P02'];
const SEPARATE = /^-- outside a transaction/m;

const dialect: SchemaDialect = {
  async tablesThere(session, tables) {
    const names = tables.map((table) => `'${table}'`);
    const rows = await session.query(
      `SELECT name FROM unnest(ARRAY[${names}]) AS name WHERE to_regclass(name) IS NOT NULL`,
    );
    return rows.map(({ name }) => String(name));
  },
  isStrange: (error) => STRANGE.includes(stateOf(error)),
  runScript,
  underLock,
};

export const { applySchema, findMissingScripts } = createSchema({
  engine: 'postgresql',
  dialect,
  open,
  failure: storeError,
});

/** The same on the only connection of an embedded database: there is nobody to wait for. */
export const applyAlone = async (worker: Session): Promise<string[]> =>
  updateSchema(dialect, { worker }, await packagedScripts('postgresql'), ['oauth-server', 'oauth-client'], {
    clock: systemClock,
    untilMs: 0,
  });

async function open(settings: PostgresqlSettings, withinMs: number) {
  const { default: pg } = await import('pg');
  const client = new pg.Client({ ...(await connectionOf(settings)), keepAlive: true, statement_timeout: withinMs });
  client.on('error', () => {}); // the query under way fails with the same
  await client.connect();
  return {
    query: async (text: string) => (await client.query<Row>(text)).rows,
    script: async (text: string) => {
      await client.query(text);
    },
    close: () => client.end().catch(() => {}),
  };
}

/**
 * Holds the lock in a transaction that does nothing else, while others work: CREATE INDEX CONCURRENTLY waits for whoever has a
 * snapshot, and neither this transaction nor one that asks now and then has any, as one that waited in the server would.
 */
async function underLock(keeper: Session, work: () => Promise<void>, patience: Patience): Promise<void> {
  await keeper.script('BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0');
  try {
    for (;;) {
      const [row] = await keeper.query(`SELECT pg_try_advisory_xact_lock(${LOCK}) AS held`);
      if (row?.held) break;
      if (patience.clock() >= patience.untilMs) throw new StoreError('timeout', 'another one is applying the schema');
      await setTimeout(POLL_MS);
    }
    await work();
  } finally {
    await keeper.script('ROLLBACK').catch(() => {}); // a connection that broke has let go of it
  }
}

async function runScript(session: Session, path: string, text: string, { clock, untilMs }: Patience): Promise<void> {
  const transaction = async () => {
    await session.script(`BEGIN; SET LOCAL lock_timeout = ${LOCK_MS}; ${text}`);
    await session.script('COMMIT');
  };
  const oneByOne = async () => {
    for (const statement of statementsOf(text)) await session.script(statement);
  };
  const separate = SEPARATE.test(text);
  for (;;) {
    try {
      await (separate ? oneByOne() : transaction());
      return;
    } catch (cause) {
      if (!separate) await session.script('ROLLBACK').catch(() => {});
      const code = stateOf(cause);
      if (!PASSING.includes(code) || clock() + PAUSE_MS >= untilMs) {
        throw Object.assign(new Error(`${path}: ${(cause as Error).message}`, { cause }), { code });
      }
      await setTimeout(PAUSE_MS);
    }
  }
}

/** A script of this kind has a semicolon at the end of each statement, and nowhere else. */
const statementsOf = (text: string): string[] =>
  text
    .replaceAll(/^--.*$/gm, '')
    .split(';')
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '');

const stateOf = (error: unknown): string => String((error as { code?: unknown }).code ?? '');
