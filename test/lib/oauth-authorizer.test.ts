import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { App, Stack } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import { MockIntegration, RestApi } from 'aws-cdk-lib/aws-apigateway';
import { HttpApi, HttpMethod } from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import { describe, expect, it } from 'vitest';
import { type ApiAuthorizer, type AuthorizerSettings, OAuthAuthorizer } from '../../lib/oauth-authorizer.ts';
import { StoreFunction } from '../../lib/store-function.ts';
import { FakeStores, oneOfEach } from './fake-stores.ts';

const app = new App();

/** A REST API with both types and an HTTP API, behind one authorizer. */
function apis(stack: Stack, authorizer: ApiAuthorizer, backend: StoreFunction) {
  const rest = new RestApi(stack, 'Rest');
  rest.root.addMethod('GET', new MockIntegration(), { authorizer: authorizer.forRestApi(rest) });
  rest.root.addMethod('PUT', new MockIntegration(), { authorizer: authorizer.forRestApi(rest) });
  rest.root.addMethod('POST', new MockIntegration(), { authorizer: authorizer.forRestApi(rest, 'TOKEN') });
  const http = new HttpApi(stack, 'Http');
  for (const path of ['/a', '/b']) {
    http.addRoutes({
      path,
      methods: [HttpMethod.GET],
      integration: new HttpLambdaIntegration('Integration', backend),
      authorizer: authorizer.forHttpApi(http),
    });
  }
}

function guarded(id: string, settings?: AuthorizerSettings) {
  const stack = new Stack(app, id);
  const stores = new FakeStores(stack, oneOfEach);
  const authorizer = new OAuthAuthorizer(stack, 'Authorizer', { stores, ...(settings && { settings }) });
  authorizer.publish('name');
  apis(stack, authorizer, new StoreFunction(stack, 'Backend', { handlerName: 'lookup-token', stores }));
  return stack;
}

const tokenFrom = ['authorization'];
const scopes = { 'GET /a': ['a:read'], $default: [] };
const plain = guarded('Plain');
const kept = guarded('Kept', { resultCacheSeconds: 20, scopes, tokenFrom });
const proved = guarded('Proved', { dpop: { nonceSeconds: 60 }, realm: 'orders', tokenFrom });
const elsewhere = new Stack(app, 'Elsewhere');
apis(
  elsewhere,
  OAuthAuthorizer.fromName(elsewhere, 'Authorizer', { name: 'name', configuration: oneOfEach }),
  new StoreFunction(elsewhere, 'Backend', {
    handlerName: 'lookup-token',
    stores: new FakeStores(elsewhere, oneOfEach),
  }),
);

const propertiesOf = (of: Stack, type: string) =>
  Object.values(Template.fromStack(of).findResources(type)).map((each) => each.Properties);
const restOf = (of: Stack) =>
  Object.fromEntries(propertiesOf(of, 'AWS::ApiGateway::Authorizer').map((each) => [each.Type, each]));
const responsesOf = (of: Stack) =>
  Object.fromEntries(propertiesOf(of, 'AWS::ApiGateway::GatewayResponse').map((each) => [each.ResponseType, each]));

describe('the authorizer', () => {
  it('is asked for every request unless told otherwise', () => {
    const { TOKEN, REQUEST } = restOf(plain);
    const [http] = propertiesOf(plain, 'AWS::ApiGatewayV2::Authorizer');
    expect([TOKEN, REQUEST, http].map((each) => each.AuthorizerResultTtlInSeconds)).toEqual([0, 0, 0]);
  });

  it('keeps answers apart by token and route, and by the token alone never where routes differ', () => {
    const { TOKEN, REQUEST } = restOf(kept);
    expect(REQUEST).toMatchObject({
      AuthorizerResultTtlInSeconds: 20,
      IdentitySource: 'method.request.header.Authorization,context.httpMethod,context.path',
    });
    expect(TOKEN.AuthorizerResultTtlInSeconds).toBe(0);
    const [http] = propertiesOf(kept, 'AWS::ApiGatewayV2::Authorizer');
    expect(http).toMatchObject({
      AuthorizerResultTtlInSeconds: 20,
      IdentitySource: ['$request.header.Authorization', '$context.routeKey'],
    });
  });

  it('is one function and one authorizer of each type, however many routes have it', () => {
    expect(propertiesOf(plain, 'AWS::ApiGateway::Authorizer')).toHaveLength(2);
    expect(propertiesOf(plain, 'AWS::ApiGatewayV2::Authorizer')).toHaveLength(1);
    Template.fromStack(plain).hasResourceProperties('AWS::ApiGatewayV2::Authorizer', {
      AuthorizerPayloadFormatVersion: '2.0',
      EnableSimpleResponses: true,
    });
    const methods = propertiesOf(plain, 'AWS::ApiGateway::Method').map(({ AuthorizationType }) => AuthorizationType);
    expect(methods).toEqual(['CUSTOM', 'CUSTOM', 'CUSTOM']);
  });

  it('reads its own settings in its configuration, and the others as they are', () => {
    const code = propertiesOf(kept, 'AWS::Lambda::Function').find(({ Handler }) => Handler === 'authorizer.handler');
    const folder = join(app.synth().directory, `asset.${code?.Code.S3Key.replace('.zip', '')}`);
    expect(JSON.parse(readFileSync(join(folder, 'oauth-stores.json'), 'utf8'))).toEqual({
      ...oneOfEach,
      authorizer: { resultCacheSeconds: 20, scopes, tokenFrom },
    });
  });

  it('has a REST API challenge who is refused, and answer an outage with 500', () => {
    const { UNAUTHORIZED, ACCESS_DENIED, AUTHORIZER_FAILURE, AUTHORIZER_CONFIGURATION_ERROR } = responsesOf(proved);
    const headers = (response: { ResponseParameters: Record<string, string> }) =>
      Object.fromEntries(
        Object.entries(response.ResponseParameters).map(([name, value]) => [
          name.replace('gatewayresponse.header.', ''),
          value,
        ]),
      );
    expect(headers(UNAUTHORIZED)['WWW-Authenticate']).toMatch(
      /^'Bearer realm="orders", DPoP realm="orders", algs="[^']+"'$/,
    );
    expect(headers(ACCESS_DENIED)).toMatchObject({
      'WWW-Authenticate': 'context.authorizer.www_authenticate',
      'DPoP-Nonce': 'context.authorizer.dpop_nonce',
    });
    expect(headers(responsesOf(plain).ACCESS_DENIED)).not.toHaveProperty('DPoP-Nonce');
    for (const response of [AUTHORIZER_FAILURE, AUTHORIZER_CONFIGURATION_ERROR]) {
      expect(JSON.parse(response.ResponseTemplates['application/json']).error).toBe('server_error');
      // Neither is made into another status than its own, 500.
      expect(response.StatusCode).toBeUndefined();
    }
  });

  it('warns of what a type of authorizer cannot do, and refuses to keep answers to proofs', () => {
    const warnings = (of: Stack) => Annotations.fromStack(of).findWarning('*', Match.anyValue());
    expect(warnings(plain)).toEqual([]);
    const texts = (of: Stack) => warnings(of).map(({ entry }) => `${entry.data}`);
    expect(texts(proved)).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/TOKEN authorizer does not see the header DPoP/),
        expect.stringMatching(/a refusal of an HTTP API takes no header along/),
      ]),
    );
    expect(texts(kept)).toEqual(
      expect.arrayContaining([expect.stringMatching(/still let in for up to 20 seconds after it was revoked/)]),
    );
    const stack = new Stack(new App(), 'Refused');
    const stores = new FakeStores(stack, oneOfEach);
    const settings = { dpop: {}, resultCacheSeconds: 20, tokenFrom };
    expect(() => new OAuthAuthorizer(stack, 'Authorizer', { stores, settings })).toThrow(
      'authorizer.resultCacheSeconds',
    );
  });

  it('is found by other stacks under the name of its deployment, and lets their APIs call it', () => {
    const parameterName = '/name/authorizer/function-arn';
    Template.fromStack(plain).hasResourceProperties('AWS::SSM::Parameter', { Name: parameterName });
    Template.fromStack(elsewhere).hasParameter('*', {
      Type: 'AWS::SSM::Parameter::Value<String>',
      Default: parameterName,
    });
    // Two for the routes of the backend, one for each authorizer.
    for (const stack of [plain, elsewhere]) {
      const permitted = propertiesOf(stack, 'AWS::Lambda::Permission').filter(({ SourceArn }) =>
        JSON.stringify(SourceArn).includes('authorizers'),
      );
      expect(permitted).toHaveLength(3);
    }
    expect(propertiesOf(elsewhere, 'AWS::ApiGateway::Authorizer')).toHaveLength(2);
  });
});
