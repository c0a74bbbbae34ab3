import assert from 'node:assert/strict';
import type { Case, Harness, Stage } from './harness.ts';
import { everyOperation } from './operations.ts';
import { DAY, issue, keyOf, many, newAttempt, newCode, newGrant, newName, newSuccessor, rotate } from './records.ts';

const uncounted = ({ roundTrips }: Harness) => !roundTrips && 'there are no round trips to count';

/** What more than one may be: a purge takes one for each kind at least, and one to say what is left. */
const MOST: Record<string, number> = {
  'accessTokens.purgeExpired': 4,
  'authorizationCodes.purgeExpired': 2,
  'artifacts.purgeExpired': 2,
  'clientAccessTokens.purgeExpired': 2,
};

/** Fails when a call takes more round trips than the table or the engine's own declaration says. */
async function counted<T>(
  { harness }: Stage,
  name: string,
  call: () => Promise<T>,
  most = MOST[name] ?? 1,
): Promise<T> {
  harness.roundTrips?.reset();
  const result = await call();
  const count = harness.roundTrips?.count() ?? 0;
  const allowed = harness.capabilities.roundTrips?.[name] ?? most;
  assert.ok(count <= allowed, `${name} took ${count} round trips; at most ${allowed}`);
  assert.ok(count > 0, `${name} was not counted`);
  return result;
}

export const cases: Case[] = [
  {
    guarantee: 'round trips',
    name: 'every operation is one round trip',
    omit: uncounted,
    async run(stage) {
      const calls = everyOperation(stage.clock.now(), await issue(stage));
      for (const [name, call] of calls) await counted(stage, name, () => call(stage));
    },
  },
  {
    guarantee: 'round trips',
    name: 'rotating is one round trip, whatever the outcome',
    omit: uncounted,
    async run(stage) {
      const { accessTokens } = stage;
      const now = stage.clock.now();
      const { grant, refreshKey } = await issue(stage);
      const attempt = newAttempt();
      const successor = newSuccessor(now);
      const present = async (expected: string, options: Parameters<typeof rotate>[4], key = refreshKey) => {
        const name = `accessTokens.rotate ${expected}`;
        const outcome = await counted(stage, name, () => rotate(accessTokens, grant, key, successor, options));
        assert.equal(outcome.outcome, expected);
      };
      await present('expired', { now: now + 40 * DAY });
      await present('mismatched', { now, clientId: 'stranger' });
      await present('rotated', { now, attempt });
      await present('rotated', { now, attempt });
      await present('retried', { now });
      await present('reused', { now: now + 10 });
      await present('revoked', { now }, keyOf(grant, successor.refresh));
      await present('unknown', { now }, { ...refreshKey, grantId: newGrant(now).grantId });
    },
  },
  {
    guarantee: 'round trips',
    name: 'redeeming is one round trip, whatever the outcome',
    omit: uncounted,
    async run(stage) {
      const { authorizationCodes } = stage;
      const now = stage.clock.now();
      const code = newCode(now);
      const present = async (expected: string, at = now, { binding, digest } = code) => {
        const name = `authorizationCodes.redeem ${expected}`;
        const outcome = await counted(stage, name, () =>
          authorizationCodes.redeem(digest, { binding, now: at, attempt: newAttempt() }),
        );
        assert.equal(outcome.outcome, expected);
      };
      await authorizationCodes.add(code, { now, attempt: newAttempt() });
      await present('unknown', now, newCode(now));
      await present('mismatched', now, { ...code, binding: newCode(now).binding });
      await present('expired', code.expiresAt);
      await present('redeemed');
      await present('replayed');
    },
  },
  {
    guarantee: 'round trips',
    name: 'finding a foreign token is one round trip, found or not',
    omit: uncounted,
    async run(stage) {
      const { accessTokens } = stage;
      const now = stage.clock.now();
      const foreign = true;
      const { accessKey, refreshKey } = await issue(stage, { access: { foreign }, refresh: { foreign } });
      const unknown = { digest: newAttempt() };
      for (const key of [accessKey, unknown]) {
        await counted(stage, 'accessTokens.findAccess foreign', () => accessTokens.findAccess(key, { now }));
      }
      for (const key of [refreshKey, unknown]) {
        await counted(stage, 'accessTokens.findRefresh foreign', () => accessTokens.findRefresh(key, { now }));
      }
    },
  },
  {
    guarantee: 'round trips',
    name: 'revoking by subject takes a round trip for a thousand grants, not for each',
    omit: uncounted,
    async run(stage) {
      const { accessTokens, clock } = stage;
      const subject = newName('subject');
      await Promise.all(many(40, () => issue(stage, { grant: { subject } })));
      await counted(stage, 'accessTokens.revokeBy', () =>
        accessTokens.revokeBy({ subject }, { nowMs: clock.nowMs(), retainUntil: clock.now() + DAY }),
      );
    },
  },
];
