import { randomBytes } from 'node:crypto';
import type { AccessTokenStore, Selector } from '../../domain/ports.ts';
import { matches } from '../../domain/selector.ts';
import type { Cluster } from './cluster.ts';
import type { ForeignTokens } from './foreign.ts';
import type { Grants } from './grants.ts';
import type { Owners, Pointer } from './owners.ts';
import { accessOf, grantOf } from './records.ts';
import { chunks, createTurns } from './stores.ts';
import { type Row, same, ttlUntil } from './values.ts';

/** How many grants are ended at a time. */
const AT_ONCE = 50;

type Revocation = Pick<
  AccessTokenStore,
  'revokeAccess' | 'revokeRefresh' | 'revokeGrant' | 'revokeAccessOfGrant' | 'revokeBy'
>;

/** Ends tokens and grants: a serial read, and a transaction on what it found. */
export function createRevocation(
  { statements, decisiveness, readOne, decide }: Cluster,
  { grantIdOf }: ForeignTokens,
  { stands, readGrant, end }: Grants,
  owners: Owners,
): Revocation {
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

  return {
    async revokeAccess(key, { now, clientId }) {
      const grantId = await grantIdOf('access', key);
      if (!grantId) return false;
      const by = randomBytes(8);
      for (const turn = createTurns(); ; turn()) {
        const row = await readOne(
          statements.findAccess,
          { grant_id: grantId, access_digest: key.digest },
          decisiveness.settled,
        );
        const found = stands(row) ? accessOf(row, grantId, key.digest) : undefined;
        if (!row || !found || row.revoked_at !== undefined || found.revokedAt !== undefined) return false;
        if (clientId !== undefined && found.grant.clientId !== clientId) return false;
        const { applied, seen } = await decide(statements.endAccess, {
          grant_id: grantId,
          access_digest: key.digest,
          access_record: row.access_record,
          access_ended_at: row.access_ended_at ?? null,
          access_revoked_at: now,
          access_revoked_by: by,
          row_ttl: ttlUntil(found.access.expiresAt, now),
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
  };
}
