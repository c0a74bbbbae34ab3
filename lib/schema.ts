import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Annotations, CustomResource, Duration, RemovalPolicy, Validations } from 'aws-cdk-lib';
import type { SecurityGroup } from 'aws-cdk-lib/aws-ec2';
import type { Role } from 'aws-cdk-lib/aws-iam';
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager';
import { Construct, type IDependable } from 'constructs';
import type { PrivateNetwork } from './network.ts';
import { Provisioner } from './provisioner.ts';
import { permitNetwork } from './store-function.ts';

/** Who makes the tables and users of a database: the deployment, or somebody else, whose work it then only checks. */
export type SchemaApplication = 'automatic' | 'manual';

/** The engines whose schema a deployment applies: their titles, and the client by which somebody else runs their scripts. */
const schemaEngines = {
  postgresql: { title: 'Postgresql', client: 'psql' },
  mysql: { title: 'Mysql', client: 'mysql' },
  mariadb: { title: 'Mariadb', client: 'mariadb' },
  sqlserver: { title: 'Sqlserver', client: 'sqlcmd' },
  oracle: { title: 'Oracle', client: 'sqlplus' },
  db2: { title: 'Db2', client: 'db2' },
} as const;

export interface DatabaseSchemaProps {
  readonly engine: keyof typeof schemaEngines;
  readonly network: PrivateNetwork;
  /** The group of the function that applies the schema. */
  readonly securityGroup: SecurityGroup;
  readonly host: string;
  readonly port: number;
  readonly database: string;
  /** The user who owns the tables and may make roles, and the secret with the password. */
  readonly user: string;
  readonly secret: ISecret;
  readonly application: SchemaApplication;
  /** Whether access tokens are kept in expiry partitions. */
  readonly expiryPartitions?: boolean;
  /** What the function needs of the engine beside its bundle. */
  equip?(fn: LambdaFunction): void;
  /** The server, and the ways to it. */
  readonly after: readonly IDependable[];
}

/** Waiting for the server, for others and for locks; the function itself needs seconds. */
const TIMEOUT = Duration.minutes(10);

/**
 * Brings the schema of a database server to the version of this package while a deployment is made, and fails the deployment
 * in words where it cannot. It is looked at again whenever a script has changed. Nothing removes it.
 */
export class DatabaseSchema extends Construct {
  constructor(scope: Construct, id: string, props: DatabaseSchemaProps) {
    super(scope, id);
    const { engine, network, securityGroup, host, port, database, user, secret, application, after } = props;
    const { expiryPartitions = false } = props;
    const scripts = JSON.stringify(readScripts(engine));
    const way = network.allowSecrets(securityGroup);
    const provisioner = new Provisioner(this, 'ApplySchema', {
      handlerName: 'apply-schema',
      description: `Applies the schema of ${this.node.path}, or checks it`,
      engines: [engine],
      texts: { 'schema.json': scripts },
      timeout: TIMEOUT,
      network: {
        vpc: network.vpc,
        vpcSubnets: { subnets: [...network.subnets] },
        securityGroups: [securityGroup],
      },
    });
    secret.grantRead(provisioner.handler);
    props.equip?.(provisioner.handler);
    const role = provisioner.handler.role as Role;
    permitNetwork(role);
    Validations.of(role).acknowledge({
      id: 'AwsSolutions-IAM5[Resource::*]',
      reason:
        'Network interfaces cannot be named before they are there; the function’s own code may not use these actions.',
    });
    if (application === 'manual') {
      Annotations.of(this).addWarningV2(
        `oauth2-stores:${this.node.path}`,
        `the schema is left to you: before functions use the database, and before each deployment of a newer version, run what "oauth2-stores schema" prints, with --roles, by ${schemaEngines[engine].client} as ${user}; a deployment over a schema that is too old fails`,
      );
    }
    const resource = new CustomResource(this, 'Version', {
      serviceToken: provisioner.serviceToken,
      resourceType: `Custom::${schemaEngines[engine].title}Schema`,
      serviceTimeout: TIMEOUT.plus(Duration.minutes(2)),
      removalPolicy: RemovalPolicy.RETAIN,
      properties: {
        engine,
        host,
        port,
        database,
        user,
        secretArn: secret.secretArn,
        application,
        ...(expiryPartitions && { expiryPartitions: 'true' }),
        scripts: createHash('sha256').update(scripts).digest('hex'),
      },
    });
    resource.node.addDependency(provisioner, securityGroup, ...way, ...after);
  }
}

/** The scripts of sql/<engine> by their path there. */
function readScripts(engine: string): Record<string, string> {
  const folder = fileURLToPath(new URL(`../sql/${engine}/`, import.meta.url));
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.sql'));
  return Object.fromEntries(paths.toSorted().map((path) => [path, readFileSync(join(folder, path), 'utf8')]));
}
