import type { ClientOptions } from 'cassandra-driver';
import type { ReadConsistency, WriteConsistency } from '../config/consistency.ts';
import type { Clock } from '../domain/clock.ts';
import type { Engine } from '../domain/ports.ts';
import { authProvider, passwordCredentials } from './cassandra/authentication.ts';
import { type ClusterSettings, createCluster } from './cassandra/cluster.ts';
import { engineOver } from './cassandra/engine.ts';

// Apache Cassandra: all four stores in one keyspace. Whatever decides is a lightweight transaction on one partition, at
// SERIAL and QUORUM whatever a store is set to; what leads to a partition is written before it, at QUORUM, and may be
// written twice. Rows leave by their TTL; expiry is checked in the record.

export interface CassandraSettings {
  /** Nodes to begin with, `host` or `host:port`; port 9042 by default. Default: localhost. */
  readonly hosts?: readonly string[];
  /** The data center whose nodes are asked. Default: datacenter1. */
  readonly localDataCenter?: string;
  readonly keyspace: string;
  readonly user?: string;
  /** Given as a function, it is asked for whenever a connection is opened. */
  readonly password?: string | (() => Promise<string>);
  /** PEM texts; `{}`: the usual authorities. The server's certificate is verified. Default: false, no TLS. */
  readonly tls?:
    | false
    | { readonly ca?: string; readonly cert?: string; readonly key?: string; readonly servername?: string };
  /** How many replicas a look-up asks. Default: ONE. */
  readonly readConsistency?: ReadConsistency;
  /** How many replicas have a new record when it is acknowledged. Default: ANY. */
  readonly writeConsistency?: WriteConsistency;
  /** Default: 2000. */
  readonly connectTimeoutMs?: number;
  /** How long one request may take; longer than the servers' own patience, or nobody learns what they say. Default: 12 000. */
  readonly requestTimeoutMs?: number;
}

/** Opens the four stores over a keyspace whose tables are there already. A cluster that is away is noticed by the first call. */
export function createEngine(settings: CassandraSettings, clock: Clock): Engine {
  const { readConsistency = 'ONE', writeConsistency = 'ANY' } = settings;
  return engineOver(
    createCluster(clusterOf(settings), clock),
    { read: readConsistency, write: writeConsistency },
    clock,
  );
}

/** What Cassandra understands of CQL, and how it is asked. */
export const CASSANDRA: Omit<ClusterSettings, 'options'> = {
  dialect: { conditionalBatches: true, refusalShows: true, distinct: true },
  decisiveness: { serial: 'SERIAL', quorum: 'QUORUM', settled: 'SERIAL', nearest: 'ONE' },
};

const clusterOf = (settings: CassandraSettings): ClusterSettings => ({
  ...CASSANDRA,
  options: () => ({ ...clientOptions(settings), keyspace: settings.keyspace }),
});

/** How the driver reaches a cluster; the keyspace is left out, since it may not be there yet. */
export function clientOptions(settings: CassandraSettings): ClientOptions {
  const { hosts = ['localhost'], localDataCenter = 'datacenter1', user, password, tls = false } = settings;
  const { connectTimeoutMs = 2000, requestTimeoutMs = 12_000 } = settings;
  return {
    contactPoints: [...hosts],
    localDataCenter,
    // The driver's own default is not to verify.
    ...(tls && { sslOptions: { ...tls, rejectUnauthorized: true } }),
    ...(user !== undefined && { authProvider: authProvider(passwordCredentials(user, password ?? '')) }),
    // As many as the protocol has numbers for: what is too much for a node, the node says.
    pooling: { maxRequestsPerConnection: 32_768 },
    socketOptions: { connectTimeout: connectTimeoutMs, readTimeout: requestTimeoutMs },
  };
}
