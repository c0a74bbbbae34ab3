import { InstanceClass, InstanceSize, InstanceType } from 'aws-cdk-lib/aws-ec2';
import { DatabaseInstanceEngine, SqlServerEngineVersion } from 'aws-cdk-lib/aws-rds';
import { usualPorts } from '../functions/config/engines.ts';
import { type Fault, when } from '../functions/config/faults.ts';
import { either } from '../functions/config/fields.ts';
import { databaseServer } from './database-server.ts';
import { passwordLogin } from './instance-login.ts';
import {
  instanceFaults,
  intelFaults,
  nameFaults,
  type PasswordOptions,
  type RdsInstanceOptions,
} from './instance-options.ts';
import { createdInstance, type InstanceEngine } from './rds-instance.ts';

// How the database engine `sqlserver` is deployed: an instance of Amazon RDS, or a server that is there.

export interface SqlserverOptions {
  /** Of the servers of SQL Server that are created. Their licence is in the price. */
  readonly sqlserverInstance?: SqlserverInstanceOptions;
}

interface SqlserverInstanceOptions extends RdsInstanceOptions, PasswordOptions {
  /**
   * Web is licensed for what the public reaches alone; Express holds 10 GB in each database, on one instance without a standby.
   * Default: standard.
   */
  readonly edition?: Edition;
  /** Default: 2022, 16.00.4236.2.v1, and its later builds. */
  readonly version?: SqlServerEngineVersion;
}

type Edition = keyof typeof editions;

/** The smallest instances are those of https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/SQLServer.Concepts.General.InstanceClasses.html */
const editions = {
  enterprise: {
    engine: DatabaseInstanceEngine.sqlServerEe,
    smallest: InstanceType.of(InstanceClass.M6I, InstanceSize.XLARGE),
    tooSmall: /\.(nano|micro|small|medium|large)$/,
  },
  standard: {
    engine: DatabaseInstanceEngine.sqlServerSe,
    smallest: InstanceType.of(InstanceClass.M6I, InstanceSize.LARGE),
    tooSmall: /\.(nano|micro|small|medium)$|^t3\.large$/,
  },
  web: {
    engine: DatabaseInstanceEngine.sqlServerWeb,
    smallest: InstanceType.of(InstanceClass.M6I, InstanceSize.LARGE),
    tooSmall: /\.(nano|micro)$/,
  },
  express: {
    engine: DatabaseInstanceEngine.sqlServerEx,
    smallest: InstanceType.of(InstanceClass.T3, InstanceSize.MEDIUM),
    tooSmall: /\.nano$/,
  },
} as const;

export function sqlserverInstance(options: SqlserverInstanceOptions = {}): InstanceEngine {
  const { edition = 'standard', version = SqlServerEngineVersion.VER_16_00_4236_2_V1 } = options;
  const { engine, smallest } = editions[edition];
  return {
    engine: 'sqlserver',
    title: 'SQL Server',
    port: usualPorts.sqlserver,
    databaseNames: { pattern: /^[A-Za-z][A-Za-z0-9_]{0,127}$/, accepted: 'letters, digits and _, a letter first' },
    hasDatabase: false,
    instanceEngine: engine({ version }),
    instanceType: smallest,
    license: 'license-included',
    logs: ['error'],
    // https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/SQLServer.Ciphers.html
    parameters: () => ({
      'rds.force_ssl': '1',
      'rds.tls10': 'disabled',
      'rds.tls11': 'disabled',
      'rds.rc4': 'disabled',
      'rds.3des168': 'disabled',
    }),
    login: passwordLogin(options),
  };
}

function faults(options: SqlserverInstanceOptions): Fault[] {
  const { edition = 'standard', instanceType, multiAz = true } = options;
  const option = 'sqlserverInstance';
  if (!Object.hasOwn(editions, edition)) {
    return when(true, [option, 'edition'], 'another one', either(Object.keys(editions)));
  }
  const { smallest, tooSmall } = editions[edition];
  return [
    ...instanceFaults(option, options),
    ...intelFaults(option, options, 'SQL Server'),
    ...when(
      instanceType && tooSmall.test(instanceType.toString()),
      [option, 'instanceType'],
      String(instanceType),
      `${smallest} or larger, for the edition ${edition}`,
    ),
    ...when(
      edition === 'express' && multiAz,
      [option, 'multiAz'],
      'true, the default',
      'false: the edition express has no standby',
    ),
  ];
}

export const sqlserver = databaseServer<SqlserverOptions>({
  title: 'SQL Server',
  created(settings, { sqlserverInstance: options = {} }, path) {
    const refused = faults(options);
    const engine = sqlserverInstance(refused.length > 0 ? {} : options);
    return {
      faults: [...refused, ...nameFaults(path, settings, engine)],
      ...createdInstance(settings, engine, options),
    };
  },
});
