/** The caches. `memory` is the embedded one: it lives and ends with its process. */
export const cacheEngines = ['memory', 'dynamodb', 'valkey'] as const;

/** The relational databases. `postgresql` can be embedded (PGlite): that is a setting of the database, not an engine. */
export const databaseEngines = ['postgresql', 'mysql', 'mariadb', 'sqlserver', 'oracle', 'db2'] as const;

export const cassandraEngines = ['cassandra', 'keyspaces'] as const;

export type CacheEngine = (typeof cacheEngines)[number];
export type DatabaseEngine = (typeof databaseEngines)[number];
export type CassandraEngine = (typeof cassandraEngines)[number];
export type Engine = CacheEngine | DatabaseEngine | CassandraEngine;

/** Where a store can be: what its `storeIn` says, and the name of the setting that refers to the connection. */
export const engineKinds = ['cache', 'database', 'cassandra'] as const;
export type EngineKind = (typeof engineKinds)[number];

const enginesOfKind: Record<EngineKind, readonly Engine[]> = {
  cache: cacheEngines,
  database: databaseEngines,
  cassandra: cassandraEngines,
};

/** The kind that an engine belongs to; `undefined` if no engine has this name. */
export const kindOfEngine = (name: unknown): EngineKind | undefined =>
  engineKinds.find((kind) => enginesOfKind[kind].some((engine) => engine === name));

/** How a connection URL of each database begins. */
export const urlSchemes: Record<DatabaseEngine, readonly string[]> = {
  postgresql: ['postgresql:', 'postgres:'],
  mysql: ['mysql:'],
  mariadb: ['mariadb:', 'mysql:'],
  sqlserver: ['sqlserver:', 'mssql:'],
  oracle: ['oracle:'],
  db2: ['db2:'],
};

/** Where each database listens when nothing is said of it. */
export const usualPorts: Record<DatabaseEngine, number> = {
  postgresql: 5432,
  mysql: 3306,
  mariadb: 3306,
  sqlserver: 1433,
  oracle: 1521,
  db2: 50_000,
};

/** The databases in which a user finds only tables of its own, unless told whose. */
export const schemaDatabaseEngines: readonly DatabaseEngine[] = ['oracle', 'db2'];

/** The databases that accept an IAM token of AWS in place of a password. */
export const iamDatabaseEngines: readonly DatabaseEngine[] = ['postgresql', 'mysql', 'mariadb'];

/** The databases that can keep access tokens in partitions by their expiry, each emptied whole when it is over. */
export const partitionedEngines: readonly DatabaseEngine[] = ['postgresql', 'mysql', 'mariadb', 'sqlserver', 'oracle'];

/** The most seconds between two purges there, in whose time a partition must be emptied: half of the narrowest one's. */
export const MOST_SECONDS_BETWEEN_EMPTYINGS = 1800;
