import { Annotations, ArnFormat, Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import {
  Alarm,
  ComparisonOperator,
  type Dashboard,
  type IAlarmAction,
  type IMetric,
  Metric,
  type MetricOptions,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { type IFunction, Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import { CfnQueryDefinition, type ILogGroup } from 'aws-cdk-lib/aws-logs';
import { Topic } from 'aws-cdk-lib/aws-sns';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { Configuration } from '../functions/config/configuration.ts';
import { environment } from '../functions/config/environment.ts';
import type { Dimension, MetricName } from '../functions/config/metrics.ts';
import { type Place, placesOf } from '../functions/config/places.ts';
import {
  type AlarmName,
  alarms,
  type Condition,
  defaultThresholds,
  limitOf,
  type Thresholds,
  type Watched,
} from './alarms.ts';
import { logQueries } from './log-queries.ts';
import { monitoringDashboard } from './monitoring-dashboard.ts';

/** A REST API or an HTTP API. */
export interface MonitoredApi {
  metricServerError(options?: MetricOptions): Metric;
}

/** What is watched, each thing under a name that its alarms carry. Whatever is left out has no alarms. */
export interface MonitoringProps {
  readonly configuration: Configuration;
  readonly functions?: Readonly<Record<string, IFunction>>;
  readonly purge?: {
    readonly runs: readonly { readonly intervalSeconds: number; readonly function: IFunction }[];
    readonly deadLetters: IQueue;
  };
  readonly apis?: Readonly<Record<string, MonitoredApi>>;
  readonly deadLetters?: Readonly<Record<string, IQueue>>;
  /** Caches, databases and clusters: {@link watchedTable}, {@link watchedProxy} and the like, or those of `IOAuthStores`. */
  readonly servers?: Readonly<Record<string, Watched>>;
  /** Where the saved queries look: the logs of functions, and access logs of APIs. */
  readonly logs?: Readonly<Partial<Record<'functions' | 'access', readonly ILogGroup[]>>>;
  /**
   * Namespace of the functions' metrics; those of `functions` and `purge` that this app creates are told. Two deployments
   * in one account and Region need two. Default: `OAuth2Stores`.
   */
  readonly namespace?: string;
  /** What the names of alarms begin with. Default: the name of the stack. */
  readonly prefix?: string;
  readonly thresholds?: Partial<Thresholds>;
  /** Default: an encrypted topic, `topic`, to which somebody must subscribe. */
  readonly alarmActions?: readonly IAlarmAction[];
  /** Where the runbook is kept. Default: its place in the package. */
  readonly runbookUrl?: string;
}

/**
 * Alarms, dashboard and saved queries for a deployment, or for parts of one. Each alarm watches one plain metric, and its
 * description ends with the place in the runbook that says what to do.
 */
export class Monitoring extends Construct {
  readonly alarms: readonly Alarm[];
  readonly dashboard: Dashboard;
  /** Unless `alarmActions` are given. */
  readonly topic?: Topic;

  private readonly made: Alarm[] = [];
  private readonly settings: Required<Pick<MonitoringProps, 'namespace' | 'prefix' | 'runbookUrl' | 'alarmActions'>>;

  constructor(scope: Construct, id: string, props: MonitoringProps) {
    super(scope, id);
    const { configuration, functions = {}, purge, thresholds, logs = {} } = props;
    if (!props.alarmActions) this.topic = alarmTopic(this);
    this.settings = {
      namespace: props.namespace ?? environment.metrics.default,
      prefix: props.prefix ?? Stack.of(this).stackName,
      runbookUrl: props.runbookUrl ?? 'docs/runbook.md',
      alarmActions: props.alarmActions ?? (this.topic ? [new SnsAction(this.topic)] : []),
    };
    for (const fn of [...Object.values(functions), ...(purge?.runs ?? []).map((run) => run.function)]) {
      if (fn instanceof LambdaFunction) fn.addEnvironment(environment.metrics.variable, this.settings.namespace);
      else if (props.namespace) {
        const text = `${fn.node.path} is not created here: set ${environment.metrics.variable} to "${props.namespace}" yourself`;
        Annotations.of(this).addWarningV2(`oauth2-stores:namespace:${fn.node.path}`, text);
      }
    }
    const limits = { ...defaultThresholds, ...thresholds };
    this.watchStores(placesOf(configuration), limits);
    this.watchFunctions(props, limits);
    for (const place of purge ? placesOf(configuration) : []) this.watchPurge(place, configuration, limits);
    this.watchDeadLetters(props);
    const watches = Object.entries(props.servers ?? {}).map(([name, watched]) => ({ name, watches: watched(limits) }));
    for (const { name, watches: each } of watches) {
      for (const { alarm, of, metric, condition } of each)
        this.add(alarm, of ? `${name}-${of}` : name, metric, condition);
    }
    this.alarms = this.made;
    this.dashboard = monitoringDashboard(this, this.settings.namespace, this.alarms, { ...props, servers: watches });
    for (const [name, query] of Object.entries(logQueries)) {
      const groups = logs[query.logs] ?? [];
      new CfnQueryDefinition(this, `Query-${name}`, {
        name: `${this.settings.prefix}/${name}`,
        queryString: query.text,
        ...(groups.length > 0 && { logGroupNames: groups.map(({ logGroupName }) => logGroupName) }),
      });
    }
  }

  private watchStores(places: readonly Place[], limits: Thresholds): void {
    const failing = { atLeast: limits.failures, periods: [2, 3] } as const;
    this.add('code-replay', '', this.own('CodeReplays'), { atLeast: limits.codeReplays });
    this.add('refresh-reuse', '', this.own('RefreshReuses', {}, FIVE_MINUTES), { atLeast: limits.refreshReuses });
    this.add('token-spraying', '', this.own('Refusals', { Reason: 'unknown' }, FIVE_MINUTES), {
      atLeast: limits.unknownTokens,
    });
    this.add('store-failures', '', this.own('StoreFailures'), failing);
    this.add('store-throttled', '', this.own('StoreThrottles'), failing);
    this.add('cannot-start', '', this.own('StartFailures'), { atLeast: 1, periods: [2, 3] });
    for (const { label } of places.filter(({ kind }) => kind === 'accessTokenStores')) {
      const lookups = this.own(
        'DurationMs',
        { Store: label, Operation: 'findAccess' },
        { ...FIVE_MINUTES, statistic: 'p99' },
      );
      this.add('lookup-latency', label, lookups, { atLeast: limits.lookupMs, periods: [3, 3] });
    }
  }

  private watchFunctions({ functions = {}, apis = {}, purge }: MonitoringProps, limits: Thresholds): void {
    const failing = { atLeast: limits.failures, periods: [2, 3] } as const;
    this.add('authorizer-failures', '', this.own('FunctionFailures', { Function: 'authorizer' }), failing);
    for (const [name, fn] of Object.entries(functions)) {
      this.add('function-throttled', name, fn.metricThrottles(MINUTELY), { atLeast: 1, periods: [2, 3] });
    }
    for (const [name, api] of Object.entries(apis)) {
      this.add('api-errors', name, api.metricServerError({ ...MINUTELY, statistic: 'Sum' }), failing);
    }
    for (const { intervalSeconds, function: fn } of purge?.runs ?? []) {
      const errors = fn.metricErrors({ period: wholeMinutes(intervalSeconds) });
      this.add('purge-failed', `every-${intervalSeconds}-seconds`, errors, { atLeast: 1 });
    }
  }

  private watchPurge({ label, stores, place }: Place, configuration: Configuration, limits: Thresholds): void {
    const interval = Math.min(...stores.map(({ purgeExpiredTokensEvery }) => purgeExpiredTokensEvery));
    const period = wholeMinutes(interval);
    this.add('purge-late', label, this.own('PurgeRuns', { Store: label }, { period }), {
      atLeast: 1,
      periods: [3, 3],
      onMissingData: true,
    });
    const isNative = Object.entries(configuration.caches).some(
      ([name, cache]) => place === `cache ${name}` && cache.engine === 'dynamodb' && cache.nativeTimeToLive,
    );
    const own = limits.backlogSeconds ?? Math.max(3600, 10 * interval);
    const oldest = this.own('PurgeOldestSeconds', { Store: label }, { period, statistic: 'Maximum' });
    this.add('purge-backlog', label, oldest, { atLeast: isNative ? limits.nativeBacklogSeconds : own });
  }

  private watchDeadLetters({ purge, deadLetters = {} }: MonitoringProps): void {
    for (const [name, queue] of Object.entries({ ...(purge && { purge: purge.deadLetters }), ...deadLetters })) {
      const waiting = queue.metricApproximateNumberOfMessagesVisible({ ...MINUTELY, statistic: 'Maximum' });
      this.add('dead-letters', name, waiting, { atLeast: 1 });
    }
  }

  /** A metric of the functions. */
  private own(
    metricName: MetricName,
    dimensions: Partial<Record<Dimension, string>> = {},
    options: MetricOptions = MINUTELY,
  ): Metric {
    const { namespace } = this.settings;
    return new Metric({ namespace, metricName, dimensionsMap: dimensions, statistic: 'Sum', ...options });
  }

  private add(name: AlarmName, of: string, metric: IMetric, condition: Condition): void {
    const { prefix, runbookUrl, alarmActions } = this.settings;
    const full = of ? `${name}-${of}` : name;
    const { periods: [breaching, all] = [1, 1], onMissingData = false } = condition;
    const reached =
      'atMost' in condition
        ? ComparisonOperator.LESS_THAN_OR_EQUAL_TO_THRESHOLD
        : ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD;
    const alarm = new Alarm(this, full, {
      alarmName: `${prefix}-${full}`,
      alarmDescription: `${alarms[name]} ${runbookUrl}#${name}`,
      metric,
      threshold: limitOf(condition),
      // Of a heartbeat there is to be something, of everything else nothing.
      comparisonOperator: onMissingData ? ComparisonOperator.LESS_THAN_THRESHOLD : reached,
      treatMissingData: onMissingData ? TreatMissingData.BREACHING : TreatMissingData.NOT_BREACHING,
      datapointsToAlarm: breaching,
      evaluationPeriods: all,
      ...(name === 'lookup-latency' && { evaluateLowSampleCountPercentile: 'ignore' }),
    });
    alarm.addAlarmAction(...alarmActions);
    this.made.push(alarm);
  }
}

const MINUTELY = { period: Duration.minutes(1) };
const FIVE_MINUTES = { period: Duration.minutes(5) };

/** CloudWatch counts in whole minutes. */
const wholeMinutes = (seconds: number) => Duration.minutes(Math.ceil(seconds / 60));

/**
 * A topic that alarms of this account can publish to. The key of AWS for SNS does not let CloudWatch in
 * (https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html#compatibility-with-aws-services), hence one of its own.
 */
function alarmTopic(scope: Construct): Topic {
  const { account } = Stack.of(scope);
  const alarmsHere = Stack.of(scope).formatArn({
    service: 'cloudwatch',
    resource: 'alarm',
    resourceName: '*',
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  });
  const statement = (actions: string[], resource: string) =>
    new PolicyStatement({
      principals: [new ServicePrincipal('cloudwatch.amazonaws.com')],
      actions,
      resources: [resource],
      conditions: { StringEquals: { 'aws:SourceAccount': account }, ArnLike: { 'aws:SourceArn': alarmsHere } },
    });
  const key = new Key(scope, 'TopicKey', {
    enableKeyRotation: true,
    description: 'Alarms of the OAuth token stores',
    removalPolicy: RemovalPolicy.DESTROY, // nothing that it encrypts is kept
  });
  key.addToResourcePolicy(statement(['kms:Decrypt', 'kms:GenerateDataKey*'], '*'));
  const topic = new Topic(scope, 'Topic', { displayName: 'OAuth token stores', masterKey: key, enforceSSL: true });
  topic.addToResourcePolicy(statement(['sns:Publish'], topic.topicArn));
  return topic;
}
