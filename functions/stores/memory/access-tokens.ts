import { StoreError } from '../../domain/errors.ts';
import type {
  AccessTokenStore,
  Attempt,
  Digest,
  GrantEntry,
  RefreshState,
  RotateOutcome,
  StoredGrant,
  Successor,
} from '../../domain/ports.ts';
import { matches, selectorKey, selectorKeysOf } from '../../domain/selector.ts';
import type { GrantId } from '../../domain/token.ts';
import type { Elements } from './elements.ts';
import { createGrants, type GrantRecord } from './grants.ts';
import { copy, same, text } from './records.ts';
import { membersAfter, pageOf } from './series.ts';

const hasPassed = (time: number | undefined, now: number) => time !== undefined && time <= now;

const entryOf = ({ grant, revokedAt, refresh }: GrantRecord): GrantEntry => ({
  grant: copy(grant),
  ...(revokedAt !== undefined && { revokedAt }),
  ...(refresh && { refresh: copy(refresh) }),
});

export function createAccessTokenStore(elements: Elements): AccessTokenStore {
  const records = createGrants(elements);
  const { grants, accessTokens } = records;
  /** Grants that were revoked before they came. */
  const revoked = elements.createTable<{ readonly retainUntil: number }>('mark');
  /** The last revocation by each selector. */
  const revocations = elements.createTable<{ readonly atMs: number; readonly retainUntil: number }>('mark');

  const isBarred = (grant: StoredGrant, authorizedAtMs: number | undefined) =>
    authorizedAtMs !== undefined &&
    revocations.size > 0 &&
    selectorKeysOf(grant).some((key) => (revocations.get(text(key))?.atMs ?? -1) >= authorizedAtMs);

  /** The grant that a further token is to be stored in, or why it cannot be. */
  const findOpen = (grantId: GrantId, now: number) => {
    const record = grants.get(text(grantId));
    if (!record) return revoked.get(text(grantId)) ? 'revoked' : 'unknown';
    if (record.revokedAt !== undefined) return 'revoked';
    return hasPassed(record.grant.expiresAt, now) ? 'expired' : record;
  };

  const stateOf = (
    { grant, revokedAt }: GrantRecord,
    token: { readonly expiresAt: number; readonly idleExpiresAt?: number; readonly revokedAt?: number },
    now: number,
  ) => {
    if (revokedAt !== undefined || token.revokedAt !== undefined) return 'revoked';
    return [token.expiresAt, token.idleExpiresAt, grant.expiresAt].some((time) => hasPassed(time, now))
      ? 'expired'
      : 'active';
  };

  /** Whether there was something to end, of this client if one is named; then it has ended. */
  const end = (target: { revokedAt?: number }, owner: GrantRecord, now: number, clientId: string | undefined) => {
    if (target.revokedAt !== undefined || owner.revokedAt !== undefined) return false;
    if (clientId !== undefined && clientId !== owner.grant.clientId) return false;
    target.revokedAt = now;
    return true;
  };

  const replace = (
    record: GrantRecord,
    { refresh, access, sealed, retainUntil }: Successor,
    { digest, now, attempt }: { digest: Digest; now: number; attempt: Attempt },
  ): RotateOutcome => {
    const isNew = access && records.isNewAccess(record.grant.grantId, access, attempt);
    if (refresh !== 'none' && 'kept' in refresh) {
      const { idleExpiresAt } = refresh;
      if (record.refresh && idleExpiresAt !== undefined) record.refresh = copy({ ...record.refresh, idleExpiresAt });
    } else {
      if (refresh !== 'none') records.checkRefresh(refresh);
      record.retired = copy({ digest, attempt, at: now, sealed });
      if (refresh === 'none') record.refresh = undefined;
      else records.setRefresh(record, { ...refresh, ...(record.sender && { sender: record.sender }) }, now);
    }
    if (isNew) records.addAccess(record, access, attempt);
    records.retain(record, retainUntil);
    return { outcome: 'rotated', grant: copy(record.grant), sealed };
  };

  return {
    async persist({ grant, refresh, access }, { attempt, authorizedAtMs }) {
      if (isBarred(grant, authorizedAtMs)) return 'barred';
      const stored = grants.get(text(grant.grantId));
      if (stored?.revokedAt !== undefined || revoked.get(text(grant.grantId))) return 'revoked';
      if (stored && same(stored.attempt, attempt)) return 'persisted';
      if (stored) throw new StoreError('conflict', 'a grant of this id is stored already');
      if (access) records.isNewAccess(grant.grantId, access, attempt);
      if (refresh) records.checkRefresh(refresh);
      const record = records.add(grant, attempt);
      if (refresh) records.setRefresh(record, refresh, grant.createdAt);
      if (access) records.addAccess(record, access, attempt);
      return 'persisted';
    },
    async addAccess(grantId, access, { now, attempt, retainUntil }) {
      const record = findOpen(grantId, now);
      if (typeof record === 'string') return record;
      if (records.isNewAccess(grantId, access, attempt)) records.addAccess(record, access, attempt);
      records.retain(record, retainUntil);
      return 'added';
    },
    async addRefresh(grantId, refresh, { now, attempt, retainUntil }) {
      const record = findOpen(grantId, now);
      if (typeof record === 'string') return record;
      if (same(record.refreshAttempt, attempt)) return 'added';
      if (record.refresh) throw new StoreError('conflict', 'the grant has a refresh token already');
      records.checkRefresh(refresh);
      records.setRefresh(record, refresh, now);
      record.refreshAttempt = Buffer.from(attempt);
      records.retain(record, retainUntil);
      return 'added';
    },
    async findAccess(key, { now }) {
      const found = records.findAccess(key);
      if (!found) return { outcome: 'unknown' };
      const { owner, token, revokedAt } = found;
      const outcome = stateOf(owner, revokedAt === undefined ? token : { ...token, revokedAt }, now);
      return { outcome, access: copy(token), grant: copy(owner.grant) };
    },
    async findRefresh(key, { now }): Promise<RefreshState> {
      const record = records.findOfRefresh(key);
      if (!record) return { outcome: 'unknown' };
      const { refresh, refreshIssuedAt: issuedAt, retired } = record;
      const grant = copy(record.grant);
      if (refresh && same(refresh.digest, key.digest)) {
        return { outcome: stateOf(record, refresh, now), refresh: copy(refresh), issuedAt, grant };
      }
      return { outcome: 'retired', retiredAt: retired?.at ?? grant.createdAt, grant };
    },
    async rotate({ digest, ...key }, successor, { clientId, sender, now, attempt, graceSeconds }) {
      const record = records.findOfRefresh({ digest, ...key });
      if (!record) return { outcome: 'unknown' };
      const { refresh, retired, grant } = record;
      const isBoundElsewhere = record.sender !== undefined && !same(record.sender, sender);
      if (grant.clientId !== clientId || isBoundElsewhere) return { outcome: 'mismatched' };
      if (refresh && same(refresh.digest, digest)) {
        const outcome = stateOf(record, refresh, now);
        return outcome === 'active' ? replace(record, successor, { digest, now, attempt }) : { outcome };
      }
      const isRepeated = same(retired?.attempt, attempt);
      if (retired && same(retired.digest, digest) && (isRepeated || now < retired.at + graceSeconds)) {
        if (record.revokedAt !== undefined) return { outcome: 'revoked' };
        if (hasPassed(grant.expiresAt, now)) return { outcome: 'expired' };
        const outcome = isRepeated ? 'rotated' : 'retried';
        return { outcome, grant: copy(grant), sealed: Buffer.from(retired.sealed) };
      }
      record.revokedAt ??= now;
      return { outcome: 'reused', grant: copy(grant) };
    },
    async revokeAccess(key, { now, clientId }) {
      const found = records.findAccess(key);
      return found ? end(found, found.owner, now, clientId) : false;
    },
    async revokeRefresh(key, { now, clientId }) {
      const found = records.findOfRefresh(key);
      return found ? end(found, found, now, clientId) : false;
    },
    async revokeGrant(grantId, { now, retainUntil }) {
      const record = grants.get(text(grantId));
      if (record) {
        record.revokedAt ??= now;
        return;
      }
      const until = Math.max(retainUntil, revoked.get(text(grantId))?.retainUntil ?? 0);
      revoked.put(text(grantId), { retainUntil: until }, until);
    },
    async revokeAccessOfGrant(grantId, { now }) {
      const record = grants.get(text(grantId));
      for (const found of record ? membersAfter(record.accessTokens, 0) : []) found.revokedAt ??= now;
    },
    async revokeBy(selector, { nowMs, retainUntil }) {
      let ended = 0;
      for (const record of membersAfter(records.seriesOf(selector), 0)) {
        if (matches(record.grant, selector) && end(record, record, Math.floor(nowMs / 1000), undefined)) ended += 1;
      }
      const key = text(selectorKey(selector));
      const before = revocations.get(key);
      const until = Math.max(retainUntil, before?.retainUntil ?? 0);
      revocations.put(key, { atMs: Math.max(nowMs, before?.atMs ?? 0), retainUntil: until }, until);
      return ended;
    },
    async listGrants(selector, page) {
      const { found, ...next } = pageOf(records.seriesOf(selector), page, ({ grant }) => matches(grant, selector));
      return { grants: found.map(entryOf), ...next };
    },
    async listAccess(grantId, page) {
      const { found, ...next } = pageOf(grants.get(text(grantId))?.accessTokens, page, () => true);
      const tokens = found.map(({ token, revokedAt }) =>
        copy({ ...token, ...(revokedAt !== undefined && { revokedAt }) }),
      );
      return { tokens, ...next };
    },
    purgeExpired: async (request) =>
      elements.purge({ accessTokens: [accessTokens], grants: [grants, revoked], revocations: [revocations] }, request),
  };
}
