import { signatureAlgorithms } from './config/algorithms.ts';
import type { Client } from './domain/clients.ts';
import { type Clock, seconds } from './domain/clock.ts';
import type { ArtifactStore } from './domain/ports.ts';
import { isCurrent, type Jwt, parseJwt, publicKeyOf } from './jwt.ts';
import { isFirstUse } from './single-use.ts';

// RFC 7523 §3. In a file of its own, which is loaded when the first assertion is presented: few clients sign.

/** Longest time from the signing of an assertion to its use. */
const OLDEST_SECONDS = 3600;
/** How far the client's clock may be from ours. */
const SKEW_SECONDS = 10;

interface Expected {
  readonly audience: readonly string[];
  readonly artifacts: ArtifactStore;
  readonly clock: Clock;
}

/**
 * Why this is no assertion of the client's, now, for this audience; nothing if it is one. It counts once: of any number of
 * callers that present it one gets nothing, until it has expired.
 *
 * @throws {StoreError} whether it was used before is not known
 */
export async function flawOfAssertion(
  assertion: string,
  client: Client,
  { audience, artifacts, clock }: Expected,
): Promise<string | undefined> {
  const now = seconds(clock);
  const jwt = parseJwt(assertion, signatureAlgorithms);
  if (!jwt) return 'no JWT of an algorithm that is accepted';
  if (!isSignedBy(client, jwt)) return 'another signature';
  const { iss, sub, aud, exp, iat, jti } = jwt.claims;
  if (iss !== client.clientId || sub !== client.clientId) return 'another client';
  if (![aud].flat().some((each) => audience.some((ours) => ours === each))) return 'another audience';
  if (typeof exp !== 'number' || typeof iat !== 'number' || typeof jti !== 'string') return 'no exp, iat or jti';
  if (!isCurrent(jwt.claims, now, SKEW_SECONDS)) return 'expired, or not good yet';
  if (iat > now + SKEW_SECONDS || iat < now - OLDEST_SECONDS - SKEW_SECONDS) return 'made in the future, or too old';
  const expiresAt = Math.ceil(Math.min(exp, iat + OLDEST_SECONDS)) + SKEW_SECONDS + 1;
  const isFirst = await isFirstUse(artifacts, 'client assertion', [client.clientId, jti], { now, expiresAt });
  return isFirst ? undefined : 'used before';
}

/** Whether one of the client's keys made the signature; the one that is named, if one is (RFC 7515 §4.1.4). */
function isSignedBy({ jwks }: Client, { header: { kid, alg }, isSignedBy: signedBy }: Jwt): boolean {
  return (jwks?.keys ?? []).some((jwk) => {
    const key = kid === undefined || jwk.kid === kid ? publicKeyOf(jwk, alg) : undefined;
    return key !== undefined && signedBy(key);
  });
}
