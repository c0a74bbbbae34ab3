import { randomBytes } from 'node:crypto';
import { type Clock, seconds } from './clock.ts';
import { digest, type Recognition } from './digest.ts';
import type { AccessTokenStore, StoredAccessToken, StoredGrant, StoredRefreshToken } from './ports.ts';
import { type Authorization, type Codec, type Confirmation, withoutSecrets } from './records.ts';
import { sealUnderToken } from './seal.ts';
import { type GrantId, mint, newGrantId } from './token.ts';

/** What becomes of the refresh token when it is used: replaced, removed, or kept. */
export type RefreshChoice = 'new' | 'none' | 'preserve';

/** How values are made and how long they live; seconds and characters. */
export interface Issuing {
  readonly accessToken: { readonly expiresIn: number; readonly length: number; readonly type: string };
  readonly refreshToken: {
    readonly expiresIn: number;
    readonly length: number;
    readonly choice: RefreshChoice;
    /** Longest time without use. */
    readonly idleExpiresIn?: number;
    /** Longest life of all tokens of a grant together, however often it is refreshed. */
    readonly absoluteExpiresIn?: number;
    /** How long the client of a lost answer may repeat a refresh; 0: not at all. */
    readonly graceSeconds: number;
  };
  readonly authorizationCode: { readonly expiresIn: number; readonly length: number };
}

/** An access token store, and what it takes to use it. */
export interface TokenDeployment {
  readonly store: AccessTokenStore;
  readonly recognition: Recognition;
  readonly codec: Codec;
  readonly issuing: Issuing;
  readonly clock: Clock;
}

/** What a token request ends in (RFC 6749 §5.1). */
export interface IssuedTokens {
  readonly accessToken: string;
  readonly tokenType: string;
  /** Epoch seconds. */
  readonly accessExpiresAt: number;
  readonly refreshToken?: string;
  readonly refreshExpiresAt?: number;
  readonly authorization: Authorization;
  readonly grantId: GrantId;
}

/** What of an access token differs from its grant; the rest is the grant's. */
export interface AccessRecord
  extends Partial<
    Pick<Authorization, 'scopes' | 'resources' | 'authorizationDetails' | 'confirmation' | 'attributes'>
  > {
  readonly type?: string;
  /** Sealed under the token's own value: only who presents it can have them read. */
  readonly sealed?: string;
}

/** A value to store: minted here, or (foreign) by another server. */
export interface MintedToken {
  readonly value: string;
  readonly expiresAt: number;
  readonly foreign?: boolean;
}

const DAY = 86_400;

/** When a record may be removed: a whole day, so that a rotation seldom moves it (it is indexed). */
export const retention = (...expiries: (number | undefined)[]): number =>
  Math.ceil((Math.max(...expiries.map((at) => at ?? 0)) + 1) / DAY) * DAY;

/** What an access token stands for: its grant, narrowed and extended by what was stored with the token. */
export const narrowedBy = (
  granted: Authorization,
  { type, sealed, attributes, ...differing }: AccessRecord,
): Authorization => ({
  ...granted,
  ...differing,
  ...((granted.attributes || attributes) && { attributes: { ...granted.attributes, ...attributes } }),
});

/** How long a revocation is remembered: until the tokens of the last code that was issued before it have expired. */
export function revocationRetention({ accessToken, refreshToken, authorizationCode }: Issuing, now: number): number {
  const lastCode = now + authorizationCode.expiresIn;
  return retention(lastCode + accessToken.expiresIn, lastCode + refreshToken.expiresIn);
}

export const newAttempt = (): Uint8Array => randomBytes(16);

/** A new access token of a grant, and the record that is stored of it. */
export function newAccessToken(
  { recognition, codec, issuing }: Pick<TokenDeployment, 'recognition' | 'codec' | 'issuing'>,
  grantId: GrantId,
  now: number,
  differing: Omit<AccessRecord, 'sealed'> & { readonly idToken?: string } = {},
  minted?: MintedToken,
): { value: string; stored: StoredAccessToken } {
  const { expiresIn, length } = issuing.accessToken;
  const value = minted?.value ?? mint(recognition.keyring, 'access token', length, grantId);
  const { idToken, ...record } = differing;
  const sealed = idToken && sealUnderToken(value, 'id token', Buffer.from(idToken)).toString('base64url');
  const data = Object.entries({ ...record, sealed }).filter(([, field]) => field !== undefined);
  const stored = {
    digest: digest(recognition.keyring, recognition.algorithm, 'access token', value),
    issuedAt: now,
    expiresAt: minted?.expiresAt ?? now + expiresIn,
    data: data.length ? codec.encode(grantId, Object.fromEntries(data)) : Buffer.alloc(0),
    ...(minted?.foreign && { foreign: true }),
  };
  return { value, stored };
}

/** A new refresh token of a grant, and the record that is stored of it. */
export function newRefreshToken(
  { recognition, issuing }: Pick<TokenDeployment, 'recognition' | 'issuing'>,
  grantId: GrantId,
  now: number,
  minted?: MintedToken,
): { value: string; stored: Omit<StoredRefreshToken, 'sender'> } {
  const { expiresIn, length, idleExpiresIn } = issuing.refreshToken;
  const value = minted?.value ?? mint(recognition.keyring, 'refresh token', length, grantId);
  const stored = {
    digest: digest(recognition.keyring, recognition.algorithm, 'refresh token', value),
    expiresAt: minted?.expiresAt ?? now + expiresIn,
    ...(idleExpiresIn !== undefined && { idleExpiresAt: now + idleExpiresIn }),
    ...(minted?.foreign && { foreign: true }),
  };
  return { value, stored };
}

/** The 32 bytes that a refresh token is bound to: public clients' only (RFC 9449 §5, RFC 8705 §4). */
export function senderOf(publicClient: boolean, confirmation: Confirmation | undefined): Uint8Array | undefined {
  const thumbprint = confirmation?.jkt ?? confirmation?.['x5t#S256'];
  return publicClient && thumbprint ? Buffer.from(thumbprint, 'base64url') : undefined;
}

export interface IssueRequest {
  readonly authorization: Authorization;
  /** Whether the client has no credentials: then its refresh tokens are bound to its key. */
  readonly publicClient?: boolean;
  /** Whether a refresh token is issued too. */
  readonly refreshToken: boolean;
  /** The grant that a code became; a new one without. */
  readonly grantId?: GrantId;
  /** Epoch milliseconds of the resource owner's authorization, when it was before now. */
  readonly authorizedAtMs?: number;
  readonly attempt?: Uint8Array;
  /** Kept with the access token, sealed under its value. */
  readonly idToken?: string;
  /** Values that were minted before, or (foreign) by another server; without, they are minted now. */
  readonly minted?: { readonly accessToken?: MintedToken; readonly refreshToken?: MintedToken };
}

/**
 * Stores a new grant with its access token and, if asked for, its refresh token, in one round trip. `barred`: all grants
 * of its subject, client, application or consent were revoked since it was authorized; nothing is stored. A grant whose
 * code was replayed meanwhile gives tokens all the same, dead on arrival: the first use of the code is answered, and what
 * it gave is revoked, just as by a replay that comes a moment later.
 *
 * @throws {StoreError} as {@link AccessTokenStore.persist}
 */
export async function issueTokens(
  deployment: TokenDeployment,
  request: IssueRequest,
): Promise<IssuedTokens | 'barred'> {
  const { store, codec, issuing, clock } = deployment;
  const now = seconds(clock);
  const authorization = withoutSecrets(request.authorization);
  const grantId = request.grantId ?? newGrantId(now);
  const { absoluteExpiresIn } = issuing.refreshToken;
  const expiresAt = absoluteExpiresIn === undefined ? undefined : now + absoluteExpiresIn;
  const access = newAccessToken(
    deployment,
    grantId,
    now,
    request.idToken === undefined ? {} : { idToken: request.idToken },
    request.minted?.accessToken,
  );
  const refresh = request.refreshToken
    ? newRefreshToken(deployment, grantId, now, request.minted?.refreshToken)
    : undefined;
  const sender = senderOf(request.publicClient ?? false, authorization.confirmation);
  const outcome = await store.persist(
    {
      grant: storedGrant(codec, authorization, {
        grantId,
        createdAt: now,
        expiresAt,
        retainUntil: retention(access.stored.expiresAt, refresh?.stored.expiresAt),
      }),
      access: access.stored,
      ...(refresh && { refresh: { ...refresh.stored, ...(sender && { sender }) } }),
    },
    {
      now,
      attempt: request.attempt ?? newAttempt(),
      ...(request.authorizedAtMs !== undefined && { authorizedAtMs: request.authorizedAtMs }),
    },
  );
  if (outcome === 'barred') return 'barred';
  const end = expiresAt ?? Number.POSITIVE_INFINITY;
  return {
    accessToken: access.value,
    tokenType: issuing.accessToken.type,
    accessExpiresAt: Math.min(access.stored.expiresAt, end),
    ...(refresh && { refreshToken: refresh.value, refreshExpiresAt: Math.min(refresh.stored.expiresAt, end) }),
    authorization,
    grantId,
  };
}

type GrantTimes = Pick<StoredGrant, 'grantId' | 'createdAt' | 'retainUntil'> & {
  readonly expiresAt: number | undefined;
};

/** The record of a grant: what is found and decided by stands in fields, the rest in `data`. */
export function storedGrant(
  codec: Codec,
  authorization: Authorization,
  { expiresAt, ...times }: GrantTimes,
): StoredGrant {
  const { clientId, subject, applicationId, consentId, ...rest } = authorization;
  return {
    ...times,
    ...(expiresAt !== undefined && { expiresAt }),
    clientId,
    ...(subject !== undefined && { subject }),
    ...(applicationId !== undefined && { applicationId }),
    ...(consentId !== undefined && { consentId }),
    data: codec.encode(times.grantId, rest),
  };
}

/** The authorization that a stored grant stands for. */
export function authorizationOf(codec: Codec, grant: StoredGrant): Authorization {
  const { grantId, createdAt, expiresAt, retainUntil, data, ...owner } = grant;
  return { ...owner, ...codec.decode<Omit<Authorization, 'clientId'>>(grantId, data) };
}
