/**
 * The APIs of another team, protected by the deployed authorizer: one for each way in which API Gateway asks it. A CDK app
 * of its own: `-c name=<name of the deployment> -c configuration=<its file>`.
 */
import { App, CfnOutput, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { LambdaIntegration, RestApi } from 'aws-cdk-lib/aws-apigateway';
import { HttpApi, HttpMethod } from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import { Code, Function as LambdaFunction, Runtime } from 'aws-cdk-lib/aws-lambda';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import { OAuthAuthorizer } from '../../lib/oauth-authorizer.ts';

const app = new App();
const stack = new Stack(app, 'orders');
const authorizer = OAuthAuthorizer.fromName(stack, 'Authorizer', {
  name: app.node.getContext('name'),
  configuration: app.node.getContext('configuration'),
});
const backend = new LambdaFunction(stack, 'Backend', {
  runtime: Runtime.NODEJS_24_X,
  handler: 'index.handler',
  logGroup: new LogGroup(stack, 'Logs', { removalPolicy: RemovalPolicy.DESTROY }),
  code: Code.fromInline(`exports.handler = async ({ requestContext: { authorizer } }) => ({
    statusCode: 200,
    body: JSON.stringify(authorizer.lambda ?? authorizer),
  });`),
});

for (const type of ['TOKEN', 'REQUEST'] as const) {
  const api = new RestApi(stack, `Rest${type}`, { cloudWatchRole: false });
  const orders = api.root.addResource('orders');
  for (const method of ['GET', 'POST'])
    orders.addMethod(method, new LambdaIntegration(backend), { authorizer: authorizer.forRestApi(api, type) });
  new CfnOutput(stack, `Id${type}`, { value: api.restApiId });
}

const api = new HttpApi(stack, 'Http');
api.addRoutes({
  path: '/orders',
  methods: [HttpMethod.GET, HttpMethod.POST],
  integration: new HttpLambdaIntegration('Backend', backend),
  authorizer: authorizer.forHttpApi(api),
});
new CfnOutput(stack, 'UrlHTTP', { value: api.apiEndpoint });
