import { readFileSync } from 'node:fs';

/** A document that tests may change: every member can be reached and set. */
export interface Document {
  // biome-ignore lint/suspicious/noExplicitAny: a JSON document under test may be anything
  [member: string]: any;
}

export const exampleText = readFileSync(new URL('../../oauth-stores.json', import.meta.url), 'utf8');

/** A correct configuration that sets every setting that there is, none of them to its default. */
export const everything = (): Document => ({
  $schema: './oauth-stores.schema.json',
  accessTokenStores: {
    'in a cache': {
      storeIn: 'cache',
      cache: 'memory',
      purgeExpiredTokensEvery: 90,
      purgeUpTo: 500,
      digest: 'HMAC-SHA-256',
      sealAttributes: true,
      foreignTokens: true,
    },
    'in a database': { storeIn: 'database', database: 'by url' },
    'in Cassandra': {
      storeIn: 'cassandra',
      cassandra: 'cluster',
      readConsistency: 'QUORUM',
      writeConsistency: 'LOCAL_QUORUM',
    },
  },
  authorizationCodeStores: { codes: { storeIn: 'cache', cache: 'dynamodb' } },
  clientAccessTokenStores: {
    received: { storeIn: 'cassandra', cassandra: 'keyspaces', accessTokenExpiresIn: 60, refreshTokenExpiresIn: 61 },
  },
  artifactStores: {
    artifacts: { storeIn: 'database', database: 'by host', digest: 'HMAC-SHA-256' },
    sessions: { storeIn: 'database', database: 'embedded' },
    devices: { storeIn: 'cache', cache: 'valkey' },
  },
  caches: {
    memory: {
      engine: 'memory',
      maxElements: 1000,
      timeToLiveSeconds: 100_000,
      timeToIdleSeconds: 100_001,
      evictionPolicy: 'LFU',
      eternal: false,
    },
    dynamodb: {
      engine: 'dynamodb',
      tableName: 'oauth.tokens',
      region: 'eu-central-1',
      endpoint: 'http://127.0.0.1:8000',
      nativeTimeToLive: false,
    },
    valkey: {
      engine: 'valkey',
      hosts: ['cache.example:6379', '[2001:db8::1]:6379'],
      cluster: true,
      user: 'oauth',
      password: { iam: true },
      cacheName: 'oauth-cache',
      serverless: true,
      tls: true,
      securityGroup: 'sg-0a1b2c3d',
      timeToLiveSeconds: 100_000,
      timeToIdleSeconds: 100_000,
      maxMemoryMegabytes: 512,
      evictionPolicy: 'volatile-ttl',
    },
  },
  databases: {
    embedded: { engine: 'postgresql', embedded: true, directory: 'sessions' },
    'by url': {
      engine: 'postgresql',
      embedded: false,
      url: 'postgresql://db.example:5432/oauth',
      user: 'oauth',
      expiryPartitions: true,
    },
    'by host': {
      engine: 'mysql',
      host: 'db.example',
      port: 3307,
      database: 'oauth',
      user: 'oauth',
      password: { secretArn: 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:oauth-AbCdEf' },
      tls: {
        trustedCertificates: 'ca.pem',
        clientCertificate: 'client.pem',
        clientKey: 'client.key',
        serverName: 'db.internal',
      },
      securityGroup: 'sg-0a1b2c3d',
      pool: { initialSize: 1, maxActive: 4, maxIdle: 3, minIdle: 2, maxWaitMs: 500, idleEvictionMs: 0 },
      validationQuery: 'SELECT 1',
    },
  },
  cassandra: {
    cluster: {
      engine: 'cassandra',
      hosts: ['node1.example', 'node2.example:9043'],
      localDataCenter: 'frankfurt',
      keyspace: 'oauth_tokens',
      replication: { strategy: 'NetworkTopologyStrategy', factors: { frankfurt: 3 } },
      user: 'oauth',
      password: { env: 'CASSANDRA_PASSWORD' },
      tls: { trustedCertificates: 'ca.pem' },
      securityGroup: 'sg-0a1b2c3d',
    },
    keyspaces: { engine: 'keyspaces', keyspace: 'oauth', region: 'eu-central-1' },
  },
  issuing: {
    accessToken: { expiresIn: 600, length: 64, type: 'DPoP' },
    refreshToken: {
      expiresIn: 86_400,
      length: 60,
      choice: 'preserve',
      idleExpiresIn: 3600,
      absoluteExpiresIn: 604_800,
      graceSeconds: 0,
    },
    authorizationCode: { expiresIn: 60, length: 40 },
  },
  clients: {
    basic: {
      tokenEndpointAuthMethod: 'client_secret_post',
      secretDigests: ['sha256:P1T9ePuN5xXzI9tc3Xmkchxak1iMdieYHh-i4BRwPQg'],
      mayIntrospect: true,
      enabled: false,
      applicationId: 'shop',
      redirectUris: ['https://app.example/callback', 'com.example.app:/callback'],
      grantTypes: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:jwt-bearer'],
      scopes: ['orders:read', 'https://api.example/write'],
    },
    signing: {
      tokenEndpointAuthMethod: 'private_key_jwt',
      jwks: { keys: [{ kty: 'EC', crv: 'P-256', x: 'x', y: 'y', kid: '1', alg: 'ES256', use: 'sig' }] },
      mayIntrospect: true,
    },
    public: { tokenEndpointAuthMethod: 'none', mayIntrospect: false, redirectUris: ['http://127.0.0.1/callback'] },
  },
  issuer: 'https://issuer.example',
  assertionAudiences: ['https://api.example/introspect'],
  authorizer: {
    realm: 'orders',
    scopeMatch: 'all',
    scopes: { 'GET /orders/{id}': ['orders:read'], $default: ['orders:write', 'admin'] },
    tokenFrom: ['authorization', 'header:X-Token', 'cookie:token', 'query:token'],
    dpop: {
      algorithms: ['ES384', 'PS512'],
      maxAgeSeconds: 30,
      nonceSeconds: 300,
      baseUrls: ['https://api.example/v1', 'http://127.0.0.1:8089'],
    },
    artifactStore: 'artifacts',
    cacheSeconds: 10,
    resultCacheSeconds: 0, // does not go with dpop
  },
  tokenInformation: { attributes: ['tenant'] },
  localDeployment: {
    exampleData: true,
    host: 'localhost',
    accessTokenStore: 'in a database',
    authorizationCodeStore: 'codes',
    artifactStore: 'artifacts',
    users: { alice: { passwordDigest: 'scrypt:QsGZFFpkXTTD0rr9Si6gZw:0vfPTsmgya18G4F85XUkYCRLZ8eFsv0g7pGWvZ4VsZA' } },
    protectedPaths: { '/protected': ['orders:read'] },
  },
});
