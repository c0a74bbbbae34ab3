import { Port } from 'aws-cdk-lib/aws-ec2';
import { ProxyTarget } from 'aws-cdk-lib/aws-rds';
import { databaseProxy, proxyFacts } from './database-proxy.ts';
import { watchedProxy } from './database-server.ts';
import { iamConnection } from './iam-connection.ts';
import type { InstanceLogin } from './rds-instance.ts';

// How functions log in to an instance of Amazon RDS by IAM.

/** With a token, straight to the instance. */
export const iamLogin: InstanceLogin = {
  isIam: true,
  facts: ['instanceResourceId'],
  prepare(_, { instanceResourceId, securityGroup, network, engine: { port, title } }) {
    network.clients.connections.allowTo(securityGroup, Port.tcp(port), title);
    return { instanceResourceId };
  },
  connect: (scope, settings, { facts, network, watched }) =>
    iamConnection(scope, settings, { facts, resourceId: facts.instanceResourceId ?? '', watched }, network),
};

/** With a token, by way of RDS Proxy, which lends connections to the instance. */
export const proxyLogin: InstanceLogin = {
  isIam: true,
  facts: proxyFacts,
  prepare(scope, { instance, instanceResourceId, network, engine: { title } }) {
    const target = ProxyTarget.fromInstance(instance);
    const description = `instance of ${title}`;
    return databaseProxy(scope, { network, target, resourceId: instanceResourceId, description }).facts;
  },
  connect(scope, settings, { facts, network, watched }) {
    // The proxy makes callers wait before the instance runs out of connections.
    const storage = (limits: Parameters<typeof watched>[0]) =>
      watched(limits).filter(({ alarm }) => alarm !== 'database-connections');
    return iamConnection(
      scope,
      settings,
      {
        facts,
        resourceId: facts.proxyId ?? '',
        watched: (limits) => [...watchedProxy(facts.proxyName ?? '')(limits), ...storage(limits)],
      },
      network,
    );
  },
};
