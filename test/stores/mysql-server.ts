import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import mysql from 'mysql2/promise';
import { afterAll } from 'vitest';
import type { Clock } from '../../functions/domain/clock.ts';
import type { Engine } from '../../functions/domain/ports.ts';
import type { DatabaseSettings } from '../../functions/stores/sql-settings.ts';
import { createVirtualClock, type Harness } from '../conformance/index.ts';
import { conform } from './conform.ts';
import { leavesWithItsPartition } from './expiry-partitions.ts';

// What the tests of MySQL and of MariaDB share.

/** What is tested of an engine. */
export interface Tested {
  readonly name: 'mysql' | 'mariadb';
  createEngine(settings: DatabaseSettings, clock: Clock): Engine;
  applySchema(settings: DatabaseSettings, options?: object): Promise<string[]>;
}

/** How a server is reached that its URL names. */
export function settingsOf(url: string, database?: string): DatabaseSettings {
  const { hostname, port, username, password } = new URL(url);
  return {
    host: hostname,
    port: Number(port) || 3306,
    user: decodeURIComponent(username),
    tls: false,
    ...(password && { password: decodeURIComponent(password) }),
    ...(database && { database }),
  };
}

/** Sends statements over a connection of its own. */
export async function query<Row = Record<string, unknown>>(
  settings: DatabaseSettings,
  ...texts: readonly string[]
): Promise<Row[]> {
  const { host = '', port = 3306, user = '', password, database } = settings;
  const connection = await mysql.createConnection({
    ...{ host, port, user },
    ...(typeof password === 'string' && { password }),
    ...(database && { database }),
  });
  try {
    let rows: unknown;
    for (const text of texts) [rows] = await connection.query(text);
    return Array.isArray(rows) ? (rows as Row[]) : [];
  } finally {
    await connection.end();
  }
}

/** A new database, which is dropped after the tests; its own settings would fit no name and no byte. */
export async function newDatabase(url: string): Promise<DatabaseSettings> {
  const database = `test_${randomUUID().replaceAll('-', '')}`;
  const server = settingsOf(url);
  await query(server, `CREATE DATABASE ${database} CHARACTER SET latin1 COLLATE latin1_swedish_ci`);
  afterAll(() => query(server, `DROP DATABASE ${database}`));
  return { ...server, database };
}

/** Ends every connection to the database but the one that does it. */
export async function cut(settings: DatabaseSettings): Promise<void> {
  // A table of the information schema would have to hold the statements, and some have bytes in them that are no text.
  const sessions = await query<{ Id: number; db: string | null; Info: string | null }>(settings, 'SHOW PROCESSLIST');
  const others = sessions.filter(({ db, Info }) => db === settings.database && Info !== 'SHOW PROCESSLIST');
  for (const { Id } of others) await query(settings, `KILL CONNECTION ${Id}`).catch(() => {}); // it has ended meanwhile
}

/** Everything that is stored, bytes in hexadecimal. */
async function dump(settings: DatabaseSettings): Promise<Uint8Array> {
  const tables = await query<{ name: string }>(
    settings,
    'SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE()',
  );
  const rows = await Promise.all(tables.map(({ name }) => query(settings, `SELECT * FROM ${name}`)));
  const text = (value: unknown) => (Buffer.isBuffer(value) ? value.toString('hex') : String(value));
  return Buffer.from(
    rows
      .flat()
      .map((row) => Object.values(row).map(text).join(' '))
      .join('\n'),
  );
}

/** A port that takes connections and never answers. */
async function listenSilently(): Promise<number> {
  const listener = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  afterAll(() => {
    listener.close();
  });
  return (listener.address() as AddressInfo).port;
}

/** Counts what the driver sends with `execute`, on every connection. */
async function countExecutions() {
  const connection = await import('mysql2').then(({ Connection }) => Connection);
  // The class that the driver's connections are made of has `execute`; the one that it exports is its child.
  let holder = connection.prototype as unknown as Record<string, unknown>;
  while (!Object.hasOwn(holder, 'execute')) holder = Object.getPrototypeOf(holder);
  const original = holder.execute as (...values: unknown[]) => unknown;
  let calls = 0;
  holder.execute = function counted(this: unknown, ...values: unknown[]) {
    calls += 1;
    return original.apply(this, values);
  };
  return {
    reset: () => {
      calls = 0;
    },
    count: () => calls,
  };
}

/** The whole conformance suite, in a new database of the server. */
export async function conformOn(
  { name, createEngine, applySchema }: Tested,
  url: string,
  expiryPartitions = false,
): Promise<void> {
  const clock = createVirtualClock(Date.now());
  const settings = { ...(await newDatabase(url)), expiryPartitions };
  await applySchema(settings, { partitions: expiryPartitions });
  const silentPort = await listenSilently();
  const pool = { maxWaitMs: 300, statementTimeoutMs: 300 };
  const openAt = async (port: number) => createEngine({ ...settings, port, pool }, clock.nowMs);
  const harness: Harness = {
    open: async () => createEngine(settings, clock.nowMs),
    clock,
    dump: () => dump(settings),
    roundTrips: await countExecutions(),
    capabilities: {
      concurrent: true,
      purges: ['codes', 'accessTokens', 'grants', 'revocations', 'artifacts', 'clientAccessTokens'],
      purgeBatch: 50,
      // A purge: one statement for each of its tables, and what is left; the foreign tokens' count with the grants. A
      // revocation by selector: its mark, and a call for each thousand grants. With partitions, one that empties them.
      roundTrips: { 'accessTokens.purgeExpired': expiryPartitions ? 6 : 5, 'accessTokens.revokeBy': 2 },
      ...(expiryPartitions && { accessTokenLeavesAt: leavesWithItsPartition }),
    },
    outage: { refused: () => openAt(1), silent: () => openAt(silentPort), cut: () => cut(settings) },
  };
  conform(expiryPartitions ? `${name}, access tokens in expiry partitions` : name, harness, {
    'the storage cannot be restarted from here': [
      'what was acknowledged is there after a restart: tokens, revocations, redemptions, the retired generation',
    ],
  });
}
