import type { GrantEntry, StoredAccessToken, StoredCode, StoredGrant, StoredRefreshToken } from '../../domain/ports.ts';
import type { GrantId } from '../../domain/token.ts';
import { codecOf } from './codec.ts';
import { keptUntil, NEVER, present, type Row, same, timeOf } from './values.ts';

// What stands in the rows of grants, access tokens and codes. Every shape grows at its end only (codec.ts).

const grantCodec = codecOf({
  clientId: 'text',
  subject: 'text',
  applicationId: 'text',
  consentId: 'text',
  createdAt: 'number',
  expiresAt: 'number',
  data: 'bytes',
  /** When it took the place of an earlier grant of its id; tokens that had expired by then are that one's. */
  standingSince: 'number',
});

const refreshCodec = codecOf({
  issuedAt: 'number',
  foreign: 'flag',
  retiredDigest: 'bytes',
  retiredAt: 'number',
  retiredBy: 'bytes',
  sealed: 'bytes',
});

const accessCodec = codecOf({
  issuedAt: 'number',
  expiresAt: 'number',
  attempt: 'bytes',
  foreign: 'flag',
  data: 'bytes',
});

const codeCodec = codecOf({ grantId: 'bytes', data: 'bytes' });
const redemptionCodec = codecOf({ redeemedAt: 'number', attempt: 'bytes' });

/** One that is past its `retainUntil` by the store's own clock is as good as removed, whether its TTL has run out or not. */
export const isStanding = (row: Row | undefined, now: number): row is Row =>
  (row?.grant_record ?? row?.client_id) !== undefined && Number(row?.retain_until) > now;

export const hasPassed = (time: unknown, now: number): boolean => time !== undefined && Number(time) <= now;

export const grantOf = (row: Row, grantId = row.grant_id as GrantId): StoredGrant => {
  const { standingSince: _, ...fields } = grantCodec.decode(row.grant_record as Buffer);
  return { grantId, ...fields, retainUntil: row.retain_until } as StoredGrant;
};

/** A grant; and, where it takes the place of an earlier one of its id, since when. */
export const grantRow = (grant: StoredGrant, standingSince?: number) => ({
  grant_id: grant.grantId,
  grant_record: grantCodec.encode({ ...grant, standingSince }),
  client_id: grant.clientId,
  ends_at: grant.expiresAt ?? NEVER,
  retain_until: grant.retainUntil,
  kept_until: keptUntil(grant.retainUntil),
});

/** The sender that a grant's refresh tokens are bound to, behind its length; then the digest of the present one. */
export const refreshKey = (sender: Uint8Array | undefined, digest?: Uint8Array): Buffer =>
  Buffer.concat([Buffer.of(sender?.length ?? 0), sender ?? Buffer.of(), digest ?? Buffer.of()]);

export const keyOf = (row: Row): { readonly sender?: Buffer; readonly digest?: Buffer } => {
  const key = row.refresh_key as Buffer;
  const start = 1 + key.readUInt8();
  return {
    ...(start > 1 && { sender: key.subarray(1, start) }),
    ...(start < key.length && { digest: key.subarray(start) }),
  };
};

/** The refresh token before the present one, and what its holder is given within the grace. */
export interface Retired {
  readonly retiredDigest: Uint8Array;
  readonly retiredAt: number;
  readonly retiredBy: Uint8Array;
  readonly sealed: Uint8Array;
}

export const retiredOf = (row: Row): Partial<Retired> => refreshCodec.decode(row.refresh_record as Buffer);

/** A refresh token without its key, or none, and the one before it. */
export const refreshRow = (
  refresh: Omit<StoredRefreshToken, 'sender'> | undefined,
  issuedAt: number,
  retired?: Partial<Retired>,
) => ({
  refresh_expires_at: refresh?.expiresAt ?? null,
  refresh_idle_expires_at: refresh ? (refresh.idleExpiresAt ?? NEVER) : null,
  refresh_record: refreshCodec.encode({ ...retired, ...(refresh && { issuedAt, foreign: refresh.foreign }) }),
});

const refreshOf = (row: Row): StoredRefreshToken | undefined => {
  const { sender, digest } = keyOf(row);
  if (!digest) return undefined;
  const { foreign } = refreshCodec.decode(row.refresh_record as Buffer);
  return present({
    digest,
    expiresAt: row.refresh_expires_at,
    idleExpiresAt: timeOf(row.refresh_idle_expires_at),
    sender,
    foreign,
  }) as unknown as StoredRefreshToken;
};

export const entryOf = (row: Row): GrantEntry =>
  present({ grant: grantOf(row), revokedAt: row.revoked_at, refresh: refreshOf(row) }) as unknown as GrantEntry;

/** The present refresh token of a grant, if that is its digest; else when it was replaced. */
export function refreshStateOf(row: Row, digest: Uint8Array) {
  const refresh = refreshOf(row);
  const { issuedAt, retiredAt } = refreshCodec.decode(row.refresh_record as Buffer);
  return refresh && same(refresh.digest, digest) ? { refresh, issuedAt: Number(issuedAt) } : { retiredAt };
}

export const isOver = (row: Row, now: number): boolean =>
  [row.refresh_expires_at, row.refresh_idle_expires_at, row.ends_at].some((time) => hasPassed(time, now));

export const accessRecord = (access: Omit<StoredAccessToken, 'digest'>, attempt: Uint8Array): Buffer =>
  accessCodec.encode({ ...access, attempt });

/** Which attempt stored an access token. */
export const accessAttemptOf = (row: Row): unknown => accessCodec.decode(row.access_record as Buffer).attempt;

/** An access token and its grant; nothing for the rest of one, or of one of an earlier grant of that id. */
export function accessOf(row: Row, grantId: GrantId, digest: Uint8Array) {
  if (row.access_record === undefined || row.grant_record === undefined) return undefined;
  const { attempt: _, ...access } = accessCodec.decode(row.access_record as Buffer);
  const { standingSince = 0, ...grant } = grantCodec.decode(row.grant_record as Buffer);
  if (Number(access.expiresAt) <= standingSince) return undefined;
  const ended = (row.access_ended_at as number[] | undefined)?.find((at) => at >= Number(access.issuedAt));
  return {
    access: { digest, ...access } as StoredAccessToken,
    grant: { grantId, ...grant, retainUntil: row.retain_until } as StoredGrant,
    revokedAt: (row.access_revoked_at as number | undefined) ?? ended,
  };
}

export const codeRow = (code: StoredCode) => ({
  code_digest: code.digest,
  binding: code.binding,
  expires_at: code.expiresAt,
  retain_until: code.retainUntil,
  code_record: codeCodec.encode(code),
});

export const codeOf = (row: Row, digest: Uint8Array): StoredCode =>
  ({
    digest,
    ...codeCodec.decode(row.code_record as Buffer),
    binding: row.binding,
    expiresAt: row.expires_at,
    retainUntil: row.retain_until,
  }) as StoredCode;

export const redemption = (redeemedAt: number, attempt: Uint8Array): Buffer =>
  redemptionCodec.encode({ redeemedAt, attempt });
export const redemptionOf = (row: Row) => redemptionCodec.decode(row.redemption as Buffer);
