import { Duration, Validations } from 'aws-cdk-lib';
import { Effect, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import {
  Architecture,
  type FunctionOptions,
  Function as LambdaFunction,
  LoggingFormat,
  Runtime,
  Tracing,
} from 'aws-cdk-lib/aws-lambda';
import type { Construct } from 'constructs';
import type { Configuration } from '../functions/config/configuration.ts';
import { readConfiguration } from '../functions/config/configuration.ts';
import type { Engine } from '../functions/config/engines.ts';
import { environment } from '../functions/config/environment.ts';
import { type FunctionName, type StoreKind, type StoreUse, useOf } from '../functions/config/functions.ts';
import { isOpened, usedConnections } from '../functions/config/places.ts';
import { functionCode, handlerOf } from './function-code.ts';
import { type LogOptions, tokenLogGroup } from './log-group.ts';
import type { IOAuthStores } from './stores.ts';

/** Which store the functions use, where the configuration has several of a kind. */
export interface StoreNames {
  readonly accessTokenStore?: string;
  readonly authorizationCodeStore?: string;
  readonly artifactStore?: string;
}

/** What all functions of a deployment have in common. */
export interface StoreFunctionOptions extends Pick<FunctionOptions, 'memorySize'> {
  readonly stores: IOAuthStores;
  readonly storeNames?: StoreNames;
  readonly logs?: LogOptions;
}

export interface StoreFunctionProps
  extends StoreFunctionOptions,
    Pick<
      FunctionOptions,
      'description' | 'timeout' | 'reservedConcurrentExecutions' | 'retryAttempts' | 'maxEventAge' | 'onFailure'
    > {
  /** The file in functions/handlers. */
  readonly handlerName: FunctionName;
  /** The configuration that this function reads, where it is not that of the stores. */
  readonly configurationText?: string;
}

/**
 * One deployed function: its bundle with the drivers of its stores alone, what it may do with them and nothing beyond, its
 * own log group.
 *
 * Only the purge is invoked asynchronously. The other functions answer somebody who waits, so Lambda repeats none of their
 * calls and there is nothing to dead-letter: the caller learns of a failure and decides.
 *
 * @throws {ConfigurationError} `configurationText` is at fault
 * @throws {Error} the function needs a store that the configuration has not, or has several of and none is named
 */
export class StoreFunction extends LambdaFunction {
  readonly handlerName: FunctionName;

  constructor(scope: Construct, id: string, props: StoreFunctionProps) {
    const {
      handlerName,
      stores,
      storeNames = {},
      configurationText = stores.configurationText,
      logs,
      ...options
    } = props;
    const configuration = readConfiguration(configurationText).configuration;
    const use = useOf(handlerName, configuration);
    const network = stores.networkFor(use);
    const engines = enginesOf(configuration, use);
    const role = new Role(scope, `${id}Role`, { assumedBy: new ServicePrincipal('lambda.amazonaws.com') });
    const logGroup = tokenLogGroup(scope, `${id}Logs`, configuration.issuing, logs);
    logGroup.grantWrite(role);
    if (network.vpc) permitNetwork(role);
    super(scope, id, {
      runtime: Runtime.NODEJS_24_X,
      architecture: architectureOf(engines),
      handler: handlerOf(handlerName),
      code: functionCode(handlerName, engines, {
        [environment.configurationFile.default]: configurationText,
      }),
      role,
      logGroup,
      // Every line is an object then, those of Lambda itself too; lines of functions are JSON already and stay as they are.
      loggingFormat: LoggingFormat.JSON,
      tracing: Tracing.ACTIVE,
      // A third of a processor: most of a cold start is loading the bundle and the handshake of TLS.
      memorySize: 512,
      timeout: timeoutOf(handlerName),
      ...network,
      ...options,
    });
    this.handlerName = handlerName;
    for (const [setting, name] of Object.entries(namesOf(handlerName, configuration, use, storeNames))) {
      this.addEnvironment(environment[setting as keyof StoreNames].variable, name);
    }
    stores.grantAccess(this, use);
    Validations.of(role).acknowledge({
      id: 'AwsSolutions-IAM5[Resource::*]',
      reason: network.vpc
        ? 'Neither tracing (xray:PutTraceSegments) nor network interfaces can be named before they are there; the function’s own code may not use the latter.'
        : 'Tracing (xray:PutTraceSegments, xray:PutTelemetryRecords) knows no resources.',
    });
  }
}

/**
 * How long a call may take. A store is tried three times of 2 seconds at most, KMS once in the life of an execution
 * environment for 3; a function makes up to two calls of a store one after the other, and those that revoke by subject or
 * client many.
 *
 * An HTTP API waits 30 seconds for a function, and 10 for an authorizer: functions end before, so that the log has their
 * own end and nobody works for a caller who is gone.
 */
const timeoutOf = (name: FunctionName) => Duration.seconds(name === 'authorizer' ? 9 : 25);

/** IBM has no native client for Linux on ARM. */
const ofX86: readonly Engine[] = ['db2'];

/** What a function runs on that opens these engines. */
export const architectureOf = (engines: readonly Engine[]): Architecture =>
  engines.some((engine) => ofX86.includes(engine)) ? Architecture.X86_64 : Architecture.ARM_64;

/** The engines that a function with this use opens. */
export function enginesOf(configuration: Configuration, use: StoreUse): Engine[] {
  const opened = usedConnections(configuration).filter((connection) => isOpened(connection, use));
  return [...new Set(opened.map(({ settings }) => settings.engine))].toSorted();
}

const kindsIn = (use: StoreUse) => Object.keys(use) as StoreKind[];

const settingOf: Partial<Record<StoreKind, keyof StoreNames>> = {
  accessTokenStores: 'accessTokenStore',
  authorizationCodeStores: 'authorizationCodeStore',
  artifactStores: 'artifactStore',
};

/** Whether the configuration has a store of every kind that the function is for. */
export const isServed = (name: FunctionName, configuration: Configuration): boolean =>
  kindsIn(useOf(name, { clients: {}, authorizer: configuration.authorizer })).every(
    (kind) => Object.keys(configuration[kind]).length > 0,
  );

/** The stores that a function must be told by name, checked. The purge is for all that there are. */
function namesOf(
  handlerName: FunctionName,
  configuration: Configuration,
  use: StoreUse,
  storeNames: StoreNames,
): Partial<Record<keyof StoreNames, string>> {
  if (handlerName === 'purge') return {};
  const named = kindsIn(use).flatMap((kind) => {
    const setting = settingOf[kind];
    if (!setting) return [];
    const known = Object.keys(configuration[kind]);
    const name = storeNames[setting];
    if (name === undefined && known.length === 1) return [];
    if (name !== undefined && known.includes(name)) return [[setting, name]];
    const accepted =
      known.map((each) => JSON.stringify(each)).join(' or ') || 'none: the configuration has no such store';
    throw new Error(
      `storeNames.${setting}: ${name === undefined ? 'nothing' : JSON.stringify(name)}; accepted for ${handlerName}: ${accepted}`,
    );
  });
  return Object.fromEntries(named);
}

/**
 * What Lambda needs of a role to put a function into a network. What runs inside the function may not do it too: requests
 * by its code, and no others, carry the function's ARN
 * (https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html). A service that looks on its behalf,
 * as Amazon Keyspaces looks for its endpoints, may.
 */
export function permitNetwork(role: Role): void {
  const actions = [
    'ec2:CreateNetworkInterface',
    'ec2:DescribeNetworkInterfaces',
    'ec2:DescribeSubnets',
    'ec2:DeleteNetworkInterface',
    'ec2:AssignPrivateIpAddresses',
    'ec2:UnassignPrivateIpAddresses',
  ];
  role.addToPolicy(new PolicyStatement({ actions, resources: ['*'] }));
  role.addToPolicy(
    new PolicyStatement({
      effect: Effect.DENY,
      actions,
      resources: ['*'],
      conditions: { Null: { 'lambda:SourceFunctionArn': 'false' }, Bool: { 'aws:ViaAWSService': 'false' } },
    }),
  );
}
