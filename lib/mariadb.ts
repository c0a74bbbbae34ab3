import { databaseServer } from './database-server.ts';
import {
  MariadbInstance,
  type MariadbInstanceFacts,
  type MariadbInstanceProps,
  mariadbInstanceConnection,
  mariadbInstanceFacts,
} from './mariadb-instance.ts';

// How the database engine `mariadb` is deployed: an instance of Amazon RDS, or a server that is there.

export interface MariadbOptions {
  /** Of the servers of MariaDB that are created. */
  readonly mariadbInstance?: Pick<
    MariadbInstanceProps,
    'instanceType' | 'multiAz' | 'storageGigabytes' | 'maxStorageGigabytes' | 'maxConnections' | 'version' | 'schema'
  >;
}

export const mariadb = databaseServer<MariadbOptions, keyof MariadbInstanceFacts>({
  title: 'MariaDB',
  created: (settings, { mariadbInstance }) => ({
    facts: mariadbInstanceFacts,
    create: (scope, id, { network, ...kept }) =>
      new MariadbInstance(scope, id, {
        ...mariadbInstance,
        ...kept,
        network: network(),
        expiryPartitions: settings.expiryPartitions,
        ...(settings.database !== undefined && { databaseName: settings.database }),
      }).facts,
    connect: (scope, facts, network) => mariadbInstanceConnection(scope, settings, facts, network, mariadbInstance),
  }),
});
