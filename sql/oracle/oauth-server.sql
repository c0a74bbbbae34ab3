-- oauth2-stores: authorization codes, access tokens and refresh tokens, and what an authorization server keeps beside them
-- Oracle Database 19c or newer, Amazon RDS for Oracle. Run it with: sqlplus -L user@//host:1521/service @oauth-server.sql
-- Can be run again at any time. Times are epoch seconds; digests, identifiers and records are bytes.
-- It makes version 2, and leaves an older one as it is: upgrades/ leads from there to here.
WHENEVER SQLERROR EXIT FAILURE ROLLBACK;

DECLARE
  PROCEDURE make(text VARCHAR2) IS
  BEGIN
    EXECUTE IMMEDIATE text;
  EXCEPTION
    WHEN OTHERS THEN
      IF SQLCODE <> -955 THEN RAISE; END IF; -- ORA-00955: it is there already
  END;
BEGIN
make('
CREATE TABLE oauth_schema (
  component   VARCHAR2(30 CHAR) NOT NULL,
  version     NUMBER(9)         NOT NULL,
  CONSTRAINT oauth_schema_pk PRIMARY KEY (component)
)');

-- One authorization and its refresh token: everything that must change together stands in this one row.
-- No client: revoked before it came. No data: empty, since Oracle takes an empty text or RAW for NULL.
-- No index on a column that a rotation changes, and room in the block for what the first rotation adds: then the row stays
-- where it is. A BLOB of up to 3964 bytes stands in the row.
make('
CREATE TABLE oauth_grant (
  grant_id                 RAW(12)            NOT NULL,
  client_id                VARCHAR2(255 CHAR),
  subject                  VARCHAR2(255 CHAR),
  application_id           VARCHAR2(255 CHAR),
  consent_id               VARCHAR2(255 CHAR),
  created_at               NUMBER(19)         NOT NULL,
  expires_at               NUMBER(19),
  refresh_sender           RAW(32),
  data                     BLOB,
  revoked_at               NUMBER(19),
  retain_until             NUMBER(19)         NOT NULL,
  refresh_expires_at       NUMBER(19),
  refresh_idle_expires_at  NUMBER(19),
  refresh_foreign          NUMBER(1),
  retired_at               NUMBER(19),
  attempt                  RAW(16),
  refresh_digest           RAW(32),
  retired_digest           RAW(32),
  successor                BLOB,
  CONSTRAINT oauth_grant_pk PRIMARY KEY (grant_id)
) PCTFREE 40 LOB (data, successor) STORE AS (ENABLE STORAGE IN ROW CACHE)');

-- An index holds no row whose columns are all NULL.
make('CREATE INDEX oauth_grant_subject ON oauth_grant (subject)');
-- By the minute, and whole: a page of a client''s grants is read off it in its order.
make('CREATE INDEX oauth_grant_client ON oauth_grant (client_id, FLOOR(created_at / 60), grant_id) COMPRESS 1');
make('CREATE INDEX oauth_grant_application ON oauth_grant (application_id, FLOOR(created_at / 60), grant_id) COMPRESS 1');
make('CREATE INDEX oauth_grant_consent ON oauth_grant (consent_id)');
make('CREATE INDEX oauth_grant_retain ON oauth_grant (retain_until)');

make('
CREATE TABLE access_token (
  grant_id                 RAW(12)            NOT NULL,
  digest                   RAW(32)            NOT NULL,
  issued_at                NUMBER(19)         NOT NULL,
  expires_at               NUMBER(19)         NOT NULL,
  revoked_at               NUMBER(19),
  attempt                  RAW(16)            NOT NULL,
  is_foreign               NUMBER(1),
  data                     BLOB,
  CONSTRAINT access_token_pk PRIMARY KEY (grant_id, digest)
) LOB (data) STORE AS (ENABLE STORAGE IN ROW CACHE)');

make('CREATE INDEX access_token_expires ON access_token (expires_at)');

-- The way from a token that another server minted to its grant; our own tokens lead there by themselves.
make('
CREATE TABLE foreign_token (
  digest                   RAW(32)            NOT NULL,
  grant_id                 RAW(12)            NOT NULL,
  retain_until             NUMBER(19)         NOT NULL,
  CONSTRAINT foreign_token_pk PRIMARY KEY (digest)
)');

make('CREATE INDEX foreign_token_retain ON foreign_token (retain_until)');

-- Revocations by subject, client, application or consent: grants that were authorized before one cannot be stored after it.
make('
CREATE TABLE revocation (
  selector                 RAW(32)            NOT NULL,
  revoked_at_ms            NUMBER(19)         NOT NULL,
  retain_until             NUMBER(19)         NOT NULL,
  CONSTRAINT revocation_pk PRIMARY KEY (selector)
)');

make('CREATE INDEX revocation_retain ON revocation (retain_until)');

make('
CREATE TABLE authorization_code (
  digest                   RAW(32)            NOT NULL,
  grant_id                 RAW(12)            NOT NULL,
  binding                  RAW(32)            NOT NULL,
  expires_at               NUMBER(19)         NOT NULL,
  retain_until             NUMBER(19)         NOT NULL,
  data                     BLOB,
  redeemed_at              NUMBER(19),
  attempt                  RAW(16)            NOT NULL,
  CONSTRAINT authorization_code_pk PRIMARY KEY (digest)
) LOB (data) STORE AS (ENABLE STORAGE IN ROW CACHE)');

make('CREATE INDEX authorization_code_retain ON authorization_code (retain_until)');

-- "UID" is a reserved word, so it stands in quotes, here and in every statement.
make('
CREATE TABLE artifact (
  kind                     VARCHAR2(255 CHAR) NOT NULL,
  id                       RAW(32)            NOT NULL,
  "UID"                    RAW(32),
  user_code                RAW(32),
  consent_id               VARCHAR2(255 CHAR),
  expires_at               NUMBER(19),
  retain_until             NUMBER(19),
  consumed_at              NUMBER(19),
  attempt                  RAW(16),
  data                     BLOB,
  CONSTRAINT artifact_pk PRIMARY KEY (kind, id)
) PCTFREE 20 LOB (data) STORE AS (ENABLE STORAGE IN ROW CACHE)');

make('CREATE INDEX artifact_uid ON artifact ("UID")');
make('CREATE INDEX artifact_user_code ON artifact (user_code)');
make('CREATE INDEX artifact_consent ON artifact (consent_id)');
make('CREATE INDEX artifact_retain ON artifact (COALESCE(retain_until, expires_at))');
END;
/

BEGIN
  INSERT INTO oauth_schema (component, version) VALUES ('oauth-server', 2);
  COMMIT;
EXCEPTION
  WHEN DUP_VAL_ON_INDEX THEN NULL;
END;
/
