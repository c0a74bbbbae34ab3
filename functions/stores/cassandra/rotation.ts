import type { AccessTokenStore, RotateOutcome } from '../../domain/ports.ts';
import type { Cluster } from './cluster.ts';
import type { ForeignTokens } from './foreign.ts';
import { type Grants, ttlOf } from './grants.ts';
import { accessRecord, grantOf, hasPassed, isOver, keyOf, refreshKey, refreshRow, retiredOf } from './records.ts';
import { createTurns } from './stores.ts';
import { type Row, same, ttlUntil } from './values.ts';

/**
 * Replaces refresh tokens: one lightweight transaction. It assumes what is likely of the record (that `retainUntil` moves,
 * that the token is bound as it is presented); where a refusal shows otherwise, it is sent again as the record is.
 */
export function createRotation(
  { statements, decide }: Cluster,
  { grantIdOf, claim }: ForeignTokens,
  { stands, readGrant, readRecord, retain, end }: Grants,
): AccessTokenStore['rotate'] {
  return async (key, successor, { clientId, sender, now, attempt, graceSeconds }) => {
    const { digest } = key;
    const { access, refresh, sealed } = successor;
    const grantId = await grantIdOf('refresh', key);
    if (!grantId) return { outcome: 'unknown' };
    const isKept = typeof refresh === 'object' && 'kept' in refresh;
    const next = typeof refresh === 'object' && 'digest' in refresh ? refresh : undefined;
    const release = await claim(grantId, { refresh: next }, { now, retainUntil: successor.retainUntil });
    const retired = { retiredDigest: digest, retiredAt: now, retiredBy: attempt, sealed };
    const way = !isKept ? 'rotate' : refresh.idleExpiresAt === undefined ? 'keep' : 'keepAndMoveIdle';
    const values = {
      grant_id: grantId,
      client_id: clientId,
      now,
      ...(isKept ? { refresh_idle_expires_at: refresh.idleExpiresAt } : refreshRow(next, now, retired)),
      ...(access && {
        access_digest: access.digest,
        access_record: accessRecord(access, attempt),
        row_ttl: ttlUntil(access.expiresAt, now),
      }),
    };
    let [until, boundTo] = [successor.retainUntil, sender];
    const decideOnce = () =>
      decide(statements[way][access ? 'withAccess' : 'bare'], {
        ...values,
        presented: refreshKey(boundTo, digest),
        refresh_key: refreshKey(boundTo, next?.digest),
        retain_until: until,
        ttl: ttlOf(until, now),
      });
    // What an applied transaction gives is that it was; what the grant is stands beside it.
    let [decided, row] = await Promise.all([decideOnce(), readRecord(grantId)]);
    const grantUntil = async (retainUntil: unknown) => {
      if (!stands(row)) row = await readGrant(grantId);
      return grantOf({ ...row, retain_until: retainUntil }, grantId);
    };

    const outcomeOf = async (): Promise<RotateOutcome> => {
      for (const turn = createTurns(); ; turn()) {
        const { applied, seen } = decided;
        if (applied) return { outcome: 'rotated', grant: await grantUntil(until), sealed };
        if (!stands(seen)) return { outcome: 'unknown' };
        const current = keyOf(seen);
        if (seen.client_id !== clientId || (current.sender && !same(current.sender, sender))) {
          return { outcome: 'mismatched' };
        }
        if (!same(current.digest, digest)) return unusable(seen);
        if (seen.revoked_at !== undefined) return { outcome: 'revoked' };
        if (isOver(seen, now)) return { outcome: 'expired' };
        // It is good: something else was assumed that is not so.
        boundTo = current.sender;
        until = Math.max(successor.retainUntil, Number(seen.retain_until));
        if (Number(seen.kept_until) < until) await retain(grantId, until, now);
        decided = await decideOnce();
      }
    };
    const unusable = async (seen: Row): Promise<RotateOutcome> => {
      const grant = await grantUntil(seen.retain_until);
      const { retiredDigest, retiredAt = 0, retiredBy, sealed: given } = retiredOf(seen);
      const isRepeated = same(retiredBy, attempt);
      if (given && same(retiredDigest, digest) && (isRepeated || now < retiredAt + graceSeconds)) {
        if (seen.revoked_at !== undefined) return { outcome: 'revoked' };
        if (hasPassed(seen.ends_at, now)) return { outcome: 'expired' };
        return { outcome: isRepeated ? 'rotated' : 'retried', grant, sealed: given };
      }
      if (seen.revoked_at === undefined) await end(grantId, now, undefined, seen);
      return { outcome: 'reused', grant };
    };
    const outcome = await outcomeOf();
    if (outcome.outcome !== 'rotated') await release();
    return outcome;
  };
}
