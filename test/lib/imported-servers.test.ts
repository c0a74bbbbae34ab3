import { App, Stack, Validations } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Vpc } from 'aws-cdk-lib/aws-ec2';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { AwsSolutionsChecks } from 'cdk-nag';
import { describe, expect, it } from 'vitest';
import { parseConfiguration } from '../../functions/config/configuration.ts';
import { type DeployableConnection, deployableConnections, deploymentWarnings } from '../../lib/deployable.ts';
import { PrivateNetwork } from '../../lib/network.ts';
import { OAuthStores } from '../../lib/oauth-stores.ts';
import { StoreFunction } from '../../lib/store-function.ts';
import type { Document } from '../config/documents.ts';

/** What a template holds. */
type Json = ReturnType<typeof JSON.parse>;

const secretArn = 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:db-AbCdEf';
const address = {
  host: 'db.example',
  database: 'oauth',
  user: 'app',
  password: { secretArn },
  securityGroup: 'sg-0123456789abcdef0',
};

const client = { db2: { clientLayer: 'arn:aws:lambda:eu-central-1:111122223333:layer:db2-client:1' } };

const configurationOf = (database: Document) =>
  parseConfiguration({
    accessTokenStores: { tokens: { storeIn: 'database', database: 'd' } },
    databases: { d: database },
  }).configuration;

function connectionOf(database: Document): DeployableConnection {
  const [connection] = deployableConnections(configurationOf(database), { name: 'tokens', hasVpc: true, ...client });
  if (!connection) throw new Error('no connection');
  return connection;
}

/** A stack with the network of the server, and with what a function may do there. */
function deployed(database: Document, app = new App()): Stack {
  const stack = new Stack(app, 'Imported');
  const vpc = Vpc.fromVpcAttributes(stack, 'Vpc', {
    vpcId: 'vpc-0123456789abcdef0',
    availabilityZones: ['eu-central-1a', 'eu-central-1b'],
    isolatedSubnetIds: ['subnet-0123456789abcdef1', 'subnet-0123456789abcdef2'],
    isolatedSubnetRouteTableIds: ['rtb-0123456789abcdef1', 'rtb-0123456789abcdef2'],
  });
  const network = new PrivateNetwork(stack, 'Network', { vpc });
  const { vpc: _, clients, subnets } = network;
  const place = { vpc, vpcSubnets: { subnets: [...subnets] }, securityGroups: [clients] };
  const described = connectionOf(database);
  described.allow?.(stack, 'Server', network);
  const connection = described.connect(stack, {}, place);
  expect(connection.network).toBe(place);
  const reader = new Role(stack, 'Reader', { assumedBy: new ServicePrincipal('lambda.amazonaws.com') });
  connection.grant(reader, { tokens: 'read' });
  return stack;
}

const permitted = (database: Document): Json => {
  const [policy]: Json[] = Object.values(Template.fromStack(deployed(database)).findResources('AWS::IAM::Policy'));
  return policy.Properties.PolicyDocument.Statement;
};

describe.each([
  ['postgresql', 5432],
  ['mysql', 3306],
  ['mariadb', 3306],
  ['sqlserver', 1433],
  ['oracle', 1521],
  ['db2', 50_000],
] as const)('a server of %s that is there', (engine, port) => {
  it('is let in by its security group on its port: the usual one, one of its own, one of its URL', () => {
    const listening = (database: Document) => {
      const template = Template.fromStack(deployed({ engine, ...database }));
      const [rule]: Json[] = Object.values(template.findResources('AWS::EC2::SecurityGroupIngress'));
      expect(rule.Properties.GroupId).toBe(address.securityGroup);
      expect(rule.Properties.ToPort).toBe(rule.Properties.FromPort);
      return rule.Properties.FromPort;
    };
    const { host: _, database: __, ...login } = address;
    expect(listening(address)).toBe(port);
    expect(listening({ ...address, port: 6432 })).toBe(6432);
    expect(listening({ ...login, url: `${engine}://db.example:7432/oauth` })).toBe(7432);
  });

  it('is reached over TLS, by one connection of each function, as its configuration says for the rest', () => {
    const { connect, create, facts } = connectionOf({ engine, ...address, pool: { maxWaitMs: 3000, minIdle: 4 } });
    const connection = connect(new Stack(), {}, {});
    expect(connection.settingsFor({ tokens: 'write' })).toEqual({
      tls: true,
      pool: expect.objectContaining({ maxActive: 1, minIdle: 1, maxWaitMs: 3000 }),
    });
    expect([create, facts]).toEqual([undefined, []]);
  });

  it('has its password read by functions, and no other secret', () => {
    expect(permitted({ engine, ...address })).toEqual([
      { Effect: 'Allow', Action: 'secretsmanager:GetSecretValue', Resource: secretArn },
    ]);
  });

  it('outside of any network is warned of', () => {
    const { securityGroup: _, ...outside } = address;
    const database = { engine, ...outside };
    expect(deploymentWarnings(configurationOf(database)).map(({ path, text }) => `${path}: ${text}`)).toEqual([
      'databases["d"]: functions reach it over the internet, if at all; give its securityGroup, and its VPC beside the configuration (network.vpc)',
    ]);
    expect(connectionOf(database).isInNetwork).toBe(false);
  });
});

describe.each(['postgresql', 'mysql', 'mariadb'])('a login by IAM to %s', (engine) => {
  it('is permitted as this user, of whichever server', () => {
    const [statement] = permitted({ engine, ...address, password: { iam: true } });
    expect(statement.Action).toBe('rds-db:connect');
    expect(JSON.stringify(statement.Resource)).toContain(':dbuser:*/app');
  });
});

it.each(['sqlserver', 'oracle', 'db2'])('a login by IAM to %s is refused', (engine) => {
  expect(() => connectionOf({ engine, ...address, password: { iam: true } })).toThrow(
    'databases["d"].password.iam: found IAM, which this engine has not; accepted: on postgresql, mysql, mariadb or valkey only',
  );
});

it.each([
  { engine: 'mysql', password: { iam: true } },
  { engine: 'sqlserver', password: { secretArn } },
])('cdk-nag and CloudFormation’s own validation find nothing: $engine', (database) => {
  const app = new App({ context: { '@aws-cdk/core:validateAgainstDefaultRules': true } });
  deployed({ ...address, ...database }, app);
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  expect(() => app.synth()).not.toThrow();
});

describe('functions of Db2', () => {
  const vpc = (stack: Stack) =>
    Vpc.fromVpcAttributes(stack, 'Vpc', {
      vpcId: 'vpc-0123456789abcdef0',
      availabilityZones: ['eu-central-1a', 'eu-central-1b'],
      isolatedSubnetIds: ['subnet-0123456789abcdef1', 'subnet-0123456789abcdef2'],
      isolatedSubnetRouteTableIds: ['rtb-0123456789abcdef1', 'rtb-0123456789abcdef2'],
    });
  const database = { engine: 'db2', ...address } as const;
  const configuration = {
    accessTokenStores: { tokens: { storeIn: 'database', database: 'one' } },
    authorizationCodeStores: { codes: { cache: 'table' } },
    artifactStores: { artifacts: { storeIn: 'database', database: 'two' } },
    caches: { table: { engine: 'dynamodb' } },
    databases: { one: database, two: database },
  } as const;
  const stack = new Stack(new App(), 'Db2');
  const stores = new OAuthStores(stack, 'Stores', { configuration, ...client, network: { vpc: vpc(stack) } });
  new StoreFunction(stack, 'Purge', { handlerName: 'purge', stores });
  new StoreFunction(stack, 'Codes', { handlerName: 'lookup-code', stores });
  const functions: Json[] = Object.values(Template.fromStack(stack).findResources('AWS::Lambda::Function'));
  const [purge, codes] = ['purge.handler', 'lookup-code.handler'].map(
    (handler) => functions.find(({ Properties }) => Properties.Handler === handler).Properties,
  );

  it('have the native client, once however many databases there are, and run on the processor that it is for', () => {
    expect(purge).toMatchObject({ Architectures: ['x86_64'], Layers: [client.db2.clientLayer] });
    expect(purge.Environment.Variables).toMatchObject({
      IBM_DB_HOME: '/opt/clidriver',
      LD_LIBRARY_PATH: expect.stringMatching(/^\/opt\/clidriver\/lib:.*:\/opt\/lib$/),
      UV_THREADPOOL_SIZE: '8',
    });
  });

  it('are those that open one of its databases, and no others', () => {
    expect(codes.Architectures).toEqual(['arm64']);
    expect(codes.Layers).toBeUndefined();
    expect(codes.Environment.Variables).not.toHaveProperty('IBM_DB_HOME');
  });
});
