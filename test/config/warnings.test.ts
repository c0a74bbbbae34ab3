import { describe, expect, it } from 'vitest';
import { parseConfiguration } from '../../functions/config/configuration.ts';
import { type Document, everything } from './documents.ts';

const warningsOf = (document: Document) =>
  parseConfiguration(document).warnings.map(({ path, text }) => `${path}: ${text}`);

const inCassandra = (engine: string, levels: Document = {}): Document => ({
  accessTokenStores: { tokens: { storeIn: 'cassandra', cassandra: 'c', ...levels } },
  cassandra: { c: { engine, keyspace: 'oauth' } },
});
const inCache = (cache: Document): Document => ({
  authorizationCodeStores: { codes: { cache: 'c' } },
  caches: { c: cache },
});

describe('a cache for look-ups', () => {
  const before = (cache: Document): Document => ({
    accessTokenStores: {
      tokens: { storeIn: 'database', database: 'd', lookupCache: { cache: 'c', cacheSeconds: 20 } },
    },
    databases: { d: { engine: 'postgresql', database: 'oauth', host: 'db.example.com', user: 'u' } },
    caches: { c: cache },
  });

  it('is in use, and may evict what it holds: nothing is lost of it', () => {
    expect(warningsOf(before({ engine: 'valkey', evictionPolicy: 'allkeys-lru', timeToLiveSeconds: 60 }))).toEqual([]);
  });

  it('in the memory of each process comes with a warning', () => {
    expect(warningsOf(before({ engine: 'memory', maxElements: 1000 }))).toEqual([
      'accessTokenStores["tokens"].lookupCache: each process has a memory of its own: a token is still found good for up to ' +
        '20 seconds after another process revoked it; take a cache that all share',
    ]);
  });
});

describe('consistency', () => {
  const levelsOf = (document: Document) => parseConfiguration(document).configuration.accessTokenStores.tokens;
  const any =
    'accessTokenStores["tokens"].writeConsistency: ANY can acknowledge a write that no replica can read yet, of a token ' +
    'or of its revocation; set QUORUM for reads and writes';
  const one = (level: string, safe: string) =>
    `accessTokenStores["tokens"].readConsistency: ${level} can ask a replica that has not heard of a revocation yet; set ${safe}`;

  it('on self-managed Cassandra is ONE for reads and ANY for writes, with a warning for each', () => {
    const document = inCassandra('cassandra');
    expect(levelsOf(document)).toMatchObject({ readConsistency: 'ONE', writeConsistency: 'ANY' });
    expect(warningsOf(document)).toEqual([any, one('ONE', 'QUORUM for reads and writes')]);
  });

  it('on Keyspaces is LOCAL_QUORUM for both, without a warning', () => {
    const document = inCassandra('keyspaces');
    expect(levelsOf(document)).toMatchObject({ readConsistency: 'LOCAL_QUORUM', writeConsistency: 'LOCAL_QUORUM' });
    expect(warningsOf(document)).toEqual([]);
  });

  it.each(['ONE', 'LOCAL_ONE'])('on Keyspaces may be %s for reads, with a warning', (readConsistency) => {
    const document = inCassandra('keyspaces', { readConsistency });
    expect(levelsOf(document)).toMatchObject({ readConsistency, writeConsistency: 'LOCAL_QUORUM' });
    expect(warningsOf(document)).toEqual([one(readConsistency, 'LOCAL_QUORUM')]);
  });

  it.each([
    ['QUORUM', 'QUORUM'],
    ['SERIAL', 'EACH_QUORUM'],
    ['ONE', 'ALL'],
  ])('of %s for reads and %s for writes is worth no warning', (readConsistency, writeConsistency) => {
    const document = inCassandra('cassandra', { readConsistency, writeConsistency });
    expect(levelsOf(document)).toMatchObject({ readConsistency, writeConsistency });
    expect(warningsOf(document)).toEqual([]);
  });
});

describe('a warning is given for', () => {
  it('a memory cache that evicts live tokens', () => {
    expect(warningsOf(inCache({ engine: 'memory', maxElements: 10_000 }))).toEqual([
      'caches["c"].maxElements: a full cache evicts live tokens, whose users must log in again; leave it out, or keep ' +
        'tokens in a database',
    ]);
  });

  it('a Valkey cache that evicts live tokens', () => {
    expect(warningsOf(inCache({ engine: 'valkey', evictionPolicy: 'allkeys-lru' }))).toEqual([
      'caches["c"].evictionPolicy: allkeys-lru removes live tokens and revocations when the memory is full; set noeviction',
    ]);
  });

  it.each(['timeToLiveSeconds', 'timeToIdleSeconds'])('a %s under the longest life that is issued', (setting) => {
    const withLimit = (seconds: number) => ({
      ...inCache({ engine: 'memory', [setting]: seconds }),
      issuing: { refreshToken: { expiresIn: 7200 } },
    });
    expect(warningsOf(withLimit(7200))).toEqual([]);
    expect(warningsOf(withLimit(7199))).toEqual([
      `caches["c"].${setting}: removes tokens, codes and the memory of replays before they expire; leave it out, or set at ` +
        'least 7200',
    ]);
  });

  it('codes that live longer than the RFC recommends', () => {
    const withLife = (expiresIn: number) => ({
      ...inCache({ engine: 'memory' }),
      issuing: { authorizationCode: { expiresIn } },
    });
    expect(warningsOf(withLife(600))).toEqual([]);
    expect(warningsOf(withLife(601))).toEqual([
      'issuing.authorizationCode.expiresIn: RFC 6749 §4.1.2 recommends at most 600 seconds',
    ]);
  });

  it('connections that no store uses', () => {
    const document = inCache({ engine: 'memory' });
    expect(warningsOf({ ...document, databases: { c: { engine: 'postgresql', embedded: true } } })).toEqual([
      'databases["c"]: no store uses it; refer to it from a store, or leave it out',
    ]);
  });

  it('a server elsewhere without TLS', () => {
    const withHost = (host: string) => ({
      artifactStores: { a: { storeIn: 'database', database: 'd' } },
      databases: { d: { engine: 'mariadb', host, tls: false } },
    });
    expect(warningsOf(withHost('127.0.0.1'))).toEqual([]);
    expect(warningsOf(withHost('db.example'))).toEqual([
      'databases["d"].tls: what goes to the server and comes back can be read on the way; set true',
    ]);
  });

  it('expiry partitions for tokens that live too long for them', () => {
    const living = (expiresIn: number): Document => ({
      accessTokenStores: { tokens: { storeIn: 'database', database: 'd' } },
      databases: { d: { engine: 'postgresql', host: 'localhost', expiryPartitions: true } },
      issuing: { accessToken: { expiresIn } },
    });
    expect(warningsOf(living(86_400))).toEqual([]);
    expect(warningsOf(living(86_401))).toEqual([
      'databases["d"].expiryPartitions: access tokens that live longer than a day, such as those of ' +
        'issuing.accessToken.expiresIn, are purged row by row; set at most 86400 there, or leave expiryPartitions out',
    ]);
  });

  it('a configuration without a store', () => {
    expect(warningsOf({})).toEqual([
      ': there is no store; define one in accessTokenStores, authorizationCodeStores, clientAccessTokenStores, artifactStores',
    ]);
  });
});

it('warnings do not stop a configuration: all of them come with it', () => {
  const paths = parseConfiguration(everything()).warnings.map(({ path }) => path);
  expect(paths).toEqual(['caches["memory"].maxElements', 'caches["valkey"].evictionPolicy', 'authorizer.cacheSeconds']);
});
