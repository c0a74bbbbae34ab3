import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { Connection } from 'tedious';
import { afterAll } from 'vitest';
import type { DatabaseSettings } from '../../functions/stores/sql-settings.ts';
import { createEngine } from '../../functions/stores/sqlserver.ts';
import { createVirtualClock } from '../conformance/index.ts';
import { conform } from './conform.ts';
import { countCalls } from './count-calls.ts';
import { leavesWithItsPartition } from './expiry-partitions.ts';
import { describeRings } from './ring-cases.ts';
import { startStandIn } from './sqlserver-stand-in.ts';

// As sqlserver-conformance.test.ts, in the layout of sql/sqlserver/oauth-partitions.sql. A partition is a condition here, and
// TRUNCATE a DELETE: nothing is shown of locks, plans and what they cost.

const clock = createVirtualClock(Date.now());
const server = await startStandIn({ partitions: true });
afterAll(server.stop);
const silent = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
await once(silent, 'listening');
afterAll(() => void silent.close());

const at = (port: number, settings: DatabaseSettings = {}) =>
  createEngine(
    {
      host: '127.0.0.1',
      port,
      user: 'app',
      password: 'x',
      database: 'oauth',
      tls: false,
      expiryPartitions: true,
      ...settings,
    },
    clock.nowMs,
  );
const patient = { pool: { maxWaitMs: 60_000, statementTimeoutMs: 60_000 } };
const impatient = { pool: { maxWaitMs: 300, statementTimeoutMs: 300 } };

conform(
  'sqlserver, its statements on SQLite, in expiry partitions',
  {
    open: () => at(server.port, patient),
    clock,
    capabilities: {
      concurrent: false,
      purges: ['codes', 'accessTokens', 'grants', 'revocations', 'artifacts', 'clientAccessTokens'],
      purgeBatch: 50,
      accessTokenLeavesAt: leavesWithItsPartition,
      roundTrips: { 'accessTokens.purgeExpired': 6, 'accessTokens.revokeBy': 2 },
    },
    outage: {
      cut: async () => server.cut(),
      refused: () => at(1, impatient),
      silent: () => at((silent.address() as AddressInfo).port, impatient),
    },
    dump: async () => Buffer.from(server.database.dump()),
    roundTrips: countCalls(Connection.prototype, 'execSql'),
  },
  {
    'the storage cannot be restarted from here': [
      'what was acknowledged is there after a restart: tokens, revocations, redemptions, the retired generation',
    ],
  },
);

describeRings('sqlserver, its statements on SQLite', () => at(server.port, patient));
