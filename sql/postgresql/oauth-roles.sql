-- oauth2-stores: users of the database, each with the privileges that a kind of function needs and no others
-- PostgreSQL 13 or newer, Aurora PostgreSQL. Run it after oauth-server.sql and oauth-client.sql, by a user that may make roles:
-- psql -v ON_ERROR_STOP=1 -1 -f oauth-roles.sql
-- Can be run again at any time. Roles are the whole server's: databases that share one share these. No password is set; on
-- Amazon RDS and Aurora they log in by IAM, elsewhere by what ALTER ROLE and pg_hba.conf allow.

-- oauth_reader   looks tokens, codes and grants up
-- oauth_checker  a reader that also keeps artifacts, such as a jti that counts once
-- oauth_writer   everything but changing the schema
-- oauth_purger   removes rows; of what they hold it can read when they are due, and nothing else
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['oauth_reader', 'oauth_checker', 'oauth_writer', 'oauth_purger'] LOOP
    BEGIN
      IF to_regrole(name) IS NULL THEN
        EXECUTE format('CREATE ROLE %I LOGIN', name);
      END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
      NULL; -- made for another database of this server at the same moment
    END;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), name);
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), name);
    -- Amazon RDS: with this role a token of IAM is the only way to log in.
    IF to_regrole('rds_iam') IS NOT NULL AND NOT pg_has_role(name, 'rds_iam', 'MEMBER') THEN
      EXECUTE format('GRANT rds_iam TO %I', name);
    END IF;
  END LOOP;
END
$$;

GRANT SELECT ON oauth_schema TO oauth_reader, oauth_checker, oauth_writer, oauth_purger;

GRANT SELECT ON oauth_grant, access_token, foreign_token, authorization_code, client_access_token
  TO oauth_reader, oauth_checker;
GRANT SELECT, INSERT, UPDATE, DELETE ON artifact TO oauth_checker;

GRANT SELECT, INSERT, UPDATE, DELETE
  ON oauth_grant, access_token, foreign_token, revocation, authorization_code, artifact, client_access_token
  TO oauth_writer;

-- A row is locked before it is removed, and a lock needs the privilege to change some column: one that decides nothing
-- about a token, or only when the row may go.
GRANT DELETE, SELECT (ctid, expires_at), UPDATE (attempt) ON access_token TO oauth_purger;
GRANT DELETE, SELECT (ctid, retain_until), UPDATE (retain_until) ON oauth_grant TO oauth_purger;
GRANT DELETE, SELECT (ctid, retain_until), UPDATE (retain_until) ON foreign_token TO oauth_purger;
GRANT DELETE, SELECT (ctid, retain_until), UPDATE (retain_until) ON revocation TO oauth_purger;
GRANT DELETE, SELECT (ctid, retain_until), UPDATE (retain_until) ON authorization_code TO oauth_purger;
GRANT DELETE, SELECT (ctid, retain_until, expires_at), UPDATE (retain_until) ON artifact TO oauth_purger;
GRANT DELETE, SELECT (ctid, expires_at), UPDATE (expires_at) ON client_access_token TO oauth_purger;

INSERT INTO oauth_schema (component, version) VALUES ('oauth-roles', 1) ON CONFLICT (component) DO NOTHING;
