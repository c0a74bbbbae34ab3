import { ArnFormat, Duration, Stack, Token, Validations } from 'aws-cdk-lib';
import { Metric } from 'aws-cdk-lib/aws-cloudwatch';
import { Port, SecurityGroup } from 'aws-cdk-lib/aws-ec2';
import { Grant, type Role } from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import type { Configuration } from '../functions/config/configuration.ts';
import type { DatabaseUser } from '../functions/config/database-users.ts';
import { iamDatabaseEngines, usualPorts } from '../functions/config/engines.ts';
import { type Fault, pathText, when } from '../functions/config/faults.ts';
import { isObject } from '../functions/config/fields.ts';
import { isLocal, parsedUrl } from '../functions/config/location.ts';
import type { UsedConnection } from '../functions/config/places.ts';
import type { Warning } from '../functions/config/warnings.ts';
import type { Watch, Watched } from './alarms.ts';
import type { ConnectionUse, Network, StoreConnection } from './connection.ts';
import type { EngineDeployment, Engineer } from './engine-deployment.ts';
import type { PrivateNetwork } from './network.ts';

// What is the same for database servers of all engines: which settings a deployment can do with, the users of the schema,
// and a server that is there.

export type DatabaseServer = Exclude<Configuration['databases'][string], { embedded: true }>;

/** A server that the deployment creates. */
export interface CreatedServer<Fact extends string = string>
  extends Pick<EngineDeployment<Fact>, 'facts' | 'service' | 'create' | 'connect'> {
  /** What is wrong with what was said of it. */
  readonly faults?: readonly Fault[];
}

/** What an engine adds to it. */
export interface ServerEngine<Options, Fact extends string = string> {
  /** Its name, as people write it. */
  readonly title: string;
  created(settings: DatabaseServer, options: Options, path: readonly unknown[]): CreatedServer<Fact>;
  /** What functions need beside their bundle, and what is missing for it. Absent: nothing. */
  client?(options: Options): { readonly faults: readonly Fault[] } & Pick<StoreConnection, 'equip'>;
}

/** How the servers of an engine are deployed: created as it says, or reached where they are. */
export const databaseServer =
  <Options, Fact extends string = string>(
    engine: ServerEngine<Options, Fact>,
  ): Engineer<DatabaseServer, Options, Fact> =>
  (used, deployment) => {
    const { settings } = used;
    const { title, created } = engine;
    const { faults: missing = [], ...client } = engine.client?.(deployment) ?? {};
    const server = isCreated(settings) ? created(settings, deployment, [used.section, used.name]) : undefined;
    const { faults: refused = [], ...create } = server ?? {};
    const isInNetwork = server !== undefined || settings.securityGroup !== undefined;
    return {
      isInNetwork,
      faults: () => [...faults(used, deployment.hasVpc), ...missing, ...refused],
      warnings: () => warnings(used),
      ...('facts' in create
        ? create
        : {
            facts: [],
            allow: (scope: Construct, id: string, network: PrivateNetwork) =>
              allowImportedServer(scope, id, settings, network, title),
            connect: (scope: Construct, _: object, network: Network) => ({
              ...importedServerConnection(scope, settings, isInNetwork ? network : undefined),
              ...client,
            }),
          }),
    };
  };

/** That of two ways to create a server one is chosen, by the names of what is said of each. */
export function auroraOrInstance(options: Readonly<Record<string, object | undefined>>): Fault[] {
  const [aurora = '', instance = ''] = Object.keys(options);
  return when(options[aurora], [aurora], 'an object', `nothing beside ${instance}: a server is one or the other`);
}

const isCreated = ({ url, host }: DatabaseServer): boolean => url === undefined && host === undefined;

/** The user whose privileges a function with this use needs. */
export function userFor({ tokens, artifacts }: ConnectionUse): DatabaseUser {
  const accesses = [tokens, artifacts].filter((access) => access !== undefined);
  if (accesses.every((access) => access === 'purge')) return 'oauth_purger';
  if (tokens === 'write' || accesses.includes('purge')) return 'oauth_writer';
  return artifacts === undefined ? 'oauth_reader' : 'oauth_checker';
}

/**
 * The users of a server or proxy as IAM knows them
 * (https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/UsingWithRDS.IAMDBAuth.IAMPolicy.html).
 */
export const databaseUserArns = (scope: Construct, resourceId: string, names: readonly string[]): string[] =>
  names.map((name) =>
    Stack.of(scope).formatArn({
      service: 'rds-db',
      resource: 'dbuser',
      resourceName: `${resourceId}/${name}`,
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    }),
  );

/**
 * A proxy makes callers wait when it has no connection left, however many it has: its time to lend one needs no limit to
 * compare with. https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/rds-proxy.monitoring.html (microseconds)
 */
export const watchedProxy =
  (ProxyName: string): Watched =>
  ({ borrowMs }) => [watchedConnections('DatabaseConnectionsBorrowLatency', { ProxyName }, 'Average', borrowMs * 1000)];

/** `mostConnections`: how many the cluster takes, `max_connections`; the alarm goes off at four fifths of them. */
export const watchedCluster =
  (DBClusterIdentifier: string, mostConnections: number): Watched =>
  () => [
    watchedConnections('DatabaseConnections', { DBClusterIdentifier }, 'Maximum', Math.floor(mostConnections * 0.8)),
  ];

/** The same of an instance, whose storage can run short too. */
export const watchedInstance =
  (DBInstanceIdentifier: string, mostConnections: number): Watched =>
  ({ freeStorageGigabytes }) => [
    watchedConnections('DatabaseConnections', { DBInstanceIdentifier }, 'Maximum', Math.floor(mostConnections * 0.8)),
    {
      alarm: 'database-storage',
      metric: rdsMetric('FreeStorageSpace', { DBInstanceIdentifier }, 'Minimum'),
      condition: { atMost: freeStorageGigabytes * 2 ** 30, periods: [5, 5] },
    },
  ];

/** The function that replaces the passwords of a database: for as long as it fails, the former ones hold. */
export const watchedRotation =
  (FunctionName: string): Watched =>
  () => [
    {
      alarm: 'password-rotation',
      metric: new Metric({
        namespace: 'AWS/Lambda',
        metricName: 'Errors',
        dimensionsMap: { FunctionName },
        statistic: 'Sum',
        period: Duration.hours(1),
      }),
      condition: { atLeast: 1 },
    },
  ];

const rdsMetric = (metricName: string, dimensionsMap: Record<string, string>, statistic: string) =>
  new Metric({ namespace: 'AWS/RDS', metricName, dimensionsMap, statistic, period: Duration.minutes(1) });

const watchedConnections = (
  metricName: string,
  dimensionsMap: Record<string, string>,
  statistic: string,
  atLeast: number,
): Watch => ({
  alarm: 'database-connections',
  metric: rdsMetric(metricName, dimensionsMap, statistic),
  condition: { atLeast, periods: [5, 5] },
});

/** One connection of a function is enough: it serves one event at a time. */
export const onePerFunction = ({ pool }: Pick<DatabaseServer, 'pool'>): DatabaseServer['pool'] => ({
  ...pool,
  initialSize: Math.min(pool.initialSize, 1),
  minIdle: Math.min(pool.minIdle, 1),
  maxActive: 1,
});

/** A server that is there, as its configuration says; `network` where functions reach it by its security group. */
function importedServerConnection(scope: Construct, settings: DatabaseServer, network?: Network): StoreConnection {
  const { password, url } = settings;
  const user = settings.user ?? decodeURIComponent(parsedUrl(url)?.username ?? '');
  return {
    facts: {},
    ...(network && { network }),
    settingsFor: () => ({ tls: true, pool: onePerFunction(settings) }),
    grant(grantee) {
      if (typeof password !== 'object') return;
      if ('secretArn' in password) {
        Grant.addToPrincipal({
          grantee,
          actions: ['secretsmanager:GetSecretValue'],
          resourceArns: [password.secretArn],
        });
      }
      if ('iam' in password) {
        // The id by which IAM knows the server is not in its address; the user is what bounds the permission.
        const resourceArns = databaseUserArns(scope, '*', [user]);
        Grant.addToPrincipal({ grantee, actions: ['rds-db:connect'], resourceArns });
        const { partition, region, account } = Stack.of(scope);
        const shown = (value: string, pseudo: string) => (Token.isUnresolved(value) ? `<AWS::${pseudo}>` : value);
        const place = [shown(partition, 'Partition'), 'rds-db', shown(region, 'Region'), shown(account, 'AccountId')];
        Validations.of(grantee.grantPrincipal as Role).acknowledge({
          id: `AwsSolutions-IAM5[Resource::arn:${place.join(':')}:dbuser:*/${user}]`,
          reason: 'The id of an imported server is not known; only its user of this name can be connected as.',
        });
      }
    },
  };
}

/** Lets the functions of the network connect to an imported server. */
function allowImportedServer(
  scope: Construct,
  id: string,
  { engine, securityGroup, port, url }: DatabaseServer,
  network: PrivateNetwork,
  title: string,
): void {
  if (securityGroup === undefined) return;
  const servers = SecurityGroup.fromSecurityGroupId(scope, id, securityGroup);
  const listens = Port.tcp(Number(parsedUrl(url)?.port || port || usualPorts[engine]));
  network.clients.connections.allowTo(servers, listens, title);
}

function faults({ section, name, settings }: UsedConnection<DatabaseServer>, hasVpc: boolean | undefined): Fault[] {
  const path = [section, name];
  const { engine, password, tls, securityGroup } = settings;
  const withIam = iamDatabaseEngines.includes(engine);
  const sent = [
    ...when(
      tls === false,
      [...path, 'tls'],
      'false',
      `true, or nothing: its functions send ${withIam ? 'tokens of IAM or a password' : 'a password'}`,
    ),
    ...when(
      typeof tls === 'object',
      [...path, 'tls'],
      'files of this machine',
      'true, or nothing: functions trust the authorities of Amazon RDS and the public ones',
    ),
  ];
  if (isCreated(settings)) {
    const login = withIam ? 'IAM' : 'passwords of its own';
    const created = `nothing: the deployment creates this database, with ${login}; or host, of a database that is there`;
    const isItsOwn = withIam && typeof password === 'object' && 'iam' in password;
    return [
      ...sent,
      ...when(password !== undefined && !isItsOwn, [...path, 'password'], 'a password', created),
      ...when(securityGroup !== undefined, [...path, 'securityGroup'], 'a security group', created),
    ];
  }
  const url = parsedUrl(settings.url);
  if (isLocal(settings)) {
    const setting = settings.url === undefined ? 'host' : 'url';
    const accepted = 'a server that functions can reach, or nothing: then the deployment creates one';
    return when(true, [...path, setting], 'this machine', accepted);
  }
  return [
    ...sent,
    ...loginFaults(path, { password, user: settings.user ?? url?.username }, withIam),
    ...when(
      settings.database === undefined && (url === undefined || url.pathname.length < 2),
      [...path, 'database'],
      'nothing',
      'the name of the database on the server',
    ),
    ...vpcFaults(path, securityGroup, hasVpc),
  ];
}

/** What functions need to log in to a server that is there. */
export function loginFaults(
  path: readonly unknown[],
  { user, password }: { readonly user: unknown; readonly password: unknown },
  withIam: boolean,
): Fault[] {
  const from = `${withIam ? '{"iam": true} or ' : ''}{"secretArn": "arn:aws:secretsmanager:…"}`;
  return [
    ...when(!user, [...path, 'user'], 'nothing', 'the user to connect as'),
    ...when(password === undefined, [...path, 'password'], 'nothing', from),
    ...when(
      isObject(password) && 'env' in password,
      [...path, 'password'],
      'a variable of this machine’s environment',
      from,
    ),
  ];
}

/** A security group of a server that is there belongs to a VPC that is there. */
export const vpcFaults = (
  path: readonly unknown[],
  securityGroup: string | undefined,
  hasVpc: boolean | undefined,
): Fault[] =>
  when(
    securityGroup !== undefined && hasVpc === false,
    ['network', 'vpc'],
    'nothing',
    `the VPC of ${pathText([...path, 'securityGroup'])}`,
  );

function warnings({ section, name, settings }: UsedConnection<DatabaseServer>): Warning[] {
  if (isCreated(settings) || settings.securityGroup !== undefined) return [];
  return [
    {
      path: pathText([section, name]),
      text: 'functions reach it over the internet, if at all; give its securityGroup, and its VPC beside the configuration (network.vpc)',
    },
  ];
}
