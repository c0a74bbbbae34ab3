import type { Connection, Metadata } from 'oracledb';
import type { Clock } from '../domain/clock.ts';
import type { Engine } from '../domain/ports.ts';
import { type Bind, columns, encoded, namesIn, rowsOf, values, whole } from './oracle-binds.ts';
import { connectionsOf, execute, storeError } from './oracle-connection.ts';
import { partitioned } from './oracle-partitions.ts';
import * as statements from './oracle-statements.ts';
import { createSqlEngine } from './sql.ts';
import type { Answer, Row, Run } from './sql-dialect.ts';
import { createPool } from './sql-pool.ts';
import type { DatabaseSettings } from './sql-settings.ts';

// Oracle Database 19c or newer, Amazon RDS for Oracle; driver `oracledb` in its thin mode. READ COMMITTED. An operation is one
// PL/SQL block, which ends its own transaction, or one query; the driver repeats nothing by itself.

/** The four stores on an Oracle server; `database` is the name of its service. */
export async function createEngine(settings: DatabaseSettings, clock: Clock): Promise<Engine> {
  const { default: driver } = await import('oracledb');
  const connections = connectionsOf(settings);
  const pool = createPool(connections, settings.pool);

  const bindsOf = (text: string, given: Readonly<Record<string, unknown>>) => {
    const names = namesIn(text);
    const ins = names.values.map((name) => {
      const { type } = values[name] as Bind;
      return [`i_${name}`, { dir: driver.BIND_IN, type: driver[type], val: encoded(name, given) }];
    });
    const outs = names.columns.map((name) => {
      const { type, size } = columns[name] as Bind;
      return [`o_${name}`, { dir: driver.BIND_OUT, type: driver[type], ...(size !== undefined && { maxSize: size }) }];
    });
    return Object.fromEntries([...ins, ...outs]);
  };
  // All rows in one piece, and the end of them with it: one more than there can be.
  const rowsAtOnce = (most: number) => ({ prefetchRows: most + 1, fetchArraySize: most + 1 });
  const fetchTypeHandler = (column: Metadata<unknown>) => {
    column.name = column.name.toLowerCase();
    return column.dbType === driver.DB_TYPE_BLOB ? { type: driver.BUFFER } : undefined;
  };

  const send = async (
    connection: Connection,
    text: string,
    given: Readonly<Record<string, unknown>>,
  ): Promise<Answer> => {
    const result = await execute<Row>(connection, text, bindsOf(text, given), {
      ...rowsAtOnce(Number(given.limit ?? 10)),
      outFormat: driver.OUT_FORMAT_OBJECT,
      fetchTypeHandler,
    });
    if (result.rows) return { rows: result.rows.map(whole), changed: result.rows.length };
    const { o_changed: changed, ...answer } = (result.outBinds ?? {}) as Row;
    return { rows: rowsOf(answer), changed: Number(changed ?? 0) };
  };

  const run: Run = (_name, text, given) =>
    pool.use(async (connection) => {
      try {
        return await send(connection, text, given);
      } catch (cause) {
        const error = storeError(cause);
        // What the server makes of a call that was not waited for is not known: its connection is not used again.
        if (['timeout', 'unavailable'].includes(error.code)) connections.giveUp(connection);
        throw error;
      }
    });
  return createSqlEngine(settings.expiryPartitions ? partitioned : statements, run, clock, pool.close);
}
