import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import { DynamoDBClient, GetItemCommand } from '@aws-sdk/client-dynamodb';
import { afterAll, describe, expect, it } from 'vitest';
import type { StoredAccessToken, StoredGrant, TokenKey } from '../../functions/domain/ports.ts';
import { createEngine, createTable } from '../../functions/stores/dynamodb.ts';
import { createVirtualClock } from '../conformance/index.ts';
import {
  accessOutcome,
  DAY,
  HOUR,
  issue,
  keyOf,
  newAccess,
  newAttempt,
  newSuccessor,
  plain,
  rotate,
} from '../conformance/records.ts';
import { emulated, findServer } from './dynamodb-server.ts';

const server = await findServer();
const settings = { ...emulated, endpoint: server ?? '', tableName: `buckets-${randomUUID()}` };
const clock = createVirtualClock(Date.now());
const start = clock.now();
const client = new DynamoDBClient(settings);
if (server !== undefined) await createTable(settings);
const withLife = (accessTokenSeconds: number) => createEngine({ ...settings, accessTokenSeconds }, clock.nowMs);
const engines = [withLife(600), withLife(HOUR)] as const;
const [engine] = engines;
afterAll(async () => {
  await Promise.all(engines.map((each) => each.close()));
  client.destroy();
});

/** How many access tokens and marks stand in the item of a grant. */
async function inlined({ grantId }: StoredGrant): Promise<number> {
  const Key = { p: { B: Buffer.concat([Buffer.from('g'), grantId]) }, k: { B: Buffer.of(0) } };
  const { Item = {} } = await client.send(new GetItemCommand({ TableName: settings.tableName, Key }));
  return ['A', 'B', 'C'].reduce((sum, bucket) => sum + Object.keys(Item[bucket]?.M ?? {}).length, 0);
}

describe.skipIf(server === undefined)('access tokens in the item of their grant', () => {
  it.each([
    ['one setting, and clocks that differ by five minutes', 1, 299],
    ['two settings, as while one is changed', 2, 0],
  ])('are neither lost while they live, nor come back when they were revoked: %s', async (_, settingsInUse, skew) => {
    for (let round = 0; round < 6; round += 1) {
      const retainUntil = start + 300 * DAY;
      const issued = await issue({ ...engine, clock }, { grant: { retainUntil }, access: { expiresAt: start + 600 } });
      const { grant } = issued;
      let key: TokenKey = issued.refreshKey;
      let at = start;
      let most = 0;
      const tokens: { token: StoredAccessToken; isRevoked: boolean }[] = [{ token: issued.access, isRevoked: false }];
      for (let turn = 0; turn < 60; turn += 1) {
        at += randomInt(4) === 0 ? randomInt(3000) : randomInt(300);
        const { accessTokens } = engines[randomInt(settingsInUse)] ?? engine;
        // The writer's clock; its tokens' times are by it.
        const now = at - (skew && randomInt(skew));
        const access = newAccess(now, { expiresAt: now + 60 + randomInt(541), data: randomBytes(20) });
        const refresh = { digest: randomBytes(32), expiresAt: at + 100 * DAY };
        const successor = newSuccessor(now, { access, refresh, retainUntil });
        expect((await rotate(accessTokens, grant, key, successor, { now })).outcome).toBe('rotated');
        key = keyOf(grant, refresh);
        tokens.push({ token: access, isRevoked: false });
        const chosen = tokens.at(-1 - randomInt(Math.min(tokens.length, 3)));
        if (chosen && !chosen.isRevoked && chosen.token.expiresAt > at && randomInt(4) === 0) {
          expect(await accessTokens.revokeAccess(keyOf(grant, chosen.token), { now: at })).toBe(true);
          chosen.isRevoked = true;
        }
        most = Math.max(most, await inlined(grant));
        // Of the readers one may be as late as a writer.
        const late = at - skew;
        for (const { token, isRevoked } of tokens.slice(-12).filter(({ token: { expiresAt } }) => expiresAt > late)) {
          const outcome = await accessOutcome(accessTokens, keyOf(grant, token), late);
          expect(outcome).toBe(isRevoked ? 'revoked' : 'active');
        }
      }
      // Twenty tokens, and a mark in each bucket for those that were revoked.
      expect(most).toBeLessThan(60);
    }
  });

  it('vanish when they have expired for five minutes, without a read', async () => {
    const { grant, refreshKey } = await issue({ ...engine, clock }, { access: { expiresAt: start + 600 } });
    let key = refreshKey;
    for (let at = start + 600; at < start + 10 * HOUR; at += 600) {
      const refresh = { digest: randomBytes(32), expiresAt: at + DAY };
      const access = newAccess(at, { expiresAt: at + 600 });
      const successor = newSuccessor(at, { refresh, access });
      expect((await rotate(engine.accessTokens, grant, key, successor, { now: at })).outcome).toBe('rotated');
      key = keyOf(grant, refresh);
      expect(await inlined(grant)).toBeLessThanOrEqual(5);
    }
  });

  it('move over once when the setting is changed, and are good meanwhile', async () => {
    const { grant, refreshKey, accessKey } = await issue(
      { ...engines[1], clock },
      { access: { expiresAt: start + HOUR } },
    );
    const widthOf = async () => {
      const Key = { p: { B: Buffer.concat([Buffer.from('g'), grant.grantId]) }, k: { B: Buffer.of(0) } };
      const { Item = {} } = await client.send(new GetItemCommand({ TableName: settings.tableName, Key }));
      return Number(Item.w?.N);
    };
    await engine.accessTokens.revokeAccess(accessKey, { now: start });
    let key = refreshKey;
    for (const [at, width] of [
      [start + 1, HOUR - 1 + 600], // wide enough for what lives
      [start + 2 * HOUR, 1200],
      [start + 2 * HOUR + 1, 1200],
    ] as const) {
      const refresh = { digest: randomBytes(32), expiresAt: at + DAY };
      const access = newAccess(at, { expiresAt: at + 600 });
      const successor = newSuccessor(at, { refresh, access });
      expect((await rotate(engine.accessTokens, grant, key, successor, { now: at })).outcome).toBe('rotated');
      key = keyOf(grant, refresh);
      expect(await widthOf()).toBe(width);
      expect(await accessOutcome(engine.accessTokens, keyOf(grant, access), at)).toBe('active');
      if (at === start + 1) expect(await accessOutcome(engine.accessTokens, accessKey, at)).toBe('revoked');
    }
  });

  it.each([
    [0, 600, false, 2],
    [511, 600, true, 2],
    [512, 600, false, 2],
    [10, 0, false, 2],
    [10, 600, true, 2],
    // Too large, or of too long a life: an item of its own.
    [513, 600, true, 1],
    [2000, 600, false, 1],
    [10, 601, false, 1],
    [10, 400 * DAY, true, 1],
  ])(
    'are as they were stored: %i bytes of data, for %i seconds, foreign %s',
    async (bytes, life, foreign, standing) => {
      const { grant } = await issue({ ...engine, clock }, { access: { expiresAt: start + 600 } });
      const { grantId, retainUntil } = grant;
      const fields = { data: randomBytes(bytes), expiresAt: start + life, ...(foreign && { foreign }) };
      const access = newAccess(start, fields);
      const options = { now: start, attempt: newAttempt(), retainUntil };
      expect(await engine.accessTokens.addAccess(grantId, access, options)).toBe('added');
      expect(await engine.accessTokens.addAccess(grantId, access, options)).toBe('added');
      const second = engine.accessTokens.addAccess(grantId, access, { ...options, attempt: newAttempt() });
      await expect(second).rejects.toMatchObject({ code: 'conflict' });
      const found = await engine.accessTokens.findAccess({ digest: access.digest, grantId }, { now: start });
      expect(plain('access' in found && found.access)).toEqual(plain(access));
      expect(await inlined(grant)).toBe(standing);
    },
  );

  it('are told apart by the whole of their digest', async () => {
    const { grant, access } = await issue({ ...engine, clock }, { access: { expiresAt: start + 600 } });
    const other = { digest: Buffer.concat([access.digest.subarray(0, 8), randomBytes(8)]) };
    expect(await accessOutcome(engine.accessTokens, keyOf(grant, other), start)).toBe('unknown');
  });

  it('leave no item behind when they had one of their own and the rotation was refused', async () => {
    const { grant, refreshKey } = await issue({ ...engine, clock });
    const access = newAccess(start, { expiresAt: start + DAY });
    const successor = newSuccessor(start, { access });
    const refused = await rotate(engine.accessTokens, grant, refreshKey, successor, {
      now: start,
      clientId: 'stranger',
    });
    expect(refused.outcome).toBe('mismatched');
    expect((await engine.accessTokens.listAccess(grant.grantId, { limit: 10 })).tokens).toHaveLength(1);
  });
});
