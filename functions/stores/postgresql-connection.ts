import type { PeerCertificate } from 'node:tls';
import { StoreError, type StoreErrorCode } from '../domain/errors.ts';
import { authoritiesOf } from './sql-authorities.ts';
import { loginOf } from './sql-login.ts';
import type { DatabaseSettings } from './sql-settings.ts';

// How a connection to PostgreSQL is made, and what its failures mean.

export interface PostgresqlSettings extends DatabaseSettings {
  /** `postgres://user:password@host:port/database`, in place of `host` and the rest. */
  readonly connectionString?: string;
  /** PGlite in this process instead of a server: its folder, or `memory://`. Its schema is applied when it is opened. */
  readonly embedded?: string;
}

/** How a connection is made, in the driver's words. */
export async function connectionOf(settings: PostgresqlSettings) {
  const { connectionString, host, port, database, tls, pool } = settings;
  const authorities = tls && tls.ca === undefined ? await authoritiesOf(host) : undefined;
  // The driver puts the host in the place of `servername`, so the name is compared here; by a module that is there by
  // then, and that a function without TLS need not load.
  const { servername, ...certificates } = tls || {};
  const checkName = servername !== undefined && {
    checkServerIdentity: (_host: string, certificate: PeerCertificate) =>
      process.getBuiltinModule('node:tls').checkServerIdentity(servername, certificate),
  };
  return {
    ...{ connectionString, host, port, database },
    ...(await loginOf(settings)),
    ...(tls && {
      ssl: {
        ...(authorities !== undefined && { ca: authorities }),
        ...certificates,
        ...checkName,
        rejectUnauthorized: true,
      },
    }),
    connectionTimeoutMillis: pool?.maxWaitMs ?? 10_000,
  };
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
  '25006': 'unavailable', // read_only_sql_transaction: a server that is no longer the primary
  '28': 'unavailable',
  '57': 'unavailable', // admin_shutdown, crash_shutdown, cannot_connect_now
};

const MISSING: Readonly<Record<string, string>> = {
  '42P01': 'a table is missing: apply oauth-server.sql and oauth-client.sql',
  '42703': 'a column is missing: apply the upgrades, and for expiryPartitions oauth-partitions.sql',
};

/**
 * Whether the server refused a statement and goes on with the next one; else its connection is of no more use. Nor is that to
 * a server that takes no writes (25006): after a failover the name leads to the new one, and only a new connection asks for it.
 */
export const isRefusal = (error: unknown): boolean =>
  /^(?!08|25006|57P)[0-9A-Z]{5}$/.test(String((error as { code?: unknown }).code));

export function storeError(cause: unknown): StoreError {
  if (cause instanceof StoreError) return cause;
  const { code = '', message = '' } = cause as { code?: string; message?: string };
  const known = CODES[code] ?? CODES[code.slice(0, 2)];
  const missing = MISSING[code];
  if (missing !== undefined) return new StoreError('unsupported', `${missing} of sql/postgresql`, { cause });
  if (known) return new StoreError(known, `PostgreSQL refused with SQLSTATE ${code}`, { cause });
  if (/timeout/i.test(message) && !/connect/i.test(message))
    return new StoreError('timeout', 'no answer from PostgreSQL in time', { cause });
  return new StoreError('unavailable', 'PostgreSQL cannot be reached', { cause });
}
