import type { DatabaseUser } from '../config/database-users.ts';
import { InputError } from '../domain/errors.ts';
import type { DatabaseSettings, Login } from './sql-settings.ts';

/** A password for somebody who has the privileges of a role of sql/<dbms>/oauth-roles.sql. */
export interface PasswordChange extends Login {
  readonly role: DatabaseUser;
}

/** How an engine’s server learns who may log in. */
export interface DatabaseUsers {
  /**
   * Makes a user who logs in with this password and has the privileges of the role, now or as soon as there are any; or changes
   * the password of one who is there. Any number of times, by any number of callers at once.
   *
   * @throws {StoreError} @throws {InputError} a password or a name that would have to be quoted
   */
  setPassword(master: DatabaseSettings, change: PasswordChange): Promise<void>;
  /** Logs in to the database by what was set, and leaves. @throws {StoreError} */
  logIn(settings: DatabaseSettings): Promise<void>;
}

/** The bytes that every engine takes in a password: Oracle’s limit until 23ai. */
export const PASSWORD_LENGTH = 30;

/** A change that can stand in a statement as it is: engines bind no values in the statements that make users. */
export function plainChange(change: PasswordChange): PasswordChange {
  if (!/^[A-Za-z0-9]{16,30}$/.test(change.password))
    throw new InputError('the password in the secret', 'of other characters or length', '16 to 30 letters and digits');
  if (!/^[a-z]+(_[a-z]+)*$/.test(change.user) || !/^[a-z]+(_[a-z]+)*$/.test(change.role))
    throw new InputError('the user in the secret', 'of other characters', 'lower-case letters and _');
  return change;
}
