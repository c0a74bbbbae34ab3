import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { parseConfiguration } from '../../functions/config/configuration.ts';
import { cassandraSettings, keyspacesSettings, valkeySettings } from '../../functions/connection-settings.ts';
import { openStores } from '../../functions/open-stores.ts';

// What the configuration says of a cache or a cluster, as its engine takes it.

const folder = mkdtempSync(join(tmpdir(), 'connection-settings-'));
const pem = (name: string) => {
  writeFileSync(join(folder, name), `the PEM of ${name}`);
  return join(folder, name);
};
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => vi.unstubAllEnvs());

const secretArn = 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:x';
const password = async (reference: object) => JSON.stringify(reference);

function valkeyOf(settings: object) {
  const { configuration } = parseConfiguration({
    accessTokenStores: { tokens: { cache: 'c' } },
    caches: { c: { engine: 'valkey', ...settings } },
  });
  const cache = configuration.caches.c;
  if (cache?.engine !== 'valkey') throw new Error('another engine');
  return cache;
}

function clusterOf(store: object, cluster: object) {
  const { configuration } = parseConfiguration({
    accessTokenStores: { tokens: { storeIn: 'cassandra', cassandra: 'k', ...store } },
    cassandra: { k: { keyspace: 'oauth', ...cluster } },
  });
  const { k } = configuration.cassandra;
  const { tokens } = configuration.accessTokenStores;
  if (!k || tokens?.storeIn !== 'cassandra') throw new Error('another kind of store');
  return { configuration, k, tokens };
}

describe('Valkey', () => {
  it('is reached as the configuration says, its certificates read and its password asked for', async () => {
    const cache = valkeyOf({
      hosts: ['cache.example:6380', 'other.example'],
      cluster: true,
      user: 'oauth',
      password: { secretArn },
      tls: { trustedCertificates: pem('ca'), serverName: 'cache.internal' },
      timeToLiveSeconds: 500_000,
      timeToIdleSeconds: 400_000,
    });
    const { password: asked, ...settings } = await valkeySettings('c', cache, { password });
    expect(settings).toEqual({
      hosts: ['cache.example:6380', 'other.example'],
      cluster: true,
      user: 'oauth',
      tls: { ca: 'the PEM of ca', servername: 'cache.internal' },
      timeToLiveSeconds: 500_000,
      timeToIdleSeconds: 400_000,
    });
    expect(typeof asked === 'function' && (await asked())).toBe(JSON.stringify({ secretArn }));
  });

  it('on this machine is reached without TLS, elsewhere with it', async () => {
    expect(await valkeySettings('c', valkeyOf({ hosts: ['127.0.0.1:1'] }), {})).toEqual({
      hosts: ['127.0.0.1:1'],
      cluster: false,
      tls: false,
    });
    expect(await valkeySettings('c', valkeyOf({ hosts: ['cache.example'] }), {})).toMatchObject({ tls: {} });
  });

  it('with IAM asks for a token of its cache and user', async () => {
    for (const serverless of [true, false]) {
      const login = { user: 'oauth', password: { iam: true }, cacheName: 'oauth-cache', serverless };
      const { password: asked } = await valkeySettings('c', valkeyOf({ hosts: ['cache.example'], ...login }), {
        password,
      });
      const reference = { iam: true, cacheName: 'oauth-cache', serverless, user: 'oauth' };
      expect(typeof asked === 'function' && (await asked())).toBe(JSON.stringify(reference));
    }
  });

  it('without hosts is refused in words', async () => {
    await expect(valkeySettings('c', valkeyOf({}), {})).rejects.toThrow('caches["c"].hosts is missing');
  });
});

describe('Cassandra', () => {
  it('is reached as the configuration says, at the levels of the store', async () => {
    vi.stubEnv('CASSANDRA_PASSWORD', 'from the environment');
    const levels = { readConsistency: 'LOCAL_QUORUM', writeConsistency: 'QUORUM' };
    const { k, tokens } = clusterOf(levels, {
      engine: 'cassandra',
      hosts: ['node.example:9043'],
      localDataCenter: 'west',
      user: 'oauth',
      password: { env: 'CASSANDRA_PASSWORD' },
      tls: { clientCertificate: pem('certificate'), clientKey: pem('key') },
    });
    if (k.engine !== 'cassandra') throw new Error('another engine');
    expect(await cassandraSettings(k, tokens, {})).toEqual({
      hosts: ['node.example:9043'],
      localDataCenter: 'west',
      keyspace: 'oauth',
      user: 'oauth',
      password: 'from the environment',
      tls: { cert: 'the PEM of certificate', key: 'the PEM of key' },
      ...levels,
    });
  });

  it('is opened once for each level at which its stores ask it', async () => {
    const { configuration } = parseConfiguration({
      accessTokenStores: {
        tokens: { storeIn: 'cassandra', cassandra: 'k' },
        same: { storeIn: 'cassandra', cassandra: 'k' },
        careful: { storeIn: 'cassandra', cassandra: 'k', readConsistency: 'QUORUM', writeConsistency: 'QUORUM' },
      },
      cassandra: { k: { engine: 'cassandra', keyspace: 'oauth', hosts: ['127.0.0.1:1'] } },
    });
    const stores = await openStores(configuration, {});
    const [tokens, same, careful] = ['tokens', 'same', 'careful'].map(stores.accessTokenStore);
    await stores.close();
    expect(same).toBe(tokens);
    expect(careful).not.toBe(tokens);
  });
});

describe('Amazon Keyspaces', () => {
  const { k, tokens } = clusterOf({ readConsistency: 'LOCAL_ONE' }, { engine: 'keyspaces' });
  if (k.engine !== 'keyspaces') throw new Error('another engine');
  const settings = { keyspace: 'oauth', readConsistency: 'LOCAL_ONE' };

  it('is that of the configured Region, or else of the environment', () => {
    vi.stubEnv('AWS_REGION', 'eu-central-1');
    expect(keyspacesSettings(k, tokens)).toEqual({ ...settings, region: 'eu-central-1' });
    expect(keyspacesSettings({ ...k, region: 'us-east-1' }, tokens)).toEqual({ ...settings, region: 'us-east-1' });
  });

  it('without a Region is refused in words', () => {
    vi.stubEnv('AWS_REGION', undefined);
    expect(() => keyspacesSettings(k, tokens)).toThrow('the Region of Keyspaces is missing');
  });
});
