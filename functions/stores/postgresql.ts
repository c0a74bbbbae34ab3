import type { PeerCertificate } from 'node:tls';
import { type Clock, systemClock } from '../domain/clock.ts';
import { StoreError, type StoreErrorCode } from '../domain/errors.ts';
import type { Engine } from '../domain/ports.ts';
import { execution, type Prepared } from './postgresql-prepared.ts';
import type { Component, Scripts, Session } from './postgresql-schema.ts';
import * as statements from './postgresql-statements.ts';
import { createSqlEngine, type Row } from './sql.ts';

// PostgreSQL 13 or newer, Aurora PostgreSQL, and PGlite, the embedded one. Default isolation (READ COMMITTED); a
// statement is a transaction of its own, so nothing is ever left open. Acknowledged is durable as far as
// `synchronous_commit` says (on, the default: on disk, and on the synchronous standbys if there are any; Aurora: in its
// storage; PGlite: in its files, which it never syncs). Neither driver repeats a statement by itself.

export interface PostgresqlSettings {
  /** `postgres://user:password@host:port/database`, or absent with `host` and the rest. */
  readonly connectionString?: string;
  readonly host?: string;
  readonly port?: number;
  readonly database?: string;
  readonly user?: string;
  /** A function is asked for every new connection: an IAM token lives 15 minutes. */
  readonly password?: string | (() => string | Promise<string>);
  /**
   * TLS, verified against `ca` (PEM) and `servername`, or else the host; `false` only on a loopback. Without `ca`: the
   * authorities of Amazon RDS for a server of theirs, and the common ones for others.
   */
  readonly tls?:
    | false
    | { readonly ca?: string; readonly cert?: string; readonly key?: string; readonly servername?: string };
  readonly pool?: {
    readonly maxActive?: number;
    readonly maxWaitMs?: number;
    readonly idleEvictionMs?: number;
    /** Longest that a statement may take; later it is a `timeout`. */
    readonly statementTimeoutMs?: number;
  };
  /** PGlite in this process instead of a server: its folder, or `memory://`. Its schema is applied when it is opened. */
  readonly embedded?: string;
}

/** The four stores on a PostgreSQL server (driver `pg`), or embedded (driver `@electric-sql/pglite`). */
export async function createEngine(settings: PostgresqlSettings, clock: Clock): Promise<Engine> {
  const driver = settings.embedded === undefined ? await server(settings) : await embedded(settings.embedded);
  const bound = new Map<string, Prepared & { names: string[] }>();
  const run = async (name: string, text: string, values: Record<string, unknown>) => {
    const statement = bound.get(name) ?? { name, ...numbered(text) };
    bound.set(name, statement);
    try {
      return await driver.query(
        statement,
        statement.names.map((value) => values[value] ?? null),
      );
    } catch (cause) {
      throw storeError(cause);
    }
  };
  return createSqlEngine(statements, run, clock, driver.close);
}

/** How a schema is applied, or looked at. */
export interface SchemaOptions {
  /** Whether the users of `oauth-roles.sql` belong to it; whoever applies it must then be allowed to make roles. */
  readonly roles?: boolean;
  /** Default: those of this package. */
  readonly scripts?: Scripts;
  readonly clock?: Clock;
  /** Milliseconds that it may wait for locks and for others who apply it. */
  readonly withinMs?: number;
}

/**
 * Brings the schema of a server to the version of the scripts: any number of times, by any number of callers at once, beside
 * traffic (`updateSchema`). Gives the paths of the scripts that it ran.
 *
 * @throws {StoreError} `unsupported`: a newer version, tables of somebody else, a privilege is missing; `timeout`
 */
export async function applySchema(settings: PostgresqlSettings, options: SchemaOptions = {}): Promise<string[]> {
  const { clock = systemClock, withinMs = 60_000 } = options;
  const patience = { clock, untilMs: clock() + withinMs };
  const { updateSchema } = await import('./postgresql-schema.ts');
  return withSessions(settings, withinMs, 2, async ([worker, keeper]) =>
    updateSchema({ worker, keeper }, await scriptsOf(options), partsOf(options), patience),
  );
}

/** Paths of the scripts that are missing in the schema of a server. Nothing is changed. */
export async function findMissingScripts(settings: PostgresqlSettings, options: SchemaOptions = {}): Promise<string[]> {
  const { missingScripts } = await import('./postgresql-schema.ts');
  return withSessions(settings, options.withinMs ?? 60_000, 1, async ([session]) => {
    const scripts = await scriptsOf(options);
    const missing: string[] = [];
    for (const part of partsOf(options)) missing.push(...(await missingScripts(session, scripts, part)));
    return missing;
  });
}

const scriptsOf = async ({ scripts }: SchemaOptions) =>
  scripts ?? (await import('./postgresql-schema.ts')).packagedScripts();

const partsOf = ({ roles = false }: SchemaOptions): Component[] => [
  'oauth-server',
  'oauth-client',
  ...(roles ? (['oauth-roles'] as const) : []),
];

/** Connections of their own, beside no pool. */
async function withSessions<T>(
  settings: PostgresqlSettings,
  withinMs: number,
  count: 1 | 2,
  work: (sessions: [Session, Session]) => Promise<T>,
): Promise<T> {
  const { default: pg } = await import('pg');
  const connection = await connectionOf(settings);
  const clients = Array.from(
    { length: count },
    () => new pg.Client({ ...connection, keepAlive: true, statement_timeout: withinMs }),
  );
  const sessions = clients.map((client) => {
    client.on('error', () => {}); // the query under way fails with the same
    return {
      query: async (text: string) => (await client.query<Row>(text)).rows,
      script: async (text: string) => {
        await client.query(text);
      },
    };
  });
  try {
    for (const client of clients) await client.connect();
    return await work(sessions as [Session, Session]);
  } catch (cause) {
    throw storeError(cause);
  } finally {
    await Promise.all(clients.map((client) => client.end().catch(() => {})));
  }
}

interface Driver {
  query(statement: Prepared, values: unknown[]): Promise<Row[]>;
  close(): Promise<void>;
}

const INT8 = 20;

/** The Region of a server of Amazon RDS or Aurora. A proxy of theirs is none: common authorities sign its certificate. */
const regionOf = (host = '') => /^(?!.*\.proxy-).+\.([a-z0-9-]+)\.rds\.amazonaws\.com$/.exec(host)?.[1];

/** How a connection is made, in the driver's words. */
export async function connectionOf(settings: PostgresqlSettings) {
  const { connectionString, host, port, database, user, password, tls, pool } = settings;
  const region = regionOf(host);
  const authorities = tls &&
    tls.ca === undefined &&
    region !== undefined && { ca: (await import('./postgresql-authorities.ts')).rdsAuthorities(region) };
  // The driver puts the host in the place of `servername`, so the name is compared here; by a module that is there by
  // then, and that a function without TLS need not load.
  const { servername, ...certificates } = tls || {};
  const checkName = servername !== undefined && {
    checkServerIdentity: (_host: string, certificate: PeerCertificate) =>
      process.getBuiltinModule('node:tls').checkServerIdentity(servername, certificate),
  };
  return {
    ...{ connectionString, host, port, database, user, password },
    ...(tls && { ssl: { ...authorities, ...certificates, ...checkName, rejectUnauthorized: true } }),
    connectionTimeoutMillis: pool?.maxWaitMs ?? 10_000,
  };
}

async function server(settings: PostgresqlSettings): Promise<Driver> {
  const { default: pg } = await import('pg');
  const { maxActive = 8, idleEvictionMs = 10_000, statementTimeoutMs = 10_000 } = settings.pool ?? {};
  const pool = new pg.Pool({
    ...(await connectionOf(settings)),
    max: maxActive,
    idleTimeoutMillis: idleEvictionMs,
    query_timeout: statementTimeoutMs,
    keepAlive: true,
    allowExitOnIdle: true,
  });
  const parserOf = (type: number) => (type === INT8 ? Number : pg.types.getTypeParser(type, 'text'));
  // A connection that breaks while idle is dropped and replaced; whoever needs one gets the error of connecting.
  pool.on('error', () => {});
  return {
    query: async (statement, values) => (await pool.query<Row>(execution(statement, values, parserOf))).rows,
    close: () => pool.end(),
  };
}

async function embedded(directory: string): Promise<Driver> {
  const { PGlite } = await import('@electric-sql/pglite');
  const database = await PGlite.create(directory, { parsers: { [INT8]: Number } });
  const worker = {
    query: async (text: string) => (await database.query<Row>(text)).rows,
    script: async (text: string) => {
      await database.exec(text);
    },
  };
  const { updateSchema } = await import('./postgresql-schema.ts');
  // One process, one session: there is nobody to wait for.
  await updateSchema({ worker }, await scriptsOf({}), partsOf({}), { clock: systemClock, untilMs: 0 });
  return {
    query: async ({ text }, values) => (await database.query<Row>(text, values)).rows,
    close: () => database.close(),
  };
}

/** `:name` becomes `$1`, `$2`, …: the same name, the same number. */
function numbered(text: string): { text: string; names: string[] } {
  const names: string[] = [];
  const replaced = text.replaceAll(/(?<!:):([A-Za-z_]\w*)/g, (_, name: string) => {
    if (!names.includes(name)) names.push(name);
    return `$${names.indexOf(name) + 1}`;
  });
  return { text: replaced, names };
}

// https://www.postgresql.org/docs/current/errcodes-appendix.html, by SQLSTATE or its class.
const CODES: Record<string, StoreErrorCode> = {
  '23505': 'conflict', // unique_violation
  '23502': 'conflict', // not_null_violation: how the statements refuse another attempt's digest
  '40001': 'throttled', // serialization_failure, deadlock_detected: nothing was done, try again
  '40P01': 'throttled',
  '53': 'throttled', // insufficient resources, too many connections
  '57014': 'timeout', // query_canceled by statement_timeout
  '55P03': 'timeout', // lock_not_available
  '42': 'unsupported', // no such table, no privilege
  '22': 'invalid',
  '08': 'unavailable',
  '28': 'unavailable',
  '57': 'unavailable', // admin_shutdown, crash_shutdown, cannot_connect_now
};

function storeError(cause: unknown): StoreError {
  if (cause instanceof StoreError) return cause;
  const { code = '', message = '' } = cause as { code?: string; message?: string };
  const known = CODES[code] ?? CODES[code.slice(0, 2)];
  if (code === '42P01') {
    return new StoreError(
      'unsupported',
      'a table is missing: apply sql/postgresql/oauth-server.sql and oauth-client.sql',
      { cause },
    );
  }
  if (known) return new StoreError(known, `PostgreSQL refused with SQLSTATE ${code}`, { cause });
  if (/timeout/i.test(message) && !/connect/i.test(message))
    return new StoreError('timeout', 'no answer from PostgreSQL in time', { cause });
  return new StoreError('unavailable', 'PostgreSQL cannot be reached', { cause });
}
