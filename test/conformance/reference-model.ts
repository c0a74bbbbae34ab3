import type { Clock } from '../../functions/domain/clock.ts';
import { StoreError } from '../../functions/domain/errors.ts';
import type {
  AccessTokenStore,
  ArtifactStore,
  Attempt,
  AuthorizationCodeStore,
  ClientAccessTokenStore,
  Digest,
  Engine,
  GrantEntry,
  Page,
  Selector,
  StoredAccessToken,
  StoredArtifact,
  StoredClientAccessToken,
  StoredCode,
  StoredGrant,
  StoredRefreshToken,
  TokenKey,
} from '../../functions/domain/ports.ts';

import type { Capabilities } from './harness.ts';

// The rules of the ports, as plainly as they can be said: lists that are searched from end to end, and no call that pauses.
// It is what other stores are compared with, and shares nothing with any of them.

interface Code {
  readonly code: StoredCode;
  readonly attempt: Attempt;
  redeemed?: { readonly at: number; readonly by: Attempt };
}

interface Access {
  readonly access: StoredAccessToken;
  readonly attempt: Attempt;
  revokedAt?: number;
}

interface Generation {
  readonly digest: Digest;
  readonly foreign: boolean;
  readonly at: number;
  readonly attempt: Attempt;
  readonly sealed: Uint8Array;
}

interface Grant {
  grant: StoredGrant;
  readonly attempt: Attempt;
  revokedAt?: number;
  refresh?: StoredRefreshToken;
  issuedAt: number;
  refreshAttempt?: Attempt;
  sender?: Uint8Array;
  /** Every generation that was replaced, the last one first. */
  readonly retired: Generation[];
  readonly tokens: Access[];
}

interface Artifact {
  artifact: StoredArtifact;
  readonly putBy?: Attempt;
  consumed?: { readonly at: number; readonly by: Attempt };
}

/** Everything that is stored; plain data, so that it can be copied and compared. */
export interface State {
  codes: Code[];
  grants: Grant[];
  /** Grants that were revoked before they came. */
  revoked: { readonly grantId: Uint8Array; readonly retainUntil: number }[];
  revocations: { readonly selector: Selector; readonly atMs: number; readonly retainUntil: number }[];
  artifacts: Artifact[];
  clientTokens: StoredClientAccessToken[];
}

export const emptyState = (): State => ({
  codes: [],
  grants: [],
  revoked: [],
  revocations: [],
  artifacts: [],
  clientTokens: [],
});

const equal = (one: Uint8Array | undefined, two: Uint8Array | undefined) =>
  one === undefined || two === undefined ? one === two : Buffer.compare(one, two) === 0;
const isOver = (end: number | undefined, now: number) => end !== undefined && end <= now;
const conflict = (what: string): never => {
  throw new StoreError('conflict', `${what} is stored already`);
};

const matches = (grant: StoredGrant, { subject, clientId, applicationId, consentId }: Selector) =>
  (subject === undefined || grant.subject === subject) &&
  (clientId === undefined || grant.clientId === clientId) &&
  (applicationId === undefined || grant.applicationId === applicationId) &&
  (consentId === undefined || grant.consentId === consentId);

/** A page of a list in an order that never changes. */
function pageOf<T>(all: readonly T[], nameOf: (one: T) => string, { limit, after = '' }: Page) {
  const rest = all.filter((one) => nameOf(one) > after).sort((one, two) => (nameOf(one) < nameOf(two) ? -1 : 1));
  const page = rest.slice(0, limit);
  const last = page.at(-1);
  return { page, ...(rest.length > limit && last !== undefined && { next: nameOf(last) }) };
}

/** Removes from `list` what is due, up to `limit`; how many. */
function purgeFrom<T>(list: T[], isDue: (one: T) => boolean, limit: number): number {
  const due = new Set(list.filter(isDue).slice(0, limit));
  list.splice(0, list.length, ...list.filter((one) => !due.has(one)));
  return due.size;
}

/** What a purge says of the records that it left, each by the time since when it is due. */
const restOf = (due: readonly number[]) => ({
  more: due.length > 0,
  backlog: {
    records: due.length,
    precision: 'exact' as const,
    ...(due.length > 0 && { oldestDueAt: Math.min(...due) }),
  },
});

/**
 * All four stores over a state, which they change in place; the clock is for the deadline of a purge. `tokenLeavesAt`: when
 * it removes an access token; of an engine that lets them leave by themselves never, then they stay until their grant goes.
 */
export function createReference(
  state: State,
  clock: Clock = () => 0,
  tokenLeavesAt: LeavesAt = ({ expiresAt }) => expiresAt,
): Engine {
  const untilDeadline = <S extends Pick<ClientAccessTokenStore, 'purgeExpired'>>(store: S): S => ({
    ...store,
    purgeExpired: ({ now, limit, deadlineMs }) =>
      store.purgeExpired({ now, limit: deadlineMs !== undefined && deadlineMs <= clock() ? 0 : limit }),
  });
  return {
    authorizationCodes: untilDeadline(createAuthorizationCodeStore(state)),
    accessTokens: untilDeadline(createAccessTokenStore(state, tokenLeavesAt)),
    artifacts: untilDeadline(createArtifactStore(state)),
    clientAccessTokens: untilDeadline(createClientAccessTokenStore(state)),
    close: async () => {},
  };
}

function createAuthorizationCodeStore({ codes }: State): AuthorizationCodeStore {
  const byDigest = (digest: Digest) => codes.find(({ code }) => equal(code.digest, digest));
  return {
    async add(code, { attempt }) {
      const stored = byDigest(code.digest);
      if (!stored) codes.push({ code, attempt });
      else if (!equal(stored.attempt, attempt)) conflict('the code');
    },
    async find(digest, { now }) {
      const stored = byDigest(digest);
      if (!stored) return { outcome: 'unknown' };
      const { code, redeemed } = stored;
      if (redeemed) return { outcome: 'redeemed', code, redeemedAt: redeemed.at };
      return { outcome: isOver(code.expiresAt, now) ? 'expired' : 'active', code };
    },
    async redeem(digest, { binding, now, attempt }) {
      const stored = byDigest(digest);
      if (!stored) return { outcome: 'unknown' };
      const { code, redeemed } = stored;
      if (!equal(code.binding, binding)) return { outcome: 'mismatched' };
      if (redeemed && !equal(redeemed.by, attempt)) return { outcome: 'replayed', grantId: code.grantId };
      if (!redeemed && isOver(code.expiresAt, now)) return { outcome: 'expired' };
      stored.redeemed ??= { at: now, by: attempt };
      return { outcome: 'redeemed', code };
    },
    remove: async (digest) => purgeFrom(codes, ({ code }) => equal(code.digest, digest), 1) > 0,
    async purgeExpired({ now, limit }) {
      const isDue = ({ code }: Code) => isOver(code.retainUntil, now);
      const removed = { codes: purgeFrom(codes, isDue, limit) };
      return { removed, ...restOf(codes.filter(isDue).map(({ code }) => code.retainUntil)) };
    },
  };
}

type LeavesAt = NonNullable<Capabilities['accessTokenLeavesAt']>;

function createAccessTokenStore(state: State, tokenLeavesAt: LeavesAt): AccessTokenStore {
  const { grants, revoked, revocations } = state;
  const byId = (grantId: Uint8Array) => grants.find(({ grant }) => equal(grant.grantId, grantId));
  const isForeign = (owner: Grant, digest: Digest) =>
    owner.tokens.some(({ access }) => access.foreign && equal(access.digest, digest)) ||
    (owner.refresh?.foreign && equal(owner.refresh.digest, digest)) ||
    owner.retired.some((generation) => generation.foreign && equal(generation.digest, digest));
  /** The grant that a key leads to: by the proof, or by a foreign digest. */
  const ownerOf = ({ grantId, digest }: TokenKey) =>
    grantId ? byId(grantId) : grants.find((owner) => isForeign(owner, digest));
  const tokenOf = (key: TokenKey) => {
    const owner = ownerOf(key);
    const token = owner?.tokens.find(({ access }) => equal(access.digest, key.digest));
    return owner && token && { owner, token };
  };
  const isRevokedEarly = (grantId: Uint8Array, now: number) =>
    revoked.some((mark) => equal(mark.grantId, grantId) && !isOver(mark.retainUntil, now));

  const takeForeign = (token: { readonly digest: Digest; readonly foreign?: boolean } | undefined, except?: Grant) => {
    if (token?.foreign && grants.some((owner) => owner !== except && isForeign(owner, token.digest))) {
      conflict('the foreign token');
    }
  };
  const retain = (owner: Grant, retainUntil: number) => {
    owner.grant = { ...owner.grant, retainUntil: Math.max(owner.grant.retainUntil, retainUntil) };
  };
  /** Why nothing can be added to a grant. */
  const closed = (owner: Grant, now: number) => {
    if (owner.revokedAt !== undefined) return 'revoked';
    return isOver(owner.grant.expiresAt, now) ? 'expired' : undefined;
  };
  const addToken = (owner: Grant, access: StoredAccessToken, attempt: Attempt) => {
    const stored = owner.tokens.find((token) => equal(token.access.digest, access.digest));
    if (!stored) owner.tokens.push({ access, attempt });
    else if (!equal(stored.attempt, attempt)) conflict('the access token');
  };
  const end = (owner: Grant, now: number) => {
    owner.revokedAt ??= now;
  };
  const entryOf = ({ grant, revokedAt, refresh }: Grant): GrantEntry => ({
    grant,
    ...(revokedAt !== undefined && { revokedAt }),
    ...(refresh && { refresh }),
  });

  return {
    async persist({ grant, refresh, access }, { now, attempt, authorizedAtMs }) {
      const stored = byId(grant.grantId);
      if (stored && equal(stored.attempt, attempt)) return 'persisted';
      if (isRevokedEarly(grant.grantId, now)) return 'revoked';
      if (stored) return conflict('the grant');
      if (revocations.some(({ selector, atMs }) => matches(grant, selector) && (authorizedAtMs ?? atMs + 1) <= atMs)) {
        return 'barred';
      }
      takeForeign(refresh);
      takeForeign(access);
      grants.push({
        grant,
        attempt,
        issuedAt: grant.createdAt,
        retired: [],
        ...(refresh && { refresh }),
        ...(refresh?.sender && { sender: refresh.sender }),
        tokens: access ? [{ access, attempt }] : [],
      });
      return 'persisted';
    },
    async addAccess(grantId, access, { now, attempt, retainUntil }) {
      const owner = byId(grantId);
      if (!owner) return isRevokedEarly(grantId, now) ? 'revoked' : 'unknown';
      const why = closed(owner, now);
      if (why) return why;
      takeForeign(access, owner);
      addToken(owner, access, attempt);
      retain(owner, retainUntil);
      return 'added';
    },
    async addRefresh(grantId, refresh, { now, attempt, retainUntil }) {
      const owner = byId(grantId);
      if (!owner) return isRevokedEarly(grantId, now) ? 'revoked' : 'unknown';
      const why = closed(owner, now);
      if (why) return why;
      if (owner.refreshAttempt && equal(owner.refreshAttempt, attempt)) return 'added';
      if (owner.refresh) return conflict('another refresh token of the grant');
      takeForeign(refresh);
      owner.refresh = refresh;
      owner.issuedAt = now;
      owner.refreshAttempt = attempt;
      if (refresh.sender) owner.sender = refresh.sender;
      else delete owner.sender;
      retain(owner, retainUntil);
      return 'added';
    },
    async findAccess(key, { now }) {
      const found = tokenOf(key);
      if (!found) return { outcome: 'unknown' };
      const { owner, token } = found;
      const { access } = token;
      const { grant } = owner;
      if (owner.revokedAt !== undefined || token.revokedAt !== undefined) return { outcome: 'revoked', access, grant };
      const over = isOver(access.expiresAt, now) || isOver(grant.expiresAt, now);
      return { outcome: over ? 'expired' : 'active', access, grant };
    },
    async findRefresh(key, { now }) {
      const owner = ownerOf(key);
      if (!owner) return { outcome: 'unknown' };
      const { grant, refresh, issuedAt } = owner;
      if (!refresh || !equal(refresh.digest, key.digest)) {
        return { outcome: 'retired', retiredAt: owner.retired[0]?.at ?? grant.createdAt, grant };
      }
      if (owner.revokedAt !== undefined) return { outcome: 'revoked', refresh, issuedAt, grant };
      const over = [refresh.expiresAt, refresh.idleExpiresAt, grant.expiresAt].some((each) => isOver(each, now));
      return { outcome: over ? 'expired' : 'active', refresh, issuedAt, grant };
    },
    async rotate(key, successor, { clientId, sender, now, attempt, graceSeconds }) {
      const owner = ownerOf(key);
      if (!owner) return { outcome: 'unknown' };
      const { refresh } = owner;
      if (owner.grant.clientId !== clientId || (owner.sender && !equal(owner.sender, sender)))
        return { outcome: 'mismatched' };

      if (refresh && equal(refresh.digest, key.digest)) {
        if (owner.revokedAt !== undefined) return { outcome: 'revoked' };
        const ends = [refresh.expiresAt, refresh.idleExpiresAt, owner.grant.expiresAt];
        if (ends.some((each) => isOver(each, now))) return { outcome: 'expired' };
        if (successor.access) addToken(owner, successor.access, attempt);
        retain(owner, successor.retainUntil);
        const { sealed } = successor;
        if (typeof successor.refresh === 'object' && 'kept' in successor.refresh) {
          const { idleExpiresAt } = successor.refresh;
          if (idleExpiresAt !== undefined) owner.refresh = { ...refresh, idleExpiresAt };
          return { outcome: 'rotated', grant: owner.grant, sealed };
        }
        owner.retired.unshift({ digest: refresh.digest, foreign: refresh.foreign === true, at: now, attempt, sealed });
        owner.issuedAt = now;
        if (successor.refresh === 'none') delete owner.refresh;
        else owner.refresh = { ...successor.refresh, ...(owner.sender && { sender: owner.sender }) };
        return { outcome: 'rotated', grant: owner.grant, sealed };
      }

      const [last] = owner.retired;
      if (last && equal(last.digest, key.digest)) {
        const isRepeat = equal(last.attempt, attempt);
        if (isRepeat || now < last.at + graceSeconds) {
          if (owner.revokedAt !== undefined) return { outcome: 'revoked' };
          if (isOver(owner.grant.expiresAt, now)) return { outcome: 'expired' };
          return { outcome: isRepeat ? 'rotated' : 'retried', grant: owner.grant, sealed: last.sealed };
        }
      }
      end(owner, now);
      return { outcome: 'reused', grant: owner.grant };
    },
    async revokeAccess(key, { now, clientId }) {
      const found = tokenOf(key);
      if (!found || found.owner.revokedAt !== undefined || found.token.revokedAt !== undefined) return false;
      if (clientId !== undefined && found.owner.grant.clientId !== clientId) return false;
      found.token.revokedAt = now;
      return true;
    },
    async revokeRefresh(key, { now, clientId }) {
      const owner = ownerOf(key);
      if (!owner || owner.revokedAt !== undefined) return false;
      if (clientId !== undefined && owner.grant.clientId !== clientId) return false;
      end(owner, now);
      return true;
    },
    async revokeGrant(grantId, { now, retainUntil }) {
      const owner = byId(grantId);
      if (owner) end(owner, now);
      else revoked.push({ grantId, retainUntil });
    },
    async revokeAccessOfGrant(grantId, { now }) {
      for (const token of byId(grantId)?.tokens ?? []) token.revokedAt ??= now;
    },
    async revokeBy(selector, { nowMs, retainUntil }) {
      const ending = grants.filter(({ grant, revokedAt }) => revokedAt === undefined && matches(grant, selector));
      for (const owner of ending) end(owner, Math.floor(nowMs / 1000));
      revocations.push({ selector, atMs: nowMs, retainUntil });
      return ending.length;
    },
    async listGrants(selector, request) {
      const found = grants.filter(({ grant }) => matches(grant, selector));
      const { page, ...next } = pageOf(found, ({ grant }) => Buffer.from(grant.grantId).toString('hex'), request);
      return { grants: page.map(entryOf), ...next };
    },
    async listAccess(grantId, request) {
      const tokens = byId(grantId)?.tokens ?? [];
      const { page, ...next } = pageOf(tokens, ({ access }) => Buffer.from(access.digest).toString('hex'), request);
      const found = page.map(({ access, revokedAt }) => ({ ...access, ...(revokedAt !== undefined && { revokedAt }) }));
      return { tokens: found, ...next };
    },
    async purgeExpired({ now, limit }) {
      let left = limit;
      const purge = <T>(list: T[], isDue: (one: T) => boolean) => {
        const count = purgeFrom(list, isDue, left);
        left -= count;
        return count;
      };
      const isDueToken = ({ access }: Access) => isOver(tokenLeavesAt(access), now);
      const isDueMark = ({ retainUntil }: { readonly retainUntil: number }) => isOver(retainUntil, now);
      const isDueGrant = ({ grant }: Grant) => isDueMark(grant);
      const removed = {
        accessTokens: grants.map(({ tokens }) => purge(tokens, isDueToken)).reduce((sum, count) => sum + count, 0),
        grants: purge(grants, isDueGrant),
        revocations: purge(revocations, isDueMark) + purge(revoked, isDueMark),
      };
      const rest = [
        ...grants.flatMap(({ tokens }) => tokens.filter(isDueToken).map(({ access }) => tokenLeavesAt(access))),
        ...[...grants.map(({ grant }) => grant), ...revocations, ...revoked]
          .filter(isDueMark)
          .map(({ retainUntil }) => retainUntil),
      ];
      return { removed, ...restOf(rest) };
    },
  };
}

function createArtifactStore({ artifacts }: State): ArtifactStore {
  const byId = (kind: string, id: Digest) =>
    artifacts.find(({ artifact }) => artifact.kind === kind && equal(artifact.id, id));
  const stateOf = (stored: Artifact | undefined, now: number) => {
    if (!stored) return { outcome: 'unknown' } as const;
    const { artifact, consumed } = stored;
    const outcome = isOver(artifact.expiresAt, now) ? 'expired' : 'active';
    return { outcome, artifact, ...(consumed && { consumedAt: consumed.at }) } as const;
  };
  const findBy = (way: 'uid' | 'userCode', kind: string, value: Digest) =>
    artifacts.find(({ artifact }) => artifact.kind === kind && artifact[way] && equal(artifact[way], value));
  /** A way in that is given to another artifact leads there from then on. */
  const takeWay = (way: 'uid' | 'userCode', { kind, [way]: value }: StoredArtifact) => {
    const holder = value && findBy(way, kind, value);
    if (!holder) return;
    const { [way]: _, ...rest } = holder.artifact;
    holder.artifact = rest;
  };
  const replace = (stored: Artifact) => {
    purgeFrom(
      artifacts,
      ({ artifact: { kind, id } }) => kind === stored.artifact.kind && equal(id, stored.artifact.id),
      1,
    );
    takeWay('uid', stored.artifact);
    takeWay('userCode', stored.artifact);
    artifacts.push(stored);
  };
  return {
    async put(artifact) {
      const { artifact: _, ...past } = byId(artifact.kind, artifact.id) ?? {};
      replace({ ...past, artifact });
    },
    async putOnce(artifact, { now, attempt }) {
      const stored = byId(artifact.kind, artifact.id);
      if (stored?.putBy && equal(stored.putBy, attempt)) return true;
      if (stored && !isOver(stored.artifact.expiresAt, now)) return false;
      replace({ artifact, putBy: attempt });
      return true;
    },
    find: async (kind, id, { now }) => stateOf(byId(kind, id), now),
    findByUid: async (kind, uid, { now }) => stateOf(findBy('uid', kind, uid), now),
    findByUserCode: async (kind, userCode, { now }) => stateOf(findBy('userCode', kind, userCode), now),
    async consume(kind, id, { now, attempt }) {
      const stored = byId(kind, id);
      if (!stored || isOver(stored.artifact.expiresAt, now)) return false;
      stored.consumed ??= { at: now, by: attempt };
      return equal(stored.consumed.by, attempt);
    },
    remove: async (kind, id) =>
      purgeFrom(artifacts, ({ artifact }) => artifact.kind === kind && equal(artifact.id, id), 1) > 0,
    removeByConsent: async (consentId) =>
      purgeFrom(artifacts, ({ artifact }) => artifact.consentId === consentId, Number.POSITIVE_INFINITY),
    async purgeExpired({ now, limit }) {
      const isDue = ({ artifact }: Artifact) => isOver(artifact.retainUntil ?? artifact.expiresAt, now);
      const removed = { artifacts: purgeFrom(artifacts, isDue, limit) };
      const rest = artifacts.filter(isDue).map(({ artifact }) => artifact.retainUntil ?? artifact.expiresAt ?? 0);
      return { removed, ...restOf(rest) };
    },
  };
}

function createClientAccessTokenStore({ clientTokens }: State): ClientAccessTokenStore {
  const removeToken = (clientId: string, key: string) =>
    purgeFrom(clientTokens, (token) => token.clientId === clientId && token.key === key, 1) > 0;
  return {
    async put(token) {
      removeToken(token.clientId, token.key);
      clientTokens.push(token);
    },
    get: async (clientId, key, { now }) =>
      clientTokens.find((token) => token.clientId === clientId && token.key === key && !isOver(token.expiresAt, now)),
    remove: async (clientId, key) => removeToken(clientId, key),
    async purgeExpired({ now, limit }) {
      const isDue = ({ expiresAt }: StoredClientAccessToken) => isOver(expiresAt, now);
      const removed = { clientAccessTokens: purgeFrom(clientTokens, isDue, limit) };
      return { removed, ...restOf(clientTokens.filter(isDue).map(({ expiresAt }) => expiresAt)) };
    },
  };
}
