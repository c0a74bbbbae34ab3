import type { Configuration } from '../../functions/config/configuration.ts';
import type { DatabaseEngine } from '../../functions/config/engines.ts';
import { databaseSettings } from '../../functions/connection-settings.ts';
import { passwordFromAws } from '../../functions/password-from-aws.ts';
import type { Component, Diagnosis } from '../../functions/stores/sql-diagnosis.ts';
import type { SchemaOptions } from '../../functions/stores/sql-schema.ts';
import type { DatabaseSettings } from '../../functions/stores/sql-settings.ts';

// What the commands do with a database server, each engine in its own files.

/** The schema of an engine’s servers. */
interface Schema {
  applySchema(settings: DatabaseSettings, options?: SchemaOptions): Promise<string[]>;
}

interface Diagnostics {
  diagnose(settings: DatabaseSettings, components: readonly Component[]): Promise<Diagnosis>;
}

export const schemaOf: Record<DatabaseEngine, () => Promise<Schema>> = {
  postgresql: () => import('../../functions/stores/postgresql-schema.ts'),
  mysql: () => import('../../functions/stores/mysql-schema.ts'),
  mariadb: () => import('../../functions/stores/mariadb-schema.ts'),
  sqlserver: () => import('../../functions/stores/sqlserver-schema.ts'),
  oracle: () => import('../../functions/stores/oracle-schema.ts'),
  db2: () => import('../../functions/stores/db2-schema.ts'),
};

export const diagnosticsOf: Record<DatabaseEngine, () => Promise<Diagnostics>> = {
  postgresql: () => import('../../functions/stores/postgresql-diagnosis.ts'),
  mysql: () => import('../../functions/stores/mysql-diagnosis.ts'),
  mariadb: () => import('../../functions/stores/mariadb-diagnosis.ts'),
  sqlserver: () => import('../../functions/stores/sqlserver-diagnosis.ts'),
  oracle: () => import('../../functions/stores/oracle-diagnosis.ts'),
  db2: () => import('../../functions/stores/db2-diagnosis.ts'),
};

/** A database on a server, as the commands reach it. */
export const serverSettings = (
  database: Exclude<Configuration['databases'][string], { embedded: true }>,
): Promise<DatabaseSettings> => databaseSettings(database, { password: passwordFromAws });
