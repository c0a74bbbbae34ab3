import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, Stack, Validations } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import { type IVpc, Vpc } from 'aws-cdk-lib/aws-ec2';
import { Code, Function as LambdaFunction, Runtime } from 'aws-cdk-lib/aws-lambda';
import { AwsSolutionsChecks } from 'cdk-nag';
import { afterAll, describe, expect, it } from 'vitest';
import type { ConfigurationInput } from '../../functions/config/configuration.ts';
import { readConfiguration } from '../../functions/config/configuration.ts';
import { defaultThresholds } from '../../lib/alarms.ts';
import { OAuthStores, type OAuthStoresProps } from '../../lib/oauth-stores.ts';

type Json = ReturnType<typeof JSON.parse>;

const env = { account: '111111111111', region: 'eu-central-1' };
const secretArn = 'arn:aws:secretsmanager:eu-central-1:111111111111:secret:cassandra-AbCdEf';
const keyArn = 'arn:aws:secretsmanager:eu-central-1:111111111111:secret:key-AbCdEf';
const folder = mkdtempSync(join(tmpdir(), 'certificates-'));
afterAll(() => rmSync(folder, { recursive: true }));
const authority = '-----BEGIN CERTIFICATE-----\nAUTHORITY\n-----END CERTIFICATE-----\n';
const file = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};

const address = {
  hosts: ['node1.internal', 'node2.internal:9142'],
  localDataCenter: 'eu',
  user: 'oauth',
  password: { secretArn },
};
const inNetwork = { ...address, securityGroup: 'sg-0123456789abcdef0' };
const configurationOf = (cluster: object = inNetwork): ConfigurationInput => ({
  accessTokenStores: {
    tokens: { storeIn: 'cassandra', cassandra: 'c', readConsistency: 'QUORUM', writeConsistency: 'QUORUM' },
  },
  cassandra: { c: { engine: 'cassandra', keyspace: 'oauth', ...cluster } as never },
});
const deploy = (configuration: ConfigurationInput, props: Partial<OAuthStoresProps> = {}, app = new App()) => {
  const stack = new Stack(app, 'Data', { env });
  const vpc: IVpc = new Vpc(stack, 'Vpc', { restrictDefaultSecurityGroup: false }) as IVpc;
  const stores = new OAuthStores(stack, 'Stores', { configuration, network: { vpc }, ...props });
  const fn = new LambdaFunction(stack, 'Server', {
    runtime: Runtime.NODEJS_24_X,
    handler: 'index.handler',
    code: Code.fromInline('//'),
    ...stores.networkFor(),
  });
  stores.grantAccess(fn);
  return { stack, stores };
};
const secretsOf = (template: Template, id: string): Json[] =>
  Object.entries<Json>(template.findResources('AWS::IAM::Policy'))
    .filter(([name]) => name.startsWith(id))
    .flatMap(([, { Properties }]) => Properties.PolicyDocument.Statement)
    .filter(({ Action }) => Action === 'secretsmanager:GetSecretValue')
    .map(({ Resource }) => Resource);

describe('a cluster that is there', () => {
  const { stack, stores } = deploy(configurationOf());
  const template = Template.fromStack(stack);

  it('is spoken to by functions, and by the function that makes the tables, on the ports of its nodes', () => {
    const rules: Json[] = Object.values<Json>(template.findResources('AWS::EC2::SecurityGroupIngress'))
      .map(({ Properties }) => Properties)
      .filter(({ GroupId }) => GroupId === 'sg-0123456789abcdef0');
    const ports = rules.map(({ FromPort, SourceSecurityGroupId }) => [FromPort, JSON.stringify(SourceSecurityGroupId)]);
    expect(ports.map(([port]) => port).toSorted()).toEqual([9042, 9042, 9142, 9142]);
    expect(new Set(ports.map(([, group]) => group)).size).toBe(2);
    expect(stores.networkFor().securityGroups).toHaveLength(1);
  });

  it('is given keyspace and tables while it is deployed, by the user of the functions', () => {
    template.hasResource('Custom::KeyspaceSchema', { DeletionPolicy: 'Retain' });
    const [schema] = Object.values<Json>(template.findResources('Custom::KeyspaceSchema'));
    expect(JSON.parse(schema.Properties.cluster)).toMatchObject({ ...inNetwork, keyspace: 'oauth', tls: true });
    expect(schema.Properties.application).toBe('automatic');
    const group = Object.keys(template.findResources('AWS::EC2::SecurityGroup')).find((id) =>
      id.includes('SchemaGroup'),
    );
    expect(schema.DependsOn).toContain(group);
  });

  it('lets each function have the password, and nothing else of AWS', () => {
    expect(secretsOf(template, 'Server')).toEqual([secretArn]);
    expect(secretsOf(template, 'StorescassandracschemaSchemaApplySchema')).toEqual([secretArn]);
    expect(stores.watched().c?.(defaultThresholds)).toEqual([]);
  });

  it('is given its tables by somebody else where the user of the functions may not, or by hand', () => {
    const schemaLogin = { user: 'owner', secretArn: keyArn };
    const made = Template.fromStack(deploy(configurationOf(), { cassandra: { schemaLogin } }).stack);
    const [schema] = Object.values<Json>(made.findResources('Custom::KeyspaceSchema'));
    expect(JSON.parse(schema.Properties.cluster)).toMatchObject({ user: 'owner', password: { secretArn: keyArn } });
    expect(secretsOf(made, 'StorescassandracschemaSchemaApplySchema')).toEqual([keyArn]);
    expect(secretsOf(made, 'Server')).toEqual([secretArn]);
    const byHand = deploy(configurationOf(), { cassandra: { schema: 'manual' } }).stack;
    Template.fromStack(byHand).hasResourceProperties('Custom::KeyspaceSchema', { application: 'manual' });
    Annotations.fromStack(byHand).hasWarning('*', Match.stringLikeRegexp('the schema is left to you'));
  });
});

describe('certificates', () => {
  it('are carried by the configuration of the functions, and the key is a secret', () => {
    const tls = {
      trustedCertificates: file('ca.pem', authority),
      clientCertificate: file('client.pem', authority.replace('AUTHORITY', 'CLIENT')),
      clientKey: { secretArn: keyArn },
      serverName: 'cassandra.internal',
    };
    const { stores, stack } = deploy(configurationOf({ ...inNetwork, tls }));
    const { configuration } = readConfiguration(stores.configurationText);
    expect(configuration.cassandra.c).toMatchObject({
      tls: {
        trustedCertificates: authority,
        clientCertificate: expect.stringContaining('CLIENT'),
        clientKey: { secretArn: keyArn },
        serverName: 'cassandra.internal',
      },
    });
    const template = Template.fromStack(stack);
    expect(secretsOf(template, 'Server')).toEqual([[secretArn, keyArn]]);
    const [schema] = Object.values<Json>(template.findResources('Custom::KeyspaceSchema'));
    expect(JSON.parse(schema.Properties.cluster).tls.trustedCertificates).toBe(authority);
  });

  it.each([
    ['absent.pem', undefined, 'a file that cannot be read'],
    ['text.pem', 'not a certificate', 'a file without a certificate'],
  ])('that are none fail the deployment: %s', (name, text, kind) => {
    const trustedCertificates = text === undefined ? join(folder, name) : file(name, text);
    expect(() => deploy(configurationOf({ ...inNetwork, tls: { trustedCertificates } }))).toThrow(
      `cassandra["c"].tls.trustedCertificates: found ${kind}; accepted: the path of a PEM file with certificates`,
    );
  });
});

describe('a deployment is refused for', () => {
  const from = '{"secretArn": "arn:aws:secretsmanager:…"}';
  it.each<[string, object, string]>([
    [
      'nodes on this machine',
      { hosts: ['localhost:9042'] },
      'cassandra["c"].hosts: found this machine; accepted: nodes that functions can reach, each host:port',
    ],
    [
      'no TLS',
      { ...inNetwork, tls: false },
      'cassandra["c"].tls: found false; accepted: true, or nothing: what goes to the cluster can be read on the way',
    ],
    [
      'a user without a password',
      { ...inNetwork, password: undefined },
      `cassandra["c"].password: found nothing; accepted: ${from}`,
    ],
    [
      'a password of this machine',
      { ...inNetwork, password: { env: 'PASSWORD' } },
      `cassandra["c"].password: found a variable of this machine’s environment; accepted: ${from}`,
    ],
    [
      'a key of this machine',
      { ...inNetwork, tls: { clientCertificate: file('own.pem', authority), clientKey: 'key.pem' } },
      `cassandra["c"].tls.clientKey: found a file of this machine, which would be copied to where functions are deployed from; accepted: ${from}`,
    ],
  ])('%s', (_what, cluster, fault) => {
    expect(() => deploy(configurationOf(JSON.parse(JSON.stringify(cluster))))).toThrow(fault);
  });

  it('a security group without its VPC', () => {
    const stack = new Stack(new App(), 'Data', { env });
    expect(() => new OAuthStores(stack, 'Stores', { configuration: configurationOf() })).toThrow(
      'network.vpc: found nothing; accepted: the VPC of cassandra["c"].securityGroup',
    );
  });

  it('nothing that only harms, which is a warning', () => {
    const { hosts, localDataCenter } = address;
    const { stack } = deploy(configurationOf({ hosts, localDataCenter }));
    const warned = Annotations.fromStack(stack);
    warned.hasWarning('*', Match.stringLikeRegexp('functions reach it over the internet, if at all'));
    warned.hasWarning('*', Match.stringLikeRegexp('nobody logs in'));
  });
});

it('cdk-nag and CloudFormation’s own validation find nothing', () => {
  const app = new App({ context: { '@aws-cdk/core:validateAgainstDefaultRules': true } });
  const stack = new Stack(app, 'Data', { env });
  const vpc = Vpc.fromVpcAttributes(stack, 'Vpc', {
    vpcId: 'vpc-0123456789abcdef0',
    availabilityZones: ['a', 'b'],
    privateSubnetIds: ['subnet-0123456789abcdef0', 'subnet-0123456789abcdef1'],
    privateSubnetRouteTableIds: ['rtb-0123456789abcdef0', 'rtb-0123456789abcdef1'],
  });
  new OAuthStores(stack, 'Stores', { configuration: configurationOf(), network: { vpc } });
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  expect(() => app.synth()).not.toThrow();
});
