import type {
  Attempt,
  Digest,
  GrantEntry,
  StoredAccessToken,
  StoredGrant,
  StoredRefreshToken,
} from '../../domain/ports.ts';
import type { GrantId } from '../../domain/token.ts';
import { join, NONE, present, short, text, traceOf, u8, u32 } from './bytes.ts';

// Between the records of the port and those of a grant's key. The scripts say how they are laid out (scripts/grants.ts).

const SUBJECT = 1;
const CLIENT = 2;
const APPLICATION = 4;
const CONSENT = 8;

/** Bytes of a grant's record up to its end: eight numbers after the letter. */
const HEAD = 33;

/** The head of every record: what it is, until when it is kept, when it leaves the cache for its age. */
export const head = (kind: string, until: number, leavesAt: number): Buffer =>
  join(Buffer.from(kind, 'latin1'), u32(until, leavesAt));

type NewRefresh = Omit<StoredRefreshToken, 'sender'>;

function putRefresh(
  bytes: Buffer,
  at: number,
  { digest, expiresAt, idleExpiresAt, foreign }: NewRefresh,
  issuedAt: number,
) {
  bytes.writeUInt8(13 + digest.length, at);
  bytes.writeUInt32BE(expiresAt, at + 1);
  bytes.writeUInt32BE(idleExpiresAt ?? NONE, at + 5);
  bytes.writeUInt32BE(issuedAt, at + 9);
  bytes.writeUInt8(foreign ? 1 : 0, at + 13);
  bytes.set(digest, at + 14);
}

/** After its length; of none, that. */
export function refreshBytes(refresh: NewRefresh | undefined, issuedAt: number): Buffer {
  if (!refresh) return u8(0);
  const bytes = Buffer.allocUnsafe(14 + refresh.digest.length);
  putRefresh(bytes, 0, refresh, issuedAt);
  return bytes;
}

/** What a rotation puts in place of the refresh token and of the one before: the next, if there is one, and what was answered to whoever presented the last. */
export function replacedBytes(
  next: NewRefresh | undefined,
  { digest, attempt, now, sealed }: { digest: Digest; attempt: Attempt; now: number; sealed: Uint8Array },
): Buffer {
  const at = next ? 14 + next.digest.length : 1;
  const bytes = Buffer.allocUnsafe(at + 32 + sealed.length);
  if (next) putRefresh(bytes, 0, next, now);
  else bytes.writeUInt8(0);
  bytes.writeUInt32BE(28 + sealed.length, at);
  bytes.set(digest.subarray(0, 16), at + 4);
  bytes.set(traceOf(attempt), at + 20);
  bytes.writeUInt32BE(now, at + 28);
  bytes.set(sealed, at + 32);
  return bytes;
}

export function accessBytes(access: StoredAccessToken, attempt: Attempt): Buffer {
  const { digest, issuedAt, expiresAt, data, foreign } = access;
  const bytes = Buffer.allocUnsafe(24 + digest.length + data.length);
  // Only those in the record of their grant are told apart by it, and those are short.
  bytes.writeUInt16BE(bytes.length & 0xffff, 0);
  bytes.writeUInt32BE(expiresAt, 2);
  bytes.writeUInt32BE(0, 6);
  bytes.writeUInt32BE(issuedAt, 10);
  bytes.set(traceOf(attempt), 14);
  bytes.writeUInt8(foreign ? 1 : 0, 22);
  bytes.writeUInt8(digest.length, 23);
  bytes.set(digest, 24);
  bytes.set(data, 24 + digest.length);
  return bytes;
}

/** A grant as it is first stored; `ownUntil`: its access token is a key of its own. */
export function grantBytes(
  grant: StoredGrant,
  refresh: StoredRefreshToken | undefined,
  access: Uint8Array | undefined,
  {
    attempt,
    leavesAt,
    pointedUntil,
    ownUntil,
  }: { attempt: Attempt; leavesAt: number; pointedUntil: number; ownUntil: number },
): Buffer {
  const { clientId, subject, applicationId, consentId, createdAt, expiresAt = NONE, retainUntil, data } = grant;
  const names =
    CLIENT |
    (subject === undefined ? 0 : SUBJECT) |
    (applicationId === undefined ? 0 : APPLICATION) |
    (consentId === undefined ? 0 : CONSENT);
  const constant = join(
    u32(expiresAt),
    traceOf(attempt),
    u32(createdAt),
    short(refresh?.sender),
    text(clientId),
    short(undefined),
    short(undefined),
    u8(names),
    text(subject),
    text(applicationId),
    text(consentId),
    data,
  );
  return join(
    head('g', retainUntil, leavesAt),
    u32(0, pointedUntil, pointedUntil, 0, ownUntil, HEAD + constant.length),
    constant,
    refreshBytes(refresh, createdAt),
    u32(0),
    access ?? Buffer.of(),
  );
}

export interface AccessRecord extends StoredAccessToken {
  readonly revokedAt?: number;
}

/** What stands in a grant's key: the grant, and where the rest is. */
export interface GrantRecord {
  readonly grant: StoredGrant;
  /** 0: it is not. */
  readonly revokedAt: number;
  readonly bytes: Buffer;
  /** Where the ends of access tokens stand, after their length. */
  readonly endsAt: number;
  /** Where the refresh token stands, after its length. */
  readonly refreshAt: number;
}

/** The grant of a key, if it is one: not what stands in the place of a grant that has not come. What stands before the refresh token is enough. */
export function readGrant(grantId: GrantId, bytes: Buffer | undefined): GrantRecord | undefined {
  if (bytes?.[0] !== 0x67) return undefined;
  // By hand, for every lookup does it.
  const end = bytes.readUInt32BE(29);
  const clientAt = HEAD + 17 + bytes.readUInt8(HEAD + 16);
  const clientEnd = clientAt + 2 + bytes.readUInt16BE(clientAt);
  const endsAt = clientEnd + 1 + bytes.readUInt8(clientEnd);
  const namesAt = endsAt + 1 + bytes.readUInt8(endsAt);
  const subjectEnd = namesAt + 3 + bytes.readUInt16BE(namesAt + 1);
  const applicationEnd = subjectEnd + 2 + bytes.readUInt16BE(subjectEnd);
  const consentEnd = applicationEnd + 2 + bytes.readUInt16BE(applicationEnd);
  const names = bytes.readUInt8(namesAt);
  const expiresAt = bytes.readUInt32BE(HEAD);
  const grant: { -readonly [F in keyof StoredGrant]?: StoredGrant[F] } = {
    grantId,
    clientId: bytes.toString('utf8', clientAt + 2, clientEnd),
  };
  if (names & SUBJECT) grant.subject = bytes.toString('utf8', namesAt + 3, subjectEnd);
  if (names & APPLICATION) grant.applicationId = bytes.toString('utf8', subjectEnd + 2, applicationEnd);
  if (names & CONSENT) grant.consentId = bytes.toString('utf8', applicationEnd + 2, consentEnd);
  grant.createdAt = bytes.readUInt32BE(HEAD + 12);
  if (expiresAt !== NONE) grant.expiresAt = expiresAt;
  grant.retainUntil = bytes.readUInt32BE(1);
  grant.data = bytes.subarray(consentEnd, end);
  return { grant: grant as StoredGrant, revokedAt: bytes.readUInt32BE(9), bytes, endsAt, refreshAt: end };
}

/** Where the refresh token before the present one stands, after its length. */
const retiredAt = ({ bytes, refreshAt }: GrantRecord) => refreshAt + 1 + bytes.readUInt8(refreshAt);

const tokensAt = (record: GrantRecord) => {
  const at = retiredAt(record);
  return at + 4 + record.bytes.readUInt32BE(at);
};

/** Until when the pointers of a grant lead to it: those of now, those before, and since when. */
export const pointersOf = ({ bytes }: GrantRecord) => ({
  until: bytes.readUInt32BE(13),
  before: bytes.readUInt32BE(17),
  since: bytes.readUInt32BE(21),
});

/** When the last of the access tokens that are keys of their own expires; 0: there are none. */
export const ownUntil = ({ bytes }: GrantRecord): number => bytes.readUInt32BE(25);

/** When the present refresh token was issued. */
export const issuedAtOf = ({ bytes, grant, refreshAt: at }: GrantRecord): number =>
  bytes.readUInt8(at) > 0 ? bytes.readUInt32BE(at + 9) : grant.createdAt;

/** When the refresh token before the present one was replaced. */
export function retiredAtOf(record: GrantRecord): number {
  const at = retiredAt(record);
  return record.bytes.readUInt32BE(at) > 0 ? record.bytes.readUInt32BE(at + 28) : record.grant.createdAt;
}

/** The present refresh token, if there is one. */
export function refreshOf({ bytes, refreshAt: at }: GrantRecord): StoredRefreshToken | undefined {
  const length = bytes.readUInt8(at);
  if (length === 0) return undefined;
  const idleExpiresAt = present(bytes.readUInt32BE(at + 5));
  const sender = bytes.subarray(HEAD + 17, HEAD + 17 + bytes.readUInt8(HEAD + 16));
  return {
    digest: bytes.subarray(at + 14, at + 1 + length),
    expiresAt: bytes.readUInt32BE(at + 1),
    ...(idleExpiresAt !== undefined && { idleExpiresAt }),
    ...(sender.length > 0 && { sender }),
    ...(bytes[at + 13] === 1 && { foreign: true }),
  };
}

/** When this access token ended together with all others that its grant had then. */
function endOf({ bytes, endsAt }: GrantRecord, issuedAt: number): number | undefined {
  const end = endsAt + 1 + bytes.readUInt8(endsAt);
  for (let place = endsAt + 1; place < end; place += 4) {
    const time = bytes.readUInt32BE(place);
    if (time >= issuedAt) return time;
  }
  return undefined;
}

/** An access token, and when it ended early: by itself, or with all that its grant had then. */
export function readAccess(bytes: Buffer, record: GrantRecord): AccessRecord {
  const issuedAt = bytes.readUInt32BE(10);
  const alone = bytes.readUInt32BE(6);
  const start = 24 + bytes.readUInt8(23);
  // What has ended with all others does not end alone after that: if it did, it was before.
  const revokedAt = alone > 0 ? alone : endOf(record, issuedAt);
  const access: { -readonly [F in keyof AccessRecord]: AccessRecord[F] } = {
    digest: bytes.subarray(24, start),
    issuedAt,
    expiresAt: bytes.readUInt32BE(2),
    data: bytes.subarray(start),
  };
  if (bytes[22] === 1) access.foreign = true;
  if (revokedAt !== undefined) access.revokedAt = revokedAt;
  return access;
}

/** The access tokens that stand in the record of a grant. */
export function* tokensIn(record: GrantRecord): Generator<Buffer> {
  const { bytes } = record;
  for (let place = tokensAt(record); place < bytes.length; place += bytes.readUInt16BE(place)) {
    yield bytes.subarray(place, place + bytes.readUInt16BE(place));
  }
}

export function tokenIn(record: GrantRecord, digest: Digest): Buffer | undefined {
  const { bytes } = record;
  for (let place = tokensAt(record); place < bytes.length; place += bytes.readUInt16BE(place)) {
    const start = place + 24;
    const stop = start + bytes.readUInt8(place + 23);
    if (stop - start === digest.length && bytes.compare(digest, 0, digest.length, start, stop) === 0) {
      return bytes.subarray(place, place + bytes.readUInt16BE(place));
    }
  }
  return undefined;
}

export function entryOf(record: GrantRecord): GrantEntry {
  const { grant, revokedAt } = record;
  const refresh = refreshOf(record);
  return { grant, ...(revokedAt > 0 && { revokedAt }), ...(refresh && { refresh }) };
}
