import { readFileSync } from 'node:fs';
import { App, RemovalPolicy, Stack, Validations } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Code, Function as LambdaFunction, Runtime } from 'aws-cdk-lib/aws-lambda';
import { AwsSolutionsChecks } from 'cdk-nag';
import { describe, expect, it } from 'vitest';
import { tablesIn } from '../../functions/config/cassandra-tables.ts';
import type { ConfigurationInput } from '../../functions/config/configuration.ts';
import type { StoreUse } from '../../functions/config/functions.ts';
import { defaultThresholds } from '../../lib/alarms.ts';
import { watchedKeyspace } from '../../lib/keyspaces.ts';
import { OAuthStores, type OAuthStoresProps } from '../../lib/oauth-stores.ts';

type Json = ReturnType<typeof JSON.parse>;

const env = { account: '111111111111', region: 'eu-central-1' };
const tables = ['oauth-server', 'oauth-client'].flatMap((name) =>
  tablesIn(readFileSync(new URL(`../../sql/cassandra/${name}.cql`, import.meta.url), 'utf8')),
);
const configurationOf = (keyspace: object = {}, more: object = {}): ConfigurationInput => ({
  accessTokenStores: { tokens: { storeIn: 'cassandra', cassandra: 'k' } },
  artifactStores: { artifacts: { storeIn: 'cassandra', cassandra: 'k' } },
  cassandra: { k: { engine: 'keyspaces', keyspace: 'oauth', ...keyspace } },
  ...more,
});
const deploy = (props: Partial<OAuthStoresProps> = {}, app = new App()) => {
  const stack = new Stack(app, 'Data', { env });
  const stores = new OAuthStores(stack, 'Stores', { configuration: configurationOf(), ...props });
  return { stack, stores };
};
const propertiesOf = (template: Template, type: string): Json[] =>
  Object.values<Json>(template.findResources(type)).map(({ Properties }) => Properties);

describe('a keyspace that is created', () => {
  const { stack } = deploy();
  const template = Template.fromStack(stack);
  const created = new Map(propertiesOf(template, 'AWS::Cassandra::Table').map((each) => [each.TableName, each]));

  it('has the tables and columns of the scripts, and no others', () => {
    template.hasResourceProperties('AWS::Cassandra::Keyspace', { KeyspaceName: 'oauth' });
    expect([...created.keys()].toSorted()).toEqual(tables.map(({ name }) => name).toSorted());
    for (const { name, columns } of tables) {
      const { PartitionKeyColumns, ClusteringKeyColumns = [], RegularColumns = [] } = created.get(name);
      const texts = (list: Json[]) => list.map(({ ColumnName, ColumnType }) => `${ColumnName} ${ColumnType}`);
      const ofKind = (kind: string, suffix = '') =>
        columns.flatMap((column) => (column.kind === kind ? [`${column.name} ${column.type}${suffix}`] : []));
      expect(texts(PartitionKeyColumns)).toEqual(ofKind('partition_key'));
      expect(texts(ClusteringKeyColumns.map(({ Column }: Json) => Column))).toEqual(ofKind('clustering'));
      expect(texts(RegularColumns)).toEqual([...ofKind('static', ' STATIC'), ...ofKind('regular')]);
    }
  });

  it('is paid by request, backed up to any second, lets rows expire, and stays', () => {
    for (const properties of created.values()) {
      expect(properties).toMatchObject({
        KeyspaceName: 'oauth',
        BillingMode: { Mode: 'ON_DEMAND' },
        PointInTimeRecoveryEnabled: true,
        DefaultTimeToLive: 630_720_000,
      });
      expect(properties).not.toHaveProperty('ClientSideTimestampsEnabled');
    }
    const kept = ['AWS::Cassandra::Keyspace', 'AWS::Cassandra::Table', 'Custom::KeyspaceSchema'];
    for (const type of kept) template.allResources(type, { DeletionPolicy: 'Retain', UpdateReplacePolicy: 'Retain' });
  });

  it('is looked at by a function once every table is there, and again whenever a script changes', () => {
    template.hasResource('Custom::KeyspaceSchema', {
      Properties: { keyspace: 'oauth', application: 'automatic', scripts: Match.stringLikeRegexp('^[0-9a-f]{64}$') },
      DependsOn: Match.arrayWith(Object.keys(template.findResources('AWS::Cassandra::Table')).toSorted()),
    });
    const arns = ['/', ...tables.map(({ name }) => `/table/${name}`)].map(
      (path) => `:cassandra:eu-central-1:111111111111:/keyspace/oauth${path}`,
    );
    template.hasResourceProperties('AWS::IAM::Policy', {
      PolicyDocument: {
        Statement: Match.arrayWith([
          {
            Effect: 'Allow',
            Action: ['cassandra:Select', 'cassandra:Create', 'cassandra:Alter'],
            Resource: arns.map((arn) => ({ 'Fn::Join': ['', ['arn:', { Ref: 'AWS::Partition' }, arn]] })),
          },
        ]),
      },
    });
  });

  it('is provisioned, warmed, encrypted with a key of one’s own where that is asked for', () => {
    const app = new App();
    const keys = new Stack(app, 'Keys', { env });
    const provisioned = { read: { min: 10, max: 100 }, write: { min: 5, max: 50 } };
    const first = deploy(
      { keyspaces: { provisioned }, encryptionKey: new Key(keys, 'Key'), removalPolicy: RemovalPolicy.DESTROY },
      app,
    );
    const scaling = (MinimumUnits: number, MaximumUnits: number) => ({
      MinimumUnits,
      MaximumUnits,
      ScalingPolicy: { TargetTrackingScalingPolicyConfiguration: { TargetValue: 70 } },
    });
    const changed = Template.fromStack(first.stack);
    changed.allResourcesProperties('AWS::Cassandra::Table', {
      BillingMode: { Mode: 'PROVISIONED', ProvisionedThroughput: { ReadCapacityUnits: 10, WriteCapacityUnits: 5 } },
      AutoScalingSpecifications: {
        ReadCapacityAutoScaling: scaling(10, 100),
        WriteCapacityAutoScaling: scaling(5, 50),
      },
      EncryptionSpecification: { EncryptionType: 'CUSTOMER_MANAGED_KMS_KEY' },
    });
    changed.allResources('AWS::Cassandra::Table', { DeletionPolicy: 'Delete' });
    Template.fromStack(keys).hasResourceProperties('AWS::KMS::Key', {
      KeyPolicy: {
        Statement: Match.arrayWith([
          Match.objectLike({
            Sid: 'KeyspacesOfTheAccount',
            Condition: {
              StringEquals: {
                'kms:CallerAccount': '111111111111',
                'kms:ViaService': 'cassandra.eu-central-1.amazonaws.com',
              },
            },
          }),
        ]),
      },
    });
    const warm = deploy({ keyspaces: { warmThroughput: { read: 20_000, write: 8000 } } });
    Template.fromStack(warm.stack).allResourcesProperties('AWS::Cassandra::Table', {
      WarmThroughput: { ReadUnitsPerSecond: 20_000, WriteUnitsPerSecond: 8000 },
    });
  });
});

describe('a keyspace that is there', () => {
  const { stack } = deploy({
    configuration: configurationOf({ existing: true, region: 'eu-west-1' }),
    keyspaces: { schema: 'manual' },
  });
  const template = Template.fromStack(stack);

  it('is not created, and left to others if they want it, who are told', () => {
    template.resourceCountIs('AWS::Cassandra::Keyspace', 0);
    template.resourceCountIs('AWS::Cassandra::Table', 0);
    template.hasResourceProperties('Custom::KeyspaceSchema', {
      keyspace: 'oauth',
      region: 'eu-west-1',
      application: 'manual',
    });
    Annotations.fromStack(stack).hasWarning('*', Match.stringLikeRegexp('the schema is left to you'));
    expect(JSON.stringify(template.toJSON())).not.toContain('cassandra:Create');
  });
});

describe('a function', () => {
  const permitted = (use: StoreUse) => {
    const { stack, stores } = deploy();
    const fn = new LambdaFunction(stack, 'Server', {
      runtime: Runtime.NODEJS_24_X,
      handler: 'index.handler',
      code: Code.fromInline('//'),
      ...stores.networkFor(use),
    });
    stores.grantAccess(fn, use);
    const template = Template.fromStack(stack);
    const [policy] = Object.entries(template.findResources('AWS::IAM::Policy')).filter(([id]) =>
      id.startsWith('Server'),
    );
    const statements: Json[] = policy?.[1].Properties.PolicyDocument.Statement;
    const [server] = Object.entries(template.findResources('AWS::Lambda::Function')).filter(([id]) =>
      id.startsWith('Server'),
    );
    const tablesOf = (resource: Json) => JSON.stringify(resource).match(/keyspace\/[^"]+/g);
    return {
      settings: JSON.parse(server?.[1].Properties.Environment.Variables.OAUTH_STORES_CONNECTIONS),
      cassandra: statements
        .filter(({ Action }) => JSON.stringify(Action).includes('cassandra:'))
        .map(({ Action, Resource }) => [Action, tablesOf(Resource)]),
      text: JSON.stringify(statements),
    };
  };
  const named = (names: string[]) => names.map((name) => `keyspace/oauth/table/${name}`);
  const artifacts = tables.map(({ name }) => name).filter((name) => name.startsWith('oauth_artifact'));
  const tokens = tables.map(({ name }) => name).filter((name) => !artifacts.includes(name));
  const system = ['cassandra:Select', ['keyspace/system*']];

  it('that reads tokens may read their tables, and no others', () => {
    const { cassandra, settings, text } = permitted({ accessTokenStores: 'read' });
    expect(cassandra).toEqual([['cassandra:Select', named(tokens)], system]);
    expect(settings).toEqual({ cassandra: { k: { existing: true } } });
    expect(text).not.toContain('ec2:');
  });

  it('that writes artifacts may write to theirs alone', () => {
    const { cassandra } = permitted({ accessTokenStores: 'read', artifactStores: 'write' });
    expect(cassandra).toEqual([
      ['cassandra:Select', named(tokens)],
      [['cassandra:Select', 'cassandra:Modify'], named(artifacts)],
      system,
    ]);
  });

  it('that purges may read no row: rows leave by their TTL', () => {
    expect(permitted({ accessTokenStores: 'purge', artifactStores: 'purge' }).cassandra).toEqual([system]);
  });

  it('in a network reaches it by an endpoint, whose nodes Keyspaces may look up for it', () => {
    const stack = new Stack(new App(), 'Data', { env });
    const configuration = configurationOf(
      {},
      {
        authorizationCodeStores: { codes: { storeIn: 'database', database: 'd' } },
        databases: { d: { engine: 'postgresql' } },
      },
    );
    const stores = new OAuthStores(stack, 'Stores', { configuration });
    const fn = new LambdaFunction(stack, 'Server', {
      runtime: Runtime.NODEJS_24_X,
      handler: 'index.handler',
      code: Code.fromInline('//'),
      ...stores.networkFor(),
    });
    stores.grantAccess(fn);
    const template = Template.fromStack(stack);
    template.hasResourceProperties('AWS::EC2::VPCEndpoint', {
      ServiceName: 'com.amazonaws.eu-central-1.cassandra',
      PrivateDnsEnabled: true,
      PolicyDocument: { Statement: [Match.objectLike({ Action: ['cassandra:Select', 'cassandra:Modify'] })] },
    });
    template.hasResourceProperties('AWS::EC2::SecurityGroupIngress', { FromPort: 9142, ToPort: 9142 });
    template.hasResourceProperties('AWS::IAM::Policy', {
      PolicyDocument: {
        Statement: Match.arrayWith([
          { Effect: 'Allow', Action: ['ec2:DescribeNetworkInterfaces', 'ec2:DescribeVpcEndpoints'], Resource: '*' },
        ]),
      },
    });
  });
});

describe('a deployment is refused for', () => {
  it.each<[string, object, Partial<OAuthStoresProps>, string]>([
    [
      'a Region of a keyspace that it creates',
      { region: 'eu-west-1' },
      {},
      'cassandra["k"].region: found a Region for a keyspace that the deployment creates; accepted: nothing: the keyspace is created in the Region of its stack; or "existing": true, of a keyspace that is there',
    ],
    [
      'capacity the wrong way round',
      {},
      { keyspaces: { provisioned: { read: { min: 9, max: 1 }, write: { min: 1, max: 2 } } } },
      'keyspaces.provisioned.read: found {"min":9,"max":1}; accepted: min and max, whole numbers from 1 to 40000',
    ],
    [
      'warm throughput of provisioned capacity',
      {},
      {
        keyspaces: {
          provisioned: { read: { min: 1, max: 1 }, write: { min: 1, max: 2 } },
          warmThroughput: { read: 1, write: 1 },
        },
      },
      'keyspaces.warmThroughput: found warm throughput beside provisioned capacity; accepted: one of the two',
    ],
  ])('%s', (_what, keyspace, props, fault) => {
    expect(() => deploy({ configuration: configurationOf(keyspace), ...props })).toThrow(fault);
  });

  it.each([
    ['readConsistency', 'QUORUM', 'LOCAL_QUORUM, ONE or LOCAL_ONE'],
    ['writeConsistency', 'ANY', 'LOCAL_QUORUM'],
  ])('a %s that the service has not: %s', (setting, level, accepted) => {
    const store = { storeIn: 'cassandra', cassandra: 'k', [setting]: level };
    const configuration = { ...configurationOf(), accessTokenStores: { tokens: store } } as ConfigurationInput;
    expect(() => deploy({ configuration })).toThrow(
      `accessTokenStores["tokens"].${setting}: found ${level}; accepted: on Amazon Keyspaces only ${accepted}`,
    );
  });
});

it('throttled and failing statements on grants and codes are watched', () => {
  const watches = watchedKeyspace('oauth')(defaultThresholds);
  const seen = watches.map(({ alarm, of }) => `${alarm} ${of}`);
  expect(seen).toContain('keyspace-throttled oauth_grant-SELECT-ReadThrottleEvents');
  expect(seen).toContain('keyspace-throttled oauth_code-UPDATE-WriteThrottleEvents');
  expect(seen).toContain('keyspace-throttled oauth_grant-UPDATE-StoragePartitionThroughputCapacityExceeded');
  expect(seen).toContain('keyspace-errors oauth_grant-SELECT-SystemErrors');
  expect(seen).toContain('keyspace-errors oauth_code-UPDATE-UserErrors');
  expect(seen.join()).not.toContain('ConditionalCheckFailed');
  expect(new Set(seen).size).toBe(16);
});

it('cdk-nag and CloudFormation’s own validation find nothing', () => {
  const app = new App({ context: { '@aws-cdk/core:validateAgainstDefaultRules': true } });
  const { stack, stores } = deploy({}, app);
  const fn = new LambdaFunction(stack, 'Server', {
    runtime: Runtime.NODEJS_24_X,
    handler: 'index.handler',
    code: Code.fromInline('//'),
  });
  stores.grantAccess(fn);
  Validations.of(fn).acknowledge({ id: 'AwsSolutions-IAM4', reason: 'Of this test.' });
  Validations.of(fn.role ?? fn).acknowledge({
    id: 'AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole]',
    reason: 'Of this test.',
  });
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  expect(() => app.synth()).not.toThrow();
});
