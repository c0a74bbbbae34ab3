import {
  AuroraPostgresql,
  type AuroraPostgresqlFacts,
  type AuroraPostgresqlProps,
  auroraPostgresqlConnection,
  auroraPostgresqlFacts,
} from './aurora-postgresql.ts';
import { databaseServer } from './database-server.ts';

// How the database engine `postgresql` is deployed: Aurora behind RDS Proxy, or a server that is there.

export interface PostgresqlOptions {
  /** Of the servers of PostgreSQL that are created. */
  readonly aurora?: Pick<AuroraPostgresqlProps, 'minCapacity' | 'maxCapacity' | 'readers' | 'version' | 'schema'>;
}

export const postgresql = databaseServer<PostgresqlOptions, keyof AuroraPostgresqlFacts>({
  title: 'PostgreSQL',
  created: (settings, { aurora }) => ({
    facts: auroraPostgresqlFacts,
    create: (scope, id, { network, ...kept }) =>
      new AuroraPostgresql(scope, id, {
        ...aurora,
        ...kept,
        network: network(),
        expiryPartitions: settings.expiryPartitions,
        ...(settings.database !== undefined && { databaseName: settings.database }),
      }).facts,
    connect: (scope, facts, network) => auroraPostgresqlConnection(scope, settings, facts, network),
  }),
});
