import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { StoreError } from '../../functions/domain/errors.ts';
import { storeError } from '../../functions/stores/valkey/errors.ts';
import { createEngine, type ValkeySettings } from '../../functions/stores/valkey.ts';
import { createVirtualClock } from '../conformance/index.ts';
import {
  accessOutcome,
  DAY,
  HOUR,
  issue,
  keyOf,
  many,
  newAccess,
  newArtifact,
  newAttempt,
  newClientToken,
  newCode,
  newDigest,
  newGrant,
  newName,
  newRefresh,
  newSuccessor,
  rotate,
} from '../conformance/records.ts';
import { createScratchFolder, findFreePort, giveToServers, run } from '../engines/launch.ts';
import { startNode } from '../engines/valkey.ts';
import { describeOn } from './describe-on.ts';
import { given, nodesOf } from './valkey-server.ts';

const failure = (call: Promise<unknown>): Promise<StoreError> =>
  call.then(
    () => expect.fail('it succeeded'),
    (error) => error,
  );

const openWith = (settings: ValkeySettings, clock = createVirtualClock(Date.now())) => {
  const engine = createEngine({ requestTimeoutMs: 10_000, connectTimeoutMs: 10_000, ...settings }, clock.nowMs);
  onTestFinished(() => engine.close());
  return { ...engine, clock };
};

/** A server that gives one answer to everything, and counts who came. */
async function serverThatSays(answer: string) {
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    socket.on('error', () => {});
    socket.on('data', () => socket.write(`${answer}\r\n`));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { hosts: [`127.0.0.1:${port}`], connections: () => connections };
}

describe('an error of the server', () => {
  it.each([
    ["-OOM command not allowed when used memory > 'maxmemory'.", 'throttled'],
    ['-BUSY Valkey is busy running a script.', 'throttled'],
    ['-TRYAGAIN Multiple keys request during rehashing of slot', 'throttled'],
    ['-ERR max number of clients reached', 'throttled'],
    ['-LOADING Valkey is loading the dataset in memory', 'unavailable'],
    ['-CLUSTERDOWN The cluster is down', 'unavailable'],
    ['-MASTERDOWN Link with MASTER is down', 'unavailable'],
    ["-READONLY You can't write against a read only replica.", 'unavailable'],
    ['-MISCONF Valkey is configured to save RDB snapshots', 'unavailable'],
    ['-NOAUTH Authentication required.', 'unavailable'],
    ["-NOPERM User reader has no permissions to run the 'evalsha' command", 'unsupported'],
    ["-ERR unknown command 'EVAL'", 'unsupported'],
    ['-MOVED 3999 127.0.0.1:6381', 'unsupported'],
    ["-CROSSSLOT Keys in request don't hash to the same slot", 'unsupported'],
    ['-WRONGTYPE Operation against a key holding the wrong kind of value', 'invalid'],
    ['-ERR value is not an integer or out of range', 'invalid'],
  ])('%s is %s', async (answer, expected) => {
    const { authorizationCodes, clock } = openWith({ ...(await serverThatSays(answer)) });
    const now = clock.now();
    const code = newCode(now);
    for (const call of [
      () => authorizationCodes.add(code, { now, attempt: newAttempt() }),
      () => authorizationCodes.find(code.digest, { now }),
    ]) {
      const error = await failure(call());
      expect([error.name, error.code]).toEqual(['StoreError', expected]);
      expect(error.message).not.toContain('127.0.0.1');
      expect(error.cause).toBeInstanceOf(Error);
      expect(error.cause).not.toHaveProperty('command');
    }
  });

  it('that sends a client of a cluster to and fro is that of a slot on its way', () => {
    const after = (reply: string) =>
      storeError(new Error(`Too many Cluster redirections. Last error: ReplyError: ${reply}`)).code;
    expect(after('MOVED 3999 127.0.0.1:6381')).toBe('unavailable');
    expect(after('ASK 3999 127.0.0.1:6381')).toBe('unavailable');
    expect(after('TRYAGAIN Multiple keys request during rehashing of slot')).toBe('throttled');
  });

  it('that it is a replica now makes the client connect anew, for the name may lead elsewhere', async () => {
    const server = await serverThatSays("-READONLY You can't write against a read only replica.");
    const { authorizationCodes, clock } = openWith(server);
    const now = clock.now();
    await failure(authorizationCodes.add(newCode(now), { now, attempt: newAttempt() }));
    expect(server.connections()).toBe(2);
  });

  it('that a password is wrong reaches the caller, without the password', async () => {
    const server = await serverThatSays('-WRONGPASS invalid username-password pair or user is disabled.');
    for (const cluster of [false, true]) {
      const { authorizationCodes, clock } = openWith({ ...server, cluster, user: 'me', password: 'secret word' });
      const error = await failure(authorizationCodes.find(newDigest(), { now: clock.now() }));
      expect(error.code).toBe('unavailable');
      expect(String(error.cause)).toContain('WRONGPASS');
      expect(`${error.message} ${error.cause}`).not.toContain('secret word');
    }
  });
});

it('a host may be a name, an address of either kind, with or without a port', async () => {
  for (const host of ['127.0.0.1:1', 'localhost:1', '[::1]:1', '127.0.0.1', '::1']) {
    const { authorizationCodes, clock } = openWith({ hosts: [host] });
    const error = await failure(authorizationCodes.find(newDigest(), { now: clock.now() }));
    expect(String((error.cause as NodeJS.ErrnoException).code)).toMatch(/ECONNREFUSED|EADDRNOTAVAIL/);
  }
});

describeOn(given)('on a server', () => {
  const nodes = nodesOf(given ?? {});
  afterAll(() => {
    for (const node of nodes) node.disconnect();
  });
  const primaries: typeof nodes = [];
  beforeAll(async () => {
    for (const node of nodes) if ((await node.role())[0] === 'master') primaries.push(node);
  });
  /** Every key, with how many milliseconds it has left: -1 for ever. */
  const keysLeft = async (): Promise<Map<string, number>> => {
    const left = new Map<string, number>();
    for (const node of primaries) {
      for (const key of await node.keys('*')) left.set(key, await node.pttl(key));
    }
    return left;
  };
  const empty = () => Promise.all(primaries.map((node) => node.flushall('SYNC')));
  const settings = { ...given };

  it('every key ends, but those of an artifact without an end', async () => {
    await empty();
    const engine = openWith(settings);
    const { clock, accessTokens, authorizationCodes, artifacts, clientAccessTokens } = engine;
    const now = clock.now();
    const foreign = { foreign: true };
    const { grant, refreshKey } = await issue(engine, {
      refresh: foreign,
      access: { ...foreign, data: Buffer.alloc(2000) },
    });
    await rotate(accessTokens, grant, refreshKey, newSuccessor(now), { now });
    await accessTokens.revokeGrant(newGrant(now).grantId, { now, retainUntil: now + HOUR });
    await accessTokens.revokeBy({ consentId: newName('consent') }, { nowMs: clock.nowMs(), retainUntil: now + HOUR });
    await authorizationCodes.add(newCode(now), { now, attempt: newAttempt() });
    await artifacts.put(newArtifact(now, { uid: newDigest(), userCode: newDigest(), consentId: 'c' }), { now });
    await artifacts.putOnce(newArtifact(now, { kind: 'jti' }), { now, attempt: newAttempt() });
    await clientAccessTokens.put(newClientToken(now));
    const left = await keysLeft();
    expect(new Set([...left.keys()].map((key) => key[0]))).toEqual(new Set('{ifcawnt'));
    for (const [key, ms] of left) expect([key, ms > 0 && ms < 70 * DAY * 1000]).toEqual([key, true]);
    const { id, data } = newArtifact(now);
    await artifacts.put({ kind: 'Client', id, uid: newDigest(), consentId: 'c', data }, { now });
    await artifacts.put(newArtifact(now, { consentId: 'c' }), { now });
    const forEver = [...(await keysLeft())].filter(([, ms]) => ms === -1).map(([key]) => key[0]);
    expect(forEver.toSorted()).toEqual(['a', 'n', 'w']);
    expect(await artifacts.removeByConsent('c')).toBe(3);
  });

  it('a key that was to end later ends later, and one that was not does not', async () => {
    await empty();
    const engine = openWith(settings);
    const { clock, accessTokens } = engine;
    const now = clock.now();
    const { grant, refreshKey } = await issue(engine, { grant: { retainUntil: now + DAY } });
    const left = async () => [...(await keysLeft())].find(([key]) => key.startsWith('{'))?.[1] ?? 0;
    expect(Math.abs((await left()) - DAY * 1000 - 60_000)).toBeLessThan(5000);
    await accessTokens.revokeAccessOfGrant(grant.grantId, { now });
    expect(Math.abs((await left()) - DAY * 1000 - 60_000)).toBeLessThan(5000);
    const successor = newSuccessor(now, { retainUntil: now + 9 * DAY });
    await rotate(accessTokens, grant, refreshKey, successor, { now });
    expect(Math.abs((await left()) - 9 * DAY * 1000 - 60_000)).toBeLessThan(5000);
  });

  it('what is due by the caller’s clock is not there, although the server keeps it still', async () => {
    const engine = openWith(settings);
    const { clock, accessTokens, authorizationCodes, artifacts } = engine;
    const now = clock.now();
    const issued = await issue(engine, { grant: { retainUntil: now + DAY } });
    const code = newCode(now, { retainUntil: now + DAY });
    const artifact = newArtifact(now, { retainUntil: now + DAY, uid: newDigest() });
    const { subject = '' } = issued.grant;
    await authorizationCodes.add(code, { now, attempt: newAttempt() });
    await artifacts.put(artifact, { now });
    clock.advance(DAY - 1);
    expect((await accessTokens.listGrants({ subject }, { limit: 2 })).grants).toHaveLength(1);
    expect((await authorizationCodes.find(code.digest, { now })).outcome).toBe('active');
    clock.advance(1);
    expect(await accessOutcome(accessTokens, issued.accessKey, now)).toBe('unknown');
    expect((await accessTokens.listGrants({ subject }, { limit: 2 })).grants).toEqual([]);
    expect((await accessTokens.listAccess(issued.grant.grantId, { limit: 2 })).tokens).toEqual([]);
    expect(await accessTokens.revokeBy({ subject }, { nowMs: clock.nowMs(), retainUntil: clock.now() + 9 })).toBe(0);
    expect((await authorizationCodes.find(code.digest, { now })).outcome).toBe('unknown');
    expect(await authorizationCodes.remove(code.digest)).toBe(false);
    expect((await artifacts.findByUid(artifact.kind, artifact.uid ?? newDigest(), { now })).outcome).toBe('unknown');
    expect(await artifacts.remove(artifact.kind, artifact.id)).toBe(false);
  });

  it('access tokens that have no room in the record of their grant are found, listed, revoked and refused like the others', async () => {
    const engine = openWith(settings);
    const { clock, accessTokens } = engine;
    const now = clock.now();
    const { grant, refreshKey, access: first } = await issue(engine);
    const { grantId, retainUntil } = grant;
    const tokens = many(40, (index) =>
      newAccess(now, { expiresAt: now + HOUR + (index % 3), data: Buffer.alloc(index * 9, index) }),
    );
    const attempts = tokens.map(() => newAttempt());
    const add = (index: number, attempt = attempts[index] ?? newAttempt()) =>
      accessTokens.addAccess(grantId, tokens[index] ?? newAccess(now), { now, attempt, retainUntil });
    for (const index of tokens.keys()) expect(await add(index)).toBe('added');
    const successor = newSuccessor(now);
    expect((await rotate(accessTokens, grant, refreshKey, successor, { now })).outcome).toBe('rotated');
    const all = [first, ...tokens, successor.access];
    for (const access of all) {
      expect(await accessTokens.findAccess(keyOf(grant, access), { now })).toEqual({
        outcome: 'active',
        access,
        grant,
      });
    }
    for (const index of [0, 20, 39]) {
      expect(await add(index)).toBe('added');
      expect((await failure(add(index, newAttempt()))).code).toBe('conflict');
    }
    const seen: string[] = [];
    for (let after: string | undefined; ; ) {
      const page = await accessTokens.listAccess(grantId, { limit: 5, ...(after !== undefined && { after }) });
      seen.push(...page.tokens.map(({ digest }) => Buffer.from(digest).toString('hex')));
      if (page.next === undefined) break;
      after = page.next;
    }
    expect(seen.toSorted()).toEqual(all.map(({ digest }) => Buffer.from(digest).toString('hex')).toSorted());
    const [one = first, two = first] = tokens.slice(-2);
    for (const clientId of ['stranger', grant.clientId]) {
      expect(await accessTokens.revokeAccess(keyOf(grant, one), { now, clientId })).toBe(clientId !== 'stranger');
    }
    expect(await accessTokens.revokeAccess(keyOf(grant, one), { now })).toBe(false);
    expect(await accessTokens.revokeAccess({ digest: newDigest(), grantId }, { now })).toBe(false);
    expect(await accessOutcome(accessTokens, keyOf(grant, one), now)).toBe('revoked');
    expect(await accessOutcome(accessTokens, keyOf(grant, two), now)).toBe('active');
    await accessTokens.revokeAccessOfGrant(grantId, { now: now + 1 });
    for (const access of all) expect(await accessOutcome(accessTokens, keyOf(grant, access), now)).toBe('revoked');
    for (const access of [two, first])
      expect(await accessTokens.revokeAccess(keyOf(grant, access), { now })).toBe(false);
    const later = newAccess(now + 2);
    expect(await accessTokens.addAccess(grantId, later, { now, attempt: newAttempt(), retainUntil })).toBe('added');
    expect(await accessOutcome(accessTokens, keyOf(grant, later), now)).toBe('active');
  });

  it('a short access token with the digest of a long one, which has no room in the record, is refused as conflict', async () => {
    const engine = openWith(settings);
    const { clock, accessTokens } = engine;
    const now = clock.now();
    const { grant } = await issue(engine);
    const { grantId, retainUntil } = grant;
    const long = newAccess(now, { data: Buffer.alloc(2000) });
    const add = (access: typeof long) =>
      accessTokens.addAccess(grantId, access, { now, attempt: newAttempt(), retainUntil });
    expect(await add(long)).toBe('added');
    expect((await failure(add(newAccess(now, { digest: long.digest })))).code).toBe('conflict');
    expect(await accessTokens.findAccess(keyOf(grant, long), { now })).toEqual({
      outcome: 'active',
      access: long,
      grant,
    });
  });

  it('access tokens that have long expired make room', async () => {
    const engine = openWith(settings);
    const { clock, accessTokens } = engine;
    const { grant } = await issue(engine);
    for (let turn = 0; turn < 60; turn += 1) {
      const now = clock.now();
      const access = newAccess(now, { expiresAt: now + 60 });
      const options = { now, attempt: newAttempt(), retainUntil: grant.retainUntil };
      await accessTokens.addAccess(grant.grantId, access, options);
      expect(await accessOutcome(accessTokens, keyOf(grant, access), now)).toBe('active');
      clock.advance(60);
      expect(await accessOutcome(accessTokens, keyOf(grant, access), now + 60)).toBe('expired');
    }
    const { tokens } = await accessTokens.listAccess(grant.grantId, { limit: 100 });
    expect(tokens.length).toBeLessThan(12);
    const own = [...(await keysLeft()).keys()].filter((key) =>
      key.startsWith(`{${Buffer.from(grant.grantId).toString('base64url')}}`),
    );
    expect(own).toHaveLength(1);
  });

  it('a grant that is kept beyond its pointers gets new ones: a listing under way shows it once, and a revocation finds it', async () => {
    const engine = openWith(settings);
    const { clock, accessTokens } = engine;
    const now = clock.now();
    const subject = newName('subject');
    const all = await Promise.all(many(9, () => issue(engine, { grant: { subject } })));
    const first = await accessTokens.listGrants({ subject }, { limit: 4 });
    const moved = new Map<string, ReturnType<typeof keyOf>>();
    for (const { grant, refreshKey } of all) {
      const successor = newSuccessor(now, { retainUntil: now + 90 * DAY });
      await rotate(accessTokens, grant, refreshKey, successor, { now });
      moved.set(Buffer.from(grant.grantId).toString('hex'), keyOf(grant, successor.access));
    }
    const rest = await accessTokens.listGrants({ subject }, { limit: 9, ...(first.next && { after: first.next }) });
    const shown = [...first.grants, ...rest.grants].map(({ grant }) => Buffer.from(grant.grantId).toString('hex'));
    expect(shown.toSorted()).toEqual([...moved.keys()].toSorted());
    clock.advance(70 * DAY);
    // The pointers of the beginning go with the next one that comes.
    await issue(engine, { grant: { subject, retainUntil: clock.now() + 1 } });
    const anew = await accessTokens.listGrants({ subject }, { limit: 20 });
    expect(anew.grants).toHaveLength(10);
    const nowMs = clock.nowMs();
    expect(await accessTokens.revokeBy({ subject }, { nowMs, retainUntil: clock.now() + DAY })).toBe(10);
    for (const key of moved.values()) expect(await accessOutcome(accessTokens, key, now)).toBe('revoked');
  });

  it('of the revocations that concern a grant, by whatever selectors, the last one bars it', async () => {
    const engine = openWith(settings);
    const { clock, accessTokens } = engine;
    const [subject, clientId] = [newName('subject'), newName('client')];
    const nowMs = clock.nowMs();
    const retainUntil = clock.now() + DAY;
    for (const [early, late] of [
      [{ subject }, { subject, clientId }],
      [{ clientId, subject: newName('subject') }, { clientId }],
    ]) {
      await accessTokens.revokeBy(early ?? {}, { nowMs: nowMs - 1000, retainUntil });
      await accessTokens.revokeBy(late ?? {}, { nowMs, retainUntil });
      const grant = newGrant(clock.now(), { clientId, subject });
      const options = { now: clock.now(), attempt: newAttempt(), authorizedAtMs: nowMs - 500 };
      expect(await accessTokens.persist({ grant }, options)).toBe('barred');
    }
  });

  it('pointers of grants that are gone are taken away by those that come', async () => {
    await empty();
    const engine = openWith(settings);
    const { clock } = engine;
    const now = clock.now();
    const subject = newName('subject');
    const count = async () => {
      let members = 0;
      for (const node of primaries) for (const key of await node.keys('is*')) members += await node.zcard(key);
      return members;
    };
    for (let turn = 0; turn < 25; turn += 1) await issue(engine, { grant: { subject, retainUntil: now + DAY } });
    expect(await count()).toBe(25);
    clock.advance(60 * DAY);
    for (let turn = 0; turn < 3; turn += 1) await issue(engine, { grant: { subject } });
    expect(await count()).toBe(3);
  });

  it('a foreign digest can be taken when the grant that it led to is gone, and not before', async () => {
    const engine = openWith(settings);
    const { clock } = engine;
    const foreign = { foreign: true };
    const { refresh } = await issue(engine, { grant: { retainUntil: clock.now() + DAY }, refresh: foreign });
    clock.advance(DAY - 1);
    const again = () => issue(engine, { refresh: { ...foreign, digest: refresh.digest } });
    expect((await failure(again())).code).toBe('conflict');
    clock.advance(1);
    const { grant } = await again();
    const found = await engine.accessTokens.findRefresh({ digest: refresh.digest }, { now: clock.now() });
    expect('grant' in found && found.grant).toEqual(grant);
  });

  it('scripts that a server has forgotten are sent again', async () => {
    const engine = openWith(settings);
    const { grant, refreshKey } = await issue(engine);
    const now = engine.clock.now();
    const first = newSuccessor(now);
    await rotate(engine.accessTokens, grant, refreshKey, first, { now });
    for (const node of primaries) await node.script('FLUSH');
    const next = await rotate(engine.accessTokens, grant, keyOf(grant, first.refresh), newSuccessor(now), { now });
    expect(next.outcome).toBe('rotated');
  });

  describe('the limits of the cache', () => {
    const left = async (letter: string) =>
      [...(await keysLeft())].filter(([key]) => key.startsWith(letter)).map(([, ms]) => Math.round(ms / 1000));

    it('timeToLiveSeconds ends an element whenever it was last used, but nothing that guards against replay', async () => {
      await empty();
      const engine = openWith({ ...settings, timeToLiveSeconds: 100 });
      const { clock, accessTokens, authorizationCodes, artifacts } = engine;
      const now = clock.now();
      const issued = await issue(engine);
      const code = newCode(now);
      const artifact = newArtifact(now);
      await authorizationCodes.add(code, { now, attempt: newAttempt() });
      await artifacts.put(artifact, { now });
      for (const letter of '{ca') for (const seconds of await left(letter)) expect(seconds).toBeLessThanOrEqual(100);
      await rotate(accessTokens, issued.grant, issued.refreshKey, newSuccessor(now, { retainUntil: now + 35 * DAY }), {
        now,
      });
      expect((await left('{')).every((seconds) => seconds <= 100)).toBe(true);
      await accessTokens.revokeGrant(issued.grant.grantId, { now, retainUntil: now });
      await authorizationCodes.redeem(code.digest, { binding: code.binding, now, attempt: newAttempt() });
      await artifacts.consume(artifact.kind, artifact.id, { now, attempt: newAttempt() });
      for (const letter of '{ca') for (const seconds of await left(letter)) expect(seconds).toBeGreaterThan(DAY - 5);
      await artifacts.put(newArtifact(now, { id: artifact.id }), { now });
      for (const seconds of await left('a')) expect(seconds).toBeGreaterThan(DAY - 5);
    });

    it('timeToIdleSeconds ends an element that nobody uses: each use, a lookup too, gives it as long again', async () => {
      await empty();
      const engine = openWith({ ...settings, timeToIdleSeconds: 100 });
      const { clock, accessTokens, authorizationCodes } = engine;
      const now = clock.now();
      const { grant, accessKey, refreshKey } = await issue(engine);
      const wait = async () => {
        for (const node of primaries) for (const key of await node.keys('{*')) await node.pexpire(key, 20_000);
        expect((await left('{')).every((seconds) => seconds <= 20)).toBe(true);
      };
      expect((await left('{')).every((seconds) => seconds > 95 && seconds <= 100)).toBe(true);
      const uses = [
        () => accessTokens.findAccess(accessKey, { now }),
        () => accessTokens.findRefresh(refreshKey, { now }),
        () => accessTokens.addAccess(grant.grantId, newAccess(now), { now, attempt: newAttempt(), retainUntil: now }),
        () => accessTokens.revokeAccess(accessKey, { now }),
        () => rotate(accessTokens, grant, refreshKey, newSuccessor(now), { now }),
      ];
      for (const use of uses) {
        await wait();
        await use();
        expect((await left('{')).every((seconds) => seconds > 95 && seconds <= 100)).toBe(true);
      }
      await accessTokens.revokeGrant(grant.grantId, { now, retainUntil: now });
      expect((await left('{')).every((seconds) => seconds > DAY)).toBe(true);
      await accessTokens.findAccess(accessKey, { now });
      expect((await left('{')).every((seconds) => seconds > DAY)).toBe(true);
      const code = newCode(now);
      await authorizationCodes.add(code, { now, attempt: newAttempt() });
      await authorizationCodes.redeem(code.digest, { binding: code.binding, now, attempt: newAttempt() });
      await authorizationCodes.find(code.digest, { now });
      expect((await left('c')).every((seconds) => seconds > DAY - 5)).toBe(true);
    });

    it('a server that is full refuses what comes as throttled, ends what is to be ended, and finds what is there', async () => {
      const engine = openWith(settings);
      const { clock, accessTokens } = engine;
      const now = clock.now();
      const [one, two, three] = [await issue(engine), await issue(engine), await issue(engine)];
      const limit = (bytes: number) =>
        Promise.all(primaries.map((node) => node.config('SET', 'maxmemory', String(bytes))));
      await limit(1);
      try {
        expect((await failure(issue(engine))).code).toBe('throttled');
        expect((await failure(rotate(accessTokens, one.grant, one.refreshKey, newSuccessor(now), { now }))).code).toBe(
          'throttled',
        );
        expect(await accessOutcome(accessTokens, one.accessKey, now)).toBe('active');
        expect(await accessTokens.revokeAccess(one.accessKey, { now })).toBe(true);
        expect(await accessTokens.revokeRefresh(two.refreshKey, { now })).toBe(true);
        const { clientId } = three.grant;
        expect(await accessTokens.revokeBy({ clientId }, { nowMs: clock.nowMs(), retainUntil: now + DAY })).toBe(1);
        for (const { accessKey } of [one, two, three]) {
          expect(await accessOutcome(accessTokens, accessKey, now)).toBe('revoked');
        }
      } finally {
        await limit(0);
      }
    });
  });

  describe('a user with a password', () => {
    const user = 'tester';
    const grantUser = (password: string) =>
      Promise.all(
        nodes.map((node) => node.call('ACL', 'SETUSER', user, 'reset', 'on', `>${password}`, '~*', '&*', '+@all')),
      );
    const connections = async () => {
      const lists = await Promise.all(nodes.map((node) => node.client('LIST') as Promise<string>));
      return lists.flatMap((list) => list.split('\n')).filter((line) => line.includes(`user=${user}`)).length;
    };
    afterAll(() => Promise.all(nodes.map((node) => node.call('ACL', 'DELUSER', user))));

    it('is let in with the right one, and not with another', async () => {
      await grantUser('right');
      const good = openWith({ ...settings, user, password: 'right' });
      await issue(good);
      expect(await connections()).toBeGreaterThan(0);
      const bad = openWith({ ...settings, user, password: 'wrong' });
      const error = await failure(issue(bad));
      expect([error.code, String(error.cause).includes('WRONGPASS')]).toEqual(['unavailable', true]);
    });

    it('that may not run scripts is refused as unsupported', async () => {
      await Promise.all(
        nodes.map((node) =>
          node.call('ACL', 'SETUSER', user, 'reset', 'on', '>right', '~*', '+@all', '-eval', '-evalsha'),
        ),
      );
      const error = await failure(issue(openWith({ ...settings, user, password: 'right' })));
      expect(error.code).toBe('unsupported');
    });
  });

  describe('ways that lead elsewhere', () => {
    const base64url = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url');
    /** The primary that a key is on, and what it holds. */
    const holding = async (key: string) => {
      for (const node of primaries) {
        const bytes = await node.getBuffer(key).catch(() => null);
        if (bytes) return { node, bytes };
      }
      return expect.fail(`no ${key}`);
    };

    it('a second grant of an id that is refused leaves no way from a foreign digest, nor takes that of the first', async () => {
      const engine = openWith(settings);
      const { accessTokens, clock } = engine;
      const now = clock.now();
      const { grant, refresh } = await issue(engine, { refresh: { foreign: true } });
      const other = newRefresh(now, { foreign: true });
      const again = (refresh: typeof other) => accessTokens.persist({ grant, refresh }, { now, attempt: newAttempt() });
      expect((await failure(again(other))).code).toBe('conflict');
      expect(await accessTokens.findRefresh({ digest: other.digest }, { now })).toEqual({ outcome: 'unknown' });
      // As if the first had come between the two steps of the second.
      const way = `f${base64url(refresh.digest)}`;
      await (await holding(way)).node.del(way);
      expect((await failure(again(refresh))).code).toBe('conflict');
      expect((await accessTokens.findRefresh({ digest: refresh.digest }, { now })).outcome).toBe('active');
    });

    it('a way to an artifact that does not name it leads nowhere', async () => {
      const { artifacts, clock } = openWith(settings);
      const now = clock.now();
      const artifact = newArtifact(now, { uid: newDigest() });
      await artifacts.put(artifact, { now });
      const uid = artifact.uid ?? newDigest();
      const { node, bytes } = await holding(`wi${base64url(uid)}:Session`);
      await artifacts.put({ ...artifact, uid: newDigest() }, { now });
      await node.set(`wi${base64url(uid)}:Session`, bytes);
      expect(await artifacts.findByUid('Session', uid, { now })).toEqual({ outcome: 'unknown' });
    });

    it('an artifact that was put anew meanwhile keeps the way that is taken from it as it was', async () => {
      const { artifacts, clock } = openWith(settings);
      const now = clock.now();
      const artifact = newArtifact(now, { uid: newDigest() });
      const { uid = newDigest() } = artifact;
      await artifacts.put(artifact, { now });
      const { node, bytes } = await holding(`wi${base64url(uid)}:Session`);
      await artifacts.put(artifact, { now });
      await node.set(`wi${base64url(uid)}:Session`, bytes);
      await artifacts.put(newArtifact(now, { uid }), { now });
      expect(await artifacts.find('Session', artifact.id, { now })).toEqual({ outcome: 'active', artifact });
    });
  });

  describeOn(process.env.VALKEY_FETCHED)('with TLS', () => {
    let port = 0;
    let ca = '';
    let stop = async () => {};
    beforeAll(async () => {
      const folder = await createScratchFolder('certificates');
      const file = (name: string) => join(folder.path, name);
      const certificate = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
      const subject = ['-subj', '/CN=cache.test', '-addext', 'subjectAltName=DNS:cache.test'];
      await run(['openssl', 'req', ...certificate, ...subject, '-keyout', file('key.pem'), '-out', file('cert.pem')]);
      ca = readFileSync(file('cert.pem'), 'utf8');
      await giveToServers(folder.path);
      const plain = await findFreePort();
      port = await findFreePort();
      const tls = ['--tls-port', String(port), '--tls-auth-clients', 'no'];
      const files = [
        '--tls-cert-file',
        file('cert.pem'),
        '--tls-key-file',
        file('key.pem'),
        '--tls-ca-cert-file',
        file('cert.pem'),
      ];
      const node = await startNode(plain, folder.path, '--save', '', ...tls, ...files);
      stop = () => node.stop().then(folder.remove);
    });
    afterAll(() => stop());

    it('a server whose certificate is trusted and carries its name is talked to, and no other', async () => {
      const open = (tls: NonNullable<ValkeySettings['tls']>) => openWith({ hosts: [`127.0.0.1:${port}`], tls });
      const good = open({ ca, servername: 'cache.test' });
      const { accessKey } = await issue(good);
      expect(await accessOutcome(good.accessTokens, accessKey, good.clock.now())).toBe('active');
      for (const [tls, reason] of [
        [{ servername: 'cache.test' }, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
        [{ ca, servername: 'other.test' }, 'ERR_TLS_CERT_ALTNAME_INVALID'],
        [{ ca }, 'ERR_TLS_CERT_ALTNAME_INVALID'],
      ] as const) {
        const error = await failure(issue(open(tls)));
        expect([error.code, (error.cause as NodeJS.ErrnoException).code]).toEqual(['unavailable', reason]);
      }
    });
  });

  it('a purge says what the server has not swept yet, of all that ends', async () => {
    const engine = openWith(settings);
    const report = await engine.accessTokens.purgeExpired({ now: engine.clock.now(), limit: 10 });
    expect(report).toEqual({
      removed: {},
      more: false,
      backlog: { records: expect.any(Number), precision: 'estimated' },
    });
    expect(report.backlog.records).toBeGreaterThanOrEqual(0);
  });

  it('refuses a selector of nothing, and a page that is not the next of another', async () => {
    const { accessTokens, clock } = openWith(settings);
    const options = { nowMs: clock.nowMs(), retainUntil: clock.now() };
    expect((await failure(accessTokens.revokeBy({}, options))).code).toBe('invalid');
    expect((await failure(accessTokens.listGrants({}, { limit: 1 }))).code).toBe('invalid');
    expect((await failure(accessTokens.listGrants({ subject: 's' }, { limit: 1, after: 'x' }))).code).toBe('invalid');
  });

  it('a rotation to a foreign refresh token that is refused leaves no way to it', async () => {
    const engine = openWith(settings);
    const { accessTokens, clock } = engine;
    const now = clock.now();
    const { grant, refreshKey } = await issue(engine);
    const foreign = newRefresh(now, { foreign: true });
    const successor = newSuccessor(now, { refresh: foreign });
    const outcome = await rotate(accessTokens, grant, refreshKey, successor, { now, clientId: 'stranger' });
    expect(outcome.outcome).toBe('mismatched');
    expect(await accessTokens.findRefresh({ digest: foreign.digest }, { now })).toEqual({ outcome: 'unknown' });
  });
});
