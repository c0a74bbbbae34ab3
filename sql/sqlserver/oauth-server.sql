-- oauth2-stores: authorization codes, access tokens and refresh tokens, and what an authorization server keeps beside them
-- SQL Server 2017 or newer, Azure SQL, Amazon RDS for SQL Server. Run it with: sqlcmd -b -I -d oauth -i oauth-server.sql
-- Can be run again at any time. Times are epoch seconds; digests, identifiers and records are bytes,
-- and so are texts (UTF-8): a comparison of SQL Server's texts would ignore spaces at their end, in every collation.
-- It makes version 2, as that of the other engines is; there is no older one.

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

-- One authorization and its refresh token: everything that must change together stands in this one row.
-- The first bytes of its id are of the time, so new rows come last; what an id leads to is read and changed in one place.
-- No index on a column that a rotation changes, but for retain_until: then a rotation changes this row and no index.
IF OBJECT_ID(N'oauth_grant', N'U') IS NULL
CREATE TABLE oauth_grant (
  grant_id                 binary(12)      NOT NULL,
  client_id                varbinary(400)  NOT NULL,
  subject                  varbinary(1000) NULL,
  application_id           varbinary(400)  NULL,
  consent_id               varbinary(400)  NULL,
  created_at               bigint          NOT NULL,
  expires_at               bigint          NULL,
  refresh_sender           binary(32)      NULL,
  data                     varbinary(max)  NOT NULL,
  revoked_at               bigint          NULL,
  retain_until             bigint          NOT NULL,
  refresh_expires_at       bigint          NULL,
  refresh_idle_expires_at  bigint          NULL,
  refresh_foreign          bit             NULL,
  retired_at               bigint          NULL,
  attempt                  binary(16)      NULL,
  refresh_digest           binary(32)      NULL,
  retired_digest           binary(32)      NULL,
  successor                varbinary(max)  NULL,
  CONSTRAINT oauth_grant_pk PRIMARY KEY CLUSTERED (grant_id)
);
GO

-- A batch of the purge locks its rows and nothing more, however many entries of indexes go with them.
ALTER TABLE oauth_grant SET (LOCK_ESCALATION = DISABLE);
IF INDEXPROPERTY(OBJECT_ID(N'oauth_grant'), N'oauth_grant_subject', 'IndexID') IS NULL
CREATE INDEX oauth_grant_subject ON oauth_grant (subject, created_at);
-- The grant's id stands in each entry of an index, after created_at: a page is read off it in its order.
IF INDEXPROPERTY(OBJECT_ID(N'oauth_grant'), N'oauth_grant_client', 'IndexID') IS NULL
CREATE INDEX oauth_grant_client ON oauth_grant (client_id, created_at);
IF INDEXPROPERTY(OBJECT_ID(N'oauth_grant'), N'oauth_grant_application', 'IndexID') IS NULL
CREATE INDEX oauth_grant_application ON oauth_grant (application_id, created_at);
IF INDEXPROPERTY(OBJECT_ID(N'oauth_grant'), N'oauth_grant_consent', 'IndexID') IS NULL
CREATE INDEX oauth_grant_consent ON oauth_grant (consent_id, created_at);
IF INDEXPROPERTY(OBJECT_ID(N'oauth_grant'), N'oauth_grant_retain', 'IndexID') IS NULL
CREATE INDEX oauth_grant_retain ON oauth_grant (retain_until);

IF OBJECT_ID(N'access_token', N'U') IS NULL
CREATE TABLE access_token (
  grant_id                 binary(12)      NOT NULL,
  digest                   binary(16)      NOT NULL,
  issued_at                bigint          NOT NULL,
  expires_at               bigint          NOT NULL,
  revoked_at               bigint          NULL,
  attempt                  binary(16)      NOT NULL,
  is_foreign               bit             NULL,
  data                     varbinary(max)  NULL,
  CONSTRAINT access_token_pk PRIMARY KEY CLUSTERED (grant_id, digest)
);
GO

IF INDEXPROPERTY(OBJECT_ID(N'access_token'), N'access_token_expires', 'IndexID') IS NULL
CREATE INDEX access_token_expires ON access_token (expires_at);

-- The way from a token that another server minted to its grant; our own tokens lead there by themselves.
IF OBJECT_ID(N'foreign_token', N'U') IS NULL
CREATE TABLE foreign_token (
  digest                   varbinary(32)   NOT NULL,
  grant_id                 binary(12)      NOT NULL,
  retain_until             bigint          NOT NULL,
  CONSTRAINT foreign_token_pk PRIMARY KEY CLUSTERED (digest)
);
GO

IF INDEXPROPERTY(OBJECT_ID(N'foreign_token'), N'foreign_token_retain', 'IndexID') IS NULL
CREATE INDEX foreign_token_retain ON foreign_token (retain_until);

-- Revocations by subject, client, application or consent: grants that were authorized before one cannot be stored after it.
IF OBJECT_ID(N'revocation', N'U') IS NULL
CREATE TABLE revocation (
  selector                 binary(32)      NOT NULL,
  revoked_at_ms            bigint          NOT NULL,
  retain_until             bigint          NOT NULL,
  CONSTRAINT revocation_pk PRIMARY KEY CLUSTERED (selector)
);
GO

IF INDEXPROPERTY(OBJECT_ID(N'revocation'), N'revocation_retain', 'IndexID') IS NULL
CREATE INDEX revocation_retain ON revocation (retain_until);

IF OBJECT_ID(N'authorization_code', N'U') IS NULL
CREATE TABLE authorization_code (
  digest                   binary(32)      NOT NULL,
  grant_id                 binary(12)      NOT NULL,
  binding                  binary(32)      NOT NULL,
  expires_at               bigint          NOT NULL,
  retain_until             bigint          NOT NULL,
  data                     varbinary(max)  NOT NULL,
  redeemed_at              bigint          NULL,
  attempt                  binary(16)      NOT NULL,
  CONSTRAINT authorization_code_pk PRIMARY KEY CLUSTERED (digest)
);
GO

IF INDEXPROPERTY(OBJECT_ID(N'authorization_code'), N'authorization_code_retain', 'IndexID') IS NULL
CREATE INDEX authorization_code_retain ON authorization_code (retain_until);

IF OBJECT_ID(N'artifact', N'U') IS NULL
CREATE TABLE artifact (
  kind                     varbinary(100)  NOT NULL,
  id                       varbinary(32)   NOT NULL,
  uid                      varbinary(32)   NULL,
  user_code                varbinary(32)   NULL,
  consent_id               varbinary(400)  NULL,
  expires_at               bigint          NULL,
  retain_until             bigint          NULL,
  consumed_at              bigint          NULL,
  attempt                  binary(16)      NULL,
  data                     varbinary(max)  NOT NULL,
  CONSTRAINT artifact_pk PRIMARY KEY CLUSTERED (kind, id)
);
GO

ALTER TABLE artifact SET (LOCK_ESCALATION = DISABLE);
IF INDEXPROPERTY(OBJECT_ID(N'artifact'), N'artifact_uid', 'IndexID') IS NULL
CREATE INDEX artifact_uid ON artifact (kind, uid);
IF INDEXPROPERTY(OBJECT_ID(N'artifact'), N'artifact_user_code', 'IndexID') IS NULL
CREATE INDEX artifact_user_code ON artifact (kind, user_code);
IF INDEXPROPERTY(OBJECT_ID(N'artifact'), N'artifact_consent', 'IndexID') IS NULL
CREATE INDEX artifact_consent ON artifact (consent_id);
-- When the purge removes it: what other engines index as an expression stands in a column here.
IF COL_LENGTH(N'artifact', N'due_at') IS NULL
ALTER TABLE artifact ADD due_at AS COALESCE(retain_until, expires_at);
GO

IF INDEXPROPERTY(OBJECT_ID(N'artifact'), N'artifact_retain', 'IndexID') IS NULL
CREATE INDEX artifact_retain ON artifact (due_at);

INSERT INTO oauth_schema (component, version)
  SELECT 'oauth-server', 2 WHERE NOT EXISTS (SELECT 1 FROM oauth_schema WHERE component = 'oauth-server');
GO
