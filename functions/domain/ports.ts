import type { GrantId } from './token.ts';

// The ports: what a store must do, whatever engine is below it. Every MUST has a case in test/conformance with the same
// words. Each operation is one round trip; every decision is taken by the engine in one atomic step, from the one record
// that it has locked or conditioned, never by reading first. A failure is a StoreError (errors.ts); `unknown` is a value.
//
// Times are epoch seconds. `expiresAt <= now` is expired, on every read and in every condition, whether or not the record
// still stands. `retainUntil` is when the purge removes a record: never before it has expired.

/** What is kept of a value: its digest. */
export type Digest = Uint8Array;

/** 16 random bytes that name one try of one caller. A repeat by a driver, an SDK or a caller that lost the answer carries the same. */
export type Attempt = Uint8Array;

/** How a token is found. */
export interface TokenKey {
  readonly digest: Digest;
  /** Given when the token proved itself: then a digest that its grant does not know is an older generation. */
  readonly grantId?: GrantId;
}

/** What ends, removes or lists many grants: all that is given must match. */
export interface Selector {
  readonly subject?: string;
  readonly clientId?: string;
  readonly applicationId?: string;
  readonly consentId?: string;
}

/** One authorization by a resource owner (or by the client itself) and everything that came of it. */
export interface StoredGrant {
  readonly grantId: GrantId;
  readonly clientId: string;
  readonly subject?: string;
  readonly applicationId?: string;
  /** The resource owner's decision that this grant rests on; several grants may share one. */
  readonly consentId?: string;
  readonly createdAt: number;
  /** Absolute end of every token of the grant, however often it is refreshed. */
  readonly expiresAt?: number;
  /** Kept until then: later than the expiry of each of its tokens. */
  readonly retainUntil: number;
  /** The rest of the record, which a store does not look into. */
  readonly data: Uint8Array;
}

export interface StoredAccessToken {
  readonly digest: Digest;
  readonly issuedAt: number;
  readonly expiresAt: number;
  readonly data: Uint8Array;
  /** Minted elsewhere: it does not lead to its grant, so the store must keep the way from its digest to the grant. */
  readonly foreign?: boolean;
}

export interface StoredRefreshToken {
  readonly digest: Digest;
  readonly expiresAt: number;
  /** Expired, too, when it has not been used until then. */
  readonly idleExpiresAt?: number;
  /** Thumbprint (32 bytes) of the key that the token is bound to: RFC 9449 §5, RFC 8705 §4. */
  readonly sender?: Uint8Array;
  readonly foreign?: boolean;
}

export interface StoredCode {
  readonly digest: Digest;
  /** The grant that the code becomes. */
  readonly grantId: GrantId;
  /** Digest over client, redirect URI, PKCE challenge and sender: what a redeemer must present (RFC 6749 §4.1.3, RFC 7636 §4.6). */
  readonly binding: Digest;
  readonly expiresAt: number;
  /** Kept until then, redeemed or not, so that a replay is known for one: not before the first tokens of its grant have expired. */
  readonly retainUntil: number;
  readonly data: Uint8Array;
}

export interface PurgeRequest {
  readonly now: number;
  /** At most so many records, of all kinds together; what an engine empties whole, at no cost for each, is not held to it. */
  readonly limit: number;
  /** Epoch milliseconds at which to stop between two batches. */
  readonly deadlineMs?: number;
}

/** What is due, and still there. */
export interface Backlog {
  readonly records: number;
  /** How near `records` is: counted, or up to some bound, or taken from a sample. */
  readonly precision: 'exact' | 'at least' | 'estimated';
  /** Since when the oldest is due of those that were seen; none when none was. */
  readonly oldestDueAt?: number;
}

export interface PurgeReport {
  /** Records removed, per kind. */
  readonly removed: Readonly<Record<string, number>>;
  /** Whether limit or deadline ended the run before it had removed all that was due. */
  readonly more: boolean;
  /** What the run MUST say is left: how many records of its kinds are due at `now` after it, and since when. */
  readonly backlog: Backlog;
}

export interface Page {
  /** 1 to 1000. */
  readonly limit: number;
  /** `next` of the page before. */
  readonly after?: string;
}

export type RedeemOutcome =
  | { readonly outcome: 'redeemed'; readonly code: StoredCode }
  | { readonly outcome: 'replayed'; readonly grantId: GrantId }
  | { readonly outcome: 'expired' | 'mismatched' | 'unknown' };

export type CodeState =
  | { readonly outcome: 'active' | 'expired'; readonly code: StoredCode }
  | { readonly outcome: 'redeemed'; readonly code: StoredCode; readonly redeemedAt: number }
  | { readonly outcome: 'unknown' };

/** Authorization codes (RFC 6749 §4.1). */
export interface AuthorizationCodeStore {
  /**
   * Stores a code. A second code with the same digest MUST be refused as `conflict`, unless it is the same attempt (G11).
   * @throws {StoreError} conflict
   */
  add(code: StoredCode, options: { now: number; attempt: Attempt }): Promise<void>;
  /** The code and its state; nothing is consumed. */
  find(digest: Digest, options: { now: number }): Promise<CodeState>;
  /**
   * Single use: of any number of concurrent redeemers exactly one MUST get `redeemed` (G3). A repeat of its attempt MUST
   * get `redeemed` again (G9); anybody else MUST get `replayed` with the grant, until `retainUntil` (G4). A binding that
   * differs MUST get `mismatched`, before all else, and consume nothing. An unredeemed code past its expiry is `expired`.
   */
  redeem(digest: Digest, options: { binding: Digest; now: number; attempt: Attempt }): Promise<RedeemOutcome>;
  /** Removes a code; whether there was one. */
  remove(digest: Digest): Promise<boolean>;
  /** MUST remove what is due at `now` and nothing else (G8); kinds: `codes`. */
  purgeExpired(request: PurgeRequest): Promise<PurgeReport>;
}

export type AccessState =
  | {
      readonly outcome: 'active' | 'expired' | 'revoked';
      readonly access: StoredAccessToken;
      readonly grant: StoredGrant;
    }
  | { readonly outcome: 'unknown' };

export type RefreshState =
  | {
      readonly outcome: 'active' | 'expired' | 'revoked';
      readonly refresh: StoredRefreshToken;
      readonly issuedAt: number;
      readonly grant: StoredGrant;
    }
  /** Replaced by a later generation. */
  | { readonly outcome: 'retired'; readonly retiredAt: number; readonly grant: StoredGrant }
  | { readonly outcome: 'unknown' };

/** What a rotation puts in place of the presented refresh token. */
export interface Successor {
  /** The new refresh token, minted here; `none`: the grant has no refresh token any more; `kept`: the presented one goes on. */
  readonly refresh:
    | Omit<StoredRefreshToken, 'sender'>
    | 'none'
    | { readonly kept: true; readonly idleExpiresAt?: number };
  readonly access?: Omit<StoredAccessToken, 'foreign'>;
  /** The answer to the client, sealed under a key of the presented token: a retry is given the same. */
  readonly sealed: Uint8Array;
  readonly retainUntil: number;
}

export type RotateOutcome =
  | { readonly outcome: 'rotated' | 'retried'; readonly grant: StoredGrant; readonly sealed: Uint8Array }
  | { readonly outcome: 'reused'; readonly grant: StoredGrant }
  | { readonly outcome: 'expired' | 'revoked' | 'mismatched' | 'unknown' };

export interface GrantEntry {
  readonly grant: StoredGrant;
  readonly revokedAt?: number;
  /** The current refresh token, expired or not. */
  readonly refresh?: StoredRefreshToken;
}

/** Access tokens and refresh tokens, grant by grant. */
export interface AccessTokenStore {
  /**
   * Stores a new grant with its first tokens, all or nothing. `revoked`, and nothing stored, when the grant was revoked
   * before it came (its code was replayed meanwhile). `barred`, and nothing stored, when it was authorized before, or in
   * the same millisecond as, a revocation by subject, client, application or consent that concerns it (`authorizedAtMs`).
   * A late repeat MUST never rewind a later state. A second grant of that id, or a foreign digest that is stored already,
   * is `conflict`, unless it is the same attempt (G11).
   * @throws {StoreError} conflict
   */
  persist(
    write: { grant: StoredGrant; refresh?: StoredRefreshToken; access?: StoredAccessToken },
    options: { now: number; attempt: Attempt; authorizedAtMs?: number },
  ): Promise<'persisted' | 'revoked' | 'barred'>;
  /**
   * Stores a further access token of a grant that is there; `retainUntil` moves the grant's, never back.
   * @throws {StoreError} conflict
   */
  addAccess(
    grantId: GrantId,
    access: StoredAccessToken,
    options: { now: number; attempt: Attempt; retainUntil: number },
  ): Promise<'added' | 'expired' | 'revoked' | 'unknown'>;
  /**
   * Stores the refresh token of a grant that has none.
   * @throws {StoreError} conflict: the grant has another one
   */
  addRefresh(
    grantId: GrantId,
    refresh: StoredRefreshToken,
    options: { now: number; attempt: Attempt; retainUntil: number },
  ): Promise<'added' | 'expired' | 'revoked' | 'unknown'>;
  /** Whether an access token is good, its grant seen in the same read: the lookup of every request to an API. */
  findAccess(key: TokenKey, options: { now: number }): Promise<AccessState>;
  findRefresh(key: TokenKey, options: { now: number }): Promise<RefreshState>;
  /**
   * Replaces a refresh token by its successor and stores the new access token, all or nothing. Of any number of
   * concurrent rotations of one token exactly one MUST get `rotated` (G5), and a repeat of its attempt the same again,
   * with the `sealed` that was stored first (G9). Until `graceSeconds` after it the others MUST get `retried` with the
   * same `sealed`; later, or with an older generation, `reused`, and the grant MUST be revoked before this returns.
   * A client that is not the grant's, or a sender that is not the one that the token is bound to, MUST get `mismatched`,
   * before all else, and change nothing; a token that is not bound takes any sender. A token that
   * is `kept` is not used up: everybody who presents it gets `rotated` with the `sealed` of his own.
   * On a revoked grant: `revoked`, but `reused` where the token is past its grace.
   */
  rotate(
    key: TokenKey,
    successor: Successor,
    options: { clientId: string; sender?: Uint8Array; now: number; attempt: Attempt; graceSeconds: number },
  ): Promise<RotateOutcome>;
  /** Ends one access token; from this call's return no lookup finds it active (G6). Whether there was one to end, of this client if one is named. */
  revokeAccess(key: TokenKey, options: { now: number; clientId?: string }): Promise<boolean>;
  /** Ends the grant of a refresh token, present or past, with all its tokens (RFC 7009 §2.1). Whether there was one to end, of this client if one is named. */
  revokeRefresh(key: TokenKey, options: { now: number; clientId?: string }): Promise<boolean>;
  /** Ends a grant with all its tokens, in one write; one that has not been persisted yet will be `revoked` when it comes, until `retainUntil`. */
  revokeGrant(grantId: GrantId, options: { now: number; retainUntil: number }): Promise<void>;
  /** Ends the access tokens that a grant has when this is called (one issued in the same second may end with them); its refresh token goes on. */
  revokeAccessOfGrant(grantId: GrantId, options: { now: number }): Promise<void>;
  /**
   * Ends every grant that matches: whatever was authorized before the call is dead when it returns (G6), also a grant
   * that is being stored meanwhile, and a code that is redeemed later (`persist`). The work grows with the grants
   * concerned; interrupted, it can be repeated.
   * How many grants ended. `nowMs` is epoch milliseconds; the mark against later grants is kept until `retainUntil`.
   */
  revokeBy(selector: Selector, options: { nowMs: number; retainUntil: number }): Promise<number>;
  /** Grants that match, revoked and expired ones too, page by page in a stable order: over changing data no grant is shown twice, and none that stays is missed. */
  listGrants(
    selector: Selector,
    page: Page,
  ): Promise<{ readonly grants: readonly GrantEntry[]; readonly next?: string }>;
  /** Access tokens of a grant, those that ended early too, page by page. */
  listAccess(
    grantId: GrantId,
    page: Page,
  ): Promise<{
    readonly tokens: readonly (StoredAccessToken & { readonly revokedAt?: number })[];
    readonly next?: string;
  }>;
  /** MUST remove what is due at `now` and nothing else (G8); kinds: `accessTokens`, `grants` (with their refresh tokens), `revocations`. */
  purgeExpired(request: PurgeRequest): Promise<PurgeReport>;
}

/** Something that an authorization server keeps beside tokens: a session, an interaction, a pushed request, a device code, a `jti`. */
export interface StoredArtifact {
  readonly kind: string;
  readonly id: Digest;
  /** Second ways in, each unique within its kind. */
  readonly uid?: Digest;
  readonly userCode?: Digest;
  /** The consent that it goes with: removed by `removeByConsent`. */
  readonly consentId?: string;
  /** None: kept until it is removed. */
  readonly expiresAt?: number;
  readonly retainUntil?: number;
  readonly data: Uint8Array;
}

export type ArtifactState =
  | { readonly outcome: 'active' | 'expired'; readonly artifact: StoredArtifact; readonly consumedAt?: number }
  | { readonly outcome: 'unknown' };

export interface ArtifactStore {
  /** Stores an artifact, or replaces the one of that kind and id; a replaced one stays consumed, and its former ways in no longer lead to it. */
  put(artifact: StoredArtifact, options: { now: number }): Promise<void>;
  /** Stores an artifact unless one of that kind and id stands that has not expired: true for exactly one of any number of concurrent callers (`jti` values, RFC 9449 §11.1), and again for a repeat of its attempt. */
  putOnce(
    artifact: Omit<StoredArtifact, 'uid' | 'userCode'>,
    options: { now: number; attempt: Attempt },
  ): Promise<boolean>;
  find(kind: string, id: Digest, options: { now: number }): Promise<ArtifactState>;
  findByUid(kind: string, uid: Digest, options: { now: number }): Promise<ArtifactState>;
  findByUserCode(kind: string, userCode: Digest, options: { now: number }): Promise<ArtifactState>;
  /** True for exactly one of any number of concurrent callers, and again for a repeat of its attempt; false for an artifact that is expired or not there. */
  consume(kind: string, id: Digest, options: { now: number; attempt: Attempt }): Promise<boolean>;
  remove(kind: string, id: Digest): Promise<boolean>;
  removeByConsent(consentId: string): Promise<number>;
  /** MUST remove what is due at `now` and nothing else (G8); kinds: `artifacts`. */
  purgeExpired(request: PurgeRequest): Promise<PurgeReport>;
}

/** A token that the deployment received as a client of somebody else; `data` is sealed, since it must be readable again. */
export interface StoredClientAccessToken {
  readonly clientId: string;
  /** Which of the client's tokens: by default the subject that it stands for. */
  readonly key: string;
  /** When neither the access token nor the refresh token is good any more. */
  readonly expiresAt: number;
  readonly data: Uint8Array;
}

export interface ClientAccessTokenStore {
  /** Stores the token under client and key, in place of the one before. */
  put(token: StoredClientAccessToken): Promise<void>;
  get(clientId: string, key: string, options: { now: number }): Promise<StoredClientAccessToken | undefined>;
  remove(clientId: string, key: string): Promise<boolean>;
  /** MUST remove what is due at `now` and nothing else (G8); kinds: `clientAccessTokens`. */
  purgeExpired(request: PurgeRequest): Promise<PurgeReport>;
}

/** What an engine gives when it is opened: its four stores over one connection or pool. */
export interface Engine {
  readonly accessTokens: AccessTokenStore;
  readonly authorizationCodes: AuthorizationCodeStore;
  readonly clientAccessTokens: ClientAccessTokenStore;
  readonly artifacts: ArtifactStore;
  close(): Promise<void>;
}
