-- oauth2-stores: tokens that the deployment received as a client of other authorization servers
-- PostgreSQL 13 or newer, Aurora PostgreSQL. Run it with: psql -v ON_ERROR_STOP=1 -f oauth-client.sql
-- Can be run again at any time. Times are epoch seconds; the token itself is sealed.

CREATE TABLE IF NOT EXISTS oauth_schema (
  component   text    NOT NULL,
  version     integer NOT NULL,
  CONSTRAINT oauth_schema_pk PRIMARY KEY (component)
);

CREATE TABLE IF NOT EXISTS client_access_token (
  client_id                text    NOT NULL,
  token_key                text    NOT NULL,
  expires_at               bigint  NOT NULL,
  data                     bytea   NOT NULL,
  CONSTRAINT client_access_token_pk PRIMARY KEY (client_id, token_key)
);

CREATE INDEX IF NOT EXISTS client_access_token_expires ON client_access_token (expires_at);

INSERT INTO oauth_schema (component, version) VALUES ('oauth-client', 1) ON CONFLICT (component) DO NOTHING;
