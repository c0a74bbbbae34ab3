import { fileURLToPath } from 'node:url';
import { CfnOutput, Duration, RemovalPolicy, Stack, type StackProps, Validations } from 'aws-cdk-lib';
import { HttpApi, HttpMethod } from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import { Architecture, Runtime } from 'aws-cdk-lib/aws-lambda';
import { NodejsFunction, OutputFormat } from 'aws-cdk-lib/aws-lambda-nodejs';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import type { Construct } from 'constructs';
import { OAuthAuthorizer, OAuthStores } from 'oauth2-stores/cdk';
import { bundling } from './bundling.ts';

const { external, ...options } = bundling;

const file = (name: string) => fileURLToPath(new URL(name, import.meta.url));

const USER_NAME = 'alice';

export interface AuthorizationServerProps extends StackProps {
  /** Where clients reach the server. Default: the address that API Gateway gives. */
  readonly issuer?: string;
}

/**
 * An authorization server over stores of its own, and an API that it protects; all of it goes with the stack. In earnest the
 * stores are in a stack of their own, and `OAuthStores.fromName` takes their place here.
 */
export class AuthorizationServerStack extends Stack {
  constructor(scope: Construct, id: string, props: AuthorizationServerProps = {}) {
    super(scope, id, props);
    const removalPolicy = RemovalPolicy.DESTROY;
    const stores = new OAuthStores(this, 'Stores', {
      name: id,
      configuration: file('oauth-stores.json'),
      removalPolicy,
      deletionProtection: false,
    });
    for (const setting of ['removalPolicy', 'deletionProtection']) {
      const reason = 'An example: nothing of it is to stay.';
      Validations.of(stores).acknowledge({ id: `Annotation::oauth2-stores:${setting}`, reason });
    }

    const api = new HttpApi(this, 'Api', { description: 'Example: authorization server' });
    const issuer = props.issuer ?? api.apiEndpoint;
    const generated = (name: string, passwordLength: number) =>
      new Secret(this, name, { generateSecretString: { passwordLength, excludePunctuation: true }, removalPolicy });
    const keys = generated('Keys', 64);
    const password = generated('Password', 20);
    const authorizationServer = this.function('AuthorizationServer', 'authorization-server.ts', {
      ISSUER: issuer,
      KEY_SECRET: keys.secretArn,
      PASSWORD_SECRET: password.secretArn,
      USER_NAME,
    });
    stores.grantAccess(authorizationServer);
    keys.grantRead(authorizationServer);
    password.grantRead(authorizationServer);
    api.addRoutes({
      path: '/{proxy+}',
      methods: [HttpMethod.ANY],
      integration: new HttpLambdaIntegration('AuthorizationServerIntegration', authorizationServer),
    });

    const orders = new HttpApi(this, 'OrdersApi', { description: 'Example: protected API' });
    const authorizer = new OAuthAuthorizer(this, 'Authorizer', { stores, logs: { removalPolicy } });
    orders.addRoutes({
      path: '/orders',
      methods: [HttpMethod.GET],
      integration: new HttpLambdaIntegration('OrdersIntegration', this.function('Orders', 'orders.ts')),
      authorizer: authorizer.forHttpApi(orders),
    });

    new CfnOutput(this, 'Issuer', { value: issuer });
    new CfnOutput(this, 'ServerUrl', { value: api.apiEndpoint });
    new CfnOutput(this, 'OrdersUrl', { value: `${orders.apiEndpoint}/orders` });
    new CfnOutput(this, 'UserName', { value: USER_NAME });
    new CfnOutput(this, 'PasswordSecret', { value: password.secretArn });
  }

  private function(id: string, entry: string, environment: Record<string, string> = {}): NodejsFunction {
    return new NodejsFunction(this, id, {
      entry: file(entry),
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      memorySize: 1024,
      timeout: Duration.seconds(25),
      environment,
      logGroup: new LogGroup(this, `${id}Logs`, {
        retention: RetentionDays.ONE_WEEK,
        removalPolicy: RemovalPolicy.DESTROY,
      }),
      bundling: { ...options, externalModules: external, format: OutputFormat.ESM, bundleAwsSDK: true },
    });
  }
}
