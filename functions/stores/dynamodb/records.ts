import type {
  Attempt,
  Digest,
  GrantEntry,
  StoredAccessToken,
  StoredGrant,
  StoredRefreshToken,
  Successor,
} from '../../domain/ports.ts';
import { type Item, present, same } from './values.ts';

// Between the attributes of a grant and the records of the port. The attributes are explained in ../dynamodb.ts.

const RETIRED_DIGEST = 16;
const TRACE = 8;
const RETIRED_HEAD = RETIRED_DIGEST + TRACE + 4;

/** What is kept of the attempt that stored a grant or used a refresh token: enough to tell its repeat. */
export const traceOf = (attempt: Attempt): Uint8Array => attempt.subarray(0, TRACE);

export const grantOf = (item: Item): StoredGrant =>
  present({
    grantId: (item.p as Uint8Array).subarray(1),
    clientId: item.c,
    subject: item.s,
    applicationId: item.ap,
    consentId: item.cs,
    createdAt: item.i,
    expiresAt: item.x,
    retainUntil: item.l,
    data: item.d,
  }) as unknown as StoredGrant;

/** The present refresh token, if there is one. */
export const refreshOf = (item: Item): StoredRefreshToken | undefined =>
  item.r === undefined
    ? undefined
    : (present({
        digest: item.r,
        expiresAt: item.rx,
        idleExpiresAt: item.ri,
        sender: item.rs,
        foreign: item.rf,
      }) as unknown as StoredRefreshToken);

export const refreshItem = (refresh: Omit<StoredRefreshToken, 'sender'> | undefined): Item => ({
  r: refresh?.digest,
  rx: refresh?.expiresAt,
  ri: refresh?.idleExpiresAt,
  rf: refresh?.foreign,
});

/** The refresh token before the present one, and what was answered to its holder. */
export interface Retired {
  readonly at: number;
  readonly sealed: Uint8Array;
  isOf(digest: Digest): boolean;
  isBy(attempt: Attempt): boolean;
}

export function retiredOf({ q }: Item): Retired | undefined {
  if (!(q instanceof Uint8Array)) return undefined;
  const bytes = Buffer.from(q.buffer, q.byteOffset, q.byteLength);
  return {
    at: bytes.readUInt32BE(RETIRED_DIGEST + TRACE),
    sealed: bytes.subarray(RETIRED_HEAD),
    isOf: (digest) => same(bytes.subarray(0, RETIRED_DIGEST), digest.subarray(0, RETIRED_DIGEST)),
    isBy: (attempt) => same(bytes.subarray(RETIRED_DIGEST, RETIRED_DIGEST + TRACE), traceOf(attempt)),
  };
}

/** What a rotation changes in the grant, its access token aside. */
export function replacement(
  { refresh, sealed }: Successor,
  { digest, attempt, now }: { digest: Digest; attempt: Attempt; now: number },
): Item {
  if (typeof refresh === 'object' && 'kept' in refresh) {
    return refresh.idleExpiresAt === undefined ? {} : { ri: refresh.idleExpiresAt };
  }
  const at = Buffer.alloc(4);
  at.writeUInt32BE(now);
  const q = Buffer.concat([digest.subarray(0, RETIRED_DIGEST), traceOf(attempt), at, sealed]);
  return { ...refreshItem(refresh === 'none' ? undefined : refresh), q };
}

/** When the present refresh token came. */
export const issuedAtOf = (item: Item): number => Math.max(Number(item.rt ?? item.i), retiredOf(item)?.at ?? 0);

export const entryOf = (item: Item): GrantEntry => {
  const refresh = refreshOf(item);
  return {
    grant: grantOf(item),
    ...(item.v !== undefined && { revokedAt: item.v as number }),
    ...(refresh && { refresh }),
  };
};

/** An access token as an item of its own. */
export const tokenItem = ({ issuedAt, expiresAt, data, foreign }: StoredAccessToken, attempt: Attempt): Item => ({
  i: issuedAt,
  x: expiresAt,
  d: data,
  t: traceOf(attempt),
  f: foreign,
  l: expiresAt,
});

export const tokenOf = (item: Item): { token: StoredAccessToken; revokedAt?: number } => ({
  token: present({
    digest: item.k,
    issuedAt: item.i,
    expiresAt: item.x,
    data: item.d,
    foreign: item.f,
  }) as unknown as StoredAccessToken,
  ...(item.v !== undefined && { revokedAt: item.v as number }),
});

/** An access token, and when it ended: by itself, or with all that its grant had then. */
export const accessOf = (
  { token, revokedAt }: { readonly token: StoredAccessToken; readonly revokedAt?: number },
  grant: Item,
): StoredAccessToken & { readonly revokedAt?: number } => {
  const ended = revokedAt ?? ((grant.n ?? []) as number[]).findLast((at) => at >= token.issuedAt);
  return { ...token, ...(ended !== undefined && { revokedAt: ended }) };
};

export const hasPassed = (time: unknown, now: number): boolean => time !== undefined && Number(time) <= now;

/** Whether the present refresh token has expired, by whichever of its ends. */
export const isOver = (item: Item, now: number): boolean =>
  [item.rx, item.ri, item.x].some((end) => hasPassed(end, now));
