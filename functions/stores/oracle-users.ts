import { close, connect, execute, storeError } from './oracle-connection.ts';
import type { DatabaseSettings } from './sql-settings.ts';
import { type PasswordChange, plainChange } from './sql-users.ts';

// Users of Oracle, each with its role: they own nothing, and connect with `schema`, the owner of the tables.

// ORA-01921, 01920: it is there, or somebody made it at the same moment. One that was locked after failures is unlocked. A profile
// that forbids old passwords (PASSWORD_REUSE_MAX) refuses the one that it has, too (ORA-28007), when the same change is repeated;
// one that was made by chance was never another's.
export const SET_PASSWORD = `
DECLARE
  v_user VARCHAR2(128) := DBMS_ASSERT.SIMPLE_SQL_NAME(:i_user);
  v_role VARCHAR2(128) := DBMS_ASSERT.SIMPLE_SQL_NAME(:i_role);
  v_identified VARCHAR2(200) := ' IDENTIFIED BY "' || :i_password || '"';
BEGIN
  BEGIN
    EXECUTE IMMEDIATE 'CREATE ROLE ' || v_role;
  EXCEPTION
    WHEN OTHERS THEN
      IF SQLCODE <> -1921 THEN RAISE; END IF;
  END;
  BEGIN
    EXECUTE IMMEDIATE 'CREATE USER ' || v_user || v_identified;
  EXCEPTION
    WHEN OTHERS THEN
      IF SQLCODE <> -1920 THEN RAISE; END IF;
      EXECUTE IMMEDIATE 'ALTER USER ' || v_user || ' ACCOUNT UNLOCK';
      BEGIN
        EXECUTE IMMEDIATE 'ALTER USER ' || v_user || v_identified;
      EXCEPTION
        WHEN OTHERS THEN
          IF SQLCODE <> -28007 THEN RAISE; END IF;
      END;
  END;
  EXECUTE IMMEDIATE 'GRANT CREATE SESSION, ' || v_role || ' TO ' || v_user;
END;`;

export async function setPassword(master: DatabaseSettings, change: PasswordChange): Promise<void> {
  const { role, user, password } = plainChange(change);
  try {
    const connection = await connect(master);
    await execute(connection, SET_PASSWORD, { i_role: role, i_user: user, i_password: password }).finally(() =>
      close(connection),
    );
  } catch (cause) {
    throw storeError(cause);
  }
}

export async function logIn(settings: DatabaseSettings): Promise<void> {
  try {
    await close(await connect(settings));
  } catch (cause) {
    throw storeError(cause);
  }
}
