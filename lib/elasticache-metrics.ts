import { Duration } from 'aws-cdk-lib';
import { Metric } from 'aws-cdk-lib/aws-cloudwatch';
import type { AlarmName, Watch, Watched } from './alarms.ts';

// What is watched of a cache in Amazon ElastiCache.

const FIVE_MINUTES = Duration.minutes(5);
const GIGABYTE = 2 ** 30;

const metricOf = (
  metricName: string,
  statistic: string,
  dimensionsMap: Record<string, string>,
  period = FIVE_MINUTES,
) => new Metric({ namespace: 'AWS/ElastiCache', metricName, dimensionsMap, statistic, period });

/** Both tell: keys that were evicted, and logins that were refused. */
const common = (dimensions: Record<string, string>, failedLogins: number): Watch[] => [
  { alarm: 'cache-evictions', metric: metricOf('Evictions', 'Sum', dimensions), condition: { atLeast: 1 } },
  {
    alarm: 'cache-logins',
    metric: metricOf('AuthenticationFailures', 'Sum', dimensions),
    condition: { atLeast: failedLogins },
  },
];

/** https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/serverless-metrics-events-redis.html */
export const watchedServerlessCache =
  (clusterId: string, maxGigabytes?: number): Watched =>
  ({ failedLogins, throttledRequests, memoryPercent }) => {
    const dimensions = { clusterId };
    return [
      ...common(dimensions, failedLogins),
      {
        alarm: 'cache-throttled',
        metric: metricOf('ThrottledCmds', 'Sum', dimensions),
        condition: { atLeast: throttledRequests },
      },
      ...(maxGigabytes === undefined
        ? []
        : [
            {
              alarm: 'cache-memory' as const,
              metric: metricOf('BytesUsedForCache', 'Maximum', dimensions),
              condition: { atLeast: Math.floor((maxGigabytes * GIGABYTE * memoryPercent) / 100) },
            },
          ]),
    ];
  };

/** https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/CacheMetrics.Redis.html, of each node. */
export const watchedCacheNodes =
  (group: string, { shards = 1, replicas = 1 }: { readonly shards?: number; readonly replicas?: number }): Watched =>
  ({ failedLogins, memoryPercent, processorPercent, replicationLagSeconds }) =>
    Array.from({ length: shards * (1 + replicas) }, (_, index) => {
      const shard = Math.floor(index / (1 + replicas)) + 1;
      const node = `${padded(shard, 4)}-${padded((index % (1 + replicas)) + 1, 3)}`;
      const dimensions = { CacheClusterId: `${group}-${node}` };
      const busy = (alarm: AlarmName, metricName: string, atLeast: number): Watch => ({
        alarm,
        metric: metricOf(metricName, 'Maximum', dimensions, Duration.minutes(1)),
        condition: { atLeast, periods: [5, 5] },
      });
      const watches = [
        ...common(dimensions, failedLogins),
        busy('cache-memory', 'DatabaseMemoryUsagePercentage', memoryPercent),
        busy('cache-processor', 'EngineCPUUtilization', processorPercent),
        // Which node is the primary changes; it has none.
        ...(replicas > 0 ? [busy('cache-replication', 'ReplicationLag', replicationLagSeconds)] : []),
      ];
      return watches.map((watch) => ({ ...watch, of: node }));
    }).flat();

const padded = (number: number, digits: number) => String(number).padStart(digits, '0');
