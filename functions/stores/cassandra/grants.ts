import { randomBytes } from 'node:crypto';
import type { ReadConsistency } from '../../config/consistency.ts';
import { type Clock, seconds } from '../../domain/clock.ts';
import type { GrantId } from '../../domain/token.ts';
import type { Cluster } from './cluster.ts';
import type { Owners } from './owners.ts';
import { grantOf, hasPassed, isStanding } from './records.ts';
import { createRemembered } from './remembered.ts';
import { createTurns } from './stores.ts';
import { keptUntil, type Row, same, ttlUntil } from './values.ts';

/** What ended a grant, or why it was not ended. */
type Ended = { readonly outcome: 'ended' | 'closed' } | { readonly outcome: 'absent'; readonly row: Row };

/** How long the static columns of a grant are kept that stays until then. */
export const ttlOf = (retainUntil: number, now: number): number => ttlUntil(keptUntil(retainUntil), now);

export type Grants = ReturnType<typeof createGrants>;

/** What every operation on a grant's partition goes by: whether it stands, that it stays, that it ends. */
export function createGrants({ statements, decisiveness, readOne, decide }: Cluster, owners: Owners, clock: Clock) {
  const isDue = (time: unknown) => hasPassed(time, seconds(clock));
  const stands = (row: Row | undefined): row is Row => isStanding(row, seconds(clock));
  const readGrant = (grantId: GrantId, at: ReadConsistency = decisiveness.settled) =>
    readOne(statements.findGrant, { grant_id: grantId }, at);

  const remembered = createRemembered();
  const remember = (grantId: GrantId, { grant_record, retain_until }: Row) =>
    remembered.keep(grantId, { grant_record, retain_until });

  return {
    isDue,
    stands,
    readGrant,
    remember,

    /**
     * What the grant is, which never changes while it stands: as this process knows it, or as one replica does. Where that
     * does not stand it is an earlier one's, or late, and says nothing.
     */
    async readRecord(grantId: GrantId): Promise<Row | undefined> {
      const known = remembered.get(grantId);
      if (known) return known;
      const row = await readOne(statements.findRecord, { grant_id: grantId }, decisiveness.nearest);
      if (stands(row)) remember(grantId, row);
      return row;
    },

    /** Why nothing can be added to a grant. */
    closed(seen: Row, now: number) {
      if (seen.retain_until === undefined || isDue(seen.retain_until)) {
        return seen.revoked_until !== undefined && !isDue(seen.revoked_until) ? 'revoked' : 'unknown';
      }
      if (seen.revoked_at !== undefined) return 'revoked';
      return hasPassed(seen.ends_at, now) ? 'expired' : undefined;
    },

    /** Keeps a grant until then, if it is not kept longer anyway, and its pointers with it. */
    async retain(grantId: GrantId, retainUntil: number, now: number): Promise<void> {
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
        const { applied } = await decide(statements.extend, {
          refresh_idle_expires_at: null,
          access_ended_at: null,
          ...row,
          retain_until: retainUntil,
          kept_until: keptUntil(retainUntil),
          seen_retain_until: row.retain_until,
          seen_kept_until: kept_until,
          ttl: ttlOf(retainUntil, now),
        });
        if (applied) return;
      }
    },

    /** Ends a grant that stands, has not been ended, and fits. `known` spares the first look at it. */
    async end(grantId: GrantId, now: number, fits: (row: Row) => boolean = () => true, known?: Row): Promise<Ended> {
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
    },
  };
}
