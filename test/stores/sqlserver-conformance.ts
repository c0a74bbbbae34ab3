import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { Connection } from 'tedious';
import { afterAll } from 'vitest';
import type { Engine } from '../../functions/domain/ports.ts';
import type { DatabaseSettings } from '../../functions/stores/sql-settings.ts';
import { createEngine } from '../../functions/stores/sqlserver.ts';
import { createVirtualClock } from '../conformance/index.ts';
import { conform } from './conform.ts';
import { countCalls } from './count-calls.ts';
import { leavesWithItsPartition } from './expiry-partitions.ts';
import { startStandIn } from './sqlserver-stand-in.ts';

// The whole way from the ports through the driver and its protocol to the text of every statement, and back. What runs the
// statements is no SQL Server (sqlserver-stand-in.ts): nothing is shown of locks, isolation, plans and types.

/** The suite, with access tokens in one table or in expiry partitions; gives a way to open the stores for further cases. */
export async function conformOnStandIn(
  name: string,
  { expiryPartitions }: { readonly expiryPartitions: boolean },
): Promise<() => Promise<Engine>> {
  const clock = createVirtualClock(Date.now());
  const server = await startStandIn({ partitions: expiryPartitions });
  afterAll(server.stop);
  const silent = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  afterAll(() => void silent.close());

  const login = { user: 'app', password: 'x', database: 'oauth', tls: false } as const;
  const at = (port: number, settings: DatabaseSettings) =>
    createEngine({ host: '127.0.0.1', port, ...login, expiryPartitions, ...settings }, clock.nowMs);
  const patient = { pool: { maxWaitMs: 60_000, statementTimeoutMs: 60_000 } };
  const impatient = { pool: { maxWaitMs: 300, statementTimeoutMs: 300 } };
  const open = async () => at(server.port, patient);

  conform(
    name,
    {
      open,
      clock,
      capabilities: {
        concurrent: false,
        purges: ['codes', 'accessTokens', 'grants', 'revocations', 'artifacts', 'clientAccessTokens'],
        purgeBatch: 50,
        ...(expiryPartitions && { accessTokenLeavesAt: leavesWithItsPartition }),
        // A purge: one statement for each of its tables, and with partitions one more; what is left. A revocation by selector: its
        // mark, and a statement for each thousand grants.
        roundTrips: { 'accessTokens.purgeExpired': expiryPartitions ? 6 : 5, 'accessTokens.revokeBy': 2 },
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
  return open;
}
