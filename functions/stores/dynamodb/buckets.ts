import type { Attempt, Digest, StoredAccessToken } from '../../domain/ports.ts';
import type { Terms, Update } from './table.ts';
import { type Item, same } from './values.ts';

// The access tokens in the item of their grant stand in three buckets by their expiry, each a map:
//
//   bucket = floor(expiresAt / width) mod 3     width = longest life of a token + twice the margin
//
// What lives stands in two of them, whatever the time is; the third is emptied blindly by every write that adds a token,
// so what has expired costs no read. (A grant that rested for longer than a width may keep some of it in the other two,
// until their turn comes or there is no more room.) The width stands in the item, and is a condition: writers that
// disagree about it do not empty each other's buckets.
//
// A token's name is the first half of its digest. Its value: expiry (4 bytes), life (3, the highest bit: foreign), three
// bytes of the attempt that tell its repeat from another token of that digest, the rest of the digest, data. A token that
// was revoked has a mark beside it, in its own bucket, so both go together: a dot before its name, and when.

const BUCKETS = ['A', 'B', 'C'] as const;
type Bucket = (typeof BUCKETS)[number];

/** Clocks may differ by that much, and for so long at least a token is known to have expired. */
const MARGIN_SECONDS = 300;
/** So many tokens stand in an item at most, and so many bytes of them: every rotation is charged for them. */
const MOST_TOKENS = 20;
const MOST_BYTES = 1260;
const MOST_DATA = 512;
/** What a token takes beside its data. */
const OVERHEAD = 30;
const DIGEST = 16;
const NAMED = DIGEST / 2;
const FOREIGN = 2 ** 23;
const HEAD = 10;
const TRACE = HEAD - 7;

export const widthOf = (longestLifeSeconds: number): number => longestLifeSeconds + 2 * MARGIN_SECONDS;

const nameOf = (digest: Digest): string => Buffer.from(digest.subarray(0, NAMED)).toString('base64url');
const markOf = (name: string) => `.${name}`;
const traceOf = (attempt: Attempt) => attempt.subarray(0, TRACE);

/** A token as it stands in a bucket. */
interface Inlined {
  readonly token: StoredAccessToken;
  readonly trace: Uint8Array;
  readonly revokedAt?: number;
}

function pack({ digest, issuedAt, expiresAt, foreign, data }: StoredAccessToken, trace: Uint8Array): Buffer {
  const head = Buffer.alloc(HEAD);
  head.writeUInt32BE(expiresAt, 0);
  head.writeUIntBE(expiresAt - issuedAt + (foreign ? FOREIGN : 0), 4, 3);
  head.set(trace, HEAD - TRACE);
  return Buffer.concat([head, digest.subarray(NAMED), data]);
}

function unpack(name: string, packed: Uint8Array, revokedAt: unknown): Inlined {
  const bytes = Buffer.from(packed.buffer, packed.byteOffset, packed.byteLength);
  const expiresAt = bytes.readUInt32BE(0);
  const life = bytes.readUIntBE(4, 3);
  const token = {
    digest: Buffer.concat([Buffer.from(name, 'base64url'), bytes.subarray(HEAD, HEAD + NAMED)]),
    issuedAt: expiresAt - (life % FOREIGN),
    expiresAt,
    data: bytes.subarray(HEAD + NAMED),
    ...(life >= FOREIGN && { foreign: true }),
  };
  const trace = bytes.subarray(HEAD - TRACE, HEAD);
  return { token, trace, ...(revokedAt !== undefined && { revokedAt: Number(revokedAt) }) };
}

const bucketOf = (item: Item, bucket: Bucket) => (item[bucket] ?? {}) as Item;

/** All that stand in the item of a grant. */
export const tokensIn = (item: Item): Inlined[] =>
  BUCKETS.map((bucket) => bucketOf(item, bucket)).flatMap((tokens) =>
    Object.entries(tokens).flatMap(([name, packed]) =>
      packed instanceof Uint8Array ? [unpack(name, packed, tokens[markOf(name)])] : [],
    ),
  );

export function tokenIn(item: Item, digest: Digest): Inlined | undefined {
  const name = nameOf(digest);
  for (const bucket of BUCKETS) {
    const tokens = bucketOf(item, bucket);
    const packed = tokens[name];
    if (!(packed instanceof Uint8Array)) continue;
    const found = unpack(name, packed, tokens[markOf(name)]);
    if (same(found.token.digest, digest)) return found;
  }
  return undefined;
}

/** Whether a token that is there was stored by this attempt. */
export const isRepeat = ({ trace }: Inlined, attempt: Attempt): boolean => same(trace, traceOf(attempt));

/** Whether a token can stand in the item of its grant at all. */
export const fits = ({ digest, issuedAt, expiresAt, data }: StoredAccessToken, now: number, width: number): boolean =>
  digest.length === DIGEST &&
  data.length <= MOST_DATA &&
  expiresAt >= issuedAt &&
  expiresAt - issuedAt < FOREIGN &&
  expiresAt < 2 ** 32 &&
  expiresAt <= now + width - 2 * MARGIN_SECONDS;

/** Where a token goes, the other bucket of the living, and the one of the dead. */
function placesFor(expiresAt: number, now: number, width: number) {
  const first = Math.floor((now - MARGIN_SECONDS) / width);
  const nth = (index: number) => BUCKETS[index % BUCKETS.length] as Bucket;
  const isLater = expiresAt >= (first + 1) * width;
  const [into, beside] = isLater ? [nth(first + 1), nth(first)] : [nth(first), nth(first + 1)];
  return { into, beside, dead: nth(first + 2) };
}

/**
 * How many tokens the buckets of the living may hold for this one to be let in, if the others are like it: fewer than
 * `into` where it goes, up to `beside` in the other. Half in each or all in one, since a condition cannot add.
 */
function roomFor({ data }: StoredAccessToken) {
  const most = Math.min(MOST_TOKENS, Math.floor(MOST_BYTES / (OVERHEAD + data.length)));
  const half = Math.floor(most / 2);
  return [
    { into: most - half, beside: half },
    { into: most, beside: 0 },
  ];
}

const sizeOf = (item: Item, bucket: Bucket) => Object.keys(bucketOf(item, bucket)).length;

/** Whether a grant, as it was seen, has room for a token. */
export function hasRoom(item: Item, token: StoredAccessToken, now: number, width: number): boolean {
  const { into, beside } = placesFor(token.expiresAt, now, width);
  return roomFor(token).some((most) => sizeOf(item, into) < most.into && sizeOf(item, beside) <= most.beside);
}

const absentFrom = (name: string, buckets: readonly Bucket[] = BUCKETS) =>
  buckets.map((bucket) => `attribute_not_exists(${bucket}.${name})`);

/** The buckets of a new grant, with its first token. */
export function newBuckets(
  token: StoredAccessToken | undefined,
  attempt: Attempt,
  { now, width }: { now: number; width: number },
): Item {
  const empty = { w: width, A: {}, B: {}, C: {} };
  if (!token) return empty;
  const { into } = placesFor(token.expiresAt, now, width);
  return { ...empty, [into]: { [nameOf(token.digest)]: pack(token, traceOf(attempt)) } };
}

/** Puts a token into a grant that has room for it, and none of its digest. */
export function adding(
  { name, value }: Terms,
  token: StoredAccessToken,
  attempt: Attempt,
  { now, width }: { now: number; width: number },
): Update {
  const { into, beside, dead } = placesFor(token.expiresAt, now, width);
  const named = name(nameOf(token.digest));
  const room = roomFor(token).map(
    (most) => `size(${into}) < ${value(most.into)} AND size(${beside}) <= ${value(most.beside)}`,
  );
  return {
    set: { [`${into}.${named}`]: pack(token, traceOf(attempt)), [dead]: {} },
    when: [...absentFrom(named, [into, beside]), room.join(' OR '), `w = ${value(width)}`],
  };
}

/** That no token of this digest stands in the item. */
export const absent = ({ name }: Terms, { digest }: StoredAccessToken): string[] => absentFrom(name(nameOf(digest)));

/** Marks a token as revoked that stands in the item and is not. In every bucket, since which one is its own is not known. */
export function revoking({ name, value }: Terms, digest: Digest, now: number): Update {
  const token = name(nameOf(digest));
  const mark = name(markOf(nameOf(digest)));
  const at = value(now);
  return {
    set: {},
    assign: BUCKETS.map((bucket) => `${bucket}.${mark} = ${at}`),
    when: [
      BUCKETS.map((bucket) => `attribute_exists(${bucket}.${token}) AND attribute_not_exists(${bucket}.${mark})`).join(
        ' OR ',
      ),
    ],
  };
}

/** Takes the marks of a token away again. */
export function unmarking({ name }: Terms, digest: Digest): Update {
  const mark = name(markOf(nameOf(digest)));
  const marks = BUCKETS.map((bucket) => [`${bucket}.${mark}`, undefined]);
  return { set: Object.fromEntries(marks), when: ['attribute_exists(c)'] };
}

const isGone = ({ token }: Inlined, now: number) => token.expiresAt + MARGIN_SECONDS <= now;

/** Whether there is something in the buckets that expired some time ago. */
export const isStale = (item: Item, now: number): boolean => tokensIn(item).some((token) => isGone(token, now));

/** The buckets of a grant as it was seen, sorted anew by this width or a wider one, without what expired some time ago. */
export function sorted(item: Item, now: number, width: number): { to: Item; width: number } {
  const kept = tokensIn(item).filter((token) => !isGone(token, now));
  const widest = Math.max(width, ...kept.map(({ token }) => widthOf(token.expiresAt - now)));
  const buckets: Record<Bucket, Item> = { A: {}, B: {}, C: {} };
  for (const { token, trace, revokedAt } of kept) {
    const bucket = buckets[placesFor(token.expiresAt, now, widest).into];
    const name = nameOf(token.digest);
    bucket[name] = pack(token, trace);
    if (revokedAt !== undefined) bucket[markOf(name)] = revokedAt;
  }
  return { to: { ...buckets, w: widest }, width: widest };
}

/** That the buckets are as they were seen. */
export const unchanged = ({ value }: Terms, item: Item): string[] =>
  [...BUCKETS, 'w'].map((name) => `${name} = ${value(item[name])}`);
