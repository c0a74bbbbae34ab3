import assert from 'node:assert/strict';
import { purge, resultOf } from './calls.ts';
import type { Case, VirtualClock } from './harness.ts';
import { DAY, many } from './records.ts';
import { createReference, emptyState, type State } from './reference-model.ts';
import { createDice, type Dice, forgetRemoved, grantSteps, newWorld, otherSteps, type Step } from './steps.ts';

const retentions = ({ codes, grants, revoked, revocations, artifacts }: State): number[] => [
  ...codes.map(({ code }) => code.retainUntil),
  ...grants.map(({ grant }) => grant.retainUntil),
  ...[...revoked, ...revocations].map(({ retainUntil }) => retainUntil),
  ...artifacts.flatMap(({ artifact: { retainUntil, expiresAt } }) => retainUntil ?? expiresAt ?? []),
];

/** Every second from which on something is answered differently, retirement and what the purge may remove included. */
const turningPoints = (state: State): number[] => [
  ...retentions(state),
  ...[...state.codes.map(({ code }) => code), ...state.clientTokens].map(({ expiresAt }) => expiresAt),
  ...state.artifacts.flatMap(({ artifact }) => artifact.expiresAt ?? []),
  ...state.grants.flatMap(({ grant, refresh, tokens, retired }) => [
    ...[grant.expiresAt ?? [], refresh?.expiresAt ?? [], refresh?.idleExpiresAt ?? []].flat(),
    ...tokens.map(({ access }) => access.expiresAt),
    ...retired.slice(0, 1).flatMap(({ at }) => [at + 3, at + 10]),
  ]),
];

/** Goes on by some seconds, or to a turning point, or to the second before it. */
function passTime(clock: VirtualClock, state: State, dice: Dice): void {
  const now = clock.now();
  const soon = turningPoints(state)
    .flatMap((at) => [at - 1, at])
    .filter((at) => at > now && at < now + 60);
  const goal = dice.once(3) ? undefined : dice.pick(soon);
  clock.advance(goal === undefined ? 1 + dice.roll(12) : goal - now);
}

/** How often a step comes; one that is not named comes once. */
const WEIGHTS: Record<string, number> = {
  'time passes': 4,
  persist: 5,
  rotate: 14,
  findAccess: 4,
  findRefresh: 4,
  addAccess: 2,
  addRefresh: 2,
  listGrants: 2,
  listAccess: 2,
  addCode: 4,
  redeem: 8,
  findCode: 3,
  putArtifact: 6,
  consume: 5,
  putOnce: 4,
  findArtifact: 3,
  findArtifactByWay: 5,
  putClientToken: 3,
  getClientToken: 3,
};

const agrees = (words: string, steps: Record<string, Step>): Case => ({
  guarantee: 'port',
  name: `whatever is done to ${words}, in whatever order, while time passes, the answers are those of the reference model`,
  async run(stage) {
    const { default: fc } = await import('fast-check');
    const { clock } = stage;
    // Past the tokens that other cases stored ahead of the clock: one that lives keeps those beside it from being removed.
    if (stage.harness.capabilities.accessTokenLeavesAt) clock.advance(7 * DAY);
    const names = ['time passes', 'purge', ...Object.keys(steps)];
    const step = fc.record({
      name: fc.constantFrom(...names.flatMap((name) => many(WEIGHTS[name] ?? 1, () => name))),
      numbers: fc.array(fc.nat(999), { minLength: 6, maxLength: 14 }),
    });
    const run = async (sequence: readonly { name: string; numbers: number[] }[]) => {
      const state = emptyState();
      const { purges, accessTokenLeavesAt } = stage.harness.capabilities;
      const never = () => Number.POSITIVE_INFINITY;
      const leavesAt = purges.includes('accessTokens') ? accessTokenLeavesAt : never;
      const reference = createReference(state, undefined, leavesAt);
      const world = newWorld(state, clock);
      const story: string[] = [];
      for (const { name, numbers } of sequence) {
        const dice = createDice(numbers);
        if (name === 'time passes') {
          passTime(clock, state, dice);
          story.push(`time is ${clock.now()}`);
        }
        const call =
          // What has passed its retainUntil may go at any time, so it goes at once.
          name === 'purge' || retentions(state).some((retainUntil) => retainUntil <= clock.now())
            ? purge({ now: clock.now(), limit: 1000 })
            : steps[name]?.(world, dice);
        if (!call) continue;
        const expected = await resultOf(call, reference);
        const actual = await resultOf(call, stage);
        story.push(`${call.name}: ${JSON.stringify(actual)}`);
        // There a token can outstay its grant: it would be found again under an id that comes a second time, as none does.
        if (call.name === 'purgeExpired' && accessTokenLeavesAt) forgetRemoved(world);
        assert.deepEqual(actual, expected, `${call.name} after\n${story.join('\n')}`);
      }
    };
    const sequences = fc.array(step, { minLength: 1, maxLength: 80, size: 'max' });
    await fc.assert(fc.asyncProperty(sequences, run), { numRuns: 150, interruptAfterTimeLimit: 15_000 });
  },
});

export const cases: Case[] = [
  agrees('grants and their tokens', grantSteps),
  agrees('codes, artifacts and client access tokens', otherSteps),
];
