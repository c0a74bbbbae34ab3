import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { DynamoDBClient, paginateScan } from '@aws-sdk/client-dynamodb';
import { afterAll, describe } from 'vitest';
import { createEngine, createTable, type DynamodbSettings } from '../../functions/stores/dynamodb.ts';
import { createVirtualClock } from '../conformance/index.ts';
import { conform } from './conform.ts';
import { countCalls } from './count-calls.ts';
import { emulated, findServer } from './dynamodb-server.ts';

const clock = createVirtualClock(Date.now());

/** A port that takes connections and never answers. */
async function listenSilently(): Promise<number> {
  const listener = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  afterAll(() => {
    listener.close();
  });
  return (listener.address() as AddressInfo).port;
}

const server = await findServer();
const silentPort = await listenSilently();
const settings: DynamodbSettings = {
  ...emulated,
  endpoint: server ?? '',
  tableName: `conformance-${randomUUID()}`,
  // The emulators' own clock is not the suite's, so the purge is the store's own.
  nativeTimeToLive: false,
  // Thousands of calls at once, on a machine that has other work too.
  connectTimeoutMs: 30_000,
  requestTimeoutMs: 30_000,
};
if (server !== undefined) await createTable(settings);

const openAt = (port: number) => async () =>
  createEngine(
    { ...settings, endpoint: `http://127.0.0.1:${port}`, maxAttempts: 1, requestTimeoutMs: 300, connectTimeoutMs: 300 },
    clock.nowMs,
  );

const dump = async () => {
  const client = new DynamoDBClient({ ...emulated, endpoint: server ?? '' });
  const parts: string[] = [];
  for await (const { Items } of paginateScan({ client }, { TableName: settings.tableName })) {
    parts.push(JSON.stringify(Items, (_, value) => (value instanceof Uint8Array ? hex(value) : value)));
  }
  client.destroy();
  return Buffer.from(parts.join('\n'));
};
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

describe.skipIf(server === undefined)('on an emulator', () => {
  conform(
    'dynamodb',
    {
      open: async () => createEngine(settings, clock.nowMs),
      clock,
      capabilities: {
        concurrent: true,
        purges: ['codes', 'grants', 'revocations', 'artifacts', 'clientAccessTokens'],
        purgeBatch: 25,
        roundTrips: {
          // The grant, its pointer, and a look at the links, at once; then a link that was missing.
          'accessTokens.persist': 4,
          // The grant is ended by a second request.
          'accessTokens.rotate reused': 2,
          // The pointer, then what it leads to.
          'accessTokens.findAccess foreign': 2,
          'accessTokens.findRefresh foreign': 2,
          'artifacts.findByUid': 2,
          'artifacts.findByUserCode': 2,
          // The mark, the pointers, and each grant.
          'accessTokens.revokeBy': 42,
          // Pointers of the client itself, links from it, the pointers there, then grants.
          'accessTokens.listGrants': 4,
          // The grant and its further tokens, at once.
          'accessTokens.listAccess': 2,
          // The artifact, its two ways in and its consent; they go after it.
          'artifacts.put': 4,
          'artifacts.remove': 4,
        },
      },
      outage: { refused: openAt(1), silent: openAt(silentPort) },
      roundTrips: countCalls(DynamoDBClient.prototype, 'send'),
      dump,
    },
    {
      'the engine removes accessTokens by its own expiry': [
        'the purge removes the access tokens that have expired and nothing else: their grants and refresh tokens go on',
      ],
      'the storage cannot be restarted from here': [
        'what was acknowledged is there after a restart: tokens, revocations, redemptions, the retired generation',
      ],
      'connections cannot be cut from here': [
        'a rotation or redemption whose connection is cut fails with a coded error at most, and its repeat tells how it went',
      ],
    },
  );
});
