import type { Configuration, StoreSettings } from '../functions/config/configuration.ts';
import { type Engine, type EngineKind, engineKinds } from '../functions/config/engines.ts';
import { ConfigurationError, type Fault, kindOf, pathText } from '../functions/config/faults.ts';
import { either } from '../functions/config/fields.ts';
import { type FunctionName, functionNames, type StoreKind, useOf } from '../functions/config/functions.ts';
import { isLocal, parsedUrl } from '../functions/config/location.ts';
import { placeOf } from '../functions/config/places.ts';
import { connectionSections, storeSections } from '../functions/config/rules.ts';
import type { Warning } from '../functions/config/warnings.ts';
import type { Replicas } from './dynamodb-table.ts';
import type { KeyGenerations } from './keyring.ts';

// What a deployment demands of a configuration beyond what holds for every use of it, and of the settings beside it.

/** What is said of a deployment beside its configuration. */
export interface DeploymentSettings {
  readonly name: string;
  readonly keys?: KeyGenerations;
  /** Whether databases are put into a VPC that is there; not known where they are only looked up. */
  readonly hasVpc?: boolean;
  readonly replicas?: Replicas;
}

type DynamodbCache = Extract<Configuration['caches'][string], { engine: 'dynamodb' }>;
type Database = Configuration['databases'][string];
export type DatabaseServer = Exclude<Database, { embedded: true }>;

interface Connection<Section, Settings> {
  readonly section: Section;
  readonly name: string;
  readonly settings: Settings;
  /** The kinds of the stores that refer to it. */
  readonly kinds: readonly StoreKind[];
}

/** A cache or database that stores refer to, and that can be deployed. */
export type DeployableConnection = UsedTable | UsedDatabase;
export type UsedTable = Connection<'caches', DynamodbCache>;
export type UsedDatabase = Connection<'databases', DatabaseServer>;

type UsedConnection = {
  [Section in (typeof connectionSections)[EngineKind]]: Connection<Section, Configuration[Section][string]>;
}[(typeof connectionSections)[EngineKind]];

/** The connections that stores refer to: what a deployment creates or reaches. */
function usedConnections(configuration: Configuration): UsedConnection[] {
  const kindsOf = (place: EngineKind, name: string) =>
    storeSections.filter((section) =>
      Object.values<StoreSettings>(configuration[section]).some((store) => placeOf(store) === `${place} ${name}`),
    );
  return engineKinds.flatMap((place) => {
    const section = connectionSections[place];
    return Object.entries<unknown>(configuration[section]).flatMap(([name, settings]) => {
      const kinds = kindsOf(place, name);
      return kinds.length > 0 ? [{ section, name, settings, kinds } as UsedConnection] : [];
    });
  });
}

/** Whether the deployment creates it; else it is there. */
export const isCreated = ({ section, settings }: DeployableConnection): boolean =>
  section === 'caches' ? settings.tableName === undefined : isCreatedServer(settings);

const isCreatedServer = ({ url, host }: DatabaseServer): boolean => url === undefined && host === undefined;

/** Whether functions reach it from within a VPC only. */
export const isInNetwork = (connection: DeployableConnection): boolean =>
  connection.section === 'databases' && (isCreated(connection) || connection.settings.securityGroup !== undefined);

/** The engines that can be deployed, by the section in which they stand. */
const deployable: Record<UsedConnection['section'], readonly Engine[]> = {
  caches: ['dynamodb'],
  databases: ['postgresql'],
  cassandra: [],
};

/** Two while a key is being replaced; wrapped, they share the environment of a function with everything else. */
const MOST_GENERATIONS = 4;
const LAST_GENERATION = 63;

/**
 * The connections of a configuration that can be deployed with these settings.
 *
 * @throws {ConfigurationError} what cannot work once it is deployed, all faults at once
 */
export function deployableConnections(
  configuration: Configuration,
  settings: DeploymentSettings,
): readonly DeployableConnection[] {
  const used = usedConnections(configuration);
  const faults = [
    ...nameFaults(settings),
    ...keyFaults(settings),
    ...storeFaults(configuration),
    ...used.flatMap((connection) => connectionFaults(connection, settings)),
    ...exampleFaults(configuration),
  ];
  if (faults.length > 0) throw new ConfigurationError(faults);
  return used as DeployableConnection[];
}

const nameFaults = ({ name }: DeploymentSettings): Fault[] =>
  when(
    !/^(?!aws|ssm)[A-Za-z][A-Za-z0-9-]{0,59}$/i.test(name),
    ['name'],
    kindOf(name),
    'a letter and up to 59 letters, digits and -, but not aws… or ssm…: stacks and parameters are named for it',
  );

function keyFaults({ keys }: DeploymentSettings): Fault[] {
  if (!keys) return [];
  const { generations, current } = keys;
  const known = new Set(generations);
  const isGeneration = (each: number) => Number.isInteger(each) && each >= 0 && each <= LAST_GENERATION;
  return [
    ...when(
      known.size === 0 ||
        known.size > MOST_GENERATIONS ||
        known.size < generations.length ||
        ![...known].every(isGeneration),
      ['keys', 'generations'],
      JSON.stringify(generations),
      `1 to ${MOST_GENERATIONS} whole numbers from 0 to ${LAST_GENERATION}, each once`,
    ),
    ...when(
      known.size > 0 && !known.has(current),
      ['keys', 'current'],
      `the number ${current}`,
      `one of the generations, ${either([...known].map(String))}; a new one is added first, and made current by a later deployment`,
    ),
  ];
}

const storeFaults = (configuration: Configuration): Fault[] =>
  when(
    storeSections.every((section) => Object.keys(configuration[section]).length === 0),
    [],
    'no store',
    `at least one, in ${either(storeSections)}`,
  );

function connectionFaults(connection: UsedConnection, settings: DeploymentSettings): Fault[] {
  const { section, name } = connection;
  const path = [section, name];
  const { engine } = connection.settings;
  const accepted = deployable[section];
  if (!accepted.includes(engine)) {
    const ends = engine === 'memory' ? 'memory, which ends with each instance of a function' : engine;
    const others = 'nothing in this version; keep these stores in a cache (dynamodb) or a database (postgresql)';
    return when(true, [...path, 'engine'], ends, accepted.length > 0 ? either(accepted) : others);
  }
  switch (connection.settings.engine) {
    case 'dynamodb':
      return tableFaults(path, connection.settings, settings);
    case 'postgresql':
      return connection.settings.embedded
        ? when(
            true,
            [...path, 'embedded'],
            'true: files that end with each instance of a function',
            'false, or nothing',
          )
        : databaseFaults(path, connection.settings, settings);
    default:
      return [];
  }
}

const tableFaults = (path: Path, cache: DynamodbCache, { replicas }: DeploymentSettings): Fault[] => [
  ...when(
    cache.endpoint !== undefined && isLocal({ url: cache.endpoint }),
    [...path, 'endpoint'],
    'this machine',
    'nothing: the endpoint of the AWS Region',
  ),
  ...when(
    cache.tableName === undefined && cache.region !== undefined,
    [...path, 'region'],
    'a Region for a table that the deployment creates',
    'nothing: the table is created in the Region of its stack; or tableName, of a table that is there',
  ),
  ...when(
    replicas !== undefined && cache.tableName === undefined && cache.nativeTimeToLive,
    [...path, 'nativeTimeToLive'],
    'true, the default',
    'false with replicas: a strongly consistent table has no TTL, and the purge removes what has expired',
  ),
];

function databaseFaults(path: Path, server: DatabaseServer, { hasVpc }: DeploymentSettings): Fault[] {
  const { password, tls, securityGroup } = server;
  const url = parsedUrl(server.url);
  const faults = [
    ...when(
      tls === false,
      [...path, 'tls'],
      'false',
      'true, or nothing: its functions send tokens of IAM or a password',
    ),
    ...when(
      typeof tls === 'object',
      [...path, 'tls'],
      'files of this machine',
      'true, or nothing: functions trust the authorities of Amazon RDS and the public ones',
    ),
  ];
  if (isCreatedServer(server)) {
    const created = 'nothing: the deployment creates this database, with IAM; or host, of a database that is there';
    return [
      ...faults,
      ...when(
        password !== undefined && !(typeof password === 'object' && 'iam' in password),
        [...path, 'password'],
        'a password',
        created,
      ),
      ...when(securityGroup !== undefined, [...path, 'securityGroup'], 'a security group', created),
    ];
  }
  if (isLocal(server)) {
    const setting = server.url === undefined ? 'host' : 'url';
    return when(
      true,
      [...path, setting],
      'this machine',
      'a server that functions can reach, or nothing: then the deployment creates one',
    );
  }
  const from = '{"iam": true} or {"secretArn": "arn:aws:secretsmanager:…"}';
  return [
    ...faults,
    ...when(server.user === undefined && !url?.username, [...path, 'user'], 'nothing', 'the user to connect as'),
    ...when(password === undefined, [...path, 'password'], 'nothing', from),
    ...when(
      typeof password === 'object' && 'env' in password,
      [...path, 'password'],
      'a variable of this machine’s environment',
      from,
    ),
    ...when(
      server.database === undefined && (url === undefined || url.pathname.length < 2),
      [...path, 'database'],
      'nothing',
      'the name of the database on the server',
    ),
    ...when(
      securityGroup !== undefined && hasVpc === false,
      ['network', 'vpc'],
      'nothing',
      `the VPC of ${pathText([...path, 'securityGroup'])}`,
    ),
  ];
}

/** Secrets that stand in the project’s own example: their digests, as the example configuration has them. */
const exampleSecrets = [
  'sha256:P1T9ePuN5xXzI9tc3Xmkchxak1iMdieYHh-i4BRwPQg',
  'sha256:C2cTDF_rXhs4T7dIRsNuH7wjynN8fq8btGVPpC2i5N4',
];

const exampleFaults = ({ clients, localDeployment }: Configuration): Fault[] => [
  ...when(
    localDeployment?.exampleData,
    ['localDeployment', 'exampleData'],
    'true',
    'false, with clients and users of your own: the secrets of the examples are known to everybody',
  ),
  ...Object.entries(clients).flatMap(([clientId, client]) =>
    ('secretDigests' in client ? client.secretDigests : []).flatMap((digest, index) =>
      when(
        exampleSecrets.includes(digest),
        ['clients', clientId, 'secretDigests', index],
        'the secret of an example, which everybody knows',
        'the digest of a secret of your own',
      ),
    ),
  ),
];

/** What works once it is deployed, and yet may cost or harm. */
export const deploymentWarnings = (configuration: Configuration): Warning[] =>
  usedConnections(configuration).flatMap((connection) => {
    const { section, name, settings, kinds } = connection;
    const path = pathText([section, name]);
    if (settings.engine === 'postgresql') return settings.embedded ? [] : publicWarnings(path, settings);
    if (settings.engine !== 'dynamodb') return [];
    return [...purgeWarnings(configuration, name, settings), ...sharingWarnings(configuration, path, kinds)];
  });

const publicWarnings = (path: string, server: DatabaseServer): Warning[] =>
  !isCreatedServer(server) && server.securityGroup === undefined
    ? [
        {
          path,
          text: 'functions reach it over the internet, if at all; give its securityGroup, and its VPC beside the configuration (network.vpc)',
        },
      ]
    : [];

/** A purge that reads a table to the end should not do so every minute. */
const SELDOM_SECONDS = 3600;

const purgeWarnings = (configuration: Configuration, cache: string, { nativeTimeToLive }: DynamodbCache): Warning[] =>
  nativeTimeToLive
    ? []
    : storeSections.flatMap((section) =>
        Object.entries<StoreSettings>(configuration[section]).flatMap(([name, store]) =>
          store.storeIn === 'cache' && store.cache === cache && store.purgeExpiredTokensEvery < SELDOM_SECONDS
            ? [
                {
                  path: pathText([section, name, 'purgeExpiredTokensEvery']),
                  text:
                    `every ${store.purgeExpiredTokensEvery} seconds the whole table is read, which DynamoDB charges for; ` +
                    `set ${SELDOM_SECONDS} or more, or let the table remove what has expired (nativeTimeToLive)`,
                },
              ]
            : [],
        ),
      );

/** Functions that only look tokens up and yet write artifacts, such as the `jti` of an assertion. */
const writingLookups = (configuration: Configuration): FunctionName[] =>
  functionNames.filter((name) => {
    const { accessTokenStores, artifactStores } = useOf(name, configuration);
    return accessTokenStores === 'read' && artifactStores === 'write';
  });

function sharingWarnings(configuration: Configuration, path: string, kinds: readonly StoreKind[]): Warning[] {
  const functions = writingLookups(configuration);
  return functions.length > 0 && kinds.includes('artifactStores') && kinds.includes('accessTokenStores')
    ? [
        {
          path,
          text:
            `functions that should only read tokens write artifacts to their table: ${functions.join(', ')}; ` +
            'give the artifacts a cache of their own',
        },
      ]
    : [];
}

type Path = readonly unknown[];

const when = (broken: unknown, path: Path, kind: string, accepted: string): Fault[] =>
  broken ? [{ path: pathText(path), kind, accepted }] : [];
