import { DynamoDBClient } from '@aws-sdk/client-dynamodb';

export interface DynamodbSettings {
  readonly tableName: string;
  /** Default: that of the environment, as everywhere in the SDK. */
  readonly region?: string;
  /** A server that is not the Region's. */
  readonly endpoint?: string;
  /** Whether the table removes what is due by itself. If not, `purgeExpired` reads the whole table to do so. Default: true. */
  readonly nativeTimeToLive?: boolean;
  /**
   * How long access tokens live, the longest of those that are usual. One that lives longer is stored too, but costs a
   * unit more and is found by a second read. It can be changed while tokens live. Default: 3600.
   */
  readonly accessTokenSeconds?: number;
  /** Default: 1000. */
  readonly connectTimeoutMs?: number;
  /** How long one try may take. Default: 2000. */
  readonly requestTimeoutMs?: number;
  /** How often the SDK sends a request at most. Default: 3. */
  readonly maxAttempts?: number;
  /** Default: those of the environment, as everywhere in the SDK. */
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string };
}

/** A client of the SDK with these settings. */
export function createClient(settings: DynamodbSettings): DynamoDBClient {
  const { region, endpoint, credentials } = settings;
  const { connectTimeoutMs = 1000, requestTimeoutMs = 2000, maxAttempts = 3 } = settings;
  const client = new DynamoDBClient({
    ...(region !== undefined && { region }),
    ...(endpoint !== undefined && { endpoint }),
    ...(credentials && { credentials }),
    maxAttempts,
    requestHandler: {
      connectionTimeout: connectTimeoutMs,
      requestTimeout: requestTimeoutMs,
      throwOnRequestTimeout: true,
    },
    // What a command does is found out once, not for each one of its kind.
    cacheMiddleware: true,
  });
  // It would go through every request and answer, for a logger that is not there.
  client.middlewareStack.remove('loggerMiddleware');
  return client;
}
