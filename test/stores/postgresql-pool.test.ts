import { randomUUID } from 'node:crypto';
import { connect, createServer, type Socket } from 'node:net';
import pg from 'pg';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { createEngine } from '../../functions/stores/postgresql.ts';
import { applySchema } from '../../functions/stores/postgresql-schema.ts';
import { createVirtualClock } from '../conformance/index.ts';
import { errorCode, issue, many } from '../conformance/records.ts';
import { startPostgresql } from '../engines/postgresql.ts';

// What becomes of a store's connections when the server, or the way to it, ends them: on a real server.

const isServed = process.platform === 'linux' && process.arch === 'x64';
const onServed = process.env.POSTGRESQL_URL !== undefined || isServed ? describe : () => {};

onServed('connections of a store on PostgreSQL', async () => {
  const server =
    process.env.POSTGRESQL_URL === undefined && isServed
      ? await startPostgresql('18')
      : { url: '', stop: async () => {} };
  const url = new URL(process.env.POSTGRESQL_URL ?? (server.url || 'postgres://127.0.0.1'));
  const admin = new pg.Client({ connectionString: url.href });
  await admin.connect();
  const database = `pool_${randomUUID().replaceAll('-', '')}`;
  await admin.query(`CREATE DATABASE ${database}`);
  const direct = new URL(url);
  direct.pathname = `/${database}`;
  await applySchema({ connectionString: direct.href });

  /** A way to the server that can go dead without a word, as one does that a firewall forgot or a frozen process slept through. */
  const sockets = new Set<Socket>();
  let dead = new Set<Socket>();
  const way = createServer((near) => {
    const far = connect(Number(url.port || 5432), url.hostname);
    sockets.add(near);
    near.on('data', (bytes) => dead.has(near) || far.write(bytes)).on('close', () => far.destroy());
    far.on('data', (bytes) => dead.has(near) || near.write(bytes)).on('close', () => near.destroy());
    for (const end of [near, far]) end.on('error', () => {});
  });
  await new Promise<void>((resolve) => way.listen(0, '127.0.0.1', resolve));
  const address = way.address();
  const throughWay = new URL(direct);
  throughWay.hostname = '127.0.0.1';
  throughWay.port = String(typeof address === 'object' ? address?.port : '');

  const clock = createVirtualClock(Date.now());
  const open = async (connectionString: string, pool = {}) => {
    const engine = await createEngine({ connectionString, pool }, clock.nowMs);
    return Object.assign(engine, { clock });
  };
  const sessions = async () => {
    const { rows } = await admin.query('SELECT pid FROM pg_stat_activity WHERE datname = $1', [database]);
    return rows.length;
  };
  // A session takes a moment to go after its connection has.
  afterEach(() => vi.waitFor(async () => expect(await sessions()).toBe(0), { timeout: 10_000 }));
  afterAll(async () => {
    for (const socket of sockets) socket.destroy();
    way.close();
    await admin.query(`DROP DATABASE ${database} WITH (FORCE)`);
    await admin.end();
    await server.stop();
  });

  it('that the server ended while they were unused are replaced, and no call fails', async () => {
    const engine = await open(direct.href);
    const { accessKey } = await issue(engine);
    const look = () => engine.accessTokens.findAccess(accessKey, { now: clock.now() });
    await Promise.all(many(8, look));
    await vi.waitFor(async () => expect(await sessions()).toBe(8), { timeout: 10_000 });
    await admin.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [database]);
    await vi.waitFor(async () => expect(await sessions()).toBe(0), { timeout: 10_000 });
    await new Promise((resolve) => setTimeout(resolve, 50)); // for this end to hear of it
    for (const { outcome } of await Promise.all(many(8, look))) expect(outcome).toBe('active');
    await engine.close();
  });

  it('that went dead without a word while the process slept are replaced before a call is sent over them', async () => {
    const engine = await open(throughWay.href, { statementTimeoutMs: 60_000 });
    const { accessKey } = await issue(engine);
    const look = () => engine.accessTokens.findAccess(accessKey, { now: clock.now() });
    await Promise.all(many(4, look));
    dead = new Set(sockets);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 600_000 });
    try {
      for (const { outcome } of await Promise.all(many(4, look))) expect(outcome).toBe('active');
    } finally {
      vi.useRealTimers();
      await engine.close();
    }
  });

  it('of a statement that was not answered in time are not used again', async () => {
    const engine = await open(throughWay.href, { statementTimeoutMs: 300, maxActive: 1 });
    const { accessKey } = await issue(engine);
    const look = () => engine.accessTokens.findAccess(accessKey, { now: clock.now() });
    dead = new Set(sockets);
    expect(await errorCode(look())).toBe('timeout');
    expect((await look()).outcome).toBe('active');
    await engine.close();
  });

  it('to a server that takes no writes, as after a failover, are not used again', async () => {
    const standby = new URL(direct.href);
    standby.searchParams.set('options', '-c default_transaction_read_only=on');
    const engine = await open(standby.href, { maxActive: 1 });
    const { accessKey } = await open(direct.href).then(async (primary) => {
      const issued = await issue(primary);
      await primary.close();
      return issued;
    });
    const look = () => engine.accessTokens.findAccess(accessKey, { now: clock.now() });
    const pid = async () => {
      expect((await look()).outcome).toBe('active');
      const { rows } = await admin.query('SELECT pid FROM pg_stat_activity WHERE datname = $1 ORDER BY backend_start', [
        database,
      ]);
      return rows.at(-1).pid;
    };
    const first = await pid();
    expect(await pid()).toBe(first);
    expect(await errorCode(issue(engine))).toBe('unavailable');
    expect(await pid()).not.toBe(first);
    await engine.close();
  });

  it('stay in use after the server refused a statement', async () => {
    const engine = await open(direct.href, { maxActive: 1 });
    const { grant, access } = await issue(engine);
    const pids = () => admin.query('SELECT pid FROM pg_stat_activity WHERE datname = $1', [database]);
    const before = (await pids()).rows;
    const options = { now: clock.now(), attempt: Buffer.alloc(16), retainUntil: grant.retainUntil };
    expect(await errorCode(engine.accessTokens.addAccess(grant.grantId, access, options))).toBe('conflict');
    await engine.accessTokens.findAccess({ digest: access.digest, grantId: grant.grantId }, { now: clock.now() });
    expect((await pids()).rows).toEqual(before);
    await engine.close();
  });

  it('are tested with the query that is configured', async () => {
    const engine = await createEngine(
      { connectionString: direct.href, validationQuery: "SELECT set_config('application_name', 'validated', false)" },
      clock.nowMs,
    );
    const { accessKey } = await issue(Object.assign(engine, { clock }));
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 6000 });
    try {
      await engine.accessTokens.findAccess(accessKey, { now: clock.now() });
    } finally {
      vi.useRealTimers();
    }
    const { rows } = await admin.query('SELECT application_name FROM pg_stat_activity WHERE datname = $1', [database]);
    expect(rows).toEqual([{ application_name: 'validated' }]);
    await engine.close();
  });
});
