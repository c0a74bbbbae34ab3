import { randomUUID } from 'node:crypto';
import { describe } from 'vitest';
import { type CassandraSettings, createEngine } from '../../functions/stores/cassandra.ts';
import { createVirtualClock } from '../conformance/index.ts';
import {
  countRounds,
  dumpKeyspace,
  hosts,
  lendKeyspace,
  listenBefore,
  listenSilently,
  ROUND_TRIPS,
  serverUrl,
} from './cassandra-server.ts';
import { conform } from './conform.ts';
import { leftToTtl } from './left-to-ttl.ts';

const clock = createVirtualClock(Date.now());
const silentPort = await listenSilently();
const settings: CassandraSettings = {
  hosts,
  keyspace: `conformance_${randomUUID().slice(0, 8)}`,
  readConsistency: 'QUORUM',
  writeConsistency: 'QUORUM',
  requestTimeoutMs: 30_000,
};
if (serverUrl !== undefined) await lendKeyspace(settings);
const before = await listenBefore(String(hosts[0]));

const openAt = (port: number) => async () =>
  createEngine(
    { ...settings, hosts: [`127.0.0.1:${port}`], connectTimeoutMs: 300, requestTimeoutMs: 300 },
    clock.nowMs,
  );

describe('on a node', () => {
  conform(
    'cassandra',
    {
      open: async () => createEngine({ ...settings, hosts: [before.host] }, clock.nowMs),
      clock,
      capabilities: {
        concurrent: true,
        purges: [],
        purgeBatch: 1,
        roundTrips: ROUND_TRIPS,
      },
      outage: { refused: openAt(1), silent: openAt(silentPort), cut: async () => before.cut() },
      roundTrips: countRounds(),
      dump: () => dumpKeyspace(settings),
    },
    {
      ...leftToTtl,
      'the storage cannot be restarted from here': [
        'what was acknowledged is there after a restart: tokens, revocations, redemptions, the retired generation',
      ],
    },
  );
});
