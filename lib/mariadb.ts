import { DatabaseInstanceEngine, MariaDbEngineVersion } from 'aws-cdk-lib/aws-rds';
import { usualPorts } from '../functions/config/engines.ts';
import { databaseServer } from './database-server.ts';
import { iamLogin } from './instance-login.ts';
import { instanceFaults, type RdsInstanceOptions } from './instance-options.ts';
import { createdInstance, type InstanceEngine } from './rds-instance.ts';

// How the database engine `mariadb` is deployed: an instance of Amazon RDS, or a server that is there.

export interface MariadbOptions {
  /** Of the servers of MariaDB that are created. */
  readonly mariadbInstance?: MariadbInstanceOptions;
}

interface MariadbInstanceOptions extends RdsInstanceOptions {
  /** Default: 11.8.6, and its later patches. */
  readonly version?: MariaDbEngineVersion;
}

/** Seconds after which the server ends a connection that is not used: as long as for Aurora MySQL, and for the same reasons. */
const IDLE_SECONDS = '900';

/** What instances of MariaDB and MySQL are told. */
export const innodbParameters = (maxConnections: number) => ({
  require_secure_transport: '1',
  // Acknowledged is on disk, in the binary log of backups too: the defaults, which nobody is to change.
  innodb_flush_log_at_trx_commit: '1',
  sync_binlog: '1',
  binlog_format: 'ROW',
  general_log: '0',
  slow_query_log: '0',
  max_connections: String(maxConnections),
  wait_timeout: IDLE_SECONDS,
  interactive_timeout: IDLE_SECONDS,
});

export const mariadbInstance = ({
  version = MariaDbEngineVersion.VER_11_8_6,
}: MariadbInstanceOptions = {}): InstanceEngine => ({
  engine: 'mariadb',
  title: 'MariaDB',
  port: usualPorts.mariadb,
  instanceEngine: DatabaseInstanceEngine.mariaDb({ version }),
  // Not the logs of slow and of all statements: those of prepared ones hold their values.
  logs: ['error', 'iam-db-auth-error'],
  parameters: innodbParameters,
  login: iamLogin,
});

export const mariadb = databaseServer<MariadbOptions>({
  title: 'MariaDB',
  created: (settings, { mariadbInstance: options = {} }) => ({
    faults: instanceFaults('mariadbInstance', options),
    ...createdInstance(settings, mariadbInstance(options), options),
  }),
});
