import { readFileSync } from 'node:fs';
import { App, Stack, Validations } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { HttpApi } from 'aws-cdk-lib/aws-apigatewayv2';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import { Code, Function as LambdaFunction, Runtime } from 'aws-cdk-lib/aws-lambda';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { Queue } from 'aws-cdk-lib/aws-sqs';
import { AwsSolutionsChecks } from 'cdk-nag';
import { describe, expect, it } from 'vitest';
import { readConfiguration } from '../../functions/config/configuration.ts';
import { type Dimension, dimensions, type MetricName, metrics } from '../../functions/config/metrics.ts';
import { placesOf } from '../../functions/config/places.ts';
import { alarms } from '../../lib/alarms.ts';
import { watchedCluster, watchedInstance, watchedProxy, watchedRotation } from '../../lib/database-server.ts';
import { watchedTable } from '../../lib/dynamodb-table.ts';
import { watchedCacheNodes, watchedServerlessCache } from '../../lib/elasticache-metrics.ts';
import { watchedKeyspace } from '../../lib/keyspaces.ts';
import { logQueries } from '../../lib/log-queries.ts';
import { Monitoring } from '../../lib/monitoring.ts';
import { oneOfEach } from './fake-stores.ts';

const NAMESPACE = 'Tokens';
const text = JSON.stringify({
  ...oneOfEach,
  accessTokenStores: { tokens: { storeIn: 'database', database: 'main', purgeExpiredTokensEvery: 90 } },
  databases: { main: { engine: 'postgresql' } },
});
const { configuration } = readConfiguration(text);

const app = new App();
const stack = new Stack(app, 'Shop');
const functionOf = (id: string) =>
  new LambdaFunction(stack, id, { runtime: Runtime.NODEJS_24_X, handler: 'index.handler', code: Code.fromInline('0') });
const authorizer = functionOf('Authorizer');
const purge = functionOf('Purge');
const queue = (id: string) => new Queue(stack, id, { enforceSSL: true });
const monitoring = new Monitoring(stack, 'Monitoring', {
  configuration,
  namespace: NAMESPACE,
  functions: { authorizer },
  purge: { runs: [{ intervalSeconds: 90, function: purge }], deadLetters: queue('PurgeDead') },
  apis: { store: new HttpApi(stack, 'Api') },
  deadLetters: { events: queue('Dead') },
  servers: {
    table: watchedTable('tokens'),
    proxy: watchedProxy('p'),
    cluster: watchedCluster('c', 100),
    instance: watchedInstance('i', 100),
    rotation: watchedRotation('f'),
    serverless: watchedServerlessCache('s', 2),
    nodes: watchedCacheNodes('n', {}),
    keyspace: watchedKeyspace('k'),
  },
  logs: { functions: [new LogGroup(stack, 'Logs')], access: [new LogGroup(stack, 'Access')] },
});

const bare = new Stack(app, 'Bare');
const given = new SnsAction(Topic.fromTopicArn(bare, 'Given', 'arn:aws:sns:eu-west-1:111122223333:given'));
new Monitoring(bare, 'Monitoring', { configuration, alarmActions: [given], thresholds: { codeReplays: 7 } });

const template = Template.fromStack(stack);
const bareTemplate = Template.fromStack(bare);

interface AlarmProperties {
  readonly AlarmName: string;
  readonly AlarmDescription: string;
  readonly Namespace: string;
  readonly MetricName: string;
  readonly Dimensions?: readonly { readonly Name: string; readonly Value: string }[];
  readonly [property: string]: unknown;
}
const alarmsOf = (of: Template): AlarmProperties[] =>
  Object.values(of.findResources('AWS::CloudWatch::Alarm')).map(({ Properties }) => Properties);
const found = alarmsOf(template);
const named = (name: string) => found.find(({ AlarmName }) => AlarmName === `Shop-${name}`);
const kindOf = ({ AlarmDescription }: AlarmProperties) => AlarmDescription.replace(/^.*#/, '');

const runbook = readFileSync(new URL('../../docs/runbook.md', import.meta.url), 'utf8');
const sections = [...runbook.matchAll(/^## (.+)$/gm)].map(([, title]) => title);

describe('the alarms', () => {
  it('are all there where everything is watched', () => {
    expect(new Set(found.map(kindOf))).toEqual(new Set(Object.keys(alarms)));
  });

  it('each have a section of the runbook under their name, to which their description leads', () => {
    for (const alarm of found) {
      expect(alarm.AlarmName.startsWith(`Shop-${kindOf(alarm)}`)).toBe(true);
      expect(alarm.AlarmDescription).toMatch(/^[A-Z].+\. docs\/runbook\.md#[a-z-]+$/);
      expect(sections).toContain(kindOf(alarm));
    }
    expect(sections.filter((title) => title !== undefined && /^[a-z]/.test(title)).toSorted()).toEqual(
      Object.keys(alarms).toSorted(),
    );
  });

  it('watch one plain metric each, and tell the topic', () => {
    const topic = Object.keys(template.findResources('AWS::SNS::Topic'));
    for (const { MetricName: name, Metrics, AlarmActions } of found) {
      expect(name).toEqual(expect.any(String));
      expect(Metrics).toBeUndefined();
      expect(AlarmActions).toEqual([{ Ref: topic[0] }]);
    }
  });

  const ours = found.filter(({ Namespace }) => Namespace === NAMESPACE);

  it('watch what the functions measure, under dimensions by which they measure it', () => {
    const stores = placesOf(configuration).map(({ label }) => label);
    expect(ours.length).toBeGreaterThan(10);
    for (const { AlarmName, MetricName: name, Dimensions = [] } of ours) {
      const metric = metrics[name as MetricName];
      expect(metric, AlarmName).toBeDefined();
      const set = Dimensions.map(({ Name }) => Name).toSorted();
      expect(
        metric.dimensions.map((each) => [...each].toSorted()),
        AlarmName,
      ).toContainEqual(set);
      for (const { Name, Value } of Dimensions) {
        const values = Name === 'Store' ? stores : dimensions[Name as Dimension];
        if (Array.isArray(values)) expect(values, AlarmName).toContain(Value);
      }
    }
  });

  it('tell a failing purge from one that does not run, at the pace of each store', () => {
    expect(named('purge-late-accessTokenStores.tokens')).toMatchObject({
      MetricName: 'PurgeRuns',
      Period: 120,
      EvaluationPeriods: 3,
      DatapointsToAlarm: 3,
      ComparisonOperator: 'LessThanThreshold',
      Threshold: 1,
      TreatMissingData: 'breaching',
    });
    expect(named('purge-late-artifactStores.artifacts')).toMatchObject({ Period: 60 });
    expect(named('purge-failed-every-90-seconds')).toMatchObject({ Namespace: 'AWS/Lambda', MetricName: 'Errors' });
    for (const alarm of found.filter((each) => kindOf(each) !== 'purge-late')) {
      expect(alarm.TreatMissingData).toBe('notBreaching');
    }
  });

  it('give DynamoDB the days that it takes, and a purge of our own an hour', () => {
    expect(named('purge-backlog-accessTokenStores.tokens')).toMatchObject({ Threshold: 3600 });
    expect(named('purge-backlog-artifactStores.artifacts')).toMatchObject({ Threshold: 7 * 86_400 });
  });

  it('stay within what CloudWatch evaluates: a day, or a week from periods of an hour on', () => {
    const intervals = [1, 3599, 86_400];
    for (const interval of intervals) {
      const one = new Stack(new App(), 'One');
      const store = { cache: 'table', purgeExpiredTokensEvery: interval };
      const json = JSON.stringify({ ...oneOfEach, accessTokenStores: { tokens: store } });
      const dead = { runs: [], deadLetters: new Queue(one, 'Dead') };
      const { alarms: made } = new Monitoring(one, 'Monitoring', {
        configuration: readConfiguration(json).configuration,
        purge: dead,
        alarmActions: [],
      });
      expect(made.length).toBeGreaterThan(0);
      for (const { Period, EvaluationPeriods } of alarmsOf(Template.fromStack(one))) {
        expect(Number(Period) * Number(EvaluationPeriods)).toBeLessThanOrEqual(
          Number(Period) < 3600 ? 86_400 : 604_800,
        );
      }
    }
  });

  it('have thresholds and actions that can be chosen, and then no topic', () => {
    const replays = alarmsOf(bareTemplate).find((each) => kindOf(each) === 'code-replay');
    expect(replays).toMatchObject({
      Threshold: 7,
      Namespace: 'OAuth2Stores',
      AlarmActions: [expect.stringMatching(/given$/)],
    });
    bareTemplate.resourceCountIs('AWS::SNS::Topic', 0);
    bareTemplate.resourceCountIs('AWS::KMS::Key', 0);
  });
});

describe('the topic', () => {
  it('is encrypted under a key that CloudWatch may use for alarms of this account alone, as it may publish', () => {
    const condition = {
      StringEquals: { 'aws:SourceAccount': { Ref: 'AWS::AccountId' } },
      ArnLike: { 'aws:SourceArn': expect.anything() },
    };
    const statements = [
      ...Object.values(template.findResources('AWS::KMS::Key')),
      ...Object.values(template.findResources('AWS::SNS::TopicPolicy')),
    ].flatMap(({ Properties: { KeyPolicy, PolicyDocument } }) => (KeyPolicy ?? PolicyDocument).Statement);
    const cloudwatch = statements.filter(({ Principal }) => Principal.Service === 'cloudwatch.amazonaws.com');
    expect(cloudwatch).toMatchObject([
      { Action: ['kms:Decrypt', 'kms:GenerateDataKey*'], Condition: condition },
      { Action: 'sns:Publish', Condition: condition },
    ]);
  });
});

describe('the dashboard', () => {
  const [dashboard] = Object.values(template.findResources('AWS::CloudWatch::Dashboard'));
  const body = JSON.stringify(dashboard?.Properties.DashboardBody).replaceAll(/\\+"/g, '"');

  it('shows every metric of the functions, each by dimensions by which it is measured', () => {
    const searched = [...body.matchAll(/SEARCH\('\{"(\w+)"((?:,"\w+")*)\} MetricName="(\w+)"'/g)].map(
      ([, namespace, set = '', name]) => ({ namespace, set: set.match(/\w+/g) ?? [], name }),
    );
    const totals = [...body.matchAll(/\["Tokens","(\w+)",\{/g)].map(([, name]) => ({
      namespace: NAMESPACE,
      set: [],
      name,
    }));
    for (const { namespace, set, name } of [...searched, ...totals]) {
      expect(namespace).toBe(NAMESPACE);
      expect(metrics[name as MetricName].dimensions).toContainEqual(set);
    }
    expect(new Set([...searched, ...totals].map(({ name }) => name))).toEqual(new Set(Object.keys(metrics)));
  });

  it('shows what is watched of each server, with the line at which its alarm goes off', () => {
    for (const [name, metric, line] of [
      ['table', '"AWS/DynamoDB","ReadThrottleEvents","TableName","tokens"', 50],
      ['proxy', '"AWS/RDS","DatabaseConnectionsBorrowLatency","ProxyName","p"', 100_000],
      ['cluster', '"AWS/RDS","DatabaseConnections","DBClusterIdentifier","c"', 80],
    ]) {
      expect(body).toContain(`"markdown":"## ${name}"`);
      const [, shown] = body.split(`"metrics":[[${metric}`);
      expect(shown).toMatch(new RegExp(`^[^}]*\\}\\]\\],"annotations":\\{"horizontal":\\[\\{"value":${line},`));
    }
  });

  it('shows every alarm', () => {
    expect(body.match(/Arn/g)?.length).toBeGreaterThanOrEqual(monitoring.alarms.length);
  });
});

describe('the queries', () => {
  it('are saved, and stand in the runbook, letter for letter', () => {
    const saved = Object.values(template.findResources('AWS::Logs::QueryDefinition')).map(
      ({ Properties }) => Properties,
    );
    expect(Object.fromEntries(saved.map(({ Name, QueryString }) => [Name, QueryString]))).toEqual(
      Object.fromEntries(Object.entries(logQueries).map(([name, query]) => [`Shop/${name}`, query.text])),
    );
    for (const [name, query] of Object.entries(logQueries)) {
      expect(runbook).toMatch(new RegExp(`^### ${name}$`, 'm'));
      expect(runbook).toContain(`\`\`\`text\n${query.text}\n\`\`\``);
    }
    const shown = [...runbook.matchAll(/`(who|what|slowest|purge)-(\w+)(-\w+)?`/g)].map(([code]) => code.slice(1, -1));
    for (const name of shown) expect([...Object.keys(logQueries), ...Object.keys(alarms)]).toContain(name);
  });
});

it('functions are told the namespace', () => {
  for (const { Properties } of Object.values(template.findResources('AWS::Lambda::Function'))) {
    expect(Properties.Environment.Variables).toEqual({ OAUTH_STORES_METRICS: NAMESPACE });
  }
});

it('the runbook lists every metric with its dimensions', () => {
  for (const [name, { dimensions: sets }] of Object.entries(metrics)) {
    const by = sets.map((set) => set.join(', ') || 'all together').join(' · ');
    expect(runbook).toContain(`| \`${name}\` | ${by} |`);
  }
});

it('cdk-nag finds nothing', () => {
  const checked = new App();
  const one = new Stack(checked, 'One');
  new Monitoring(one, 'Monitoring', { configuration });
  Validations.of(checked).addPlugins(new AwsSolutionsChecks(checked));
  checked.synth();
});
