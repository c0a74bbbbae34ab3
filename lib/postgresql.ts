import { DatabaseInstanceEngine, PostgresEngineVersion } from 'aws-cdk-lib/aws-rds';
import { usualPorts } from '../functions/config/engines.ts';
import {
  AuroraPostgresql,
  type AuroraPostgresqlFacts,
  type AuroraPostgresqlProps,
  auroraPostgresqlConnection,
  auroraPostgresqlFacts,
  postgresqlParameters,
} from './aurora-postgresql.ts';
import { auroraOrInstance, databaseServer } from './database-server.ts';
import { proxyLogin } from './instance-login.ts';
import { instanceFaults, type RdsInstanceOptions } from './instance-options.ts';
import { createdInstance, type InstanceEngine } from './rds-instance.ts';

// How the database engine `postgresql` is deployed: Aurora or an instance of Amazon RDS, behind RDS Proxy, or a server that is
// there.

export interface PostgresqlOptions {
  /** Of the servers of PostgreSQL that are created. */
  readonly aurora?: Pick<AuroraPostgresqlProps, 'minCapacity' | 'maxCapacity' | 'readers' | 'version' | 'schema'>;
  /** Given, if only as `{}`: the servers of PostgreSQL that are created are instances, not clusters of Aurora. */
  readonly postgresqlInstance?: PostgresqlInstanceOptions;
}

interface PostgresqlInstanceOptions extends RdsInstanceOptions {
  /** Default: 17.9, and its later patches. */
  readonly version?: PostgresEngineVersion;
}

export const postgresqlInstance = ({
  version = PostgresEngineVersion.VER_17_9,
}: PostgresqlInstanceOptions = {}): InstanceEngine => ({
  engine: 'postgresql',
  title: 'PostgreSQL',
  port: usualPorts.postgresql,
  instanceEngine: DatabaseInstanceEngine.postgres({ version }),
  logs: ['postgresql', 'iam-db-auth-error'],
  parameters: (maxConnections) => ({
    ...postgresqlParameters,
    // Acknowledged is on disk: the default, which nobody is to change.
    synchronous_commit: 'on',
    max_connections: String(maxConnections),
  }),
  login: proxyLogin,
});

export const postgresql = databaseServer<PostgresqlOptions>({
  title: 'PostgreSQL',
  created: (settings, { aurora, postgresqlInstance: instance }) =>
    instance
      ? {
          faults: [
            ...auroraOrInstance({ aurora, postgresqlInstance: instance }),
            ...instanceFaults('postgresqlInstance', instance),
          ],
          ...createdInstance(settings, postgresqlInstance(instance), instance),
        }
      : {
          facts: auroraPostgresqlFacts,
          create: (scope, id, { network, ...kept }) =>
            new AuroraPostgresql(scope, id, {
              ...aurora,
              ...kept,
              network: network(),
              expiryPartitions: settings.expiryPartitions,
              ...(settings.database !== undefined && { databaseName: settings.database }),
            }).facts,
          connect: (scope, facts, network) =>
            auroraPostgresqlConnection(scope, settings, facts as AuroraPostgresqlFacts, network),
        },
});
