import type { AccessTokenStore, TokenKey } from '../../domain/ports.ts';
import type { GrantId } from '../../domain/token.ts';
import { revoking, tokenIn, unmarking } from './buckets.ts';
import { grantPlace, OPEN, tokenPlace } from './changes.ts';
import { grantIdOf as grantIdOfPointer, isOf, type Pointers, wantedOf } from './pointers.ts';
import { chunks, type Table, type Written } from './table.ts';
import type { Item } from './values.ts';

/** How many grants are ended at a time. */
const REVOKE_BATCH = 50;

type Revocations = Pick<
  AccessTokenStore,
  'revokeAccess' | 'revokeRefresh' | 'revokeGrant' | 'revokeAccessOfGrant' | 'revokeBy'
>;

/** Ends a grant that is there and has not ended, of this client if one is named. */
export const endGrant = (table: Table, grantId: GrantId, now: number, clientId?: string): Promise<Written> =>
  table.update(grantPlace(grantId), ({ value }) => ({
    set: { v: now },
    when: [...OPEN, ...(clientId === undefined ? [] : [`c = ${value(clientId)}`])],
  }));

/** Every way to end tokens. */
export function createRevocations(
  table: Table,
  pointers: Pointers,
  grantIdOf: (key: TokenKey) => Promise<GrantId | undefined>,
): Revocations {
  return {
    async revokeAccess(key, { now, clientId }) {
      const { digest } = key;
      const grantId = await grantIdOf(key);
      if (!grantId) return false;
      const { applied, item } = await table.update(grantPlace(grantId), (terms) => {
        const revoked = revoking(terms, digest, now);
        return {
          ...revoked,
          when: [...OPEN, ...revoked.when, ...(clientId === undefined ? [] : [`c = ${terms.value(clientId)}`])],
        };
      });
      if (applied && item) {
        if (!hasEndedWithAll(item, digest)) return true;
        // Marked in vain: it keeps the time when it ended.
        await table.update(grantPlace(grantId), (terms) => unmarking(terms, digest));
        return false;
      }
      if (item?.o === undefined || item.v !== undefined || (clientId !== undefined && item.c !== clientId))
        return false;
      if (tokenIn(item, digest)) return false;
      const own = await table.update(tokenPlace(grantId, digest), ({ value }) => ({
        set: { v: now },
        when: ['attribute_exists(p)', 'attribute_not_exists(v)', `i > ${value(lastEnd(item))}`],
      }));
      return own.applied;
    },

    async revokeRefresh(key, { now, clientId }) {
      const grantId = await grantIdOf(key);
      return grantId ? (await endGrant(table, grantId, now, clientId)).applied : false;
    },

    async revokeGrant(grantId, { now, retainUntil }) {
      const { applied, item } = await table.update(grantPlace(grantId), ({ value }) => ({
        set: { v: now },
        assign: [`l = if_not_exists(l, ${value(retainUntil)})`],
        when: ['attribute_not_exists(v)'],
      }));
      // One that has not come yet is kept as revoked until the latest time that was asked for.
      if (item?.c !== undefined || (applied && Number(item?.l) >= retainUntil)) return;
      await table.update(grantPlace(grantId), ({ value }) => ({
        set: { l: retainUntil },
        when: ['attribute_not_exists(c)', `l < ${value(retainUntil)}`],
      }));
    },

    async revokeAccessOfGrant(grantId, { now }) {
      await table.update(grantPlace(grantId), ({ value }) => ({
        set: {},
        assign: [`n = list_append(${value([now])}, if_not_exists(n, ${value([])}))`],
        when: ['attribute_exists(c)'],
      }));
    },

    async revokeBy(selector, { nowMs, retainUntil }) {
      await pointers.mark(selector, nowMs, retainUntil);
      const wanted = wantedOf(selector);
      const endOne = async (pointer: Item): Promise<boolean> => {
        const place = grantPlace(grantIdOfPointer(pointer));
        const { applied, item } = await table.update(place, ({ value }) => ({
          set: { v: Math.floor(nowMs / 1000) },
          when: [...OPEN, ...wanted.map(([name, wants]) => `${name} = ${value(wants)}`)],
        }));
        if (applied || item?.c !== undefined || !isOf(pointer, wanted)) return applied;
        // A grant on its way has its pointers, and no item yet: its id is barred.
        const barred = await table.update(place, ({ value }) => ({
          set: { b: nowMs },
          assign: [`l = if_not_exists(l, ${value(retainUntil)})`],
          when: ['attribute_not_exists(c)', `attribute_not_exists(b) OR b < ${value(nowMs)}`],
        }));
        // Or it has come between the two requests.
        return barred.item?.c === undefined ? false : endOne(pointer);
      };
      let ended = 0;
      for await (const found of pointers.of(selector, Buffer.of())) {
        for (const some of chunks(found, REVOKE_BATCH)) {
          ended += (await Promise.all(some.map(({ item }) => endOne(item)))).filter((isEnded) => isEnded).length;
        }
      }
      return ended;
    },
  };
}

/** When the newest revocation of all access tokens of a grant was. */
const lastEnd = (item: Item) => ((item.n as number[] | undefined) ?? [-1])[0] ?? -1;

/** Whether an access token in the item of its grant has ended together with all the others. */
const hasEndedWithAll = (item: Item, digest: Uint8Array) => {
  const { token } = tokenIn(item, digest) ?? {};
  return token !== undefined && token.issuedAt <= lastEnd(item);
};
