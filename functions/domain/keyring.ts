import { createHmac, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';
import { InputError } from './errors.ts';

/** One generation of the deployment's secret. 64 generations can be told apart; the number may be used anew later. */
export interface Key {
  /** 0 to 63; it stands in every token that was minted under the key. */
  readonly generation: number;
  /** At least 32 random bytes, from KMS or a secret; they never reach a store. */
  readonly secret: Uint8Array;
}

/** What a key is used for; each use has a subkey of its own (HKDF-SHA-256, RFC 5869). */
type Use = 'check' | 'digest' | 'mint' | 'seal';

/**
 * The deployment's keys. New values are minted under the current key; values of every other key in the ring are
 * accepted, so that a key can be replaced while tokens live: add the new key, make it current, and drop the old one when
 * the last token of its time has expired.
 */
export interface Keyring {
  readonly current: number;
  /** The generations in the ring, the current one first. */
  readonly generations: readonly number[];
  has(generation: number): boolean;
  /** 32 bytes of HMAC-SHA-256 over `parts` under the subkey for `use`. */
  mac(generation: number, use: Exclude<Use, 'seal'>, ...parts: (string | Uint8Array)[]): Buffer;
  /** The 32-byte key that seals attributes for this deployment. */
  sealKey(generation: number): KeyObject;
}

/**
 * @throws {InputError} no key, a generation outside 0 to 63 or given twice, a secret of under 32 bytes, or a current
 *   generation that is not in the ring
 */
export function createKeyring(keys: readonly Key[], current = keys[0]?.generation): Keyring {
  const ring = new Map<number, Record<Use, KeyObject>>();
  for (const { generation, secret } of keys) {
    if (!Number.isInteger(generation) || generation < 0 || generation > 63 || ring.has(generation)) {
      throw new InputError('keys.generation', 'out of range or given twice', 'a whole number from 0 to 63, each once');
    }
    if (secret.length < 32)
      throw new InputError('keys.secret', `${secret.length} bytes long`, 'at least 32 random bytes');
    // As key objects: an HMAC under bytes imports them each time, which takes longer than the HMAC.
    const subkey = (use: Use) =>
      createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', `oauth2-stores ${use}`, 32)));
    ring.set(generation, {
      check: subkey('check'),
      digest: subkey('digest'),
      mint: subkey('mint'),
      seal: subkey('seal'),
    });
  }
  if (current === undefined || !ring.has(current)) {
    throw new InputError('keys.current', 'not in the ring', 'the generation of one of the keys');
  }
  const of = (generation: number) => {
    const subkeys = ring.get(generation);
    if (!subkeys) throw new InputError('generation', 'not in the ring', [...ring.keys()].join(', '));
    return subkeys;
  };
  return {
    current,
    generations: [current, ...[...ring.keys()].filter((generation) => generation !== current)],
    has: (generation) => ring.has(generation),
    mac: (generation, use, ...parts) => {
      const hmac = createHmac('sha256', of(generation)[use]);
      for (const part of parts) hmac.update(part);
      return hmac.digest();
    },
    sealKey: (generation) => of(generation).seal,
  };
}
