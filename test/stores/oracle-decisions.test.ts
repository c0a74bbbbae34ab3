import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import pg from 'pg';
import { afterAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../functions/domain/ports.ts';
import { createEngine } from '../../functions/stores/oracle.ts';
import { encoded, rowsOf, whole } from '../../functions/stores/oracle-binds.ts';
import { partitioned } from '../../functions/stores/oracle-partitions.ts';
import * as flat from '../../functions/stores/oracle-statements.ts';
import { storeError } from '../../functions/stores/postgresql-connection.ts';
import { createSqlEngine } from '../../functions/stores/sql.ts';
import type { Row, Run } from '../../functions/stores/sql-dialect.ts';
import { createVirtualClock } from '../conformance/index.ts';
import { newAccess, newGrant } from '../conformance/records.ts';
import { conform } from './conform.ts';
import { countCalls } from './count-calls.ts';
import { DAY, HOUR, leavesWithItsPartition } from './expiry-partitions.ts';
import { callOf, partitionsOf, procedureOf, rolesOf, tablesOf } from './oracle-plpgsql.ts';
import { describeRings } from './ring-cases.ts';

// The conformance suite over the statements, the scripts and the binds of the Oracle store, run by PostgreSQL in PL/pgSQL
// (oracle-plpgsql.ts): what the blocks decide, sessions that really meet included. Nothing here runs on Oracle but two cases on
// servers that do not answer, which are the driver's.

const url = process.env.POSTGRESQL_URL;
if (url !== undefined) {
  await decisionsOn(url, false);
  await decisionsOn(url, true);
}

/** Every text of the statements. */
function textsOf(from: object): string[] {
  return Object.values(from).flatMap((one) =>
    typeof one === 'string' ? [one] : typeof one === 'object' ? textsOf(one) : [],
  );
}

async function decisionsOn(serverUrl: string, inPartitions: boolean): Promise<void> {
  const statements = inPartitions ? partitioned : flat;
  const clock = createVirtualClock(Date.now());
  const database = `oracle_${randomUUID().replaceAll('-', '')}`;
  const onDatabase = new URL(serverUrl);
  onDatabase.pathname = `/${database}`;
  const query = async <R extends pg.QueryResultRow>(connectionString: string, ...texts: string[]) => {
    const client = new pg.Client({ connectionString });
    await client.connect();
    let rows: R[] = [];
    try {
      for (const text of texts) ({ rows } = await client.query<R>(text));
    } finally {
      await client.end();
    }
    return rows;
  };
  await query(serverUrl, `CREATE DATABASE ${database}`);
  afterAll(async () => {
    await query(serverUrl, `DROP DATABASE ${database} WITH (FORCE)`);
  });
  const script = (part: string) => readFile(new URL(`../../sql/oracle/${part}.sql`, import.meta.url), 'utf8');
  for (const part of ['oauth-server', 'oauth-client']) await query(onDatabase.href, ...tablesOf(await script(part)));
  if (inPartitions) await query(onDatabase.href, ...partitionsOf(await script('oauth-partitions')));
  const blocks = [...new Set(textsOf(statements))].filter((text) => /^\s*(DECLARE|BEGIN)\b/.test(text));
  const procedures = new Map(blocks.map((text, index) => [text, `block_${index}`]));
  await query(onDatabase.href, ...[...procedures].map(([text, name]) => procedureOf(name, text)));

  const roles = rolesOf(await script('oauth-roles')).filter((text) => inPartitions || !text.includes('EXECUTE'));
  await query(onDatabase.href, ...roles);

  // What writes has no more privileges than its role: the whole suite needs none.
  const open = async (role = 'oauth_writer'): Promise<Engine> => {
    const pool = new pg.Pool({ connectionString: onDatabase.href, max: 8, options: `-c role=${role}` });
    pool.on('error', () => {});
    const types = { getTypeParser: (oid: number) => (oid === 20 ? Number : pg.types.getTypeParser(oid, 'text')) };
    const run: Run = async (_name, text, given) => {
      const { text: call, names } = callOf(text, procedures.get(text));
      const values = names.map((name) => encoded(name, given));
      try {
        const { rows } = await pool.query<Row>({ text: call, values, types: types as never });
        if (!procedures.has(text)) return { rows: rows.map(whole), changed: rows.length };
        const { o_changed: changed, ...answer } = rows[0] ?? {};
        return { rows: rowsOf(answer), changed: Number(changed ?? 0) };
      } catch (cause) {
        throw storeError(cause);
      }
    };
    return createSqlEngine(statements, run, clock.nowMs, () => pool.end());
  };
  const dump = async () => {
    const tables = await query<{ name: string }>(
      onDatabase.href,
      `SELECT quote_ident(table_name) AS name FROM information_schema.tables WHERE table_schema = 'public'`,
    );
    const parts = tables.map(({ name }) =>
      query<{ row: string }>(onDatabase.href, `SELECT t::text AS row FROM ${name} t`),
    );
    return Buffer.from((await Promise.all(parts)).flatMap((rows) => rows.map(({ row }) => row)).join('\n'));
  };
  const cut = async () => {
    await query(
      onDatabase.href,
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
    );
  };
  const listener = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  afterAll(() => {
    listener.close();
  });
  const unreachable = (port: number) =>
    createEngine(
      {
        host: '127.0.0.1',
        port,
        database: 'oauth',
        user: 'app',
        password: 'app',
        tls: false,
        pool: { maxWaitMs: 300 },
      },
      clock.nowMs,
    );
  conform(
    `oracle, its statements on PostgreSQL${inPartitions ? ', with expiry partitions' : ''}`,
    {
      open,
      dump,
      clock,
      roundTrips: countCalls(pg.Client.prototype, 'query'),
      capabilities: {
        concurrent: true,
        purges: ['codes', 'accessTokens', 'grants', 'revocations', 'artifacts', 'clientAccessTokens'],
        purgeBatch: 50,
        // A purge: one block for each of its tables; a revocation by selector: its mark, and a block for each thousand grants.
        roundTrips: { 'accessTokens.purgeExpired': inPartitions ? 6 : 5, 'accessTokens.revokeBy': 2 },
        ...(inPartitions && { accessTokenLeavesAt: leavesWithItsPartition }),
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
  if (inPartitions) {
    describeRings('oracle, its statements on PostgreSQL', open);
    it('a partition is emptied with five minutes of its time left, and not later: others may write there soon', async () => {
      const { accessTokens, close } = await open();
      const hour = 23_500 * DAY;
      const grant = newGrant(hour, { retainUntil: hour + 9 * DAY });
      const access = newAccess(hour, { expiresAt: hour + HOUR - 1 });
      await accessTokens.persist({ grant, access }, { now: hour, attempt: Buffer.alloc(16) });
      const removed = async (now: number) =>
        (await accessTokens.purgeExpired({ now, limit: 100 })).removed.accessTokens ?? 0;
      while ((await removed(hour)) > 0); // what earlier ones left
      expect(await removed(hour + 2 * HOUR - 299)).toBe(0);
      expect(await removed(hour + 2 * HOUR - 300)).toBe(1);
      await close();
    });
  }
  describe('the privileges of sql/oracle/oauth-roles.sql', () => {
    const digest = Buffer.alloc(32, 1);
    const now = 1_800_000_000;
    const artifact = { kind: 'k', id: digest, expiresAt: now + 60, data: new Uint8Array([1]) };
    const refused = (call: Promise<unknown>) => expect(call).rejects.toMatchObject({ cause: { code: '42501' } });
    const as = async (role: string, work: (engine: Engine) => Promise<void>) => {
      const engine = await open(role);
      await work(engine).finally(() => engine.close());
    };

    it('let a reader look up, and no more', () =>
      as('oauth_reader', async ({ authorizationCodes, accessTokens, clientAccessTokens, artifacts }) => {
        const key = { grantId: digest.subarray(0, 12), digest };
        expect(await accessTokens.findAccess(key, { now })).toEqual({ outcome: 'unknown' });
        expect(await accessTokens.findRefresh(key, { now })).toEqual({ outcome: 'unknown' });
        expect(await authorizationCodes.find(digest, { now })).toEqual({ outcome: 'unknown' });
        expect(await clientAccessTokens.get('c', 'k', { now })).toBeUndefined();
        await refused(artifacts.find('k', digest, { now }));
        await refused(accessTokens.revokeAccess(key, { now }));
        await refused(authorizationCodes.remove(digest));
      }));

    it('let a checker keep artifacts as well', () =>
      as('oauth_checker', async ({ authorizationCodes, artifacts }) => {
        await artifacts.put(artifact, { now });
        expect(await artifacts.putOnce(artifact, { now, attempt: Buffer.alloc(16) })).toBe(false);
        expect(await artifacts.find('k', digest, { now })).toMatchObject({ outcome: 'active' });
        expect(await authorizationCodes.find(digest, { now })).toEqual({ outcome: 'unknown' });
        await refused(authorizationCodes.remove(digest));
      }));

    it('let a purge remove, and add nothing', () =>
      as('oauth_purger', async ({ authorizationCodes, accessTokens, clientAccessTokens, artifacts }) => {
        for (const store of [authorizationCodes, accessTokens, clientAccessTokens, artifacts])
          await store.purgeExpired({ now, limit: 10 });
        await refused(artifacts.put({ ...artifact, kind: 'new' }, { now }));
      }));
  });
}
