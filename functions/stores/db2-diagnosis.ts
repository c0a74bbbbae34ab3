import { once } from 'node:events';
import { connect as reach } from 'node:net';
import { StoreError } from '../domain/errors.ts';
import { connect, placeOf, rowsOf, stateOf } from './db2-connection.ts';
import type { Connection } from './db2-driver.ts';
import {
  type Component,
  type Diagnosis,
  examineSchema,
  inWords,
  loginFailed,
  type Place,
  serverOf,
  tlsFailed,
  type Words,
} from './sql-diagnosis.ts';
import type { DatabaseSettings } from './sql-settings.ts';

/** What ODBC's `SQLGetInfo` is asked for. */
const DBMS_NAME = 17;
const DBMS_VERSION = 18;
const OLDEST = 11;
/** What a table is that is not there, or not for this user. */
const MISSING = '42704';
const FORBIDDEN = '42501';

/** Connects once and looks whether everything is there that the stores need of these components. Nothing is changed. */
export async function diagnose(settings: DatabaseSettings, components: readonly Component[]): Promise<Diagnosis> {
  const { host, port, database } = placeOf(settings);
  const waitMs = settings.pool?.maxWaitMs ?? 10_000;
  const place = { server: serverOf(host, port), host, user: settings.user ?? '', database, waitMs };
  try {
    await touch(host, port, waitMs);
    const connection = await connect(settings);
    try {
      return await examine(connection, place, components);
    } finally {
      await connection.endTransaction(true);
      await connection.close();
    }
  } catch (error) {
    const cause = (error instanceof StoreError ? error.cause : error) as Error & { code?: string };
    const { state, message } = stateOf(cause ?? error);
    if (error instanceof StoreError && state === '') return { fault: error.message };
    return {
      fault: inWords({ code: state || (cause.code ?? ''), message: message.trim() }, place, BY_CODE, BY_MESSAGE),
    };
  }
}

/** Of a host that is not there, a port that is refused and one that is silent the driver says the same. */
async function touch(host: string, port: number, waitMs: number): Promise<void> {
  const socket = reach({ host, port });
  const late = setTimeout(() => socket.destroy(Object.assign(new Error('timeout'), { code: 'ETIMEDOUT' })), waitMs);
  try {
    await once(socket, 'connect');
  } finally {
    clearTimeout(late);
    socket.destroy();
  }
}

/** What there is to say once a connection stands. */
async function examine(connection: Connection, place: Place, components: readonly Component[]): Promise<Diagnosis> {
  const version = String(connection.getInfoSync?.(DBMS_VERSION) ?? '');
  const product = `${String(connection.getInfoSync?.(DBMS_NAME) ?? 'Db2')} ${version}`;
  /** What a query of nothing is refused with, table by table. */
  const refusals = async (tables: readonly string[]) => {
    const found: [table: string, state: string | undefined][] = [];
    for (const table of tables) {
      const state = await rowsOf(connection, `SELECT 1 AS one FROM ${table} WHERE 1 = 0`).then(
        () => undefined,
        (cause) => {
          const { state } = stateOf(cause);
          if (state === MISSING || state === FORBIDDEN) return state;
          throw cause;
        },
      );
      found.push([table, state]);
    }
    return found;
  };
  const examination = {
    product,
    ...(/^\d/.test(version) &&
      Number.parseInt(version, 10) < OLDEST && {
        fault: `${place.server} is ${product}: Db2 11.5 or newer is needed`,
      }),
    /** Not by the catalog: a RESTRICTIVE database, as those of Amazon RDS, shows it to nobody who was not told so. */
    tablesThere: async (tables: readonly string[]) =>
      (await refusals(tables)).flatMap(([table, state]) => (state === MISSING ? [] : [table])),
    /** The procedures write with their owner's privileges: one may read, or may not. */
    lacking: async (tables: readonly string[]) =>
      (await refusals(tables)).flatMap(([table, state]) => (state === FORBIDDEN ? [`${table} (SELECT)`] : [])),
    async versionOf(component: Component) {
      const [row] = await rowsOf(connection, `SELECT version FROM oauth_schema WHERE component = '${component}'`);
      return row?.version as number | undefined;
    },
  };
  return examineSchema('db2', examination, place, components);
}

// https://www.ibm.com/docs/en/db2/11.5?topic=messages-sqlstate
const BY_CODE: Readonly<Record<string, Words>> = {
  '08004': ({ database, server }) => `the database "${database}" is missing at ${server}, or refuses connections`,
  '42705': ({ database, server }) => `the database "${database}" is missing at ${server}`,
  '28000': loginFailed,
  '42501': ({ user, database }, message) =>
    `the user "${user}" lacks a privilege in the database "${database}": ${message}`,
  '57030': ({ server }) => `${server} has too many connections`,
  '57019': ({ server }) => `${server} is starting up or shutting down`,
};

// What stands behind "communication error" (SQL30081N), by the system's numbers, and what TLS says (GSKit's).
const BY_MESSAGE: readonly (readonly [RegExp, Words])[] = [
  [/SQL30082N|SQL1403N/, loginFailed],
  [/SQL1013N|SQL30061N/, ({ database, server }) => `the database "${database}" is missing at ${server}`],
  [/sqlccSSLSocketSetup|GSKit|SSL|certificate/i, tlsFailed],
  [/SQL30081N/, ({ server }) => `${server} ended the connection: it may not be a Db2, or want TLS`],
];
