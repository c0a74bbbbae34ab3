import { type Function as LambdaFunction, LayerVersion } from 'aws-cdk-lib/aws-lambda';
import { when } from '../functions/config/faults.ts';
import { databaseServer } from './database-server.ts';

// How the database engine `db2` is deployed: a server that is there, reached by IBM’s native client.

export interface Db2Options {
  readonly db2?: {
    /** ARN of a layer, a version of it, that holds the driver and its native client: docs/deployment/database-servers.md. */
    readonly clientLayer: string;
  };
}

const HOME = '/opt/clidriver';

/** Those of AWS Lambda (https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html), which a setting replaces. */
const LIBRARIES = [
  '/lib64',
  '/usr/lib64',
  '/var/runtime',
  '/var/runtime/lib',
  '/var/task',
  '/var/task/lib',
  '/opt/lib',
];

/** A call holds a thread of Node.js until it is answered, beside the four that others need; a function has one at a time. */
const THREADS = 8;

export const db2 = databaseServer<Db2Options, never>({
  title: 'Db2',
  client: ({ db2: { clientLayer } = { clientLayer: '' } }) => ({
    faults: when(
      !/^arn:aws[a-z-]*:lambda:[^:]+:\d+:layer:[^:]+:\d+$/.test(clientLayer),
      ['db2', 'clientLayer'],
      clientLayer === '' ? 'nothing' : 'text',
      'the ARN of a version of a layer with ibm_db and IBM’s native client, arn:aws:lambda:…:layer:NAME:1',
    ),
    equip(fn: LambdaFunction) {
      const id = 'Db2Client';
      if (fn.node.tryFindChild(id)) return;

      fn.addLayers(LayerVersion.fromLayerVersionArn(fn, id, clientLayer));
      fn.addEnvironment('IBM_DB_HOME', HOME);
      fn.addEnvironment('LD_LIBRARY_PATH', [`${HOME}/lib`, `${HOME}/lib/icc`, ...LIBRARIES].join(':'));
      fn.addEnvironment('UV_THREADPOOL_SIZE', String(THREADS));
    },
  }),
});
