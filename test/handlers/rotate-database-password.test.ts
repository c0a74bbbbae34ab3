import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { secretLogin } from '../../functions/aws.ts';
import { handler } from '../../functions/handlers/rotate-database-password.ts';
import { SET_PASSWORD } from '../../functions/stores/sqlserver-users.ts';
import { startSecretsManager } from '../aws/secrets-manager.ts';
import { startTdsServer } from '../stores/tds-server.ts';

// The function as Secrets Manager calls it, with SQL Server's driver, on a server of our own that knows users and passwords as it
// is told by the statement that sets them: nothing here runs on SQL Server.

const SECRET = 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:reader';
const MASTER = 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:master';
const invocation = { getRemainingTimeInMillis: () => 60_000 };

describe('the function that rotates a password', async () => {
  const passwords = new Map([['admin', 'MasterPassword1']]);
  const server = await startTdsServer({
    login: ({ user, password }) =>
      passwords.get(user) === password ? undefined : { number: 18456, message: `Login failed for user '${user}'.` },
    answer({ text, parameters }) {
      const value = (name: string) => String(parameters[`@${name}`]?.value);
      if (text === SET_PASSWORD) passwords.set(value('user'), value('password'));
      return { sets: [], counted: 0 };
    },
  });
  const manager = await startSecretsManager();
  afterAll(() => Promise.all([server.stop(), manager.close()]));
  beforeEach(() => {
    const environment = {
      ...{
        AWS_ENDPOINT_URL: manager.url,
        AWS_REGION: 'eu-central-1',
        AWS_ACCESS_KEY_ID: 'id',
        AWS_SECRET_ACCESS_KEY: 'key',
      },
      ...{ DATABASE_ENGINE: 'sqlserver', DATABASE_HOST: '127.0.0.1', DATABASE_PORT: String(server.port) },
      ...{ DATABASE_NAME: 'oauth', MASTER_SECRET_ARN: MASTER },
    };
    for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
    vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    manager.create(MASTER, { username: 'admin', password: 'MasterPassword1' });
    manager.create(SECRET, { username: 'oauth_reader', password: 'NobodyEverHadThisPassword1' });
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    vi.restoreAllMocks();
  });
  const rotate = async () => {
    const ClientRequestToken = manager.begin(SECRET);
    for (const Step of ['createSecret', 'setSecret', 'testSecret', 'finishSecret'])
      await handler({ Step, SecretId: SECRET, ClientRequestToken }, invocation);
  };

  it('makes who logs in, and changes no password that calls may still know', async () => {
    const known = new Map<string, string>();
    for (const user of ['oauth_reader_a', 'oauth_reader_b', 'oauth_reader_a']) {
      await rotate();
      const login = await secretLogin(SECRET);
      expect(login).toEqual({ user, password: passwords.get(user) });
      for (const [other, password] of known) if (other !== user) expect(passwords.get(other)).toBe(password);
      known.set(user, login.password);
    }
    expect([...passwords.keys()]).toEqual(['admin', 'oauth_reader_a', 'oauth_reader_b']);
    expect(manager.current(SECRET)).toMatchObject({
      engine: 'sqlserver',
      host: '127.0.0.1',
      port: server.port,
      dbname: 'oauth',
    });
  });

  it('leaves the secret as it is where the server refuses the new login', async () => {
    await rotate();
    const before = manager.current(SECRET);
    const ClientRequestToken = manager.begin(SECRET);
    const step = (Step: string) => handler({ Step, SecretId: SECRET, ClientRequestToken }, invocation);
    await step('createSecret');
    await expect(step('testSecret')).rejects.toThrow(/Login failed/);
    expect(manager.current(SECRET)).toEqual(before);
    for (const name of ['setSecret', 'testSecret', 'finishSecret']) await step(name);
    expect(manager.current(SECRET)).not.toEqual(before);
  });

  it.each([
    ['DATABASE_HOST', '', 'environment variable DATABASE_HOST is not set'],
    ['MASTER_SECRET_ARN', '', 'environment variable MASTER_SECRET_ARN is not set'],
    ['DATABASE_ENGINE', 'postgresql', 'DATABASE_ENGINE is another engine; accepted: sqlserver, oracle, db2'],
  ])('says what is wrong with %s', async (name, value, words) => {
    vi.stubEnv(name, value);
    await expect(rotate()).rejects.toThrow(words);
  });
});
