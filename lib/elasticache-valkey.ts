import { ArnFormat, type CfnResource, Stack, Validations } from 'aws-cdk-lib';
import { Port } from 'aws-cdk-lib/aws-ec2';
import {
  CfnParameterGroup,
  CfnReplicationGroup,
  CfnServerlessCache,
  CfnSubnetGroup,
  CfnUser,
  CfnUserGroup,
} from 'aws-cdk-lib/aws-elasticache';
import { Grant, type IGrantable } from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import { type ValkeyUser, valkeyUsers } from '../functions/config/valkey-users.ts';
import type { ConnectionUse, Network, StoreConnection } from './connection.ts';
import { watchedCacheNodes, watchedServerlessCache } from './elasticache-metrics.ts';
import type { FactsOf, Kept } from './engine-deployment.ts';
import type { PrivateNetwork } from './network.ts';

/** How a cache in Amazon ElastiCache is created. */
export interface ElasticacheSettings {
  /** ElastiCache Processing Units that a Serverless cache takes in a second at most. Default: no limit. */
  readonly maxEcpuPerSecond?: number;
  /** And those that it is ready for at any time, which are charged. Default: none. */
  readonly minEcpuPerSecond?: number;
  /** Days for which each day's snapshot is kept; 0: there are none. Default: 7. */
  readonly snapshotDays?: number;
  /** Nodes, in place of ElastiCache Serverless. */
  readonly nodes?: ElasticacheNodes;
}

export interface ElasticacheNodes {
  /** Such as cache.r7g.large, whose memory is that of the cache. */
  readonly type: string;
  /** Shards, over which the keys are distributed. Default: 1. */
  readonly shards?: number;
  /** Replicas of each shard, in other Availability Zones; one takes over when the primary fails. Default: 1. */
  readonly replicas?: number;
  /**
   * Whether a write is acknowledged when it stands in a log of two Availability Zones (`sync`), up to 10 seconds before that
   * (`async`), or with no log at all (`disabled`): then what a failing primary had not sent to its replica is lost.
   * Default: sync.
   */
  readonly durability?: 'sync' | 'async' | 'disabled';
  /** When a node may be replaced for maintenance, such as sun:03:00-sun:04:00, in UTC. Default: AWS chooses. */
  readonly maintenanceWindow?: string;
}

export interface ElasticacheValkeyProps extends ElasticacheSettings, Omit<Kept, 'deletionProtection'> {
  readonly network: PrivateNetwork;
  /** What the nodes do when their memory is full. Serverless: see {@link ElasticacheValkeyProps.maxGigabytes}. */
  readonly evictionPolicy: string;
  /** The most that a Serverless cache holds; when it is full, keys are evicted. Default: what its quota lets it. */
  readonly maxGigabytes?: number;
}

const PORT = 6379;

/**
 * What functions need to know of a cache, as text that can cross stacks. Its name is another fact for each form: a stack that
 * was told of the other one finds no such parameter, and is not deployed.
 */
export const elasticacheValkeyFacts = (nodes: ElasticacheNodes | undefined) =>
  [nodes ? 'replicationGroupId' : 'serverlessCacheName', 'host'] as const;
export type ElasticacheValkeyFacts = FactsOf<string> & FactsOf<'host'>;

/**
 * A Valkey in Amazon ElastiCache, Serverless or of nodes in cluster mode, in more than one Availability Zone: encrypted at
 * rest and on the way, open to the functions of the network and to nobody else.
 *
 * Nobody has a password. Functions log in by a token of IAM, as one of three users with no more commands than they need; the
 * user `default` is not among those of the group, and so not let in.
 */
export class ElasticacheValkey extends Construct {
  readonly facts: ElasticacheValkeyFacts;

  constructor(scope: Construct, id: string, props: ElasticacheValkeyProps) {
    super(scope, id);
    const { network, nodes } = props;
    const name = cacheName(this);
    const servers = network.securityGroup('CacheGroup', 'The Valkey of ElastiCache', this);
    // Serverless answers reads that may be late on the second port, and a client meets it there too.
    const ports = nodes ? Port.tcp(PORT) : Port.tcpRange(PORT, PORT + 1);
    network.clients.connections.allowTo(servers, ports, 'Valkey');
    const users = this.createUsers(name);
    const place = { name, users, securityGroupIds: [servers.securityGroupId] };
    const [cache, host] = nodes ? this.createNodes(props, nodes, place) : this.createServerless(props, place);
    for (const kept of [cache, ...this.node.findAll().filter(isKept)]) kept.applyRemovalPolicy(props.removalPolicy);
    const [nameFact] = elasticacheValkeyFacts(nodes);
    this.facts = { [nameFact]: name, host };
  }

  private createUsers(name: string): CfnUserGroup {
    const users = Object.entries(valkeyUsers).map(([use, accessString]) => {
      const userId = userName(name, use as ValkeyUser);
      return new CfnUser(this, `User-${use}`, {
        engine: 'valkey',
        userId,
        userName: userId, // as IAM demands
        authenticationMode: { Type: 'iam' },
        accessString,
      });
    });
    return new CfnUserGroup(this, 'Users', {
      engine: 'valkey',
      userGroupId: name,
      userIds: users.map(({ ref }) => ref),
    });
  }

  private createServerless(props: ElasticacheValkeyProps, { name, users, securityGroupIds }: Place): Created {
    const { network, encryptionKey, maxGigabytes, minEcpuPerSecond, maxEcpuPerSecond, snapshotDays = 7 } = props;
    const ecpu = {
      ...(minEcpuPerSecond !== undefined && { minimum: minEcpuPerSecond }),
      ...(maxEcpuPerSecond !== undefined && { maximum: maxEcpuPerSecond }),
    };
    const limits = {
      ...(maxGigabytes !== undefined && { dataStorage: { maximum: maxGigabytes, unit: 'GB' } }),
      ...(Object.keys(ecpu).length > 0 && { ecpuPerSecond: ecpu }),
    };
    const cache = new CfnServerlessCache(this, 'Cache', {
      serverlessCacheName: name,
      description: `Tokens and codes of ${this.node.path}`,
      engine: 'valkey',
      majorEngineVersion: '8',
      subnetIds: network.subnets.map(({ subnetId }) => subnetId),
      securityGroupIds,
      userGroupId: users.ref,
      snapshotRetentionLimit: snapshotDays,
      ...(encryptionKey && { kmsKeyId: encryptionKey.keyArn }),
      ...(Object.keys(limits).length > 0 && { cacheUsageLimits: limits }),
    });
    return [cache, cache.attrEndpointAddress];
  }

  private createNodes(
    props: ElasticacheValkeyProps,
    { type, shards = 1, replicas = 1, durability = 'sync', maintenanceWindow }: ElasticacheNodes,
    { name, users, securityGroupIds }: Place,
  ): Created {
    const { network, encryptionKey, evictionPolicy, snapshotDays = 7 } = props;
    const subnets = new CfnSubnetGroup(this, 'Subnets', {
      description: `Where the nodes of ${name} are`,
      subnetIds: network.subnets.map(({ subnetId }) => subnetId),
    });
    const parameters = new CfnParameterGroup(this, 'Parameters', {
      cacheParameterGroupFamily: 'valkey9',
      description: `Parameters of ${name}`,
      properties: { 'cluster-enabled': 'yes', 'maxmemory-policy': evictionPolicy },
    });
    const group = new CfnReplicationGroup(this, 'Cache', {
      replicationGroupId: name,
      replicationGroupDescription: `Tokens and codes of ${this.node.path}`,
      engine: 'valkey',
      engineVersion: '9.0', // the first with durability
      clusterMode: 'enabled',
      cacheNodeType: type,
      numNodeGroups: shards,
      replicasPerNodeGroup: replicas,
      durability,
      automaticFailoverEnabled: true,
      multiAzEnabled: true,
      port: PORT,
      cacheSubnetGroupName: subnets.ref,
      cacheParameterGroupName: parameters.ref,
      securityGroupIds,
      userGroupIds: [users.ref],
      transitEncryptionEnabled: true,
      transitEncryptionMode: 'required',
      atRestEncryptionEnabled: true,
      ...(encryptionKey && { kmsKeyId: encryptionKey.keyArn }),
      snapshotRetentionLimit: snapshotDays,
      autoMinorVersionUpgrade: true,
      ...(maintenanceWindow !== undefined && { preferredMaintenanceWindow: maintenanceWindow }),
    });
    // Another number of shards moves keys while they are used, instead of making the cache anew, empty.
    group.cfnOptions.updatePolicy = { useOnlineResharding: true };
    Validations.of(group).acknowledge({
      id: 'AwsSolutions-AEC6',
      reason: 'Its users log in by IAM, each with commands of its own, and not with one password for all.',
    });
    return [group, group.attrConfigurationEndPointAddress];
  }
}

interface Place {
  readonly name: string;
  readonly users: CfnUserGroup;
  readonly securityGroupIds: string[];
}

/** The cache, and the host by which its nodes are found. */
type Created = readonly [cache: CfnResource, host: string];

/** What a cache that stays cannot be without. */
const isKept = (construct: unknown): construct is CfnResource =>
  [CfnUser, CfnUserGroup, CfnSubnetGroup, CfnParameterGroup].some((each) => construct instanceof each);

/** A name of its own in the account and Region, the same as long as the construct keeps its place; 40 characters with a user's. */
const cacheName = (construct: Construct): string =>
  `${Stack.of(construct).stackName.slice(0, 23).replace(/-+$/, '')}-${construct.node.addr.slice(-8)}`.toLowerCase();

const userName = (name: string, user: ValkeyUser): string => `${name}-${user}`;

/** The user whose commands a function with this use needs. With `timeToIdleSeconds` each look-up is a write. */
export function valkeyUserFor(
  { tokens, artifacts }: ConnectionUse,
  { timeToIdleSeconds }: { readonly timeToIdleSeconds?: number } = {},
): ValkeyUser {
  const accesses = [tokens, artifacts].filter((access) => access !== undefined);
  if (accesses.every((access) => access === 'purge')) return 'purger';
  return timeToIdleSeconds === undefined && accesses.every((access) => access === 'read') ? 'reader' : 'writer';
}

/**
 * Lets somebody log in to a cache as a user of it, and to no other
 * (https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/auth-iam.html).
 */
export function grantConnect(
  scope: Construct,
  grantee: IGrantable,
  { cacheName, serverless, user }: { readonly cacheName: string; readonly serverless: boolean; readonly user: string },
): void {
  const arn = (resource: string, resourceName: string) =>
    Stack.of(scope).formatArn({
      service: 'elasticache',
      resource,
      resourceName,
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    });
  const resourceArns = [arn(serverless ? 'serverlesscache' : 'replicationgroup', cacheName), arn('user', user)];
  Grant.addToPrincipal({ grantee, actions: ['elasticache:Connect'], resourceArns });
}

/** A cache of {@link ElasticacheValkey}, in this stack or in another. */
export function elasticacheValkeyConnection(
  scope: Construct,
  settings: { readonly timeToIdleSeconds?: number; readonly maxGigabytes?: number; readonly nodes?: ElasticacheNodes },
  facts: ElasticacheValkeyFacts,
  network: Network,
): StoreConnection {
  const { nodes, maxGigabytes } = settings;
  const serverless = nodes === undefined;
  const [nameFact] = elasticacheValkeyFacts(nodes);
  const name = () => facts[nameFact] ?? '';
  const userOf = (use: ConnectionUse) => userName(name(), valkeyUserFor(use, settings));
  return {
    facts,
    network,
    watched: (limits) =>
      (nodes ? watchedCacheNodes(name(), nodes) : watchedServerlessCache(name(), maxGigabytes))(limits),
    settingsFor: (use) => ({
      hosts: [`${facts.host}:${PORT}`],
      cluster: true,
      user: userOf(use),
      password: { iam: true },
      cacheName: name(),
      serverless,
      tls: true,
    }),
    grant: (grantee, use) => grantConnect(scope, grantee, { cacheName: name(), serverless, user: userOf(use) }),
  };
}
