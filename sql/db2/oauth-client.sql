-- oauth2-stores: tokens that the deployment received as a client of other authorization servers
-- IBM Db2 11.5 or newer for Linux, Amazon RDS for Db2. Run it with: db2 -td@ -svf oauth-client.sql
-- Can be run again at any time. Times are epoch seconds; the token itself is sealed.
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

-- VOLATILE CARDINALITY: procedures are compiled while the table is empty, and must go by an index all the same.
BEGIN
  DECLARE CONTINUE HANDLER FOR SQLSTATE '42710' BEGIN END;
  EXECUTE IMMEDIATE '
CREATE TABLE client_access_token (
  client_id                VARCHAR(480) FOR BIT DATA NOT NULL,
  token_key                VARCHAR(480) FOR BIT DATA NOT NULL,
  expires_at               BIGINT  NOT NULL,
  data                     VARCHAR(16000) FOR BIT DATA NOT NULL,
  CONSTRAINT client_access_token_pk PRIMARY KEY (client_id, token_key)
) ORGANIZE BY ROW';
  EXECUTE IMMEDIATE 'ALTER TABLE client_access_token VOLATILE CARDINALITY';

  EXECUTE IMMEDIATE 'CREATE INDEX client_access_token_expires ON client_access_token (expires_at)';
END@

CREATE OR REPLACE PROCEDURE put_client_token (
  IN p_client_id VARCHAR(480) FOR BIT DATA, IN p_key VARCHAR(480) FOR BIT DATA, IN p_expires_at BIGINT, IN p_data VARCHAR(16000) FOR BIT DATA
)
LANGUAGE SQL MODIFIES SQL DATA
BEGIN
  DECLARE v_changed BIGINT;
  DECLARE v_duplicate SMALLINT DEFAULT 0;
  DECLARE CONTINUE HANDLER FOR SQLSTATE '23505' SET v_duplicate = 1;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  UPDATE client_access_token SET expires_at = p_expires_at, data = p_data WHERE client_id = p_client_id AND token_key = p_key;
  GET DIAGNOSTICS v_changed = ROW_COUNT;
  IF v_changed = 0 THEN
    INSERT INTO client_access_token (client_id, token_key, expires_at, data) VALUES (p_client_id, p_key, p_expires_at, p_data);
    IF v_duplicate = 1 THEN -- it came meanwhile
      UPDATE client_access_token SET expires_at = p_expires_at, data = p_data WHERE client_id = p_client_id AND token_key = p_key;
    END IF;
  END IF;
  COMMIT;
END@

CREATE OR REPLACE PROCEDURE get_client_token (
  IN p_client_id VARCHAR(480) FOR BIT DATA, IN p_key VARCHAR(480) FOR BIT DATA, IN p_now BIGINT,
  OUT p_expires_at BIGINT, OUT p_data VARCHAR(16000) FOR BIT DATA
)
LANGUAGE SQL MODIFIES SQL DATA
BEGIN
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  SELECT expires_at, data INTO p_expires_at, p_data
    FROM client_access_token WHERE client_id = p_client_id AND token_key = p_key AND expires_at > p_now;
  COMMIT;
END@

CREATE OR REPLACE PROCEDURE remove_client_token (IN p_client_id VARCHAR(480) FOR BIT DATA, IN p_key VARCHAR(480) FOR BIT DATA, OUT p_changed BIGINT)
LANGUAGE SQL MODIFIES SQL DATA
BEGIN
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  DELETE FROM client_access_token WHERE client_id = p_client_id AND token_key = p_key;
  GET DIAGNOSTICS p_changed = ROW_COUNT;
  COMMIT;
END@

-- SKIP LOCKED DATA: two purges share the work instead of waiting for each other. Db2 has it for no positioned delete: a row is
-- locked by its query, and removed by its key.
CREATE OR REPLACE PROCEDURE purge_client_tokens (IN p_now BIGINT, IN p_limit BIGINT, OUT p_changed BIGINT)
LANGUAGE SQL MODIFIES SQL DATA
BEGIN
  DECLARE v_client_id VARCHAR(480) FOR BIT DATA;
  DECLARE v_token_key VARCHAR(480) FOR BIT DATA;
  DECLARE v_at_end SMALLINT DEFAULT 0;
  DECLARE due CURSOR FOR SELECT client_id, token_key FROM client_access_token WHERE expires_at <= p_now
    WITH RS USE AND KEEP UPDATE LOCKS SKIP LOCKED DATA;
  DECLARE CONTINUE HANDLER FOR NOT FOUND SET v_at_end = 1;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  SET p_changed = 0;
  OPEN due;
  FETCH due INTO v_client_id, v_token_key;
  WHILE v_at_end = 0 AND p_changed < p_limit DO
    DELETE FROM client_access_token WHERE client_id = v_client_id AND token_key = v_token_key;
    SET p_changed = p_changed + 1;
    FETCH due INTO v_client_id, v_token_key;
  END WHILE;
  CLOSE due;
  COMMIT;
END@

INSERT INTO oauth_schema (component, version) SELECT 'oauth-client', 1 FROM (VALUES 1) AS single (one)
  WHERE NOT EXISTS (SELECT 1 FROM oauth_schema WHERE component = 'oauth-client')@
