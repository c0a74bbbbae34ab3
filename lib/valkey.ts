import type { Construct } from 'constructs';
import type { Configuration } from '../functions/config/configuration.ts';
import { type Fault, kindOf, pathText, when } from '../functions/config/faults.ts';
import { either } from '../functions/config/fields.ts';
import { isLocal } from '../functions/config/location.ts';
import type { UsedConnection } from '../functions/config/places.ts';
import type { Warning } from '../functions/config/warnings.ts';
import { loginFaults, vpcFaults } from './database-server.ts';
import {
  type ElasticacheSettings,
  ElasticacheValkey,
  type ElasticacheValkeyFacts,
  elasticacheValkeyConnection,
  elasticacheValkeyFacts,
} from './elasticache-valkey.ts';
import type { DeploymentContext, Engineer } from './engine-deployment.ts';
import { allowImportedValkey, importedValkeyConnection } from './imported-valkey.ts';
import { sharingWarnings } from './sharing.ts';

// How the cache engine `valkey` is deployed: in Amazon ElastiCache, Serverless or on nodes, or where it is already.

export type ValkeyCache = Extract<Configuration['caches'][string], { engine: 'valkey' }>;

export interface ValkeyOptions {
  /** Of the caches in Amazon ElastiCache that are created. Default: ElastiCache Serverless. */
  readonly elasticache?: ElasticacheSettings;
}

type Deployment = ValkeyOptions & DeploymentContext;
type Used = UsedConnection<ValkeyCache>;

export const valkey: Engineer<ValkeyCache, ValkeyOptions> = (used, deployment) => {
  const { settings } = used;
  const { elasticache = {} } = deployment;
  const { evictionPolicy, timeToIdleSeconds } = settings;
  if (settings.hosts) {
    const isInNetwork = settings.securityGroup !== undefined;
    return {
      isInNetwork,
      faults: () => importedFaults(used, deployment),
      warnings: () => [...publicWarnings(used), ...idleWarnings(used), ...sharingWarnings(used, deployment, 'cache')],
      facts: [],
      allow: (scope: Construct, id, network) => allowImportedValkey(scope, id, settings, network),
      connect: (scope, _, network) => importedValkeyConnection(scope, settings, isInNetwork ? network : undefined),
    };
  }
  const maxGigabytes = settings.maxMemoryMegabytes === undefined ? undefined : settings.maxMemoryMegabytes / MEGABYTES;
  const limits = {
    ...(maxGigabytes !== undefined && { maxGigabytes }),
    ...(timeToIdleSeconds !== undefined && { timeToIdleSeconds }),
    ...(elasticache.nodes && { nodes: elasticache.nodes }),
  };
  return {
    isInNetwork: true,
    faults: () => [
      ...createdFaults(used),
      ...(elasticache.nodes ? nodeFaults(used, deployment) : serverlessFaults(used)),
    ],
    warnings: () => [
      ...lossWarnings(used, deployment),
      ...evictionWarnings(used, deployment),
      ...idleWarnings(used),
      ...sharingWarnings(used, deployment, 'cache'),
    ],
    facts: elasticacheValkeyFacts(elasticache.nodes),
    create: (scope, id, { network, ...kept }) =>
      new ElasticacheValkey(scope, id, { ...elasticache, ...limits, ...kept, network: network(), evictionPolicy })
        .facts,
    connect: (scope, facts, network) =>
      elasticacheValkeyConnection(scope, limits, facts as ElasticacheValkeyFacts, network),
  };
};

/** ElastiCache Serverless counts in gigabytes, up to 5 terabytes: https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/quota-limits.html */
const MEGABYTES = 1024;
const MOST_GIGABYTES = 5000;

/** https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/Durability.Limitations.html */
const DURABLE = /^cache\.([rm][678]g|c[78]gn)\./;

/** What look-ups leave in a cache in front of a store may be lost, evicted and written by all. */
const holdsNoStore = ({ kinds }: Used): boolean => kinds.length === 0;

const pathOf = ({ section, name }: Used) => [section, name];

const tlsFaults = (path: readonly unknown[], { tls }: ValkeyCache, trusted: string): Fault[] => [
  ...when(tls === false, [...path, 'tls'], 'false', 'true, or nothing: its functions send tokens of IAM or a password'),
  ...when(
    typeof tls === 'object',
    [...path, 'tls'],
    'files of this machine',
    `true, or nothing: functions trust ${trusted}`,
  ),
];

function createdFaults(used: Used): Fault[] {
  const { password, securityGroup, cacheName } = used.settings;
  const path = pathOf(used);
  const created = 'nothing: the deployment creates this cache, with IAM; or hosts, of a cache that is there';
  const isItsOwn = typeof password === 'object' && 'iam' in password;
  return [
    ...tlsFaults(path, used.settings, 'the authorities of Amazon'),
    ...when(password !== undefined && !isItsOwn, [...path, 'password'], 'a password', created),
    ...when(securityGroup !== undefined, [...path, 'securityGroup'], 'a security group', created),
    ...when(cacheName !== undefined, [...path, 'cacheName'], 'a name', created),
  ];
}

function serverlessFaults(used: Used): Fault[] {
  const { evictionPolicy, maxMemoryMegabytes: most } = used.settings;
  return [
    ...when(
      evictionPolicy !== 'noeviction' && evictionPolicy !== 'volatile-lru',
      [...pathOf(used), 'evictionPolicy'],
      evictionPolicy,
      'nothing, or volatile-lru: ElastiCache Serverless has no other; or nodes in its place (elasticache.nodes)',
    ),
    ...when(
      most !== undefined && (most % MEGABYTES !== 0 || most > MOST_GIGABYTES * MEGABYTES),
      [...pathOf(used), 'maxMemoryMegabytes'],
      `the number ${most}`,
      `a multiple of ${MEGABYTES}, up to ${MOST_GIGABYTES * MEGABYTES}: ElastiCache Serverless counts in gigabytes`,
    ),
  ];
}

function nodeFaults(used: Used, { elasticache }: Deployment): Fault[] {
  const { type = '', shards = 1, replicas = 1, durability = 'sync' } = elasticache?.nodes ?? {};
  const path = ['elasticache', 'nodes'];
  const isBetween = (value: number, least: number, most: number) =>
    Number.isInteger(value) && value >= least && value <= most;
  const isType = /^cache\.[a-z0-9]+\.[a-z0-9]+$/.test(type);
  return [
    ...when(
      used.settings.maxMemoryMegabytes !== undefined,
      [...pathOf(used), 'maxMemoryMegabytes'],
      `the number ${used.settings.maxMemoryMegabytes}`,
      'nothing with elasticache.nodes: their type says how much memory they have',
    ),
    ...when(!isType, [...path, 'type'], kindOf(type), 'the type of a node, such as cache.r7g.large'),
    ...when(
      isType && durability !== 'disabled' && !DURABLE.test(type),
      [...path, 'durability'],
      durability,
      `disabled for ${type}; ElastiCache has a durable log for nodes of ${either(['r6g', 'r7g', 'r8g', 'm6g', 'm7g', 'm8g', 'c7gn', 'c8gn'])}`,
    ),
    ...when(!isBetween(shards, 1, 500), [...path, 'shards'], kindOf(shards), 'a whole number from 1 to 500'),
    ...when(!isBetween(replicas, 1, 5), [...path, 'replicas'], kindOf(replicas), 'a whole number from 1 to 5'),
  ];
}

function importedFaults(used: Used, { hasVpc }: Deployment): Fault[] {
  const { settings } = used;
  const { user, password, securityGroup } = settings;
  const path = pathOf(used);
  if (isLocal(settings)) {
    const accepted = 'a cache that functions can reach, or nothing: then the deployment creates one';
    return when(true, [...path, 'hosts'], 'this machine', accepted);
  }
  return [
    ...tlsFaults(path, settings, 'the public authorities, and so those of Amazon'),
    ...loginFaults(path, { user, password }, true),
    ...vpcFaults(path, securityGroup, hasVpc),
  ];
}

function publicWarnings(used: Used): Warning[] {
  if (used.settings.securityGroup !== undefined) return [];
  return [
    {
      path: pathText(pathOf(used)),
      text: 'functions reach it over the internet, if at all; give its securityGroup, and its VPC beside the configuration (network.vpc)',
    },
  ];
}

/** What is acknowledged before it stands in a second Availability Zone. */
function lossWarnings(used: Used, { elasticache }: Deployment): Warning[] {
  const durability = elasticache?.nodes ? (elasticache.nodes.durability ?? 'sync') : 'serverless';
  if (durability === 'sync' || holdsNoStore(used)) return [];
  const lost = {
    serverless:
      'ElastiCache Serverless acknowledges a write before its replicas have it: when a node fails, the last ones',
    disabled:
      'without durability a write is acknowledged before the replicas have it: when a node fails, the last ones',
    async: 'with durability "async", when a node fails, the writes of its last 10 seconds',
  }[durability];
  return [
    {
      path: pathText(pathOf(used)),
      text: `${lost} can be lost, also revocations and redemptions of codes; use elasticache.nodes with durability "sync", or keep in it what may be lost`,
    },
  ];
}

/** Every key has an end, so those that it evicts are live tokens and revocations: https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/Scaling.html */
const evictionWarnings = (used: Used, { elasticache }: Deployment): Warning[] =>
  elasticache?.nodes || used.settings.maxMemoryMegabytes === undefined || holdsNoStore(used)
    ? []
    : [
        {
          path: pathText([...pathOf(used), 'maxMemoryMegabytes']),
          text: 'with so much in it ElastiCache Serverless evicts what was not used for longest, live tokens and revocations too, whatever evictionPolicy says; leave it out, or use elasticache.nodes, which refuse further writes (noeviction)',
        },
      ];

const idleWarnings = (used: Used): Warning[] =>
  used.settings.timeToIdleSeconds === undefined || holdsNoStore(used)
    ? []
    : [
        {
          path: pathText([...pathOf(used), 'timeToIdleSeconds']),
          text: 'every look-up is a write then, so functions that should only read tokens are permitted to write them; leave it out',
        },
      ];
