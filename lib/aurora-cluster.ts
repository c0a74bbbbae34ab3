import { Duration, type RemovalPolicy, Validations } from 'aws-cdk-lib';
import { Port, type SecurityGroup } from 'aws-cdk-lib/aws-ec2';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { ClusterInstance, Credentials, DatabaseCluster, type IClusterEngine } from 'aws-cdk-lib/aws-rds';
import type { Construct } from 'constructs';
import { usualPorts } from '../functions/config/engines.ts';
import type { PrivateNetwork } from './network.ts';
import { DatabaseSchema, type DatabaseSchemaProps, type SchemaApplication } from './schema.ts';

// What clusters of Aurora Serverless v2 have in common, whatever they speak.

export interface AuroraProps {
  readonly network: PrivateNetwork;
  /** Name of the database. Default: oauth. */
  readonly databaseName?: string;
  /** Aurora capacity units (2 GiB of memory each) that it falls back to, and the most that it takes. Default: 0.5 and 16. */
  readonly minCapacity?: number;
  readonly maxCapacity?: number;
  /**
   * Instances beside the writer, in other Availability Zones: one takes over within a minute or so. Without any, a writer that
   * fails is made anew, which takes some ten minutes. Default: 1.
   */
  readonly readers?: number;
  /** A customer-managed key for storage, backups and the master user’s secret. Default: keys that AWS manages. */
  readonly encryptionKey?: IKey;
  readonly deletionProtection: boolean;
  readonly removalPolicy: RemovalPolicy;
  /** Default: automatic. */
  readonly schema?: SchemaApplication;
  /** Whether access tokens are kept in partitions that are emptied whole; once on, it stays on. Default: false. */
  readonly expiryPartitions?: boolean;
}

/** How one of them differs from the others. */
export interface AuroraEngine extends Pick<DatabaseSchemaProps, 'engine'> {
  /** Its name, as people write it. */
  readonly title: string;
  readonly clusterEngine: IClusterEngine;
  /** What goes to CloudWatch: nothing that holds the values of statements. */
  readonly logs: readonly string[];
  readonly parameters: Readonly<Record<string, string>>;
}

/** The most capacity units, unless somebody says otherwise. */
export const MAX_CAPACITY = 16;
const MASTER = 'oauth_admin';

/**
 * A cluster below `scope`, its security group, and its schema: encrypted, backed up for 35 days to any second, protected
 * against deletion. Its master user’s password is made and replaced every week by RDS; everybody else logs in by IAM.
 */
export function auroraCluster(
  scope: Construct,
  props: AuroraProps,
  { engine, title, ...differing }: AuroraEngine,
): { readonly cluster: DatabaseCluster; readonly servers: SecurityGroup } {
  const { network, databaseName = 'oauth', schema = 'automatic' } = props;
  const servers = network.securityGroup('ClusterGroup', 'The Aurora cluster', scope);
  const schemas = network.securityGroup('SchemaGroup', 'The function that applies the schema', scope);
  const port = usualPorts[engine];
  schemas.connections.allowTo(servers, Port.tcp(port), title);
  const cluster = createCluster(scope, { ...props, databaseName }, differing, servers);
  const { secret } = cluster;
  if (!secret) throw new Error(`${scope.node.path}: the cluster has no secret of its master user`);
  new DatabaseSchema(scope, 'Schema', {
    engine,
    network,
    securityGroup: schemas,
    host: cluster.clusterEndpoint.hostname,
    port,
    database: databaseName,
    user: MASTER,
    secret,
    application: schema,
    ...(props.expiryPartitions !== undefined && { expiryPartitions: props.expiryPartitions }),
    after: [cluster, servers],
  });
  return { cluster, servers };
}

function createCluster(
  scope: Construct,
  props: AuroraProps & { readonly databaseName: string },
  { clusterEngine, logs, parameters }: Pick<AuroraEngine, 'clusterEngine' | 'logs' | 'parameters'>,
  servers: SecurityGroup,
): DatabaseCluster {
  const { network, encryptionKey, readers = 1 } = props;
  // CDK warns where an instance does not say what its cluster says.
  const insights = {
    enablePerformanceInsights: true,
    ...(encryptionKey && { performanceInsightEncryptionKey: encryptionKey }),
  };
  const cluster = new DatabaseCluster(scope, 'Cluster', {
    engine: clusterEngine,
    writer: ClusterInstance.serverlessV2('Writer', insights),
    readers: Array.from({ length: readers }, (_, index) =>
      // It keeps the size of the writer, whose place it may have to take at any time.
      ClusterInstance.serverlessV2(`Reader${index + 1}`, { scaleWithWriter: true, ...insights }),
    ),
    serverlessV2MinCapacity: props.minCapacity ?? 0.5,
    serverlessV2MaxCapacity: props.maxCapacity ?? MAX_CAPACITY,
    vpc: network.vpc,
    vpcSubnets: { subnets: [...network.subnets] },
    securityGroups: [servers],
    defaultDatabaseName: props.databaseName,
    credentials: Credentials.fromUsername(MASTER, { ...(encryptionKey && { encryptionKey }) }),
    manageMasterUserPassword: true,
    iamAuthentication: true,
    storageEncrypted: true,
    ...(encryptionKey && { storageEncryptionKey: encryptionKey }),
    backup: { retention: Duration.days(35) },
    copyTagsToSnapshot: true,
    deleteAutomatedBackups: false,
    deletionProtection: props.deletionProtection,
    removalPolicy: props.removalPolicy,
    autoMinorVersionUpgrade: true,
    ...insights,
    cloudwatchLogsExports: [...logs],
    parameters: { ...parameters },
  });
  if (!props.deletionProtection) {
    Validations.of(cluster).acknowledge({
      id: 'AwsSolutions-RDS10',
      reason: 'Whoever deploys it wants to be rid of it again, and is warned of what that means.',
    });
  }
  return cluster;
}
