import { Validations } from 'aws-cdk-lib';
import {
  AuroraPostgresEngineVersion,
  type DatabaseCluster,
  DatabaseClusterEngine,
  type DatabaseProxy,
  ProxyTarget,
} from 'aws-cdk-lib/aws-rds';
import { Construct } from 'constructs';
import { type AuroraProps, auroraCluster } from './aurora-cluster.ts';
import type { Network, StoreConnection } from './connection.ts';
import { databaseProxy, proxyFacts } from './database-proxy.ts';
import { type DatabaseServer, watchedProxy } from './database-server.ts';
import { iamConnection } from './iam-connection.ts';

export interface AuroraPostgresqlProps extends AuroraProps {
  /** Default: 17.9, and its later patches. */
  readonly version?: AuroraPostgresEngineVersion;
}

/** What a function needs to know of a cluster, as text that can cross stacks. */
export const auroraPostgresqlFacts = ['host', 'databaseName', ...proxyFacts] as const;
export type AuroraPostgresqlFacts = Readonly<Record<(typeof auroraPostgresqlFacts)[number], string>>;

/** What goes to the log of a PostgreSQL and what does not, and that it is spoken to over TLS alone. */
export const postgresqlParameters = {
  'rds.force_ssl': '1',
  // A statement’s values stay out of the log, also of one that fails or takes long.
  log_parameter_max_length: '0',
  log_parameter_max_length_on_error: '0',
  log_min_duration_statement: '1000',
  log_lock_waits: '1',
} as const;

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
    const { cluster } = auroraCluster(this, props, {
      engine: 'postgresql',
      title: 'PostgreSQL',
      clusterEngine: DatabaseClusterEngine.auroraPostgres({ version }),
      logs: ['postgresql', 'iam-db-auth-error'],
      parameters: postgresqlParameters,
    });
    this.cluster = cluster;
    Validations.of(cluster).acknowledge({
      id: 'AwsSolutions-RDS11',
      reason: 'Another port hides nothing from whoever is in the network, and RDS Proxy has the usual one in any case.',
    });
    const { proxy, facts } = databaseProxy(this, {
      network,
      target: ProxyTarget.fromCluster(cluster),
      resourceId: cluster.clusterResourceIdentifier,
      description: 'Aurora cluster',
    });
    this.proxy = proxy;
    this.facts = { databaseName, ...facts };
  }
}

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
