import type { Configuration, StoreSettings } from './config/configuration.ts';
import type { DatabaseEngine } from './config/engines.ts';
import type { StoreKind } from './config/functions.ts';
import { placeOf, placesOf } from './config/places.ts';
import { storeSections } from './config/rules.ts';
import {
  cassandraSettings,
  databaseSettings,
  keyspacesSettings,
  postgresqlSettings,
  valkeySettings,
} from './connection-settings.ts';
import type { CodeDeployment } from './domain/authorization-codes.ts';
import { type Clock, systemClock } from './domain/clock.ts';
import type { Recognition } from './domain/digest.ts';
import { InputError } from './domain/errors.ts';
import type { TokenDeployment } from './domain/issuing.ts';
import type { Keyring } from './domain/keyring.ts';
import type {
  AccessTokenStore,
  ArtifactStore,
  AuthorizationCodeStore,
  ClientAccessTokenStore,
  Engine,
} from './domain/ports.ts';
import { createCodec } from './domain/records.ts';
import { type Observe, observedEngine } from './observation.ts';
import { withSharedLookups } from './shared-lookups.ts';
import type { DatabaseSettings, Login } from './stores/sql-settings.ts';

export interface OpenOptions {
  /** The deployment's keys: digests, checks and sealing. Without them there are the stores alone, as for administration. */
  readonly keyring?: Keyring;
  readonly clock?: Clock;
  /** Told of every operation of the stores. */
  readonly observe?: Observe;
  /** Told of what a server is set to that may do harm, once it is there. */
  readonly warn?: (text: string) => void;
  /** Folder that embedded databases are kept in. */
  readonly dataDirectory?: string;
  /** The kinds whose connections are opened; all without. A function opens only what it uses. */
  readonly kinds?: readonly StoreKind[];
  /**
   * Where a password of `{ "secretArn": … }` or `{ "iam": true }` comes from; asked for every new connection. To a database the
   * user goes whom a secret names beside its password.
   */
  readonly password?: (
    reference: { secretArn: string } | ({ iam: true } & (Server | CacheLogin)),
  ) => Promise<string | Partial<Login>>;
}

/** A server, and who connects to it. */
export interface Server {
  readonly host: string;
  readonly port: number;
  readonly user: string;
}

/** A cache of Amazon ElastiCache, and who connects to it. */
export interface CacheLogin {
  readonly cacheName: string;
  readonly serverless: boolean;
  readonly user: string;
}

/** Every store of a configuration, by name. A name may be left out where there is only one of its kind. */
export interface Stores {
  accessTokenStore(name?: string): AccessTokenStore;
  authorizationCodeStore(name?: string): AuthorizationCodeStore;
  clientAccessTokenStore(name?: string): ClientAccessTokenStore;
  artifactStore(name?: string): ArtifactStore;
  /** An access token store with the keys and settings that the rules of issuing, refresh and inspection need. */
  tokens(name?: string): TokenDeployment;
  /** The same of an authorization code store. */
  codes(name?: string): CodeDeployment;
  close(): Promise<void>;
}

/**
 * Opens the stores of a configuration. A connection that several stores name is opened once and shared.
 *
 * @throws {StoreError} `unavailable`: an embedded database that
 *   cannot be opened. A server that is away is noticed by the first call.
 */
export async function openStores(configuration: Configuration, options: OpenOptions): Promise<Stores> {
  const { keyring, clock = systemClock, observe, kinds = storeSections } = options;
  const engines = new Map<string, Engine>();
  /** Of caches that hold no store, and only what is looked up. */
  const lookupCaches = new Map<string, Promise<Engine>>();
  const close = async () => {
    const opened = await Promise.all([...lookupCaches.values()].map((cache) => cache.catch(() => undefined)));
    await Promise.all([...engines.values(), ...opened].map((engine) => engine?.close()));
  };
  /** The artifacts of a cache, which is opened when it is first used: not by who only purges. */
  const artifactsOf = (cache: string) => {
    const opened = async () => {
      const here = engines.get(`cache ${cache}`) ?? lookupCaches.get(cache);
      if (here) return (await here).artifacts;
      // Nothing is lost that such a cache removes.
      const { warn: _, ...quiet } = options;
      const engine = openCache(configuration, cache, quiet, clock);
      lookupCaches.set(cache, engine);
      engine.catch(() => lookupCaches.delete(cache)); // the next call tries again
      return (await engine).artifacts;
    };
    return {
      find: async (...values: Parameters<ArtifactStore['find']>) => (await opened()).find(...values),
      put: async (...values: Parameters<ArtifactStore['put']>) => (await opened()).put(...values),
    };
  };
  try {
    for (const kind of kinds) {
      for (const store of Object.values(configuration[kind])) {
        const key = engineKeyOf(store);
        if (engines.has(key)) continue;
        const engine = await open(configuration, store, options, clock);
        engines.set(key, observe ? observedEngine(engine, placeOf(store), configuration, observe) : engine);
      }
    }
  } catch (error) {
    await close();
    throw error;
  }

  const named = <Kind extends StoreKind>(kind: Kind, name: string | undefined) => {
    const stores: Configuration[Kind] = configuration[kind];
    const names = Object.keys(stores);
    const store = stores[name ?? (names.length === 1 ? String(names[0]) : '')] as
      | Configuration[Kind][string]
      | undefined;
    const engine = store && engines.get(engineKeyOf(store));
    if (!store || !engine)
      throw new InputError(
        `name of a store in ${kind}`,
        name === undefined ? 'missing' : 'unknown or not opened',
        names.join(', ') || 'none is configured',
      );
    return { store, engine };
  };
  const settings = (store: { digest: Recognition['algorithm']; foreignTokens: boolean; sealAttributes: boolean }) => {
    if (!keyring) throw new InputError('keyring', 'missing', 'the keys of the deployment');
    return {
      recognition: { keyring, algorithm: store.digest, foreign: store.foreignTokens },
      codec: createCodec(keyring, store.sealAttributes),
      issuing: configuration.issuing,
      clock,
    };
  };
  const accessTokens = (name: string | undefined) => {
    const { store, engine } = named('accessTokenStores', name);
    if (!store.lookupCache) return { store, accessTokens: engine.accessTokens };
    const { cache, cacheSeconds } = store.lookupCache;
    const label = placesOf(configuration).find(({ stores }) => stores.includes(store))?.label ?? '';
    const lookups = {
      cacheSeconds,
      clock,
      ...(observe && {
        observe: (outcome: string, durationMs: number) =>
          observe({ store: label, operation: 'findCachedAccess', outcome, durationMs }),
      }),
    };
    return { store, accessTokens: withSharedLookups(engine.accessTokens, artifactsOf(cache), lookups) };
  };
  return {
    accessTokenStore: (name) => accessTokens(name).accessTokens,
    authorizationCodeStore: (name) => named('authorizationCodeStores', name).engine.authorizationCodes,
    clientAccessTokenStore: (name) => named('clientAccessTokenStores', name).engine.clientAccessTokens,
    artifactStore: (name) => named('artifactStores', name).engine.artifacts,
    tokens(name) {
      const { store, accessTokens: tokens } = accessTokens(name);
      return { store: tokens, ...settings(store) };
    },
    codes(name) {
      const { store, engine } = named('authorizationCodeStores', name);
      return { store: engine.authorizationCodes, ...settings(store) };
    },
    close,
  };
}

/** What is opened once and shared: a connection, and of a cluster one for the levels at which it is asked. */
const engineKeyOf = (store: StoreSettings): string =>
  store.storeIn === 'cassandra'
    ? `${placeOf(store)} ${store.readConsistency} ${store.writeConsistency}`
    : placeOf(store);

/** The databases that only servers have. */
const databaseServers: Record<
  Exclude<DatabaseEngine, 'postgresql'>,
  () => Promise<{ createEngine(settings: DatabaseSettings, clock: Clock): Engine | Promise<Engine> }>
> = {
  mysql: () => import('./stores/mysql.ts'),
  mariadb: () => import('./stores/mariadb.ts'),
  sqlserver: () => import('./stores/sqlserver.ts'),
  oracle: () => import('./stores/oracle.ts'),
  db2: () => import('./stores/db2.ts'),
};

// A function's bundle holds only the engines that it serves: the others are left out when it is bundled.
async function open(
  configuration: Configuration,
  store: StoreSettings,
  options: OpenOptions,
  clock: Clock,
): Promise<Engine> {
  if (store.storeIn === 'cache') return openCache(configuration, store.cache, options, clock);
  if (store.storeIn === 'database') {
    const database = configuration.databases[store.database];
    if (database?.engine === 'postgresql') {
      const { createEngine } = await import('./stores/postgresql.ts');
      return createEngine(await postgresqlSettings(store.database, database, options), clock);
    }
    if (!database) throw notThere('databases', store.database);
    const { createEngine } = await databaseServers[database.engine]();
    return createEngine(await databaseSettings(database, options), clock);
  }
  const cluster = configuration.cassandra[store.cassandra];
  if (cluster?.engine === 'cassandra') {
    const { createEngine } = await import('./stores/cassandra.ts');
    return createEngine(await cassandraSettings(cluster, store, options), clock);
  }
  if (cluster?.engine === 'keyspaces') {
    return (await import('./stores/keyspaces.ts')).createEngine(keyspacesSettings(cluster, store), clock);
  }
  throw notThere('cassandra', store.cassandra);
}

async function openCache(
  configuration: Configuration,
  name: string,
  options: OpenOptions,
  clock: Clock,
): Promise<Engine> {
  const cache = configuration.caches[name];
  if (cache?.engine === 'memory') return (await import('./stores/memory.ts')).createEngine(cache, clock);
  if (cache?.engine === 'dynamodb') {
    const { tableName, ...settings } = cache;
    if (tableName === undefined) {
      throw new InputError(`caches["${name}"].tableName`, 'missing', 'the name of a table that is there');
    }
    return (await import('./stores/dynamodb.ts')).createEngine(
      { ...settings, tableName, accessTokenSeconds: configuration.issuing.accessToken.expiresIn },
      clock,
    );
  }
  if (cache?.engine === 'valkey') {
    const { createEngine } = await import('./stores/valkey.ts');
    return createEngine(await valkeySettings(name, cache, options), clock);
  }
  throw notThere('caches', name);
}

const notThere = (section: string, name: string) =>
  new InputError(`${section}["${name}"]`, 'missing', 'the connection that a store refers to');
