import { createHash } from 'node:crypto';
import type { signatureAlgorithms } from './config/algorithms.ts';
import type { Nonces } from './dpop-nonce.ts';
import { isCurrent, type Jwt, parseJwt, publicKeyOf, thumbprintOf } from './jwt.ts';

// RFC 9449 §4.3.

/** Longest proof that is looked at: an RSA key of 4096 bits and its signature take 1400 characters. */
const LONGEST = 8192;
/** How far a client's clock may be ahead of ours. */
const SKEW_SECONDS = 10;

/** Where API Gateway was asked. */
export interface Target {
  /** Scheme, host and port that the client named; nothing where they are not known. */
  readonly origin: string | undefined;
  /** The path as the client wrote it. */
  readonly path: string;
  /** The path within the API: without stage and base path. */
  readonly innerPath: string;
  /** Whether escapes in the paths have been decoded, as an HTTP API does. */
  readonly decoded: boolean;
}

export interface ExpectedProof {
  readonly method: string;
  readonly target: Target;
  readonly token: string;
  readonly algorithms: readonly (typeof signatureAlgorithms)[number][];
  readonly maxAgeSeconds: number;
  readonly baseUrls?: readonly string[];
  readonly nonces?: Nonces;
  /** Epoch seconds. */
  readonly now: number;
}

/** A proof that holds, but for whether it was used before, and whether it is that of the token's key. */
export interface Proof {
  /** Thumbprint of the key (RFC 7638). */
  readonly jkt: string;
  readonly jti: string;
  /** Epoch seconds from which on it is not good any more. */
  readonly expiresAt: number;
}

export interface ProofFlaw {
  readonly error: 'invalid_dpop_proof' | 'use_dpop_nonce';
  readonly reason: string;
}

/** Checks what the header DPoP of a request holds; asks no store. */
export function checkProof(headers: readonly string[], expected: ExpectedProof): Proof | ProofFlaw {
  const [text = ''] = headers;
  if (headers.length !== 1) return invalid(`${headers.length} proofs`);
  if (text.length > LONGEST) return invalid('too long');
  const jwt = parseJwt(text, expected.algorithms);
  if (jwt?.header.typ !== 'dpop+jwt') return invalid('no JWT of its type, or of an algorithm that is not accepted');
  const key = publicKeyOf(jwt.header.jwk, jwt.header.alg);
  if (!key) return invalid('no public key');
  if (!jwt.isSignedBy(key)) return invalid('another signature');
  return judge(jwt.claims, thumbprintOf(key), expected);
}

function judge(
  claims: Jwt['claims'],
  jkt: string,
  { method, target, token, baseUrls, nonces, maxAgeSeconds, now }: ExpectedProof,
): Proof | ProofFlaw {
  const { htm, htu, ath, iat, jti, nonce } = claims;
  if (typeof jti !== 'string' || jti === '') return invalid('no jti');
  if (typeof iat !== 'number') return invalid('no iat');
  if (htm !== method) return invalid('another method');
  if (typeof htu !== 'string' || !isAt(htu, target, baseUrls)) return invalid('another URL');
  if (ath !== createHash('sha256').update(token).digest('base64url')) return invalid('another token');
  if (!isCurrent(claims, now, SKEW_SECONDS)) return invalid('expired, or not good yet');
  if (nonces) {
    // RFC 9449 §4.3: a nonce says when the proof was made, whatever the client's clock shows.
    const expiresAt = typeof nonce === 'string' ? nonces.endOf(nonce) : undefined;
    return expiresAt === undefined
      ? { error: 'use_dpop_nonce', reason: 'no nonce that is good' }
      : { jkt, jti, expiresAt };
  }
  if (iat > now + SKEW_SECONDS) return invalid('made in the future');
  if (iat < now - maxAgeSeconds) return invalid('too old');
  return { jkt, jti, expiresAt: Math.floor(iat) + maxAgeSeconds + 1 };
}

const invalid = (reason: string): ProofFlaw => ({ error: 'invalid_dpop_proof', reason: `proof: ${reason}` });

/**
 * Whether `htu` is where the request went, after the normalization of RFC 3986 §6.2.2 and §6.2.3 and without query and
 * fragment (RFC 9449 §4.3). Where all that is known of the path is what its escapes stand for, that is compared.
 */
function isAt(htu: string, { origin, path, innerPath, decoded }: Target, baseUrls?: readonly string[]): boolean {
  const claimed = urlOf(htu);
  if (claimed?.username !== '' || claimed.password !== '') return false;
  const places = baseUrls?.map((base) => [base.replace(/\/$/, ''), innerPath]) ?? [[origin, path]];
  return places.some(([base = '', within = '']) => {
    const expected = urlOf(decoded ? base : base + within);
    if (claimed.origin !== expected?.origin) return false;
    if (!decoded) return normalized(claimed.pathname) === normalized(expected.pathname);
    return unescaped(claimed.pathname) === expected.pathname.replace(/\/$/, '') + (within || '/');
  });
}

const urlOf = (text: string): URL | undefined => (/^https?:\/\/[^\\\s]+$/i.test(text) && URL.parse(text)) || undefined;

/** Escapes of unreserved characters undone, the digits of the others in upper case; URL has done the rest. */
const normalized = (path: string) =>
  path.replace(/%[0-9a-f]{2}/gi, (octet) => {
    const character = String.fromCharCode(Number.parseInt(octet.slice(1), 16));
    return /[\w.~-]/.test(character) ? character : octet.toUpperCase();
  });

function unescaped(path: string): string | undefined {
  try {
    return decodeURIComponent(path);
  } catch {
    return undefined;
  }
}
