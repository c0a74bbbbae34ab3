import type { Digest, TokenKey } from '../../domain/ports.ts';
import type { GrantId } from '../../domain/token.ts';
import { conflict } from './changes.ts';
import { keyOf, type Table } from './table.ts';

const place = (digest: Digest) => keyOf('f', digest);

/** The ways from tokens that were minted elsewhere to their grants. */
export function createForeignTokens(table: Table) {
  return {
    /** The grant that a token leads to: it names it, or its digest does. */
    grantIdOf: async ({ grantId, digest }: TokenKey): Promise<GrantId | undefined> =>
      grantId ?? ((await table.get(place(digest)))?.g as GrantId | undefined),

    /**
     * Leads foreign digests to a grant, and gives what takes those back that were not led there before.
     * @throws {StoreError} conflict: one leads to another grant
     */
    async claim(
      grantId: GrantId,
      l: number,
      tokens: readonly ({ digest: Digest; foreign?: boolean } | undefined)[],
    ): Promise<() => Promise<void>> {
      const foreign = tokens.flatMap((token) => (token?.foreign ? [place(token.digest)] : []));
      const written = await Promise.all(
        foreign.map(async (key) => {
          const put = await table.put({ ...key, g: grantId, l }, ({ value }) => [
            `attribute_not_exists(p) OR g = ${value(grantId)}`,
          ]);
          return { ...put, key };
        }),
      );
      const release = async () => {
        const claimed = written.filter(({ applied, item }) => applied && !item);
        await Promise.all(claimed.map(({ key }) => table.remove(key, ({ value }) => [`g = ${value(grantId)}`])));
      };
      if (written.every(({ applied }) => applied)) return release;
      await release();
      throw conflict('a foreign token with this digest');
    },
  };
}
