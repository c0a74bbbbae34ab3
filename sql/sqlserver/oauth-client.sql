-- oauth2-stores: tokens that the deployment received as a client of other authorization servers
-- SQL Server 2017 or newer, Azure SQL, Amazon RDS for SQL Server. Run it with: sqlcmd -b -I -d oauth -i oauth-client.sql
-- Can be run again at any time. Times are epoch seconds; texts are bytes (UTF-8); the token itself is sealed.

SET ANSI_NULLS ON;
SET QUOTED_IDENTIFIER ON;
GO

IF OBJECT_ID(N'oauth_schema', N'U') IS NULL
CREATE TABLE oauth_schema (
  component   varchar(30)     NOT NULL,
  version     int             NOT NULL,
  CONSTRAINT oauth_schema_pk PRIMARY KEY CLUSTERED (component)
);
GO

IF OBJECT_ID(N'client_access_token', N'U') IS NULL
CREATE TABLE client_access_token (
  client_id                varbinary(400)  NOT NULL,
  token_key                varbinary(500)  NOT NULL,
  expires_at               bigint          NOT NULL,
  data                     varbinary(max)  NOT NULL,
  CONSTRAINT client_access_token_pk PRIMARY KEY CLUSTERED (client_id, token_key)
);
GO

IF INDEXPROPERTY(OBJECT_ID(N'client_access_token'), N'client_access_token_expires', 'IndexID') IS NULL
CREATE INDEX client_access_token_expires ON client_access_token (expires_at);

INSERT INTO oauth_schema (component, version)
  SELECT 'oauth-client', 1 WHERE NOT EXISTS (SELECT 1 FROM oauth_schema WHERE component = 'oauth-client');
GO
