import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { Connection } from 'tedious';
import { afterAll, describe, expect, it } from 'vitest';
import type { DatabaseSettings } from '../../functions/stores/sql-settings.ts';
import { createEngine } from '../../functions/stores/sqlserver.ts';
import { connect } from '../../functions/stores/sqlserver-connection.ts';
import { diagnose } from '../../functions/stores/sqlserver-diagnosis.ts';
import { applySchema, batchesOf, findMissingScripts, rowsOf } from '../../functions/stores/sqlserver-schema.ts';
import { createVirtualClock } from '../conformance/index.ts';
import { conform } from './conform.ts';
import { countCalls } from './count-calls.ts';
import { leavesWithItsPartition } from './expiry-partitions.ts';
import { scripts } from './sqlserver-texts.ts';

// On a server that is there, at SQLSERVER_URL: sqlserver://user:password@host:port, whose user may create databases and end
// sessions; with ?rcsi the new database has READ_COMMITTED_SNAPSHOT, with ?partitions its access tokens are in expiry partitions,
// and with ?tls the connections have TLS, verified.

const { hostname, port, username, password, searchParams } = new URL(String(process.env.SQLSERVER_URL));
const server: DatabaseSettings = {
  host: hostname,
  port: Number(port || 1433),
  user: decodeURIComponent(username),
  password: decodeURIComponent(password),
  tls: searchParams.has('tls') ? {} : false,
};
const database = `conformance_${randomUUID().replaceAll('-', '')}`;
const expiryPartitions = searchParams.has('partitions');
const settings = { ...server, database, expiryPartitions };

async function query(at: DatabaseSettings, text: string) {
  const connection = await connect({ ...at, pool: { statementTimeoutMs: 60_000 } });
  return rowsOf(connection, text).finally(() => connection.close());
}

/** Ends every other session in the tests' database. */
const cut = async () => {
  const others = await query(
    server,
    `SELECT session_id FROM sys.dm_exec_sessions WHERE database_id = DB_ID('${database}') AND session_id <> @@SPID;`,
  );
  for (const { session_id } of others) await query(server, `KILL ${session_id};`).catch(() => {}); // it is gone
};

await query(server, `CREATE DATABASE ${database};`);
if (searchParams.has('rcsi')) await query(server, `ALTER DATABASE ${database} SET READ_COMMITTED_SNAPSHOT ON;`);
afterAll(async () => {
  await query(server, `ALTER DATABASE ${database} SET SINGLE_USER WITH ROLLBACK IMMEDIATE;`);
  await query(server, `DROP DATABASE ${database};`);
});
const options = { partitions: expiryPartitions };
const applied = await applySchema(settings, options);

/** Everything in the tables: bytes in hexadecimal, and the texts among them as they are. */
const dump = async () => {
  const lines: string[] = [];
  for (const { name } of await query(settings, 'SELECT name FROM sys.tables;')) {
    for (const row of await query(settings, `SELECT * FROM ${name};`)) {
      const shown = Object.values(row).map((one) => (Buffer.isBuffer(one) ? `${one.toString('hex')} ${one}` : one));
      lines.push(shown.join('|'));
    }
  }
  return Buffer.from(lines.join('\n'));
};

const listener = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
await once(listener, 'listening');
afterAll(() => {
  listener.close();
});

const clock = createVirtualClock(Date.now());
const unreachable = (at: number) =>
  createEngine(
    { ...settings, host: '127.0.0.1', port: at, tls: false, pool: { maxWaitMs: 300, statementTimeoutMs: 300 } },
    clock.nowMs,
  );

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

  it.each(scripts)('%s can be run again over itself', async (_name, text) => {
    for (const batch of batchesOf(text)) await query(settings, batch);
  });
});

conform(
  'sqlserver',
  {
    open: () => createEngine({ ...settings, pool: { maxWaitMs: 60_000 } }, clock.nowMs),
    clock,
    capabilities: {
      concurrent: true,
      purges: ['codes', 'accessTokens', 'grants', 'revocations', 'artifacts', 'clientAccessTokens'],
      purgeBatch: 50,
      roundTrips: { 'accessTokens.purgeExpired': expiryPartitions ? 6 : 5, 'accessTokens.revokeBy': 2 },
      ...(expiryPartitions && { accessTokenLeavesAt: leavesWithItsPartition }),
    },
    outage: {
      cut,
      refused: () => unreachable(1),
      silent: () => unreachable((listener.address() as AddressInfo).port),
    },
    dump,
    roundTrips: countCalls(Connection.prototype, 'execSql'),
  },
  {
    'the storage cannot be restarted from here': [
      'what was acknowledged is there after a restart: tokens, revocations, redemptions, the retired generation',
    ],
  },
);
