import { App, RemovalPolicy, Stack, Validations } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { Vpc } from 'aws-cdk-lib/aws-ec2';
import { Key } from 'aws-cdk-lib/aws-kms';
import { AwsSolutionsChecks } from 'cdk-nag';
import { describe, expect, it } from 'vitest';
import {
  type ConfigurationInput,
  parseConfiguration,
  readConfiguration,
} from '../../functions/config/configuration.ts';
import { ConfigurationError } from '../../functions/config/faults.ts';
import { valkeyUsers } from '../../functions/config/valkey-users.ts';
import { defaultThresholds, limitOf } from '../../lib/alarms.ts';
import { type DeploymentSettings, deployableConnections, deploymentWarnings } from '../../lib/deployable.ts';
import { watchedCacheNodes, watchedServerlessCache } from '../../lib/elasticache-metrics.ts';
import { type ElasticacheSettings, valkeyUserFor } from '../../lib/elasticache-valkey.ts';
import { OAuthStores } from '../../lib/oauth-stores.ts';
import { ServiceStack } from '../../lib/service-stack.ts';
import { StoreFunction } from '../../lib/store-function.ts';
import { StoresStack } from '../../lib/stores-stack.ts';

/** What a template holds. */
type Json = ReturnType<typeof JSON.parse>;

const env = { account: '111111111111', region: 'eu-central-1' };
const nodes = { type: 'cache.r7g.large', shards: 2 };

const inValkey = (cache: object = {}): ConfigurationInput => ({
  accessTokenStores: { tokens: { cache: 'c' } },
  authorizationCodeStores: { codes: { cache: 'c' } },
  caches: { c: { engine: 'valkey', ...cache } },
});

/** Both stacks of a deployment, under cdk-nag and CloudFormation’s own validation: a finding fails the synthesis. */
function deployed(elasticache?: ElasticacheSettings, cache: object = {}, encrypted = false) {
  const app = new App({ context: { '@aws-cdk/core:validateAgainstDefaultRules': true } });
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  const location = { env, configuration: inValkey(cache), ...(elasticache && { elasticache }) };
  const data = new StoresStack(app, 'Data', location);
  const service = new ServiceStack(app, 'Service', location);
  if (encrypted) {
    const keys = new Stack(app, 'Keys', { env });
    const encryptionKey = new Key(keys, 'Key', { enableKeyRotation: true });
    new OAuthStores(keys, 'Stores', { ...location, name: 'keyed', encryptionKey });
  }
  app.synth();
  return {
    data: Template.fromStack(data),
    service: Template.fromStack(service),
    ...(encrypted && { keyed: Template.fromStack(app.node.findChild('Keys') as Stack) }),
  };
}

const serverless = deployed(undefined, {}, true);
const onNodes = deployed({ nodes }, { evictionPolicy: 'noeviction' });

const propertiesOf = (template: Template, type: string): Json[] =>
  Object.values(template.findResources(type)).map(({ Properties }) => Properties);

const NAME = /^oauth2-stores-data-[0-9a-f]{8}$/;

describe('ElastiCache Serverless', () => {
  const [cache] = propertiesOf(serverless.data, 'AWS::ElastiCache::ServerlessCache');

  it('is what a valkey without hosts comes to: in private subnets, with its users, snapshots and no limit', () => {
    expect(cache).toMatchObject({
      Engine: 'valkey',
      MajorEngineVersion: '8',
      ServerlessCacheName: expect.stringMatching(NAME),
      SnapshotRetentionLimit: 7,
      UserGroupId: { Ref: expect.any(String) },
      SubnetIds: [
        { Ref: expect.stringContaining('PrivateSubnet1') },
        { Ref: expect.stringContaining('PrivateSubnet2') },
      ],
      SecurityGroupIds: [{ 'Fn::GetAtt': [expect.stringContaining('CacheGroup'), 'GroupId'] }],
    });
    expect(cache).not.toHaveProperty('CacheUsageLimits');
    serverless.data.resourceCountIs('AWS::ElastiCache::ReplicationGroup', 0);
  });

  it('takes the limits that are said, and the key', () => {
    const limited = deployed(
      { maxEcpuPerSecond: 5000, minEcpuPerSecond: 1000, snapshotDays: 0 },
      { maxMemoryMegabytes: 2048 },
    );
    expect(propertiesOf(limited.data, 'AWS::ElastiCache::ServerlessCache')[0]).toMatchObject({
      CacheUsageLimits: { DataStorage: { Maximum: 2, Unit: 'GB' }, ECPUPerSecond: { Minimum: 1000, Maximum: 5000 } },
      SnapshotRetentionLimit: 0,
    });
    const [keyed] = serverless.keyed ? propertiesOf(serverless.keyed, 'AWS::ElastiCache::ServerlessCache') : [];
    expect(keyed.KmsKeyId).toEqual({ 'Fn::GetAtt': [expect.stringMatching(/^Key/), 'Arn'] });
  });

  it('is reached by the functions of the network on its two ports, and by nobody else', () => {
    const rules = propertiesOf(serverless.data, 'AWS::EC2::SecurityGroupIngress').filter(({ GroupId }) =>
      JSON.stringify(GroupId).includes('CacheGroup'),
    );
    expect(rules).toEqual([
      expect.objectContaining({
        FromPort: 6379,
        ToPort: 6380,
        SourceSecurityGroupId: { 'Fn::GetAtt': [expect.stringContaining('Clients'), 'GroupId'] },
      }),
    ]);
  });
});

describe('nodes of ElastiCache', () => {
  it('form a cluster over Availability Zones, encrypted in every way, with a durable log', () => {
    onNodes.data.hasResource('AWS::ElastiCache::ReplicationGroup', {
      DeletionPolicy: 'Retain',
      UpdateReplacePolicy: 'Retain',
      UpdatePolicy: { UseOnlineResharding: true },
      Properties: {
        ReplicationGroupId: Match.stringLikeRegexp(NAME.source),
        Engine: 'valkey',
        EngineVersion: '9.0',
        ClusterMode: 'enabled',
        CacheNodeType: 'cache.r7g.large',
        NumNodeGroups: 2,
        ReplicasPerNodeGroup: 1,
        Durability: 'sync',
        AutomaticFailoverEnabled: true,
        MultiAZEnabled: true,
        TransitEncryptionEnabled: true,
        TransitEncryptionMode: 'required',
        AtRestEncryptionEnabled: true,
        AutoMinorVersionUpgrade: true,
        UserGroupIds: [Match.anyValue()],
        AuthToken: Match.absent(),
      },
    });
    onNodes.data.hasResourceProperties('AWS::ElastiCache::ParameterGroup', {
      CacheParameterGroupFamily: 'valkey9',
      Properties: { 'cluster-enabled': 'yes', 'maxmemory-policy': 'noeviction' },
    });
    onNodes.data.resourceCountIs('AWS::ElastiCache::ServerlessCache', 0);
  });

  it('take what is said of them', () => {
    const chosen = deployed(
      {
        nodes: {
          type: 'cache.t4g.small',
          replicas: 2,
          durability: 'disabled',
          maintenanceWindow: 'sun:03:00-sun:04:00',
        },
      },
      { evictionPolicy: 'allkeys-lru' },
    );
    chosen.data.hasResourceProperties('AWS::ElastiCache::ReplicationGroup', {
      NumNodeGroups: 1,
      ReplicasPerNodeGroup: 2,
      Durability: 'disabled',
      PreferredMaintenanceWindow: 'sun:03:00-sun:04:00',
    });
    chosen.data.hasResourceProperties('AWS::ElastiCache::ParameterGroup', {
      Properties: { 'maxmemory-policy': 'allkeys-lru' },
    });
  });
});

describe('both', () => {
  it.each([
    ['Serverless', serverless.data],
    ['nodes', onNodes.data],
  ])('let in three users by IAM, with their commands, and no other: %s', (_, data) => {
    const users = propertiesOf(data, 'AWS::ElastiCache::User');
    expect(users.map(({ AccessString }) => AccessString)).toEqual(Object.values(valkeyUsers));
    for (const { UserId, UserName, AuthenticationMode, Engine } of users) {
      expect([UserId.length <= 40, UserName, AuthenticationMode, Engine]).toEqual([
        true,
        UserId,
        { Type: 'iam' },
        'valkey',
      ]);
    }
    const [group] = propertiesOf(data, 'AWS::ElastiCache::UserGroup');
    expect(group.UserIds).toEqual(Object.keys(data.findResources('AWS::ElastiCache::User')).map((Ref) => ({ Ref })));
  });

  it.each([
    ['Serverless', serverless.data, []],
    ['nodes', onNodes.data, ['Parameters', 'Subnets']],
  ])('have the logical ids of a deployment out there, or what is kept would be replaced: %s', (_, data, more) => {
    const ids = Object.entries(data.toJSON().Resources as Record<string, Json>).flatMap(([id, { Type }]) =>
      Type.startsWith('AWS::ElastiCache::') ? [id.replace(/[0-9A-F]{8}$/, '')] : [],
    );
    const expected = ['Cache', 'Users', 'Userpurger', 'Userreader', 'Userwriter', ...more];
    expect(ids.toSorted()).toEqual(expected.map((each) => `Storescachesc${each}`).toSorted());
  });

  it.each([
    ['Serverless', serverless.data],
    ['nodes', onNodes.data],
  ])('stay with all that they need when the stack goes: %s', (_, data) => {
    const resources: Json[] = Object.values(data.toJSON().Resources);
    const kept = resources.filter(({ Type }) => Type.startsWith('AWS::ElastiCache::'));
    expect(kept.length).toBeGreaterThan(4);
    for (const { Type, DeletionPolicy } of kept) expect([Type, DeletionPolicy]).toEqual([Type, 'Retain']);
  });

  it('go with their stack where that was said', () => {
    const stack = new Stack(new App(), 'Trial');
    new OAuthStores(stack, 'Stores', { configuration: inValkey(), removalPolicy: RemovalPolicy.DESTROY });
    Template.fromStack(stack).hasResource('AWS::ElastiCache::ServerlessCache', { DeletionPolicy: 'Delete' });
  });
});

describe('a function', () => {
  const app = new App();
  const stack = new Stack(app, 'Service', { env });
  const stores = OAuthStores.fromName(stack, 'Stores', { configuration: inValkey(), name: 'tokens' });
  const handlers = { lookup: 'lookup-token', issue: 'issue-tokens', purge: 'purge' } as const;
  for (const [id, handlerName] of Object.entries(handlers)) new StoreFunction(stack, id, { handlerName, stores });
  const template = Template.fromStack(stack);

  const settingsOf = (id: string): Json => {
    const [, { Properties }] = Object.entries(template.findResources('AWS::Lambda::Function')).find(([name]) =>
      name.startsWith(id),
    ) as [string, Json];
    const [, parts] = Properties.Environment.Variables.OAUTH_STORES_CONNECTIONS['Fn::Join'];
    const text = parts.map((part: Json) => (typeof part === 'string' ? part : shortOf(part.Ref))).join('');
    return { network: Properties.VpcConfig !== undefined, ...JSON.parse(text).caches.c };
  };
  const shortOf = (parameter: string) => (parameter.includes('host') ? 'cache.example' : 'tokens-1');
  const permittedTo = (id: string): Json[] =>
    Object.entries(template.findResources('AWS::IAM::Policy'))
      .filter(([name]) => name.startsWith(id))
      .flatMap(([, { Properties }]) => Properties.PolicyDocument.Statement)
      .filter(({ Action }) => String(Action).startsWith('elasticache:'));

  it.each([
    ['lookup', 'reader'],
    ['issue', 'writer'],
    ['purge', 'purger'],
  ])('%s logs in as the %s, by a token of IAM, over TLS, from within the network', (id, user) => {
    const settings = settingsOf(id);
    expect(settings).toEqual({
      network: true,
      hosts: ['cache.example:6379'],
      cluster: true,
      user: `tokens-1-${user}`,
      password: { iam: true },
      cacheName: 'tokens-1',
      serverless: true,
      tls: true,
    });
    const { network: _, ...overlay } = settings;
    const known = readConfiguration(JSON.stringify(inValkey()), JSON.stringify({ caches: { c: overlay } }));
    expect(known.configuration.caches.c).toMatchObject(overlay);
    const [statement, ...others] = permittedTo(id);
    expect([statement.Action, others]).toEqual(['elasticache:Connect', []]);
    const cacheName = { Ref: expect.stringContaining('serverlessCacheName') };
    const arn = ['arn:', { Ref: 'AWS::Partition' }, ':elasticache:eu-central-1:111111111111:'];
    expect(statement.Resource).toEqual([
      { 'Fn::Join': ['', [...arn.slice(0, 2), `${arn[2]}serverlesscache:`, cacheName]] },
      { 'Fn::Join': ['', [...arn.slice(0, 2), `${arn[2]}user:`, cacheName, `-${user}`]] },
    ]);
  });

  it('asks for what only the same form of cache has published', () => {
    const asked = (each: Template) =>
      Object.values(each.findParameters('*', { Type: 'AWS::SSM::Parameter::Value<String>' }))
        .map(({ Default }) => String(Default))
        .filter((name) => name.includes('/caches/'));
    const published = (each: Template) =>
      propertiesOf(each, 'AWS::SSM::Parameter')
        .map(({ Name }) => Name)
        .filter((name) => name.includes('/caches/') && !name.endsWith('/settings'));
    const place = '/oauth2-stores/caches/c';
    expect(published(serverless.data)).toEqual([`${place}/serverlessCacheName`, `${place}/host`]);
    expect(asked(serverless.service).toSorted()).toEqual(published(serverless.data).toSorted());
    expect(published(onNodes.data)).toEqual([`${place}/replicationGroupId`, `${place}/host`]);
    expect(asked(onNodes.service).toSorted()).toEqual(published(onNodes.data).toSorted());
  });

  it('of nodes is permitted their replication group', () => {
    const statements = propertiesOf(onNodes.service, 'AWS::IAM::Policy')
      .flatMap(({ PolicyDocument }) => PolicyDocument.Statement)
      .filter(({ Action }) => Action === 'elasticache:Connect');
    expect(statements.length).toBeGreaterThan(10);
    for (const { Resource } of statements) {
      expect(Resource[0]['Fn::Join'][1][2]).toBe(':elasticache:eu-central-1:111111111111:replicationgroup:');
    }
  });

  it.each([
    [{ tokens: 'read' }, {}, 'reader'],
    [{ tokens: 'read', artifacts: 'read' }, {}, 'reader'],
    [{ tokens: 'read', artifacts: 'write' }, {}, 'writer'],
    [{ tokens: 'purge', artifacts: 'purge' }, {}, 'purger'],
    [{ tokens: 'purge', artifacts: 'write' }, {}, 'writer'],
    [{ tokens: 'read' }, { timeToIdleSeconds: 60 }, 'writer'],
  ] as const)('with %o and %o is the %s', (use, settings, user) => {
    expect(valkeyUserFor(use, settings)).toBe(user);
  });
});

describe('a cache that is there', () => {
  const secretArn = 'arn:aws:secretsmanager:eu-central-1:111111111111:secret:valkey-AbCdEf';
  const there = (changed: object) => {
    const stack = new Stack(new App(), 'Imported', { env });
    const vpc = Vpc.fromVpcAttributes(stack, 'Vpc', {
      vpcId: 'vpc-0123456789abcdef0',
      availabilityZones: ['eu-central-1a', 'eu-central-1b'],
      privateSubnetIds: ['subnet-0123456789abcdef0', 'subnet-0123456789abcdef1'],
    });
    const cache = { hosts: ['a.example:7000', 'b.example'], user: 'app', securityGroup: 'sg-0123456789abcdef0' };
    const configuration = inValkey({ ...cache, ...changed });
    const stores = new OAuthStores(stack, 'Stores', { configuration, network: { vpc } });
    new StoreFunction(stack, 'Lookup', { handlerName: 'lookup-token', stores });
    return Template.fromStack(stack);
  };

  it('is reached within its VPC, by its ports, with the password of a secret', () => {
    const template = there({ password: { secretArn } });
    const rules = propertiesOf(template, 'AWS::EC2::SecurityGroupIngress');
    expect(rules.map(({ GroupId, FromPort, ToPort }) => [GroupId, FromPort, ToPort])).toEqual([
      ['sg-0123456789abcdef0', 7000, 7000],
      ['sg-0123456789abcdef0', 6379, 6379],
    ]);
    const statements = propertiesOf(template, 'AWS::IAM::Policy').flatMap(
      ({ PolicyDocument }) => PolicyDocument.Statement,
    );
    expect(statements).toContainEqual({
      Effect: 'Allow',
      Action: 'secretsmanager:GetSecretValue',
      Resource: secretArn,
    });
    template.resourceCountIs('AWS::ElastiCache::ServerlessCache', 0);
  });

  it('is logged in to by IAM as its user, where it is in ElastiCache', () => {
    const template = there({ password: { iam: true }, cacheName: 'theirs', serverless: true, hosts: ['a.example'] });
    const [rule] = propertiesOf(template, 'AWS::EC2::SecurityGroupIngress');
    expect([rule.FromPort, rule.ToPort]).toEqual([6379, 6380]);
    const statements = propertiesOf(template, 'AWS::IAM::Policy').flatMap(
      ({ PolicyDocument }) => PolicyDocument.Statement,
    );
    const [connect] = statements.filter(({ Action }) => Action === 'elasticache:Connect');
    expect(JSON.stringify(connect.Resource)).toMatch(/:serverlesscache:theirs.*:user:app/);
  });
});

const settings: DeploymentSettings = { name: 'tokens', keys: { generations: [0], current: 0 }, hasVpc: false };

const faultsOf = (cache: object, elasticache?: ElasticacheSettings): string[] => {
  try {
    const { configuration } = parseConfiguration(inValkey(cache));
    deployableConnections(configuration, { ...settings, ...(elasticache && { elasticache }) });
    return [];
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return error.message.split('\n  ').slice(1);
  }
};

describe('a deployment is refused for', () => {
  const server = { hosts: ['a.example'], user: 'app', password: { iam: true }, cacheName: 'theirs' };
  const passwords = 'accepted: {"iam": true} or {"secretArn": "arn:aws:secretsmanager:…"}';
  const created = 'accepted: nothing: the deployment creates this cache, with IAM; or hosts, of a cache that is there';
  it.each<[string, object, ElasticacheSettings | undefined, string[]]>([
    [
      'what ElastiCache Serverless has not',
      { evictionPolicy: 'allkeys-lru', maxMemoryMegabytes: 1500 },
      undefined,
      [
        'caches["c"].evictionPolicy: found allkeys-lru; accepted: nothing, or volatile-lru: ElastiCache Serverless has no other; or nodes in its place (elasticache.nodes)',
        'caches["c"].maxMemoryMegabytes: found the number 1500; accepted: a multiple of 1024, up to 5120000: ElastiCache Serverless counts in gigabytes',
      ],
    ],
    [
      'a memory that the type of a node decides',
      { maxMemoryMegabytes: 2048 },
      { nodes },
      [
        'caches["c"].maxMemoryMegabytes: found the number 2048; accepted: nothing with elasticache.nodes: their type says how much memory they have',
      ],
    ],
    [
      'nodes that cannot be',
      {},
      { nodes: { type: 'r7g.large', shards: 0, replicas: 6 } },
      [
        'elasticache.nodes.type: found text; accepted: the type of a node, such as cache.r7g.large',
        'elasticache.nodes.shards: found a number; accepted: a whole number from 1 to 500',
        'elasticache.nodes.replicas: found a number; accepted: a whole number from 1 to 5',
      ],
    ],
    [
      'a durable log of nodes that have none',
      {},
      { nodes: { type: 'cache.t4g.small' } },
      [
        'elasticache.nodes.durability: found sync; accepted: disabled for cache.t4g.small; ElastiCache has a durable log for nodes of r6g, r7g, r8g, m6g, m7g, m8g, c7gn or c8gn',
      ],
    ],
    [
      'settings of a cache that is there beside none',
      { password: { env: 'VALKEY' }, securityGroup: 'sg-0123456789abcdef0', cacheName: 'theirs', tls: false },
      undefined,
      [
        'caches["c"].tls: found false; accepted: true, or nothing: its functions send tokens of IAM or a password',
        `caches["c"].password: found a password; ${created}`,
        `caches["c"].securityGroup: found a security group; ${created}`,
        `caches["c"].cacheName: found a name; ${created}`,
      ],
    ],
    [
      'a cache on this machine',
      { hosts: ['localhost:6379'] },
      undefined,
      [
        'caches["c"].hosts: found this machine; accepted: a cache that functions can reach, or nothing: then the deployment creates one',
      ],
    ],
    [
      'a cache without user and password, and with files of this machine',
      { hosts: ['a.example'], tls: { trustedCertificates: 'ca.pem' } },
      undefined,
      [
        'caches["c"].tls: found files of this machine; accepted: true, or nothing: functions trust the public authorities, and so those of Amazon',
        'caches["c"].user: found nothing; accepted: the user to connect as',
        `caches["c"].password: found nothing; ${passwords}`,
      ],
    ],
    [
      'a security group without its VPC',
      { ...server, securityGroup: 'sg-0123456789abcdef0' },
      undefined,
      ['network.vpc: found nothing; accepted: the VPC of caches["c"].securityGroup'],
    ],
  ])('%s', (_, cache, elasticache, faults) => {
    expect(faultsOf(cache, elasticache)).toEqual(faults);
  });

  it('nothing that ElastiCache has', () => {
    expect(faultsOf(server)).toEqual([]);
    expect(faultsOf({ evictionPolicy: 'volatile-lru', maxMemoryMegabytes: 5_120_000 })).toEqual([]);
    expect(faultsOf({}, { nodes: { type: 'cache.m7g.2xlarge', durability: 'async' } })).toEqual([]);
    expect(faultsOf({}, { nodes: { type: 'cache.t4g.small', durability: 'disabled' } })).toEqual([]);
  });
});

describe('a warning is given for', () => {
  const warningsOf = (cache: object, elasticache?: ElasticacheSettings) =>
    deploymentWarnings(parseConfiguration(inValkey(cache)).configuration, elasticache && { elasticache }).map(
      ({ path, text }) => `${path}: ${text}`,
    );
  const durable = { nodes };
  const remedy =
    'can be lost, also revocations and redemptions of codes; use elasticache.nodes with durability "sync", or keep in it what may be lost';

  it('writes that are acknowledged before they are safe, and for none that are', () => {
    expect(warningsOf({})).toEqual([
      `caches["c"]: ElastiCache Serverless acknowledges a write before its replicas have it: when a node fails, the last ones ${remedy}`,
    ]);
    expect(warningsOf({}, { nodes: { ...nodes, durability: 'disabled' } })).toEqual([
      `caches["c"]: without durability a write is acknowledged before the replicas have it: when a node fails, the last ones ${remedy}`,
    ]);
    expect(warningsOf({}, { nodes: { ...nodes, durability: 'async' } })).toEqual([
      `caches["c"]: with durability "async", when a node fails, the writes of its last 10 seconds ${remedy}`,
    ]);
    expect(warningsOf({}, durable)).toEqual([]);
  });

  it('a limit of ElastiCache Serverless, at which it evicts whatever the policy says', () => {
    expect(warningsOf({ maxMemoryMegabytes: 1024 })[1]).toBe(
      'caches["c"].maxMemoryMegabytes: with so much in it ElastiCache Serverless evicts what was not used for longest, live ' +
        'tokens and revocations too, whatever evictionPolicy says; leave it out, or use elasticache.nodes, which refuse ' +
        'further writes (noeviction)',
    );
  });

  it('look-ups that write', () => {
    expect(warningsOf({ timeToIdleSeconds: 86_400 }, durable)).toEqual([
      'caches["c"].timeToIdleSeconds: every look-up is a write then, so functions that should only read tokens are permitted ' +
        'to write them; leave it out',
    ]);
  });

  it('none of these where look-ups alone go through the cache', () => {
    const { configuration } = parseConfiguration({
      accessTokenStores: { tokens: { storeIn: 'database', database: 'd', lookupCache: { cache: 'c' } } },
      databases: { d: { engine: 'postgresql' } },
      caches: { c: { engine: 'valkey', maxMemoryMegabytes: 1024, timeToIdleSeconds: 60 } },
    });
    expect(deploymentWarnings(configuration)).toEqual([]);
  });

  it('a cache that functions reach over the internet', () => {
    expect(warningsOf({ hosts: ['a.example'] })).toEqual([
      'caches["c"]: functions reach it over the internet, if at all; give its securityGroup, and its VPC beside the ' +
        'configuration (network.vpc)',
    ]);
    expect(warningsOf({ hosts: ['a.example'], securityGroup: 'sg-0123456789abcdef0' })).toEqual([]);
  });

  it('artifacts in the cache of tokens, where functions write artifacts and should only read tokens', () => {
    const client = { tokenEndpointAuthMethod: 'private_key_jwt', jwks: { keys: [{ kty: 'EC' }] } } as const;
    const shared = { ...inValkey(), artifactStores: { artifacts: { cache: 'c' } }, clients: { app: client } };
    const texts = deploymentWarnings(parseConfiguration(shared).configuration, { elasticache: durable });
    expect(texts.map(({ text }) => text)).toEqual([
      'functions that should only read tokens write artifacts to their cache: introspect; give the artifacts a cache of their own',
    ]);
  });
});

describe('is watched', () => {
  const shown = (watched: ReturnType<typeof watchedServerlessCache>) =>
    watched(defaultThresholds).map(({ alarm, of, metric, condition }) => {
      const { metricStat } = metric.toMetricConfig();
      const [dimension] = metricStat?.dimensions ?? [];
      return [alarm, of, metricStat?.metricName, `${dimension?.name}=${dimension?.value}`, limitOf(condition)];
    });

  it('Serverless, by its name, and its memory where it has a limit', () => {
    const all = [
      ['cache-evictions', undefined, 'Evictions', 'clusterId=c', 1],
      ['cache-logins', undefined, 'AuthenticationFailures', 'clusterId=c', 5],
      ['cache-throttled', undefined, 'ThrottledCmds', 'clusterId=c', 50],
    ];
    expect(shown(watchedServerlessCache('c'))).toEqual(all);
    expect(shown(watchedServerlessCache('c', 4))).toEqual([
      ...all,
      ['cache-memory', undefined, 'BytesUsedForCache', 'clusterId=c', 3 * 2 ** 30],
    ]);
  });

  it('every node, by the name that its group gives it', () => {
    const watches = shown(watchedCacheNodes('g', { shards: 2, replicas: 1 }));
    expect(new Set(watches.map(([, of]) => of))).toEqual(new Set(['0001-001', '0001-002', '0002-001', '0002-002']));
    expect(watches.filter(([, of]) => of === '0002-001')).toEqual([
      ['cache-evictions', '0002-001', 'Evictions', 'CacheClusterId=g-0002-001', 1],
      ['cache-logins', '0002-001', 'AuthenticationFailures', 'CacheClusterId=g-0002-001', 5],
      ['cache-memory', '0002-001', 'DatabaseMemoryUsagePercentage', 'CacheClusterId=g-0002-001', 75],
      ['cache-processor', '0002-001', 'EngineCPUUtilization', 'CacheClusterId=g-0002-001', 80],
      ['cache-replication', '0002-001', 'ReplicationLag', 'CacheClusterId=g-0002-001', 5],
    ]);
  });

  it('by the service of the deployment', () => {
    const names = (template: Template) =>
      propertiesOf(template, 'AWS::CloudWatch::Alarm')
        .map(({ AlarmName }) => AlarmName)
        .filter((name) => name.includes('-cache-'));
    expect(names(serverless.service)).toEqual([
      'oauth2-stores-service-cache-evictions-c',
      'oauth2-stores-service-cache-logins-c',
      'oauth2-stores-service-cache-throttled-c',
    ]);
    expect(names(onNodes.service)).toHaveLength(4 * 5);
  });
});
