import type { SelectorField } from '../domain/selector.ts';
import { byLead } from './sql-dialect.ts';

// Every statement that the Oracle store can send, whole. `:i_name` marks the value of that name, `:o_name` a column of the
// one row that a block answers with; none where all of them stay NULL.
//
// A block is one round trip and one transaction: it commits before it ends, and rolls back whatever goes wrong, so that
// nothing is left open on a connection. All run at READ COMMITTED, where a statement sees what was committed when it began. A
// decision is taken from a row that SELECT ... FOR UPDATE has locked: who waited for a winner gets the row as the winner
// left it, because it is found by a key that no statement changes. An insert that meets a key which another transaction has
// not committed yet waits for it, and then fails with DUP_VAL_ON_INDEX, after which the row is there to be looked at.
// Most blocks lock one row. Those that lock several do so in one order (grants by minute and id, artifacts by id) or leave
// out what is locked (the purge), so that none waits for another that waits for it.
// WRITE WAIT IMMEDIATE: on disk before the block ends, whatever COMMIT_WAIT says and PL/SQL would put off.

const COMMIT = 'COMMIT WRITE WAIT IMMEDIATE';

const block = (declared: string, body: string, absent = '') => `
DECLARE
  ${declared}
BEGIN
  ${body}
  ${COMMIT};
EXCEPTION${absent}
  WHEN OTHERS THEN
    ROLLBACK;
    RAISE;
END;`;

/** A block that decides from a row which may not be there: then it answers with no row. */
const blockOn = (declared: string, body: string) =>
  block(
    declared,
    body,
    `
  WHEN NO_DATA_FOUND THEN
    ROLLBACK;`,
  );

const reading = (declared: string, body: string) => `
DECLARE
  ${declared}
BEGIN
  ${body}
EXCEPTION
  WHEN NO_DATA_FOUND THEN
    NULL;
END;`;

/** One statement, and how many rows it changed. */
const changing = (statement: string) =>
  block(
    'v_changed NUMBER;',
    `${statement};
  v_changed := SQL%ROWCOUNT;
  :o_changed := v_changed;`,
  );

/** Inserts a row, or does something else with the one that is there. */
const insertOr = (insert: string, otherwise: string) => `BEGIN
    ${insert};
  EXCEPTION
    WHEN DUP_VAL_ON_INDEX THEN
      ${otherwise};
  END;`;

/** A token that was minted here leads to its grant; one that was minted elsewhere is led there by its digest. */
const byOrigin = (statement: (grant: string) => string) => ({
  own: statement(':i_grantId'),
  foreign: statement('(SELECT f.grant_id FROM foreign_token f WHERE f.digest = :i_digest)'),
});

/** The grant that a block has in `g`, as its answer. The RAW variable is where a BLOB becomes bytes: up to 32 767 of them. */
const GRANT_ANSWER = `:o_grant_id := g.grant_id;
  :o_client_id := g.client_id;
  :o_subject := g.subject;
  :o_application_id := g.application_id;
  :o_consent_id := g.consent_id;
  :o_created_at := g.created_at;
  :o_expires_at := g.expires_at;
  :o_retain_until := g.retain_until;
  v_bytes := g.data;
  :o_data := v_bytes;`;

const ACCESS_TOKEN = `INSERT INTO access_token (grant_id, digest, issued_at, expires_at, attempt, is_foreign, data)
        VALUES (:i_grantId, :i_accessDigest, :i_accessIssuedAt, :i_accessExpiresAt, :i_attempt, :i_accessForeign, :i_accessData)`;

/**
 * Inserts an access token that its grant does not have, or does something else. Whoever asks has locked the grant, so that none
 * comes between. By the digest alone: where tokens are in expiry partitions, the key would let the same digest in again with
 * another expiry.
 */
const unless = (grant: string, insert: string, otherwise = '') => `SELECT COUNT(*) INTO v_there FROM access_token a
      WHERE a.grant_id = ${grant} AND a.digest = :i_accessDigest;
    IF v_there = 0 THEN
      ${insert};${otherwise}
    END IF;`;

/** The way from a foreign token to its grant; one that leads to another grant is a conflict. */
const way = (digest: string) => `
    BEGIN
      INSERT INTO foreign_token (digest, grant_id, retain_until) VALUES (${digest}, :i_grantId, :i_retainUntil);
    EXCEPTION
      WHEN DUP_VAL_ON_INDEX THEN
        UPDATE foreign_token SET grant_id = :i_grantId WHERE digest = ${digest} AND grant_id = :i_grantId;
        IF SQL%ROWCOUNT = 0 THEN
          RAISE DUP_VAL_ON_INDEX;
        END IF;
    END;`;

const persisted = (ways: string) =>
  block(
    `g oauth_grant%ROWTYPE;
  v_marks NUMBER;
  v_outcome VARCHAR2(10) := 'persisted';`,
    // Before the marks are read: who sets one waits until this lock is gone.
    `LOCK TABLE revocation IN ROW SHARE MODE;
  SELECT COUNT(*) INTO v_marks FROM revocation r
    WHERE r.revoked_at_ms >= :i_authorizedAtMs
      AND r.selector IN (
        SELECT HEXTORAW(SUBSTR(:i_selectors, 64 * LEVEL - 63, 64)) FROM dual CONNECT BY 64 * LEVEL <= LENGTH(:i_selectors));
  IF v_marks > 0 THEN
    v_outcome := 'barred';
  ELSE
    BEGIN
      INSERT INTO oauth_grant (grant_id, client_id, subject, application_id, consent_id, created_at, expires_at,
          refresh_sender, retain_until, refresh_expires_at, refresh_idle_expires_at, refresh_foreign, attempt, refresh_digest, data)
        VALUES (:i_grantId, :i_clientId, :i_subject, :i_applicationId, :i_consentId, :i_createdAt, :i_expiresAt,
          :i_refreshSender, :i_retainUntil, :i_refreshExpiresAt, :i_refreshIdleExpiresAt, :i_refreshForeign, :i_attempt, :i_refreshDigest, :i_data);
    EXCEPTION
      WHEN DUP_VAL_ON_INDEX THEN
        SELECT * INTO g FROM oauth_grant WHERE grant_id = :i_grantId FOR UPDATE;
        v_outcome := CASE
          WHEN g.revoked_at IS NOT NULL THEN 'revoked'
          WHEN g.attempt = :i_attempt AND (g.refresh_digest = :i_refreshDigest OR (g.refresh_digest IS NULL AND :i_refreshDigest IS NULL)) THEN 'repeated'
          ELSE 'conflict' END;
    END;
  END IF;
  IF v_outcome = 'persisted' AND :i_accessDigest IS NOT NULL THEN
    ${ACCESS_TOKEN};
  END IF;${ways}
  :o_outcome := CASE WHEN v_outcome = 'repeated' THEN 'persisted' ELSE v_outcome END;`,
  );

/** `foreign` where one of the tokens was minted elsewhere. */
export const persist = {
  own: persisted(''),
  foreign: persisted(`
  IF v_outcome = 'persisted' AND :i_refreshForeign = 1 THEN${way(':i_refreshDigest')}
  END IF;
  IF v_outcome = 'persisted' AND :i_accessForeign = 1 THEN${way(':i_accessDigest')}
  END IF;`),
};

export const addAccess = blockOn(
  `g oauth_grant%ROWTYPE;
  v_there NUMBER;
  v_outcome VARCHAR2(10);`,
  `SELECT * INTO g FROM oauth_grant WHERE grant_id = :i_grantId FOR UPDATE;
  v_outcome := CASE
    WHEN g.revoked_at IS NOT NULL THEN 'revoked'
    WHEN g.expires_at <= :i_now THEN 'expired'
    ELSE 'added' END;
  IF v_outcome = 'added' THEN
    IF g.retain_until < :i_retainUntil THEN
      UPDATE oauth_grant SET retain_until = :i_retainUntil WHERE grant_id = :i_grantId;
    END IF;
    ${unless(
      ':i_grantId',
      ACCESS_TOKEN,
      `
    ELSE
      UPDATE access_token SET attempt = :i_attempt
        WHERE grant_id = :i_grantId AND digest = :i_accessDigest AND attempt = :i_attempt;
      IF SQL%ROWCOUNT = 0 THEN
        RAISE DUP_VAL_ON_INDEX;
      END IF;`,
    )}
  END IF;
  IF v_outcome = 'added' AND :i_accessForeign = 1 THEN${way(':i_accessDigest')}
  END IF;
  :o_outcome := v_outcome;`,
);

export const addRefresh = blockOn(
  `g oauth_grant%ROWTYPE;
  v_outcome VARCHAR2(10);`,
  `SELECT * INTO g FROM oauth_grant WHERE grant_id = :i_grantId FOR UPDATE;
  v_outcome := CASE
    WHEN g.revoked_at IS NOT NULL THEN 'revoked'
    WHEN g.expires_at <= :i_now THEN 'expired'
    WHEN g.refresh_digest = :i_refreshDigest AND g.attempt = :i_attempt THEN 'repeated'
    WHEN g.refresh_digest IS NOT NULL THEN 'conflict'
    ELSE 'added' END;
  IF v_outcome = 'added' THEN
    UPDATE oauth_grant SET retain_until = GREATEST(retain_until, :i_retainUntil), refresh_sender = :i_refreshSender,
        refresh_expires_at = :i_refreshExpiresAt, refresh_idle_expires_at = :i_refreshIdleExpiresAt,
        refresh_foreign = :i_refreshForeign, attempt = :i_attempt, refresh_digest = :i_refreshDigest
      WHERE grant_id = :i_grantId;
    IF :i_refreshForeign = 1 THEN
      INSERT INTO foreign_token (digest, grant_id, retain_until) VALUES (:i_refreshDigest, :i_grantId, :i_retainUntil);
    END IF;
  END IF;
  :o_outcome := CASE WHEN v_outcome = 'repeated' THEN 'added' ELSE v_outcome END;`,
);

export const findAccess = byOrigin((grant) =>
  reading(
    `v_data RAW(32767);
  v_access_data RAW(32767);`,
    `SELECT g.grant_id, g.client_id, g.subject, g.application_id, g.consent_id, g.created_at, g.expires_at,
      g.retain_until, g.data, a.digest, a.issued_at, a.expires_at, a.is_foreign, a.data, CASE
      WHEN g.revoked_at IS NOT NULL OR a.revoked_at IS NOT NULL THEN 'revoked'
      WHEN a.expires_at <= :i_now OR g.expires_at <= :i_now THEN 'expired'
      ELSE 'active' END
    INTO :o_grant_id, :o_client_id, :o_subject, :o_application_id, :o_consent_id, :o_created_at, :o_expires_at,
      :o_retain_until, v_data, :o_access_digest, :o_access_issued_at, :o_access_expires_at, :o_access_foreign, v_access_data,
      :o_outcome
    FROM access_token a JOIN oauth_grant g ON g.grant_id = a.grant_id
    WHERE a.grant_id = ${grant} AND a.digest = :i_digest;
  :o_data := v_data;
  :o_access_data := v_access_data;`,
  ),
);

export const findRefresh = byOrigin((grant) =>
  reading(
    `g oauth_grant%ROWTYPE;
  v_bytes RAW(32767);`,
    `SELECT * INTO g FROM oauth_grant WHERE grant_id = ${grant} AND client_id IS NOT NULL;
  ${GRANT_ANSWER}
  :o_refresh_digest := g.refresh_digest;
  :o_refresh_expires_at := g.refresh_expires_at;
  :o_refresh_idle_expires_at := g.refresh_idle_expires_at;
  :o_refresh_sender := g.refresh_sender;
  :o_refresh_foreign := g.refresh_foreign;
  :o_rotated_at := COALESCE(g.retired_at, g.created_at);
  :o_outcome := CASE
    WHEN g.refresh_digest IS NULL OR g.refresh_digest <> :i_digest THEN 'retired'
    WHEN g.revoked_at IS NOT NULL THEN 'revoked'
    WHEN g.refresh_expires_at <= :i_now OR g.refresh_idle_expires_at <= :i_now OR g.expires_at <= :i_now THEN 'expired'
    ELSE 'active' END;`,
  ),
);

/** Uses a token if it may be used. If not, says why, and ends the grant of a token that was used before. */
const use = (changes: string, otherwise: string) =>
  byOrigin((grant) =>
    blockOn(
      `g oauth_grant%ROWTYPE;
  v_there NUMBER;
  v_bytes RAW(32767);
  v_outcome VARCHAR2(10);`,
      `SELECT * INTO g FROM oauth_grant WHERE grant_id = ${grant} AND client_id IS NOT NULL FOR UPDATE;
  v_outcome := CASE
    WHEN g.client_id <> :i_clientId THEN 'mismatched'
    WHEN g.refresh_sender IS NOT NULL AND (:i_sender IS NULL OR g.refresh_sender <> :i_sender) THEN 'mismatched'
    WHEN g.refresh_digest = :i_digest THEN CASE
      WHEN g.revoked_at IS NOT NULL THEN 'revoked'
      WHEN g.refresh_expires_at <= :i_now OR g.refresh_idle_expires_at <= :i_now OR g.expires_at <= :i_now THEN 'expired'
      ELSE 'used' END
    WHEN g.retired_digest = :i_digest AND (g.attempt = :i_attempt OR g.retired_at + :i_graceSeconds > :i_now) THEN CASE
      WHEN g.revoked_at IS NOT NULL THEN 'revoked'
      WHEN g.expires_at <= :i_now THEN 'expired'
      WHEN g.attempt = :i_attempt THEN 'rotated'
      ELSE 'retried' END
    ELSE 'reused' END;
  IF v_outcome = 'used' THEN
    UPDATE oauth_grant SET ${changes}, retain_until = GREATEST(retain_until, :i_retainUntil)
      WHERE grant_id = g.grant_id;
    IF :i_accessDigest IS NOT NULL THEN
      ${unless(
        'g.grant_id',
        `INSERT INTO access_token (grant_id, digest, issued_at, expires_at, attempt, data)
        VALUES (g.grant_id, :i_accessDigest, :i_accessIssuedAt, :i_accessExpiresAt, :i_attempt, :i_accessData)`,
        otherwise,
      )}
    END IF;
  ELSIF v_outcome = 'reused' THEN
    UPDATE oauth_grant SET revoked_at = :i_now WHERE grant_id = g.grant_id AND revoked_at IS NULL;
  ELSIF v_outcome IN ('rotated', 'retried') THEN
    v_bytes := g.successor;
    :o_sealed := v_bytes;
  END IF;
  ${GRANT_ANSWER}
  :o_outcome := CASE WHEN v_outcome = 'used' THEN 'rotated' ELSE v_outcome END;`,
    ),
  );

export const rotate = use(
  `refresh_expires_at = :i_refreshExpiresAt, refresh_idle_expires_at = :i_refreshIdleExpiresAt,
        refresh_foreign = NULL, retired_at = :i_now, attempt = :i_attempt, refresh_digest = :i_refreshDigest,
        retired_digest = :i_digest, successor = :i_sealed`,
  `
    ELSE
      RAISE DUP_VAL_ON_INDEX;`,
);
/** A token that is kept can be used again, so the repeat of an attempt finds it usable too. */
export const rotateKept = use(
  'refresh_idle_expires_at = COALESCE(:i_refreshIdleExpiresAt, refresh_idle_expires_at)',
  '',
);

const OF_CLIENT = '(:i_clientId IS NULL OR g.client_id = :i_clientId)';

export const revokeAccess = byOrigin((grant) =>
  changing(`UPDATE access_token a SET revoked_at = :i_now
    WHERE a.grant_id = ${grant} AND a.digest = :i_digest AND a.revoked_at IS NULL AND EXISTS (
      SELECT 1 FROM oauth_grant g WHERE g.grant_id = a.grant_id AND g.revoked_at IS NULL AND ${OF_CLIENT})`),
);

export const revokeRefresh = byOrigin((grant) =>
  changing(`UPDATE oauth_grant g SET revoked_at = :i_now
    WHERE g.grant_id = ${grant} AND g.revoked_at IS NULL AND ${OF_CLIENT}`),
);

// A grant that is not there yet is stored as revoked, with no client and nothing else in it: it is refused when it comes.
const REVOKE_GRANT = `UPDATE oauth_grant SET revoked_at = COALESCE(revoked_at, :i_now), retain_until = GREATEST(retain_until, :i_retainUntil)
        WHERE grant_id = :i_grantId`;
export const revokeGrant = block(
  'v_changed NUMBER;',
  `${REVOKE_GRANT};
  v_changed := SQL%ROWCOUNT;
  IF v_changed = 0 THEN
    ${insertOr(
      `INSERT INTO oauth_grant (grant_id, created_at, revoked_at, retain_until)
      VALUES (:i_grantId, :i_now, :i_now, :i_retainUntil)`,
      REVOKE_GRANT,
    )}
  END IF;`,
);

export const revokeAccessOfGrant = changing(
  'UPDATE access_token SET revoked_at = :i_now WHERE grant_id = :i_grantId AND revoked_at IS NULL',
);

// The mark is committed first. Whoever stores a grant holds ROW SHARE from before it reads the marks until its commit: when
// EXCLUSIVE is granted, those that may have missed the mark are gone, and whoever comes later sees it. Grants that come
// while this waits stand behind it, for five seconds at most (ORA-30006); look-ups and rotations do not take this lock.
const MARK_AGAIN = `UPDATE revocation SET revoked_at_ms = GREATEST(revoked_at_ms, :i_nowMs), retain_until = GREATEST(retain_until, :i_retainUntil)
        WHERE selector = :i_selector`;
export const markRevoked = block(
  'v_changed NUMBER;',
  `${MARK_AGAIN};
  v_changed := SQL%ROWCOUNT;
  IF v_changed = 0 THEN
    ${insertOr(
      'INSERT INTO revocation (selector, revoked_at_ms, retain_until) VALUES (:i_selector, :i_nowMs, :i_retainUntil)',
      MARK_AGAIN,
    )}
  END IF;
  ${COMMIT};
  LOCK TABLE revocation IN EXCLUSIVE MODE WAIT 5;`,
);

/** Where the fields of a selector stand. */
const COLUMNS = { subject: 'subject', consentId: 'consent_id', applicationId: 'application_id', clientId: 'client_id' };

const MINUTE = 'FLOOR(g.created_at / 60)';

const page = (lead: SelectorField) => `
    FROM oauth_grant g
    WHERE g.${COLUMNS[lead]} = :i_${lead}
      AND (:i_subject IS NULL OR g.subject = :i_subject) AND (:i_clientId IS NULL OR g.client_id = :i_clientId)
      AND (:i_applicationId IS NULL OR g.application_id = :i_applicationId) AND (:i_consentId IS NULL OR g.consent_id = :i_consentId)
      AND ${MINUTE} >= :i_afterMinute AND (${MINUTE} > :i_afterMinute OR g.grant_id > :i_afterId)
    ORDER BY ${MINUTE}, g.grant_id FETCH FIRST (:i_limit) ROWS ONLY`;

const revokePage = (lead: SelectorField) =>
  block(
    `v_seen NUMBER := 0;
  v_ended NUMBER := 0;`,
    `FOR hit IN (
    SELECT g.grant_id, ${MINUTE} AS minute ${page(lead)}
  ) LOOP
    UPDATE oauth_grant SET revoked_at = :i_now WHERE grant_id = hit.grant_id AND revoked_at IS NULL;
    v_ended := v_ended + SQL%ROWCOUNT;
    v_seen := v_seen + 1;
    :o_minute := hit.minute;
    :o_grant_id := hit.grant_id;
  END LOOP;
  :o_seen := v_seen;
  :o_ended := v_ended;`,
  );

const listPage = (lead: SelectorField) => `
SELECT g.grant_id, g.client_id, g.subject, g.application_id, g.consent_id, g.created_at, g.expires_at,
    g.retain_until, g.data, g.refresh_digest, g.refresh_expires_at, g.refresh_idle_expires_at, g.refresh_sender,
    g.refresh_foreign, g.revoked_at, ${MINUTE} AS minute ${page(lead)}`;

export const revokeBy = byLead(revokePage);
export const listGrants = byLead(listPage);

export const listAccess = `
SELECT digest AS access_digest, issued_at AS access_issued_at, expires_at AS access_expires_at, is_foreign AS access_foreign,
    data AS access_data, revoked_at
  FROM access_token WHERE grant_id = :i_grantId AND (:i_afterId IS NULL OR digest > :i_afterId)
  ORDER BY digest FETCH FIRST (:i_limit) ROWS ONLY`;

export const addCode = block(
  'v_same NUMBER := 1;',
  `${insertOr(
    `INSERT INTO authorization_code (digest, grant_id, binding, expires_at, retain_until, attempt, data)
      VALUES (:i_digest, :i_grantId, :i_binding, :i_expiresAt, :i_retainUntil, :i_attempt, :i_data)`,
    `SELECT CASE WHEN c.attempt = :i_attempt THEN 1 ELSE 0 END INTO v_same FROM authorization_code c WHERE c.digest = :i_digest`,
  )}
  :o_same := v_same;`,
);

/** The code that a block has in `c`, as its answer. */
const CODE_ANSWER = `:o_digest := c.digest;
  :o_grant_id := c.grant_id;
  :o_binding := c.binding;
  :o_expires_at := c.expires_at;
  :o_retain_until := c.retain_until;
  v_bytes := c.data;
  :o_data := v_bytes;`;

export const findCode = reading(
  `c authorization_code%ROWTYPE;
  v_bytes RAW(32767);`,
  `SELECT * INTO c FROM authorization_code WHERE digest = :i_digest;
  ${CODE_ANSWER}
  :o_redeemed_at := c.redeemed_at;
  :o_outcome := CASE WHEN c.redeemed_at IS NOT NULL THEN 'redeemed' WHEN c.expires_at <= :i_now THEN 'expired' ELSE 'active' END;`,
);

export const redeem = blockOn(
  `c authorization_code%ROWTYPE;
  v_bytes RAW(32767);
  v_outcome VARCHAR2(10);`,
  `SELECT * INTO c FROM authorization_code WHERE digest = :i_digest FOR UPDATE;
  v_outcome := CASE
    WHEN c.binding <> :i_binding THEN 'mismatched'
    WHEN c.redeemed_at IS NOT NULL THEN CASE WHEN c.attempt = :i_attempt THEN 'redeemed' ELSE 'replayed' END
    WHEN c.expires_at <= :i_now THEN 'expired'
    ELSE 'used' END;
  IF v_outcome = 'used' THEN
    UPDATE authorization_code SET redeemed_at = :i_now, attempt = :i_attempt WHERE digest = :i_digest;
  END IF;
  ${CODE_ANSWER}
  :o_outcome := CASE WHEN v_outcome = 'used' THEN 'redeemed' ELSE v_outcome END;`,
);

export const removeCode = changing('DELETE FROM authorization_code WHERE digest = :i_digest');

const ARTIFACT_COLUMNS = '(kind, id, "UID", user_code, consent_id, expires_at, retain_until, attempt, data)';
const ARTIFACT_VALUES =
  '(:i_kind, :i_id, :i_uid, :i_userCode, :i_consentId, :i_expiresAt, :i_retainUntil, :i_attempt, :i_data)';
const REPLACED = `"UID" = :i_uid, user_code = :i_userCode, consent_id = :i_consentId, expires_at = :i_expiresAt,
        retain_until = :i_retainUntil, data = :i_data`;
const REPLACE = `UPDATE artifact SET ${REPLACED} WHERE kind = :i_kind AND id = :i_id`;

// A row that lost its way in to another one keeps its id. All rows concerned are locked first, in the order of their ids:
// two callers that give each other's ways away cannot wait for each other.
export const putArtifact = block(
  'v_changed NUMBER;',
  `FOR held IN (
    SELECT a.id FROM artifact a WHERE a.kind = :i_kind AND (a.id = :i_id OR a."UID" = :i_uid OR a.user_code = :i_userCode)
      ORDER BY a.id FOR UPDATE
  ) LOOP
    UPDATE artifact SET "UID" = CASE WHEN "UID" = :i_uid THEN NULL ELSE "UID" END,
        user_code = CASE WHEN user_code = :i_userCode THEN NULL ELSE user_code END
      WHERE kind = :i_kind AND id = held.id AND id <> :i_id;
  END LOOP;
  ${REPLACE};
  v_changed := SQL%ROWCOUNT;
  IF v_changed = 0 THEN
    ${insertOr(`INSERT INTO artifact ${ARTIFACT_COLUMNS} VALUES ${ARTIFACT_VALUES}`, REPLACE)}
  END IF;`,
);
export const putArtifactOnce = block(
  'v_changed NUMBER := 1;',
  `BEGIN
    INSERT INTO artifact ${ARTIFACT_COLUMNS} VALUES ${ARTIFACT_VALUES};
  EXCEPTION
    WHEN DUP_VAL_ON_INDEX THEN
      UPDATE artifact SET ${REPLACED}, attempt = :i_attempt, consumed_at = NULL
        WHERE kind = :i_kind AND id = :i_id AND (expires_at <= :i_now OR attempt = :i_attempt);
      v_changed := SQL%ROWCOUNT;
  END;
  :o_changed := v_changed;`,
);

const artifactBy = (key: string) =>
  reading(
    `a artifact%ROWTYPE;
  v_bytes RAW(32767);`,
    `SELECT * INTO a FROM artifact WHERE kind = :i_kind AND ${key} = :i_wayIn AND ROWNUM = 1;
  :o_kind := a.kind;
  :o_id := a.id;
  :o_uid := a."UID";
  :o_user_code := a.user_code;
  :o_consent_id := a.consent_id;
  :o_expires_at := a.expires_at;
  :o_retain_until := a.retain_until;
  :o_consumed_at := a.consumed_at;
  v_bytes := a.data;
  :o_data := v_bytes;
  :o_outcome := CASE WHEN a.expires_at <= :i_now THEN 'expired' ELSE 'active' END;`,
  );
export const findArtifact = artifactBy('id');
export const findArtifactByUid = artifactBy('"UID"');
export const findArtifactByUserCode = artifactBy('user_code');

export const consumeArtifact =
  changing(`UPDATE artifact SET consumed_at = COALESCE(consumed_at, :i_now), attempt = :i_attempt
    WHERE kind = :i_kind AND id = :i_id AND (expires_at IS NULL OR expires_at > :i_now) AND (consumed_at IS NULL OR attempt = :i_attempt)`);
export const removeArtifact = changing('DELETE FROM artifact WHERE kind = :i_kind AND id = :i_id');
export const removeArtifactsByConsent = changing('DELETE FROM artifact WHERE consent_id = :i_consentId');

const REPLACE_CLIENT_TOKEN = `UPDATE client_access_token SET expires_at = :i_expiresAt, data = :i_data
        WHERE client_id = :i_clientId AND token_key = :i_key`;
export const putClientToken = block(
  'v_changed NUMBER;',
  `${REPLACE_CLIENT_TOKEN};
  v_changed := SQL%ROWCOUNT;
  IF v_changed = 0 THEN
    ${insertOr(
      `INSERT INTO client_access_token (client_id, token_key, expires_at, data) VALUES (:i_clientId, :i_key, :i_expiresAt, :i_data)`,
      REPLACE_CLIENT_TOKEN,
    )}
  END IF;`,
);
export const getClientToken = reading(
  `t client_access_token%ROWTYPE;
  v_bytes RAW(32767);`,
  `SELECT * INTO t FROM client_access_token WHERE client_id = :i_clientId AND token_key = :i_key AND expires_at > :i_now;
  :o_client_id := t.client_id;
  :o_token_key := t.token_key;
  :o_expires_at := t.expires_at;
  v_bytes := t.data;
  :o_data := v_bytes;`,
);
export const removeClientToken = changing(
  'DELETE FROM client_access_token WHERE client_id = :i_clientId AND token_key = :i_key',
);

// SKIP LOCKED: two purges share the work instead of waiting for each other, and none waits for a rotation. Rows are locked
// as they are fetched, so no more than are removed. The condition stands in the DELETE again: by then the row is ours, and
// it is seen as it is now. A FORALL of nothing runs nothing, and SQL%ROWCOUNT stays what it was, at first NULL.
const batch = (table: string, due: string) => `IF v_left > 0 THEN
    DECLARE
      TYPE places IS TABLE OF ROWID;
      v_places places;
      CURSOR due IS SELECT t.ROWID FROM ${table} t WHERE ${due} FOR UPDATE SKIP LOCKED;
    BEGIN
      OPEN due;
      FETCH due BULK COLLECT INTO v_places LIMIT v_left;
      CLOSE due;
      IF v_places.COUNT > 0 THEN
        FORALL i IN 1 .. v_places.COUNT
          DELETE FROM ${table} WHERE ROWID = v_places(i) AND ${due};
        v_left := v_left - SQL%ROWCOUNT;
      END IF;
    END;
  END IF;`;

/** Removes what is due of a table: of each of its parts that is told how, until there are enough. */
export const removing = (table: string, ...due: readonly string[]) =>
  block(
    'v_left NUMBER := :i_limit;',
    `${due.map((each) => batch(table, each)).join('\n  ')}
  :o_changed := :i_limit - v_left;`,
  );

const purge = (table: string, due: string) => removing(table, `${due} <= :i_now`);

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
SELECT COUNT(*) AS "records", MIN(due) AS oldest FROM (
  SELECT ${column} AS due FROM ${table} WHERE ${column} <= :i_now ORDER BY ${column} FETCH FIRST (:i_most) ROWS ONLY)`;

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
