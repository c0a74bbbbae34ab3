-- oauth2-stores: authorization codes, access tokens and refresh tokens, and what an authorization server keeps beside them
-- IBM Db2 11.5 or newer for Linux, Amazon RDS for Db2. Run it with: db2 -td@ -svf oauth-server.sql
-- Can be run again at any time. Times are epoch seconds; digests, identifiers and records are bytes.
-- A name is UTF-8 with a full stop behind it: Db2 takes strings that differ in trailing blanks only for equal, bytes too.

BEGIN
  DECLARE CONTINUE HANDLER FOR SQLSTATE '42710' BEGIN END; -- it is there
  EXECUTE IMMEDIATE '
CREATE TABLE oauth_schema (
  component   VARCHAR(32) NOT NULL,
  version     INTEGER     NOT NULL,
  CONSTRAINT oauth_schema_pk PRIMARY KEY (component)
)';
END@

-- VOLATILE CARDINALITY, here and below: procedures are compiled while tables are empty, and must go by an index all the same,
-- since one that scans waits for every row that somebody has locked.

-- One authorization and its refresh token: everything that must change together stands in this one row.
-- What never changes comes first, what a rotation changes last: then the log of a rotation holds its last columns only.
-- No index on a column that a rotation changes, and room in the page: then a rotation touches no index and moves no row.
BEGIN
  DECLARE CONTINUE HANDLER FOR SQLSTATE '42710' BEGIN END;
  EXECUTE IMMEDIATE '
CREATE TABLE oauth_grant (
  grant_id                 VARCHAR(16) FOR BIT DATA NOT NULL,
  client_id                VARCHAR(480) FOR BIT DATA NOT NULL,
  subject                  VARCHAR(480) FOR BIT DATA,
  application_id           VARCHAR(480) FOR BIT DATA,
  consent_id               VARCHAR(480) FOR BIT DATA,
  created_at               BIGINT  NOT NULL,
  expires_at               BIGINT,
  refresh_sender           VARCHAR(64) FOR BIT DATA,
  data                     VARCHAR(16000) FOR BIT DATA NOT NULL,
  revoked_at               BIGINT,
  retain_until             BIGINT  NOT NULL,
  refresh_expires_at       BIGINT,
  refresh_idle_expires_at  BIGINT,
  refresh_foreign          SMALLINT,
  retired_at               BIGINT,
  attempt                  VARCHAR(32) FOR BIT DATA,
  refresh_digest           VARCHAR(32) FOR BIT DATA,
  retired_digest           VARCHAR(32) FOR BIT DATA,
  successor                VARCHAR(16000) FOR BIT DATA,
  CONSTRAINT oauth_grant_pk PRIMARY KEY (grant_id)
) ORGANIZE BY ROW';
  EXECUTE IMMEDIATE 'ALTER TABLE oauth_grant PCTFREE 25';
  EXECUTE IMMEDIATE 'ALTER TABLE oauth_grant VOLATILE CARDINALITY';

  EXECUTE IMMEDIATE 'CREATE INDEX oauth_grant_subject ON oauth_grant (subject, created_at, grant_id)';
  -- In the order of the pages: a page of the grants of a client is read off the index.
  EXECUTE IMMEDIATE 'CREATE INDEX oauth_grant_client ON oauth_grant (client_id, created_at, grant_id)';
  EXECUTE IMMEDIATE 'CREATE INDEX oauth_grant_application ON oauth_grant (application_id, created_at, grant_id)';
  EXECUTE IMMEDIATE 'CREATE INDEX oauth_grant_consent ON oauth_grant (consent_id, created_at, grant_id)';
  EXECUTE IMMEDIATE 'CREATE INDEX oauth_grant_retain ON oauth_grant (retain_until)';
END@

BEGIN
  DECLARE CONTINUE HANDLER FOR SQLSTATE '42710' BEGIN END;
  EXECUTE IMMEDIATE '
CREATE TABLE access_token (
  grant_id                 VARCHAR(16) FOR BIT DATA NOT NULL,
  digest                   VARCHAR(32) FOR BIT DATA NOT NULL,
  issued_at                BIGINT  NOT NULL,
  expires_at               BIGINT  NOT NULL,
  revoked_at               BIGINT,
  attempt                  VARCHAR(32) FOR BIT DATA NOT NULL,
  is_foreign               SMALLINT,
  data                     VARCHAR(16000) FOR BIT DATA,
  CONSTRAINT access_token_pk PRIMARY KEY (grant_id, digest)
) ORGANIZE BY ROW';
  EXECUTE IMMEDIATE 'ALTER TABLE access_token VOLATILE CARDINALITY';

  EXECUTE IMMEDIATE 'CREATE INDEX access_token_expires ON access_token (expires_at)';
END@

-- The way from a token that another server minted to its grant; our own tokens lead there by themselves.
BEGIN
  DECLARE CONTINUE HANDLER FOR SQLSTATE '42710' BEGIN END;
  EXECUTE IMMEDIATE '
CREATE TABLE foreign_token (
  digest                   VARCHAR(32) FOR BIT DATA NOT NULL,
  grant_id                 VARCHAR(16) FOR BIT DATA NOT NULL,
  retain_until             BIGINT  NOT NULL,
  CONSTRAINT foreign_token_pk PRIMARY KEY (digest)
) ORGANIZE BY ROW';
  EXECUTE IMMEDIATE 'ALTER TABLE foreign_token VOLATILE CARDINALITY';

  EXECUTE IMMEDIATE 'CREATE INDEX foreign_token_retain ON foreign_token (retain_until)';
END@

-- Revocations by subject, client, application or consent: grants that were authorized before one cannot be stored after it.
BEGIN
  DECLARE CONTINUE HANDLER FOR SQLSTATE '42710' BEGIN END;
  EXECUTE IMMEDIATE '
CREATE TABLE revocation (
  selector                 VARCHAR(32) FOR BIT DATA NOT NULL,
  revoked_at_ms            BIGINT  NOT NULL,
  retain_until             BIGINT  NOT NULL,
  CONSTRAINT revocation_pk PRIMARY KEY (selector)
) ORGANIZE BY ROW';
  EXECUTE IMMEDIATE 'ALTER TABLE revocation VOLATILE CARDINALITY';

  EXECUTE IMMEDIATE 'CREATE INDEX revocation_retain ON revocation (retain_until)';
END@

BEGIN
  DECLARE CONTINUE HANDLER FOR SQLSTATE '42710' BEGIN END;
  EXECUTE IMMEDIATE '
CREATE TABLE authorization_code (
  digest                   VARCHAR(32) FOR BIT DATA NOT NULL,
  grant_id                 VARCHAR(16) FOR BIT DATA NOT NULL,
  binding                  VARCHAR(32) FOR BIT DATA NOT NULL,
  expires_at               BIGINT  NOT NULL,
  retain_until             BIGINT  NOT NULL,
  data                     VARCHAR(16000) FOR BIT DATA NOT NULL,
  redeemed_at              BIGINT,
  attempt                  VARCHAR(32) FOR BIT DATA NOT NULL,
  CONSTRAINT authorization_code_pk PRIMARY KEY (digest)
) ORGANIZE BY ROW';
  EXECUTE IMMEDIATE 'ALTER TABLE authorization_code PCTFREE 20';
  EXECUTE IMMEDIATE 'ALTER TABLE authorization_code VOLATILE CARDINALITY';

  EXECUTE IMMEDIATE 'CREATE INDEX authorization_code_retain ON authorization_code (retain_until)';
END@

BEGIN
  DECLARE CONTINUE HANDLER FOR SQLSTATE '42710' BEGIN END;
  EXECUTE IMMEDIATE '
CREATE TABLE artifact (
  kind                     VARCHAR(480) FOR BIT DATA NOT NULL,
  id                       VARCHAR(32) FOR BIT DATA NOT NULL,
  uid                      VARCHAR(32) FOR BIT DATA,
  user_code                VARCHAR(32) FOR BIT DATA,
  consent_id               VARCHAR(480) FOR BIT DATA,
  expires_at               BIGINT,
  retain_until             BIGINT,
  consumed_at              BIGINT,
  attempt                  VARCHAR(32) FOR BIT DATA,
  data                     VARCHAR(16000) FOR BIT DATA NOT NULL,
  due_at                   BIGINT  GENERATED ALWAYS AS (COALESCE(retain_until, expires_at)),
  CONSTRAINT artifact_pk PRIMARY KEY (kind, id)
) ORGANIZE BY ROW';
  EXECUTE IMMEDIATE 'ALTER TABLE artifact PCTFREE 20';
  EXECUTE IMMEDIATE 'ALTER TABLE artifact VOLATILE CARDINALITY';

  -- With the id: who looks for the next row of a way in reads none that stands before it.
  EXECUTE IMMEDIATE 'CREATE INDEX artifact_uid ON artifact (kind, uid, id)';
  EXECUTE IMMEDIATE 'CREATE INDEX artifact_user_code ON artifact (kind, user_code, id)';
  EXECUTE IMMEDIATE 'CREATE INDEX artifact_consent ON artifact (consent_id) EXCLUDE NULL KEYS';
  EXECUTE IMMEDIATE 'CREATE INDEX artifact_retain ON artifact (due_at) EXCLUDE NULL KEYS';
END@

-- Each operation is one CALL, and a unit of work of its own, which its procedure ends. A decision is taken from a row that
-- was read WITH RS USE AND KEEP UPDATE LOCKS: who comes second waits there, and then reads what the first one committed.

CREATE OR REPLACE PROCEDURE persist_grant (
  IN p_grant_id VARCHAR(16) FOR BIT DATA, IN p_client_id VARCHAR(480) FOR BIT DATA, IN p_subject VARCHAR(480) FOR BIT DATA,
  IN p_application_id VARCHAR(480) FOR BIT DATA, IN p_consent_id VARCHAR(480) FOR BIT DATA, IN p_created_at BIGINT,
  IN p_expires_at BIGINT, IN p_refresh_sender VARCHAR(64) FOR BIT DATA, IN p_data VARCHAR(16000) FOR BIT DATA, IN p_retain_until BIGINT,
  IN p_refresh_expires_at BIGINT, IN p_refresh_idle_expires_at BIGINT, IN p_refresh_foreign SMALLINT,
  IN p_attempt VARCHAR(32) FOR BIT DATA, IN p_refresh_digest VARCHAR(32) FOR BIT DATA, IN p_access_digest VARCHAR(32) FOR BIT DATA,
  IN p_access_issued_at BIGINT, IN p_access_expires_at BIGINT, IN p_access_foreign SMALLINT, IN p_access_data VARCHAR(16000) FOR BIT DATA,
  IN p_authorized_at_ms BIGINT, IN p_selectors VARCHAR(480) FOR BIT DATA, OUT p_outcome VARCHAR(10)
)
LANGUAGE SQL MODIFIES SQL DATA
BEGIN
  DECLARE v_marks INTEGER DEFAULT 0;
  DECLARE v_duplicate SMALLINT DEFAULT 0;
  DECLARE CONTINUE HANDLER FOR SQLSTATE '23505' SET v_duplicate = 1;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  IF p_authorized_at_ms IS NOT NULL THEN
    -- Held to the end: whoever marks waits until this grant is there for him to find, and this waits for his mark.
    LOCK TABLE revocation IN SHARE MODE;
    SELECT COUNT(*) INTO v_marks FROM revocation WHERE revoked_at_ms >= p_authorized_at_ms AND selector IN (
      SUBSTR(p_selectors, 1, 32), SUBSTR(p_selectors, 33, 32), SUBSTR(p_selectors, 65, 32), SUBSTR(p_selectors, 97, 32),
      SUBSTR(p_selectors, 129, 32), SUBSTR(p_selectors, 161, 32), SUBSTR(p_selectors, 193, 32), SUBSTR(p_selectors, 225, 32),
      SUBSTR(p_selectors, 257, 32), SUBSTR(p_selectors, 289, 32), SUBSTR(p_selectors, 321, 32), SUBSTR(p_selectors, 353, 32),
      SUBSTR(p_selectors, 385, 32), SUBSTR(p_selectors, 417, 32), SUBSTR(p_selectors, 449, 32));
  END IF;
  IF v_marks > 0 THEN
    SET p_outcome = 'barred';
  ELSE
    SET p_outcome = 'persisted';
    INSERT INTO oauth_grant (grant_id, client_id, subject, application_id, consent_id, created_at, expires_at, refresh_sender, data,
        retain_until, refresh_expires_at, refresh_idle_expires_at, refresh_foreign, attempt, refresh_digest)
      VALUES (p_grant_id, p_client_id, p_subject, p_application_id, p_consent_id, p_created_at, p_expires_at, p_refresh_sender, p_data,
        p_retain_until, p_refresh_expires_at, p_refresh_idle_expires_at, p_refresh_foreign, p_attempt, p_refresh_digest);
    IF v_duplicate = 1 THEN
      -- Also of a grant that a purge has taken meanwhile: nothing has been stored.
      SET p_outcome = 'conflict';
      SELECT CASE
          WHEN revoked_at IS NOT NULL THEN 'revoked'
          WHEN attempt = p_attempt AND (refresh_digest = p_refresh_digest OR (refresh_digest IS NULL AND p_refresh_digest IS NULL)) THEN 'persisted'
          ELSE 'conflict' END
        INTO p_outcome FROM oauth_grant WHERE grant_id = p_grant_id WITH RS USE AND KEEP UPDATE LOCKS;
    ELSE
      IF p_access_digest IS NOT NULL THEN
        INSERT INTO access_token (grant_id, digest, issued_at, expires_at, attempt, is_foreign, data)
          SELECT p_grant_id, p_access_digest, p_access_issued_at, p_access_expires_at, p_attempt, p_access_foreign, p_access_data FROM (VALUES 1) AS single (one)
            WHERE NOT EXISTS (SELECT 1 FROM access_token a WHERE a.grant_id = p_grant_id AND a.digest = p_access_digest);
      END IF;
      IF p_refresh_foreign = 1 THEN
        INSERT INTO foreign_token (digest, grant_id, retain_until)
          SELECT p_refresh_digest, p_grant_id, p_retain_until FROM (VALUES 1) AS single (one)
            WHERE NOT EXISTS (SELECT 1 FROM foreign_token f WHERE f.digest = p_refresh_digest AND f.grant_id = p_grant_id);
      END IF;
      IF p_access_foreign = 1 THEN
        INSERT INTO foreign_token (digest, grant_id, retain_until)
          SELECT p_access_digest, p_grant_id, p_retain_until FROM (VALUES 1) AS single (one)
            WHERE NOT EXISTS (SELECT 1 FROM foreign_token f WHERE f.digest = p_access_digest AND f.grant_id = p_grant_id);
      END IF;
      IF v_duplicate = 1 THEN
        SET p_outcome = 'conflict';
      END IF;
    END IF;
  END IF;
  IF p_outcome = 'persisted' THEN
    COMMIT;
  ELSE
    ROLLBACK;
  END IF;
END@

CREATE OR REPLACE PROCEDURE add_access (
  IN p_grant_id VARCHAR(16) FOR BIT DATA, IN p_access_digest VARCHAR(32) FOR BIT DATA, IN p_access_issued_at BIGINT,
  IN p_access_expires_at BIGINT, IN p_access_foreign SMALLINT, IN p_access_data VARCHAR(16000) FOR BIT DATA, IN p_now BIGINT,
  IN p_attempt VARCHAR(32) FOR BIT DATA, IN p_retain_until BIGINT, OUT p_outcome VARCHAR(10)
)
LANGUAGE SQL MODIFIES SQL DATA
BEGIN
  DECLARE v_same INTEGER DEFAULT 0;
  DECLARE v_duplicate SMALLINT DEFAULT 0;
  DECLARE CONTINUE HANDLER FOR SQLSTATE '23505' SET v_duplicate = 1;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  SELECT CASE WHEN revoked_at IS NOT NULL THEN 'revoked' WHEN expires_at <= p_now THEN 'expired' ELSE 'added' END
    INTO p_outcome FROM oauth_grant WHERE grant_id = p_grant_id WITH RS USE AND KEEP UPDATE LOCKS;
  IF p_outcome = 'added' THEN
    UPDATE oauth_grant SET retain_until = p_retain_until WHERE grant_id = p_grant_id AND retain_until < p_retain_until;
    INSERT INTO access_token (grant_id, digest, issued_at, expires_at, attempt, is_foreign, data)
      VALUES (p_grant_id, p_access_digest, p_access_issued_at, p_access_expires_at, p_attempt, p_access_foreign, p_access_data);
    IF v_duplicate = 1 THEN
      SELECT COUNT(*) INTO v_same FROM access_token WHERE grant_id = p_grant_id AND digest = p_access_digest AND attempt = p_attempt;
      SET v_duplicate = 1 - v_same;
    END IF;
    IF p_access_foreign = 1 THEN
      INSERT INTO foreign_token (digest, grant_id, retain_until)
        SELECT p_access_digest, p_grant_id, p_retain_until FROM (VALUES 1) AS single (one)
          WHERE NOT EXISTS (SELECT 1 FROM foreign_token f WHERE f.digest = p_access_digest AND f.grant_id = p_grant_id);
    END IF;
    IF v_duplicate = 1 THEN
      SET p_outcome = 'conflict';
    END IF;
  END IF;
  IF p_outcome = 'added' THEN
    COMMIT;
  ELSE
    ROLLBACK;
  END IF;
END@

CREATE OR REPLACE PROCEDURE add_refresh (
  IN p_grant_id VARCHAR(16) FOR BIT DATA, IN p_refresh_digest VARCHAR(32) FOR BIT DATA, IN p_refresh_expires_at BIGINT,
  IN p_refresh_idle_expires_at BIGINT, IN p_refresh_sender VARCHAR(64) FOR BIT DATA, IN p_refresh_foreign SMALLINT, IN p_now BIGINT,
  IN p_attempt VARCHAR(32) FOR BIT DATA, IN p_retain_until BIGINT, OUT p_outcome VARCHAR(10)
)
LANGUAGE SQL MODIFIES SQL DATA
BEGIN
  DECLARE v_duplicate SMALLINT DEFAULT 0;
  DECLARE CONTINUE HANDLER FOR SQLSTATE '23505' SET v_duplicate = 1;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  SELECT CASE
      WHEN revoked_at IS NOT NULL THEN 'revoked'
      WHEN expires_at <= p_now THEN 'expired'
      WHEN refresh_digest = p_refresh_digest AND attempt = p_attempt THEN 'repeated'
      WHEN refresh_digest IS NOT NULL THEN 'conflict'
      ELSE 'added' END
    INTO p_outcome FROM oauth_grant WHERE grant_id = p_grant_id WITH RS USE AND KEEP UPDATE LOCKS;
  IF p_outcome = 'added' THEN
    UPDATE oauth_grant SET retain_until = CASE WHEN retain_until < p_retain_until THEN p_retain_until ELSE retain_until END,
        refresh_sender = p_refresh_sender, refresh_expires_at = p_refresh_expires_at, refresh_idle_expires_at = p_refresh_idle_expires_at,
        refresh_foreign = p_refresh_foreign, attempt = p_attempt, refresh_digest = p_refresh_digest
      WHERE grant_id = p_grant_id;
    IF p_refresh_foreign = 1 THEN
      INSERT INTO foreign_token (digest, grant_id, retain_until) VALUES (p_refresh_digest, p_grant_id, p_retain_until);
    END IF;
    IF v_duplicate = 1 THEN
      SET p_outcome = 'conflict';
    END IF;
  END IF;
  IF p_outcome = 'added' THEN
    COMMIT;
  ELSE
    ROLLBACK;
  END IF;
  IF p_outcome = 'repeated' THEN
    SET p_outcome = 'added';
  END IF;
END@

CREATE OR REPLACE PROCEDURE find_access (
  IN p_grant_id VARCHAR(16) FOR BIT DATA, IN p_digest VARCHAR(32) FOR BIT DATA, IN p_now BIGINT,
  OUT p_outcome VARCHAR(10), OUT p_found_id VARCHAR(16) FOR BIT DATA, OUT p_client_id VARCHAR(480) FOR BIT DATA,
  OUT p_subject VARCHAR(480) FOR BIT DATA, OUT p_application_id VARCHAR(480) FOR BIT DATA, OUT p_consent_id VARCHAR(480) FOR BIT DATA,
  OUT p_created_at BIGINT, OUT p_expires_at BIGINT, OUT p_retain_until BIGINT, OUT p_data VARCHAR(16000) FOR BIT DATA,
  OUT p_access_digest VARCHAR(32) FOR BIT DATA, OUT p_access_issued_at BIGINT, OUT p_access_expires_at BIGINT, OUT p_access_foreign SMALLINT,
  OUT p_access_data VARCHAR(16000) FOR BIT DATA
)
LANGUAGE SQL MODIFIES SQL DATA
BEGIN
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  SET p_found_id = p_grant_id;
  IF p_grant_id IS NULL THEN
    SELECT grant_id INTO p_found_id FROM foreign_token WHERE digest = p_digest;
  END IF;
  SELECT g.client_id, g.subject, g.application_id, g.consent_id, g.created_at, g.expires_at, g.retain_until, g.data,
      a.digest, a.issued_at, a.expires_at, a.is_foreign, a.data, CASE
      WHEN g.revoked_at IS NOT NULL OR a.revoked_at IS NOT NULL THEN 'revoked'
      WHEN a.expires_at <= p_now OR g.expires_at <= p_now THEN 'expired'
      ELSE 'active' END
    INTO p_client_id, p_subject, p_application_id, p_consent_id, p_created_at, p_expires_at, p_retain_until, p_data,
      p_access_digest, p_access_issued_at, p_access_expires_at, p_access_foreign, p_access_data, p_outcome
    FROM access_token a JOIN oauth_grant g ON g.grant_id = a.grant_id
    WHERE a.grant_id = p_found_id AND a.digest = p_digest;
  COMMIT;
END@

CREATE OR REPLACE PROCEDURE find_refresh (
  IN p_grant_id VARCHAR(16) FOR BIT DATA, IN p_digest VARCHAR(32) FOR BIT DATA, IN p_now BIGINT,
  OUT p_outcome VARCHAR(10), OUT p_found_id VARCHAR(16) FOR BIT DATA, OUT p_client_id VARCHAR(480) FOR BIT DATA,
  OUT p_subject VARCHAR(480) FOR BIT DATA, OUT p_application_id VARCHAR(480) FOR BIT DATA, OUT p_consent_id VARCHAR(480) FOR BIT DATA,
  OUT p_created_at BIGINT, OUT p_expires_at BIGINT, OUT p_retain_until BIGINT, OUT p_data VARCHAR(16000) FOR BIT DATA,
  OUT p_refresh_digest VARCHAR(32) FOR BIT DATA, OUT p_refresh_expires_at BIGINT, OUT p_refresh_idle_expires_at BIGINT,
  OUT p_refresh_sender VARCHAR(64) FOR BIT DATA, OUT p_refresh_foreign SMALLINT, OUT p_rotated_at BIGINT
)
LANGUAGE SQL MODIFIES SQL DATA
BEGIN
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  SET p_found_id = p_grant_id;
  IF p_grant_id IS NULL THEN
    SELECT grant_id INTO p_found_id FROM foreign_token WHERE digest = p_digest;
  END IF;
  SELECT client_id, subject, application_id, consent_id, created_at, expires_at, retain_until, data,
      refresh_digest, refresh_expires_at, refresh_idle_expires_at, refresh_sender, refresh_foreign, COALESCE(retired_at, created_at), CASE
      WHEN refresh_digest IS NULL OR refresh_digest <> p_digest THEN 'retired'
      WHEN revoked_at IS NOT NULL THEN 'revoked'
      WHEN refresh_expires_at <= p_now OR refresh_idle_expires_at <= p_now OR expires_at <= p_now THEN 'expired'
      ELSE 'active' END
    INTO p_client_id, p_subject, p_application_id, p_consent_id, p_created_at, p_expires_at, p_retain_until, p_data,
      p_refresh_digest, p_refresh_expires_at, p_refresh_idle_expires_at, p_refresh_sender, p_refresh_foreign, p_rotated_at, p_outcome
    FROM oauth_grant WHERE grant_id = p_found_id AND client_id <> X'2E';
  COMMIT;
END@

CREATE OR REPLACE PROCEDURE rotate_refresh (
  IN p_grant_id VARCHAR(16) FOR BIT DATA, IN p_digest VARCHAR(32) FOR BIT DATA, IN p_kept SMALLINT, IN p_refresh_digest VARCHAR(32) FOR BIT DATA,
  IN p_refresh_expires_at BIGINT, IN p_refresh_idle_expires_at BIGINT, IN p_access_digest VARCHAR(32) FOR BIT DATA, IN p_access_issued_at BIGINT,
  IN p_access_expires_at BIGINT, IN p_access_data VARCHAR(16000) FOR BIT DATA, IN p_successor VARCHAR(16000) FOR BIT DATA, IN p_until BIGINT,
  IN p_presenter VARCHAR(480) FOR BIT DATA, IN p_sender VARCHAR(64) FOR BIT DATA, IN p_now BIGINT, IN p_attempt VARCHAR(32) FOR BIT DATA, IN p_grace_seconds BIGINT,
  OUT p_outcome VARCHAR(10), OUT p_found_id VARCHAR(16) FOR BIT DATA, OUT p_client_id VARCHAR(480) FOR BIT DATA,
  OUT p_subject VARCHAR(480) FOR BIT DATA, OUT p_application_id VARCHAR(480) FOR BIT DATA, OUT p_consent_id VARCHAR(480) FOR BIT DATA,
  OUT p_created_at BIGINT, OUT p_expires_at BIGINT, OUT p_retain_until BIGINT, OUT p_data VARCHAR(16000) FOR BIT DATA,
  OUT p_sealed VARCHAR(16000) FOR BIT DATA
)
LANGUAGE SQL MODIFIES SQL DATA
BEGIN
  DECLARE v_duplicate SMALLINT DEFAULT 0;
  DECLARE CONTINUE HANDLER FOR SQLSTATE '23505' SET v_duplicate = 1;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  SET p_found_id = p_grant_id;
  IF p_grant_id IS NULL THEN
    SELECT grant_id INTO p_found_id FROM foreign_token WHERE digest = p_digest;
  END IF;
  SELECT client_id, subject, application_id, consent_id, created_at, expires_at, retain_until, data, successor, CASE
      WHEN client_id <> p_presenter OR (refresh_sender IS NOT NULL AND (p_sender IS NULL OR refresh_sender <> p_sender)) THEN 'mismatched'
      WHEN refresh_digest = p_digest THEN CASE
        WHEN revoked_at IS NOT NULL THEN 'revoked'
        WHEN refresh_expires_at <= p_now OR refresh_idle_expires_at <= p_now OR expires_at <= p_now THEN 'expired'
        ELSE 'used' END
      WHEN retired_digest = p_digest AND (attempt = p_attempt OR retired_at + p_grace_seconds > p_now) THEN CASE
        WHEN revoked_at IS NOT NULL THEN 'revoked'
        WHEN expires_at <= p_now THEN 'expired'
        WHEN attempt = p_attempt THEN 'rotated'
        ELSE 'retried' END
      ELSE 'reused' END
    INTO p_client_id, p_subject, p_application_id, p_consent_id, p_created_at, p_expires_at, p_retain_until, p_data, p_sealed, p_outcome
    FROM oauth_grant WHERE grant_id = p_found_id AND client_id <> X'2E' WITH RS USE AND KEEP UPDATE LOCKS;
  IF p_outcome = 'used' THEN
    IF p_retain_until < p_until THEN
      SET p_retain_until = p_until;
    END IF;
    IF p_kept = 1 THEN
      UPDATE oauth_grant SET refresh_idle_expires_at = COALESCE(p_refresh_idle_expires_at, refresh_idle_expires_at), retain_until = p_retain_until
        WHERE grant_id = p_found_id;
    ELSE
      UPDATE oauth_grant SET refresh_expires_at = p_refresh_expires_at, refresh_idle_expires_at = p_refresh_idle_expires_at,
          refresh_foreign = NULL, retired_at = p_now, attempt = p_attempt, refresh_digest = p_refresh_digest,
          retired_digest = p_digest, successor = p_successor, retain_until = p_retain_until
        WHERE grant_id = p_found_id;
    END IF;
    IF p_access_digest IS NOT NULL THEN
      INSERT INTO access_token (grant_id, digest, issued_at, expires_at, attempt, data)
        VALUES (p_found_id, p_access_digest, p_access_issued_at, p_access_expires_at, p_attempt, p_access_data);
    END IF;
    IF v_duplicate = 1 AND p_kept = 0 THEN
      SET p_outcome = 'conflict';
      ROLLBACK;
    ELSE
      SET p_outcome = 'rotated';
      COMMIT;
    END IF;
    SET p_sealed = NULL; -- his own, which he has
  ELSE
    IF p_outcome = 'reused' THEN
      UPDATE oauth_grant SET revoked_at = p_now WHERE grant_id = p_found_id AND revoked_at IS NULL;
    END IF;
    COMMIT;
  END IF;
END@

CREATE OR REPLACE PROCEDURE revoke_access (
  IN p_grant_id VARCHAR(16) FOR BIT DATA, IN p_digest VARCHAR(32) FOR BIT DATA, IN p_now BIGINT, IN p_client_id VARCHAR(480) FOR BIT DATA,
  OUT p_changed BIGINT
)
LANGUAGE SQL MODIFIES SQL DATA
BEGIN
  DECLARE v_grant_id VARCHAR(16) FOR BIT DATA;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  SET v_grant_id = p_grant_id;
  IF p_grant_id IS NULL THEN
    SELECT grant_id INTO v_grant_id FROM foreign_token WHERE digest = p_digest;
  END IF;
  UPDATE access_token SET revoked_at = p_now
    WHERE grant_id = v_grant_id AND digest = p_digest AND revoked_at IS NULL AND EXISTS (
      SELECT 1 FROM oauth_grant g WHERE g.grant_id = v_grant_id AND g.revoked_at IS NULL AND (p_client_id IS NULL OR g.client_id = p_client_id));
  GET DIAGNOSTICS p_changed = ROW_COUNT;
  COMMIT;
END@

CREATE OR REPLACE PROCEDURE revoke_refresh (
  IN p_grant_id VARCHAR(16) FOR BIT DATA, IN p_digest VARCHAR(32) FOR BIT DATA, IN p_now BIGINT, IN p_client_id VARCHAR(480) FOR BIT DATA,
  OUT p_changed BIGINT
)
LANGUAGE SQL MODIFIES SQL DATA
BEGIN
  DECLARE v_grant_id VARCHAR(16) FOR BIT DATA;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  SET v_grant_id = p_grant_id;
  IF p_grant_id IS NULL THEN
    SELECT grant_id INTO v_grant_id FROM foreign_token WHERE digest = p_digest;
  END IF;
  UPDATE oauth_grant SET revoked_at = p_now
    WHERE grant_id = v_grant_id AND revoked_at IS NULL AND (p_client_id IS NULL OR client_id = p_client_id);
  GET DIAGNOSTICS p_changed = ROW_COUNT;
  COMMIT;
END@

-- A grant that is not there yet is stored as revoked, with no client and nothing else in it: it is refused when it comes.
CREATE OR REPLACE PROCEDURE revoke_grant (
  IN p_grant_id VARCHAR(16) FOR BIT DATA, IN p_now BIGINT, IN p_retain_until BIGINT
)
LANGUAGE SQL MODIFIES SQL DATA
BEGIN
  DECLARE v_changed BIGINT;
  DECLARE v_duplicate SMALLINT DEFAULT 0;
  DECLARE CONTINUE HANDLER FOR SQLSTATE '23505' SET v_duplicate = 1;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  UPDATE oauth_grant SET revoked_at = COALESCE(revoked_at, p_now),
      retain_until = CASE WHEN retain_until < p_retain_until THEN p_retain_until ELSE retain_until END
    WHERE grant_id = p_grant_id;
  GET DIAGNOSTICS v_changed = ROW_COUNT;
  IF v_changed = 0 THEN
    INSERT INTO oauth_grant (grant_id, client_id, created_at, data, revoked_at, retain_until)
      VALUES (p_grant_id, X'2E', p_now, X'2E', p_now, p_retain_until);
    IF v_duplicate = 1 THEN -- it came meanwhile
      UPDATE oauth_grant SET revoked_at = COALESCE(revoked_at, p_now),
          retain_until = CASE WHEN retain_until < p_retain_until THEN p_retain_until ELSE retain_until END
        WHERE grant_id = p_grant_id;
    END IF;
  END IF;
  COMMIT;
END@

CREATE OR REPLACE PROCEDURE revoke_access_of_grant (IN p_grant_id VARCHAR(16) FOR BIT DATA, IN p_now BIGINT)
LANGUAGE SQL MODIFIES SQL DATA
BEGIN
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  UPDATE access_token SET revoked_at = p_now WHERE grant_id = p_grant_id AND revoked_at IS NULL;
  COMMIT;
END@

CREATE OR REPLACE PROCEDURE mark_revoked (
  IN p_selector VARCHAR(32) FOR BIT DATA, IN p_now_ms BIGINT, IN p_retain_until BIGINT
)
LANGUAGE SQL MODIFIES SQL DATA
BEGIN
  DECLARE v_changed BIGINT;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  -- Waits for every grant that is being stored by somebody who looked for marks before this one.
  LOCK TABLE revocation IN EXCLUSIVE MODE;
  UPDATE revocation SET revoked_at_ms = CASE WHEN revoked_at_ms < p_now_ms THEN p_now_ms ELSE revoked_at_ms END,
      retain_until = CASE WHEN retain_until < p_retain_until THEN p_retain_until ELSE retain_until END
    WHERE selector = p_selector;
  GET DIAGNOSTICS v_changed = ROW_COUNT;
  IF v_changed = 0 THEN
    INSERT INTO revocation (selector, revoked_at_ms, retain_until) VALUES (p_selector, p_now_ms, p_retain_until);
  END IF;
  COMMIT;
END@

-- A page of the grants that match, in the order in which everybody locks several: by the first of subject, consent,
-- application and client that is given. WITH UR, the keys alone: a cursor would hold a lock on the row that it stands on, which
-- a rotation and this would wait for each other to let go; a grant that is not committed yet is waited for by the update.
CREATE OR REPLACE PROCEDURE revoke_by (
  IN p_subject VARCHAR(480) FOR BIT DATA, IN p_consent_id VARCHAR(480) FOR BIT DATA, IN p_application_id VARCHAR(480) FOR BIT DATA,
  IN p_client_id VARCHAR(480) FOR BIT DATA, IN p_now BIGINT, IN p_after BIGINT, IN p_after_id VARCHAR(16) FOR BIT DATA, IN p_limit BIGINT,
  OUT p_seen BIGINT, OUT p_ended BIGINT, OUT p_last BIGINT, OUT p_last_id VARCHAR(16) FOR BIT DATA
)
LANGUAGE SQL MODIFIES SQL DATA
BEGIN
  DECLARE v_lead VARCHAR(16);
  DECLARE v_grant_id VARCHAR(16) FOR BIT DATA;
  DECLARE v_created_at BIGINT;
  DECLARE v_at_end SMALLINT DEFAULT 0;
  DECLARE by_subject CURSOR FOR SELECT grant_id, created_at FROM oauth_grant
    WHERE subject = p_subject AND (p_consent_id IS NULL OR consent_id = p_consent_id) AND (p_application_id IS NULL OR application_id = p_application_id) AND (p_client_id IS NULL OR client_id = p_client_id)
      AND (created_at > p_after OR (created_at = p_after AND grant_id > p_after_id))
    ORDER BY created_at, grant_id FETCH FIRST 1000 ROWS ONLY WITH UR;
  DECLARE by_consent_id CURSOR FOR SELECT grant_id, created_at FROM oauth_grant
    WHERE consent_id = p_consent_id AND (p_application_id IS NULL OR application_id = p_application_id) AND (p_client_id IS NULL OR client_id = p_client_id)
      AND (created_at > p_after OR (created_at = p_after AND grant_id > p_after_id))
    ORDER BY created_at, grant_id FETCH FIRST 1000 ROWS ONLY WITH UR;
  DECLARE by_application_id CURSOR FOR SELECT grant_id, created_at FROM oauth_grant
    WHERE application_id = p_application_id AND (p_client_id IS NULL OR client_id = p_client_id)
      AND (created_at > p_after OR (created_at = p_after AND grant_id > p_after_id))
    ORDER BY created_at, grant_id FETCH FIRST 1000 ROWS ONLY WITH UR;
  DECLARE by_client_id CURSOR FOR SELECT grant_id, created_at FROM oauth_grant
    WHERE client_id = p_client_id
      AND (created_at > p_after OR (created_at = p_after AND grant_id > p_after_id))
    ORDER BY created_at, grant_id FETCH FIRST 1000 ROWS ONLY WITH UR;
  DECLARE CONTINUE HANDLER FOR NOT FOUND SET v_at_end = 1;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  SET p_seen = 0;
  SET p_ended = 0;
  IF p_subject IS NOT NULL THEN
    SET v_lead = 'subject';
    OPEN by_subject;
  ELSEIF p_consent_id IS NOT NULL THEN
    SET v_lead = 'consent';
    OPEN by_consent_id;
  ELSEIF p_application_id IS NOT NULL THEN
    SET v_lead = 'application';
    OPEN by_application_id;
  ELSE
    SET v_lead = 'client';
    OPEN by_client_id;
  END IF;
  WHILE v_at_end = 0 AND p_seen < p_limit DO
    IF v_lead = 'subject' THEN
      FETCH by_subject INTO v_grant_id, v_created_at;
    ELSEIF v_lead = 'consent' THEN
      FETCH by_consent_id INTO v_grant_id, v_created_at;
    ELSEIF v_lead = 'application' THEN
      FETCH by_application_id INTO v_grant_id, v_created_at;
    ELSE
      FETCH by_client_id INTO v_grant_id, v_created_at;
    END IF;
    IF v_at_end = 0 THEN
      UPDATE oauth_grant SET revoked_at = p_now WHERE grant_id = v_grant_id AND revoked_at IS NULL;
      SET p_seen = p_seen + 1;
      SET p_ended = p_ended + 1 - v_at_end; -- a row that is not there to be changed is NOT FOUND, too
      SET v_at_end = 0;
      SET p_last = v_created_at;
      SET p_last_id = v_grant_id;
    END IF;
  END WHILE;
  COMMIT;
END@

CREATE OR REPLACE PROCEDURE add_code (
  IN p_digest VARCHAR(32) FOR BIT DATA, IN p_grant_id VARCHAR(16) FOR BIT DATA, IN p_binding VARCHAR(32) FOR BIT DATA,
  IN p_expires_at BIGINT, IN p_retain_until BIGINT, IN p_attempt VARCHAR(32) FOR BIT DATA, IN p_data VARCHAR(16000) FOR BIT DATA,
  OUT p_same BIGINT
)
LANGUAGE SQL MODIFIES SQL DATA
BEGIN
  DECLARE v_duplicate SMALLINT DEFAULT 0;
  DECLARE CONTINUE HANDLER FOR SQLSTATE '23505' SET v_duplicate = 1;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  SET p_same = 1;
  INSERT INTO authorization_code (digest, grant_id, binding, expires_at, retain_until, attempt, data)
    VALUES (p_digest, p_grant_id, p_binding, p_expires_at, p_retain_until, p_attempt, p_data);
  IF v_duplicate = 1 THEN
    SELECT COUNT(*) INTO p_same FROM authorization_code WHERE digest = p_digest AND attempt = p_attempt;
  END IF;
  COMMIT;
END@

CREATE OR REPLACE PROCEDURE find_code (
  IN p_digest VARCHAR(32) FOR BIT DATA, IN p_now BIGINT,
  OUT p_outcome VARCHAR(10), OUT p_grant_id VARCHAR(16) FOR BIT DATA, OUT p_binding VARCHAR(32) FOR BIT DATA,
  OUT p_expires_at BIGINT, OUT p_retain_until BIGINT, OUT p_redeemed_at BIGINT, OUT p_data VARCHAR(16000) FOR BIT DATA
)
LANGUAGE SQL MODIFIES SQL DATA
BEGIN
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  SELECT grant_id, binding, expires_at, retain_until, redeemed_at, data, CASE
      WHEN redeemed_at IS NOT NULL THEN 'redeemed' WHEN expires_at <= p_now THEN 'expired' ELSE 'active' END
    INTO p_grant_id, p_binding, p_expires_at, p_retain_until, p_redeemed_at, p_data, p_outcome
    FROM authorization_code WHERE digest = p_digest;
  COMMIT;
END@

CREATE OR REPLACE PROCEDURE redeem_code (
  IN p_digest VARCHAR(32) FOR BIT DATA, IN p_presented VARCHAR(32) FOR BIT DATA, IN p_now BIGINT, IN p_attempt VARCHAR(32) FOR BIT DATA,
  OUT p_outcome VARCHAR(10), OUT p_grant_id VARCHAR(16) FOR BIT DATA, OUT p_binding VARCHAR(32) FOR BIT DATA,
  OUT p_expires_at BIGINT, OUT p_retain_until BIGINT, OUT p_data VARCHAR(16000) FOR BIT DATA
)
LANGUAGE SQL MODIFIES SQL DATA
BEGIN
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  SELECT grant_id, binding, expires_at, retain_until, data, CASE
      WHEN binding <> p_presented THEN 'mismatched'
      WHEN redeemed_at IS NOT NULL THEN CASE WHEN attempt = p_attempt THEN 'redeemed' ELSE 'replayed' END
      WHEN expires_at <= p_now THEN 'expired'
      ELSE 'usable' END
    INTO p_grant_id, p_binding, p_expires_at, p_retain_until, p_data, p_outcome
    FROM authorization_code WHERE digest = p_digest WITH RS USE AND KEEP UPDATE LOCKS;
  IF p_outcome = 'usable' THEN
    UPDATE authorization_code SET redeemed_at = p_now, attempt = p_attempt WHERE digest = p_digest;
    SET p_outcome = 'redeemed';
  END IF;
  COMMIT;
END@

CREATE OR REPLACE PROCEDURE remove_code (IN p_digest VARCHAR(32) FOR BIT DATA, OUT p_changed BIGINT)
LANGUAGE SQL MODIFIES SQL DATA
BEGIN
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  DELETE FROM authorization_code WHERE digest = p_digest;
  GET DIAGNOSTICS p_changed = ROW_COUNT;
  COMMIT;
END@

-- A row that lost its way in to another one keeps its id. All rows concerned are locked in the order of their ids: two
-- callers that take ways from one another cannot wait for each other.
CREATE OR REPLACE PROCEDURE put_artifact (
  IN p_kind VARCHAR(480) FOR BIT DATA, IN p_id VARCHAR(32) FOR BIT DATA, IN p_uid VARCHAR(32) FOR BIT DATA,
  IN p_user_code VARCHAR(32) FOR BIT DATA, IN p_consent_id VARCHAR(480) FOR BIT DATA, IN p_expires_at BIGINT, IN p_retain_until BIGINT,
  IN p_data VARCHAR(16000) FOR BIT DATA
)
LANGUAGE SQL MODIFIES SQL DATA
BEGIN
  DECLARE v_id VARCHAR(32) FOR BIT DATA;
  DECLARE v_duplicate SMALLINT DEFAULT 0;
  DECLARE v_at_end SMALLINT DEFAULT 0;
  DECLARE CONTINUE HANDLER FOR NOT FOUND SET v_at_end = 1;
  DECLARE CONTINUE HANDLER FOR SQLSTATE '23505' SET v_duplicate = 1;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  IF p_uid IS NOT NULL OR p_user_code IS NOT NULL THEN
    -- Before every id: an empty one would be compared as blanks, behind those that begin with less.
    SET v_id = X'0000000000000000000000000000000000000000000000000000000000000000';
    WHILE v_id IS NOT NULL DO
      -- No cursor: one that stood on the row would hold a lock that two callers could not both turn into their own.
      SELECT MIN(id) INTO v_id FROM (
        SELECT id FROM artifact WHERE kind = p_kind AND id = p_id AND id > v_id
        UNION ALL SELECT id FROM artifact WHERE kind = p_kind AND uid = p_uid AND id > v_id
        UNION ALL SELECT id FROM artifact WHERE kind = p_kind AND user_code = p_user_code AND id > v_id) AS concerned;
      UPDATE artifact SET uid = CASE WHEN id <> p_id AND uid = p_uid THEN NULL ELSE uid END,
          user_code = CASE WHEN id <> p_id AND user_code = p_user_code THEN NULL ELSE user_code END
        WHERE kind = p_kind AND id = v_id;
    END WHILE;
  END IF;
  SET v_at_end = 0;
  UPDATE artifact SET uid = p_uid, user_code = p_user_code, consent_id = p_consent_id, expires_at = p_expires_at,
      retain_until = p_retain_until, data = p_data
    WHERE kind = p_kind AND id = p_id;
  IF v_at_end = 1 THEN -- a row that is not there to be changed is NOT FOUND, too
    INSERT INTO artifact (kind, id, uid, user_code, consent_id, expires_at, retain_until, data)
      VALUES (p_kind, p_id, p_uid, p_user_code, p_consent_id, p_expires_at, p_retain_until, p_data);
    IF v_duplicate = 1 THEN -- it came meanwhile
      UPDATE artifact SET uid = p_uid, user_code = p_user_code, consent_id = p_consent_id, expires_at = p_expires_at,
          retain_until = p_retain_until, data = p_data
        WHERE kind = p_kind AND id = p_id;
    END IF;
  END IF;
  COMMIT;
END@

CREATE OR REPLACE PROCEDURE put_artifact_once (
  IN p_kind VARCHAR(480) FOR BIT DATA, IN p_id VARCHAR(32) FOR BIT DATA, IN p_consent_id VARCHAR(480) FOR BIT DATA,
  IN p_expires_at BIGINT, IN p_retain_until BIGINT, IN p_data VARCHAR(16000) FOR BIT DATA, IN p_now BIGINT,
  IN p_attempt VARCHAR(32) FOR BIT DATA, OUT p_changed BIGINT
)
LANGUAGE SQL MODIFIES SQL DATA
BEGIN
  DECLARE v_duplicate SMALLINT DEFAULT 0;
  DECLARE CONTINUE HANDLER FOR SQLSTATE '23505' SET v_duplicate = 1;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  SET p_changed = 1;
  INSERT INTO artifact (kind, id, consent_id, expires_at, retain_until, attempt, data)
    VALUES (p_kind, p_id, p_consent_id, p_expires_at, p_retain_until, p_attempt, p_data);
  IF v_duplicate = 1 THEN
    UPDATE artifact SET uid = NULL, user_code = NULL, consent_id = p_consent_id, expires_at = p_expires_at, retain_until = p_retain_until,
        consumed_at = NULL, attempt = p_attempt, data = p_data
      WHERE kind = p_kind AND id = p_id AND (expires_at <= p_now OR attempt = p_attempt);
    GET DIAGNOSTICS p_changed = ROW_COUNT;
  END IF;
  COMMIT;
END@

CREATE OR REPLACE PROCEDURE find_artifact (
  IN p_kind VARCHAR(480) FOR BIT DATA, IN p_key VARCHAR(32) FOR BIT DATA, IN p_way VARCHAR(10), IN p_now BIGINT,
  OUT p_outcome VARCHAR(10), OUT p_id VARCHAR(32) FOR BIT DATA, OUT p_uid VARCHAR(32) FOR BIT DATA, OUT p_user_code VARCHAR(32) FOR BIT DATA,
  OUT p_consent_id VARCHAR(480) FOR BIT DATA, OUT p_expires_at BIGINT, OUT p_retain_until BIGINT, OUT p_consumed_at BIGINT,
  OUT p_data VARCHAR(16000) FOR BIT DATA
)
LANGUAGE SQL MODIFIES SQL DATA
BEGIN
  DECLARE v_id VARCHAR(32) FOR BIT DATA;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  IF p_way = 'uid' THEN
    SELECT id INTO v_id FROM artifact WHERE kind = p_kind AND uid = p_key FETCH FIRST 1 ROWS ONLY;
  ELSEIF p_way = 'user_code' THEN
    SELECT id INTO v_id FROM artifact WHERE kind = p_kind AND user_code = p_key FETCH FIRST 1 ROWS ONLY;
  ELSE
    SET v_id = p_key;
  END IF;
  SELECT id, uid, user_code, consent_id, expires_at, retain_until, consumed_at, data,
      CASE WHEN expires_at <= p_now THEN 'expired' ELSE 'active' END
    INTO p_id, p_uid, p_user_code, p_consent_id, p_expires_at, p_retain_until, p_consumed_at, p_data, p_outcome
    FROM artifact WHERE kind = p_kind AND id = v_id
      AND (p_way <> 'uid' OR uid = p_key) AND (p_way <> 'user_code' OR user_code = p_key);
  COMMIT;
END@

CREATE OR REPLACE PROCEDURE consume_artifact (
  IN p_kind VARCHAR(480) FOR BIT DATA, IN p_id VARCHAR(32) FOR BIT DATA, IN p_now BIGINT, IN p_attempt VARCHAR(32) FOR BIT DATA,
  OUT p_changed BIGINT
)
LANGUAGE SQL MODIFIES SQL DATA
BEGIN
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  UPDATE artifact SET consumed_at = COALESCE(consumed_at, p_now), attempt = p_attempt
    WHERE kind = p_kind AND id = p_id AND (expires_at IS NULL OR expires_at > p_now) AND (consumed_at IS NULL OR attempt = p_attempt);
  GET DIAGNOSTICS p_changed = ROW_COUNT;
  COMMIT;
END@

CREATE OR REPLACE PROCEDURE remove_artifact (IN p_kind VARCHAR(480) FOR BIT DATA, IN p_id VARCHAR(32) FOR BIT DATA, OUT p_changed BIGINT)
LANGUAGE SQL MODIFIES SQL DATA
BEGIN
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  DELETE FROM artifact WHERE kind = p_kind AND id = p_id;
  GET DIAGNOSTICS p_changed = ROW_COUNT;
  COMMIT;
END@

CREATE OR REPLACE PROCEDURE remove_artifacts_by_consent (IN p_consent_id VARCHAR(480) FOR BIT DATA, OUT p_changed BIGINT)
LANGUAGE SQL MODIFIES SQL DATA
BEGIN
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  DELETE FROM artifact WHERE consent_id = p_consent_id;
  GET DIAGNOSTICS p_changed = ROW_COUNT;
  COMMIT;
END@

-- By the index of what is due, row by row. SKIP LOCKED DATA: two purges share the work instead of waiting for each other,
-- and none waits for a rotation. Db2 has it for no positioned delete: a row is locked by its query, and removed by its key.
CREATE OR REPLACE PROCEDURE purge_access_tokens (IN p_now BIGINT, IN p_limit BIGINT, OUT p_changed BIGINT)
LANGUAGE SQL MODIFIES SQL DATA
BEGIN
  DECLARE v_grant_id VARCHAR(16) FOR BIT DATA;
  DECLARE v_digest VARCHAR(32) FOR BIT DATA;
  DECLARE v_at_end SMALLINT DEFAULT 0;
  DECLARE due CURSOR FOR SELECT grant_id, digest FROM access_token WHERE expires_at <= p_now
    WITH RS USE AND KEEP UPDATE LOCKS SKIP LOCKED DATA;
  DECLARE CONTINUE HANDLER FOR NOT FOUND SET v_at_end = 1;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  SET p_changed = 0;
  OPEN due;
  FETCH due INTO v_grant_id, v_digest;
  WHILE v_at_end = 0 AND p_changed < p_limit DO
    DELETE FROM access_token WHERE grant_id = v_grant_id AND digest = v_digest;
    SET p_changed = p_changed + 1;
    FETCH due INTO v_grant_id, v_digest;
  END WHILE;
  CLOSE due;
  COMMIT;
END@

CREATE OR REPLACE PROCEDURE purge_grants (IN p_now BIGINT, IN p_limit BIGINT, OUT p_changed BIGINT)
LANGUAGE SQL MODIFIES SQL DATA
BEGIN
  DECLARE v_grant_id VARCHAR(16) FOR BIT DATA;
  DECLARE v_at_end SMALLINT DEFAULT 0;
  DECLARE due CURSOR FOR SELECT grant_id FROM oauth_grant WHERE retain_until <= p_now
    WITH RS USE AND KEEP UPDATE LOCKS SKIP LOCKED DATA;
  DECLARE CONTINUE HANDLER FOR NOT FOUND SET v_at_end = 1;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  SET p_changed = 0;
  OPEN due;
  FETCH due INTO v_grant_id;
  WHILE v_at_end = 0 AND p_changed < p_limit DO
    DELETE FROM oauth_grant WHERE grant_id = v_grant_id;
    SET p_changed = p_changed + 1;
    FETCH due INTO v_grant_id;
  END WHILE;
  CLOSE due;
  COMMIT;
END@

CREATE OR REPLACE PROCEDURE purge_foreign_tokens (IN p_now BIGINT, IN p_limit BIGINT, OUT p_changed BIGINT)
LANGUAGE SQL MODIFIES SQL DATA
BEGIN
  DECLARE v_digest VARCHAR(32) FOR BIT DATA;
  DECLARE v_at_end SMALLINT DEFAULT 0;
  DECLARE due CURSOR FOR SELECT digest FROM foreign_token WHERE retain_until <= p_now
    WITH RS USE AND KEEP UPDATE LOCKS SKIP LOCKED DATA;
  DECLARE CONTINUE HANDLER FOR NOT FOUND SET v_at_end = 1;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  SET p_changed = 0;
  OPEN due;
  FETCH due INTO v_digest;
  WHILE v_at_end = 0 AND p_changed < p_limit DO
    DELETE FROM foreign_token WHERE digest = v_digest;
    SET p_changed = p_changed + 1;
    FETCH due INTO v_digest;
  END WHILE;
  CLOSE due;
  COMMIT;
END@

CREATE OR REPLACE PROCEDURE purge_revocations (IN p_now BIGINT, IN p_limit BIGINT, OUT p_changed BIGINT)
LANGUAGE SQL MODIFIES SQL DATA
BEGIN
  DECLARE v_selector VARCHAR(32) FOR BIT DATA;
  DECLARE v_at_end SMALLINT DEFAULT 0;
  DECLARE due CURSOR FOR SELECT selector FROM revocation WHERE retain_until <= p_now
    WITH RS USE AND KEEP UPDATE LOCKS SKIP LOCKED DATA;
  DECLARE CONTINUE HANDLER FOR NOT FOUND SET v_at_end = 1;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  SET p_changed = 0;
  OPEN due;
  FETCH due INTO v_selector;
  WHILE v_at_end = 0 AND p_changed < p_limit DO
    DELETE FROM revocation WHERE selector = v_selector;
    SET p_changed = p_changed + 1;
    FETCH due INTO v_selector;
  END WHILE;
  CLOSE due;
  COMMIT;
END@

CREATE OR REPLACE PROCEDURE purge_codes (IN p_now BIGINT, IN p_limit BIGINT, OUT p_changed BIGINT)
LANGUAGE SQL MODIFIES SQL DATA
BEGIN
  DECLARE v_digest VARCHAR(32) FOR BIT DATA;
  DECLARE v_at_end SMALLINT DEFAULT 0;
  DECLARE due CURSOR FOR SELECT digest FROM authorization_code WHERE retain_until <= p_now
    WITH RS USE AND KEEP UPDATE LOCKS SKIP LOCKED DATA;
  DECLARE CONTINUE HANDLER FOR NOT FOUND SET v_at_end = 1;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  SET p_changed = 0;
  OPEN due;
  FETCH due INTO v_digest;
  WHILE v_at_end = 0 AND p_changed < p_limit DO
    DELETE FROM authorization_code WHERE digest = v_digest;
    SET p_changed = p_changed + 1;
    FETCH due INTO v_digest;
  END WHILE;
  CLOSE due;
  COMMIT;
END@

CREATE OR REPLACE PROCEDURE purge_artifacts (IN p_now BIGINT, IN p_limit BIGINT, OUT p_changed BIGINT)
LANGUAGE SQL MODIFIES SQL DATA
BEGIN
  DECLARE v_kind VARCHAR(480) FOR BIT DATA;
  DECLARE v_id VARCHAR(32) FOR BIT DATA;
  DECLARE v_at_end SMALLINT DEFAULT 0;
  DECLARE due CURSOR FOR SELECT kind, id FROM artifact WHERE due_at <= p_now
    WITH RS USE AND KEEP UPDATE LOCKS SKIP LOCKED DATA;
  DECLARE CONTINUE HANDLER FOR NOT FOUND SET v_at_end = 1;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  SET p_changed = 0;
  OPEN due;
  FETCH due INTO v_kind, v_id;
  WHILE v_at_end = 0 AND p_changed < p_limit DO
    DELETE FROM artifact WHERE kind = v_kind AND id = v_id;
    SET p_changed = p_changed + 1;
    FETCH due INTO v_kind, v_id;
  END WHILE;
  CLOSE due;
  COMMIT;
END@

INSERT INTO oauth_schema (component, version) SELECT 'oauth-server', 2 FROM (VALUES 1) AS single (one)
  WHERE NOT EXISTS (SELECT 1 FROM oauth_schema WHERE component = 'oauth-server')@
