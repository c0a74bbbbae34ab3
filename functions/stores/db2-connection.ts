import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StoreError, type StoreErrorCode } from '../domain/errors.ts';
import type { Connection, Driver, Parameter } from './db2-driver.ts';
import { rowOf } from './db2-values.ts';
import { authoritiesOf } from './sql-authorities.ts';
import type { Row } from './sql-dialect.ts';
import { connectAs, loginOf } from './sql-login.ts';
import type { DatabaseSettings, TlsSettings } from './sql-settings.ts';

// How a connection to Db2 is made, and what its failures mean.

const PORT = 50_000;
/** Seconds in which a lock must come: less than the server is waited for, so that a call learns why it failed. */
const LOCK_SECONDS = 5;

/**
 * A connection that begins no work by itself: the procedures end what they begin.
 *
 * @throws {StoreError} the driver's native client is missing (`unsupported`), the server cannot be reached, or refuses
 */
export async function connect(settings: DatabaseSettings): Promise<Connection> {
  const first = searches(settings);
  const driver = await loadDriver();
  try {
    const connection = await connectAs(settings, async (known) => driver.open(await connectionString(known)));
    for (const text of first)
      await connection.query(text).catch(async (cause) => {
        await connection.close().catch(() => {});
        throw cause;
      });
    return connection;
  } catch (cause) {
    throw storeError(cause);
  }
}

/** How tables and procedures are looked for in the schema that is meant. */
function searches({ schema }: DatabaseSettings): readonly string[] {
  if (schema === undefined) return [];
  if (/^[A-Za-z]\w*$/.test(schema))
    return [`SET CURRENT SCHEMA = ${schema}`, `SET CURRENT PATH = SYSTEM PATH, ${schema}`];
  throw new StoreError('unsupported', 'schema: Db2 takes letters, digits and _ here; give it another name');
}

/** Rows of a query. The driver's own `query` closes its cursor on the main thread, which then waits for the server. */
export async function rowsOf(connection: Connection, text: string, parameters?: readonly Parameter[]): Promise<Row[]> {
  const [cursor] = await connection.queryResult(text, parameters);
  const rows = cursor.fetchAll().finally(() => new Promise<void>((closed) => cursor.close(closed)));
  return ((await rows) as readonly Row[]).map(rowOf);
}

async function loadDriver(): Promise<Driver> {
  try {
    // A layer of AWS Lambda is on NODE_PATH, where `require` alone looks.
    const { default: driver } = (await import('ibm_db' as string).catch(() => ({
      default: createRequire(import.meta.url)('ibm_db'),
    }))) as { default: Driver };
    return driver;
  } catch (cause) {
    throw new StoreError('unsupported', 'the driver ibm_db, or the native client of IBM that it needs, is missing', {
      cause,
    });
  }
}

/** Where the server is. */
export const placeOf = ({ host = 'localhost', port = PORT, database = '' }: DatabaseSettings) => ({
  host,
  port,
  database,
});

/**
 * By the keywords of IBM's CLI driver. What waits is bounded: connecting, for a lock, for an answer. Without AUTHENTICATION: then
 * the driver offers an encrypted password and does what the server asks for, while SERVER is refused by one that is set to
 * SERVER_ENCRYPT (https://github.com/ibmdb/go_ibm_db/issues/125).
 */
export async function connectionString(settings: DatabaseSettings): Promise<string> {
  const { host, port, database } = placeOf(settings);
  const { tls, pool } = settings;
  const { user, password } = await loginOf(settings);
  const seconds = (ms: number) => String(Math.max(1, Math.ceil(ms / 1000)));
  const keywords: Record<string, string | undefined> = {
    DATABASE: database,
    HOSTNAME: host,
    PORT: String(port),
    PROTOCOL: 'TCPIP',
    UID: user,
    PWD: password,
    AUTOCOMMIT: '0',
    IGNOREWARNINGS: '1', // ibm_db rejects what was done with a warning, as if it had failed (UV_AfterQuery)
    CONNECTTIMEOUT: seconds(pool?.maxWaitMs ?? 10_000),
    RECEIVETIMEOUT: seconds(pool?.statementTimeoutMs ?? 10_000),
    LOCKTIMEOUT: String(LOCK_SECONDS),
    ...(tls && (await tlsKeywords(host, tls))),
  };
  const given = Object.entries(keywords).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return given.map(([name, value]) => `${name}=${quoted(name, value)};`).join('');
}

/** A value ends at a semicolon, so that none could add a keyword. */
function quoted(name: string, value: string): string {
  if (!/[;{}=]/.test(value)) return value;
  if (/[{}]/.test(value))
    throw new StoreError('invalid', `${name} has a brace in it, which IBM's driver cannot be given`);
  return `{${value}}`;
}

const files = new Map<string, string>();

/** The driver reads certificates from files: one for each text, in a folder of the temporary one that is this process's own. */
function fileOf(text: string): string {
  const known = files.get(text);
  if (known !== undefined) return known;
  const folder = mkdtempSync(join(tmpdir(), 'oauth2-stores-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'authorities.pem');
  writeFileSync(path, text, { mode: 0o600 });
  files.set(text, path);
  return path;
}

async function tlsKeywords(host: string, { ca: own, cert, key, servername }: TlsSettings) {
  if (cert !== undefined || key !== undefined)
    throw new StoreError('unsupported', 'a client certificate cannot be shown to Db2: use user and password');
  if (servername !== undefined)
    throw new StoreError('unsupported', 'the name in the certificate of Db2 must be that of the host');
  const ca = own ?? (await authoritiesOf(host));
  return {
    SECURITY: 'SSL',
    SSLCLIENTHOSTNAMEVALIDATION: 'BASIC',
    ...(ca && { SSLSERVERCERTIFICATE: fileOf(ca) }),
  };
}

// https://www.ibm.com/docs/en/db2/11.5?topic=messages-sqlstate, by SQLSTATE or its class.
const CODES: Readonly<Record<string, StoreErrorCode>> = {
  '23505': 'conflict',
  '40001': 'throttled', // deadlock, or a lock did not come in time: the whole unit of work was rolled back (SQL0911N)
  '57033': 'throttled', // the same, where nothing was rolled back (SQL0913N)
  '57011': 'throttled', // the log is full, or another resource is short
  '57030': 'throttled', // too many connections
  '57014': 'timeout', // cancelled
  '40003': 'unavailable', // the connection broke: whether it was carried out is not known
  '08': 'unavailable',
  '28': 'unavailable',
  '57': 'unavailable',
  '58': 'unavailable',
  '42': 'unsupported',
  '22': 'invalid',
};

/** SQLSTATE and SQLCODE, as the driver has them in its message or beside it. */
export function stateOf(cause: unknown): { state: string; sqlcode: number; message: string } {
  const { message = String(cause), sqlstate, state, sqlcode } = cause as Record<string, unknown> & { message?: string };
  const [, said] = /SQLSTATE=(\w{5})/.exec(message) ?? [];
  return { state: String(said ?? sqlstate ?? state ?? ''), sqlcode: Number(sqlcode ?? 0), message };
}

export function storeError(cause: unknown): StoreError {
  if (cause instanceof StoreError) return cause;
  const { state } = stateOf(cause);
  if (state === '42704' || state === '42884') {
    return new StoreError(
      'unsupported',
      'a table or procedure is missing: apply sql/db2/oauth-server.sql and oauth-client.sql, for a user who does not own them also oauth-roles.sql, and say whose they are by "schema"',
      { cause },
    );
  }
  const known = CODES[state] ?? CODES[state.slice(0, 2)];
  if (state === '' || state.startsWith('08')) return new StoreError('unavailable', 'Db2 cannot be reached', { cause });
  return new StoreError(known ?? 'unavailable', `Db2 refused with SQLSTATE ${state}`, { cause });
}

/** Whether the connection is of no more use after this error. */
export const breaks = (error: StoreError): boolean => error.code === 'unavailable' || error.code === 'timeout';
