import oracledb from 'oracledb';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { connect } from '../../functions/stores/oracle-connection.ts';
import { logIn, SET_PASSWORD, setPassword } from '../../functions/stores/oracle-users.ts';
import { recordSent } from './oracle-texts.ts';

// What goes to the driver to make users, and how it takes a refused login; nothing here runs on Oracle.

const master = { host: 'db', database: 'oauth', user: 'admin', password: 'p', tls: false } as const;
const change = { role: 'oauth_writer', user: 'oauth_writer_a', password: 'Abcdefgh12345678901234567890xy' } as const;
const refusal = (code: string) => Object.assign(new Error(`${code}: refused`), { code });

afterEach(() => {
  vi.restoreAllMocks();
});

describe('a user of Oracle', () => {
  it('is given a password by one block, whose text is always the same', async () => {
    const sent = recordSent();
    await setPassword(master, change);
    expect(sent.map(({ text }) => text)).toEqual(['ALTER SESSION SET NLS_COMP = BINARY', SET_PASSWORD]);
    expect(sent[1]?.binds).toEqual({ i_role: 'oauth_writer', i_user: 'oauth_writer_a', i_password: change.password });
  });

  it.each([
    ['a quote', { password: 'Abcdefgh1234567890" ACCOUNT LOCK' }],
    ['more bytes than Oracle 19c takes', { password: 'A'.repeat(31) }],
    ['a name of another form', { user: 'oauth_writer_a"' }],
  ])('with %s is refused before anything is sent', async (_what, wrong) => {
    const sent = recordSent();
    await expect(setPassword(master, { ...change, ...wrong })).rejects.toThrow('in the secret');
    expect(sent).toEqual([]);
  });

  it.each(['ORA-01031', 'ORA-01932', 'ORA-28003', 'ORA-65096'])(
    'that cannot be made says why by its code, %s, and is not tried again',
    async (code) => {
      recordSent((text) => (text === SET_PASSWORD ? Promise.reject(refusal(code)) : {}));
      await expect(setPassword(master, change)).rejects.toMatchObject({
        message: `Oracle refused with ${code}`,
        retryable: false,
      });
    },
  );

  it('finds the tables of their owner, where the settings say whose they are', async () => {
    const sent = recordSent();
    await connect({ ...master, schema: 'ADMIN' });
    expect(sent.map(({ text }) => text)).toEqual(['ALTER SESSION SET NLS_COMP = BINARY CURRENT_SCHEMA = ADMIN']);
    await expect(connect({ ...master, schema: 'A B' })).rejects.toMatchObject({ code: 'unsupported' });
  });

  it.each(['ORA-01017', 'ORA-28000', 'ORA-28001'])(
    'who is refused with %s while the password changes is tried once more with the next one',
    async (code) => {
      recordSent();
      const logins: unknown[] = [];
      const open = vi.mocked(oracledb.getConnection).getMockImplementation() as () => ReturnType<
        typeof oracledb.getConnection
      >;
      vi.mocked(oracledb.getConnection).mockImplementation((async ({
        user,
        password,
      }: oracledb.ConnectionAttributes) => {
        logins.push(user);
        if (password !== 'new') throw refusal(code);
        return open();
      }) as never);
      const secrets = [
        { user: 'oauth_writer_a', password: 'old' },
        { user: 'oauth_writer_b', password: 'new' },
      ];
      await logIn({ ...master, password: () => secrets.shift() ?? '' });
      expect(logins).toEqual(['oauth_writer_a', 'oauth_writer_b']);
      await expect(logIn({ ...master, password: () => 'old' })).rejects.toMatchObject({ code: 'unavailable' });
    },
  );
});
