import type { Connection } from 'tedious';
import { StoreError } from '../domain/errors.ts';
import type { Row } from './sql-dialect.ts';
import { allOrNothing, createSchema, type SchemaDialect } from './sql-schema.ts';
import type { DatabaseSettings } from './sql-settings.ts';
import { connect, loadDriver, numberOf, storeError } from './sqlserver-connection.ts';
import { type Column, rowOf } from './sqlserver-parameters.ts';

// How SQL Server applies scripts beside traffic: a script is one transaction of its batches (what stands between two GO), which
// gives up after LOCK_MS ms without its lock and is tried again, so that no look-up waits longer behind it. One at a time, by
// a lock of applications (sp_getapplock) that a session holds: it is gone with its connection.

/** The longest that a statement of ours stands in the way of others while it waits for its lock. */
const LOCK_MS = 200;
/** Refused for a moment: a lock that did not come in time, a deadlock. */
const PASSING = [1222, 1205];
/** Not what stands in our oauth_schema: another column, another type. */
const STRANGE = [207, 245, 402, 206];

/** Asks, rather than waits in the server: that would hold the caller for as long as the other one takes. */
const HOLD = `
DECLARE @held int;
EXEC @held = sp_getapplock @Resource = N'oauth2-stores schema', @LockMode = N'Exclusive', @LockOwner = N'Session', @LockTimeout = 0;
SELECT @held AS held;`;

const dialect: SchemaDialect = {
  async tablesThere(session, tables) {
    const looks = tables.map((table) => `SELECT '${table}' AS name WHERE OBJECT_ID(N'${table}', N'U') IS NOT NULL`);
    return (await session.query(`${looks.join(' UNION ALL ')};`)).map(({ name }) => String(name));
  },
  isStrange: (error) => STRANGE.includes(numberOf(error) ?? 0),
  isPassing: (error) => PASSING.includes(numberOf(error) ?? 0),
  async runScript(session, text, insist) {
    await session.script(`SET LOCK_TIMEOUT ${LOCK_MS};`);
    await insist(() =>
      allOrNothing(
        session,
        ['BEGIN TRANSACTION;', ...batchesOf(text), 'COMMIT TRANSACTION;'],
        'IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION;',
      ),
    );
  },
  async takeLock(keeper) {
    const [row] = await keeper.query(HOLD);
    return Number(row?.held) >= 0;
  },
};

export const { applySchema, findMissingScripts } = createSchema({
  engine: 'sqlserver',
  dialect,
  open,
  failure: storeError,
});

/**
 * Makes the database where there is none: an instance of Amazon RDS comes without. With row versions, so that a look-up waits for
 * no rotation: at once, since nobody but us may be connected to it, and the server refuses them once it is mirrored.
 * https://learn.microsoft.com/sql/t-sql/statements/alter-database-transact-sql-set-options
 *
 * @throws {StoreError}
 */
export async function createDatabase(settings: DatabaseSettings, withinMs: number): Promise<void> {
  const { database = '' } = settings;
  if (!/^[A-Za-z][A-Za-z0-9_]*$/.test(database))
    throw new StoreError('unsupported', 'database: to be made it needs a name of letters, digits and _');
  try {
    const connection = await connect({ ...settings, database: 'master', pool: { statementTimeoutMs: withinMs } });
    try {
      const [row] = await rowsOf(connection, `SELECT DB_ID(N'${database}') AS id;`);
      if (row?.id !== null) return;
      await rowsOf(connection, `CREATE DATABASE [${database}];`);
      await rowsOf(connection, `ALTER DATABASE [${database}] SET READ_COMMITTED_SNAPSHOT ON WITH ROLLBACK IMMEDIATE;`);
    } finally {
      connection.close();
    }
  } catch (cause) {
    throw storeError(cause);
  }
}

async function open(settings: DatabaseSettings, withinMs: number) {
  const connection = await connect({ ...settings, pool: { ...settings.pool, statementTimeoutMs: withinMs } });
  const batch = async (text: string) => rowsOf(connection, text);
  return {
    query: batch,
    async script(text: string) {
      await batch(text);
    },
    async close() {
      connection.close();
    },
  };
}

/** Sends a batch as it is, not as a call: what it sets holds for the session. */
export async function rowsOf(connection: Connection, text: string): Promise<Row[]> {
  const { Request } = await loadDriver();
  return new Promise((resolve, reject) => {
    const rows: Row[] = [];
    const request = new Request(text, (error) => (error ? reject(error) : resolve(rows)));
    request.on('row', (columns: readonly Column[]) => rows.push(rowOf(columns)));
    connection.execSqlBatch(request);
  });
}

/** What stands between the lines that say GO, which clients split a script at. */
export const batchesOf = (text: string): string[] => text.split(/^GO\s*$/m).filter((batch) => batch.trim() !== '');
