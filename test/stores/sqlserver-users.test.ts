import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../functions/domain/clock.ts';
import { createEngine } from '../../functions/stores/sqlserver.ts';
import { createDatabase } from '../../functions/stores/sqlserver-schema.ts';
import { logIn, SET_PASSWORD, setPassword } from '../../functions/stores/sqlserver-users.ts';
import { type Reply, type Sent, startTdsServer, type TdsSettings } from './tds-server.ts';

// What the driver sends to make logins and a database, and how it takes a refused login: to a server of our own that speaks its
// protocol. That SQL Server does what these texts say is not shown here.

const DONE: Reply = { sets: [], counted: 0 };
const REFUSED = { number: 18456, message: "Login failed for user 'oauth_writer_a'." };
const change = { role: 'oauth_writer', user: 'oauth_writer_a', password: 'Abcdefgh12345678901234567890xy' } as const;

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

async function start(settings: Partial<TdsSettings> = {}) {
  const sent: Sent[] = [];
  const server = await startTdsServer({
    ...settings,
    answer: (one) => {
      if (!one.text.startsWith('set ansi_nulls')) sent.push(one); // the driver's own, for its session
      return settings.answer?.(one) ?? DONE;
    },
  });
  stops.push(server.stop);
  const reached = { host: '127.0.0.1', port: server.port, database: 'oauth', user: 'admin', password: 'p', tls: false };
  return { sent, reached: { ...reached, tls: false as const } };
}

describe('a login of SQL Server', () => {
  it('is given its password by one call, in which names and password are values', async () => {
    const { sent, reached } = await start();
    await setPassword(reached, change);
    expect(sent.map(({ text }) => text)).toEqual([SET_PASSWORD]);
    const declared = { declared: 'nvarchar(128)' };
    expect(sent[0]?.parameters).toMatchObject({
      '@role': { ...declared, value: 'oauth_writer' },
      '@user': { ...declared, value: 'oauth_writer_a' },
      '@password': { ...declared, value: change.password },
    });
    expect(SET_PASSWORD).not.toContain(change.password);
  });

  it.each([
    ['a quote', { password: "Abcdefgh1234567890' OR 1=1" }],
    ['too few letters', { password: 'Abc123' }],
    ['a name of another form', { user: 'oauth_writer_a]' }],
  ])('with %s is refused before anything is sent', async (_what, wrong) => {
    const { sent, reached } = await start();
    await expect(setPassword(reached, { ...change, ...wrong })).rejects.toThrow('in the secret');
    expect(sent).toEqual([]);
  });

  it('that cannot be made says why by its number alone', async () => {
    const { reached } = await start({
      answer: () => ({ errors: [{ number: 15247, message: `User does not have permission ${change.password}` }] }),
    });
    const error = await setPassword(reached, change).catch((reason: Error) => reason);
    expect(error).toMatchObject({ message: 'SQL Server refused with error 15247' });
  });

  it('that is refused is told from a server that is not there', async () => {
    const { reached } = await start({ login: () => REFUSED });
    await expect(logIn(reached)).rejects.toMatchObject({ code: 'unavailable', cause: { number: 18456 } });
  });

  it('that is refused while its password changes is tried once more with the next one, as whom it belongs to', async () => {
    const logins: string[] = [];
    const { reached } = await start({
      login: ({ user, password }) => {
        logins.push(`${user} ${password}`);
        return password === 'new' ? undefined : REFUSED;
      },
    });
    const secrets = [
      { user: 'oauth_writer_a', password: 'old' },
      { user: 'oauth_writer_b', password: 'new' },
    ];
    const engine = await createEngine({ ...reached, password: () => secrets.shift() ?? '' }, systemClock);
    await engine.artifacts.remove('kind', Buffer.alloc(32));
    await engine.close();
    expect(logins).toEqual(['oauth_writer_a old', 'oauth_writer_b new']);
  });

  it('that stays refused is not tried for ever', async () => {
    let logins = 0;
    const { reached } = await start({
      login: () => {
        logins += 1;
        return REFUSED;
      },
    });
    await expect(logIn({ ...reached, password: () => `old ${logins}` })).rejects.toMatchObject({ code: 'unavailable' });
    expect(logins).toBe(2);
    await expect(logIn({ ...reached, password: () => 'the same' })).rejects.toMatchObject({ code: 'unavailable' });
    expect(logins).toBe(3);
  });
});

describe('a database of SQL Server', () => {
  const withDatabase = async (id: number | null) => {
    const databases: string[] = [];
    const { sent, reached } = await start({
      login: ({ database }) => {
        databases.push(database);
        return undefined;
      },
      answer: ({ text }) => (text.includes('DB_ID') ? { sets: [{ columns: ['id'], rows: [[id]] }], counted: 1 } : DONE),
      typeOf: () => 'int',
    });
    await createDatabase(reached, 5000);
    expect(databases).toEqual(['master']);
    return sent.map(({ text }) => text);
  };

  it('is made where there is none, so that look-ups wait for no rotation', async () => {
    expect(await withDatabase(null)).toEqual([
      "SELECT DB_ID(N'oauth') AS id;",
      'CREATE DATABASE [oauth];',
      'ALTER DATABASE [oauth] SET READ_COMMITTED_SNAPSHOT ON WITH ROLLBACK IMMEDIATE;',
    ]);
  });

  it('that is there is left as it is', async () => {
    expect(await withDatabase(7)).toEqual(["SELECT DB_ID(N'oauth') AS id;"]);
  });

  it('of a name that would have to be quoted is refused', async () => {
    const { reached } = await start();
    await expect(createDatabase({ ...reached, database: "o'; DROP" }, 5000)).rejects.toMatchObject({
      code: 'unsupported',
    });
  });
});
