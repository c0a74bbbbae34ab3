import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { Connection } from 'tedious';
import { afterAll } from 'vitest';
import type { DatabaseSettings } from '../../functions/stores/sql-settings.ts';
import { createEngine } from '../../functions/stores/sqlserver.ts';
import { createVirtualClock } from '../conformance/index.ts';
import { conform } from './conform.ts';
import { countCalls } from './count-calls.ts';
import { startStandIn } from './sqlserver-stand-in.ts';

// The whole way from the ports through the driver and its protocol to the text of every statement, and back. What runs the
// statements is no SQL Server (sqlserver-stand-in.ts): nothing is shown of locks, isolation, plans and types.

const clock = createVirtualClock(Date.now());
const server = await startStandIn();
afterAll(server.stop);
const silent = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
await once(silent, 'listening');
afterAll(() => void silent.close());

const at = (port: number, settings: DatabaseSettings = {}) =>
  createEngine(
    { host: '127.0.0.1', port, user: 'app', password: 'x', database: 'oauth', tls: false, ...settings },
    clock.nowMs,
  );
const patient = { pool: { maxWaitMs: 60_000, statementTimeoutMs: 60_000 } };
const impatient = { pool: { maxWaitMs: 300, statementTimeoutMs: 300 } };

conform(
  'sqlserver, its statements on SQLite',
  {
    open: () => at(server.port, patient),
    clock,
    capabilities: {
      concurrent: false,
      purges: ['codes', 'accessTokens', 'grants', 'revocations', 'artifacts', 'clientAccessTokens'],
      purgeBatch: 50,
      roundTrips: { 'accessTokens.purgeExpired': 5, 'accessTokens.revokeBy': 2 },
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
