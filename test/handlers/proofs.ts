import { createHash } from 'node:crypto';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT } from 'jose';

// DPoP proofs (RFC 9449 §4.2) as a client makes them, and otherwise.

export async function newKey(alg = 'ES256') {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  const jwk = await exportJWK(publicKey);
  return { alg, privateKey, jwk, jkt: await calculateJwkThumbprint(jwk), privateJwk: await exportJWK(privateKey) };
}

export type Key = Awaited<ReturnType<typeof newKey>>;

export const athOf = (token: string) => createHash('sha256').update(token).digest('base64url');

export const signed = ({ alg, privateKey, jwk }: Key, claims: Record<string, unknown>, header: object = {}) =>
  new SignJWT(claims).setProtectedHeader({ typ: 'dpop+jwt', alg, jwk, ...header }).sign(privateKey);
