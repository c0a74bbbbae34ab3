import assert from 'node:assert/strict';
import type { Case } from './harness.ts';
import {
  accessOutcome,
  atOnce,
  DAY,
  errorCode,
  HOUR,
  issue,
  keyOf,
  many,
  newAccess,
  newAttempt,
  newGrant,
  newRefresh,
  newSuccessor,
  refreshOutcome,
  rotate,
  rounds,
  same,
  tally,
} from './records.ts';

export const cases: Case[] = [
  {
    guarantee: 'G11',
    name: 'a second grant of an id is refused as conflict, unless it is the same attempt, and nothing of it is stored',
    async run({ accessTokens, clock }) {
      const now = clock.now();
      const grant = newGrant(now);
      const access = newAccess(now);
      const refresh = newRefresh(now);
      const attempt = newAttempt();
      const write = { grant, access, refresh };
      assert.equal(await accessTokens.persist(write, { now, attempt }), 'persisted');
      assert.equal(await accessTokens.persist(write, { now, attempt }), 'persisted');
      const second = {
        grant: newGrant(now, { grantId: grant.grantId }),
        access: newAccess(now),
        refresh: newRefresh(now),
      };
      assert.equal(await errorCode(accessTokens.persist(second, { now, attempt: newAttempt() })), 'conflict');
      assert.equal(await accessOutcome(accessTokens, keyOf(grant, second.access), now), 'unknown');
      assert.equal(await refreshOutcome(accessTokens, keyOf(grant, second.refresh), now), 'retired');
      same(await accessTokens.listGrants({ clientId: second.grant.clientId }, { limit: 2 }), { grants: [] });
      same(await accessTokens.findAccess(keyOf(grant, access), { now }), { outcome: 'active', access, grant });
      same(await accessTokens.findRefresh(keyOf(grant, refresh), { now }), {
        outcome: 'active',
        refresh,
        issuedAt: grant.createdAt,
        grant,
      });
      same(await accessTokens.listAccess(grant.grantId, { limit: 10 }), { tokens: [access] });
    },
  },
  {
    guarantee: 'G11',
    name: 'of twenty concurrent grants with one id exactly one is stored, and its tokens alone',
    async run(stage) {
      const now = stage.clock.now();
      for (let round = rounds(stage, 20); round > 0; round -= 1) {
        const { grantId } = newGrant(now);
        const writes = many(20, () => ({
          grant: newGrant(now, { grantId }),
          access: newAccess(now),
          refresh: newRefresh(now),
        }));
        const outcomes = await atOnce(stage, writes, async ({ accessTokens }, write) => {
          const error = await errorCode(accessTokens.persist(write, { now, attempt: newAttempt() }));
          const { access, grant } = write;
          const found = await accessTokens.findAccess(keyOf(grant, access), { now });
          same(found, error === 'none' ? { outcome: 'active', access, grant } : { outcome: 'unknown' });
          return error;
        });
        assert.deepEqual(tally(outcomes), { none: 1, conflict: 19 });
        assert.equal((await stage.accessTokens.listAccess(grantId, { limit: 100 })).tokens.length, 1);
      }
    },
  },
  {
    guarantee: 'G11',
    name: 'a foreign digest that is stored already is refused as conflict, and nothing of the write is stored',
    async run(stage) {
      const { accessTokens } = stage;
      const now = stage.clock.now();
      const foreign = true;
      const { grant, access, refresh } = await issue(stage, { refresh: { foreign }, access: { foreign } });
      for (const taken of [{ refresh }, { access }]) {
        const coming = newGrant(now);
        const write = { grant: coming, access: newAccess(now), refresh: newRefresh(now), ...taken };
        assert.equal(await errorCode(accessTokens.persist(write, { now, attempt: newAttempt() })), 'conflict');
        same(await accessTokens.listGrants({ clientId: coming.clientId }, { limit: 2 }), { grants: [] });
        same(await accessTokens.listAccess(coming.grantId, { limit: 2 }), { tokens: [] });
      }
      const other = await issue(stage);
      const options = { now, attempt: newAttempt(), retainUntil: now + DAY };
      const again = { ...newAccess(now), digest: access.digest, foreign };
      assert.equal(await errorCode(accessTokens.addAccess(other.grant.grantId, again, options)), 'conflict');
      same(await accessTokens.listAccess(other.grant.grantId, { limit: 10 }), { tokens: [other.access] });
      same(await accessTokens.findAccess({ digest: access.digest }, { now }), { outcome: 'active', access, grant });
      same(await accessTokens.findRefresh({ digest: refresh.digest }, { now }), {
        outcome: 'active',
        refresh,
        issuedAt: grant.createdAt,
        grant,
      });
    },
  },
  {
    guarantee: 'G11',
    name: 'foreign tokens that are sent again by the same attempt are stored once, without a conflict',
    async run({ accessTokens, clock }) {
      const now = clock.now();
      const foreign = true;
      const grant = newGrant(now);
      const write = { grant, access: newAccess(now, { foreign }), refresh: newRefresh(now, { foreign }) };
      const attempt = newAttempt();
      for (const _ of ['first', 'repeat']) {
        assert.equal(await accessTokens.persist(write, { now, attempt }), 'persisted');
      }
      same(await accessTokens.findAccess({ digest: write.access.digest }, { now }), {
        outcome: 'active',
        grant,
        access: write.access,
      });
    },
  },
  {
    guarantee: 'G11',
    name: 'a further access token with a digest that the grant has is refused as conflict, unless it is the same attempt',
    async run(stage) {
      const { accessTokens } = stage;
      const now = stage.clock.now();
      for (const fields of [{}, { foreign: true }]) {
        const { grant } = await issue(stage);
        const { grantId, retainUntil } = grant;
        const access = newAccess(now, fields);
        const attempt = newAttempt();
        const add = (token: typeof access, attempt: Uint8Array) =>
          accessTokens.addAccess(grantId, token, { now, attempt, retainUntil });
        assert.equal(await add(access, attempt), 'added');
        assert.equal(await add(access, attempt), 'added');
        const second = newAccess(now, { ...fields, digest: access.digest, expiresAt: now + 2 * HOUR });
        assert.equal(await errorCode(add(second, newAttempt())), 'conflict');
        same(await accessTokens.findAccess(keyOf(grant, access), { now }), { outcome: 'active', access, grant });
        assert.equal((await accessTokens.listAccess(grantId, { limit: 10 })).tokens.length, 2);
      }
    },
  },
  {
    guarantee: 'G11',
    name: 'a refresh token for a grant that has another one is refused as conflict; the same attempt is not',
    async run({ accessTokens, clock }) {
      const now = clock.now();
      const grant = newGrant(now);
      const { grantId, retainUntil } = grant;
      const refresh = newRefresh(now);
      const attempt = newAttempt();
      const add = (token: typeof refresh, attempt: Uint8Array) =>
        accessTokens.addRefresh(grantId, token, { now, attempt, retainUntil });
      await accessTokens.persist({ grant }, { now, attempt: newAttempt() });
      assert.equal(await add(refresh, attempt), 'added');
      assert.equal(await add(refresh, attempt), 'added');
      assert.equal(await errorCode(add(newRefresh(now), newAttempt())), 'conflict');
      same(await accessTokens.findRefresh(keyOf(grant, refresh), { now }), {
        outcome: 'active',
        refresh,
        issuedAt: grant.createdAt,
        grant,
      });
    },
  },
  {
    guarantee: 'G11',
    name: 'of twenty concurrent refresh tokens for one grant exactly one is added',
    async run(stage) {
      const now = stage.clock.now();
      for (let round = rounds(stage, 10); round > 0; round -= 1) {
        const grant = newGrant(now);
        const { grantId, retainUntil } = grant;
        await stage.accessTokens.persist({ grant }, { now, attempt: newAttempt() });
        const tokens = many(20, () => newRefresh(now));
        const outcomes = await atOnce(stage, tokens, ({ accessTokens }, token) =>
          errorCode(accessTokens.addRefresh(grantId, token, { now, attempt: newAttempt(), retainUntil })),
        );
        assert.deepEqual(tally(outcomes), { none: 1, conflict: 19 });
        const won = tokens[outcomes.indexOf('none')] ?? newRefresh(now);
        assert.equal(await refreshOutcome(stage.accessTokens, keyOf(grant, won), now), 'active');
      }
    },
  },
  {
    guarantee: 'G9',
    name: 'a late repeat of persist never rewinds a later state',
    async run({ accessTokens, clock }) {
      const now = clock.now();
      const store = async () => {
        const grant = newGrant(now);
        const write = { grant, access: newAccess(now), refresh: newRefresh(now) };
        const options = { now, attempt: newAttempt(), authorizedAtMs: clock.nowMs() };
        assert.equal(await accessTokens.persist(write, options), 'persisted');
        // Whoever sent it has had his answer long ago: what matters is what it leaves behind.
        const repeat = async () => {
          const error = await errorCode(accessTokens.persist(write, options));
          assert.ok(error === 'none' || error === 'conflict', error);
        };
        return { ...write, repeat, accessKey: keyOf(grant, write.access), refreshKey: keyOf(grant, write.refresh) };
      };

      const rotated = await store();
      const successor = newSuccessor(now);
      const current = keyOf(rotated.grant, successor.refresh);
      await rotate(accessTokens, rotated.grant, rotated.refreshKey, successor, { now });
      await rotated.repeat();
      assert.equal(await refreshOutcome(accessTokens, current, now), 'active');
      assert.equal(await refreshOutcome(accessTokens, rotated.refreshKey, now), 'retired');
      const retried = await rotate(accessTokens, rotated.grant, rotated.refreshKey, newSuccessor(now), { now });
      assert.equal(retried.outcome, 'retried');
      const next = await rotate(accessTokens, rotated.grant, current, newSuccessor(now), { now });
      assert.equal(next.outcome, 'rotated');

      const emptied = await store();
      await rotate(accessTokens, emptied.grant, emptied.refreshKey, newSuccessor(now, { refresh: 'none' }), { now });
      await emptied.repeat();
      assert.equal(await refreshOutcome(accessTokens, emptied.refreshKey, now), 'retired');

      const revoked = await store();
      await accessTokens.revokeGrant(revoked.grant.grantId, { now, retainUntil: revoked.grant.retainUntil });
      await revoked.repeat();
      assert.equal(await accessOutcome(accessTokens, revoked.accessKey, now), 'revoked');
      assert.equal(await refreshOutcome(accessTokens, revoked.refreshKey, now), 'revoked');

      const subject = await store();
      const { subject: name = '' } = subject.grant;
      await accessTokens.revokeBy({ subject: name }, { nowMs: clock.nowMs(), retainUntil: now + DAY });
      await subject.repeat();
      assert.equal(await accessOutcome(accessTokens, subject.accessKey, now), 'revoked');

      const ended = await store();
      await accessTokens.revokeAccess(ended.accessKey, { now });
      await ended.repeat();
      assert.equal(await accessOutcome(accessTokens, ended.accessKey, now), 'revoked');
      await accessTokens.revokeAccessOfGrant(ended.grant.grantId, { now });
      await ended.repeat();
      assert.equal(await accessOutcome(accessTokens, ended.accessKey, now), 'revoked');
    },
  },
  {
    guarantee: 'G9',
    name: 'a late repeat of addAccess or addRefresh brings nothing back that was ended or replaced',
    async run({ accessTokens, clock }) {
      const now = clock.now();
      const grant = newGrant(now);
      const { grantId, retainUntil } = grant;
      const access = newAccess(now);
      const refresh = newRefresh(now);
      const [accessAttempt, refreshAttempt] = [newAttempt(), newAttempt()];
      const addAccess = () => accessTokens.addAccess(grantId, access, { now, attempt: accessAttempt, retainUntil });
      const addRefresh = () => accessTokens.addRefresh(grantId, refresh, { now, attempt: refreshAttempt, retainUntil });
      await accessTokens.persist({ grant }, { now, attempt: newAttempt() });
      assert.equal(await addAccess(), 'added');
      assert.equal(await addRefresh(), 'added');
      await accessTokens.revokeAccess(keyOf(grant, access), { now });
      await rotate(accessTokens, grant, keyOf(grant, refresh), newSuccessor(now), { now });
      for (const repeat of [addAccess, addRefresh]) {
        const error = await errorCode(repeat());
        assert.ok(error === 'none' || error === 'conflict', error);
      }
      assert.equal(await accessOutcome(accessTokens, keyOf(grant, access), now), 'revoked');
      assert.equal(await refreshOutcome(accessTokens, keyOf(grant, refresh), now), 'retired');
    },
  },
];
