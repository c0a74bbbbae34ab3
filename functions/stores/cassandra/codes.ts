import type { ReadConsistency } from '../../config/consistency.ts';
import { type Clock, seconds } from '../../domain/clock.ts';
import { StoreError } from '../../domain/errors.ts';
import type { AuthorizationCodeStore, Digest, PurgeReport, StoredCode } from '../../domain/ports.ts';
import type { Cluster } from './cluster.ts';
import { type Consistency, createTurns } from './stores.ts';
import { type Row, same, ttlUntil } from './values.ts';

const codeOf = (row: Row) =>
  ({
    digest: row.code_digest,
    grantId: row.grant_id,
    binding: row.binding,
    expiresAt: row.expires_at,
    retainUntil: row.retain_until,
    data: row.code_data,
  }) as unknown as StoredCode;

/** One that is past its `retainUntil` by the store's own clock is as good as removed; of one that its TTL removed, the mark of its redemption may be left. */
const isStanding = (row: Row | undefined, now: number): row is Row =>
  row?.binding !== undefined && Number(row.retain_until) > now;

export function createAuthorizationCodeStore(
  { statements, decisiveness, readOne, decide }: Cluster,
  level: Consistency,
  purgeExpired: () => Promise<PurgeReport>,
  clock: Clock,
): AuthorizationCodeStore {
  const stands = (row: Row | undefined): row is Row => isStanding(row, seconds(clock));
  /** How long codes are kept, as far as this process has seen. */
  let horizonSeconds = 2 * 86_400;
  const learn = (retainUntil: number, now: number) => {
    horizonSeconds = Math.max(horizonSeconds, retainUntil - now + 86_400);
  };
  const read = (digest: Digest, at: ReadConsistency = level.read) =>
    readOne(statements.findCode, { code_digest: digest }, at);

  return {
    async add({ digest, grantId, binding, expiresAt, retainUntil, data }, { now, attempt }) {
      const code = {
        code_digest: digest,
        grant_id: grantId,
        binding,
        expires_at: expiresAt,
        retain_until: retainUntil,
        code_data: data,
        attempt,
        ttl: ttlUntil(retainUntil, now),
      };
      learn(retainUntil, now);
      let [before, cleared]: [Row, object] = [{}, {}];
      for (const turn = createTurns(); ; turn()) {
        const { attempt: seen_attempt = null, redeemed_at: seen_redeemed_at = null } = before;
        const values = { ...code, ...cleared, seen_attempt, seen_redeemed_at };
        const { applied, seen } = await decide(statements.addCode, values, level.write);
        if (applied) return;
        if (seen.attempt !== undefined && Number(seen.retain_until) > seconds(clock)) {
          if (same(seen.attempt, attempt)) return;
          throw new StoreError('conflict', 'an authorization code with this digest is stored already');
        }
        [before, cleared] = [seen, { redeemed_at: null, redeemed_by: null }];
      }
    },

    async find(digest, { now }) {
      const row = await read(digest);
      if (!stands(row)) return { outcome: 'unknown' };
      const code = codeOf(row);
      if (row.redeemed_at !== undefined) return { outcome: 'redeemed', code, redeemedAt: Number(row.redeemed_at) };
      return { outcome: code.expiresAt <= now ? 'expired' : 'active', code };
    },

    async redeem(digest, { binding, now, attempt }) {
      let keptUntil = now + horizonSeconds;
      const decideOnce = () =>
        decide(statements.redeem, {
          code_digest: digest,
          binding,
          redeemed_at: now,
          redeemed_by: attempt,
          kept_until: keptUntil,
          ttl: ttlUntil(keptUntil, now),
        });
      // What an applied transaction gives is that it was: what the code is, which never changes, is read beside it.
      let [decided, row] = await Promise.all([decideOnce(), read(digest)]);
      const redeemed = async () => {
        row ??= await read(digest, decisiveness.settled);
        return { outcome: 'redeemed', code: codeOf(row ?? {}) } as const;
      };
      for (const turn = createTurns(); ; turn()) {
        const { applied, seen } = decided;
        if (applied) return redeemed();
        if (!stands(seen)) return { outcome: 'unknown' };
        if (!same(seen.binding, binding)) return { outcome: 'mismatched' };
        if (seen.redeemed_at !== undefined) {
          if (same(seen.redeemed_by, attempt)) return redeemed();
          return { outcome: 'replayed', grantId: seen.grant_id as Uint8Array };
        }
        if (Number(seen.expires_at) <= now) return { outcome: 'expired' };
        // It is kept for longer than the mark of its redemption would have been.
        keptUntil = Number(seen.retain_until);
        learn(keptUntil, now);
        decided = await decideOnce();
      }
    },

    async remove(digest) {
      const values = { code_digest: digest, now: seconds(clock) };
      const { applied, repeated, seen } = await decide(statements.removeCode, values);
      return applied || (repeated && seen.retain_until === undefined);
    },

    purgeExpired,
  };
}
