import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, type KeyObject, randomBytes } from 'node:crypto';
import type { Keyring } from './keyring.ts';

// AES-256-GCM (NIST SP 800-38D), a random 12-byte nonce in front and the 16-byte tag at the end. What a record belongs to
// goes in as additional data, so that a sealed value cannot be moved to another record.
const NONCE = 12;
const TAG = 16;

function sealWith(key: KeyObject, context: Uint8Array | string, plain: Uint8Array): Buffer {
  const nonce = randomBytes(NONCE);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context));
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** @throws {Error} when key or context are not those of the sealing, or the bytes were changed */
function openWith(key: KeyObject, context: Uint8Array | string, sealed: Uint8Array): Buffer {
  // The length is said, or else a tag that was cut would do, down to 32 bits.
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE), { authTagLength: TAG })
    .setAAD(Buffer.from(context))
    .setAuthTag(sealed.subarray(sealed.length - TAG));
  return Buffer.concat([decipher.update(sealed.subarray(NONCE, sealed.length - TAG)), decipher.final()]);
}

/** A key that only the holder of a token's value can derive (HKDF-SHA-256, RFC 5869); the store has no more than its digest. */
const keyOfToken = (value: string, use: string) =>
  createSecretKey(Buffer.from(hkdfSync('sha256', value, '', `oauth2-stores ${use}`, 32)));

/** Seals `plain` so that only somebody who presents `value` can read it. `use` keeps one token's sealings apart. */
export const sealUnderToken = (value: string, use: string, plain: Uint8Array): Buffer =>
  sealWith(keyOfToken(value, use), use, plain);

/** @throws {Error} when it was sealed under another token or use */
export const openUnderToken = (value: string, use: string, sealed: Uint8Array): Buffer =>
  openWith(keyOfToken(value, use), use, sealed);

/** Seals `plain` under the deployment's current key; the generation stands in the first byte. */
export const sealUnderKeyring = (keyring: Keyring, context: Uint8Array | string, plain: Uint8Array): Buffer =>
  Buffer.concat([Buffer.of(keyring.current), sealWith(keyring.sealKey(keyring.current), context, plain)]);

/** @throws {Error} when its key has left the ring, or the context is another */
export const openUnderKeyring = (keyring: Keyring, context: Uint8Array | string, sealed: Uint8Array): Buffer =>
  openWith(keyring.sealKey(sealed[0] ?? -1), context, sealed.subarray(1));
