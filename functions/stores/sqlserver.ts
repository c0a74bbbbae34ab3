import type { Connection, Request } from 'tedious';
import type { Clock } from '../domain/clock.ts';
import type { Engine } from '../domain/ports.ts';
import { createSqlEngine } from './sql.ts';
import type { Answer, Row, Run } from './sql-dialect.ts';
import { createPool } from './sql-pool.ts';
import type { DatabaseSettings } from './sql-settings.ts';
import { connect, isAway, loadDriver, numberOf, storeError } from './sqlserver-connection.ts';
import { bound, type Column, namesIn, type ParameterType, parameters, rowOf } from './sqlserver-parameters.ts';
import { partitioned } from './sqlserver-partitions.ts';
import * as statements from './sqlserver-statements.ts';

// SQL Server 2017 or newer, Azure SQL, Amazon RDS for SQL Server. READ COMMITTED, which each connection sets; a statement or
// batch is a transaction of its own, sent as one call of sp_executesql: its plan is kept by text and types, for all
// connections alike, and nothing has to be prepared first, which would be a round trip of its own. Acknowledged is durable:
// hardened in the log, and on a synchronous replica if there is one, unless DELAYED_DURABILITY is FORCED. The driver repeats
// no statement by itself; here one that was rolled back as the victim of a deadlock is sent again, since it changed nothing.

/** So often a victim of deadlocks is sent before the caller hears of it. */
const ATTEMPTS = 3;
const DEADLOCK = 1205;

/** The four stores on a SQL Server (driver `tedious`). */
export async function createEngine(settings: DatabaseSettings, clock: Clock): Promise<Engine> {
  const { Request: RequestOf, TYPES } = await loadDriver();
  const types = {
    bigint: TYPES.BigInt,
    bit: TYPES.Bit,
    binary: TYPES.Binary,
    varbinary: TYPES.VarBinary,
    text: TYPES.VarBinary,
  };
  const broken = new WeakSet<Connection>();
  const left = new WeakSet<Connection>();

  /** Sends one statement over a connection that does nothing else, and waits for its answer. */
  const send = (connection: Connection, text: string, fill: (request: Request) => void = () => {}) =>
    new Promise<Answer>((resolve, reject) => {
      const rows: Row[] = [];
      const request = new RequestOf(text, (error, changed) => {
        if (!error) resolve({ rows, changed: Number(rows[0]?.changed ?? changed ?? 0) });
        else {
          // What is under way on a connection after a timeout is nobody's to know; one to a former primary stays that.
          if ((error as { code?: string }).code === 'ETIMEOUT' || isAway(numberOf(error))) left.add(connection);
          reject(error);
        }
      });
      request.on('row', (columns: readonly Column[]) => rows.push(rowOf(columns)));
      fill(request);
      connection.execSql(request);
    });

  const pool = createPool<Connection>(
    {
      async open() {
        try {
          const connection = await connect(settings);
          connection.on('end', () => broken.add(connection));
          return connection;
        } catch (cause) {
          throw storeError(cause);
        }
      },
      isBroken: (connection) => broken.has(connection) || left.has(connection),
      validate: (connection) => send(connection, settings.validationQuery ?? 'SELECT 1 AS one'),
      close: async (connection) => {
        if (broken.has(connection)) return;
        const ended = new Promise<void>((resolve) => connection.once('end', resolve));
        connection.close();
        await ended;
      },
    },
    settings.pool,
  );

  const bindings = new Map<string, readonly (readonly [name: string, type: ParameterType])[]>();
  const bindingsOf = (name: string, text: string) => {
    const known =
      bindings.get(name) ?? namesIn(text).map((value) => [value, parameters[value] as ParameterType] as const);
    bindings.set(name, known);
    return known;
  };
  const run: Run = async (name, text, values) => {
    const given = bindingsOf(name, text).map(([value, type]) => [value, type, bound(value, values[value])] as const);
    const fill = (request: Request) => {
      for (const [value, type, content] of given) {
        request.addParameter(value, types[type.type], content, 'length' in type ? { length: type.length } : {});
      }
    };
    try {
      return await pool.use(async (connection) => {
        for (let attempt = 1; ; attempt += 1) {
          try {
            return await send(connection, text, fill);
          } catch (cause) {
            if (numberOf(cause) !== DEADLOCK || attempt === ATTEMPTS) throw cause;
          }
        }
      });
    } catch (cause) {
      throw storeError(cause);
    }
  };
  return createSqlEngine(settings.expiryPartitions ? partitioned : statements, run, clock, pool.close);
}
