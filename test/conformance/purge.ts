import assert from 'node:assert/strict';
import type { PurgeReport, PurgeRequest, StoredGrant } from '../../functions/domain/ports.ts';
import type { Case, Harness, PurgeKind, Stage } from './harness.ts';
import {
  accessOutcome,
  atOnce,
  DAY,
  issue,
  keyOf,
  many,
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
  refreshOutcome,
  rotate,
  same,
} from './records.ts';

interface Purged {
  purgeExpired(request: PurgeRequest): Promise<PurgeReport>;
}

const kindsOf = {
  authorizationCodes: ['codes'],
  accessTokens: ['accessTokens', 'grants', 'revocations'],
  artifacts: ['artifacts'],
  clientAccessTokens: ['clientAccessTokens'],
} as const satisfies Partial<Record<keyof Stage, readonly PurgeKind[]>>;

type StoreName = keyof typeof kindsOf;

const needs =
  (...kinds: readonly PurgeKind[]) =>
  ({ capabilities: { purges } }: Harness) => {
    const missing = kinds.filter((kind) => !purges.includes(kind));
    return missing.length > 0 && `the engine removes ${missing.join(', ')} by its own expiry`;
  };

/** What a purge removed; what it left is another case. */
const goneBy = ({ removed, more }: PurgeReport) => ({ removed, more });

const total = ({ removed }: PurgeReport) => Object.values(removed).reduce((sum, count) => sum + count, 0);

/** Whether access tokens are counted apart from their grants; else they leave unseen, or with them. */
const purgesTokens = ({ harness }: Stage) => harness.capabilities.purges.includes('accessTokens');

/** Purges until nothing is left to do; how many records went. */
async function purgeAll(store: Purged, now: number, limit = 10_000): Promise<number> {
  for (let sum = 0; ; ) {
    const report = await store.purgeExpired({ now, limit });
    sum += total(report);
    if (!report.more) return sum;
  }
}

/** Removes what earlier cases left, so that a case counts its own records only. */
const clear = (store: Purged, { clock }: Stage) => purgeAll(store, clock.now() + 10_000 * DAY);

const addCodes = async ({ authorizationCodes, clock }: Stage, count: number, retainUntil: number) => {
  const now = clock.now();
  const codes = many(count, () => newCode(now, { retainUntil }));
  for (let index = 0; index < count; index += 50) {
    const some = codes.slice(index, index + 50);
    await Promise.all(some.map((code) => authorizationCodes.add(code, { now, attempt: newAttempt() })));
  }
  return codes;
};

const codesLeft = async ({ authorizationCodes, clock }: Stage, codes: readonly { digest: Uint8Array }[]) => {
  const found = await Promise.all(codes.map(({ digest }) => authorizationCodes.find(digest, { now: clock.now() })));
  return found.filter(({ outcome }) => outcome !== 'unknown').length;
};

const reports = (name: StoreName): Case => ({
  guarantee: 'G8',
  name: `a purge of the ${name} store counts the kinds that it is declared to remove, and removes nothing when nothing is due`,
  async run(stage) {
    await clear(stage[name], stage);
    const declared = kindsOf[name].filter((kind) => stage.harness.capabilities.purges.includes(kind));
    const report = await stage[name].purgeExpired({ now: stage.clock.now(), limit: 10 });
    same(goneBy(report), { removed: Object.fromEntries(declared.map((kind) => [kind, 0])), more: false });
    if (report.backlog.precision !== 'estimated') same(report.backlog, { records: 0, precision: 'exact' });
  },
});

export const cases: Case[] = [
  reports('authorizationCodes'),
  reports('accessTokens'),
  reports('artifacts'),
  reports('clientAccessTokens'),
  {
    guarantee: 'G8',
    name: 'the purge removes the codes that are due and nothing else: an expired or redeemed one stays until retainUntil',
    omit: needs('codes'),
    async run(stage) {
      const { authorizationCodes, clock } = stage;
      await clear(authorizationCodes, stage);
      const now = clock.now();
      const at = now + DAY;
      const due = [...(await addCodes(stage, 3, at)), ...(await addCodes(stage, 2, at - 1))];
      const stays = await addCodes(stage, 4, at + 1);
      for (const { digest, binding } of [...due.slice(0, 2), ...stays.slice(0, 2)]) {
        await authorizationCodes.redeem(digest, { binding, now, attempt: newAttempt() });
      }
      same(goneBy(await authorizationCodes.purgeExpired({ now: at, limit: 100 })), {
        removed: { codes: 5 },
        more: false,
      });
      same(goneBy(await authorizationCodes.purgeExpired({ now: at, limit: 100 })), {
        removed: { codes: 0 },
        more: false,
      });
      for (const { digest, binding } of due) {
        same(await authorizationCodes.find(digest, { now: at }), { outcome: 'unknown' });
        const outcome = await authorizationCodes.redeem(digest, { binding, now: at, attempt: newAttempt() });
        same(outcome, { outcome: 'unknown' });
      }
      for (const [index, { digest, binding, grantId }] of stays.entries()) {
        const outcome = await authorizationCodes.redeem(digest, { binding, now: at, attempt: newAttempt() });
        same(outcome, index < 2 ? { outcome: 'replayed', grantId } : { outcome: 'expired' });
      }
    },
  },
  {
    guarantee: 'G8',
    name: 'the purge removes the access tokens that have expired and nothing else: their grants and refresh tokens go on',
    omit: needs('accessTokens'),
    async run(stage) {
      const { accessTokens, clock } = stage;
      await clear(accessTokens, stage);
      const now = clock.now();
      const at = now + 2 * DAY; // longer than any that an engine keeps with others of the same hour or day
      const { grant, access, accessKey, refreshKey } = await issue(stage, {
        access: { expiresAt: at },
        refresh: { expiresAt: at + DAY },
      });
      const older = newAccess(now, { expiresAt: at - 1, foreign: true });
      const younger = newAccess(now, { expiresAt: at + 1 });
      const ended = newAccess(now, { expiresAt: at + 1 });
      for (const token of [older, younger, ended]) {
        const options = { now, attempt: newAttempt(), retainUntil: grant.retainUntil };
        await accessTokens.addAccess(grant.grantId, token, options);
      }
      await accessTokens.revokeAccess(keyOf(grant, ended), { now });
      same(await accessTokens.findAccess(accessKey, { now: at }), { outcome: 'expired', access, grant });
      const { removed, more } = await accessTokens.purgeExpired({ now: at, limit: 100 });
      assert.deepEqual([removed.accessTokens, removed.grants, more], [2, 0, false]);
      for (const key of [accessKey, keyOf(grant, older)]) {
        same(await accessTokens.findAccess(key, { now: at }), { outcome: 'unknown' });
      }
      same(await accessTokens.findAccess(keyOf(grant, younger), { now: at }), {
        outcome: 'active',
        grant,
        access: younger,
      });
      assert.equal(await accessOutcome(accessTokens, keyOf(grant, ended), at), 'revoked');
      assert.equal(await refreshOutcome(accessTokens, refreshKey, at), 'active');
      assert.equal((await accessTokens.listAccess(grant.grantId, { limit: 10 })).tokens.length, 2);
    },
  },
  {
    guarantee: 'G8',
    name: 'the purge removes the grants that are due with all their tokens and nothing else: an expired or revoked one stays until retainUntil',
    omit: needs('grants'),
    async run(stage) {
      const { accessTokens, clock } = stage;
      await clear(accessTokens, stage);
      const now = clock.now();
      const at = now + 2 * DAY;
      const clientId = newName('client');
      const grants = async (retainUntil: number) => [
        await issue(stage, { grant: { clientId, retainUntil } }),
        await issue(stage, { grant: { clientId, retainUntil, expiresAt: now + 5 } }),
        await issue(stage, { grant: { clientId, retainUntil } }),
      ];
      const due = await grants(at);
      const stays = await grants(at + 1);
      for (const { grant } of [due[2], stays[2]].filter((each) => each !== undefined)) {
        await accessTokens.revokeGrant(grant.grantId, { now, retainUntil: grant.retainUntil });
      }
      const { removed, more } = await accessTokens.purgeExpired({ now: at, limit: 100 });
      assert.deepEqual([removed.grants, more], [3, false]);
      if (purgesTokens(stage)) assert.equal(removed.accessTokens, 6);
      for (const { refreshKey, accessKey, grant } of due) {
        same(await accessTokens.findRefresh(refreshKey, { now: at }), { outcome: 'unknown' });
        same(await accessTokens.findAccess(accessKey, { now: at }), { outcome: 'unknown' });
        same(await rotate(accessTokens, grant, refreshKey, newSuccessor(at), { now: at }), { outcome: 'unknown' });
      }
      const states: string[] = [];
      for (const { refreshKey } of stays) states.push(await refreshOutcome(accessTokens, refreshKey, at));
      assert.deepEqual(states, ['expired', 'expired', 'revoked']);
      const listed = await accessTokens.listGrants({ clientId }, { limit: 10 });
      assert.equal(listed.grants.length, 3);
      assert.equal(listed.next, undefined);
    },
  },
  {
    guarantee: 'G8',
    name: 'a grant whose retainUntil a later token or rotation has moved is not removed before that',
    omit: needs('grants'),
    async run(stage) {
      const { accessTokens, clock } = stage;
      const now = clock.now();
      const due = now + DAY;
      const moved = [
        await issue(stage, { grant: { retainUntil: due } }),
        await issue(stage, { grant: { retainUntil: due } }),
        await issue(stage, { grant: { retainUntil: due } }),
      ] as const;
      const retainUntil = now + 3 * DAY;
      const [byAccess, byRotation, byKeeping] = moved;
      const options = { now, attempt: newAttempt(), retainUntil };
      await accessTokens.addAccess(byAccess.grant.grantId, newAccess(now), options);
      await rotate(accessTokens, byRotation.grant, byRotation.refreshKey, newSuccessor(now, { retainUntil }), { now });
      const keeping = newSuccessor(now, { refresh: { kept: true }, retainUntil });
      await rotate(accessTokens, byKeeping.grant, byKeeping.refreshKey, keeping, { now });
      const left = async () => {
        const found = moved.map(({ grant: { clientId } }) => accessTokens.listGrants({ clientId }, { limit: 10 }));
        return (await Promise.all(found)).map(({ grants }) => grants.length);
      };
      await purgeAll(accessTokens, retainUntil - 1);
      assert.deepEqual(await left(), [1, 1, 1]);
      await purgeAll(accessTokens, retainUntil);
      assert.deepEqual(await left(), [0, 0, 0]);
    },
  },
  {
    guarantee: 'G8',
    name: 'the purge removes the marks of revocations that are due and nothing else: until then they bar what comes late',
    omit: needs('grants', 'revocations'),
    async run(stage) {
      const { accessTokens, clock } = stage;
      await clear(accessTokens, stage);
      const now = clock.now();
      const nowMs = clock.nowMs();
      const at = now + 100;
      const come = (at: number, fields: Partial<StoredGrant>) =>
        accessTokens.persist(
          { grant: newGrant(now, fields) },
          { now: at, attempt: newAttempt(), authorizedAtMs: nowMs },
        );
      const [due, stays] = [newName('subject'), newName('subject')];
      await accessTokens.revokeBy({ subject: due }, { nowMs, retainUntil: at });
      await accessTokens.revokeBy({ subject: stays }, { nowMs, retainUntil: at + 1 });
      const [dueGrant, staysGrant] = [newGrant(now), newGrant(now)];
      await accessTokens.revokeGrant(dueGrant.grantId, { now, retainUntil: at });
      await accessTokens.revokeGrant(staysGrant.grantId, { now, retainUntil: at + 1 });
      await accessTokens.purgeExpired({ now: at - 1, limit: 100 });
      assert.equal(await come(at - 1, { subject: due }), 'barred');
      assert.equal(await come(at - 1, { grantId: dueGrant.grantId }), 'revoked');
      const report = await accessTokens.purgeExpired({ now: at, limit: 100 });
      assert.deepEqual([total(report), report.more], [2, false]);
      assert.equal(await come(at, { subject: due }), 'persisted');
      assert.equal(await come(at, { grantId: dueGrant.grantId }), 'persisted');
      assert.equal(await come(at, { subject: stays }), 'barred');
      assert.equal(await come(at, { grantId: staysGrant.grantId }), 'revoked');
    },
  },
  {
    guarantee: 'G8',
    name: 'a foreign digest can be stored again once its grant was removed',
    omit: needs('grants'),
    async run(stage) {
      const { accessTokens, clock } = stage;
      const now = clock.now();
      const foreign = true;
      const at = now + DAY;
      const { access, refresh } = await issue(stage, {
        grant: { retainUntil: at },
        access: { foreign },
        refresh: { foreign },
      });
      await purgeAll(accessTokens, at);
      same(await accessTokens.findAccess({ digest: access.digest }, { now }), { outcome: 'unknown' });
      same(await accessTokens.findRefresh({ digest: refresh.digest }, { now }), { outcome: 'unknown' });
      await issue(stage, { access, refresh });
      assert.equal(await accessOutcome(accessTokens, { digest: access.digest }, now), 'active');
      assert.equal(await refreshOutcome(accessTokens, { digest: refresh.digest }, now), 'active');
    },
  },
  {
    guarantee: 'G8',
    name: 'the purge removes the artifacts that are due and nothing else: one without retainUntil goes at its expiry',
    omit: needs('artifacts'),
    async run(stage) {
      const { artifacts, clock } = stage;
      await clear(artifacts, stage);
      const now = clock.now();
      const at = now + DAY;
      const { retainUntil: _, ...bare } = newArtifact(now, { expiresAt: at });
      const { retainUntil: __, ...bareLater } = newArtifact(now, { expiresAt: at + 1 });
      const uid = newDigest();
      const userCode = newDigest();
      const due = [
        newArtifact(now, { retainUntil: at, uid, userCode }),
        bare,
        newArtifact(now, { retainUntil: at - 9 }),
      ];
      const stays = [newArtifact(now, { retainUntil: at + 1 }), bareLater];
      for (const artifact of [...due, ...stays]) await artifacts.put(artifact, { now });
      await artifacts.consume(stays[0]?.kind ?? '', stays[0]?.id ?? newDigest(), { now, attempt: newAttempt() });
      same(goneBy(await artifacts.purgeExpired({ now: at, limit: 100 })), { removed: { artifacts: 3 }, more: false });
      for (const { kind, id } of due) same(await artifacts.find(kind, id, { now }), { outcome: 'unknown' });
      same(await artifacts.findByUid('Session', uid, { now }), { outcome: 'unknown' });
      same(await artifacts.findByUserCode('Session', userCode, { now }), { outcome: 'unknown' });
      for (const artifact of stays) {
        const { outcome } = await artifacts.find(artifact.kind, artifact.id, { now });
        assert.equal(outcome, 'active');
      }
    },
  },
  {
    guarantee: 'G8',
    name: 'the purge removes the client access tokens that have expired and nothing else',
    omit: needs('clientAccessTokens'),
    async run(stage) {
      const { clientAccessTokens, clock } = stage;
      await clear(clientAccessTokens, stage);
      const now = clock.now();
      const at = now + DAY;
      const due = [newClientToken(now, { expiresAt: at }), newClientToken(now, { expiresAt: at - 1 })];
      const stays = newClientToken(now, { expiresAt: at + 1 });
      for (const token of [...due, stays]) await clientAccessTokens.put(token);
      same(goneBy(await clientAccessTokens.purgeExpired({ now: at, limit: 100 })), {
        removed: { clientAccessTokens: 2 },
        more: false,
      });
      for (const { clientId, key } of due)
        assert.equal(await clientAccessTokens.get(clientId, key, { now }), undefined);
      same(await clientAccessTokens.get(stays.clientId, stays.key, { now: at }), stays);
    },
  },
  {
    guarantee: 'G8',
    name: 'a purge removes at most limit records, of all kinds together, and says whether more is due',
    omit: needs('codes', 'grants', 'revocations'),
    async run(stage) {
      const { accessTokens, authorizationCodes, clock } = stage;
      await clear(accessTokens, stage);
      await clear(authorizationCodes, stage);
      const now = clock.now();
      const at = now + 2 * DAY;
      await addCodes(stage, 25, at);
      for (let index = 0; index < 10; index += 1) await issue(stage, { grant: { retainUntil: at } });
      for (const subject of many(5, newName.bind(undefined, 'subject'))) {
        await accessTokens.revokeBy({ subject }, { nowMs: clock.nowMs(), retainUntil: at });
      }
      for (const store of [authorizationCodes, accessTokens]) {
        const removed: number[] = [];
        for (let more = true; more; ) {
          const report = await store.purgeExpired({ now: at, limit: 7 });
          removed.push(total(report));
          more = report.more;
        }
        const sum = removed.reduce((one, two) => one + two, 0);
        assert.equal(sum, store === authorizationCodes || purgesTokens(stage) ? 25 : 15);
        assert.ok(
          removed.every((count) => count <= 7),
          removed.join(', '),
        );
      }
    },
  },
  {
    guarantee: 'G8',
    name: 'a purge stops at its deadline between two batches and says that more is due; the next one goes on',
    omit: needs('codes'),
    async run(stage) {
      const { authorizationCodes, clock, harness } = stage;
      await clear(authorizationCodes, stage);
      const at = clock.now() + DAY;
      const { purgeBatch } = harness.capabilities;
      const codes = await addCodes(stage, purgeBatch + 50, at);
      const deadlineMs = clock.nowMs();
      const stopped = await authorizationCodes.purgeExpired({ now: at, limit: 10_000, deadlineMs });
      assert.ok(total(stopped) <= purgeBatch, `${total(stopped)} were removed`);
      assert.equal(stopped.more, true);
      const goesOn = { now: at, limit: 10_000, deadlineMs: clock.nowMs() + 1000 };
      const finished = await authorizationCodes.purgeExpired(goesOn);
      assert.equal(finished.more, false);
      assert.equal(total(stopped) + total(finished), codes.length);
      assert.equal(await codesLeft(stage, codes), 0);
    },
  },
  {
    guarantee: 'G8',
    name: 'a purge says what is left: how many records are due after it, and since when',
    omit: needs('codes'),
    async run(stage) {
      const { authorizationCodes, clock } = stage;
      await clear(authorizationCodes, stage);
      const at = clock.now() + DAY;
      await addCodes(stage, 9, at);
      await addCodes(stage, 3, at - 7);
      await addCodes(stage, 4, at + 1);
      for (let left = 12, limit = 5; left > 0; left -= limit) {
        const { backlog, more } = await authorizationCodes.purgeExpired({ now: at, limit });
        const rest = Math.max(left - limit, 0);
        assert.equal(more, rest > 0);
        if (backlog.precision === 'estimated') continue;
        assert.ok(backlog.precision === 'exact' ? backlog.records === rest : backlog.records <= rest);
        assert.equal(backlog.records > 0, rest > 0);
        if (rest === 0) assert.equal(backlog.oldestDueAt, undefined);
        else assert.ok([at, at - 7].includes(backlog.oldestDueAt ?? 0), `${backlog.oldestDueAt}`);
      }
      const stopped = { now: at + 1, limit: 100, deadlineMs: clock.nowMs() };
      const { backlog } = await authorizationCodes.purgeExpired(stopped);
      if (backlog.precision === 'exact') same(backlog, { records: 4, precision: 'exact', oldestDueAt: at + 1 });
    },
  },
  {
    guarantee: 'G8',
    name: 'purges at once count every record once, and leave nothing behind that is due',
    omit: needs('codes'),
    async run(stage) {
      const { authorizationCodes, clock } = stage;
      await clear(authorizationCodes, stage);
      const at = clock.now() + DAY;
      const due = await addCodes(stage, 300, at);
      const stays = await addCodes(stage, 20, at + 1);
      const sums = await atOnce(stage, [20, 30, 40, 1000], (engine, limit) =>
        purgeAll(engine.authorizationCodes, at, limit),
      );
      const rest = await purgeAll(authorizationCodes, at);
      assert.equal(
        sums.reduce((one, two) => one + two, rest),
        300,
      );
      assert.equal(await codesLeft(stage, due), 0);
      assert.equal(await codesLeft(stage, stays), 20);
    },
  },
  {
    guarantee: 'G8',
    name: 'a purge beside traffic disturbs neither what is live nor who is storing, finding and rotating it',
    omit: needs('grants'),
    async run(stage) {
      const { accessTokens, clock } = stage;
      await clear(accessTokens, stage);
      const now = clock.now();
      const at = now + 2 * DAY;
      const live = { grant: { retainUntil: at + DAY }, access: { expiresAt: at + DAY } };
      const refresh = newRefresh(now, { expiresAt: at + DAY });
      let due = 0;
      for (let index = 0; index < 60; index += 1) {
        await issue(stage, { grant: { retainUntil: at } });
        due += purgesTokens(stage) ? 2 : 1;
      }
      const standing = await Promise.all(many(10, () => issue(stage, { ...live, refresh: { expiresAt: at + DAY } })));
      const callers = [...standing, 'purge', 'purge'] as const;
      const sums = await atOnce(stage, callers, async (engine, caller) => {
        if (caller === 'purge') return purgeAll(engine.accessTokens, at, 10);
        const { grant, accessKey } = caller;
        let key = caller.refreshKey;
        for (let turn = 0; turn < 6; turn += 1) {
          const access = newAccess(at);
          const successor = newSuccessor(at, {
            access,
            refresh: { ...refresh, digest: newDigest() },
            retainUntil: at + DAY,
          });
          assert.equal((await rotate(engine.accessTokens, grant, key, successor, { now: at })).outcome, 'rotated');
          key = keyOf(grant, successor.refresh);
          assert.equal(await accessOutcome(engine.accessTokens, accessKey, at), 'active');
          assert.equal(await accessOutcome(engine.accessTokens, keyOf(grant, access), at), 'active');
          const fresh = await issue({ ...engine, clock }, live);
          assert.equal(await accessOutcome(engine.accessTokens, fresh.accessKey, at), 'active');
        }
        assert.equal(await refreshOutcome(engine.accessTokens, key, at), 'active');
        return 0;
      });
      const rest = await purgeAll(accessTokens, at);
      assert.equal(
        sums.reduce((one, two) => one + two, rest),
        due,
      );
    },
  },
];
