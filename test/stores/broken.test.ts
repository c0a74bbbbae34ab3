import { randomBytes } from 'node:crypto';
import { setImmediate as pause } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StoreError } from '../../functions/domain/errors.ts';
import type { Engine, StoredArtifact } from '../../functions/domain/ports.ts';
import { conformance, createVirtualClock, type Harness, type VirtualClock } from '../conformance/index.ts';
import { plain } from '../conformance/records.ts';
import { createReference, emptyState, type State } from '../conformance/reference-model.ts';

// The suite itself is tested: every store here breaks one rule, and each of the themes named with it must notice. Always
// by the same random sequences, and without making them smaller.
fc.configureGlobal({ seed: 20, endOnFailure: true });

type Overrides = { [Store in keyof Engine]?: Partial<Engine[Store]> };
interface Fault {
  /** What the store does wrong. */
  readonly fault: string;
  readonly noticedBy: readonly string[];
  breaks(engine: Engine, tools: { state: State; clock: VirtualClock }): Overrides;
}

const equal = (one: Uint8Array | undefined, two: Uint8Array | undefined) =>
  one !== undefined && two !== undefined && Buffer.compare(one, two) === 0;
const grantIn = ({ grants }: State, grantId: Uint8Array | undefined) =>
  grants.find(({ grant }) => equal(grant.grantId, grantId));

const faults: Fault[] = [
  {
    fault: 'redeeming reads, then writes',
    noticedBy: ['authorization codes', 'linearizability'],
    breaks: ({ authorizationCodes }) => ({
      authorizationCodes: {
        async redeem(digest, options) {
          const found = await authorizationCodes.find(digest, options);
          await pause();
          const outcome = await authorizationCodes.redeem(digest, options);
          const isMine = found.outcome === 'active' && equal(found.code.binding, options.binding);
          return isMine ? { outcome: 'redeemed', code: found.code } : outcome;
        },
      },
    }),
  },
  {
    fault: 'a mismatch consumes the code',
    noticedBy: ['authorization codes', 'model'],
    breaks: ({ authorizationCodes }) => ({
      authorizationCodes: {
        async redeem(digest, options) {
          const outcome = await authorizationCodes.redeem(digest, options);
          const found = await authorizationCodes.find(digest, options);
          if (outcome.outcome === 'mismatched' && 'code' in found) {
            await authorizationCodes.redeem(digest, { ...options, binding: found.code.binding });
          }
          return outcome;
        },
      },
    }),
  },
  {
    fault: 'a replay with another binding is called a replay',
    noticedBy: ['authorization codes', 'model'],
    breaks: ({ authorizationCodes }) => ({
      authorizationCodes: {
        async redeem(digest, options) {
          const found = await authorizationCodes.find(digest, options);
          const { binding } = found.outcome === 'redeemed' ? found.code : options;
          return authorizationCodes.redeem(digest, { ...options, binding });
        },
      },
    }),
  },
  {
    fault: 'a redeemed code is forgotten',
    noticedBy: ['authorization codes', 'model'],
    breaks: ({ authorizationCodes }) => ({
      authorizationCodes: {
        async redeem(digest, options) {
          const outcome = await authorizationCodes.redeem(digest, options);
          if (outcome.outcome === 'redeemed') await authorizationCodes.remove(digest);
          return outcome;
        },
      },
    }),
  },
  {
    fault: 'a repeat of the attempt that redeemed is taken for a replay',
    noticedBy: ['authorization codes', 'model', 'linearizability'],
    breaks: ({ authorizationCodes }) => ({
      authorizationCodes: {
        redeem: (digest, options) => authorizationCodes.redeem(digest, { ...options, attempt: randomBytes(16) }),
      },
    }),
  },
  {
    fault: 'a code is good for one second more',
    noticedBy: ['authorization codes', 'model'],
    breaks: ({ authorizationCodes }) => ({
      authorizationCodes: {
        redeem: (digest, options) => authorizationCodes.redeem(digest, { ...options, now: options.now - 1 }),
      },
    }),
  },
  {
    fault: 'an expired code is forgotten before retainUntil',
    noticedBy: ['purge', 'model'],
    breaks: ({ authorizationCodes }, { state }) => ({
      authorizationCodes: {
        async purgeExpired(request) {
          const report = await authorizationCodes.purgeExpired(request);
          const left = state.codes.filter(({ code }) => code.expiresAt > request.now);
          state.codes.splice(0, state.codes.length, ...left);
          return report;
        },
      },
    }),
  },
  {
    fault: 'a second code of a digest takes the place of the first',
    noticedBy: ['authorization codes', 'model'],
    breaks: ({ authorizationCodes }) => ({
      authorizationCodes: {
        async add(code, options) {
          await authorizationCodes.remove(code.digest);
          await authorizationCodes.add(code, options);
        },
      },
    }),
  },
  {
    fault: 'rotating reads, then writes',
    noticedBy: ['rotation', 'linearizability'],
    breaks: ({ accessTokens }, { state }) => ({
      accessTokens: {
        async rotate(key, successor, options) {
          const owner = grantIn(state, key.grantId);
          const current = owner?.refresh;
          await pause();
          if (owner && current && equal(current.digest, key.digest) && owner.revokedAt === undefined)
            owner.refresh = current;
          return accessTokens.rotate(key, successor, options);
        },
      },
    }),
  },
  {
    fault: 'a retry is given the sealed of its own',
    noticedBy: ['rotation', 'model', 'linearizability'],
    breaks: ({ accessTokens }) => ({
      accessTokens: {
        async rotate(key, successor, options) {
          const outcome = await accessTokens.rotate(key, successor, options);
          return outcome.outcome === 'retried' ? { ...outcome, sealed: successor.sealed } : outcome;
        },
      },
    }),
  },
  {
    fault: 'a repeat is given the sealed of its own',
    noticedBy: ['rotation', 'model'],
    breaks: ({ accessTokens }) => ({
      accessTokens: {
        async rotate(key, successor, options) {
          const outcome = await accessTokens.rotate(key, successor, options);
          return outcome.outcome === 'rotated' ? { ...outcome, sealed: successor.sealed } : outcome;
        },
      },
    }),
  },
  {
    fault: 'a repeat is taken for a retry, and later for a reuse',
    noticedBy: ['rotation', 'model'],
    breaks: ({ accessTokens }) => ({
      accessTokens: {
        rotate: (key, successor, options) =>
          accessTokens.rotate(key, successor, { ...options, attempt: randomBytes(16) }),
      },
    }),
  },
  {
    fault: 'the access token of a loser is stored',
    noticedBy: ['rotation', 'model', 'linearizability'],
    breaks: ({ accessTokens }) => ({
      accessTokens: {
        async rotate(key, successor, options) {
          const outcome = await accessTokens.rotate(key, successor, options);
          if (outcome.outcome === 'retried' && successor.access) {
            await accessTokens.addAccess(outcome.grant.grantId, successor.access, {
              ...options,
              retainUntil: successor.retainUntil,
            });
          }
          return outcome;
        },
      },
    }),
  },
  {
    fault: 'a reuse does not revoke the grant',
    noticedBy: ['rotation', 'model', 'linearizability'],
    breaks: ({ accessTokens }, { state }) => ({
      accessTokens: {
        async rotate(key, successor, options) {
          const revokedAt = grantIn(state, key.grantId)?.revokedAt;
          const outcome = await accessTokens.rotate(key, successor, options);
          const owner = grantIn(state, key.grantId);
          if (outcome.outcome === 'reused' && owner && revokedAt === undefined) delete owner.revokedAt;
          return outcome;
        },
      },
    }),
  },
  {
    fault: 'the grace lasts one second more',
    noticedBy: ['rotation', 'model'],
    breaks: ({ accessTokens }) => ({
      accessTokens: {
        rotate: (key, successor, options) =>
          accessTokens.rotate(key, successor, { ...options, graceSeconds: options.graceSeconds + 1 }),
      },
    }),
  },
  {
    fault: 'an older generation is unknown',
    noticedBy: ['rotation', 'model'],
    breaks: ({ accessTokens }, { state }) => ({
      accessTokens: {
        async rotate(key, successor, options) {
          const { refresh, retired = [] } = grantIn(state, key.grantId) ?? {};
          const known = [refresh?.digest, retired[0]?.digest].some((digest) => equal(digest, key.digest));
          return known || !key.grantId ? accessTokens.rotate(key, successor, options) : { outcome: 'unknown' };
        },
      },
    }),
  },
  {
    fault: 'the sender of a refresh token is not looked at',
    noticedBy: ['rotation', 'model'],
    breaks: ({ accessTokens }, { state }) => ({
      accessTokens: {
        rotate(key, successor, { sender: _, ...options }) {
          const sender = grantIn(state, key.grantId)?.sender;
          return accessTokens.rotate(key, successor, { ...options, ...(sender && { sender }) });
        },
      },
    }),
  },
  {
    fault: 'a stranger with an older refresh token revokes the grant',
    noticedBy: ['rotation', 'model'],
    breaks: ({ accessTokens }, { state }) => ({
      accessTokens: {
        rotate(key, successor, options) {
          const { grant, refresh } = grantIn(state, key.grantId) ?? {};
          const clientId = grant && !equal(refresh?.digest, key.digest) ? grant.clientId : options.clientId;
          return accessTokens.rotate(key, successor, { ...options, clientId });
        },
      },
    }),
  },
  {
    fault: 'a token that is kept is forgotten when its idle expiry moves',
    noticedBy: ['expiry', 'model'],
    breaks: ({ accessTokens }, { state }) => ({
      accessTokens: {
        async rotate(key, successor, options) {
          const before = grantIn(state, key.grantId)?.refresh;
          const outcome = await accessTokens.rotate(key, successor, options);
          const owner = grantIn(state, key.grantId);
          if (owner?.refresh && before && equal(before.digest, owner.refresh.digest)) owner.refresh = before;
          return outcome;
        },
      },
    }),
  },
  {
    fault: 'an access token is good for one second more',
    noticedBy: ['expiry', 'model'],
    breaks: ({ accessTokens }) => ({
      accessTokens: { findAccess: (key, { now }) => accessTokens.findAccess(key, { now: now - 1 }) },
    }),
  },
  {
    fault: 'the end of a grant does not end its access tokens',
    noticedBy: ['expiry', 'model'],
    breaks: ({ accessTokens }) => ({
      accessTokens: {
        async findAccess(key, options) {
          const found = await accessTokens.findAccess(key, options);
          const isYoung = found.outcome === 'expired' && found.access.expiresAt > options.now;
          return isYoung ? { ...found, outcome: 'active' } : found;
        },
      },
    }),
  },
  {
    fault: 'adding a refresh token forgets the generation before it',
    noticedBy: ['rotation', 'model'],
    breaks: ({ accessTokens }, { state }) => ({
      accessTokens: {
        async addRefresh(grantId, refresh, options) {
          const outcome = await accessTokens.addRefresh(grantId, refresh, options);
          if (outcome === 'added') grantIn(state, grantId)?.retired.splice(0);
          return outcome;
        },
      },
    }),
  },
  {
    fault: 'an idle refresh token can still be rotated',
    noticedBy: ['expiry', 'model'],
    breaks: ({ accessTokens }, { state }) => ({
      accessTokens: {
        rotate(key, successor, options) {
          const owner = grantIn(state, key.grantId);
          if (owner?.refresh) {
            const { idleExpiresAt: _, ...refresh } = owner.refresh;
            owner.refresh = refresh;
          }
          return accessTokens.rotate(key, successor, options);
        },
      },
    }),
  },
  {
    fault: 'a further token is added to a grant that has ended',
    noticedBy: ['expiry', 'rotation', 'model'],
    breaks: ({ accessTokens }) => ({
      accessTokens: {
        addAccess: (grantId, access, options) => accessTokens.addAccess(grantId, access, { ...options, now: 0 }),
      },
    }),
  },
  {
    fault: 'a repeat of persist starts the grant anew',
    noticedBy: ['duplicates'],
    breaks: ({ accessTokens }, { state }) => ({
      accessTokens: {
        async persist(write, options) {
          const stored = grantIn(state, write.grant.grantId);
          if (stored && equal(stored.attempt, options.attempt)) state.grants.splice(state.grants.indexOf(stored), 1);
          return accessTokens.persist(write, options);
        },
      },
    }),
  },
  {
    fault: 'a grant that is refused as conflict leaves its access token behind',
    noticedBy: ['duplicates', 'model'],
    breaks: ({ accessTokens }, { state }) => ({
      accessTokens: {
        async persist(write, options) {
          try {
            return await accessTokens.persist(write, options);
          } catch (error) {
            const owner = grantIn(state, write.grant.grantId);
            if (owner && write.access) owner.tokens.push({ access: write.access, attempt: options.attempt });
            throw error;
          }
        },
      },
    }),
  },
  {
    fault: 'revoking an access token is allowed to any client',
    noticedBy: ['revocation', 'model'],
    breaks: ({ accessTokens }) => ({
      accessTokens: { revokeAccess: (key, { now }) => accessTokens.revokeAccess(key, { now }) },
    }),
  },
  {
    fault: 'revoking a refresh token leaves the access tokens alive',
    noticedBy: ['revocation', 'model', 'linearizability'],
    breaks: ({ accessTokens }, { state }) => ({
      accessTokens: {
        async findAccess(key, options) {
          const found = await accessTokens.findAccess(key, options);
          const token = grantIn(state, key.grantId)?.tokens.find(({ access }) => equal(access.digest, key.digest));
          const isEnded = token?.revokedAt !== undefined;
          return found.outcome === 'revoked' && !isEnded ? { ...found, outcome: 'active' } : found;
        },
      },
    }),
  },
  {
    fault: 'a revocation by a selector ends the first thousand grants only',
    noticedBy: ['revocation'],
    breaks: ({ accessTokens }, { state }) => ({
      accessTokens: {
        async revokeBy(selector, options) {
          const live = state.grants.filter(({ revokedAt }) => revokedAt === undefined);
          const count = await accessTokens.revokeBy(selector, options);
          for (const owner of live.filter(({ revokedAt }) => revokedAt !== undefined).slice(1000))
            delete owner.revokedAt;
          return count;
        },
      },
    }),
  },
  {
    fault: 'a revocation by subject and client ends the subject’s grants at every client',
    noticedBy: ['revocation', 'model'],
    breaks: ({ accessTokens }) => ({
      accessTokens: {
        revokeBy: ({ subject, ...others }, options) =>
          accessTokens.revokeBy(subject === undefined ? others : { subject }, options),
      },
    }),
  },
  {
    fault: 'a revocation is not remembered against grants that come later',
    noticedBy: ['revocation', 'model', 'linearizability'],
    breaks: ({ accessTokens }) => ({
      accessTokens: { persist: (write, { now, attempt }) => accessTokens.persist(write, { now, attempt }) },
    }),
  },
  {
    fault: 'a grant that was authorized in the millisecond of a revocation lives',
    noticedBy: ['revocation', 'model'],
    breaks: ({ accessTokens }) => ({
      accessTokens: {
        persist: (write, { authorizedAtMs = 0, ...options }) =>
          accessTokens.persist(write, { ...options, authorizedAtMs: authorizedAtMs + 1 }),
      },
    }),
  },
  {
    fault: 'revoking a grant that has not come yet does nothing',
    noticedBy: ['authorization codes', 'revocation', 'model', 'linearizability'],
    breaks: (_, { state }) => ({
      accessTokens: {
        async revokeGrant(grantId, { now }) {
          const owner = grantIn(state, grantId);
          if (owner) owner.revokedAt ??= now;
        },
      },
    }),
  },
  {
    fault: 'lookups are remembered',
    noticedBy: ['revocation', 'model', 'linearizability'],
    breaks: ({ accessTokens }) => {
      const remembered = new Map<string, Awaited<ReturnType<typeof accessTokens.findAccess>>>();
      return {
        accessTokens: {
          async findAccess(key, options) {
            const name = Buffer.from(key.digest).toString('hex');
            const found = remembered.get(name) ?? (await accessTokens.findAccess(key, options));
            if (found.outcome === 'active') remembered.set(name, found);
            return found;
          },
        },
      };
    },
  },
  {
    fault: 'a purge removes an access token a second early',
    noticedBy: ['purge', 'model'],
    breaks: ({ accessTokens }) => ({
      accessTokens: {
        purgeExpired: (request) => accessTokens.purgeExpired({ ...request, now: request.now + 1 }),
      },
    }),
  },
  {
    fault: 'a purge leaves what is due at that very second',
    noticedBy: ['purge', 'model'],
    breaks: ({ artifacts }) => ({
      artifacts: { purgeExpired: (request) => artifacts.purgeExpired({ ...request, now: request.now - 1 }) },
    }),
  },
  {
    fault: 'a purge keeps no limit',
    noticedBy: ['purge'],
    breaks: ({ authorizationCodes }) => ({
      authorizationCodes: {
        purgeExpired: (request) => authorizationCodes.purgeExpired({ ...request, limit: request.limit * 2 }),
      },
    }),
  },
  {
    fault: 'a purge keeps no deadline',
    noticedBy: ['purge'],
    breaks: ({ authorizationCodes }) => ({
      authorizationCodes: {
        purgeExpired: ({ now, limit }) => authorizationCodes.purgeExpired({ now, limit }),
      },
    }),
  },
  {
    fault: 'a purge does not say what it left',
    noticedBy: ['purge'],
    breaks: ({ authorizationCodes }) => ({
      authorizationCodes: {
        async purgeExpired(request) {
          const report = await authorizationCodes.purgeExpired(request);
          return { ...report, backlog: { records: 0, precision: 'exact' } };
        },
      },
    }),
  },
  {
    fault: 'a purge takes what it removed for what it left',
    noticedBy: ['purge'],
    breaks: ({ authorizationCodes }, { state }) => ({
      authorizationCodes: {
        async purgeExpired(request) {
          const due = state.codes.filter(({ code }) => code.retainUntil <= request.now);
          const report = await authorizationCodes.purgeExpired(request);
          return { ...report, backlog: { records: due.length, precision: 'exact' } };
        },
      },
    }),
  },
  {
    fault: 'purges at once count a record twice',
    noticedBy: ['purge'],
    breaks: ({ authorizationCodes }, { state }) => ({
      authorizationCodes: {
        async purgeExpired(request) {
          const due = state.codes.filter(({ code }) => code.retainUntil <= request.now).slice(0, request.limit);
          await pause();
          const { backlog } = await authorizationCodes.purgeExpired({ ...request, limit: due.length });
          return { removed: { codes: due.length }, more: due.length === request.limit, backlog };
        },
      },
    }),
  },
  {
    fault: 'pages are counted off, so that a removed grant hides another one',
    noticedBy: ['listing'],
    breaks: ({ accessTokens }) => ({
      accessTokens: {
        async listGrants(selector, { limit, after = '0' }) {
          const { grants } = await accessTokens.listGrants(selector, { limit: 1000 });
          const end = Number(after) + limit;
          return { grants: grants.slice(Number(after), end), ...(end < grants.length && { next: String(end) }) };
        },
      },
    }),
  },
  {
    fault: 'a selector of two fields lists what matches in one of them',
    noticedBy: ['listing', 'model'],
    breaks: ({ accessTokens }) => ({
      accessTokens: {
        listGrants: ({ subject, ...others }, page) =>
          accessTokens.listGrants(subject === undefined ? others : { subject }, page),
      },
    }),
  },
  {
    fault: 'consuming reads, then writes',
    noticedBy: ['artifacts'],
    breaks: ({ artifacts }) => ({
      artifacts: {
        async consume(kind, id, options) {
          const found = await artifacts.find(kind, id, options);
          await pause();
          const isFirst = await artifacts.consume(kind, id, options);
          return isFirst || (found.outcome === 'active' && found.consumedAt === undefined);
        },
      },
    }),
  },
  {
    fault: 'an artifact that is replaced can be consumed again',
    noticedBy: ['artifacts', 'model'],
    breaks: ({ artifacts }) => ({
      artifacts: {
        async put(artifact, options) {
          await artifacts.remove(artifact.kind, artifact.id);
          await artifacts.put(artifact, options);
        },
      },
    }),
  },
  {
    fault: 'a former way in still leads to an artifact',
    noticedBy: ['artifacts', 'model'],
    breaks: ({ artifacts }) => {
      const given: StoredArtifact[] = [];
      return {
        artifacts: {
          async put(artifact, options) {
            given.unshift(artifact);
            await artifacts.put(artifact, options);
          },
          async findByUid(kind, uid, options) {
            const former = given.find((each) => each.kind === kind && equal(each.uid, uid));
            return former ? artifacts.find(kind, former.id, options) : { outcome: 'unknown' };
          },
        },
      };
    },
  },
  {
    fault: 'putting once reads, then writes',
    noticedBy: ['artifacts'],
    breaks: ({ artifacts }) => ({
      artifacts: {
        async putOnce(artifact, options) {
          const found = await artifacts.find(artifact.kind, artifact.id, options);
          await pause();
          return (await artifacts.putOnce(artifact, options)) || found.outcome !== 'active';
        },
      },
    }),
  },
  {
    fault: 'an expired client access token is given out',
    noticedBy: ['expiry', 'model'],
    breaks: ({ clientAccessTokens }) => ({
      clientAccessTokens: { get: (clientId, key) => clientAccessTokens.get(clientId, key, { now: 0 }) },
    }),
  },
  {
    fault: 'client ids are compared without their trailing spaces',
    noticedBy: ['fields'],
    breaks: ({ accessTokens }, { state }) => ({
      accessTokens: {
        listGrants: async ({ clientId = '', ...others }, page) => {
          const alike = state.grants
            .map(({ grant }) => grant.clientId)
            .filter((name) => name.trimEnd() === clientId.trimEnd());
          const pages = [...new Set(alike)].map((name) => accessTokens.listGrants({ ...others, clientId: name }, page));
          return clientId
            ? { grants: (await Promise.all(pages)).flatMap(({ grants }) => grants) }
            : accessTokens.listGrants(others, page);
        },
      },
    }),
  },
  {
    fault: 'an outage reads as an unknown token',
    noticedBy: ['outage'],
    breaks: ({ accessTokens }) => ({
      accessTokens: {
        findAccess: (key, options) => accessTokens.findAccess(key, options).catch(() => ({ outcome: 'unknown' })),
      },
    }),
  },
  {
    fault: 'a lookup takes two round trips',
    noticedBy: ['round trips'],
    breaks: ({ accessTokens }) => ({
      accessTokens: {
        async findAccess(key, options) {
          await accessTokens.findAccess(key, options);
          return accessTokens.findAccess(key, options);
        },
      },
    }),
  },
];

const METHODS = ['authorizationCodes', 'accessTokens', 'artifacts', 'clientAccessTokens'] as const;

/** The engine with every operation called through `through`. */
const wrapped = (engine: Engine, through: (call: () => Promise<unknown>) => Promise<unknown>): Engine => {
  const stores = METHODS.map((name) => {
    const operations = Object.entries(engine[name]).map(([operation, run]) => [
      operation,
      (...values: unknown[]) => through(() => run(...values)),
    ]);
    return [name, Object.fromEntries(operations)];
  });
  return { ...engine, ...Object.fromEntries(stores) };
};

/** The reference model as an engine with an outage and with round trips, less what a fault breaks. */
function createHarness(breaks: Fault['breaks'] = () => ({}), concurrent = false): Harness {
  const clock = createVirtualClock(Date.now());
  const state = emptyState();
  let trips = 0;
  const counted = wrapped(createReference(state, clock.nowMs), (call) => {
    trips += 1;
    return call();
  });
  const unreachable = wrapped(counted, async () => {
    throw new StoreError('unavailable', 'nobody is there', { cause: new Error('refused') });
  });
  const broken = (engine: Engine): Engine => {
    const overrides = breaks(engine, { state, clock });
    const stores = METHODS.map((name) => [name, { ...engine[name], ...overrides[name] }]);
    return { ...engine, ...Object.fromEntries(stores) };
  };
  const engine = broken(counted);
  return {
    open: async () => engine,
    clock,
    capabilities: {
      concurrent,
      purges: ['codes', 'accessTokens', 'grants', 'revocations', 'artifacts', 'clientAccessTokens'],
      purgeBatch: 100,
    },
    outage: { refused: async () => broken(unreachable), silent: async () => broken(unreachable) },
    roundTrips: {
      reset: () => {
        trips = 0;
      },
      count: () => trips,
    },
    dump: async () => Buffer.from(JSON.stringify(plain(state))),
  };
}

/** Runs the cases of a theme until one fails. */
async function firstFailure(harness: Harness, theme: string): Promise<string | undefined> {
  const cases = conformance(harness).filter((each) => each.theme === theme && each.omitted === undefined);
  expect(cases.length, `cases of ${theme}`).toBeGreaterThan(0);
  for (const { name, run } of cases) {
    try {
      await run();
    } catch {
      return name;
    }
  }
  return undefined;
}

describe('the suite', () => {
  for (const theme of new Set(conformance(createHarness()).map((each) => each.theme))) {
    it(`finds no fault with ${theme} of the reference model`, async () => {
      expect(await firstFailure(createHarness(), theme)).toBeUndefined();
    });
  }

  for (const { fault, noticedBy, breaks } of faults) {
    for (const theme of noticedBy) {
      it(`notices that ${fault}: ${theme}`, async () => {
        expect(await firstFailure(createHarness(breaks, theme === 'linearizability'), theme)).toBeDefined();
      });
    }
  }
});
