import { describe, expect, it } from 'vitest';
import { textOf } from './aws.ts';
import type { Deployment } from './deployment.ts';
import { eventually } from './purging.ts';

interface Alarm {
  readonly AlarmName: string;
  readonly StateValue: string;
  readonly AlarmActions: readonly string[];
}

/** Comes after codes were replayed, stores were away and purges failed. */
export const alarms = (deployment: Deployment) =>
  describe('the alarms', () => {
    const { aws } = deployment;
    const cloudwatch = <Answer>(action: string, body: object) =>
      aws.json<Answer>('monitoring', `GraniteServiceVersion20100801.${action}`, body);
    const sqs = <Answer>(action: string, body: object) => aws.json<Answer>('sqs', `AmazonSQS.${action}`, body);
    const find = async () => (await cloudwatch<{ MetricAlarms: Alarm[] }>('DescribeAlarms', {})).MetricAlarms;

    it('go off by what has happened', async () => {
      const expected = ['code-replay', 'store-failures', 'authorizer-failures'];
      await eventually(async () => {
        const ringing = (await find()).filter(({ StateValue }) => StateValue === 'ALARM');
        return expected.every((name) => ringing.some(({ AlarmName }) => AlarmName.includes(name))) || undefined;
      });
    });

    it('each tell whoever has subscribed', async () => {
      const all = await find();
      expect(all.length).toBeGreaterThan(10);
      const [topic, ...others] = new Set(all.flatMap(({ AlarmActions }) => AlarmActions));
      expect(others).toEqual([]);
      const queue = 'arn:aws:sqs:us-east-1:000000000000:on-call';
      const service = { Principal: { Service: 'sns.amazonaws.com' }, Action: 'sqs:SendMessage', Resource: queue };
      const Policy = JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', ...service }] });
      const named = { QueueName: 'on-call', Attributes: { Policy } };
      const { QueueUrl } = await sqs<{ QueueUrl: string }>('CreateQueue', named);
      const subscribing = { TopicArn: topic ?? '', Protocol: 'sqs', Endpoint: queue };
      const subscription = await aws.query('sns', 'Subscribe', subscribing);
      for (const StateValue of ['OK', 'ALARM']) {
        for (const { AlarmName } of all)
          await cloudwatch('SetAlarmState', { AlarmName, StateValue, StateReason: 'test' });
      }
      const told = new Set<string>();
      await eventually(async () => {
        const request = { QueueUrl, MaxNumberOfMessages: 10 };
        const { Messages = [] } = await sqs<{ Messages?: { Body: string }[] }>('ReceiveMessage', request);
        for (const { Body } of Messages) told.add(JSON.parse(JSON.parse(Body).Message).AlarmName);
        return told.size === all.length || undefined;
      });
      await aws.query('sns', 'Unsubscribe', { SubscriptionArn: textOf(subscription, 'SubscriptionArn') });
      await sqs('DeleteQueue', { QueueUrl });
    });
  });
