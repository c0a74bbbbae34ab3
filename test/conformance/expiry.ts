import assert from 'node:assert/strict';
import type { Case } from './harness.ts';
import {
  accessOutcome,
  DAY,
  HOUR,
  issue,
  keyOf,
  newAccess,
  newArtifact,
  newAttempt,
  newClientToken,
  newRefresh,
  newSuccessor,
  refreshOutcome,
  rotate,
  same,
} from './records.ts';

export const cases: Case[] = [
  {
    guarantee: 'G7',
    name: 'an access token is active until the second before expiresAt and expired from expiresAt on',
    async run(stage) {
      const { accessTokens } = stage;
      const now = stage.clock.now();
      const { grant, access, accessKey } = await issue(stage);
      const { expiresAt } = access;
      same(await accessTokens.findAccess(accessKey, { now: expiresAt - 1 }), { outcome: 'active', access, grant });
      for (const at of [expiresAt, expiresAt + 1]) {
        same(await accessTokens.findAccess(accessKey, { now: at }), { outcome: 'expired', access, grant });
      }
      assert.equal(await accessOutcome(accessTokens, accessKey, now), 'active');
    },
  },
  {
    guarantee: 'G7',
    name: 'a refresh token is active until the second before expiresAt and expired from expiresAt on, when found and when rotated',
    async run(stage) {
      const { accessTokens } = stage;
      const { grant, refresh, refreshKey } = await issue(stage);
      const { expiresAt } = refresh;
      for (const at of [expiresAt, expiresAt + 1]) {
        same(await accessTokens.findRefresh(refreshKey, { now: at }), {
          outcome: 'expired',
          refresh,
          issuedAt: grant.createdAt,
          grant,
        });
        const successor = newSuccessor(at);
        same(await rotate(accessTokens, grant, refreshKey, successor, { now: at }), { outcome: 'expired' });
        assert.equal(await accessOutcome(accessTokens, keyOf(grant, successor.access), at), 'unknown');
      }
      same(await accessTokens.findRefresh(refreshKey, { now: expiresAt - 1 }), {
        outcome: 'active',
        refresh,
        issuedAt: grant.createdAt,
        grant,
      });
      const rotated = await rotate(accessTokens, grant, refreshKey, newSuccessor(expiresAt - 1), {
        now: expiresAt - 1,
      });
      assert.equal(rotated.outcome, 'rotated');
    },
  },
  {
    guarantee: 'G7',
    name: 'a refresh token that was not used until idleExpiresAt is expired, however long it might have lived',
    async run(stage) {
      const { accessTokens } = stage;
      const now = stage.clock.now();
      const idleExpiresAt = now + HOUR;
      for (const refreshed of [newRefresh(now), 'none', { kept: true, idleExpiresAt: now + 3 * HOUR }] as const) {
        const { grant, refresh, refreshKey } = await issue(stage, { refresh: { idleExpiresAt } });
        const successor = newSuccessor(now, { refresh: refreshed });
        for (const at of [idleExpiresAt, idleExpiresAt + 1]) {
          same(await accessTokens.findRefresh(refreshKey, { now: at }), {
            outcome: 'expired',
            refresh,
            issuedAt: grant.createdAt,
            grant,
          });
          same(await rotate(accessTokens, grant, refreshKey, successor, { now: at }), { outcome: 'expired' });
        }
        assert.equal(await refreshOutcome(accessTokens, refreshKey, idleExpiresAt - 1), 'active');
        const rotated = await rotate(accessTokens, grant, refreshKey, successor, { now: idleExpiresAt - 1 });
        assert.equal(rotated.outcome, 'rotated');
      }
    },
  },
  {
    guarantee: 'G7',
    name: 'the successor lives by its own expiry and idle expiry, not by those of the token before it',
    async run(stage) {
      const { accessTokens } = stage;
      const now = stage.clock.now();
      const { grant, refreshKey } = await issue(stage, {
        refresh: { expiresAt: now + 20, idleExpiresAt: now + 10 },
      });
      const first = newSuccessor(now, { refresh: newRefresh(now, { expiresAt: now + 60, idleExpiresAt: now + 30 }) });
      const second = newSuccessor(now, { refresh: newRefresh(now, { expiresAt: now + 90 }) });
      const states = async (key: typeof refreshKey, ...times: number[]) =>
        Promise.all(times.map((at) => refreshOutcome(accessTokens, key, now + at)));
      await rotate(accessTokens, grant, refreshKey, first, { now: now + 5 });
      const firstKey = keyOf(grant, first.refresh);
      const secondKey = keyOf(grant, second.refresh);
      assert.deepEqual(await states(firstKey, 10, 20, 29, 30, 60), [
        'active',
        'active',
        'active',
        'expired',
        'expired',
      ]);
      await rotate(accessTokens, grant, firstKey, second, { now: now + 25 });
      assert.deepEqual(await states(secondKey, 30, 60, 89, 90), ['active', 'active', 'active', 'expired']);
    },
  },
  {
    guarantee: 'G7',
    name: 'keeping a refresh token moves its idle expiry only, not its end',
    async run(stage) {
      const { accessTokens } = stage;
      const now = stage.clock.now();
      const { grant, refresh, refreshKey } = await issue(stage, {
        refresh: { expiresAt: now + 50, idleExpiresAt: now + 10 },
      });
      const keep = (at: number, idleExpiresAt: number) =>
        rotate(accessTokens, grant, refreshKey, newSuccessor(now, { refresh: { kept: true, idleExpiresAt } }), {
          now: now + at,
        });
      assert.equal((await keep(9, now + 40)).outcome, 'rotated');
      assert.equal((await keep(39, now + 400)).outcome, 'rotated');
      same(await accessTokens.findRefresh(refreshKey, { now: now + 49 }), {
        outcome: 'active',
        grant,
        refresh: { ...refresh, idleExpiresAt: now + 400 },
        issuedAt: grant.createdAt,
      });
      assert.equal(await refreshOutcome(accessTokens, refreshKey, now + 50), 'expired');
      same(await keep(50, now + 500), { outcome: 'expired' });
    },
  },
  {
    guarantee: 'G7',
    name: 'the absolute end of a grant ends all of its tokens, however long they might have lived',
    async run(stage) {
      const { accessTokens } = stage;
      const now = stage.clock.now();
      const end = now + 100;
      const { grant, access, refresh, accessKey, refreshKey } = await issue(stage, { grant: { expiresAt: end } });
      for (const at of [end, end + 1]) {
        same(await accessTokens.findAccess(accessKey, { now: at }), { outcome: 'expired', access, grant });
        same(await accessTokens.findRefresh(refreshKey, { now: at }), {
          outcome: 'expired',
          refresh,
          issuedAt: grant.createdAt,
          grant,
        });
        for (const choice of [newRefresh(now), 'none', { kept: true }] as const) {
          const successor = newSuccessor(now, { refresh: choice });
          same(await rotate(accessTokens, grant, refreshKey, successor, { now: at }), { outcome: 'expired' });
        }
        const options = () => ({ now: at, attempt: newAttempt(), retainUntil: grant.retainUntil });
        assert.equal(await accessTokens.addAccess(grant.grantId, newAccess(now), options()), 'expired');
      }
      assert.equal(await accessOutcome(accessTokens, accessKey, end - 1), 'active');
      assert.equal(await refreshOutcome(accessTokens, refreshKey, end - 1), 'active');
      const successor = newSuccessor(end - 1);
      const rotated = await rotate(accessTokens, grant, refreshKey, successor, { now: end - 1 });
      assert.equal(rotated.outcome, 'rotated');
      assert.equal(await accessOutcome(accessTokens, keyOf(grant, successor.access), end - 1), 'active');
      assert.equal(await accessOutcome(accessTokens, keyOf(grant, successor.access), end), 'expired');
      assert.equal(await refreshOutcome(accessTokens, keyOf(grant, successor.refresh), end), 'expired');
      const retried = await rotate(accessTokens, grant, refreshKey, newSuccessor(end), { now: end });
      same(retried, { outcome: 'expired' }, 'a retry in the grace is none after the end');
    },
  },
  {
    guarantee: 'G7',
    name: 'an artifact is active until the second before expiresAt and expired from expiresAt on, by each of its ways in',
    async run({ artifacts, clock }) {
      const now = clock.now();
      const uid = newAttempt();
      const userCode = newAttempt();
      const artifact = newArtifact(now, { uid, userCode });
      const { kind, id, expiresAt = now } = artifact;
      const outcomes = async (at: number) => [
        (await artifacts.find(kind, id, { now: at })).outcome,
        (await artifacts.findByUid(kind, uid, { now: at })).outcome,
        (await artifacts.findByUserCode(kind, userCode, { now: at })).outcome,
      ];
      await artifacts.put(artifact, { now });
      assert.deepEqual(await outcomes(expiresAt - 1), ['active', 'active', 'active']);
      assert.deepEqual(await outcomes(expiresAt), ['expired', 'expired', 'expired']);
      assert.deepEqual(await outcomes(expiresAt + 1), ['expired', 'expired', 'expired']);
    },
  },
  {
    guarantee: 'G7',
    name: 'an artifact without an expiry is kept',
    async run({ artifacts, clock }) {
      const now = clock.now();
      const { kind, id, data } = newArtifact(now);
      const artifact = { kind, id, data };
      await artifacts.put(artifact, { now });
      await artifacts.purgeExpired({ now: now + 900 * DAY, limit: 100_000 });
      same(await artifacts.find(kind, id, { now: now + 900 * DAY }), { outcome: 'active', artifact });
      assert.equal(await artifacts.remove(kind, id), true);
    },
  },
  {
    guarantee: 'G7',
    name: 'a client access token is given until the second before expiresAt and absent from expiresAt on',
    async run({ clientAccessTokens, clock }) {
      const now = clock.now();
      const token = newClientToken(now);
      const { clientId, key, expiresAt } = token;
      await clientAccessTokens.put(token);
      same(await clientAccessTokens.get(clientId, key, { now: expiresAt - 1 }), token);
      assert.equal(await clientAccessTokens.get(clientId, key, { now: expiresAt }), undefined);
      assert.equal(await clientAccessTokens.get(clientId, key, { now: expiresAt + 1 }), undefined);
    },
  },
];
