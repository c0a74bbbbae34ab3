import pg from 'pg';
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { callAws, secretLogin } from '../../functions/aws.ts';
import { systemClock } from '../../functions/domain/clock.ts';
import { createRotation } from '../../functions/password-rotation.ts';
import { createEngine } from '../../functions/stores/postgresql.ts';
import { applySchema } from '../../functions/stores/postgresql-schema.ts';
import { loginOf } from '../../functions/stores/sql-login.ts';
import type { DatabaseSettings } from '../../functions/stores/sql-settings.ts';
import { type DatabaseUsers, plainChange } from '../../functions/stores/sql-users.ts';
import { type SecretsManager, startSecretsManager } from '../aws/secrets-manager.ts';
import { startPostgresql } from '../engines/postgresql.ts';

// The rotation as it is deployed, on a server with passwords that runs here: PostgreSQL, for which only the statements that make a
// user are this test's own. Those of SQL Server, Oracle and Db2 are looked at where their engines are.

const SECRET = 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:writer';
const MASTER = 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:master';
const steps = ['createSecret', 'setSecret', 'testSecret', 'finishSecret'] as const;
const invocation = { getRemainingTimeInMillis: () => 60_000 };

const over = async <T>(settings: DatabaseSettings, work: (client: pg.Client) => Promise<T>): Promise<T> => {
  const { user, password } = await loginOf(settings);
  const { host, port, database } = settings;
  const client = new pg.Client({ host, port, database, user, password });
  client.on('error', () => {});
  await client.connect();
  return work(client).finally(() => client.end());
};

const users: DatabaseUsers = {
  setPassword: (master, change) =>
    over(master, async (client) => {
      const { role, user, password } = plainChange(change);
      await client.query('SELECT pg_advisory_lock(1)'); // two cannot change one row of the catalog at once
      const written =
        "SELECT format('%I LOGIN PASSWORD %L', $1::text, $2::text) AS user, to_regrole($1) IS NOT NULL AS there";
      const { rows } = await client.query(written, [user, password]);
      const [made] = rows;
      await client.query(made.there ? `ALTER ROLE ${made.user}` : `CREATE ROLE ${made.user} IN ROLE ${role}`);
    }),
  logIn: (settings) => over(settings, async () => {}),
};

const isServed = process.platform === 'linux' && process.arch === 'x64';
const onServed = isServed ? describe : () => {};

onServed('the rotation of a password', async () => {
  const server = await startPostgresql('18');
  afterAll(() => server.stop());
  const { hostname: host, port: listens } = new URL(server.url);
  const place = { host, port: Number(listens), database: 'postgres', tls: false } as const;
  const admin = new pg.Client({ connectionString: server.url });
  await admin.connect();
  afterAll(() => admin.end());
  await applySchema({ ...place, user: 'postgres' }, { roles: true });
  await admin.query("ALTER ROLE postgres PASSWORD 'MasterPassword1'");
  const { rows } = await admin.query('SHOW hba_file');
  await admin.query(`COPY (SELECT 'host all all 127.0.0.1/32 scram-sha-256') TO '${String(rows[0].hba_file)}'`);
  await admin.query('SELECT pg_reload_conf()');

  let manager: SecretsManager;
  let printed: string[];
  const passwords = new Set<string>();
  beforeEach(async () => {
    manager = await startSecretsManager();
    vi.stubEnv('AWS_ENDPOINT_URL', manager.url);
    vi.stubEnv('AWS_REGION', 'eu-central-1');
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIAIOSFODNN7EXAMPLE');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
    manager.create(MASTER, { username: 'postgres', password: 'MasterPassword1' });
    manager.create(SECRET, { username: 'oauth_writer', password: 'NobodyEverHadThisPassword1', kept: 'as it is' });
    printed = [];
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => printed.push(String(text)) > 0);
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    vi.restoreAllMocks();
    for (const { body } of manager.calls)
      if (typeof body.SecretString === 'string') passwords.add(JSON.parse(body.SecretString).password);
    for (const password of ['MasterPassword1', ...passwords])
      expect(printed.filter((line) => line.includes(password))).toEqual([]);
    await manager.close();
    await admin.query('DROP ROLE IF EXISTS oauth_writer_a, oauth_writer_b');
  });

  const rotation = (made: DatabaseUsers = users) =>
    createRotation({ engine: 'sqlserver', ...place, masterSecretArn: MASTER }, async () => made);
  const step = (name: string, version: string, rotate = rotation()) =>
    rotate({ Step: name, SecretId: SECRET, ClientRequestToken: version }, invocation);
  const rotate = async (rotating = rotation()) => {
    const version = manager.begin(SECRET);
    for (const name of steps) await step(name, version, rotating);
  };
  const logsIn = async () => {
    const { user, password } = await secretLogin(SECRET);
    return over({ ...place, user: String(user), password }, async (client) => {
      const { rows } = await client.query('SELECT count(*) AS grants, session_user AS name FROM oauth_grant');
      return rows[0].name;
    });
  };

  it('makes the users at first, and from then on they take turns', async () => {
    await expect(logsIn()).rejects.toMatchObject({ code: '28P01' });
    const seen: unknown[] = [];
    for (let turn = 0; turn < 5; turn += 1) {
      await rotate();
      seen.push(await logsIn());
    }
    expect(seen).toEqual(['oauth_writer_a', 'oauth_writer_b', 'oauth_writer_a', 'oauth_writer_b', 'oauth_writer_a']);
    expect(manager.current(SECRET)).toEqual({
      ...{ engine: 'sqlserver', host, port: place.port, dbname: 'postgres', kept: 'as it is' },
      ...{ username: 'oauth_writer_a', password: expect.stringMatching(/^[A-Za-z0-9]{30}$/) },
    });
  });

  it('may break off after any step, and every step be repeated: calls log in all the while', async () => {
    await rotate();
    for (const last of [1, 2, 3, 4]) {
      const version = manager.begin(SECRET);
      for (const name of steps.slice(0, last)) {
        await step(name, version);
        await step(name, version);
        await logsIn();
      }
      for (const name of steps) {
        await step(name, version);
        await logsIn();
      }
      for (const name of steps) await step(name, version); // and when all of it is done
    }
    const before = manager.current(SECRET);
    const version = manager.begin(SECRET);
    for (const name of steps.slice(0, 3)) await step(name, version);
    manager.cancel(SECRET, version);
    expect(manager.current(SECRET)).toEqual(before);
    await logsIn();
    await expect(step('finishSecret', version)).rejects.toThrow('not pending');
    await rotate();
    await logsIn();
  });

  it('may run any number of times at once', async () => {
    for (let turn = 0; turn < 6; turn += 1) {
      const version = manager.begin(SECRET);
      for (const name of steps) {
        const all = await Promise.allSettled(Array.from({ length: 4 }, () => step(name, version)));
        expect(all.filter(({ status }) => status === 'rejected')).toEqual([]);
      }
      await logsIn();
    }
    expect(manager.versionsOf(SECRET)).toBe(7);
  });

  it('fails no call under traffic, of new connections and of old ones', async () => {
    await rotate();
    const password = () => secretLogin(SECRET);
    const fresh = await createEngine({ ...place, password, pool: { maxIdle: 0, maxActive: 4 } }, systemClock);
    const kept = await createEngine({ ...place, password, pool: { maxActive: 4 } }, systemClock);
    const loggedIn = new Set<unknown>();
    let ended = false;
    const calls = new Map([fresh, kept].map((engine) => [engine, 0]));
    const traffic = [fresh, kept].flatMap((engine) =>
      Array.from({ length: 3 }, async (_, index) => {
        while (!ended) {
          await engine.artifacts.find('kind', Buffer.alloc(32, index), { now: 1 });
          calls.set(engine, Number(calls.get(engine)) + 1);
        }
      }),
    );
    for (let turn = 0; turn < 12; turn += 1) {
      await rotate();
      loggedIn.add(await logsIn());
    }
    ended = true;
    await Promise.all(traffic);
    for (const count of calls.values()) expect(count).toBeGreaterThan(24); // some in each rotation
    expect(loggedIn.size).toBe(2);
    await Promise.all([fresh.close(), kept.close()]);
  });

  it('a call that comes with a password of before logs in; with one of long ago, after it has asked again', async () => {
    await rotate();
    for (const [rotations, asked] of [
      [0, 1],
      [1, 1],
      [2, 2],
      [3, 2],
    ]) {
      let questions = 0;
      const password = async () => {
        questions += 1;
        const login = await secretLogin(SECRET);
        if (questions === 1) for (let turn = 0; turn < Number(rotations); turn += 1) await rotate();
        return login;
      };
      const engine = await createEngine({ ...place, password }, systemClock);
      await engine.artifacts.find('kind', Buffer.alloc(32), { now: 1 });
      expect(questions).toBe(asked);
      await engine.close();
    }
  });

  it('never changes the password that calls log in by, nor that of any other user', async () => {
    await rotate();
    const version = manager.begin(SECRET);
    await step('createSecret', version);
    const { username } = manager.current(SECRET);
    const changed: string[] = [];
    const watched: DatabaseUsers = { ...users, setPassword: async (_, { user }) => void changed.push(user) };
    await step('setSecret', version, rotation(watched));
    expect(changed).toEqual([username === 'oauth_writer_a' ? 'oauth_writer_b' : 'oauth_writer_a']);

    manager.cancel(SECRET, version);
    const same = manager.begin(SECRET);
    await callAws('secretsmanager', 'secretsmanager.PutSecretValue', {
      ...{ SecretId: SECRET, ClientRequestToken: same, VersionStages: ['AWSPENDING'] },
      SecretString: JSON.stringify(manager.current(SECRET)),
    });
    await expect(step('setSecret', same)).rejects.toThrow('the one that calls log in as');

    manager.create(SECRET, { username: 'postgres', password: 'x' });
    await expect(step('createSecret', manager.begin(SECRET))).rejects.toThrow('the user in the secret is another');
  });

  it('refuses what Secrets Manager did not ask for', async () => {
    const version = manager.begin(SECRET);
    await expect(step('constructor', version)).rejects.toThrow('the step of the rotation is unknown');
    await expect(step('setSecret', version)).rejects.toThrow('empty');
    await expect(step('createSecret', '00000000-0000-0000-0000-000000000000')).rejects.toThrow('not pending');
    manager.setRotation(SECRET, false);
    await expect(step('createSecret', version)).rejects.toThrow('off');
    expect(manager.calls.some(({ action }) => action === 'PutSecretValue')).toBe(false);
  });

  it('says of a failure what a server says, without the password', async () => {
    const version = manager.begin(SECRET);
    await step('createSecret', version);
    let leaked = '';
    const telling: DatabaseUsers = {
      async setPassword(_, { password }) {
        leaked = password;
        throw new Error(`near "${password}"`, { cause: new Error(`IDENTIFIED BY ${password}`) });
      },
      logIn: async ({ password }) => Promise.reject(new Error(`refused ${String(password)}`)),
    };
    for (const name of ['setSecret', 'testSecret']) {
      const error = await step(name, version, rotation(telling)).catch((reason: Error) => reason);
      expect(error).toBeInstanceOf(Error);
      expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain(leaked);
      expect((error as Error).message).toMatch(/^(near "…": IDENTIFIED BY …|refused …)$/);
    }
    expect(leaked).toHaveLength(30);
    expect(printed.join('')).toContain('near \\"…\\"');
  });
});
