import { createHash, randomBytes } from 'node:crypto';

// Records by their number, so that every grant of very many can be asked for, and none has to be remembered.

/** The moment at which the benchmark stands, in epoch seconds. */
export const NOW = 1_900_000_000;
export const DAY = 86_400;
export const DATA = '{"grantType":"authorization_code","scopes":["openid","orders:read"]}';
export const CODE_DATA =
  '{"authorization":{"clientId":"client-00000000000000001","grantType":"authorization_code","scopes":["openid"]}}';
/** Bytes of what is sealed with a refresh. */
export const SEALED = 159;
export const HOUR = 3600;

const hash = (text: string, bytes: number) => createHash('sha256').update(text).digest().subarray(0, bytes);

/** Grants that stand in a store. */
export interface Grants {
  readonly grants: number;
  /** Digests of the current refresh tokens of those grants that have been refreshed. */
  readonly refreshed: Map<number, Buffer>;
}

/** Grant number `i` began within the hour before now, and its id begins with that time, as those that are minted. */
export function grantIdOf(i: number, grants: number): Buffer {
  const id = Buffer.alloc(12);
  id.writeUInt32BE(NOW - HOUR + Math.floor((i * HOUR) / grants));
  hash(`g${i}`, 8).copy(id, 4);
  return id;
}
export const accessDigestOf = (i: number): Buffer => hash(`a${i}`, 16);
export const refreshDigestOf = (i: number): Buffer => hash(`r${i}`, 32);
/** 24 characters; fifty clients. */
export const clientIdOf = (i: number): string => `client-${String(i % 50).padStart(17, '0')}`;
/** 36 characters; three grants each. */
export const subjectOf = (i: number): string => `subject-${String(Math.floor(i / 3)).padStart(28, '0')}`;

/** An order of the grants that is not the table's: the `n`th of them. */
export const scattered = (n: number, grants: number): number => (n * 7_919) % grants;

/** Cuts `count` random values out of one, which costs nothing by the piece. */
export function randomValues(count: number, bytes: number): Buffer[] {
  const all = randomBytes(count * bytes);
  return Array.from({ length: count }, (_, i) => all.subarray(i * bytes, (i + 1) * bytes));
}
