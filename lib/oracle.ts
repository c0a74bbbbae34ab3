import { InstanceClass, InstanceSize, InstanceType } from 'aws-cdk-lib/aws-ec2';
import { DatabaseInstanceEngine, OracleEngineVersion } from 'aws-cdk-lib/aws-rds';
import { type Fault, when } from '../functions/config/faults.ts';
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

// How the database engine `oracle` is deployed: an instance of Amazon RDS, or a server that is there.

export interface OracleOptions {
  /** Of the servers of Oracle that are created. */
  readonly oracleInstance?: OracleInstanceOptions;
}

interface OracleInstanceOptions extends RdsInstanceOptions, PasswordOptions {
  /** Standard Edition 2, on 16 processors at most, or Enterprise Edition. Default: se2. */
  readonly edition?: Edition;
  /** Whether its licence is in the price, as of Standard Edition 2 alone, or yours. Default: license-included of se2. */
  readonly license?: License;
  /** Of 19c. Default: 19.0.0.0.ru-2025-10.rur-2025-10.r1, and its later release updates. */
  readonly version?: OracleEngineVersion;
}

type Edition = keyof typeof editions;
type License = 'license-included' | 'bring-your-own-license';

/** https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Oracle.Concepts.Licensing.html */
const editions = {
  se2: { engine: DatabaseInstanceEngine.oracleSe2, licenses: ['license-included', 'bring-your-own-license'] },
  ee: { engine: DatabaseInstanceEngine.oracleEe, licenses: ['bring-your-own-license'] },
} as const satisfies Record<string, { engine: unknown; licenses: readonly License[] }>;

/** The last whose databases need be no containers: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Oracle.Concepts.CDBs.html */
const MAJOR_VERSION = '19';

/** The usual one of TLS; nobody is let in at that of plain text, 1521. */
const TLS_PORT = 2484;

/** Standard Edition 2 runs on no more than 16 processors: 4xlarge. */
const MOST_OF_SE2 = 4;

/** Sessions of the server’s own, which count among its processes. */
const BACKGROUND_PROCESSES = 150;

export function oracleInstance(options: OracleInstanceOptions = {}): InstanceEngine {
  const { edition = 'se2', version = OracleEngineVersion.VER_19_0_0_0_2025_10_R1 } = options;
  const { engine, licenses } = editions[edition];
  return {
    engine: 'oracle',
    title: 'Oracle',
    port: TLS_PORT,
    databaseNames: { pattern: /^[A-Za-z][A-Za-z0-9]{0,7}$/, accepted: 'up to 8 letters and digits, a letter first' },
    instanceEngine: engine({ version }),
    instanceType: InstanceType.of(InstanceClass.M5, InstanceSize.LARGE),
    license: options.license ?? licenses[0],
    // Not the audit trail and traces, which may hold statements.
    logs: ['alert', 'listener'],
    parameters: (maxConnections) => ({ processes: String(maxConnections + BACKGROUND_PROCESSES) }),
    // https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Appendix.Oracle.Options.SSL.html
    option: {
      name: 'SSL',
      settings: {
        'SQLNET.SSL_VERSION': '1.2',
        'SQLNET.CIPHER_SUITE': 'TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384',
        'FIPS.SSLFIPS_140': 'TRUE',
      },
    },
    further: { characterSetName: 'AL32UTF8' },
    login: passwordLogin(options, { schema: MASTER }),
  };
}

function faults(options: OracleInstanceOptions): Fault[] {
  const { edition = 'se2', license, instanceType, version } = options;
  const option = 'oracleInstance';
  if (!Object.hasOwn(editions, edition)) {
    return when(true, [option, 'edition'], 'another one', either(Object.keys(editions)));
  }
  const licenses: readonly string[] = editions[edition].licenses;
  return [
    ...instanceFaults(option, options),
    ...intelFaults(option, options, 'Oracle'),
    ...when(
      license !== undefined && !licenses.includes(license),
      [option, 'license'],
      'another one',
      `${either(licenses)}, for the edition ${edition}`,
    ),
    ...when(
      version !== undefined && version.oracleMajorVersion !== MAJOR_VERSION,
      [option, 'version'],
      String(version?.oracleMajorVersion),
      `${MAJOR_VERSION}: later ones are of container databases alone, which a deployment does not create`,
    ),
    ...when(
      edition === 'se2' && isLarger(instanceType, MOST_OF_SE2),
      [option, 'instanceType'],
      String(instanceType),
      `${MOST_OF_SE2}xlarge at most, for the edition se2`,
    ),
  ];
}

export const oracle = databaseServer<OracleOptions>({
  title: 'Oracle',
  created(settings, { oracleInstance: options = {} }, path) {
    const refused = faults(options);
    const engine = oracleInstance(refused.length > 0 ? {} : options);
    return {
      faults: [
        ...refused,
        ...nameFaults(path, settings, engine),
        ...when(
          settings.expiryPartitions && options.edition !== 'ee',
          [...path, 'expiryPartitions'],
          'true',
          'false, or oracleInstance.edition ee with a licence of the Partitioning option: se2 has no partitions',
        ),
      ],
      ...createdInstance(settings, engine, options),
    };
  },
});
