import { StoreError } from '../../domain/errors.ts';
import type {
  AccessTokenStore,
  Attempt,
  Digest,
  RefreshState,
  RotateOutcome,
  Selector,
  StoredAccessToken,
  StoredGrant,
  StoredRefreshToken,
  Successor,
  TokenKey,
} from '../../domain/ports.ts';
import { selectorKey, selectorKeysOf } from '../../domain/selector.ts';
import type { GrantId } from '../../domain/token.ts';
import type { Purge } from './purge.ts';
import { accessOf, entryOf, grantOf, hasPassed, isOver, nameOf, refreshOf, tokensOf } from './records.ts';
import {
  chunks,
  type Item,
  type Key,
  keyOf,
  same,
  type Table,
  type Terms,
  type Update,
  type Written,
} from './table.ts';

/** So many access tokens stand in the item of their grant; what is too much becomes items of their own. */
const INLINE = 6;
/** An access token that has expired makes room after so long: clocks differ, and who asks is told that it has expired. */
const EXPIRED_SECONDS = 300;
/** How much longer than its grant a pointer is kept at first, so that it need not move whenever the grant's end does. */
const POINTER_SLACK_SECONDS = 30 * 86_400;
/** How many grants are ended at a time. */
const REVOKE_BATCH = 50;
/** A write that others overtake is built anew, from what they left. */
const TRIES = 20;

/** The attributes of a selector, likeliest to be few first: one of those that are given leads, all must match. */
const FIELDS = [
  ['subject', 's'],
  ['consentId', 'cs'],
  ['applicationId', 'ap'],
  ['clientId', 'c'],
] as const;

const grantPlace = (grantId: GrantId) => keyOf('g', grantId);
const tokensPlace = (grantId: GrantId) => keyOf('x', grantId).p;
const tokenPlace = (grantId: GrantId, digest: Digest): Key => ({ p: tokensPlace(grantId), k: digest });
const foreignPlace = (digest: Digest) => keyOf('f', digest);
const markPlace = (selector: Uint8Array) => keyOf('m', selector);
const pointersPlace = (selector: Selector) => keyOf('s', selectorKey(selector)).p;

const ownerOf = ({ subject, consentId, applicationId, clientId }: Selector) => ({
  s: subject,
  cs: consentId,
  ap: applicationId,
  c: clientId,
});

/** What a grant must have to match. */
const wantedOf = (selector: Selector) => Object.entries(ownerOf(selector)).filter(([, value]) => value !== undefined);

const isOf = (item: Item, wanted: ReturnType<typeof wantedOf>) => wanted.every(([name, value]) => item[name] === value);

/** The pointers to a grant: by the random part of its id, so that no end of a long list takes all the writes. */
const pointersTo = (grant: StoredGrant, until: number): (Key & Item)[] =>
  FIELDS.flatMap(([field]) => {
    const value = grant[field];
    if (value === undefined) return [];
    const k = Buffer.concat([grant.grantId.subarray(4), grant.grantId.subarray(0, 4)]);
    return [{ p: pointersPlace({ [field]: value }), k, g: grant.grantId, ...ownerOf(grant), l: until }];
  });

const tokenItem = ({ issuedAt, expiresAt, data, foreign }: StoredAccessToken, attempt: Attempt): Item => ({
  i: issuedAt,
  x: expiresAt,
  d: data,
  t: attempt,
  f: foreign,
});

/** When the newest revocation of all access tokens of a grant was. */
const lastEnd = (item: Item) => ((item.n as number[] | undefined) ?? [-1])[0] ?? -1;

/** The access tokens of a grant that make room for others. */
const longExpired = (item: Item | undefined, now: number): string[] =>
  Object.entries(item ? tokensOf(item) : {}).flatMap(([name, { x }]) =>
    Number(x) + EXPIRED_SECONDS <= now ? [name] : [],
  );

/** Whether a further access token becomes an item of its own; while one of those lives, all do. */
const isFull = (item: Item | undefined, now: number): boolean =>
  item !== undefined &&
  (Number(item.o ?? 0) > now || (Object.keys(tokensOf(item)).length >= INLINE && longExpired(item, now).length === 0));

const conflict = (what: string) => new StoreError('conflict', `${what} is stored already`);

/** A time of a grant that only grows: set where it was seen to be earlier, else a condition that it is late enough. */
const grow = ({ value }: Terms, path: string, to: number, seen: number): Update =>
  seen < to
    ? { set: { [path]: to }, when: [`attribute_not_exists(${path}) OR ${path} <= ${value(to)}`] }
    : { set: {}, when: [`${path} >= ${value(to)}`] };

/** What a write adds to a grant beside its own change. */
interface Addition {
  readonly grantId: GrantId;
  readonly access?: StoredAccessToken | undefined;
  readonly attempt: Attempt;
  readonly now: number;
  readonly retainUntil: number;
  /** What to take the grant's present `retainUntil` for, before it is seen. */
  readonly guess: number;
}

export function createAccessTokenStore(table: Table, purge: Purge): AccessTokenStore {
  /** The grant that a token leads to: it names it, or its digest does. */
  const grantIdOf = async ({ grantId, digest }: TokenKey): Promise<GrantId | undefined> =>
    grantId ?? ((await table.get(foreignPlace(digest)))?.g as GrantId | undefined);
  const find = async (key: TokenKey): Promise<Item | undefined> => {
    const grantId = await grantIdOf(key);
    const item = grantId && (await table.get(grantPlace(grantId)));
    return item?.c === undefined ? undefined : item;
  };

  /**
   * Leads foreign digests to a grant, and gives what takes those back that were not led there before.
   * @throws {StoreError} conflict: one leads to another grant
   */
  const claim = async (
    grantId: GrantId,
    l: number,
    tokens: readonly ({ digest: Digest; foreign?: boolean } | undefined)[],
  ) => {
    const foreign = tokens.flatMap((token) => (token?.foreign ? [foreignPlace(token.digest)] : []));
    const written = await Promise.all(
      foreign.map(async (key) => {
        const put = await table.put({ ...key, g: grantId, l }, ({ value }) => [
          `attribute_not_exists(p) OR g = ${value(grantId)}`,
        ]);
        return { ...put, key };
      }),
    );
    const release = async () => {
      const claimed = written.filter(({ applied, item }) => applied && !item);
      await Promise.all(claimed.map(({ key }) => table.remove(key, ({ value }) => [`g = ${value(grantId)}`])));
    };
    if (written.every(({ applied }) => applied)) return release;
    await release();
    throw conflict('a foreign token with this digest');
  };

  /** What puts an access token into a grant as it was seen last. */
  const inline = ({ name, value }: Terms, { access, attempt, now }: Addition, seen: Item | undefined): Update => {
    if (!access) return { set: {}, when: [] };
    const path = `a.${name(nameOf(access.digest))}`;
    const size = seen ? Object.keys(tokensOf(seen)).length : 0;
    const making = size < INLINE ? [] : longExpired(seen, now);
    return {
      set: {
        [path]: tokenItem(access, attempt),
        ...Object.fromEntries(making.map((token) => [`a.${name(token)}`, undefined])),
      },
      when: [
        `attribute_not_exists(${path})`,
        `attribute_not_exists(o) OR o <= ${value(now)}`,
        // A map that was seen full may have been emptied, or emptied and filled, by others.
        `size(a) <= ${value(Math.max(size, INLINE - 1))}`,
      ],
    };
  };

  /**
   * Changes a grant by one conditional write, and adds an access token to it, all or nothing. A refusal gives the grant
   * back: `judge` says what it means, or nothing when it was for want of room or of time, and it is written again.
   */
  const change = async <Outcome>(
    addition: Addition,
    build: (terms: Terms) => Update,
    judge: (item: Item | undefined) => Outcome | undefined,
    applied: (item: Item) => Outcome,
  ): Promise<Outcome> => {
    const { grantId, access, attempt, now, retainUntil, guess } = addition;
    for (let seen: Item | undefined, tries = 0; tries < TRIES; tries += 1) {
      if (seen && Number(seen.y) < retainUntil) {
        const until = retainUntil + POINTER_SLACK_SECONDS;
        await table.putAll(pointersTo(grantOf(seen), until));
        await table.update(grantPlace(grantId), ({ value }) => ({
          set: { y: until },
          when: [`y < ${value(until)}`],
        }));
      }
      const own = access && isFull(seen, now) ? tokenPlace(grantId, access.digest) : undefined;
      let isNew = false;
      if (own && access) {
        // First, so that no rotation is without its token. Where that is refused, nobody was given this one.
        const item = { ...own, ...tokenItem(access, attempt), l: access.expiresAt };
        const put = await table.put(item, () => ['attribute_not_exists(p)']);
        if (!put.applied && !same(put.item?.t, attempt)) throw conflict('an access token with this digest');
        isNew = put.applied;
      }
      const written = await table.update(grantPlace(grantId), (terms) => {
        const change = build(terms);
        const place = own
          ? grow(terms, 'o', access?.expiresAt ?? 0, Number(seen?.o ?? 0))
          : inline(terms, addition, seen);
        const kept = grow(terms, 'l', retainUntil, seen ? Number(seen.l) : guess);
        return {
          set: { ...change.set, ...place.set, ...kept.set },
          when: [...change.when, ...place.when, ...kept.when, `y >= ${terms.value(retainUntil)}`],
        };
      });
      if (written.applied && written.item) return applied(written.item);
      const outcome = judge(written.item);
      if (own && isNew) await table.remove(own);
      if (outcome !== undefined) return outcome;
      seen = written.item;
    }
    throw new StoreError('throttled', 'others write to the same grant all the time');
  };

  const OPEN = ['attribute_exists(c)', 'attribute_not_exists(v)'];
  const notOver = (value: string) => `attribute_not_exists(x) OR x > ${value}`;
  /** Why nothing can be added to a grant. */
  const closed = (item: Item | undefined, now: number) => {
    if (item?.c === undefined) return item?.v !== undefined && Number(item.l) > now ? 'revoked' : 'unknown';
    if (item.v !== undefined) return 'revoked';
    return hasPassed(item.x, now) ? 'expired' : undefined;
  };

  const end = (grantId: GrantId, now: number, clientId?: string) =>
    table.update(grantPlace(grantId), ({ value }) => ({
      set: { v: now },
      when: [...OPEN, ...(clientId === undefined ? [] : [`c = ${value(clientId)}`])],
    }));

  /**
   * The pages of pointers for the field of a selector that likely has the fewest. What another field of a pointer says is
   * no reason to pass its grant over: a second grant of its id, refused as conflict, may have written it last.
   */
  async function* pointers(selector: Selector, after: Uint8Array, limit?: () => number) {
    const [field] = FIELDS.find(([name]) => selector[name] !== undefined) ?? [];
    if (!field)
      throw new StoreError('invalid', 'a selector names at least one of subject, clientId, applicationId, consentId');
    const p = pointersPlace({ [field]: selector[field] });
    for (let place = after, goesOn = true; goesOn; ) {
      const { items, more } = await table.query(p, place, limit?.());
      place = (items.at(-1)?.k as Uint8Array | undefined) ?? place;
      goesOn = more;
      yield { items, place, more };
    }
  }

  return {
    async persist({ grant, refresh, access }, { now, attempt, authorizedAtMs }) {
      const { grantId } = grant;
      const release = await claim(grantId, grant.retainUntil, [refresh, access]);
      const until = grant.retainUntil + POINTER_SLACK_SECONDS;
      const item = {
        ...grantPlace(grantId),
        ...ownerOf(grant),
        i: grant.createdAt,
        x: grant.expiresAt,
        d: grant.data,
        l: grant.retainUntil,
        y: until,
        t: attempt,
        a: access ? { [nameOf(access.digest)]: tokenItem(access, attempt) } : {},
        ...refreshItem(refresh, grant.createdAt),
        rs: refresh?.sender,
      };
      const put = () =>
        table.put(item, ({ value }) => {
          const passed =
            authorizedAtMs === undefined ? '' : ` OR (attribute_not_exists(v) AND b < ${value(authorizedAtMs)})`;
          return [`attribute_not_exists(p) OR (attribute_not_exists(c) AND (l <= ${value(now)}${passed}))`];
        });
      const pointing = table.putAll(pointersTo(grant, until));
      let written: Written;
      if (authorizedAtMs === undefined) {
        [written] = await Promise.all([put(), pointing]);
      } else {
        // Pointers, then marks, then the grant: a revocation that wrote its mark after the marks were read finds the
        // pointers, and bars the id of the grant that is not there yet.
        await pointing;
        const marks = await table.getAll(selectorKeysOf(grant).map(markPlace));
        if (marks.some(({ m, l }) => Number(m) >= authorizedAtMs && Number(l) > now)) {
          await release();
          return 'barred';
        }
        written = await put();
      }
      if (written.applied) return 'persisted';
      const stored = written.item ?? {};
      // The pointers of the grant that is there, which may have been kept for longer, are those of this one now.
      if (stored.c !== undefined) await table.putAll(pointersTo(grantOf(stored), Number(stored.y)));
      if (stored.v === undefined && same(stored.t, attempt)) return 'persisted';
      await release();
      if (stored.v !== undefined) return 'revoked';
      if (stored.b !== undefined) return 'barred';
      throw conflict('a grant of this id');
    },

    async addAccess(grantId, access, { now, attempt, retainUntil }) {
      const release = await claim(grantId, retainUntil, [access]);
      try {
        const outcome = await change<'added' | 'expired' | 'revoked' | 'unknown'>(
          { grantId, access, attempt, now, retainUntil, guess: Number.POSITIVE_INFINITY },
          ({ value }) => ({ set: {}, when: [...OPEN, notOver(value(now))] }),
          (item) => {
            const why = closed(item, now);
            if (why || !item) return why;
            const stored = tokensOf(item)[nameOf(access.digest)];
            if (stored && !same(stored.t, attempt)) throw conflict('an access token with this digest');
            return stored && 'added';
          },
          () => 'added',
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
      const outcome = await change<'added' | 'expired' | 'revoked' | 'unknown' | 'conflict'>(
        { grantId, attempt, now, retainUntil, guess: 0 },
        ({ value }) => ({
          set: { ...refreshItem(refresh, now), rs: refresh.sender, ra: attempt },
          when: [
            ...OPEN,
            notOver(value(now)),
            'attribute_not_exists(r)',
            `attribute_not_exists(ra) OR ra <> ${value(attempt)}`,
          ],
        }),
        (item) => {
          const why = closed(item, now);
          if (why) return why;
          if (same(item?.ra, attempt)) return 'added';
          return item?.r === undefined ? undefined : 'conflict';
        },
        () => 'added',
      );
      if (outcome !== 'added') await release();
      if (outcome === 'conflict') throw conflict('another refresh token of the grant');
      return outcome;
    },

    async findAccess(key, { now }) {
      const item = await find(key);
      if (!item) return { outcome: 'unknown' };
      const grant = grantOf(item);
      const token =
        tokensOf(item)[nameOf(key.digest)] ??
        (item.o === undefined ? undefined : await table.get(tokenPlace(grant.grantId, key.digest)));
      if (!token) return { outcome: 'unknown' };
      const { revokedAt, ...access } = accessOf(key.digest, token, item);
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
        return { outcome: 'retired', retiredAt: Number(item.pt ?? item.i), grant };
      }
      const outcome = item.v !== undefined ? 'revoked' : isOver(item, now) ? 'expired' : 'active';
      return { outcome, refresh, issuedAt: Number(item.rt), grant };
    },

    async rotate(key, successor, { clientId, sender, now, attempt, graceSeconds }) {
      const { digest } = key;
      const { access, sealed, retainUntil } = successor;
      const grantId = await grantIdOf(key);
      if (!grantId) return { outcome: 'unknown' };
      const { refresh } = successor;
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
            const stored = access && tokensOf(item)[nameOf(access.digest)];
            if (stored && !same(stored.t, attempt)) throw conflict('an access token with this digest');
            return stored && { outcome: 'rotated', grant, sealed };
          }
          const isRepeated = same(item.pa, attempt);
          if (same(item.pr, digest) && (isRepeated || now < Number(item.pt) + graceSeconds)) {
            if (item.v !== undefined) return { outcome: 'revoked' };
            if (hasPassed(item.x, now)) return { outcome: 'expired' };
            return { outcome: isRepeated ? 'rotated' : 'retried', grant, sealed: item.ps as Uint8Array };
          }
          return { outcome: 'reused', grant };
        },
        (item) => ({ outcome: 'rotated', grant: grantOf(item), sealed }),
      );
      if (outcome.outcome === 'reused') await end(grantId, now);
      if (outcome.outcome !== 'rotated') await release();
      return outcome;
    },

    async revokeAccess(key, { now, clientId }) {
      const grantId = await grantIdOf(key);
      if (!grantId) return false;
      const { applied, item } = await table.update(grantPlace(grantId), ({ name, value }) => {
        const path = `a.${name(nameOf(key.digest))}`;
        return {
          set: { [`${path}.v`]: now },
          when: [
            ...OPEN,
            `attribute_exists(${path}) AND attribute_not_exists(${path}.v)`,
            `attribute_not_exists(n) OR n[0] < ${path}.i`,
            ...(clientId === undefined ? [] : [`c = ${value(clientId)}`]),
          ],
        };
      });
      if (applied) return true;
      const isOwn = item?.o !== undefined && !tokensOf(item)[nameOf(key.digest)];
      if (!isOwn || item.v !== undefined || (clientId !== undefined && item.c !== clientId)) return false;
      const own = await table.update(tokenPlace(grantId, key.digest), ({ value }) => ({
        set: { v: now },
        when: ['attribute_exists(p)', 'attribute_not_exists(v)', `i > ${value(lastEnd(item))}`],
      }));
      return own.applied;
    },

    async revokeRefresh(key, { now, clientId }) {
      const grantId = await grantIdOf(key);
      return grantId ? (await end(grantId, now, clientId)).applied : false;
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
        when: [OPEN[0] ?? ''],
      }));
    },

    async revokeBy(selector, { nowMs, retainUntil }) {
      const mark = markPlace(selectorKey(selector));
      for (let seen: Item = {}, applied = false; !applied; ) {
        const [m, l] = [Math.max(nowMs, Number(seen.m ?? 0)), Math.max(retainUntil, Number(seen.l ?? 0))];
        const written = await table.update(mark, ({ value }) => ({
          set: { m, l },
          when: [`attribute_not_exists(p) OR (m <= ${value(m)} AND l <= ${value(l)})`],
        }));
        ({ applied } = written);
        seen = written.item ?? {};
      }
      const wanted = wantedOf(selector);
      const endOne = async (pointer: Item): Promise<boolean> => {
        const place = grantPlace(pointer.g as GrantId);
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
      for await (const { items } of pointers(selector, Buffer.of(0))) {
        for (const some of chunks(items, REVOKE_BATCH)) {
          ended += (await Promise.all(some.map(endOne))).filter((isEnded) => isEnded).length;
        }
      }
      return ended;
    },

    async listGrants(selector, { limit, after = '' }) {
      const found: ReturnType<typeof entryOf>[] = [];
      const start = after === '' ? Buffer.of(0) : Buffer.from(after, 'base64url');
      const wanted = wantedOf(selector);
      for await (const { items, place, more } of pointers(selector, start, () => limit - found.length)) {
        const places = items.map(({ g }) => grantPlace(g as GrantId));
        // DynamoDB gives them in no order.
        const order = new Map(places.map(({ p }, index) => [hex(p), index]));
        const positionOf = (item: Item) => order.get(hex(item.p)) ?? 0;
        const ofOwner = (await table.getAll(places))
          .filter((item) => isOf(item, wanted))
          .sort((one, two) => positionOf(one) - positionOf(two));
        found.push(...ofOwner.map(entryOf));
        if (found.length >= limit && more) return { grants: found, next: Buffer.from(place).toString('base64url') };
      }
      return { grants: found };
    },

    async listAccess(grantId, { limit, after = '' }) {
      const start = after === '' ? Buffer.of(0) : Buffer.from(after, 'hex');
      const [item, own] = await Promise.all([
        table.get(grantPlace(grantId)),
        table.query(tokensPlace(grantId), start, limit + 1),
      ]);
      if (item?.c === undefined) return { tokens: [] };
      const last = own.more ? hex(own.items.at(-1)?.k) : undefined;
      const inlined = Object.entries(tokensOf(item)).map(([name, token]) => ({
        digest: Buffer.from(name, 'base64url'),
        token,
      }));
      const tokens = [...inlined, ...own.items.map((token) => ({ digest: token.k as Uint8Array, token }))]
        .map((each) => ({ ...each, place: hex(each.digest) }))
        .filter(({ place }) => place > after && (last === undefined || place <= last))
        .sort((one, two) => (one.place < two.place ? -1 : 1));
      const page = tokens.slice(0, limit);
      const next = tokens.length > limit || own.more ? page.at(-1)?.place : undefined;
      return {
        tokens: page.map(({ digest, token }) => accessOf(digest, token, item)),
        ...(next !== undefined && { next }),
      };
    },

    purgeExpired: purge({ accessTokens: 'x', grants: 'g', revocations: 'm' }, 'sf'),
  };
}

const hex = (bytes: unknown) => Buffer.from(bytes as Uint8Array).toString('hex');

const refreshItem = (refresh: Omit<StoredRefreshToken, 'sender'> | undefined, issuedAt: number): Item => ({
  r: refresh?.digest,
  rx: refresh?.expiresAt,
  ri: refresh?.idleExpiresAt,
  rf: refresh?.foreign,
  rt: refresh && issuedAt,
});

const replacement = (
  { refresh, sealed }: Successor,
  { digest, attempt, now }: { digest: Digest; attempt: Attempt; now: number },
): Item => {
  if (typeof refresh === 'object' && 'kept' in refresh) {
    return refresh.idleExpiresAt === undefined ? {} : { ri: refresh.idleExpiresAt };
  }
  const retired = { pr: digest, pa: attempt, pt: now, ps: sealed };
  return { ...refreshItem(refresh === 'none' ? undefined : refresh, now), ...retired };
};
