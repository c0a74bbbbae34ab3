import { randomUUID } from 'node:crypto';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { afterAll, describe, expect, it } from 'vitest';
import { purgedAttributes } from '../../functions/config/dynamodb.ts';
import type { Engine } from '../../functions/domain/ports.ts';
import { createEngine, createTable } from '../../functions/stores/dynamodb.ts';
import { createVirtualClock } from '../conformance/index.ts';
import {
  accessOutcome,
  DAY,
  issue,
  many,
  newAccess,
  newArtifact,
  newAttempt,
  newCode,
} from '../conformance/records.ts';
import { emulated, findServer } from './dynamodb-server.ts';

const server = await findServer();
const clock = createVirtualClock(Date.now());
const now = clock.now();
const opened: Engine[] = [];
afterAll(() => Promise.all(opened.map((engine) => engine.close())));

/** A table of its own, and an engine on it. */
async function open(nativeTimeToLive: boolean): Promise<Engine> {
  const settings = { ...emulated, endpoint: server ?? '', tableName: `purge-${randomUUID()}`, nativeTimeToLive };
  await createTable(settings);
  const engine = createEngine(settings, clock.nowMs);
  opened.push(engine);
  return engine;
}

const addCodes = async ({ authorizationCodes }: Engine, count: number, retainUntil: number) => {
  for (const some of many(Math.ceil(count / 50), () => many(50, () => newCode(now, { retainUntil })))) {
    await Promise.all(some.map((code) => authorizationCodes.add(code, { now, attempt: newAttempt() })));
  }
};

describe.skipIf(server === undefined)('a table that removes by itself what is due', () => {
  it('is watched: how much is due, of each kind, and since when', async () => {
    const engine = await open(true);
    await addCodes(engine, 50, now + DAY);
    await addCodes(engine, 50, now + DAY + 3);
    await addCodes(engine, 50, now + 2 * DAY);
    await issue({ ...engine, clock }, { grant: { retainUntil: now + DAY } });
    const { authorizationCodes, accessTokens, artifacts } = engine;
    const request = { now: now + DAY + 3, limit: 1 };
    expect(await authorizationCodes.purgeExpired(request)).toEqual({
      removed: {},
      more: false,
      backlog: { records: 100, precision: 'exact', oldestDueAt: now + DAY },
    });
    expect((await accessTokens.purgeExpired(request)).backlog).toMatchObject({ records: 1 });
    expect((await artifacts.purgeExpired(request)).backlog).toEqual({ records: 0, precision: 'exact' });
    expect((await authorizationCodes.purgeExpired({ now, limit: 1 })).backlog).toEqual({
      records: 0,
      precision: 'exact',
    });
  });

  it('is sampled when it is large: about as much as there is, for about as much work as for a small one', async () => {
    const engine = await open(true);
    await addCodes(engine, 600, now + DAY);
    await addCodes(engine, 1200, now + 2 * DAY);
    const found: number[] = [];
    for (let run = 0; run < 12; run += 1) {
      const { backlog } = await engine.authorizationCodes.purgeExpired({ now: now + DAY + run, limit: 1 });
      expect(backlog.precision).not.toBe('exact');
      found.push(backlog.records);
      if (backlog.records > 0) expect(backlog.oldestDueAt).toBe(now + DAY);
    }
    const mean = found.reduce((sum, records) => sum + records, 0) / found.length;
    expect(mean).toBeGreaterThan(100);
    expect(mean).toBeLessThan(1000);
  });
});

describe.skipIf(server === undefined)('a purge', () => {
  it.each([true, false])(
    'reads keys and the time of expiry, and nothing else (nativeTimeToLive %s)',
    async (native) => {
      const engine = await open(native);
      await addCodes(engine, 50, now + DAY);
      await issue({ ...engine, clock }, { grant: { retainUntil: now + DAY }, access: { expiresAt: now + DAY } });
      await engine.artifacts.put(newArtifact(now), { now });
      const { send } = DynamoDBClient.prototype;
      const requests: Record<string, unknown>[] = [];
      const kinds = new Set<string>();
      Object.assign(DynamoDBClient.prototype, {
        send(this: DynamoDBClient, command: { input: Record<string, unknown>; constructor: { name: string } }) {
          kinds.add(command.constructor.name);
          requests.push(command.input);
          return Reflect.apply(send, this, [command]);
        },
      });
      for (const store of [
        engine.authorizationCodes,
        engine.accessTokens,
        engine.artifacts,
        engine.clientAccessTokens,
      ]) {
        await store.purgeExpired({ now: now + 100 * DAY, limit: 1000 });
      }
      Object.assign(DynamoDBClient.prototype, { send });
      expect(kinds).toEqual(
        new Set(native ? ['DescribeTableCommand', 'ScanCommand'] : ['ScanCommand', 'DeleteItemCommand']),
      );
      for (const { ProjectionExpression, FilterExpression = '', ConditionExpression = '', ...request } of requests) {
        const words = `${ProjectionExpression ?? ''} ${FilterExpression} ${ConditionExpression}`.match(
          /(?<![:\w])[a-z]\w*/gi,
        );
        const named = new Set(words?.filter((word) => !['begins_with', 'OR', 'AND'].includes(word)));
        for (const name of named) expect(purgedAttributes).toContain(name);
        expect(request).not.toHaveProperty('ReturnValues');
        expect(request).not.toHaveProperty('ReturnValuesOnConditionCheckFailure');
        expect(request).not.toHaveProperty('ExpressionAttributeNames');
      }
      const scans = requests.filter(({ FilterExpression }) => FilterExpression !== undefined);
      for (const { ProjectionExpression, Select } of scans) {
        expect([ProjectionExpression, Select]).toEqual(['p, k, l', 'SPECIFIC_ATTRIBUTES']);
      }
      expect(scans.length).toBeGreaterThan(0);
    },
  );

  it('removes the tokens, pointers and links of a grant with it, and leaves those that are to stay', async () => {
    const engine = await open(false);
    const { accessTokens } = engine;
    const brief = await issue({ ...engine, clock }, { grant: { retainUntil: now + DAY } });
    const { subject = '', clientId } = brief.grant;
    const lasting = await issue({ ...engine, clock }, { grant: { retainUntil: now + 90 * DAY, clientId } });
    await accessTokens.purgeExpired({ now: now + 40 * DAY, limit: 100 });
    expect(await accessTokens.listGrants({ subject }, { limit: 10 })).toEqual({ grants: [] });
    const { grants } = await accessTokens.listGrants({ clientId }, { limit: 10 });
    expect(grants.map(({ grant }) => grant.subject)).toEqual([lasting.grant.subject]);
    expect(await accessTokens.revokeBy({ clientId }, { nowMs: clock.nowMs(), retainUntil: now + DAY })).toBe(1);
  });

  it('leaves a grant whose end moves after it was found to be due', async () => {
    const engine = await open(false);
    const { grant, accessKey } = await issue({ ...engine, clock }, { grant: { retainUntil: now + DAY } });
    const { send } = DynamoDBClient.prototype;
    Object.assign(DynamoDBClient.prototype, {
      async send(this: DynamoDBClient, command: { constructor: { name: string } }) {
        if (command.constructor.name === 'DeleteItemCommand') {
          Object.assign(DynamoDBClient.prototype, { send });
          const options = { now, attempt: newAttempt(), retainUntil: now + 3 * DAY };
          await engine.accessTokens.addAccess(grant.grantId, newAccess(now), options);
        }
        return Reflect.apply(send, this, [command]);
      },
    });
    expect((await engine.accessTokens.purgeExpired({ now: now + DAY, limit: 10 })).removed).toMatchObject({
      grants: 0,
    });
    expect(await accessOutcome(engine.accessTokens, accessKey, now)).toBe('active');
  });
});
