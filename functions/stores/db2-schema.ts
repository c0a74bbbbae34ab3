import { setTimeout } from 'node:timers/promises';
import { StoreError } from '../domain/errors.ts';
import { connect, stateOf, storeError } from './db2-connection.ts';
import { rowOf } from './db2-values.ts';
import type { Row } from './sql-dialect.ts';
import { createSchema, type Patience, type SchemaDialect, type Session } from './sql-schema.ts';
import type { DatabaseSettings } from './sql-settings.ts';

// How Db2 applies scripts beside traffic: a script is one unit of work, since Db2 takes back what was created in it. One that
// waits too long for a lock is rolled back, and tried again.

const PAUSE_MS = 1000;
/** Rolled back as a whole: a deadlock, a lock that did not come in time. */
const PASSING = ['40001', '57033'];
/** Not what stands in our oauth_schema: another column, another type. */
const STRANGE = ['42703', '42818', '22018'];
const THERE = '42710';
/** One row of nothing: who holds it applies scripts. Db2 has no lock without a table. */
const LOCK_TABLE = 'CREATE TABLE oauth_schema_lock (held SMALLINT)';

const dialect: SchemaDialect = {
  async tablesThere(session, tables) {
    const names = tables.map((table) => `'${table.toUpperCase()}'`);
    const rows = await session.query(
      `SELECT tabname AS name FROM syscat.tables WHERE tabschema = CURRENT SCHEMA AND tabname IN (${names})`,
    );
    return rows.map(({ name }) => String(name).trim().toLowerCase());
  },
  isStrange: (error) => STRANGE.includes(stateOf(error).state),
  runScript,
  underLock,
};

export const { applySchema, findMissingScripts } = createSchema({
  engine: 'db2',
  dialect,
  open,
  failure: storeError,
});

const COMMIT = 'COMMIT';
const ROLLBACK = 'ROLLBACK';

async function open({ pool, ...settings }: DatabaseSettings, withinMs: number) {
  const connection = await connect({ ...settings, pool: { ...pool, statementTimeoutMs: withinMs } });
  const end = async (rollback: boolean) => {
    await connection.endTransaction(rollback);
    connection.beginTransactionSync();
  };
  return {
    async query(text: string) {
      const rows = (await connection.query(text)) as readonly Row[];
      await end(false);
      return rows.map(rowOf);
    },
    async script(text: string) {
      if (text === COMMIT || text === ROLLBACK) await end(text === ROLLBACK);
      else await connection.query(text);
    },
    close: async () => {
      await end(true).catch(() => {});
      await connection.close().catch(() => {});
    },
  };
}

/** The lock goes with its connection. */
async function underLock(keeper: Session, work: () => Promise<void>, { clock, untilMs }: Patience): Promise<void> {
  try {
    await keeper.script(LOCK_TABLE);
  } catch (cause) {
    if (stateOf(cause).state !== THERE) throw cause;
  }
  await keeper.script(COMMIT);
  for (;;) {
    try {
      await keeper.script('LOCK TABLE oauth_schema_lock IN EXCLUSIVE MODE');
      break;
    } catch (cause) {
      await keeper.script(ROLLBACK);
      if (!PASSING.includes(stateOf(cause).state)) throw cause;
      if (clock() >= untilMs) throw new StoreError('timeout', 'another one is applying the schema', { cause });
    }
  }
  try {
    await work();
  } finally {
    await keeper.script(ROLLBACK).catch(() => {}); // a connection that broke has let go of it
  }
}

async function runScript(session: Session, path: string, text: string, { clock, untilMs }: Patience): Promise<void> {
  for (;;) {
    try {
      for (const statement of statementsOf(text)) await session.script(statement);
      await session.script(COMMIT);
      return;
    } catch (cause) {
      await session.script(ROLLBACK).catch(() => {});
      const { state, message } = stateOf(cause);
      if (!PASSING.includes(state) || clock() + PAUSE_MS >= untilMs)
        throw Object.assign(new Error(`${path}: ${message}`, { cause }), { sqlstate: state });
      await setTimeout(PAUSE_MS);
    }
  }
}

/** A statement ends at a commercial at at the end of a line, as it does for `db2 -td@`. */
export const statementsOf = (text: string): string[] =>
  text
    .split(/@\s*$/m)
    .map((statement) => statement.replace(/^(\s*(--.*)?\n)*/, '').trim())
    .filter((statement) => statement !== '');
