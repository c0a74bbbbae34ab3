import { connect } from 'node:net';
import type { Connection, QueryOptions } from 'mysql2';
import { StoreError, type StoreErrorCode } from '../domain/errors.ts';
import { authoritiesOf } from './sql-authorities.ts';
import { connectAs, loginOf } from './sql-login.ts';
import type { DatabaseSettings } from './sql-settings.ts';

// How a connection to MySQL or MariaDB is made, and what its failures mean.

/** How the two differ as servers. */
export interface Product {
  readonly engine: 'mysql' | 'mariadb';
  /** As its vendor writes it. */
  readonly name: string;
  /** The variable of a session that holds its isolation level. */
  readonly isolation: string;
}

export const mysqlProduct: Product = { engine: 'mysql', name: 'MySQL', isolation: 'transaction_isolation' };
export const mariadbProduct: Product = { engine: 'mariadb', name: 'MariaDB', isolation: 'tx_isolation' };

/** What a statement gave: rows, rows of each result of a procedure, or a header. */
export type Result = readonly unknown[] | { readonly affectedRows: number };

/** A connection of the driver, and whether it can still be used. */
export interface Link {
  /** Sends a statement with its values, prepared when it was first sent over this connection. */
  execute(text: string, values: readonly unknown[]): Promise<Result>;
  /** Sends a statement as text. */
  query(text: string): Promise<Result>;
  ping(): Promise<void>;
  isBroken(): boolean;
  close(): Promise<void>;
}

/** How a connection is made, in the driver's words. */
async function connectionOf(settings: DatabaseSettings) {
  const { host = 'localhost', port = 3306, database, tls, pool } = settings;
  const { user, password } = await loginOf(settings);
  const { servername = host, ...certificates } = tls || {};
  if (tls && isAddress(servername)) {
    throw new StoreError('invalid', `TLS with ${host} needs \`serverName\`: the name that its certificate carries`);
  }
  const authorities = tls && tls.ca === undefined ? await authoritiesOf(host) : undefined;
  const isSocket = host.startsWith('/');
  return {
    // The driver compares the certificate with its host: that is the name, whatever is connected to.
    ...(isSocket ? { socketPath: host } : { host: servername, port }),
    ...(tls && servername !== host && { stream: () => connect(port, host) }),
    ...(database !== undefined && { database }),
    ...(user !== undefined && { user }),
    ...(password !== undefined && { password }),
    ...(tls && {
      ssl: { ...(authorities && { ca: authorities }), ...certificates, rejectUnauthorized: true, verifyIdentity: true },
      // As a token of IAM is sent: within TLS, to a server that has proved who it is.
      enableCleartextPlugin: true,
    }),
    charset: 'UTF8MB4_BIN',
    connectTimeout: pool?.maxWaitMs ?? 10_000,
    flags: ['FOUND_ROWS'],
  };
}

/**
 * Opens a connection; its sessions are at READ COMMITTED, and what a value loses by being stored is an error. A lock is given
 * up before this end gives up the answer: then nothing was done, for certain.
 */
export const openLink = (
  product: Product,
  settings: DatabaseSettings,
  timeoutMs = settings.pool?.statementTimeoutMs ?? 10_000,
): Promise<Link> => connectAs(settings, (known) => logIn(product, known, timeoutMs));

async function logIn(product: Product, settings: DatabaseSettings, timeoutMs: number): Promise<Link> {
  const { createConnection } = await import('mysql2');
  const connection = createConnection(await connectionOf(settings));
  let broken = false;
  const end = () => {
    broken = true;
  };
  connection.on('error', end);
  connection.on('end', end);
  const send = (what: 'execute' | 'query', options: QueryOptions) =>
    new Promise<Result>((resolve, reject) => {
      connection[what]({ ...options, timeout: timeoutMs }, (error: Failure | null, result: unknown) => {
        // Nothing more can be expected of a connection on which an answer is still to come, nor of one to a server that
        // takes no writes: after a failover the name leads to the new writer, and only a new connection asks for the name.
        if (error?.fatal || error?.code === LATE || READS_ONLY.includes(Number(error?.errno))) end();
        if (error) reject(error);
        else resolve(result as Result);
      });
    });
  const link: Link = {
    execute: (sql, values) => send('execute', { sql, values: [...values] }),
    query: (sql) => send('query', { sql }),
    ping: () =>
      new Promise((resolve, reject) => {
        connection.ping((error: Error | null) => (error ? reject(error) : resolve()));
      }),
    isBroken: () => broken,
    close: () => closed(connection, broken),
  };
  try {
    await new Promise<void>((resolve, reject) => {
      connection.once('error', reject); // also of a connection that ends before it stands
      connection.connect((error: Error | null) => (error ? reject(error) : resolve()));
    });
    await link.query(
      `SET SESSION ${product.isolation} = 'READ-COMMITTED', sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION',
        innodb_lock_wait_timeout = ${Math.max(1, Math.floor(timeoutMs / 1000) - 1)}`,
    );
    return link;
  } catch (error) {
    connection.destroy();
    throw error;
  }
}

const LATE = 'PROTOCOL_SEQUENCE_TIMEOUT';
/** `read_only`, `innodb_read_only`; MySQL's own mode. */
const READS_ONLY = [1290, 1836];

interface Failure extends Error {
  readonly code?: string | undefined;
  readonly errno?: number | undefined;
  readonly fatal?: boolean | undefined;
}

const isAddress = (host: string) => /^[\d.]+$|:/.test(host);

const closed = (connection: Connection, broken: boolean): Promise<void> =>
  new Promise((resolve) => {
    if (broken) {
      connection.destroy();
      resolve();
    } else {
      connection.end(() => resolve());
    }
  });

// https://dev.mysql.com/doc/mysql-errors/9.4/en/server-error-reference.html, https://mariadb.com/docs/server/reference/error-codes
const CODES: Readonly<Record<number, StoreErrorCode>> = {
  1062: 'conflict', // a duplicate key
  1048: 'conflict', // a column would become NULL: how the statements refuse another attempt's digest
  1213: 'throttled', // a deadlock: nothing was done, try again
  1020: 'throttled', // MariaDB: the row has changed since the snapshot; nothing was done
  1040: 'throttled', // too many connections, of all and of this user
  1203: 'throttled',
  1226: 'throttled',
  1045: 'unavailable', // a login, with a password or without one
  1698: 'unavailable',
  1205: 'timeout', // a lock did not come in time; nothing was done
  1969: 'timeout', // MariaDB: max_statement_time
  3024: 'timeout', // MySQL: max_execution_time
  1406: 'invalid', // too long, out of range, not of this type
  1264: 'invalid',
  1366: 'invalid',
  1153: 'invalid', // more than max_allowed_packet
  1146: 'unsupported', // no such table, procedure, column
  1305: 'unsupported',
  1054: 'unsupported',
  1049: 'unsupported',
  1142: 'unsupported', // a privilege is missing: on a table, a column, a procedure, the database
  1143: 'unsupported',
  1370: 'unsupported',
  1044: 'unsupported',
  1644: 'unsupported', // what a procedure says itself
  1064: 'unsupported',
};

/** A deadlock and a changed row end a transaction as if it had not begun: the statement may be sent again. */
export const nothingWasDone = (cause: unknown): boolean => [1213, 1020].includes(Number((cause as Failure).errno));

export function storeError(product: Product, cause: unknown): StoreError {
  if (cause instanceof StoreError) return cause;
  const { code = '', errno = 0, message = '' } = cause as Failure;
  if (errno === 1146 || errno === 1305) {
    return new StoreError(
      'unsupported',
      `a table or procedure is missing: apply sql/${product.engine}/oauth-server.sql and oauth-client.sql`,
      { cause },
    );
  }
  const known = CODES[errno];
  if (known) return new StoreError(known, `${product.name} refused with error ${errno}`, { cause });
  if (code === LATE) return new StoreError('timeout', `no answer from ${product.name} in time`, { cause });
  if (/must not contain undefined|parameter must be/.test(message))
    return new StoreError('invalid', `${product.name} takes no such value`, { cause });
  return new StoreError('unavailable', `${product.name} cannot be reached`, { cause });
}
