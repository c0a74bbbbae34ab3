import { App, Stack } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { describe, expect, it } from 'vitest';
import { PurgeSchedule, type PurgeScheduleProps } from '../../lib/purge-schedule.ts';
import { FakeStores, oneOfEach } from './fake-stores.ts';

const configuration = {
  ...oneOfEach,
  accessTokenStores: { tokens: { cache: 'table' }, often: { cache: 'table', purgeExpiredTokensEvery: 45 } },
  artifactStores: { artifacts: { cache: 'table', purgeExpiredTokensEvery: 5400 } },
};

const app = new App();
const scheduled = (id: string, props: Omit<PurgeScheduleProps, 'stores'> = {}) => {
  const stack = new Stack(app, id);
  return {
    stack,
    purge: new PurgeSchedule(stack, 'Purge', { stores: new FakeStores(stack, configuration), ...props }),
  };
};
const { stack, purge } = scheduled('Rules');
const { stack: timed } = scheduled('Scheduler', { scheduler: 'scheduler', reserveConcurrency: false });
const template = Template.fromStack(stack);
const propertiesOf = (of: Template, type: string) =>
  Object.values(of.findResources(type)).map((each) => each.Properties);
const [queue] = Object.keys(template.findResources('AWS::SQS::Queue'));
const queueArn = { 'Fn::GetAtt': [queue, 'Arn'] };

const often = { intervalSeconds: 45, stores: [{ kind: 'accessTokenStores', name: 'often' }] };
const events = [
  often,
  {
    intervalSeconds: 60,
    stores: [
      { kind: 'accessTokenStores', name: 'tokens' },
      { kind: 'authorizationCodeStores', name: 'codes' },
      { kind: 'clientAccessTokenStores', name: 'received' },
    ],
  },
  { intervalSeconds: 5400, stores: [{ kind: 'artifactStores', name: 'artifacts' }] },
];

describe('the purge', () => {
  it('fires at the interval of each store, every minute for those that are not whole minutes', () => {
    expect(purge.runs.map(({ intervalSeconds, stores }) => ({ intervalSeconds, stores }))).toEqual(events);
    const rules = propertiesOf(template, 'AWS::Events::Rule').map(({ ScheduleExpression, State, Targets }) => [
      ScheduleExpression,
      State,
      Targets[0].InputTransformer.InputPathsMap,
      JSON.parse(Targets[0].InputTransformer.InputTemplate.replace('<time>', '"due"')),
    ]);
    const paths = { time: '$.time' };
    expect(rules).toEqual([
      ['rate(1 minute)', 'ENABLED', paths, { ...events[0], time: 'due' }],
      ['rate(1 minute)', 'ENABLED', paths, { ...events[1], time: 'due' }],
      ['rate(90 minutes)', 'ENABLED', paths, { ...events[2], time: 'due' }],
    ]);
  });

  it('has one runner for each interval, which ends before the next begins', () => {
    const functions = propertiesOf(template, 'AWS::Lambda::Function');
    expect(
      functions.map(({ ReservedConcurrentExecutions, Timeout }) => [ReservedConcurrentExecutions, Timeout]),
    ).toEqual([
      [1, 85],
      [1, 55],
      [1, 300],
    ]);
    for (const { ReservedConcurrentExecutions } of propertiesOf(Template.fromStack(timed), 'AWS::Lambda::Function')) {
      expect(ReservedConcurrentExecutions).toBeUndefined();
    }
  });

  it('repeats nothing and loses nothing: what was given up is a dead letter', () => {
    const [rule] = propertiesOf(template, 'AWS::Events::Rule');
    expect(rule?.Targets[0]).toMatchObject({
      DeadLetterConfig: { Arn: queueArn },
      RetryPolicy: { MaximumEventAgeInSeconds: 60, MaximumRetryAttempts: 2 },
    });
    const invocations = propertiesOf(template, 'AWS::Lambda::EventInvokeConfig');
    expect(invocations.map(({ MaximumEventAgeInSeconds }) => MaximumEventAgeInSeconds)).toEqual([60, 60, 5400]);
    for (const { MaximumRetryAttempts, DestinationConfig } of invocations) {
      expect(MaximumRetryAttempts).toBe(0);
      expect(DestinationConfig).toEqual({ OnFailure: { Destination: queueArn } });
    }
  });

  it('encrypts dead letters, and takes them over TLS alone', () => {
    template.hasResourceProperties('AWS::SQS::Queue', {
      SqsManagedSseEnabled: true,
      MessageRetentionPeriod: 1_209_600,
    });
    template.hasResourceProperties('AWS::SQS::QueuePolicy', {
      PolicyDocument: {
        Statement: Match.arrayWith([
          Match.objectLike({ Effect: 'Deny', Condition: { Bool: { 'aws:SecureTransport': 'false' } } }),
        ]),
      },
    });
  });

  it('can be fired by EventBridge Scheduler, which may invoke these functions and nothing else', () => {
    const other = Template.fromStack(timed);
    other.resourceCountIs('AWS::Events::Rule', 0);
    const time = '<aws.scheduler.scheduled-time>';
    const schedules = propertiesOf(other, 'AWS::Scheduler::Schedule');
    expect(schedules.map(({ ScheduleExpression, Target }) => [ScheduleExpression, JSON.parse(Target.Input)])).toEqual([
      ['rate(1 minute)', { ...events[0], time }],
      ['rate(1 minute)', { ...events[1], time }],
      ['rate(90 minutes)', { ...events[2], time }],
    ]);
    const policies = propertiesOf(other, 'AWS::IAM::Policy').filter(({ Roles }) =>
      /Schedule/.test(JSON.stringify(Roles)),
    );
    expect(policies).toHaveLength(3);
    for (const { PolicyDocument } of policies) {
      expect(PolicyDocument.Statement.map(({ Action }: { Action: string }) => Action)).toEqual([
        'lambda:InvokeFunction',
        'sqs:SendMessage',
      ]);
      expect(JSON.stringify(PolicyDocument)).not.toContain('*');
    }
  });
});
