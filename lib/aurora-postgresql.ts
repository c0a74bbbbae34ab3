import { ArnFormat, Duration, type RemovalPolicy, Stack, Validations } from 'aws-cdk-lib';
import { Port, type SecurityGroup } from 'aws-cdk-lib/aws-ec2';
import { Grant, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import {
  AuroraPostgresEngineVersion,
  ClusterInstance,
  Credentials,
  DatabaseCluster,
  DatabaseClusterEngine,
  DatabaseProxy,
  DefaultAuthScheme,
  ProxyTarget,
} from 'aws-cdk-lib/aws-rds';
import { Construct } from 'constructs';
import type { Network, StoreConnection } from './connection.ts';
import {
  type DatabaseServer,
  databaseUserArns,
  databaseUsers,
  onePerFunction,
  userFor,
  watchedProxy,
} from './database-server.ts';
import type { PrivateNetwork } from './network.ts';
import { PostgresqlSchema, type SchemaApplication } from './schema.ts';

export interface AuroraPostgresqlProps {
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
  /** Default: 17.9, and its later patches. */
  readonly version?: AuroraPostgresEngineVersion;
  /** A customer-managed key for storage, backups and the master user’s secret. Default: keys that AWS manages. */
  readonly encryptionKey?: IKey;
  readonly deletionProtection: boolean;
  readonly removalPolicy: RemovalPolicy;
  /** Default: automatic. */
  readonly schema?: SchemaApplication;
}

/** RDS Proxy listens on the engine’s usual port, and nowhere else. */
const PORT = 5432;
const MASTER = 'oauth_admin';

/** What a function needs to know of a cluster, as text that can cross stacks. */
export const auroraPostgresqlFacts = ['host', 'databaseName', 'proxyId', 'proxyName'] as const;
export type AuroraPostgresqlFacts = Readonly<Record<(typeof auroraPostgresqlFacts)[number], string>>;

/**
 * Aurora PostgreSQL Serverless v2 behind RDS Proxy, with its schema: encrypted, backed up for 35 days to any second,
 * protected against deletion.
 *
 * Nobody but the master user has a password. Functions log in to the proxy with a token of IAM, over TLS, as one of four
 * users with no more privileges than they need; so does the proxy to the cluster. The master user’s password is made and
 * replaced every week by RDS.
 */
export class AuroraPostgresql extends Construct {
  readonly facts: AuroraPostgresqlFacts;
  readonly cluster: DatabaseCluster;
  readonly proxy: DatabaseProxy;

  constructor(scope: Construct, id: string, props: AuroraPostgresqlProps) {
    super(scope, id);
    const { network, databaseName = 'oauth', schema = 'automatic' } = props;
    const servers = network.securityGroup('ClusterGroup', 'The Aurora cluster', this);
    const proxies = network.securityGroup('ProxyGroup', 'RDS Proxy in front of the Aurora cluster', this);
    const schemas = network.securityGroup('SchemaGroup', 'The function that applies the schema', this);
    const port = Port.tcp(PORT);
    network.clients.connections.allowTo(proxies, port, 'PostgreSQL, by way of RDS Proxy');
    schemas.connections.allowTo(servers, port, 'PostgreSQL');

    this.cluster = this.createCluster(props, databaseName, servers);
    const role = new Role(this, 'ProxyRole', { assumedBy: new ServicePrincipal('rds.amazonaws.com') });
    role.addToPolicy(
      new PolicyStatement({
        actions: ['rds-db:connect'],
        resources: databaseUserArns(this, this.cluster.clusterResourceIdentifier, databaseUsers),
      }),
    );
    this.proxy = new DatabaseProxy(this, 'Proxy', {
      dbProxyName: proxyName(this),
      proxyTarget: ProxyTarget.fromCluster(this.cluster),
      vpc: network.vpc,
      vpcSubnets: { subnets: [...network.subnets] },
      securityGroups: [proxies],
      role,
      defaultAuthScheme: DefaultAuthScheme.IAM_AUTH,
      requireTLS: true,
      // A call that finds no connection fails before its function does.
      borrowTimeout: Duration.seconds(5),
      // The rest is for the master user: to apply the schema, and to look when nothing works any more.
      maxConnectionsPercent: 90,
    });
    this.proxy.node.addDependency(role);
    const { secret } = this.cluster;
    if (!secret) throw new Error(`${this.node.path}: the cluster has no secret of its master user`);
    new PostgresqlSchema(this, 'Schema', {
      network,
      securityGroup: schemas,
      host: this.cluster.clusterEndpoint.hostname,
      port: PORT,
      database: databaseName,
      user: MASTER,
      secret,
      application: schema,
      after: [this.cluster, servers],
    });
    this.facts = {
      host: this.proxy.endpoint,
      databaseName,
      proxyId: Stack.of(this).splitArn(this.proxy.dbProxyArn, ArnFormat.COLON_RESOURCE_NAME).resourceName ?? '',
      proxyName: this.proxy.dbProxyName,
    };
  }

  private createCluster(props: AuroraPostgresqlProps, databaseName: string, servers: SecurityGroup): DatabaseCluster {
    const { network, encryptionKey, readers = 1, version = AuroraPostgresEngineVersion.VER_17_9 } = props;
    // CDK warns where an instance does not say what its cluster says.
    const insights = {
      enablePerformanceInsights: true,
      ...(encryptionKey && { performanceInsightEncryptionKey: encryptionKey }),
    };
    const cluster = new DatabaseCluster(this, 'Cluster', {
      engine: DatabaseClusterEngine.auroraPostgres({ version }),
      writer: ClusterInstance.serverlessV2('Writer', insights),
      readers: Array.from({ length: readers }, (_, index) =>
        // It keeps the size of the writer, whose place it may have to take at any time.
        ClusterInstance.serverlessV2(`Reader${index + 1}`, { scaleWithWriter: true, ...insights }),
      ),
      serverlessV2MinCapacity: props.minCapacity ?? 0.5,
      serverlessV2MaxCapacity: props.maxCapacity ?? 16,
      vpc: network.vpc,
      vpcSubnets: { subnets: [...network.subnets] },
      securityGroups: [servers],
      defaultDatabaseName: databaseName,
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
      cloudwatchLogsExports: ['postgresql', 'iam-db-auth-error'],
      parameters: {
        'rds.force_ssl': '1',
        // A statement’s values stay out of the log, also of one that fails or takes long.
        log_parameter_max_length: '0',
        log_parameter_max_length_on_error: '0',
        log_min_duration_statement: '1000',
        log_lock_waits: '1',
      },
    });
    if (!props.deletionProtection) {
      Validations.of(cluster).acknowledge({
        id: 'AwsSolutions-RDS10',
        reason: 'Whoever deploys it wants to be rid of it again, and is warned of what that means.',
      });
    }
    Validations.of(cluster).acknowledge({
      id: 'AwsSolutions-RDS11',
      reason: 'Another port hides nothing from whoever is in the network, and RDS Proxy has the usual one in any case.',
    });
    return cluster;
  }
}

/** A name of its own in the account and Region, the same as long as the construct keeps its place. */
const proxyName = (construct: Construct): string =>
  `${Stack.of(construct).stackName.slice(0, 40).replace(/-+$/, '')}-${construct.node.addr.slice(-8)}`.toLowerCase();

/** A cluster of {@link AuroraPostgresql}, in this stack or in another. */
export const auroraPostgresqlConnection = (
  scope: Construct,
  settings: DatabaseServer,
  facts: AuroraPostgresqlFacts,
  network: Network,
): StoreConnection => ({
  facts,
  network,
  watched: (limits) => watchedProxy(facts.proxyName)(limits),
  settingsFor: (use) => ({
    host: facts.host,
    port: PORT,
    database: facts.databaseName,
    user: userFor(use),
    password: { iam: true },
    tls: true,
    pool: onePerFunction(settings),
  }),
  grant(grantee, use) {
    Grant.addToPrincipal({
      grantee,
      actions: ['rds-db:connect'],
      resourceArns: databaseUserArns(scope, facts.proxyId, [userFor(use)]),
    });
  },
});
