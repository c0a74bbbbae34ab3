import { Port, SecurityGroup } from 'aws-cdk-lib/aws-ec2';
import { Grant } from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import type { Network, StoreConnection } from './connection.ts';
import { grantConnect } from './elasticache-valkey.ts';
import type { PrivateNetwork } from './network.ts';
import type { ValkeyCache } from './valkey.ts';

const PORT = 6379;

/** A cache that is there, as its configuration says; `network` where functions reach it by its security group. */
export function importedValkeyConnection(
  scope: Construct,
  { user = '', password, cacheName = '', serverless }: ValkeyCache,
  network?: Network,
): StoreConnection {
  return {
    facts: {},
    ...(network && { network }),
    settingsFor: () => ({ tls: true }),
    grant(grantee) {
      if (typeof password !== 'object') return;
      if ('secretArn' in password) {
        const resourceArns = [password.secretArn];
        Grant.addToPrincipal({ grantee, actions: ['secretsmanager:GetSecretValue'], resourceArns });
      }
      if ('iam' in password) grantConnect(scope, grantee, { cacheName, serverless, user });
    },
  };
}

/** Lets the functions of the network connect to a cache that is there. ElastiCache Serverless listens on two ports. */
export function allowImportedValkey(
  scope: Construct,
  id: string,
  { securityGroup, hosts = [], serverless }: ValkeyCache,
  network: PrivateNetwork,
): void {
  if (securityGroup === undefined) return;
  const servers = SecurityGroup.fromSecurityGroupId(scope, id, securityGroup);
  const ports = new Set(hosts.map((host) => Number(/:(\d+)$/.exec(host)?.[1] ?? PORT)));
  for (const port of ports) {
    const listens = serverless ? Port.tcpRange(port, port + 1) : Port.tcp(port);
    network.clients.connections.allowTo(servers, listens, 'Valkey');
  }
}
