import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { type AddressInfo, createServer } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import oracledb from 'oracledb';
import { afterAll, describe, expect, it } from 'vitest';
import { createEngine } from '../../functions/stores/oracle.ts';
import { codeOf, connect } from '../../functions/stores/oracle-connection.ts';
import { diagnose } from '../../functions/stores/oracle-diagnosis.ts';
import { applySchema, findMissingScripts } from '../../functions/stores/oracle-schema.ts';
import type { DatabaseSettings } from '../../functions/stores/sql-settings.ts';
import { createVirtualClock } from '../conformance/index.ts';
import { conform } from './conform.ts';
import { countCalls } from './count-calls.ts';
import { leavesWithItsPartition } from './expiry-partitions.ts';

// On a server that is there, at ORACLE_URL: oracle://user:password@host:port/service, whose user may make users and end
// sessions; with ?partitions their access tokens are in expiry partitions. The tests have a user of their own there.

const { hostname, port, username, password, pathname, searchParams } = new URL(String(process.env.ORACLE_URL));
const place: DatabaseSettings = {
  host: hostname,
  port: Number(port || 1521),
  database: pathname.slice(1),
  tls: searchParams.has('tls') ? {} : false,
};
const owner = `OAUTH_${randomBytes(6).toString('hex')}`.toUpperCase();
const expiryPartitions = searchParams.has('partitions');
const settings: DatabaseSettings = {
  ...place,
  user: owner,
  password: `P_${randomBytes(12).toString('hex')}`,
  expiryPartitions,
};
const administrator = { ...place, user: decodeURIComponent(username), password: decodeURIComponent(password) };

async function as<T>(user: DatabaseSettings, work: (connection: oracledb.Connection) => Promise<T>): Promise<T> {
  const connection = await connect(user, 60_000);
  return work(connection).finally(() => connection.close());
}

/** Ends every session of the tests' user. */
const cut = () =>
  as(administrator, async (connection) => {
    const { rows = [] } = await connection.execute<[number, number]>(
      'SELECT sid, serial# FROM v$session WHERE username = :owner',
      { owner },
    );
    for (const [sid, serial] of rows) {
      await connection.execute(`ALTER SYSTEM KILL SESSION '${sid},${serial}' IMMEDIATE`).catch(() => {}); // it is gone
    }
  });

await as(administrator, async (connection) => {
  await connection.execute(`CREATE USER ${owner} IDENTIFIED BY "${settings.password}"`);
  await connection.execute(`GRANT CREATE SESSION, CREATE TABLE, CREATE PROCEDURE, UNLIMITED TABLESPACE TO ${owner}`);
});
/** A session that was ended is gone a moment later, and its user may not be dropped before (ORA-01940). */
const drop = async (tries: number): Promise<void> => {
  await cut();
  try {
    await as(administrator, (connection) => connection.execute(`DROP USER ${owner} CASCADE`));
  } catch (error) {
    if (tries <= 1 || codeOf(error) !== 'ORA-01940') throw error;
    await setTimeout(500);
    await drop(tries - 1);
  }
};
afterAll(() => drop(20), 60_000);

const options = { partitions: expiryPartitions };
const applied = await applySchema(settings, options);

/** Everything in the tables: texts as they are, bytes in hexadecimal. */
const dump = () =>
  as(settings, async (connection) => {
    const { rows: tables = [] } = await connection.execute<[string]>('SELECT table_name FROM user_tables');
    const lines: string[] = [];
    for (const [table] of tables) {
      const { rows = [] } = await connection.execute<unknown[]>(`SELECT * FROM ${table}`, [], {
        fetchTypeHandler: ({ dbType }) => (dbType === oracledb.DB_TYPE_BLOB ? { type: oracledb.BUFFER } : undefined),
      });
      for (const row of rows) lines.push(row.map((one) => (Buffer.isBuffer(one) ? one.toString('hex') : one)).join());
    }
    return Buffer.from(lines.join('\n'));
  });

const listener = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
await once(listener, 'listening');
afterAll(() => {
  listener.close();
});

const clock = createVirtualClock(Date.now());
const unreachable = (at: number) =>
  createEngine({ ...settings, host: '127.0.0.1', port: at, tls: false, pool: { maxWaitMs: 300 } }, clock.nowMs);
const Protocol = createRequire(import.meta.url)('oracledb/lib/thin/protocol/protocol.js');

describe('the schema', () => {
  it('is made once, and found whole', async () => {
    const more = expiryPartitions ? (['oauth-partitions'] as const) : [];
    expect(applied).toEqual(['oauth-server.sql', 'oauth-client.sql', ...more.map((part) => `${part}.sql`)]);
    expect(await applySchema(settings, options)).toEqual([]);
    expect(await findMissingScripts(settings, options)).toEqual([]);
    expect(await diagnose(settings, ['oauth-server', 'oauth-client', ...more])).toEqual({
      found: expect.stringContaining('everything is there'),
    });
  });
});

conform(
  'oracle',
  {
    open: () => createEngine(settings, clock.nowMs),
    dump,
    clock,
    roundTrips: countCalls(Protocol.prototype, '_processMessage'),
    capabilities: {
      ...(expiryPartitions && { accessTokenLeavesAt: leavesWithItsPartition }),
      concurrent: true,
      purges: ['codes', 'accessTokens', 'grants', 'revocations', 'artifacts', 'clientAccessTokens'],
      purgeBatch: 50,
      // A purge: one block for each of its tables. A revocation by selector: its mark, and a block for each thousand grants. A
      // page: its columns are told before its records, which are LOBs.
      roundTrips: {
        'accessTokens.purgeExpired': expiryPartitions ? 6 : 5,
        'accessTokens.revokeBy': 2,
        'accessTokens.listGrants': 2,
        'accessTokens.listAccess': 2,
      },
    },
    outage: {
      cut,
      refused: () => unreachable(1),
      silent: () => unreachable((listener.address() as AddressInfo).port),
    },
  },
  {
    'the storage cannot be restarted from here': [
      'what was acknowledged is there after a restart: tokens, revocations, redemptions, the retired generation',
    ],
  },
);
