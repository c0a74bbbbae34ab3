import type { Clock } from '../domain/clock.ts';
import { StoreError } from '../domain/errors.ts';
import type { Engine } from '../domain/ports.ts';
import { within } from '../domain/within.ts';
import { breaks, connect, rowsOf, storeError } from './db2-connection.ts';
import type { Connection } from './db2-driver.ts';
import * as statements from './db2-statements.ts';
import { type Bound, bind, rowOf } from './db2-values.ts';
import { createSqlEngine } from './sql.ts';
import type { Row, Run } from './sql-dialect.ts';
import { createPool } from './sql-pool.ts';
import type { DatabaseSettings } from './sql-settings.ts';

// IBM Db2 11.5 or newer for Linux, Amazon RDS for Db2 (driver `ibm_db` on IBM's CLI driver). An operation is one CALL, whose
// procedure commits or rolls back before it returns: nothing is left open, and no commit is a round trip of its own. A list is
// a query and a commit. Isolation: Cursor Stability, the default; what decides takes update locks. The driver repeats no call,
// unless a server named an alternate one and broke: then with the same attempt.

/** Something without an answer for this much longer than the driver waits is given up. */
const GRACE_MS = 1000;

/** What is lent by the pool. */
interface Held {
  readonly connection: Connection;
  broken: boolean;
}

/** The four stores on a Db2 server. */
export async function createEngine(settings: DatabaseSettings, clock: Clock): Promise<Engine> {
  const { statementTimeoutMs = 10_000 } = settings.pool ?? {};
  const pool = createPool<Held>(
    {
      open: async () => ({ connection: await connect(settings), broken: false }),
      isBroken: ({ broken }) => broken,
      validate: ({ connection }) => query(connection, settings.validationQuery ?? 'VALUES 1'),
      close: ({ connection, broken }) => close(connection, broken),
    },
    settings.pool,
  );
  const bound = new Map<string, Bound>();
  const run: Run = (_name, text, values) =>
    pool.use(async (held) => {
      const statement = bound.get(text) ?? bind(text);
      bound.set(text, statement);
      try {
        return await within(answerOf(held.connection, statement, values), statementTimeoutMs + GRACE_MS, () => {
          throw new StoreError('timeout', 'no answer from Db2 in time');
        });
      } catch (cause) {
        const error = storeError(cause);
        held.broken ||= breaks(error);
        throw error;
      }
    });
  return createSqlEngine(statements, run, clock, () => pool.close());
}

async function answerOf(connection: Connection, statement: Bound, values: Readonly<Record<string, unknown>>) {
  const parameters = statement.parametersOf(values);
  if (!statement.isCall) {
    const rows = await query(connection, statement.textOf(values), parameters);
    return { rows, changed: rows.length };
  }
  const out = await connection.query(statement.text, parameters);
  const row = rowOf(Object.fromEntries(statement.columns.map((column, index) => [column, out[index]])));
  if (row.outcome === 'conflict')
    throw new StoreError('conflict', 'a token or grant of this name is stored already, by another attempt');
  // Nothing that was looked for has no outcome, or else no first column.
  const first = statement.columns[0];
  const found = first !== undefined && row[first] !== null;
  return { rows: found ? [{ ...values, ...row }] : [], changed: Number(row.changed ?? 0) };
}

/** Rows, and a commit: nobody waits for locks of a query that was answered. */
async function query(...query: Parameters<typeof rowsOf>): Promise<Row[]> {
  const [connection] = query;
  try {
    return await rowsOf(...query);
  } finally {
    await connection.endTransaction(false);
    connection.beginTransactionSync();
  }
}

async function close(connection: Connection, broken: boolean): Promise<void> {
  try {
    if (!broken) await connection.endTransaction(true);
    await connection.close();
  } catch {} // it is gone already
}
