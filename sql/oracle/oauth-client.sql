-- oauth2-stores: tokens that the deployment received as a client of other authorization servers
-- Oracle Database 19c or newer, Amazon RDS for Oracle. Run it with: sqlplus -L user@//host:1521/service @oauth-client.sql
-- Can be run again at any time. Times are epoch seconds; the token itself is sealed.
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

make('
CREATE TABLE client_access_token (
  client_id                VARCHAR2(255 CHAR) NOT NULL,
  token_key                VARCHAR2(255 CHAR) NOT NULL,
  expires_at               NUMBER(19)         NOT NULL,
  data                     BLOB,
  CONSTRAINT client_access_token_pk PRIMARY KEY (client_id, token_key)
) PCTFREE 20 LOB (data) STORE AS (ENABLE STORAGE IN ROW CACHE)');

make('CREATE INDEX client_access_token_expires ON client_access_token (expires_at)');
END;
/

BEGIN
  INSERT INTO oauth_schema (component, version) VALUES ('oauth-client', 1);
  COMMIT;
EXCEPTION
  WHEN DUP_VAL_ON_INDEX THEN NULL;
END;
/
