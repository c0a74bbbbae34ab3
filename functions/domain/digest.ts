import { createHash } from 'node:crypto';
import type { Keyring } from './keyring.ts';
import type { TokenKey } from './ports.ts';
import { prove, type TokenKind } from './token.ts';

/** What a store is given instead of a value: SHA-256 of it, or HMAC-SHA-256 under a pepper of the keyring. */
export type DigestAlgorithm = 'SHA-256' | 'HMAC-SHA-256';

/**
 * Bytes of the digest that are kept. An access token's is cut to 128 bits: it is the key of the most numerous rows, and a
 * second value with the same digest would have to pass the keyed check as well.
 */
const KEPT: Record<TokenKind, number> = { 'authorization code': 32, 'refresh token': 32, 'access token': 16 };

/** The digest under which a value of this kind is stored; `generation` chooses the pepper of HMAC-SHA-256. */
export function digest(
  keyring: Keyring,
  algorithm: DigestAlgorithm,
  kind: TokenKind,
  value: string,
  generation = keyring.current,
): Buffer {
  const whole =
    algorithm === 'SHA-256' ? createHash('sha256').update(value).digest() : keyring.mac(generation, 'digest', value);
  return whole.subarray(0, KEPT[kind]);
}

/** How values are recognised: by their own check, and, where foreign values are let in, by their digest alone. */
export interface Recognition {
  readonly keyring: Keyring;
  readonly algorithm: DigestAlgorithm;
  /** Whether values that another server minted are looked up too. */
  readonly foreign: boolean;
}

/**
 * The keys to look a presented value up by, likeliest first: none (the value is `unknown` without a round trip), one (it
 * proved itself), or, for a foreign value under peppers, one for each generation that is still accepted.
 */
export function keysOf({ keyring, algorithm, foreign }: Recognition, kind: TokenKind, value: string): TokenKey[] {
  const proof = prove(keyring, kind, value);
  if (proof) {
    return [{ digest: digest(keyring, algorithm, kind, value, proof.generation), grantId: proof.grantId }];
  }
  if (!foreign || value.length === 0 || value.length > 8192) return [];
  const generations = algorithm === 'SHA-256' ? [keyring.current] : keyring.generations;
  return generations.map((generation) => ({ digest: digest(keyring, algorithm, kind, value, generation) }));
}
