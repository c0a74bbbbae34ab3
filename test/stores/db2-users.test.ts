import { beforeEach, describe, expect, it, vi } from 'vitest';
import { connect } from '../../functions/stores/db2-connection.ts';
import type { Parameter } from '../../functions/stores/db2-driver.ts';
import { logIn, setPassword } from '../../functions/stores/db2-users.ts';

// What goes to the driver to make users of Amazon RDS for Db2, in the place of the driver: its procedures are nowhere but there.

const asked: { readonly database: string; readonly text: string; readonly values: unknown[] }[] = [];
const ended: string[] = [];
let answer: (text: string) => void;
let login: (words: string) => void;

vi.mock('ibm_db', () => ({
  default: {
    async open(words: string) {
      login(words);
      const database = /DATABASE=(.*?);/.exec(words)?.[1] ?? '';
      return {
        async query(text: string, parameters: readonly Parameter[] = []) {
          asked.push({ database, text, values: parameters.map(({ Data }) => Data) });
          answer(text);
          return [];
        },
        endTransaction: async (rollback: boolean) => ended.push(rollback ? 'rollback' : 'commit'),
        beginTransactionSync() {},
        close: async () => ended.push('closed'),
      };
    },
  },
}));

const master = { host: 'db', database: 'OAUTH', user: 'admin', password: 'p', tls: false } as const;
const change = { role: 'oauth_writer', user: 'oauth_writer_a', password: 'Abcdefgh12345678901234567890xy' } as const;
const said = (state: string, words = 'SQL0000N') => Object.assign(new Error(`${words} SQLSTATE=${state}`), { state });

beforeEach(() => {
  asked.length = 0;
  ended.length = 0;
  answer = () => {};
  login = () => {};
});

describe('a user of Db2', () => {
  const values = [change.user, change.password];
  const calls = [
    { database: 'rdsadmin', text: 'CALL rdsadmin.add_user(?, ?, NULL)', values },
    { database: 'rdsadmin', text: 'CALL rdsadmin.change_password(?, ?)', values },
    { database: 'OAUTH', text: 'GRANT CONNECT ON DATABASE TO USER oauth_writer_a', values: [] },
  ];

  it('is made and given a password by the procedures of Amazon RDS, and let into the database', async () => {
    await setPassword(master, change);
    expect(asked).toEqual(calls);
    expect(ended).toEqual(['commit', 'closed', 'commit', 'closed']);
  });

  it.each(['add_user', 'change_password'])(
    'is made also where %s refuses, which the other one makes up for',
    async (refused) => {
      answer = (text) => {
        if (text.includes(refused)) throw said('38000');
      };
      await setPassword(master, change);
      expect(asked).toEqual(calls);
    },
  );

  it('that neither of them makes is an error, and let in nowhere', async () => {
    answer = (text) => {
      if (text.includes('rdsadmin')) throw said('42501');
    };
    await expect(setPassword(master, change)).rejects.toMatchObject({ message: 'Db2 refused with SQLSTATE 42501' });
    expect(asked).toEqual(calls.slice(0, 2));
    expect(ended).toEqual(['rollback', 'closed']);
  });

  it('with a name or password that would have to be quoted is refused before anything is sent', async () => {
    await expect(setPassword(master, { ...change, password: "Abcdefgh1234567890'" })).rejects.toThrow('in the secret');
    await expect(setPassword(master, { ...change, user: 'a, USER b' })).rejects.toThrow('in the secret');
    expect(asked).toEqual([]);
  });

  it('is waited for, since the procedures do not say when they are done', async () => {
    let logins = 0;
    login = () => {
      logins += 1;
      if (logins < 3) throw said('08001', 'SQL30082N  Security processing failed with reason "24"');
    };
    await logIn({ ...master, ...change });
    expect(logins).toBe(3);
    login = () => {
      throw said('08001', 'SQL30081N  A communication error has been detected');
    };
    await expect(logIn({ ...master, ...change })).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('finds tables and procedures in the schema that is meant', async () => {
    await connect({ ...master, schema: 'ADMIN' });
    expect(asked.map(({ text }) => text)).toEqual([
      'SET CURRENT SCHEMA = ADMIN',
      'SET CURRENT PATH = SYSTEM PATH, ADMIN',
    ]);
    await expect(connect({ ...master, schema: 'A; B' })).rejects.toMatchObject({ code: 'unsupported' });
  });
});
