import { StoreError } from '../../domain/errors.ts';
import type { AccessTokenStore, RefreshState, RotateOutcome } from '../../domain/ports.ts';
import { fits, isRepeat, newBuckets, tokenIn, widthOf } from './buckets.ts';
import { conflict, createChanges, grantPlace, OPEN, tokenPlace } from './changes.ts';
import { createForeignTokens } from './foreign.ts';
import { createLists } from './lists.ts';
import { createPointers, ownerOf, pointerUntil } from './pointers.ts';
import type { Purge } from './purge.ts';
import {
  accessOf,
  grantOf,
  hasPassed,
  isOver,
  issuedAtOf,
  refreshItem,
  refreshOf,
  replacement,
  retiredOf,
  tokenOf,
  traceOf,
} from './records.ts';
import { createRevocations, endGrant } from './revocations.ts';
import type { Table, Written } from './table.ts';
import { type Item, same } from './values.ts';

const notOver = (value: string) => `attribute_not_exists(x) OR x > ${value}`;

/** Why nothing can be added to a grant. */
const closed = (item: Item | undefined, now: number) => {
  if (item?.c === undefined) return item?.v !== undefined && Number(item.l) > now ? 'revoked' : 'unknown';
  if (item.v !== undefined) return 'revoked';
  return hasPassed(item.x, now) ? 'expired' : undefined;
};

type Added = 'added' | 'expired' | 'revoked' | 'unknown';

/** Grants with their tokens. Access tokens that live no longer than so many seconds stand in the item of their grant. */
export function createAccessTokenStore(table: Table, purge: Purge, longestLifeSeconds: number): AccessTokenStore {
  const { grantIdOf, claim } = createForeignTokens(table);
  const pointers = createPointers(table);
  const { change, putOwn } = createChanges(table, longestLifeSeconds, pointers.point);

  const find = async (key: Parameters<typeof grantIdOf>[0]): Promise<Item | undefined> => {
    const grantId = await grantIdOf(key);
    const item = grantId && (await table.get(grantPlace(grantId)));
    return item?.c === undefined ? undefined : item;
  };

  return {
    async persist({ grant, refresh, access }, { now, attempt, authorizedAtMs }) {
      const { grantId } = grant;
      const release = await claim(grantId, grant.retainUntil, [refresh, access]);
      const until = pointerUntil(grant.retainUntil);
      const width = widthOf(longestLifeSeconds);
      const own = access && !fits(access, now, width) ? access : undefined;
      const item = {
        ...grantPlace(grantId),
        ...ownerOf(grant),
        i: grant.createdAt,
        x: grant.expiresAt,
        d: grant.data,
        l: grant.retainUntil,
        y: until,
        t: traceOf(attempt),
        o: own?.expiresAt,
        ...newBuckets(own ? undefined : access, attempt, { now, width }),
        ...refreshItem(refresh),
        rs: refresh?.sender,
      };
      let takeBack: (() => Promise<void>) | undefined;
      const put = async () => {
        // First, so that no grant is without its token.
        if (own) takeBack = await putOwn(grantId, own, attempt);
        return table.put(item, ({ value }) => {
          const passed =
            authorizedAtMs === undefined ? '' : ` OR (attribute_not_exists(v) AND b < ${value(authorizedAtMs)})`;
          return [`attribute_not_exists(p) OR (attribute_not_exists(c) AND (l <= ${value(now)}${passed}))`];
        });
      };
      let written: Written;
      if (authorizedAtMs === undefined) {
        [written] = await Promise.all([put(), pointers.point(grant, until)]);
      } else {
        // Pointers, then marks, then the grant: a revocation that wrote its mark after the marks were read finds the
        // pointers, and bars the id of the grant that is not there yet.
        await pointers.point(grant, until);
        if (await pointers.isBarred(grant, authorizedAtMs, now)) {
          await release();
          return 'barred';
        }
        written = await put();
      }
      if (written.applied) return 'persisted';
      const stored = written.item ?? {};
      // The pointers of the grant that is there, which may have been kept for longer, are those of this one now.
      if (stored.c !== undefined) await pointers.point(grantOf(stored), Number(stored.y));
      if (stored.v === undefined && same(stored.t, traceOf(attempt))) return 'persisted';
      await release();
      await takeBack?.();
      if (stored.v !== undefined) return 'revoked';
      if (stored.b !== undefined) return 'barred';
      throw conflict('a grant of this id');
    },

    async addAccess(grantId, access, { now, attempt, retainUntil }) {
      const release = await claim(grantId, retainUntil, [access]);
      try {
        const outcome = await change<Added>(
          { grantId, access, attempt, now, retainUntil, guess: Number.POSITIVE_INFINITY },
          ({ value }) => ({ set: {}, when: [...OPEN, notOver(value(now))] }),
          (item) => {
            const why = closed(item, now);
            if (why || !item) return why;
            const stored = tokenIn(item, access.digest);
            if (stored && !isRepeat(stored, attempt)) throw conflict('an access token with this digest');
            return stored && 'added';
          },
          () => 'added',
          (outcome) => outcome === 'added',
        );
        if (outcome !== 'added') await release();
        return outcome;
      } catch (error) {
        if (error instanceof StoreError && error.code === 'conflict') await release();
        throw error;
      }
    },

    async addRefresh(grantId, refresh, { now, attempt, retainUntil }) {
      const release = await claim(grantId, retainUntil, [refresh]);
      const outcome = await change<Added | 'conflict'>(
        { grantId, attempt, now, retainUntil, guess: 0 },
        ({ value }) => ({
          set: { ...refreshItem(refresh), rt: now, rs: refresh.sender, ra: traceOf(attempt) },
          when: [
            ...OPEN,
            notOver(value(now)),
            'attribute_not_exists(r)',
            `attribute_not_exists(ra) OR ra <> ${value(traceOf(attempt))}`,
          ],
        }),
        (item) => {
          const why = closed(item, now);
          if (why) return why;
          if (same(item?.ra, traceOf(attempt))) return 'added';
          return item?.r === undefined ? undefined : 'conflict';
        },
        () => 'added',
        (outcome) => outcome === 'added',
      );
      if (outcome !== 'added') await release();
      if (outcome === 'conflict') throw conflict('another refresh token of the grant');
      return outcome;
    },

    async findAccess(key, { now }) {
      const item = await find(key);
      if (!item) return { outcome: 'unknown' };
      const grant = grantOf(item);
      let found: ReturnType<typeof tokenOf> | undefined = tokenIn(item, key.digest);
      if (!found && item.o !== undefined) {
        const own = await table.get(tokenPlace(grant.grantId, key.digest));
        found = own && tokenOf(own);
      }
      if (!found) return { outcome: 'unknown' };
      const { revokedAt, ...access } = accessOf(found, item);
      if (item.v !== undefined || revokedAt !== undefined) return { outcome: 'revoked', access, grant };
      const isExpired = access.expiresAt <= now || hasPassed(item.x, now);
      return { outcome: isExpired ? 'expired' : 'active', access, grant };
    },

    async findRefresh(key, { now }): Promise<RefreshState> {
      const item = await find(key);
      if (!item) return { outcome: 'unknown' };
      const grant = grantOf(item);
      const refresh = refreshOf(item);
      if (!refresh || !same(refresh.digest, key.digest)) {
        return { outcome: 'retired', retiredAt: retiredOf(item)?.at ?? grant.createdAt, grant };
      }
      const outcome = item.v !== undefined ? 'revoked' : isOver(item, now) ? 'expired' : 'active';
      return { outcome, refresh, issuedAt: issuedAtOf(item), grant };
    },

    async rotate(key, successor, { clientId, sender, now, attempt, graceSeconds }) {
      const { digest } = key;
      const { access, refresh, sealed, retainUntil } = successor;
      const grantId = await grantIdOf(key);
      if (!grantId) return { outcome: 'unknown' };
      const release = await claim(
        grantId,
        retainUntil,
        typeof refresh === 'object' && 'digest' in refresh ? [refresh] : [],
      );
      const outcome = await change<RotateOutcome>(
        { grantId, access, attempt, now, retainUntil, guess: 0 },
        ({ value }) => ({
          set: replacement(successor, { digest, attempt, now }),
          when: [
            `c = ${value(clientId)}`,
            `attribute_not_exists(rs)${sender ? ` OR rs = ${value(sender)}` : ''}`,
            'attribute_not_exists(v)',
            `r = ${value(digest)}`,
            `rx > ${value(now)}`,
            `attribute_not_exists(ri) OR ri > ${value(now)}`,
            notOver(value(now)),
          ],
        }),
        (item) => {
          if (item?.c === undefined) return { outcome: 'unknown' };
          if (item.c !== clientId || (item.rs !== undefined && !same(item.rs, sender)))
            return { outcome: 'mismatched' };
          const grant = grantOf(item);
          if (same(item.r, digest)) {
            if (item.v !== undefined) return { outcome: 'revoked' };
            if (isOver(item, now)) return { outcome: 'expired' };
            const stored = access && tokenIn(item, access.digest);
            if (stored && !isRepeat(stored, attempt)) throw conflict('an access token with this digest');
            return stored && { outcome: 'rotated', grant, sealed };
          }
          const retired = retiredOf(item);
          const isRepeated = retired?.isBy(attempt);
          if (retired?.isOf(digest) && (isRepeated || now < retired.at + graceSeconds)) {
            if (item.v !== undefined) return { outcome: 'revoked' };
            if (hasPassed(item.x, now)) return { outcome: 'expired' };
            return { outcome: isRepeated ? 'rotated' : 'retried', grant, sealed: retired.sealed };
          }
          return { outcome: 'reused', grant };
        },
        (item) => ({ outcome: 'rotated', grant: grantOf(item), sealed }),
        ({ outcome }) => outcome === 'rotated',
      );
      if (outcome.outcome === 'reused') await endGrant(table, grantId, now);
      if (outcome.outcome !== 'rotated') await release();
      return outcome;
    },

    ...createRevocations(table, pointers, grantIdOf),
    ...createLists(table, pointers),
    // Access tokens in the items of their grants go unread, with their buckets; so those with items of their own go uncounted.
    purgeExpired: purge({ grants: 'g', revocations: 'm' }, 'xsif'),
  };
}
