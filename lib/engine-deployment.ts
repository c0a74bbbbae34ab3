import type { RemovalPolicy } from 'aws-cdk-lib';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { Construct } from 'constructs';
import type { Configuration } from '../functions/config/configuration.ts';
import type { Fault } from '../functions/config/faults.ts';
import type { UsedConnection } from '../functions/config/places.ts';
import type { Warning } from '../functions/config/warnings.ts';
import type { Network, StoreConnection } from './connection.ts';
import type { NetworkService, PrivateNetwork } from './network.ts';

/** What is kept, and how: the same for all that a deployment creates. */
export interface Kept {
  readonly encryptionKey?: IKey;
  readonly deletionProtection: boolean;
  readonly removalPolicy: RemovalPolicy;
}

/** What an engine has at hand to create something. */
export interface Means extends Kept {
  /** The network of the deployment, which is made when it is first asked for. */
  network(): PrivateNetwork;
}

/** What functions must know of something created, as text that crosses from stack to stack through parameters of SSM. */
export type FactsOf<Name extends string> = Readonly<Record<Name, string>>;

/**
 * What an engine makes of one connection of the configuration: all that constructs know of it. An engine is deployable when
 * lib/engines.ts names such a file of its own.
 */
export interface EngineDeployment<Fact extends string = string> {
  /** Whether functions reach it from within a VPC only. */
  readonly isInNetwork: boolean;
  /** The service of AWS by which it is reached from everywhere, so that a network needs a way to it. */
  readonly service?: NetworkService;
  /** What cannot work once it is deployed. */
  faults(): Fault[];
  /** What works once it is deployed, and yet may cost or harm. */
  warnings(): Warning[];
  /** The names of what is published of it, if it is created. */
  readonly facts: readonly Fact[];
  /** Creates it, in constructs below `id`: another id would replace what is kept. Absent: it is there. */
  create?(scope: Construct, id: string, means: Means): FactsOf<Fact>;
  /** Lets the functions of the network speak to what is there. */
  allow?(scope: Construct, id: string, network: PrivateNetwork): void;
  /** The connection of functions in this stack, to what this one created, another one did, or neither (then without facts). */
  connect(scope: Construct, facts: FactsOf<Fact>, network: Network): StoreConnection;
}

/** How an engine is deployed, by what is said of it in the configuration and beside it. */
export type Engineer<Settings, Options, Fact extends string = string> = (
  used: UsedConnection<Settings>,
  deployment: Options & DeploymentContext,
) => EngineDeployment<Fact>;

/** What an engine may judge its settings by. */
export interface DeploymentContext {
  readonly configuration: Configuration;
  /** Whether servers are put into a VPC that is there; not known where they are only looked up. */
  readonly hasVpc?: boolean;
}
