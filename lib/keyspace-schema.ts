import { createHash } from 'node:crypto';
import { Annotations, CustomResource, Duration, RemovalPolicy } from 'aws-cdk-lib';
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import { Construct, type IDependable } from 'constructs';
import type { Engine } from '../functions/config/engines.ts';
import { cassandraScripts } from './cassandra-scripts.ts';
import type { Network } from './connection.ts';
import { Provisioner } from './provisioner.ts';
import type { SchemaApplication } from './schema.ts';

export interface KeyspaceSchemaProps {
  readonly handlerName: 'apply-cassandra-schema' | 'apply-keyspaces-schema';
  readonly engines?: readonly Engine[];
  readonly network?: Network;
  readonly application: SchemaApplication;
  /** What its function is told beside it: where the keyspace is. */
  readonly properties: Readonly<Record<string, string>>;
  /** What must be there before. */
  readonly after?: readonly IDependable[];
}

/** Waiting for tables that are made in the background, and for nodes to agree; the function itself needs seconds. */
const TIMEOUT = Duration.minutes(10);

/**
 * Sees to it, while a deployment is made, that a keyspace has the tables of this package, and fails the deployment in words
 * where it cannot. It is looked at again whenever a script has changed. Nothing removes it.
 */
export class KeyspaceSchema extends Construct {
  readonly handler: LambdaFunction;

  constructor(scope: Construct, id: string, props: KeyspaceSchemaProps) {
    super(scope, id);
    const { handlerName, engines = [], network, application, properties, after = [] } = props;
    const scripts = JSON.stringify(cassandraScripts());
    const provisioner = new Provisioner(this, 'ApplySchema', {
      handlerName,
      engines,
      description: `Applies the schema of ${this.node.path}, or checks it`,
      texts: { 'schema.json': scripts },
      timeout: TIMEOUT,
      ...(network && { network }),
    });
    this.handler = provisioner.handler;
    if (application === 'manual') {
      Annotations.of(this).addWarningV2(
        `oauth2-stores:${this.node.path}`,
        'the schema is left to you: before functions use the keyspace, and before each deployment of a newer version, run what "oauth2-stores schema" prints; a deployment over a schema that is too old fails',
      );
    }
    const resource = new CustomResource(this, 'Version', {
      serviceToken: provisioner.serviceToken,
      resourceType: 'Custom::KeyspaceSchema',
      serviceTimeout: TIMEOUT.plus(Duration.minutes(2)),
      removalPolicy: RemovalPolicy.RETAIN,
      properties: {
        ...properties,
        application,
        scripts: createHash('sha256').update(scripts).digest('hex'),
      },
    });
    resource.node.addDependency(provisioner, ...after);
  }
}
