import { StoreError } from '../../domain/errors.ts';
import type { AccessTokenStore, GrantEntry, RefreshState, StoredAccessToken } from '../../domain/ports.ts';
import { matches } from '../../domain/selector.ts';
import type { GrantId } from '../../domain/token.ts';
import { base64url, f64, join, packed, same, traceOf, u32 } from './bytes.ts';
import type { Argument, Reply } from './connection.ts';
import { createForeignTokens } from './foreign.ts';
import { createOwners, firstPointer, mayCome, type Pointer, pointerUntil } from './owners.ts';
import type { createPurge } from './purge.ts';
import {
  accessBytes,
  entryOf,
  type GrantRecord,
  grantBytes,
  issuedAtOf,
  ownUntil,
  pointersOf,
  readAccess,
  readGrant,
  refreshBytes,
  refreshOf,
  replacedBytes,
  retiredAtOf,
  tokenIn,
  tokensIn,
} from './records.ts';
import { addAccess, addRefresh, persist, rotate } from './scripts/grants.ts';
import { endGrant, endMatching, revokeAccess, revokeAccessOfGrant, revokeGrant } from './scripts/revocations.ts';
import type { Script } from './scripts/script.ts';
import type { Store } from './store.ts';

/** Access tokens stand in the record of their grant as far as they have room there; scripts/grants.ts says the same. */
const ROOM = 1024;
/** How many grants are ended at a time. */
const AT_ONCE = 500;
/** Clocks do not differ by more. */
const HOUR = 3600;

const grantKey = (grantId: GrantId) => `{${base64url(grantId)}}`;
const tokenKey = (grantId: GrantId, digest: Uint8Array) => `${grantKey(grantId)}a${base64url(digest)}`;
/** The access tokens that are keys of their own, in a sorted set. */
const tokensKey = (grantId: GrantId) => `${grantKey(grantId)}t`;
const keysOf = (grantId: GrantId, { digest }: { digest: Uint8Array }) => [
  grantKey(grantId),
  tokenKey(grantId, digest),
  tokensKey(grantId),
];

const conflict = (what: string) => new StoreError('conflict', `${what} is stored already`);
const hasPassed = (time: number | undefined, now: number) => time !== undefined && time <= now;

/** Where an access token stands in a list: by its end, which never changes, and its digest. */
const placeOf = (bytes: Buffer) =>
  join(Buffer.from('e'), bytes.subarray(2, 6), bytes.subarray(24, 24 + bytes.readUInt8(23)));

/** A word, the grant's record, and what a rotation had answered. */
type Outcome = readonly [word: Buffer | string, standing?: Buffer, sealed?: Buffer];
type Added = 'added' | 'expired' | 'revoked' | 'unknown';

export function createAccessTokenStore(store: Store, purge: ReturnType<typeof createPurge>): AccessTokenStore {
  const { connection, numbers } = store;
  const { grantIdOf, claim } = createForeignTokens(
    store,
    async (grantId) => (await store.get(grantKey(grantId))) !== undefined,
  );
  const owners = createOwners(store);

  /**
   * Runs a script on a grant that may say that it needs more: the keys of an access token, which has no room in the record,
   * or pointers that lead there for longer. It has changed nothing then.
   */
  const change = async (
    script: Script,
    grantId: GrantId,
    { access, retainUntil }: { access: StoredAccessToken | undefined; retainUntil: number },
    args: (pointedUntil: number) => readonly Argument[],
  ): Promise<readonly [outcome: string, standing: Buffer | undefined, sealed: Buffer | undefined]> => {
    let keys = [grantKey(grantId)];
    for (let pointed = 0; ; ) {
      const reply = await store.run(script, keys, args(pointed));
      // What is usual comes without a word.
      const [word, standing, sealed] = reply instanceof Buffer ? (['rotated', reply] as const) : (reply as Outcome);
      const outcome = String(word);
      if (outcome === 'full' && access) keys = keysOf(grantId, access);
      else if (outcome === 'point') {
        pointed = pointerUntil(retainUntil);
        const record = readGrant(grantId, standing);
        if (record) await owners.point(record.grant, pointed);
      } else return [outcome, standing, sealed];
    }
  };

  const given = (text: string | undefined): string => (text === undefined ? '' : `1${text}`);
  const oneOf = (clientId: string | undefined): [string, string] => [
    clientId ?? '',
    clientId === undefined ? '0' : '1',
  ];

  return {
    async persist({ grant, refresh, access }, { attempt, authorizedAtMs }) {
      const { grantId } = grant;
      const pointedUntil = pointerUntil(grant.retainUntil);
      const token = access && accessBytes(access, attempt);
      const isOwn = token !== undefined && token.length > ROOM;
      const record = grantBytes(grant, refresh, isOwn ? undefined : token, {
        attempt,
        leavesAt: store.leavesAt(),
        pointedUntil,
        ownUntil: isOwn ? (access?.expiresAt ?? 0) : 0,
      });
      const put = async () => {
        const head = join(numbers(), f64(authorizedAtMs ?? -1));
        const args = [head, traceOf(attempt), record, isOwn && token ? token : ''];
        return (await store.run(
          persist,
          isOwn && access ? keysOf(grantId, access) : [grantKey(grantId)],
          args,
        )) as Buffer[];
      };
      const lead = () =>
        Promise.all([owners.point(grant, pointedUntil), claim(grantId, grant.retainUntil, [refresh, access])]);
      const [[barredMs, takeBack], early] =
        authorizedAtMs === undefined && !refresh?.foreign && !access?.foreign
          ? await Promise.all([lead(), put()])
          : [await lead(), undefined];
      if (authorizedAtMs !== undefined && barredMs >= authorizedAtMs) {
        await takeBack();
        return 'barred';
      }
      const [word, standing] = early ?? (await put());
      const outcome = String(word);
      if (outcome === 'persisted') return outcome;
      await takeBack(standing);
      if (outcome === 'revoked' || outcome === 'barred') return outcome;
      throw conflict('a grant of this id');
    },

    async addAccess(grantId, access, { now, attempt, retainUntil }) {
      const takeBack = await claim(grantId, retainUntil, [access]);
      const token = accessBytes(access, attempt);
      const [outcome, standing] = await change(addAccess, grantId, { access, retainUntil }, (pointed) => [
        numbers(now, retainUntil, pointed),
        traceOf(attempt),
        token,
      ]);
      if (outcome !== 'added') await takeBack(standing);
      if (outcome === 'conflict') throw conflict('an access token with this digest');
      return outcome as Added;
    },

    async addRefresh(grantId, refresh, { now, attempt, retainUntil }) {
      const takeBack = await claim(grantId, retainUntil, [refresh]);
      const [outcome, standing] = await change(addRefresh, grantId, { access: undefined, retainUntil }, (pointed) => [
        numbers(now, retainUntil, pointed),
        traceOf(attempt),
        refreshBytes(refresh, now),
        refresh.sender ?? '',
      ]);
      if (outcome !== 'added') await takeBack(standing);
      if (outcome === 'conflict') throw conflict('another refresh token of the grant');
      return outcome as Added;
    },

    async findAccess(key, { now }) {
      const grantId = key.grantId ?? (await grantIdOf(key.digest));
      const record = grantId && readGrant(grantId, await store.find(grantKey(grantId)));
      if (!record) return { outcome: 'unknown' };
      const { grant } = record;
      const bytes =
        tokenIn(record, key.digest) ??
        (ownUntil(record) > 0 ? await connection.get(tokenKey(grantId, key.digest)) : undefined);
      if (!bytes) return { outcome: 'unknown' };
      const access = readAccess(bytes, record);
      if (access.revokedAt !== undefined) {
        const { revokedAt: _, ...token } = access;
        return { outcome: 'revoked', access: token, grant };
      }
      if (record.revokedAt > 0) return { outcome: 'revoked', access, grant };
      const isExpired = access.expiresAt <= now || hasPassed(grant.expiresAt, now);
      return { outcome: isExpired ? 'expired' : 'active', access, grant };
    },

    async findRefresh(key, { now }): Promise<RefreshState> {
      const grantId = key.grantId ?? (await grantIdOf(key.digest));
      const record = grantId && readGrant(grantId, await store.find(grantKey(grantId)));
      if (!record) return { outcome: 'unknown' };
      const { grant } = record;
      const refresh = refreshOf(record);
      if (!refresh || !same(refresh.digest, key.digest)) {
        return { outcome: 'retired', retiredAt: retiredAtOf(record), grant };
      }
      const issuedAt = issuedAtOf(record);
      const ends = [refresh.expiresAt, refresh.idleExpiresAt, grant.expiresAt];
      const isExpired = ends.some((end) => hasPassed(end, now));
      return { outcome: record.revokedAt > 0 ? 'revoked' : isExpired ? 'expired' : 'active', refresh, issuedAt, grant };
    },

    async rotate(key, successor, { clientId, sender, now, attempt, graceSeconds }) {
      const { refresh, access, sealed, retainUntil } = successor;
      const grantId = key.grantId ?? (await grantIdOf(key.digest));
      if (!grantId) return { outcome: 'unknown' };
      const next = typeof refresh === 'object' && 'digest' in refresh ? refresh : undefined;
      const kept = typeof refresh === 'object' && 'kept' in refresh ? refresh : undefined;
      const takeBack = next?.foreign ? await claim(grantId, retainUntil, [next]) : async () => {};
      const parts = [
        key.digest,
        clientId,
        sender ?? '',
        kept
          ? kept.idleExpiresAt === undefined
            ? ''
            : u32(kept.idleExpiresAt)
          : replacedBytes(next, { digest: key.digest, attempt, now, sealed }),
        access ? accessBytes(access, attempt) : '',
      ];
      const [outcome, standing, answered] = await change(rotate, grantId, { access, retainUntil }, (pointed) => [
        packed(
          [store.now(), store.idleSeconds, now, retainUntil, pointed, graceSeconds, kept ? 1 : 0],
          parts,
          traceOf(attempt),
        ),
      ]);
      if (outcome !== 'rotated') await takeBack(standing);
      if (outcome === 'conflict') throw conflict('an access token with this digest');
      const record = readGrant(grantId, standing);
      if (!record) return { outcome: outcome as 'expired' | 'revoked' | 'mismatched' | 'unknown' };
      const { grant } = record;
      if (outcome === 'reused') return { outcome, grant };
      return { outcome: outcome as 'rotated' | 'retried', grant, sealed: answered ?? sealed };
    },

    async revokeAccess(key, { now, clientId }) {
      const grantId = key.grantId ?? (await grantIdOf(key.digest));
      if (!grantId) return false;
      const args = [numbers(now), key.digest, ...oneOf(clientId)];
      const ended = await store.runOnce(revokeAccess, [grantKey(grantId)], args);
      if (ended !== 2) return ended === 1;
      return (await store.runOnce(revokeAccess, keysOf(grantId, key), args)) === 1;
    },

    async revokeRefresh(key, { now, clientId }) {
      const grantId = key.grantId ?? (await grantIdOf(key.digest));
      if (!grantId) return false;
      return (await store.runOnce(endGrant, [grantKey(grantId)], [numbers(now), ...oneOf(clientId)])) === 1;
    },

    async revokeGrant(grantId, { now, retainUntil }) {
      await store.run(revokeGrant, [grantKey(grantId)], [numbers(now, retainUntil)]);
    },

    async revokeAccessOfGrant(grantId, { now }) {
      await store.run(revokeAccessOfGrant, [grantKey(grantId)], [numbers(now)]);
    },

    async revokeBy(selector, { nowMs, retainUntil }) {
      const now = Math.floor(nowMs / 1000);
      const { subject, clientId, applicationId, consentId } = selector;
      const names = [given(subject), given(clientId), given(applicationId), given(consentId)];
      const end = (pointer: Pointer): Promise<Reply> => {
        const until = mayCome(pointer, now) ? retainUntil : 0;
        const head = join(numbers(now, until), f64(nowMs));
        return store.run(endMatching, [grantKey(pointer.grantId)], [head, ...names]);
      };
      let ended = 0;
      for await (const pointers of owners.mark(selector, { nowMs, until: retainUntil })) {
        for (let at = 0; at < pointers.length; at += AT_ONCE) {
          const some = await Promise.all(pointers.slice(at, at + AT_ONCE).map(end));
          ended += some.filter((each) => each === 1).length;
        }
      }
      return ended;
    },

    async listGrants(selector, { limit, after }) {
      const now = store.now();
      // Where a page goes on, and when the listing began: a grant is shown at the pointer that it had then.
      const cursor = after === undefined ? join(u32(now), firstPointer(now)) : Buffer.from(after, 'base64url');
      if (cursor.length < 5) throw new StoreError('invalid', 'a page goes on at the `next` of the page before it');
      const [beganAt, since] = [cursor.readUInt32BE(0), cursor.readUInt32BE(0) - HOUR];
      const shownAt = (record: GrantRecord) => {
        const pointers = pointersOf(record);
        return pointers.since < since || pointers.before <= beganAt + HOUR ? pointers.until : pointers.before;
      };
      const grants: GrantEntry[] = [];
      for (let place: Uint8Array = cursor.subarray(4); ; ) {
        const { pointers, more } = await owners.list(selector, place, limit);
        const records = await Promise.all(
          pointers.map(async ({ grantId }) => readGrant(grantId, await store.get(grantKey(grantId)))),
        );
        for (const [index, { bytes, until }] of pointers.entries()) {
          const record = records[index];
          place = bytes;
          if (!record || shownAt(record) !== until || !matches(record.grant, selector)) continue;
          grants.push(entryOf(record));
          if (grants.length < limit) continue;
          const isLast = !more && index === pointers.length - 1;
          return { grants, ...(!isLast && { next: join(u32(beganAt), place).toString('base64url') }) };
        }
        if (!more) return { grants };
      }
    },

    async listAccess(grantId, { limit, after = '' }) {
      const start = Buffer.from(after, 'base64url');
      const [bytes, own] = await Promise.all([
        store.get(grantKey(grantId)),
        connection.members(tokensKey(grantId), start, limit + 1),
      ]);
      const record = readGrant(grantId, bytes);
      if (!record) return { tokens: [] };
      const inside = [...tokensIn(record)].filter((token) => Buffer.compare(placeOf(token), start) > 0);
      const page = [...inside.map(placeOf), ...own].sort(Buffer.compare).slice(0, limit);
      const found = await Promise.all(
        page.map((place) => {
          const digest = place.subarray(5);
          return tokenIn(record, digest) ?? connection.get(tokenKey(grantId, digest));
        }),
      );
      const tokens = found.flatMap((token) => (token ? [readAccess(token, record)] : []));
      const hasMore = inside.length + own.length > page.length;
      return { tokens, ...(hasMore && { next: page.at(-1)?.toString('base64url') ?? '' }) };
    },

    purgeExpired: purge,
  };
}
