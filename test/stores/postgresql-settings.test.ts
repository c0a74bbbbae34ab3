import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parseConfiguration } from '../../functions/config/configuration.ts';
import { postgresqlSettings } from '../../functions/connection-settings.ts';
import { type OpenOptions, openStores } from '../../functions/open-stores.ts';

const folder = mkdtempSync(join(tmpdir(), 'postgresql-settings-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** How a database that is configured so is reached. */
async function settingsOf(database: object, options: OpenOptions = {}) {
  const { configuration } = parseConfiguration({ databases: { db: { engine: 'postgresql', ...database } } });
  const settings = configuration.databases.db;
  if (!settings) throw new Error('the database is not there');
  const { pool, ...reached } = await postgresqlSettings('db', settings, options);
  return { reached, pool };
}

describe('a URL', () => {
  it('is taken apart, so that the driver lets it overrule nothing', async () => {
    const { reached, pool } = await settingsOf({ url: 'postgres://app%40home:p%2Fw@[::1]:5433/o%20auth' });
    expect(reached).toEqual({
      host: '::1',
      port: 5433,
      user: 'app@home',
      password: 'p/w',
      database: 'o auth',
      tls: false,
    });
    expect(pool).toMatchObject({ maxActive: 8, maxWaitMs: 10_000 });
  });

  it('goes together with user, password and TLS beside it', async () => {
    process.env.PASSWORD_OF_TEST = 'Mellon';
    const { reached } = await settingsOf({
      url: 'postgresql://db.example/oauth',
      user: 'app',
      password: { env: 'PASSWORD_OF_TEST' },
    });
    delete process.env.PASSWORD_OF_TEST;
    expect(reached).toEqual({ host: 'db.example', database: 'oauth', user: 'app', password: 'Mellon', tls: {} });
  });

  it('may name the host, or the folder of a socket, as a parameter', async () => {
    expect((await settingsOf({ url: 'postgresql:///oauth?host=/run/postgresql' })).reached).toMatchObject({
      host: '/run/postgresql',
      database: 'oauth',
    });
  });
});

describe('an IAM token', () => {
  it('is asked for with host, port and user, wherever these stand, and anew for every connection', async () => {
    const asked: unknown[] = [];
    const password: OpenOptions['password'] = async (reference) => `token ${asked.push(reference)}`;
    const iam = { password: { iam: true } };
    for (const place of [
      { url: 'postgresql://app@db.example:5433/oauth' },
      { url: 'postgresql://db.example:5433/oauth', user: 'app' },
      { host: 'db.example', port: 5433, user: 'app' },
    ]) {
      const { reached } = await settingsOf({ ...place, ...iam }, { password });
      const next = reached.password;
      if (typeof next !== 'function') throw new Error('the password is not asked for');
      expect(await next()).not.toBe(await next());
    }
    expect(asked).toHaveLength(6);
    for (const reference of asked) {
      expect(reference).toEqual({ iam: true, host: 'db.example', port: 5433, user: 'app' });
    }
  });

  it('is for the port of PostgreSQL when none is given', async () => {
    const asked: unknown[] = [];
    const password: OpenOptions['password'] = async (reference) => `token ${asked.push(reference)}`;
    const { reached } = await settingsOf({ host: 'db.example', user: 'app', password: { iam: true } }, { password });
    if (typeof reached.password === 'function') await reached.password();
    expect(asked).toEqual([{ iam: true, host: 'db.example', port: 5432, user: 'app' }]);
  });
});

describe('TLS', () => {
  it('has the texts of its files', async () => {
    const file = (name: string) => {
      writeFileSync(join(folder, name), `PEM of ${name}`);
      return join(folder, name);
    };
    const tls = {
      trustedCertificates: file('ca'),
      clientCertificate: file('cert'),
      clientKey: file('key'),
      serverName: 'db.example',
    };
    const { reached } = await settingsOf({ host: '127.0.0.1', tls });
    expect(reached.tls).toEqual({
      ca: 'PEM of ca',
      cert: 'PEM of cert',
      key: 'PEM of key',
      servername: 'db.example',
    });
  });
});

it('without keys there are the stores, but not what needs keys', async () => {
  const { configuration } = parseConfiguration({
    accessTokenStores: { tokens: { cache: 'memory' } },
    authorizationCodeStores: { codes: { cache: 'memory' } },
    caches: { memory: { engine: 'memory' } },
  });
  const stores = await openStores(configuration, {});
  expect(await stores.accessTokenStore().listGrants({ subject: 'alice' }, { limit: 1 })).toEqual({ grants: [] });
  expect(() => stores.tokens()).toThrow('keyring is missing; accepted: the keys of the deployment');
  expect(() => stores.codes()).toThrow('keyring is missing');
  await stores.close();
});
