import { byLead } from './sql-dialect.ts';

// Every statement that the Db2 store can send. A decision is a procedure of sql/db2, where its text and its reasons stand:
// `:name` marks a value that is given, `>name` a column of the one row that comes back. A list is a query.

const GRANT =
  '>grant_id, >client_id, >subject, >application_id, >consent_id, >created_at, >expires_at, >retain_until, >data';

/** A token that was minted here leads to its grant; for one that was minted elsewhere the procedure looks where it leads. */
const either = (text: string) => ({ own: text, foreign: text });

export const persist = either(
  `CALL persist_grant(:grantId, :clientId, :subject, :applicationId, :consentId, :createdAt, :expiresAt, :refreshSender, :data, :retainUntil,
    :refreshExpiresAt, :refreshIdleExpiresAt, :refreshForeign, :attempt, :refreshDigest, :accessDigest, :accessIssuedAt, :accessExpiresAt,
    :accessForeign, :accessData, :authorizedAtMs, :selectors, >outcome)`,
);
export const addAccess = `
CALL add_access(:grantId, :accessDigest, :accessIssuedAt, :accessExpiresAt, :accessForeign, :accessData, :now, :attempt, :retainUntil, >outcome)`;
export const addRefresh = `
CALL add_refresh(:grantId, :refreshDigest, :refreshExpiresAt, :refreshIdleExpiresAt, :refreshSender, :refreshForeign, :now, :attempt,
    :retainUntil, >outcome)`;

export const findAccess = either(
  `CALL find_access(:grantId, :digest, :now, >outcome, ${GRANT}, >access_digest, >access_issued_at, >access_expires_at, >access_foreign,
    >access_data)`,
);
export const findRefresh = either(
  `CALL find_refresh(:grantId, :digest, :now, >outcome, ${GRANT}, >refresh_digest, >refresh_expires_at, >refresh_idle_expires_at,
    >refresh_sender, >refresh_foreign, >rotated_at)`,
);

const use = (kept: 0 | 1) =>
  either(
    `CALL rotate_refresh(:grantId, :digest, ${kept}, :refreshDigest, :refreshExpiresAt, :refreshIdleExpiresAt, :accessDigest, :accessIssuedAt,
    :accessExpiresAt, :accessData, :sealed, :retainUntil, :clientId, :sender, :now, :attempt, :graceSeconds, >outcome, ${GRANT}, >sealed)`,
  );
export const rotate = use(0);
export const rotateKept = use(1);

export const revokeAccess = either('CALL revoke_access(:grantId, :digest, :now, :clientId, >changed)');
export const revokeRefresh = either('CALL revoke_refresh(:grantId, :digest, :now, :clientId, >changed)');
export const revokeGrant = 'CALL revoke_grant(:grantId, :now, :retainUntil)';
export const revokeAccessOfGrant = 'CALL revoke_access_of_grant(:grantId, :now)';
export const markRevoked = 'CALL mark_revoked(:selector, :nowMs, :retainUntil)';
export const revokeBy = byLead(
  () =>
    'CALL revoke_by(:subject, :consentId, :applicationId, :clientId, :now, :afterMinute, :afterId, :limit, >seen, >ended, >minute, >grant_id)',
);

/** Where the fields of a selector stand. */
const COLUMNS = { subject: 'subject', consentId: 'consent_id', applicationId: 'application_id', clientId: 'client_id' };

// A position is the second of a grant and its id: the index has them in this order.
export const listGrants = byLead(
  (lead) => `
SELECT grant_id, client_id, subject, application_id, consent_id,
    created_at, expires_at, retain_until, data, revoked_at,
    refresh_digest, refresh_expires_at, refresh_idle_expires_at,
    refresh_sender, refresh_foreign, created_at AS "minute"
  FROM oauth_grant WHERE ${COLUMNS[lead]} = :${lead}
    AND (CAST(:subject AS VARCHAR(480) FOR BIT DATA) IS NULL OR subject = :subject)
    AND (CAST(:clientId AS VARCHAR(480) FOR BIT DATA) IS NULL OR client_id = :clientId)
    AND (CAST(:applicationId AS VARCHAR(480) FOR BIT DATA) IS NULL OR application_id = :applicationId)
    AND (CAST(:consentId AS VARCHAR(480) FOR BIT DATA) IS NULL OR consent_id = :consentId)
    AND (created_at > :afterMinute OR (created_at = :afterMinute AND grant_id > :afterId))
  ORDER BY created_at, grant_id FETCH FIRST :limit ROWS ONLY`,
);
export const listAccess = `
SELECT digest AS access_digest, issued_at AS access_issued_at, expires_at AS access_expires_at, is_foreign AS access_foreign,
    data AS access_data, revoked_at
  FROM access_token WHERE grant_id = :grantId AND digest > :afterId ORDER BY digest FETCH FIRST :limit ROWS ONLY`;

export const addCode = 'CALL add_code(:digest, :grantId, :binding, :expiresAt, :retainUntil, :attempt, :data, >same)';
export const findCode =
  'CALL find_code(:digest, :now, >outcome, >grant_id, >binding, >expires_at, >retain_until, >redeemed_at, >data)';
export const redeem =
  'CALL redeem_code(:digest, :binding, :now, :attempt, >outcome, >grant_id, >binding, >expires_at, >retain_until, >data)';
export const removeCode = 'CALL remove_code(:digest, >changed)';

export const putArtifact =
  'CALL put_artifact(:kind, :id, :uid, :userCode, :consentId, :expiresAt, :retainUntil, :data)';
export const putArtifactOnce =
  'CALL put_artifact_once(:kind, :id, :consentId, :expiresAt, :retainUntil, :data, :now, :attempt, >changed)';
const foundBy = (way: 'id' | 'uid' | 'user_code') =>
  `CALL find_artifact(:kind, :key, '${way}', :now, >outcome, >id, >uid, >user_code, >consent_id, >expires_at, >retain_until, >consumed_at, >data)`;
export const findArtifact = foundBy('id');
export const findArtifactByUid = foundBy('uid');
export const findArtifactByUserCode = foundBy('user_code');
export const consumeArtifact = 'CALL consume_artifact(:kind, :id, :now, :attempt, >changed)';
export const removeArtifact = 'CALL remove_artifact(:kind, :id, >changed)';
export const removeArtifactsByConsent = 'CALL remove_artifacts_by_consent(:consentId, >changed)';

export const putClientToken = 'CALL put_client_token(:clientId, :key, :expiresAt, :data)';
export const getClientToken = 'CALL get_client_token(:clientId, :key, :now, >expires_at, >data)';
export const removeClientToken = 'CALL remove_client_token(:clientId, :key, >changed)';

export const purgeAccessTokens = 'CALL purge_access_tokens(:now, :limit, >changed)';
export const purgeGrants = 'CALL purge_grants(:now, :limit, >changed)';
export const purgeForeignTokens = 'CALL purge_foreign_tokens(:now, :limit, >changed)';
export const purgeRevocations = 'CALL purge_revocations(:now, :limit, >changed)';
export const purgeCodes = 'CALL purge_codes(:now, :limit, >changed)';
export const purgeArtifacts = 'CALL purge_artifacts(:now, :limit, >changed)';
export const purgeClientTokens = 'CALL purge_client_tokens(:now, :limit, >changed)';

// What is due, a row for each table: read off the index that the purge goes by, no further than `most`.
const due = (table: string, column: string) => `
SELECT COUNT(*) AS records, MIN(due) AS oldest FROM (
  SELECT ${column} AS due FROM ${table} WHERE ${column} <= :now ORDER BY ${column} FETCH FIRST :most ROWS ONLY) AS counted`;

export const backlog = {
  accessTokens: [
    due('access_token', 'expires_at'),
    due('oauth_grant', 'retain_until'),
    due('foreign_token', 'retain_until'),
    due('revocation', 'retain_until'),
  ].join(' UNION ALL'),
  authorizationCodes: due('authorization_code', 'retain_until'),
  artifacts: due('artifact', 'due_at'),
  clientAccessTokens: due('client_access_token', 'expires_at'),
};
