import { Duration, Stack, Validations } from 'aws-cdk-lib';
import { EventField, Rule, RuleTargetInput, Schedule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction as LambdaTarget } from 'aws-cdk-lib/aws-events-targets';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { SqsDestination } from 'aws-cdk-lib/aws-lambda-destinations';
import { CfnSchedule } from 'aws-cdk-lib/aws-scheduler';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { Configuration, StoreSettings } from '../functions/config/configuration.ts';
import type { StoreKind } from '../functions/config/functions.ts';
import { storeSections } from '../functions/config/rules.ts';
import { StoreFunction, type StoreFunctionOptions } from './store-function.ts';

export interface PurgeScheduleProps extends StoreFunctionOptions {
  /** Which service of EventBridge keeps the time: a scheduled rule, or EventBridge Scheduler. Default: `rule`. */
  readonly scheduler?: 'rule' | 'scheduler';
  /**
   * Whether each purge has one execution of the account's reserved for it, and no more: one runner at a time. `false` where
   * the account's limit leaves none to reserve (Lambda keeps 100 unreserved, and new accounts may have 10 in all): then two
   * runs may overlap, which is no harm. Default: true.
   */
  readonly reserveConcurrency?: boolean;
}

/** The stores that are purged at one interval, and the function that does it. */
export interface PurgeRun {
  readonly intervalSeconds: number;
  readonly stores: readonly { readonly kind: StoreKind; readonly name: string }[];
  readonly function: StoreFunction;
  /** Unless EventBridge Scheduler keeps the time. */
  readonly rule?: Rule;
}

type Interval = Pick<PurgeRun, 'intervalSeconds' | 'stores'>;

/**
 * Purges every store at its interval, `purgeExpiredTokensEvery`. Whole minutes are the rate of the rule; for any other
 * interval the rule fires each minute and the function does what falls into it.
 *
 * Each interval has a function of its own with one reserved execution. With one function for all, a run that waits for its
 * seconds would keep the others from starting: Lambda would put them off by its own backoff (1 second to 5 minutes) and give
 * some up. Two of one interval that meet are put off in that way, and the later one finds little to do.
 *
 * What fails is not repeated, since the next run does what this one did not; what was given up lies in `deadLetters`, from
 * the rule that could not invoke and from the function that failed or was put off for too long.
 */
export class PurgeSchedule extends Construct {
  readonly runs: readonly PurgeRun[];
  readonly deadLetters: Queue;

  constructor(scope: Construct, id: string, props: PurgeScheduleProps) {
    super(scope, id);
    const { scheduler = 'rule', reserveConcurrency = true, ...options } = props;
    this.deadLetters = new Queue(this, 'DeadLetters', {
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
    });
    Validations.of(this.deadLetters).acknowledge({
      id: 'AwsSolutions-SQS3',
      reason: 'It is the dead-letter queue, of a rule and of functions.',
    });
    this.runs = purgesOf(options.stores.configuration).map((interval) => {
      const every = `Every${interval.intervalSeconds}Seconds`;
      const description = `Removes what has expired, every ${interval.intervalSeconds} seconds`;
      const patience = Duration.seconds(Math.max(60, Math.min(interval.intervalSeconds, 21_600)));
      const fn = new StoreFunction(this, every, {
        ...options,
        handlerName: 'purge',
        description,
        timeout: timeoutOf(interval.intervalSeconds),
        ...(reserveConcurrency && { reservedConcurrentExecutions: 1 }),
        retryAttempts: 0,
        maxEventAge: patience,
        onFailure: new SqsDestination(this.deadLetters),
      });
      const rate = Duration.seconds(isWholeMinutes(interval.intervalSeconds) ? interval.intervalSeconds : 60);
      const run = { ...interval, function: fn };
      if (scheduler === 'scheduler') {
        this.schedule(`${every}Schedule`, rate, interval, fn, patience);
        return run;
      }
      const rule = new Rule(this, `${every}Rule`, { schedule: Schedule.rate(rate), description });
      rule.addTarget(
        new LambdaTarget(fn, {
          event: RuleTargetInput.fromObject({ ...interval, time: EventField.time }),
          retryAttempts: 2,
          maxEventAge: patience,
          deadLetterQueue: this.deadLetters,
        }),
      );
      return { ...run, rule };
    });
  }

  private schedule(id: string, rate: Duration, interval: Interval, fn: StoreFunction, patience: Duration): void {
    const role = new Role(this, `${id}Role`, {
      assumedBy: new ServicePrincipal('scheduler.amazonaws.com', {
        conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(this).account } },
      }),
    });
    role.addToPolicy(new PolicyStatement({ actions: ['lambda:InvokeFunction'], resources: [fn.functionArn] }));
    role.addToPolicy(new PolicyStatement({ actions: ['sqs:SendMessage'], resources: [this.deadLetters.queueArn] }));
    const schedule = new CfnSchedule(this, id, {
      scheduleExpression: Schedule.rate(rate).expressionString,
      flexibleTimeWindow: { mode: 'OFF' },
      description: `Removes what has expired, every ${interval.intervalSeconds} seconds`,
      target: {
        arn: fn.functionArn,
        roleArn: role.roleArn,
        input: Stack.of(this).toJsonString({ ...interval, time: '<aws.scheduler.scheduled-time>' }),
        retryPolicy: { maximumRetryAttempts: 2, maximumEventAgeInSeconds: patience.toSeconds() },
        deadLetterConfig: { arn: this.deadLetters.queueArn },
      },
    });
    schedule.node.addDependency(role);
  }
}

const isWholeMinutes = (seconds: number) => seconds % 60 === 0;

/**
 * A run ends before the next one begins, and after five minutes in any case. Where the function waits for the seconds of
 * its minute, it has some more for what begins at the end of it.
 */
const timeoutOf = (intervalSeconds: number) =>
  Duration.seconds(isWholeMinutes(intervalSeconds) ? Math.min(intervalSeconds - 5, 300) : 85);

/** The configuration's stores by their interval, the shortest first. */
function purgesOf(configuration: Configuration): Interval[] {
  const stores = storeSections.flatMap((kind) =>
    Object.entries<StoreSettings>(configuration[kind]).map(([name, settings]) => ({ kind, name, settings })),
  );
  const byInterval = Map.groupBy(stores, ({ settings }) => settings.purgeExpiredTokensEvery);
  return [...byInterval]
    .toSorted(([a], [b]) => a - b)
    .map(([intervalSeconds, group]) => ({ intervalSeconds, stores: group.map(({ kind, name }) => ({ kind, name })) }));
}
