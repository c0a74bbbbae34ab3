-- oauth2-stores: access tokens in partitions by when they expire, which the purge empties whole
-- PostgreSQL 13 or newer, Aurora PostgreSQL. Run it after oauth-server.sql, as the user who owns its tables, by psql:
-- psql -v ON_ERROR_STOP=1 -f oauth-partitions.sql
-- Can be run again at any time, also after an attempt that broke off. The tokens that are there stay where they are, in
-- access_token_0, and are removed row by row as they expire; look-ups and writers go on meanwhile.
-- outside a transaction: CREATE INDEX CONCURRENTLY needs none.

-- What needs the table to itself for a moment, and is given up when that does not come at once.
DO $$
DECLARE
  flat regclass;
  owner text;
BEGIN
  SELECT oid, pg_get_userbyid(relowner) INTO flat, owner FROM pg_class WHERE oid = 'access_token'::regclass AND relkind = 'r';
  IF owner <> current_user THEN
    RAISE insufficient_privilege USING MESSAGE = format('run it as %s, who owns access_token', owner);
  END IF;
  IF flat IS NOT NULL THEN
    PERFORM set_config('lock_timeout', '200ms', true);
    IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = flat AND attname = 'slot') THEN
      ALTER TABLE access_token ADD COLUMN slot smallint NOT NULL DEFAULT 0;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = flat AND conname = 'access_token_slot') THEN
      ALTER TABLE access_token ADD CONSTRAINT access_token_slot CHECK (slot = 0) NOT VALID;
    END IF;
    IF EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('access_token_0_pk') AND NOT indisvalid) THEN
      DROP INDEX access_token_0_pk; -- of an attempt that broke off
    END IF;
  END IF;
END
$$;

-- What takes as long as there are rows, beside readers and writers.
SELECT 'CREATE UNIQUE INDEX CONCURRENTLY access_token_0_pk ON access_token (grant_id, digest, slot)'
  FROM pg_class WHERE oid = 'access_token'::regclass AND relkind = 'r' AND to_regclass('access_token_0_pk') IS NULL \gexec

SELECT 'ALTER TABLE access_token VALIDATE CONSTRAINT access_token_slot'
  FROM pg_constraint WHERE conrelid = 'access_token'::regclass AND conname = 'access_token_slot' AND NOT convalidated \gexec

BEGIN;

-- Where a token belongs: 1 to 3 in turn by the hour that it expires in, 4 to 6 by the day if it lives longer than an hour, 0 if
-- longer than a day. One that the grant has already belongs where that is: then the key meets it there. Whoever calls has the
-- lock on the grant, and a query in here sees what is committed by then.
CREATE OR REPLACE FUNCTION oauth_slot(p_grant_id bytea, p_digest bytea, p_issued_at bigint, p_expires_at bigint)
  RETURNS smallint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  taken smallint;
BEGIN
  SELECT a.slot INTO taken FROM access_token a WHERE a.grant_id = p_grant_id AND a.digest = p_digest;
  RETURN COALESCE(taken, CASE
    WHEN p_expires_at - p_issued_at <= 3600 THEN 1 + p_expires_at / 3600 % 3
    WHEN p_expires_at - p_issued_at <= 86400 THEN 4 + p_expires_at / 86400 % 3
    ELSE 0 END);
END
$$;

-- Empties one partition whose hour or day is over, and says about how many tokens were in it; no row if there is none. Under a
-- lock that nobody can write beside it sees whether one of them still lives, whatever the clocks of others say.
CREATE OR REPLACE FUNCTION oauth_empty_access_partition(p_now bigint) RETURNS SETOF bigint
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET lock_timeout = '100ms' AS $$
DECLARE
  partition text;
  newest bigint;
  records bigint;
BEGIN
  IF NOT has_table_privilege(session_user, 'access_token', 'DELETE') THEN
    RAISE insufficient_privilege USING MESSAGE = 'permission denied for table access_token';
  END IF;
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE feature_not_supported USING MESSAGE = 'run it at READ COMMITTED: another level does not see what others just wrote';
  END IF;
  FOREACH partition IN ARRAY ARRAY['access_token_' || 1 + (p_now / 3600 - 1) % 3, 'access_token_' || 4 + (p_now / 86400 - 1) % 3] LOOP
    EXECUTE format('SELECT max(expires_at) FROM %I', partition) INTO newest;
    CONTINUE WHEN newest IS NULL OR newest > p_now;
    -- Few are counted, since the server may not know of the last ones yet. To read many would write: what a reader finds out of a
    -- row, it notes in its page.
    records := pg_stat_get_live_tuples(partition::regclass);
    IF records < 10000 THEN
      EXECUTE format('SELECT count(*) FROM %I', partition) INTO records;
    END IF;
    BEGIN
      EXECUTE format('LOCK TABLE ONLY %I IN ACCESS EXCLUSIVE MODE', partition);
    EXCEPTION WHEN lock_not_available THEN
      CONTINUE;
    END;
    EXECUTE format('SELECT max(expires_at) FROM %I', partition) INTO newest;
    IF newest <= p_now THEN
      EXECUTE format('TRUNCATE ONLY %I', partition);
      RETURN NEXT records;
    END IF;
    RETURN; -- one lock at a time
  END LOOP;
END
$$;

-- Removes what is due row by row: tokens in no ring, and those that were not emptied while it was their turn. The key of a row
-- is its place in a partition, so each is named.
CREATE OR REPLACE FUNCTION oauth_purge_access_tokens(p_now bigint, p_limit bigint) RETURNS SETOF integer
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$
DECLARE
  due bigint;
  gone bigint;
BEGIN
  IF NOT has_table_privilege(session_user, 'access_token', 'DELETE') THEN
    RAISE insufficient_privilege USING MESSAGE = 'permission denied for table access_token';
  END IF;
  PERFORM set_config('synchronous_commit', 'off', true); -- what a power cut brings back is due again
  FOR slot IN 0..6 LOOP
    due := CASE WHEN slot = 0 THEN p_now WHEN slot <= 3 THEN (p_now / 3600 - 1) * 3600 - 1 ELSE (p_now / 86400 - 1) * 86400 - 1 END;
    RETURN QUERY EXECUTE format('DELETE FROM access_token_%s WHERE ctid = ANY (ARRAY(
      SELECT ctid FROM access_token_%1$s WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)) RETURNING 1', slot)
      USING due, p_limit;
    GET DIAGNOSTICS gone = ROW_COUNT;
    p_limit := p_limit - gone;
    EXIT WHEN p_limit <= 0;
  END LOOP;
END
$$;

-- What is due in each partition, counted as far as p_most, and since when: in no ring a token when it has expired, in a ring one
-- turn after the beginning of its hour or day.
CREATE OR REPLACE FUNCTION oauth_access_token_backlog(p_now bigint, p_most bigint) RETURNS TABLE (records bigint, oldest bigint)
  LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
DECLARE
  width bigint;
  turn integer;
BEGIN
  FOR slot IN 0..6 LOOP
    width := CASE WHEN slot = 0 THEN 1 WHEN slot <= 3 THEN 3600 ELSE 86400 END;
    turn := CASE WHEN slot = 0 THEN 0 ELSE 1 END;
    RETURN QUERY EXECUTE format('SELECT count(*), (min(expires_at) / $1 + $2) * $1 FROM (
      SELECT expires_at FROM access_token_%s WHERE expires_at < ($3 / $1 + 1 - $2) * $1 ORDER BY expires_at LIMIT $4) AS counted', slot)
      USING width, turn, p_now, p_most;
  END LOOP;
END
$$;

-- What does not know of the partitions takes a row by its place in one, and would remove those in the same place of others.
CREATE OR REPLACE FUNCTION oauth_refuse_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE wrong_object_type USING MESSAGE = 'access_token has expiry partitions: set expiryPartitions, or delete from the partition';
END
$$;

-- What they do as the owner, they do to these tables.
DO $$
DECLARE
  place text := (SELECT relnamespace::regnamespace FROM pg_class WHERE oid = 'access_token'::regclass);
BEGIN
  EXECUTE format('ALTER FUNCTION oauth_empty_access_partition SET search_path = %s, pg_temp', place);
  EXECUTE format('ALTER FUNCTION oauth_purge_access_tokens SET search_path = %s, pg_temp', place);
  EXECUTE format('ALTER FUNCTION oauth_access_token_backlog SET search_path = %s, pg_temp', place);
END
$$;

DO $$
DECLARE
  flat regclass;
  granted record;
BEGIN
  SELECT oid INTO flat FROM pg_class WHERE oid = 'access_token'::regclass AND relkind = 'r';
  IF flat IS NULL THEN
    RETURN;
  END IF;
  PERFORM set_config('lock_timeout', '200ms', true);
  LOCK TABLE access_token IN ACCESS EXCLUSIVE MODE;
  ALTER TABLE access_token DROP CONSTRAINT access_token_pk;
  ALTER TABLE access_token ADD CONSTRAINT access_token_0_pk PRIMARY KEY USING INDEX access_token_0_pk;
  ALTER TABLE access_token RENAME TO access_token_0;
  ALTER INDEX access_token_expires RENAME TO access_token_0_expires;
  CREATE TABLE access_token (LIKE access_token_0 INCLUDING DEFAULTS) PARTITION BY LIST (slot);
  ALTER TABLE access_token ADD CONSTRAINT access_token_pk PRIMARY KEY (grant_id, digest, slot);
  CREATE INDEX access_token_expires ON access_token (expires_at);
  ALTER TABLE access_token ATTACH PARTITION access_token_0 FOR VALUES IN (0);
  ALTER TABLE access_token_0 DROP CONSTRAINT access_token_slot;
  FOR slot IN 1..6 LOOP
    EXECUTE format('CREATE TABLE access_token_%s PARTITION OF access_token FOR VALUES IN (%1$s)', slot);
  END LOOP;
  CREATE TRIGGER access_token_delete BEFORE DELETE ON access_token FOR EACH STATEMENT EXECUTE FUNCTION oauth_refuse_delete();
  -- Whoever may do something with the table may do it with all of it, and with no partition by its name.
  FOR granted IN
    SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS grantee,
        a.privilege_type || COALESCE(' (' || quote_ident(a.name) || ')', '') AS privilege, CASE WHEN a.is_grantable THEN 'WITH GRANT OPTION' ELSE '' END AS option
      FROM (SELECT NULL AS name, acl.* FROM pg_class, aclexplode(relacl) AS acl WHERE oid = flat
        UNION ALL SELECT attname, acl.* FROM pg_attribute, aclexplode(attacl) AS acl WHERE attrelid = flat) AS a
      WHERE a.grantee <> (SELECT relowner FROM pg_class WHERE oid = flat)
  LOOP
    EXECUTE format('GRANT %s ON access_token TO %s %s', granted.privilege, granted.grantee, granted.option);
    EXECUTE format('REVOKE %s ON access_token_0 FROM %s CASCADE', granted.privilege, granted.grantee);
  END LOOP;
END
$$;

INSERT INTO oauth_schema (component, version) VALUES ('oauth-partitions', 1) ON CONFLICT (component) DO NOTHING;

COMMIT;
