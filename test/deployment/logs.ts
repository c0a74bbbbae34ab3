import { describe, expect, it } from 'vitest';
import type { Aws } from './aws.ts';
import type { Deployment } from './deployment.ts';

interface LogEvent {
  readonly group: string;
  readonly timestamp: number;
  readonly message: string;
}

/** What stands in the log groups whose names contain `part`. */
export async function logsOf(aws: Aws, part = ''): Promise<LogEvent[]> {
  const call = <Answer>(action: string, body: object) => aws.json<Answer>('logs', `Logs_20140328.${action}`, body);
  const { logGroups } = await call<{ logGroups: { logGroupName: string }[] }>('DescribeLogGroups', { limit: 50 });
  const events: LogEvent[] = [];
  for (const { logGroupName } of logGroups.filter((group) => group.logGroupName.includes(part))) {
    for (let nextToken: string | undefined; ; ) {
      const page = await call<{ events: Omit<LogEvent, 'group'>[]; nextToken?: string }>('FilterLogEvents', {
        logGroupName,
        ...(nextToken !== undefined && { nextToken }),
      });
      events.push(...page.events.map((event) => ({ ...event, group: logGroupName })));
      nextToken = page.nextToken;
      if (nextToken === undefined) break;
    }
  }
  return events;
}

/** Comes after everything that issues and presents tokens. */
export const logs = (deployment: Deployment) =>
  describe('the logs', () => {
    it('hold the outcomes of operations as metrics, and no value that was issued or presented', async () => {
      const lines = (await logsOf(deployment.aws)).map(({ message }) => message);
      const outcomes = new Set(lines.flatMap((line) => /"Outcome":"([^"]+)"/.exec(line)?.[1] ?? []));
      expect([...outcomes]).toEqual(expect.arrayContaining(['redeemed', 'replayed', 'rotated', 'retried', 'reused']));
      expect(lines.some((line) => line.includes('"access refused"'))).toBe(true);
      expect(deployment.values.size).toBeGreaterThan(50);
      expect([...deployment.values].filter((value) => lines.some((line) => line.includes(value)))).toEqual([]);
    });
  });
