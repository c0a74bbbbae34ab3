import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Deployment } from './deployment.ts';
import { logsOf } from './logs.ts';
import { assertion, introspectBy } from './standard-endpoints.ts';

interface Run {
  readonly PurgeRemoved: number;
  readonly PurgeBacklog: number;
}

/** The runs of the purge since then, as its log tells of them. */
async function runsSince({ aws }: Deployment, startMs: number): Promise<Run[]> {
  const events = await logsOf(aws, 'Purge');
  return events.flatMap(({ timestamp, message }) =>
    timestamp >= startMs && message.includes('"purged what has expired"') ? [JSON.parse(message) as Run] : [],
  );
}

/** Looks again every second until `see` gives something, for two minutes at most. */
export async function eventually<Found>(see: () => Promise<Found | undefined>): Promise<Found> {
  for (const deadline = Date.now() + 120_000; ; await sleep(1000)) {
    const found = await see();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error('what was waited for did not come to be within two minutes');
  }
}

export const purging = (deployment: Deployment) =>
  describe('the purge', () => {
    it('is fired by its rule again and again, and removes what has expired', async () => {
      const startMs = Date.now();
      // The id of an assertion is kept for as long as it could be presented once more: for this one some seconds.
      expect((await introspectBy(deployment, await assertion(1), 'unknown')).status).toBe(200);
      const runs = await eventually(async () => {
        const seen = await runsSince(deployment, startMs);
        return seen.some(({ PurgeRemoved }) => PurgeRemoved > 0) ? seen : undefined;
      });
      expect(runs.length).toBeGreaterThanOrEqual(3);
      const later = Date.now();
      await eventually(async () => (await runsSince(deployment, later)).length >= 3 || undefined);
    });

    it('leaves what it gave up in the dead letters', async () => {
      const recover = await deployment.breakStores();
      try {
        const letter = await eventually(() => receive(deployment));
        expect(letter).toContain('the purge failed');
      } finally {
        await recover();
      }
      const recovered = Date.now();
      await eventually(async () => (await runsSince(deployment, recovered)).length > 0 || undefined);
    });
  });

async function receive({ aws }: Deployment): Promise<string | undefined> {
  const call = <Answer>(action: string, body: object) => aws.json<Answer>('sqs', `AmazonSQS.${action}`, body);
  const { QueueUrls = [] } = await call<{ QueueUrls?: string[] }>('ListQueues', {});
  const url = QueueUrls.find((each) => each.includes('DeadLetters'));
  const { Messages = [] } = await call<{ Messages?: { Body: string }[] }>('ReceiveMessage', { QueueUrl: url });
  return Messages[0]?.Body;
}
