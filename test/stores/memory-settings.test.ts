import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createQueue, newEntry } from '../../functions/stores/memory/queue.ts';
import { forget, type Member, membersAfter, newSeries, pageOf, sizeOf } from '../../functions/stores/memory/series.ts';
import { createEngine, type MemorySettings } from '../../functions/stores/memory.ts';
import { createVirtualClock } from '../conformance/index.ts';
import {
  accessOutcome,
  errorCode,
  HOUR,
  issue,
  newAccess,
  newArtifact,
  newAttempt,
  newClientToken,
  newCode,
  newGrant,
  newRefresh,
  newSuccessor,
  rotate,
} from '../conformance/records.ts';

const open = (settings: MemorySettings) => {
  const clock = createVirtualClock(1_800_000_000_000);
  return { ...createEngine(settings, clock.nowMs), clock };
};
type Opened = ReturnType<typeof open>;

/** The ways to store an element, each giving how to use it: whether it is still there. */
const kinds: ((engine: Opened) => Promise<() => Promise<boolean>>)[] = [
  async ({ authorizationCodes, clock }) => {
    const code = newCode(clock.now());
    await authorizationCodes.add(code, { now: clock.now(), attempt: newAttempt() });
    return async () => (await authorizationCodes.find(code.digest, { now: clock.now() })).outcome !== 'unknown';
  },
  async (engine) => {
    const { accessKey } = await issue(engine);
    return async () => (await accessOutcome(engine.accessTokens, accessKey, engine.clock.now())) !== 'unknown';
  },
  async ({ artifacts, clock }) => {
    const artifact = newArtifact(clock.now());
    await artifacts.put(artifact, { now: clock.now() });
    return async () => (await artifacts.find(artifact.kind, artifact.id, { now: clock.now() })).outcome !== 'unknown';
  },
  async ({ clientAccessTokens, clock }) => {
    const token = newClientToken(clock.now());
    await clientAccessTokens.put(token);
    return async () => (await clientAccessTokens.get(token.clientId, token.key, { now: clock.now() })) !== undefined;
  },
];
const store = (engine: Opened, kind: number) => kinds[kind % kinds.length]?.(engine) ?? Promise.reject(kind);

/** Ways to leave a mark against replay that is due at `retainUntil`, each giving whether it is remembered. */
const marks: ((engine: Opened, retainUntil: number) => Promise<() => Promise<boolean>>)[] = [
  async ({ authorizationCodes, clock }, retainUntil) => {
    const now = clock.now();
    const code = newCode(now, { retainUntil });
    const { digest, binding } = code;
    await authorizationCodes.add(code, { now, attempt: newAttempt() });
    await authorizationCodes.redeem(digest, { binding, now, attempt: newAttempt() });
    const replay = () => authorizationCodes.redeem(digest, { binding, now: clock.now(), attempt: newAttempt() });
    return async () => (await replay()).outcome === 'replayed';
  },
  async ({ artifacts, clock }, retainUntil) => {
    const artifact = newArtifact(clock.now(), { kind: 'jti', expiresAt: retainUntil, retainUntil });
    await artifacts.putOnce(artifact, { now: clock.now(), attempt: newAttempt() });
    return async () => (await artifacts.find('jti', artifact.id, { now: clock.now() })).outcome !== 'unknown';
  },
  async ({ artifacts, clock }, retainUntil) => {
    const artifact = newArtifact(clock.now(), { expiresAt: retainUntil, retainUntil });
    const { kind, id } = artifact;
    await artifacts.put(artifact, { now: clock.now() });
    await artifacts.consume(kind, id, { now: clock.now(), attempt: newAttempt() });
    return async () => 'consumedAt' in (await artifacts.find(kind, id, { now: clock.now() }));
  },
  async ({ artifacts, clock }, retainUntil) => {
    const artifact = newArtifact(clock.now(), { expiresAt: retainUntil, retainUntil });
    const { kind, id } = artifact;
    await artifacts.put(artifact, { now: clock.now() });
    await artifacts.consume(kind, id, { now: clock.now(), attempt: newAttempt() });
    await artifacts.put(artifact, { now: clock.now() });
    return async () => 'consumedAt' in (await artifacts.find(kind, id, { now: clock.now() }));
  },
  async ({ accessTokens, clock }, retainUntil) => {
    const grant = newGrant(clock.now());
    await accessTokens.revokeGrant(grant.grantId, { now: clock.now(), retainUntil });
    const persist = () => accessTokens.persist({ grant }, { now: clock.now(), attempt: newAttempt() });
    return async () => (await persist()) === 'revoked';
  },
  async ({ accessTokens, clock }, retainUntil) => {
    const grant = newGrant(clock.now());
    const authorizedAtMs = clock.nowMs();
    await accessTokens.revokeBy({ clientId: grant.clientId }, { nowMs: authorizedAtMs, retainUntil });
    const persist = () => accessTokens.persist({ grant }, { now: clock.now(), attempt: newAttempt(), authorizedAtMs });
    return async () => (await persist()) === 'barred';
  },
];

describe('capacity', () => {
  // What the policies mean, by the plainest means: a list of the elements that are left, and a victim picked from it.
  interface Modelled {
    readonly use: () => Promise<boolean>;
    readonly stored: number;
    used: number;
    uses: number;
  }
  const byPolicy: Record<NonNullable<MemorySettings['evictionPolicy']>, (one: Modelled, other: Modelled) => number> = {
    LRU: (one, other) => one.used - other.used,
    LFU: (one, other) => one.uses - other.uses || one.used - other.used,
    FIFO: (one, other) => one.stored - other.stored,
  };

  test.each(['LRU', 'LFU', 'FIFO'] as const)(
    '%s evicts the elements that its name says, of all kinds together',
    async (evictionPolicy) => {
      const step = fc.oneof(fc.record({ store: fc.nat(3) }), fc.record({ use: fc.nat(40) }));
      await fc.assert(
        fc.asyncProperty(
          fc.integer({ min: 1, max: 8 }),
          fc.array(step, { maxLength: 60 }),
          async (maxElements, steps) => {
            const engine = open({ maxElements, evictionPolicy });
            const all: Modelled[] = [];
            const left: Modelled[] = [];
            for (const [tick, step] of steps.entries()) {
              if ('store' in step) {
                if (left.length === maxElements)
                  left.splice(left.indexOf(left.toSorted(byPolicy[evictionPolicy])[0] as Modelled), 1);
                const element = { use: await store(engine, step.store), stored: tick, used: tick, uses: 0 };
                all.push(element);
                left.push(element);
                continue;
              }
              const element = all[step.use % Math.max(all.length, 1)];
              if (!element) continue;
              expect(await element.use()).toBe(left.includes(element));
              element.used = tick;
              element.uses += 1;
            }
            for (const element of all) expect(await element.use()).toBe(left.includes(element));
          },
        ),
        { numRuns: 150 },
      );
    },
  );

  test('an evicted grant ends with all its tokens and with every way to them', async () => {
    const engine = open({ maxElements: 1 });
    const { accessTokens, clock } = engine;
    const now = clock.now();
    const { grant, refresh, access, refreshKey, accessKey } = await issue(engine, {
      grant: { applicationId: 'application', consentId: 'consent' },
      refresh: { foreign: true },
      access: { foreign: true },
    });
    const further = newAccess(now);
    const options = { now, attempt: newAttempt(), retainUntil: grant.retainUntil };
    await accessTokens.addAccess(grant.grantId, further, options);
    const successor = newSuccessor(now, { refresh: newRefresh(now, { foreign: true }) });
    await rotate(accessTokens, grant, refreshKey, successor, { now });

    const other = newGrant(now);
    const write = { grant: other, refresh, access };
    expect(await errorCode(accessTokens.persist(write, { now, attempt: newAttempt() }))).toBe('conflict');
    await store(engine, 0);
    for (const key of [accessKey, { digest: further.digest, grantId: grant.grantId }]) {
      expect(await accessOutcome(accessTokens, key, now)).toBe('unknown');
    }
    for (const { digest } of [refresh, successor.refresh as typeof refresh]) {
      expect(await accessTokens.findRefresh({ digest }, { now })).toEqual({ outcome: 'unknown' });
      expect(await rotate(accessTokens, grant, { digest }, newSuccessor(now), { now })).toEqual({ outcome: 'unknown' });
    }
    expect(await accessTokens.addAccess(grant.grantId, newAccess(now), options)).toBe('unknown');
    for (const selector of [{ clientId: grant.clientId }, { applicationId: 'application' }, { consentId: 'consent' }]) {
      expect(await accessTokens.listGrants(selector, { limit: 9 })).toEqual({ grants: [] });
    }
    expect(await accessTokens.persist(write, { now, attempt: newAttempt() })).toBe('persisted');
    expect(await accessOutcome(accessTokens, { digest: access.digest }, now)).toBe('active');
  });

  test('an evicted artifact takes its ways in along, and not those that another one has taken over', async () => {
    const engine = open({ maxElements: 2, evictionPolicy: 'FIFO' });
    const { artifacts, clock } = engine;
    const now = clock.now();
    const [uid, userCode] = [randomBytes(32), randomBytes(32)];
    const first = newArtifact(now, { uid, userCode, consentId: 'consent' });
    const second = newArtifact(now, { uid });
    await artifacts.put(first, { now });
    await artifacts.put(second, { now });
    await store(engine, 0);
    expect((await artifacts.find(first.kind, first.id, { now })).outcome).toBe('unknown');
    expect((await artifacts.findByUserCode(first.kind, userCode, { now })).outcome).toBe('unknown');
    expect(await artifacts.findByUid(first.kind, uid, { now })).toMatchObject({
      artifact: { id: second.id },
    });
    expect(await artifacts.removeByConsent('consent')).toBe(0);
    await artifacts.put({ ...second, uid: randomBytes(32) }, { now });
    expect((await artifacts.findByUid(first.kind, uid, { now })).outcome).toBe('unknown');
  });

  test('to store an element in place of itself evicts nothing, also in a full cache of marks', async () => {
    const { accessTokens, artifacts, clientAccessTokens, clock } = open({ maxElements: 2 });
    const now = clock.now();
    const artifact = newArtifact(now);
    await artifacts.putOnce(artifact, { now, attempt: newAttempt() });
    const token = newClientToken(now);
    await clientAccessTokens.put(token);
    for (let time = 0; time < 3; time += 1) {
      await clientAccessTokens.put(token);
      await artifacts.put(artifact, { now });
    }
    expect(await clientAccessTokens.get(token.clientId, token.key, { now })).toBeDefined();
    expect((await artifacts.find(artifact.kind, artifact.id, { now })).outcome).toBe('active');
    for (const { grantId } of [newGrant(now), newGrant(now)]) {
      await accessTokens.revokeGrant(grantId, { now, retainUntil: now + HOUR });
    }
    await artifacts.put(artifact, { now });
    expect((await artifacts.find(artifact.kind, artifact.id, { now })).outcome).toBe('active');
  });

  test('what is due leaves before anything that is not', async () => {
    const engine = open({ maxElements: 2 });
    const { authorizationCodes, clock } = engine;
    const isThere = await store(engine, 1);
    const code = newCode(clock.now(), { expiresAt: clock.now() + 60, retainUntil: clock.now() + 60 });
    await authorizationCodes.add(code, { now: clock.now(), attempt: newAttempt() });
    clock.advance(60);
    await store(engine, 3);
    expect(await isThere()).toBe(true);
    expect((await authorizationCodes.find(code.digest, { now: clock.now() })).outcome).toBe('unknown');
  });
});

describe('marks against replay', () => {
  test('no mark is lost before it is due, whatever else comes, idles or grows old', async () => {
    const steps = fc.array(fc.oneof(fc.record({ mark: fc.nat(5) }), fc.record({ store: fc.nat(3) })), {
      maxLength: 40,
    });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom('LRU', 'LFU', 'FIFO'), steps, async (evictionPolicy, steps) => {
        const engine = open({ maxElements: 12, timeToLiveSeconds: 20, timeToIdleSeconds: 10, evictionPolicy });
        const retainUntil = engine.clock.now() + HOUR;
        const remembered: (() => Promise<boolean>)[] = [];
        for (const step of steps) {
          const made =
            'mark' in step ? (marks[step.mark]?.(engine, retainUntil) ?? Promise.reject()) : store(engine, step.store);
          const use = await made.catch((error) => {
            expect(error).toMatchObject({ code: 'throttled', retryable: true });
            expect(remembered.length).toBeGreaterThanOrEqual(12);
          });
          if (use && 'mark' in step) remembered.push(use);
          engine.clock.advance(1);
        }
        engine.clock.advance(retainUntil - 1 - engine.clock.now());
        for (const isRemembered of remembered) expect(await isRemembered()).toBe(true);
      }),
      { numRuns: 150 },
    );
  });

  test.each(marks.map((mark, index) => ({ mark, index })))(
    'a cache full of marks refuses every new element, until the second in which one is due (mark $index)',
    async ({ mark }) => {
      const engine = open({ maxElements: 1 });
      const { accessTokens, artifacts, clock } = engine;
      const isRemembered = await mark(engine, clock.now() + 60);
      const before = engine.dump();
      const putOnce = () => artifacts.putOnce(newArtifact(clock.now()), { now: clock.now(), attempt: newAttempt() });
      clock.advance(59);
      for (const kind of kinds.keys()) expect(await errorCode(store(engine, kind))).toBe('throttled');
      expect(await errorCode(putOnce())).toBe('throttled');
      expect(engine.dump()).toEqual(before);
      expect(await isRemembered()).toBe(true);
      clock.advance(1);
      await store(engine, 1);
      expect(engine.dump()).not.toEqual(before);
      await accessTokens.revokeGrant(newGrant(clock.now()).grantId, {
        now: clock.now(),
        retainUntil: clock.now() + 60,
      });
    },
  );

  test('a revocation is never refused, and evicts rather than exceeds the maximum where it can', async () => {
    const engine = open({ maxElements: 2 });
    const { clock } = engine;
    const isThere = await store(engine, 0);
    const remembered = [];
    for (const [index, mark] of [...marks.slice(-2), ...marks.slice(-2)].entries()) {
      remembered.push(await mark(engine, clock.now() + 60));
      expect(await isThere()).toBe(index === 0);
    }
    for (const isRemembered of remembered) expect(await isRemembered()).toBe(true);
    expect(await errorCode(store(engine, 0))).toBe('throttled');
  });
});

describe('time to live and time to idle', () => {
  const isThereAfter = async (settings: MemorySettings, kind: number, gaps: number[]) => {
    const engine = open(settings);
    const use = await store(engine, kind);
    const seen = [];
    for (const gap of gaps) {
      engine.clock.advance(gap);
      seen.push(await use());
    }
    return seen;
  };

  test.each([...kinds.keys()])('end an element at the millisecond, used or not (kind %i)', async (kind) => {
    expect(await isThereAfter({ timeToLiveSeconds: 100 }, kind, [50, 49.999])).toEqual([true, true]);
    expect(await isThereAfter({ timeToLiveSeconds: 100 }, kind, [50, 50])).toEqual([true, false]);
    expect(await isThereAfter({ timeToIdleSeconds: 100 }, kind, [99.999, 99.999, 100])).toEqual([true, true, false]);
    const both = { timeToLiveSeconds: 150, timeToIdleSeconds: 100 };
    expect(await isThereAfter(both, kind, [99, 50, 1])).toEqual([true, true, false]);
    expect(await isThereAfter(both, kind, [100])).toEqual([false]);
    expect(await isThereAfter({ ...both, eternal: true }, kind, [500])).toEqual([true]);
  });

  test('expiry holds all the same in an eternal cache', async () => {
    const engine = open({ eternal: true });
    const { accessKey, access } = await issue(engine);
    expect(await accessOutcome(engine.accessTokens, accessKey, access.expiresAt - 1)).toBe('active');
    expect(await accessOutcome(engine.accessTokens, accessKey, access.expiresAt)).toBe('expired');
  });

  test.each([
    ['an element', async (engine: Opened) => void (await store(engine, 3))],
    ['a mark', async (engine: Opened) => void (await marks.at(-2)?.(engine, engine.clock.now() + HOUR))],
  ])('an element that has ended makes room for %s before any other goes', async (_, come) => {
    const engine = open({ maxElements: 2, timeToLiveSeconds: 10, evictionPolicy: 'LFU' });
    const use = await store(engine, 3);
    engine.clock.advance(9);
    await use();
    const isThere = await store(engine, 3);
    engine.clock.advance(1);
    await come(engine);
    expect(await isThere()).toBe(true);
  });

  test('an element that has ended is neither listed, counted nor revoked', async () => {
    const ended = async () => {
      const engine = open({ timeToIdleSeconds: 10 });
      const { grant } = await issue(engine);
      await engine.artifacts.put(newArtifact(engine.clock.now(), { consentId: 'consent' }), {
        now: engine.clock.now(),
      });
      engine.clock.advance(10);
      return { ...engine, selector: { clientId: grant.clientId } };
    };
    const listed = await ended();
    expect(await listed.accessTokens.listGrants(listed.selector, { limit: 1 })).toEqual({ grants: [] });
    const removed = await ended();
    expect(await removed.artifacts.removeByConsent('consent')).toBe(0);
    const revoked = await ended();
    const options = { nowMs: revoked.clock.nowMs(), retainUntil: revoked.clock.now() + 1 };
    expect(await revoked.accessTokens.revokeBy(revoked.selector, options)).toBe(0);
  });
});

describe('records', () => {
  const spoil = (value: unknown): void => {
    if (value instanceof Uint8Array) value.fill(0);
    else if (typeof value === 'object' && value !== null) for (const field of Object.values(value)) spoil(field);
  };
  const isFrozen = (value: unknown): boolean =>
    typeof value !== 'object' || value === null || value instanceof Uint8Array || Object.isFrozen(value);

  test('neither what a caller gave nor what he was given leads to what is stored', async () => {
    const { accessTokens, artifacts, authorizationCodes, clientAccessTokens, clock, dump } = open({});
    const now = clock.now();
    const attempt = newAttempt();
    const grant = newGrant(now);
    const refresh = newRefresh(now, { sender: randomBytes(32) });
    const [access, code, artifact, token] = [newAccess(now), newCode(now), newArtifact(now), newClientToken(now)];
    const successor = newSuccessor(now);
    const key = { digest: Buffer.from(successor.refresh.digest), grantId: Buffer.from(grant.grantId) };
    const retired = { ...key, digest: Buffer.from(refresh.digest) };
    const options = { now, clientId: grant.clientId, sender: Buffer.from(refresh.sender ?? ''), graceSeconds: 10 };
    const paths = {
      code: Buffer.from(code.digest),
      artifact: Buffer.from(artifact.id),
      access: Buffer.from(access.digest),
    };
    const given: unknown[] = [attempt, grant, refresh, access, code, artifact, token, successor];
    await accessTokens.persist({ grant, refresh, access }, { now, attempt });
    await authorizationCodes.add(code, { now, attempt });
    await artifacts.put(artifact, { now });
    await clientAccessTokens.put(token);
    given.push(await accessTokens.rotate(retired, successor, { ...options, attempt }));
    const stored = dump();
    given.forEach(spoil);
    expect(dump()).toEqual(stored);

    const answers = [
      await accessTokens.rotate(retired, newSuccessor(now), { ...options, attempt: newAttempt() }),
      await accessTokens.findRefresh(key, { now }),
      await accessTokens.findAccess({ ...key, digest: paths.access }, { now }),
      ...(await accessTokens.listGrants({ clientId: grant.clientId }, { limit: 1 })).grants,
      ...(await accessTokens.listAccess(key.grantId, { limit: 2 })).tokens,
      await authorizationCodes.find(paths.code, { now }),
      await artifacts.find(artifact.kind, paths.artifact, { now }),
      await clientAccessTokens.get(token.clientId, token.key, { now }),
    ];
    expect(answers).toHaveLength(9);
    for (const answer of answers) expect(Object.values(answer ?? {}).every(isFrozen)).toBe(true);
    answers.forEach(spoil);
    expect(dump()).toEqual(stored);
  });

  test('a selector that names nothing and a page that nobody handed out are invalid', async () => {
    const { accessTokens, clock } = open({});
    const options = { nowMs: clock.nowMs(), retainUntil: clock.now() };
    expect(await errorCode(accessTokens.revokeBy({}, options))).toBe('invalid');
    expect(await errorCode(accessTokens.listGrants({}, { limit: 1 }))).toBe('invalid');
    expect(await errorCode(accessTokens.listGrants({ subject: 'alice' }, { limit: 1, after: 'x' }))).toBe('invalid');
  });
});

describe('work', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  test('a queue gives its entries in order, wherever they were moved or taken out', () => {
    const operation = fc.tuple(fc.nat(30), fc.option(fc.tuple(fc.nat(9), fc.nat(9))));
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 120 }), (operations) => {
        const queue = createQueue<number>();
        const entries = Array.from({ length: 31 }, (_, item) => newEntry(item));
        const queued = new Map<number, [rank: number, tie: number]>();
        for (const [item, place] of operations) {
          const entry = entries[item] ?? newEntry(item);
          if (place) queued.set(item, place);
          else queued.delete(item);
          if (place) queue.put(entry, ...place);
          else queue.remove(entry);
        }
        const order = [...queued.values()].sort(([a, b], [c, d]) => a - c || b - d);
        const taken = [];
        for (let first = queue.first(); first; first = queue.first()) {
          taken.push([first.rank, first.tie]);
          queue.remove(first);
        }
        expect(taken).toEqual(order);
      }),
    );
  });

  test('pages of a series show every member that stays once, whatever comes and leaves between them', () => {
    const step = fc.record({ limit: fc.integer({ min: 1, max: 5 }), leave: fc.array(fc.nat(40)), come: fc.nat(5) });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), fc.array(step), (count, steps) => {
        const series = newSeries<Member>();
        const members = Array.from({ length: count }, (_, index) => ({ sequence: index + 1, gone: false }));
        series.members.push(...members);
        const shown: number[] = [];
        let page: { limit: number; after?: string } = { limit: 1 };
        for (const { limit, leave, come } of [...steps, { limit: 300, leave: [], come: 0 }]) {
          const { found, next } = pageOf(series, { ...page, limit }, ({ sequence }) => sequence % 3 !== 0);
          shown.push(...found.map(({ sequence }) => sequence));
          if (next === undefined) break;
          page = { limit, after: next };
          for (const member of leave.map((index) => members[index])) {
            if (!member || member.gone) continue;
            member.gone = true;
            forget(series);
          }
          for (let more = 0; more < come; more += 1) {
            const member = { sequence: members.length + 1, gone: false };
            members.push(member);
            series.members.push(member);
          }
        }
        expect(sizeOf(series)).toBe(members.filter(({ gone }) => !gone).length);
        expect(shown).toEqual([...new Set(shown)].sort((one, other) => one - other));
        const stayed = members.filter(({ gone, sequence }) => !gone && sequence % 3 !== 0);
        expect(shown).toEqual(expect.arrayContaining(stayed.map(({ sequence }) => sequence)));
      }),
    );
  });

  test('a series does not grow with what has left it', () => {
    const series = newSeries<Member>();
    let looked = 0;
    for (let sequence = 1; sequence <= 1000; sequence += 1) {
      const member = {
        sequence,
        left: false,
        get gone() {
          looked += 1;
          return this.left;
        },
      };
      series.members.push(member);
      member.left = sequence > 3;
      if (member.left) forget(series);
    }
    looked = 0;
    expect([...membersAfter(series, 0)]).toHaveLength(3);
    expect(looked).toBeLessThan(10);
  });

  test('taking what is due out of a queue costs a logarithm of its length each', () => {
    const steps = (length: number) => {
      let read = 0;
      const queue = createQueue<number>();
      for (let item = 0; item < length; item += 1) {
        let rank = 0;
        const counted = {
          get rank() {
            read += 1;
            return rank;
          },
          set rank(value) {
            rank = value;
          },
        };
        queue.put(
          Object.defineProperties(newEntry(item), Object.getOwnPropertyDescriptors(counted)),
          (item * 7919) % length,
        );
      }
      read = 0;
      for (let due = 0; due < 50; due += 1) {
        const first = queue.first();
        if (first) queue.remove(first);
      }
      return read / 50;
    };
    expect(steps(65_536)).toBeLessThan(16 * 8);
    expect(steps(65_536)).toBeLessThan(2 * steps(1024));
  });

  test('a purge looks at what is due and not at what stays', async () => {
    const lookups = async (staying: number) => {
      const engine = open({});
      const { accessTokens, clock } = engine;
      const fill = async (count: number, retainUntil: number) => {
        for (let grant = 0; grant < count; grant += 1) {
          await issue(engine, { grant: { retainUntil }, access: { expiresAt: retainUntil } });
        }
      };
      await fill(staying, clock.now() + 2 * HOUR);
      await fill(20, clock.now() + HOUR);
      clock.advance(HOUR);
      const methods = ['get', 'has', 'delete', 'keys', 'values', 'entries', 'forEach', Symbol.iterator] as const;
      const spies = methods.map((method) => vi.spyOn(Map.prototype, method));
      const report = await accessTokens.purgeExpired({ now: clock.now(), limit: 1000 });
      const calls = spies.map(({ mock }) => mock.calls.length);
      vi.restoreAllMocks();
      expect(report).toMatchObject({ removed: { accessTokens: 20, grants: 20, revocations: 0 }, more: false });
      return calls;
    };
    expect(await lookups(2000)).toEqual(await lookups(20));
  });

  test('a deadline that has come ends a purge before its next record', async () => {
    const engine = open({});
    const { authorizationCodes, clock } = engine;
    await store(engine, 0);
    clock.advance(100 * HOUR);
    const request = { now: clock.now(), limit: 10 };
    const ended = { ...request, deadlineMs: clock.nowMs() };
    expect(await authorizationCodes.purgeExpired(ended)).toMatchObject({ removed: { codes: 0 }, more: true });
    const going = { ...request, deadlineMs: clock.nowMs() + 1 };
    expect(await authorizationCodes.purgeExpired(going)).toMatchObject({ removed: { codes: 1 }, more: false });
    expect(await authorizationCodes.purgeExpired(ended)).toMatchObject({ removed: { codes: 0 }, more: false });
  });
});
