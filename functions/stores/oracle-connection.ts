import { isIP } from 'node:net';
import type { BindParameters, Connection, ExecuteOptions, Result } from 'oracledb';
import { StoreError, type StoreErrorCode } from '../domain/errors.ts';
import { within } from '../domain/within.ts';
import { walletOf } from './oracle-wallet.ts';
import { authoritiesOf } from './sql-authorities.ts';
import { connectAs, loginOf } from './sql-login.ts';
import type { Connections } from './sql-pool.ts';
import type { DatabaseSettings } from './sql-settings.ts';

// How a connection to Oracle is made, and what its failures mean. The driver is in its thin mode: no client of Oracle.

const PORT = 1521;
const MAX_WAIT_MS = 10_000;
const STATEMENT_MS = 10_000;
/** For the answer to a break, and to a farewell. */
const BREAK_MS = 1000;
/** As many as there are statements, so that each is parsed once for a connection. */
const STATEMENTS = 64;
// Names are compared by their bytes, whatever the instance prefers: case and trailing spaces count.
const session = ({ schema }: DatabaseSettings) =>
  `ALTER SESSION SET NLS_COMP = BINARY${schema === undefined ? '' : ` CURRENT_SCHEMA = ${plain('schema', schema)}`}`;

/** Where the server is: host, port and the name of the service. */
export const placeOf = ({ host = 'localhost', port = PORT, database = '' }: DatabaseSettings) => ({
  host,
  port,
  database,
});

/**
 * How a connection is made, in the driver's words.
 * @throws {StoreError} unsupported: a name of the server for TLS that is not its host
 */
export async function connectionOf(settings: DatabaseSettings) {
  const { tls } = settings;
  const { user, password } = await loginOf(settings);
  const { host, port, database } = placeOf(settings);
  if (tls && tls.servername !== undefined && tls.servername !== host) {
    throw new StoreError('unsupported', "Oracle's driver compares the certificate with the host, with no other name");
  }
  const ca = tls && tls.ca === undefined ? await authoritiesOf(host) : undefined;
  const walletContent = tls ? walletOf({ ...(ca !== undefined && { ca }), ...tls }) : undefined;
  // A whole descriptor: in the short form (host:port/name) a name of one character is refused, and an option could follow.
  const address = `(ADDRESS=(PROTOCOL=${tls ? 'tcps' : 'tcp'})(HOST=${plain('host', host)})(PORT=${port}))`;
  const service = `(CONNECT_DATA=(SERVICE_NAME=${plain('database', database)}))`;
  const security = tls ? '(SECURITY=(SSL_SERVER_DN_MATCH=yes))' : '';
  return {
    connectString: `(DESCRIPTION=${address}${service}${security})`,
    ...(user !== undefined && { user }),
    ...(password !== undefined && { password }),
    ...(walletContent !== undefined && { walletContent }),
    stmtCacheSize: STATEMENTS,
    connectTimeout: Math.ceil((settings.pool?.maxWaitMs ?? MAX_WAIT_MS) / 1000) + 1, // seconds; by then it was given up
    expireTime: 1, // minutes; keeps the connection alive, and notices a server that is gone
  };
}

/** A descriptor has no way to quote its own characters. */
function plain(name: string, value: string): string {
  if (isIP(value) || /^[\w.$#-]+$/.test(value)) return value;
  throw new StoreError('unsupported', `${name}: Oracle takes letters, digits, and . _ $ # -; give it another name`);
}

/** A connection of its own, ready for the statements, which take `withinMs` at most. */
export async function connect(
  settings: DatabaseSettings,
  withinMs: number | undefined = settings.pool?.statementTimeoutMs,
): Promise<Connection> {
  const { maxWaitMs = MAX_WAIT_MS } = settings.pool ?? {};
  const statement = session(settings);
  const opening = connectAs(settings, logIn).then(async (connection) => {
    connection.callTimeout = withinMs ?? STATEMENT_MS;
    await connection.execute(statement);
    return connection;
  });
  return within(opening, maxWaitMs, () => {
    opening.then(close, () => {}); // should it come after all
    throw Object.assign(new Error(`no answer within ${maxWaitMs} ms`), { code: 'ETIMEDOUT' });
  });
}

async function logIn(settings: DatabaseSettings): Promise<Connection> {
  const { default: driver } = await import('oracledb');
  return driver.getConnection(await connectionOf(settings));
}

/** The driver's own way to end a connection that hangs. */
interface Hanging {
  readonly _impl?: { readonly nscon?: { forceDisconnect(reason: Error): void } };
}

const end = (connection: Connection) =>
  (connection as unknown as Hanging)._impl?.nscon?.forceDisconnect(new Error('no answer from Oracle in time'));

/** Rejects, and ends the connection, where a call gets no answer. */
const answered = <T>(connection: Connection, call: Promise<T>, withinMs: number): Promise<T> =>
  within(call, withinMs, () => {
    end(connection);
    throw Object.assign(new Error(`no answer within ${withinMs} ms`), { code: 'NJS-123' });
  });

/**
 * Sends a statement. The driver asks the server to break off what takes longer than its `callTimeout`, and waits for the
 * answer to that without an end: a server that is gone is given up here.
 */
export const execute = <T>(
  connection: Connection,
  text: string,
  binds: BindParameters = {},
  options: ExecuteOptions = {},
): Promise<Result<T>> =>
  answered(
    connection,
    connection.execute<T>(text, binds, options),
    (connection.callTimeout ?? STATEMENT_MS) + BREAK_MS,
  );

/** Takes leave of the server, if it answers. */
export const close = (connection: Connection): Promise<void> =>
  answered(connection, connection.close(), BREAK_MS).catch(() => {});

/** What the pool does with connections, and those that are given up. */
export function connectionsOf(settings: DatabaseSettings): Connections<Connection> & { giveUp(one: Connection): void } {
  const givenUp = new WeakSet<Connection>();
  const { validationQuery } = settings;
  return {
    open: () =>
      connect(settings).catch((cause) => {
        throw storeError(cause);
      }),
    isBroken: (connection) => givenUp.has(connection) || !connection.isHealthy(),
    validate: (connection) =>
      validationQuery === undefined ? connection.ping() : execute(connection, validationQuery),
    close,
    giveUp: (connection) => givenUp.add(connection),
  };
}

// https://docs.oracle.com/en/error-help/db/
const CODES: Record<string, StoreErrorCode> = {
  'ORA-00001': 'conflict', // unique constraint violated
  'ORA-00018': 'throttled', // maximum number of sessions exceeded
  'ORA-00020': 'throttled', // maximum number of processes exceeded
  'ORA-00060': 'throttled', // deadlock: the block was rolled back
  'ORA-01403': 'throttled', // a row that was met was purged before it was looked at
  'ORA-01410': 'throttled', // an index led to a row whose partition was emptied
  'ORA-01555': 'throttled', // snapshot too old
  'ORA-08103': 'throttled', // a partition was emptied while it was being read
  'ORA-02391': 'throttled', // sessions per user
  'ORA-04031': 'throttled', // out of shared memory
  'ORA-08177': 'throttled', // cannot serialize access
  'ORA-12516': 'throttled', // the listener has no handler that is free
  'ORA-12519': 'throttled',
  'ORA-12520': 'throttled',
  'ORA-00054': 'timeout', // resource busy
  'ORA-01013': 'timeout', // the call was cancelled
  'ORA-04021': 'timeout', // DDL that others' statements on the table keep waiting
  'ORA-30006': 'timeout', // LOCK TABLE ... WAIT
  'NJS-123': 'timeout', // callTimeout
  'ORA-00904': 'unsupported', // no such column
  'ORA-00942': 'unsupported', // no such table, or no privilege at all
  'ORA-01031': 'unsupported', // insufficient privileges
  'ORA-06550': 'unsupported', // what a block says of the three above
  'ORA-41900': 'unsupported', // missing privilege, as 23ai says it
  'ORA-01435': 'unsupported', // no such schema
  'ORA-01536': 'unsupported', // space quota exceeded
  'ORA-01932': 'unsupported', // somebody else made the role, and did not let it be granted
  'ORA-01950': 'unsupported', // no quota at all on the tablespace
  'ORA-20001': 'unsupported', // what a script of sql/oracle says itself
  'ORA-28003': 'unsupported', // the profile of users wants other passwords
  'ORA-65096': 'unsupported', // users are made in a pluggable database, not in its container
  'ORA-01400': 'invalid', // NULL, which an empty text is
  'ORA-01407': 'invalid', // the same in an UPDATE
  'ORA-01438': 'invalid', // a number that is too large
  'ORA-01461': 'invalid',
  'ORA-06502': 'invalid',
  'ORA-12899': 'invalid', // a text that is too long
};

/** The code of an error; of one of the driver's that only passes on what the listener said, the listener's. */
export function codeOf(error: unknown): string {
  const { code = '', message = '' } = error as { code?: string; message?: string };
  return (code.startsWith('NJS-5') && /\bORA-\d{5}\b/.exec(message)?.[0]) || code;
}

export function storeError(cause: unknown): StoreError {
  if (cause instanceof StoreError) return cause;
  const code = codeOf(cause);
  const { message = '' } = cause as { message?: string };
  if (/ORA-00942/.test(`${code} ${message}`)) {
    return new StoreError('unsupported', 'a table is missing: apply sql/oracle/oauth-server.sql and oauth-client.sql', {
      cause,
    });
  }
  if (code === 'ORA-00439') {
    return new StoreError(
      'unsupported',
      'this edition of Oracle has no partitions: leave expiryPartitions out, or take the Enterprise Edition with the Partitioning option',
      { cause },
    );
  }
  const known = CODES[code];
  if (known === 'timeout') return new StoreError('timeout', `no answer from Oracle in time (${code})`, { cause });
  if (known) return new StoreError(known, `Oracle refused with ${code}`, { cause });
  return new StoreError('unavailable', 'Oracle cannot be reached', { cause });
}
