import type { AccessTokenStore } from '../../domain/ports.ts';
import { tokensIn } from './buckets.ts';
import { grantPlace, tokensPlace } from './changes.ts';
import { grantIdOf, isOf, type Pointers, placeOf, wantedOf } from './pointers.ts';
import { accessOf, entryOf, grantOf, tokenOf } from './records.ts';
import type { Table } from './table.ts';
import { hex, same } from './values.ts';

/** What there is, page by page. */
export function createLists(table: Table, pointers: Pointers): Pick<AccessTokenStore, 'listGrants' | 'listAccess'> {
  return {
    async listGrants(selector, { limit, after = '' }) {
      const found: ReturnType<typeof entryOf>[] = [];
      const wanted = wantedOf(selector);
      const start = Buffer.from(after, 'base64url');
      for await (const page of pointers.of(selector, start, () => limit - found.length)) {
        const ids = new Map(page.map(({ item }) => [hex(grantIdOf(item)), grantIdOf(item)]));
        const read = await table.getAll([...ids.values()].map(grantPlace));
        // DynamoDB gives them in no order.
        const items = new Map(read.map((item) => [hex(grantOf(item).grantId), item]));
        for (const { item: pointer, place } of page) {
          const item = items.get(hex(grantIdOf(pointer)));
          // A second grant of its id, refused as conflict, may have left a pointer elsewhere.
          if (item && isOf(item, wanted) && same(placeOf(grantOf(item)), place)) found.push(entryOf(item));
          if (found.length >= limit) return { grants: found, next: Buffer.from(place).toString('base64url') };
        }
      }
      return { grants: found };
    },

    async listAccess(grantId, { limit, after = '' }) {
      const start = after === '' ? Buffer.of(0) : Buffer.from(after, 'hex');
      const [item, own] = await Promise.all([
        table.get(grantPlace(grantId)),
        table.query(tokensPlace(grantId), { after: start, limit: limit + 1 }),
      ]);
      if (item?.c === undefined) return { tokens: [] };
      const last = own.more ? hex(own.items.at(-1)?.k) : undefined;
      const tokens = [...tokensIn(item), ...own.items.map(tokenOf)]
        .map((found) => ({ ...accessOf(found, item), place: hex(found.token.digest) }))
        .filter(({ place }) => place > after && (last === undefined || place <= last))
        .sort((one, two) => (one.place < two.place ? -1 : 1));
      const page = tokens.slice(0, limit);
      const next = tokens.length > limit || own.more ? page.at(-1)?.place : undefined;
      return { tokens: page.map(({ place, ...token }) => token), ...(next !== undefined && { next }) };
    },
  };
}
