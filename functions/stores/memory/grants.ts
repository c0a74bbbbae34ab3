import { StoreError } from '../../domain/errors.ts';
import type {
  Attempt,
  Digest,
  Selector,
  StoredAccessToken,
  StoredGrant,
  StoredRefreshToken,
  TokenKey,
} from '../../domain/ports.ts';
import { selectorFields } from '../../domain/selector.ts';
import type { GrantId } from '../../domain/token.ts';
import type { Elements } from './elements.ts';
import { copy, same, text } from './records.ts';
import { forget, type Member, membersAfter, newSeries, type Series, sizeOf } from './series.ts';

export interface GrantRecord extends Member {
  grant: StoredGrant;
  readonly attempt: Attempt;
  refresh?: StoredRefreshToken | undefined;
  refreshIssuedAt: number;
  /** Who added the refresh token, if it did not come with the grant. */
  refreshAttempt?: Attempt;
  /** The refresh token before the present one, and what was answered to its holder. */
  retired?: {
    readonly digest: Digest;
    readonly attempt: Attempt;
    readonly at: number;
    readonly sealed: Uint8Array;
  };
  /** Thumbprint of the key that every refresh token of the grant is bound to, also when it has none just now. */
  sender?: Uint8Array | undefined;
  revokedAt?: number;
  readonly accessTokens: Series<AccessRecord>;
  /** Digests of its refresh tokens, present and past, that were minted elsewhere. */
  readonly foreignRefreshes: string[];
}

export interface AccessRecord extends Member {
  readonly owner: GrantRecord;
  readonly token: StoredAccessToken;
  readonly attempt: Attempt;
  revokedAt?: number;
}

/** Grants with their tokens, and the ways that lead to them. A grant is one element; its access tokens are parts of it. */
export function createGrants(elements: Elements) {
  const grants = elements.createTable<GrantRecord>('element', forgetGrant);
  const accessTokens = elements.createTable<AccessRecord>('part', forgetAccess);
  const byField = new Map(selectorFields.map((field) => [field, new Map<string, Series<GrantRecord>>()]));
  /** From the digests of tokens that were minted elsewhere to the keys of their grants; a way for each kind. */
  const foreign = { access: new Map<string, string>(), refresh: new Map<string, string>() };
  let sequence = 0;
  const nextMember = (): Member => {
    sequence += 1;
    return { sequence, gone: false };
  };

  const accessKey = (grantKey: string, digest: Digest) => `${grantKey}.${text(digest)}`;
  /** The series that the grant belongs in, each with the values that lead to it. */
  const placesOf = (grant: StoredGrant) =>
    [...byField].flatMap(([field, byValue]) => {
      const value = grant[field];
      return value === undefined ? [] : [{ byValue, value }];
    });

  function forgetGrant(record: GrantRecord, key: string): void {
    record.gone = true;
    for (const { byValue, value } of placesOf(record.grant)) {
      const series = byValue.get(value);
      if (!series) continue;
      forget(series);
      if (sizeOf(series) === 0) byValue.delete(value);
    }
    for (const { token } of membersAfter(record.accessTokens, 0)) accessTokens.delete(accessKey(key, token.digest));
    for (const digest of record.foreignRefreshes) foreign.refresh.delete(digest);
  }

  function forgetAccess(record: AccessRecord): void {
    record.gone = true;
    forget(record.owner.accessTokens);
    if (record.token.foreign) foreign.access.delete(text(record.token.digest));
  }

  const find = (key: TokenKey, kind: keyof typeof foreign): GrantRecord | undefined => {
    const grantKey = key.grantId ? text(key.grantId) : foreign[kind].get(text(key.digest));
    return grantKey === undefined ? undefined : grants.get(grantKey);
  };

  return {
    grants,
    accessTokens,
    /** The grant that a refresh token leads to, be the token present, past or unknown to it. */
    findOfRefresh: (key: TokenKey) => find(key, 'refresh'),

    findAccess(key: TokenKey): AccessRecord | undefined {
      const owner = find(key, 'access');
      return owner && accessTokens.get(accessKey(text(owner.grant.grantId), key.digest));
    },

    /**
     * Whether an access token is not stored yet; a repeat of the attempt that stored it may find it.
     *
     * @throws {StoreError} conflict: it is stored by another attempt
     */
    isNewAccess(grantId: GrantId, token: StoredAccessToken, attempt: Attempt): boolean {
      const stored = accessTokens.get(accessKey(text(grantId), token.digest));
      const isTaken = stored ? !same(stored.attempt, attempt) : token.foreign && foreign.access.has(text(token.digest));
      if (isTaken) throw new StoreError('conflict', 'an access token with this digest is stored already');
      return stored === undefined;
    },

    /** @throws {StoreError} conflict: the token was minted elsewhere, and leads to a grant already */
    checkRefresh(token: StoredRefreshToken): void {
      if (token.foreign && foreign.refresh.has(text(token.digest))) {
        throw new StoreError('conflict', 'a refresh token with this digest is stored already');
      }
    },

    /** @throws {StoreError} throttled, and nothing is stored */
    add(grant: StoredGrant, attempt: Attempt): GrantRecord {
      const record: GrantRecord = {
        ...nextMember(),
        grant: copy(grant),
        attempt: Buffer.from(attempt),
        refreshIssuedAt: grant.createdAt,
        accessTokens: newSeries(),
        foreignRefreshes: [],
      };
      grants.put(text(grant.grantId), record, grant.retainUntil);
      for (const { byValue, value } of placesOf(grant)) {
        const series = byValue.get(value) ?? newSeries();
        byValue.set(value, series);
        series.members.push(record);
      }
      return record;
    },

    addAccess(owner: GrantRecord, token: StoredAccessToken, attempt: Attempt): void {
      const grantKey = text(owner.grant.grantId);
      const record: AccessRecord = { ...nextMember(), owner, token: copy(token), attempt: Buffer.from(attempt) };
      accessTokens.put(accessKey(grantKey, token.digest), record, token.expiresAt);
      owner.accessTokens.members.push(record);
      if (token.foreign) foreign.access.set(text(token.digest), grantKey);
    },

    /** Makes a refresh token the present one of its grant. */
    setRefresh(owner: GrantRecord, token: StoredRefreshToken, issuedAt: number): void {
      owner.refresh = copy(token);
      owner.refreshIssuedAt = issuedAt;
      owner.sender = owner.refresh.sender;
      if (!token.foreign) return;
      owner.foreignRefreshes.push(text(token.digest));
      foreign.refresh.set(text(token.digest), text(owner.grant.grantId));
    },

    /** Keeps a grant until then, if it was not to be kept longer anyway. */
    retain(record: GrantRecord, retainUntil: number): void {
      if (retainUntil <= record.grant.retainUntil) return;
      record.grant = Object.freeze({ ...record.grant, retainUntil });
      grants.defer(text(record.grant.grantId), retainUntil);
    },

    /**
     * The shortest series that holds every grant that matches; others may stand between them.
     *
     * @throws {StoreError} invalid: the selector is empty
     */
    seriesOf(selector: Selector): Series<GrantRecord> {
      elements.sweep();
      const all = [...byField].flatMap(([field, byValue]) => {
        const value = selector[field];
        return value === undefined ? [] : [byValue.get(value) ?? newSeries<GrantRecord>()];
      });
      const [shortest] = all.sort((one, other) => sizeOf(one) - sizeOf(other));
      if (!shortest) throw new StoreError('invalid', `a selector names at least one of ${selectorFields.join(', ')}`);
      return shortest;
    },
  };
}
