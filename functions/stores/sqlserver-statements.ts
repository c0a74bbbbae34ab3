import type { SelectorField } from '../domain/selector.ts';
import { byLead } from './sql-dialect.ts';

// Every statement or batch that the SQL Server store can send, whole. `@name` is a bound value, typed in
// sqlserver-parameters.ts, unless the batch declares it.
//
// All run at READ COMMITTED, with or without READ_COMMITTED_SNAPSHOT, which each connection sets for itself. A decision is
// taken from a row that the same update changes, or that UPDLOCK has locked: both read the row as the last commit left it,
// never a version of it (Transaction locking and row versioning guide, "Modify data in row versioning-based isolation
// levels"), and so does an update that optimized locking lets qualify first: it qualifies again once it has waited.
// https://learn.microsoft.com/sql/relational-databases/sql-server-transaction-locking-and-row-versioning-guide
// https://learn.microsoft.com/sql/relational-databases/performance/optimized-locking
//
// A batch of several changes is one transaction; with XACT_ABORT any error, and a client that gives up, rolls it back.
// What must not be inserted twice is looked for under UPDLOCK, HOLDLOCK, which locks the key even where no row has it yet;
// but for grants, whose ids come in order: there everybody would wait at the end of the index, so `persist` inserts, and
// asks only when the key was taken. Nobody who holds a lock of one grant asks for one of another, but for `revokeBy`.

const BATCH = `
SET NOCOUNT ON;
SET XACT_ABORT ON;`;
/** Of a statement whose rows the server counts for us: it would not where its own setting `user options` has NOCOUNT. */
const COUNTED = `
SET NOCOUNT OFF;`;

/** A token that was minted here leads to its grant; one that was minted elsewhere is led there by its digest. */
const byOrigin = (statement: (grant: string) => string) => ({
  own: statement('@grantId'),
  foreign: statement('(SELECT foreign_token.grant_id FROM foreign_token WHERE foreign_token.digest = @digest)'),
});

const GRANT = `oauth_grant.grant_id, oauth_grant.client_id, oauth_grant.subject, oauth_grant.application_id, oauth_grant.consent_id,
    oauth_grant.created_at, oauth_grant.expires_at, oauth_grant.retain_until, oauth_grant.data`;
const INSERTED = GRANT.replaceAll('oauth_grant.', 'inserted.');
const REFRESH = `oauth_grant.refresh_digest, oauth_grant.refresh_expires_at, oauth_grant.refresh_idle_expires_at,
    oauth_grant.refresh_sender, oauth_grant.refresh_foreign`;
const LATER = 'retain_until = CASE WHEN retain_until < @retainUntil THEN @retainUntil ELSE retain_until END';

/** The keys under which the revocations that concern a grant are marked: four fields have fifteen combinations. */
const KEYS = Array.from(
  { length: 15 },
  (_, index) => `CAST(SUBSTRING(@selectors, ${index * 32 + 1}, 32) AS binary(32))`,
);

// HOLDLOCK keeps the keys of the marks shared until the commit, also of those that are not there: `markRevoked` waits for
// whoever did not see its mark, and its mark is seen by whoever comes after it.
const persisted = (way: string) => `${BATCH}
DECLARE @outcome varchar(9) = 'persisted';
BEGIN TRY
  BEGIN TRANSACTION;
  IF @selectors IS NOT NULL AND EXISTS (
    SELECT 1 FROM revocation WITH (HOLDLOCK)
      WHERE revocation.selector IN (
        ${KEYS.join(',\n        ')})
      AND revocation.revoked_at_ms >= @authorizedAtMs)
    SET @outcome = 'barred';
  IF @outcome = 'persisted'
  BEGIN
    INSERT INTO oauth_grant (grant_id, client_id, subject, application_id, consent_id, created_at, expires_at, refresh_sender, data,
        retain_until, refresh_expires_at, refresh_idle_expires_at, refresh_foreign, attempt, refresh_digest)
      VALUES (@grantId, @clientId, @subject, @applicationId, @consentId, @createdAt, @expiresAt, @refreshSender, @data,
        @retainUntil, @refreshExpiresAt, @refreshIdleExpiresAt, @refreshForeign, @attempt, @refreshDigest);
    IF @accessDigest IS NOT NULL
      INSERT INTO access_token (grant_id, digest, issued_at, expires_at, attempt, is_foreign, data)
        VALUES (@grantId, @accessDigest, @accessIssuedAt, @accessExpiresAt, @attempt, @accessForeign, @accessData);${way}
  END
  COMMIT TRANSACTION;
END TRY
BEGIN CATCH
  IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION;
  IF ERROR_NUMBER() <> 2627 THROW;
  SET @outcome = 'conflict';
  SELECT @outcome = CASE
      WHEN oauth_grant.revoked_at IS NOT NULL THEN 'revoked'
      WHEN oauth_grant.attempt = @attempt
        AND (oauth_grant.refresh_digest = @refreshDigest OR (oauth_grant.refresh_digest IS NULL AND @refreshDigest IS NULL))
        THEN 'persisted'
      ELSE 'conflict' END
    FROM oauth_grant WHERE oauth_grant.grant_id = @grantId;
END CATCH;
SELECT @outcome AS outcome;`;

/** `foreign` where one of the tokens was minted elsewhere. */
export const persist = {
  own: persisted(''),
  foreign: persisted(`
    IF @refreshForeign = 1
      INSERT INTO foreign_token (digest, grant_id, retain_until) VALUES (@refreshDigest, @grantId, @retainUntil);
    IF @accessForeign = 1
      INSERT INTO foreign_token (digest, grant_id, retain_until) VALUES (@accessDigest, @grantId, @retainUntil);`),
};

// Whoever adds to a grant holds its row, so that none comes between a look and the insert after it. The look is by the digest
// alone: where tokens are in expiry partitions, the key would let the same digest in again with another expiry.
export const addAccess = `${BATCH}
DECLARE @outcome varchar(9) = 'unknown';
BEGIN TRANSACTION;
SELECT @outcome = CASE
    WHEN oauth_grant.revoked_at IS NOT NULL THEN 'revoked'
    WHEN oauth_grant.expires_at <= @now THEN 'expired'
    ELSE 'added' END
  FROM oauth_grant WITH (UPDLOCK) WHERE oauth_grant.grant_id = @grantId;
IF @outcome = 'added'
  SELECT @outcome = CASE WHEN access_token.attempt = @attempt THEN 'repeated' ELSE 'conflict' END
    FROM access_token WHERE access_token.grant_id = @grantId AND access_token.digest = @accessDigest;
IF @outcome = 'added'
BEGIN
  UPDATE oauth_grant SET retain_until = @retainUntil WHERE grant_id = @grantId AND retain_until < @retainUntil;
  INSERT INTO access_token (grant_id, digest, issued_at, expires_at, attempt, is_foreign, data)
    VALUES (@grantId, @accessDigest, @accessIssuedAt, @accessExpiresAt, @attempt, @accessForeign, @accessData);
  IF @accessForeign = 1
    INSERT INTO foreign_token (digest, grant_id, retain_until)
      SELECT @accessDigest, @grantId, @retainUntil
        WHERE NOT EXISTS (
          SELECT 1 FROM foreign_token WHERE foreign_token.digest = @accessDigest AND foreign_token.grant_id = @grantId);
END
COMMIT TRANSACTION;
SELECT CASE @outcome WHEN 'repeated' THEN 'added' ELSE @outcome END AS outcome;`;

export const addRefresh = `${BATCH}
DECLARE @outcome varchar(9) = 'unknown';
BEGIN TRANSACTION;
SELECT @outcome = CASE
    WHEN oauth_grant.revoked_at IS NOT NULL THEN 'revoked'
    WHEN oauth_grant.expires_at <= @now THEN 'expired'
    WHEN oauth_grant.refresh_digest = @refreshDigest AND oauth_grant.attempt = @attempt THEN 'repeated'
    WHEN oauth_grant.refresh_digest IS NOT NULL THEN 'conflict'
    ELSE 'added' END
  FROM oauth_grant WITH (UPDLOCK) WHERE oauth_grant.grant_id = @grantId;
IF @outcome = 'added'
BEGIN
  UPDATE oauth_grant SET ${LATER}, refresh_sender = @refreshSender, refresh_expires_at = @refreshExpiresAt,
      refresh_idle_expires_at = @refreshIdleExpiresAt, refresh_foreign = @refreshForeign, attempt = @attempt, refresh_digest = @refreshDigest
    WHERE grant_id = @grantId;
  IF @refreshForeign = 1
    INSERT INTO foreign_token (digest, grant_id, retain_until) VALUES (@refreshDigest, @grantId, @retainUntil);
END
COMMIT TRANSACTION;
SELECT CASE @outcome WHEN 'repeated' THEN 'added' ELSE @outcome END AS outcome;`;

export const findAccess = byOrigin(
  (grant) => `
SELECT ${GRANT}, access_token.digest AS access_digest, access_token.issued_at AS access_issued_at,
    access_token.expires_at AS access_expires_at, access_token.is_foreign AS access_foreign, access_token.data AS access_data, CASE
    WHEN oauth_grant.revoked_at IS NOT NULL OR access_token.revoked_at IS NOT NULL THEN 'revoked'
    WHEN access_token.expires_at <= @now OR oauth_grant.expires_at <= @now THEN 'expired'
    ELSE 'active' END AS outcome
  FROM access_token JOIN oauth_grant ON oauth_grant.grant_id = access_token.grant_id
  WHERE access_token.grant_id = ${grant} AND access_token.digest = CAST(@digest AS binary(16));`,
);

export const findRefresh = byOrigin(
  (grant) => `
SELECT ${GRANT}, ${REFRESH}, COALESCE(oauth_grant.retired_at, oauth_grant.created_at) AS rotated_at, CASE
    WHEN oauth_grant.refresh_digest IS NULL OR oauth_grant.refresh_digest <> @digest THEN 'retired'
    WHEN oauth_grant.revoked_at IS NOT NULL THEN 'revoked'
    WHEN oauth_grant.refresh_expires_at <= @now OR oauth_grant.refresh_idle_expires_at <= @now OR oauth_grant.expires_at <= @now
      THEN 'expired'
    ELSE 'active' END AS outcome
  FROM oauth_grant WHERE oauth_grant.grant_id = ${grant} AND oauth_grant.client_id <> 0x;`,
);

const OTHERS = (row: string) =>
  `${row}client_id <> @clientId OR (${row}refresh_sender IS NOT NULL AND (@sender IS NULL OR ${row}refresh_sender <> @sender))`;
const RETRIED = (row: string) =>
  `${row}retired_digest = @digest AND (${row}attempt = @attempt OR ${row}retired_at + @graceSeconds > @now)`;

const STORED = `SELECT 1 FROM access_token AS stored
      WHERE stored.grant_id IN (SELECT grant_id FROM @used) AND stored.digest = @accessDigest`;

/**
 * The first update uses the token if it may be used, and locks the grant until the commit. If it changed nothing, the
 * second says why, and ends the grant of a token that was used before: it finds the row by its key alone, so it waits for
 * whoever was first, and decides from the row as that one left it.
 */
const use = (changes: string, stored: string, repeated: string) =>
  byOrigin(
    (grant) => `${BATCH}
DECLARE @used TABLE (grant_id binary(12) NOT NULL);
BEGIN TRANSACTION;
UPDATE oauth_grant SET ${changes}, ${LATER}
  OUTPUT inserted.grant_id INTO @used (grant_id)
  WHERE grant_id = ${grant} AND refresh_digest = @digest
    AND client_id = @clientId AND (refresh_sender IS NULL OR refresh_sender = @sender) AND revoked_at IS NULL
    AND refresh_expires_at > @now AND (refresh_idle_expires_at IS NULL OR refresh_idle_expires_at > @now)
    AND (expires_at IS NULL OR expires_at > @now);
IF EXISTS (SELECT 1 FROM @used)
BEGIN${stored}
  INSERT INTO access_token (grant_id, digest, issued_at, expires_at, attempt, data)
    SELECT grant_id, @accessDigest, @accessIssuedAt, @accessExpiresAt, @attempt, @accessData
      FROM @used WHERE @accessDigest IS NOT NULL${repeated};
  SELECT ${GRANT}, 'rotated' AS outcome, CAST(NULL AS varbinary(max)) AS sealed
    FROM oauth_grant WHERE oauth_grant.grant_id IN (SELECT grant_id FROM @used);
END
ELSE
  UPDATE oauth_grant SET revoked_at = CASE
      WHEN ${OTHERS('')} OR refresh_digest = @digest OR (${RETRIED('')}) THEN revoked_at
      ELSE COALESCE(revoked_at, @now) END
    OUTPUT ${INSERTED}, CASE
      WHEN ${OTHERS('inserted.')} THEN 'mismatched'
      WHEN inserted.refresh_digest = @digest THEN CASE WHEN inserted.revoked_at IS NOT NULL THEN 'revoked' ELSE 'expired' END
      WHEN ${RETRIED('inserted.')} THEN CASE
        WHEN inserted.revoked_at IS NOT NULL THEN 'revoked'
        WHEN inserted.expires_at <= @now THEN 'expired'
        WHEN inserted.attempt = @attempt THEN 'rotated'
        ELSE 'retried' END
      ELSE 'reused' END AS outcome,
      CASE WHEN ${RETRIED('inserted.')} THEN inserted.successor END AS sealed
    WHERE grant_id = ${grant} AND client_id <> 0x;
COMMIT TRANSACTION;`,
  );

export const rotate = use(
  `refresh_expires_at = @refreshExpiresAt, refresh_idle_expires_at = @refreshIdleExpiresAt, refresh_foreign = NULL,
    retired_at = @now, attempt = @attempt, refresh_digest = @refreshDigest, retired_digest = @digest, successor = @sealed`,
  `
  IF EXISTS (${STORED})
    THROW 50001, N'the grant has an access token of this digest', 1;`,
  '',
);
/** A token that is kept can be used again, so the repeat of an attempt finds it usable too. */
export const rotateKept = use(
  'refresh_idle_expires_at = COALESCE(@refreshIdleExpiresAt, refresh_idle_expires_at)',
  '',
  `
        AND NOT EXISTS (${STORED})`,
);

export const revokeAccess = byOrigin(
  (grant) => `${COUNTED}
UPDATE access_token SET revoked_at = @now
  WHERE grant_id = ${grant} AND digest = CAST(@digest AS binary(16)) AND revoked_at IS NULL
    AND EXISTS (
      SELECT 1 FROM oauth_grant
        WHERE oauth_grant.grant_id = access_token.grant_id AND oauth_grant.revoked_at IS NULL
          AND (@clientId IS NULL OR oauth_grant.client_id = @clientId));`,
);

export const revokeRefresh = byOrigin(
  (grant) => `${COUNTED}
UPDATE oauth_grant SET revoked_at = @now
  WHERE grant_id = ${grant} AND revoked_at IS NULL AND (@clientId IS NULL OR client_id = @clientId);`,
);

// A grant that is not there yet is stored as revoked, with no client and nothing else in it: it is refused when it comes.
export const revokeGrant = `${BATCH}
BEGIN TRANSACTION;
UPDATE oauth_grant WITH (UPDLOCK, HOLDLOCK) SET revoked_at = COALESCE(revoked_at, @now), ${LATER} WHERE grant_id = @grantId;
IF @@ROWCOUNT = 0
  INSERT INTO oauth_grant (grant_id, client_id, created_at, data, revoked_at, retain_until)
    VALUES (@grantId, 0x, @now, 0x, @now, @retainUntil);
COMMIT TRANSACTION;`;

export const revokeAccessOfGrant = `
UPDATE access_token SET revoked_at = @now WHERE grant_id = @grantId AND revoked_at IS NULL;`;

// Waits for every grant that is being stored and has read that this mark is not there: its key is locked by them (`persist`).
export const markRevoked = `${BATCH}
BEGIN TRANSACTION;
UPDATE revocation WITH (UPDLOCK, HOLDLOCK) SET
    revoked_at_ms = CASE WHEN revoked_at_ms < @nowMs THEN @nowMs ELSE revoked_at_ms END, ${LATER}
  WHERE selector = @selector;
IF @@ROWCOUNT = 0
  INSERT INTO revocation (selector, revoked_at_ms, retain_until) VALUES (@selector, @nowMs, @retainUntil);
COMMIT TRANSACTION;`;

/** Where the fields of a selector stand. */
const COLUMNS = { subject: 'subject', consentId: 'consent_id', applicationId: 'application_id', clientId: 'client_id' };

// A page goes by the second and the id, as the indexes do; `minute` is what the stores' core calls the first of the two.
const page = (lead: SelectorField) => `
  FROM oauth_grant
  WHERE oauth_grant.${COLUMNS[lead]} = @${lead}
    AND (@subject IS NULL OR oauth_grant.subject = @subject) AND (@clientId IS NULL OR oauth_grant.client_id = @clientId)
    AND (@applicationId IS NULL OR oauth_grant.application_id = @applicationId)
    AND (@consentId IS NULL OR oauth_grant.consent_id = @consentId)
    AND oauth_grant.created_at >= @afterMinute
    AND (oauth_grant.created_at > @afterMinute OR oauth_grant.grant_id > @afterId)
  ORDER BY oauth_grant.created_at, oauth_grant.grant_id`;

// What a grant is found by never changes, so a page needs no locks to be whole; the update waits for each grant in turn.
const revokePage = (lead: SelectorField) => `${BATCH}
DECLARE @page TABLE (created_at bigint NOT NULL, grant_id binary(12) NOT NULL PRIMARY KEY);
DECLARE @ended int;
INSERT INTO @page (created_at, grant_id) SELECT TOP (@limit) oauth_grant.created_at, oauth_grant.grant_id ${page(lead)};
UPDATE oauth_grant SET revoked_at = @now WHERE grant_id IN (SELECT grant_id FROM @page) AND revoked_at IS NULL;
SET @ended = @@ROWCOUNT;
SELECT TOP (1) (SELECT COUNT(*) FROM @page) AS seen, @ended AS ended, created_at AS minute, grant_id
  FROM @page ORDER BY created_at DESC, grant_id DESC;`;

const listPage = (lead: SelectorField) => `
SELECT TOP (@limit) ${GRANT}, ${REFRESH}, oauth_grant.revoked_at, oauth_grant.created_at AS minute ${page(lead)};`;

export const revokeBy = byLead(revokePage);
export const listGrants = byLead(listPage);

export const listAccess = `
SELECT TOP (@limit) digest AS access_digest, issued_at AS access_issued_at, expires_at AS access_expires_at,
    is_foreign AS access_foreign, data AS access_data, revoked_at
  FROM access_token WHERE grant_id = @grantId AND digest > CAST(@afterId AS binary(16)) ORDER BY digest;`;

export const addCode = `${BATCH}
INSERT INTO authorization_code (digest, grant_id, binding, expires_at, retain_until, attempt, data)
  SELECT CAST(@digest AS binary(32)), @grantId, @binding, @expiresAt, @retainUntil, @attempt, @data
    WHERE NOT EXISTS (
      SELECT 1 FROM authorization_code WITH (UPDLOCK, HOLDLOCK) WHERE authorization_code.digest = CAST(@digest AS binary(32)));
SELECT CASE WHEN attempt = @attempt THEN 1 ELSE 0 END AS same FROM authorization_code WHERE digest = CAST(@digest AS binary(32));`;

export const findCode = `
SELECT digest, grant_id, binding, expires_at, retain_until, data, redeemed_at, CASE
    WHEN redeemed_at IS NOT NULL THEN 'redeemed' WHEN expires_at <= @now THEN 'expired' ELSE 'active' END AS outcome
  FROM authorization_code WHERE digest = CAST(@digest AS binary(32));`;

const REDEEMABLE = 'binding = @binding AND redeemed_at IS NULL AND expires_at > @now';

// Found by its key alone: of those who waited for the winner each updates the row as the winner left it, and changes nothing.
export const redeem = `
UPDATE authorization_code SET redeemed_at = CASE WHEN ${REDEEMABLE} THEN @now ELSE redeemed_at END,
    attempt = CASE WHEN ${REDEEMABLE} THEN @attempt ELSE attempt END
  OUTPUT inserted.digest, inserted.grant_id, inserted.binding, inserted.expires_at, inserted.retain_until, inserted.data, CASE
      WHEN inserted.binding <> @binding THEN 'mismatched'
      WHEN inserted.redeemed_at IS NULL THEN 'expired'
      WHEN inserted.attempt = @attempt THEN 'redeemed'
      ELSE 'replayed' END AS outcome
  WHERE digest = CAST(@digest AS binary(32));`;

export const removeCode = `${COUNTED}
DELETE FROM authorization_code WHERE digest = CAST(@digest AS binary(32));`;

const CHANGED = `uid = @uid, user_code = @userCode, consent_id = @consentId, expires_at = @expiresAt, retain_until = @retainUntil, data = @data`;
const INSERT_ARTIFACT = `INSERT INTO artifact (kind, id, uid, user_code, consent_id, expires_at, retain_until, attempt, data)`;
const ARTIFACT_VALUES = `@kind, @id, @uid, @userCode, @consentId, @expiresAt, @retainUntil, @attempt, @data`;

// A row that lost its way in to another one keeps its id. Two callers that give each other's ways away may meet as a
// deadlock: then one of them is rolled back, and sent again.
export const putArtifact = `${BATCH}
BEGIN TRANSACTION;
UPDATE artifact WITH (UPDLOCK, HOLDLOCK) SET ${CHANGED} WHERE kind = @kind AND id = @id;
IF @@ROWCOUNT = 0
  ${INSERT_ARTIFACT} VALUES (${ARTIFACT_VALUES});
IF @uid IS NOT NULL
  UPDATE artifact SET uid = NULL WHERE kind = @kind AND uid = @uid AND id <> @id;
IF @userCode IS NOT NULL
  UPDATE artifact SET user_code = NULL WHERE kind = @kind AND user_code = @userCode AND id <> @id;
COMMIT TRANSACTION;`;

// The key stays locked whether or not its row may be replaced, so one that stands is seen by the insert, and nobody else adds it.
export const putArtifactOnce = `${BATCH}
DECLARE @changed int;
BEGIN TRANSACTION;
UPDATE artifact WITH (UPDLOCK, HOLDLOCK) SET ${CHANGED}, attempt = @attempt, consumed_at = NULL
  WHERE kind = @kind AND id = @id AND (expires_at <= @now OR attempt = @attempt);
SET @changed = @@ROWCOUNT;
IF @changed = 0
BEGIN
  ${INSERT_ARTIFACT}
    SELECT ${ARTIFACT_VALUES} WHERE NOT EXISTS (
      SELECT 1 FROM artifact AS stored WITH (UPDLOCK, HOLDLOCK) WHERE stored.kind = @kind AND stored.id = @id);
  SET @changed = @@ROWCOUNT;
END
COMMIT TRANSACTION;
SELECT @changed AS changed;`;

const ARTIFACT = `
SELECT kind, id, uid, user_code, consent_id, expires_at, retain_until, consumed_at, data,
    CASE WHEN expires_at <= @now THEN 'expired' ELSE 'active' END AS outcome
  FROM artifact`;
export const findArtifact = `${ARTIFACT} WHERE kind = @kind AND id = @key;`;
export const findArtifactByUid = `${ARTIFACT} WHERE kind = @kind AND uid = @key;`;
export const findArtifactByUserCode = `${ARTIFACT} WHERE kind = @kind AND user_code = @key;`;

export const consumeArtifact = `${COUNTED}
UPDATE artifact SET consumed_at = COALESCE(consumed_at, @now), attempt = @attempt
  WHERE kind = @kind AND id = @id AND (expires_at IS NULL OR expires_at > @now) AND (consumed_at IS NULL OR attempt = @attempt);`;
export const removeArtifact = `${COUNTED}
DELETE FROM artifact WHERE kind = @kind AND id = @id;`;
export const removeArtifactsByConsent = `${COUNTED}
DELETE FROM artifact WHERE consent_id = @consentId;`;

export const putClientToken = `${BATCH}
BEGIN TRANSACTION;
UPDATE client_access_token WITH (UPDLOCK, HOLDLOCK) SET expires_at = @expiresAt, data = @data
  WHERE client_id = @clientId AND token_key = @key;
IF @@ROWCOUNT = 0
  INSERT INTO client_access_token (client_id, token_key, expires_at, data) VALUES (@clientId, @key, @expiresAt, @data);
COMMIT TRANSACTION;`;
export const getClientToken = `
SELECT client_id, token_key, expires_at, data
  FROM client_access_token WHERE client_id = @clientId AND token_key = @key AND expires_at > @now;`;
export const removeClientToken = `${COUNTED}
DELETE FROM client_access_token WHERE client_id = @clientId AND token_key = @key;`;

// READPAST: two purges share the work instead of waiting for each other, and none waits for a rotation; with row versions it is
// only to be had with READCOMMITTEDLOCK. By the index of what is due, whatever the optimizer thinks of it; in a deadlock the purge
// is the one that gives way. https://learn.microsoft.com/sql/t-sql/queries/hints-transact-sql-table
const purge = (table: string, due: string, index: string) => `${COUNTED}
SET DEADLOCK_PRIORITY LOW;
DELETE TOP (@limit) FROM ${table} FROM ${table} WITH (READPAST, READCOMMITTEDLOCK, ROWLOCK, INDEX (${index})) WHERE ${due} <= @now;`;

export const purgeAccessTokens = purge('access_token', 'expires_at', 'access_token_expires');
export const purgeGrants = purge('oauth_grant', 'retain_until', 'oauth_grant_retain');
export const purgeForeignTokens = purge('foreign_token', 'retain_until', 'foreign_token_retain');
export const purgeRevocations = purge('revocation', 'retain_until', 'revocation_retain');
export const purgeCodes = purge('authorization_code', 'retain_until', 'authorization_code_retain');
export const purgeArtifacts = purge('artifact', 'due_at', 'artifact_retain');
export const purgeClientTokens = purge('client_access_token', 'expires_at', 'client_access_token_expires');

// What is due, a row for each table: read off the index that the purge goes by, no further than `most`.
const due = (table: string, column: string) => `
SELECT COUNT(*) AS records, MIN(counted.due) AS oldest FROM (
  SELECT TOP (@most) ${column} AS due FROM ${table} WHERE ${column} <= @now ORDER BY ${column}) AS counted`;

/** Of the other tables of an access token store. */
export const dueBesideAccessTokens = [
  due('oauth_grant', 'retain_until'),
  due('foreign_token', 'retain_until'),
  due('revocation', 'retain_until'),
].join(' UNION ALL');

export const backlog = {
  accessTokens: `${due('access_token', 'expires_at')} UNION ALL ${dueBesideAccessTokens}`,
  authorizationCodes: due('authorization_code', 'retain_until'),
  artifacts: due('artifact', 'due_at'),
  clientAccessTokens: due('client_access_token', 'expires_at'),
};
