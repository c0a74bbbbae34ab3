import { createHash } from 'node:crypto';
import { createLocalJWKSet, type JSONWebKeySet, type JWTPayload, jwtVerify } from 'jose';
import type { Client } from './domain/clients.ts';
import { type Clock, seconds } from './domain/clock.ts';
import { newAttempt } from './domain/issuing.ts';
import type { ArtifactStore } from './domain/ports.ts';

// RFC 7523 §3. In a file of its own, which is loaded when the first assertion is presented: few clients sign.

/** Longest time from the signing of an assertion to its use. */
const OLDEST_SECONDS = 3600;
/** How far the client's clock may be from ours. */
const SKEW_SECONDS = 10;
/** Asymmetric ones alone: a symmetric key would have to be kept here. */
const ALGORITHMS = [
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
  'PS256',
  'PS384',
  'PS512',
  'RS256',
  'RS384',
  'RS512',
];

const keySets = new WeakMap<object, ReturnType<typeof createLocalJWKSet>>();

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
  const payload = await verified(assertion, client, audience, now).catch((error: Error & { code?: string }) => error);
  if (payload instanceof Error) return payload.code ?? payload.name;
  const { exp = 0, iat = 0, jti } = payload;
  const expiresAt = Math.ceil(Math.min(exp, iat + OLDEST_SECONDS)) + SKEW_SECONDS + 1;
  const isFirst = await artifacts.putOnce(
    {
      kind: 'client assertion',
      id: createHash('sha256')
        .update(JSON.stringify([client.clientId, jti]))
        .digest(),
      expiresAt,
      retainUntil: expiresAt,
      data: Buffer.alloc(0),
    },
    { now, attempt: newAttempt() },
  );
  return isFirst ? undefined : 'used before';
}

async function verified(
  assertion: string,
  { clientId, jwks = { keys: [] } }: Client,
  audience: readonly string[],
  now: number,
): Promise<JWTPayload> {
  const keys = keySets.get(jwks) ?? createLocalJWKSet(jwks as JSONWebKeySet);
  keySets.set(jwks, keys);
  const { payload } = await jwtVerify(assertion, keys, {
    algorithms: ALGORITHMS,
    issuer: clientId,
    subject: clientId,
    audience: [...audience],
    requiredClaims: ['exp', 'iat', 'jti'],
    maxTokenAge: OLDEST_SECONDS,
    clockTolerance: SKEW_SECONDS,
    currentDate: new Date(now * 1000),
  });
  return payload;
}
