import { StoreError } from '../../domain/errors.ts';
import type { Digest } from '../../domain/ports.ts';
import type { GrantId } from '../../domain/token.ts';
import { base64url, u32 } from './bytes.ts';
import { pointedFor, pointerUntil } from './owners.ts';
import { claim, release } from './scripts/pointers.ts';
import type { Store } from './store.ts';

type Token = { readonly digest: Digest; readonly foreign?: boolean } | undefined;

const keyOf = (digest: Digest) => `f${base64url(digest)}`;

/**
 * The ways from tokens that were minted elsewhere to their grants. They are kept longer than the grant is at first, for its
 * end may move; one that leads to a grant which is gone can be taken.
 */
export function createForeignTokens(store: Store, isThere: (grantId: GrantId) => Promise<boolean>) {
  const lead = async (digest: Digest, grantId: GrantId, until: number) => {
    const claimOver = (former: Uint8Array | string) =>
      store.run(claim, [keyOf(digest)], [u32(store.now(), until), grantId, former]);
    const led = await claimOver('');
    if (!(led instanceof Buffer)) return led;
    const former = led.subarray(9);
    // One whose end has not come yet may be on its way.
    if (pointedFor(led.readUInt32BE(1)) > store.now() || (await isThere(former))) return 0;
    const taken = await claimOver(former);
    return taken instanceof Buffer ? 0 : taken;
  };

  return {
    /** The grant that a digest leads to. */
    grantIdOf: async (digest: Digest): Promise<GrantId | undefined> => (await store.get(keyOf(digest)))?.subarray(9),

    /**
     * Leads foreign digests to a grant, and gives what takes back those that led nowhere before; not those that `standing`,
     * the grant's record, holds, for another caller may have led them there meanwhile.
     * @throws {StoreError} conflict: one leads to another grant
     */
    async claim(grantId: GrantId, retainUntil: number, tokens: readonly Token[]) {
      const foreign = tokens.flatMap((token) => (token?.foreign ? [token.digest] : []));
      const until = pointerUntil(retainUntil);
      const claimed = await Promise.all(
        foreign.map(async (digest) => ({
          digest,
          state: await lead(digest, grantId, until),
        })),
      );
      const takeBack = async (standing?: Buffer) => {
        const back = claimed.filter(({ digest, state }) => state === 1 && !standing?.includes(Buffer.from(digest)));
        await Promise.all(back.map(({ digest }) => store.run(release, [keyOf(digest)], [grantId])));
      };
      if (claimed.every(({ state }) => state !== 0)) return takeBack;
      await takeBack();
      throw new StoreError('conflict', 'a foreign token with this digest is stored already');
    },
  };
}
