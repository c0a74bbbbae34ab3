import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { InputError } from './errors.ts';
import type { Keyring } from './keyring.ts';

/** What a minted value is; part of its check, so that a value of one kind is never taken for another. */
export type TokenKind = 'authorization code' | 'access token' | 'refresh token';

/** 12 bytes that name a grant. Not a secret: it stands readable in every access token and refresh token. */
export type GrantId = Uint8Array;

// The text of a token, all base64url characters: [handle of the grant, 16] [key generation, 1] [secret] [check, 11].
// An authorization code has no handle: its grant's id is derived from it. Whole characters rather than encoded bytes, so
// that every length is possible and no two texts mean the same.
const HANDLE = 16;
const GENERATION = 1;
const CHECK = 11;
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const TEXT = /^[A-Za-z0-9_-]+$/;
const BITS_PER_CHARACTER = 6;
/** RFC 6749 §10.10: the probability of guessing a token must be at most 2^-128. */
const LEAST_BITS = 128;
const LONGEST = 512;

const handleOf = (kind: TokenKind) => (kind === 'authorization code' ? 0 : HANDLE);

/** The least number of characters that leaves 128 bits of secret and check: 39 for tokens, 23 for codes. */
export const leastLength = (kind: TokenKind): number =>
  handleOf(kind) + GENERATION + Math.ceil(LEAST_BITS / BITS_PER_CHARACTER);

/** A new grant's id: 4 bytes of time, so that inserts land beside each other in an index, and 8 random ones. */
export function newGrantId(now: number): GrantId {
  const id = randomBytes(12);
  id.writeUInt32BE(now % 2 ** 32, 0);
  return id;
}

/** The id of the grant that this code becomes: a replayed code leads to its grant although nothing of it is stored. */
export const grantIdOfCode = (code: string): GrantId =>
  createHash('sha256').update('oauth2-stores grant of code ').update(code).digest().subarray(0, 12);

/**
 * A new value: unguessable, recognisable without the store, and (access and refresh tokens) leading to its grant. From
 * one `seed` it is the same every time while the current key is the same; who has the seed alone cannot derive it.
 *
 * @throws {InputError} `length` leaves under 128 bits of secret and check, or is over 512; a grant that is not 12 bytes
 */
export function mint(keyring: Keyring, kind: TokenKind, length: number, grantId?: GrantId, seed?: Uint8Array): string {
  checkLength(kind, length);
  const handle = Buffer.from(handleOf(kind) && grantId ? grantId : []).toString('base64url');
  if (handle.length !== handleOf(kind)) {
    throw new InputError('grantId', 'not 12 bytes', `the 12 bytes of the grant that the ${kind} belongs to`);
  }
  const characters = length - handle.length - GENERATION - CHECK;
  const bytes = Math.ceil((characters * BITS_PER_CHARACTER) / 8);
  const secret = (seed ? derived(keyring, kind, seed, bytes) : randomBytes(bytes))
    .toString('base64url')
    .slice(0, characters);
  const body = `${handle}${ALPHABET[keyring.current]}${secret}`;
  return body + check(keyring, keyring.current, kind, body);
}

/** @throws {InputError} as {@link mint} */
function checkLength(kind: TokenKind, length: number): void {
  const least = leastLength(kind);
  if (!Number.isInteger(length) || length < least || length > LONGEST) {
    throw new InputError(
      `length of the ${kind}`,
      `${length}`,
      `a whole number of characters from ${least} (under it fewer than ${LEAST_BITS} bits cannot be guessed) to ${LONGEST}`,
    );
  }
}

/** What a value says of itself once its check has proved that this deployment minted it. */
export interface Proof {
  /** Generation of the key that it was minted under. */
  readonly generation: number;
  /** The grant that it leads to; for a code, the grant that the code becomes. */
  readonly grantId: GrantId;
}

/**
 * Whether this deployment minted `value` as a token of this kind; nothing is asked of a store. A value that was cut,
 * re-encoded, guessed, or is of another kind gives `undefined`, and so does one whose key has left the ring.
 */
export function prove(keyring: Keyring, kind: TokenKind, value: string): Proof | undefined {
  if (value.length < leastLength(kind) || value.length > LONGEST || !TEXT.test(value)) return undefined;
  const handle = handleOf(kind);
  const generation = ALPHABET.indexOf(value.charAt(handle));
  if (!keyring.has(generation)) return undefined;
  const split = value.length - CHECK;
  const expected = check(keyring, generation, kind, value.slice(0, split));
  if (!timingSafeEqual(Buffer.from(expected), Buffer.from(value.slice(split)))) return undefined;
  const grantId = handle ? Buffer.from(value.slice(0, handle), 'base64url') : grantIdOfCode(value);
  return { generation, grantId };
}

const check = (keyring: Keyring, generation: number, kind: TokenKind, body: string) =>
  keyring.mac(generation, 'check', kind, '\0', body).toString('base64url').slice(0, CHECK);

/** Counted blocks of 32 bytes, of which all but the longest tokens take one. */
const derived = (keyring: Keyring, kind: TokenKind, seed: Uint8Array, bytes: number) =>
  Buffer.concat(
    Array.from({ length: Math.ceil(bytes / 32) }, (_, block) =>
      keyring.mac(keyring.current, 'mint', kind, '\0', Buffer.of(block), seed),
    ),
  ).subarray(0, bytes);
