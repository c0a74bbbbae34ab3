-- oauth2-stores: authorization codes, access tokens and refresh tokens, and what an authorization server keeps beside them
-- MySQL 8.0.29 or newer, Aurora MySQL 3.05 or newer. Run it with: mysql --default-character-set=utf8mb4 DATABASE < oauth-server.sql
-- Can be run again at any time. Times are epoch seconds; digests, identifiers and records are bytes.
-- It makes version 2. DDL is no transaction here: what was interrupted is run to its end by running it again.
-- Names are compared byte by byte, by a collation in which trailing spaces and case count.

-- Kept with every procedure: a value that does not fit is an error.
SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION';

CREATE TABLE IF NOT EXISTS oauth_schema (
  component                VARCHAR(64)     NOT NULL,
  version                  INT             NOT NULL,
  CONSTRAINT oauth_schema_pk PRIMARY KEY (component)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_0900_bin;

-- That it has begun: version 0, until its end.
INSERT INTO oauth_schema (component, version) VALUES ('oauth-server', 0) ON DUPLICATE KEY UPDATE component = 'oauth-server';

-- One authorization and its refresh token: everything that must change together stands in this one row.
-- The table is stored in the order of its key, whose first bytes are a time: new grants come beside each other.
-- No index on a column that a rotation changes, but for retain_until, which moves once a day.
CREATE TABLE IF NOT EXISTS oauth_grant (
  grant_id                 BINARY(12)      NOT NULL,
  client_id                VARCHAR(255)    NOT NULL,
  subject                  VARCHAR(512),
  application_id           VARCHAR(255),
  consent_id               VARCHAR(512),
  created_at               BIGINT          NOT NULL,
  expires_at               BIGINT,
  refresh_sender           BINARY(32),
  data                     MEDIUMBLOB      NOT NULL,
  revoked_at               BIGINT,
  retain_until             BIGINT          NOT NULL,
  refresh_expires_at       BIGINT,
  refresh_idle_expires_at  BIGINT,
  refresh_foreign          BOOLEAN,
  retired_at               BIGINT,
  attempt                  BINARY(16),
  refresh_digest           VARBINARY(64),
  retired_digest           VARBINARY(64),
  successor                MEDIUMBLOB,
  CONSTRAINT oauth_grant_pk PRIMARY KEY (grant_id),
  KEY oauth_grant_subject (subject),
  -- Each ends with the grant's id, as every index does here: a page of a client's grants is read in its order.
  KEY oauth_grant_client (client_id, created_at),
  KEY oauth_grant_application (application_id, created_at),
  KEY oauth_grant_consent (consent_id),
  KEY oauth_grant_retain (retain_until)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_0900_bin;

CREATE TABLE IF NOT EXISTS access_token (
  grant_id                 BINARY(12)      NOT NULL,
  digest                   VARBINARY(64)   NOT NULL,
  issued_at                BIGINT          NOT NULL,
  expires_at               BIGINT          NOT NULL,
  revoked_at               BIGINT,
  attempt                  BINARY(16)      NOT NULL,
  is_foreign               BOOLEAN,
  data                     MEDIUMBLOB,
  CONSTRAINT access_token_pk PRIMARY KEY (grant_id, digest),
  KEY access_token_expires (expires_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_0900_bin;

-- The way from a token that another server minted to its grant; our own tokens lead there by themselves.
CREATE TABLE IF NOT EXISTS foreign_token (
  digest                   VARBINARY(64)   NOT NULL,
  grant_id                 BINARY(12)      NOT NULL,
  retain_until             BIGINT          NOT NULL,
  CONSTRAINT foreign_token_pk PRIMARY KEY (digest),
  KEY foreign_token_retain (retain_until)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_0900_bin;

-- Revocations by subject, client, application or consent: grants that were authorized before one cannot be stored after it.
CREATE TABLE IF NOT EXISTS revocation (
  selector                 VARBINARY(32)   NOT NULL,
  revoked_at_ms            BIGINT          NOT NULL,
  retain_until             BIGINT          NOT NULL,
  CONSTRAINT revocation_pk PRIMARY KEY (selector),
  KEY revocation_retain (retain_until)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_0900_bin;

-- No revocation, but what all of them lock while they are written, and whoever stores a grant of a code shares: a revocation
-- waits for the grants that come without having seen it. No selector has this key, and nothing is due so late.
INSERT INTO revocation (selector, revoked_at_ms, retain_until) VALUES (x'00', -1, 9223372036854775807)
  ON DUPLICATE KEY UPDATE selector = x'00';

CREATE TABLE IF NOT EXISTS authorization_code (
  digest                   VARBINARY(64)   NOT NULL,
  grant_id                 BINARY(12)      NOT NULL,
  binding                  VARBINARY(64)   NOT NULL,
  expires_at               BIGINT          NOT NULL,
  retain_until             BIGINT          NOT NULL,
  data                     MEDIUMBLOB      NOT NULL,
  redeemed_at              BIGINT,
  attempt                  BINARY(16)      NOT NULL,
  CONSTRAINT authorization_code_pk PRIMARY KEY (digest),
  KEY authorization_code_retain (retain_until)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_0900_bin;

CREATE TABLE IF NOT EXISTS artifact (
  kind                     VARCHAR(64)     NOT NULL,
  id                       VARBINARY(64)   NOT NULL,
  uid                      VARBINARY(64),
  user_code                VARBINARY(64),
  consent_id               VARCHAR(512),
  expires_at               BIGINT,
  retain_until             BIGINT,
  consumed_at              BIGINT,
  attempt                  BINARY(16),
  data                     MEDIUMBLOB      NOT NULL,
  CONSTRAINT artifact_pk PRIMARY KEY (kind, id),
  KEY artifact_uid (kind, uid),
  KEY artifact_user_code (kind, user_code),
  KEY artifact_consent (consent_id),
  KEY artifact_retain ((COALESCE(retain_until, expires_at)))
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_0900_bin;

-- What takes several statements, in one round trip. Each is one transaction, or pages that are whole one by one; what fails
-- leaves nothing, and no open transaction. They run with the privileges of whoever calls them.

DELIMITER //

-- Stores a new grant with its first tokens; gives `outcome`.
CREATE PROCEDURE IF NOT EXISTS oauth_persist(
  p_grant_id BINARY(12), p_client_id VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
  p_subject VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
  p_application_id VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
  p_consent_id VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin, p_created_at BIGINT, p_expires_at BIGINT,
  p_refresh_sender BINARY(32), p_data MEDIUMBLOB, p_retain_until BIGINT, p_refresh_expires_at BIGINT,
  p_refresh_idle_expires_at BIGINT, p_refresh_foreign BOOLEAN, p_attempt BINARY(16), p_refresh_digest VARBINARY(64),
  p_access_digest VARBINARY(64), p_access_issued_at BIGINT, p_access_expires_at BIGINT, p_access_foreign BOOLEAN,
  p_access_data MEDIUMBLOB, p_authorized_at_ms BIGINT, p_selectors VARBINARY(480)
) MODIFIES SQL DATA SQL SECURITY INVOKER
BEGIN
  DECLARE v_gate VARBINARY(32);
  DECLARE v_outcome VARCHAR(10);
  DECLARE v_there BOOLEAN;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION
  BEGIN
    ROLLBACK;
    RESIGNAL;
  END;
  START TRANSACTION;
  IF p_authorized_at_ms IS NOT NULL THEN
    -- Held to the end: a revocation by selector waits for this grant, or has written its mark, which is read now.
    SELECT selector INTO v_gate FROM revocation WHERE selector = x'00' FOR SHARE;
    IF v_gate IS NULL THEN
      SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'the first row of the table revocation is missing: run oauth-server.sql';
    END IF;
    SELECT 'barred' INTO v_outcome FROM revocation
      WHERE selector IN (
          SUBSTRING(p_selectors, 1, 32), SUBSTRING(p_selectors, 33, 32), SUBSTRING(p_selectors, 65, 32),
          SUBSTRING(p_selectors, 97, 32), SUBSTRING(p_selectors, 129, 32), SUBSTRING(p_selectors, 161, 32),
          SUBSTRING(p_selectors, 193, 32), SUBSTRING(p_selectors, 225, 32), SUBSTRING(p_selectors, 257, 32),
          SUBSTRING(p_selectors, 289, 32), SUBSTRING(p_selectors, 321, 32), SUBSTRING(p_selectors, 353, 32),
          SUBSTRING(p_selectors, 385, 32), SUBSTRING(p_selectors, 417, 32), SUBSTRING(p_selectors, 449, 32))
        AND revoked_at_ms >= p_authorized_at_ms
      LIMIT 1;
  END IF;
  IF v_outcome IS NULL THEN
    INSERT INTO oauth_grant (grant_id, client_id, subject, application_id, consent_id, created_at, expires_at,
        refresh_sender, data, retain_until, refresh_expires_at, refresh_idle_expires_at, refresh_foreign, attempt, refresh_digest)
      VALUES (p_grant_id, p_client_id, p_subject, p_application_id, p_consent_id, p_created_at, p_expires_at,
        p_refresh_sender, p_data, p_retain_until, p_refresh_expires_at, p_refresh_idle_expires_at, p_refresh_foreign, p_attempt, p_refresh_digest)
      ON DUPLICATE KEY UPDATE grant_id = p_grant_id;
    -- Under the lock on its grant it is seen whether the token is there: no key tells, where it may be in another partition.
    SELECT CASE
        WHEN g.revoked_at IS NOT NULL THEN 'revoked'
        WHEN g.attempt = p_attempt AND g.refresh_digest <=> p_refresh_digest THEN 'persisted'
        ELSE 'conflict' END, a.digest IS NOT NULL
      INTO v_outcome, v_there
      FROM oauth_grant g LEFT JOIN access_token a ON a.grant_id = g.grant_id AND a.digest = p_access_digest
      WHERE g.grant_id = p_grant_id LIMIT 1 FOR UPDATE;
  END IF;
  IF v_outcome = 'persisted' THEN
    IF p_access_digest IS NOT NULL AND NOT v_there THEN
      INSERT INTO access_token (grant_id, digest, issued_at, expires_at, attempt, is_foreign, data)
        VALUES (p_grant_id, p_access_digest, p_access_issued_at, p_access_expires_at, p_attempt, p_access_foreign, p_access_data);
    END IF;
    -- The way of another grant would become NULL, which is refused.
    IF p_refresh_foreign THEN
      INSERT INTO foreign_token (digest, grant_id, retain_until) VALUES (p_refresh_digest, p_grant_id, p_retain_until)
        ON DUPLICATE KEY UPDATE grant_id = IF(grant_id = p_grant_id, grant_id, NULL);
    END IF;
    IF p_access_foreign THEN
      INSERT INTO foreign_token (digest, grant_id, retain_until) VALUES (p_access_digest, p_grant_id, p_retain_until)
        ON DUPLICATE KEY UPDATE grant_id = IF(grant_id = p_grant_id, grant_id, NULL);
    END IF;
  END IF;
  COMMIT;
  SELECT v_outcome AS outcome;
END //

-- Stores a further access token of a grant; gives `outcome`, or nothing where there is no grant.
CREATE PROCEDURE IF NOT EXISTS oauth_add_access(
  p_grant_id BINARY(12), p_access_digest VARBINARY(64), p_access_issued_at BIGINT, p_access_expires_at BIGINT,
  p_access_foreign BOOLEAN, p_access_data MEDIUMBLOB, p_now BIGINT, p_attempt BINARY(16), p_retain_until BIGINT
) MODIFIES SQL DATA SQL SECURITY INVOKER
BEGIN
  DECLARE v_outcome VARCHAR(10);
  DECLARE EXIT HANDLER FOR SQLEXCEPTION
  BEGIN
    ROLLBACK;
    RESIGNAL;
  END;
  START TRANSACTION;
  SELECT CASE
      WHEN g.revoked_at IS NOT NULL THEN 'revoked'
      WHEN g.expires_at <= p_now THEN 'expired'
      WHEN a.attempt = p_attempt THEN 'repeated'
      WHEN a.attempt IS NOT NULL THEN 'conflict'
      ELSE 'added' END
    INTO v_outcome
    FROM oauth_grant g LEFT JOIN access_token a ON a.grant_id = g.grant_id AND a.digest = p_access_digest
    WHERE g.grant_id = p_grant_id LIMIT 1 FOR UPDATE;
  IF v_outcome = 'added' THEN
    UPDATE oauth_grant SET retain_until = p_retain_until WHERE grant_id = p_grant_id AND retain_until < p_retain_until;
    INSERT INTO access_token (grant_id, digest, issued_at, expires_at, attempt, is_foreign, data)
      VALUES (p_grant_id, p_access_digest, p_access_issued_at, p_access_expires_at, p_attempt, p_access_foreign, p_access_data);
    -- The way of another grant would become NULL, which is refused.
    IF p_access_foreign THEN
      INSERT INTO foreign_token (digest, grant_id, retain_until) VALUES (p_access_digest, p_grant_id, p_retain_until)
        ON DUPLICATE KEY UPDATE grant_id = IF(grant_id = p_grant_id, grant_id, NULL);
    END IF;
  END IF;
  COMMIT;
  SELECT CASE COALESCE(v_outcome, 'unknown') WHEN 'repeated' THEN 'added' ELSE COALESCE(v_outcome, 'unknown') END AS outcome;
END //

-- Stores the refresh token of a grant that has none; gives `outcome`.
CREATE PROCEDURE IF NOT EXISTS oauth_add_refresh(
  p_grant_id BINARY(12), p_refresh_digest VARBINARY(64), p_refresh_expires_at BIGINT, p_refresh_idle_expires_at BIGINT,
  p_refresh_foreign BOOLEAN, p_refresh_sender BINARY(32), p_now BIGINT, p_attempt BINARY(16), p_retain_until BIGINT
) MODIFIES SQL DATA SQL SECURITY INVOKER
BEGIN
  DECLARE v_outcome VARCHAR(10);
  DECLARE EXIT HANDLER FOR SQLEXCEPTION
  BEGIN
    ROLLBACK;
    RESIGNAL;
  END;
  START TRANSACTION;
  SELECT CASE
      WHEN revoked_at IS NOT NULL THEN 'revoked'
      WHEN expires_at <= p_now THEN 'expired'
      WHEN refresh_digest = p_refresh_digest AND attempt = p_attempt THEN 'repeated'
      WHEN refresh_digest IS NOT NULL THEN 'conflict'
      ELSE 'added' END
    INTO v_outcome FROM oauth_grant WHERE grant_id = p_grant_id FOR UPDATE;
  IF v_outcome = 'added' THEN
    UPDATE oauth_grant SET retain_until = GREATEST(retain_until, p_retain_until), refresh_sender = p_refresh_sender,
        refresh_expires_at = p_refresh_expires_at, refresh_idle_expires_at = p_refresh_idle_expires_at,
        refresh_foreign = p_refresh_foreign, attempt = p_attempt, refresh_digest = p_refresh_digest
      WHERE grant_id = p_grant_id;
    IF p_refresh_foreign THEN
      INSERT INTO foreign_token (digest, grant_id, retain_until) VALUES (p_refresh_digest, p_grant_id, p_retain_until);
    END IF;
  END IF;
  COMMIT;
  SELECT CASE COALESCE(v_outcome, 'unknown') WHEN 'repeated' THEN 'added' ELSE COALESCE(v_outcome, 'unknown') END AS outcome;
END //

-- Replaces the refresh token of a grant, or keeps it, and stores the new access token; a token that was used before ends the
-- grant. Decided from the row that is locked first. Gives the grant, `outcome` and `sealed`, or nothing where there is no grant.
-- With p_partitions, access tokens are in partitions, and no key tells whether the new one is there already.
CREATE PROCEDURE IF NOT EXISTS oauth_rotate(
  p_grant_id BINARY(12), p_digest VARBINARY(64), p_client_id VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
  p_sender BINARY(32), p_now BIGINT, p_attempt BINARY(16), p_grace_seconds BIGINT, p_kept BOOLEAN,
  p_partitions BOOLEAN, p_refresh_digest VARBINARY(64), p_refresh_expires_at BIGINT, p_refresh_idle_expires_at BIGINT,
  p_access_digest VARBINARY(64), p_access_issued_at BIGINT, p_access_expires_at BIGINT, p_access_data MEDIUMBLOB,
  p_sealed MEDIUMBLOB, p_retain_until BIGINT
) MODIFIES SQL DATA SQL SECURITY INVOKER
BEGIN
  DECLARE v_grant_id BINARY(12) DEFAULT p_grant_id;
  DECLARE v_outcome VARCHAR(10) DEFAULT 'unknown';
  DECLARE v_successor MEDIUMBLOB;
  DECLARE v_there BOOLEAN DEFAULT FALSE;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION
  BEGIN
    ROLLBACK;
    RESIGNAL;
  END;
  START TRANSACTION;
  IF v_grant_id IS NULL THEN
    SELECT grant_id INTO v_grant_id FROM foreign_token WHERE digest = p_digest;
  END IF;
  -- A token that can be used, as most can, takes no statement but this one and the insert. Within a CASE, no condition leads
  -- the optimizer to look into an index.
  UPDATE oauth_grant SET
      refresh_expires_at = IF(p_kept, refresh_expires_at, p_refresh_expires_at),
      refresh_idle_expires_at = IF(p_kept, COALESCE(p_refresh_idle_expires_at, refresh_idle_expires_at), p_refresh_idle_expires_at),
      refresh_foreign = IF(p_kept, refresh_foreign, NULL),
      retired_at = IF(p_kept, retired_at, p_now),
      attempt = IF(p_kept, attempt, p_attempt),
      refresh_digest = IF(p_kept, refresh_digest, p_refresh_digest),
      retired_digest = IF(p_kept, retired_digest, p_digest),
      successor = IF(p_kept, successor, p_sealed),
      retain_until = GREATEST(retain_until, p_retain_until)
    WHERE grant_id = v_grant_id AND CASE
      WHEN client_id <> p_client_id OR (refresh_sender IS NOT NULL AND NOT refresh_sender <=> p_sender) THEN FALSE
      WHEN revoked_at IS NOT NULL THEN FALSE
      WHEN refresh_expires_at <= p_now OR refresh_idle_expires_at <= p_now OR expires_at <= p_now THEN FALSE
      ELSE refresh_digest = p_digest END;
  -- A row that meets the condition counts, whether or not it changes by it (CLIENT_FOUND_ROWS).
  IF ROW_COUNT() > 0 THEN
    SET v_outcome = 'rotated';
    IF p_kept OR p_partitions THEN
      SELECT TRUE INTO v_there FROM access_token WHERE grant_id = v_grant_id AND digest = p_access_digest LIMIT 1 FOR UPDATE;
    END IF;
    -- A token that is kept can be used again, so the repeat of an attempt meets its own. Any other is a conflict: with no
    -- attempt it is refused.
    IF p_access_digest IS NOT NULL AND NOT (p_kept AND v_there) THEN
      INSERT INTO access_token (grant_id, digest, issued_at, expires_at, attempt, data)
        VALUES (v_grant_id, p_access_digest, p_access_issued_at, p_access_expires_at, IF(v_there, NULL, p_attempt), p_access_data);
    END IF;
  ELSE
    SELECT successor, CASE
        WHEN client_id <> p_client_id OR (refresh_sender IS NOT NULL AND NOT refresh_sender <=> p_sender) THEN 'mismatched'
        WHEN refresh_digest = p_digest THEN CASE
          WHEN revoked_at IS NOT NULL THEN 'revoked'
          WHEN refresh_expires_at <= p_now OR refresh_idle_expires_at <= p_now OR expires_at <= p_now THEN 'expired'
          ELSE 'usable' END
        WHEN retired_digest = p_digest AND (attempt = p_attempt OR retired_at + p_grace_seconds > p_now) THEN CASE
          WHEN revoked_at IS NOT NULL THEN 'revoked'
          WHEN expires_at <= p_now THEN 'expired'
          WHEN attempt = p_attempt THEN 'rotated'
          ELSE 'retried' END
        ELSE 'reused' END
      INTO v_successor, v_outcome FROM oauth_grant WHERE grant_id = v_grant_id AND client_id <> '' FOR UPDATE;
    IF v_outcome = 'usable' THEN
      -- It has come between the two statements: as after a deadlock, nothing was done.
      SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213, MESSAGE_TEXT = 'the refresh token has just been stored: try again';
    ELSEIF v_outcome = 'reused' THEN
      UPDATE oauth_grant SET revoked_at = p_now WHERE grant_id = v_grant_id AND revoked_at IS NULL;
    END IF;
  END IF;
  COMMIT;
  SELECT grant_id, client_id, subject, application_id, consent_id, created_at, expires_at, retain_until, data,
      v_outcome AS outcome, IF(v_outcome IN ('rotated', 'retried'), v_successor, NULL) AS sealed
    FROM oauth_grant WHERE grant_id = v_grant_id;
END //

-- Writes the mark of a revocation by selector, once every grant has come that could not have seen it.
CREATE PROCEDURE IF NOT EXISTS oauth_mark_revoked(
  p_selector VARBINARY(32), p_now_ms BIGINT, p_retain_until BIGINT
) MODIFIES SQL DATA SQL SECURITY INVOKER
BEGIN
  DECLARE v_gate VARBINARY(32);
  DECLARE EXIT HANDLER FOR SQLEXCEPTION
  BEGIN
    ROLLBACK;
    RESIGNAL;
  END;
  START TRANSACTION;
  SELECT selector INTO v_gate FROM revocation WHERE selector = x'00' FOR UPDATE;
  IF v_gate IS NULL THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'the first row of the table revocation is missing: run oauth-server.sql';
  END IF;
  INSERT INTO revocation (selector, revoked_at_ms, retain_until) VALUES (p_selector, p_now_ms, p_retain_until)
    ON DUPLICATE KEY UPDATE revoked_at_ms = GREATEST(revoked_at_ms, p_now_ms), retain_until = GREATEST(retain_until, p_retain_until);
  COMMIT;
END //

-- Ends a page of the grants that match, in their order; gives how many were `seen` and `ended`, and the position of the last.
CREATE PROCEDURE IF NOT EXISTS oauth_revoke_by_subject(
  p_subject VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
  p_client_id VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
  p_application_id VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
  p_consent_id VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin, p_after_created_at BIGINT,
  p_after_id BINARY(12), p_now BIGINT, p_limit BIGINT
) MODIFIES SQL DATA SQL SECURITY INVOKER
BEGIN
  DECLARE v_seen BIGINT;
  DECLARE v_created_at BIGINT;
  DECLARE v_grant_id BINARY(12);
  DECLARE v_ended BIGINT;
  SELECT COUNT(*) OVER (), created_at, grant_id INTO v_seen, v_created_at, v_grant_id
    FROM (
      SELECT created_at, grant_id FROM oauth_grant
        WHERE subject = p_subject
          AND (p_subject IS NULL OR subject = p_subject) AND (p_client_id IS NULL OR client_id = p_client_id)
          AND (p_application_id IS NULL OR application_id = p_application_id) AND (p_consent_id IS NULL OR consent_id = p_consent_id)
          AND created_at >= p_after_created_at AND (created_at > p_after_created_at OR grant_id > p_after_id)
        ORDER BY created_at, grant_id LIMIT p_limit
    ) AS page
    ORDER BY created_at DESC, grant_id DESC LIMIT 1;
  UPDATE oauth_grant SET revoked_at = p_now
    WHERE subject = p_subject
      AND (p_subject IS NULL OR subject = p_subject) AND (p_client_id IS NULL OR client_id = p_client_id)
      AND (p_application_id IS NULL OR application_id = p_application_id) AND (p_consent_id IS NULL OR consent_id = p_consent_id)
      AND created_at >= p_after_created_at AND (created_at > p_after_created_at OR grant_id > p_after_id)
      AND created_at <= v_created_at AND (created_at < v_created_at OR grant_id <= v_grant_id)
      AND revoked_at IS NULL;
  SET v_ended = ROW_COUNT();
  SELECT COALESCE(v_seen, 0) AS seen, v_ended AS ended, v_created_at AS minute, v_grant_id AS grant_id;
END //

CREATE PROCEDURE IF NOT EXISTS oauth_revoke_by_consent(
  p_subject VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
  p_client_id VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
  p_application_id VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
  p_consent_id VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin, p_after_created_at BIGINT,
  p_after_id BINARY(12), p_now BIGINT, p_limit BIGINT
) MODIFIES SQL DATA SQL SECURITY INVOKER
BEGIN
  DECLARE v_seen BIGINT;
  DECLARE v_created_at BIGINT;
  DECLARE v_grant_id BINARY(12);
  DECLARE v_ended BIGINT;
  SELECT COUNT(*) OVER (), created_at, grant_id INTO v_seen, v_created_at, v_grant_id
    FROM (
      SELECT created_at, grant_id FROM oauth_grant
        WHERE consent_id = p_consent_id
          AND (p_subject IS NULL OR subject = p_subject) AND (p_client_id IS NULL OR client_id = p_client_id)
          AND (p_application_id IS NULL OR application_id = p_application_id) AND (p_consent_id IS NULL OR consent_id = p_consent_id)
          AND created_at >= p_after_created_at AND (created_at > p_after_created_at OR grant_id > p_after_id)
        ORDER BY created_at, grant_id LIMIT p_limit
    ) AS page
    ORDER BY created_at DESC, grant_id DESC LIMIT 1;
  UPDATE oauth_grant SET revoked_at = p_now
    WHERE consent_id = p_consent_id
      AND (p_subject IS NULL OR subject = p_subject) AND (p_client_id IS NULL OR client_id = p_client_id)
      AND (p_application_id IS NULL OR application_id = p_application_id) AND (p_consent_id IS NULL OR consent_id = p_consent_id)
      AND created_at >= p_after_created_at AND (created_at > p_after_created_at OR grant_id > p_after_id)
      AND created_at <= v_created_at AND (created_at < v_created_at OR grant_id <= v_grant_id)
      AND revoked_at IS NULL;
  SET v_ended = ROW_COUNT();
  SELECT COALESCE(v_seen, 0) AS seen, v_ended AS ended, v_created_at AS minute, v_grant_id AS grant_id;
END //

CREATE PROCEDURE IF NOT EXISTS oauth_revoke_by_application(
  p_subject VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
  p_client_id VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
  p_application_id VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
  p_consent_id VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin, p_after_created_at BIGINT,
  p_after_id BINARY(12), p_now BIGINT, p_limit BIGINT
) MODIFIES SQL DATA SQL SECURITY INVOKER
BEGIN
  DECLARE v_seen BIGINT;
  DECLARE v_created_at BIGINT;
  DECLARE v_grant_id BINARY(12);
  DECLARE v_ended BIGINT;
  SELECT COUNT(*) OVER (), created_at, grant_id INTO v_seen, v_created_at, v_grant_id
    FROM (
      SELECT created_at, grant_id FROM oauth_grant
        WHERE application_id = p_application_id
          AND (p_subject IS NULL OR subject = p_subject) AND (p_client_id IS NULL OR client_id = p_client_id)
          AND (p_application_id IS NULL OR application_id = p_application_id) AND (p_consent_id IS NULL OR consent_id = p_consent_id)
          AND created_at >= p_after_created_at AND (created_at > p_after_created_at OR grant_id > p_after_id)
        ORDER BY created_at, grant_id LIMIT p_limit
    ) AS page
    ORDER BY created_at DESC, grant_id DESC LIMIT 1;
  UPDATE oauth_grant SET revoked_at = p_now
    WHERE application_id = p_application_id
      AND (p_subject IS NULL OR subject = p_subject) AND (p_client_id IS NULL OR client_id = p_client_id)
      AND (p_application_id IS NULL OR application_id = p_application_id) AND (p_consent_id IS NULL OR consent_id = p_consent_id)
      AND created_at >= p_after_created_at AND (created_at > p_after_created_at OR grant_id > p_after_id)
      AND created_at <= v_created_at AND (created_at < v_created_at OR grant_id <= v_grant_id)
      AND revoked_at IS NULL;
  SET v_ended = ROW_COUNT();
  SELECT COALESCE(v_seen, 0) AS seen, v_ended AS ended, v_created_at AS minute, v_grant_id AS grant_id;
END //

CREATE PROCEDURE IF NOT EXISTS oauth_revoke_by_client(
  p_subject VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
  p_client_id VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
  p_application_id VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
  p_consent_id VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin, p_after_created_at BIGINT,
  p_after_id BINARY(12), p_now BIGINT, p_limit BIGINT
) MODIFIES SQL DATA SQL SECURITY INVOKER
BEGIN
  DECLARE v_seen BIGINT;
  DECLARE v_created_at BIGINT;
  DECLARE v_grant_id BINARY(12);
  DECLARE v_ended BIGINT;
  SELECT COUNT(*) OVER (), created_at, grant_id INTO v_seen, v_created_at, v_grant_id
    FROM (
      SELECT created_at, grant_id FROM oauth_grant
        WHERE client_id = p_client_id
          AND (p_subject IS NULL OR subject = p_subject) AND (p_client_id IS NULL OR client_id = p_client_id)
          AND (p_application_id IS NULL OR application_id = p_application_id) AND (p_consent_id IS NULL OR consent_id = p_consent_id)
          AND created_at >= p_after_created_at AND (created_at > p_after_created_at OR grant_id > p_after_id)
        ORDER BY created_at, grant_id LIMIT p_limit
    ) AS page
    ORDER BY created_at DESC, grant_id DESC LIMIT 1;
  UPDATE oauth_grant SET revoked_at = p_now
    WHERE client_id = p_client_id
      AND (p_subject IS NULL OR subject = p_subject) AND (p_client_id IS NULL OR client_id = p_client_id)
      AND (p_application_id IS NULL OR application_id = p_application_id) AND (p_consent_id IS NULL OR consent_id = p_consent_id)
      AND created_at >= p_after_created_at AND (created_at > p_after_created_at OR grant_id > p_after_id)
      AND created_at <= v_created_at AND (created_at < v_created_at OR grant_id <= v_grant_id)
      AND revoked_at IS NULL;
  SET v_ended = ROW_COUNT();
  SELECT COALESCE(v_seen, 0) AS seen, v_ended AS ended, v_created_at AS minute, v_grant_id AS grant_id;
END //

-- Uses a code up, decided from the row that is locked first. Gives the code and `outcome`, or `unknown`.
CREATE PROCEDURE IF NOT EXISTS oauth_redeem(
  p_digest VARBINARY(64), p_binding VARBINARY(64), p_now BIGINT, p_attempt BINARY(16)
) MODIFIES SQL DATA SQL SECURITY INVOKER
BEGIN
  DECLARE v_grant_id BINARY(12);
  DECLARE v_expires_at BIGINT;
  DECLARE v_retain_until BIGINT;
  DECLARE v_data MEDIUMBLOB;
  DECLARE v_outcome VARCHAR(10) DEFAULT 'unknown';
  DECLARE EXIT HANDLER FOR SQLEXCEPTION
  BEGIN
    ROLLBACK;
    RESIGNAL;
  END;
  START TRANSACTION;
  SELECT grant_id, expires_at, retain_until, data, CASE
      WHEN binding <> p_binding THEN 'mismatched'
      WHEN redeemed_at IS NULL THEN IF(expires_at <= p_now, 'expired', 'redeemable')
      WHEN attempt = p_attempt THEN 'redeemed'
      ELSE 'replayed' END
    INTO v_grant_id, v_expires_at, v_retain_until, v_data, v_outcome
    FROM authorization_code WHERE digest = p_digest FOR UPDATE;
  IF v_outcome = 'redeemable' THEN
    UPDATE authorization_code SET redeemed_at = p_now, attempt = p_attempt WHERE digest = p_digest;
    SET v_outcome = 'redeemed';
  END IF;
  COMMIT;
  SELECT p_digest AS digest, v_grant_id AS grant_id, p_binding AS binding, v_expires_at AS expires_at,
    v_retain_until AS retain_until, v_data AS data, v_outcome AS outcome;
END //

-- Stores a code, or meets the one that is there; `same`: whether that is of this attempt.
CREATE PROCEDURE IF NOT EXISTS oauth_add_code(
  p_digest VARBINARY(64), p_grant_id BINARY(12), p_binding VARBINARY(64), p_expires_at BIGINT, p_retain_until BIGINT,
  p_attempt BINARY(16), p_data MEDIUMBLOB
) MODIFIES SQL DATA SQL SECURITY INVOKER
BEGIN
  DECLARE v_same BOOLEAN;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION
  BEGIN
    ROLLBACK;
    RESIGNAL;
  END;
  START TRANSACTION;
  INSERT INTO authorization_code (digest, grant_id, binding, expires_at, retain_until, attempt, data)
    VALUES (p_digest, p_grant_id, p_binding, p_expires_at, p_retain_until, p_attempt, p_data)
    ON DUPLICATE KEY UPDATE digest = p_digest;
  SELECT attempt = p_attempt INTO v_same FROM authorization_code WHERE digest = p_digest FOR UPDATE;
  COMMIT;
  SELECT v_same AS same;
END //

-- Stores an artifact, or replaces the one of its id; one that had its ways in loses them.
CREATE PROCEDURE IF NOT EXISTS oauth_put_artifact(
  p_kind VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin, p_id VARBINARY(64), p_uid VARBINARY(64),
  p_user_code VARBINARY(64), p_consent_id VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin, p_expires_at BIGINT,
  p_retain_until BIGINT, p_data MEDIUMBLOB
) MODIFIES SQL DATA SQL SECURITY INVOKER
BEGIN
  DECLARE v_id VARBINARY(64);
  DECLARE v_last BOOLEAN DEFAULT FALSE;
  -- All rows concerned are locked in one order, each by its key: two callers that give each other's ways away cannot wait for
  -- each other.
  DECLARE concerned CURSOR FOR
    SELECT id FROM artifact WHERE kind = p_kind AND uid = p_uid
    UNION SELECT id FROM artifact WHERE kind = p_kind AND user_code = p_user_code
    UNION SELECT p_id
    ORDER BY id;
  DECLARE CONTINUE HANDLER FOR NOT FOUND SET v_last = TRUE;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION
  BEGIN
    ROLLBACK;
    RESIGNAL;
  END;
  START TRANSACTION;
  IF p_uid IS NOT NULL OR p_user_code IS NOT NULL THEN
    OPEN concerned;
    reassign: LOOP
      FETCH concerned INTO v_id;
      IF v_last THEN
        LEAVE reassign;
      END IF;
      UPDATE artifact SET uid = IF(uid = p_uid, NULL, uid), user_code = IF(user_code = p_user_code, NULL, user_code)
        WHERE kind = p_kind AND id = v_id;
    END LOOP;
    CLOSE concerned;
  END IF;
  INSERT INTO artifact (kind, id, uid, user_code, consent_id, expires_at, retain_until, data)
    VALUES (p_kind, p_id, p_uid, p_user_code, p_consent_id, p_expires_at, p_retain_until, p_data)
    ON DUPLICATE KEY UPDATE uid = p_uid, user_code = p_user_code, consent_id = p_consent_id,
      expires_at = p_expires_at, retain_until = p_retain_until, data = p_data;
  COMMIT;
END //

-- Stores an artifact unless one of its id stands that has not expired; `changed`: whether it is there by this attempt.
CREATE PROCEDURE IF NOT EXISTS oauth_put_artifact_once(
  p_kind VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin, p_id VARBINARY(64),
  p_consent_id VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin, p_expires_at BIGINT, p_retain_until BIGINT,
  p_attempt BINARY(16), p_data MEDIUMBLOB, p_now BIGINT
) MODIFIES SQL DATA SQL SECURITY INVOKER
BEGIN
  DECLARE v_taken BOOLEAN;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION
  BEGIN
    ROLLBACK;
    RESIGNAL;
  END;
  START TRANSACTION;
  INSERT INTO artifact (kind, id, consent_id, expires_at, retain_until, attempt, data)
    VALUES (p_kind, p_id, p_consent_id, p_expires_at, p_retain_until, p_attempt, p_data)
    ON DUPLICATE KEY UPDATE id = p_id;
  -- Whoever met a row has locked it: of several one finds it expired, and the others find it his.
  UPDATE artifact SET uid = NULL, user_code = NULL, consent_id = p_consent_id, expires_at = p_expires_at,
      retain_until = p_retain_until, consumed_at = NULL, attempt = p_attempt, data = p_data
    WHERE kind = p_kind AND id = p_id AND (expires_at <= p_now OR attempt = p_attempt);
  SELECT COALESCE(attempt = p_attempt, FALSE) INTO v_taken FROM artifact WHERE kind = p_kind AND id = p_id FOR UPDATE;
  COMMIT;
  SELECT v_taken AS changed;
END //

DELIMITER ;

INSERT INTO oauth_schema (component, version) VALUES ('oauth-server', 2) ON DUPLICATE KEY UPDATE version = IF(version = 0, 2, version);
