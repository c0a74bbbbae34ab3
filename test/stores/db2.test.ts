import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { afterAll, expect, it } from 'vitest';
import { createEngine } from '../../functions/stores/db2.ts';
import { connect } from '../../functions/stores/db2-connection.ts';
import { applySchema } from '../../functions/stores/db2-schema.ts';
import type { DatabaseSettings } from '../../functions/stores/sql-settings.ts';
import { createVirtualClock, type Harness } from '../conformance/index.ts';
import { newAccess, newAttempt, newGrant } from '../conformance/records.ts';
import { conform } from './conform.ts';
import { startProxy } from './db2-proxy.ts';

// On whatever DB2_URL leads to: a Db2, or what `npm run test:engines db2` starts in its place.

const url = new URL(process.env.DB2_URL ?? '');
const clock = createVirtualClock(Date.now());
const proxy = await startProxy(url.hostname, Number(url.port));
const settings: DatabaseSettings = {
  host: '127.0.0.1',
  port: proxy.port,
  database: url.pathname.slice(1),
  user: decodeURIComponent(url.username),
  password: decodeURIComponent(url.password),
  tls: false,
};
await applySchema(settings, { withinMs: 120_000 });
afterAll(proxy.stop);

/** A port that takes connections and never answers. */
const silent = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
await once(silent, 'listening');
afterAll(() => {
  silent.close();
});

const tables = [
  ...['oauth_grant', 'access_token', 'foreign_token', 'revocation', 'authorization_code', 'artifact'],
  'client_access_token',
];

async function dump(): Promise<Uint8Array> {
  const connection = await connect(settings);
  const parts: string[] = [];
  for (const table of tables) {
    for (const row of await connection.query(`SELECT * FROM ${table}`)) {
      const values = Object.values(row as Record<string, unknown>);
      parts.push(
        values.map((value) => (value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value)).join(),
      );
    }
  }
  await connection.endTransaction(true);
  await connection.close();
  return Buffer.from(parts.join('\n'));
}

const openAt = (other: Partial<DatabaseSettings> = {}) => createEngine({ ...settings, ...other }, clock.nowMs);
const impatient = { maxWaitMs: 1000, statementTimeoutMs: 1000 };

const harness: Harness = {
  open: () => openAt(),
  clock,
  capabilities: {
    concurrent: true,
    purges: ['codes', 'accessTokens', 'grants', 'revocations', 'artifacts', 'clientAccessTokens'],
    purgeBatch: 50,
    // A query has its commit; the columns of one are asked for on a server that does not say them. A purge: a call for each
    // of its tables, and a query. A revocation by selector: its mark, and a call for each thousand grants.
    roundTrips: {
      'accessTokens.listGrants': 4,
      'accessTokens.listAccess': 4,
      'accessTokens.purgeExpired': 8,
      'authorizationCodes.purgeExpired': 5,
      'artifacts.purgeExpired': 5,
      'clientAccessTokens.purgeExpired': 5,
      'accessTokens.revokeBy': 2,
    },
  },
  roundTrips: proxy.roundTrips,
  dump,
  outage: {
    refused: () => openAt({ port: 1, pool: impatient }),
    silent: () => openAt({ port: (silent.address() as AddressInfo).port, pool: impatient }),
    cut: proxy.cut,
  },
};

conform('db2', harness, {
  'the storage cannot be restarted from here': [
    'what was acknowledged is there after a restart: tokens, revocations, redemptions, the retired generation',
  ],
});

it('what comes out of a procedure leaves no memory behind', async () => {
  const engine = await openAt();
  const now = clock.now();
  const grant = newGrant(now);
  const access = newAccess(now);
  await engine.accessTokens.persist({ grant, access }, { now, attempt: newAttempt() });
  const megabytesAfter = async (times: number) => {
    for (let time = 0; time < times; time += 1)
      await engine.accessTokens.findAccess({ digest: access.digest, grantId: grant.grantId }, { now });
    return process.memoryUsage.rss() / 2 ** 20;
  };
  // Each has room for two records in it, of 16 kB each: of a thousand that stayed there would be 32 MB.
  const before = await megabytesAfter(500);
  expect(await megabytesAfter(2000)).toBeLessThan(before + 32);
  await engine.close();
}, 60_000);
