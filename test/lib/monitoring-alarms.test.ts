import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Code, Function as LambdaFunction, Runtime } from 'aws-cdk-lib/aws-lambda';
import { Queue } from 'aws-cdk-lib/aws-sqs';
import { describe, expect, it } from 'vitest';
import { parseConfiguration } from '../../functions/config/configuration.ts';
import { StoreError, type StoreErrorCode } from '../../functions/domain/errors.ts';
import type { AccessTokenStore } from '../../functions/domain/ports.ts';
import { createAuthorizer } from '../../functions/handlers/authorizer.ts';
import { createExchangeCode } from '../../functions/handlers/exchange-code.ts';
import { createIssueCode } from '../../functions/handlers/issue-code.ts';
import { createIssueTokens } from '../../functions/handlers/issue-tokens.ts';
import { createPurge } from '../../functions/handlers/purge.ts';
import { createRefreshTokens } from '../../functions/handlers/refresh-tokens.ts';
import { observedEngine } from '../../functions/observation.ts';
import type { Runtime as FunctionRuntime } from '../../functions/runtime.ts';
import { createEngine } from '../../functions/stores/memory.ts';
import { Monitoring } from '../../lib/monitoring.ts';
import { ask, jsonEvent, START, settings } from '../handlers/deployment.ts';
import { type Datapoint, type MeasuredDeployment, measuredDeployment, NAMESPACE } from '../handlers/measured.ts';

// What the functions really write, through CloudWatch's part, into the alarms as they are in the template: each that
// watches the functions goes off for what it is about, and for nothing before it.

const { configuration } = parseConfiguration(settings);
const stack = new Stack(new App(), 'Shop');
const purge = new LambdaFunction(stack, 'Purge', {
  runtime: Runtime.NODEJS_24_X,
  handler: 'index.handler',
  code: Code.fromInline('0'),
});
new Monitoring(stack, 'Monitoring', {
  configuration,
  namespace: NAMESPACE,
  purge: { runs: [{ intervalSeconds: 60, function: purge }], deadLetters: new Queue(stack, 'Dead') },
  alarmActions: [],
});

interface Watch {
  readonly AlarmName: string;
  readonly Namespace: string;
  readonly MetricName: string;
  readonly Dimensions?: readonly { readonly Name: string; readonly Value: string }[];
  readonly Statistic?: string;
  readonly ExtendedStatistic?: string;
  readonly Period: number;
  readonly EvaluationPeriods: number;
  readonly DatapointsToAlarm: number;
  readonly Threshold: number;
  readonly ComparisonOperator: string;
  readonly TreatMissingData: string;
}

const watches: Watch[] = Object.values(Template.fromStack(stack).findResources('AWS::CloudWatch::Alarm'))
  .map(({ Properties }) => Properties)
  .filter(({ Namespace }) => Namespace === NAMESPACE);

/** Whether the alarm is on at the end of the period that holds the moment. */
function isOn(watch: Watch, datapoints: readonly Datapoint[], atMs: number): boolean {
  const wanted = JSON.stringify((watch.Dimensions ?? []).map(({ Name, Value }) => [Name, Value]).toSorted());
  const mine = datapoints.filter(
    ({ namespace, name, dimensions }) =>
      namespace === watch.Namespace &&
      name === watch.MetricName &&
      JSON.stringify(Object.entries(dimensions).toSorted()) === wanted,
  );
  const last = Math.floor(atMs / 1000 / watch.Period);
  const breaching = Array.from({ length: watch.EvaluationPeriods }, (_, back) => {
    const values = mine.filter(({ atMs: at }) => Math.floor(at / 1000 / watch.Period) === last - back);
    if (values.length === 0) return watch.TreatMissingData === 'breaching';
    const value = statisticOf(
      watch.ExtendedStatistic ?? watch.Statistic ?? '',
      values.map((each) => each.value),
    );
    return watch.ComparisonOperator === 'LessThanThreshold' ? value < watch.Threshold : value >= watch.Threshold;
  });
  return breaching.filter(Boolean).length >= watch.DatapointsToAlarm;
}

function statisticOf(statistic: string, values: readonly number[]): number {
  switch (statistic) {
    case 'Sum':
      return values.reduce((sum, value) => sum + value, 0);
    case 'Maximum':
      return Math.max(...values);
    case 'p99':
      return values.toSorted((a, b) => a - b)[Math.ceil(values.length * 0.99) - 1] ?? Number.NaN;
    default:
      throw new Error(`statistic ${statistic}`);
  }
}

/** The runtime with another access token store behind it, each of whose calls is observed as a deployed one's is. */
function over(made: MeasuredDeployment, change: (store: AccessTokenStore) => AccessTokenStore): FunctionRuntime {
  const engine = createEngine({}, made.runtime.clock);
  const changed = { ...engine, accessTokens: change(engine.accessTokens) };
  const { accessTokens } = observedEngine(changed, 'cache all', configuration, made.metrics.observe);
  const { stores } = made.runtime;
  const tokens = () => ({ ...stores.tokens(), store: accessTokens });
  return { ...made.runtime, stores: { ...stores, tokens, accessTokenStore: () => accessTokens } };
}

const failing = (code: StoreErrorCode) => (store: AccessTokenStore) => ({
  ...store,
  findAccess: () => Promise.reject(new StoreError(code, 'no')),
});

const bearer = (token: string) => ({
  type: 'TOKEN' as const,
  methodArn: 'arn:aws:execute-api:eu-west-1:123456789012:api/prod/GET/orders',
  authorizationToken: `Bearer ${token}`,
});

const issue = async ({ runtime }: MeasuredDeployment) => {
  const request = { client_id: 'web', grant_type: 'password', refresh_token: true };
  return (await ask(createIssueTokens(runtime), jsonEvent(request))).body;
};

async function outage(made: MeasuredDeployment, code: StoreErrorCode) {
  const { access_token } = await issue(made);
  const authorize = createAuthorizer(over(made, failing(code)));
  for (let minute = 0; minute < 2; minute += 1) {
    made.pass(60);
    for (let call = 0; call < 5; call += 1) await authorize(bearer(access_token)).catch(() => {});
  }
}

const purgeMinutely = async (made: MeasuredDeployment, runtime: FunctionRuntime, minutes: number) => {
  for (let minute = 0; minute < minutes; minute += 1) {
    made.pass(60);
    await createPurge(runtime)({});
  }
};

const stories: Readonly<Record<string, (made: MeasuredDeployment) => Promise<void>>> = {
  'code-replay': async ({ runtime }) => {
    const { body } = await ask(createIssueCode(runtime), jsonEvent({ client_id: 'web' }));
    const exchange = () => ask(createExchangeCode(runtime), jsonEvent({ client_id: 'web', code: body.code }));
    await exchange();
    await exchange();
  },
  'refresh-reuse': async (made) => {
    const refresh = createRefreshTokens(made.runtime);
    const grants = [];
    for (let grant = 0; grant < 10; grant += 1) grants.push((await issue(made)).refresh_token);
    for (const again of [false, true]) {
      for (const refresh_token of grants) await ask(refresh, jsonEvent({ client_id: 'web', refresh_token }));
      if (!again) made.pass(11);
    }
  },
  'token-spraying': async ({ runtime }) => {
    const authorize = createAuthorizer(runtime);
    for (let tried = 0; tried < 500; tried += 1) await authorize(bearer(`${tried}`.padStart(54, 'A')));
  },
  'store-failures': (made) => outage(made, 'unavailable'),
  'store-throttled': (made) => outage(made, 'throttled'),
  'authorizer-failures': (made) => outage(made, 'timeout'),
  'cannot-start': async ({ metrics: { log }, pass }) => {
    for (const name of ['authorizer', 'purge']) {
      pass(60);
      log('error', 'the function did not start', { function: name });
    }
  },
  'lookup-latency': async (made) => {
    const { access_token } = await issue(made);
    const slow = (store: AccessTokenStore): AccessTokenStore => ({
      ...store,
      findAccess: async (...values) => {
        await new Promise((resolve) => setTimeout(resolve, 260));
        return store.findAccess(...values);
      },
    });
    for (let period = 0; period < 3; period += 1) {
      made.pass(300);
      await createAuthorizer(over(made, slow))(bearer(access_token));
    }
  },
  'purge-late': async (made) => {
    await purgeMinutely(made, made.runtime, 1);
    made.pass(180);
  },
  'purge-backlog': async (made) => {
    const behind = (store: AccessTokenStore): AccessTokenStore => ({
      ...store,
      purgeExpired: async () => ({
        removed: {},
        more: true,
        backlog: { records: 9, precision: 'exact', oldestDueAt: START - 3600 },
      }),
    });
    await purgeMinutely(made, over(made, behind), 1);
  },
};

const kindOf = ({ AlarmName }: Watch) =>
  Object.keys(stories).find((kind) => AlarmName.startsWith(`Shop-${kind}`)) ?? AlarmName;
/** Of an alarm that each store has, that of the access token store. */
const watchFor = (kind: string) =>
  watches
    .filter((watch) => kindOf(watch) === kind)
    .find(({ AlarmName }) => !/-\w+Stores\./.test(AlarmName) || AlarmName.endsWith('.tokens'));

describe('alarms that watch the functions', () => {
  it('each have a story', () => {
    expect(new Set(watches.map(kindOf))).toEqual(new Set(Object.keys(stories)));
  });

  it('are all off while the deployment does what it is for', async () => {
    const made = await measuredDeployment();
    const { access_token } = await issue(made);
    await createAuthorizer(made.runtime)(bearer(access_token));
    await createAuthorizer(made.runtime)(bearer('A'.repeat(54)));
    await purgeMinutely(made, made.runtime, 3);
    const points = made.datapoints();
    expect(watches.filter((watch) => isOn(watch, points, made.runtime.clock())).map(kindOf)).toEqual([]);
  });

  it.each(Object.keys(stories))('%s goes off', async (kind) => {
    const made = await measuredDeployment();
    const watch = watchFor(kind);
    await purgeMinutely(made, made.runtime, 3);
    expect(watch && isOn(watch, made.datapoints(), made.runtime.clock())).toBe(false);
    await stories[kind]?.(made);
    expect(watch && isOn(watch, made.datapoints(), made.runtime.clock())).toBe(true);
  });
});
