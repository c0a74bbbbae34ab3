import { describe, expect, it } from 'vitest';
import { parseConfiguration } from '../../functions/config/configuration.ts';
import { partitionedEngines } from '../../functions/config/engines.ts';
import { ConfigurationError, type Fault } from '../../functions/config/faults.ts';
import { either } from '../../functions/config/fields.ts';
import { type Document, everything } from './documents.ts';

function faultsOf(json: unknown): readonly Fault[] {
  try {
    parseConfiguration(json);
  } catch (error) {
    if (error instanceof ConfigurationError) return error.faults;
    throw error;
  }
  return [];
}

/** What {@link everything} is told after this change. */
function faultsAfter(change: (document: Document) => void): readonly Fault[] {
  const document = everything();
  change(document);
  return faultsOf(document);
}

const partitioned = either(partitionedEngines);
const fault = (path: string, kind: string, accepted: string): Fault => ({ path, kind, accepted });
const plainText = 'for a server that is not on this machine {"env": "NAME"}, {"secretArn": "arn:…"} or {"iam": true}';
const cases: [name: string, change: (document: Document) => void, ...faults: Fault[]][] = [
  [
    'an unknown section',
    (d) => {
      d.stores = {};
    },
    fault(
      'stores',
      'an unknown field',
      'one of the fields $schema, accessTokenStores, authorizationCodeStores, clientAccessTokenStores, artifactStores, ' +
        'caches, databases, cassandra, issuing, issuer, assertionAudiences, clients, authorizer, tokenInformation, ' +
        'localDeployment',
    ),
  ],
  [
    'every unknown field of an object, not only the first',
    (d) => Object.assign(d.authorizer, { relam: 'a', match: 'any' }),
    fault(
      'authorizer.match',
      'an unknown field',
      'one of the fields realm, scopeMatch, scopes, tokenFrom, dpop, artifactStore, cacheSeconds, resultCacheSeconds',
    ),
    fault(
      'authorizer.relam',
      'an unknown field',
      'one of the fields realm, scopeMatch, scopes, tokenFrom, dpop, artifactStore, cacheSeconds, resultCacheSeconds',
    ),
  ],
  [
    'a lookupCache that is not there, that is the store’s own place, from which nothing leaves, or that not all of a place have',
    (d) => {
      d.caches.lookups = { engine: 'dynamodb' };
      d.caches.kept = { engine: 'dynamodb', nativeTimeToLive: false };
      d.databases.looked = { engine: 'mysql', database: 'oauth' };
      const looked = { storeIn: 'database', database: 'looked' };
      Object.assign(d.accessTokenStores, {
        absent: { cache: 'kept', lookupCache: { cache: 'nowhere', cacheSeconds: 0 } },
        itself: { cache: 'lookups', lookupCache: { cache: 'lookups' } },
        one: { ...looked, lookupCache: { cache: 'kept' } },
        two: { ...looked, lookupCache: { cache: 'lookups' } },
      });
    },
    fault(
      'accessTokenStores["absent"].lookupCache.cache',
      'a name that is not in caches',
      '"memory", "dynamodb", "valkey", "lookups" or "kept"',
    ),
    fault('accessTokenStores["absent"].lookupCache.cacheSeconds', 'the number 0', 'a whole number from 1 to 3600'),
    fault(
      'accessTokenStores["itself"].lookupCache.cache',
      'the cache in which the store itself is',
      'another one, or no lookupCache',
    ),
    fault(
      'accessTokenStores["one"].lookupCache.cache',
      'a cache that the store "two" does not have, whose records are in the same place',
      'the same lookupCache for both: what is revoked through one must not be found good through the other',
    ),
    fault(
      'accessTokenStores["one"].lookupCache.cache',
      'a cache from which nothing leaves by itself (nativeTimeToLive: false)',
      'one whose elements the engine removes',
    ),
    fault(
      'accessTokenStores["two"].lookupCache.cache',
      'a cache that the store "one" does not have, whose records are in the same place',
      'the same lookupCache for both: what is revoked through one must not be found good through the other',
    ),
  ],
  [
    'scopes of what is no route, and a token in a place that is none',
    (d) => Object.assign(d.authorizer, { scopes: { '/orders': [] }, tokenFrom: ['body'] }),
    fault(
      'authorizer.scopes["/orders"]',
      'another name',
      'as a name: a route such as GET /orders/{id}, or $default for every other',
    ),
    fault('authorizer.tokenFrom[0]', 'text', 'authorization, header:NAME, query:NAME or cookie:NAME'),
  ],
  [
    'an issuer that is no URL',
    (d) => {
      d.issuer = 'issuer';
    },
    fault('issuer', 'text', 'an http or https URL without a fragment'),
  ],
  [
    'a list in place of an object',
    (d) => {
      d.issuing = [];
    },
    fault('issuing', 'a list', 'an object'),
  ],
  [
    'a list in place of a section',
    (d) => {
      d.clients = [];
    },
    fault('clients', 'a list', 'an object'),
  ],
  [
    'null in place of an object',
    (d) => {
      d.clients.public = null;
    },
    fault('clients["public"]', 'null', 'an object'),
  ],
  [
    'names that objects cannot hold safely, and an empty one',
    (d) => {
      d.databases = JSON.parse('{ "": { "engine": "db2" }, "__proto__": {}, "constructor": {} }');
      d.accessTokenStores = {};
      d.artifactStores = {};
      delete d.authorizer;
      delete d.localDeployment;
    },
    ...['', '__proto__', 'constructor'].map((name) =>
      fault(
        `databases[${JSON.stringify(name)}]`,
        'another name',
        'as a name: any text but an empty one, __proto__, constructor or prototype',
      ),
    ),
  ],
  [
    'a number below the least, a fraction, and text in place of a number',
    (d) =>
      Object.assign(d.accessTokenStores['in a cache'], { purgeUpTo: 0, purgeExpiredTokensEvery: 1.5 }) &&
      Object.assign(d.issuing.accessToken, { length: '54' }),
    fault(
      'accessTokenStores["in a cache"].purgeExpiredTokensEvery',
      'the number 1.5',
      'a whole number from 1 to 86400',
    ),
    fault('accessTokenStores["in a cache"].purgeUpTo', 'the number 0', 'a whole number from 1 to 1000000'),
    fault('issuing.accessToken.length', 'text', 'a whole number from 39 to 512'),
  ],
  [
    'a word that is not in the list of those accepted',
    (d) => {
      d.accessTokenStores['in a cache'].digest = 'MD5';
    },
    fault('accessTokenStores["in a cache"].digest', 'text', 'SHA-256 or HMAC-SHA-256'),
  ],
  [
    'an unknown place, and beside it what is wrong wherever the store is',
    (d) => Object.assign(d.accessTokenStores['in a database'], { storeIn: 'databse', purgeUpTo: null, pool: 8 }),
    fault(
      'accessTokenStores["in a database"].pool',
      'an unknown field',
      'one of the fields storeIn, cache, purgeExpiredTokensEvery, purgeUpTo, digest, sealAttributes, foreignTokens, lookupCache, ' +
        'database, cassandra, readConsistency, writeConsistency',
    ),
    fault('accessTokenStores["in a database"].purgeUpTo', 'null', 'a whole number from 1 to 1000000'),
    fault('accessTokenStores["in a database"].storeIn', 'text', 'cache, database or cassandra'),
  ],
  [
    'a store whose reference is not the one that its place needs',
    (d) => {
      d.authorizationCodeStores.codes = { storeIn: 'database', cache: 'dynamodb' };
    },
    fault(
      'authorizationCodeStores["codes"].cache',
      'an unknown field',
      'one of the fields storeIn, database, purgeExpiredTokensEvery, purgeUpTo, digest, sealAttributes, foreignTokens',
    ),
    fault('authorizationCodeStores["codes"].database', 'nothing', 'the name of one of databases'),
  ],
  [
    'consistency levels of a store that is not in Cassandra',
    (d) => {
      d.artifactStores.devices.readConsistency = 'ONE';
    },
    fault(
      'artifactStores["devices"].readConsistency',
      'an unknown field',
      'one of the fields storeIn, cache, purgeExpiredTokensEvery, purgeUpTo, digest',
    ),
  ],
  [
    'references that lead nowhere, inherited names included',
    (d) => {
      d.artifactStores.devices.cache = 'toString';
      d.artifactStores.sessions.database = 'memory';
      d.accessTokenStores['in Cassandra'].cassandra = 'by url';
    },
    fault('accessTokenStores["in Cassandra"].cassandra', 'a name that is not in cassandra', '"cluster" or "keyspaces"'),
    fault('artifactStores["devices"].cache', 'a name that is not in caches', '"memory", "dynamodb" or "valkey"'),
    fault(
      'artifactStores["sessions"].database',
      'a name that is not in databases',
      '"embedded", "by url" or "by host"',
    ),
  ],
  [
    'engines of the wrong kind, and unknown ones',
    (d) => {
      d.caches.memory.engine = 'postgresql';
      d.databases['by host'].engine = 'dynamodb';
      d.databases.embedded.engine = 'pglite';
      d.cassandra.keyspaces.engine = 'scylla';
    },
    fault('caches["memory"].engine', 'postgresql, the engine of a database', 'memory, dynamodb or valkey'),
    fault('cassandra["keyspaces"].engine', 'text', 'cassandra or keyspaces'),
    fault(
      'databases["by host"].engine',
      'dynamodb, the engine of a cache',
      'postgresql, mysql, mariadb, sqlserver, oracle or db2',
    ),
    fault('databases["embedded"].engine', 'text', 'postgresql'),
  ],
  [
    'another database than PostgreSQL embedded, and an embedded one with a connection',
    (d) => Object.assign(d.databases.embedded, { engine: 'mysql', host: 'localhost' }),
    fault('databases["embedded"].engine', 'mysql, the engine of a database', 'postgresql'),
    fault('databases["embedded"].host', 'an unknown field', 'one of the fields engine, embedded, directory'),
  ],
  [
    'levels that Keyspaces does not have',
    (d) =>
      Object.assign(d.clientAccessTokenStores.received, { readConsistency: 'QUORUM', writeConsistency: 'LOCAL_ONE' }),
    fault(
      'clientAccessTokenStores["received"].readConsistency',
      'QUORUM',
      'on Amazon Keyspaces only LOCAL_QUORUM, ONE or LOCAL_ONE',
    ),
    fault('clientAccessTokenStores["received"].writeConsistency', 'LOCAL_ONE', 'on Amazon Keyspaces only LOCAL_QUORUM'),
  ],
  [
    'a level that no engine has, told once',
    (d) => {
      d.clientAccessTokenStores.received.readConsistency = 'MOST';
    },
    fault(
      'clientAccessTokenStores["received"].readConsistency',
      'text',
      'on Amazon Keyspaces only LOCAL_QUORUM, ONE or LOCAL_ONE',
    ),
  ],
  [
    'reads at ANY on Cassandra',
    (d) => {
      d.accessTokenStores['in Cassandra'].readConsistency = 'ANY';
    },
    fault(
      'accessTokenStores["in Cassandra"].readConsistency',
      'text',
      'ONE, TWO, THREE, QUORUM, ALL, LOCAL_ONE, LOCAL_QUORUM, EACH_QUORUM, SERIAL or LOCAL_SERIAL',
    ),
  ],
  [
    'a keyspace of 49 characters, or with others than letters, digits and _',
    (d) => {
      d.cassandra.cluster.keyspace = 'k'.repeat(49);
      d.cassandra.keyspaces.keyspace = 'oauth-tokens';
    },
    fault('cassandra["cluster"].keyspace', 'text', '1 to 48 letters, digits and underscores'),
    fault('cassandra["keyspaces"].keyspace', 'text', '1 to 48 letters, digits and underscores'),
  ],
  [
    'no hosts, and hosts that are none',
    (d) => {
      d.cassandra.cluster.hosts = [];
      d.caches.valkey.hosts = ['cache.example:6379', 'redis://cache.example'];
    },
    fault('caches["valkey"].hosts[1]', 'text', 'host:port'),
    fault('cassandra["cluster"].hosts', 'a list', 'at least one host:port'),
  ],
  [
    'a replication strategy without its factors',
    (d) => {
      d.cassandra.cluster.replication = { strategy: 'NetworkTopologyStrategy', factor: 3 };
    },
    fault('cassandra["cluster"].replication.factor', 'an unknown field', 'one of the fields strategy, factors'),
    fault('cassandra["cluster"].replication.factors', 'nothing', 'an object'),
  ],
  [
    'an eternal cache with limits',
    (d) => {
      d.caches.memory.eternal = true;
    },
    ...['timeToIdleSeconds', 'timeToLiveSeconds'].map((setting) =>
      fault(`caches["memory"].${setting}`, 'a limit of an eternal cache', 'the limit or "eternal": true, not both'),
    ),
  ],
  [
    'plain passwords for servers elsewhere, also in a URL',
    (d) => {
      d.caches.valkey.password = 'Mellon';
      d.cassandra.cluster.password = 'Mellon';
      d.databases['by url'] = { engine: 'postgresql', url: 'postgresql://app:Mellon@db.example/oauth' };
      d.databases['by host'].password = 'Mellon';
    },
    fault('caches["valkey"].password', 'a password as plain text', plainText),
    fault('cassandra["cluster"].password', 'a password as plain text', plainText),
    fault('databases["by host"].password', 'a password as plain text', plainText),
    fault('databases["by url"].url', 'a URL with a password', `a URL without one; as password, ${plainText}`),
  ],
  [
    'a password where the deployment creates the server',
    (d) => {
      d.databases['by url'] = { engine: 'postgresql', password: 'Mellon' };
    },
    fault('databases["by url"].password', 'a password as plain text', plainText),
  ],
  [
    'a reference to a password that is none',
    (d) => {
      d.databases['by host'].password = { secret: 'Mellon' };
      d.databases['by url'].password = 31_415;
    },
    ...[
      ['by host', 'an object'],
      ['by url', 'a number'],
    ].map(([name, kind = '']) =>
      fault(
        `databases["${name}"].password`,
        kind,
        '{"env": "NAME"}, {"secretArn": "arn:aws:secretsmanager:…"}, {"iam": true} or, for a server on this machine, the password',
      ),
    ),
  ],
  [
    'IAM where the engine has it not, and without a user',
    (d) => {
      d.databases['by host'] = { engine: 'oracle', password: { iam: true } };
    },
    fault(
      'databases["by host"].password.iam',
      'IAM, which this engine has not',
      'on postgresql, mysql, mariadb or valkey only',
    ),
    fault('databases["by host"].user', 'nothing', 'the user that the IAM token is for'),
  ],
  [
    'IAM without the name of the cache, and without TLS',
    (d) => {
      const { cacheName: _, ...cache } = d.caches.valkey;
      d.caches.valkey = { ...cache, tls: false };
    },
    fault('caches["valkey"].cacheName', 'nothing', 'the name of the cache that the IAM token is for'),
    fault('caches["valkey"].tls', 'false', 'true: a token of IAM goes over TLS only'),
  ],
  [
    'a login in two places',
    (d) =>
      Object.assign(d.databases['by url'], {
        url: 'postgresql://app:Mellon@localhost/oauth',
        password: { env: 'PASSWORD' },
      }),
    fault('databases["by url"].password', 'a second password beside the URL’s', 'one'),
    fault('databases["by url"].user', 'a second user beside the URL’s', 'one'),
  ],
  [
    'an address in two places, and a URL of another engine',
    (d) => Object.assign(d.databases['by url'], { url: 'mysql://db.example/oauth', database: 'oauth', port: 1 }),
    fault('databases["by url"].database', 'a database beside a URL', 'either url or host, port and database'),
    fault('databases["by url"].port', 'a port beside a URL', 'either url or host, port and database'),
    fault('databases["by url"].url', 'a URL of another scheme', 'for this engine postgresql://… or postgres://…'),
  ],
  [
    'a URL that would undo TLS',
    (d) => {
      d.databases['by url'].url = 'postgresql://db.example/oauth?sslmode=disable';
    },
    fault(
      'databases["by url"].url',
      'a URL with parameters',
      'a URL without any; instead of sslmode and the like, tls',
    ),
  ],
  [
    'a URL that is none, and a port without a host',
    (d) => {
      d.databases['by url'].url = 'db.example/oauth';
      delete d.databases['by host'].host;
    },
    fault('databases["by host"].host', 'nothing', 'the host that the port belongs to'),
    fault('databases["by url"].url', 'text', 'a URL'),
  ],
  [
    'a client certificate without its key, and the reverse',
    (d) => {
      d.databases['by host'].tls = { clientCertificate: 'client.pem' };
      d.cassandra.cluster.tls = { clientKey: 'client.key' };
    },
    fault(
      'cassandra["cluster"].tls.clientCertificate',
      'nothing',
      'the path of a PEM file: certificate and key go together',
    ),
    fault('databases["by host"].tls.clientKey', 'nothing', 'the path of a PEM file: certificate and key go together'),
  ],
  [
    'expiry partitions on an engine that has none, or with a purge too seldom to empty each in its time',
    (d) => {
      d.databases.db2 = { engine: 'db2', host: 'db.example', user: 'oauth', expiryPartitions: true };
      d.accessTokenStores['in a database'].purgeExpiredTokensEvery = 1801;
      d.accessTokenStores.seldom = { storeIn: 'database', database: 'by host', purgeExpiredTokensEvery: 86_400 };
    },
    fault(
      'accessTokenStores["in a database"].purgeExpiredTokensEvery',
      'the number 1801',
      'at most 1800 where the database has expiryPartitions',
    ),
    fault('databases["db2"].expiryPartitions', 'true, which this engine cannot do', `on ${partitioned} only`),
  ],
  [
    'sizes of a pool that contradict each other',
    (d) => {
      d.databases['by host'].pool = { initialSize: 5, minIdle: 9, maxActive: 4 };
    },
    fault('databases["by host"].pool.initialSize', 'the number 5', 'at most maxActive, which is 4'),
    fault('databases["by host"].pool.minIdle', 'the number 9', 'at most maxActive, which is 4'),
    fault('databases["by host"].pool.minIdle', 'the number 9', 'at most maxIdle, which is 8'),
  ],
  [
    'a client’s secret in place of its digest',
    (d) => {
      d.clients.basic.secretDigests = ['Mellon'];
    },
    fault(
      'clients["basic"].secretDigests[0]',
      'text',
      '"sha256:" and the SHA-256 of a client secret in base64url (43 characters)',
    ),
  ],
  [
    'a client that could not prove who it is',
    (d) => {
      d.clients.basic.secretDigests = [];
      d.clients.signing.jwks.keys = [];
    },
    fault('clients["basic"].secretDigests', 'a list', 'at least one digest'),
    fault('clients["signing"].jwks.keys', 'a list', 'at least one public key'),
  ],
  [
    'a private key among the public ones, and a symmetric one',
    (d) => {
      d.clients.signing.jwks.keys = [
        { kty: 'EC', crv: 'P-256', x: 'x', y: 'y', d: 'Mellon' },
        { kty: 'oct', k: 'Mellon' },
      ];
    },
    ...['[0].d', '[1].k'].map((path) =>
      fault(
        `clients["signing"].jwks.keys${path}`,
        'an unknown field',
        'one of the fields kty, kid, use, key_ops, alg, crv, x, y, n, e, x5c, x5t, x5t#S256, x5u',
      ),
    ),
    fault('clients["signing"].jwks.keys[1].kty', 'text', 'RSA, EC or OKP'),
  ],
  [
    'a public client with a secret, with a resource server’s right, or with client_credentials',
    (d) =>
      Object.assign(d.clients.public, {
        mayIntrospect: true,
        secretDigests: [],
        grantTypes: ['authorization_code', 'client_credentials'],
      }),
    fault(
      'clients["public"].grantTypes[1]',
      'client_credentials for a public client',
      'this grant for clients that prove who they are only (RFC 6749 §4.4)',
    ),
    fault('clients["public"].mayIntrospect', 'true', 'false: a public client cannot prove who it is'),
    fault(
      'clients["public"].secretDigests',
      'an unknown field',
      'one of the fields tokenEndpointAuthMethod, mayIntrospect, enabled, applicationId, redirectUris, grantTypes, scopes',
    ),
  ],
  [
    'redirect URIs that are missing, relative or with a fragment',
    (d) => {
      d.clients.basic.redirectUris = [];
      d.clients.public.redirectUris = ['/callback', 'https://app.example/#callback'];
    },
    fault('clients["basic"].redirectUris', 'no redirect URI', 'at least one, for authorization_code and implicit'),
    fault('clients["public"].redirectUris[0]', 'text', 'an absolute URI without a fragment'),
    fault('clients["public"].redirectUris[1]', 'text', 'an absolute URI without a fragment'),
  ],
  [
    'an unknown way to authenticate',
    (d) => {
      d.clients.public.tokenEndpointAuthMethod = 'tls_client_auth';
    },
    fault(
      'clients["public"].tokenEndpointAuthMethod',
      'text',
      'client_secret_basic, client_secret_post, private_key_jwt or none',
    ),
  ],
  [
    'example data that others could reach',
    (d) => {
      d.localDeployment.host = '0.0.0.0';
    },
    fault('localDeployment.host', 'an address that others can reach', '127.0.0.1 while example data are in use'),
  ],
  [
    'a user’s password in place of its digest',
    (d) => {
      d.localDeployment.users.alice.passwordDigest = 'Mellon';
    },
    fault(
      'localDeployment.users.alice.passwordDigest',
      'text',
      '"scrypt:<salt>:<digest>" in base64url, at least 22 and exactly 43 characters',
    ),
  ],
  [
    'stores that the local deployment does not find',
    (d) => {
      d.localDeployment.accessTokenStore = 'codes';
      delete d.localDeployment.artifactStore;
      d.authorizationCodeStores = {};
    },
    fault(
      'localDeployment.accessTokenStore',
      'a name that is not in accessTokenStores',
      '"in a cache", "in a database" or "in Cassandra"',
    ),
    fault('localDeployment.artifactStore', 'nothing', '"artifacts", "sessions" or "devices"'),
    fault(
      'localDeployment.authorizationCodeStore',
      'a name that is not in authorizationCodeStores',
      'a name in authorizationCodeStores, which has none yet',
    ),
  ],
];

describe('a configuration is refused for', () => {
  it.each(cases)('%s', (_, change, ...faults) => {
    expect(faultsAfter(change)).toEqual(faults);
  });

  it.each([
    [null, 'null'],
    [[], 'a list'],
    ['{}', 'text'],
    [true, 'true'],
    [undefined, 'nothing'],
  ])('%j in place of an object', (json, kind) => {
    expect(faultsOf(json)).toEqual([{ path: '', kind, accepted: 'an object' }]);
  });
});

it('all faults are told at once, each on a line of its own, in the order of their paths', () => {
  const document = {
    unknown: 1,
    accessTokenStores: { tokens: { storeIn: 'databse', cache: 7, purgeUpTo: -1, extra: true } },
    authorizationCodeStores: { codes: { cache: 'absent', purgeUpTo: '1' } },
    caches: [],
    databases: { db: { engine: 'oracel', host: 'db.example', password: 'Mellon', pool: { minIdle: 9, maxWaitMs: 0 } } },
    cassandra: { ks: { engine: 'keyspaces' } },
    issuing: { authorizationCode: { length: 22 } },
    clients: { app: { redirectUris: 'https://app.example', grantTypes: ['implicit'] } },
    localDeployment: { host: 1 },
  };
  expect(faultsOf(document).map(({ path }) => path)).toEqual([
    'accessTokenStores["tokens"].cache',
    'accessTokenStores["tokens"].extra',
    'accessTokenStores["tokens"].purgeUpTo',
    'accessTokenStores["tokens"].storeIn',
    'authorizationCodeStores["codes"].cache',
    'authorizationCodeStores["codes"].purgeUpTo',
    'caches',
    'cassandra["ks"].keyspace',
    'clients["app"].redirectUris',
    'clients["app"].secretDigests',
    'databases["db"].engine',
    'databases["db"].password',
    'databases["db"].pool.maxWaitMs',
    'databases["db"].pool.minIdle',
    'databases["db"].pool.minIdle',
    'issuing.authorizationCode.length',
    'localDeployment.artifactStore',
    'localDeployment.host',
    'unknown',
  ]);
  expect(() => parseConfiguration(document)).toThrow(
    /^19 faults in the configuration:\n {2}accessTokenStores\["tokens"\]\.cache: found a number; accepted: the name of one of caches\n/,
  );
});

describe('a secret is never told,', () => {
  const secret = 'Speak-friend-and-enter';

  /** Calls `visit` with every object or list in `value` and each of its members. */
  function walk(value: unknown, visit: (parent: Document, member: string) => void): void {
    if (typeof value !== 'object' || value === null) return;
    for (const member of Object.keys(value)) {
      visit(value, member);
      walk(Reflect.get(value, member), visit);
    }
  }

  it('wherever it stands in place of a value', () => {
    const places: ((document: Document) => void)[] = [];
    walk(everything(), () => {
      const index = places.length;
      places.push((document) => {
        let count = 0;
        walk(document, (parent, member) => {
          if (count++ === index) parent[member] = secret;
        });
      });
    });
    const refused = places.filter((place) => {
      const faults = faultsAfter(place);
      expect(new ConfigurationError(faults).message).not.toContain(secret);
      return faults.length > 0;
    });
    expect(refused.length).toBeGreaterThan(100);
  });

  it('in whatever form a password is written', () => {
    for (const password of [secret, [secret], { plain: secret }, { env: [secret] }, { env: '', plain: secret }]) {
      const faults = faultsAfter((d) => Object.assign(d.databases['by host'], { password }));
      expect(faults).toHaveLength(1);
      expect(JSON.stringify(faults)).not.toContain(secret);
    }
  });
});
