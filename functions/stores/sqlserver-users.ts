import type { DatabaseSettings } from './sql-settings.ts';
import { type PasswordChange, plainChange } from './sql-users.ts';
import { connect, loadDriver, storeError } from './sqlserver-connection.ts';

// Logins of SQL Server for users of the database, each a member of its role. The server's policy for passwords is not theirs:
// they are random and change by themselves, and a login that is locked after failures is one that anybody can lock.

// 15023, 15025: somebody made it at the same moment. A login that was restored with another id is led to its user again.
export const SET_PASSWORD = `
SET NOCOUNT ON;
DECLARE @quoted nvarchar(300) = QUOTENAME(@user);
DECLARE @role_quoted nvarchar(300) = QUOTENAME(@role);
DECLARE @with nvarchar(400) = N' WITH PASSWORD = ' + QUOTENAME(@password, '''');
DECLARE @text nvarchar(max);
BEGIN TRY
  SET @text = N'CREATE LOGIN ' + @quoted + @with + N', CHECK_POLICY = OFF';
  IF SUSER_ID(@user) IS NULL EXEC (@text);
END TRY
BEGIN CATCH
  IF ERROR_NUMBER() <> 15025 THROW;
END CATCH;
SET @text = N'ALTER LOGIN ' + @quoted + @with;
EXEC (@text);
BEGIN TRY
  SET @text = N'CREATE ROLE ' + @role_quoted;
  IF DATABASE_PRINCIPAL_ID(@role) IS NULL EXEC (@text);
END TRY
BEGIN CATCH
  IF ERROR_NUMBER() <> 15023 THROW;
END CATCH;
BEGIN TRY
  SET @text = N'CREATE USER ' + @quoted + N' FOR LOGIN ' + @quoted;
  IF DATABASE_PRINCIPAL_ID(@user) IS NULL EXEC (@text);
END TRY
BEGIN CATCH
  IF ERROR_NUMBER() <> 15023 THROW;
END CATCH;
SET @text = N'ALTER USER ' + @quoted + N' WITH LOGIN = ' + @quoted + N'; ALTER ROLE ' + @role_quoted + N' ADD MEMBER ' + @quoted;
EXEC (@text);`;

export async function setPassword(master: DatabaseSettings, change: PasswordChange): Promise<void> {
  const { role, user, password } = plainChange(change);
  try {
    const { Request, TYPES } = await loadDriver();
    const connection = await connect(master);
    try {
      await new Promise<void>((resolve, reject) => {
        const request = new Request(SET_PASSWORD, (error) => (error ? reject(error) : resolve()));
        for (const [name, value] of Object.entries({ role, user, password }))
          request.addParameter(name, TYPES.NVarChar, value, { length: 128 });
        connection.execSql(request);
      });
    } finally {
      connection.close();
    }
  } catch (cause) {
    throw storeError(cause);
  }
}

export async function logIn(settings: DatabaseSettings): Promise<void> {
  try {
    (await connect(settings)).close();
  } catch (cause) {
    throw storeError(cause);
  }
}
