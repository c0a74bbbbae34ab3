/** What sql/<dbms>/oauth-roles.sql grants privileges to: with IAM, users who log in; with passwords, the roles of those who do. */
export const databaseUsers = ['oauth_reader', 'oauth_checker', 'oauth_writer', 'oauth_purger'] as const;
export type DatabaseUser = (typeof databaseUsers)[number];

/**
 * Who logs in with a password for each of them, by turns: while calls use the one, the other one gets a new password, so that
 * none that a call may still know is ever changed under it.
 */
export const loginsOf = (user: DatabaseUser) => [`${user}_a`, `${user}_b`] as const;
