import type {
  Attempt,
  Selector,
  StoredAccessToken,
  StoredArtifact,
  StoredClientAccessToken,
  StoredCode,
  StoredGrant,
  StoredRefreshToken,
  TokenKey,
} from '../../functions/domain/ports.ts';
import { type Call, findRefresh, listAccess, listGrants, rotate } from './calls.ts';
import {
  keyOf,
  newAccess,
  newArtifact,
  newAttempt,
  newClientToken,
  newCode,
  newDigest,
  newGrant,
  newName,
  newRefresh,
  newSuccessor,
} from './records.ts';
import type { State } from './reference-model.ts';

// Random steps of the model-based case. A step is chosen by numbers, so that a sequence that fails can be made smaller;
// what the ports leave open is not asked for.

/** Choices that are made from given numbers. */
export interface Dice {
  /** 0 to `sides` - 1. */
  roll(sides: number): number;
  pick<T>(from: readonly T[]): T | undefined;
  /** True once in so many times. */
  once(inTimes: number): boolean;
}

export function createDice(numbers: readonly number[]): Dice {
  let next = 0;
  const roll = (sides: number) => {
    const number = numbers[next % numbers.length] ?? 0;
    next += 1;
    return number % sides;
  };
  return { roll, pick: (from) => from[roll(from.length || 1)], once: (inTimes) => roll(inTimes) === inTimes - 1 };
}

interface KnownGrant {
  readonly grant: StoredGrant;
  readonly sender?: Uint8Array;
  readonly refresh: StoredRefreshToken[];
  readonly access: StoredAccessToken[];
  readonly rotations: { readonly key: TokenKey; readonly attempt: Attempt }[];
}

/** What a run has made so far. The state is the reference's: it tells a step what would be left open. */
export interface World {
  readonly state: State;
  readonly now: () => number;
  readonly nowMs: () => number;
  readonly names: Required<Record<keyof Selector, readonly string[]>>;
  readonly ways: readonly Uint8Array[];
  readonly codes: { readonly code: StoredCode; readonly attempts: Attempt[] }[];
  readonly grants: KnownGrant[];
  readonly artifacts: { readonly artifact: StoredArtifact; readonly attempts: Attempt[] }[];
  readonly tokens: StoredClientAccessToken[];
}

export function newWorld(state: State, clock: Pick<World, 'now' | 'nowMs'>): World {
  const two = (what: string) => [newName(what), newName(what)];
  return {
    state,
    ...clock,
    names: {
      subject: two('subject'),
      clientId: two('client'),
      applicationId: two('application'),
      consentId: two('consent'),
    },
    ways: [newDigest(), newDigest()],
    codes: [],
    grants: [],
    artifacts: [],
    tokens: [],
  };
}

/** Forgets the grants that are not stored, so that no further step is about them. */
export function forgetRemoved(world: World): void {
  world.grants.splice(0, world.grants.length, ...world.grants.filter(({ grant }) => storedGrant(world, grant)));
}

export type Step = (world: World, dice: Dice) => Call | undefined;

const hasEqual = (list: readonly Uint8Array[], one: Uint8Array) => list.some((each) => Buffer.compare(each, one) === 0);
const storedGrant = ({ state }: World, { grantId }: StoredGrant) =>
  state.grants.find(({ grant }) => hasEqual([grantId], grant.grantId));
/** A foreign token may be forgotten at the `retainUntil` that came with it, although its grant is kept for longer. */
const isRemembered = (world: World, { grant }: KnownGrant, key: TokenKey) =>
  key.grantId !== undefined || grant.retainUntil > world.now();
/** That of a foreign token which is added is the grant's at least, so that one time tells of all of them. */
const retainedAs = ({ grant }: KnownGrant, { foreign }: { readonly foreign?: boolean }, retainUntil: number) =>
  foreign ? Math.max(grant.retainUntil, retainUntil) : retainUntil;
const presentable = (world: World, known: KnownGrant | undefined) =>
  known?.refresh.filter((token) => isRemembered(world, known, keyOf(known.grant, token))) ?? [];
/** A new attempt, or one that was made before. */
const attemptOf = (dice: Dice, made: readonly Attempt[]) =>
  (dice.once(3) ? dice.pick(made) : undefined) ?? newAttempt();

function ownerOf({ names }: World, dice: Dice) {
  const [subject, clientId, applicationId, consentId] = [
    dice.pick(names.subject),
    dice.pick(names.clientId),
    dice.pick(names.applicationId),
    dice.pick(names.consentId),
  ];
  return {
    ...(clientId && { clientId }),
    ...(subject && !dice.once(4) && { subject }),
    ...(applicationId && dice.once(2) && { applicationId }),
    ...(consentId && dice.once(2) && { consentId }),
  };
}

/** One to four fields, the first more often. */
function selectorOf(world: World, dice: Dice): Selector {
  const { subject, ...others } = ownerOf(world, dice);
  if (subject && dice.once(2)) return { subject };
  const { clientId, ...few } = others;
  return { ...few, ...(subject && { subject }), ...(clientId && { clientId }) };
}

const tokenLife = (now: number, dice: Dice, foreign = dice.once(5)) => ({
  expiresAt: now + 1 + dice.roll(40),
  ...(foreign && { foreign }),
});
const refreshLife = (now: number, dice: Dice) => ({
  expiresAt: now + 5 + dice.roll(90),
  ...(dice.once(3) && { idleExpiresAt: now + 1 + dice.roll(30) }),
});
const retainFrom = (now: number, dice: Dice) => now + 100 + dice.roll(100);

/** Steps on grants and their tokens. */
export const grantSteps: Record<string, Step> = {
  persist(world, dice) {
    const now = world.now();
    const sender = dice.once(3) ? newDigest() : undefined;
    const planned = dice.once(3) ? dice.pick(world.grants) : undefined;
    const grant = newGrant(now, {
      ...ownerOf(world, dice),
      ...(dice.once(3) && { expiresAt: now + 1 + dice.roll(60) }),
      retainUntil: retainFrom(now, dice),
      ...(planned && { grantId: planned.grant.grantId }),
    });
    const stored = planned && storedGrant(world, planned.grant);
    // Where there is more than one reason to refuse a grant, any of them may be given.
    if (stored?.revokedAt !== undefined || (planned && world.state.revocations.length > 0)) return undefined;
    const access = dice.once(4) ? undefined : newAccess(now, tokenLife(now, dice));
    const foreign = dice.once(5);
    const refresh = dice.once(4)
      ? undefined
      : newRefresh(now, { ...refreshLife(now, dice), ...(foreign && { foreign }), ...(sender && { sender }) });
    const known = {
      grant,
      refresh: refresh ? [refresh] : [],
      access: access ? [access] : [],
      rotations: [],
      ...(sender && { sender }),
    };
    if (!stored) world.grants.push(known);
    const write = { grant, ...(refresh && { refresh }), ...(access && { access }) };
    const authorizedAtMs = world.nowMs() - (dice.once(3) ? dice.roll(5) * 1000 : 0);
    const options = { now, attempt: newAttempt(), authorizedAtMs };
    return { name: 'persist', on: ({ accessTokens }) => accessTokens.persist(write, options) };
  },
  addAccess(world, dice) {
    const now = world.now();
    const known = dice.pick(world.grants);
    if (!known) return undefined;
    const access = newAccess(now, tokenLife(now, dice));
    known.access.push(access);
    const options = { now, attempt: newAttempt(), retainUntil: retainedAs(known, access, retainFrom(now, dice)) };
    const { grantId } = known.grant;
    return { name: 'addAccess', on: ({ accessTokens }) => accessTokens.addAccess(grantId, access, options) };
  },
  addRefresh(world, dice) {
    const now = world.now();
    const known = dice.pick(world.grants);
    if (!known) return undefined;
    const refresh = newRefresh(now, { ...refreshLife(now, dice), ...(known.sender && { sender: known.sender }) });
    known.refresh.push(refresh);
    const options = { now, attempt: newAttempt(), retainUntil: retainedAs(known, refresh, retainFrom(now, dice)) };
    const { grantId } = known.grant;
    // Whose repeats are told apart from reuse is open after this. A grant that came after an earlier one of its id is known twice.
    for (const each of world.grants) if (hasEqual([grantId], each.grant.grantId)) each.rotations.length = 0;
    return { name: 'addRefresh', on: ({ accessTokens }) => accessTokens.addRefresh(grantId, refresh, options) };
  },
  findAccess(world, dice) {
    const now = world.now();
    const known = dice.pick(world.grants);
    const access = dice.pick(known?.access ?? []);
    if (!known || !access) return undefined;
    const grant = dice.once(5) ? (dice.pick(world.grants)?.grant ?? known.grant) : known.grant;
    const key = keyOf(grant, access);
    if (!isRemembered(world, known, key)) return undefined;
    return { name: 'findAccess', on: ({ accessTokens }) => accessTokens.findAccess(key, { now }) };
  },
  findRefresh(world, dice) {
    const known = dice.pick(world.grants);
    const refresh = dice.pick(presentable(world, known));
    if (!known || !refresh || !storedGrant(world, known.grant)) return undefined;
    return findRefresh(keyOf(known.grant, refresh), world.now());
  },
  rotate(world, dice) {
    const now = world.now();
    const known = dice.pick(
      world.grants.filter(({ grant, refresh }) => refresh.length > 0 && storedGrant(world, grant)),
    );
    if (!known) return undefined;
    const { grant, sender, rotations } = known;
    const stored = storedGrant(world, grant);
    const tokens = presentable(world, known);
    const byDigest = (digest = grant.grantId) => tokens.find((token) => hasEqual([token.digest], digest));
    const current = byDigest(stored?.refresh?.digest);
    const last = byDigest(stored?.retired[0]?.digest);
    const presented = [current, current, last, dice.pick(tokens)][dice.roll(4)] ?? tokens[0];
    if (!presented) return undefined;
    const made = rotations.filter(({ key }) => isRemembered(world, known, key));
    const repeated = dice.once(4) ? dice.pick(made) : undefined;
    const key = repeated?.key ?? keyOf(grant, presented);
    const attempt = repeated?.attempt ?? newAttempt();
    const choices = [
      newRefresh(now, refreshLife(now, dice)),
      'none',
      { kept: true, ...(stored?.refresh?.idleExpiresAt !== undefined && { idleExpiresAt: now + 1 + dice.roll(30) }) },
    ] as const;
    const choice = choices[Math.max(0, dice.roll(8) - 5)] ?? 'none';
    if (typeof choice === 'object' && 'digest' in choice) known.refresh.push(choice);
    const { access, ...rest } = newSuccessor(now, {
      refresh: choice,
      access: newAccess(now, tokenLife(now, dice, false)),
      retainUntil: retainFrom(now, dice),
    });
    const successor = dice.once(5) ? rest : { ...rest, access };
    known.access.push(access);
    rotations.push({ key, attempt });
    const presenter = dice.once(10) ? newDigest() : sender;
    const clientId = dice.once(10) ? 'stranger' : grant.clientId;
    const graceSeconds = [10, 3, 0][dice.roll(3)] ?? 0;
    return rotate(key, successor, { clientId, ...(presenter && { sender: presenter }), now, attempt, graceSeconds });
  },
  revokeAccess(world, dice) {
    const now = world.now();
    const known = dice.pick(world.grants);
    const access = dice.pick(known?.access ?? []);
    if (!known || !access) return undefined;
    const options = { now, ...(dice.once(2) && { clientId: dice.once(3) ? 'stranger' : known.grant.clientId }) };
    const key = keyOf(known.grant, access);
    if (!isRemembered(world, known, key)) return undefined;
    return { name: 'revokeAccess', on: ({ accessTokens }) => accessTokens.revokeAccess(key, options) };
  },
  revokeRefresh(world, dice) {
    const now = world.now();
    const known = dice.pick(world.grants);
    const refresh = dice.pick(presentable(world, known));
    if (!known || !refresh || !storedGrant(world, known.grant)) return undefined;
    const options = { now, ...(dice.once(2) && { clientId: dice.once(3) ? 'stranger' : known.grant.clientId }) };
    const key = keyOf(known.grant, refresh);
    return { name: 'revokeRefresh', on: ({ accessTokens }) => accessTokens.revokeRefresh(key, options) };
  },
  revokeGrant(world, dice) {
    const now = world.now();
    const known = dice.once(2) ? dice.pick(world.grants) : undefined;
    const grant = known?.grant ?? newGrant(now);
    if (!known) world.grants.push({ grant, refresh: [], access: [], rotations: [] });
    // Whether this moves the `retainUntil` of a grant that is there is left open.
    const { retainUntil = now + 30 + dice.roll(60) } = storedGrant(world, grant)?.grant ?? {};
    const options = { now, retainUntil };
    return { name: 'revokeGrant', on: ({ accessTokens }) => accessTokens.revokeGrant(grant.grantId, options) };
  },
  revokeAccessOfGrant(world, dice) {
    const now = world.now();
    const grantId = dice.pick(world.grants)?.grant.grantId;
    // A token that is issued in the same second may end too: only those of earlier seconds are certain.
    const stored = world.state.grants.find(({ grant }) => grantId && hasEqual([grantId], grant.grantId));
    if (!grantId || stored?.tokens.some(({ access }) => access.issuedAt >= now)) return undefined;
    const at = { now: now - 1 };
    return {
      name: 'revokeAccessOfGrant',
      on: ({ accessTokens }) => accessTokens.revokeAccessOfGrant(grantId, at),
    };
  },
  revokeBy(world, dice) {
    const selector = selectorOf(world, dice);
    const options = { nowMs: world.nowMs(), retainUntil: world.now() + 20 + dice.roll(60) };
    return { name: 'revokeBy', on: ({ accessTokens }) => accessTokens.revokeBy(selector, options) };
  },
  listGrants: (world, dice) => listGrants(selectorOf(world, dice), 1 + dice.roll(4)),
  listAccess(world, dice) {
    const grantId = dice.pick(world.grants)?.grant.grantId;
    return grantId && listAccess(grantId, 1 + dice.roll(4));
  },
};

/** Steps on codes, artifacts and client access tokens. */
export const otherSteps: Record<string, Step> = {
  addCode(world, dice) {
    const now = world.now();
    const known = dice.once(3) ? dice.pick(world.codes) : undefined;
    const code = newCode(now, {
      expiresAt: now + 1 + dice.roll(30),
      retainUntil: now + 40 + dice.roll(60),
      ...(known && { digest: known.code.digest }),
    });
    const attempt = newAttempt();
    if (!known) world.codes.push({ code, attempts: [] });
    return {
      name: known ? 'add a code with a digest that was used' : 'add a code',
      on: ({ authorizationCodes }) => authorizationCodes.add(code, { now, attempt }),
    };
  },
  findCode(world, dice) {
    const now = world.now();
    const digest = dice.pick(world.codes)?.code.digest ?? newDigest();
    return { name: 'find a code', on: ({ authorizationCodes }) => authorizationCodes.find(digest, { now }) };
  },
  redeem(world, dice) {
    const now = world.now();
    const known = dice.pick(world.codes);
    if (!known) return undefined;
    const { digest, binding } = known.code;
    const attempt = attemptOf(dice, known.attempts);
    known.attempts.push(attempt);
    const options = { binding: dice.once(4) ? newDigest() : binding, now, attempt };
    return { name: 'redeem', on: ({ authorizationCodes }) => authorizationCodes.redeem(digest, options) };
  },
  removeCode(world, dice) {
    const digest = dice.pick(world.codes)?.code.digest;
    return digest && { name: 'remove a code', on: ({ authorizationCodes }) => authorizationCodes.remove(digest) };
  },

  putArtifact(world, dice) {
    const now = world.now();
    const known = dice.once(2) ? dice.pick(world.artifacts) : undefined;
    const { expiresAt, retainUntil, ...lasting } = newArtifact(now, { kind: dice.once(2) ? 'Session' : 'DeviceCode' });
    const [uid, userCode, consentId] = [dice.pick(world.ways), dice.pick(world.ways), dice.pick(world.names.consentId)];
    const artifact = {
      ...lasting,
      ...(known && { kind: known.artifact.kind, id: known.artifact.id }),
      ...(!dice.once(5) && { expiresAt: now + 1 + dice.roll(40), retainUntil: now + 50 + dice.roll(50) }),
      ...(uid && dice.once(2) && { uid }),
      ...(userCode && dice.once(2) && { userCode }),
      ...(consentId && dice.once(2) && { consentId }),
    };
    if (!known) world.artifacts.push({ artifact, attempts: [] });
    return { name: 'put an artifact', on: ({ artifacts }) => artifacts.put(artifact, { now }) };
  },
  putOnce(world, dice) {
    const now = world.now();
    const id = dice.pick(world.ways) ?? newDigest();
    const expiresAt = now + 1 + dice.roll(20);
    const artifact = newArtifact(now, { kind: 'ReplayDetection', id, expiresAt, retainUntil: expiresAt + 10 });
    const options = { now, attempt: newAttempt() };
    return { name: 'putOnce', on: ({ artifacts }) => artifacts.putOnce(artifact, options) };
  },
  findArtifact(world, dice) {
    const now = world.now();
    const { kind, id } = dice.pick(world.artifacts)?.artifact ?? { kind: 'Session', id: newDigest() };
    return { name: 'find an artifact', on: ({ artifacts }) => artifacts.find(kind, id, { now }) };
  },
  findArtifactByWay(world, dice) {
    const now = world.now();
    const kind = dice.once(2) ? 'Session' : 'DeviceCode';
    const way = dice.pick(world.ways) ?? newDigest();
    return dice.once(2)
      ? { name: 'findByUid', on: ({ artifacts }) => artifacts.findByUid(kind, way, { now }) }
      : { name: 'findByUserCode', on: ({ artifacts }) => artifacts.findByUserCode(kind, way, { now }) };
  },
  consume(world, dice) {
    const now = world.now();
    const known = dice.pick(world.artifacts);
    if (!known) return undefined;
    const { kind, id } = known.artifact;
    const attempt = attemptOf(dice, known.attempts);
    known.attempts.push(attempt);
    return { name: 'consume', on: ({ artifacts }) => artifacts.consume(kind, id, { now, attempt }) };
  },
  removeArtifact(world, dice) {
    const known = dice.pick(world.artifacts)?.artifact;
    return known && { name: 'remove an artifact', on: ({ artifacts }) => artifacts.remove(known.kind, known.id) };
  },
  removeByConsent(world, dice) {
    const consentId = dice.pick(world.names.consentId);
    return consentId === undefined
      ? undefined
      : { name: 'removeByConsent', on: ({ artifacts }) => artifacts.removeByConsent(consentId) };
  },

  putClientToken(world, dice) {
    const now = world.now();
    const [clientId, key] = [dice.pick(world.names.clientId), dice.pick(world.names.subject)];
    const token = newClientToken(now, {
      ...(clientId && { clientId }),
      ...(key && { key }),
      expiresAt: now + 1 + dice.roll(30),
    });
    world.tokens.push(token);
    return { name: 'put a client token', on: ({ clientAccessTokens }) => clientAccessTokens.put(token) };
  },
  getClientToken(world, dice) {
    const now = world.now();
    const token = dice.pick(world.tokens);
    return (
      token && {
        name: 'get a client token',
        on: ({ clientAccessTokens }) => clientAccessTokens.get(token.clientId, token.key, { now }),
      }
    );
  },
  removeClientToken(world, dice) {
    const token = dice.pick(world.tokens);
    const now = world.now();
    const isOver = world.state.clientTokens.some(
      ({ clientId, key, expiresAt }) => clientId === token?.clientId && key === token?.key && expiresAt <= now,
    );
    if (!token || isOver) return undefined;
    return {
      name: 'remove a client token',
      on: ({ clientAccessTokens }) => clientAccessTokens.remove(token.clientId, token.key),
    };
  },
};
