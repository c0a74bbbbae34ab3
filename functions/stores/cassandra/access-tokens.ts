import { randomBytes } from 'node:crypto';
import type { ReadConsistency } from '../../config/consistency.ts';
import { type Clock, seconds } from '../../domain/clock.ts';
import { StoreError } from '../../domain/errors.ts';
import type {
  AccessTokenStore,
  GrantEntry,
  PurgeReport,
  RefreshState,
  RotateOutcome,
  Selector,
  StoredAccessToken,
} from '../../domain/ports.ts';
import { matches } from '../../domain/selector.ts';
import type { GrantId } from '../../domain/token.ts';
import type { Cluster } from './cluster.ts';
import { createForeignTokens } from './foreign.ts';
import type { Owners, Pointer } from './owners.ts';
import {
  accessOf,
  entryOf,
  grantOf,
  grantRow,
  hasPassed,
  isOver,
  isStanding,
  NO_REFRESH,
  refreshOf,
  refreshRow,
  UNBOUND,
} from './records.ts';
import { type Consistency, chunks, createTurns } from './stores.ts';
import { keptUntil, present, type Row, same, ttlUntil } from './values.ts';

/** The key of a row before all access tokens. */
const ANCHOR = Buffer.of(0);
/** How many grants are read or ended at a time. */
const AT_ONCE = 50;

const conflict = (what: string) => new StoreError('conflict', `${what} is stored already`);

/** What ended a grant, or why it was not ended. */
type Ended = { readonly outcome: 'ended' | 'closed' } | { readonly outcome: 'absent'; readonly row: Row };

/**
 * Grants with their tokens, one partition for each. What decides is a lightweight transaction on it, and its outcome a
 * function of what that shows when it is refused. A statement assumes what is likely of the record (that `retainUntil`
 * moves, that the token is bound as it is presented); where a refusal shows otherwise, it is sent again as the record is.
 */
export function createAccessTokenStore(
  cluster: Cluster,
  owners: Owners,
  level: Consistency,
  purgeExpired: () => Promise<PurgeReport>,
  clock: Clock,
): AccessTokenStore {
  const { statements, decisiveness, readOne, read, decide } = cluster;
  const { grantIdOf, claim } = createForeignTokens(cluster);
  const { settled } = decisiveness;
  const isDue = (time: unknown) => hasPassed(time, seconds(clock));
  const stands = (row: Row | undefined): row is Row => isStanding(row, seconds(clock));

  const readGrant = (grantId: GrantId, at: ReadConsistency = settled) =>
    readOne(statements.findGrant, { grant_id: grantId }, at);
  const accessRow = (
    access: StoredAccessToken | Omit<StoredAccessToken, 'foreign'>,
    attempt: Uint8Array,
    now: number,
  ) => ({
    access_digest: access.digest,
    issued_at: access.issuedAt,
    expires_at: access.expiresAt,
    access_data: access.data,
    access_attempt: attempt,
    access_foreign: 'foreign' in access ? access.foreign : undefined,
    row_ttl: ttlUntil(access.expiresAt, now),
  });
  const ttlOf = (retainUntil: number, now: number) => ttlUntil(keptUntil(retainUntil), now);

  /** Why nothing can be added to a grant. */
  const closed = (seen: Row, now: number) => {
    if (seen.retain_until === undefined || isDue(seen.retain_until)) {
      return seen.revoked_until !== undefined && !isDue(seen.revoked_until) ? 'revoked' : 'unknown';
    }
    if (seen.revoked_at !== undefined) return 'revoked';
    return hasPassed(seen.ends_at, now) ? 'expired' : undefined;
  };

  /** Keeps a grant until then, if it is not kept longer anyway, and its pointers with it. */
  const retain = async (grantId: GrantId, retainUntil: number, now: number): Promise<void> => {
    for (const turn = createTurns(); ; turn()) {
      const row = await readGrant(grantId);
      if (!stands(row) || row.revoked_at !== undefined || Number(row.retain_until) >= retainUntil) return;
      const { attempt, kept_until } = row;
      if (Number(kept_until) >= retainUntil) {
        const ttl = ttlUntil(Number(kept_until), now);
        const moved = { grant_id: grantId, attempt, retain_until: retainUntil, ttl };
        if ((await decide(statements.retain, moved)).applied) return;
        continue;
      }
      await owners.point(grantOf(row), keptUntil(retainUntil), now);
      const none = { refresh_digest: null, refresh_idle_expires_at: null, retired_digest: null, access_ended_at: null };
      const { applied } = await decide(statements.extend, {
        ...none,
        ...row,
        retain_until: retainUntil,
        kept_until: keptUntil(retainUntil),
        seen_retain_until: row.retain_until,
        seen_kept_until: kept_until,
        ttl: ttlOf(retainUntil, now),
      });
      if (applied) return;
    }
  };

  /** Ends a grant that stands, has not been ended, and fits. `known` spares the first look at it. */
  const end = async (
    grantId: GrantId,
    now: number,
    fits: (row: Row) => boolean = () => true,
    known?: Row,
  ): Promise<Ended> => {
    const by = randomBytes(8);
    let row = known;
    for (const turn = createTurns(); ; turn()) {
      row ??= await readGrant(grantId);
      if (!stands(row)) return { outcome: 'absent', row: row ?? {} };
      if (row.revoked_at !== undefined || !fits(row)) return { outcome: 'closed' };
      const { attempt, kept_until } = row;
      const { applied, seen } = await decide(statements.end, {
        grant_id: grantId,
        attempt,
        kept_until,
        revoked_at: now,
        revoked_by: by,
        ttl: ttlUntil(Number(kept_until), now),
      });
      if (applied || same(seen.revoked_by, by)) return { outcome: 'ended' };
      row = undefined;
    }
  };

  /** Ends the grant of a pointer, or bars its id while the grant is on its way. */
  const endOf = async (pointer: Pointer, selector: Selector, nowMs: number, retainUntil: number): Promise<boolean> => {
    const now = Math.floor(nowMs / 1000);
    const { grantId, owner } = pointer;
    for (const turn = createTurns(); ; turn()) {
      const ended = await end(grantId, now, (row) => matches(grantOf(row), selector));
      if (ended.outcome !== 'absent') return ended.outcome === 'ended';
      const { attempt, barred_ms } = ended.row;
      // Of a grant that has ended its pointers are left for a while: nothing of its id will come.
      if (attempt !== undefined || !matches(owner, selector) || Number(barred_ms) >= nowMs) return false;
      const bar = {
        barred_ms: nowMs,
        barred_until: retainUntil,
        seen_attempt: null,
        seen_barred_ms: barred_ms ?? null,
      };
      const { applied } = await decide(statements.bar, { grant_id: grantId, ...bar, ttl: ttlUntil(retainUntil, now) });
      if (applied) return false;
    }
  };

  const findAccess = async (grantId: GrantId, digest: Uint8Array, at: ReadConsistency) => {
    const row = await readOne(statements.findAccess, { grant_id: grantId, access_digest: digest }, at);
    const token = stands(row) ? accessOf(row) : undefined;
    return row && token && { row, token };
  };

  return {
    async persist({ grant, refresh, access }, { now, attempt, authorizedAtMs }) {
      const { grantId, retainUntil } = grant;
      const release = await claim(grantId, { access, refresh }, { now, retainUntil });
      const put = async () => {
        let before: Row = {};
        for (const turn = createTurns(); ; turn()) {
          const replaces = Object.keys(before).length > 0;
          const { applied, seen } = await decide(
            statements.persist[access ? 'withAccess' : 'bare'],
            {
              ...(replaces && { ...CLEARED, standing_since: now }),
              ...present(grantRow(grant)),
              attempt,
              sender: refresh?.sender ?? UNBOUND,
              ...(refresh && refreshRow(refresh, grant.createdAt)),
              ...(access && accessRow(access, attempt, now)),
              seen_attempt: before.attempt ?? null,
              seen_revoked_until: before.revoked_until ?? null,
              seen_barred_ms: before.barred_ms ?? null,
              ttl: ttlOf(retainUntil, now),
            },
            level.write,
          );
          if (applied) return 'persisted';
          if (seen.attempt !== undefined && !isDue(seen.retain_until)) {
            // Its pointers, which may have to be kept for longer, were written for this one.
            const standing = await readGrant(grantId);
            if (stands(standing)) await owners.point(grantOf(standing), Number(standing.kept_until), now);
            if (seen.revoked_at !== undefined) return 'revoked';
            return same(seen.attempt, attempt) ? 'persisted' : 'conflict';
          }
          if (seen.revoked_until !== undefined && !isDue(seen.revoked_until)) return 'revoked';
          if (Number(seen.barred_ms) >= Number(authorizedAtMs) && !isDue(seen.barred_until)) return 'barred';
          before = seen;
        }
      };
      const point = () => owners.point(grant, keptUntil(retainUntil), now);
      let outcome: 'persisted' | 'revoked' | 'barred' | 'conflict';
      if (authorizedAtMs === undefined) {
        [outcome] = await Promise.all([put(), point()]);
      } else {
        // Pointers, then marks, then the grant: a revocation whose mark came after the marks were read finds the pointers,
        // and ends the grant, or bars the id of one that is not there yet.
        await point();
        outcome = (await owners.isBarred(grant, authorizedAtMs, seconds(clock))) ? 'barred' : await put();
      }
      if (outcome !== 'persisted') await release();
      if (outcome === 'conflict') throw conflict('a grant of this id');
      return outcome;
    },

    async addAccess(grantId, access, { now, attempt, retainUntil }) {
      const release = await claim(grantId, { access }, { now, retainUntil });
      const add = async () => {
        const values = { grant_id: grantId, ...accessRow(access, attempt, now), retain_until: retainUntil, now };
        for (const turn = createTurns(); ; turn()) {
          const { applied, seen } = await decide(statements.addAccess, values, level.write);
          if (applied) return 'added';
          const why = closed(seen, now);
          if (why) return why;
          if (seen.access_attempt !== undefined) return same(seen.access_attempt, attempt) ? 'added' : 'conflict';
          if (Number(seen.retain_until) < retainUntil) await retain(grantId, retainUntil, now);
        }
      };
      const outcome = await add();
      if (outcome !== 'added') await release();
      if (outcome === 'conflict') throw conflict('an access token with this digest');
      return outcome;
    },

    async addRefresh(grantId, refresh, { now, attempt, retainUntil }) {
      const release = await claim(grantId, { refresh }, { now, retainUntil });
      const add = async () => {
        const values = {
          grant_id: grantId,
          ...refreshRow(refresh, now),
          refresh_attempt: attempt,
          sender: refresh.sender ?? UNBOUND,
          now,
        };
        let [until, before] = [retainUntil, null as unknown];
        for (const turn = createTurns(); ; turn()) {
          const assumed = { retain_until: until, seen_refresh_attempt: before, ttl: ttlOf(until, now) };
          const { applied, seen } = await decide(statements.addRefresh, { ...values, ...assumed }, level.write);
          if (applied) return 'added';
          const why = closed(seen, now);
          if (why) return why;
          if (same(seen.refresh_attempt, attempt)) return 'added';
          if (seen.refresh_digest !== undefined) return 'conflict';
          before = seen.refresh_attempt ?? null;
          until = Math.max(retainUntil, Number(seen.retain_until));
          if (Number(seen.kept_until) < until) await retain(grantId, until, now);
        }
      };
      const outcome = await add();
      if (outcome !== 'added') await release();
      if (outcome === 'conflict') throw conflict('another refresh token of the grant');
      return outcome;
    },

    async findAccess(key, { now }) {
      const grantId = await grantIdOf('access', key);
      const found = grantId && (await findAccess(grantId, key.digest, level.read));
      if (!found) return { outcome: 'unknown' };
      const { revokedAt, ...access } = found.token;
      const grant = grantOf(found.row);
      if (found.row.revoked_at !== undefined || revokedAt !== undefined) return { outcome: 'revoked', access, grant };
      const isExpired = access.expiresAt <= now || hasPassed(grant.expiresAt, now);
      return { outcome: isExpired ? 'expired' : 'active', access, grant };
    },

    async findRefresh(key, { now }): Promise<RefreshState> {
      const grantId = await grantIdOf('refresh', key);
      const row = grantId && (await readGrant(grantId, level.read));
      if (!row || !stands(row)) return { outcome: 'unknown' };
      const grant = grantOf(row);
      const refresh = refreshOf(row);
      if (!refresh || !same(refresh.digest, key.digest)) {
        return { outcome: 'retired', retiredAt: Number(row.retired_at ?? grant.createdAt), grant };
      }
      const outcome = row.revoked_at !== undefined ? 'revoked' : isOver(row, now) ? 'expired' : 'active';
      return { outcome, refresh, issuedAt: Number(row.refresh_issued_at), grant };
    },

    async rotate(key, successor, { clientId, sender, now, attempt, graceSeconds }) {
      const { digest } = key;
      const { access, refresh, sealed } = successor;
      const grantId = await grantIdOf('refresh', key);
      if (!grantId) return { outcome: 'unknown' };
      const isKept = typeof refresh === 'object' && 'kept' in refresh;
      const next = typeof refresh === 'object' && 'digest' in refresh ? refresh : undefined;
      const release = await claim(grantId, { refresh: next }, { now, retainUntil: successor.retainUntil });
      const replaced = {
        ...(next ? refreshRow(next, now) : NO_REFRESH),
        retired_digest: digest,
        retired_at: now,
        retired_attempt: attempt,
        sealed,
      };
      const way = !isKept ? 'rotate' : refresh.idleExpiresAt === undefined ? 'keep' : 'keepAndMoveIdle';
      const values = {
        grant_id: grantId,
        client_id: clientId,
        presented: digest,
        now,
        ...(isKept ? { refresh_idle_expires_at: refresh.idleExpiresAt } : replaced),
        ...(access && accessRow(access, attempt, now)),
      };
      let [until, assumedSender] = [successor.retainUntil, Buffer.from(sender ?? UNBOUND)];
      const decideOnce = () =>
        decide(statements[way][access ? 'withAccess' : 'bare'], {
          ...values,
          seen_sender: assumedSender,
          retain_until: until,
          ttl: ttlOf(until, now),
        });
      // What an applied transaction gives is that it was: what the grant is, which never changes, is read beside it.
      let [decided, row] = await Promise.all([decideOnce(), readGrant(grantId, level.read)]);
      const grantAsItIs = async () => {
        row ??= await readGrant(grantId);
        return grantOf(row ?? {});
      };

      const outcomeOf = async (): Promise<RotateOutcome> => {
        for (const turn = createTurns(); ; turn()) {
          const { applied, seen } = decided;
          if (applied) return { outcome: 'rotated', grant: await grantAsItIs(), sealed };
          if (!stands(seen)) return { outcome: 'unknown' };
          const isBound = !same(seen.sender, UNBOUND);
          if (seen.client_id !== clientId || (isBound && !same(seen.sender, sender))) return { outcome: 'mismatched' };
          if (!same(seen.refresh_digest, digest)) return unusable(seen);
          if (seen.revoked_at !== undefined) return { outcome: 'revoked' };
          if (isOver(seen, now)) return { outcome: 'expired' };
          // It is good: something else was assumed that is not so.
          if (!isBound) assumedSender = UNBOUND;
          until = Math.max(successor.retainUntil, Number(seen.retain_until));
          if (Number(seen.kept_until) < until) await retain(grantId, until, now);
          decided = await decideOnce();
        }
      };
      const unusable = async (seen: Row): Promise<RotateOutcome> => {
        const grant = await grantAsItIs();
        const isRepeated = same(seen.retired_attempt, attempt);
        const isRetry =
          same(seen.retired_digest, digest) && (isRepeated || now < Number(seen.retired_at) + graceSeconds);
        if (isRetry) {
          if (seen.revoked_at !== undefined) return { outcome: 'revoked' };
          if (hasPassed(seen.ends_at, now)) return { outcome: 'expired' };
          return { outcome: isRepeated ? 'rotated' : 'retried', grant, sealed: seen.sealed as Uint8Array };
        }
        if (seen.revoked_at === undefined) await end(grantId, now, undefined, seen);
        return { outcome: 'reused', grant };
      };
      const outcome = await outcomeOf();
      if (outcome.outcome !== 'rotated') await release();
      return outcome;
    },

    async revokeAccess(key, { now, clientId }) {
      const grantId = await grantIdOf('access', key);
      if (!grantId) return false;
      const by = randomBytes(8);
      for (const turn = createTurns(); ; turn()) {
        const found = await findAccess(grantId, key.digest, settled);
        if (!found || found.row.revoked_at !== undefined || found.token.revokedAt !== undefined) return false;
        if (clientId !== undefined && found.row.client_id !== clientId) return false;
        const { row, token } = found;
        const { applied, seen } = await decide(statements.endAccess, {
          grant_id: grantId,
          access_digest: token.digest,
          access_attempt: row.access_attempt,
          access_ended_at: row.access_ended_at ?? null,
          access_revoked_at: now,
          access_revoked_by: by,
          row_ttl: ttlUntil(token.expiresAt, now),
        });
        if (applied || same(seen.access_revoked_by, by)) return true;
      }
    },

    async revokeRefresh(key, { now, clientId }) {
      const grantId = await grantIdOf('refresh', key);
      const fits = (row: Row) => clientId === undefined || row.client_id === clientId;
      return grantId !== undefined && (await end(grantId, now, fits)).outcome === 'ended';
    },

    async revokeGrant(grantId, { now, retainUntil }) {
      for (const turn = createTurns(); ; turn()) {
        const ended = await end(grantId, now);
        if (ended.outcome !== 'absent') return;
        const { attempt, revoked_until } = ended.row;
        if (Number(revoked_until) >= retainUntil) return;
        const { applied } = await decide(statements.endEarly, {
          grant_id: grantId,
          revoked_at: now,
          revoked_until: retainUntil,
          seen_attempt: attempt ?? null,
          seen_revoked_until: revoked_until ?? null,
          ttl: ttlUntil(retainUntil, now),
        });
        if (applied) return;
      }
    },

    async revokeAccessOfGrant(grantId, { now }) {
      for (const turn = createTurns(); ; turn()) {
        const row = await readGrant(grantId);
        if (!stands(row)) return;
        const { attempt, kept_until, access_ended_at = null } = row;
        const ended = [...((access_ended_at as number[] | null) ?? []), now];
        const { applied, seen } = await decide(statements.endAllAccess, {
          grant_id: grantId,
          attempt,
          kept_until,
          access_ended_at: ended,
          seen_access_ended_at: access_ended_at,
          ttl: ttlUntil(Number(kept_until), now),
        });
        if (applied || (seen.access_ended_at as number[] | undefined)?.includes(now)) return;
      }
    },

    async revokeBy(selector, { nowMs, retainUntil }) {
      await owners.mark(selector, nowMs, retainUntil);
      let count = 0;
      for await (const pointers of owners.of(selector)) {
        for (const some of chunks(pointers, AT_ONCE)) {
          const ended = await Promise.all(some.map((pointer) => endOf(pointer, selector, nowMs, retainUntil)));
          count += ended.filter((isEnded) => isEnded).length;
        }
      }
      return count;
    },

    async listGrants(selector, { limit, after }) {
      const grants: GrantEntry[] = [];
      for await (const pointers of owners.of(selector, after, limit)) {
        for (const some of chunks(pointers, AT_ONCE)) {
          const rows = await Promise.all(some.map(({ grantId }) => readGrant(grantId, level.read)));
          for (const [index, pointer] of some.entries()) {
            const row = rows[index];
            if (!stands(row)) continue;
            const entry = entryOf(row);
            if (!matches(entry.grant, selector) || !owners.isPlaceOf(selector, pointer, entry.grant)) continue;
            grants.push(entry);
            if (grants.length >= limit) return { grants, next: pointer.place };
          }
        }
      }
      return { grants };
    },

    async listAccess(grantId, { limit, after = '' }) {
      const tokens: NonNullable<ReturnType<typeof accessOf>>[] = [];
      for (let from = after === '' ? ANCHOR : Buffer.from(after, 'hex'); ; ) {
        const rows = await read(statements.listAccess, { grant_id: grantId, after: from, limit }, level.read);
        for (const row of rows) {
          const token = stands(row) ? accessOf(row) : undefined;
          if (token) tokens.push(token);
          if (tokens.length >= limit)
            return { tokens, next: Buffer.from(row.access_digest as Uint8Array).toString('hex') };
        }
        if (rows.length < limit) return { tokens };
        from = rows.at(-1)?.access_digest as typeof from;
      }
    },

    purgeExpired,
  };
}

/** Nothing is left of an earlier grant of this id. */
const CLEARED = {
  subject: null,
  application_id: null,
  consent_id: null,
  ...NO_REFRESH,
  refresh_attempt: null,
  retired_digest: null,
  retired_at: null,
  retired_attempt: null,
  sealed: null,
  revoked_at: null,
  revoked_by: null,
  revoked_until: null,
  barred_ms: null,
  barred_until: null,
  access_ended_at: null,
};
