import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { RotateOutcome } from '../../functions/domain/ports.ts';
import type { Case, Stage } from './harness.ts';
import {
  accessOutcome,
  atOnce,
  DAY,
  HOUR,
  type Issued,
  issue,
  keyOf,
  many,
  newAccess,
  newAttempt,
  newDigest,
  newGrant,
  newRefresh,
  newSuccessor,
  refreshOutcome,
  rotate,
  rounds,
  same,
  tally,
} from './records.ts';

const sealedOf = (outcome: RotateOutcome) => ('sealed' in outcome ? outcome.sealed : undefined);

/** Everything that can be seen of a grant, to be compared before and after what must change nothing. */
async function picture({ accessTokens }: Pick<Stage, 'accessTokens'>, { grant, refreshKey }: Issued, now: number) {
  const { grants } = await accessTokens.listGrants({ clientId: grant.clientId }, { limit: 10 });
  const { tokens } = await accessTokens.listAccess(grant.grantId, { limit: 100 });
  return { grants, tokens, refresh: await accessTokens.findRefresh(refreshKey, { now }) };
}

const concurrentRotations = (callers: number, times: number): Case => ({
  guarantee: 'G5',
  name: `of ${callers} concurrent rotations of one refresh token exactly one gets rotated, the others retried with the same sealed`,
  async run(stage) {
    const now = stage.clock.now();
    for (let round = rounds(stage, times); round > 0; round -= 1) {
      const { grant, refreshKey, accessKey, access } = await issue(stage);
      const successors = many(callers, () => newSuccessor(now));
      const outcomes = await atOnce(stage, successors, ({ accessTokens }, successor) =>
        rotate(accessTokens, grant, refreshKey, successor, { now }),
      );
      assert.deepEqual(tally(outcomes), { rotated: 1, retried: callers - 1 });
      const won = outcomes.findIndex(({ outcome }) => outcome === 'rotated');
      const [winner, loser] = [successors.at(won), successors.at(won - 1)];
      assert.ok(winner && loser);
      for (const outcome of outcomes) same(sealedOf(outcome), winner.sealed);
      const { tokens } = await stage.accessTokens.listAccess(grant.grantId, { limit: 1000 });
      const byDigest = (one: { digest: Uint8Array }, two: { digest: Uint8Array }) =>
        Buffer.compare(one.digest, two.digest);
      same(tokens.toSorted(byDigest), [access, winner.access].toSorted(byDigest));
      const { accessTokens } = stage;
      assert.equal(await accessOutcome(accessTokens, keyOf(grant, winner.access), now), 'active');
      assert.equal(await accessOutcome(accessTokens, accessKey, now), 'active');
      assert.equal(await refreshOutcome(accessTokens, keyOf(grant, winner.refresh), now), 'active');
      assert.equal(await accessOutcome(accessTokens, keyOf(grant, loser.access), now), 'unknown');
    }
  },
});

export const cases: Case[] = [
  {
    guarantee: 'G5',
    name: 'a rotation puts the new refresh token in place of the old one and adds the new access token',
    async run(stage) {
      const { accessTokens } = stage;
      const now = stage.clock.now();
      const { grant, refresh, refreshKey, accessKey } = await issue(stage);
      const successor = newSuccessor(now + 5);
      const rotated = await rotate(accessTokens, grant, refreshKey, successor, { now: now + 5 });
      assert.ok(rotated.outcome === 'rotated');
      same(rotated.sealed, successor.sealed);
      same({ ...rotated.grant, retainUntil: 0 }, { ...grant, retainUntil: 0 });
      const found = { ...grant, retainUntil: successor.retainUntil };
      same(await accessTokens.findRefresh(keyOf(grant, successor.refresh), { now: now + 5 }), {
        outcome: 'active',
        grant: found,
        refresh: successor.refresh,
        issuedAt: now + 5,
      });
      same(await accessTokens.findRefresh(refreshKey, { now: now + 6 }), {
        outcome: 'retired',
        grant: found,
        retiredAt: now + 5,
      });
      assert.equal(await accessOutcome(accessTokens, accessKey, now + 6), 'active');
      assert.equal(await accessOutcome(accessTokens, keyOf(grant, successor.access), now + 6), 'active');
      same((await accessTokens.listGrants({ clientId: grant.clientId }, { limit: 2 })).grants, [
        { grant: found, refresh: successor.refresh },
      ]);
      assert.notDeepEqual(refresh.digest, successor.refresh.digest);
    },
  },
  {
    guarantee: 'G5',
    name: 'a rotation moves when the grant is removed, never back',
    async run(stage) {
      const { accessTokens } = stage;
      const now = stage.clock.now();
      const { grant, refreshKey } = await issue(stage, { grant: { retainUntil: now + 20 * DAY } });
      const first = newSuccessor(now, { retainUntil: now + 25 * DAY });
      const second = newSuccessor(now, { retainUntil: now + 22 * DAY });
      await rotate(accessTokens, grant, refreshKey, first, { now });
      await rotate(accessTokens, grant, keyOf(grant, first.refresh), second, { now });
      const { grants } = await accessTokens.listGrants({ clientId: grant.clientId }, { limit: 2 });
      assert.equal(grants[0]?.grant.retainUntil, now + 25 * DAY);
    },
  },
  concurrentRotations(20, 30),
  concurrentRotations(100, 10),
  {
    guarantee: 'G5',
    name: 'until graceSeconds after the rotation the others get retried; at that second and later reused, and the grant is revoked',
    async run(stage) {
      const { accessTokens } = stage;
      const now = stage.clock.now();
      for (const graceSeconds of [1, 10, 60]) {
        const { grant, refreshKey, accessKey } = await issue(stage);
        const successor = newSuccessor(now);
        const present = (at: number) =>
          rotate(accessTokens, grant, refreshKey, newSuccessor(at), { now: at, graceSeconds });
        await rotate(accessTokens, grant, refreshKey, successor, { now, graceSeconds });
        const retried = await present(now + graceSeconds - 1);
        assert.equal(retried.outcome, 'retried');
        same(sealedOf(retried), successor.sealed);
        assert.equal(await refreshOutcome(accessTokens, keyOf(grant, successor.refresh), now), 'active');
        const reused = await present(now + graceSeconds);
        assert.ok(reused.outcome === 'reused');
        same({ ...reused.grant, retainUntil: 0 }, { ...grant, retainUntil: 0 });
        assert.equal(await refreshOutcome(accessTokens, keyOf(grant, successor.refresh), now), 'revoked');
        for (const key of [accessKey, keyOf(grant, successor.access)]) {
          assert.equal(await accessOutcome(accessTokens, key, now), 'revoked');
        }
        assert.equal((await present(now + graceSeconds + 1)).outcome, 'reused');
      }
    },
  },
  {
    guarantee: 'G5',
    name: 'with no seconds of grace the second rotation gets reused, and the grant is revoked',
    async run(stage) {
      const now = stage.clock.now();
      for (let round = rounds(stage, 10); round > 0; round -= 1) {
        const { grant, refreshKey, accessKey } = await issue(stage);
        const successors = many(20, () => newSuccessor(now));
        const outcomes = await atOnce(stage, successors, ({ accessTokens }, successor) =>
          rotate(accessTokens, grant, refreshKey, successor, { now, graceSeconds: 0 }),
        );
        assert.deepEqual(tally(outcomes), { rotated: 1, reused: 19 });
        const { accessTokens } = stage;
        assert.equal(await accessOutcome(accessTokens, accessKey, now), 'revoked');
        for (const { access, refresh } of successors) {
          assert.notEqual(await accessOutcome(accessTokens, keyOf(grant, access), now), 'active');
          assert.notEqual(await refreshOutcome(accessTokens, keyOf(grant, refresh), now), 'active');
        }
      }
    },
  },
  {
    guarantee: 'G9',
    name: 'a repeat of the attempt gets rotated again with the sealed that was stored first, and adds no token',
    async run(stage) {
      const { accessTokens } = stage;
      const now = stage.clock.now();
      const { grant, refreshKey } = await issue(stage);
      const first = newSuccessor(now);
      const attempt = newAttempt();
      await rotate(accessTokens, grant, refreshKey, first, { now, attempt });
      // Within the grace, at its end, and with no grace at all: a repeat is not a reuse.
      for (const options of [{ now }, { now: now + 10 }, { now: now + 11, graceSeconds: 0 }]) {
        const other = newSuccessor(now);
        for (const successor of [first, other]) {
          const repeated = await rotate(accessTokens, grant, refreshKey, successor, { ...options, attempt });
          assert.equal(repeated.outcome, 'rotated');
          same(sealedOf(repeated), first.sealed);
        }
        assert.equal(await accessOutcome(accessTokens, keyOf(grant, other.access), now), 'unknown');
        assert.notEqual(await refreshOutcome(accessTokens, keyOf(grant, other.refresh), now), 'active');
      }
      assert.equal(await accessOutcome(accessTokens, keyOf(grant, first.access), now), 'active');
      assert.equal(await refreshOutcome(accessTokens, keyOf(grant, first.refresh), now), 'active');
      assert.equal((await accessTokens.listAccess(grant.grantId, { limit: 10 })).tokens.length, 2);
    },
  },
  {
    guarantee: 'G9',
    name: 'of ten attempts that are each sent twice at once, with other secrets, both copies of one get rotated with one sealed',
    async run(stage) {
      const now = stage.clock.now();
      for (let round = rounds(stage, 20); round > 0; round -= 1) {
        const { grant, refreshKey } = await issue(stage);
        const attempts = many(10, newAttempt);
        const outcomes = await atOnce(stage, [...attempts, ...attempts], ({ accessTokens }, attempt) =>
          rotate(accessTokens, grant, refreshKey, newSuccessor(now), { now, attempt }),
        );
        assert.deepEqual(tally(outcomes), { rotated: 2, retried: 18 });
        const sealed = outcomes.map(sealedOf);
        for (const each of sealed) same(each, sealed[0]);
        assert.equal((await stage.accessTokens.listAccess(grant.grantId, { limit: 100 })).tokens.length, 2);
      }
    },
  },
  {
    guarantee: 'G5',
    name: 'an older generation gets reused, whatever the grace, and the grant is revoked',
    async run(stage) {
      const { accessTokens } = stage;
      const now = stage.clock.now();
      for (const generations of [2, 3, 40]) {
        const { grant, refreshKey, accessKey } = await issue(stage);
        let key = refreshKey;
        for (let generation = 0; generation < generations; generation += 1) {
          const successor = newSuccessor(now);
          assert.equal((await rotate(accessTokens, grant, key, successor, { now })).outcome, 'rotated');
          key = keyOf(grant, successor.refresh);
        }
        const { outcome, ...found } = await accessTokens.findRefresh(refreshKey, { now });
        assert.equal(outcome, 'retired');
        assert.ok('retiredAt' in found && found.retiredAt <= now);
        const reused = await rotate(accessTokens, grant, refreshKey, newSuccessor(now), { now, graceSeconds: HOUR });
        assert.equal(reused.outcome, 'reused');
        assert.equal(await refreshOutcome(accessTokens, key, now), 'revoked');
        assert.equal(await accessOutcome(accessTokens, accessKey, now), 'revoked');
      }
    },
  },
  {
    guarantee: 'G5',
    name: 'while one client goes on from generation to generation, callers with the first one are retried or reused, never rotated',
    async run(stage) {
      const now = stage.clock.now();
      for (const graceSeconds of [30, 0]) {
        for (let round = rounds(stage, 20); round > 0; round -= 1) {
          const { grant, refreshKey } = await issue(stage);
          const chain = [newSuccessor(now), newSuccessor(now), newSuccessor(now)];
          const [first] = chain;
          const strangers: RotateOutcome[] = [];
          await atOnce(stage, ['client', ...many(19, () => 'stranger')], async ({ accessTokens }, caller) => {
            let key = refreshKey;
            for (const successor of caller === 'client' ? chain : [newSuccessor(now)]) {
              const outcome = await rotate(accessTokens, grant, key, successor, { now, graceSeconds });
              if (caller === 'stranger') strangers.push(outcome);
              key = keyOf(grant, successor.refresh);
            }
          });
          const counts = tally(strangers);
          // A stranger may have been the first to come: then the client was the one that retried.
          assert.ok((counts.rotated ?? 0) <= 1, JSON.stringify(counts));
          assert.equal(counts.unknown ?? counts.expired ?? counts.mismatched, undefined, JSON.stringify(counts));
          const sealed = strangers.filter(({ outcome }) => outcome === 'retried').map(sealedOf);
          for (const each of sealed) same(each, sealed[0]);
          if (!counts.rotated) for (const each of sealed) same(each, first?.sealed);
          if (counts.reused) {
            const { accessTokens } = stage;
            for (const { access, refresh } of chain) {
              assert.notEqual(await accessOutcome(accessTokens, keyOf(grant, access), now), 'active');
              assert.notEqual(await refreshOutcome(accessTokens, keyOf(grant, refresh), now), 'active');
            }
          }
        }
      }
    },
  },
  {
    guarantee: 'G5',
    name: 'a token whose grant is not there, or that proves nothing and was never stored, gets unknown, and nothing changes',
    async run(stage) {
      const { accessTokens } = stage;
      const now = stage.clock.now();
      const issued = await issue(stage);
      const before = await picture(stage, issued, now);
      const stranger = newGrant(now);
      for (const key of [
        { digest: newDigest() },
        { digest: newDigest(), grantId: stranger.grantId },
        { digest: issued.refresh.digest, grantId: stranger.grantId },
      ]) {
        const successor = newSuccessor(now);
        same(await rotate(accessTokens, issued.grant, key, successor, { now }), { outcome: 'unknown' });
        assert.equal(await accessOutcome(accessTokens, keyOf(issued.grant, successor.access), now), 'unknown');
      }
      same(await picture(stage, issued, now), before);
    },
  },
  {
    guarantee: 'G5',
    name: 'a client or sender that is not the grant’s gets mismatched, before all else, and changes nothing',
    async run(stage) {
      const { accessTokens } = stage;
      const now = stage.clock.now();
      const sender = randomBytes(32);
      const issued = await issue(stage, { refresh: { sender } });
      const { grant, refreshKey } = issued;
      const strangers = [
        { clientId: 'stranger', sender },
        { clientId: `${grant.clientId} `, sender },
        { clientId: grant.clientId.toUpperCase(), sender },
        { sender: randomBytes(32) },
        {},
      ];
      const unchangedBy = async (key: typeof refreshKey, at: number) => {
        const before = await picture(stage, issued, now);
        for (const stranger of strangers) {
          const outcome = await rotate(accessTokens, grant, key, newSuccessor(at), { now: at, ...stranger });
          same(outcome, { outcome: 'mismatched' });
        }
        same(await picture(stage, issued, now), before);
      };
      await unchangedBy(refreshKey, now);
      await unchangedBy(refreshKey, now + 2 * DAY); // it has expired
      const first = newSuccessor(now);
      const second = newSuccessor(now);
      assert.equal((await rotate(accessTokens, grant, refreshKey, first, { now, sender })).outcome, 'rotated');
      await unchangedBy(keyOf(grant, first.refresh), now);
      await unchangedBy(refreshKey, now); // in its grace
      await unchangedBy(refreshKey, now + HOUR); // after it
      const key = keyOf(grant, first.refresh);
      assert.equal((await rotate(accessTokens, grant, key, second, { now, sender })).outcome, 'rotated');
      await unchangedBy(refreshKey, now); // an older generation
      await accessTokens.revokeGrant(grant.grantId, { now, retainUntil: grant.retainUntil });
      await unchangedBy(keyOf(grant, second.refresh), now);
    },
  },
  {
    guarantee: 'G5',
    name: 'a refresh token that is not bound takes any sender, and binds no successor',
    async run(stage) {
      const { accessTokens } = stage;
      const now = stage.clock.now();
      const { grant, refreshKey } = await issue(stage);
      const successor = newSuccessor(now);
      const first = await rotate(accessTokens, grant, refreshKey, successor, { now, sender: randomBytes(32) });
      assert.equal(first.outcome, 'rotated');
      const second = await rotate(accessTokens, grant, keyOf(grant, successor.refresh), newSuccessor(now), { now });
      assert.equal(second.outcome, 'rotated');
    },
  },
  {
    guarantee: 'G5',
    name: 'a repeat of the attempt by another client or sender gets mismatched',
    async run(stage) {
      const now = stage.clock.now();
      const sender = randomBytes(32);
      const { grant, refreshKey } = await issue(stage, { refresh: { sender } });
      const attempt = newAttempt();
      const options = { now, attempt };
      const successor = newSuccessor(now);
      await rotate(stage.accessTokens, grant, refreshKey, successor, { ...options, sender });
      for (const stranger of [{ clientId: 'stranger', sender }, { sender: randomBytes(32) }, {}]) {
        const outcome = await rotate(stage.accessTokens, grant, refreshKey, successor, { ...options, ...stranger });
        same(outcome, { outcome: 'mismatched' });
      }
    },
  },
  {
    guarantee: 'G5',
    name: 'on a revoked grant the current token, a retry and a repeat get revoked, a token past its grace gets reused',
    async run(stage) {
      const { accessTokens } = stage;
      const now = stage.clock.now();
      const { grant, refreshKey } = await issue(stage);
      const attempt = newAttempt();
      const first = newSuccessor(now);
      const second = newSuccessor(now);
      const present = (key: typeof refreshKey, at: number, attempt = newAttempt()) =>
        rotate(accessTokens, grant, key, newSuccessor(now), { now: at, attempt });
      await rotate(accessTokens, grant, refreshKey, first, { now });
      await rotate(accessTokens, grant, keyOf(grant, first.refresh), second, { now, attempt });
      await accessTokens.revokeGrant(grant.grantId, { now, retainUntil: grant.retainUntil });
      same(await present(keyOf(grant, second.refresh), now), { outcome: 'revoked' });
      same(await present(keyOf(grant, first.refresh), now), { outcome: 'revoked' });
      same(await present(keyOf(grant, first.refresh), now, attempt), { outcome: 'revoked' });
      assert.equal((await present(keyOf(grant, first.refresh), now + 10)).outcome, 'reused');
      assert.equal((await present(refreshKey, now)).outcome, 'reused');
      assert.equal((await accessTokens.listAccess(grant.grantId, { limit: 10 })).tokens.length, 3);
    },
  },
  {
    guarantee: 'G5',
    name: 'a rotation without a new access token adds none',
    async run(stage) {
      const { accessTokens } = stage;
      const now = stage.clock.now();
      const { grant, refreshKey } = await issue(stage);
      const { access: _, ...successor } = newSuccessor(now);
      assert.equal((await rotate(accessTokens, grant, refreshKey, successor, { now })).outcome, 'rotated');
      assert.equal((await accessTokens.listAccess(grant.grantId, { limit: 10 })).tokens.length, 1);
      assert.equal(await refreshOutcome(accessTokens, keyOf(grant, successor.refresh), now), 'active');
    },
  },
  {
    guarantee: 'G5',
    name: 'a rotation to no refresh token leaves the grant without one: retries get the same sealed, later ones are reused',
    async run(stage) {
      const { accessTokens } = stage;
      const now = stage.clock.now();
      const { grant, refreshKey, accessKey } = await issue(stage);
      const attempt = newAttempt();
      const successor = newSuccessor(now, { refresh: 'none' });
      const present = (at: number, attempt = newAttempt()) =>
        rotate(accessTokens, grant, refreshKey, newSuccessor(at), { now: at, attempt });
      assert.equal((await rotate(accessTokens, grant, refreshKey, successor, { now, attempt })).outcome, 'rotated');
      const { grants } = await accessTokens.listGrants({ clientId: grant.clientId }, { limit: 2 });
      assert.equal(grants.length, 1);
      assert.equal(grants[0]?.refresh, undefined);
      assert.equal(await refreshOutcome(accessTokens, refreshKey, now), 'retired');
      for (const [outcome, expected] of [
        [await present(now + 1), 'retried'],
        [await present(now + 1, attempt), 'rotated'],
      ] as const) {
        assert.equal(outcome.outcome, expected);
        same(sealedOf(outcome), successor.sealed);
      }
      for (const key of [accessKey, keyOf(grant, successor.access)]) {
        assert.equal(await accessOutcome(accessTokens, key, now), 'active');
      }
      assert.equal((await present(now + 10)).outcome, 'reused');
      assert.equal(await accessOutcome(accessTokens, accessKey, now), 'revoked');
    },
  },
  {
    guarantee: 'G5',
    name: 'a token that is kept is not used up: everybody who presents it gets rotated with the sealed of his own',
    async run(stage) {
      const now = stage.clock.now();
      for (let round = rounds(stage, 10); round > 0; round -= 1) {
        const { grant, refresh, refreshKey } = await issue(stage, { refresh: { idleExpiresAt: now + 60 } });
        const refreshed = { kept: true, idleExpiresAt: now + 120 } as const;
        const successors = many(20, () => newSuccessor(now, { refresh: refreshed }));
        await atOnce(stage, successors, async ({ accessTokens }, successor) => {
          const outcome = await rotate(accessTokens, grant, refreshKey, successor, { now });
          assert.equal(outcome.outcome, 'rotated');
          same(sealedOf(outcome), successor.sealed);
        });
        const { accessTokens } = stage;
        for (const { access } of successors) {
          assert.equal(await accessOutcome(accessTokens, keyOf(grant, access), now), 'active');
        }
        same(await accessTokens.findRefresh(refreshKey, { now: now + 119 }), {
          outcome: 'active',
          grant,
          refresh: { ...refresh, idleExpiresAt: now + 120 },
          issuedAt: grant.createdAt,
        });
        const again = await rotate(accessTokens, grant, refreshKey, newSuccessor(now), { now: now + HOUR });
        same(again, { outcome: 'expired' });
      }
    },
  },
  {
    guarantee: 'G9',
    name: 'a repeat of an attempt that kept the token gets rotated again and adds no second access token',
    async run(stage) {
      const { accessTokens } = stage;
      const now = stage.clock.now();
      const { grant, refresh, refreshKey } = await issue(stage);
      const successor = newSuccessor(now, { refresh: { kept: true } });
      const attempt = newAttempt();
      for (const _ of ['first', 'repeat']) {
        const outcome = await rotate(accessTokens, grant, refreshKey, successor, { now, attempt });
        assert.equal(outcome.outcome, 'rotated');
        same(sealedOf(outcome), successor.sealed);
      }
      assert.equal((await accessTokens.listAccess(grant.grantId, { limit: 10 })).tokens.length, 2);
      same(await accessTokens.findRefresh(refreshKey, { now }), {
        outcome: 'active',
        refresh,
        issuedAt: grant.createdAt,
        grant,
      });
    },
  },
  {
    guarantee: 'G5',
    name: 'keeping a token does not forget the generation before it',
    async run(stage) {
      const { accessTokens } = stage;
      const now = stage.clock.now();
      const { grant, refreshKey } = await issue(stage);
      const attempt = newAttempt();
      const first = newSuccessor(now);
      await rotate(accessTokens, grant, refreshKey, first, { now, attempt });
      const kept = newSuccessor(now, { refresh: { kept: true } });
      await rotate(accessTokens, grant, keyOf(grant, first.refresh), kept, { now: now + 1 });
      for (const [options, expected] of [
        [{ now: now + 9 }, 'retried'],
        [{ now: now + 60, attempt }, 'rotated'],
        [{ now: now + 60 }, 'reused'],
      ] as const) {
        const outcome = await rotate(accessTokens, grant, refreshKey, newSuccessor(now), options);
        assert.equal(outcome.outcome, expected);
        same(sealedOf(outcome), expected === 'reused' ? undefined : first.sealed);
      }
    },
  },
  {
    guarantee: 'G5',
    name: 'a foreign refresh token rotates by its digest alone: retried in the grace, reused later and in an older generation',
    async run(stage) {
      const { accessTokens } = stage;
      const now = stage.clock.now();
      const issueForeign = () => issue(stage, { refresh: { foreign: true } });
      const young = await issueForeign();
      const first = newSuccessor(now);
      const rotated = await rotate(accessTokens, young.grant, young.refreshKey, first, { now });
      assert.equal(rotated.outcome, 'rotated');
      const retried = await rotate(accessTokens, young.grant, young.refreshKey, newSuccessor(now), { now: now + 9 });
      assert.equal(retried.outcome, 'retried');
      same(sealedOf(retried), first.sealed);
      assert.equal(await refreshOutcome(accessTokens, young.refreshKey, now), 'retired');
      const reused = await rotate(accessTokens, young.grant, young.refreshKey, newSuccessor(now), { now: now + 10 });
      assert.equal(reused.outcome, 'reused');
      assert.equal(await accessOutcome(accessTokens, young.accessKey, now), 'revoked');

      const old = await issueForeign();
      let key = old.refreshKey;
      for (let generation = 0; generation < 3; generation += 1) {
        const successor = newSuccessor(now);
        const outcome = await rotate(accessTokens, old.grant, key, successor, { now });
        assert.equal(outcome.outcome, 'rotated');
        key = keyOf(old.grant, successor.refresh);
      }
      assert.equal(await refreshOutcome(accessTokens, old.refreshKey, now), 'retired');
      const older = await rotate(accessTokens, old.grant, old.refreshKey, newSuccessor(now), { now });
      assert.equal(older.outcome, 'reused');
      assert.equal(await refreshOutcome(accessTokens, key, now), 'revoked');
    },
  },
  {
    guarantee: 'port',
    name: 'a refresh token can be added to a grant that has none, and rotated',
    async run(stage) {
      const { accessTokens } = stage;
      const now = stage.clock.now();
      const grant = newGrant(now);
      const refresh = newRefresh(now, { sender: randomBytes(32) });
      const { sender = newDigest() } = refresh;
      const options = () => ({ now, attempt: newAttempt(), retainUntil: grant.retainUntil });
      await accessTokens.persist({ grant }, { now, attempt: newAttempt() });
      assert.equal(await accessTokens.addRefresh(grant.grantId, refresh, options()), 'added');
      const stranger = await rotate(accessTokens, grant, keyOf(grant, refresh), newSuccessor(now), { now });
      assert.equal(stranger.outcome, 'mismatched');
      const last = newSuccessor(now, { refresh: 'none' });
      assert.equal(
        (await rotate(accessTokens, grant, keyOf(grant, refresh), last, { now, sender })).outcome,
        'rotated',
      );
      const further = newRefresh(now, { sender });
      assert.equal(await accessTokens.addRefresh(grant.grantId, further, options()), 'added');
      assert.equal(await refreshOutcome(accessTokens, keyOf(grant, further), now), 'active');
      assert.equal(await refreshOutcome(accessTokens, keyOf(grant, refresh), now), 'retired');
    },
  },
  {
    guarantee: 'G5',
    name: 'adding a refresh token does not forget the generation before it: retried in the grace, reused later',
    async run(stage) {
      const { accessTokens } = stage;
      const now = stage.clock.now();
      for (const foreign of [false, true]) {
        const { grant, refreshKey, accessKey } = await issue(stage);
        const last = newSuccessor(now, { refresh: 'none' });
        await rotate(accessTokens, grant, refreshKey, last, { now });
        const further = newRefresh(now, { foreign });
        const options = { now: now + 1, attempt: newAttempt(), retainUntil: grant.retainUntil };
        assert.equal(await accessTokens.addRefresh(grant.grantId, further, options), 'added');
        const present = (at: number) => rotate(accessTokens, grant, refreshKey, newSuccessor(at), { now: at });
        const retried = await present(now + 9);
        assert.equal(retried.outcome, 'retried');
        same(sealedOf(retried), last.sealed);
        assert.equal(await refreshOutcome(accessTokens, keyOf(grant, further), now + 9), 'active');
        assert.equal((await present(now + 10)).outcome, 'reused');
        for (const key of [keyOf(grant, further), refreshKey]) {
          assert.notEqual(await refreshOutcome(accessTokens, key, now + 10), 'active');
        }
        assert.equal(await accessOutcome(accessTokens, accessKey, now + 10), 'revoked');
      }
    },
  },
  {
    guarantee: 'port',
    name: 'nothing is added to a grant that is expired, revoked or not there',
    async run(stage) {
      const { accessTokens } = stage;
      const now = stage.clock.now();
      const expiring = newGrant(now, { expiresAt: now + 10 });
      const revoked = newGrant(now);
      for (const grant of [expiring, revoked]) await accessTokens.persist({ grant }, { now, attempt: newAttempt() });
      await accessTokens.revokeGrant(revoked.grantId, { now, retainUntil: revoked.retainUntil });
      for (const [grant, at, expected] of [
        [expiring, now + 10, 'expired'],
        [revoked, now, 'revoked'],
        [newGrant(now), now, 'unknown'],
        [expiring, now + 9, 'added'],
      ] as const) {
        const access = newAccess(now);
        const refresh = newRefresh(now);
        const options = () => ({ now: at, attempt: newAttempt(), retainUntil: grant.retainUntil });
        assert.equal(await accessTokens.addAccess(grant.grantId, access, options()), expected);
        assert.equal(await accessTokens.addRefresh(grant.grantId, refresh, options()), expected);
        const found = expected === 'added' ? 'active' : 'unknown';
        assert.equal(await accessOutcome(accessTokens, keyOf(grant, access), now), found);
        if (expected === 'added') assert.equal(await refreshOutcome(accessTokens, keyOf(grant, refresh), now), found);
        else assert.notEqual(await refreshOutcome(accessTokens, keyOf(grant, refresh), now), 'active');
      }
    },
  },
];
