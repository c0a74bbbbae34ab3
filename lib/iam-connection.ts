import { Grant } from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import { usualPorts } from '../functions/config/engines.ts';
import type { Watched } from './alarms.ts';
import type { ConnectionFacts, Network, StoreConnection } from './connection.ts';
import { type DatabaseServer, databaseUserArns, onePerFunction, userFor } from './database-server.ts';

/** A database that the deployment created, by whatever functions reach it. */
export interface IamServer<Facts extends ConnectionFacts> {
  readonly facts: Facts & { readonly host: string; readonly databaseName: string };
  /** The id by which IAM knows the server, cluster or proxy. */
  readonly resourceId: string;
  readonly watched: Watched;
}

/** Functions log in to it with a token of IAM, over TLS, each as the user whose privileges it needs. */
export const iamConnection = <Facts extends ConnectionFacts>(
  scope: Construct,
  settings: DatabaseServer,
  { facts, resourceId, watched }: IamServer<Facts>,
  network: Network,
): StoreConnection => ({
  facts,
  network,
  watched,
  settingsFor: (use) => ({
    host: facts.host,
    port: usualPorts[settings.engine],
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
      resourceArns: databaseUserArns(scope, resourceId, [userFor(use)]),
    });
  },
});
