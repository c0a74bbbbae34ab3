import { type Clock, seconds } from '../../domain/clock.ts';
import { StoreError } from '../../domain/errors.ts';
import type { AccessTokenStore, GrantEntry, PurgeReport, RefreshState, StoredAccessToken } from '../../domain/ports.ts';
import { matches } from '../../domain/selector.ts';
import type { Cluster } from './cluster.ts';
import { createForeignTokens } from './foreign.ts';
import { createGrants, ttlOf } from './grants.ts';
import type { Owners } from './owners.ts';
import {
  accessAttemptOf,
  accessOf,
  accessRecord,
  entryOf,
  grantOf,
  grantRow,
  hasPassed,
  isOver,
  keyOf,
  refreshKey,
  refreshRow,
  refreshStateOf,
  retiredOf,
} from './records.ts';
import { createRevocation } from './revocation.ts';
import { createRotation } from './rotation.ts';
import { type Consistency, chunks, createTurns } from './stores.ts';
import { hex, keptUntil, type Row, same, ttlUntil } from './values.ts';

/** The key of a row before all access tokens. */
const ANCHOR = Buffer.of(0);
/** How many grants are read at a time. */
const AT_ONCE = 50;

const conflict = (what: string) => new StoreError('conflict', `${what} is stored already`);

const accessRow = (access: StoredAccessToken, attempt: Uint8Array, now: number) => ({
  access_digest: access.digest,
  access_record: accessRecord(access, attempt),
  row_ttl: ttlUntil(access.expiresAt, now),
});

/**
 * Grants with their tokens, one partition for each. What decides is a lightweight transaction on it, and its outcome a
 * function of what that shows when it is refused.
 */
export function createAccessTokenStore(
  cluster: Cluster,
  owners: Owners,
  level: Consistency,
  purgeExpired: () => Promise<PurgeReport>,
  clock: Clock,
): AccessTokenStore {
  const { statements, readOne, read, decide } = cluster;
  const foreign = createForeignTokens(cluster);
  const { grantIdOf, claim } = foreign;
  const grants = createGrants(cluster, owners, clock);
  const { isDue, stands, readGrant, remember, closed, retain } = grants;

  return {
    async persist({ grant, refresh, access }, { now, attempt, authorizedAtMs }) {
      const { grantId, retainUntil } = grant;
      const release = await claim(grantId, { access, refresh }, { now, retainUntil });
      const put = async () => {
        let before: Row = {};
        for (const turn = createTurns(); ; turn()) {
          const replaces = Object.keys(before).length > 0;
          const row = grantRow(grant, replaces ? now : undefined);
          const { applied, seen } = await decide(
            statements.persist[access ? 'withAccess' : 'bare'],
            {
              ...(replaces && CLEARED),
              ...row,
              attempt,
              refresh_key: refreshKey(refresh?.sender, refresh?.digest),
              ...refreshRow(refresh, grant.createdAt),
              ...(access && accessRow(access, attempt, now)),
              seen_attempt: before.attempt ?? null,
              seen_revoked_until: before.revoked_until ?? null,
              seen_barred_ms: before.barred_ms ?? null,
              ttl: ttlOf(retainUntil, now),
            },
            level.write,
          );
          if (applied) {
            remember(grantId, row);
            return 'persisted';
          }
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
          if (seen.access_record !== undefined) return same(accessAttemptOf(seen), attempt) ? 'added' : 'conflict';
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
          refresh_key: refreshKey(refresh.sender, refresh.digest),
          refresh_attempt: attempt,
          now,
        };
        // At first as of a grant that has never had one; else the one before it is kept, for those who present it again.
        let [until, before]: [number, Row] = [
          retainUntil,
          { refresh_key: refreshKey(undefined), ...refreshRow(undefined, now) },
        ];
        for (const turn = createTurns(); ; turn()) {
          const assumed = {
            ...refreshRow(refresh, now, retiredOf(before)),
            retain_until: until,
            seen_refresh_key: before.refresh_key,
            seen_refresh_record: before.refresh_record,
            seen_refresh_attempt: before.refresh_attempt ?? null,
            ttl: ttlOf(until, now),
          };
          const { applied, seen } = await decide(statements.addRefresh, { ...values, ...assumed }, level.write);
          if (applied) return 'added';
          const why = closed(seen, now);
          if (why) return why;
          if (same(seen.refresh_attempt, attempt)) return 'added';
          if (keyOf(seen).digest) return 'conflict';
          before = seen;
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
      if (!grantId) return { outcome: 'unknown' };
      const row = await readOne(statements.findAccess, { grant_id: grantId, access_digest: key.digest }, level.read);
      const found = stands(row) ? accessOf(row, grantId, key.digest) : undefined;
      if (!row || !found) return { outcome: 'unknown' };
      const { access, grant, revokedAt } = found;
      if (row.revoked_at !== undefined || revokedAt !== undefined) return { outcome: 'revoked', access, grant };
      const isExpired = access.expiresAt <= now || hasPassed(grant.expiresAt, now);
      return { outcome: isExpired ? 'expired' : 'active', access, grant };
    },

    async findRefresh(key, { now }): Promise<RefreshState> {
      const grantId = await grantIdOf('refresh', key);
      const row = grantId && (await readGrant(grantId, level.read));
      if (!row || !stands(row)) return { outcome: 'unknown' };
      remember(grantId, row);
      const grant = grantOf(row);
      const { refresh, issuedAt, retiredAt = grant.createdAt } = refreshStateOf(row, key.digest);
      if (!refresh) return { outcome: 'retired', retiredAt, grant };
      const outcome = row.revoked_at !== undefined ? 'revoked' : isOver(row, now) ? 'expired' : 'active';
      return { outcome, refresh, issuedAt, grant };
    },

    rotate: createRotation(cluster, foreign, grants),
    ...createRevocation(cluster, foreign, grants, owners),

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
      const tokens: (StoredAccessToken & { readonly revokedAt?: number })[] = [];
      for (let from = after === '' ? ANCHOR : Buffer.from(after, 'hex'); ; ) {
        const rows = await read(statements.listAccess, { grant_id: grantId, after: from, limit }, level.read);
        for (const row of rows) {
          const digest = row.access_digest as Uint8Array;
          const { access, revokedAt } = (stands(row) && accessOf(row, grantId, digest)) || {};
          if (access) tokens.push({ ...access, ...(revokedAt !== undefined && { revokedAt }) });
          if (tokens.length >= limit) return { tokens, next: hex(digest) };
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
  refresh_attempt: null,
  revoked_at: null,
  revoked_by: null,
  revoked_until: null,
  barred_ms: null,
  barred_until: null,
  access_ended_at: null,
};
