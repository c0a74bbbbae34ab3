-- oauth2-stores: access tokens in partitions by when they expire, which the purge empties whole
-- MySQL 8.0.29 or newer, Aurora MySQL 3.05 or newer. Run it after oauth-server.sql, and before oauth-roles.sql:
-- mysql --default-character-set=utf8mb4 DATABASE < oauth-partitions.sql
-- Can be run again at any time. The table is written anew, once: look-ups go on meanwhile, and who stores a token waits.

-- Kept with every procedure: a value that does not fit is an error.
SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION';

-- Where a token belongs: 1 to 3 in turn by the hour that it expires in, 4 to 6 by the day if it lives longer than an hour, 0 if
-- longer than a day. In an hour, those that expire in this one or the next are written, so one of the three is idle: that of
-- the hour before, in which everything has expired. The same with days.
SET @made = IF(
  EXISTS (
    SELECT 1 FROM information_schema.columns
      WHERE table_schema = DATABASE() AND table_name = 'access_token' AND column_name = 'slot'),
  'DO 0',
  'ALTER TABLE access_token
    ADD COLUMN slot TINYINT NOT NULL DEFAULT (CASE
      WHEN expires_at - issued_at <= 3600 THEN 1 + expires_at DIV 3600 MOD 3
      WHEN expires_at - issued_at <= 86400 THEN 4 + expires_at DIV 86400 MOD 3
      ELSE 0 END),
    DROP PRIMARY KEY,
    ADD CONSTRAINT access_token_pk PRIMARY KEY (grant_id, digest, slot)
    PARTITION BY LIST (slot) (
      PARTITION access_token_0 VALUES IN (0),
      PARTITION access_token_1 VALUES IN (1),
      PARTITION access_token_2 VALUES IN (2),
      PARTITION access_token_3 VALUES IN (3),
      PARTITION access_token_4 VALUES IN (4),
      PARTITION access_token_5 VALUES IN (5),
      PARTITION access_token_6 VALUES IN (6))');
PREPARE made FROM @made;
EXECUTE made;
DEALLOCATE PREPARE made;

DELIMITER //

-- Empties the idle partitions in which everything has expired, and gives `records`, about how many were in them, or nothing. In
-- the last five minutes of an hour or day none is touched: one whose clock is ahead of ours by less could write there. Who
-- empties needs no privilege on the table; a lock that does not come in a second is not waited for.
CREATE PROCEDURE IF NOT EXISTS oauth_empty_access_partitions(
  p_now BIGINT
) MODIFIES SQL DATA SQL SECURITY DEFINER
BEGIN
  DECLARE v_wait BIGINT DEFAULT @@SESSION.lock_wait_timeout;
  DECLARE v_width BIGINT DEFAULT 3600;
  DECLARE v_slot TINYINT;
  DECLARE v_newest BIGINT;
  DECLARE v_there BIGINT;
  DECLARE v_records BIGINT;
  DECLARE v_refused BOOLEAN;
  DECLARE CONTINUE HANDLER FOR 1205 SET v_refused = TRUE;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION
  BEGIN
    SET SESSION lock_wait_timeout = v_wait;
    RESIGNAL;
  END;
  SET SESSION lock_wait_timeout = 1;
  WHILE v_width <= 86400 DO
    SET v_slot = IF(v_width = 3600, 1, 4) + (p_now DIV v_width + 2) MOD 3, v_newest = NULL, v_refused = FALSE;
    SELECT expires_at INTO v_newest FROM access_token WHERE slot = v_slot ORDER BY expires_at DESC LIMIT 1;
    IF v_newest <= p_now AND v_width - p_now MOD v_width >= 300 THEN
      -- Counted as far as that is quick, and then as the server estimates it.
      SELECT COUNT(*) INTO v_there FROM (SELECT 1 FROM access_token WHERE slot = v_slot LIMIT 10000) AS few;
      IF v_there = 10000 THEN
        SELECT GREATEST(v_there, table_rows) INTO v_there FROM information_schema.partitions
          WHERE table_schema = DATABASE() AND table_name = 'access_token' AND partition_name = CONCAT('access_token_', v_slot);
      END IF;
      CASE v_slot
        WHEN 1 THEN ALTER TABLE access_token TRUNCATE PARTITION access_token_1;
        WHEN 2 THEN ALTER TABLE access_token TRUNCATE PARTITION access_token_2;
        WHEN 3 THEN ALTER TABLE access_token TRUNCATE PARTITION access_token_3;
        WHEN 4 THEN ALTER TABLE access_token TRUNCATE PARTITION access_token_4;
        WHEN 5 THEN ALTER TABLE access_token TRUNCATE PARTITION access_token_5;
        WHEN 6 THEN ALTER TABLE access_token TRUNCATE PARTITION access_token_6;
      END CASE;
      IF NOT v_refused THEN
        SET v_records = COALESCE(v_records, 0) + v_there;
      END IF;
    END IF;
    SET v_width = v_width * 24;
  END WHILE;
  SET SESSION lock_wait_timeout = v_wait;
  SELECT v_records AS records FROM DUAL WHERE v_records IS NOT NULL;
END //

DELIMITER ;

-- The users of oauth-roles.sql, where that has made them.
SET @made = IF(
  NOT EXISTS (SELECT 1 FROM information_schema.user_privileges WHERE grantee = '''oauth_purger''@''%'''),
  'DO 0',
  'GRANT SELECT (slot) ON access_token TO ''oauth_purger''@''%''');
PREPARE made FROM @made;
EXECUTE made;
DEALLOCATE PREPARE made;
SET @made = IF(
  NOT EXISTS (SELECT 1 FROM information_schema.user_privileges WHERE grantee = '''oauth_purger''@''%'''),
  'DO 0',
  'GRANT EXECUTE ON PROCEDURE oauth_empty_access_partitions TO ''oauth_writer''@''%'', ''oauth_purger''@''%''');
PREPARE made FROM @made;
EXECUTE made;
DEALLOCATE PREPARE made;

INSERT INTO oauth_schema (component, version) VALUES ('oauth-partitions', 1) ON DUPLICATE KEY UPDATE component = 'oauth-partitions';
