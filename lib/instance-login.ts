import { Duration } from 'aws-cdk-lib';
import { Port } from 'aws-cdk-lib/aws-ec2';
import { Grant } from 'aws-cdk-lib/aws-iam';
import { ProxyTarget } from 'aws-cdk-lib/aws-rds';
import { databaseProxy, proxyFacts } from './database-proxy.ts';
import { onePerFunction, userFor, watchedProxy, watchedRotation } from './database-server.ts';
import { iamConnection } from './iam-connection.ts';
import { PASSWORD_DAYS, type PasswordOptions } from './instance-options.ts';
import type { InstanceLogin } from './rds-instance.ts';
import { secretFact, UserSecrets, userSecretFacts } from './user-secrets.ts';

// How functions log in to an instance of Amazon RDS.

/** By IAM, straight to the instance. */
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

/** By IAM, by way of RDS Proxy, which lends connections to the instance. */
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

/**
 * With a password that AWS Secrets Manager has replaced again and again; for a user who does not own the tables, of whoever does
 * where the engine must be told.
 */
export const passwordLogin = (
  { passwordDays = PASSWORD_DAYS }: PasswordOptions,
  { schema }: { readonly schema?: string } = {},
): InstanceLogin => ({
  isIam: false,
  service: 'secretsmanager',
  facts: userSecretFacts,
  prepare(scope, { engine: { engine, title, port, equip }, securityGroup, network, schema: after, ...made }) {
    network.clients.connections.allowTo(securityGroup, Port.tcp(port), title);
    return new UserSecrets(scope, 'Users', {
      ...made,
      ...(equip && { equip }),
      engine,
      title,
      port,
      network,
      securityGroup,
      rotateAfter: Duration.days(passwordDays),
      after,
    }).facts;
  },
  connect: (_, settings, { facts, port, network, watched }) => ({
    facts,
    network,
    watched: (limits) => [...watched(limits), ...watchedRotation(facts.rotationFunction ?? '')(limits)],
    settingsFor: (use) => ({
      host: facts.host,
      port,
      database: facts.databaseName,
      ...(schema !== undefined && { schema }),
      user: userFor(use),
      password: { secretArn: facts[secretFact(userFor(use))] },
      tls: true,
      pool: onePerFunction(settings),
    }),
    grant(grantee, use) {
      Grant.addToPrincipal({
        grantee,
        actions: ['secretsmanager:GetSecretValue'],
        resourceArns: [facts[secretFact(userFor(use))] ?? ''],
      });
    },
  }),
});
