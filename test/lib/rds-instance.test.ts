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
import type { StoreConnection } from '../../lib/connection.ts';
import type { DatabaseServer } from '../../lib/database-server.ts';
import { db2Instance } from '../../lib/db2.ts';
import type { RdsInstanceOptions } from '../../lib/instance-options.ts';
import { mariadbInstance } from '../../lib/mariadb.ts';
import { mysqlInstance } from '../../lib/mysql.ts';
import { functionNetwork, networkFacts, PrivateNetwork } from '../../lib/network.ts';
import { oracleInstance } from '../../lib/oracle.ts';
import { Facts, publishedFacts } from '../../lib/parameters.ts';
import { postgresqlInstance } from '../../lib/postgresql.ts';
import {
  type InstanceEngine,
  instanceConnection,
  RdsInstance,
  type RdsInstanceFacts,
  rdsInstanceFacts,
} from '../../lib/rds-instance.ts';
import { sqlserverInstance } from '../../lib/sqlserver.ts';

/** What a template holds. */
type Json = ReturnType<typeof JSON.parse>;

const kept = { deletionProtection: true, removalPolicy: RemovalPolicy.RETAIN };

const settingsOf = (engine: string) =>
  parseConfiguration({ databases: { db: { engine, pool: { maxWaitMs: 3000, minIdle: 4 } } } }).configuration.databases
    .db as DatabaseServer;

type Resource = { Type: string; Properties: Json; DependsOn?: string[]; DeletionPolicy?: string };

/** A stack with an instance, and another one with a function that reads from it. */
function deployed(engine: InstanceEngine) {
  const app = new App();
  const data = new Stack(app, 'Data');
  const { service: used } = engine.login;
  const network = new PrivateNetwork(data, 'Network', { services: used ? [used] : [] });
  const { facts } = new RdsInstance(data, 'Database', { network, ...kept }, engine);
  new Facts(data, 'NetworkFacts', '/test/network', network.facts);
  new Facts(data, 'DatabaseFacts', '/test/database', facts);

  const service = new Stack(app, 'Service');
  const published = publishedFacts(service, '/test/database', rdsInstanceFacts(engine)) as RdsInstanceFacts;
  const place = functionNetwork(service, 'Network', publishedFacts(service, '/test/network', networkFacts));
  const connect = (options?: RdsInstanceOptions): StoreConnection =>
    instanceConnection(service, settingsOf(engine.engine), engine, published, place, options);
  const connection = connect();
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
  const resources: Record<string, Resource> = template.toJSON().Resources;
  const ofType = (type: string) => Object.entries(resources).filter(([, { Type }]) => Type === type);
  const propertiesOf = (type: string) => ofType(type).map(([, { Properties }]) => Properties);
  return { folder: app.synth().directory, connect, connection, reading, template, ofType, propertiesOf };
}

const innodb = {
  require_secure_transport: '1',
  innodb_flush_log_at_trx_commit: '1',
  sync_binlog: '1',
  binlog_format: 'ROW',
  general_log: '0',
  slow_query_log: '0',
  max_connections: '500',
  wait_timeout: '900',
  interactive_timeout: '900',
};

const mysqlDriver = ['mysql_clear_password', 'GET_LOCK'];

/** What is expected of an engine without IAM. */
const withPasswords = (port: number, settings: object) => ({
  absent: 'pg_try_advisory_xact_lock',
  ways: [
    `Clients InstanceGroup ${port}`,
    `SchemaGroup InstanceGroup ${port}`,
    `RotationGroup InstanceGroup ${port}`,
    'RotationGroup Endpoints 443',
  ],
  stateful: ['DatabaseInstanceAA8A5FDE', 'DatabaseInstanceSubnetGroupDE121BB6'],
  permitted: ['"Action":"secretsmanager:GetSecretValue"', 'readerSecretArn'],
  connections: { atLeast: 400, periods: [5, 5] },
  settings: {
    port,
    user: 'oauth_writer',
    password: { secretArn: expect.stringContaining('TOKEN') },
    ...settings,
  },
});

/** What is expected of each engine. */
const engines = [
  {
    engine: postgresqlInstance(),
    instance: { Engine: 'postgres', EngineVersion: '17.9', DBInstanceClass: 'db.m7g.large', DBName: 'oauth' },
    logs: ['postgresql', 'iam-db-auth-error'],
    family: 'postgres17',
    parameters: {
      'rds.force_ssl': '1',
      log_parameter_max_length: '0',
      log_parameter_max_length_on_error: '0',
      log_min_duration_statement: '1000',
      log_lock_waits: '1',
      synchronous_commit: 'on',
      max_connections: '500',
    },
    ways: ['Clients ProxyGroup 5432', 'ProxyGroup InstanceGroup 5432', 'SchemaGroup InstanceGroup 5432'],
    stateful: ['DatabaseInstanceAA8A5FDE', 'DatabaseInstanceSubnetGroupDE121BB6', 'DatabaseProxyE01FC4E6'],
    permitted: ['rds-db:connect', 'proxyId', '/oauth_reader'],
    connections: { atLeast: 100_000, periods: [5, 5] },
    settings: { port: 5432, user: 'oauth_writer', password: { iam: true } },
    words: ['pg_try_advisory_xact_lock'],
    absent: 'mysql_clear_password',
    schema: { type: 'Custom::PostgresqlSchema', client: 'psql' },
  },
  {
    engine: mysqlInstance(),
    instance: { Engine: 'mysql', EngineVersion: '8.4.9', DBInstanceClass: 'db.m7g.large', DBName: 'oauth' },
    logs: ['error', 'iam-db-auth-error'],
    family: 'mysql8.4',
    parameters: innodb,
    ways: ['Clients InstanceGroup 3306', 'SchemaGroup InstanceGroup 3306'],
    stateful: ['DatabaseInstanceAA8A5FDE', 'DatabaseInstanceSubnetGroupDE121BB6'],
    permitted: ['rds-db:connect', 'instanceResourceId', '/oauth_reader'],
    connections: { atLeast: 400, periods: [5, 5] },
    settings: { port: 3306, user: 'oauth_writer', password: { iam: true } },
    words: mysqlDriver,
    absent: 'pg_try_advisory_xact_lock',
    schema: { type: 'Custom::MysqlSchema', client: 'mysql' },
  },
  {
    engine: mariadbInstance(),
    instance: { Engine: 'mariadb', EngineVersion: '11.8.6', DBInstanceClass: 'db.m7g.large', DBName: 'oauth' },
    logs: ['error', 'iam-db-auth-error'],
    family: 'mariadb11.8',
    parameters: innodb,
    ways: ['Clients InstanceGroup 3306', 'SchemaGroup InstanceGroup 3306'],
    stateful: ['DatabaseInstanceAA8A5FDE', 'DatabaseInstanceSubnetGroupDE121BB6'],
    permitted: ['rds-db:connect', 'instanceResourceId', '/oauth_reader'],
    connections: { atLeast: 400, periods: [5, 5] },
    settings: { port: 3306, user: 'oauth_writer', password: { iam: true } },
    words: mysqlDriver,
    absent: 'pg_try_advisory_xact_lock',
    schema: { type: 'Custom::MariadbSchema', client: 'mariadb' },
  },
  {
    engine: sqlserverInstance(),
    instance: {
      Engine: 'sqlserver-se',
      EngineVersion: '16.00.4236.2.v1',
      DBInstanceClass: 'db.m6i.large',
      DBName: Match.absent(),
      LicenseModel: 'license-included',
    },
    logs: ['error'],
    family: 'sqlserver-se-16.0',
    parameters: {
      'rds.force_ssl': '1',
      'rds.tls10': 'disabled',
      'rds.tls11': 'disabled',
      'rds.rc4': 'disabled',
      'rds.3des168': 'disabled',
    },
    ...withPasswords(1433, {}),
    words: ['sp_getapplock'],
    schema: { type: 'Custom::SqlserverSchema', client: 'sqlcmd' },
  },
  {
    engine: oracleInstance(),
    instance: {
      Engine: 'oracle-se2',
      EngineVersion: '19.0.0.0.ru-2025-10.rur-2025-10.r1',
      DBInstanceClass: 'db.m5.large',
      DBName: 'oauth',
      CharacterSetName: 'AL32UTF8',
      LicenseModel: 'license-included',
    },
    logs: ['alert', 'listener'],
    family: 'oracle-se2-19',
    parameters: { processes: '650' },
    ...withPasswords(2484, { schema: 'oauth_admin' }),
    words: ['ORA-'],
    schema: { type: 'Custom::OracleSchema', client: 'sqlplus' },
  },
  {
    engine: db2Instance({ ibmCustomerId: '1234567', ibmSiteId: '1234567890' }),
    instance: {
      Engine: 'db2-se',
      EngineVersion: '11.5.9.0.sb00075854.r1',
      DBInstanceClass: 'db.m6i.large',
      DBName: 'oauth',
      LicenseModel: 'bring-your-own-license',
      EnablePerformanceInsights: false,
      ManageMasterUserPassword: Match.absent(),
      MasterUserPassword: { 'Fn::Join': ['', Match.arrayWith(['{{resolve:secretsmanager:'])] },
    },
    logs: ['notify.log'],
    family: 'db2-se-11.5',
    parameters: {
      DB2COMM: 'SSL',
      ssl_svcename: '50443',
      'rds.ibm_customer_id': '1234567',
      'rds.ibm_site_id': '1234567890',
    },
    ...withPasswords(50_443, { schema: 'oauth_admin' }),
    words: ['oauth_schema_lock'],
    schema: { type: 'Custom::Db2Schema', client: 'db2' },
  },
].map((each) => ({ title: each.engine.title, ...each }));

describe.each(engines)('an instance of $title', ({ engine, ...expected }) => {
  const { folder, connect, connection, reading, template, ofType, propertiesOf } = deployed(engine);

  it('is in two zones, encrypted, backed up, protected and kept, and has no password in the template', () => {
    template.hasResource('AWS::RDS::DBInstance', {
      DeletionPolicy: 'Retain',
      UpdateReplacePolicy: 'Retain',
      Properties: {
        EnablePerformanceInsights: true,
        ManageMasterUserPassword: true,
        MasterUserPassword: Match.absent(),
        ...expected.instance,
        MultiAZ: true,
        PubliclyAccessible: false,
        StorageEncrypted: true,
        StorageType: 'gp3',
        AllocatedStorage: '100',
        MaxAllocatedStorage: 1000,
        BackupRetentionPeriod: 35,
        DeletionProtection: true,
        DeleteAutomatedBackups: false,
        CopyTagsToSnapshot: true,
        CACertificateIdentifier: 'rds-ca-rsa2048-g1',
        EnableCloudwatchLogsExports: expected.logs,
      },
    });
    const [{ EnableIAMDatabaseAuthentication: iam = false }] = propertiesOf('AWS::RDS::DBInstance');
    expect(iam).toBe('iam' in expected.settings.password);
  });

  it('lets in over TLS only, writes a commit before it acknowledges it, and logs no values of statements', () => {
    const [{ Family, Parameters }] = propertiesOf('AWS::RDS::DBParameterGroup');
    expect(Family).toBe(expected.family);
    expect(Parameters).toEqual(expected.parameters);
  });

  it('keeps its place: what holds data has the same logical id in every version', () => {
    const stateful = ['AWS::RDS::DBInstance', 'AWS::RDS::DBSubnetGroup', 'AWS::RDS::DBProxy'];
    expect(stateful.flatMap((type) => ofType(type).map(([id]) => id))).toEqual(expected.stateful);
  });

  it('is reached by functions and by those that prepare it, on the port of TLS, and by nobody else', () => {
    const nameOf = (group: Json) => /[A-Z][a-z]+Group|Clients|Endpoints/.exec(group?.['Fn::GetAtt']?.[0])?.[0];
    const into = propertiesOf('AWS::EC2::SecurityGroupIngress').map((rule) => {
      expect(rule.ToPort).toEqual(rule.FromPort);
      const port = typeof rule.FromPort === 'object' ? engine.port : rule.FromPort; // of the instance: its own
      return [nameOf(rule.SourceSecurityGroupId), nameOf(rule.GroupId), port].join(' ');
    });
    const ways = ['Clients Endpoints 443', 'SchemaGroup Endpoints 443', ...expected.ways];
    expect(into.toSorted()).toEqual(ways.toSorted());
    for (const { SecurityGroupIngress = [] } of propertiesOf('AWS::EC2::SecurityGroup')) {
      expect(SecurityGroupIngress).toEqual([]);
    }
  });

  it('permits a function to log in as the user of its use, and nothing else', () => {
    const [policy]: Json[] = Object.values(reading.findResources('AWS::IAM::Policy'));
    const statements = policy.Properties.PolicyDocument.Statement;
    expect(statements).toHaveLength(1);
    const text = JSON.stringify(statements);
    for (const part of expected.permitted) expect(text).toContain(part);
    expect(text).not.toContain('*');
    expect(JSON.stringify(reading.toJSON())).not.toContain('Fn::ImportValue');
  });

  it('has settings that go over those of the file: login, TLS, one connection for each function', () => {
    expect(connection.settingsFor({ tokens: 'write' })).toMatchObject({
      ...expected.settings,
      tls: true,
      pool: { maxActive: 1, minIdle: 1, maxWaitMs: 3000 },
    });
  });

  it('is watched for its connections, and for little storage that is left', () => {
    const watchesOf = (options: RdsInstanceOptions) =>
      connect(options)
        .watched?.(defaultThresholds)
        .map(({ alarm, condition }) => [alarm, condition]);
    const further = [
      ['database-storage', { atMost: 5 * 2 ** 30, periods: [5, 5] }],
      ...('iam' in expected.settings.password ? [] : [['password-rotation', { atLeast: 1 }]]),
    ];
    expect(watchesOf({})).toEqual([['database-connections', expected.connections], ...further]);
    const { atLeast, periods } = expected.connections;
    const doubled = { atLeast: atLeast === 400 ? 800 : atLeast, periods };
    expect(watchesOf({ maxConnections: 1000 })).toEqual([['database-connections', doubled], ...further]);
  });

  it('has the function that applies its schema, with its driver and no file of another engine', () => {
    const [applying] = propertiesOf('AWS::Lambda::Function').filter(
      ({ Handler }) => Handler === 'apply-schema.handler',
    );
    const asset = join(folder, `asset.${applying.Code.S3Key.replace('.zip', '')}`);
    const scripts = JSON.parse(readFileSync(join(asset, 'schema.json'), 'utf8'));
    for (const path of ['oauth-server.sql', 'oauth-client.sql', 'oauth-roles.sql']) {
      const file = new URL(`../../sql/${engine.engine}/${path}`, import.meta.url);
      expect(scripts[path]).toBe(readFileSync(file, 'utf8'));
    }
    const texts = globSync('**/*.mjs', { cwd: asset }).map((file) => readFileSync(join(asset, file), 'utf8'));
    for (const word of expected.words) expect(texts.some((text) => text.includes(word))).toBe(true);
    expect(texts.some((text) => text.includes(expected.absent))).toBe(false);
  });

  it('has its schema applied once it is there, and kept', () => {
    const [[, version] = []] = ofType(expected.schema.type);
    expect(version?.DeletionPolicy).toBe('Retain');
    const [[instance] = []] = ofType('AWS::RDS::DBInstance');
    expect(version?.DependsOn).toContain(instance);
    expect(version?.Properties).toMatchObject({
      engine: engine.engine,
      port: engine.port,
      user: 'oauth_admin',
      application: 'automatic',
    });
  });

  it('may have its schema left to somebody else, who is told what to run', () => {
    const stack = new Stack(new App(), 'Manual');
    const props = { network: new PrivateNetwork(stack, 'Network'), ...kept, schema: 'manual' } as const;
    new RdsInstance(stack, 'Database', props, engine);
    const told = `left to you: .* by ${expected.schema.client} as oauth_admin`;
    Annotations.fromStack(stack).hasWarning('*', Match.stringLikeRegexp(told));
    Template.fromStack(stack).hasResourceProperties(expected.schema.type, { application: 'manual' });
  });

  it('is without findings of cdk-nag and of CloudFormation’s own validation, as it may be chosen too', () => {
    const checked = new App({ context: { '@aws-cdk/core:validateAgainstDefaultRules': true } });
    const stack = new Stack(checked, 'Data');
    const chosen = {
      network: new PrivateNetwork(stack, 'Network'),
      ...kept,
      deletionProtection: false,
      multiAz: false,
      encryptionKey: new Key(stack, 'Key', { enableKeyRotation: true }),
    };
    new RdsInstance(stack, 'Keyed', chosen, engine);
    Validations.of(checked).addPlugins(new AwsSolutionsChecks(checked));
    expect(() => checked.synth()).not.toThrow();
  });
});

it('an instance of Oracle has its port of TLS by an option, in 1.2 and with strong ciphers alone', () => {
  const { ofType, propertiesOf } = deployed(oracleInstance());
  const [group] = propertiesOf('AWS::RDS::OptionGroup');
  const [[servers] = []] = ofType('AWS::EC2::SecurityGroup').filter(([id]) => id.includes('InstanceGroup'));
  expect(group.OptionConfigurations).toEqual([
    {
      OptionName: 'SSL',
      Port: 2484,
      VpcSecurityGroupMemberships: [{ 'Fn::GetAtt': [servers, 'GroupId'] }],
      OptionSettings: [
        { Name: 'SQLNET.SSL_VERSION', Value: '1.2' },
        { Name: 'SQLNET.CIPHER_SUITE', Value: 'TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384' },
        { Name: 'FIPS.SSLFIPS_140', Value: 'TRUE' },
      ],
    },
  ]);
  const [{ OptionGroupName, Port }] = propertiesOf('AWS::RDS::DBInstance');
  expect(OptionGroupName).toEqual({ Ref: ofType('AWS::RDS::OptionGroup')[0]?.[0] });
  expect(Port).toBeUndefined();
});
