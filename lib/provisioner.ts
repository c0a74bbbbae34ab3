import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { type FunctionOptions, Function as LambdaFunction, Runtime } from 'aws-cdk-lib/aws-lambda';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Provider } from 'aws-cdk-lib/custom-resources';
import { Construct } from 'constructs';
import type { Engine } from '../functions/config/engines.ts';
import type { ProvisioningFunction } from '../functions/config/functions.ts';
import type { Network } from './connection.ts';
import { functionCode, handlerOf } from './function-code.ts';
import { architectureOf } from './store-function.ts';
import { acknowledgeWildcard } from './wildcards.ts';

export interface ProvisionerProps extends Pick<FunctionOptions, 'description' | 'environment' | 'timeout'> {
  /** The file in functions/handlers. */
  readonly handlerName: ProvisioningFunction;
  readonly engines?: readonly Engine[];
  /** Files beside the function. */
  readonly texts?: Readonly<Record<string, string>>;
  readonly network?: Network;
}

/**
 * A function that CloudFormation calls while a deployment is made, by way of the provider framework: that one answers
 * CloudFormation also for a function that failed or was too late, and does so from outside of any network.
 */
export class Provisioner extends Construct {
  readonly handler: LambdaFunction;
  readonly serviceToken: string;

  constructor(scope: Construct, id: string, props: ProvisionerProps) {
    super(scope, id);
    const { handlerName, engines = [], texts, network, ...options } = props;
    const logs = new LogGroup(this, 'Logs', {
      retention: RetentionDays.THREE_MONTHS,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const roleOf = (name: string) => {
      const role = new Role(this, name, { assumedBy: new ServicePrincipal('lambda.amazonaws.com') });
      logs.grantWrite(role);
      return role;
    };
    this.handler = new LambdaFunction(this, 'Handler', {
      runtime: Runtime.NODEJS_24_X,
      architecture: architectureOf(engines),
      memorySize: 256,
      timeout: Duration.minutes(1),
      handler: handlerOf(handlerName),
      code: functionCode(handlerName, engines, texts),
      role: roleOf('HandlerRole'),
      logGroup: logs,
      ...network,
      ...options,
    });
    const frameworkRole = roleOf('FrameworkRole');
    const provider = new Provider(this, 'Provider', {
      onEventHandler: this.handler,
      frameworkOnEventRole: frameworkRole,
      logGroup: logs,
    });
    acknowledgeWildcard(
      frameworkRole,
      `${this.handler.functionArn}:*`,
      'What the provider framework invokes: the versions of this one function.',
    );
    this.serviceToken = provider.serviceToken;
  }
}
