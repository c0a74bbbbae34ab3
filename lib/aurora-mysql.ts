import { Validations } from 'aws-cdk-lib';
import { Port } from 'aws-cdk-lib/aws-ec2';
import { AuroraMysqlEngineVersion, type DatabaseCluster, DatabaseClusterEngine } from 'aws-cdk-lib/aws-rds';
import { Construct } from 'constructs';
import { usualPorts } from '../functions/config/engines.ts';
import type { Watched } from './alarms.ts';
import { type AuroraProps, auroraCluster, MAX_CAPACITY } from './aurora-cluster.ts';
import type { Network, StoreConnection } from './connection.ts';
import { type DatabaseServer, watchedCluster } from './database-server.ts';
import { iamConnection } from './iam-connection.ts';

export interface AuroraMysqlProps extends AuroraProps {
  /** Default: 3.10.4, and its later patches. */
  readonly version?: AuroraMysqlEngineVersion;
}

const PORT = usualPorts.mysql;

/**
 * Seconds after which the server ends a connection that is not used: that of an execution environment which AWS Lambda keeps
 * and does not run. The function that applies the schema holds an idle one for ten minutes at most, and its lock with it.
 */
const IDLE_SECONDS = '900';

/** What a function needs to know of a cluster, as text that can cross stacks. */
export const auroraMysqlFacts = ['host', 'databaseName', 'clusterId', 'clusterResourceId'] as const;
export type AuroraMysqlFacts = Readonly<Record<(typeof auroraMysqlFacts)[number], string>>;

/**
 * Aurora MySQL Serverless v2, with its schema: encrypted, backed up for 35 days to any second, protected against deletion.
 *
 * Nobody but the master user has a password. Functions log in to the cluster with a token of IAM, over TLS, as one of four
 * users with no more privileges than they need.
 *
 * There is no RDS Proxy: it would share no connection, since prepared statements and what our sessions set pin each one
 * (https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/rds-proxy-pinning.html), and nothing says that it keeps
 * CLIENT_FOUND_ROWS, by which a conditional update tells what it met.
 */
export class AuroraMysql extends Construct {
  readonly facts: AuroraMysqlFacts;
  readonly cluster: DatabaseCluster;

  constructor(scope: Construct, id: string, props: AuroraMysqlProps) {
    super(scope, id);
    const { network, databaseName = 'oauth', version = AuroraMysqlEngineVersion.VER_3_10_4 } = props;
    const { cluster, servers } = auroraCluster(this, props, {
      engine: 'mysql',
      title: 'MySQL',
      clusterEngine: DatabaseClusterEngine.auroraMysql({ version }),
      // Not the logs of slow and of all statements: those of prepared ones hold their values.
      logs: ['error', 'iam-db-auth-error'],
      parameters: {
        require_secure_transport: 'ON',
        // Acknowledged is durable: the default, which nobody is to change (docs/engines/mysql.md).
        innodb_flush_log_at_trx_commit: '1',
        general_log: '0',
        slow_query_log: '0',
        wait_timeout: IDLE_SECONDS,
        interactive_timeout: IDLE_SECONDS, // the lesser of the two holds for all
      },
    });
    network.clients.connections.allowTo(servers, Port.tcp(PORT), 'MySQL');
    Validations.of(cluster).acknowledge({
      id: 'AwsSolutions-RDS11',
      reason: 'Another port hides nothing from whoever is in the network.',
    });
    Validations.of(cluster).acknowledge({
      id: 'AwsSolutions-RDS14',
      reason: 'A cluster that is rewound takes revoked tokens as good again; backups restore to another one.',
    });
    this.cluster = cluster;
    this.facts = {
      host: cluster.clusterEndpoint.hostname,
      databaseName,
      clusterId: cluster.clusterIdentifier,
      clusterResourceId: cluster.clusterResourceIdentifier,
    };
  }
}

/**
 * How many connections a cluster takes by default: those of an instance with as much memory, two GiB for each capacity unit
 * (https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/AuroraMySQL.Managing.Performance.html).
 */
const connectionsByCapacity = [
  [128, 5000],
  [64, 4000],
  [32, 3000],
  [16, 2000],
  [8, 1000],
  [2, 90],
  [0, 45],
] as const;

/** A cluster of {@link AuroraMysql}, in this stack or in another. */
export function auroraMysqlConnection(
  scope: Construct,
  settings: DatabaseServer,
  facts: AuroraMysqlFacts,
  network: Network,
  { maxCapacity = MAX_CAPACITY }: Pick<AuroraMysqlProps, 'maxCapacity'> = {},
): StoreConnection {
  const [, mostConnections] = connectionsByCapacity.find(([capacity]) => capacity <= maxCapacity) ?? [0, 45];
  const watched: Watched = (limits) => watchedCluster(facts.clusterId, mostConnections)(limits);
  return iamConnection(scope, settings, { facts, resourceId: facts.clusterResourceId, watched }, network);
}
