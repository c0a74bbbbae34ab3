import type { Login, LoginSettings } from './sql-settings.ts';

// Who logs in to a database server, and what a refusal means while passwords change.

/** Who logs in now: a secret that has a name beside its password says who, whatever the settings do. */
export async function loginOf({ user, password }: LoginSettings): Promise<Partial<Login>> {
  const asked = typeof password === 'function' ? await password() : password;
  const login = typeof asked === 'string' ? { password: asked } : asked;
  return { ...(user !== undefined && { user }), ...login };
}

/**
 * Connects as whoever the password is of by now. A login that is refused is tried once more if then there is another password:
 * the one that was asked for may have been changed before it was used.
 */
export async function connectAs<Settings extends LoginSettings, Connection>(
  settings: Settings,
  connect: (settings: Settings) => Promise<Connection>,
): Promise<Connection> {
  const login = await loginOf(settings);
  try {
    return await connect({ ...settings, ...login });
  } catch (error) {
    if (typeof settings.password !== 'function' || !isLoginRefused(error)) throw error;
    const now = await loginOf(settings);
    if (now.user === login.user && now.password === login.password) throw error;
    return connect({ ...settings, ...now });
  }
}

// PostgreSQL: SQLSTATE class 28. MySQL and MariaDB: ER_ACCESS_DENIED_ERROR. SQL Server: 18456. Oracle: ORA-01017, and for an
// account that is locked 28000, whose password has expired 28001. Db2: SQL30082N, "security processing failed".
const CODES = /^(28|ER_ACCESS_DENIED|ORA-01017|ORA-2800[01])/;
const NUMBER = 18456;
const WORDS = /SQL30082N/;

/** Whether a server is there and refused who logs in, rather than that it is not there; by what its driver says. */
export function isLoginRefused(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code, number, message, cause } = error as Error & { code?: unknown; number?: unknown };
  return CODES.test(String(code)) || number === NUMBER || WORDS.test(message) || isLoginRefused(cause);
}
