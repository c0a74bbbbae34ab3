import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, Stack } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import { Vpc } from 'aws-cdk-lib/aws-ec2';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Code, Function as LambdaFunction, Runtime } from 'aws-cdk-lib/aws-lambda';
import { describe, expect, it } from 'vitest';
import { type ConfigurationInput, readConfiguration } from '../../functions/config/configuration.ts';
import { OAuthStores } from '../../lib/oauth-stores.ts';
import { StoreFunction } from '../../lib/store-function.ts';
import type { IOAuthStores } from '../../lib/stores.ts';

const env = { account: '111111111111', region: 'eu-central-1' };

const configuration: ConfigurationInput = {
  accessTokenStores: { tokens: { cache: 'Tokens' } },
  authorizationCodeStores: { codes: { cache: 'there' } },
  artifactStores: { artifacts: { storeIn: 'database', database: 'oauth_db' } },
  caches: { Tokens: { engine: 'dynamodb' }, there: { engine: 'dynamodb', tableName: 'codes', region: 'eu-west-1' } },
  databases: { oauth_db: { engine: 'postgresql' } },
  issuer: 'https://issuer.example.com',
};

const functionIn = (stack: Stack, stores: IOAuthStores, use?: Parameters<IOAuthStores['networkFor']>[0]) => {
  const fn = new LambdaFunction(stack, 'Server', {
    runtime: Runtime.NODEJS_24_X,
    handler: 'index.handler',
    code: Code.fromInline('export const handler = async () => {};'),
    ...stores.networkFor(use),
  });
  stores.grantAccess(fn, use);
  return fn;
};

type Properties = Record<string, never> & {
  Environment: { Variables: Record<string, unknown> };
  VpcConfig?: unknown;
  Layers?: unknown;
};

const functionsOf = (template: Template): [string, Properties][] =>
  Object.entries(template.findResources('AWS::Lambda::Function')).map(([id, { Properties }]) => [id, Properties]);

const functionOf = (template: Template, name: string): Properties => {
  const found = functionsOf(template).find(([id]) => id.startsWith(name));
  if (!found) throw new Error(`no function ${name}`);
  return found[1];
};

const actionsOf = (template: Template): string[] =>
  Object.values(template.findResources('AWS::IAM::Policy'))
    .flatMap(({ Properties }) => Properties.PolicyDocument.Statement)
    .filter(({ Effect }) => Effect === 'Allow')
    .flatMap(({ Action }) => Action);

const service = new Stack(new App(), 'Service', { env });
const stores = OAuthStores.fromName(service, 'Stores', { configuration, name: 'tokens' });
functionIn(service, stores);
const lookup = new StoreFunction(service, 'Lookup', { handlerName: 'lookup-token', stores });
const purge = new StoreFunction(service, 'Purge', { handlerName: 'purge', stores });
const template = Template.fromStack(service);

describe('the stores of another stack', () => {
  it('are known by parameters that CloudFormation reads for each deployment, without an export', () => {
    const parameters = Object.values(template.findParameters('*', { Type: 'AWS::SSM::Parameter::Value<String>' }));
    expect(parameters.map(({ Default }) => Default).toSorted()).toEqual([
      '/cdk-bootstrap/hnb659fds/version',
      '/tokens/caches/Tokens/tableName',
      '/tokens/databases/oauth_db/databaseName',
      '/tokens/databases/oauth_db/host',
      '/tokens/databases/oauth_db/proxyId',
      '/tokens/keyring/keyArn',
      '/tokens/keyring/keys',
      '/tokens/network/clientGroupId',
      '/tokens/network/subnetIds',
    ]);
    expect(JSON.stringify(template.toJSON())).not.toContain('Fn::ImportValue');
    expect(service.dependencies).toEqual([]);
  });

  it('create nothing there', () => {
    for (const type of ['AWS::DynamoDB::GlobalTable', 'AWS::RDS::DBCluster', 'AWS::KMS::Key', 'AWS::EC2::VPC']) {
      template.resourceCountIs(type, 0);
    }
  });
});

describe('access is given', () => {
  it('to a function of an authorization server: every store, the keys, and the configuration in a layer', () => {
    const { Environment, Layers, VpcConfig } = functionOf(template, 'Server');
    expect(Object.keys(Environment.Variables)).toEqual([
      'OAUTH_STORES_CONNECTIONS',
      'OAUTH_STORES_KEYS',
      'OAUTH_STORES',
    ]);
    expect(Environment.Variables.OAUTH_STORES).toBe('/opt/oauth-stores.json');
    expect(Environment.Variables.OAUTH_STORES_KEYS).toEqual({ Ref: expect.stringContaining('keyringkeys') });
    expect(Layers).toHaveLength(1);
    expect(VpcConfig).toBeDefined();
  });

  it('to a function of this package: of what it uses alone, and outside of the network that it does not need', () => {
    const { Environment, Layers, VpcConfig } = functionOf(template, 'Lookup');
    expect([lookup.isBoundToVpc, Layers, VpcConfig]).toEqual([false, undefined, undefined]);
    const { OAUTH_STORES_CONNECTIONS, OAUTH_STORES_KEYS, ...others } = Environment.Variables;
    expect(OAUTH_STORES_CONNECTIONS).toEqual({
      'Fn::Join': ['', ['{"caches":{"Tokens":{"tableName":"', { Ref: expect.stringContaining('tableName') }, '"}}}']],
    });
    expect(OAUTH_STORES_KEYS).toBeDefined();
    expect(others).not.toHaveProperty('OAUTH_STORES');
  });

  it('to the purge: of every store, and of no keys', () => {
    const { Environment, VpcConfig } = functionOf(template, 'Purge');
    expect(Environment.Variables).not.toHaveProperty('OAUTH_STORES_KEYS');
    expect(JSON.stringify(Environment.Variables.OAUTH_STORES_CONNECTIONS)).toMatch(/Tokens.*there.*oauth_db/);
    expect([purge.isBoundToVpc, VpcConfig !== undefined]).toEqual([true, true]);
  });

  it('with keys unwrapped for what they are for, and nothing else', () => {
    template.hasResourceProperties('AWS::IAM::Policy', {
      PolicyDocument: {
        Statement: Match.arrayWith([
          {
            Effect: 'Allow',
            Action: 'kms:Decrypt',
            Resource: { Ref: Match.stringLikeRegexp('keyringkeyArn') },
            Condition: { StringEquals: { 'kms:EncryptionContext:purpose': 'oauth2-stores keys' } },
          },
        ]),
      },
    });
    expect(actionsOf(template).filter((action) => action.startsWith('kms:') && action !== 'kms:Decrypt')).toEqual([]);
  });

  it('as far as the use goes: who only purges or reads cannot write', () => {
    const stack = new Stack(new App(), 'Reading', { env });
    functionIn(stack, OAuthStores.fromName(stack, 'Stores', { configuration, name: 'tokens' }), {
      accessTokenStores: 'read',
    });
    const reading = Template.fromStack(stack);
    expect(actionsOf(reading)).toEqual(['dynamodb:GetItem', 'dynamodb:BatchGetItem', 'dynamodb:Query', 'kms:Decrypt']);
    // Of the database nothing is asked then.
    expect(JSON.stringify(reading.toJSON().Parameters)).not.toMatch(/oauth_db|network/);
  });

  it('to a function in the stack of the stores, and in no other by the same construct', () => {
    const stack = new Stack(new App(), 'Together', { env });
    const together = new OAuthStores(stack, 'Stores', { configuration, name: 'together' });
    functionIn(stack, together);
    const { Environment } = functionOf(Template.fromStack(stack), 'Server');
    expect(Environment.Variables.OAUTH_STORES_KEYS).toEqual({
      'Fn::GetAtt': [expect.stringMatching('^StoresKeyringDataKeys'), 'keys'],
    });
    expect(() => functionIn(new Stack(new App(), 'Elsewhere', { env }), together)).toThrow(
      'Elsewhere/Server is in another stack than Together/Stores; there, use OAuthStores.fromName, which ties no stacks together',
    );
  });

  it('of no more connections than an environment can hold', () => {
    const names = Array.from(
      { length: 30 },
      (_, index) => `a cache with a name that says a lot of it, number ${index}`,
    );
    const many = {
      accessTokenStores: Object.fromEntries(names.map((cache) => [cache, { cache }])),
      caches: Object.fromEntries(names.map((cache) => [cache, { engine: 'dynamodb' as const, tableName: 'tokens' }])),
    };
    const stack = new Stack(new App(), 'Many', { env });
    expect(() => functionIn(stack, OAuthStores.fromName(stack, 'Stores', { configuration: many }))).toThrow(
      /^1 fault in the configuration:\n {2}caches: found connections of about \d{4} bytes for one function; accepted: at most 2288, since the environment of a function holds 4096 bytes; use fewer connections, or shorter names$/,
    );
  });
});

describe('the configuration', () => {
  it('is read from a file, and goes to functions without the users of the local deployment', () => {
    const folder = mkdtempSync(join(tmpdir(), 'configuration-'));
    const file = join(folder, 'oauth-stores.json');
    const passwordDigest = `scrypt:${'A'.repeat(22)}:${'A'.repeat(43)}`;
    writeFileSync(
      file,
      JSON.stringify({ ...configuration, localDeployment: { users: { alice: { passwordDigest } } } }),
    );
    const { configurationText, configuration: read } = OAuthStores.fromName(
      new Stack(new App(), 'File', { env }),
      'Stores',
      {
        configuration: file,
      },
    );
    expect(configurationText).not.toContain('alice');
    expect(readConfiguration(configurationText).configuration.issuer).toBe('https://issuer.example.com');
    expect(read.issuer).toBe('https://issuer.example.com');
    writeFileSync(file, '{ "accessTokenStores": {} ');
    expect(() =>
      OAuthStores.fromName(new Stack(new App(), 'Broken', { env }), 'Stores', { configuration: file }),
    ).toThrow(/1 fault in the configuration/);
    rmSync(folder, { recursive: true });
  });

  it('of a database that is there lets functions reach it from its VPC', () => {
    const stack = new Stack(new App(), 'Imported', { env });
    const vpc = Vpc.fromVpcAttributes(stack, 'Vpc', {
      vpcId: 'vpc-0123456789abcdef0',
      availabilityZones: ['eu-central-1a', 'eu-central-1b'],
      privateSubnetIds: ['subnet-0123456789abcdef0', 'subnet-0123456789abcdef1'],
    });
    const securityGroup = 'sg-0123456789abcdef0';
    const server = { host: 'db.internal', database: 'oauth', user: 'oauth', password: { iam: true as const } };
    const imported = {
      accessTokenStores: { tokens: { storeIn: 'database' as const, database: 'd' } },
      databases: { d: { engine: 'postgresql' as const, ...server, securityGroup } },
    };
    const there = new OAuthStores(stack, 'Stores', { configuration: imported, network: { vpc } });
    functionIn(stack, there);
    const made = Template.fromStack(stack);
    made.hasResourceProperties('AWS::EC2::SecurityGroupIngress', { GroupId: securityGroup, FromPort: 5432 });
    made.resourceCountIs('AWS::RDS::DBCluster', 0);
    expect(functionOf(made, 'Server').VpcConfig).toMatchObject({
      SubnetIds: ['subnet-0123456789abcdef0', 'subnet-0123456789abcdef1'],
    });
  });

  it('of a table under an imported key warns of the policy of that key', () => {
    const stack = new Stack(new App(), 'Encrypted', { env });
    const encryptionKey = Key.fromKeyArn(stack, 'Key', 'arn:aws:kms:eu-central-1:111111111111:key/1');
    new OAuthStores(stack, 'Stores', {
      configuration: { accessTokenStores: { tokens: { cache: 'c' } }, caches: { c: { engine: 'dynamodb' } } },
      encryptionKey,
    });
    Annotations.fromStack(stack).hasWarning(
      '/Encrypted/Stores',
      Match.stringLikeRegexp('^encryptionKey: the policy of an imported key cannot be changed here'),
    );
    Template.fromStack(stack).resourceCountIs('AWS::KMS::Key', 0);
  });
});
