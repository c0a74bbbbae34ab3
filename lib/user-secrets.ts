import { Duration, RemovalPolicy, Validations } from 'aws-cdk-lib';
import { Port, type SecurityGroup } from 'aws-cdk-lib/aws-ec2';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Function as LambdaFunction, LoggingFormat, Runtime } from 'aws-cdk-lib/aws-lambda';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { type ISecret, Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { Construct, type IDependable } from 'constructs';
import { type DatabaseUser, databaseUsers } from '../functions/config/database-users.ts';
import type { DatabaseEngine } from '../functions/config/engines.ts';
import { functionCode, handlerOf } from './function-code.ts';
import type { PrivateNetwork } from './network.ts';
import { architectureOf, permitNetwork } from './store-function.ts';

export interface UserSecretsProps {
  readonly engine: DatabaseEngine;
  /** The engine’s name, as people write it. */
  readonly title: string;
  readonly network: PrivateNetwork;
  /** That of the server. */
  readonly securityGroup: SecurityGroup;
  readonly host: string;
  readonly port: number;
  readonly database: string;
  /** The secret of the user who makes others. */
  readonly master: ISecret;
  /** After which a password is replaced. */
  readonly rotateAfter: Duration;
  readonly removalPolicy: RemovalPolicy;
  /** What the function that replaces them needs beside its bundle. */
  equip?(fn: LambdaFunction): void;
  /** What users are given privileges on. */
  readonly after: IDependable;
}

/** Of AWS Secrets Manager’s own: a function has as long to wait for a server that fails over. */
const TIMEOUT = Duration.minutes(2);

/**
 * What stands in the templates is a role’s name, and a password that lets nobody in: the first rotation makes the user and writes
 * the rest. So nothing in them ever changes, at which CloudFormation would write a secret anew.
 */
const PASSWORD_LENGTH = 30;

/** The name under which the ARN of a user’s secret is published. */
export const secretFact = (user: DatabaseUser) => `${user.replace('oauth_', '')}SecretArn`;
export const userSecretFacts = [...databaseUsers.map(secretFact), 'rotationFunction'];

/**
 * A secret for each user of a database whose server knows no IAM, and the function that replaces their passwords: at once, which
 * makes the users, and then again and again, while calls go on.
 *
 * They are under the key of AWS for Secrets Manager: functions of other stacks read them, and a key of yours would have to be
 * known to each.
 */
export class UserSecrets extends Construct {
  readonly facts: Readonly<Record<string, string>>;

  constructor(scope: Construct, id: string, props: UserSecretsProps) {
    super(scope, id);
    const { rotateAfter, removalPolicy, after } = props;
    const fn = this.createFunction(props);
    const secrets = databaseUsers.map((username) => {
      const secret = new Secret(this, username, {
        description: `What functions log in to the database of ${scope.node.path} with, as ${username}`,
        generateSecretString: {
          secretStringTemplate: JSON.stringify({ username }),
          generateStringKey: 'password',
          excludePunctuation: true,
          passwordLength: PASSWORD_LENGTH,
        },
        removalPolicy,
      });
      const schedule = secret.addRotationSchedule('Rotation', {
        rotationLambda: fn,
        automaticallyAfter: rotateAfter,
        rotateImmediatelyOnUpdate: true,
      });
      schedule.node.addDependency(after, fn);
      return [secretFact(username), secret.secretArn] as const;
    });
    this.facts = { ...Object.fromEntries(secrets), rotationFunction: fn.functionName };
  }

  private createFunction(props: UserSecretsProps): LambdaFunction {
    const { engine, title, network, securityGroup, host, port, database, master } = props;
    const group = network.securityGroup('RotationGroup', 'The function that replaces passwords', this);
    group.connections.allowTo(securityGroup, Port.tcp(port), title);
    const ways = network.allowSecrets(group);
    const logGroup = new LogGroup(this, 'Logs', {
      retention: RetentionDays.THREE_MONTHS,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const role = new Role(this, 'Role', { assumedBy: new ServicePrincipal('lambda.amazonaws.com') });
    logGroup.grantWrite(role);
    permitNetwork(role);
    Validations.of(role).acknowledge({
      id: 'AwsSolutions-IAM5[Resource::*]',
      reason:
        'Network interfaces cannot be named before they are there, and the function’s own code may not use these actions; secretsmanager:GetRandomPassword knows no resources.',
    });
    const fn = new LambdaFunction(this, 'Rotate', {
      description: `Replaces the passwords of the users of ${this.node.path}`,
      runtime: Runtime.NODEJS_24_X,
      architecture: architectureOf([engine]),
      memorySize: 256,
      timeout: TIMEOUT,
      handler: handlerOf('rotate-database-password'),
      code: functionCode('rotate-database-password', [engine]),
      role,
      logGroup,
      loggingFormat: LoggingFormat.JSON,
      vpc: network.vpc,
      vpcSubnets: { subnets: [...network.subnets] },
      securityGroups: [group],
      environment: {
        DATABASE_ENGINE: engine,
        DATABASE_HOST: host,
        DATABASE_PORT: String(port),
        DATABASE_NAME: database,
        MASTER_SECRET_ARN: master.secretArn,
      },
    });
    master.grantRead(fn);
    props.equip?.(fn);
    fn.node.addDependency(group, ...ways);
    return fn;
  }
}
