import {
  type Alarm,
  AlarmStatusWidget,
  Dashboard,
  GraphWidget,
  type IMetric,
  type IWidget,
  MathExpression,
  Metric,
  TextWidget,
} from 'aws-cdk-lib/aws-cloudwatch';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import type { Construct } from 'constructs';
import { type MetricName, metrics } from '../functions/config/metrics.ts';
import { limitOf, type Watch } from './alarms.ts';

interface Shown {
  readonly functions?: Readonly<Record<string, IFunction>>;
  readonly apis?: Readonly<Record<string, { metricServerError(): IMetric }>>;
  readonly servers: readonly { readonly name: string; readonly watches: readonly Watch[] }[];
}

/** What the deployment does, at a glance: alarms, operations, refusals, the purge, the functions, what its stores are kept in. */
export function monitoringDashboard(
  scope: Construct,
  namespace: string,
  alarms: readonly Alarm[],
  { functions = {}, apis = {}, servers }: Shown,
): Dashboard {
  /** Every series of a metric: a search finds those that are there, so that no store or outcome needs to be named. */
  const every = (name: MetricName, statistic: string, set = 0): IMetric => {
    const dimensions: readonly string[] = metrics[name].dimensions[set] ?? [];
    const series = [namespace, ...dimensions].map((part) => `"${part}"`).join(',');
    return new MathExpression({
      expression: `SEARCH('{${series}} MetricName="${name}"', '${statistic}', 60)`,
      label: '',
      usingMetrics: {},
    });
  };
  const total = (metricName: MetricName) => new Metric({ namespace, metricName, statistic: 'Sum' });
  const graph = (title: string, ...left: IMetric[]): IWidget => new GraphWidget({ title, left, width: 12 });
  const limited = ({ alarm, metric, condition }: Watch): IWidget =>
    new GraphWidget({ title: alarm, left: [metric], leftAnnotations: [{ value: limitOf(condition) }], width: 12 });
  const each = Object.values(functions);
  return new Dashboard(scope, 'Dashboard', {
    widgets: [
      [new AlarmStatusWidget({ title: 'Alarms', alarms: [...alarms], width: 24 })],
      [
        graph('Operations of the stores', every('DurationMs', 'SampleCount', 0)),
        graph('Their outcomes', every('DurationMs', 'SampleCount', 1)),
      ],
      [
        graph('Milliseconds, p99', every('DurationMs', 'p99', 0)),
        graph(
          'Failures',
          ...(['StoreFailures', 'StoreThrottles', 'FunctionFailures', 'StartFailures'] as const).map(total),
        ),
      ],
      [
        graph('Replays and reuses', total('CodeReplays'), total('RefreshReuses')),
        graph('Refused, by reason', every('Refusals', 'Sum', 0)),
      ],
      [
        graph('Refused, by function', every('Refusals', 'Sum', 1)),
        graph('Failures, by function', every('FunctionFailures', 'Sum', 1)),
      ],
      [
        graph('Failures, by store', every('StoreFailures', 'Sum', 1)),
        graph('Throttled, by store', every('StoreThrottles', 'Sum', 1)),
      ],
      [new TextWidget({ markdown: '## Purge', width: 24, height: 1 })],
      [
        graph('Runs', every('PurgeRuns', 'Sum'), every('PurgeUnfinished', 'Sum')),
        graph('Removed, and left over', every('PurgeRemoved', 'Sum'), every('PurgeBacklog', 'Maximum')),
      ],
      [
        graph('Seconds since the oldest record is due', every('PurgeOldestSeconds', 'Maximum')),
        graph('Seconds that runs are late', every('PurgeLateSeconds', 'Maximum')),
      ],
      [new TextWidget({ markdown: '## Functions and APIs', width: 24, height: 1 })],
      [
        graph('Duration, p99', ...each.map((fn) => fn.metricDuration({ statistic: 'p99' }))),
        graph('Errors and throttles', ...each.flatMap((fn) => [fn.metricErrors(), fn.metricThrottles()])),
      ],
      [graph('5XX', ...Object.values(apis).map((api) => api.metricServerError()))],
      ...servers.flatMap(({ name, watches }) =>
        watches.length > 0
          ? [[new TextWidget({ markdown: `## ${name}`, width: 24, height: 1 })], watches.map(limited)]
          : [],
      ),
    ],
  });
}
