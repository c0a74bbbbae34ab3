import { type Clock, seconds, stopwatch } from './domain/clock.ts';
import { StoreError } from './domain/errors.ts';
import type { AccessState, AccessTokenStore, ArtifactStore, Selector, TokenKey } from './domain/ports.ts';
import type { GrantId } from './domain/token.ts';
import { within } from './domain/within.ts';

// A cache in front of a durable store. The durable store decides everything; the cache saves look-ups of access tokens. It
// holds two kinds of artifacts: what was found active, for `cacheSeconds` from before the store was asked; and a mark for each
// grant of which something has ended, which says that what was found before does not count. A mark is written when
// the durable store has ended something and before the caller hears of it, and it outlives whatever was read before it. So
// a look-up that comes late with what it had read writes nothing that anybody would still use.

export interface SharedLookups {
  /** Longest that what was found is used without asking the durable store: the bound on staleness should a mark be lost. */
  readonly cacheSeconds: number;
  readonly clock: Clock;
  /** Told of every look-up in the cache: `hit`, `miss`, or the code of a failure. */
  readonly observe?: (outcome: string, durationMs: number) => void;
}

const FOUND = 'found access token';
const MARK = 'ended since';
/** What clocks of two machines may differ by, and more than a look-up takes. */
const SLACK_SECONDS = 15;
/** A cache that takes longer is no help: the durable store is asked. */
const PATIENCE_MS = 250;
const PAGE = 1000;
const AT_ONCE = 50;

/**
 * The same store, whose `findAccess` answers from the cache what it found active less than `cacheSeconds` ago.
 *
 * - Everything but `findAccess` is the durable store's, single-use operations first of all.
 * - From the return of a call that ends a token or a grant no look-up finds it active, as far as the cache keeps what it
 *   acknowledged; should it lose the mark (an eviction, a fail-over), for `cacheSeconds` at most. `revokeBy` marks grant by
 *   grant, and stops marking when what was cached before it has gone by itself.
 * - While such a call is under way, a look-up may still find the token active although somebody else, such as a rotation, has
 *   been told that it has ended.
 * - A cache that fails or dawdles in a look-up costs time, never an answer. One that fails to take a mark fails the
 *   revocation, which the durable store has carried out by then: repeat it.
 *
 * @throws {StoreError} as the durable store; of a revocation also what the cache fails with
 */
export function withSharedLookups(
  store: AccessTokenStore,
  cache: Pick<ArtifactStore, 'find' | 'put'>,
  { cacheSeconds, clock, observe = () => {} }: SharedLookups,
): AccessTokenStore {
  const markEnded = async (grantId: GrantId, now: number) => {
    const after = Math.max(now, seconds(clock));
    const expiresAt = after + cacheSeconds + SLACK_SECONDS;
    await cache.put({ kind: MARK, id: grantId, expiresAt, data: NOTHING }, { now: after });
  };

  const markAllEnded = async (selector: Selector) => {
    const until = seconds(clock) + cacheSeconds;
    for (let after: string | undefined; seconds(clock) <= until; ) {
      const { grants, next } = await store.listGrants(selector, { limit: PAGE, ...(after !== undefined && { after }) });
      for (let first = 0; first < grants.length; first += AT_ONCE)
        await Promise.all(
          grants.slice(first, first + AT_ONCE).map(({ grant }) => markEnded(grant.grantId, seconds(clock))),
        );
      if (next === undefined) return;
      after = next;
    }
  };

  /** What the cache has of a token; nothing of one that may have ended since. */
  const recall = async ({ digest, grantId }: TokenKey, now: number): Promise<AccessState | undefined> => {
    const isMarked = async (id: GrantId) => (await cache.find(MARK, id, { now })).outcome === 'active';
    const [found, marked] = await Promise.all([
      cache.find(FOUND, digest, { now }),
      grantId !== undefined && isMarked(grantId),
    ]);
    if (found.outcome !== 'active' || marked) return undefined;
    const { access, grant } = decode(found.artifact.data);
    // The way by which it was found is none for whoever comes by another one: with another grant, or with none.
    const leads = grantId === undefined ? access.foreign : Buffer.from(grantId).equals(grant.grantId);
    if (!leads) return undefined;
    if (access.expiresAt <= now || (grant.expiresAt !== undefined && grant.expiresAt <= now)) return undefined;
    if (grantId === undefined && (await isMarked(grant.grantId))) return undefined;
    return { outcome: 'active', access, grant };
  };

  return {
    ...store,
    async findAccess(key, { now }) {
      const began = stopwatch();
      const known = await withinPatience(recall(key, now));
      observe(known instanceof StoreError ? known.code : known ? 'hit' : 'miss', stopwatch() - began);
      if (known && !(known instanceof StoreError)) return known;
      const state = await store.findAccess(key, { now });
      if (state.outcome === 'active' && known === undefined) {
        const { access, grant } = state;
        const expiresAt = Math.min(now + cacheSeconds, access.expiresAt);
        const data = encode({ access, grant });
        await withinPatience(cache.put({ kind: FOUND, id: key.digest, expiresAt, data }, { now }));
      }
      return state;
    },
    async rotate(key, successor, options) {
      const rotated = await store.rotate(key, successor, options);
      if (rotated.outcome === 'reused') await markEnded(rotated.grant.grantId, options.now);
      return rotated;
    },
    async revokeAccess(key, options) {
      const ended = await store.revokeAccess(key, options);
      const grantId = key.grantId ?? grantOf(await store.findAccess(key, options));
      if (grantId) await markEnded(grantId, options.now);
      return ended;
    },
    async revokeRefresh(key, options) {
      const ended = await store.revokeRefresh(key, options);
      const grantId = key.grantId ?? grantOf(await store.findRefresh(key, options));
      if (grantId) await markEnded(grantId, options.now);
      return ended;
    },
    async revokeGrant(grantId, options) {
      await store.revokeGrant(grantId, options);
      await markEnded(grantId, options.now);
    },
    async revokeAccessOfGrant(grantId, options) {
      await store.revokeAccessOfGrant(grantId, options);
      await markEnded(grantId, options.now);
    },
    async revokeBy(selector, options) {
      const ended = await store.revokeBy(selector, options);
      await markAllEnded(selector);
      return ended;
    },
  };
}

const NOTHING = new Uint8Array();

const grantOf = (state: { outcome: string; grant?: { grantId: GrantId } }): GrantId | undefined => state.grant?.grantId;

/** What it gives, or its failure, or that it took too long. */
function withinPatience<T>(work: Promise<T>): Promise<T | StoreError> {
  const done = work.catch((error: unknown) => {
    if (error instanceof StoreError) return error;
    throw error;
  });
  return within(done, PATIENCE_MS, () => new StoreError('timeout', 'no answer from the cache in time'));
}

type Found = Pick<Extract<AccessState, { access: unknown }>, 'access' | 'grant'>;

const encode = ({ access, grant }: Found): Uint8Array =>
  Buffer.from(
    JSON.stringify({
      access: { ...access, digest: text(access.digest), data: text(access.data) },
      grant: { ...grant, grantId: text(grant.grantId), data: text(grant.data) },
    }),
  );

function decode(data: Uint8Array): Found {
  const { access, grant } = JSON.parse(Buffer.from(data).toString());
  return {
    access: { ...access, digest: bytes(access.digest), data: bytes(access.data) },
    grant: { ...grant, grantId: bytes(grant.grantId), data: bytes(grant.data) },
  };
}

const text = (value: Uint8Array) => Buffer.from(value).toString('base64url');
const bytes = (value: string) => Buffer.from(value, 'base64url');
