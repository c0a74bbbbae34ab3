import assert from 'node:assert/strict';
import type { Engine } from '../../functions/domain/ports.ts';
import { type Call, findRefresh, resultOf, rotate } from './calls.ts';
import type { Case, Stage } from './harness.ts';
import {
  DAY,
  issue,
  keyOf,
  many,
  newAccess,
  newAttempt,
  newCode,
  newDigest,
  newGrant,
  newRefresh,
  newSuccessor,
  plain,
  rounds,
} from './records.ts';
import { createReference, emptyState, type State } from './reference-model.ts';
import { createDice, type Dice } from './steps.ts';

/** A call that was made, when (in order of events, not of a clock), and what it came to. */
interface Done {
  readonly call: Call;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly result: unknown;
}

/**
 * Whether the calls can be put in one order in which the reference gives each its result, and in which none stands before
 * one that had ended before it started (Herlihy and Wing 1990; the search of Wing and Gong 1993, remembering where it has
 * been).
 */
async function isLinearizable(start: State, history: readonly Done[]): Promise<boolean> {
  const seen = new Set<string>();
  const search = async (state: State, left: readonly Done[]): Promise<boolean> => {
    if (left.length === 0) return true;
    const place = `${left.map((done) => history.indexOf(done))} ${JSON.stringify(plain(state))}`;
    if (seen.has(place)) return false;
    seen.add(place);
    const firstEnd = Math.min(...left.map(({ endedAt }) => endedAt));
    for (const done of left) {
      if (done.startedAt > firstEnd) continue;
      const next = structuredClone(state);
      const result = await resultOf(done.call, createReference(next));
      if (JSON.stringify(result) !== JSON.stringify(done.result)) continue;
      if (
        await search(
          next,
          left.filter((other) => other !== done),
        )
      )
        return true;
    }
    return false;
  };
  return search(start, history);
}

/** A client that makes its calls one after another, each chosen when its turn comes. */
type Client = readonly (() => Call)[];

/** Lets the clients loose on an engine each, and writes down what they saw. */
async function record(engines: readonly Engine[], clients: readonly Client[]): Promise<Done[]> {
  const history: Done[] = [];
  let event = 0;
  const work = clients.map(async (turns, index) => {
    for (const turn of turns) {
      const call = turn();
      const startedAt = event++;
      const result = await resultOf(call, engines[index % engines.length] ?? assert.fail('no engine'));
      history.push({ call, startedAt, endedAt: event++, result });
    }
  });
  await Promise.all(work);
  return history;
}

const told = (history: readonly Done[]) =>
  history
    .toSorted((one, two) => one.startedAt - two.startedAt)
    .map(({ call, startedAt, endedAt, result }) => `${startedAt}-${endedAt} ${call.name}: ${JSON.stringify(result)}`)
    .join('\n');

/** What clients do to one object, chosen by dice. */
interface Play {
  /** Stores the object in the engine and in the state that the history starts from. */
  prepare(stage: Stage, state: State): Promise<(dice: Dice) => Call>;
}

const onCode: Play = {
  async prepare({ authorizationCodes, clock }, state) {
    const now = clock.now();
    const code = newCode(now);
    const { digest, binding, expiresAt } = code;
    const first = newAttempt();
    for (const engine of [{ authorizationCodes }, createReference(state)]) {
      await engine.authorizationCodes.add(code, { now, attempt: first });
    }
    const attempts = many(3, newAttempt);
    return (dice) => {
      const at = dice.once(5) ? expiresAt : now;
      if (dice.once(4)) {
        return { name: 'find', on: ({ authorizationCodes }) => authorizationCodes.find(digest, { now: at }) };
      }
      if (dice.once(12)) return { name: 'remove', on: ({ authorizationCodes }) => authorizationCodes.remove(digest) };
      const attempt = dice.pick(attempts) ?? newAttempt();
      const options = { binding: dice.once(5) ? newDigest() : binding, now: at, attempt };
      return { name: 'redeem', on: ({ authorizationCodes }) => authorizationCodes.redeem(digest, options) };
    };
  },
};

/** Rotations, revocations and lookups of one grant; whoever has rotated goes on with what it was given. */
const onGrant: Play = {
  async prepare(stage, state) {
    const now = stage.clock.now();
    const issued = await issue(stage, { refresh: { idleExpiresAt: now + 60 } });
    const { grant, access, refresh, refreshKey, accessKey } = issued;
    await createReference(state).accessTokens.persist({ grant, access, refresh }, { now, attempt: newAttempt() });
    const { grantId, clientId, retainUntil } = grant;
    const keys = [refreshKey];
    const accessKeys = [accessKey];
    const attempts = many(2, newAttempt);
    const rotation = (dice: Dice): Call => {
      const key = (dice.once(3) ? dice.pick(keys) : keys.at(-1)) ?? refreshKey;
      const choices = [newRefresh(now), 'none', { kept: true, idleExpiresAt: now + 90 }] as const;
      const successor = newSuccessor(now, { refresh: choices[Math.max(0, dice.roll(10) - 7)] ?? 'none' });
      const options = {
        clientId: dice.once(10) ? 'stranger' : clientId,
        now: now + (dice.once(6) ? 15 : dice.roll(3)),
        attempt: (dice.once(4) ? dice.pick(attempts) : undefined) ?? newAttempt(),
        graceSeconds: 10,
      };
      accessKeys.push(keyOf(grant, successor.access));
      const call = rotate(key, successor, options);
      const on = async (engine: Engine) => {
        const outcome = await call.on(engine);
        const { refresh: next } = successor;
        const rotated = JSON.stringify(plain(outcome)).includes('"rotated"');
        if (rotated && typeof next === 'object' && 'digest' in next) keys.push(keyOf(grant, next));
        return outcome;
      };
      return { ...call, on };
    };
    const revocations: Call['on'][] = [
      ({ accessTokens }) => accessTokens.revokeGrant(grantId, { now, retainUntil }),
      ({ accessTokens }) => accessTokens.revokeRefresh(refreshKey, { now }),
      ({ accessTokens }) => accessTokens.revokeBy({ clientId }, { nowMs: now * 1000, retainUntil }),
    ];
    return (dice) => {
      const key = dice.pick(accessKeys) ?? accessKey;
      switch (dice.roll(16)) {
        case 0:
          return { name: 'revoke the grant', on: dice.pick(revocations) ?? assert.fail('no revocation') };
        case 1:
          return { name: 'revokeAccess', on: ({ accessTokens }) => accessTokens.revokeAccess(key, { now }) };
        case 2: {
          const further = newAccess(now);
          accessKeys.push(keyOf(grant, further));
          const options = { now, attempt: newAttempt(), retainUntil };
          return { name: 'addAccess', on: ({ accessTokens }) => accessTokens.addAccess(grantId, further, options) };
        }
        case 3:
        case 4:
        case 5:
          return findRefresh(dice.pick(keys) ?? refreshKey, now);
        case 6:
        case 7:
        case 8:
          return {
            name: 'findAccess',
            on: async ({ accessTokens }) => (await accessTokens.findAccess(key, { now })).outcome,
          };
        default:
          return rotation(dice);
      }
    };
  },
};

/** A grant that comes while it, or its owner's, is being revoked. */
const onComingGrant: Play = {
  async prepare({ clock }) {
    const now = clock.now();
    const nowMs = clock.nowMs();
    const grant = newGrant(now);
    const { grantId, clientId, subject = '', retainUntil } = grant;
    const { access, refresh } = newSuccessor(now);
    const accessKey = keyOf(grant, access);
    const successor = newSuccessor(now);
    const plays: Call[] = [
      {
        name: 'revokeGrant',
        on: ({ accessTokens }) => accessTokens.revokeGrant(grantId, { now, retainUntil: now + DAY }),
      },
      {
        name: 'revokeBy',
        on: async ({ accessTokens }) => void (await accessTokens.revokeBy({ subject }, { nowMs, retainUntil })),
      },
    ];
    const attempt = newAttempt();
    let isComing = true;
    let isEnding = true;
    return (dice) => {
      // It comes once, and one thing ends it once: for a second, the ports leave open which reason it is refused for.
      if (isComing && dice.once(2)) {
        isComing = false;
        const options = { now, attempt, authorizedAtMs: nowMs - dice.roll(2) };
        return { name: 'persist', on: ({ accessTokens }) => accessTokens.persist({ grant, access, refresh }, options) };
      }
      if (isEnding && dice.once(3)) {
        isEnding = false;
        return dice.pick(plays) ?? assert.fail('nothing to play');
      }
      if (dice.once(4)) {
        const options = { clientId, now, attempt: newAttempt(), graceSeconds: 10 };
        // Before it has come, one that is revoked may be called unknown or revoked.
        const on = async ({ accessTokens }: Engine) => {
          const { outcome } = await accessTokens.rotate(keyOf(grant, refresh), successor, options);
          return outcome === 'rotated' || outcome === 'retried' ? outcome : 'refused';
        };
        return { name: 'rotate', on };
      }
      return {
        name: 'findAccess',
        on: async ({ accessTokens }) => (await accessTokens.findAccess(accessKey, { now })).outcome,
      };
    };
  },
};

const linearizes = (words: string, { prepare }: Play, guarantee: Case['guarantee']): Case => ({
  guarantee,
  omit: ({ capabilities }) =>
    // Codes are not cached.
    guarantee !== 'G3' &&
    capabilities.cachesLookups === true &&
    'a look-up may be answered from a cache while its token is being ended',
  name: `${words} as if one after another, in an order that nobody who looks can tell from the real one`,
  async run(stage) {
    const { default: fc } = await import('fast-check');
    const engines = await stage.engines(4);
    const turn = fc.array(fc.nat(999), { minLength: 4, maxLength: 8 });
    const clients = fc.array(fc.array(turn, { minLength: 1, maxLength: 4 }), { minLength: 2, maxLength: 5 });
    const run = async (numbers: readonly number[][][]) => {
      const state = emptyState();
      const choose = await prepare(stage, state);
      const history = await record(
        engines,
        numbers.map((turns) => turns.map((each) => () => choose(createDice(each)))),
      );
      assert.ok(await isLinearizable(state, history), `no order explains what happened:\n${told(history)}`);
    };
    // A history that fails may pass when it is played again: it is told as it was, not made smaller.
    const numRuns = rounds(stage, 300);
    await fc.assert(fc.asyncProperty(clients, run), { numRuns, endOnFailure: true, interruptAfterTimeLimit: 15_000 });
  },
});

export const cases: Case[] = [
  linearizes('a code is redeemed, found and removed', onCode, 'G3'),
  linearizes('a grant is rotated, added to, found and revoked', onGrant, 'G5'),
  linearizes('a grant that comes while it is being revoked is stored, found, rotated and ended', onComingGrant, 'G6'),
];
