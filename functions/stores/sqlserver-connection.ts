import type { Connection, ConnectionConfiguration } from 'tedious';
import { StoreError, type StoreErrorCode } from '../domain/errors.ts';
import { authoritiesOf } from './sql-authorities.ts';
import { connectAs, loginOf } from './sql-login.ts';
import type { DatabaseSettings } from './sql-settings.ts';

// How a connection to SQL Server is made, and what its failures mean.

const LOOPBACK = 'localhost';
/** A server that does not even say that it gave a statement up is left. */
const CANCEL_MS = 1000;

/** How a connection is made, in the driver's words. */
export async function connectionOf(settings: DatabaseSettings): Promise<ConnectionConfiguration> {
  const { host = LOOPBACK, port = 1433, database, tls = {}, pool } = settings;
  const { servername, ...certificates } = tls || {};
  const { user, password } = await loginOf(settings);
  const ca = certificates.ca ?? (await authoritiesOf(host));
  return {
    server: host,
    authentication: {
      type: 'default',
      options: { userName: user, password },
    },
    options: {
      port,
      database,
      appName: 'oauth2-stores',
      // The driver refuses a server that would go on without TLS, and verifies the certificate of one that has it.
      encrypt: tls !== false,
      trustServerCertificate: false,
      ...(servername !== undefined && { serverName: servername }),
      cryptoCredentialsDetails: { ...certificates, ...(ca !== undefined && { ca }), minVersion: 'TLSv1.2' },
      connectTimeout: pool?.maxWaitMs ?? 10_000,
      requestTimeout: pool?.statementTimeoutMs ?? 10_000,
      cancelTimeout: CANCEL_MS,
      // All addresses of a host are tried at once: the listener of an availability group has one in each subnet, and all but one
      // answer nobody; tried in turn, such a one would be waited for until the time is over.
      // https://learn.microsoft.com/sql/connect/odbc/odbc-driver-support-for-high-availability-disaster-recovery
      multiSubnetFailover: true,
      // Whoever called may try again, with the same attempt; the driver tries nothing twice.
      maxRetriesOnTransientErrors: 0,
      abortTransactionOnError: true,
      rowCollectionOnRequestCompletion: false,
      useColumnNames: false,
    },
  };
}

/** The driver, whose names stand under `default` once it is bundled. */
export async function loadDriver(): Promise<Driver> {
  const loaded: Driver & { readonly default?: Driver } = await import('tedious');
  return loaded.default ?? loaded;
}
type Driver = typeof import('tedious');

/** A new connection, logged in. Its failure has the server's number, where the server gave one. */
export const connect = (settings: DatabaseSettings): Promise<Connection> =>
  connectAs(settings, async (known) => logIn(await connectionOf(known)));

async function logIn(configuration: ConnectionConfiguration): Promise<Connection> {
  const { Connection } = await loadDriver();
  const connection = new Connection(configuration);
  connection.on('error', () => {}); // the statement under way fails with the same
  let number: number | undefined;
  const remember = (message: { number: number }) => {
    number ??= message.number; // the first says why; the last, that the login failed
  };
  connection.on('errorMessage', remember);
  await new Promise<void>((resolve, reject) => {
    connection.connect((error) => (error ? reject(Object.assign(error, number && { number })) : resolve()));
  });
  connection.off('errorMessage', remember);
  return connection;
}

// Numbers of errors, from Microsoft's reference "Database engine events and errors" and "Troubleshoot transient connection
// errors" (Azure SQL), where each of these is said to be repeated.
const CODES: Readonly<Record<number, StoreErrorCode>> = {
  2627: 'conflict', // a key is there already: of a constraint, of an index
  2601: 'conflict',
  50001: 'conflict', // the same, as our own batch says it
  1205: 'throttled', // rolled back as the victim of a deadlock
  1204: 'throttled', // no memory for locks
  1222: 'timeout', // a lock was waited for longer than LOCK_TIMEOUT
  3960: 'throttled', // an update conflict under SNAPSHOT isolation
  3961: 'throttled',
  701: 'throttled', // no memory
  8645: 'throttled',
  8651: 'throttled',
  10928: 'throttled', // a limit of Azure SQL on workers, sessions or requests
  10929: 'throttled',
  10936: 'throttled',
  40501: 'throttled', // the service is busy
  49918: 'throttled',
  49919: 'throttled',
  49920: 'throttled',
  17809: 'throttled', // too many connections
  547: 'invalid', // a constraint that somebody added
  515: 'invalid', // no NULL
  2628: 'invalid', // longer than its column
  8152: 'invalid',
  1946: 'invalid', // longer than a key may be
  8023: 'invalid',
  208: 'unsupported', // no such table
  207: 'unsupported', // no such column
  229: 'unsupported', // no privilege
  262: 'unsupported', // none to make something
  230: 'unsupported',
  1934: 'unsupported', // a SET option is off that an index of a computed column needs
  102: 'unsupported', // syntax: older than 2017, or a low compatibility level
  // 4060, 18456 and whatever says that the database or the server is not there for us now: unavailable
};

// What the class of an error says that has no line above: of 11 to 16 whoever sent the statement can correct it, 17 is of memory,
// disk space or another limit, from 18 on the server has failed, and from 20 on it ends the connection.
// https://learn.microsoft.com/sql/relational-databases/errors-events/database-engine-error-severities
const CORRECTABLE = 16;
const EXHAUSTED = 17;

interface DriverError {
  readonly code?: string;
  readonly number?: number;
  readonly class?: number;
  readonly errors?: readonly DriverError[];
}

/** The error that the server gave; of several the first one that says why. */
function saidBy(cause: unknown): DriverError {
  const { errors = [] } = cause as DriverError;
  return errors.find(({ number = 0 }) => number in CODES) ?? errors[0] ?? (cause as DriverError);
}

/** Its number. */
export const numberOf = (cause: unknown): number | undefined => saidBy(cause).number;

export function storeError(cause: unknown): StoreError {
  if (cause instanceof StoreError) return cause;
  const { code, number, class: severity = 0 } = saidBy(cause);
  if (number === 208) {
    return new StoreError(
      'unsupported',
      'a table is missing: apply sql/sqlserver/oauth-server.sql and oauth-client.sql',
      { cause },
    );
  }
  const known = number === undefined ? undefined : CODES[number];
  if (known) return new StoreError(known, `SQL Server refused with error ${number}`, { cause });
  if (number !== undefined && code === 'EREQUEST' && severity > 10 && severity <= EXHAUSTED && !isAway(number)) {
    const meaning = severity <= CORRECTABLE ? 'invalid' : 'throttled';
    return new StoreError(meaning, `SQL Server refused with error ${number}`, { cause });
  }
  if (code === 'ETIMEOUT' && !/connect/i.test((cause as Error).message))
    return new StoreError('timeout', 'no answer from SQL Server in time', { cause });
  return new StoreError('unavailable', 'SQL Server cannot be reached', { cause });
}

/**
 * Whether an error says that a server or database is not there for the moment: stopping, failing over, moved by Azure, no longer
 * the primary (3906: it takes no writes). After a failover the host leads to the new one, and only a new connection asks for it.
 */
export const isAway = (number = 0): boolean =>
  [
    596, 617, 669, 921, 922, 952, 954, 976, 983, 988, 3906, 4060, 4221, 6005, 6006, 18401, 18456, 10053, 10054, 10060,
    40143, 40166, 40197, 40540, 40613, 42108, 42109,
  ].includes(number);
