import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import pg from 'pg';
import { afterAll } from 'vitest';
import { createEngine } from '../../functions/stores/postgresql.ts';
import type { PostgresqlSettings } from '../../functions/stores/postgresql-connection.ts';
import { applySchema } from '../../functions/stores/postgresql-schema.ts';
import { type Capabilities, createVirtualClock, type Harness } from '../conformance/index.ts';
import { conform } from './conform.ts';
import { countCalls } from './count-calls.ts';
import { leavesWithItsPartition } from './expiry-partitions.ts';

const clock = createVirtualClock(Date.now());
const openAt = (settings: PostgresqlSettings) => createEngine(settings, clock.nowMs);

/** A new database on a server, where sessions really meet; its access tokens in one table or in partitions by their expiry. */
async function onServer(serverUrl: string, expiryPartitions: boolean) {
  const database = `conformance_${randomUUID().replaceAll('-', '')}`;
  const onDatabase = new URL(serverUrl);
  onDatabase.pathname = `/${database}`;
  const connectionString = onDatabase.href;
  const query = async <R extends pg.QueryResultRow>(url: string, text: string) => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const { rows } = await client.query<R>(text);
    await client.end();
    return rows;
  };
  await query(serverUrl, `CREATE DATABASE ${database}`);
  afterAll(() => query(serverUrl, `DROP DATABASE ${database} WITH (FORCE)`));
  await applySchema({ connectionString }, { partitions: expiryPartitions });
  const dump = async () => {
    const tables = await query<{ name: string }>(
      connectionString,
      `SELECT quote_ident(table_name) AS name FROM information_schema.tables WHERE table_schema = 'public'`,
    );
    const parts = tables.map(({ name }) =>
      query<{ row: string }>(connectionString, `SELECT t::text AS row FROM ${name} t`),
    );
    return Buffer.from((await Promise.all(parts)).flatMap((rows) => rows.map(({ row }) => row)).join('\n'));
  };
  const cut = async () => {
    const others =
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()';
    await query(connectionString, others);
  };
  const open = () => openAt({ connectionString, expiryPartitions });
  return { open, dump, outage: { cut }, roundTrips: countCalls(pg.Client.prototype, 'query') };
}

/** PGlite in this process, on disk: one session, and files that can be read. */
async function embedded() {
  const folder = await mkdtemp(join(tmpdir(), 'pglite-'));
  const start = () => openAt({ embedded: folder });
  let engine = await start();
  const whileClosed = async <T>(work: () => Promise<T>): Promise<T> => {
    await engine.close();
    const result = await work();
    engine = await start();
    return result;
  };
  afterAll(async () => {
    await engine.close();
    await rm(folder, { recursive: true });
  });
  return {
    open: async () => ({ ...engine, close: async () => {} }),
    restart: () => whileClosed(async () => {}),
    dump: () =>
      whileClosed(async () => {
        const entries = await readdir(folder, { recursive: true, withFileTypes: true });
        const files = entries.filter((entry) => entry.isFile());
        return Buffer.concat(await Promise.all(files.map(({ parentPath, name }) => readFile(join(parentPath, name)))));
      }),
    outage: {},
    roundTrips: countCalls(PGlite.prototype, 'query'),
  };
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

const url = process.env.POSTGRESQL_URL;
const silentPort = await listenSilently();
const unreachable = { host: '127.0.0.1', user: 'postgres', pool: { maxWaitMs: 300, statementTimeoutMs: 300 } };

const harnessOf = (
  storage: Awaited<ReturnType<typeof onServer | typeof embedded>>,
  capabilities: Partial<Capabilities> = {},
): Harness => ({
  ...storage,
  clock,
  capabilities: {
    concurrent: url !== undefined,
    purges: ['codes', 'accessTokens', 'grants', 'revocations', 'artifacts', 'clientAccessTokens'],
    purgeBatch: 50,
    // A purge: one statement for each of its tables; the foreign tokens' count with the grants. A revocation by selector:
    // its mark, a look at the writes under way, and a statement for each thousand grants.
    roundTrips: { 'accessTokens.purgeExpired': 5, 'accessTokens.revokeBy': 3 },
    ...capabilities,
  },
  outage: {
    ...storage.outage,
    refused: () => openAt({ ...unreachable, port: 1 }),
    silent: () => openAt({ ...unreachable, port: silentPort }),
  },
});

if (url === undefined) {
  conform('postgresql, embedded', harnessOf(await embedded()), {
    'connections cannot be cut from here': [
      'a rotation or redemption whose connection is cut fails with a coded error at most, and its repeat tells how it went',
    ],
  });
} else {
  const unrestarted = {
    'the storage cannot be restarted from here': [
      'what was acknowledged is there after a restart: tokens, revocations, redemptions, the retired generation',
    ],
  };
  conform('postgresql', harnessOf(await onServer(url, false)), unrestarted);
  const inPartitions = {
    accessTokenLeavesAt: leavesWithItsPartition,
    // The purge also looks for a partition to empty.
    roundTrips: { 'accessTokens.purgeExpired': 6, 'accessTokens.revokeBy': 3 },
  };
  conform('postgresql, in expiry partitions', harnessOf(await onServer(url, true), inPartitions), unrestarted);
}
