import { createHash } from 'node:crypto';
import { type Clock, seconds } from './clock.ts';
import { digest, keysOf, type Recognition } from './digest.ts';
import {
  type IssuedTokens,
  type Issuing,
  issueTokens,
  newAttempt,
  retention,
  revocationRetention,
  type TokenDeployment,
} from './issuing.ts';
import { boundChallenge, type ChallengeMethod, transformed } from './pkce.ts';
import type { AuthorizationCodeStore, Digest, RedeemOutcome, TokenKey } from './ports.ts';
import { type Attributes, type Authorization, type Codec, type Confirmation, withoutSecrets } from './records.ts';
import { grantIdOfCode, mint, type TokenKind } from './token.ts';

/** An authorization code store, and what it takes to use it. */
export interface CodeDeployment {
  readonly store: AuthorizationCodeStore;
  readonly recognition: Recognition;
  readonly codec: Codec;
  readonly issuing: Issuing;
  readonly clock: Clock;
  /** Whether `plain` challenges are taken (RFC 9700 §2.1.1 advises against it). */
  readonly plainChallenges?: boolean;
}

export interface CodeRequest {
  readonly authorization: Authorization;
  /** As the authorization request gave it; absent if it gave none. */
  readonly redirectUri?: string;
  readonly state?: string;
  readonly codeChallenge?: string;
  readonly codeChallengeMethod?: ChallengeMethod;
  /** `dpop_jkt` of the authorization request (RFC 9449 §10). */
  readonly dpopJkt?: string;
  readonly attempt?: Uint8Array;
}

/** What is stored of a code beside its digest. */
export interface CodeRecord {
  readonly authorization: Authorization;
  readonly redirectUri?: string;
  readonly state?: string;
  /** Epoch milliseconds of the resource owner's authorization. */
  readonly authorizedAtMs: number;
}

/**
 * Stores a new authorization code, bound to its client, redirect URI, challenge and DPoP key; one round trip.
 *
 * @returns the code and when it expires, in epoch seconds
 * @throws {InputError} a challenge that is malformed or not allowed
 */
export async function createCode(
  { store, recognition, codec, issuing, clock, plainChallenges = false }: CodeDeployment,
  request: CodeRequest,
): Promise<{ code: string; expiresAt: number }> {
  const { redirectUri, state, codeChallenge, codeChallengeMethod = 'plain', dpopJkt } = request;
  const challenge =
    codeChallenge === undefined ? undefined : boundChallenge(codeChallenge, codeChallengeMethod, plainChallenges);
  const authorization = withoutSecrets(request.authorization);
  const now = seconds(clock);
  const code = mint(recognition.keyring, 'authorization code', issuing.authorizationCode.length);
  const grantId = grantIdOfCode(code);
  const record: CodeRecord = {
    authorization,
    authorizedAtMs: clock(),
    ...(redirectUri !== undefined && { redirectUri }),
    ...(state !== undefined && { state }),
  };
  const expiresAt = now + issuing.authorizationCode.expiresIn;
  await store.add(
    {
      digest: digest(recognition.keyring, recognition.algorithm, 'authorization code', code),
      grantId,
      binding: bindingOf(authorization.clientId, redirectUri, challenge, dpopJkt),
      expiresAt,
      retainUntil: retention(expiresAt + issuing.accessToken.expiresIn, expiresAt + issuing.refreshToken.expiresIn),
      data: codec.encode(grantId, record),
    },
    { now, attempt: request.attempt ?? newAttempt() },
  );
  return { code, expiresAt };
}

export interface ExchangeRequest {
  readonly code: string;
  readonly clientId: string;
  readonly publicClient?: boolean;
  readonly redirectUri?: string;
  readonly codeVerifier?: string;
  /** The key that the client proved at the token endpoint; the tokens are bound to it. */
  readonly confirmation?: Confirmation;
  /** Whether a refresh token is issued too. */
  readonly refreshToken: boolean;
  /** Additional information of the tokens; it goes over the code's where the names are the same. */
  readonly attributes?: Attributes;
  /** Given again by a caller that repeats an exchange whose answer it lost. */
  readonly attempt?: Uint8Array;
}

export type ExchangeOutcome =
  | ({ readonly outcome: 'exchanged'; readonly state?: string } & IssuedTokens)
  | { readonly outcome: 'replayed' | 'expired' | 'mismatched' | 'revoked' | 'unknown' };

/**
 * Redeems a code and stores the tokens that it gives: one round trip each. Of any number of concurrent calls exactly one
 * gets `exchanged` (RFC 6749 §4.1.2). A replayed code has revoked its grant, and every token of it, before this returns
 * (RFC 9700 §4.2.4), also one whose record has been purged since. A crash between the two steps burns the code and mints
 * nothing; a repeat with the same attempt ends in the tokens of the first try, whichever step was the last that was done.
 *
 * @throws {StoreError} the state of the code is not known; the call may be repeated with the same attempt
 */
export async function exchangeCode(
  codes: CodeDeployment,
  tokens: TokenDeployment,
  request: ExchangeRequest,
): Promise<ExchangeOutcome> {
  const attempt = request.attempt ?? newAttempt();
  const keys = keysOf(codes.recognition, 'authorization code', request.code);
  const redeemed = await redeem(codes, keys, request, attempt);
  if (redeemed.outcome === 'replayed' || redeemed.outcome === 'unknown') {
    // An authentic code that is not there was purged, or evicted: whoever presents it now is late or a thief.
    const grantId = redeemed.outcome === 'replayed' ? redeemed.grantId : keys[0]?.grantId;
    if (grantId) {
      const now = seconds(tokens.clock);
      const retainUntil = revocationRetention(tokens.issuing, now);
      await tokens.store.revokeGrant(grantId, { now, retainUntil });
    }
    return { outcome: redeemed.outcome };
  }
  if (redeemed.outcome !== 'redeemed') return { outcome: redeemed.outcome };
  const { grantId, data } = redeemed.code;
  const { authorization, state, authorizedAtMs } = codes.codec.decode<CodeRecord>(grantId, data);
  // A repeat makes the same tokens: those of the first try may be stored although its answer was lost.
  const seed = Buffer.concat([attempt, Buffer.from(request.code)]);
  const minted = (kind: TokenKind, { length, expiresIn }: { length: number; expiresIn: number }) => ({
    value: mint(tokens.recognition.keyring, kind, length, grantId, seed),
    expiresAt: seconds(tokens.clock) + expiresIn,
  });
  const issued = await issueTokens(tokens, {
    authorization: {
      ...authorization,
      ...(request.confirmation && { confirmation: request.confirmation }),
      ...((authorization.attributes || request.attributes) && {
        attributes: { ...authorization.attributes, ...request.attributes },
      }),
    },
    refreshToken: request.refreshToken,
    publicClient: request.publicClient ?? false,
    grantId,
    authorizedAtMs,
    attempt,
    minted: {
      accessToken: minted('access token', tokens.issuing.accessToken),
      ...(request.refreshToken && { refreshToken: minted('refresh token', tokens.issuing.refreshToken) }),
    },
  });
  return issued === 'barred'
    ? { outcome: 'revoked' }
    : { outcome: 'exchanged', ...issued, ...(state !== undefined && { state }) };
}

async function redeem(
  { store, clock }: CodeDeployment,
  keys: readonly TokenKey[],
  { clientId, redirectUri, codeVerifier, confirmation }: ExchangeRequest,
  attempt: Uint8Array,
): Promise<RedeemOutcome> {
  const challenge = codeVerifier === undefined ? undefined : transformed(codeVerifier);
  // Not bound to a key, as most codes are; then, since a mismatch consumes nothing, bound to the one that was proved.
  const bindings = [bindingOf(clientId, redirectUri, challenge, undefined)];
  if (confirmation?.jkt) bindings.push(bindingOf(clientId, redirectUri, challenge, confirmation.jkt));
  const now = seconds(clock);
  let result: RedeemOutcome = { outcome: 'unknown' };
  for (const key of keys) {
    for (const binding of bindings) {
      result = await store.redeem(key.digest, { binding, now, attempt });
      if (result.outcome !== 'mismatched') break;
    }
    if (result.outcome !== 'unknown') break;
  }
  return result;
}

/** What a code is bound to, in one digest: client, redirect URI, challenge (as {@link boundChallenge} gives it) and DPoP key. */
const bindingOf = (
  clientId: string,
  redirectUri: string | undefined,
  challenge: string | undefined,
  jkt: string | undefined,
): Digest =>
  createHash('sha256')
    .update(JSON.stringify([clientId, redirectUri ?? null, challenge ?? null, jkt ?? null]))
    .digest();
