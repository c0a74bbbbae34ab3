import { randomBytes } from 'node:crypto';
import type { ArtifactState, ArtifactStore, Digest, StoredArtifact } from '../../domain/ports.ts';
import type { Purge } from './purge.ts';
import { type Key, keyOf, type Table } from './table.ts';
import { type Item, present, same } from './values.ts';

const WAYS = ['ui', 'uc'] as const;
type Way = (typeof WAYS)[number];

const placeOf = (kind: string, id: Uint8Array) => keyOf('a', Buffer.from(`${kind}\0`), id);
const wayTo = (way: Way, kind: string, value: Uint8Array) => keyOf('w', Buffer.from(`${way}${kind}\0`), value);
const consentPlace = (consentId: string) => keyOf('n', Buffer.from(consentId)).p;
const ofConsent = (consentId: string, kind: string, id: Uint8Array): Key => ({
  p: consentPlace(consentId),
  k: Buffer.concat([Buffer.from(`${kind}\0`), id]),
});

const itemOf = ({ kind, id, uid, userCode, consentId, expiresAt, retainUntil, data }: StoredArtifact) => ({
  h: kind,
  id,
  ui: uid,
  uc: userCode,
  cs: consentId,
  x: expiresAt,
  r: retainUntil,
  l: retainUntil ?? expiresAt,
  d: data,
});

const stateOf = (item: Item | undefined, now: number): ArtifactState => {
  if (!item) return { outcome: 'unknown' };
  const { h: kind, id, ui: uid, uc: userCode, cs: consentId, x: expiresAt, r: retainUntil, d: data, u } = item;
  return {
    outcome: expiresAt !== undefined && (expiresAt as number) <= now ? 'expired' : 'active',
    artifact: present({
      kind,
      id,
      uid,
      userCode,
      consentId,
      expiresAt,
      retainUntil,
      data,
    }) as unknown as StoredArtifact,
    ...(u !== undefined && { consumedAt: u as number }),
  };
};

/** Artifacts by kind and id; a second way in is an item that leads there, and is followed only if the artifact names it too. */
export function createArtifactStore(table: Table, purge: Purge): ArtifactStore {
  /** Takes away the ways that led to an artifact as it was, unless they have been written anew. */
  const forget = async (former: Item | undefined, present: Item = {}) => {
    if (!former) return;
    const { h, id, cs, n } = former as { h: string; id: Uint8Array; cs?: string; n: Uint8Array };
    const ways = WAYS.flatMap((way) => {
      const value = former[way];
      return value === undefined || same(value, present[way]) ? [] : [wayTo(way, h, value as Uint8Array)];
    });
    if (cs !== undefined && cs !== present.cs) ways.push(ofConsent(cs, h, id));
    await Promise.all(ways.map((way) => table.remove(way, ({ value }) => [`n = ${value(n)}`])));
  };

  /** Writes the ways to an artifact; one that led to another does so no more. */
  const lead = async (item: Item & { h: string; id: Uint8Array; l: number | undefined; n: Uint8Array }) => {
    const { h, id, l, n } = item;
    const ways = WAYS.map(async (way) => {
      const to = item[way] as Uint8Array | undefined;
      if (to === undefined) return;
      const { item: former } = await table.put({ ...wayTo(way, h, to), id, l, n });
      if (!former || same(former.id, id)) return;
      await table.update(placeOf(h, former.id as Uint8Array), ({ value }) => ({
        set: { [way]: undefined },
        when: [`n = ${value(former.n)}`, `${way} = ${value(to)}`],
      }));
    });
    if (item.cs !== undefined)
      ways.push(table.put({ ...ofConsent(item.cs as string, h, id), h, id, l, n }).then(() => {}));
    await Promise.all(ways);
  };

  const findBy = async (way: Way, kind: string, given: Digest, now: number): Promise<ArtifactState> => {
    const led = await table.get(wayTo(way, kind, given));
    const item = led && (await table.get(placeOf(kind, led.id as Uint8Array)));
    return stateOf(same(item?.[way], given) ? item : undefined, now);
  };

  const remove = async (key: Key, when?: Parameters<Table['remove']>[1]): Promise<boolean> => {
    const { applied, item } = await table.remove(key, when);
    if (!applied) return false;
    await forget(item);
    return true;
  };

  return {
    async put(artifact) {
      const item = { ...itemOf(artifact), n: randomBytes(8) };
      // The ways first: those who come by them find the artifact as it was until it has changed.
      await lead(item);
      const { item: former } = await table.update(placeOf(item.h, item.id), () => ({ set: item, when: [] }), 'ALL_OLD');
      await forget(former, item);
    },
    async putOnce(artifact, { now, attempt }) {
      const item = { ...itemOf(artifact), n: randomBytes(8), t: attempt };
      await lead({ ...item, ui: undefined, uc: undefined });
      const { applied, item: stored } = await table.put({ ...placeOf(item.h, item.id), ...item }, ({ value }) => [
        `attribute_not_exists(p) OR x <= ${value(now)}`,
      ]);
      return applied || same(stored?.t, attempt);
    },
    find: async (kind, id, { now }) => stateOf(await table.get(placeOf(kind, id)), now),
    findByUid: (kind, uid, { now }) => findBy('ui', kind, uid, now),
    findByUserCode: (kind, userCode, { now }) => findBy('uc', kind, userCode, now),
    async consume(kind, id, { now, attempt }) {
      const { applied, item } = await table.update(placeOf(kind, id), ({ value }) => ({
        set: { u: now, ut: attempt },
        when: ['attribute_exists(p)', 'attribute_not_exists(u)', `attribute_not_exists(x) OR x > ${value(now)}`],
      }));
      if (applied) return true;
      const { outcome } = stateOf(item, now);
      return outcome === 'active' && same(item?.ut, attempt);
    },
    remove: (kind, id) => remove(placeOf(kind, id)),
    async removeByConsent(consentId) {
      let count = 0;
      for (let after: Uint8Array = Buffer.of(0); ; ) {
        const { items, more } = await table.query(consentPlace(consentId), { after });
        const removed = items.map(({ h, id }) =>
          remove(placeOf(h as string, id as Uint8Array), ({ value }) => [`cs = ${value(consentId)}`]),
        );
        count += (await Promise.all(removed)).filter((gone) => gone).length;
        const last = items.at(-1);
        if (!more || !last) return count;
        after = last.k as Uint8Array;
      }
    },
    purgeExpired: purge({ artifacts: 'a' }, 'wn'),
  };
}
