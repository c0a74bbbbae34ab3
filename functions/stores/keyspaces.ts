import { type ClientOptions, policies } from 'cassandra-driver';
import { statementsOf } from '../config/cassandra-tables.ts';
import type { consistencies } from '../config/consistency.ts';
import type { Clock } from '../domain/clock.ts';
import { StoreError } from '../domain/errors.ts';
import type { Engine } from '../domain/ports.ts';
import { authProvider } from './cassandra/authentication.ts';
import { type ClusterSettings, createCluster } from './cassandra/cluster.ts';
import { engineOver } from './cassandra/engine.ts';
import { type AwsCredentials, awsCredentials } from './cassandra/sigv4.ts';

// Amazon Keyspaces: the statements of Cassandra's store without what the service lacks, over TLS, signed for by IAM.

const PORT = 9142;

export interface KeyspacesSettings {
  readonly keyspace: string;
  readonly region: string;
  /** `host` or `host:port` in place of the Region's own, for instance its FIPS endpoint. */
  readonly endpoint?: string;
  /** Default: those of the environment, where AWS Lambda puts the function's own. */
  readonly credentials?: () => AwsCredentials | Promise<AwsCredentials>;
  /** PEM text of authorities to trust in place of the usual ones, among which Amazon's are. */
  readonly trustedCertificates?: string;
  /** How many replicas a look-up asks. Default: LOCAL_QUORUM. Every write is at LOCAL_QUORUM. */
  readonly readConsistency?: (typeof consistencies)['keyspaces']['readConsistency'][number];
  /** Default: 2000. */
  readonly connectTimeoutMs?: number;
  /** Default: 5000. */
  readonly requestTimeoutMs?: number;
}

/** What Keyspaces understands of CQL, and how it is asked. */
export const KEYSPACES: Omit<ClusterSettings, 'options'> = {
  dialect: { conditionalBatches: false, refusalShows: false, distinct: false },
  decisiveness: { quorum: 'LOCAL_QUORUM', settled: 'LOCAL_QUORUM', nearest: 'LOCAL_ONE' },
};

/** Opens the four stores over a keyspace whose tables are there already. A service that is away is noticed by the first call. */
export function createEngine(settings: KeyspacesSettings, clock: Clock): Engine {
  const { readConsistency = 'LOCAL_QUORUM' } = settings;
  const cluster = createCluster({ ...KEYSPACES, options: () => clientOptions(settings, clock) }, clock);
  return engineOver(cluster, { read: readConsistency, write: 'LOCAL_QUORUM' }, clock);
}

/** How the driver reaches the service. */
export function clientOptions(settings: KeyspacesSettings, clock: Clock): ClientOptions {
  const { keyspace, region, endpoint = `cassandra.${region}.amazonaws.com`, trustedCertificates: ca } = settings;
  const { credentials = fromEnvironment, connectTimeoutMs = 2000, requestTimeoutMs = 5000 } = settings;
  const [host = '', port = PORT] = endpoint.split(':');
  return {
    contactPoints: [`${host}:${port}`],
    localDataCenter: region,
    keyspace,
    authProvider: authProvider(awsCredentials({ region, credentials, clock })),
    // The driver's own default is not to verify. Every node that it finds shows the certificate of the endpoint's name.
    sslOptions: { host, servername: host, rejectUnauthorized: true, ...(ca !== undefined && { ca }) },
    // What the driver takes for nodes are balancers: each leads to every partition, so there is nothing to know of the ring.
    isMetadataSyncEnabled: false,
    policies: {
      loadBalancing: new policies.loadBalancing.DCAwareRoundRobinPolicy(region),
      reconnection: new policies.reconnection.ConstantReconnectionPolicy(500),
    },
    pooling: { maxRequestsPerConnection: 32_768 },
    socketOptions: { connectTimeout: connectTimeoutMs, readTimeout: requestTimeoutMs },
  };
}

const fromEnvironment = (): AwsCredentials => {
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = process.env;
  if (AWS_ACCESS_KEY_ID === undefined || AWS_SECRET_ACCESS_KEY === undefined) {
    throw new StoreError('unsupported', 'AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set');
  }
  return {
    accessKeyId: AWS_ACCESS_KEY_ID,
    secretAccessKey: AWS_SECRET_ACCESS_KEY,
    ...(AWS_SESSION_TOKEN !== undefined && { sessionToken: AWS_SESSION_TOKEN }),
  };
};

/**
 * The tables of a script of sql/cassandra as Keyspaces makes them: with a TTL for each row, which it has to be asked for
 * when a table is made. They are made in the background: a table can be used when its status is ACTIVE.
 */
export const tablesOf = (script: string): string[] =>
  statementsOf(script).map((statement) => `${statement} WITH CUSTOM_PROPERTIES = {'ttl': {'status': 'enabled'}}`);
