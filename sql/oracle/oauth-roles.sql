-- oauth2-stores: roles of the database, each with the privileges that a kind of function needs and no others
-- Oracle Database 19c or newer, Amazon RDS for Oracle. Run it after oauth-server.sql and oauth-client.sql, by the owner of their
-- tables, who may make roles: sqlplus -L user@//host:1521/service @oauth-roles.sql
-- Can be run again at any time. Roles are the whole database's: schemas that share one share these. Nobody logs in as a role. On
-- Amazon RDS the deployment makes two users for each, of which one is in use while the other one gets a new password; elsewhere
-- CREATE USER oauth_writer_a IDENTIFIED BY "…" and GRANT CREATE SESSION, oauth_writer TO oauth_writer_a make one.
-- Whoever connects as one says whose the tables are: `schema` in the configuration.
WHENEVER SQLERROR EXIT FAILURE ROLLBACK;

-- oauth_reader   looks tokens, codes and grants up
-- oauth_checker  a reader that also keeps artifacts, such as a jti that counts once
-- oauth_writer   everything but changing the schema
-- oauth_purger   removes rows
DECLARE
  PROCEDURE make(text VARCHAR2) IS
  BEGIN
    EXECUTE IMMEDIATE text;
  EXCEPTION
    WHEN OTHERS THEN
      IF SQLCODE <> -1921 THEN RAISE; END IF; -- ORA-01921: it is there already
  END;
BEGIN
make('CREATE ROLE oauth_reader');
make('CREATE ROLE oauth_checker');
make('CREATE ROLE oauth_writer');
make('CREATE ROLE oauth_purger');

make('GRANT READ ON oauth_schema TO oauth_reader, oauth_checker, oauth_writer, oauth_purger');

-- READ is SELECT without a lock.
make('GRANT READ ON oauth_grant TO oauth_reader, oauth_checker');
make('GRANT READ ON access_token TO oauth_reader, oauth_checker');
make('GRANT READ ON foreign_token TO oauth_reader, oauth_checker');
make('GRANT READ ON authorization_code TO oauth_reader, oauth_checker');
make('GRANT READ ON client_access_token TO oauth_reader, oauth_checker');
make('GRANT SELECT, INSERT, UPDATE, DELETE ON artifact TO oauth_checker');

make('GRANT SELECT, INSERT, UPDATE, DELETE ON oauth_grant TO oauth_writer');
make('GRANT SELECT, INSERT, UPDATE, DELETE ON access_token TO oauth_writer');
make('GRANT SELECT, INSERT, UPDATE, DELETE ON foreign_token TO oauth_writer');
make('GRANT SELECT, INSERT, UPDATE, DELETE ON revocation TO oauth_writer');
make('GRANT SELECT, INSERT, UPDATE, DELETE ON authorization_code TO oauth_writer');
make('GRANT SELECT, INSERT, UPDATE, DELETE ON artifact TO oauth_writer');
make('GRANT SELECT, INSERT, UPDATE, DELETE ON client_access_token TO oauth_writer');

-- A row is locked before it is removed, which takes SELECT; Oracle grants it on whole tables only.
make('GRANT SELECT, DELETE ON access_token TO oauth_purger');
make('GRANT SELECT, DELETE ON oauth_grant TO oauth_purger');
make('GRANT SELECT, DELETE ON foreign_token TO oauth_purger');
make('GRANT SELECT, DELETE ON revocation TO oauth_purger');
make('GRANT SELECT, DELETE ON authorization_code TO oauth_purger');
make('GRANT SELECT, DELETE ON artifact TO oauth_purger');
make('GRANT SELECT, DELETE ON client_access_token TO oauth_purger');

-- Where access tokens are in expiry partitions; oauth-partitions.sql grants the same when it is run after this.
FOR there IN (SELECT object_name FROM user_objects WHERE object_name = 'OAUTH_EMPTY_ACCESS_PARTITION') LOOP
make('GRANT EXECUTE ON oauth_empty_access_partition TO oauth_writer, oauth_purger');
END LOOP;
END;
/

BEGIN
  INSERT INTO oauth_schema (component, version) VALUES ('oauth-roles', 1);
  COMMIT;
EXCEPTION
  WHEN DUP_VAL_ON_INDEX THEN NULL;
END;
/
