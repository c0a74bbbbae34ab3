import { ArnFormat, Duration, Stack } from 'aws-cdk-lib';
import { Port } from 'aws-cdk-lib/aws-ec2';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { DatabaseProxy, DefaultAuthScheme, type ProxyTarget } from 'aws-cdk-lib/aws-rds';
import type { Construct } from 'constructs';
import { databaseUsers } from '../functions/config/database-users.ts';
import { databaseUserArns } from './database-server.ts';
import type { PrivateNetwork } from './network.ts';

/** RDS Proxy listens on the engine’s usual port, and nowhere else. */
const PORT = 5432;

export interface ProxiedServer {
  readonly network: PrivateNetwork;
  readonly target: ProxyTarget;
  /** The id by which IAM knows the server. */
  readonly resourceId: string;
  /** What it is, in the description of a security group. */
  readonly description: string;
}

export const proxyFacts = ['proxyId', 'proxyName'] as const;

/**
 * RDS Proxy in front of a server of PostgreSQL, below `scope`: lets functions in over TLS with a token of IAM, and logs in to the
 * server by IAM too, as one of four users.
 */
export function databaseProxy(
  scope: Construct,
  { network, target, resourceId, description }: ProxiedServer,
): { readonly proxy: DatabaseProxy; readonly facts: Record<'host' | (typeof proxyFacts)[number], string> } {
  const proxies = network.securityGroup('ProxyGroup', `RDS Proxy in front of the ${description}`, scope);
  network.clients.connections.allowTo(proxies, Port.tcp(PORT), 'PostgreSQL, by way of RDS Proxy');
  const role = new Role(scope, 'ProxyRole', { assumedBy: new ServicePrincipal('rds.amazonaws.com') });
  role.addToPolicy(
    new PolicyStatement({
      actions: ['rds-db:connect'],
      resources: databaseUserArns(scope, resourceId, databaseUsers),
    }),
  );
  const proxy = new DatabaseProxy(scope, 'Proxy', {
    dbProxyName: proxyName(scope),
    proxyTarget: target,
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
  proxy.node.addDependency(role);
  return {
    proxy,
    facts: {
      host: proxy.endpoint,
      proxyId: Stack.of(scope).splitArn(proxy.dbProxyArn, ArnFormat.COLON_RESOURCE_NAME).resourceName ?? '',
      proxyName: proxy.dbProxyName,
    },
  };
}

/** A name of its own in the account and Region, the same as long as the construct keeps its place. */
const proxyName = (construct: Construct): string =>
  `${Stack.of(construct).stackName.slice(0, 40).replace(/-+$/, '')}-${construct.node.addr.slice(-8)}`.toLowerCase();
