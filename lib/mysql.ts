import { DatabaseInstanceEngine, MysqlEngineVersion } from 'aws-cdk-lib/aws-rds';
import { usualPorts } from '../functions/config/engines.ts';
import {
  AuroraMysql,
  type AuroraMysqlFacts,
  type AuroraMysqlProps,
  auroraMysqlConnection,
  auroraMysqlFacts,
} from './aurora-mysql.ts';
import { auroraOrInstance, databaseServer } from './database-server.ts';
import { iamLogin } from './instance-login.ts';
import { instanceFaults, type RdsInstanceOptions } from './instance-options.ts';
import { innodbParameters } from './mariadb.ts';
import { createdInstance, type InstanceEngine } from './rds-instance.ts';

// How the database engine `mysql` is deployed: Aurora, an instance of Amazon RDS, or a server that is there.

export interface MysqlOptions {
  /** Of the servers of MySQL that are created. */
  readonly auroraMysql?: Pick<AuroraMysqlProps, 'minCapacity' | 'maxCapacity' | 'readers' | 'version' | 'schema'>;
  /** Given, if only as `{}`: the servers of MySQL that are created are instances, not clusters of Aurora. */
  readonly mysqlInstance?: MysqlInstanceOptions;
}

interface MysqlInstanceOptions extends RdsInstanceOptions {
  /** Default: 8.4.9, and its later patches. */
  readonly version?: MysqlEngineVersion;
}

export const mysqlInstance = ({
  version = MysqlEngineVersion.VER_8_4_9,
}: MysqlInstanceOptions = {}): InstanceEngine => ({
  engine: 'mysql',
  title: 'MySQL',
  port: usualPorts.mysql,
  instanceEngine: DatabaseInstanceEngine.mysql({ version }),
  // Not the logs of slow and of all statements: those of prepared ones hold their values.
  logs: ['error', 'iam-db-auth-error'],
  parameters: innodbParameters,
  login: iamLogin, // straight: RDS Proxy would share no connection, as lib/aurora-mysql.ts says
});

export const mysql = databaseServer<MysqlOptions>({
  title: 'MySQL',
  created: (settings, { auroraMysql, mysqlInstance: instance }) =>
    instance
      ? {
          faults: [
            ...auroraOrInstance({ auroraMysql, mysqlInstance: instance }),
            ...instanceFaults('mysqlInstance', instance),
          ],
          ...createdInstance(settings, mysqlInstance(instance), instance),
        }
      : {
          facts: auroraMysqlFacts,
          create: (scope, id, { network, ...kept }) =>
            new AuroraMysql(scope, id, {
              ...auroraMysql,
              ...kept,
              network: network(),
              expiryPartitions: settings.expiryPartitions,
              ...(settings.database !== undefined && { databaseName: settings.database }),
            }).facts,
          connect: (scope, facts, network) =>
            auroraMysqlConnection(scope, settings, facts as AuroraMysqlFacts, network, auroraMysql),
        },
});
