import { constants, createHash, createPublicKey, type JsonWebKey, type KeyObject, verify } from 'node:crypto';
import type { signatureAlgorithms } from './config/algorithms.ts';

// JWTs (RFC 7519) that clients sign. With Node's own cryptography rather than a library, which took 19 kB of every
// authorizer; in the tests an independent implementation signs.

type Algorithm = (typeof signatureAlgorithms)[number];
type Members = Readonly<Record<string, unknown>>;

export interface Jwt {
  readonly header: Members;
  readonly claims: Members;
  /** Whether this key made the signature. */
  isSignedBy(key: KeyObject): boolean;
}

/** RFC 7518 §3.3: a key of RSA has at least so many bits. */
const LEAST_BITS = 2048;

const rsa = (hash: string, padding: number, saltLength?: number) => ({
  type: 'rsa',
  curve: undefined,
  hash,
  options: { padding, ...(saltLength !== undefined && { saltLength }) },
});
const pkcs1 = (hash: string) => rsa(hash, constants.RSA_PKCS1_PADDING);
const pss = (hash: string) => rsa(hash, constants.RSA_PKCS1_PSS_PADDING, constants.RSA_PSS_SALTLEN_DIGEST);
const ec = (hash: string, curve: string) =>
  ({ type: 'ec', curve, hash, options: { dsaEncoding: 'ieee-p1363' } }) as const;
const edwards = { type: 'ed25519', curve: undefined, hash: undefined, options: {} };

/** RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864 §2.2: key, digest and form of the signature. */
const schemes = {
  ES256: ec('sha256', 'prime256v1'),
  ES384: ec('sha384', 'secp384r1'),
  ES512: ec('sha512', 'secp521r1'),
  EdDSA: edwards,
  Ed25519: edwards,
  PS256: pss('sha256'),
  PS384: pss('sha384'),
  PS512: pss('sha512'),
  RS256: pkcs1('sha256'),
  RS384: pkcs1('sha384'),
  RS512: pkcs1('sha512'),
} satisfies Record<Algorithm, object>;

/**
 * A JWT in the compact form of RFC 7515 §7.1, under one of these algorithms, taken apart; nothing of it is proved yet.
 * Nothing for what is none, or has a critical extension (RFC 7515 §4.1.11).
 */
export function parseJwt(text: string, algorithms: readonly Algorithm[]): Jwt | undefined {
  const [, input = '', head = '', body = '', signature = ''] = /^(([\w-]+)\.([\w-]+))\.([\w-]+)$/.exec(text) ?? [];
  const header = membersOf(head);
  const claims = membersOf(body);
  const algorithm = algorithms.find((each) => each === header?.alg);
  if (!header || !claims || !algorithm || 'crit' in header) return undefined;
  return {
    header,
    claims,
    isSignedBy(key) {
      const { hash, options } = schemes[algorithm];
      return (
        fits(key, algorithm) &&
        verify(hash, Buffer.from(input), { key, ...options }, Buffer.from(signature, 'base64url'))
      );
    },
  };
}

function membersOf(encoded: string): Members | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(encoded, 'base64url').toString());
    return typeof value === 'object' && value !== null ? (value as Members) : undefined;
  } catch {
    return undefined;
  }
}

function fits({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject, algorithm: Algorithm): boolean {
  const { type, curve } = schemes[algorithm];
  const { namedCurve, modulusLength = LEAST_BITS } = asymmetricKeyDetails ?? {};
  return asymmetricKeyType === type && namedCurve === curve && modulusLength >= LEAST_BITS;
}

/** RFC 7518 §6, RFC 9964 §3: what only private and symmetric keys have. */
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'];

/** The key of a JWK (RFC 7517) that may check signatures of this algorithm; nothing if there is more in it than a public one. */
export function publicKeyOf(jwk: unknown, algorithm: unknown): KeyObject | undefined {
  if (typeof jwk !== 'object' || jwk === null || PRIVATE_MEMBERS.some((member) => member in jwk)) return undefined;
  const { use = 'sig', alg = algorithm } = jwk as Members;
  if (use !== 'sig' || alg !== algorithm) return undefined;
  try {
    return createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' });
  } catch {
    return undefined;
  }
}

/** RFC 7638: the required members, in the order of their names. */
export function thumbprintOf(key: KeyObject): string {
  const { crv, e, kty, n, x, y } = key.export({ format: 'jwk' });
  return createHash('sha256').update(JSON.stringify({ crv, e, kty, n, x, y })).digest('base64url');
}

/** Whether `exp` and `nbf`, where there are any, allow it now (RFC 7519 §4.1). */
export const isCurrent = ({ exp = Number.POSITIVE_INFINITY, nbf = 0 }: Members, now: number, skew: number): boolean =>
  typeof exp === 'number' && exp > now - skew && typeof nbf === 'number' && nbf <= now + skew;
