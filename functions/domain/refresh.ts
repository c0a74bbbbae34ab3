import { seconds } from './clock.ts';
import { keysOf } from './digest.ts';
import {
  type AccessRecord,
  authorizationOf,
  type IssuedTokens,
  narrowedBy,
  newAccessToken,
  newAttempt,
  newRefreshToken,
  type RefreshChoice,
  retention,
  senderOf,
  type TokenDeployment,
} from './issuing.ts';
import type { StoredGrant, Successor, TokenKey } from './ports.ts';
import type { Attributes, Authorization, Confirmation } from './records.ts';
import { within } from './scope.ts';
import { openUnderToken, sealUnderToken } from './seal.ts';
import type { GrantId } from './token.ts';

export interface RefreshRequest {
  readonly refreshToken: string;
  readonly clientId: string;
  readonly publicClient?: boolean;
  /** Less than what was granted; each of these three costs a read of the grant first, which never changes. */
  readonly scopes?: readonly string[];
  readonly resources?: readonly string[];
  readonly authorizationDetails?: NonNullable<Authorization['authorizationDetails']>;
  /** The key that the client proved with this request. */
  readonly confirmation?: Confirmation;
  /** Additional information of the new access token; it goes over the grant's where the names are the same. */
  readonly attributes?: Attributes;
  /** In place of the deployment's choice. */
  readonly choice?: RefreshChoice;
  /** Given again by a caller that repeats a refresh whose answer it lost. */
  readonly attempt?: Uint8Array;
}

export type RefreshOutcome =
  /** `retried`: the answer that the first caller got, once more. */
  | ({ readonly outcome: 'rotated' | 'retried' } & IssuedTokens)
  /** RFC 6749 §6, RFC 8707 §2.2, RFC 9396 §6: more was asked for than was granted; nothing was used up. */
  | { readonly outcome: 'scope exceeded' | 'resources exceeded' | 'authorization details exceeded' }
  | { readonly outcome: 'reused'; readonly authorization: Authorization; readonly grantId: GrantId }
  | { readonly outcome: 'expired' | 'revoked' | 'mismatched' | 'unknown' };

/** The answer to a client, as it is sealed for its retries: access token, its expiry, refresh token and its expiry, what differs from the grant. */
type SealedAnswer = [string, number, string | null, number | null, AccessRecord?];

const USE = 'successor';

/**
 * Exchanges a refresh token for new tokens (RFC 6749 §6): one round trip, a further one first only when less is asked for
 * than was granted, or for a token that another server minted. Of any number of concurrent calls exactly one gets
 * `rotated`; within the grace window the others get `retried` with the same tokens; after it `reused`, and the grant is
 * revoked with all its tokens before this returns (RFC 9700 §4.14.2).
 *
 * @throws {StoreError} whether the token was used is not known; the call may be repeated with the same attempt
 */
export async function refreshTokens(deployment: TokenDeployment, request: RefreshRequest): Promise<RefreshOutcome> {
  for (const key of keysOf(deployment.recognition, 'refresh token', request.refreshToken)) {
    const result = await refreshByKey(deployment, request, key);
    if (result.outcome !== 'unknown') return result;
  }
  return { outcome: 'unknown' };
}

async function refreshByKey(
  deployment: TokenDeployment,
  request: RefreshRequest,
  key: TokenKey,
): Promise<RefreshOutcome> {
  const { store, codec, issuing, clock } = deployment;
  const now = seconds(clock);
  let { grantId } = key;
  if (!grantId || request.scopes || request.resources || request.authorizationDetails) {
    const found = await store.findRefresh(key, { now });
    if (found.outcome === 'unknown') return { outcome: 'unknown' };
    if (found.grant.clientId !== request.clientId) return { outcome: 'mismatched' };
    const exceeded = exceeds(request, authorizationOf(codec, found.grant));
    if (exceeded) return { outcome: exceeded };
    grantId = found.grant.grantId;
  }
  const choice = request.choice ?? issuing.refreshToken.choice;
  const { successor, answer } = successorOf(deployment, request, grantId, choice, now);
  const sender = senderOf(request.publicClient ?? false, request.confirmation);
  const result = await store.rotate(key, successor, {
    clientId: request.clientId,
    ...(sender && { sender }),
    now,
    attempt: request.attempt ?? newAttempt(),
    graceSeconds: issuing.refreshToken.graceSeconds,
  });
  switch (result.outcome) {
    case 'rotated':
    case 'retried': {
      // Nothing is sealed of a kept token, which is not used up: its caller's own answer counts. Else the first one's does.
      const isKept = choice === 'preserve' && result.outcome === 'rotated' && !result.sealed.length;
      const isOwn = isKept || result.sealed === successor.sealed;
      const given = isOwn ? answer : open(request.refreshToken, result.sealed);
      return given ? { outcome: result.outcome, ...answerOf(deployment, result.grant, given) } : { outcome: 'revoked' };
    }
    case 'reused':
      return { outcome: 'reused', authorization: authorizationOf(codec, result.grant), grantId: result.grant.grantId };
    default:
      return result;
  }
}

function exceeds({ scopes, resources, authorizationDetails }: RefreshRequest, granted: Authorization) {
  if (scopes && !within(scopes, granted.scopes)) return 'scope exceeded';
  if (resources && !within(resources, granted.resources ?? [])) return 'resources exceeded';
  const texts = (details: Authorization['authorizationDetails'] = []) =>
    details.map((detail) => JSON.stringify(detail));
  if (authorizationDetails && !within(texts(authorizationDetails), texts(granted.authorizationDetails))) {
    return 'authorization details exceeded';
  }
  return undefined;
}

function successorOf(
  deployment: TokenDeployment,
  request: RefreshRequest,
  grantId: GrantId,
  choice: RefreshChoice,
  now: number,
) {
  const { scopes, resources, authorizationDetails, confirmation, attributes } = request;
  const differing: AccessRecord = {
    ...(scopes && { scopes }),
    ...(resources && { resources }),
    ...(authorizationDetails && { authorizationDetails }),
    ...(confirmation && { confirmation }),
    ...(attributes && { attributes }),
  };
  const access = newAccessToken(deployment, grantId, now, differing);
  const refresh = choice === 'new' ? newRefreshToken(deployment, grantId, now) : undefined;
  const answer: SealedAnswer = [
    access.value,
    access.stored.expiresAt,
    refresh?.value ?? null,
    refresh?.stored.expiresAt ?? null,
  ];
  if (Object.keys(differing).length) answer.push(differing);
  const idle = deployment.issuing.refreshToken.idleExpiresIn;
  const kept = { kept: true, ...(idle !== undefined && { idleExpiresAt: now + idle }) } as const;
  const successor: Successor = {
    refresh: choice === 'preserve' ? kept : (refresh?.stored ?? 'none'),
    access: access.stored,
    sealed:
      choice === 'preserve'
        ? Buffer.alloc(0)
        : sealUnderToken(request.refreshToken, USE, Buffer.from(JSON.stringify(answer))),
    retainUntil: retention(access.stored.expiresAt, refresh?.stored.expiresAt),
  };
  return { successor, answer };
}

/** A rotation that left nothing sealed (a token taken out of use without a successor) has no answer to give again. */
const open = (refreshToken: string, sealed: Uint8Array): SealedAnswer | undefined =>
  sealed.length ? JSON.parse(openUnderToken(refreshToken, USE, sealed).toString()) : undefined;

function answerOf({ codec, issuing }: TokenDeployment, grant: StoredGrant, answer: SealedAnswer): IssuedTokens {
  const [accessToken, accessExpiresAt, refreshToken, refreshExpiresAt, differing = {}] = answer;
  const end = grant.expiresAt ?? Number.POSITIVE_INFINITY;
  return {
    accessToken,
    tokenType: issuing.accessToken.type,
    accessExpiresAt: Math.min(accessExpiresAt, end),
    ...(refreshToken !== null &&
      refreshExpiresAt !== null && { refreshToken, refreshExpiresAt: Math.min(refreshExpiresAt, end) }),
    authorization: narrowedBy(authorizationOf(codec, grant), differing),
    grantId: grant.grantId,
  };
}
