import type { SelectorField } from '../domain/selector.ts';
import { type ByOrigin, byLead, type Statements } from './sql-dialect.ts';

// Every statement that the MySQL store can send, whole. `:name` marks a bound value. What takes several statements is a
// procedure in sql/mysql/oauth-server.sql, called in one round trip.
//
// Connections are at READ COMMITTED, where a lock is on rows and not on the gaps between them; nothing rests on it: a
// procedure locks the row that it decides from before it reads anything else, and a statement that stands here changes rows
// that it finds by a key or by an index, each as the one before it left it. Within a transaction the grant is locked first.
// Where two lock rows in different orders all the same (a revocation and a purge), the server ends one of them as if it had
// never begun, and it is sent again (mysql.ts).

const BY_DIGEST = '(SELECT f.grant_id FROM foreign_token f WHERE f.digest = :digest)';
/** A token that was minted here leads to its grant; one that was minted elsewhere is led there by its digest. */
const byOrigin = (statement: (grant: string) => string) => ({
  own: statement(':grantId'),
  foreign: statement(BY_DIGEST),
});
/** A procedure finds the grant of either itself. */
const byEither = (statement: string) => ({ own: statement, foreign: statement });

const GRANT = `g.grant_id, g.client_id, g.subject, g.application_id, g.consent_id, g.created_at, g.expires_at,
  g.retain_until, g.data`;
const REFRESH =
  'g.refresh_digest, g.refresh_expires_at, g.refresh_idle_expires_at, g.refresh_sender, g.refresh_foreign';

const persist = byEither(`CALL oauth_persist(
  :grantId, :clientId, :subject, :applicationId, :consentId, :createdAt, :expiresAt, :refreshSender, :data, :retainUntil,
  :refreshExpiresAt, :refreshIdleExpiresAt, :refreshForeign, :attempt, :refreshDigest,
  :accessDigest, :accessIssuedAt, :accessExpiresAt, :accessForeign, :accessData, :authorizedAtMs, :selectors)`);

const addAccess = `CALL oauth_add_access(
  :grantId, :accessDigest, :accessIssuedAt, :accessExpiresAt, :accessForeign, :accessData, :now, :attempt, :retainUntil)`;

const addRefresh = `CALL oauth_add_refresh(
  :grantId, :refreshDigest, :refreshExpiresAt, :refreshIdleExpiresAt, :refreshForeign, :refreshSender, :now, :attempt, :retainUntil)`;

const findAccess = byOrigin(
  (grant) => `
SELECT ${GRANT}, a.digest AS access_digest, a.issued_at AS access_issued_at, a.expires_at AS access_expires_at,
    a.is_foreign AS access_foreign, a.data AS access_data, CASE
    WHEN g.revoked_at IS NOT NULL OR a.revoked_at IS NOT NULL THEN 'revoked'
    WHEN a.expires_at <= :now OR g.expires_at <= :now THEN 'expired'
    ELSE 'active' END AS outcome
  FROM access_token a JOIN oauth_grant g ON g.grant_id = a.grant_id
  WHERE a.grant_id = ${grant} AND a.digest = :digest`,
);

const findRefresh = byOrigin(
  (grant) => `
SELECT ${GRANT}, ${REFRESH}, COALESCE(g.retired_at, g.created_at) AS rotated_at, CASE
    WHEN NOT g.refresh_digest <=> :digest THEN 'retired'
    WHEN g.revoked_at IS NOT NULL THEN 'revoked'
    WHEN g.refresh_expires_at <= :now OR g.refresh_idle_expires_at <= :now OR g.expires_at <= :now THEN 'expired'
    ELSE 'active' END AS outcome
  FROM oauth_grant g WHERE g.grant_id = ${grant} AND g.client_id <> ''`,
);

/** `kept`: the refresh token goes on; `partitions`: access tokens are in partitions. */
export const rotated = ({ kept = false, partitions = false }): ByOrigin =>
  byEither(`CALL oauth_rotate(
  :grantId, :digest, :clientId, :sender, :now, :attempt, :graceSeconds, ${kept}, ${partitions},
  :refreshDigest, :refreshExpiresAt, :refreshIdleExpiresAt,
  :accessDigest, :accessIssuedAt, :accessExpiresAt, :accessData, :sealed, :retainUntil)`);

// The grant first, as everywhere.
const revokeAccess = byOrigin(
  (grant) => `
UPDATE oauth_grant g STRAIGHT_JOIN access_token a ON a.grant_id = g.grant_id
  SET a.revoked_at = :now
  WHERE g.grant_id = ${grant} AND a.digest = :digest AND a.revoked_at IS NULL
    AND g.revoked_at IS NULL AND (:clientId IS NULL OR g.client_id = :clientId)`,
);

const revokeRefresh = byOrigin(
  (grant) => `
UPDATE oauth_grant g SET g.revoked_at = :now
  WHERE g.grant_id = ${grant} AND g.revoked_at IS NULL AND (:clientId IS NULL OR g.client_id = :clientId)`,
);

// A grant that is not there yet is stored as revoked, with no client and nothing else in it: it is refused when it comes.
const revokeGrant = `
INSERT INTO oauth_grant (grant_id, client_id, created_at, data, revoked_at, retain_until)
  VALUES (:grantId, '', :now, '', :now, :retainUntil)
  ON DUPLICATE KEY UPDATE revoked_at = COALESCE(revoked_at, :now), retain_until = GREATEST(retain_until, :retainUntil)`;

const revokeAccessOfGrant = `
UPDATE access_token SET revoked_at = :now WHERE grant_id = :grantId AND revoked_at IS NULL`;

const markRevoked = 'CALL oauth_mark_revoked(:selector, :nowMs, :retainUntil)';

/** Where the fields of a selector stand, and the procedures that go by them. */
const COLUMNS = { subject: 'subject', consentId: 'consent_id', applicationId: 'application_id', clientId: 'client_id' };
const PROCEDURES = {
  subject: 'oauth_revoke_by_subject',
  consentId: 'oauth_revoke_by_consent',
  applicationId: 'oauth_revoke_by_application',
  clientId: 'oauth_revoke_by_client',
};

// Pages are in the order of the indexes, which is that of the second of creation: it stands where others have the minute.
const listPage = (lead: SelectorField) => `
SELECT ${GRANT}, ${REFRESH}, g.revoked_at, g.created_at AS minute
  FROM oauth_grant g
  WHERE g.${COLUMNS[lead]} = :${lead}
    AND (:subject IS NULL OR g.subject = :subject) AND (:clientId IS NULL OR g.client_id = :clientId)
    AND (:applicationId IS NULL OR g.application_id = :applicationId) AND (:consentId IS NULL OR g.consent_id = :consentId)
    AND g.created_at >= :afterMinute AND (g.created_at > :afterMinute OR g.grant_id > :afterId)
  ORDER BY g.created_at, g.grant_id LIMIT :limit`;

const revokePage = (lead: SelectorField) =>
  `CALL ${PROCEDURES[lead]}(:subject, :clientId, :applicationId, :consentId, :afterMinute, :afterId, :now, :limit)`;

const listAccess = `
SELECT digest AS access_digest, issued_at AS access_issued_at, expires_at AS access_expires_at, is_foreign AS access_foreign,
    data AS access_data, revoked_at
  FROM access_token WHERE grant_id = :grantId AND digest > :afterId ORDER BY digest LIMIT :limit`;

const addCode = 'CALL oauth_add_code(:digest, :grantId, :binding, :expiresAt, :retainUntil, :attempt, :data)';

const findCode = `
SELECT digest, grant_id, binding, expires_at, retain_until, data, redeemed_at, CASE
    WHEN redeemed_at IS NOT NULL THEN 'redeemed' WHEN expires_at <= :now THEN 'expired' ELSE 'active' END AS outcome
  FROM authorization_code WHERE digest = :digest`;

const redeem = 'CALL oauth_redeem(:digest, :binding, :now, :attempt)';

const removeCode = 'DELETE FROM authorization_code WHERE digest = :digest';

const putArtifact = `
CALL oauth_put_artifact(:kind, :id, :uid, :userCode, :consentId, :expiresAt, :retainUntil, :data)`;
const putArtifactOnce = `
CALL oauth_put_artifact_once(:kind, :id, :consentId, :expiresAt, :retainUntil, :attempt, :data, :now)`;

const ARTIFACT = `
SELECT kind, id, uid, user_code, consent_id, expires_at, retain_until, consumed_at, data,
    CASE WHEN expires_at <= :now THEN 'expired' ELSE 'active' END AS outcome
  FROM artifact`;
const findArtifact = `${ARTIFACT} WHERE kind = :kind AND id = :key`;
const findArtifactByUid = `${ARTIFACT} WHERE kind = :kind AND uid = :key`;
const findArtifactByUserCode = `${ARTIFACT} WHERE kind = :kind AND user_code = :key`;

// A row that meets the condition counts, whether or not it changes by it (CLIENT_FOUND_ROWS).
const consumeArtifact = `
UPDATE artifact SET consumed_at = COALESCE(consumed_at, :now), attempt = :attempt
  WHERE kind = :kind AND id = :id AND (expires_at IS NULL OR expires_at > :now) AND (consumed_at IS NULL OR attempt = :attempt)`;
const removeArtifact = 'DELETE FROM artifact WHERE kind = :kind AND id = :id';
const removeArtifactsByConsent = 'DELETE FROM artifact WHERE consent_id = :consentId';

const putClientToken = `
INSERT INTO client_access_token (client_id, token_key, expires_at, data) VALUES (:clientId, :key, :expiresAt, :data)
  ON DUPLICATE KEY UPDATE expires_at = :expiresAt, data = :data`;
const getClientToken = `
SELECT client_id, token_key, expires_at, data FROM client_access_token
  WHERE client_id = :clientId AND token_key = :key AND expires_at > :now`;
const removeClientToken = 'DELETE FROM client_access_token WHERE client_id = :clientId AND token_key = :key';

/**
 * SKIP LOCKED: two purges share the work instead of waiting for each other, and none waits for a rotation. What is due is
 * found first, by its index, and then removed by its key.
 */
export const purge = (table: string, key: readonly string[], due: string): string => `
DELETE t FROM (
    SELECT ${key.join(', ')} FROM ${table} WHERE ${due} <= :now ORDER BY ${due} LIMIT :limit FOR UPDATE SKIP LOCKED
  ) AS expired STRAIGHT_JOIN ${table} AS t ON ${key.map((column) => `t.${column} = expired.${column}`).join(' AND ')}`;

/** What is due: read off the index that the purge goes by, no further than `most`. */
export const due = (table: string, column: string): string => `
SELECT count(*) AS records, min(due) AS oldest FROM (
  SELECT ${column} AS due FROM ${table} WHERE ${column} <= :now ORDER BY ${column} LIMIT :most) AS counted`;

export const dueBesideAccessTokens: string = [
  due('oauth_grant', 'retain_until'),
  due('foreign_token', 'retain_until'),
  due('revocation', 'retain_until'),
].join(' UNION ALL');

const ARTIFACT_DUE = 'COALESCE(retain_until, expires_at)';

export const statements: Statements = {
  persist,
  addAccess,
  addRefresh,
  findAccess,
  findRefresh,
  rotate: rotated({}),
  rotateKept: rotated({ kept: true }),
  revokeAccess,
  revokeRefresh,
  revokeGrant,
  revokeAccessOfGrant,
  markRevoked,
  revokeBy: byLead(revokePage),
  listGrants: byLead(listPage),
  listAccess,
  addCode,
  findCode,
  redeem,
  removeCode,
  putArtifact,
  putArtifactOnce,
  findArtifact,
  findArtifactByUid,
  findArtifactByUserCode,
  consumeArtifact,
  removeArtifact,
  removeArtifactsByConsent,
  putClientToken,
  getClientToken,
  removeClientToken,
  purgeAccessTokens: purge('access_token', ['grant_id', 'digest'], 'expires_at'),
  purgeGrants: purge('oauth_grant', ['grant_id'], 'retain_until'),
  purgeForeignTokens: purge('foreign_token', ['digest'], 'retain_until'),
  purgeRevocations: purge('revocation', ['selector'], 'retain_until'),
  purgeCodes: purge('authorization_code', ['digest'], 'retain_until'),
  purgeArtifacts: purge('artifact', ['kind', 'id'], ARTIFACT_DUE),
  purgeClientTokens: purge('client_access_token', ['client_id', 'token_key'], 'expires_at'),
  backlog: {
    accessTokens: `${due('access_token', 'expires_at')} UNION ALL${dueBesideAccessTokens}`,
    authorizationCodes: due('authorization_code', 'retain_until'),
    artifacts: due('artifact', ARTIFACT_DUE),
    clientAccessTokens: due('client_access_token', 'expires_at'),
  },
};
