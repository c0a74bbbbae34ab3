import { randomBytes, randomUUID } from 'node:crypto';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { afterAll, describe, expect, it } from 'vitest';
import type { StoredGrant, Successor, TokenKey } from '../../functions/domain/ports.ts';
import { createEngine, createTable } from '../../functions/stores/dynamodb.ts';
import { createVirtualClock } from '../conformance/index.ts';
import {
  DAY,
  keyOf,
  newAccess,
  newAttempt,
  newCode,
  newGrant,
  newRefresh,
  newSuccessor,
  rotate,
} from '../conformance/records.ts';
import { emulated, findServer } from './dynamodb-server.ts';
import { measureUnits } from './dynamodb-units.ts';

// The table of docs/engines/dynamodb.md. A subject of 36 characters, a client of 24, 350 bytes of claims, 200 of sealed
// successor; 40 bytes in each access token, 32 where there are twenty of them.

const server = await findServer();
const settings = { ...emulated, endpoint: server ?? '', tableName: `units-${randomUUID()}`, accessTokenSeconds: 600 };
const clock = createVirtualClock(Date.now());
const engine = createEngine(settings, clock.nowMs);
const { accessTokens, authorizationCodes } = engine;
const units = measureUnits(DynamoDBClient.prototype);
if (server !== undefined) await createTable(settings);
afterAll(() => engine.close());

const now = clock.now();
const tokenOf = (bytes = 40, at = now) => newAccess(at, { data: randomBytes(bytes), expiresAt: at + 600 });
const successorOf = (bytes = 40, at = now) => ({
  ...newSuccessor(at),
  access: tokenOf(bytes, at),
  sealed: randomBytes(200),
  refresh: newRefresh(at, { expiresAt: at + 30 * DAY }),
  retainUntil: Math.ceil((at + 30 * DAY) / DAY) * DAY,
});
const grantOf = (fields: Partial<StoredGrant> = {}) =>
  newGrant(now, {
    subject: randomUUID(),
    clientId: randomBytes(12).toString('hex'),
    data: randomBytes(350),
    retainUntil: Math.ceil((now + 30 * DAY) / DAY) * DAY,
    ...fields,
  });

/** A grant that was stored, and how it goes on. */
async function issued(bytes = 40, fields: Partial<StoredGrant> = {}) {
  const grant = grantOf(fields);
  const first = successorOf(bytes);
  await accessTokens.persist({ grant, ...first }, { now, attempt: newAttempt() });
  let key: TokenKey = keyOf(grant, first.refresh);
  let access: TokenKey = keyOf(grant, first.access);
  const refresh = async (at = now, successor: Successor & ReturnType<typeof successorOf> = successorOf(bytes, at)) => {
    const { outcome } = await rotate(accessTokens, grant, key, successor, { now: at });
    expect(outcome).toBe('rotated');
    key = keyOf(grant, successor.refresh);
    access = keyOf(grant, successor.access);
  };
  return { grant, refresh, refreshKey: () => key, accessKey: () => access };
}

describe.skipIf(server === undefined)('capacity units', () => {
  it('of a code: one to store it, one to redeem it, whatever the outcome, one to look at it', async () => {
    const code = newCode(now, { data: randomBytes(350) });
    expect(await units(() => authorizationCodes.add(code, { now, attempt: newAttempt() }))).toEqual({
      write: 1,
      read: 0,
    });
    const redeem = () => authorizationCodes.redeem(code.digest, { binding: code.binding, now, attempt: newAttempt() });
    expect(await units(redeem)).toEqual({ write: 1, read: 0 });
    expect(await units(redeem)).toEqual({ write: 1, read: 0 });
    expect(await units(() => authorizationCodes.find(code.digest, { now }))).toEqual({ write: 0, read: 1 });
  });

  it('of a grant: one, and one for its pointer; the first of a subject at a client one more for the link', async () => {
    const grant = grantOf();
    const persist = (grant: StoredGrant, authorizedAtMs?: number) =>
      units(() =>
        accessTokens.persist(
          { grant, ...successorOf() },
          { now, attempt: newAttempt(), ...(authorizedAtMs !== undefined && { authorizedAtMs }) },
        ),
      );
    const { subject = '', clientId } = grant;
    const { subject: _, ...ofClient } = grantOf();
    const taken = [
      await persist(grant),
      await persist(grantOf({ subject, clientId })),
      await persist(grantOf({ subject, clientId }), clock.nowMs()),
      await persist(ofClient),
    ];
    expect(taken.map(({ write }) => write)).toEqual([3, 2, 2, 2]);
    // At most: DynamoDB Local reports nothing for what is not there, such as marks.
    for (const [index, most] of [1, 1, 4, 0].entries()) expect(taken[index]?.read).toBeLessThanOrEqual(most);
  });

  it('of a write that moves the end of its grant beyond that of its pointer: five', async () => {
    const { grant } = await issued();
    const retainUntil = grant.retainUntil + 60 * DAY;
    const add = () => accessTokens.addAccess(grant.grantId, tokenOf(), { now, attempt: newAttempt(), retainUntil });
    expect((await units(add)).write).toBe(5);
    expect((await units(add)).write).toBe(1);
  });

  it('of a rotation: one up to four live access tokens, two up to twenty; a lookup is one read throughout', async () => {
    const few = await issued();
    for (let live = 2; live <= 4; live += 1) {
      expect([live, await units(() => few.refresh())]).toEqual([live, { write: 1, read: 0 }]);
    }
    const many = await issued(32);
    for (let live = 2; live <= 20; live += 1) {
      const { write, read } = await units(() => many.refresh());
      expect([live, write <= 2, read]).toEqual([live, true, 0]);
    }
    expect(await units(() => accessTokens.findAccess(many.accessKey(), { now }))).toEqual({ write: 0, read: 1 });
  });

  it('of a rotation that is refused: those of the item, and for reuse those of ending the grant', async () => {
    const { grant, refresh, refreshKey } = await issued();
    const old = refreshKey();
    await refresh();
    const present = (at: number, key = old, clientId = grant.clientId) =>
      units(() => rotate(accessTokens, grant, key, successorOf(), { now: at, clientId }));
    expect(await present(now)).toEqual({ write: 1, read: 0 }); // retried
    expect(await present(now, old, 'stranger')).toEqual({ write: 1, read: 0 });
    expect(await present(now + 11)).toEqual({ write: 2, read: 0 }); // reused
    expect(await present(now + 11, refreshKey())).toEqual({ write: 1, read: 0 }); // revoked
  });

  it('of a rotation once in the life of an access token: one, for as long as the grant lives', async () => {
    const { refresh } = await issued();
    for (let at = now + 600; at < now + 20_000; at += 600) {
      expect([at - now, await units(() => refresh(at))]).toEqual([at - now, { write: 1, read: 0 }]);
    }
  });

  it('of a grant with two thousand live access tokens: at most three to rotate, two to look one up', async () => {
    const { grant, refresh, accessKey, refreshKey } = await issued();
    let most = 0;
    for (let live = 2; live <= 2000; live += 1) {
      const { write, read } = await units(() => refresh());
      expect(read).toBe(0);
      // The first one that has no room is refused for it.
      if (live !== 19) most = Math.max(most, write);
    }
    expect(most).toBe(3);
    expect(await units(() => accessTokens.findAccess(accessKey(), { now }))).toEqual({ write: 0, read: 2 });
    const end = () => accessTokens.revokeRefresh(refreshKey(), { now });
    expect(await units(end)).toEqual({ write: 2, read: 0 });
    expect((await accessTokens.findAccess(accessKey(), { now })).outcome).toBe('revoked');
    expect(grant.clientId).toBeDefined();
  });

  it('of a revocation: at most two, of a token, of a grant, of all access tokens of one', async () => {
    const { grant, accessKey } = await issued();
    const ends = [
      () => accessTokens.revokeAccess(accessKey(), { now }),
      () => accessTokens.revokeAccess(accessKey(), { now }),
      () => accessTokens.revokeAccessOfGrant(grant.grantId, { now }),
      () => accessTokens.revokeGrant(grant.grantId, { now, retainUntil: grant.retainUntil }),
    ];
    for (const end of ends) expect(await units(end)).toEqual({ write: 1, read: 0 });
    const { subject = '' } = (await issued()).grant;
    const bySubject = await units(() =>
      accessTokens.revokeBy({ subject }, { nowMs: clock.nowMs(), retainUntil: now + DAY }),
    );
    // The mark and the grant; a query for the pointers.
    expect(bySubject).toEqual({ write: 2, read: 1 });
  });
});
