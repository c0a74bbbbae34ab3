import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { App, RemovalPolicy, Stack, Validations } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Code, Function as LambdaFunction, Runtime } from 'aws-cdk-lib/aws-lambda';
import { AwsSolutionsChecks } from 'cdk-nag';
import { describe, expect, it } from 'vitest';
import { parseConfiguration } from '../../functions/config/configuration.ts';
import { defaultThresholds } from '../../lib/alarms.ts';
import type { DatabaseServer } from '../../lib/database-server.ts';
import { MariadbInstance, mariadbInstanceConnection, mariadbInstanceFacts } from '../../lib/mariadb-instance.ts';
import { functionNetwork, networkFacts, PrivateNetwork } from '../../lib/network.ts';
import { Facts, publishedFacts } from '../../lib/parameters.ts';

/** What a template holds. */
type Json = ReturnType<typeof JSON.parse>;

const kept = { deletionProtection: true, removalPolicy: RemovalPolicy.RETAIN };
const { databases } = parseConfiguration({
  databases: { db: { engine: 'mariadb', pool: { maxWaitMs: 3000, minIdle: 4 } } },
}).configuration;
const settings = databases.db as DatabaseServer;

const app = new App();
const data = new Stack(app, 'Data');
const network = new PrivateNetwork(data, 'Network');
const instance = new MariadbInstance(data, 'Database', { network, ...kept });
new Facts(data, 'NetworkFacts', '/test/network', network.facts);
new Facts(data, 'DatabaseFacts', '/test/database', instance.facts);

const service = new Stack(app, 'Service');
const published = {
  facts: publishedFacts(service, '/test/database', mariadbInstanceFacts),
  network: functionNetwork(service, 'Network', publishedFacts(service, '/test/network', networkFacts)),
};
const connection = mariadbInstanceConnection(service, settings, published.facts, published.network);
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

type Resource = { Type: string; Properties: Json; DependsOn?: string[]; DeletionPolicy?: string };
const resources: Record<string, Resource> = template.toJSON().Resources;
const ofType = (type: string) => Object.entries(resources).filter(([, { Type }]) => Type === type);
const propertiesOf = (type: string) => ofType(type).map(([, { Properties }]) => Properties);

describe('the instance', () => {
  it('is in two zones, encrypted, backed up, protected and kept, and has no password in the template', () => {
    template.hasResource('AWS::RDS::DBInstance', {
      DeletionPolicy: 'Retain',
      UpdateReplacePolicy: 'Retain',
      Properties: {
        Engine: 'mariadb',
        EngineVersion: Match.stringLikeRegexp('^11\\.8\\.'),
        DBInstanceClass: 'db.m7g.large',
        MultiAZ: true,
        PubliclyAccessible: false,
        StorageEncrypted: true,
        AllocatedStorage: '100',
        MaxAllocatedStorage: 1000,
        BackupRetentionPeriod: 35,
        DeletionProtection: true,
        DeleteAutomatedBackups: false,
        CopyTagsToSnapshot: true,
        EnableIAMDatabaseAuthentication: true,
        ManageMasterUserPassword: true,
        MasterUserPassword: Match.absent(),
        EnablePerformanceInsights: true,
        EnableCloudwatchLogsExports: ['error', 'iam-db-auth-error'],
      },
    });
  });

  it('lets in over TLS only, writes a commit before it acknowledges it, and logs no values of statements', () => {
    const [{ Family, Parameters }] = propertiesOf('AWS::RDS::DBParameterGroup');
    expect(Family).toBe('mariadb11.8');
    expect(Parameters).toEqual({
      require_secure_transport: '1',
      innodb_flush_log_at_trx_commit: '1',
      sync_binlog: '1',
      binlog_format: 'ROW',
      general_log: '0',
      slow_query_log: '0',
      max_connections: '500',
      wait_timeout: '900',
      interactive_timeout: '900',
    });
  });

  it('keeps its place: what holds data has the same logical id in every version', () => {
    const stateful = ['AWS::RDS::DBInstance', 'AWS::RDS::DBSubnetGroup'];
    expect(stateful.flatMap((type) => ofType(type).map(([id]) => id))).toEqual([
      'DatabaseInstanceAA8A5FDE',
      'DatabaseInstanceSubnetGroupDE121BB6',
    ]);
  });

  it('is reached by functions and by the one that applies the schema, on its port, and by nobody else', () => {
    const nameOf = (group: Json) =>
      /(Clients|Endpoints|InstanceGroup|SchemaGroup)/.exec(group?.['Fn::GetAtt']?.[0])?.[1];
    const into = propertiesOf('AWS::EC2::SecurityGroupIngress').map((rule) => {
      expect(rule.ToPort).toBe(rule.FromPort);
      return [nameOf(rule.SourceSecurityGroupId), nameOf(rule.GroupId), rule.FromPort].join(' ');
    });
    expect(into.toSorted()).toEqual([
      'Clients Endpoints 443',
      'Clients InstanceGroup 3306',
      'SchemaGroup Endpoints 443',
      'SchemaGroup InstanceGroup 3306',
    ]);
  });
});

describe('a connection', () => {
  it('permits to connect to this instance as the user of the use, and nothing else', () => {
    const [policy]: Json[] = Object.values(reading.findResources('AWS::IAM::Policy'));
    expect(policy.Properties.PolicyDocument.Statement).toEqual([
      {
        Effect: 'Allow',
        Action: 'rds-db:connect',
        Resource: {
          'Fn::Join': [
            '',
            expect.arrayContaining([
              ':dbuser:',
              { Ref: expect.stringContaining('instanceResourceId') },
              '/oauth_reader',
            ]),
          ],
        },
      },
    ]);
    expect(JSON.stringify(reading.toJSON())).not.toContain('Fn::ImportValue');
  });

  it('has settings that go over those of the file: IAM, TLS, one connection for each function', () => {
    const { host: _, database: __, ...given } = connection.settingsFor({ tokens: 'write' });
    expect(given).toMatchObject({
      port: 3306,
      user: 'oauth_writer',
      password: { iam: true },
      tls: true,
      pool: { maxActive: 1, minIdle: 1, maxWaitMs: 3000 },
    });
  });

  it('is watched for four fifths of its connections in use, and for little storage that is left', () => {
    const { facts, network: place } = published;
    const watchesOf = (options: { readonly maxConnections?: number }) =>
      mariadbInstanceConnection(service, settings, facts, place, options)
        .watched?.(defaultThresholds)
        .map(({ alarm, condition }) => [alarm, condition]);
    const storage = ['database-storage', { atMost: 5 * 2 ** 30, periods: [5, 5] }];
    const connections = (atLeast: number) => ['database-connections', { atLeast, periods: [5, 5] }];
    expect(watchesOf({})).toEqual([connections(400), storage]);
    expect(watchesOf({ maxConnections: 1000 })).toEqual([connections(800), storage]);
  });
});

describe('the schema', () => {
  it('comes with the function that applies it, with the driver and no file of another engine', () => {
    const [applying] = propertiesOf('AWS::Lambda::Function').filter(
      ({ Handler }) => Handler === 'apply-schema.handler',
    );
    const asset = join(folder, `asset.${applying.Code.S3Key.replace('.zip', '')}`);
    const scripts = JSON.parse(readFileSync(join(asset, 'schema.json'), 'utf8'));
    for (const path of ['oauth-server.sql', 'oauth-client.sql', 'oauth-roles.sql']) {
      expect(scripts[path]).toBe(readFileSync(new URL(`../../sql/mariadb/${path}`, import.meta.url), 'utf8'));
    }
    const texts = globSync('**/*.mjs', { cwd: asset }).map((file) => readFileSync(join(asset, file), 'utf8'));
    expect(['GET_LOCK', 'mysql_clear_password'].map((word) => texts.some((text) => text.includes(word)))).toEqual([
      true,
      true,
    ]);
    expect(texts.some((text) => text.includes('pg_try_advisory_xact_lock'))).toBe(false);
  });

  it('is applied once the instance is there, as its engine has it, and stays', () => {
    const [[, version] = []] = ofType('Custom::MariadbSchema');
    expect(version?.DeletionPolicy).toBe('Retain');
    expect(version?.DependsOn).toEqual(
      expect.arrayContaining(ofType('AWS::RDS::DBInstance').map(([instance]) => instance)),
    );
    expect(version?.Properties).toMatchObject({ engine: 'mariadb', user: 'oauth_admin', application: 'automatic' });
  });

  it('may be left to somebody else, who is told what to run', () => {
    const stack = new Stack(new App(), 'Manual');
    const props = { network: new PrivateNetwork(stack, 'Network'), ...kept, schema: 'manual' } as const;
    new MariadbInstance(stack, 'Database', props);
    Annotations.fromStack(stack).hasWarning('*', Match.stringLikeRegexp('left to you: .* by mariadb as oauth_admin'));
    Template.fromStack(stack).hasResourceProperties('Custom::MariadbSchema', { application: 'manual' });
  });
});

it('cdk-nag and CloudFormation’s own validation find nothing', () => {
  const checked = new App({ context: { '@aws-cdk/core:validateAgainstDefaultRules': true } });
  const stack = new Stack(checked, 'Data');
  new MariadbInstance(stack, 'Database', { network: new PrivateNetwork(stack, 'Network'), ...kept });
  new MariadbInstance(stack, 'Keyed', {
    network: new PrivateNetwork(stack, 'Other'),
    ...kept,
    deletionProtection: false,
    multiAz: false,
    encryptionKey: new Key(stack, 'Key', { enableKeyRotation: true }),
  });
  Validations.of(checked).addPlugins(new AwsSolutionsChecks(checked));
  expect(() => checked.synth()).not.toThrow();
});
