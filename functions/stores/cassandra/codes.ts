import type { ReadConsistency } from '../../config/consistency.ts';
import { type Clock, seconds } from '../../domain/clock.ts';
import { StoreError } from '../../domain/errors.ts';
import type { AuthorizationCodeStore, Digest, PurgeReport } from '../../domain/ports.ts';
import type { Cluster } from './cluster.ts';
import { codeOf, codeRow, redemption, redemptionOf } from './records.ts';
import { createRemembered } from './remembered.ts';
import { type Consistency, createTurns } from './stores.ts';
import { type Row, same, ttlUntil } from './values.ts';

/** One that is past its `retainUntil` by the store's own clock is as good as removed; of one that its TTL removed, the mark of its redemption may be left. */
const isStanding = (row: Row | undefined, now: number): row is Row =>
  row?.code_record !== undefined && Number(row.retain_until) > now;

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
  const read = (digest: Digest, at: ReadConsistency) => readOne(statements.findCode, { code_digest: digest }, at);

  const remembered = createRemembered();
  /** What the code is, which never changes while it stands: as this process knows it, or as one replica does. */
  const readRecord = async (digest: Digest) =>
    remembered.get(digest) ?? readOne(statements.findCodeRecord, { code_digest: digest }, decisiveness.nearest);

  return {
    async add(code, { now, attempt }) {
      const row = { ...codeRow(code), attempt, ttl: ttlUntil(code.retainUntil, now) };
      learn(code.retainUntil, now);
      let [before, cleared]: [Row, object] = [{}, {}];
      for (const turn = createTurns(); ; turn()) {
        const { attempt: seen_attempt = null, redemption: seen_redemption = null } = before;
        const values = { ...row, ...cleared, seen_attempt, seen_redemption };
        const { applied, seen } = await decide(statements.addCode, values, level.write);
        if (applied) {
          const { expires_at, retain_until, code_record } = row;
          remembered.keep(code.digest, { expires_at, retain_until, code_record });
          return;
        }
        if (seen.attempt !== undefined && Number(seen.retain_until) > seconds(clock)) {
          if (same(seen.attempt, attempt)) return;
          throw new StoreError('conflict', 'an authorization code with this digest is stored already');
        }
        [before, cleared] = [seen, { redemption: null }];
      }
    },

    async find(digest, { now }) {
      const row = await read(digest, level.read);
      if (!stands(row)) return { outcome: 'unknown' };
      const code = codeOf(row, digest);
      if (row.redemption !== undefined) {
        return { outcome: 'redeemed', code, redeemedAt: Number(redemptionOf(row).redeemedAt) };
      }
      return { outcome: code.expiresAt <= now ? 'expired' : 'active', code };
    },

    async redeem(digest, { binding, now, attempt }) {
      let keptUntil = now + horizonSeconds;
      const decideOnce = () =>
        decide(statements.redeem, {
          code_digest: digest,
          binding,
          redemption: redemption(now, attempt),
          now,
          kept_until: keptUntil,
          ttl: ttlUntil(keptUntil, now),
        });
      // What an applied transaction gives is that it was; what the code is stands beside it.
      let [decided, row] = await Promise.all([decideOnce(), readRecord(digest)]);
      const redeemed = async () => {
        if (!stands(row)) row = await read(digest, decisiveness.settled);
        return { outcome: 'redeemed', code: codeOf({ ...row, binding }, digest) } as const;
      };
      for (const turn = createTurns(); ; turn()) {
        const { applied, seen } = decided;
        if (applied) return redeemed();
        if (!stands(seen)) return { outcome: 'unknown' };
        if (!same(seen.binding, binding)) return { outcome: 'mismatched' };
        if (seen.redemption !== undefined) {
          if (same(redemptionOf(seen).attempt, attempt)) return redeemed();
          return { outcome: 'replayed', grantId: codeOf(seen, digest).grantId };
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
