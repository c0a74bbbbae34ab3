import { type Dimension, dimensions, type MetricName, metrics, other } from './config/metrics.ts';
import type { Clock } from './domain/clock.ts';
import type { PurgeReport } from './domain/ports.ts';
import type { Log } from './log.ts';
import type { Observe } from './observation.ts';

type Fields = Readonly<Record<string, unknown>>;

interface Measured {
  readonly dimensions: Readonly<Partial<Record<Dimension, string>>>;
  readonly values: Readonly<Partial<Record<MetricName, number>>>;
}

/**
 * Metrics in the embedded metric format: members of a line of the log, of which CloudWatch makes metrics by itself
 * (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html).
 * What `observe` is told of becomes a line; the lines of `log` that count for something carry the count along.
 */
export function createMetrics(write: Log, namespace: string, clock: Clock): { observe: Observe; log: Log } {
  const embedded = ({ dimensions, values }: Measured) => ({
    ...dimensions,
    ...values,
    _aws: {
      Timestamp: clock(),
      CloudWatchMetrics: (Object.keys(values) as MetricName[]).map((name) => ({
        Namespace: namespace,
        Dimensions: metrics[name].dimensions,
        Metrics: [{ Name: name, Unit: metrics[name].unit }],
      })),
    },
  });
  return {
    observe: (observation) => write('info', 'store operation', embedded(operationOf(observation))),
    log(level, message, fields = {}) {
      const measured = lines[message]?.(fields);
      write(level, message, measured ? { ...fields, ...embedded(measured) } : fields);
    },
  };
}

/** A value of a dimension, or `other`: whatever a program says, the number of metrics is bounded. */
const bounded = (name: 'Outcome' | 'Reason' | 'Function', ...values: unknown[]): string => {
  const known: readonly unknown[] = dimensions[name];
  return String(values.find((value) => known.includes(value)) ?? other);
};

function operationOf({ store, operation, outcome, durationMs }: Parameters<Observe>[0]): Measured {
  const Outcome = bounded('Outcome', outcome);
  const event = events[Outcome];
  return {
    dimensions: { Store: store, Operation: operation, Outcome },
    values: { DurationMs: Math.round(durationMs * 100) / 100, ...(event && { [event]: 1 }) },
  };
}

/** Outcomes that are counted on their own, so that an alarm watches one plain metric. */
const events: Readonly<Record<string, MetricName>> = {
  replayed: 'CodeReplays',
  reused: 'RefreshReuses',
  throttled: 'StoreThrottles',
  unavailable: 'StoreFailures',
  timeout: 'StoreFailures',
  unsupported: 'StoreFailures',
  failed: 'StoreFailures',
};

/** The lines of the log that count for something, by their message. */
const lines: Readonly<Record<string, (fields: Fields) => Measured>> = {
  'access refused': (fields) => refusalOf({ function: 'authorizer', ...fields }),
  'request refused': refusalOf,
  'the authorizer failed': () => failureOf('authorizer'),
  'the function failed': (fields) => failureOf(fields.function),
  'the function did not start': () => ({ dimensions: {}, values: { StartFailures: 1 } }),
  'purged what has expired': purgeOf,
};

const words: Readonly<Record<number, string>> = {
  400: 'invalid_request',
  401: 'invalid_token',
  403: 'insufficient_scope',
};

function refusalOf({ function: name, reason, refused, status }: Fields): Measured {
  const Reason = bounded('Reason', reason, refused, words[Number(status)]);
  return { dimensions: { Function: bounded('Function', name), Reason }, values: { Refusals: 1 } };
}

const failureOf = (name: unknown): Measured => ({
  dimensions: { Function: bounded('Function', name) },
  values: { FunctionFailures: 1 },
});

/** What the purge says of one run in one place. */
interface PurgedFields {
  readonly store: string;
  readonly report: PurgeReport;
  readonly oldestSeconds: number;
  readonly lateSeconds: number;
}

function purgeOf(fields: Fields): Measured {
  const { store, report, oldestSeconds, lateSeconds } = fields as unknown as PurgedFields;
  return {
    dimensions: { Store: store },
    values: {
      PurgeRuns: 1,
      PurgeRemoved: Object.values(report.removed).reduce((sum, count) => sum + count, 0),
      PurgeUnfinished: report.more ? 1 : 0,
      PurgeBacklog: report.backlog.records,
      PurgeOldestSeconds: oldestSeconds,
      PurgeLateSeconds: lateSeconds,
    },
  };
}
