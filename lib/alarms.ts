import type { IMetric } from 'aws-cdk-lib/aws-cloudwatch';

// What alarms there are, when they go off, and what they watch of caches, databases and clusters.

/** Every alarm, and what it means; docs/runbook.md has a section under each of these names. */
export const alarms = {
  'code-replay': 'An authorization code was redeemed a second time.',
  'refresh-reuse': 'Refresh tokens are used again after they were replaced.',
  'token-spraying': 'Many requests carry tokens or codes that are not known.',
  'store-failures': 'A store cannot be reached, does not answer in time, or refuses what it is asked.',
  'store-throttled': 'A store puts off what it is asked for longer than its client is ready to wait.',
  'table-throttled': 'DynamoDB puts off reads or writes of a table.',
  'keyspace-throttled': 'Amazon Keyspaces puts off reads or writes of a table.',
  'keyspace-errors': 'Amazon Keyspaces fails or refuses what it is asked.',
  'lookup-latency': 'The slowest hundredth of look-ups of access tokens takes too long.',
  'function-throttled': 'AWS Lambda does not run a function as often as it is called.',
  'cannot-start': 'Functions cannot be made ready: keys, secrets or configuration.',
  'authorizer-failures': 'The authorizer cannot tell whether requests may go on; they are answered with 500.',
  'api-errors': 'An API answers with 5XX.',
  'purge-failed': 'A run of the purge failed.',
  'purge-late': 'The purge has not run for three of its intervals.',
  'purge-backlog': 'Records that are due have not been removed for too long.',
  'dead-letters': 'Something was given up and lies in a dead-letter queue.',
  'database-connections': 'Connections of a database run short.',
  'database-storage': 'The storage of a database runs short.',
  'password-rotation': 'The password of a user of a database cannot be replaced.',
  'cache-evictions': 'A cache removed keys that had not ended: live tokens, or revocations.',
  'cache-memory': 'The memory of a cache runs short.',
  'cache-throttled': 'ElastiCache Serverless puts off commands of a cache.',
  'cache-processor': 'A node of a cache has little processor time left.',
  'cache-replication': 'A replica of a cache is behind its primary.',
  'cache-logins': 'Logins to a cache are refused.',
} as const;

export type AlarmName = keyof typeof alarms;

export interface Thresholds {
  /** A client never redeems a code twice but to repeat a request. Default: 1 in a minute. */
  readonly codeReplays: number;
  /** Each has ended its grant already; one now and then is a client that lost an answer. Default: 10 in 5 minutes. */
  readonly refreshReuses: number;
  /** Depends on the traffic: forgetful clients come with long removed tokens, too. Default: 500 in 5 minutes. */
  readonly unknownTokens: number;
  /** In each of two out of three minutes, so that one failover of a database wakes nobody. Default: 5. */
  readonly failures: number;
  /** p99 for three times 5 minutes; DynamoDB takes some 10 milliseconds, a database some more. Default: 250. */
  readonly lookupMs: number;
  /** Of DynamoDB or ElastiCache Serverless, in 5 minutes: both put off a few whenever they grow. Default: 50. */
  readonly throttledRequests: number;
  /** Seconds since which the oldest record has been due. Default: an hour, or ten intervals of the purge if they are more. */
  readonly backlogSeconds?: number;
  /** The same where DynamoDB removes by itself, which it does within days. Default: a week. */
  readonly nativeBacklogSeconds: number;
  /** Milliseconds that RDS Proxy takes to hand out a connection, on average for 5 minutes. Default: 100. */
  readonly borrowMs: number;
  /** Of the storage of an instance; RDS adds to it below a tenth, up to the most that it may take. Default: 5. */
  readonly freeStorageGigabytes: number;
  /** Of the most that a cache may take, for 5 minutes of nodes. Default: 75, as AWS advises. */
  readonly memoryPercent: number;
  /** Of the one processor that a node runs commands on, for 5 minutes. Default: 80. */
  readonly processorPercent: number;
  /** For 5 minutes: what a replica has not got is lost with its primary, unless the cache is durable. Default: 5. */
  readonly replicationLagSeconds: number;
  /** In 5 minutes. Nobody logs in but functions, with a token made for that. Default: 5. */
  readonly failedLogins: number;
}

export const defaultThresholds: Thresholds = {
  codeReplays: 1,
  refreshReuses: 10,
  unknownTokens: 500,
  failures: 5,
  lookupMs: 250,
  throttledRequests: 50,
  nativeBacklogSeconds: 7 * 86_400,
  borrowMs: 100,
  freeStorageGigabytes: 5,
  memoryPercent: 75,
  processorPercent: 80,
  replicationLagSeconds: 5,
  failedLogins: 5,
};

/** When an alarm goes off. */
export type Condition = Periods & ({ readonly atLeast: number } | { readonly atMost: number });

interface Periods {
  /** Of so many periods so many: [2, 3]. Default: one of one. */
  readonly periods?: readonly [breaching: number, of: number];
  readonly onMissingData?: boolean;
}

/** Where an alarm goes off, from whichever side. */
export const limitOf = (condition: Condition): number => ('atMost' in condition ? condition.atMost : condition.atLeast);

/** One metric of a server that an alarm watches, and the dashboard shows. */
export interface Watch {
  readonly alarm: AlarmName;
  /** Tells several of one name apart. */
  readonly of?: string;
  readonly metric: IMetric;
  readonly condition: Condition;
}

/** What is watched of a cache, database or cluster, within these limits. */
export type Watched = (limits: Thresholds) => readonly Watch[];
