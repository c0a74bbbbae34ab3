import type {
  Attempt,
  Digest,
  GrantEntry,
  StoredAccessToken,
  StoredGrant,
  StoredRefreshToken,
  Successor,
} from '../../domain/ports.ts';
import type { GrantId } from '../../domain/token.ts';
import { join, NONE, present, short, text, traceOf, u8, u32 } from './bytes.ts';

// Between the records of the port and those of a grant's key. The scripts say how they are laid out (scripts.ts).

const SUBJECT = 1;
const CLIENT = 2;
const APPLICATION = 4;
const CONSENT = 8;

/** The head of every record: what it is, until when it is kept, when it leaves the cache for its age. */
export const head = (kind: string, until: number, leavesAt: number): Buffer =>
  join(Buffer.from(kind, 'latin1'), u32(until, leavesAt));

export const refreshBytes = (refresh: Omit<StoredRefreshToken, 'sender'>, issuedAt: number): Buffer =>
  join(u32(refresh.expiresAt, refresh.idleExpiresAt ?? NONE, issuedAt), u8(refresh.foreign ? 1 : 0), refresh.digest);

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

/** The refresh token that has been replaced, and what was answered. */
export const retiredBytes = (digest: Digest, attempt: Attempt, now: number, { sealed }: Successor): Buffer =>
  join(digest.subarray(0, 16), traceOf(attempt), u32(now), sealed);

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
  const length = Buffer.alloc(2);
  length.writeUInt16BE(access?.length ?? 0);
  return join(
    head('g', retainUntil, leavesAt),
    u32(0, pointedUntil, pointedUntil, 0, ownUntil),
    short(refresh && refreshBytes(refresh, createdAt)),
    short(refresh?.sender),
    short(undefined),
    u32(0),
    short(undefined),
    length,
    access ?? Buffer.of(),
    traceOf(attempt),
    u32(createdAt, expiresAt),
    u8(names),
    text(clientId),
    text(subject),
    text(applicationId),
    text(consentId),
    data,
  );
}

export interface AccessRecord extends StoredAccessToken {
  readonly revokedAt?: number;
}

/** Where something begins and ends. */
type Part = readonly [from: number, to: number];

/** What stands in a grant's key: the grant, and where the rest is. */
export interface GrantRecord {
  readonly grant: StoredGrant;
  /** 0: it is not. */
  readonly revokedAt: number;
  readonly bytes: Buffer;
  readonly refresh: Part;
  readonly sender: Part;
  readonly retired: Part;
  readonly ends: Part;
  readonly tokens: Part;
}

/** The grant of a key, if it is one: not what stands in the place of a grant that has not come. */
export function readGrant(grantId: GrantId, bytes: Buffer | undefined): GrantRecord | undefined {
  if (bytes?.[0] !== 0x67) return undefined;
  // By hand, for every lookup does it.
  const refreshAt = 30;
  const refreshEnd = refreshAt + bytes.readUInt8(29);
  const senderEnd = refreshEnd + 1 + bytes.readUInt8(refreshEnd);
  const attemptEnd = senderEnd + 1 + bytes.readUInt8(senderEnd);
  const retiredAt = attemptEnd + 4;
  const retiredEnd = retiredAt + bytes.readUInt32BE(attemptEnd);
  const endsEnd = retiredEnd + 1 + bytes.readUInt8(retiredEnd);
  const tokensEnd = endsEnd + 2 + bytes.readUInt16BE(endsEnd);
  const clientEnd = tokensEnd + 19 + bytes.readUInt16BE(tokensEnd + 17);
  const subjectEnd = clientEnd + 2 + bytes.readUInt16BE(clientEnd);
  const applicationEnd = subjectEnd + 2 + bytes.readUInt16BE(subjectEnd);
  const consentEnd = applicationEnd + 2 + bytes.readUInt16BE(applicationEnd);
  const names = bytes.readUInt8(tokensEnd + 16);
  const expiresAt = bytes.readUInt32BE(tokensEnd + 12);
  const grant: { -readonly [F in keyof StoredGrant]?: StoredGrant[F] } = {
    grantId,
    clientId: bytes.toString('utf8', tokensEnd + 19, clientEnd),
  };
  if (names & SUBJECT) grant.subject = bytes.toString('utf8', clientEnd + 2, subjectEnd);
  if (names & APPLICATION) grant.applicationId = bytes.toString('utf8', subjectEnd + 2, applicationEnd);
  if (names & CONSENT) grant.consentId = bytes.toString('utf8', applicationEnd + 2, consentEnd);
  grant.createdAt = bytes.readUInt32BE(tokensEnd + 8);
  if (expiresAt !== NONE) grant.expiresAt = expiresAt;
  grant.retainUntil = bytes.readUInt32BE(1);
  grant.data = bytes.subarray(consentEnd);
  return {
    grant: grant as StoredGrant,
    revokedAt: bytes.readUInt32BE(9),
    bytes,
    refresh: [refreshAt, refreshEnd],
    sender: [refreshEnd + 1, senderEnd],
    retired: [retiredAt, retiredEnd],
    ends: [retiredEnd + 1, endsEnd],
    tokens: [endsEnd + 2, tokensEnd],
  };
}

/** Until when the pointers of a grant lead to it: those of now, those before, and since when. */
export const pointersOf = ({ bytes }: GrantRecord) => ({
  until: bytes.readUInt32BE(13),
  before: bytes.readUInt32BE(17),
  since: bytes.readUInt32BE(21),
});

/** When the last of the access tokens that are keys of their own expires; 0: there are none. */
export const ownUntil = ({ bytes }: GrantRecord): number => bytes.readUInt32BE(25);

/** When the present refresh token was issued. */
export const issuedAtOf = ({ bytes, grant, refresh: [at, end] }: GrantRecord): number =>
  at < end ? bytes.readUInt32BE(at + 8) : grant.createdAt;

/** When the refresh token before the present one was replaced. */
export const retiredAtOf = ({ bytes, grant, retired: [at, end] }: GrantRecord): number =>
  at < end ? bytes.readUInt32BE(at + 24) : grant.createdAt;

/** The present refresh token, if there is one. */
export function refreshOf({
  bytes,
  refresh: [at, end],
  sender: [from, to],
}: GrantRecord): StoredRefreshToken | undefined {
  if (at === end) return undefined;
  const idleExpiresAt = present(bytes.readUInt32BE(at + 4));
  return {
    digest: bytes.subarray(at + 13, end),
    expiresAt: bytes.readUInt32BE(at),
    ...(idleExpiresAt !== undefined && { idleExpiresAt }),
    ...(from < to && { sender: bytes.subarray(from, to) }),
    ...(bytes[at + 12] === 1 && { foreign: true }),
  };
}

/** When this access token ended together with all others that its grant had then. */
function endOf({ bytes, ends: [at, end] }: GrantRecord, issuedAt: number): number | undefined {
  for (let place = at; place < end; place += 4) {
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
export function* tokensIn({ bytes, tokens: [at, end] }: GrantRecord): Generator<Buffer> {
  for (let place = at; place < end; place += bytes.readUInt16BE(place)) {
    yield bytes.subarray(place, place + bytes.readUInt16BE(place));
  }
}

export function tokenIn({ bytes, tokens: [at, end] }: GrantRecord, digest: Digest): Buffer | undefined {
  for (let place = at; place < end; place += bytes.readUInt16BE(place)) {
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
