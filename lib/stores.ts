import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import type { IConstruct } from 'constructs';
import type { Configuration } from '../functions/config/configuration.ts';
import type { StoreUse } from '../functions/config/functions.ts';
import type { Watched } from './alarms.ts';
import type { Network } from './connection.ts';

/** The stores of a configuration, created in this stack or in another. */
export interface IOAuthStores extends IConstruct {
  readonly configuration: Configuration;
  /** The configuration as its author wrote it, JSON: what functions read. */
  readonly configurationText: string;
  /** What is to be watched beside the functions, by the names of caches and databases. */
  watched(): Readonly<Record<string, Watched>>;
  /** Where a function with this use must run; everything is left out where no store needs a network. */
  networkFor(use?: StoreUse): Network;
  /**
   * Gives a function permission *and* environment: the tables, databases and keys that it needs for this use (default:
   * reading and writing every store), and nothing beyond. The function reads them with `fromEnvironment`.
   */
  grantAccess(fn: LambdaFunction, use?: StoreUse): void;
}
