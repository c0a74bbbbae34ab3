-- oauth2-stores: tokens that the deployment received as a client of other authorization servers
-- MariaDB 10.6 or newer. Run it with: mariadb --default-character-set=utf8mb4 DATABASE < oauth-client.sql
-- Can be run again at any time. Times are epoch seconds; the token itself is sealed.

CREATE TABLE IF NOT EXISTS oauth_schema (
  component                VARCHAR(64)     NOT NULL,
  version                  INT             NOT NULL,
  CONSTRAINT oauth_schema_pk PRIMARY KEY (component)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_nopad_bin;

-- That it has begun: version 0, until its end.
INSERT INTO oauth_schema (component, version) VALUES ('oauth-client', 0) ON DUPLICATE KEY UPDATE component = 'oauth-client';

CREATE TABLE IF NOT EXISTS client_access_token (
  client_id                VARCHAR(255)    NOT NULL,
  token_key                VARCHAR(512)    NOT NULL,
  expires_at               BIGINT          NOT NULL,
  data                     MEDIUMBLOB      NOT NULL,
  CONSTRAINT client_access_token_pk PRIMARY KEY (client_id, token_key),
  KEY client_access_token_expires (expires_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_nopad_bin;

INSERT INTO oauth_schema (component, version) VALUES ('oauth-client', 1) ON DUPLICATE KEY UPDATE version = IF(version = 0, 1, version);
