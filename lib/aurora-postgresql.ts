import { ArnFormat, Duration, Stack, Validations } from 'aws-cdk-lib';
import { Port } from 'aws-cdk-lib/aws-ec2';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import {
  AuroraPostgresEngineVersion,
  type DatabaseCluster,
  DatabaseClusterEngine,
  DatabaseProxy,
  DefaultAuthScheme,
  ProxyTarget,
} from 'aws-cdk-lib/aws-rds';
import { Construct } from 'constructs';
import { type AuroraProps, auroraCluster } from './aurora-cluster.ts';
import type { Network, StoreConnection } from './connection.ts';
import { type DatabaseServer, databaseUserArns, databaseUsers, watchedProxy } from './database-server.ts';
import { iamConnection } from './iam-connection.ts';

export interface AuroraPostgresqlProps extends AuroraProps {
  /** Default: 17.9, and its later patches. */
  readonly version?: AuroraPostgresEngineVersion;
}

/** RDS Proxy listens on the engine’s usual port, and nowhere else. */
const PORT = 5432;

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
    const { network, databaseName = 'oauth', version = AuroraPostgresEngineVersion.VER_17_9 } = props;
    const proxies = network.securityGroup('ProxyGroup', 'RDS Proxy in front of the Aurora cluster', this);
    network.clients.connections.allowTo(proxies, Port.tcp(PORT), 'PostgreSQL, by way of RDS Proxy');
    const { cluster } = auroraCluster(this, props, {
      engine: 'postgresql',
      title: 'PostgreSQL',
      clusterEngine: DatabaseClusterEngine.auroraPostgres({ version }),
      logs: ['postgresql', 'iam-db-auth-error'],
      parameters: {
        'rds.force_ssl': '1',
        // A statement’s values stay out of the log, also of one that fails or takes long.
        log_parameter_max_length: '0',
        log_parameter_max_length_on_error: '0',
        log_min_duration_statement: '1000',
        log_lock_waits: '1',
      },
    });
    this.cluster = cluster;
    Validations.of(cluster).acknowledge({
      id: 'AwsSolutions-RDS11',
      reason: 'Another port hides nothing from whoever is in the network, and RDS Proxy has the usual one in any case.',
    });
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
    this.facts = {
      host: this.proxy.endpoint,
      databaseName,
      proxyId: Stack.of(this).splitArn(this.proxy.dbProxyArn, ArnFormat.COLON_RESOURCE_NAME).resourceName ?? '',
      proxyName: this.proxy.dbProxyName,
    };
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
): StoreConnection =>
  iamConnection(
    scope,
    settings,
    { facts, resourceId: facts.proxyId, watched: (limits) => watchedProxy(facts.proxyName)(limits) },
    network,
  );
