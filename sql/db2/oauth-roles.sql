-- oauth2-stores: users of the database, each with the privileges that a kind of function needs and no others
-- IBM Db2 11.5 or newer for Linux, Amazon RDS for Db2. Run it after oauth-server.sql and oauth-client.sql, by the owner of their
-- tables, with ACCESSCTRL: db2 -td@ -svf oauth-roles.sql
-- Can be run again at any time. Db2 has no users of its own and grants to names, of which there are two for each kind, so that
-- one is in use while the other one gets a new password. On Amazon RDS the deployment makes the users, by rdsadmin.add_user;
-- elsewhere somebody makes them in the operating system, or wherever the server looks. Whoever connects as one says in which
-- schema tables and procedures are: `schema` in the configuration.

-- A database of Amazon RDS is RESTRICTIVE: nobody may as much as send a statement without being told so.
GRANT CONNECT ON DATABASE TO USER oauth_reader_a, USER oauth_reader_b, USER oauth_checker_a, USER oauth_checker_b,
  USER oauth_writer_a, USER oauth_writer_b, USER oauth_purger_a, USER oauth_purger_b@
GRANT USAGE ON WORKLOAD sysdefaultuserworkload TO USER oauth_reader_a, USER oauth_reader_b, USER oauth_checker_a,
  USER oauth_checker_b, USER oauth_writer_a, USER oauth_writer_b, USER oauth_purger_a, USER oauth_purger_b@
BEGIN
  DECLARE CONTINUE HANDLER FOR SQLSTATE '42704' BEGIN END; -- only Amazon RDS has this role: the packages of drivers
  EXECUTE IMMEDIATE '
GRANT ROLE role_nullid_packages TO USER oauth_reader_a, USER oauth_reader_b, USER oauth_checker_a, USER oauth_checker_b,
  USER oauth_writer_a, USER oauth_writer_b, USER oauth_purger_a, USER oauth_purger_b';
END@

-- oauth_reader   looks tokens, codes and grants up
-- oauth_checker  a reader that also keeps artifacts, such as a jti that counts once
-- oauth_writer   everything but changing the schema
-- oauth_purger   removes rows
-- A procedure does what its owner may: who calls it needs no privilege on its tables. Lists are queries, and so is what is due,
-- for which Db2 grants SELECT on whole tables only.
GRANT SELECT ON oauth_schema TO USER oauth_reader_a, USER oauth_reader_b, USER oauth_checker_a, USER oauth_checker_b,
  USER oauth_writer_a, USER oauth_writer_b, USER oauth_purger_a, USER oauth_purger_b@
GRANT SELECT ON oauth_grant TO USER oauth_reader_a, USER oauth_reader_b, USER oauth_checker_a, USER oauth_checker_b@
GRANT SELECT ON access_token TO USER oauth_reader_a, USER oauth_reader_b, USER oauth_checker_a, USER oauth_checker_b@
GRANT EXECUTE ON PROCEDURE find_access TO USER oauth_reader_a, USER oauth_reader_b, USER oauth_checker_a, USER oauth_checker_b@
GRANT EXECUTE ON PROCEDURE find_refresh TO USER oauth_reader_a, USER oauth_reader_b, USER oauth_checker_a, USER oauth_checker_b@
GRANT EXECUTE ON PROCEDURE find_code TO USER oauth_reader_a, USER oauth_reader_b, USER oauth_checker_a, USER oauth_checker_b@
GRANT EXECUTE ON PROCEDURE get_client_token TO USER oauth_reader_a, USER oauth_reader_b, USER oauth_checker_a, USER oauth_checker_b@
GRANT EXECUTE ON PROCEDURE put_artifact TO USER oauth_checker_a, USER oauth_checker_b@
GRANT EXECUTE ON PROCEDURE put_artifact_once TO USER oauth_checker_a, USER oauth_checker_b@
GRANT EXECUTE ON PROCEDURE find_artifact TO USER oauth_checker_a, USER oauth_checker_b@
GRANT EXECUTE ON PROCEDURE consume_artifact TO USER oauth_checker_a, USER oauth_checker_b@
GRANT EXECUTE ON PROCEDURE remove_artifact TO USER oauth_checker_a, USER oauth_checker_b@
GRANT EXECUTE ON PROCEDURE remove_artifacts_by_consent TO USER oauth_checker_a, USER oauth_checker_b@

GRANT SELECT ON access_token TO USER oauth_writer_a, USER oauth_writer_b@
GRANT SELECT ON oauth_grant TO USER oauth_writer_a, USER oauth_writer_b@
GRANT SELECT ON foreign_token TO USER oauth_writer_a, USER oauth_writer_b@
GRANT SELECT ON revocation TO USER oauth_writer_a, USER oauth_writer_b@
GRANT SELECT ON authorization_code TO USER oauth_writer_a, USER oauth_writer_b@
GRANT SELECT ON artifact TO USER oauth_writer_a, USER oauth_writer_b@
GRANT SELECT ON client_access_token TO USER oauth_writer_a, USER oauth_writer_b@
GRANT EXECUTE ON PROCEDURE persist_grant TO USER oauth_writer_a, USER oauth_writer_b@
GRANT EXECUTE ON PROCEDURE add_access TO USER oauth_writer_a, USER oauth_writer_b@
GRANT EXECUTE ON PROCEDURE add_refresh TO USER oauth_writer_a, USER oauth_writer_b@
GRANT EXECUTE ON PROCEDURE find_access TO USER oauth_writer_a, USER oauth_writer_b@
GRANT EXECUTE ON PROCEDURE find_refresh TO USER oauth_writer_a, USER oauth_writer_b@
GRANT EXECUTE ON PROCEDURE rotate_refresh TO USER oauth_writer_a, USER oauth_writer_b@
GRANT EXECUTE ON PROCEDURE revoke_access TO USER oauth_writer_a, USER oauth_writer_b@
GRANT EXECUTE ON PROCEDURE revoke_refresh TO USER oauth_writer_a, USER oauth_writer_b@
GRANT EXECUTE ON PROCEDURE revoke_grant TO USER oauth_writer_a, USER oauth_writer_b@
GRANT EXECUTE ON PROCEDURE revoke_access_of_grant TO USER oauth_writer_a, USER oauth_writer_b@
GRANT EXECUTE ON PROCEDURE mark_revoked TO USER oauth_writer_a, USER oauth_writer_b@
GRANT EXECUTE ON PROCEDURE revoke_by TO USER oauth_writer_a, USER oauth_writer_b@
GRANT EXECUTE ON PROCEDURE add_code TO USER oauth_writer_a, USER oauth_writer_b@
GRANT EXECUTE ON PROCEDURE find_code TO USER oauth_writer_a, USER oauth_writer_b@
GRANT EXECUTE ON PROCEDURE redeem_code TO USER oauth_writer_a, USER oauth_writer_b@
GRANT EXECUTE ON PROCEDURE remove_code TO USER oauth_writer_a, USER oauth_writer_b@
GRANT EXECUTE ON PROCEDURE put_artifact TO USER oauth_writer_a, USER oauth_writer_b@
GRANT EXECUTE ON PROCEDURE put_artifact_once TO USER oauth_writer_a, USER oauth_writer_b@
GRANT EXECUTE ON PROCEDURE find_artifact TO USER oauth_writer_a, USER oauth_writer_b@
GRANT EXECUTE ON PROCEDURE consume_artifact TO USER oauth_writer_a, USER oauth_writer_b@
GRANT EXECUTE ON PROCEDURE remove_artifact TO USER oauth_writer_a, USER oauth_writer_b@
GRANT EXECUTE ON PROCEDURE remove_artifacts_by_consent TO USER oauth_writer_a, USER oauth_writer_b@
GRANT EXECUTE ON PROCEDURE purge_access_tokens TO USER oauth_writer_a, USER oauth_writer_b@
GRANT EXECUTE ON PROCEDURE purge_grants TO USER oauth_writer_a, USER oauth_writer_b@
GRANT EXECUTE ON PROCEDURE purge_foreign_tokens TO USER oauth_writer_a, USER oauth_writer_b@
GRANT EXECUTE ON PROCEDURE purge_revocations TO USER oauth_writer_a, USER oauth_writer_b@
GRANT EXECUTE ON PROCEDURE purge_codes TO USER oauth_writer_a, USER oauth_writer_b@
GRANT EXECUTE ON PROCEDURE purge_artifacts TO USER oauth_writer_a, USER oauth_writer_b@
GRANT EXECUTE ON PROCEDURE put_client_token TO USER oauth_writer_a, USER oauth_writer_b@
GRANT EXECUTE ON PROCEDURE get_client_token TO USER oauth_writer_a, USER oauth_writer_b@
GRANT EXECUTE ON PROCEDURE remove_client_token TO USER oauth_writer_a, USER oauth_writer_b@
GRANT EXECUTE ON PROCEDURE purge_client_tokens TO USER oauth_writer_a, USER oauth_writer_b@

GRANT SELECT ON access_token TO USER oauth_purger_a, USER oauth_purger_b@
GRANT SELECT ON oauth_grant TO USER oauth_purger_a, USER oauth_purger_b@
GRANT SELECT ON foreign_token TO USER oauth_purger_a, USER oauth_purger_b@
GRANT SELECT ON revocation TO USER oauth_purger_a, USER oauth_purger_b@
GRANT SELECT ON authorization_code TO USER oauth_purger_a, USER oauth_purger_b@
GRANT SELECT ON artifact TO USER oauth_purger_a, USER oauth_purger_b@
GRANT SELECT ON client_access_token TO USER oauth_purger_a, USER oauth_purger_b@
GRANT EXECUTE ON PROCEDURE purge_access_tokens TO USER oauth_purger_a, USER oauth_purger_b@
GRANT EXECUTE ON PROCEDURE purge_grants TO USER oauth_purger_a, USER oauth_purger_b@
GRANT EXECUTE ON PROCEDURE purge_foreign_tokens TO USER oauth_purger_a, USER oauth_purger_b@
GRANT EXECUTE ON PROCEDURE purge_revocations TO USER oauth_purger_a, USER oauth_purger_b@
GRANT EXECUTE ON PROCEDURE purge_codes TO USER oauth_purger_a, USER oauth_purger_b@
GRANT EXECUTE ON PROCEDURE purge_artifacts TO USER oauth_purger_a, USER oauth_purger_b@
GRANT EXECUTE ON PROCEDURE purge_client_tokens TO USER oauth_purger_a, USER oauth_purger_b@

INSERT INTO oauth_schema (component, version) SELECT 'oauth-roles', 1 FROM (VALUES 1) AS single (one)
  WHERE NOT EXISTS (SELECT 1 FROM oauth_schema WHERE component = 'oauth-roles')@
