import { seconds } from './clock.ts';
import { keysOf } from './digest.ts';
import { type AccessRecord, authorizationOf, narrowedBy, type TokenDeployment } from './issuing.ts';
import type { StoredAccessToken, StoredGrant, TokenKey } from './ports.ts';
import type { Authorization } from './records.ts';
import { openUnderToken } from './seal.ts';
import { type GrantId, prove } from './token.ts';

/** `token_type_hint` of RFC 7009 §2.1 and RFC 7662 §2.1. */
export type TokenTypeHint = 'access_token' | 'refresh_token';

export interface ActiveToken {
  readonly active: true;
  readonly kind: TokenTypeHint;
  /** `Bearer`, or what the deployment issues; none for a refresh token. */
  readonly tokenType?: string;
  /** What the token itself stands for: the grant, narrowed and extended by what was stored with the token. */
  readonly authorization: Authorization;
  readonly issuedAt?: number;
  readonly expiresAt: number;
  readonly grantId: GrantId;
  readonly idToken?: string;
}

export type Inspection =
  | ActiveToken
  | { readonly active: false; readonly reason: 'unknown' | 'expired' | 'revoked' | 'retired' };

/**
 * Whether an access token is good, and what it stands for: one round trip, none for a value that fails its own check.
 *
 * @throws {StoreError} that is not known; never to be taken for "not active"
 */
export async function inspectAccessToken(deployment: TokenDeployment, value: string): Promise<Inspection> {
  for (const key of keysOf(deployment.recognition, 'access token', value)) {
    const found = await deployment.store.findAccess(key, { now: seconds(deployment.clock) });
    if (found.outcome === 'active') return activeAccess(deployment, value, found.access, found.grant);
    if (found.outcome !== 'unknown') return { active: false, reason: found.outcome };
  }
  return { active: false, reason: 'unknown' };
}

/** The same for a refresh token; `retired`: replaced by a later one. Nothing is used up. */
export async function inspectRefreshToken(deployment: TokenDeployment, value: string): Promise<Inspection> {
  for (const key of keysOf(deployment.recognition, 'refresh token', value)) {
    const found = await deployment.store.findRefresh(key, { now: seconds(deployment.clock) });
    if (found.outcome === 'active') {
      const { refresh, issuedAt, grant } = found;
      const expiresAt = earliest(refresh.expiresAt, refresh.idleExpiresAt, grant.expiresAt);
      return {
        active: true,
        kind: 'refresh_token',
        authorization: authorizationOf(deployment.codec, grant),
        issuedAt,
        expiresAt,
        grantId: grant.grantId,
      };
    }
    if (found.outcome !== 'unknown') return { active: false, reason: found.outcome };
  }
  return { active: false, reason: 'unknown' };
}

/** Either kind. A token that was minted here says which it is; for another the hint is tried first (RFC 7662 §2.1). */
export async function inspectToken(
  deployment: TokenDeployment,
  value: string,
  hint?: TokenTypeHint,
): Promise<Inspection> {
  for (const kind of kindsOf(deployment, value, hint)) {
    const inspection = await (kind === 'access_token' ? inspectAccessToken : inspectRefreshToken)(deployment, value);
    if (inspection.active || inspection.reason !== 'unknown') return inspection;
  }
  return { active: false, reason: 'unknown' };
}

/**
 * Ends a token (RFC 7009): an access token alone, a refresh token with its whole grant. When this returns no lookup finds
 * it active and no rotation of it succeeds any more. Whether there was something to end, of this client if one is named.
 *
 * @throws {StoreError} that is not known; the call may be repeated
 */
export async function revokeToken(
  deployment: TokenDeployment,
  value: string,
  { hint, clientId }: { hint?: TokenTypeHint; clientId?: string } = {},
): Promise<boolean> {
  const { store, recognition, clock } = deployment;
  const options = { now: seconds(clock), ...(clientId !== undefined && { clientId }) };
  for (const kind of kindsOf(deployment, value, hint)) {
    const revoke = (key: TokenKey) =>
      kind === 'access_token' ? store.revokeAccess(key, options) : store.revokeRefresh(key, options);
    for (const key of keysOf(recognition, kind === 'access_token' ? 'access token' : 'refresh token', value)) {
      if (await revoke(key)) return true;
    }
  }
  return false;
}

/** The kinds to try, the likelier first. Where foreign values are let in, a token of our own is not tried as one. */
function kindsOf(
  { recognition: { keyring, foreign } }: TokenDeployment,
  value: string,
  hint: TokenTypeHint = 'access_token',
): TokenTypeHint[] {
  if (foreign && prove(keyring, 'access token', value)) return ['access_token'];
  if (foreign && prove(keyring, 'refresh token', value)) return ['refresh_token'];
  return hint === 'access_token' ? ['access_token', 'refresh_token'] : ['refresh_token', 'access_token'];
}

function activeAccess(
  { codec, issuing }: TokenDeployment,
  value: string,
  access: StoredAccessToken,
  grant: StoredGrant,
): ActiveToken {
  const record: AccessRecord = access.data.length ? codec.decode(grant.grantId, access.data) : {};
  const { type, sealed } = record;
  const idToken = sealed && openUnderToken(value, 'id token', Buffer.from(sealed, 'base64url')).toString();
  return {
    active: true,
    kind: 'access_token',
    tokenType: type ?? issuing.accessToken.type,
    authorization: narrowedBy(authorizationOf(codec, grant), record),
    issuedAt: access.issuedAt,
    expiresAt: earliest(access.expiresAt, grant.expiresAt),
    grantId: grant.grantId,
    ...(idToken && { idToken }),
  };
}

const earliest = (...times: (number | undefined)[]) => Math.min(...times.filter((at) => at !== undefined));
