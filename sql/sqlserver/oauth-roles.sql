-- oauth2-stores: roles of the database, each with the privileges that a kind of function needs and no others
-- SQL Server 2017 or newer, Azure SQL, Amazon RDS for SQL Server. Run it after oauth-server.sql and oauth-client.sql, by a user
-- that may make roles: sqlcmd -b -I -d oauth -i oauth-roles.sql
-- Can be run again at any time. Nobody logs in as a role. On Amazon RDS the deployment makes two logins for each, of which one
-- is in use while the other one gets a new password; elsewhere somebody makes one:
-- CREATE LOGIN oauth_writer_a WITH PASSWORD = N'…', CHECK_POLICY = OFF;
-- CREATE USER oauth_writer_a FOR LOGIN oauth_writer_a; ALTER ROLE oauth_writer ADD MEMBER oauth_writer_a;

SET ANSI_NULLS ON;
SET QUOTED_IDENTIFIER ON;
GO

-- oauth_reader   looks tokens, codes and grants up
-- oauth_checker  a reader that also keeps artifacts, such as a jti that counts once
-- oauth_writer   everything but changing the schema
-- oauth_purger   removes rows; of what they hold it can read when they are due, and nothing else
IF DATABASE_PRINCIPAL_ID(N'oauth_reader') IS NULL CREATE ROLE oauth_reader;
IF DATABASE_PRINCIPAL_ID(N'oauth_checker') IS NULL CREATE ROLE oauth_checker;
IF DATABASE_PRINCIPAL_ID(N'oauth_writer') IS NULL CREATE ROLE oauth_writer;
IF DATABASE_PRINCIPAL_ID(N'oauth_purger') IS NULL CREATE ROLE oauth_purger;
GO

GRANT SELECT ON oauth_schema TO oauth_reader, oauth_checker, oauth_writer, oauth_purger;

GRANT SELECT ON oauth_grant TO oauth_reader, oauth_checker;
GRANT SELECT ON access_token TO oauth_reader, oauth_checker;
GRANT SELECT ON foreign_token TO oauth_reader, oauth_checker;
GRANT SELECT ON authorization_code TO oauth_reader, oauth_checker;
GRANT SELECT ON client_access_token TO oauth_reader, oauth_checker;
GRANT SELECT, INSERT, UPDATE, DELETE ON artifact TO oauth_checker;

GRANT SELECT, INSERT, UPDATE, DELETE ON oauth_grant TO oauth_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON access_token TO oauth_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON foreign_token TO oauth_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON revocation TO oauth_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON authorization_code TO oauth_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON artifact TO oauth_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON client_access_token TO oauth_writer;

GRANT DELETE ON access_token TO oauth_purger;
GRANT DELETE ON oauth_grant TO oauth_purger;
GRANT DELETE ON foreign_token TO oauth_purger;
GRANT DELETE ON revocation TO oauth_purger;
GRANT DELETE ON authorization_code TO oauth_purger;
GRANT DELETE ON artifact TO oauth_purger;
GRANT DELETE ON client_access_token TO oauth_purger;
GRANT SELECT ON access_token (expires_at) TO oauth_purger;
GRANT SELECT ON oauth_grant (retain_until) TO oauth_purger;
GRANT SELECT ON foreign_token (retain_until) TO oauth_purger;
GRANT SELECT ON revocation (retain_until) TO oauth_purger;
GRANT SELECT ON authorization_code (retain_until) TO oauth_purger;
GRANT SELECT ON artifact (retain_until, expires_at, due_at) TO oauth_purger;
GRANT SELECT ON client_access_token (expires_at) TO oauth_purger;
GO

-- Where access tokens are in expiry partitions; oauth-partitions.sql grants the same when it is run after this.
IF OBJECT_ID(N'oauth_empty_access_partition', N'P') IS NOT NULL
BEGIN
  GRANT EXECUTE ON oauth_empty_access_partition TO oauth_writer, oauth_purger;
  GRANT SELECT ON access_token (slot) TO oauth_purger;
END
GO

INSERT INTO oauth_schema (component, version)
  SELECT 'oauth-roles', 1 WHERE NOT EXISTS (SELECT 1 FROM oauth_schema WHERE component = 'oauth-roles');
GO
