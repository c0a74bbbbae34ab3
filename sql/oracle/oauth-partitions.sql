-- oauth2-stores: access tokens in partitions by when they expire, which the purge empties whole
-- Oracle Database 19c or newer, Enterprise Edition with the Partitioning option, or 23ai Free. Run it after oauth-server.sql, by
-- the owner of its tables, who may also make procedures (CREATE PROCEDURE):
-- sqlplus -L user@//host:1521/service @oauth-partitions.sql
-- Can be run again at any time, also after an attempt that broke off. The tokens that are there move to where they belong; look-ups
-- and writers go on meanwhile.
WHENEVER SQLERROR EXIT FAILURE ROLLBACK;

DECLARE
  v_partitioned NUMBER;
  PROCEDURE make(text VARCHAR2) IS
  BEGIN
    EXECUTE IMMEDIATE text;
  EXCEPTION
    WHEN OTHERS THEN
      -- The column, the index or its name is there already; the key or the index is not there any more.
      IF SQLCODE NOT IN (-1430, -955, -1408, -2443, -1418) THEN RAISE; END IF;
  END;
BEGIN
-- Where a token belongs: 1 to 3 in turn by the hour that it expires in, 4 to 6 by the day if it lives longer than an hour, 0 if
-- longer than a day.
make('
ALTER TABLE access_token ADD (slot NUMBER(1) GENERATED ALWAYS AS (CASE
    WHEN expires_at - issued_at <= 3600 THEN 1 + MOD(FLOOR(expires_at / 3600), 3)
    WHEN expires_at - issued_at <= 86400 THEN 4 + MOD(FLOOR(expires_at / 86400), 3)
    ELSE 0 END) VIRTUAL)');

SELECT COUNT(*) INTO v_partitioned FROM user_tables WHERE table_name = 'ACCESS_TOKEN' AND partitioned = 'YES';
IF v_partitioned = 0 THEN
-- An edition that has no partitions refuses here (ORA-00439): what is left of the attempt is a column that takes no room.
make('
ALTER TABLE access_token MODIFY PARTITION BY LIST (slot) (
  PARTITION slot_0 VALUES (0),
  PARTITION slot_1 VALUES (1),
  PARTITION slot_2 VALUES (2),
  PARTITION slot_3 VALUES (3),
  PARTITION slot_4 VALUES (4),
  PARTITION slot_5 VALUES (5),
  PARTITION slot_6 VALUES (6)
) ONLINE UPDATE INDEXES (access_token_expires LOCAL, access_token_pk GLOBAL)');
END IF;

-- The key stands in the same partitions, else none could be emptied; as an index alone, it has the name that it had.
make('CREATE UNIQUE INDEX access_token_slot ON access_token (grant_id, digest, slot) LOCAL ONLINE');
make('ALTER TABLE access_token DROP CONSTRAINT access_token_pk DROP INDEX');
make('ALTER INDEX access_token_slot RENAME TO access_token_pk');
END;
/

-- Empties one partition whose hour or day is over, and says about how many tokens were in it, as far as statistics tell; NULL
-- if there is none. Truncation is DDL: it commits before it takes its lock, so no lock of ours can be held while it is looked
-- whether a token still lives. What keeps others from writing meanwhile is their clock: nobody writes here before the next hour
-- or day, and with less than five minutes left until then the partition is left alone. Nobody waits behind DDL that does not
-- wait for its own lock. Its owner alone may truncate the table: whoever may call this may do that one thing.
CREATE OR REPLACE PROCEDURE oauth_empty_access_partition(p_now IN NUMBER, p_records OUT NUMBER) AUTHID DEFINER AS
  busy EXCEPTION;
  PRAGMA EXCEPTION_INIT(busy, -54);
  v_slot NUMBER;
  v_newest NUMBER;
BEGIN
  EXECUTE IMMEDIATE 'ALTER SESSION SET DDL_LOCK_TIMEOUT = 0';
  FOR ring IN (SELECT 1 AS slot, 3600 AS width FROM dual UNION ALL SELECT 4, 86400 FROM dual) LOOP
    v_slot := ring.slot + MOD(FLOOR(p_now / ring.width) + 2, 3);
    SELECT MAX(a.expires_at) INTO v_newest FROM access_token a WHERE a.slot = v_slot;
    IF v_newest <= p_now AND ring.width - MOD(p_now, ring.width) >= 300 THEN
      BEGIN
        SELECT COALESCE(MAX(p.num_rows), 0) INTO p_records FROM user_tab_partitions p
          WHERE p.table_name = 'ACCESS_TOKEN' AND p.partition_name = 'SLOT_' || v_slot;
        EXECUTE IMMEDIATE 'ALTER TABLE access_token TRUNCATE PARTITION slot_' || v_slot;
        RETURN;
      EXCEPTION
        WHEN busy THEN
          p_records := NULL;
      END;
    END IF;
  END LOOP;
END;
/

-- A procedure with a fault in it is made all the same: that is a warning and stops neither SQL*Plus nor a driver.
BEGIN
  FOR fault IN (
    SELECT line, text FROM user_errors WHERE name = 'OAUTH_EMPTY_ACCESS_PARTITION' AND attribute = 'ERROR' ORDER BY sequence
  ) LOOP
    RAISE_APPLICATION_ERROR(-20001, 'oauth_empty_access_partition, line ' || fault.line || ': ' || fault.text);
  END LOOP;
END;
/

-- Where oauth-roles.sql was run before; else it grants the same.
BEGIN
  EXECUTE IMMEDIATE 'GRANT EXECUTE ON oauth_empty_access_partition TO oauth_writer, oauth_purger';
EXCEPTION
  WHEN OTHERS THEN
    IF SQLCODE <> -1917 THEN RAISE; END IF; -- ORA-01917: there is no such role
END;
/

BEGIN
  INSERT INTO oauth_schema (component, version) VALUES ('oauth-partitions', 1);
  COMMIT;
EXCEPTION
  WHEN DUP_VAL_ON_INDEX THEN NULL;
END;
/
