-- oauth2-stores: authorization codes, access tokens and refresh tokens, and what an authorization server keeps beside them
-- PostgreSQL 13 or newer, Aurora PostgreSQL. Run it with: psql -v ON_ERROR_STOP=1 -f oauth-server.sql
-- Can be run again at any time. Times are epoch seconds; digests, identifiers and records are bytes.

CREATE TABLE IF NOT EXISTS oauth_schema (
  component   text    NOT NULL,
  version     integer NOT NULL,
  CONSTRAINT oauth_schema_pk PRIMARY KEY (component)
);

-- One authorization and its refresh token: everything that must change together stands in this one row.
-- What never changes comes first, what a rotation changes last: then the log of a rotation holds its last columns only.
-- No index on a column that a rotation changes, and room in the page: then a rotation touches no index at all.
CREATE TABLE IF NOT EXISTS oauth_grant (
  grant_id                 bytea   NOT NULL,
  client_id                text    NOT NULL,
  subject                  text,
  application_id           text,
  consent_id               text,
  created_at               bigint  NOT NULL,
  expires_at               bigint,
  refresh_sender           bytea,
  data                     bytea   NOT NULL,
  revoked_at               bigint,
  retain_until             bigint  NOT NULL,
  refresh_expires_at       bigint,
  refresh_idle_expires_at  bigint,
  refresh_foreign          boolean,
  retired_at               bigint,
  attempt                  bytea,
  refresh_digest           bytea,
  retired_digest           bytea,
  successor                bytea,
  CONSTRAINT oauth_grant_pk PRIMARY KEY (grant_id)
) WITH (fillfactor = 85);

CREATE INDEX IF NOT EXISTS oauth_grant_subject ON oauth_grant (subject) WHERE subject IS NOT NULL;
-- By the minute: equal keys share one entry, and a page of a client's grants never sorts more than a minute of them.
CREATE INDEX IF NOT EXISTS oauth_grant_client ON oauth_grant (client_id, (created_at / 60));
CREATE INDEX IF NOT EXISTS oauth_grant_application ON oauth_grant (application_id, (created_at / 60)) WHERE application_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS oauth_grant_consent ON oauth_grant (consent_id) WHERE consent_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS oauth_grant_retain ON oauth_grant (retain_until);

CREATE TABLE IF NOT EXISTS access_token (
  grant_id                 bytea   NOT NULL,
  digest                   bytea   NOT NULL,
  issued_at                bigint  NOT NULL,
  expires_at               bigint  NOT NULL,
  revoked_at               bigint,
  attempt                  bytea   NOT NULL,
  is_foreign               boolean,
  data                     bytea,
  CONSTRAINT access_token_pk PRIMARY KEY (grant_id, digest)
);

CREATE INDEX IF NOT EXISTS access_token_expires ON access_token (expires_at);

-- The way from a token that another server minted to its grant; our own tokens lead there by themselves.
CREATE TABLE IF NOT EXISTS foreign_token (
  digest                   bytea   NOT NULL,
  grant_id                 bytea   NOT NULL,
  retain_until             bigint  NOT NULL,
  CONSTRAINT foreign_token_pk PRIMARY KEY (digest)
);

CREATE INDEX IF NOT EXISTS foreign_token_retain ON foreign_token (retain_until);

-- Revocations by subject, client, application or consent: grants that were authorized before one cannot be stored after it.
CREATE TABLE IF NOT EXISTS revocation (
  selector                 bytea   NOT NULL,
  revoked_at_ms            bigint  NOT NULL,
  retain_until             bigint  NOT NULL,
  CONSTRAINT revocation_pk PRIMARY KEY (selector)
);

CREATE INDEX IF NOT EXISTS revocation_retain ON revocation (retain_until);

CREATE TABLE IF NOT EXISTS authorization_code (
  digest                   bytea   NOT NULL,
  grant_id                 bytea   NOT NULL,
  binding                  bytea   NOT NULL,
  expires_at               bigint  NOT NULL,
  retain_until             bigint  NOT NULL,
  data                     bytea   NOT NULL,
  redeemed_at              bigint,
  attempt                  bytea   NOT NULL,
  CONSTRAINT authorization_code_pk PRIMARY KEY (digest)
) WITH (fillfactor = 80);

CREATE INDEX IF NOT EXISTS authorization_code_retain ON authorization_code (retain_until);

CREATE TABLE IF NOT EXISTS artifact (
  kind                     text    NOT NULL,
  id                       bytea   NOT NULL,
  uid                      bytea,
  user_code                bytea,
  consent_id               text,
  expires_at               bigint,
  retain_until             bigint,
  consumed_at              bigint,
  attempt                  bytea,
  data                     bytea   NOT NULL,
  CONSTRAINT artifact_pk PRIMARY KEY (kind, id)
) WITH (fillfactor = 80);

CREATE INDEX IF NOT EXISTS artifact_uid ON artifact (kind, uid) WHERE uid IS NOT NULL;
CREATE INDEX IF NOT EXISTS artifact_user_code ON artifact (kind, user_code) WHERE user_code IS NOT NULL;
CREATE INDEX IF NOT EXISTS artifact_consent ON artifact (consent_id) WHERE consent_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS artifact_retain ON artifact ((COALESCE(retain_until, expires_at)));

INSERT INTO oauth_schema (component, version) VALUES ('oauth-server', 1) ON CONFLICT (component) DO NOTHING;
