import assert from 'node:assert/strict';
import type { Case } from './harness.ts';
import { atOnce, many, newArtifact, newAttempt, newDigest, newName, plain, rounds, same, tally } from './records.ts';

const once = (callers: number, times: number): Case => ({
  guarantee: 'G3',
  name: `of ${callers} concurrent callers exactly one consumes an artifact`,
  async run(stage) {
    const now = stage.clock.now();
    for (let round = rounds(stage, times); round > 0; round -= 1) {
      const artifact = newArtifact(now);
      const { kind, id } = artifact;
      await stage.artifacts.put(artifact, { now });
      const outcomes = await atOnce(stage, many(callers, newAttempt), ({ artifacts }, attempt) =>
        artifacts.consume(kind, id, { now, attempt }),
      );
      assert.deepEqual(tally(outcomes), { true: 1, false: callers - 1 });
      same(await stage.artifacts.find(kind, id, { now }), { outcome: 'active', artifact, consumedAt: now });
    }
  },
});

export const cases: Case[] = [
  {
    guarantee: 'port',
    name: 'putting an artifact again replaces it, and its former ways in no longer lead to it',
    async run({ artifacts, clock }) {
      const now = clock.now();
      const [uid, userCode, newUid] = [newDigest(), newDigest(), newDigest()];
      const first = newArtifact(now, { uid, userCode, consentId: newName('consent') });
      const { kind, id } = first;
      const second = newArtifact(now + 1, { id, uid: newUid });
      await artifacts.put(first, { now });
      await artifacts.put(second, { now });
      const replaced = { outcome: 'active', artifact: second };
      same(await artifacts.find(kind, id, { now }), replaced);
      same(await artifacts.findByUid(kind, newUid, { now }), replaced);
      same(await artifacts.findByUid(kind, uid, { now }), { outcome: 'unknown' });
      same(await artifacts.findByUserCode(kind, userCode, { now }), { outcome: 'unknown' });
      assert.equal(await artifacts.removeByConsent(first.consentId ?? ''), 0);
      const third = { ...second, uid, userCode };
      await artifacts.put(third, { now });
      for (const found of [
        await artifacts.findByUid(kind, uid, { now }),
        await artifacts.findByUserCode(kind, userCode, { now }),
      ]) {
        same(found, { outcome: 'active', artifact: third });
      }
    },
  },
  {
    guarantee: 'port',
    name: 'a way in leads to the artifact that was given it last; the one before keeps its id',
    async run({ artifacts, clock }) {
      const now = clock.now();
      const [uid, userCode] = [newDigest(), newDigest()];
      const first = newArtifact(now, { uid, userCode });
      const second = newArtifact(now, { uid });
      const third = newArtifact(now, { userCode });
      const { kind } = first;
      for (const artifact of [first, second, third]) await artifacts.put(artifact, { now });
      same(await artifacts.findByUid(kind, uid, { now }), { outcome: 'active', artifact: second });
      same(await artifacts.findByUserCode(kind, userCode, { now }), { outcome: 'active', artifact: third });
      const kept = await artifacts.find(kind, first.id, { now });
      assert.ok(kept.outcome === 'active');
      same(kept.artifact.data, first.data);
      assert.equal(await artifacts.remove(kind, first.id), true);
      same(await artifacts.findByUid(kind, uid, { now }), { outcome: 'active', artifact: second });
    },
  },
  {
    guarantee: 'port',
    name: 'kinds, and the ways in of one kind, are apart from each other',
    async run({ artifacts, clock }) {
      const now = clock.now();
      const [id, shared] = [newDigest(), newDigest()];
      const session = newArtifact(now, { id, uid: shared });
      const device = newArtifact(now, { kind: 'DeviceCode', id, userCode: shared });
      const interaction = newArtifact(now, { kind: 'Interaction', uid: shared });
      for (const artifact of [session, device, interaction]) {
        await artifacts.put(artifact, { now });
      }
      same(await artifacts.find('Session', id, { now }), { outcome: 'active', artifact: session });
      same(await artifacts.find('DeviceCode', id, { now }), { outcome: 'active', artifact: device });
      same(await artifacts.find('Interaction', id, { now }), { outcome: 'unknown' });
      same(await artifacts.findByUid('Session', shared, { now }), { outcome: 'active', artifact: session });
      same(await artifacts.findByUid('DeviceCode', shared, { now }), { outcome: 'unknown' });
      same(await artifacts.findByUserCode('DeviceCode', shared, { now }), { outcome: 'active', artifact: device });
      same(await artifacts.findByUserCode('Session', shared, { now }), { outcome: 'unknown' });
      assert.equal(await artifacts.consume('Session', id, { now, attempt: newAttempt() }), true);
      assert.equal(await artifacts.remove('Session', id), true);
      same(await artifacts.find('DeviceCode', id, { now }), { outcome: 'active', artifact: device });
      same(await artifacts.findByUid('Interaction', shared, { now }), { outcome: 'active', artifact: interaction });
    },
  },
  {
    guarantee: 'port',
    name: 'a removed artifact is unknown by all its ways in; removing says whether there was one',
    async run({ artifacts, clock }) {
      const now = clock.now();
      const [uid, userCode] = [newDigest(), newDigest()];
      const artifact = newArtifact(now, { uid, userCode });
      const { kind, id } = artifact;
      assert.equal(await artifacts.remove(kind, id), false);
      await artifacts.put(artifact, { now });
      await artifacts.consume(kind, id, { now, attempt: newAttempt() });
      assert.equal(await artifacts.remove(kind, id), true);
      assert.equal(await artifacts.remove(kind, id), false);
      same(await artifacts.find(kind, id, { now }), { outcome: 'unknown' });
      same(await artifacts.findByUid(kind, uid, { now }), { outcome: 'unknown' });
      same(await artifacts.findByUserCode(kind, userCode, { now }), { outcome: 'unknown' });
      await artifacts.put(artifact, { now });
      same(await artifacts.find(kind, id, { now }), { outcome: 'active', artifact });
    },
  },
  {
    guarantee: 'port',
    name: 'removing by consent removes the artifacts of every kind that go with it, and no other',
    async run({ artifacts, clock }) {
      const now = clock.now();
      const consentId = newName('consent');
      const [uid, userCode] = [newDigest(), newDigest()];
      const going = [
        newArtifact(now, { consentId, uid }),
        newArtifact(now, { kind: 'DeviceCode', consentId, userCode }),
        newArtifact(now, { consentId }),
      ];
      const staying = [
        newArtifact(now, { consentId: `${consentId} ` }),
        newArtifact(now, { consentId: consentId.toUpperCase() }),
        newArtifact(now),
      ];
      for (const artifact of [...going, ...staying]) await artifacts.put(artifact, { now });
      assert.equal(await artifacts.removeByConsent(consentId), 3);
      assert.equal(await artifacts.removeByConsent(consentId), 0);
      for (const { kind, id } of going) same(await artifacts.find(kind, id, { now }), { outcome: 'unknown' });
      same(await artifacts.findByUid('Session', uid, { now }), { outcome: 'unknown' });
      same(await artifacts.findByUserCode('DeviceCode', userCode, { now }), { outcome: 'unknown' });
      for (const artifact of staying) {
        same(await artifacts.find(artifact.kind, artifact.id, { now }), { outcome: 'active', artifact });
      }
    },
  },
  once(20, 30),
  once(100, 10),
  {
    guarantee: 'G3',
    name: 'an artifact is consumed once, and stays consumed when it is replaced',
    async run({ artifacts, clock }) {
      const now = clock.now();
      const uid = newDigest();
      const artifact = newArtifact(now, { uid });
      const { kind, id } = artifact;
      await artifacts.put(artifact, { now });
      assert.equal(await artifacts.consume(kind, id, { now: now + 2, attempt: newAttempt() }), true);
      assert.equal(await artifacts.consume(kind, id, { now: now + 3, attempt: newAttempt() }), false);
      const consumed = { outcome: 'active', artifact, consumedAt: now + 2 };
      same(await artifacts.find(kind, id, { now }), consumed);
      same(await artifacts.findByUid(kind, uid, { now }), consumed);
      const replaced = newArtifact(now, { id, uid });
      await artifacts.put(replaced, { now: now + 4 });
      same(await artifacts.find(kind, id, { now }), { ...consumed, artifact: replaced });
      assert.equal(await artifacts.consume(kind, id, { now: now + 5, attempt: newAttempt() }), false);
    },
  },
  {
    guarantee: 'G3',
    name: 'an artifact that is consumed while it is being replaced stays consumed',
    async run(stage) {
      const now = stage.clock.now();
      for (let round = rounds(stage, 30); round > 0; round -= 1) {
        const first = newArtifact(now);
        const { kind, id } = first;
        await stage.artifacts.put(first, { now });
        const calls = [
          ...many(5, () => newArtifact(now, { id })),
          'consume',
          ...many(5, () => newArtifact(now, { id })),
        ];
        const outcomes = await atOnce(stage, calls, async ({ artifacts }, call) =>
          typeof call === 'string'
            ? artifacts.consume(kind, id, { now, attempt: newAttempt() })
            : artifacts.put(call, { now }),
        );
        assert.equal(outcomes[5], true);
        const found = await stage.artifacts.find(kind, id, { now });
        assert.equal('consumedAt' in found && found.consumedAt, now);
        assert.equal(await stage.artifacts.consume(kind, id, { now, attempt: newAttempt() }), false);
      }
    },
  },
  {
    guarantee: 'G9',
    name: 'a repeat of the attempt that consumed an artifact is told the same again',
    async run({ artifacts, clock }) {
      const now = clock.now();
      const artifact = newArtifact(now);
      const { kind, id } = artifact;
      const attempt = newAttempt();
      await artifacts.put(artifact, { now });
      assert.equal(await artifacts.consume(kind, id, { now, attempt }), true);
      assert.equal(await artifacts.consume(kind, id, { now: now + 1, attempt }), true);
      assert.equal(await artifacts.consume(kind, id, { now, attempt: newAttempt() }), false);
      assert.equal(await artifacts.consume(kind, id, { now, attempt }), true);
      same(await artifacts.find(kind, id, { now }), { outcome: 'active', artifact, consumedAt: now });
    },
  },
  {
    guarantee: 'G7',
    name: 'an artifact that is expired or not there is not consumed',
    async run({ artifacts, clock }) {
      const now = clock.now();
      const artifact = newArtifact(now);
      const { kind, id, expiresAt = now } = artifact;
      const consume = (at: number, ofKind = kind) => artifacts.consume(ofKind, id, { now: at, attempt: newAttempt() });
      assert.equal(await consume(now), false);
      await artifacts.put(artifact, { now });
      assert.equal(await consume(now, 'Interaction'), false);
      assert.equal(await consume(expiresAt + 1), false);
      assert.equal(await consume(expiresAt), false);
      assert.equal(await consume(expiresAt - 1), true);
    },
  },
  {
    guarantee: 'G3',
    name: 'of twenty concurrent callers exactly one puts an artifact that may be put once',
    async run(stage) {
      const now = stage.clock.now();
      for (let round = rounds(stage, 30); round > 0; round -= 1) {
        const id = newDigest();
        const candidates = many(20, () => newArtifact(now, { kind: 'ReplayDetection', id }));
        const won: unknown[] = [];
        const outcomes = await atOnce(stage, candidates, async ({ artifacts }, artifact) => {
          const first = await artifacts.putOnce(artifact, { now, attempt: newAttempt() });
          if (first) won.push(artifact);
          return first;
        });
        assert.deepEqual(tally(outcomes), { true: 1, false: 19 });
        const found = await stage.artifacts.find('ReplayDetection', id, { now });
        assert.deepEqual(plain(found), plain({ outcome: 'active', artifact: won[0] }));
      }
    },
  },
  {
    guarantee: 'G3',
    name: 'an artifact that may be put once can be put again when it has expired, and by a repeat of its attempt',
    async run({ artifacts, clock }) {
      const now = clock.now();
      const kind = 'ReplayDetection';
      const first = newArtifact(now, { kind, expiresAt: now + 60 });
      const { id } = first;
      const attempt = newAttempt();
      assert.equal(await artifacts.putOnce(first, { now, attempt }), true);
      assert.equal(await artifacts.putOnce(first, { now, attempt }), true);
      const second = newArtifact(now, { kind, id });
      assert.equal(await artifacts.putOnce(second, { now, attempt: newAttempt() }), false);
      assert.equal(await artifacts.putOnce(second, { now: now + 59, attempt: newAttempt() }), false);
      same(await artifacts.find(kind, id, { now }), { outcome: 'active', artifact: first });
      const third = newArtifact(now + 60, { kind, id });
      assert.equal(await artifacts.putOnce(third, { now: now + 60, attempt: newAttempt() }), true);
      same(await artifacts.find(kind, id, { now: now + 60 }), { outcome: 'active', artifact: third });
      assert.equal(await artifacts.putOnce(second, { now: now + 60, attempt: newAttempt() }), false);
    },
  },
  {
    guarantee: 'G3',
    name: 'of twenty concurrent callers exactly one puts an artifact in place of one that has expired',
    async run(stage) {
      const now = stage.clock.now();
      for (let round = rounds(stage, 20); round > 0; round -= 1) {
        const kind = 'ReplayDetection';
        const id = newDigest();
        await stage.artifacts.putOnce(newArtifact(now, { kind, id, expiresAt: now + 1 }), {
          now,
          attempt: newAttempt(),
        });
        const later = now + 1;
        const outcomes = await atOnce(stage, many(20, newAttempt), ({ artifacts }, attempt) =>
          artifacts.putOnce(newArtifact(later, { kind, id }), { now: later, attempt }),
        );
        assert.deepEqual(tally(outcomes), { true: 1, false: 19 });
      }
    },
  },
  {
    guarantee: 'port',
    name: 'a way in that is given to twenty artifacts at once leads to one of them, and to the next that is given it',
    async run(stage) {
      const now = stage.clock.now();
      const { artifacts } = stage;
      for (let round = rounds(stage, 20); round > 0; round -= 1) {
        const [uid, userCode] = [newDigest(), newDigest()];
        const candidates = many(20, () => newArtifact(now, { uid, userCode }));
        await atOnce(stage, candidates, (engine, artifact) => engine.artifacts.put(artifact, { now }));
        for (const found of [
          await artifacts.findByUid('Session', uid, { now }),
          await artifacts.findByUserCode('Session', userCode, { now }),
        ]) {
          assert.ok(found.outcome === 'active');
          assert.ok(candidates.some(({ id }) => Buffer.compare(id, found.artifact.id) === 0));
        }
        const next = newArtifact(now, { uid, userCode });
        await artifacts.put(next, { now });
        same(await artifacts.findByUid('Session', uid, { now }), { outcome: 'active', artifact: next });
        same(await artifacts.findByUserCode('Session', userCode, { now }), { outcome: 'active', artifact: next });
      }
    },
  },
  {
    guarantee: 'port',
    name: 'forty callers who take the same ways in from each other at once all succeed',
    async run(stage) {
      const now = stage.clock.now();
      for (let round = rounds(stage, 20); round > 0; round -= 1) {
        const [uid, userCode] = [newDigest(), newDigest()];
        const standing = many(40, () => newArtifact(now));
        for (const wave of [0, 1, 2]) {
          const taking = standing.map((artifact, index) => ({
            ...artifact,
            ...[{ uid }, { userCode }, { uid, userCode }][(index + wave) % 3],
          }));
          await atOnce(stage, taking, ({ artifacts }, artifact) => artifacts.put(artifact, { now }));
        }
      }
    },
  },
  {
    guarantee: 'port',
    name: 'twenty callers who put one artifact at once leave one of theirs, whole, behind each way in',
    async run(stage) {
      const now = stage.clock.now();
      for (let round = rounds(stage, 20); round > 0; round -= 1) {
        const [id, uid] = [newDigest(), newDigest()];
        const candidates = many(20, () => newArtifact(now, { id, uid }));
        await atOnce(stage, candidates, ({ artifacts }, artifact) => artifacts.put(artifact, { now }));
        const found = await stage.artifacts.find('Session', id, { now });
        assert.ok(found.outcome === 'active');
        const { data } = found.artifact;
        same(
          found.artifact,
          candidates.find((each) => Buffer.compare(each.data, data) === 0),
        );
        same(await stage.artifacts.findByUid('Session', uid, { now }), found);
      }
    },
  },
];
