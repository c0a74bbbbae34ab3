import { App, Stack } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { Certificate } from 'aws-cdk-lib/aws-certificatemanager';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { describe, expect, it } from 'vitest';
import { routes } from '../../functions/config/routes.ts';
import { StoreApi } from '../../lib/store-api.ts';
import { FakeStores, oneOfEach } from './fake-stores.ts';

const app = new App();
const plain = new Stack(app, 'Plain');
const api = new StoreApi(plain, 'Api', { stores: new FakeStores(plain, oneOfEach) });
const server = new Role(plain, 'Server', { assumedBy: new ServicePrincipal('lambda.amazonaws.com') });
api.grantInvoke(server);
const narrow = new Role(plain, 'Narrow', { assumedBy: new ServicePrincipal('lambda.amazonaws.com') });
api.grantInvoke(narrow, ['list-access-tokens']);

const guarded = new Stack(app, 'Guarded');
const { url } = new StoreApi(guarded, 'Api', {
  stores: new FakeStores(guarded, { ...oneOfEach, authorizationCodeStores: {}, artifactStores: {} }),
  domain: {
    name: 'tokens.example.com',
    certificate: Certificate.fromCertificateArn(
      guarded,
      'Certificate',
      'arn:aws:acm:eu-central-1:111122223333:certificate/0',
    ),
    mutualTls: { bucket: Bucket.fromBucketName(guarded, 'Bucket', 'trust'), key: 'clients.pem' },
  },
  throttling: { none: { rateLimit: 1, burstLimit: 2 } },
  allowedOrigins: ['https://app.example.com'],
});

const template = Template.fromStack(plain);
const guardedTemplate = Template.fromStack(guarded);
const propertiesOf = (of: Template, type: string) =>
  Object.values(of.findResources(type)).map((each) => each.Properties);
const routesOf = (of: Template) => propertiesOf(of, 'AWS::ApiGatewayV2::Route');
const [stage] = propertiesOf(template, 'AWS::ApiGatewayV2::Stage');

/** Open to anybody: whoever adds one must say so here. */
const open = ['POST /introspect', 'POST /revoke', 'GET /tokeninfo', 'POST /tokeninfo'];

describe('the HTTP API', () => {
  it('has every route, and demands IAM of all but the standard endpoints', () => {
    const found = routesOf(template).map(({ RouteKey, AuthorizationType }) => [RouteKey, AuthorizationType]);
    expect(Object.fromEntries(found)).toEqual(
      Object.fromEntries(
        routes.map(({ method, path }) => {
          const key = `${method} ${path}`;
          return [key, open.includes(key) ? 'NONE' : 'AWS_IAM'];
        }),
      ),
    );
  });

  it('has one function for each handler, and lets API Gateway call it for its own paths alone', () => {
    expect([...api.functions.keys()].toSorted()).toEqual([...new Set(routes.map(({ handler }) => handler))].toSorted());
    template.resourceCountIs('AWS::Lambda::Function', api.functions.size);
    for (const { SourceArn } of propertiesOf(template, 'AWS::Lambda::Permission')) {
      expect(JSON.stringify(SourceArn)).toMatch(/\/\*\/\*\/(store|introspect|revoke|tokeninfo)/);
    }
  });

  it('leaves out the routes whose stores the configuration has not', () => {
    const keys = routesOf(guardedTemplate).map(({ RouteKey }) => RouteKey);
    expect(keys).toContain('POST /store/tokens');
    expect(keys.filter((key) => key.includes('/store/codes'))).toEqual([]);
  });

  it('throttles the open routes more than those of an authorization server', () => {
    const limits = stage.RouteSettings;
    expect(limits['GET /tokeninfo'].ThrottlingRateLimit).toBeLessThan(limits['POST /introspect'].ThrottlingRateLimit);
    expect(limits['POST /introspect'].ThrottlingRateLimit).toBeLessThan(stage.DefaultRouteSettings.ThrottlingRateLimit);
    expect(Object.keys(limits).toSorted()).toEqual(routes.map(({ method, path }) => `${method} ${path}`).toSorted());
    const [own] = propertiesOf(guardedTemplate, 'AWS::ApiGatewayV2::Stage');
    expect(own.RouteSettings['GET /tokeninfo']).toMatchObject({ ThrottlingRateLimit: 1, ThrottlingBurstLimit: 2 });
  });

  it('makes the stage, which names routes, after them', () => {
    const [resource] = Object.values(template.findResources('AWS::ApiGatewayV2::Stage'));
    const named = Object.keys(template.findResources('AWS::ApiGatewayV2::Route'));
    expect(resource?.DependsOn).toEqual(expect.arrayContaining(named));
  });

  it('logs neither path nor query nor header nor body', () => {
    const { Format } = stage.AccessLogSettings;
    expect(Object.keys(JSON.parse(Format))).toContain('route');
    expect(Format).not.toMatch(
      /\$context\.(path|domainName|httpMethod|authorizer|requestOverride)|\$request|rawQuery/i,
    );
  });

  it('permits an authorization server the routes of /store and no others, on this stage', () => {
    const permitted = (role: string) =>
      propertiesOf(template, 'AWS::IAM::Policy')
        .filter(({ Roles }) => JSON.stringify(Roles).includes(role))
        .flatMap(({ PolicyDocument }) => PolicyDocument.Statement)
        .flatMap(({ Resource }) => Resource)
        .map((resource) => JSON.stringify(resource));
    const all = permitted('Server');
    expect(all).toHaveLength(routes.length - open.length);
    for (const arn of all) expect(arn).toMatch(/\/\$default\/\w+\/store\//);
    expect(permitted('Narrow')).toEqual([expect.stringContaining('/$default/GET/store/grants/*/access_tokens')]);
  });

  it('answers no page of another origin, unless told to, and then its simple requests alone', () => {
    template.hasResourceProperties('AWS::ApiGatewayV2::Api', { CorsConfiguration: Match.absent() });
    guardedTemplate.hasResourceProperties('AWS::ApiGatewayV2::Api', {
      CorsConfiguration: { AllowOrigins: ['https://app.example.com'], AllowHeaders: ['content-type'] },
    });
  });

  it('with a domain is reached under that alone, and asks clients for their certificate', () => {
    expect(url).toBe('https://tokens.example.com');
    template.hasResourceProperties('AWS::ApiGatewayV2::Api', { DisableExecuteApiEndpoint: false });
    guardedTemplate.hasResourceProperties('AWS::ApiGatewayV2::Api', { DisableExecuteApiEndpoint: true });
    guardedTemplate.hasResourceProperties('AWS::ApiGatewayV2::DomainName', {
      DomainName: 'tokens.example.com',
      DomainNameConfigurations: [Match.objectLike({ SecurityPolicy: 'TLS_1_2' })],
      MutualTlsAuthentication: { TruststoreUri: 's3://trust/clients.pem' },
    });
    guardedTemplate.resourceCountIs('AWS::ApiGatewayV2::ApiMapping', 1);
  });
});
