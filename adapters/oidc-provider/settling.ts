import { errors, type KoaContextWithOIDC, type Provider } from 'oidc-provider';
import { seconds } from '../../functions/domain/clock.ts';
import { keysOf, type Recognition } from '../../functions/domain/digest.ts';
import { InputError } from '../../functions/domain/errors.ts';
import {
  type MintedToken,
  newAccessToken,
  newAttempt,
  newRefreshToken,
  retention,
  senderOf,
  storedGrant,
  type TokenDeployment,
} from '../../functions/domain/issuing.ts';
import type { RotateOutcome, StoredAccessToken, Successor } from '../../functions/domain/ports.ts';
import type { Authorization } from '../../functions/domain/records.ts';
import { openUnderToken, sealUnderToken } from '../../functions/domain/seal.ts';
import { type GrantId, newGrantId, prove, type TokenKind } from '../../functions/domain/token.ts';
import { accessRecord, authorizationFrom } from './payloads.ts';
import type { MadeToken, PendingRequest, PresentedToken } from './requests.ts';

/** What the token endpoint answers (RFC 6749 §5.1). */
export interface TokenAnswer {
  readonly expires_in?: number;
  readonly id_token?: string;
  readonly [member: string]: unknown;
}

/** The answer that is kept for a retry: the ID Token is made anew, and the remaining seconds are counted then. */
interface KeptAnswer {
  readonly answer: TokenAnswer;
  readonly accessExpiresAt: number;
}

const USE = 'oidc-provider answer';

/** Stores new tokens and their grant in one round trip. */
export async function storeNew(
  deployment: TokenDeployment,
  { access, refresh, authorizedAtMs }: Pick<Partial<PendingRequest>, 'access' | 'refresh' | 'authorizedAtMs'>,
): Promise<void> {
  const { store, codec, clock } = deployment;
  const now = seconds(clock);
  const first = refresh ?? access;
  if (!first) return;
  const { keyring } = deployment.recognition;
  const proof = refresh ? prove(keyring, 'refresh token', refresh.value) : prove(keyring, 'access token', first.value);
  const grantId = proof?.grantId ?? newGrantId(now);
  const authorization = authorizationFrom(first.payload);
  const storedAccess = access && accessOf(deployment, grantId, access, authorization, now);
  const storedRefresh = refresh && refreshOf(deployment, grantId, refresh, now);
  const sender = senderOf(refresh !== undefined, authorization.confirmation);
  const outcome = await store.persist(
    {
      grant: storedGrant(codec, authorization, {
        grantId,
        createdAt: now,
        expiresAt: first.consentExpiresAt,
        retainUntil: retention(storedAccess?.expiresAt, storedRefresh?.expiresAt),
      }),
      ...(storedAccess && { access: storedAccess }),
      ...(storedRefresh && { refresh: { ...storedRefresh, ...(sender && { sender }) } }),
    },
    { now, attempt: newAttempt(), ...(authorizedAtMs !== undefined && { authorizedAtMs }) },
  );
  // `revoked`: its code was replayed meanwhile. The first use is answered all the same; what it gave is dead.
  if (outcome === 'barred') throw new errors.InvalidGrant('revoked since it was authorized');
}

/**
 * Replaces the presented refresh token by what the provider has made, in one round trip, and gives the answer for the
 * client: within the grace window everybody who presents the same token gets the first one's.
 *
 * @throws {errors.InvalidGrant} the token was used before (then its grant is revoked), is expired, revoked or gone
 */
export async function storeRefreshed(
  deployment: TokenDeployment,
  presented: PresentedToken,
  { access, refresh }: Pick<PendingRequest, 'access' | 'refresh'>,
  made: TokenAnswer,
): Promise<TokenAnswer> {
  const { store, recognition, issuing, clock } = deployment;
  const { grantId, clientId } = presented.grant;
  const now = seconds(clock);
  const storedAccess = access && accessOf(deployment, grantId, access, presented.granted, now);
  const storedRefresh = refresh && refreshOf(deployment, grantId, refresh, now);
  const { id_token, expires_in = 0, ...answer } = made;
  const kept: KeptAnswer = { answer, accessExpiresAt: now + expires_in };
  const { idleExpiresIn, graceSeconds } = issuing.refreshToken;
  const successor: Successor = {
    refresh: storedRefresh ?? {
      kept: true,
      ...(idleExpiresIn !== undefined && { idleExpiresAt: now + idleExpiresIn }),
    },
    ...(storedAccess && { access: storedAccess }),
    sealed: sealUnderToken(presented.value, USE, Buffer.from(JSON.stringify(kept))),
    retainUntil: retention(storedAccess?.expiresAt, storedRefresh?.expiresAt),
  };
  const sender = senderOf(true, presented.granted.confirmation);
  const options = { clientId, ...(sender && { sender }), now, attempt: newAttempt(), graceSeconds };
  let result: RotateOutcome = { outcome: 'unknown' };
  for (const key of keysOf(recognition, 'refresh token', presented.value)) {
    result = await store.rotate(key, successor, options);
    if (result.outcome !== 'unknown') break;
  }
  if (result.outcome === 'rotated') return made;
  if (result.outcome === 'retried' && result.sealed.length > 0) {
    const first: KeptAnswer = JSON.parse(openUnderToken(presented.value, USE, result.sealed).toString());
    return { ...first.answer, expires_in: first.accessExpiresAt - now, ...(id_token !== undefined && { id_token }) };
  }
  throw new errors.InvalidGrant(`refresh token is ${result.outcome === 'retried' ? 'reused' : result.outcome}`);
}

/** Answers the token request as the provider answers what its own handlers throw. */
export function refuse(provider: Provider, ctx: KoaContextWithOIDC, error: unknown): void {
  const refused = error instanceof errors.OIDCProviderError && error.expose;
  ctx.status = refused ? error.statusCode : 500;
  ctx.body = refused
    ? { error: error.error, error_description: error.error_description }
    : { error: 'server_error', error_description: 'oops! something went wrong' };
  provider.emit(refused ? 'grant.error' : 'server_error', ctx, error);
}

const accessOf = (
  deployment: TokenDeployment,
  grantId: GrantId,
  token: MadeToken,
  granted: Authorization,
  now: number,
): StoredAccessToken =>
  newAccessToken(
    deployment,
    grantId,
    now,
    accessRecord(authorizationFrom(token.payload), granted),
    mintedToken(deployment, 'access token', token),
  ).stored;

const refreshOf = (deployment: TokenDeployment, grantId: GrantId, token: MadeToken, now: number) =>
  newRefreshToken(deployment, grantId, now, mintedToken(deployment, 'refresh token', token)).stored;

const mintedToken = (
  { recognition }: TokenDeployment,
  kind: TokenKind,
  { value, payload }: MadeToken,
): MintedToken => ({
  value,
  expiresAt: Number(payload.exp),
  foreign: isForeign(recognition, kind, value),
});

/**
 * Whether the provider made this value itself, for the adapter is not installed on it.
 *
 * @throws {InputError} the store takes its own values only, and would never find this one again
 */
export function isForeign({ keyring, foreign }: Recognition, kind: TokenKind, value: string): boolean {
  if (prove(keyring, kind, value)) return false;
  if (foreign) return true;
  throw new InputError(
    kind,
    'a value that the provider made itself',
    "the store's own, by adapter.install(provider); or any, by foreignTokens in its configuration",
  );
}
