import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Configuration, StoreSettings } from './config/configuration.ts';
import { usualPorts } from './config/engines.ts';
import { InputError, StoreError } from './domain/errors.ts';
import type { CacheLogin, OpenOptions, Server } from './open-stores.ts';
import type { CassandraSettings } from './stores/cassandra.ts';
import type { KeyspacesSettings } from './stores/keyspaces.ts';
import type { PostgresqlSettings } from './stores/postgresql-connection.ts';
import type { DatabaseSettings, Login } from './stores/sql-settings.ts';
import type { ValkeySettings } from './stores/valkey.ts';

// What the configuration says of a connection, as the engine takes it: files read, passwords found or left to be asked for.

type Database = Configuration['databases'][string];
type Cluster = Configuration['cassandra'][string];
type ValkeyCache = Extract<Configuration['caches'][string], { engine: 'valkey' }>;

/** How a configured PostgreSQL is reached, or where an embedded one is. */
export async function postgresqlSettings(
  name: string,
  database: Database,
  options: OpenOptions,
): Promise<PostgresqlSettings> {
  if (!database.embedded) return databaseSettings(database, options);
  const { dataDirectory = '.data' } = options;
  return { embedded: join(dataDirectory, database.directory ?? name) };
}

/** How a configured database server is reached. */
export async function databaseSettings(
  database: Exclude<Database, { embedded: true }>,
  options: OpenOptions,
): Promise<DatabaseSettings> {
  const { engine, url, tls, pool, expiryPartitions, validationQuery, schema } = database;
  const { password, ...place } = { ...database, ...(url !== undefined && partsOf(url)) };
  const { host, port, user } = place;
  return {
    ...(host !== undefined && { host }),
    ...(port !== undefined && { port }),
    ...(place.database !== undefined && { database: place.database }),
    ...(user !== undefined && { user }),
    ...(password !== undefined && {
      password: passwordOf(password, options, { host: host ?? '', port: port ?? usualPorts[engine], user: user ?? '' }),
    }),
    tls: await certificates(tls, options),
    pool,
    ...(expiryPartitions && { expiryPartitions }),
    ...(validationQuery !== undefined && { validationQuery }),
    ...(schema !== undefined && { schema }),
  };
}

/** How a configured Valkey is reached. */
export async function valkeySettings(
  name: string,
  { hosts, user, password, tls, cacheName = '', serverless, ...cache }: ValkeyCache,
  options: OpenOptions,
): Promise<ValkeySettings> {
  if (!hosts) throw new InputError(`caches["${name}"].hosts`, 'missing', 'servers that are there');
  return {
    hosts,
    cluster: cache.cluster,
    ...(options.warn && { warn: options.warn }),
    tls: await certificates(tls, options),
    ...(cache.timeToLiveSeconds !== undefined && { timeToLiveSeconds: cache.timeToLiveSeconds }),
    ...(cache.timeToIdleSeconds !== undefined && { timeToIdleSeconds: cache.timeToIdleSeconds }),
    ...(user !== undefined && { user }),
    ...(password !== undefined && {
      password: textOf(passwordOf(password, options, { cacheName, serverless, user: user ?? '' })),
    }),
  };
}

/** How a configured cluster of Cassandra is reached; by one of its stores at consistencies of its own. */
export async function cassandraSettings(
  { hosts, localDataCenter, keyspace, user, password, tls }: Extract<Cluster, { engine: 'cassandra' }>,
  levels: Pick<CassandraSettings, 'readConsistency' | 'writeConsistency'>,
  options: OpenOptions,
): Promise<CassandraSettings> {
  const { readConsistency, writeConsistency } = levels;
  return {
    hosts,
    localDataCenter,
    keyspace,
    ...(readConsistency && { readConsistency }),
    ...(writeConsistency && { writeConsistency }),
    tls: await certificates(tls, options),
    ...(user !== undefined && { user }),
    ...(password !== undefined && { password: textOf(passwordOf(password, options, undefined)) }),
  };
}

/** How Amazon Keyspaces is reached by one of its stores. */
export function keyspacesSettings(
  { keyspace, region = process.env.AWS_REGION }: Extract<Cluster, { engine: 'keyspaces' }>,
  { readConsistency }: Partial<Pick<Extract<StoreSettings, { storeIn: 'cassandra' }>, 'readConsistency'>>,
): KeyspacesSettings {
  if (!region) throw new InputError('the Region of Keyspaces', 'missing', '`region`, or AWS_REGION in the environment');
  const level = readConsistency as KeyspacesSettings['readConsistency'];
  return { keyspace, region, ...(level && { readConsistency: level }) };
}

/** What a URL says, taken apart: given a whole one, the driver would let it overrule user, password and TLS. */
function partsOf(url: string) {
  const { hostname, port, username, password, pathname, searchParams } = new URL(url);
  const parts = {
    host: searchParams.get('host') ?? decodeURIComponent(hostname).replace(/^\[(.+)\]$/, '$1'),
    user: searchParams.get('user') ?? decodeURIComponent(username),
    password: searchParams.get('password') ?? decodeURIComponent(password),
    database: decodeURIComponent(pathname.slice(1)),
  };
  const given: Partial<typeof parts> = Object.fromEntries(Object.entries(parts).filter(([, part]) => part !== ''));
  return { ...given, ...(port !== '' && { port: Number(port) }) };
}

type Password = NonNullable<Exclude<Database, { embedded: true }>['password']>;

/** A password's text at once; a function for one that must be asked for, so that each new connection gets a fresh one. */
function passwordOf(password: Password, { password: ask }: OpenOptions, login: Server | CacheLogin | undefined) {
  if (typeof password === 'string') return password;
  if ('env' in password) {
    const value = process.env[password.env];
    if (value === undefined)
      throw new InputError(`environment variable ${password.env}`, 'not set', 'the password of the database');
    return value;
  }
  const asked = askedBy(ask);
  if ('secretArn' in password) return () => asked(password);
  if (!login) throw new StoreError('unsupported', 'a token of IAM is for databases and caches');
  const reference = { ...password, ...login };
  return () => asked(reference);
}

/** Without the user: for servers on which it is always the same. */
const textOf = (password: ReturnType<typeof passwordOf>) =>
  typeof password === 'string' ? password : async () => textIn(await password());

const textIn = (asked: string | Partial<Login>): string => (typeof asked === 'string' ? asked : (asked.password ?? ''));

function askedBy(ask: OpenOptions['password']): NonNullable<OpenOptions['password']> {
  if (ask) return ask;
  throw new StoreError(
    'unsupported',
    'a password from AWS needs somebody who asks for it: `openStores` with `password`, or { "env": "NAME" }',
  );
}

type Tls = Exclude<Database, { embedded: true }>['tls'];

async function certificates(tls: Tls, { password: ask }: OpenOptions) {
  if (tls === false) return false as const;
  if (tls === true) return {};
  const { trustedCertificates, clientCertificate, clientKey, serverName } = tls;
  return {
    ...(trustedCertificates !== undefined && { ca: await pemOf(trustedCertificates) }),
    ...(clientCertificate !== undefined && { cert: await pemOf(clientCertificate) }),
    ...(clientKey !== undefined && {
      key: typeof clientKey === 'string' ? await pemOf(clientKey) : textIn(await askedBy(ask)(clientKey)),
    }),
    ...(serverName !== undefined && { servername: serverName }),
  };
}

/** What is deployed carries the text itself, not a path. */
const pemOf = async (pathOrText: string): Promise<string> =>
  pathOrText.includes('-----BEGIN ') ? pathOrText : readFile(pathOrText, 'utf8');
