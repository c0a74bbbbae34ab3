import { systemClock } from '../domain/clock.ts';
import { connectionOf, type PostgresqlSettings, storeError } from './postgresql-connection.ts';
import type { Row } from './sql-dialect.ts';
import {
  allOrNothing,
  createSchema,
  type Insist,
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
  isPassing: (error) => PASSING.includes(stateOf(error)),
  runScript,
  takeLock,
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
 * In a transaction that does nothing else: CREATE INDEX CONCURRENTLY waits for whoever has a snapshot, and neither this
 * transaction nor one that asks now and then has any, as one that waited in the server would.
 */
async function takeLock(keeper: Session): Promise<boolean> {
  await keeper.script('BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0');
  const [row] = await keeper.query(`SELECT pg_try_advisory_xact_lock(${LOCK}) AS held`);
  if (row?.held !== true) await keeper.script('ROLLBACK');
  return row?.held === true;
}

async function runScript(session: Session, text: string, insist: Insist): Promise<void> {
  const oneByOne = () => allOrNothing(asPsql(session), statementsOf(text), 'ROLLBACK');
  const begun = `BEGIN; SET LOCAL lock_timeout = ${LOCK_MS}; ${text}`;
  const transaction = () => allOrNothing(session, [begun, 'COMMIT'], 'ROLLBACK');
  await insist(SEPARATE.test(text) ? oneByOne : transaction);
}

/** What psql does with a query that ends with \gexec: what it gives is run. */
const asPsql = (session: Session): Session => ({
  ...session,
  async script(statement) {
    const query = statement.replace(/\\gexec$/, '');
    if (query === statement) return session.script(statement);
    for (const row of await session.query(query)) {
      for (const text of Object.values(row)) await session.script(String(text));
    }
  },
});

/** A script of this kind has a semicolon or \gexec at the end of each statement, and else a semicolon in $$ … $$ only. */
const statementsOf = (text: string): string[] =>
  (text.replaceAll(/^ *--.*$/gm, '').match(/(?:\$\$[\s\S]*?\$\$|(?!\\gexec)[^;])+(?:\\gexec)?/g) ?? [])
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '');

const stateOf = (error: unknown): string => String((error as { code?: unknown }).code ?? '');
