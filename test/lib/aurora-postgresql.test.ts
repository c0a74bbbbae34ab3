import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { App, RemovalPolicy, Stack, Validations } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import { Vpc } from 'aws-cdk-lib/aws-ec2';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Code, Function as LambdaFunction, Runtime } from 'aws-cdk-lib/aws-lambda';
import { AwsSolutionsChecks } from 'cdk-nag';
import { describe, expect, it } from 'vitest';
import { parseConfiguration } from '../../functions/config/configuration.ts';
import { AuroraPostgresql, auroraPostgresqlConnection, auroraPostgresqlFacts } from '../../lib/aurora-postgresql.ts';
import { type DatabaseServer, userFor } from '../../lib/database-server.ts';
import { functionNetwork, networkFacts, PrivateNetwork } from '../../lib/network.ts';
import { Facts, publishedFacts } from '../../lib/parameters.ts';
import { postgresql } from '../../lib/postgresql.ts';

/** What a template holds. */
type Json = ReturnType<typeof JSON.parse>;

const kept = { deletionProtection: true, removalPolicy: RemovalPolicy.RETAIN };
const settingsOf = (database: object) => {
  const { configuration } = parseConfiguration({ databases: { db: { engine: 'postgresql', ...database } } });
  return configuration.databases.db as DatabaseServer;
};

const app = new App();
const data = new Stack(app, 'Data');
const network = new PrivateNetwork(data, 'Network');
const aurora = new AuroraPostgresql(data, 'Database', { network, ...kept });
new Facts(data, 'NetworkFacts', '/test/network', network.facts);
new Facts(data, 'DatabaseFacts', '/test/database', aurora.facts);

const service = new Stack(app, 'Service');
const connection = auroraPostgresqlConnection(
  service,
  settingsOf({ pool: { maxWaitMs: 3000, minIdle: 4 } }),
  publishedFacts(service, '/test/database', auroraPostgresqlFacts),
  functionNetwork(service, 'Network', publishedFacts(service, '/test/network', networkFacts)),
);
const reader = new LambdaFunction(service, 'Reader', {
  runtime: Runtime.NODEJS_24_X,
  handler: 'index.handler',
  code: Code.fromInline('//'),
  environment: { SETTINGS: service.toJsonString(connection.settingsFor({ tokens: 'read' })) },
  ...connection.network,
});
connection.grant(reader, { tokens: 'read' });
const reading = Template.fromStack(service);
const template = Template.fromStack(data);
const folder = app.synth().directory;

type Resource = { Type: string; Properties: Record<string, never>; DependsOn?: string[]; DeletionPolicy?: string };
const resources: Record<string, Resource> = template.toJSON().Resources;
const ofType = (type: string) => Object.entries(resources).filter(([, { Type }]) => Type === type);
const propertiesOf = (type: string) => ofType(type).map(([, { Properties }]) => Properties as Record<string, Json>);

describe('the cluster', () => {
  it('is encrypted, backed up, protected and kept, lets in by IAM and over TLS only, and has no password in the template', () => {
    template.hasResource('AWS::RDS::DBCluster', {
      DeletionPolicy: 'Retain',
      UpdateReplacePolicy: 'Retain',
      Properties: {
        StorageEncrypted: true,
        BackupRetentionPeriod: 35,
        DeletionProtection: true,
        DeleteAutomatedBackups: false,
        EnableIAMDatabaseAuthentication: true,
        ManageMasterUserPassword: true,
        MasterUserPassword: Match.absent(),
        PerformanceInsightsEnabled: true,
        EnableCloudwatchLogsExports: ['postgresql', 'iam-db-auth-error'],
        ServerlessV2ScalingConfiguration: { MinCapacity: 0.5, MaxCapacity: 16 },
      },
    });
    template.hasResourceProperties('AWS::RDS::DBClusterParameterGroup', {
      Parameters: Match.objectLike({ 'rds.force_ssl': '1', log_parameter_max_length: '0' }),
    });
    for (const { PubliclyAccessible } of propertiesOf('AWS::RDS::DBInstance')) expect(PubliclyAccessible).toBe(false);
    expect(propertiesOf('AWS::RDS::DBInstance')).toHaveLength(2);
  });

  it('keeps its place: what holds data has the same logical id in every version', () => {
    const stateful = [
      'AWS::RDS::DBCluster',
      'AWS::RDS::DBInstance',
      'AWS::RDS::DBSubnetGroup',
      'AWS::RDS::DBProxy',
      'AWS::EC2::VPC',
      'AWS::EC2::Subnet',
    ];
    expect(stateful.flatMap((type) => ofType(type).map(([id]) => id))).toEqual([
      'DatabaseCluster5B53A178',
      'DatabaseClusterWriterD43085C6',
      'DatabaseClusterReader1D8B76102',
      'DatabaseClusterSubnets5540150D',
      'DatabaseProxyE01FC4E6',
      'NetworkVpc7FB7348F',
      'NetworkVpcPrivateSubnet1Subnet6DD86AE6',
      'NetworkVpcPrivateSubnet2Subnet1BDBE877',
    ]);
  });
});

describe('the proxy', () => {
  it('demands TLS and IAM, and has no secret: it logs in to the cluster by IAM too, as one of four users', () => {
    template.hasResourceProperties('AWS::RDS::DBProxy', {
      DefaultAuthScheme: 'IAM_AUTH',
      RequireTLS: true,
      Auth: Match.absent(),
      EngineFamily: 'POSTGRESQL',
    });
    const [cluster] = ofType('AWS::RDS::DBCluster');
    const ofProxy = propertiesOf('AWS::IAM::Policy').filter(({ PolicyName }) => PolicyName.includes('ProxyRole'));
    const arn = (user: string) => ({
      'Fn::Join': [
        '',
        [
          ...['arn:', { Ref: 'AWS::Partition' }, ':rds-db:', { Ref: 'AWS::Region' }, ':', { Ref: 'AWS::AccountId' }],
          ...[':dbuser:', { 'Fn::GetAtt': [cluster?.[0], 'DBClusterResourceId'] }, `/${user}`],
        ],
      ],
    });
    expect(ofProxy.map(({ PolicyDocument }) => PolicyDocument.Statement)).toEqual([
      [
        {
          Effect: 'Allow',
          Action: 'rds-db:connect',
          Resource: ['oauth_reader', 'oauth_checker', 'oauth_writer', 'oauth_purger'].map(arn),
        },
      ],
    ]);
  });
});

describe('the network', () => {
  it('has no way to or from the internet, and the endpoints that functions need, for this account', () => {
    for (const type of ['InternetGateway', 'NatGateway', 'EIP', 'Route', 'VPCGatewayAttachment']) {
      template.resourceCountIs(`AWS::EC2::${type}`, 0);
    }
    const endpoints = propertiesOf('AWS::EC2::VPCEndpoint').map(({ ServiceName, SubnetIds, PolicyDocument }) => ({
      service: ServiceName['Fn::Join'][1].at(-1),
      subnets: SubnetIds.length,
      actions: PolicyDocument.Statement.map(({ Action }: { Action: string }) => Action),
      accounts: PolicyDocument.Statement.map(({ Condition }: Json) => Object.keys(Condition.StringEquals)),
    }));
    const accounts = [['aws:PrincipalAccount', 'aws:ResourceAccount']];
    expect(endpoints).toEqual([
      { service: '.kms', subnets: 2, actions: ['kms:Decrypt'], accounts },
      { service: '.secretsmanager', subnets: 1, actions: ['secretsmanager:GetSecretValue'], accounts },
    ]);
  });

  it('lets functions speak to the proxy and to AWS KMS, the proxy to the cluster, and nobody to anybody else', () => {
    const nameOf = (group: Json) =>
      /(Clients|Endpoints|ClusterGroup|ProxyGroup|SchemaGroup)/.exec(group?.['Fn::GetAtt']?.[0])?.[1];
    const ports: unknown[] = [443, 5432];
    const portOf = ({ FromPort, ToPort }: Json) => {
      expect(ToPort).toEqual(FromPort);
      return ports.includes(FromPort) ? FromPort : FromPort['Fn::GetAtt'][1];
    };
    const out = propertiesOf('AWS::EC2::SecurityGroupEgress').map((rule) =>
      [nameOf(rule.GroupId), nameOf(rule.DestinationSecurityGroupId), portOf(rule)].join(' '),
    );
    const into = propertiesOf('AWS::EC2::SecurityGroupIngress').map((rule) =>
      [nameOf(rule.SourceSecurityGroupId), nameOf(rule.GroupId), portOf(rule)].join(' '),
    );
    const ways = [
      'Clients Endpoints 443',
      'Clients ProxyGroup 5432',
      'ProxyGroup ClusterGroup Endpoint.Port',
      'SchemaGroup ClusterGroup 5432',
      'SchemaGroup Endpoints 443',
    ];
    expect(out.toSorted()).toEqual(ways);
    expect(into.toSorted()).toEqual(ways);
    for (const { SecurityGroupIngress, SecurityGroupEgress } of propertiesOf('AWS::EC2::SecurityGroup')) {
      expect(SecurityGroupIngress).toBeUndefined();
      expect(SecurityGroupEgress.map(({ CidrIp }: { CidrIp: string }) => CidrIp)).toEqual(['127.0.0.1/32']);
    }
  });

  it('may be one that is there, with two private subnets at least', () => {
    const stack = new Stack(new App(), 'There');
    const vpc = (id: string, subnetIds: string[]) =>
      Vpc.fromVpcAttributes(stack, id, {
        vpcId: 'vpc-0123456789abcdef0',
        availabilityZones: ['eu-central-1a', 'eu-central-1b'].slice(0, subnetIds.length),
        isolatedSubnetIds: subnetIds,
        isolatedSubnetRouteTableIds: subnetIds.map((each) => `rtb-${each}`),
      });
    expect(() => new PrivateNetwork(stack, 'Narrow', { vpc: vpc('One', ['subnet-0123456789abcdef1']) })).toThrow(
      'vpc: 1 private subnets; accepted: at least two in different Availability Zones, as Aurora and RDS Proxy need',
    );
    const there = new PrivateNetwork(stack, 'Wide', {
      vpc: vpc('Two', ['subnet-0123456789abcdef1', 'subnet-0123456789abcdef2']),
    });
    expect(stack.resolve(there.facts.subnetIds)).toBe('subnet-0123456789abcdef1,subnet-0123456789abcdef2');
    expect(there.allowSecrets(there.clients)).toEqual([there.clients]);
    const within = Template.fromStack(stack);
    within.resourceCountIs('AWS::EC2::VPCEndpoint', 0);
    within.resourceCountIs('AWS::EC2::VPC', 0);
  });

  it('has a gateway to DynamoDB where functions use it too', () => {
    const stack = new Stack(new App(), 'Both');
    new PrivateNetwork(stack, 'Network', { services: ['dynamodb'], availabilityZones: ['a', 'b', 'c'] });
    new PrivateNetwork(stack, 'Listed', { services: ['dynamodb'], dynamodbPrefixList: 'pl-0123456789abcdef0' });
    const within = Template.fromStack(stack);
    const groups: Json[] = Object.values(within.findResources('AWS::EC2::SecurityGroup'));
    const rules: Json[] = Object.values(within.findResources('AWS::EC2::SecurityGroupEgress'));
    const addresses = groups.flatMap(({ Properties }) =>
      Properties.SecurityGroupEgress.map(({ CidrIp }: Json) => CidrIp),
    );
    const lists = rules.flatMap(({ Properties }) => Properties.DestinationPrefixListId ?? []);
    expect(addresses.filter((address) => address !== '127.0.0.1/32')).toEqual(['0.0.0.0/0']);
    expect(lists).toEqual(['pl-0123456789abcdef0']);
    within.hasResourceProperties('AWS::EC2::VPCEndpoint', {
      VpcEndpointType: 'Gateway',
      RouteTableIds: Match.arrayEquals([Match.anyValue(), Match.anyValue(), Match.anyValue()]),
      PolicyDocument: { Statement: [Match.objectLike({ Action: 'dynamodb:*', Condition: Match.anyValue() })] },
    });
  });
});

describe('a connection', () => {
  it('is made of text from parameters, in a stack that refers to no other', () => {
    expect(JSON.stringify(reading.toJSON())).not.toContain('Fn::ImportValue');
    const [fn]: Json[] = Object.values(reading.findResources('AWS::Lambda::Function'));
    const { SubnetIds, SecurityGroupIds } = fn.Properties.VpcConfig;
    expect(SubnetIds).toEqual({ 'Fn::Split': [',', { Ref: expect.stringContaining('subnetIds') }] });
    expect(SecurityGroupIds).toEqual([{ Ref: expect.stringContaining('clientGroupId') }]);
  });

  it('permits to connect as the user of the use, and nothing else', () => {
    reading.hasResourceProperties('AWS::IAM::Policy', {
      PolicyDocument: {
        Statement: [
          {
            Effect: 'Allow',
            Action: 'rds-db:connect',
            Resource: {
              'Fn::Join': [
                '',
                Match.arrayWith([':dbuser:', { Ref: Match.stringLikeRegexp('proxyId') }, '/oauth_reader']),
              ],
            },
          },
        ],
      },
    });
  });

  it('has settings that go over those of the file: IAM, TLS, one connection for each function', () => {
    const { host: _, ...settings } = connection.settingsFor({ tokens: 'write' });
    expect(settings).toMatchObject({
      port: 5432,
      user: 'oauth_writer',
      password: { iam: true },
      tls: true,
      pool: { maxActive: 1, minIdle: 1, maxWaitMs: 3000 },
    });
    expect(() =>
      settingsOf({ ...settings, host: 'app.proxy-x.eu-central-1.rds.amazonaws.com', database: 'oauth' }),
    ).not.toThrow();
  });

  it.each([
    [{ tokens: 'read' }, 'oauth_reader'],
    [{ tokens: 'read', artifacts: 'write' }, 'oauth_checker'],
    [{ artifacts: 'write' }, 'oauth_checker'],
    [{ artifacts: 'read' }, 'oauth_checker'],
    [{ tokens: 'write' }, 'oauth_writer'],
    [{ tokens: 'write', artifacts: 'read' }, 'oauth_writer'],
    [{ tokens: 'purge' }, 'oauth_purger'],
    [{ tokens: 'purge', artifacts: 'purge' }, 'oauth_purger'],
    [{ tokens: 'purge', artifacts: 'write' }, 'oauth_writer'],
  ] as const)('for %o is that of %s', (use, user) => {
    expect(userFor(use)).toBe(user);
  });
});

describe('the schema', () => {
  const [applying] = propertiesOf('AWS::Lambda::Function').filter(({ Handler }) => Handler === 'apply-schema.handler');
  const asset = join(folder, `asset.${applying?.Code.S3Key.replace('.zip', '')}`);

  it('comes with the function that applies it, with the driver and no file of another engine', () => {
    const scripts = JSON.parse(readFileSync(join(asset, 'schema.json'), 'utf8'));
    for (const path of [
      'oauth-server.sql',
      'oauth-client.sql',
      'oauth-partitions.sql',
      'oauth-roles.sql',
      'upgrades/oauth-server-2.sql',
    ]) {
      expect(scripts[path]).toBe(readFileSync(new URL(`../../sql/postgresql/${path}`, import.meta.url), 'utf8'));
    }
    const texts = globSync('**/*.mjs', { cwd: asset }).map((file) => readFileSync(join(asset, file), 'utf8'));
    expect(texts.some((text) => text.includes('pg_try_advisory_xact_lock'))).toBe(true);
    expect(texts.some((text) => text.includes('DynamoDB_20120810'))).toBe(false);
  });

  it('is applied once the cluster and the ways to it are there, anew when a script has changed, and stays', () => {
    const [[, version] = []] = ofType('Custom::PostgresqlSchema');
    expect(version?.DeletionPolicy).toBe('Retain');
    const needed = ['AWS::RDS::DBInstance', 'AWS::EC2::VPCEndpoint'].flatMap((type) => ofType(type).map(([id]) => id));
    const secrets = needed.filter((id) => !id.includes('Kms'));
    expect(version?.DependsOn).toEqual(expect.arrayContaining(secrets));
    expect(version?.Properties).toMatchObject({
      application: 'automatic',
      scripts: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
  });

  it('has expiry partitions where the configuration asks for them', () => {
    for (const expiryPartitions of [true, false]) {
      const stack = new Stack(new App(), 'Partitions');
      const settings = settingsOf({ expiryPartitions });
      const used = { section: 'databases', name: 'db', settings, kinds: [], cachesLookups: false } as const;
      const { create } = postgresql(used, { configuration: parseConfiguration({}).configuration });
      create?.(stack, 'Database', { ...kept, network: () => new PrivateNetwork(stack, 'Network') });
      Template.fromStack(stack).hasResourceProperties('Custom::PostgresqlSchema', {
        expiryPartitions: expiryPartitions ? 'true' : Match.absent(),
      });
    }
  });

  it('may be left to somebody else, who is told what to run', () => {
    const stack = new Stack(new App(), 'Manual');
    new AuroraPostgresql(stack, 'Database', {
      network: new PrivateNetwork(stack, 'Network'),
      ...kept,
      schema: 'manual',
      readers: 0,
    });
    Annotations.fromStack(stack).hasWarning(
      '*',
      Match.stringLikeRegexp('the schema is left to you: .* by psql as oauth_admin'),
    );
    Annotations.fromStack(data).hasNoWarning('*', Match.anyValue());
    Template.fromStack(stack).hasResourceProperties('Custom::PostgresqlSchema', { application: 'manual' });
  });
});

it('cdk-nag and CloudFormation’s own validation find nothing', () => {
  const checked = new App({ context: { '@aws-cdk/core:validateAgainstDefaultRules': true } });
  const stack = new Stack(checked, 'Data');
  new AuroraPostgresql(stack, 'Database', {
    network: new PrivateNetwork(stack, 'Network', { services: ['dynamodb'] }),
    ...kept,
  });
  new AuroraPostgresql(stack, 'Keyed', {
    network: new PrivateNetwork(stack, 'Other'),
    ...kept,
    encryptionKey: new Key(stack, 'Key', { enableKeyRotation: true }),
  });
  Validations.of(checked).addPlugins(new AwsSolutionsChecks(checked));
  expect(() => checked.synth()).not.toThrow();
});
