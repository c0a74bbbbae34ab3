import type { IGrantable } from 'aws-cdk-lib/aws-iam';
import type { FunctionOptions, Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import type { StoreAccess, StoreUse } from '../functions/config/functions.ts';
import { looksUp, type UsedConnection } from '../functions/config/places.ts';
import type { Watched } from './alarms.ts';

/** What a function does over one connection: with tokens and codes, and with the artifacts kept there. */
export interface ConnectionUse {
  readonly tokens?: StoreAccess;
  readonly artifacts?: StoreAccess;
}

/** Where a function must run to reach a server. */
export type Network = Pick<FunctionOptions, 'vpc' | 'vpcSubnets' | 'securityGroups'>;

/**
 * What is known of a created or imported cache, database or cluster, as text: it crosses from the stack that holds it to
 * another through parameters of SSM, one for each, so that neither stack refers to the other.
 */
export type ConnectionFacts = Readonly<Record<string, string>>;

/** A cache, database or cluster that functions can be given access to. */
export interface StoreConnection {
  readonly facts: ConnectionFacts;
  /** Absent: it is reached from anywhere. */
  readonly network?: Network;
  /** Absent: it has no metrics of AWS. */
  readonly watched?: Watched;
  /** Settings that are laid over those of the configuration, for a function with this use. */
  settingsFor(use: ConnectionUse): Readonly<Record<string, unknown>>;
  /** Gives a function what its code needs beside its bundle, once for all connections of the engine. */
  equip?(fn: LambdaFunction): void;
  /** Permits this use and nothing beyond it. */
  grant(grantee: IGrantable, use: ConnectionUse): void;
}

const strength: readonly StoreAccess[] = ['purge', 'read', 'write'];

/** The use of one connection by a function. What is cached in it of look-ups are artifacts. */
export function connectionUse(
  use: StoreUse,
  { kinds, cachesLookups }: Pick<UsedConnection, 'kinds' | 'cachesLookups'>,
): ConnectionUse {
  const strongest = (accesses: readonly (StoreAccess | undefined)[]) =>
    strength.findLast((access) => accesses.includes(access));
  const artifacts = strongest([
    ...kinds.filter((kind) => kind === 'artifactStores').map((kind) => use[kind]),
    cachesLookups && looksUp(use) ? 'write' : undefined,
  ]);
  const tokens = strongest(kinds.filter((kind) => kind !== 'artifactStores').map((kind) => use[kind]));
  return { ...(tokens && { tokens }), ...(artifacts && { artifacts }) };
}
