import type { GrantEntry, StoredAccessToken, StoredGrant, StoredRefreshToken } from '../../domain/ports.ts';
import { ownerOf, ownerRow } from './owners.ts';
import { keptUntil, NEVER, present, type Row, same, timeOf } from './values.ts';

/** Bound to no key. */
export const UNBOUND = Buffer.alloc(0);

/** One that is past its `retainUntil` by the store's own clock is as good as removed, whether its TTL has run out or not. */
export const isStanding = (row: Row | undefined, now: number): row is Row =>
  row?.client_id !== undefined && Number(row.retain_until) > now;

export const hasPassed = (time: unknown, now: number): boolean => time !== undefined && Number(time) <= now;

export const grantOf = (row: Row): StoredGrant =>
  present({
    grantId: row.grant_id,
    ...ownerOf(row),
    createdAt: row.created_at,
    expiresAt: timeOf(row.ends_at),
    retainUntil: row.retain_until,
    data: row.grant_data,
  }) as unknown as StoredGrant;

export const grantRow = (grant: StoredGrant) => ({
  grant_id: grant.grantId,
  ...ownerRow(grant),
  created_at: grant.createdAt,
  ends_at: grant.expiresAt ?? NEVER,
  retain_until: grant.retainUntil,
  kept_until: keptUntil(grant.retainUntil),
  grant_data: grant.data,
});

export const refreshOf = (row: Row): StoredRefreshToken | undefined =>
  row.refresh_digest === undefined
    ? undefined
    : (present({
        digest: row.refresh_digest,
        expiresAt: row.refresh_expires_at,
        idleExpiresAt: timeOf(row.refresh_idle_expires_at),
        sender: same(row.sender, UNBOUND) ? undefined : row.sender,
        foreign: row.refresh_foreign,
      }) as unknown as StoredRefreshToken);

export const refreshRow = (refresh: Omit<StoredRefreshToken, 'sender'>, issuedAt: number) => ({
  refresh_digest: refresh.digest,
  refresh_expires_at: refresh.expiresAt,
  refresh_idle_expires_at: refresh.idleExpiresAt ?? NEVER,
  refresh_foreign: refresh.foreign ?? null,
  refresh_issued_at: issuedAt,
});

/** The grant has no refresh token any more. */
export const NO_REFRESH = {
  refresh_digest: null,
  refresh_expires_at: null,
  refresh_idle_expires_at: null,
  refresh_foreign: null,
  refresh_issued_at: null,
};

export const isOver = (row: Row, now: number): boolean =>
  [row.refresh_expires_at, row.refresh_idle_expires_at, row.ends_at].some((time) => hasPassed(time, now));

export const entryOf = (row: Row): GrantEntry =>
  present({ grant: grantOf(row), revokedAt: row.revoked_at, refresh: refreshOf(row) }) as unknown as GrantEntry;

/** An access token of the grant that stands; nothing for the rest of one, or of one of an earlier grant of that id. */
export function accessOf(row: Row): (StoredAccessToken & { readonly revokedAt?: number }) | undefined {
  if (row.issued_at === undefined || Number(row.expires_at) <= Number(row.standing_since ?? 0)) return undefined;
  const ended = (row.access_ended_at as number[] | undefined)?.find((at) => at >= Number(row.issued_at));
  return present({
    digest: row.access_digest,
    issuedAt: row.issued_at,
    expiresAt: row.expires_at,
    data: row.access_data,
    foreign: row.access_foreign,
    revokedAt: row.access_revoked_at ?? ended,
  }) as unknown as StoredAccessToken;
}
