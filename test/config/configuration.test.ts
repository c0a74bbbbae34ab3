import { scryptSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { parseConfiguration, readConfiguration } from '../../functions/config/configuration.ts';
import { secretDigest } from '../../functions/domain/clients.ts';
import { leastLength } from '../../functions/domain/token.ts';
import { type Document, everything, exampleText } from './documents.ts';

const parsed = (document: Document) => parseConfiguration(document).configuration;

describe('the settings', () => {
  it('are all kept as they were set', () => {
    expect(parsed(everything())).toMatchObject(everything());
  });

  it('of issuing and of the authorizer have the defaults of the original', () => {
    const { issuing, authorizer } = parsed({});
    expect({ issuing, authorizer }).toEqual({
      issuing: {
        accessToken: { expiresIn: 3600, length: 54, type: 'Bearer' },
        refreshToken: { expiresIn: 43_200, length: 46, choice: 'new', graceSeconds: 10 },
        authorizationCode: { expiresIn: 600, length: 30 },
      },
      authorizer: {
        realm: 'oauth',
        scopeMatch: 'any',
        scopes: {},
        tokenFrom: ['authorization', 'query:access_token'],
        cacheSeconds: 0,
        resultCacheSeconds: 0,
      },
    });
  });

  it('of stores have the defaults of the original', () => {
    const { accessTokenStores, authorizationCodeStores, clientAccessTokenStores, artifactStores } = parsed({
      accessTokenStores: { a: { cache: 'c' } },
      authorizationCodeStores: { b: { storeIn: 'database', database: 'd' } },
      clientAccessTokenStores: { c: { cache: 'c' } },
      artifactStores: { d: { cache: 'c' } },
      caches: { c: { engine: 'dynamodb' } },
      databases: { d: { engine: 'oracle' } },
    });
    const purge = { purgeExpiredTokensEvery: 60, purgeUpTo: 1000 };
    expect({ accessTokenStores, authorizationCodeStores, clientAccessTokenStores, artifactStores }).toEqual({
      accessTokenStores: {
        a: { storeIn: 'cache', cache: 'c', ...purge, digest: 'SHA-256', sealAttributes: false, foreignTokens: false },
      },
      authorizationCodeStores: {
        b: {
          storeIn: 'database',
          database: 'd',
          ...purge,
          digest: 'SHA-256',
          sealAttributes: false,
          foreignTokens: false,
        },
      },
      clientAccessTokenStores: {
        c: { storeIn: 'cache', cache: 'c', ...purge, accessTokenExpiresIn: 3600, refreshTokenExpiresIn: 2_592_000 },
      },
      artifactStores: { d: { storeIn: 'cache', cache: 'c', ...purge, digest: 'SHA-256' } },
    });
  });

  it('of connections have the defaults of the original', () => {
    const { caches, databases, cassandra } = parsed({
      caches: { m: { engine: 'memory' }, d: { engine: 'dynamodb' }, v: { engine: 'valkey' } },
      databases: { e: { engine: 'postgresql', embedded: true }, s: { engine: 'db2' } },
      cassandra: { c: { engine: 'cassandra', keyspace: 'oauth' }, k: { engine: 'keyspaces', keyspace: 'oauth' } },
    });
    expect({ caches, databases, cassandra }).toEqual({
      caches: {
        m: { engine: 'memory', evictionPolicy: 'LRU', eternal: false },
        d: { engine: 'dynamodb', nativeTimeToLive: true },
        v: { engine: 'valkey', cluster: false, serverless: false, evictionPolicy: 'noeviction', tls: true },
      },
      databases: {
        e: { engine: 'postgresql', embedded: true },
        s: {
          engine: 'db2',
          embedded: false,
          tls: true,
          expiryPartitions: false,
          pool: { initialSize: 0, maxActive: 8, maxIdle: 8, minIdle: 0, maxWaitMs: 10_000, idleEvictionMs: 60_000 },
        },
      },
      cassandra: {
        c: {
          engine: 'cassandra',
          hosts: ['localhost:9042'],
          localDataCenter: 'datacenter1',
          keyspace: 'oauth',
          replication: { strategy: 'SimpleStrategy', factor: 1 },
          tls: false,
        },
        k: { engine: 'keyspaces', keyspace: 'oauth', existing: false },
      },
    });
  });

  it('of clients make an enabled client that may do nothing yet', () => {
    const secretDigests = [`sha256:${'A'.repeat(43)}`];
    expect(parsed({ clients: { c: { secretDigests } } }).clients).toEqual({
      c: {
        tokenEndpointAuthMethod: 'client_secret_basic',
        secretDigests,
        enabled: true,
        mayIntrospect: false,
        redirectUris: [],
        grantTypes: [],
        scopes: [],
      },
    });
  });

  it.each([
    ['{"url": "postgresql://localhost:5433/oauth"}', { url: 'postgresql://localhost:5433/oauth' }, false],
    ['{"url": "postgres://[::1]/oauth"}', { url: 'postgres://[::1]/oauth' }, false],
    ['{"host": "127.0.0.1"}', { host: '127.0.0.1' }, false],
    ['{"host": "/var/run/postgresql"}', { host: '/var/run/postgresql' }, false],
    ['{"host": "db.example"}', { host: 'db.example' }, true],
    ['{"host": "localhost.example"}', { host: 'localhost.example' }, true],
    ['{"url": "postgresql://db.example/oauth"}', { url: 'postgresql://db.example/oauth' }, true],
    ['a URL that a parameter leads elsewhere', { url: 'postgresql://localhost/oauth?host=db.example' }, true],
    ['{"tls": false}', { host: 'db.example', tls: false }, false],
    ['{"tls": true}', { host: 'localhost', tls: true }, true],
  ])('give TLS to every server that is not on this machine, unless told otherwise: %s', (_, server, tls) => {
    expect(parsed({ databases: { d: { engine: 'postgresql', ...server } } }).databases.d).toMatchObject({ tls });
  });

  it('let a password stand in the file for a server on this machine', () => {
    const databases = {
      a: { engine: 'postgresql', url: 'postgresql://app:secret@localhost/oauth' },
      b: { engine: 'postgresql', url: 'postgresql://app@localhost/oauth', password: 'secret' },
      c: { engine: 'postgresql', host: 'localhost', user: 'app', password: 'secret' },
    };
    expect(parsed({ databases }).databases).toMatchObject(databases);
  });

  it('of a pool may be equal to their bounds', () => {
    const pool = { initialSize: 4, maxActive: 4, maxIdle: 4, minIdle: 4 };
    expect(parsed({ databases: { d: { engine: 'mysql', pool } } }).databases.d).toMatchObject({ pool });
  });

  it.each(['access token', 'refresh token', 'authorization code'] as const)(
    'of the %s allow no length that leaves under 128 bits, and the shortest that does not',
    (kind) => {
      const setting = { 'access token': 'accessToken', 'refresh token': 'refreshToken' }[kind as string];
      const withLength = (length: number) => ({ issuing: { [setting ?? 'authorizationCode']: { length } } });
      expect(() => parsed(withLength(leastLength(kind)))).not.toThrow();
      expect(() => parsed(withLength(leastLength(kind) - 1))).toThrow(`from ${leastLength(kind)} to 512`);
    },
  );
});

describe('the local deployment', () => {
  const stores = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, { cache: 'c' }]));
  const withCodes = (...names: string[]): Document => ({
    accessTokenStores: stores(['tokens']),
    authorizationCodeStores: stores(names),
    artifactStores: stores(['artifacts']),
    caches: { c: { engine: 'memory' } },
    localDeployment: {},
  });

  it('listens on this machine and uses the only store of each kind', () => {
    expect(parsed(withCodes('codes')).localDeployment).toEqual({
      exampleData: false,
      host: '127.0.0.1',
      accessTokenStore: 'tokens',
      authorizationCodeStore: 'codes',
      artifactStore: 'artifacts',
      users: {},
      protectedPaths: {},
    });
  });

  it('must say which one when there are several', () => {
    const document = withCodes('one', 'two');
    expect(() => parsed(document)).toThrow('localDeployment.authorizationCodeStore: found nothing; accepted: "one" or');
    document.localDeployment.authorizationCodeStore = 'two';
    expect(parsed(document).localDeployment?.authorizationCodeStore).toBe('two');
  });
});

it('names that nobody gave are not found, whatever objects inherit', () => {
  const { clients, caches, accessTokenStores } = parsed({ clients: {}, caches: {}, accessTokenStores: {} });
  for (const section of [clients, caches, accessTokenStores]) expect(section.toString).toBeUndefined();
});

describe('the example', () => {
  const { configuration, warnings } = readConfiguration(exampleText);
  const { clients, localDeployment } = configuration;

  it('is correct, gives no warning, and says that it is an example', () => {
    expect(warnings).toEqual([]);
    expect(localDeployment?.exampleData).toBe(true);
  });

  it.each([
    ['example-app', 'example-app-secret'],
    ['example-api', 'example-api-secret'],
  ])('knows %s by the digest of its secret', (clientId, secret) => {
    expect(clients[clientId]).toMatchObject({ secretDigests: [secretDigest(secret)] });
    expect(exampleText).not.toContain(secret);
  });

  it('knows alice by the digest of her password', () => {
    const [, salt = '', digest] = localDeployment?.users.alice?.passwordDigest.split(':') ?? [];
    expect(scryptSync('alice', Buffer.from(salt, 'base64url'), 32).toString('base64url')).toBe(digest);
  });
});
