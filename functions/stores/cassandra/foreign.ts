import { StoreError } from '../../domain/errors.ts';
import type { Digest, TokenKey } from '../../domain/ports.ts';
import type { GrantId } from '../../domain/token.ts';
import type { Cluster } from './cluster.ts';
import { keptUntil, same, ttlUntil } from './values.ts';

type Kind = 'access' | 'refresh';
type Tokens = Readonly<Partial<Record<Kind, { readonly digest: Digest; readonly foreign?: boolean } | undefined>>>;

export type ForeignTokens = ReturnType<typeof createForeignTokens>;

/** The ways from tokens that were minted elsewhere to their grants. */
export function createForeignTokens({ statements, decisiveness, readOne, decide }: Cluster) {
  const claimOne = async (kind: Kind, digest: Digest, grantId: GrantId, now: number, retainUntil: number) => {
    const ttl = ttlUntil(keptUntil(retainUntil), now);
    const way = { kind, digest, grant_id: grantId, retain_until: retainUntil, ttl };
    for (let stands: unknown = null; ; ) {
      const { applied, seen } = await decide(statements.claimForeign, { ...way, seen_grant_id: stands });
      if (applied) return stands === null ? 'new' : 'replaced';
      if (same(seen.grant_id, grantId)) return 'ours';
      if (seen.grant_id !== undefined && Number(seen.retain_until) > now) return 'taken';
      stands = seen.grant_id ?? null;
    }
  };

  return {
    /** The grant that a token leads to: it names it, or its digest does. */
    grantIdOf: async (kind: Kind, { grantId, digest }: TokenKey): Promise<GrantId | undefined> =>
      grantId ??
      ((await readOne(statements.findForeign, { kind, digest }, decisiveness.quorum))?.grant_id as GrantId | undefined),

    /**
     * Leads foreign digests to a grant, and gives what takes those back that were not led there before.
     * @throws {StoreError} conflict: one leads to another grant
     */
    async claim(grantId: GrantId, tokens: Tokens, times: { now: number; retainUntil: number }) {
      const foreign = (['access', 'refresh'] as const).flatMap((kind) => {
        const token = tokens[kind];
        return token?.foreign ? [{ kind, digest: token.digest }] : [];
      });
      const claims = await Promise.all(
        foreign.map(async ({ kind, digest }) => ({
          kind,
          digest,
          outcome: await claimOne(kind, digest, grantId, times.now, times.retainUntil),
        })),
      );
      const release = async (): Promise<void> => {
        const ours = claims.filter(({ outcome }) => outcome === 'new' || outcome === 'replaced');
        await Promise.all(
          ours.map(({ kind, digest }) => decide(statements.releaseForeign, { kind, digest, grant_id: grantId })),
        );
      };
      if (claims.every(({ outcome }) => outcome !== 'taken')) return release;
      await release();
      throw new StoreError('conflict', 'a foreign token with this digest is stored already');
    },
  };
}
