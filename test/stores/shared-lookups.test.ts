import { afterAll, describe, expect, it } from 'vitest';
import { parseConfiguration } from '../../functions/config/configuration.ts';
import { StoreError } from '../../functions/domain/errors.ts';
import type { AccessTokenStore, ArtifactStore, Engine } from '../../functions/domain/ports.ts';
import { openStores } from '../../functions/open-stores.ts';
import { withSharedLookups } from '../../functions/shared-lookups.ts';
import { createEngine } from '../../functions/stores/memory.ts';
import { createEngine as createValkey } from '../../functions/stores/valkey.ts';
import { createVirtualClock } from '../conformance/index.ts';
import {
  errorCode,
  HOUR,
  issue,
  keyOf,
  many,
  newAccess,
  newAttempt,
  newName,
  newSuccessor,
  rotate,
} from '../conformance/records.ts';
import { conform } from './conform.ts';
import { dumpOf, given, nodesOf } from './valkey-server.ts';

// The whole suite, with the look-ups of several engines going through one cache, and what the cache itself must do.

const cacheSeconds = 30;
const clock = createVirtualClock(Date.now());
const durable = createEngine({}, clock.nowMs);
const memory = createEngine({}, clock.nowMs);
/** A real server, where the tests are given one. */
const valkey = given && (await createValkey({ ...given, requestTimeoutMs: 30_000 }, clock.nowMs));
const nodes = nodesOf(given ?? {});
afterAll(async () => {
  for (const node of nodes) node.disconnect();
  await valkey?.close();
});
const { artifacts } = valkey ?? memory;
const cached = withSharedLookups(durable.accessTokens, artifacts, { cacheSeconds, clock: clock.nowMs });

/** Until when a grant is kept may be what it was when it was cached; nothing else may. */
const accessTokens: AccessTokenStore = {
  ...cached,
  async findAccess(key, options) {
    const state = await cached.findAccess(key, options);
    const stored = await durable.accessTokens.findAccess(key, options);
    if (state.outcome === 'unknown' || stored.outcome === 'unknown') return state;
    return { ...state, grant: { ...state.grant, retainUntil: stored.grant.retainUntil } };
  },
};

conform(
  `memory, look-ups through ${given ? 'Valkey' : 'a cache'}`,
  {
    open: async (): Promise<Engine> => ({ ...durable, accessTokens }),
    clock,
    capabilities: {
      concurrent: false,
      purges: ['codes', 'accessTokens', 'grants', 'revocations', 'artifacts', 'clientAccessTokens'],
      purgeBatch: 1000,
      cachesLookups: true,
    },
    dump: async () => Buffer.concat([durable.dump(), memory.dump(), await dumpOf(nodes)]),
  },
  {
    'the storage cannot be restarted from here': [
      'what was acknowledged is there after a restart: tokens, revocations, redemptions, the retired generation',
    ],
    'there is nothing between the caller and the storage that could fail': [
      'where nobody listens, every operation fails with unavailable and its cause: never unknown, never empty',
      'where nobody answers, every operation fails with timeout or unavailable and its cause: never unknown, never empty',
    ],
    'a look-up may be answered from a cache while its token is being ended': [
      'a grant is rotated, added to, found and revoked as if one after another, in an order that nobody who looks can tell from the real one',
      'a grant that comes while it is being revoked is stored, found, rotated and ended as if one after another, in an order that nobody who looks can tell from the real one',
    ],
    'connections cannot be cut from here': [
      'a rotation or redemption whose connection is cut fails with a coded error at most, and its repeat tells how it went',
    ],
    'there are no round trips to count': [
      'every operation is one round trip',
      'rotating is one round trip, whatever the outcome',
      'redeeming is one round trip, whatever the outcome',
      'finding a foreign token is one round trip, found or not',
      'revoking by subject takes a round trip for a thousand grants, not for each',
    ],
  },
);

/** A durable store whose look-ups are counted and can be held, behind a cache that can fail, be silent or forget. */
function createStage() {
  const clock = createVirtualClock(Date.now());
  const engine = createEngine({}, clock.nowMs);
  const memory = createEngine({}, clock.nowMs).artifacts;
  const told: string[] = [];
  const stage = {
    asked: 0,
    /** What a look-up waits for once it has read. */
    held: Promise.resolve(),
    cacheDoes: 'its work' as 'its work' | 'nothing' | 'fail' | 'forget marks',
    told,
    clock,
    durable: engine.accessTokens,
  };
  const store: AccessTokenStore = {
    ...engine.accessTokens,
    async findAccess(key, options) {
      stage.asked += 1;
      const state = await engine.accessTokens.findAccess(key, options);
      await stage.held;
      return state;
    },
  };
  const guarded = <Answer>(work: () => Promise<Answer>): Promise<Answer> => {
    if (stage.cacheDoes === 'nothing') return new Promise(() => {});
    if (stage.cacheDoes === 'fail') return Promise.reject(new StoreError('unavailable', 'the cache is away'));
    return work();
  };
  const cache: ArtifactStore = {
    ...memory,
    put: (artifact, options) =>
      guarded(async () => {
        if (stage.cacheDoes === 'forget marks' && artifact.data.length === 0) return;
        await memory.put(artifact, options);
      }),
    find: (kind, id, options) => guarded(() => memory.find(kind, id, options)),
  };
  const accessTokens = withSharedLookups(store, cache, {
    cacheSeconds,
    clock: clock.nowMs,
    observe: (outcome) => told.push(outcome),
  });
  return Object.assign(stage, { accessTokens });
}

const outcomeOf = async (
  accessTokens: AccessTokenStore,
  key: Parameters<AccessTokenStore['findAccess']>[0],
  now: number,
) => (await accessTokens.findAccess(key, { now })).outcome;

describe('a cache in front of a durable store', () => {
  it('asks the durable store once in cacheSeconds for a token that is good, and every time for one that is not', async () => {
    const stage = createStage();
    const { accessKey } = await issue(stage);
    const first = await stage.accessTokens.findAccess(accessKey, { now: stage.clock.now() });
    stage.clock.advance(cacheSeconds - 1);
    expect(await stage.accessTokens.findAccess(accessKey, { now: stage.clock.now() })).toEqual(first);
    expect([stage.asked, stage.told]).toEqual([1, ['miss', 'hit']]);
    stage.clock.advance(1);
    expect(await outcomeOf(stage.accessTokens, accessKey, stage.clock.now())).toBe('active');
    expect(stage.asked).toBe(2);
    for (const _ of [1, 2]) {
      const unknown = { ...accessKey, digest: newAccess(0).digest };
      expect(await outcomeOf(stage.accessTokens, unknown, stage.clock.now())).toBe('unknown');
    }
    expect(stage.asked).toBe(4);
  });

  it('never answers with a token, or a grant, that has expired meanwhile', async () => {
    const stage = createStage();
    const now = stage.clock.now();
    const token = await issue(stage, { access: { expiresAt: now + 10 } });
    const grant = await issue(stage, { grant: { expiresAt: now + 10 } });
    for (const { accessKey } of [token, grant])
      expect(await outcomeOf(stage.accessTokens, accessKey, now)).toBe('active');
    stage.clock.advance(10);
    for (const { accessKey } of [token, grant])
      expect(await outcomeOf(stage.accessTokens, accessKey, stage.clock.now())).toBe('expired');
  });

  const endings: Record<
    string,
    (stage: ReturnType<typeof createStage>, issued: Awaited<ReturnType<typeof issue>>) => Promise<unknown>
  > = {
    revokeAccess: ({ accessTokens, clock }, { accessKey }) =>
      accessTokens.revokeAccess(accessKey, { now: clock.now() }),
    revokeRefresh: ({ accessTokens, clock }, { refreshKey }) =>
      accessTokens.revokeRefresh(refreshKey, { now: clock.now() }),
    revokeGrant: ({ accessTokens, clock }, { grant }) =>
      accessTokens.revokeGrant(grant.grantId, { now: clock.now(), retainUntil: clock.now() + HOUR }),
    'revokeGrant that took a minute': ({ accessTokens, clock }, { grant }) =>
      accessTokens.revokeGrant(grant.grantId, { now: clock.now() - 60, retainUntil: clock.now() + HOUR }),
    revokeAccessOfGrant: ({ accessTokens, clock }, { grant }) =>
      accessTokens.revokeAccessOfGrant(grant.grantId, { now: clock.now() }),
    revokeBy: ({ accessTokens, clock }, { grant: { subject = '' } }) =>
      accessTokens.revokeBy({ subject }, { nowMs: clock.nowMs(), retainUntil: clock.now() + HOUR }),
    reuse: async ({ accessTokens, clock }, { grant, refreshKey }) => {
      const now = clock.now();
      await rotate(accessTokens, grant, refreshKey, newSuccessor(now), { now: now - 60 });
      expect((await rotate(accessTokens, grant, refreshKey, newSuccessor(now), { now })).outcome).toBe('reused');
    },
  };
  for (const foreign of [false, true]) {
    const whose = foreign ? 'a foreign token' : 'a token';
    for (const [name, end] of Object.entries(endings)) {
      it(`${name}: from its return no look-up finds ${whose} active, nor does one that had read before and comes late`, async () => {
        const stage = createStage();
        const now = stage.clock.now();
        const issued = await issue(stage, foreign ? { access: { foreign }, refresh: { foreign } } : {});
        expect(await outcomeOf(stage.accessTokens, issued.accessKey, now)).toBe('active');
        stage.clock.advance(cacheSeconds); // no longer cached: the next look-up reads
        const { promise, resolve } = Promise.withResolvers<void>();
        stage.held = promise;
        const late = stage.accessTokens.findAccess(issued.accessKey, { now: stage.clock.now() });
        await new Promise(setImmediate);
        stage.held = Promise.resolve();
        await end(stage, issued);
        resolve();
        expect((await late).outcome).toBe('active'); // it began before
        for (const seconds of [0, 1, cacheSeconds - 2, 1, 1, 30]) {
          stage.clock.advance(seconds);
          expect(await outcomeOf(stage.accessTokens, issued.accessKey, stage.clock.now()), `${seconds}`).toBe(
            'revoked',
          );
        }
      });
    }
  }

  it('a revocation by subject marks every page of its grants', async () => {
    const stage = createStage();
    const subject = newName('subject');
    const all = await Promise.all(many(1100, () => issue(stage, { grant: { subject } })));
    const sample = [all[0], all[1050], all[1099]].flatMap((each) => each ?? []);
    for (const { accessKey } of sample) await outcomeOf(stage.accessTokens, accessKey, stage.clock.now());
    await stage.accessTokens.revokeBy(
      { subject },
      { nowMs: stage.clock.nowMs(), retainUntil: stage.clock.now() + HOUR },
    );
    for (const { accessKey } of sample)
      expect(await outcomeOf(stage.accessTokens, accessKey, stage.clock.now())).toBe('revoked');
  });

  it('a cache that loses what it acknowledged lets a token in for cacheSeconds and no longer', async () => {
    const stage = createStage();
    const { accessKey } = await issue(stage);
    await outcomeOf(stage.accessTokens, accessKey, stage.clock.now());
    stage.cacheDoes = 'forget marks';
    await stage.accessTokens.revokeAccess(accessKey, { now: stage.clock.now() });
    expect(await outcomeOf(stage.accessTokens, accessKey, stage.clock.now())).toBe('active');
    stage.clock.advance(cacheSeconds);
    expect(await outcomeOf(stage.accessTokens, accessKey, stage.clock.now())).toBe('revoked');
  });

  it('a cache that fails, or does not answer, costs a look-up time and nothing else', async () => {
    const stage = createStage();
    const { accessKey } = await issue(stage);
    for (const cacheDoes of ['fail', 'nothing'] as const) {
      stage.cacheDoes = cacheDoes;
      expect(await outcomeOf(stage.accessTokens, accessKey, stage.clock.now())).toBe('active');
    }
    expect([stage.asked, stage.told]).toEqual([2, ['unavailable', 'timeout']]);
  });

  it('a cache that takes no mark fails the revocation, which has happened; repeated, it succeeds', async () => {
    const stage = createStage();
    const { accessKey } = await issue(stage);
    await outcomeOf(stage.accessTokens, accessKey, stage.clock.now());
    stage.cacheDoes = 'fail';
    const now = stage.clock.now();
    expect(await errorCode(stage.accessTokens.revokeAccess(accessKey, { now }))).toBe('unavailable');
    expect(await outcomeOf(stage.durable, accessKey, now)).toBe('revoked');
    stage.cacheDoes = 'its work';
    expect(await stage.accessTokens.revokeAccess(accessKey, { now })).toBe(false);
    expect(await outcomeOf(stage.accessTokens, accessKey, now)).toBe('revoked');
  });

  it('a grant that goes on has its new tokens found, and cached again once the mark is gone', async () => {
    const stage = createStage();
    const { grant, accessKey } = await issue(stage);
    await stage.accessTokens.revokeAccess(accessKey, { now: stage.clock.now() });
    const access = newAccess(stage.clock.now());
    const options = { now: stage.clock.now(), attempt: newAttempt(), retainUntil: grant.retainUntil };
    await stage.accessTokens.addAccess(grant.grantId, access, options);
    const key = keyOf(grant, access);
    for (const _ of [1, 2]) expect(await outcomeOf(stage.accessTokens, key, stage.clock.now())).toBe('active');
    expect(stage.asked).toBe(2);
    stage.clock.advance(60);
    for (const _ of [1, 2]) expect(await outcomeOf(stage.accessTokens, key, stage.clock.now())).toBe('active');
    expect(stage.asked).toBe(3);
  });
});

it('stores that are opened with a lookupCache look up through it, and tell of it', async () => {
  const clock = createVirtualClock(Date.now());
  const seen: string[] = [];
  const configuration = parseConfiguration({
    accessTokenStores: { tokens: { cache: 'durable', lookupCache: { cache: 'lookups' } } },
    caches: { durable: { engine: 'memory' }, lookups: { engine: 'memory' } },
  }).configuration;
  const stores = await openStores(configuration, {
    clock: clock.nowMs,
    observe: ({ store, operation, outcome }) => seen.push(`${store} ${operation} ${outcome}`),
  });
  const accessTokens = stores.accessTokenStore();
  const { accessKey } = await issue({ accessTokens, clock });
  seen.length = 0;
  for (const _ of [1, 2]) expect(await outcomeOf(accessTokens, accessKey, clock.now())).toBe('active');
  await accessTokens.revokeAccess(accessKey, { now: clock.now() });
  expect(await outcomeOf(stores.accessTokenStore('tokens'), accessKey, clock.now())).toBe('revoked');
  expect(seen).toEqual([
    'accessTokenStores.tokens findCachedAccess miss',
    'accessTokenStores.tokens findAccess active',
    'accessTokenStores.tokens findCachedAccess hit',
    'accessTokenStores.tokens revokeAccess done',
    'accessTokenStores.tokens findCachedAccess miss',
    'accessTokenStores.tokens findAccess revoked',
  ]);
  await stores.close();
});
