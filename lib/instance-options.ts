import { InstanceArchitecture, type InstanceType } from 'aws-cdk-lib/aws-ec2';
import { type Fault, kindOf, when } from '../functions/config/faults.ts';
import type { DatabaseServer } from './database-server.ts';
import type { SchemaApplication } from './schema.ts';

// What may be said of an instance of Amazon RDS, and what is wrong with it.

/** What may be said of an instance beside the configuration. */
export interface RdsInstanceOptions {
  /** Default: one with 2 processors and 8 GiB of memory. */
  readonly instanceType?: InstanceType;
  /** A second instance in another Availability Zone, which takes over when the first one fails. Default: true. */
  readonly multiAz?: boolean;
  /** Gigabytes of storage to begin with, and the most that RDS adds to by itself. Default: 100 and 1000. */
  readonly storageGigabytes?: number;
  readonly maxStorageGigabytes?: number;
  /** The connections that the server takes; each execution environment of a function has one. Default: 500. */
  readonly maxConnections?: number;
  /** Default: automatic. */
  readonly schema?: SchemaApplication;
}

/** Of users of engines without IAM. */
export interface PasswordOptions {
  /** Days after which the password of each user is replaced. Default: 30. */
  readonly passwordDays?: number;
}

export const PASSWORD_DAYS = 30;
export const MAX_CONNECTIONS = 500;
export const STORAGE = 100;
export const MAX_STORAGE = 1000;
/** gp3: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Storage.html */
const LEAST_STORAGE = 20;
const MOST_STORAGE = 65_536;

/** What is wrong with what was said of an instance, under the name of the option. */
export function instanceFaults(option: string, options: RdsInstanceOptions & PasswordOptions): Fault[] {
  const { storageGigabytes = STORAGE, maxStorageGigabytes = MAX_STORAGE } = options;
  const leastMax = Math.ceil(storageGigabytes * 1.1);
  const whole = (setting: string, value: number | undefined, least: number, most: number, why = '') =>
    when(
      value !== undefined && !(Number.isInteger(value) && value >= least && value <= most),
      [option, setting],
      kindOf(value),
      `a whole number from ${least} to ${most}${why}`,
    );
  return [
    ...whole('storageGigabytes', storageGigabytes, LEAST_STORAGE, MOST_STORAGE),
    ...whole(
      'maxStorageGigabytes',
      maxStorageGigabytes,
      leastMax,
      MOST_STORAGE,
      ': a tenth more than storageGigabytes, or above',
    ),
    ...whole('maxConnections', options.maxConnections, 10, 16_000),
    // https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotationRulesType.html
    ...whole('passwordDays', options.passwordDays, 1, 1000),
  ];
}

/** What is wrong with the name of a database that the deployment creates. */
export const nameFaults = (
  path: readonly unknown[],
  { database }: DatabaseServer,
  { databaseNames }: { readonly databaseNames?: { readonly pattern: RegExp; readonly accepted: string } },
): Fault[] =>
  databaseNames
    ? when(
        database !== undefined && !databaseNames.pattern.test(database),
        [...path, 'database'],
        kindOf(database),
        databaseNames.accepted,
      )
    : [];

/** Whether an instance is larger than so many times `xlarge`. */
export function isLarger(instanceType: InstanceType | undefined, most: number): boolean {
  const size = /\.(?:(\d+)xlarge|metal.*)$/.exec(String(instanceType));
  return size !== null && (size[1] === undefined || Number(size[1]) > most);
}

/** Of engines whose vendor has nothing for ARM. */
export const intelFaults = (option: string, { instanceType }: RdsInstanceOptions, title: string): Fault[] =>
  when(
    instanceType?.architecture === InstanceArchitecture.ARM_64,
    [option, 'instanceType'],
    String(instanceType),
    `one of x86_64: there is no ${title} for ARM`,
  );
