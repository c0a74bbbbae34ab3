import type { Configuration } from '../functions/config/configuration.ts';
import type { CacheEngine, CassandraEngine, Engine } from '../functions/config/engines.ts';
import { type CassandraOptions, cassandra } from './cassandra-cluster.ts';
import type { DatabaseServer } from './database-server.ts';
import { type Db2Options, db2 } from './db2.ts';
import { type DynamodbOptions, dynamodb } from './dynamodb.ts';
import type { Engineer } from './engine-deployment.ts';
import { type KeyspacesOptions, keyspaces } from './keyspaces.ts';
import { type MariadbOptions, mariadb } from './mariadb.ts';
import { type MysqlOptions, mysql } from './mysql.ts';
import { type OracleOptions, oracle } from './oracle.ts';
import { type PostgresqlOptions, postgresql } from './postgresql.ts';
import { type SqlserverOptions, sqlserver } from './sqlserver.ts';
import { type ValkeyOptions, valkey } from './valkey.ts';

// The engines that can be deployed, each in a file of its own.

/** What may be said of what is created, beside the configuration. */
export interface EngineOptions
  extends DynamodbOptions,
    PostgresqlOptions,
    MysqlOptions,
    MariadbOptions,
    SqlserverOptions,
    OracleOptions,
    Db2Options,
    ValkeyOptions,
    CassandraOptions,
    KeyspacesOptions {}

type SettingsOf<E extends Engine> = E extends CacheEngine
  ? Extract<Configuration['caches'][string], { engine: E }>
  : E extends CassandraEngine
    ? Extract<Configuration['cassandra'][string], { engine: E }>
    : DatabaseServer;

export const engines: { readonly [E in Engine]?: Engineer<SettingsOf<E>, EngineOptions> } = {
  dynamodb,
  postgresql,
  mysql,
  mariadb,
  sqlserver,
  oracle,
  db2,
  valkey,
  cassandra,
  keyspaces,
};
