import assert from 'node:assert/strict';
import type { Case } from './harness.ts';
import {
  atOnce,
  errorCode,
  many,
  newAccess,
  newAttempt,
  newCode,
  newDigest,
  newGrant,
  rounds,
  same,
  tally,
} from './records.ts';

const concurrentRedeemers = (callers: number, times: number): Case => ({
  guarantee: 'G3',
  name: `of ${callers} concurrent redeemers of one code exactly one gets redeemed, the others replayed`,
  async run(stage) {
    const now = stage.clock.now();
    for (let round = rounds(stage, times); round > 0; round -= 1) {
      const code = newCode(now);
      const { binding } = code;
      await stage.authorizationCodes.add(code, { now, attempt: newAttempt() });
      const outcomes = await atOnce(stage, many(callers, newAttempt), ({ authorizationCodes }, attempt) =>
        authorizationCodes.redeem(code.digest, { binding, now, attempt }),
      );
      assert.deepEqual(tally(outcomes), { redeemed: 1, replayed: callers - 1 });
      for (const outcome of outcomes) {
        if (outcome.outcome === 'redeemed') same(outcome.code, code);
        if (outcome.outcome === 'replayed') same(outcome.grantId, code.grantId);
      }
    }
  },
});

export const cases: Case[] = [
  {
    guarantee: 'G3',
    name: 'a code is redeemed once; whoever comes later gets replayed with the grant',
    async run({ authorizationCodes, clock }) {
      const now = clock.now();
      const code = newCode(now);
      const { binding } = code;
      const redeem = (at: number) =>
        authorizationCodes.redeem(code.digest, { binding, now: at, attempt: newAttempt() });
      await authorizationCodes.add(code, { now, attempt: newAttempt() });
      same(await redeem(now), { outcome: 'redeemed', code });
      same(await redeem(now), { outcome: 'replayed', grantId: code.grantId });
      same(await redeem(now + 1), { outcome: 'replayed', grantId: code.grantId });
    },
  },
  concurrentRedeemers(20, 50),
  concurrentRedeemers(100, 20),
  {
    guarantee: 'G3',
    name: 'a binding that differs gets mismatched, before all else, and consumes nothing',
    async run({ authorizationCodes, clock }) {
      const now = clock.now();
      const code = newCode(now);
      const { binding } = code;
      const wrong = newDigest();
      const winner = newAttempt();
      const redeem = (binding: Uint8Array, at: number, attempt = newAttempt()) =>
        authorizationCodes.redeem(code.digest, { binding, now: at, attempt });
      await authorizationCodes.add(code, { now, attempt: newAttempt() });
      same(await redeem(wrong, now), { outcome: 'mismatched' });
      same(await redeem(wrong, code.expiresAt + 1), { outcome: 'mismatched' });
      same(await authorizationCodes.find(code.digest, { now }), { outcome: 'active', code });
      same(await redeem(binding, now, winner), { outcome: 'redeemed', code });
      same(await redeem(wrong, now, winner), { outcome: 'mismatched' });
      same(await redeem(wrong, now), { outcome: 'mismatched' });
      same(await redeem(binding, now), { outcome: 'replayed', grantId: code.grantId });
    },
  },
  {
    guarantee: 'G3',
    name: 'strangers with another binding, in whatever number, do not keep the owner from redeeming',
    async run(stage) {
      const now = stage.clock.now();
      for (let round = rounds(stage, 20); round > 0; round -= 1) {
        const code = newCode(now);
        await stage.authorizationCodes.add(code, { now, attempt: newAttempt() });
        const bindings = many(20, (caller) => (caller < 15 ? newDigest() : code.binding));
        const outcomes = await atOnce(stage, bindings, ({ authorizationCodes }, binding) =>
          authorizationCodes.redeem(code.digest, { binding, now, attempt: newAttempt() }),
        );
        assert.deepEqual(tally(outcomes), { redeemed: 1, replayed: 4, mismatched: 15 });
      }
    },
  },
  {
    guarantee: 'G9',
    name: 'a repeat of the attempt that redeemed gets redeemed again, also after others and past the expiry',
    async run({ authorizationCodes, clock }) {
      const now = clock.now();
      const code = newCode(now);
      const { binding } = code;
      const winner = newAttempt();
      const redeem = (attempt: Uint8Array, at = now) =>
        authorizationCodes.redeem(code.digest, { binding, now: at, attempt });
      await authorizationCodes.add(code, { now, attempt: newAttempt() });
      same(await redeem(winner), { outcome: 'redeemed', code });
      same(await redeem(winner), { outcome: 'redeemed', code });
      same(await redeem(newAttempt()), { outcome: 'replayed', grantId: code.grantId });
      same(await redeem(winner), { outcome: 'redeemed', code });
      same(await redeem(winner, code.expiresAt + 1), { outcome: 'redeemed', code });
    },
  },
  {
    guarantee: 'G9',
    name: 'of ten attempts that are each sent twice at once, both copies of one get redeemed',
    async run(stage) {
      const now = stage.clock.now();
      for (let round = rounds(stage, 20); round > 0; round -= 1) {
        const code = newCode(now);
        const { binding } = code;
        const attempts = many(10, newAttempt);
        await stage.authorizationCodes.add(code, { now, attempt: newAttempt() });
        const redeemed = new Set<Uint8Array>();
        const outcomes = await atOnce(stage, [...attempts, ...attempts], async ({ authorizationCodes }, attempt) => {
          const outcome = await authorizationCodes.redeem(code.digest, { binding, now, attempt });
          if (outcome.outcome === 'redeemed') redeemed.add(attempt);
          return outcome;
        });
        assert.deepEqual(tally(outcomes), { redeemed: 2, replayed: 18 });
        assert.equal(redeemed.size, 1);
      }
    },
  },
  {
    guarantee: 'G4',
    name: 'a replay is known for one until retainUntil, long after the code has expired',
    async run({ authorizationCodes, clock }) {
      const now = clock.now();
      const code = newCode(now);
      const { binding, digest } = code;
      await authorizationCodes.add(code, { now, attempt: newAttempt() });
      await authorizationCodes.redeem(digest, { binding, now, attempt: newAttempt() });
      for (const at of [code.expiresAt, code.expiresAt + 1, code.retainUntil - 1]) {
        const outcome = await authorizationCodes.redeem(digest, { binding, now: at, attempt: newAttempt() });
        same(outcome, { outcome: 'replayed', grantId: code.grantId });
        same(await authorizationCodes.find(digest, { now: at }), { outcome: 'redeemed', code, redeemedAt: now });
      }
    },
  },
  {
    guarantee: 'G4',
    name: 'a replay that ends the grant before it is stored keeps it from being stored',
    async run({ authorizationCodes, accessTokens, clock }) {
      const now = clock.now();
      const code = newCode(now);
      const { binding, digest, retainUntil } = code;
      await authorizationCodes.add(code, { now, attempt: newAttempt() });
      await authorizationCodes.redeem(digest, { binding, now, attempt: newAttempt() });
      const replay = await authorizationCodes.redeem(digest, { binding, now, attempt: newAttempt() });
      assert.ok(replay.outcome === 'replayed');
      await accessTokens.revokeGrant(replay.grantId, { now, retainUntil });
      const grant = newGrant(now, { grantId: code.grantId });
      const access = newAccess(now);
      const options = { now, attempt: newAttempt(), authorizedAtMs: clock.nowMs() };
      assert.equal(await accessTokens.persist({ grant, access }, options), 'revoked');
      const key = { digest: access.digest, grantId: grant.grantId };
      same(await accessTokens.findAccess(key, { now }), { outcome: 'unknown' });
    },
  },
  {
    guarantee: 'G4',
    name: 'of twenty concurrent redeemers who each store their grant or end that of the replay, none leaves a token alive',
    async run(stage) {
      const { clock } = stage;
      const now = clock.now();
      for (let round = rounds(stage, 30); round > 0; round -= 1) {
        const code = newCode(now);
        const { binding, digest, grantId, retainUntil } = code;
        const access = newAccess(now);
        await stage.authorizationCodes.add(code, { now, attempt: newAttempt() });
        await atOnce(stage, many(20, newAttempt), async ({ authorizationCodes, accessTokens }, attempt) => {
          const redeemed = await authorizationCodes.redeem(digest, { binding, now, attempt });
          if (redeemed.outcome === 'replayed') return accessTokens.revokeGrant(grantId, { now, retainUntil });
          const options = { now, attempt, authorizedAtMs: clock.nowMs() };
          return accessTokens.persist({ grant: newGrant(now, { grantId }), access }, options);
        });
        const state = await stage.accessTokens.findAccess({ digest: access.digest, grantId }, { now });
        assert.notEqual(state.outcome, 'active');
      }
    },
  },
  {
    guarantee: 'G7',
    name: 'an unredeemed code is expired from its expiry on, and looking or trying does not consume it',
    async run({ authorizationCodes, clock }) {
      const now = clock.now();
      const code = newCode(now);
      const { binding, digest, expiresAt } = code;
      const redeem = (at: number) => authorizationCodes.redeem(digest, { binding, now: at, attempt: newAttempt() });
      await authorizationCodes.add(code, { now, attempt: newAttempt() });
      same(await authorizationCodes.find(digest, { now: expiresAt - 1 }), { outcome: 'active', code });
      for (const at of [expiresAt, expiresAt + 1]) {
        same(await authorizationCodes.find(digest, { now: at }), { outcome: 'expired', code });
        same(await redeem(at), { outcome: 'expired' });
      }
      same(await redeem(expiresAt - 1), { outcome: 'redeemed', code });
    },
  },
  {
    guarantee: 'port',
    name: 'a code that was never stored, or was removed, is unknown; removing says whether there was one',
    async run({ authorizationCodes, clock }) {
      const now = clock.now();
      const code = newCode(now);
      const { binding, digest } = code;
      const redeem = () => authorizationCodes.redeem(digest, { binding, now, attempt: newAttempt() });
      same(await redeem(), { outcome: 'unknown' });
      same(await authorizationCodes.find(digest, { now }), { outcome: 'unknown' });
      assert.equal(await authorizationCodes.remove(digest), false);
      const other = newCode(now);
      for (const each of [code, other]) await authorizationCodes.add(each, { now, attempt: newAttempt() });
      assert.equal(await authorizationCodes.remove(digest), true);
      assert.equal(await authorizationCodes.remove(digest), false);
      same(await redeem(), { outcome: 'unknown' });
      same(await authorizationCodes.find(digest, { now }), { outcome: 'unknown' });
      same(await authorizationCodes.find(other.digest, { now }), { outcome: 'active', code: other });
    },
  },
  {
    guarantee: 'G11',
    name: 'a second code with the same digest is refused as conflict, unless it is the same attempt',
    async run({ authorizationCodes, clock }) {
      const now = clock.now();
      const code = newCode(now);
      const attempt = newAttempt();
      const second = newCode(now, { digest: code.digest });
      await authorizationCodes.add(code, { now, attempt });
      await authorizationCodes.add(code, { now, attempt });
      assert.equal(await errorCode(authorizationCodes.add(second, { now, attempt: newAttempt() })), 'conflict');
      same(await authorizationCodes.find(code.digest, { now }), { outcome: 'active', code });
    },
  },
  {
    guarantee: 'G11',
    name: 'of twenty concurrent codes with one digest exactly one is stored',
    async run(stage) {
      const now = stage.clock.now();
      for (let round = rounds(stage, 20); round > 0; round -= 1) {
        const { digest } = newCode(now);
        const codes = many(20, () => newCode(now, { digest }));
        const stored: unknown[] = [];
        const outcomes = await atOnce(stage, codes, async ({ authorizationCodes }, code) => {
          const error = await errorCode(authorizationCodes.add(code, { now, attempt: newAttempt() }));
          if (error === 'none') stored.push(code);
          return error;
        });
        assert.deepEqual(tally(outcomes), { none: 1, conflict: 19 });
        same(await stage.authorizationCodes.find(digest, { now }), { outcome: 'active', code: stored[0] });
      }
    },
  },
  {
    guarantee: 'G9',
    name: 'a late repeat of the call that stored a code does not make it redeemable again',
    async run({ authorizationCodes, clock }) {
      const now = clock.now();
      const code = newCode(now);
      const { binding, digest } = code;
      const attempt = newAttempt();
      await authorizationCodes.add(code, { now, attempt });
      await authorizationCodes.redeem(digest, { binding, now, attempt: newAttempt() });
      // The repeat may be told that the digest is taken: whoever sent it has had his answer long ago.
      const error = await errorCode(authorizationCodes.add(code, { now, attempt }));
      assert.ok(error === 'none' || error === 'conflict', error);
      same(await authorizationCodes.redeem(digest, { binding, now, attempt: newAttempt() }), {
        outcome: 'replayed',
        grantId: code.grantId,
      });
    },
  },
];
