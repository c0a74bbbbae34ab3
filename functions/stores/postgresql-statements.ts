import type { SelectorField } from '../domain/selector.ts';
import { byLead } from './sql-dialect.ts';

// Every statement that the PostgreSQL store can send, whole. `:name` marks a bound value.
//
// All run at READ COMMITTED, each as a transaction of its own. A decision is taken from the version of a row that an update
// or a lock returned, never from a sub-select, which would see the snapshot of the statement's start: a writer that waited
// gets the row as the one before it left it, because the row is found by a key that no statement changes. FOR NO KEY UPDATE
// is enough, since nothing refers to the keys.
// Most statements lock one row. Those that lock several do so in one order (grants by `created_at / 60, grant_id`, artifacts
// by id) or leave out what is locked (the purge), so that none waits for another that waits for it.

/** A token that was minted here leads to its grant; one that was minted elsewhere is led there by its digest. */
const byOrigin = (statement: (grant: string) => string) => ({
  own: statement(':grantId::bytea'),
  foreign: statement('(SELECT f.grant_id FROM foreign_token f WHERE f.digest = :digest::bytea)'),
});

const GRANT = `g.grant_id, g.client_id, g.subject, g.application_id, g.consent_id, g.created_at, g.expires_at,
  g.retain_until, g.data`;
const RETURNED = GRANT.replaceAll('g.', '');
const REFRESH =
  'g.refresh_digest, g.refresh_expires_at, g.refresh_idle_expires_at, g.refresh_sender, g.refresh_foreign';

/** What the tokens of a layout have beside their columns: where they stand, and the value of a new one. */
interface Place {
  readonly column: string;
  readonly value: string;
}

const persisted = ({ column, value }: Place, way: string) => `
WITH held AS (
  INSERT INTO oauth_grant AS g (grant_id, client_id, subject, application_id, consent_id, created_at, expires_at,
      refresh_sender, data, retain_until, refresh_expires_at, refresh_idle_expires_at, refresh_foreign, attempt, refresh_digest)
  SELECT :grantId::bytea, :clientId, :subject::text, :applicationId::text, :consentId::text, :createdAt::bigint, :expiresAt::bigint,
      :refreshSender::bytea, :data::bytea, :retainUntil::bigint, :refreshExpiresAt::bigint, :refreshIdleExpiresAt::bigint,
      :refreshForeign::boolean, :attempt::bytea, :refreshDigest::bytea
    WHERE NOT EXISTS (
      SELECT FROM revocation WHERE selector = ANY (:selectors::bytea[]) AND revoked_at_ms >= :authorizedAtMs::bigint)
  ON CONFLICT (grant_id) DO UPDATE SET grant_id = g.grant_id
  RETURNING grant_id, CASE
      WHEN g.revoked_at IS NOT NULL THEN 'revoked'
      WHEN g.attempt = :attempt AND g.refresh_digest IS NOT DISTINCT FROM :refreshDigest THEN 'persisted'
      ELSE 'conflict' END AS outcome
), token AS (
  INSERT INTO access_token (grant_id, digest, issued_at, expires_at, attempt, is_foreign, data${column})
  SELECT grant_id, :accessDigest::bytea, :accessIssuedAt::bigint, :accessExpiresAt::bigint, :attempt, :accessForeign::boolean, :accessData::bytea${value}
    FROM held WHERE outcome = 'persisted' AND :accessDigest IS NOT NULL
  ON CONFLICT DO NOTHING
)${way}
SELECT COALESCE((SELECT outcome FROM held), 'barred') AS outcome`;

/** `foreign` where one of the tokens was minted elsewhere. */
const persisting = (place: Place) => ({
  own: persisted(place, ''),
  foreign: persisted(
    place,
    `, way AS (
  INSERT INTO foreign_token AS f (digest, grant_id, retain_until)
  SELECT digest, grant_id, :retainUntil
    FROM held, unnest(ARRAY[CASE WHEN :refreshForeign THEN :refreshDigest END, CASE WHEN :accessForeign THEN :accessDigest END]) AS digest
    WHERE outcome = 'persisted' AND digest IS NOT NULL
  ON CONFLICT (digest) DO UPDATE SET grant_id = CASE WHEN f.grant_id = excluded.grant_id THEN f.grant_id END
)`,
  ),
});

const addingAccess = ({ column, value }: Place) => `
WITH held AS MATERIALIZED (
  SELECT g.grant_id, g.retain_until, CASE
      WHEN g.revoked_at IS NOT NULL THEN 'revoked' WHEN g.expires_at <= :now::bigint THEN 'expired' ELSE 'added' END AS outcome
    FROM oauth_grant g WHERE g.grant_id = :grantId::bytea FOR NO KEY UPDATE
), kept AS (
  UPDATE oauth_grant g SET retain_until = :retainUntil::bigint
    FROM held WHERE g.grant_id = held.grant_id AND held.outcome = 'added' AND held.retain_until < :retainUntil
), token AS (
  INSERT INTO access_token AS a (grant_id, digest, issued_at, expires_at, attempt, is_foreign, data${column})
  SELECT grant_id, :accessDigest::bytea, :accessIssuedAt::bigint, :accessExpiresAt::bigint, :attempt::bytea, :accessForeign::boolean, :accessData::bytea${value}
    FROM held WHERE outcome = 'added'
  ON CONFLICT ON CONSTRAINT access_token_pk DO UPDATE SET attempt = CASE WHEN a.attempt = excluded.attempt THEN a.attempt END
), way AS (
  INSERT INTO foreign_token AS f (digest, grant_id, retain_until)
  SELECT :accessDigest, grant_id, :retainUntil FROM held WHERE outcome = 'added' AND :accessForeign
  ON CONFLICT (digest) DO UPDATE SET grant_id = CASE WHEN f.grant_id = excluded.grant_id THEN f.grant_id END
)
SELECT outcome FROM held`;

export const addRefresh = `
WITH held AS MATERIALIZED (
  SELECT g.grant_id, CASE
      WHEN g.revoked_at IS NOT NULL THEN 'revoked'
      WHEN g.expires_at <= :now::bigint THEN 'expired'
      WHEN g.refresh_digest = :refreshDigest::bytea AND g.attempt = :attempt::bytea THEN 'repeated'
      WHEN g.refresh_digest IS NOT NULL THEN 'conflict'
      ELSE 'added' END AS outcome
    FROM oauth_grant g WHERE g.grant_id = :grantId::bytea FOR NO KEY UPDATE
), kept AS (
  UPDATE oauth_grant g SET retain_until = GREATEST(g.retain_until, :retainUntil::bigint), refresh_sender = :refreshSender::bytea,
      refresh_expires_at = :refreshExpiresAt::bigint, refresh_idle_expires_at = :refreshIdleExpiresAt::bigint,
      refresh_foreign = :refreshForeign::boolean, attempt = :attempt, refresh_digest = :refreshDigest
    FROM held WHERE g.grant_id = held.grant_id AND held.outcome = 'added'
), way AS (
  INSERT INTO foreign_token (digest, grant_id, retain_until)
  SELECT :refreshDigest, grant_id, :retainUntil FROM held WHERE outcome = 'added' AND :refreshForeign
)
SELECT CASE outcome WHEN 'repeated' THEN 'added' ELSE outcome END AS outcome FROM held`;

// One row: of a table in partitions, those after the token's are not asked for it.
export const findAccess = byOrigin(
  (grant) => `
SELECT ${GRANT}, a.digest AS access_digest, a.issued_at AS access_issued_at, a.expires_at AS access_expires_at,
    a.is_foreign AS access_foreign, a.data AS access_data, CASE
    WHEN g.revoked_at IS NOT NULL OR a.revoked_at IS NOT NULL THEN 'revoked'
    WHEN a.expires_at <= :now::bigint OR g.expires_at <= :now THEN 'expired'
    ELSE 'active' END AS outcome
  FROM access_token a JOIN oauth_grant g ON g.grant_id = a.grant_id
  WHERE a.grant_id = ${grant} AND a.digest = :digest::bytea LIMIT 1`,
);

export const findRefresh = byOrigin(
  (grant) => `
SELECT ${GRANT}, ${REFRESH}, COALESCE(g.retired_at, g.created_at) AS rotated_at, CASE
    WHEN g.refresh_digest IS DISTINCT FROM :digest::bytea THEN 'retired'
    WHEN g.revoked_at IS NOT NULL THEN 'revoked'
    WHEN LEAST(g.refresh_expires_at, g.refresh_idle_expires_at, g.expires_at) <= :now::bigint THEN 'expired'
    ELSE 'active' END AS outcome
  FROM oauth_grant g WHERE g.grant_id = ${grant} AND g.client_id <> ''`,
);

const OTHERS =
  'g.client_id <> :clientId OR (g.refresh_sender IS NOT NULL AND g.refresh_sender IS DISTINCT FROM :sender::bytea)';
const RETRIED = `g.retired_digest = :digest AND (g.attempt = :attempt OR g.retired_at + :graceSeconds::bigint > :now)`;

/**
 * `used` updates the row if the token may be used. If not, `refused` says why, and ends the grant of a token that was
 * used before. Who waited for a winner finds nothing to use, and `refused` decides from the row as the winner left it,
 * since an update takes the last version; so it is an update in every case, of nothing in most.
 */
const use = ({ column, value }: Place, changes: string, repeated: string) =>
  byOrigin(
    (grant) => `
WITH used AS (
  UPDATE oauth_grant g SET ${changes}, retain_until = GREATEST(g.retain_until, :retainUntil::bigint)
    WHERE g.grant_id = ${grant} AND g.refresh_digest = :digest::bytea
      AND g.client_id = :clientId AND (g.refresh_sender IS NULL OR g.refresh_sender = :sender::bytea) AND g.revoked_at IS NULL
      AND LEAST(g.refresh_expires_at, g.refresh_idle_expires_at, g.expires_at) > :now::bigint
    RETURNING ${GRANT}
), token AS (
  INSERT INTO access_token (grant_id, digest, issued_at, expires_at, attempt, data${column})
  SELECT grant_id, :accessDigest::bytea, :accessIssuedAt::bigint, :accessExpiresAt::bigint, :attempt::bytea, :accessData::bytea${value}
    FROM used WHERE :accessDigest IS NOT NULL ${repeated}
), refused AS (
  UPDATE oauth_grant g SET revoked_at = CASE
      WHEN ${OTHERS} OR g.refresh_digest = :digest OR ${RETRIED} THEN g.revoked_at
      ELSE COALESCE(g.revoked_at, :now) END
    WHERE g.grant_id = ${grant} AND g.client_id <> '' AND NOT EXISTS (SELECT FROM used)
    RETURNING ${GRANT}, g.successor, CASE
      WHEN ${OTHERS} THEN 'mismatched'
      WHEN g.refresh_digest = :digest THEN CASE WHEN g.revoked_at IS NOT NULL THEN 'revoked' ELSE 'expired' END
      WHEN ${RETRIED} THEN CASE
        WHEN g.revoked_at IS NOT NULL THEN 'revoked'
        WHEN g.expires_at <= :now THEN 'expired'
        WHEN g.attempt = :attempt THEN 'rotated'
        ELSE 'retried' END
      ELSE 'reused' END AS outcome
)
SELECT ${RETURNED}, 'rotated' AS outcome, NULL::bytea AS sealed FROM used
UNION ALL
SELECT ${RETURNED}, outcome, CASE WHEN outcome IN ('rotated', 'retried') THEN successor END FROM refused`,
  );

/** Every statement that stores an access token, where this layout has it. */
export const storing = (place: Place) => ({
  persist: persisting(place),
  addAccess: addingAccess(place),
  rotate: use(
    place,
    `refresh_expires_at = :refreshExpiresAt::bigint, refresh_idle_expires_at = :refreshIdleExpiresAt::bigint,
      refresh_foreign = NULL, retired_at = :now, attempt = :attempt, refresh_digest = :refreshDigest::bytea,
      retired_digest = :digest, successor = :sealed`,
    '',
  ),
  // A token that is kept can be used again, so the repeat of an attempt finds it usable too.
  rotateKept: use(
    place,
    'refresh_idle_expires_at = COALESCE(:refreshIdleExpiresAt::bigint, g.refresh_idle_expires_at)',
    'ON CONFLICT DO NOTHING',
  ),
});

export const { persist, addAccess, rotate, rotateKept } = storing({ column: '', value: '' });

export const revokeAccess = byOrigin(
  (grant) => `
UPDATE access_token a SET revoked_at = :now::bigint FROM oauth_grant g
  WHERE a.grant_id = ${grant} AND a.digest = :digest::bytea AND a.revoked_at IS NULL
    AND g.grant_id = a.grant_id AND g.revoked_at IS NULL AND (:clientId::text IS NULL OR g.client_id = :clientId)
  RETURNING a.grant_id`,
);

export const revokeRefresh = byOrigin(
  (grant) => `
UPDATE oauth_grant g SET revoked_at = :now::bigint
  WHERE g.grant_id = ${grant} AND g.revoked_at IS NULL AND (:clientId::text IS NULL OR g.client_id = :clientId)
  RETURNING g.grant_id`,
);

// A grant that is not there yet is stored as revoked, with no client and nothing else in it: it is refused when it comes.
export const revokeGrant = `
INSERT INTO oauth_grant AS g (grant_id, client_id, created_at, data, revoked_at, retain_until)
  VALUES (:grantId::bytea, '', :now::bigint, '', :now, :retainUntil::bigint)
  ON CONFLICT (grant_id) DO UPDATE SET revoked_at = COALESCE(g.revoked_at, excluded.revoked_at), retain_until = GREATEST(g.retain_until, excluded.retain_until)
    WHERE g.revoked_at IS NULL OR g.retain_until < excluded.retain_until`;

export const revokeAccessOfGrant = `
UPDATE access_token SET revoked_at = :now::bigint WHERE grant_id = :grantId::bytea AND revoked_at IS NULL`;

/** Where the fields of a selector stand. */
const COLUMNS = { subject: 'subject', consentId: 'consent_id', applicationId: 'application_id', clientId: 'client_id' };

const page = (lead: SelectorField) => `
  FROM oauth_grant g
  WHERE g.${COLUMNS[lead]} = :${lead}
    AND (:subject::text IS NULL OR g.subject = :subject) AND (:clientId::text IS NULL OR g.client_id = :clientId)
    AND (:applicationId::text IS NULL OR g.application_id = :applicationId) AND (:consentId::text IS NULL OR g.consent_id = :consentId)
    AND (g.created_at / 60, g.grant_id) > (:afterMinute::bigint, :afterId::bytea)
  ORDER BY g.created_at / 60, g.grant_id LIMIT :limit::bigint`;

export const markRevoked = `
INSERT INTO revocation AS r (selector, revoked_at_ms, retain_until) VALUES (:selector::bytea, :nowMs::bigint, :retainUntil::bigint)
  ON CONFLICT (selector) DO UPDATE SET revoked_at_ms = GREATEST(r.revoked_at_ms, excluded.revoked_at_ms),
    retain_until = GREATEST(r.retain_until, excluded.retain_until)`;

// Whoever writes grants takes this lock before its snapshot, and holds it until its commit (as CREATE INDEX CONCURRENTLY
// waits): when those that held it after a mark was committed are gone, no grant can come any more that missed the mark.
export const writers = `
SELECT virtualtransaction AS writer FROM pg_locks
  WHERE relation = 'oauth_grant'::regclass AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND mode = 'RowExclusiveLock' AND pid <> pg_backend_pid() AND (:among::text[] IS NULL OR virtualtransaction = ANY (:among))`;

const revokePage = (lead: SelectorField) => `
WITH page AS MATERIALIZED (
  SELECT g.grant_id, g.created_at / 60 AS minute ${page(lead)} FOR NO KEY UPDATE
), ended AS (
  UPDATE oauth_grant g SET revoked_at = :now::bigint FROM page WHERE g.grant_id = page.grant_id AND g.revoked_at IS NULL RETURNING g.grant_id
)
SELECT (SELECT count(*) FROM page) AS seen, (SELECT count(*) FROM ended) AS ended, minute, grant_id
  FROM page ORDER BY minute DESC, grant_id DESC LIMIT 1`;

const listPage = (lead: SelectorField) =>
  `SELECT ${GRANT}, ${REFRESH}, g.revoked_at, g.created_at / 60 AS minute ${page(lead)}`;

export const revokeBy = byLead(revokePage);
export const listGrants = byLead(listPage);

export const listAccess = `
SELECT digest AS access_digest, issued_at AS access_issued_at, expires_at AS access_expires_at, is_foreign AS access_foreign,
    data AS access_data, revoked_at
  FROM access_token WHERE grant_id = :grantId::bytea AND digest > :afterId::bytea ORDER BY digest LIMIT :limit::bigint`;

export const addCode = `
INSERT INTO authorization_code AS c (digest, grant_id, binding, expires_at, retain_until, attempt, data)
  VALUES (:digest::bytea, :grantId::bytea, :binding::bytea, :expiresAt::bigint, :retainUntil::bigint, :attempt::bytea, :data::bytea)
  ON CONFLICT (digest) DO UPDATE SET digest = c.digest RETURNING attempt = :attempt AS same`;

export const findCode = `
SELECT digest, grant_id, binding, expires_at, retain_until, data, redeemed_at, CASE
    WHEN redeemed_at IS NOT NULL THEN 'redeemed' WHEN expires_at <= :now::bigint THEN 'expired' ELSE 'active' END AS outcome
  FROM authorization_code WHERE digest = :digest::bytea`;

const REDEEMABLE = 'c.binding = :binding::bytea AND c.redeemed_at IS NULL AND c.expires_at > :now::bigint';

// Of those who waited for the winner each updates the row as the winner left it, and changes nothing.
export const redeem = `
UPDATE authorization_code c SET redeemed_at = CASE WHEN ${REDEEMABLE} THEN :now ELSE c.redeemed_at END,
    attempt = CASE WHEN ${REDEEMABLE} THEN :attempt::bytea ELSE c.attempt END
  WHERE c.digest = :digest::bytea
  RETURNING c.digest, c.grant_id, c.binding, c.expires_at, c.retain_until, c.data, CASE
    WHEN c.binding <> :binding THEN 'mismatched'
    WHEN c.redeemed_at IS NULL THEN 'expired'
    WHEN c.attempt = :attempt THEN 'redeemed'
    ELSE 'replayed' END AS outcome`;

export const removeCode = 'DELETE FROM authorization_code WHERE digest = :digest::bytea RETURNING digest';

const ARTIFACT_COLUMNS = '(kind, id, uid, user_code, consent_id, expires_at, retain_until, attempt, data)';
const ARTIFACT_VALUES =
  ':kind::text, :id::bytea, :uid::bytea, :userCode::bytea, :consentId::text, :expiresAt::bigint, :retainUntil::bigint, :attempt::bytea, :data::bytea';
const REPLACED = `
  ON CONFLICT (kind, id) DO UPDATE SET uid = excluded.uid, user_code = excluded.user_code, consent_id = excluded.consent_id,
    expires_at = excluded.expires_at, retain_until = excluded.retain_until, data = excluded.data`;

// A row that lost its way in to another one keeps its id. All rows concerned are locked first, in the order of their ids:
// two callers that give each other's ways away cannot wait for each other.
export const putArtifact = `
WITH held AS MATERIALIZED (
  SELECT a.id FROM artifact a WHERE a.kind = :kind AND (a.id = :id OR a.uid = :uid OR a.user_code = :userCode) ORDER BY a.id FOR NO KEY UPDATE
), reassigned AS (
  UPDATE artifact a SET uid = CASE WHEN a.uid = :uid THEN NULL ELSE a.uid END, user_code = CASE WHEN a.user_code = :userCode THEN NULL ELSE a.user_code END
    FROM held WHERE a.kind = :kind AND a.id = held.id AND a.id <> :id
)
INSERT INTO artifact AS a ${ARTIFACT_COLUMNS} SELECT ${ARTIFACT_VALUES} FROM (SELECT count(*) FROM held) AS locked ${REPLACED}`;
export const putArtifactOnce = `
INSERT INTO artifact AS a ${ARTIFACT_COLUMNS} VALUES (${ARTIFACT_VALUES}) ${REPLACED}, attempt = excluded.attempt, consumed_at = NULL
    WHERE a.expires_at <= :now::bigint OR a.attempt = :attempt RETURNING id`;

const ARTIFACT = `
SELECT kind, id, uid, user_code, consent_id, expires_at, retain_until, consumed_at, data,
    CASE WHEN expires_at <= :now::bigint THEN 'expired' ELSE 'active' END AS outcome
  FROM artifact`;
export const findArtifact = `${ARTIFACT} WHERE kind = :kind AND id = :key::bytea`;
export const findArtifactByUid = `${ARTIFACT} WHERE kind = :kind AND uid = :key::bytea`;
export const findArtifactByUserCode = `${ARTIFACT} WHERE kind = :kind AND user_code = :key::bytea`;

export const consumeArtifact = `
UPDATE artifact SET consumed_at = COALESCE(consumed_at, :now::bigint), attempt = :attempt::bytea
  WHERE kind = :kind AND id = :id::bytea AND (expires_at IS NULL OR expires_at > :now) AND (consumed_at IS NULL OR attempt = :attempt)
  RETURNING id`;
export const removeArtifact = 'DELETE FROM artifact WHERE kind = :kind AND id = :id::bytea RETURNING id';
export const removeArtifactsByConsent = 'DELETE FROM artifact WHERE consent_id = :consentId RETURNING id';

export const putClientToken = `
INSERT INTO client_access_token (client_id, token_key, expires_at, data) VALUES (:clientId::text, :key::text, :expiresAt::bigint, :data::bytea)
  ON CONFLICT (client_id, token_key) DO UPDATE SET expires_at = excluded.expires_at, data = excluded.data`;
export const getClientToken = `
SELECT client_id, token_key, expires_at, data FROM client_access_token WHERE client_id = :clientId AND token_key = :key AND expires_at > :now::bigint`;
export const removeClientToken =
  'DELETE FROM client_access_token WHERE client_id = :clientId AND token_key = :key RETURNING client_id';

/** Few, so that a look-up waits behind few: no commit of a purge waits for the disk, and more at a time would save little. */
export const purgeBatch = 20;

// SKIP LOCKED: two purges share the work instead of waiting for each other, and none waits for a rotation. What a power cut brings
// back is due again, so the commit of a purge, and of nothing else, does not wait for the disk, and leaves it to others.
const purge = (table: string, due: string) => `
DELETE FROM ${table} WHERE ctid = ANY (ARRAY(
  SELECT ctid FROM ${table} WHERE ${due} <= :now::bigint ORDER BY ${due} LIMIT :limit::bigint FOR UPDATE SKIP LOCKED))
  AND (SELECT set_config('synchronous_commit', 'off', true)) = 'off' RETURNING 1`;

const ARTIFACT_DUE = 'COALESCE(retain_until, expires_at)';

export const purgeAccessTokens = purge('access_token', 'expires_at');
export const purgeGrants = purge('oauth_grant', 'retain_until');
export const purgeForeignTokens = purge('foreign_token', 'retain_until');
export const purgeRevocations = purge('revocation', 'retain_until');
export const purgeCodes = purge('authorization_code', 'retain_until');
export const purgeArtifacts = purge('artifact', ARTIFACT_DUE);
export const purgeClientTokens = purge('client_access_token', 'expires_at');

// What is due, a row for each table: read off the index that the purge goes by, no further than `most`.
const due = (table: string, column: string) => `
SELECT count(*) AS records, min(due) AS oldest FROM (
  SELECT ${column} AS due FROM ${table} WHERE ${column} <= :now::bigint ORDER BY ${column} LIMIT :most::bigint) AS counted`;

/** Of the other tables of an access token store. */
export const dueBesideAccessTokens = [
  due('oauth_grant', 'retain_until'),
  due('foreign_token', 'retain_until'),
  due('revocation', 'retain_until'),
].join(' UNION ALL');

export const backlog = {
  accessTokens: `${due('access_token', 'expires_at')} UNION ALL ${dueBesideAccessTokens}`,
  authorizationCodes: due('authorization_code', 'retain_until'),
  artifacts: due('artifact', ARTIFACT_DUE),
  clientAccessTokens: due('client_access_token', 'expires_at'),
};
