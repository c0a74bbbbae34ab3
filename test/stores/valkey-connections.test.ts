import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { cacheToken } from '../../functions/aws.ts';
import { createEngine, type ValkeySettings } from '../../functions/stores/valkey.ts';
import { createVirtualClock } from '../conformance/index.ts';
import { accessOutcome, HOUR, issue, keyOf, many, newSuccessor, rotate } from '../conformance/records.ts';
import { createScratchFolder, findFreePort } from '../engines/launch.ts';
import { type Node, startNode } from '../engines/valkey.ts';
import { describeOn } from './describe-on.ts';
import { given, nodesOf } from './valkey-server.ts';

// How connections are made, replaced and given up.

const openWith = (settings: ValkeySettings, clock = createVirtualClock(Date.now())) => {
  const engine = createEngine({ requestTimeoutMs: 10_000, connectTimeoutMs: 10_000, ...settings }, clock.nowMs);
  onTestFinished(() => engine.close());
  return { ...engine, clock };
};

const [user, cacheName] = ['oauth-cache-writer', 'oauth-cache'];

describeOn(given)('a user who logs in with tokens of IAM', () => {
  const nodes = nodesOf(given ?? {});
  let asked = 0;
  const allow = (...rules: string[]) => Promise.all(nodes.map((node) => node.call('ACL', 'SETUSER', user, ...rules)));
  /** Every token so far is too old: who is connected stays so. */
  const expire = () => allow('resetpass');
  const password = async () => {
    asked += 1;
    const datetime = new Date(Date.UTC(2027, 0, 1, 0, 0, asked)).toISOString().replace(/[-:]|\.\d+/g, '');
    const token = await cacheToken({ cacheName, serverless: true, user }, datetime);
    await allow(`>${token}`);
    return token;
  };
  const connections = async () => {
    const lists = await Promise.all(nodes.map((node) => node.client('LIST') as Promise<string>));
    return lists.flatMap((list) => list.split('\n')).filter((line) => line.includes(`user=${user} `)).length;
  };
  beforeAll(async () => {
    vi.stubEnv('AWS_REGION', 'eu-central-1');
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIAIOSFODNN7EXAMPLE');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
    await allow('reset', 'on', '~*', '&*', '+@all');
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    for (const node of nodes) {
      await node.call('ACL', 'DELUSER', user);
      node.disconnect();
    }
  });

  it('asks for one for every connection, also where the old one was cut off, and for none in between', async () => {
    const engine = openWith({ ...given, user, password });
    asked = 0;
    const { accessKey } = await issue(engine);
    const look = () => accessOutcome(engine.accessTokens, accessKey, engine.clock.now());
    for (let turn = 0; turn < 3; turn += 1) {
      expect(new Set(await Promise.all(many(50, look)))).toEqual(new Set(['active']));
      expect(asked).toBeGreaterThanOrEqual(await connections());
      await expire();
      const before = asked;
      expect(await look()).toBe('active');
      expect(asked).toBe(before);
      await Promise.all(nodes.map((node) => node.call('client', 'kill', 'user', user)));
      expect(await look()).toBe('active');
      expect(asked).toBeGreaterThan(before);
    }
  });

  it('has each connection replaced before it is too old, and no call is lost by it', async () => {
    const engine = openWith({ ...given, user, password, longestConnectionMs: 10 * HOUR * 1000 });
    const { clock, accessTokens } = engine;
    const access = { expiresAt: clock.now() + 99 * HOUR };
    const all = await Promise.all(many(30, () => issue(engine, { access })));
    const ended = await Promise.all(many(9, () => issue(engine, { access })));
    const look = () => Promise.all(all.map(({ accessKey }) => accessOutcome(accessTokens, accessKey, clock.now())));
    const active = all.map(() => 'active');
    await expire();
    const before = asked;
    clock.advance(8 * HOUR - 1);
    expect(await look()).toEqual(active);
    expect(asked).toBe(before);
    // The servers keep everybody waiting, so that calls are under way while the connection is replaced.
    await Promise.all(nodes.map((node) => node.client('PAUSE', 300, 'ALL')));
    const waiting = look();
    const rotations = all.map(({ grant, refreshKey }) => {
      const now = clock.now() - 8 * HOUR;
      return rotate(accessTokens, grant, refreshKey, newSuccessor(now), { now });
    });
    // These are sent once: an answer that was lost would be a failure.
    const revocations = ended.map(({ accessKey }) => accessTokens.revokeAccess(accessKey, { now: clock.now() }));
    clock.advance(2 * HOUR + 1);
    const later = look();
    expect(await waiting).toEqual(active);
    expect((await Promise.all(rotations)).map(({ outcome }) => outcome)).toEqual(all.map(() => 'rotated'));
    expect(await Promise.all(revocations)).toEqual(ended.map(() => true));
    expect(await later).toEqual(active);
    expect(asked).toBeGreaterThan(before);
    // The old ones are closed when what was under way on them has been answered.
    await vi.waitFor(async () => expect(await connections()).toBeLessThanOrEqual(nodes.length), 5000);
  });

  it('is not let in with a token that is too old', async () => {
    const stale = await password();
    await expire();
    const engine = openWith({ ...given, user, password: async () => stale });
    await expect(issue(engine)).rejects.toMatchObject({ code: 'unavailable' });
  });
});

describeOn(process.env.VALKEY_FETCHED)('on a server of its own', () => {
  let node: Node;
  let stop = async () => {};
  beforeAll(async () => {
    const folder = await createScratchFolder('valkey');
    node = await startNode(await findFreePort(), folder.path, '--save', '', '--maxmemory', '1gb');
    stop = () => node.stop().then(folder.remove);
  });
  afterAll(() => stop());
  const direct = () => ({ hosts: [`127.0.0.1:${node.port}`] });
  /** What the server is told while this process stands still, as one that is frozen. */
  const whileFrozen = (command: string) => {
    const program = `require('net').connect(${node.port}, '127.0.0.1').end('${command}\\r\\n').resume()`;
    expect(spawnSync(process.execPath, ['-e', program]).status).toBe(0);
  };

  /** Something on the way that can forget connections: it takes what is sent on them, and passes none of the answers on. */
  async function startFront() {
    const pairs = new Set<[client: Socket, server: Socket]>();
    const front = createServer((client) => {
      const server = connect(node.port, '127.0.0.1');
      for (const socket of [client, server]) socket.on('error', () => {});
      client.pipe(server);
      server.pipe(client);
      pairs.add([client, server]);
    }).listen(0, '127.0.0.1');
    await once(front, 'listening');
    onTestFinished(() => {
      for (const sockets of pairs) for (const socket of sockets) socket.destroy();
      front.close();
    });
    return {
      hosts: [`127.0.0.1:${(front.address() as AddressInfo).port}`],
      connections: () => pairs.size,
      /** `hears`: what is sent still arrives. */
      forget(hears: boolean) {
        for (const [client, server] of pairs) {
          if (!hears) client.unpipe(server);
          client.resume();
          server.unpipe(client);
          server.resume();
        }
      },
    };
  }

  it('a connection that was closed while the process was frozen is replaced: each call is answered', async () => {
    const engine = openWith(direct());
    const { accessTokens, clock } = engine;
    const { grant, accessKey, refreshKey } = await issue(engine);
    const now = clock.now();
    let key = refreshKey;
    for (let turn = 0; turn < 5; turn += 1) {
      whileFrozen('CLIENT KILL TYPE normal SKIPME yes');
      expect(await accessOutcome(accessTokens, accessKey, now)).toBe('active');
      whileFrozen('CLIENT KILL TYPE normal SKIPME yes');
      const successor = newSuccessor(now);
      expect((await rotate(accessTokens, grant, key, successor, { now })).outcome).toBe('rotated');
      key = keyOf(grant, successor.refresh);
    }
  });

  describe('a connection that has died without a word while nobody used it', () => {
    it.each([true, false])('is replaced within the time of one call; what is sent on it arrives: %s', async (hears) => {
      const front = await startFront();
      const engine = openWith({ ...front, requestTimeoutMs: 1500 });
      const { accessTokens, clock } = engine;
      const { grant, accessKey, refreshKey } = await issue(engine);
      const now = clock.now();
      front.forget(hears);
      clock.advance(61);
      expect(await accessOutcome(accessTokens, accessKey, now)).toBe('active');
      expect(front.connections()).toBe(2);
      // A rotation whose answer is lost is known by its attempt.
      front.forget(hears);
      clock.advance(61);
      const successor = newSuccessor(now);
      expect((await rotate(accessTokens, grant, refreshKey, successor, { now })).outcome).toBe('rotated');
      expect(await accessOutcome(accessTokens, keyOf(grant, successor.access), now)).toBe('active');
      // What would answer otherwise the second time does not try it at all.
      front.forget(hears);
      clock.advance(61);
      expect(await accessTokens.revokeAccess(keyOf(grant, successor.access), { now })).toBe(true);
      expect(front.connections()).toBe(4);
    });

    it('while it was in use costs one call its time, and the next one has another', async () => {
      const front = await startFront();
      const engine = openWith({ ...front, requestTimeoutMs: 300 });
      const { accessTokens, clock } = engine;
      const { accessKey } = await issue(engine);
      front.forget(false);
      const look = () => accessOutcome(accessTokens, accessKey, clock.now());
      await expect(look()).rejects.toMatchObject({ code: 'timeout' });
      expect(await look()).toBe('active');
    });
  });

  describe('a policy that removes live tokens', () => {
    const told: string[] = [];
    const warn = (text: string) => told.push(text);
    const set = (policy: string) => whileFrozen(`CONFIG SET maxmemory-policy ${policy}`);

    it('is told of once, whatever becomes of the connection', async () => {
      told.length = 0;
      set('volatile-lru');
      const engine = openWith({ ...direct(), warn });
      const { accessKey } = await issue(engine);
      await vi.waitFor(() => expect(told).toHaveLength(1), 5000);
      expect(told[0]).toContain('maxmemory-policy volatile-lru');
      expect(told[0]).toContain('as in ElastiCache Serverless'); // which has no other
      whileFrozen('CLIENT KILL TYPE normal SKIPME yes');
      await accessOutcome(engine.accessTokens, accessKey, engine.clock.now());
      await engine.accessTokens.purgeExpired({ now: engine.clock.now(), limit: 1 });
      expect(told).toHaveLength(1);
    });

    it.each([
      ['noeviction is', 'noeviction', ''],
      ['a server that does not say what it is set to', 'allkeys-lru', '-info'],
    ])('%s not told of', async (_, policy, rule) => {
      told.length = 0;
      set(policy);
      whileFrozen(`ACL SETUSER quiet reset on >secret ~* +@all ${rule}`);
      const engine = openWith({ ...direct(), warn, user: 'quiet', password: 'secret' });
      const { accessKey } = await issue(engine);
      // An answer to what is sent after it: it has been answered too.
      for (let turn = 0; turn < 3; turn += 1) {
        expect(await accessOutcome(engine.accessTokens, accessKey, engine.clock.now())).toBe('active');
      }
      expect(told).toEqual([]);
    });
  });
});
