import { connect, rowsOf, stateOf, storeError } from './db2-connection.ts';
import { allOrNothing, createSchema, type SchemaDialect, type Session } from './sql-schema.ts';
import type { DatabaseSettings } from './sql-settings.ts';

// How Db2 applies scripts beside traffic: a script is one unit of work, since Db2 takes back what was created in it. One that
// waits too long for a lock is rolled back, and tried again.

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
  isPassing: (error) => PASSING.includes(stateOf(error).state),
  runScript: (session, text, insist) => insist(() => allOrNothing(session, [...statementsOf(text), COMMIT], ROLLBACK)),
  makeLock,
  async takeLock(keeper) {
    await allOrNothing(keeper, ['LOCK TABLE oauth_schema_lock IN EXCLUSIVE MODE'], ROLLBACK);
    return true;
  },
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
      const rows = await rowsOf(connection, text);
      await end(false);
      return rows;
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

async function makeLock(keeper: Session): Promise<void> {
  try {
    await keeper.script(LOCK_TABLE);
  } catch (error) {
    if (stateOf(error).state !== THERE) throw error;
  }
  await keeper.script(COMMIT);
}

/** A statement ends at a commercial at at the end of a line, as it does for `db2 -td@`. */
export const statementsOf = (text: string): string[] =>
  text
    .split(/@\s*$/m)
    .map((statement) => statement.replace(/^(\s*(--.*)?\n)*/, '').trim())
    .filter((statement) => statement !== '');
