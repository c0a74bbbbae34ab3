import {
  AuroraMysql,
  type AuroraMysqlFacts,
  type AuroraMysqlProps,
  auroraMysqlConnection,
  auroraMysqlFacts,
} from './aurora-mysql.ts';
import { databaseServer } from './database-server.ts';

// How the database engine `mysql` is deployed: Aurora, or a server that is there.

export interface MysqlOptions {
  /** Of the servers of MySQL that are created. */
  readonly auroraMysql?: Pick<AuroraMysqlProps, 'minCapacity' | 'maxCapacity' | 'readers' | 'version' | 'schema'>;
}

export const mysql = databaseServer<MysqlOptions, keyof AuroraMysqlFacts>({
  title: 'MySQL',
  created: (settings, { auroraMysql }) => ({
    facts: auroraMysqlFacts,
    create: (scope, id, { network, ...kept }) =>
      new AuroraMysql(scope, id, {
        ...auroraMysql,
        ...kept,
        network: network(),
        expiryPartitions: settings.expiryPartitions,
        ...(settings.database !== undefined && { databaseName: settings.database }),
      }).facts,
    connect: (scope, facts, network) => auroraMysqlConnection(scope, settings, facts, network, auroraMysql),
  }),
});
