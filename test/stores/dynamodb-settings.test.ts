import { randomBytes, randomUUID } from 'node:crypto';
import { DescribeTimeToLiveCommand, DynamoDBClient, ScanCommand } from '@aws-sdk/client-dynamodb';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { parseConfiguration } from '../../functions/config/configuration.ts';
import type { StoredAccessToken } from '../../functions/domain/ports.ts';
import { selectorKey } from '../../functions/domain/selector.ts';
import { openStores } from '../../functions/open-stores.ts';
import { createEngine, createTable } from '../../functions/stores/dynamodb.ts';
import { createVirtualClock } from '../conformance/index.ts';
import { DAY, HOUR, issue, many, newAccess, newAttempt, newSuccessor, rotate } from '../conformance/records.ts';
import { emulated, findServer } from './dynamodb-server.ts';

const server = await findServer();
const place = { ...emulated, endpoint: server ?? '' };
const settings = { ...place, tableName: `settings-${randomUUID()}` };
const { tableName: TableName } = settings;
const clock = createVirtualClock(Date.now());
const engine = createEngine(settings, clock.nowMs);
const client = new DynamoDBClient(place);
if (server !== undefined) await createTable(settings);
afterAll(async () => {
  await engine.close();
  client.destroy();
});

/** Every item, with the letter that says what it is. */
async function itemsOf(letter: string) {
  const { Items = [] } = await client.send(new ScanCommand({ TableName, ConsistentRead: true }));
  return Items.filter(({ p }) => p?.B?.[0] === letter.charCodeAt(0));
}

describe.skipIf(server === undefined)('the table’s own expiry', () => {
  it('is switched on by the attribute l when the table is made', async () => {
    const { TimeToLiveDescription } = await client.send(new DescribeTimeToLiveCommand({ TableName }));
    expect(TimeToLiveDescription).toMatchObject({ AttributeName: 'l', TimeToLiveStatus: 'ENABLED' });
  });

  it('leaves nothing for a purge to do: what is due stays, is reported by nobody, and is not good', async () => {
    const now = clock.now();
    const { accessKey, grant } = await issue({ ...engine, clock }, { grant: { retainUntil: now + 2 * HOUR } });
    expect(await engine.accessTokens.purgeExpired({ now: now + DAY, limit: 10 })).toMatchObject({
      removed: {},
      more: false,
    });
    const found = await engine.accessTokens.findAccess(accessKey, { now: now + DAY });
    expect(found).toMatchObject({ outcome: 'expired', grant: { clientId: grant.clientId } });
  });
});

describe.skipIf(server === undefined)('more access tokens than the item of a grant takes', () => {
  it('become items of their own, and are found, listed, revoked and ended with their grant as the others are', async () => {
    const now = clock.now();
    const { accessTokens } = engine;
    const { grant, access } = await issue({ ...engine, clock });
    const { grantId, retainUntil } = grant;
    const tokens = [access, ...many(23, () => newAccess(now))];
    for (const token of tokens.slice(1)) {
      await accessTokens.addAccess(grantId, token, { now, attempt: newAttempt(), retainUntil });
    }
    expect(await itemsOf('x')).toHaveLength(4);
    const outcomes = (at: number) =>
      Promise.all(
        tokens.map(async ({ digest }) => (await accessTokens.findAccess({ digest, grantId }, { now: at })).outcome),
      );
    expect(new Set(await outcomes(now))).toEqual(new Set(['active']));
    const last = { digest: tokens.at(-1)?.digest ?? randomBytes(16), grantId };
    expect(await accessTokens.revokeAccess(last, { now, clientId: 'stranger' })).toBe(false);
    expect(await accessTokens.revokeAccess(last, { now })).toBe(true);
    expect(await accessTokens.revokeAccess(last, { now })).toBe(false);
    expect((await outcomes(now)).at(-1)).toBe('revoked');
    await accessTokens.revokeAccessOfGrant(grantId, { now });
    expect(new Set(await outcomes(now))).toEqual(new Set(['revoked']));
    // In the item of the grant, and in one of its own.
    for (const { digest } of [access, tokens.at(-2) ?? access]) {
      expect(await accessTokens.revokeAccess({ digest, grantId }, { now: now + 1 })).toBe(false);
    }
    const listed = (await accessTokens.listAccess(grantId, { limit: 100 })).tokens;
    expect(listed).toHaveLength(24);
    expect(new Set(listed.map(({ revokedAt }) => revokedAt))).toEqual(new Set([now]));
  });

  it('make room again when they have expired, however long the grant rested', async () => {
    const now = clock.now();
    const before = (await itemsOf('x')).length;
    for (const rest of [500, HOUR, 2 * HOUR, 3 * HOUR, 4 * HOUR, 5 * HOUR]) {
      const { grant, refreshKey } = await issue({ ...engine, clock }, { access: { expiresAt: now + 10 } });
      const { grantId, retainUntil } = grant;
      const add = (token: StoredAccessToken, at: number) =>
        engine.accessTokens.addAccess(grantId, token, { now: at, attempt: newAttempt(), retainUntil });
      for (const token of many(19, () => newAccess(now, { expiresAt: now + 10 }))) await add(token, now);
      const later = now + rest;
      const further = newAccess(later);
      const successor = newSuccessor(later);
      await add(further, later);
      await rotate(engine.accessTokens, grant, refreshKey, successor, { now: later });
      for (const { digest } of [further, successor.access]) {
        const found = await engine.accessTokens.findAccess({ digest, grantId }, { now: later });
        expect(found.outcome).toBe('active');
      }
    }
    expect(await itemsOf('x')).toHaveLength(before);
  });
});

describe.skipIf(server === undefined)('the pointers to a grant', () => {
  it('are kept for longer than the grant, however far its end moves', async () => {
    const now = clock.now();
    const { grant, refreshKey } = await issue({ ...engine, clock }, { grant: { retainUntil: now + DAY } });
    const { grantId, subject = '' } = grant;
    const anchor = selectorKey({ subject });
    const pointers = async () => [
      ...(await itemsOf('s')).filter(({ p }) => anchor.equals(p?.B?.subarray(1) ?? grantId)),
      ...(await itemsOf('i')).filter(({ k }) => anchor.equals(k?.B ?? grantId)),
    ];
    for (const days of [20, 60, 200]) {
      const retainUntil = now + days * DAY;
      await engine.accessTokens.addAccess(grantId, newAccess(now), { now, attempt: newAttempt(), retainUntil });
      expect(await pointers()).toHaveLength(2);
      for (const { l } of await pointers()) expect(Number(l?.N)).toBeGreaterThanOrEqual(retainUntil);
    }
    const retainUntil = now + 300 * DAY;
    await rotate(engine.accessTokens, grant, refreshKey, newSuccessor(now, { retainUntil }), { now });
    for (const { l } of await pointers()) expect(Number(l?.N)).toBeGreaterThanOrEqual(retainUntil);
    const second = engine.accessTokens.persist({ grant }, { now, attempt: newAttempt() });
    await expect(second).rejects.toMatchObject({ code: 'conflict' });
    for (const { l } of await pointers()) expect(Number(l?.N)).toBeGreaterThanOrEqual(retainUntil);
    expect(await engine.accessTokens.revokeBy({ subject }, { nowMs: clock.nowMs(), retainUntil: now + DAY })).toBe(1);
  });
});

describe.skipIf(server === undefined)('a configuration with a table in it', () => {
  const openOn = (cache: object) => {
    const { configuration } = parseConfiguration({
      authorizationCodeStores: { codes: { cache: 'table' } },
      caches: { table: { engine: 'dynamodb', region: 'local', endpoint: place.endpoint, ...cache } },
    });
    return openStores(configuration, {});
  };

  it('opens its stores on that table', async () => {
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'local');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'local');
    const stores = await openOn({ tableName: TableName });
    const found = await stores.authorizationCodeStore().find(randomBytes(32), { now: clock.now() });
    expect(found).toEqual({ outcome: 'unknown' });
    await stores.close();
    vi.unstubAllEnvs();
  });

  it('is refused without the name of the table', async () => {
    await expect(openOn({})).rejects.toThrow('caches["table"].tableName is missing');
  });
});

describe.skipIf(server === undefined)('failures', () => {
  it('name what DynamoDB named, as codes of the stores', async () => {
    const elsewhere = createEngine({ ...settings, tableName: 'no-such-table' }, clock.nowMs);
    const digest = randomBytes(32);
    await expect(elsewhere.authorizationCodes.find(digest, { now: 0 })).rejects.toMatchObject({ code: 'unsupported' });
    await elsewhere.close();
    const { grant } = await issue({ ...engine, clock });
    const tooLarge = engine.clientAccessTokens.put({
      clientId: grant.clientId,
      key: 'key',
      expiresAt: clock.now() + HOUR,
      data: randomBytes(500_000),
    });
    await expect(tooLarge).rejects.toMatchObject({ code: 'invalid', retryable: false });
  });
});
