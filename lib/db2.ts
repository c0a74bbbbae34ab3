import { InstanceClass, InstanceSize, InstanceType } from 'aws-cdk-lib/aws-ec2';
import { type Function as LambdaFunction, LayerVersion } from 'aws-cdk-lib/aws-lambda';
import type { EngineVersion, IInstanceEngine } from 'aws-cdk-lib/aws-rds';
import { SecretRotationApplication } from 'aws-cdk-lib/aws-secretsmanager';
import { type Fault, kindOf, when } from '../functions/config/faults.ts';
import { either } from '../functions/config/fields.ts';
import { databaseServer } from './database-server.ts';
import { passwordLogin } from './instance-login.ts';
import {
  instanceFaults,
  intelFaults,
  isLarger,
  nameFaults,
  type PasswordOptions,
  type RdsInstanceOptions,
} from './instance-options.ts';
import { createdInstance, type InstanceEngine, MASTER } from './rds-instance.ts';

// How the database engine `db2` is deployed: an instance of Amazon RDS, or a server that is there, reached by IBM’s native client.

export interface Db2Options {
  readonly db2?: {
    /** ARN of a layer, a version of it, that holds the driver and its native client: docs/deployment/database-servers.md. */
    readonly clientLayer: string;
  };
  /** Of the servers of Db2 that are created. */
  readonly db2Instance?: Db2InstanceOptions;
}

interface Db2InstanceOptions extends RdsInstanceOptions, PasswordOptions {
  /** Standard Edition, on 32 processors at most, or Advanced Edition. Default: se. */
  readonly edition?: Edition;
  /** Yours, or one that AWS Marketplace is subscribed to. Default: bring-your-own-license. */
  readonly license?: (typeof licenses)[number];
  /** IBM’s names of a licence of yours, digits both: they stand in the parameter group. */
  readonly ibmCustomerId?: string;
  readonly ibmSiteId?: string;
  /** Default: 11.5.9.0.sb00075854.r1 of 11.5, and its later builds. */
  readonly version?: EngineVersion & Required<Pick<EngineVersion, 'fullVersion'>>;
}

const editions = ['se', 'ae'] as const;
type Edition = (typeof editions)[number];
const licenses = ['bring-your-own-license', 'marketplace-license'] as const;

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

/** Of TLS; the port of plain text is neither listened on nor let in. */
const TLS_PORT = 50_443;
/** https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Db2.Concepts.General.InstanceClasses.html: of general purpose. */
const MOST_OF_SE = 8;

/** CDK asks of every engine who rotates its secrets; nobody asks this one. */
const none = new SecretRotationApplication('none', '0');

function db2Engine({ edition = 'se', version }: Db2InstanceOptions): IInstanceEngine {
  const engineType = `db2-${edition}`;
  const engineVersion = version ?? { fullVersion: '11.5.9.0.sb00075854.r1', majorVersion: '11.5' };
  return {
    engineType,
    engineVersion,
    parameterGroupFamily: `${engineType}-${engineVersion.majorVersion}`,
    singleUserRotationApplication: none,
    multiUserRotationApplication: none,
    bindToInstance: () => ({}),
  };
}

export function db2Instance(options: Db2InstanceOptions, equip?: NonNullable<InstanceEngine['equip']>): InstanceEngine {
  const { license = 'bring-your-own-license', ibmCustomerId = '', ibmSiteId = '' } = options;
  return {
    engine: 'db2',
    title: 'Db2',
    port: TLS_PORT,
    databaseNames: { pattern: /^[A-Za-z][A-Za-z0-9]{0,7}$/, accepted: 'up to 8 letters and digits, a letter first' },
    instanceEngine: db2Engine(options),
    instanceType: InstanceType.of(InstanceClass.M6I, InstanceSize.LARGE),
    license,
    // Those that RDS makes may have braces in them, which IBM’s driver cannot be given.
    hasPlainPassword: true,
    // Not diag.log: what fails is dumped there.
    logs: ['notify.log'],
    // https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Db2.Concepts.SSL.html and db2-licensing.html
    parameters: () => ({
      DB2COMM: 'SSL',
      ssl_svcename: String(TLS_PORT),
      ...(license === 'bring-your-own-license' && {
        'rds.ibm_customer_id': ibmCustomerId,
        'rds.ibm_site_id': ibmSiteId,
      }),
    }),
    further: { enablePerformanceInsights: false }, // which RDS has not for Db2
    ...(equip && { equip }),
    login: passwordLogin(options, { schema: MASTER }),
  };
}

function db2InstanceFaults(options: Db2InstanceOptions): Fault[] {
  const { edition = 'se', license = 'bring-your-own-license', instanceType } = options;
  const option = 'db2Instance';
  const isOwn = license === 'bring-your-own-license';
  const id = (setting: 'ibmCustomerId' | 'ibmSiteId', what: string) =>
    when(
      isOwn ? !/^\d{1,20}$/.test(options[setting] ?? '') : options[setting] !== undefined,
      [option, setting],
      kindOf(options[setting]),
      isOwn
        ? `IBM’s ${what}, digits: it stands on the Proof of Entitlement; or license: marketplace-license`
        : 'nothing',
    );
  return [
    ...instanceFaults(option, options),
    ...intelFaults(option, options, 'Db2'),
    ...when(!editions.includes(edition), [option, 'edition'], 'another one', either(editions)),
    ...when(!licenses.includes(license), [option, 'license'], 'another one', either(licenses)),
    ...id('ibmCustomerId', 'id of the customer'),
    ...id('ibmSiteId', 'id of the site'),
    ...when(
      edition === 'se' && isLarger(instanceType, MOST_OF_SE),
      [option, 'instanceType'],
      String(instanceType),
      `${MOST_OF_SE}xlarge at most, for the edition se`,
    ),
  ];
}

/** What functions need beside their bundle. */
const clientOf = ({ db2: { clientLayer } = { clientLayer: '' } }: Db2Options) => ({
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
});

export const db2 = databaseServer<Db2Options>({
  title: 'Db2',
  client: clientOf,
  created(settings, options, path) {
    const { db2Instance: chosen = {} } = options;
    const engine = db2Instance(chosen, clientOf(options).equip);
    return {
      faults: [...db2InstanceFaults(chosen), ...nameFaults(path, settings, engine)],
      ...createdInstance(settings, engine, chosen),
    };
  },
});
