import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { App, Stack } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { type IVpc, SecurityGroup, SubnetType, Vpc } from 'aws-cdk-lib/aws-ec2';
import { describe, expect, it } from 'vitest';
import { parseConfiguration } from '../../functions/config/configuration.ts';
import { functionNames, useOf } from '../../functions/config/functions.ts';
import { createKeyring } from '../../functions/domain/keyring.ts';
import { mint, newGrantId } from '../../functions/domain/token.ts';
import { tokenPatterns } from '../../lib/log-group.ts';
import { enginesOf, StoreFunction } from '../../lib/store-function.ts';
import { FakeStores, oneOfEach } from './fake-stores.ts';

const app = new App();
const stack = new Stack(app, 'Service');
const stores = new FakeStores(stack, oneOfEach);
const functions = functionNames.map((handlerName) => new StoreFunction(stack, handlerName, { handlerName, stores }));
const template = Template.fromStack(stack);
const deployed = Object.values(template.findResources('AWS::Lambda::Function')).map(({ Properties }) => Properties);

const several = {
  ...oneOfEach,
  accessTokenStores: { one: { cache: 'table' }, two: { cache: 'table' } },
};

describe('a deployed function', () => {
  it('is permitted what its stores demand of it and nothing else', () => {
    expect(stores.granted.map(({ fn, use }) => [fn, use])).toEqual(
      functions.map((fn) => [fn, useOf(fn.handlerName, stores.configuration)]),
    );
    const statements = Object.values(template.findResources('AWS::IAM::Policy')).flatMap(
      ({ Properties }) => Properties.PolicyDocument.Statement,
    );
    const everywhere = statements.filter(({ Resource }) => Resource === '*').flatMap(({ Action }) => Action);
    expect(new Set(everywhere)).toEqual(new Set(['xray:PutTraceSegments', 'xray:PutTelemetryRecords']));
    expect(statements.flatMap(({ Action }) => Action).filter((action) => action.includes('*'))).toEqual([]);
    for (const { Properties } of Object.values(template.findResources('AWS::IAM::Role'))) {
      expect(Properties.ManagedPolicyArns).toBeUndefined();
    }
  });

  it('runs on Node 24 and ARM, traced, with logs that expire and mask what looks like a token', () => {
    expect(deployed).toHaveLength(functionNames.length);
    for (const { Runtime, Architectures, TracingConfig, LoggingConfig } of deployed) {
      expect({ Runtime, Architectures, Mode: TracingConfig.Mode }).toEqual({
        Runtime: 'nodejs24.x',
        Architectures: ['arm64'],
        Mode: 'Active',
      });
      expect(LoggingConfig).toMatchObject({ LogFormat: 'JSON', LogGroup: { Ref: expect.any(String) } });
    }
    template.resourceCountIs('AWS::Logs::LogGroup', functionNames.length);
    template.allResourcesProperties('AWS::Logs::LogGroup', {
      RetentionInDays: 90,
      DataProtectionPolicy: Match.objectLike({
        Statement: Match.arrayWith([Match.objectLike({ Operation: { Deidentify: { MaskConfig: {} } } })]),
      }),
    });
  });

  it('ends before API Gateway gives it up', () => {
    for (const { Handler, Timeout } of deployed)
      expect(Timeout).toBeLessThan(Handler === 'authorizer.handler' ? 10 : 30);
  });

  it('comes with the configuration and with the files of its engines', () => {
    const purge = deployed.find(({ Handler }) => Handler === 'purge.handler');
    const folder = join(app.synth().directory, `asset.${purge?.Code.S3Key.replace('.zip', '')}`);
    expect(readFileSync(join(folder, 'oauth-stores.json'), 'utf8')).toBe(stores.configurationText);
    const files = globSync('**/*.mjs', { cwd: folder }).map((file) => readFileSync(join(folder, file), 'utf8'));
    expect(files.some((text) => text.includes('DynamoDB_20120810'))).toBe(true);
    expect(enginesOf(stores.configuration, { accessTokenStores: 'read' })).toEqual(['dynamodb']);
  });

  it('is told the store that it uses where there are several, and refused without', () => {
    const own = new Stack(new App(), 'Several');
    const those = new FakeStores(own, several);
    const make = (id: string, accessTokenStore?: string) =>
      new StoreFunction(own, id, {
        handlerName: 'lookup-token',
        stores: those,
        ...(accessTokenStore !== undefined && { storeNames: { accessTokenStore } }),
      });
    expect(() => make('none')).toThrow(
      'storeNames.accessTokenStore: nothing; accepted for lookup-token: "one" or "two"',
    );
    expect(() => make('wrong', 'three')).toThrow('storeNames.accessTokenStore: "three"; accepted');
    make('right', 'two');
    Template.fromStack(own).hasResourceProperties('AWS::Lambda::Function', {
      Environment: { Variables: Match.objectLike({ OAUTH_STORES_ACCESS_TOKENS: 'two' }) },
    });
  });

  it('may be put into a network by Lambda, and its own code may not touch one', () => {
    const own = new Stack(new App(), 'Network');
    const vpc = new Vpc(own, 'Vpc', {
      natGateways: 0,
      subnetConfiguration: [{ name: 'a', subnetType: SubnetType.PRIVATE_ISOLATED }],
    }) as IVpc;
    const securityGroups = [new SecurityGroup(own, 'Group', { vpc })];
    const inside = new FakeStores(own, oneOfEach, {
      vpc,
      vpcSubnets: { subnetType: SubnetType.PRIVATE_ISOLATED },
      securityGroups,
    });
    new StoreFunction(own, 'F', { handlerName: 'authorizer', stores: inside });
    const within = Template.fromStack(own);
    within.hasResourceProperties('AWS::Lambda::Function', { VpcConfig: { SubnetIds: Match.anyValue() } });
    within.hasResourceProperties('AWS::IAM::Policy', {
      PolicyDocument: {
        Statement: Match.arrayWith([
          Match.objectLike({
            Effect: 'Deny',
            Action: Match.arrayWith(['ec2:CreateNetworkInterface']),
            Condition: { Null: { 'lambda:SourceFunctionArn': 'false' }, Bool: { 'aws:ViaAWSService': 'false' } },
          }),
        ]),
      },
    });
  });
});

describe('the masks of the logs', () => {
  const { issuing } = parseConfiguration({ ...oneOfEach, issuing: { accessToken: { length: 60 } } }).configuration;
  const patterns = Object.values(tokenPatterns(issuing));
  const masked = (line: string) => patterns.reduce((text, regex) => text.replaceAll(new RegExp(regex, 'g'), '*'), line);
  const keyring = createKeyring([{ generation: 0, secret: Buffer.alloc(32, 7) }]);

  it('are within what CloudWatch takes', () => {
    for (const regex of patterns) expect(regex).toMatch(/^[A-Za-z0-9_#=@/;, ^$?[\]{}|\\*+.-]{1,200}$/);
  });

  it.each([
    ['access token', 60],
    ['refresh token', 46],
    ['authorization code', 30],
  ] as const)('hide an %s of the configured length', (kind, length) => {
    const shown = Array.from({ length: 2000 }, (_, number) => {
      const seed = Buffer.from(`${kind} ${number}`);
      const grantId = newGrantId(1_800_000_000 + number);
      return mint(keyring, kind, length, grantId, seed);
    }).filter((token) => masked(JSON.stringify({ message: token })).includes(token.slice(3, -3)));
    // One in 2048 has "-" where no boundary is, at both ends or twice at one.
    expect(shown.length).toBeLessThan(8);
  });

  it('hide signed tokens, and nothing that a log needs', () => {
    expect(masked('{"x":"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJhIn0.c2lnbmF0dXJl"}')).toBe('{"x":"*"}');
    const line = JSON.stringify({
      requestId: '8f507cfc-xmpl-4697-b07a-ac58fc914c95',
      trace: 'Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1',
      store: 'accessTokenStores.OAuth Access Token Store',
      grant: Buffer.alloc(12, 9).toString('base64url'),
      detail: 'KMSInvalidStateException: TrentService.Decrypt got no answer',
    });
    expect(masked(line)).toBe(line);
  });
});
