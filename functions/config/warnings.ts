import type { Configuration, StoreSettings } from './configuration.ts';
import { pathText } from './faults.ts';
import { isLocal } from './location.ts';
import { lookupCaches, placesOf, usedConnections } from './places.ts';
import { connectionSections, storeSections } from './rules.ts';

/** A setting that is accepted and yet may do harm. */
export interface Warning {
  readonly path: string;
  /** What may happen, and the remedy. */
  readonly text: string;
}

export const warningsOf = (configuration: Configuration): Warning[] => [
  ...storeWarnings(configuration),
  ...cacheWarnings(configuration),
  ...lookupWarnings(configuration),
  ...connectionWarnings(configuration),
  ...authorizerWarnings(configuration),
  ...partitionWarnings(configuration),
  ...when(
    configuration.issuing.authorizationCode.expiresIn > 600,
    ['issuing', 'authorizationCode', 'expiresIn'],
    'RFC 6749 §4.1.2 recommends at most 600 seconds',
  ),
];

function storeWarnings(configuration: Configuration): Warning[] {
  const stores = storesOf(configuration);
  if (stores.length === 0) return when(true, [], `there is no store; define one in ${storeSections.join(', ')}`);
  return stores.flatMap(({ path, store }) => {
    if (store.storeIn !== 'cassandra') return [];
    const { readConsistency: read, writeConsistency: write } = store;
    const keyspaces = configuration.cassandra[store.cassandra]?.engine === 'keyspaces';
    return [
      ...when(
        write === 'ANY',
        [...path, 'writeConsistency'],
        'ANY can acknowledge a write that no replica can read yet, of a token or of its revocation; set QUORUM for reads and writes',
      ),
      ...when(
        (read === 'ONE' || read === 'LOCAL_ONE') && write !== 'ALL',
        [...path, 'readConsistency'],
        `${read} can ask a replica that has not heard of a revocation yet; set ${keyspaces ? 'LOCAL_QUORUM' : 'QUORUM for reads and writes'}`,
      ),
    ];
  });
}

function cacheWarnings(configuration: Configuration): Warning[] {
  const { accessToken, refreshToken, authorizationCode } = configuration.issuing;
  // A code's element must outlive the tokens obtained with it, or a replay is no longer known as one.
  const longestLife = Math.max(accessToken.expiresIn, refreshToken.expiresIn, authorizationCode.expiresIn);
  const holding = new Set(placesOf(configuration).map(({ place }) => place));
  return Object.entries(configuration.caches).flatMap(([name, cache]) => {
    const path = ['caches', name];
    // Of a cache that only look-ups go through nothing is lost but time, and a revocation for `cacheSeconds`.
    if (cache.engine === 'dynamodb' || (lookupCaches(configuration).has(name) && !holding.has(`cache ${name}`)))
      return [];
    const eviction =
      cache.engine === 'memory'
        ? when(
            cache.maxElements !== undefined,
            [...path, 'maxElements'],
            'a full cache evicts live tokens, whose users must log in again; leave it out, or keep tokens in a database',
          )
        : when(
            cache.evictionPolicy !== 'noeviction',
            [...path, 'evictionPolicy'],
            `${cache.evictionPolicy} removes live tokens and revocations when the memory is full; set noeviction`,
          );
    const limits = (['timeToLiveSeconds', 'timeToIdleSeconds'] as const).flatMap((setting) =>
      when(
        (cache[setting] ?? longestLife) < longestLife,
        [...path, setting],
        `removes tokens, codes and the memory of replays before they expire; leave it out, or set at least ${longestLife}`,
      ),
    );
    return [...eviction, ...limits];
  });
}

function lookupWarnings({ accessTokenStores, caches }: Configuration): Warning[] {
  return Object.entries(accessTokenStores).flatMap(([name, { lookupCache }]) =>
    lookupCache
      ? when(
          caches[lookupCache.cache]?.engine === 'memory',
          ['accessTokenStores', name, 'lookupCache'],
          `each process has a memory of its own: a token is still found good for up to ${lookupCache.cacheSeconds} seconds after another process revoked it; take a cache that all share`,
        )
      : [],
  );
}

function connectionWarnings(configuration: Configuration): Warning[] {
  const used = new Set(usedConnections(configuration).map(({ section, name }) => pathText([section, name])));
  return Object.values(connectionSections).flatMap((section) =>
    Object.entries<Connection>(configuration[section]).flatMap(([name, server]) => [
      ...when(
        !used.has(pathText([section, name])),
        [section, name],
        'no store uses it; refer to it from a store, or leave it out',
      ),
      ...when(
        'tls' in server && server.tls === false && !isLocal(server),
        [section, name, 'tls'],
        'what goes to the server and comes back can be read on the way; set true',
      ),
    ]),
  );
}

function authorizerWarnings({ authorizer: { cacheSeconds, resultCacheSeconds } }: Configuration): Warning[] {
  const bound = `a token is still let in for up to ${cacheSeconds + resultCacheSeconds} seconds after it was revoked`;
  return [
    ...when(cacheSeconds > 0, ['authorizer', 'cacheSeconds'], `${bound}; set 0 to look it up for every request`),
    ...when(
      resultCacheSeconds > 0,
      ['authorizer', 'resultCacheSeconds'],
      `${bound}, its client was disabled or it expired; set 0, or have API Gateway flush the stage’s answers after a revocation that cannot wait`,
    ),
  ];
}

const DAY = 86_400;

const partitionWarnings = ({ databases, issuing: { accessToken } }: Configuration): Warning[] =>
  Object.entries(databases).flatMap(([name, database]) =>
    when(
      !database.embedded && database.expiryPartitions && accessToken.expiresIn > DAY,
      ['databases', name, 'expiryPartitions'],
      `access tokens that live longer than a day, such as those of issuing.accessToken.expiresIn, are purged row by row; set at most ${DAY} there, or leave expiryPartitions out`,
    ),
  );

type Connection = Configuration[(typeof connectionSections)[keyof typeof connectionSections]][string];

const storesOf = (configuration: Configuration) =>
  storeSections.flatMap((section) =>
    Object.entries<StoreSettings>(configuration[section]).map(([name, store]) => ({ path: [section, name], store })),
  );

const when = (harmful: boolean, path: readonly unknown[], text: string): Warning[] =>
  harmful ? [{ path: pathText(path), text }] : [];
