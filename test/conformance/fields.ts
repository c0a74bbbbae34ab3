import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { Case } from './harness.ts';
import {
  accessOutcome,
  DAY,
  HOUR,
  type Issued,
  issue,
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
  rotate,
  same,
} from './records.ts';

// NFC and NFD of the same letters, an astral character, a right-to-left mark, quotes and what SQL or Lua would trip over.
const AWKWARD = "Zoë Zoe\u0308 🐙 \u200fשלום 'x'; -- \\ \" % _ $1 :now {h} \t";
const LONG = 'https://issuer.example/'.padEnd(200, 'a');
const EMPTY = new Uint8Array(0);
const LARGE = randomBytes(8192);
/** Names that a collation, a trim or a fold of case would take for one another. */
const LOOKALIKES = (name: string) => [name, name.toUpperCase(), `${name} `, ` ${name}`, `${name}\u0301`];

export const cases: Case[] = [
  {
    guarantee: 'G2',
    name: 'every field of a grant, its access token and its refresh token comes back as it was stored',
    async run({ accessTokens, clock }) {
      const now = clock.now();
      for (const data of [EMPTY, randomBytes(1), LARGE, Buffer.from('{"scope":["orders:read"]}')]) {
        const grant = newGrant(now, {
          clientId: `${newName('client')} ${AWKWARD}`,
          subject: `${newName('subject')} ${AWKWARD}`,
          applicationId: newName(LONG),
          consentId: newName(AWKWARD),
          createdAt: now - 7,
          expiresAt: now + 10 * DAY,
          data,
        });
        const access = newAccess(now, { issuedAt: now - 7, expiresAt: now + 601, data });
        const refresh = newRefresh(now, {
          expiresAt: now + 3 * DAY + 1,
          idleExpiresAt: now + DAY + 2,
          sender: randomBytes(32),
        });
        const attempt = newAttempt();
        assert.equal(await accessTokens.persist({ grant, refresh, access }, { now, attempt }), 'persisted');
        same(await accessTokens.findAccess(keyOf(grant, access), { now }), { outcome: 'active', access, grant });
        same(await accessTokens.findRefresh(keyOf(grant, refresh), { now }), {
          outcome: 'active',
          refresh,
          issuedAt: grant.createdAt,
          grant,
        });
        same(await accessTokens.listGrants({ subject: grant.subject ?? '' }, { limit: 2 }), {
          grants: [{ grant, refresh }],
        });
        same(await accessTokens.listAccess(grant.grantId, { limit: 2 }), { tokens: [access] });
      }
    },
  },
  {
    guarantee: 'G2',
    name: 'an optional field that was absent comes back absent',
    async run({ accessTokens, clock }) {
      const now = clock.now();
      const { grantId, clientId, createdAt, retainUntil, data } = newGrant(now);
      const grant = { grantId, clientId, createdAt, retainUntil, data };
      const access = newAccess(now);
      const refresh = newRefresh(now);
      const write = { grant, refresh, access };
      assert.equal(await accessTokens.persist(write, { now, attempt: newAttempt() }), 'persisted');
      same(await accessTokens.findAccess(keyOf(grant, access), { now }), { outcome: 'active', access, grant });
      same(await accessTokens.findRefresh(keyOf(grant, refresh), { now }), {
        outcome: 'active',
        refresh,
        issuedAt: grant.createdAt,
        grant,
      });
      same(await accessTokens.listGrants({ clientId }, { limit: 2 }), { grants: [{ grant, refresh }] });
    },
  },
  {
    guarantee: 'G2',
    name: 'a grant can be stored with an access token alone, a refresh token alone, and neither',
    async run({ accessTokens, clock }) {
      const now = clock.now();
      const options = () => ({ now, attempt: newAttempt() });
      const [withAccess, withRefresh, bare] = [newGrant(now), newGrant(now), newGrant(now)];
      const access = newAccess(now);
      const refresh = newRefresh(now);
      assert.equal(await accessTokens.persist({ grant: withAccess, access }, options()), 'persisted');
      assert.equal(await accessTokens.persist({ grant: withRefresh, refresh }, options()), 'persisted');
      assert.equal(await accessTokens.persist({ grant: bare }, options()), 'persisted');
      same(await accessTokens.findAccess(keyOf(withAccess, access), { now }), {
        outcome: 'active',
        access,
        grant: withAccess,
      });
      same(await accessTokens.findRefresh(keyOf(withRefresh, refresh), { now }), {
        outcome: 'active',
        refresh,
        issuedAt: now,
        grant: withRefresh,
      });
      for (const grant of [withAccess, bare]) {
        same(await accessTokens.listGrants({ clientId: grant.clientId }, { limit: 2 }), { grants: [{ grant }] });
      }
      same(await accessTokens.listAccess(bare.grantId, { limit: 2 }), { tokens: [] });
    },
  },
  {
    guarantee: 'G2',
    name: 'further tokens of a grant come back as they were stored, and move when the grant is removed, never back',
    async run({ accessTokens, clock }) {
      const now = clock.now();
      const grant = newGrant(now, { retainUntil: now + DAY });
      const options = (retainUntil: number) => ({ now, attempt: newAttempt(), retainUntil });
      await accessTokens.persist({ grant }, { now, attempt: newAttempt() });
      const later = newAccess(now, { data: LARGE });
      const sooner = newAccess(now, { data: EMPTY });
      const refresh = newRefresh(now, { idleExpiresAt: now + HOUR, sender: randomBytes(32) });
      assert.equal(await accessTokens.addAccess(grant.grantId, later, options(now + 3 * DAY)), 'added');
      assert.equal(await accessTokens.addAccess(grant.grantId, sooner, options(now + 2 * DAY)), 'added');
      const moved = { ...grant, retainUntil: now + 3 * DAY };
      for (const access of [later, sooner]) {
        same(await accessTokens.findAccess(keyOf(grant, access), { now }), {
          outcome: 'active',
          access,
          grant: moved,
        });
      }
      assert.equal(await accessTokens.addRefresh(grant.grantId, refresh, options(now + 4 * DAY)), 'added');
      same(await accessTokens.findRefresh(keyOf(grant, refresh), { now }), {
        outcome: 'active',
        refresh,
        issuedAt: now,
        grant: { ...grant, retainUntil: now + 4 * DAY },
      });
    },
  },
  {
    guarantee: 'G2',
    name: 'every field of a successor comes back as it was stored, under the sender of the token before it',
    async run({ accessTokens, clock }) {
      const now = clock.now();
      const sender = randomBytes(32);
      const { grant, refreshKey } = await issue({ accessTokens, clock }, { refresh: { sender } });
      const refresh = newRefresh(now, { expiresAt: now + 2 * DAY, idleExpiresAt: now + HOUR });
      const access = newAccess(now, { data: LARGE });
      const successor = newSuccessor(now, { refresh, access, sealed: LARGE, retainUntil: now + 40 * DAY });
      const rotated = await rotate(accessTokens, grant, refreshKey, successor, { now, sender });
      assert.equal(rotated.outcome, 'rotated');
      same('sealed' in rotated && rotated.sealed, LARGE);
      const moved = { ...grant, retainUntil: now + 40 * DAY };
      same(await accessTokens.findRefresh(keyOf(grant, refresh), { now }), {
        outcome: 'active',
        refresh: { ...refresh, sender },
        issuedAt: now,
        grant: moved,
      });
      same(await accessTokens.findAccess(keyOf(grant, access), { now }), { outcome: 'active', access, grant: moved });
    },
  },
  {
    guarantee: 'G2',
    name: 'foreign tokens are found by their digest alone, as they were stored',
    async run({ accessTokens, clock }) {
      const now = clock.now();
      const { grant, refresh, access } = await issue(
        { accessTokens, clock },
        { refresh: { foreign: true }, access: { foreign: true } },
      );
      same(await accessTokens.findAccess({ digest: access.digest }, { now }), { outcome: 'active', access, grant });
      same(await accessTokens.findRefresh({ digest: refresh.digest }, { now }), {
        outcome: 'active',
        refresh,
        issuedAt: grant.createdAt,
        grant,
      });
      const further = newAccess(now, { foreign: true });
      const options = { now, attempt: newAttempt(), retainUntil: grant.retainUntil };
      assert.equal(await accessTokens.addAccess(grant.grantId, further, options), 'added');
      same(await accessTokens.findAccess({ digest: further.digest }, { now }), {
        outcome: 'active',
        grant,
        access: further,
      });
    },
  },
  {
    guarantee: 'port',
    name: 'a digest is found under its own grant only, and a token of one kind is never taken for the other',
    async run({ accessTokens, clock }) {
      const now = clock.now();
      const one = await issue({ accessTokens, clock });
      const two = await issue({ accessTokens, clock });
      for (const key of [
        { digest: newDigest() },
        { digest: newDigest(), grantId: one.grant.grantId },
        { digest: one.access.digest, grantId: two.grant.grantId },
        { digest: one.access.digest, grantId: newGrant(now).grantId },
        { digest: one.refresh.digest, grantId: one.grant.grantId },
        { digest: one.refresh.digest },
      ]) {
        assert.equal(await accessOutcome(accessTokens, key, now), 'unknown');
      }
      for (const key of [{ digest: newDigest() }, { digest: newDigest(), grantId: newGrant(now).grantId }]) {
        same(await accessTokens.findRefresh(key, { now }), { outcome: 'unknown' });
      }
    },
  },
  {
    guarantee: 'port',
    name: 'client ids that differ in case, an accent or a space are different clients',
    async run({ accessTokens, clientAccessTokens, clock }) {
      const now = clock.now();
      const names = LOOKALIKES(newName('client'));
      const key = newName('key');
      for (const clientId of names) {
        await issue({ accessTokens, clock }, { grant: { clientId } });
        await clientAccessTokens.put({ clientId, key, expiresAt: now + HOUR, data: Buffer.from(clientId) });
      }
      for (const clientId of names) {
        const { grants } = await accessTokens.listGrants({ clientId }, { limit: 10 });
        assert.deepEqual(
          grants.map(({ grant }) => grant.clientId),
          [clientId],
        );
        same((await clientAccessTokens.get(clientId, key, { now }))?.data, Buffer.from(clientId));
      }
    },
  },
  {
    guarantee: 'port',
    name: 'subjects that differ in case, an accent or a space are different subjects',
    async run({ accessTokens, clock }) {
      const nowMs = clock.nowMs();
      const names = LOOKALIKES(newName('subject'));
      const issued: Issued[] = [];
      for (const subject of names) issued.push(await issue({ accessTokens, clock }, { grant: { subject } }));
      for (const [index, subject] of names.entries()) {
        const { grants } = await accessTokens.listGrants({ subject }, { limit: 10 });
        assert.deepEqual(
          grants.map(({ grant }) => grant.subject),
          [subject],
        );
        assert.equal(await accessTokens.revokeBy({ subject }, { nowMs, retainUntil: clock.now() + DAY }), 1);
        for (const [other, { accessKey }] of issued.entries()) {
          const expected = other <= index ? 'revoked' : 'active';
          assert.equal(await accessOutcome(accessTokens, accessKey, clock.now()), expected);
        }
      }
    },
  },
  {
    guarantee: 'G2',
    name: 'every field of an authorization code comes back as it was stored',
    async run({ authorizationCodes, clock }) {
      const now = clock.now();
      for (const data of [EMPTY, randomBytes(1), LARGE]) {
        const code = newCode(now, { data, expiresAt: now + 59, retainUntil: now + 2 * DAY });
        await authorizationCodes.add(code, { now, attempt: newAttempt() });
        same(await authorizationCodes.find(code.digest, { now }), { outcome: 'active', code });
        const { binding } = code;
        same(await authorizationCodes.redeem(code.digest, { binding, now: now + 3, attempt: newAttempt() }), {
          outcome: 'redeemed',
          code,
        });
        same(await authorizationCodes.find(code.digest, { now: now + 5 }), {
          outcome: 'redeemed',
          code,
          redeemedAt: now + 3,
        });
      }
      same(await authorizationCodes.find(newDigest(), { now }), { outcome: 'unknown' });
    },
  },
  {
    guarantee: 'G2',
    name: 'every field of an artifact comes back as it was stored, by each of its ways in',
    async run({ artifacts, clock }) {
      const now = clock.now();
      const kind = 'PushedAuthorizationRequest';
      for (const data of [EMPTY, randomBytes(1), LARGE]) {
        const uid = newDigest();
        const userCode = newDigest();
        const artifact = newArtifact(now, { kind, uid, userCode, consentId: newName(AWKWARD), data });
        await artifacts.put(artifact, { now });
        const expected = { outcome: 'active', artifact };
        same(await artifacts.find(kind, artifact.id, { now }), expected);
        same(await artifacts.findByUid(kind, uid, { now }), expected);
        same(await artifacts.findByUserCode(kind, userCode, { now }), expected);
      }
      const { id, data } = newArtifact(now);
      await artifacts.put({ kind, id, data }, { now });
      same(await artifacts.find(kind, id, { now }), { outcome: 'active', artifact: { kind, id, data } });
      await artifacts.remove(kind, id);
    },
  },
  {
    guarantee: 'G2',
    name: 'every field of a client access token comes back as it was stored',
    async run({ clientAccessTokens, clock }) {
      const now = clock.now();
      for (const data of [EMPTY, randomBytes(1), LARGE]) {
        const key = newName(AWKWARD);
        const token = newClientToken(now, { clientId: newName(LONG), key, expiresAt: now + 1, data });
        await clientAccessTokens.put(token);
        same(await clientAccessTokens.get(token.clientId, key, { now }), token);
      }
    },
  },
  {
    guarantee: 'G2',
    name: 'what one engine stored is there for every other at once',
    async run(stage) {
      const now = stage.clock.now();
      const [, second] = await stage.engines(2);
      const other = second ?? stage;
      const { grant, access, accessKey } = await issue(stage);
      same(await other.accessTokens.findAccess(accessKey, { now }), { outcome: 'active', access, grant });
      const code = newCode(now);
      await stage.authorizationCodes.add(code, { now, attempt: newAttempt() });
      same(await other.authorizationCodes.find(code.digest, { now }), { outcome: 'active', code });
      const artifact = newArtifact(now);
      await stage.artifacts.put(artifact, { now });
      same(await other.artifacts.find(artifact.kind, artifact.id, { now }), { outcome: 'active', artifact });
      const token = newClientToken(now);
      await stage.clientAccessTokens.put(token);
      same(await other.clientAccessTokens.get(token.clientId, token.key, { now }), token);
    },
  },
  {
    guarantee: 'G2',
    name: 'what was acknowledged is there after a restart: tokens, revocations, redemptions, the retired generation',
    omit: ({ restart }) => !restart && 'the storage cannot be restarted from here',
    async run(stage) {
      const now = stage.clock.now();
      const { accessTokens, authorizationCodes, artifacts, clientAccessTokens } = stage;
      const live = await issue(stage);
      const revoked = await issue(stage);
      const rotated = await issue(stage);
      const successor = newSuccessor(now);
      const code = newCode(now);
      const { binding } = code;
      const artifact = newArtifact(now);
      const token = newClientToken(now);
      await accessTokens.revokeGrant(revoked.grant.grantId, { now, retainUntil: revoked.grant.retainUntil });
      await rotate(accessTokens, rotated.grant, rotated.refreshKey, successor, { now });
      await authorizationCodes.add(code, { now, attempt: newAttempt() });
      await authorizationCodes.redeem(code.digest, { binding, now, attempt: newAttempt() });
      await artifacts.put(artifact, { now });
      await clientAccessTokens.put(token);
      await stage.harness.restart?.();
      const engine = await stage.harness.open();
      try {
        const found = engine.accessTokens;
        assert.equal(await accessOutcome(found, live.accessKey, now), 'active');
        assert.equal(await accessOutcome(found, revoked.accessKey, now), 'revoked');
        const again = await rotate(found, rotated.grant, rotated.refreshKey, newSuccessor(now), { now });
        assert.equal(again.outcome, 'retried');
        same('sealed' in again && again.sealed, successor.sealed);
        const replay = await engine.authorizationCodes.redeem(code.digest, { binding, now, attempt: newAttempt() });
        same(replay, { outcome: 'replayed', grantId: code.grantId });
        same(await engine.artifacts.find(artifact.kind, artifact.id, { now }), { outcome: 'active', artifact });
        same(await engine.clientAccessTokens.get(token.clientId, token.key, { now }), token);
      } finally {
        await engine.close();
      }
    },
  },
];
