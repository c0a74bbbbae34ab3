-- oauth2-stores: users of the server, each with the privileges that a kind of function needs and no others
-- MySQL 8.0.29 or newer, Aurora MySQL 3.05 or newer. Run it after oauth-server.sql and oauth-client.sql, by a user that may
-- make users and grant privileges: mysql --default-character-set=utf8mb4 DATABASE < oauth-roles.sql
-- Can be run again at any time. Users are the whole server's: databases that share one share these. On Amazon RDS and Aurora
-- a token of IAM is the only way in, and only with TLS; elsewhere they are locked until somebody sets how they log in:
-- ALTER USER 'oauth_writer'@'%' IDENTIFIED BY '…' ACCOUNT UNLOCK

INSERT INTO oauth_schema (component, version) VALUES ('oauth-roles', 0) ON DUPLICATE KEY UPDATE component = 'oauth-roles';

-- oauth_reader   looks tokens, codes and grants up
-- oauth_checker  a reader that also keeps artifacts, such as a jti that counts once
-- oauth_writer   everything but changing the schema
-- oauth_purger   removes rows; of what they hold it can read their keys and when they are due, and nothing else
SET @login = IF(
  EXISTS (SELECT 1 FROM information_schema.plugins WHERE plugin_name = 'AWSAuthenticationPlugin'),
  'IDENTIFIED WITH AWSAuthenticationPlugin AS ''RDS'' REQUIRE SSL',
  'ACCOUNT LOCK');
SET @made = CONCAT('CREATE USER IF NOT EXISTS ''oauth_reader''@''%'' ', @login);
PREPARE made FROM @made;
EXECUTE made;
DEALLOCATE PREPARE made;
SET @made = CONCAT('CREATE USER IF NOT EXISTS ''oauth_checker''@''%'' ', @login);
PREPARE made FROM @made;
EXECUTE made;
DEALLOCATE PREPARE made;
SET @made = CONCAT('CREATE USER IF NOT EXISTS ''oauth_writer''@''%'' ', @login);
PREPARE made FROM @made;
EXECUTE made;
DEALLOCATE PREPARE made;
SET @made = CONCAT('CREATE USER IF NOT EXISTS ''oauth_purger''@''%'' ', @login);
PREPARE made FROM @made;
EXECUTE made;
DEALLOCATE PREPARE made;

GRANT SELECT ON oauth_schema TO 'oauth_reader'@'%', 'oauth_checker'@'%', 'oauth_writer'@'%', 'oauth_purger'@'%';

GRANT SELECT ON oauth_grant TO 'oauth_reader'@'%', 'oauth_checker'@'%';
GRANT SELECT ON access_token TO 'oauth_reader'@'%', 'oauth_checker'@'%';
GRANT SELECT ON foreign_token TO 'oauth_reader'@'%', 'oauth_checker'@'%';
GRANT SELECT ON authorization_code TO 'oauth_reader'@'%', 'oauth_checker'@'%';
GRANT SELECT ON client_access_token TO 'oauth_reader'@'%', 'oauth_checker'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON artifact TO 'oauth_checker'@'%';
GRANT EXECUTE ON PROCEDURE oauth_put_artifact TO 'oauth_checker'@'%';
GRANT EXECUTE ON PROCEDURE oauth_put_artifact_once TO 'oauth_checker'@'%';

GRANT SELECT, INSERT, UPDATE, DELETE ON oauth_grant TO 'oauth_writer'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON access_token TO 'oauth_writer'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON foreign_token TO 'oauth_writer'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON revocation TO 'oauth_writer'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON authorization_code TO 'oauth_writer'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON artifact TO 'oauth_writer'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON client_access_token TO 'oauth_writer'@'%';
GRANT EXECUTE ON PROCEDURE oauth_persist TO 'oauth_writer'@'%';
GRANT EXECUTE ON PROCEDURE oauth_add_access TO 'oauth_writer'@'%';
GRANT EXECUTE ON PROCEDURE oauth_add_refresh TO 'oauth_writer'@'%';
GRANT EXECUTE ON PROCEDURE oauth_rotate TO 'oauth_writer'@'%';
GRANT EXECUTE ON PROCEDURE oauth_mark_revoked TO 'oauth_writer'@'%';
GRANT EXECUTE ON PROCEDURE oauth_revoke_by_subject TO 'oauth_writer'@'%';
GRANT EXECUTE ON PROCEDURE oauth_revoke_by_consent TO 'oauth_writer'@'%';
GRANT EXECUTE ON PROCEDURE oauth_revoke_by_application TO 'oauth_writer'@'%';
GRANT EXECUTE ON PROCEDURE oauth_revoke_by_client TO 'oauth_writer'@'%';
GRANT EXECUTE ON PROCEDURE oauth_redeem TO 'oauth_writer'@'%';
GRANT EXECUTE ON PROCEDURE oauth_add_code TO 'oauth_writer'@'%';
GRANT EXECUTE ON PROCEDURE oauth_put_artifact TO 'oauth_writer'@'%';
GRANT EXECUTE ON PROCEDURE oauth_put_artifact_once TO 'oauth_writer'@'%';

-- A row is locked before it is removed, and the privilege to remove it is enough for that.
GRANT DELETE, SELECT (grant_id, digest, expires_at) ON access_token TO 'oauth_purger'@'%';
GRANT DELETE, SELECT (grant_id, retain_until) ON oauth_grant TO 'oauth_purger'@'%';
GRANT DELETE, SELECT (digest, retain_until) ON foreign_token TO 'oauth_purger'@'%';
GRANT DELETE, SELECT (selector, retain_until) ON revocation TO 'oauth_purger'@'%';
GRANT DELETE, SELECT (digest, retain_until) ON authorization_code TO 'oauth_purger'@'%';
GRANT DELETE, SELECT (kind, id, retain_until, expires_at) ON artifact TO 'oauth_purger'@'%';
GRANT DELETE, SELECT (client_id, token_key, expires_at) ON client_access_token TO 'oauth_purger'@'%';

-- Where oauth-partitions.sql has been run.
SET @made = IF(
  NOT EXISTS (
    SELECT 1 FROM information_schema.routines
      WHERE routine_schema = DATABASE() AND routine_name = 'oauth_empty_access_partitions'),
  'DO 0',
  'GRANT SELECT (slot) ON access_token TO ''oauth_purger''@''%''');
PREPARE made FROM @made;
EXECUTE made;
DEALLOCATE PREPARE made;
SET @made = IF(
  NOT EXISTS (
    SELECT 1 FROM information_schema.routines
      WHERE routine_schema = DATABASE() AND routine_name = 'oauth_empty_access_partitions'),
  'DO 0',
  'GRANT EXECUTE ON PROCEDURE oauth_empty_access_partitions TO ''oauth_writer''@''%'', ''oauth_purger''@''%''');
PREPARE made FROM @made;
EXECUTE made;
DEALLOCATE PREPARE made;

INSERT INTO oauth_schema (component, version) VALUES ('oauth-roles', 1) ON DUPLICATE KEY UPDATE version = IF(version = 0, 1, version);
