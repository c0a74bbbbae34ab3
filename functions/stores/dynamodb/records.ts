import type { Digest, GrantEntry, StoredAccessToken, StoredGrant, StoredRefreshToken } from '../../domain/ports.ts';
import type { Item } from './table.ts';

// From the item of a grant to the records of the port. The attributes are explained in ../dynamodb.ts.

/** An access token's name in the map of its grant. */
export const nameOf = (digest: Digest): string => Buffer.from(digest).toString('base64url');

export const tokensOf = (item: Item): Record<string, Item> => (item.a ?? {}) as Record<string, Item>;

const present = (fields: Item): Item =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));

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

export const entryOf = (item: Item): GrantEntry => {
  const refresh = refreshOf(item);
  return {
    grant: grantOf(item),
    ...(item.v !== undefined && { revokedAt: item.v as number }),
    ...(refresh && { refresh }),
  };
};

/** An access token, and when it ended: by itself, or with all that its grant had then. */
export const accessOf = (
  digest: Digest,
  token: Item,
  grant: Item,
): StoredAccessToken & { readonly revokedAt?: number } => {
  const ends = (grant.n ?? []) as number[];
  const revokedAt = token.v ?? ends.findLast((at) => at >= Number(token.i));
  return present({
    digest,
    issuedAt: token.i,
    expiresAt: token.x,
    data: token.d,
    foreign: token.f,
    revokedAt,
  }) as unknown as StoredAccessToken;
};

export const hasPassed = (time: unknown, now: number): boolean => time !== undefined && Number(time) <= now;

/** Whether the present refresh token has expired, by whichever of its ends. */
export const isOver = (item: Item, now: number): boolean =>
  [item.rx, item.ri, item.x].some((end) => hasPassed(end, now));
