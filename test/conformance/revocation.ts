import assert from 'node:assert/strict';
import type { AccessTokenStore, Engine, Selector, StoredGrant } from '../../functions/domain/ports.ts';
import type { Case } from './harness.ts';
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
  newName,
  newSuccessor,
  refreshOutcome,
  rotate,
  rounds,
  same,
  tally,
  withKeys,
} from './records.ts';

const RETAIN = 30 * DAY;

const newOwner = () => ({
  subject: newName('subject'),
  clientId: newName('client'),
  applicationId: newName('application'),
  consentId: newName('consent'),
});

/** Whether any token of these grants is good: `active` among the outcomes, or not. */
async function states(accessTokens: AccessTokenStore, issued: readonly Issued[], now: number) {
  const outcomes = issued.flatMap(({ accessKey, refreshKey }) => [
    accessOutcome(accessTokens, accessKey, now),
    refreshOutcome(accessTokens, refreshKey, now),
  ]);
  return tally(await Promise.all(outcomes));
}

const revokedOn = async (accessTokens: AccessTokenStore, { clientId, grantId }: StoredGrant) => {
  const { grants } = await accessTokens.listGrants({ clientId }, { limit: 1000 });
  return grants.find(({ grant }) => Buffer.compare(grant.grantId, grantId) === 0)?.revokedAt;
};

/** Grants that match the selector, and one for each of its fields that differs in that field alone. */
function bySelector(fields: readonly (keyof Selector)[], words: string): Case {
  return {
    guarantee: 'G6',
    name: `revoking by ${words} ends every grant that matches in all of it, and no other`,
    async run(stage) {
      const { accessTokens, clock } = stage;
      const now = clock.now();
      const owner = newOwner();
      const selector = Object.fromEntries(fields.map((field) => [field, owner[field]]));
      const matching: Issued[] = [];
      while (matching.length < 3) matching.push(await issue(stage, { grant: owner }));
      const others: Issued[] = [];
      for (const field of fields) others.push(await issue(stage, { grant: { ...owner, [field]: newName(field) } }));
      const { clientId, createdAt, grantId, retainUntil, data } = newGrant(now);
      const bare = { grantId, createdAt, retainUntil, data };
      const ownerless = { ...bare, clientId: fields.includes('clientId') ? owner.clientId : clientId };
      const accessOfBare = newAccess(now);
      // A grant of this client alone does not match by subject, application or consent, which it has not.
      const matchesBare = fields.length === 1 && fields[0] === 'clientId';
      await accessTokens.persist({ grant: ownerless, access: accessOfBare }, { now, attempt: newAttempt() });
      const revoke = () => accessTokens.revokeBy(selector, { nowMs: clock.nowMs(), retainUntil: now + RETAIN });
      assert.equal(await revoke(), matchesBare ? 4 : 3);
      assert.deepEqual(await states(accessTokens, matching, now), { revoked: 6 });
      assert.deepEqual(await states(accessTokens, others, now), { active: 2 * others.length });
      const expected = matchesBare ? 'revoked' : 'active';
      assert.equal(await accessOutcome(accessTokens, keyOf(ownerless, accessOfBare), now), expected);
      for (const { grant } of matching) assert.equal(await revokedOn(accessTokens, grant), now);
      assert.equal(await revoke(), 0);
      assert.deepEqual(await states(accessTokens, matching, now), { revoked: 6 });
    },
  };
}

export const cases: Case[] = [
  {
    guarantee: 'G6',
    name: 'an access token that was revoked is not active any more; the grant and its other tokens go on',
    async run(stage) {
      const { accessTokens } = stage;
      const now = stage.clock.now();
      const { grant, access, accessKey, refreshKey } = await issue(stage);
      const other = newAccess(now);
      const options = { now, attempt: newAttempt(), retainUntil: grant.retainUntil };
      await accessTokens.addAccess(grant.grantId, other, options);
      assert.equal(await accessTokens.revokeAccess(accessKey, { now: now + 3 }), true);
      same(await accessTokens.findAccess(accessKey, { now: now + 3 }), { outcome: 'revoked', access, grant });
      assert.equal(await accessOutcome(accessTokens, keyOf(grant, other), now + 3), 'active');
      assert.equal(await refreshOutcome(accessTokens, refreshKey, now + 3), 'active');
      const { tokens } = await accessTokens.listAccess(grant.grantId, { limit: 10 });
      const ended = tokens.filter(({ revokedAt }) => revokedAt !== undefined);
      same(ended, [{ ...access, revokedAt: now + 3 }]);
      assert.equal(tokens.length, 2);
      await accessTokens.revokeAccess(accessKey, { now: now + 4 });
      assert.equal(await accessOutcome(accessTokens, accessKey, now + 4), 'revoked');
    },
  },
  {
    guarantee: 'G6',
    name: 'a refresh token, present or past, takes its grant along with all its tokens',
    async run(stage) {
      const { accessTokens } = stage;
      const now = stage.clock.now();
      for (const generation of [0, 1, 2]) {
        const { grant, refreshKey, accessKey } = await issue(stage);
        const successors = [newSuccessor(now), newSuccessor(now)];
        const keys = [refreshKey];
        for (const successor of successors) {
          await rotate(accessTokens, grant, keys.at(-1) ?? refreshKey, successor, { now });
          keys.push(keyOf(grant, successor.refresh));
        }
        assert.equal(await accessTokens.revokeRefresh(keys[generation] ?? refreshKey, { now }), true);
        for (const key of [accessKey, ...successors.map(({ access }) => keyOf(grant, access))]) {
          assert.equal(await accessOutcome(accessTokens, key, now), 'revoked');
        }
        assert.equal(await refreshOutcome(accessTokens, keys.at(-1) ?? refreshKey, now), 'revoked');
        const current = keys.at(-1) ?? refreshKey;
        same(await rotate(accessTokens, grant, current, newSuccessor(now), { now }), { outcome: 'revoked' });
        assert.equal(await revokedOn(accessTokens, grant), now);
      }
    },
  },
  {
    guarantee: 'G6',
    name: 'a foreign token is revoked by its digest alone, a retired one too',
    async run(stage) {
      const { accessTokens } = stage;
      const now = stage.clock.now();
      const foreign = true;
      const { grant, refreshKey, accessKey } = await issue(stage, { refresh: { foreign }, access: { foreign } });
      assert.equal(await accessTokens.revokeAccess(accessKey, { now }), true);
      assert.equal(await accessOutcome(accessTokens, accessKey, now), 'revoked');
      assert.equal(await refreshOutcome(accessTokens, refreshKey, now), 'active');
      const successor = newSuccessor(now);
      await rotate(accessTokens, grant, refreshKey, successor, { now });
      assert.equal(await accessTokens.revokeRefresh(refreshKey, { now }), true);
      assert.equal(await accessOutcome(accessTokens, keyOf(grant, successor.access), now), 'revoked');
      assert.equal(await refreshOutcome(accessTokens, keyOf(grant, successor.refresh), now), 'revoked');
    },
  },
  {
    guarantee: 'G6',
    name: 'a token is ended for its own client only, where one is named; an unknown one is nothing to end',
    async run(stage) {
      const { accessTokens } = stage;
      const now = stage.clock.now();
      const issued = await issue(stage);
      const { grant, accessKey, refreshKey } = issued;
      for (const clientId of ['stranger', `${grant.clientId} `, grant.clientId.toUpperCase()]) {
        assert.equal(await accessTokens.revokeAccess(accessKey, { now, clientId }), false);
        assert.equal(await accessTokens.revokeRefresh(refreshKey, { now, clientId }), false);
      }
      for (const key of [{ digest: newDigest() }, { digest: newDigest(), grantId: newGrant(now).grantId }]) {
        assert.equal(await accessTokens.revokeAccess(key, { now }), false);
        assert.equal(await accessTokens.revokeRefresh(key, { now }), false);
      }
      const elsewhere = { digest: accessKey.digest, grantId: newGrant(now).grantId };
      assert.equal(await accessTokens.revokeAccess(elsewhere, { now }), false);
      assert.deepEqual(await states(accessTokens, [issued], now), { active: 2 });
      const { clientId } = grant;
      assert.equal(await accessTokens.revokeAccess(accessKey, { now, clientId }), true);
      assert.equal(await accessTokens.revokeRefresh(refreshKey, { now, clientId }), true);
      assert.deepEqual(await states(accessTokens, [issued], now), { revoked: 2 });
    },
  },
  {
    guarantee: 'G6',
    name: 'a revoked grant has no active token, takes no further one, and stays revoked',
    async run(stage) {
      const { accessTokens } = stage;
      const now = stage.clock.now();
      const issued = await issue(stage);
      const other = await issue(stage, { grant: { clientId: issued.grant.clientId } });
      const { grant, access, refresh, accessKey, refreshKey } = issued;
      const { grantId, retainUntil } = grant;
      await accessTokens.revokeGrant(grantId, { now: now + 2, retainUntil });
      same(await accessTokens.findAccess(accessKey, { now: now + 2 }), { outcome: 'revoked', access, grant });
      same(await accessTokens.findRefresh(refreshKey, { now: now + 2 }), {
        outcome: 'revoked',
        refresh,
        issuedAt: grant.createdAt,
        grant,
      });
      const options = () => ({ now: now + 2, attempt: newAttempt(), retainUntil });
      assert.equal(await accessTokens.addAccess(grantId, newAccess(now), options()), 'revoked');
      assert.equal(await revokedOn(accessTokens, grant), now + 2);
      await accessTokens.revokeGrant(grantId, { now: now + 9, retainUntil });
      assert.deepEqual(await states(accessTokens, [issued], now), { revoked: 2 });
      assert.deepEqual(await states(accessTokens, [other], now), { active: 2 });
    },
  },
  {
    guarantee: 'G6',
    name: 'a grant that is revoked before it comes is revoked when it comes, until the latest retainUntil, and nothing of it is stored',
    async run(stage) {
      const { accessTokens, clock } = stage;
      const now = clock.now();
      const grant = newGrant(now);
      const retainUntil = now + 100;
      const { access, refresh } = newSuccessor(now);
      for (const until of [retainUntil - 50, retainUntil, retainUntil - 20]) {
        await accessTokens.revokeGrant(grant.grantId, { now, retainUntil: until });
      }
      for (const at of [now, retainUntil - 1]) {
        await accessTokens.purgeExpired({ now: at, limit: 1_000_000 });
        const options = { now: at, attempt: newAttempt(), authorizedAtMs: at * 1000 };
        assert.equal(await accessTokens.persist({ grant, access, refresh }, options), 'revoked');
        assert.equal(await accessOutcome(accessTokens, keyOf(grant, access), at), 'unknown');
        assert.notEqual(await refreshOutcome(accessTokens, keyOf(grant, refresh), at), 'active');
        same(await accessTokens.listGrants({ clientId: grant.clientId }, { limit: 10 }), { grants: [] });
        same(await accessTokens.listAccess(grant.grantId, { limit: 10 }), { tokens: [] });
      }
    },
  },
  {
    guarantee: 'G6',
    name: 'revoking the access tokens of a grant ends those that it has; its refresh token and later ones go on',
    async run(stage) {
      const { accessTokens } = stage;
      const now = stage.clock.now();
      const { grant, accessKey, refreshKey } = await issue(stage);
      const other = await issue(stage, { grant: { clientId: grant.clientId } });
      const { grantId, retainUntil } = grant;
      const further = newAccess(now);
      await accessTokens.addAccess(grantId, further, { now, attempt: newAttempt(), retainUntil });
      await accessTokens.revokeAccessOfGrant(grantId, { now: now + 1 });
      for (const key of [accessKey, keyOf(grant, further)]) {
        assert.equal(await accessOutcome(accessTokens, key, now + 1), 'revoked');
      }
      assert.equal(await refreshOutcome(accessTokens, refreshKey, now + 1), 'active');
      const successor = newSuccessor(now + 2);
      const rotated = await rotate(accessTokens, grant, refreshKey, successor, { now: now + 2 });
      assert.equal(rotated.outcome, 'rotated');
      assert.equal(await accessOutcome(accessTokens, keyOf(grant, successor.access), now + 2), 'active');
      assert.equal(await accessOutcome(accessTokens, accessKey, now + 2), 'revoked');
      const { tokens } = await accessTokens.listAccess(grantId, { limit: 10 });
      assert.equal(tokens.filter(({ revokedAt }) => revokedAt === now + 1).length, 2);
      assert.equal(tokens.length, 3);
      await accessTokens.revokeAccessOfGrant(newGrant(now).grantId, { now });
      assert.deepEqual(await states(accessTokens, [other], now + 2), { active: 2 });
    },
  },
  bySelector(['subject'], 'subject'),
  bySelector(['clientId'], 'client'),
  bySelector(['applicationId'], 'application'),
  bySelector(['consentId'], 'consent'),
  bySelector(['subject', 'clientId'], 'subject and client'),
  bySelector(['subject', 'applicationId'], 'subject and application'),
  bySelector(['subject', 'clientId', 'applicationId', 'consentId'], 'subject, client, application and consent'),
  {
    guarantee: 'G6',
    name: 'a grant authorized before a revocation that concerns it, or at the same millisecond, is barred when it comes later',
    async run({ accessTokens, clock }) {
      const now = clock.now();
      const nowMs = clock.nowMs() + 500;
      for (const given of [
        ['subject', 'clientId', 'applicationId', 'consentId'],
        ['subject', 'clientId'],
      ] as const) {
        const owner = newOwner();
        const selector = Object.fromEntries(given.map((field) => [field, owner[field]]));
        const come = async (fields: Partial<StoredGrant>, authorizedAtMs: number) => {
          const grant = newGrant(now, { ...owner, ...fields });
          const access = newAccess(now);
          const options = { now: now + 1, attempt: newAttempt(), authorizedAtMs };
          const outcome = await accessTokens.persist({ grant, access }, options);
          const found = await accessOutcome(accessTokens, keyOf(grant, access), now + 1);
          assert.equal(found, outcome === 'persisted' ? 'active' : 'unknown');
          return outcome;
        };
        assert.equal(await come({}, nowMs - 1), 'persisted');
        await accessTokens.revokeBy(selector, { nowMs, retainUntil: now + RETAIN });
        for (const [authorizedAtMs, expected] of [
          [nowMs - HOUR * 1000, 'barred'],
          [nowMs - 1, 'barred'],
          [nowMs, 'barred'],
          [nowMs + 1, 'persisted'],
          [nowMs + 400, 'persisted'],
        ] as const) {
          assert.equal(await come({}, authorizedAtMs), expected);
        }
        for (const field of given) {
          assert.equal(await come({ [field]: newName(field) }, nowMs - 1), 'persisted');
        }
      }
    },
  },
  {
    guarantee: 'G6',
    name: 'a revocation by each field alone is remembered against grants that come later: by the latest of several, whatever the order',
    async run({ accessTokens, clock }) {
      const now = clock.now();
      const nowMs = clock.nowMs();
      for (const field of ['subject', 'clientId', 'applicationId', 'consentId'] as const) {
        const owner = { [field]: newName(field) };
        const come = (authorizedAtMs: number) =>
          accessTokens.persist({ grant: newGrant(now, owner) }, { now, attempt: newAttempt(), authorizedAtMs });
        await accessTokens.revokeBy(owner, { nowMs: nowMs - 2000, retainUntil: now + DAY });
        await accessTokens.revokeBy(owner, { nowMs, retainUntil: now + RETAIN });
        await accessTokens.revokeBy(owner, { nowMs: nowMs - 5000, retainUntil: now + DAY });
        assert.equal(await come(nowMs), 'barred');
        assert.equal(await come(nowMs + 1), 'persisted');
        await accessTokens.purgeExpired({ now: now + DAY, limit: 100_000 });
        assert.equal(await come(nowMs), 'barred');
      }
    },
  },
  {
    guarantee: 'G6',
    name: 'twelve hundred grants of one subject end in one call, and no grant of another',
    async run(stage) {
      const { accessTokens, clock } = stage;
      const now = clock.now();
      const subject = newName('subject');
      const neighbours = [await issue(stage), await issue(stage, { grant: { subject: `${subject}0` } })];
      const issued: Issued[] = [];
      while (issued.length < 1200) {
        issued.push(...(await Promise.all(many(50, () => issue(stage, { grant: { subject } })))));
      }
      const ended = await accessTokens.revokeBy({ subject }, { nowMs: clock.nowMs(), retainUntil: now + RETAIN });
      assert.equal(ended, 1200);
      assert.deepEqual(await states(accessTokens, issued, now), { revoked: 2400 });
      assert.deepEqual(await states(accessTokens, neighbours, now), { active: 4 });
    },
  },
  {
    guarantee: 'G6',
    name: 'after a revoke that raced rotations nothing of the grant is active, and a rotation gets revoked',
    async run(stage) {
      const { clock } = stage;
      const now = clock.now();
      const ways: ((engine: Engine, issued: Issued) => Promise<unknown>)[] = [
        ({ accessTokens }, { grant }) =>
          accessTokens.revokeGrant(grant.grantId, { now, retainUntil: grant.retainUntil }),
        ({ accessTokens }, { refreshKey }) => accessTokens.revokeRefresh(refreshKey, { now }),
        ({ accessTokens }, { grant: { clientId } }) =>
          accessTokens.revokeBy({ clientId }, { nowMs: clock.nowMs(), retainUntil: now + RETAIN }),
      ];
      for (let round = rounds(stage, 100); round > 0; round -= 1) {
        const issued = await issue(stage);
        const { grant, refreshKey, accessKey } = issued;
        const successors = many(5, () => newSuccessor(now));
        const calls = successors.map((successor): ((engine: Engine) => Promise<unknown>) => {
          return ({ accessTokens }) => rotate(accessTokens, grant, refreshKey, successor, { now });
        });
        calls.splice(2, 0, (engine) => Promise.resolve(ways[round % ways.length]?.(engine, issued)));
        await atOnce(stage, calls, (engine, call) => call(engine));
        const { accessTokens } = stage;
        assert.equal(await accessOutcome(accessTokens, accessKey, now), 'revoked');
        for (const { access, refresh } of successors) {
          assert.notEqual(await accessOutcome(accessTokens, keyOf(grant, access), now), 'active');
          assert.notEqual(await refreshOutcome(accessTokens, keyOf(grant, refresh), now), 'active');
        }
        same(await rotate(accessTokens, grant, refreshKey, newSuccessor(now), { now }), { outcome: 'revoked' });
      }
    },
  },
  {
    guarantee: 'G6',
    name: 'from the return of a revoke no lookup that starts later, on any engine, finds the token active',
    async run(stage) {
      const now = stage.clock.now();
      for (let round = rounds(stage, 30); round > 0; round -= 1) {
        const { accessKey, refreshKey } = await issue(stage);
        let revoked = false;
        await atOnce(
          stage,
          many(12, (caller) => caller),
          async ({ accessTokens }, caller) => {
            if (caller === 5) {
              const ended =
                round % 2
                  ? accessTokens.revokeAccess(accessKey, { now })
                  : accessTokens.revokeRefresh(refreshKey, { now });
              assert.equal(await ended, true);
              revoked = true;
              return;
            }
            for (let look = 0; look < 8; look += 1) {
              const startedLater = revoked;
              const outcome = await accessOutcome(accessTokens, accessKey, now);
              assert.ok(outcome === 'revoked' || (outcome === 'active' && !startedLater), outcome);
            }
          },
        );
      }
    },
  },
  {
    guarantee: 'G6',
    name: 'a revoke by subject that raced grants being stored and rotated leaves none alive that was authorized before it',
    async run(stage) {
      const { clock } = stage;
      const now = clock.now();
      const nowMs = clock.nowMs();
      for (let round = rounds(stage, 30); round > 0; round -= 1) {
        const subject = newName('subject');
        const standing: Issued[] = [];
        while (standing.length < 4) standing.push(await issue(stage, { grant: { subject } }));
        const alive = [...standing];
        const calls = standing.flatMap(({ grant, refreshKey }) =>
          many(6, (age): ((engine: Engine) => Promise<unknown>) => {
            const successor = newSuccessor(now);
            const { access, refresh } = successor;
            const rotates = age % 2 === 0;
            const owner = rotates ? grant : newGrant(now, { subject });
            alive.push(withKeys(owner, successor));
            const options = { now, attempt: newAttempt(), authorizedAtMs: nowMs - age };
            return ({ accessTokens }) =>
              rotates
                ? rotate(accessTokens, grant, refreshKey, successor, { now })
                : accessTokens.persist({ grant: owner, access, refresh }, options);
          }),
        );
        calls.splice(12, 0, ({ accessTokens }) =>
          accessTokens.revokeBy({ subject }, { nowMs, retainUntil: now + RETAIN }),
        );
        await atOnce(stage, calls, (engine, call) => call(engine));
        const outcomes = await states(stage.accessTokens, alive, now);
        assert.equal(outcomes.active, undefined, JSON.stringify(outcomes));
      }
    },
  },
];
