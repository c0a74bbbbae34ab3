import { Validations } from 'aws-cdk-lib';
import { Port, SecurityGroup } from 'aws-cdk-lib/aws-ec2';
import { Grant, type IGrantable, type Role } from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import type { Configuration } from '../functions/config/configuration.ts';
import { type Fault, pathText, when } from '../functions/config/faults.ts';
import { isLocal } from '../functions/config/location.ts';
import type { UsedConnection } from '../functions/config/places.ts';
import type { Warning } from '../functions/config/warnings.ts';
import type { Network, StoreConnection } from './connection.ts';
import { loginFaults, vpcFaults } from './database-server.ts';
import type { Engineer } from './engine-deployment.ts';
import { KeyspaceSchema } from './keyspace-schema.ts';
import type { PrivateNetwork } from './network.ts';
import type { SchemaApplication } from './schema.ts';
import { permitNetwork } from './store-function.ts';

// How the engine `cassandra` is deployed: a cluster that somebody else runs, with a keyspace that the deployment makes.

export type CassandraCluster = Extract<Configuration['cassandra'][string], { engine: 'cassandra' }>;

export interface CassandraOptions {
  /** Of the keyspaces in clusters of Apache Cassandra. */
  readonly cassandra?: {
    /** Who makes keyspace and tables. Default: automatic. */
    readonly schema?: SchemaApplication;
    /** Who may make them, where the user of the functions may not: a user, and the secret with its password. */
    readonly schemaLogin?: { readonly user: string; readonly secretArn: string };
  };
}

const PORT = 9042;

export const cassandra: Engineer<CassandraCluster, CassandraOptions, never> = (
  used,
  { cassandra: options = {}, hasVpc },
) => {
  const { settings } = used;
  const { schema = 'automatic', schemaLogin } = options;
  const isInNetwork = settings.securityGroup !== undefined;
  const login = schemaLogin && { user: schemaLogin.user, password: { secretArn: schemaLogin.secretArn } };
  const asMaker = { ...settings, ...login };
  return {
    isInNetwork,
    faults: () => faults(used, hasVpc),
    warnings: () => warnings(used),
    facts: [],
    create(scope, id, { network }) {
      const place = new Construct(scope, `${id} schema`);
      const own = isInNetwork ? networkOf(place, settings, network()) : undefined;
      const { handler } = new KeyspaceSchema(place, 'Schema', {
        handlerName: 'apply-cassandra-schema',
        engines: ['cassandra'],
        application: schema,
        properties: { cluster: JSON.stringify(asMaker) },
        ...(own && { network: own.network, after: own.after }),
      });
      grantSecrets(handler, asMaker);
      if (own) permitOwnNetwork(handler.role as Role);
      return {};
    },
    allow: (scope, id, network) => allowCluster(scope, id, settings, network.clients),
    connect: (_scope, _facts, network) => clusterConnection(settings, isInNetwork ? network : undefined),
  };
};

/** Where the function runs that makes the tables: it may speak to the cluster and to AWS Secrets Manager, and nothing else. */
function networkOf(scope: Construct, settings: CassandraCluster, network: PrivateNetwork) {
  const group = network.securityGroup('SchemaGroup', 'The function that applies the schema', scope);
  allowCluster(scope, 'Cluster', settings, group);
  const after = settings.password === undefined ? [] : network.allowSecrets(group);
  const { vpc, subnets } = network;
  return { network: { vpc, vpcSubnets: { subnets: [...subnets] }, securityGroups: [group] }, after: [group, ...after] };
}

function permitOwnNetwork(role: Role): void {
  permitNetwork(role);
  Validations.of(role).acknowledge({
    id: 'AwsSolutions-IAM5[Resource::*]',
    reason:
      'Network interfaces cannot be named before they are there; the function’s own code may not use these actions.',
  });
}

/** Lets a group speak to the nodes, on every port that one of them has. */
function allowCluster(scope: Construct, id: string, settings: CassandraCluster, group: SecurityGroup): void {
  const { securityGroup, hosts } = settings;
  if (securityGroup === undefined) return;
  const nodes = SecurityGroup.fromSecurityGroupId(scope, id, securityGroup);
  for (const port of new Set(hosts.map(portOf))) group.connections.allowTo(nodes, Port.tcp(port), 'Cassandra');
}

const portOf = (host: string): number => Number(/:(\d+)$/.exec(host)?.[1] ?? PORT);

/** What functions log in with: a password, the key of a certificate. */
function grantSecrets(grantee: IGrantable, { password, tls }: CassandraCluster): void {
  const key = typeof tls === 'object' ? tls.clientKey : undefined;
  const resourceArns = [password, key].flatMap((each) =>
    typeof each === 'object' && 'secretArn' in each ? [each.secretArn] : [],
  );
  if (resourceArns.length > 0) {
    Grant.addToPrincipal({ grantee, actions: ['secretsmanager:GetSecretValue'], resourceArns });
  }
}

/** What each function may do the cluster itself knows, by the privileges of its one user. */
const clusterConnection = (settings: CassandraCluster, network?: Network): StoreConnection => ({
  facts: {},
  ...(network && { network }),
  settingsFor: () => ({}),
  grant: (grantee) => grantSecrets(grantee, settings),
});

function faults({ section, name, settings }: UsedConnection<CassandraCluster>, hasVpc: boolean | undefined): Fault[] {
  const path = [section, name];
  const { hosts, user, password, tls, securityGroup } = settings;
  if (isLocal({ hosts })) {
    return when(true, [...path, 'hosts'], 'this machine', 'nodes that functions can reach, each host:port');
  }
  return [
    ...when(
      tls === false,
      [...path, 'tls'],
      'false',
      'true, or nothing: what goes to the cluster can be read on the way',
    ),
    ...when(
      typeof tls === 'object' && typeof tls.clientKey === 'string',
      [...path, 'tls', 'clientKey'],
      'a file of this machine, which would be copied to where functions are deployed from',
      '{"secretArn": "arn:aws:secretsmanager:…"}',
    ),
    ...(user === undefined && password === undefined ? [] : loginFaults(path, { user, password }, false)),
    ...vpcFaults(path, securityGroup, hasVpc),
  ];
}

function warnings({ section, name, settings }: UsedConnection<CassandraCluster>): Warning[] {
  const { securityGroup, user, tls } = settings;
  const path = pathText([section, name]);
  const withoutLogin = user === undefined && !(typeof tls === 'object' && tls.clientCertificate !== undefined);
  return [
    ...(securityGroup === undefined
      ? [
          {
            path,
            text: 'functions reach it over the internet, if at all; give its securityGroup, and its VPC beside the configuration (network.vpc)',
          },
        ]
      : []),
    ...(withoutLogin
      ? [{ path, text: 'nobody logs in: whoever reaches a node reads and ends every grant; give user and password' }]
      : []),
  ];
}
