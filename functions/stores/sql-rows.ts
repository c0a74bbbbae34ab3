import type {
  GrantEntry,
  StoredAccessToken,
  StoredArtifact,
  StoredCode,
  StoredGrant,
  StoredRefreshToken,
} from '../domain/ports.ts';
import type { Row } from './sql-dialect.ts';

// Records from rows.

const NOTHING = Buffer.alloc(0);

/** Only the fields that are there: what is NULL in a row is absent in a record. */
export function defined<T extends Record<string, unknown>>(fields: T): { [K in keyof T]?: NonNullable<T[K]> } {
  const present: Partial<T> = {};
  for (const field in fields) if (fields[field] !== null && fields[field] !== undefined) present[field] = fields[field];
  return present as { [K in keyof T]?: NonNullable<T[K]> };
}

/** A flag, in whatever way the engine has them. */
const flag = (value: unknown) => (value === null || value === undefined ? value : Boolean(value));

export const grantOf = (row: Row) =>
  defined({
    grantId: row.grant_id,
    clientId: row.client_id,
    subject: row.subject,
    applicationId: row.application_id,
    consentId: row.consent_id,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    retainUntil: row.retain_until,
    data: row.data,
  }) as unknown as StoredGrant;

export const accessOf = (row: Row) =>
  defined({
    digest: row.access_digest,
    issuedAt: row.access_issued_at,
    expiresAt: row.access_expires_at,
    data: row.access_data ?? NOTHING,
    foreign: flag(row.access_foreign),
  }) as unknown as StoredAccessToken;

export const refreshOf = (row: Row) =>
  defined({
    digest: row.refresh_digest,
    expiresAt: row.refresh_expires_at,
    idleExpiresAt: row.refresh_idle_expires_at,
    sender: row.refresh_sender,
    foreign: flag(row.refresh_foreign),
  }) as unknown as StoredRefreshToken;

export const entryOf = (row: Row): GrantEntry => ({
  grant: grantOf(row),
  ...defined({ revokedAt: row.revoked_at as number | null }),
  ...(row.refresh_digest ? { refresh: refreshOf(row) } : {}),
});

export const codeOf = (row: Row) =>
  ({
    digest: row.digest,
    grantId: row.grant_id,
    binding: row.binding,
    expiresAt: row.expires_at,
    retainUntil: row.retain_until,
    data: row.data,
  }) as StoredCode;

export const artifactOf = (row: Row) =>
  defined({
    kind: row.kind,
    id: row.id,
    uid: row.uid,
    userCode: row.user_code,
    consentId: row.consent_id,
    expiresAt: row.expires_at,
    retainUntil: row.retain_until,
    data: row.data,
  }) as unknown as StoredArtifact;
