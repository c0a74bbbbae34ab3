-- oauth2-stores: access tokens in partitions by when they expire, which the purge empties whole
-- SQL Server 2017 or newer, Azure SQL, Amazon RDS for SQL Server. Run it after oauth-server.sql, as a user who may also make
-- partition functions (ALTER ANY DATASPACE): sqlcmd -b -I -d oauth -i oauth-partitions.sql
-- Can be run again at any time. The tokens that are there move to where they belong, and everybody waits for them meanwhile: run
-- it while there are few of them, or nobody comes.

SET ANSI_NULLS ON;
SET QUOTED_IDENTIFIER ON;
SET XACT_ABORT ON;
GO

-- A partition for each slot, the first one for slot 0.
IF NOT EXISTS (SELECT 1 FROM sys.partition_functions WHERE name = N'oauth_slot')
CREATE PARTITION FUNCTION oauth_slot (tinyint) AS RANGE LEFT FOR VALUES (0, 1, 2, 3, 4, 5);
GO

IF NOT EXISTS (SELECT 1 FROM sys.partition_schemes WHERE name = N'oauth_slots')
CREATE PARTITION SCHEME oauth_slots AS PARTITION oauth_slot ALL TO ([PRIMARY]);
GO

-- Where a token belongs: 1 to 3 in turn by the hour that it expires in, 4 to 6 by the day if it lives longer than an hour, 0 if
-- longer than a day.
IF COL_LENGTH(N'access_token', N'slot') IS NULL
ALTER TABLE access_token ADD slot AS CAST(CASE
    WHEN expires_at - issued_at <= 3600 THEN 1 + expires_at / 3600 % 3
    WHEN expires_at - issued_at <= 86400 THEN 4 + expires_at / 86400 % 3
    ELSE 0 END AS tinyint) PERSISTED NOT NULL;
GO

-- The key has its name, and every index is in the same partitions: else none could be emptied.
IF INDEX_COL(N'access_token', 1, 3) IS NULL
BEGIN
  BEGIN TRANSACTION;
  DROP INDEX access_token_expires ON access_token;
  ALTER TABLE access_token DROP CONSTRAINT access_token_pk;
  ALTER TABLE access_token ADD CONSTRAINT access_token_pk PRIMARY KEY CLUSTERED (grant_id, digest, slot) ON oauth_slots (slot);
  CREATE INDEX access_token_expires ON access_token (expires_at) ON oauth_slots (slot);
  COMMIT TRANSACTION;
END
GO

-- Empties one partition whose hour or day is over, and says about how many tokens were in it; no row if there is none. Under a
-- lock of the table, beside which nobody writes, it sees whether one of them still lives, whatever the clocks of others say. The
-- lock is given up after 100 ms, so that nobody waits longer behind it. To truncate takes the right to alter the table, which its
-- owner has: whoever may call this may do that one thing.
CREATE OR ALTER PROCEDURE oauth_empty_access_partition @now bigint
WITH EXECUTE AS OWNER
AS
BEGIN
  SET NOCOUNT ON;
  SET XACT_ABORT ON;
  SET DEADLOCK_PRIORITY LOW;
  SET LOCK_TIMEOUT 100;
  DECLARE @slot tinyint;
  DECLARE @records bigint;
  BEGIN TRY
    SELECT @slot = MIN(idle.slot)
      FROM (SELECT CAST(1 + (@now / 3600 + 2) % 3 AS tinyint) AS slot UNION ALL SELECT CAST(4 + (@now / 86400 + 2) % 3 AS tinyint)) AS idle
      WHERE EXISTS (SELECT 1 FROM access_token WHERE access_token.slot = idle.slot)
        AND NOT EXISTS (SELECT 1 FROM access_token WHERE access_token.slot = idle.slot AND access_token.expires_at > @now);
    IF @slot IS NOT NULL
    BEGIN
      BEGIN TRANSACTION;
      -- Two statements: with row versions, one that waits for the lock sees what was committed before it waited.
      IF EXISTS (SELECT 1 FROM access_token WITH (TABLOCKX, HOLDLOCK) WHERE access_token.slot = @slot)
        IF NOT EXISTS (SELECT 1 FROM access_token WITH (READCOMMITTEDLOCK) WHERE access_token.slot = @slot AND access_token.expires_at > @now)
        BEGIN
          SELECT @records = SUM(partitions.rows) FROM sys.partitions
            WHERE partitions.object_id = OBJECT_ID(N'access_token') AND partitions.index_id = 1 AND partitions.partition_number = @slot + 1;
          IF @slot = 1 TRUNCATE TABLE access_token WITH (PARTITIONS (2));
          IF @slot = 2 TRUNCATE TABLE access_token WITH (PARTITIONS (3));
          IF @slot = 3 TRUNCATE TABLE access_token WITH (PARTITIONS (4));
          IF @slot = 4 TRUNCATE TABLE access_token WITH (PARTITIONS (5));
          IF @slot = 5 TRUNCATE TABLE access_token WITH (PARTITIONS (6));
          IF @slot = 6 TRUNCATE TABLE access_token WITH (PARTITIONS (7));
        END
      COMMIT TRANSACTION;
    END
  END TRY
  BEGIN CATCH
    IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION;
    IF ERROR_NUMBER() NOT IN (1222, 1205) THROW;
    SET @records = NULL;
  END CATCH;
  SELECT @records AS records WHERE @records IS NOT NULL;
END
GO

-- Where oauth-roles.sql was run before; else it grants the same.
IF DATABASE_PRINCIPAL_ID(N'oauth_purger') IS NOT NULL
BEGIN
  GRANT EXECUTE ON oauth_empty_access_partition TO oauth_writer, oauth_purger;
  GRANT SELECT ON access_token (slot) TO oauth_purger;
END
GO

INSERT INTO oauth_schema (component, version)
  SELECT 'oauth-partitions', 1 WHERE NOT EXISTS (SELECT 1 FROM oauth_schema WHERE component = 'oauth-partitions');
GO
