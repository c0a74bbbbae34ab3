import { randomBytes } from 'node:crypto';
import type { ArtifactState, ArtifactStore, Digest, StoredArtifact } from '../../domain/ports.ts';
import { base64url, join, NONE, present, readerOf, short, text, traceOf, u8, u32 } from './bytes.ts';
import { KEPT } from './limits.ts';
import type { createPurge } from './purge.ts';
import { head } from './records.ts';
import { consume, dropOfConsent, forgetWay, lead, loseWay, putArtifact, putArtifactOnce } from './scripts/artifacts.ts';
import { point, unpoint } from './scripts/pointers.ts';
import { drop } from './scripts/script.ts';
import type { Store } from './store.ts';

const WAYS = ['uid', 'userCode'] as const;
type Way = (typeof WAYS)[number];

const keyOf = (kind: string, id: Digest) => `a${base64url(id)}:${kind}`;
const wayKey = (way: Way, kind: string, value: Digest) => `w${way === 'uid' ? 'i' : 'c'}${base64url(value)}:${kind}`;
const consentKey = (consentId: string) => `n${consentId}`;

/** A pointer from a consent: `e`, until when, which put, to an artifact of that kind and id. */
const pointerBytes = (until: number, put: Uint8Array, kind: string, id: Digest) =>
  join(Buffer.from('e'), u32(until), put, text(kind), id);

/** What is known of an artifact beside its kind and id. */
interface Found {
  readonly artifact: StoredArtifact;
  readonly until: number;
  readonly consumedAt: number;
  /** Which put stored it. */
  readonly put: Buffer;
}

function read(kind: string, id: Digest, bytes: Buffer): Found {
  const reader = readerOf(bytes, 1);
  const until = reader.u32();
  reader.u32();
  const [expiresAt, retainUntil, consumedAt] = [present(reader.u32()), present(reader.u32()), reader.u32()];
  reader.short();
  reader.short();
  const put = reader.bytes(8);
  const [uid, userCode] = [reader.short(), reader.short()];
  const hasConsent = reader.u8() === 1;
  const consentId = reader.text();
  const artifact = {
    kind,
    id,
    ...(uid.length > 0 && { uid }),
    ...(userCode.length > 0 && { userCode }),
    ...(hasConsent && { consentId }),
    ...(expiresAt !== undefined && { expiresAt }),
    ...(retainUntil !== undefined && { retainUntil }),
    data: reader.rest(),
  };
  return { artifact, until, consumedAt, put };
}

/** Artifacts by kind and id. A second way in is a key that leads there, and is followed only if the artifact names it too. */
export function createArtifactStore(store: Store, purge: ReturnType<typeof createPurge>): ArtifactStore {
  const { numbers, run } = store;

  const stateOf = (found: Found | undefined, now: number): ArtifactState => {
    if (!found) return { outcome: 'unknown' };
    const { artifact, consumedAt } = found;
    const isExpired = artifact.expiresAt !== undefined && artifact.expiresAt <= now;
    return { outcome: isExpired ? 'expired' : 'active', artifact, ...(consumedAt > 0 && { consumedAt }) };
  };

  const find = async (kind: string, id: Digest): Promise<Found | undefined> => {
    const bytes = await store.find(keyOf(kind, id));
    return bytes && read(kind, id, bytes);
  };

  const findBy = async (way: Way, kind: string, value: Digest, now: number): Promise<ArtifactState> => {
    const led = await store.get(wayKey(way, kind, value));
    const found = led && (await find(kind, led.subarray(17)));
    const named = found?.artifact[way];
    return stateOf(named && Buffer.compare(named, value) === 0 ? found : undefined, now);
  };

  /** Leads the ways in to an artifact that is about to be put, and takes them from those that had them. */
  const leadTo = async ({ kind, id, consentId, ...artifact }: StoredArtifact, put: Buffer, until: number) => {
    const ways = WAYS.map(async (way, index) => {
      const value = artifact[way];
      if (!value) return;
      const led = (await run(lead, [wayKey(way, kind, value)], [u32(store.now(), until), put, id])) as Buffer | null;
      if (!led || Buffer.compare(led.subarray(17), id) === 0) return;
      const former = [keyOf(kind, led.subarray(17))];
      await run(loseWay, former, [numbers(), led.subarray(9, 17), String(index + 1), value]);
    });
    const ofConsent =
      consentId === undefined
        ? undefined
        : run(point, [consentKey(consentId)], [u32(store.now(), until), pointerBytes(until, put, kind, id)]);
    await Promise.all([...ways, ofConsent]);
  };

  /** Takes away what led to an artifact as it was, but for the ways that its successor has too. */
  const forget = async ({ artifact, until, put }: Found, successor?: StoredArtifact) => {
    const { kind, id, consentId } = artifact;
    const ways = WAYS.flatMap((way) => {
      const value = artifact[way];
      const kept = successor?.[way];
      if (!value || (kept && Buffer.compare(kept, value) === 0)) return [];
      return [run(forgetWay, [wayKey(way, kind, value)], [put])];
    });
    if (consentId !== undefined) {
      ways.push(run(unpoint, [consentKey(consentId)], [pointerBytes(until, put, kind, id)]));
    }
    await Promise.all(ways);
  };

  const endsOf = ({ expiresAt, retainUntil }: StoredArtifact) => ({
    until: retainUntil ?? expiresAt ?? NONE,
    bytes: u32(expiresAt ?? NONE, retainUntil ?? NONE),
  });
  const restOf = ({ uid, userCode, consentId, data }: StoredArtifact, put: Buffer) =>
    join(put, short(uid), short(userCode), u8(consentId === undefined ? 0 : 1), text(consentId), data);

  return {
    async put(artifact) {
      const { kind, id } = artifact;
      const put = randomBytes(8);
      const { until, bytes } = endsOf(artifact);
      // The ways first: those who come by them find the artifact as it was until it has changed.
      await leadTo(artifact, put, until);
      const begin = join(head('a', until, store.leavesAt()), bytes);
      const former = await run(putArtifact, [keyOf(kind, id)], [numbers(), begin, restOf(artifact, put)]);
      if (former) await forget(read(kind, id, former as Buffer), artifact);
    },
    async putOnce(artifact, { now, attempt }) {
      const { kind, id } = artifact;
      const put = randomBytes(8);
      const { until, bytes } = endsOf(artifact);
      const { consentId } = artifact;
      if (consentId !== undefined) await leadTo({ kind, id, consentId, data: artifact.data }, put, until);
      const trace = traceOf(attempt);
      const record = join(head('a', until, KEPT), bytes, u32(0), short(undefined), short(trace), restOf(artifact, put));
      const [first, former] = (await run(
        putArtifactOnce,
        [keyOf(kind, id)],
        [u32(store.now(), now), trace, record],
      )) as [number, Buffer | null | undefined];
      if (former) await forget(read(kind, id, former), artifact);
      return first === 1;
    },
    find: async (kind, id, { now }) => stateOf(await find(kind, id), now),
    findByUid: (kind, uid, { now }) => findBy('uid', kind, uid, now),
    findByUserCode: (kind, userCode, { now }) => findBy('userCode', kind, userCode, now),
    consume: async (kind, id, { now, attempt }) =>
      (await run(consume, [keyOf(kind, id)], [numbers(now), traceOf(attempt)])) === 1,
    async remove(kind, id) {
      const former = await store.runOnce(drop, [keyOf(kind, id)], [u32(store.now())]);
      if (former) await forget(read(kind, id, former as Buffer));
      return former !== null;
    },
    async removeByConsent(consentId) {
      const key = consentKey(consentId);
      let removed = 0;
      for (let after: Uint8Array = Buffer.of(); ; ) {
        const pointers = await store.connection.members(key, after, 1000);
        const gone = await Promise.all(
          pointers.map(async (pointer) => {
            const reader = readerOf(pointer, 13);
            const kind = reader.text();
            const id = reader.rest();
            const former = await run(dropOfConsent, [keyOf(kind, id)], [u32(store.now()), consentId]);
            if (former) await forget(read(kind, id, former as Buffer));
            return former !== null;
          }),
        );
        removed += gone.filter((each) => each).length;
        const last = pointers.at(-1);
        if (!last || pointers.length < 1000) return removed;
        after = last;
      }
    },
    purgeExpired: purge,
  };
}
