import assert from 'node:assert/strict';
import type { Engine } from '../../functions/domain/ports.ts';
import type { Case, Harness } from './harness.ts';
import { everyOperation } from './operations.ts';
import {
  atOnce,
  type Issued,
  issue,
  newAttempt,
  newCode,
  newGrant,
  newSuccessor,
  rotate,
  withKeys,
} from './records.ts';

const local = ({ outage }: Harness) => !outage && 'there is nothing between the caller and the storage that could fail';

const outcomeOf = async (call: () => Promise<unknown>): Promise<unknown> => {
  try {
    return await call();
  } catch (error) {
    return error;
  }
};

const errorOf = (error: unknown): string => {
  if (error instanceof Error && error.name === 'StoreError' && 'code' in error) return String(error.code);
  throw error;
};

/** Calls everything on an engine that cannot do its work: each call, or else opening it, must fail with one of these codes. */
const everythingFails = (way: 'refused' | 'silent', codes: readonly string[], words: string): Case => ({
  guarantee: 'G10',
  name: `${words}, every operation fails with ${codes.join(' or ')} and its cause: never unknown, never empty`,
  omit: local,
  async run({ harness, clock }) {
    const now = clock.now();
    const issued = withKeys(newGrant(now), newSuccessor(now));
    const secret = [issued.refresh.digest, issued.access.digest].map((bytes) => Buffer.from(bytes).toString('hex'));
    const isCoded = (error: unknown, name: string) => {
      assert.ok(error instanceof Error && error.name === 'StoreError', `${name} gave ${JSON.stringify(error)}`);
      assert.ok('code' in error && codes.includes(String(error.code)), `${name}: ${JSON.stringify(error)}`);
      assert.ok('retryable' in error && error.retryable === true, name);
      assert.ok(error.cause !== undefined, name);
      for (const digest of secret) assert.ok(!error.message.includes(digest), name);
    };
    let engine: Engine | undefined;
    try {
      engine = await harness.outage?.[way]();
    } catch (error) {
      isCoded(error, 'opening');
    }
    if (!engine) return;
    const open = engine;
    const calls = everyOperation(now, issued).map(async ([name, call]) =>
      isCoded(await outcomeOf(() => call(open)), name),
    );
    await Promise.all(calls);
    await engine.close();
  },
});

export const cases: Case[] = [
  everythingFails('refused', ['unavailable'], 'where nobody listens'),
  everythingFails('silent', ['timeout', 'unavailable'], 'where nobody answers'),
  {
    guarantee: 'G9',
    name: 'a rotation or redemption whose connection is cut fails with a coded error at most, and its repeat tells how it went',
    omit: ({ outage }) => !outage?.cut && 'connections cannot be cut from here',
    async run(stage) {
      const now = stage.clock.now();
      for (let round = 0; round < 10; round += 1) {
        const issued: Issued[] = [];
        while (issued.length < 8) issued.push(await issue(stage));
        const tries = issued.map((each) => ({
          ...each,
          attempt: newAttempt(),
          code: newCode(now),
          given: newSuccessor(now),
        }));
        for (const { code } of tries) await stage.authorizationCodes.add(code, { now, attempt: newAttempt() });
        const tryOnce = (
          { accessTokens, authorizationCodes }: Engine,
          { grant, refreshKey, attempt, code, given }: (typeof tries)[0],
        ) =>
          Promise.all([
            rotate(accessTokens, grant, refreshKey, given, { now, attempt }).then(({ outcome }) => outcome, errorOf),
            authorizationCodes
              .redeem(code.digest, { binding: code.binding, now, attempt })
              .then(({ outcome }) => outcome, errorOf),
          ]);
        const [answers] = await Promise.all([atOnce(stage, tries, tryOnce), stage.harness.outage?.cut?.()]);
        for (const [rotation, redemption] of answers) {
          assert.match(rotation, /^(rotated|unavailable|timeout)$/);
          assert.match(redemption, /^(redeemed|unavailable|timeout)$/);
        }
        for (const each of tries) {
          let answer = await tryOnce(stage, each);
          // A pool may hold more connections that are dead without its knowing.
          for (let patience = 20; patience > 0 && answer.includes('unavailable'); patience -= 1) {
            answer = await tryOnce(stage, each);
          }
          assert.deepEqual(answer, ['rotated', 'redeemed']);
          const { tokens } = await stage.accessTokens.listAccess(each.grant.grantId, { limit: 10 });
          assert.equal(tokens.length, 2);
        }
      }
    },
  },
];
