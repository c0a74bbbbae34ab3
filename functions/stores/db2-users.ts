import { setTimeout } from 'node:timers/promises';
import { type Clock, systemClock } from '../domain/clock.ts';
import { connect, storeError } from './db2-connection.ts';
import type { Connection, Parameter } from './db2-driver.ts';
import { isLoginRefused } from './sql-login.ts';
import type { DatabaseSettings } from './sql-settings.ts';
import { type PasswordChange, plainChange } from './sql-users.ts';

// Users of Amazon RDS for Db2, which are the instance's: made by procedures of its database `rdsadmin`. Whether these have done
// their work when they return is not said (https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/db2-sp-granting-revoking-privileges.html,
// rdsadmin.get_task_status), so that a login decides.

const ADMINISTRATION = 'rdsadmin';
const VARCHAR = 12;

/** A password counts by then. */
const SETTLED_MS = 30_000;
const PAUSE_MS = 1000;

export async function setPassword(master: DatabaseSettings, change: PasswordChange): Promise<void> {
  const { user, password } = plainChange(change);
  const given = [user, password].map(text);
  await over({ ...master, database: ADMINISTRATION }, async (connection) => {
    const added = await done(connection.query('CALL rdsadmin.add_user(?, ?, NULL)', given));
    const changed = await done(connection.query('CALL rdsadmin.change_password(?, ?)', given));
    // One that is there cannot be added, and one that is being added need not be there to be changed yet.
    if (added !== undefined && changed !== undefined) throw changed;
  });
  // A database of RDS is RESTRICTIVE; all that is further granted stands in oauth-roles.sql.
  await over(master, (connection) => connection.query(`GRANT CONNECT ON DATABASE TO USER ${user}`));
}

export async function logIn(settings: DatabaseSettings, clock: Clock = systemClock): Promise<void> {
  const untilMs = clock() + SETTLED_MS;
  for (;;) {
    try {
      return await over(settings, async () => {});
    } catch (error) {
      if (!isLoginRefused(error) || clock() > untilMs) throw error;
      await setTimeout(PAUSE_MS);
    }
  }
}

const text = (Data: string): Parameter => ({
  ...{ ParamType: 'INPUT', CType: 'CHAR', SQLType: VARCHAR },
  ...{ Data, Length: Data.length },
});

const done = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => undefined,
    (error) => error,
  );

/** Does the work over a connection of its own, and commits it. */
async function over(settings: DatabaseSettings, work: (connection: Connection) => Promise<unknown>): Promise<void> {
  const connection = await connect(settings);
  try {
    await work(connection);
    await connection.endTransaction(false);
  } catch (cause) {
    await connection.endTransaction(true).catch(() => {});
    throw storeError(cause);
  } finally {
    await connection.close().catch(() => {});
  }
}
