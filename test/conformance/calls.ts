import type {
  AccessTokenStore,
  Engine,
  PurgeRequest,
  Selector,
  Successor,
  TokenKey,
} from '../../functions/domain/ports.ts';
import { plain } from './records.ts';

/** A call that can be made on any store, and gives of its answer what the ports settle. */
export interface Call {
  readonly name: string;
  on(engine: Engine): Promise<unknown>;
}

/** What a call came to: its answer, or the code of the error that it failed with, as plain data. */
export async function resultOf({ on }: Call, engine: Engine): Promise<unknown> {
  try {
    return plain(await on(engine));
  } catch (error) {
    if (error instanceof Error && error.name === 'StoreError' && 'code' in error) return { error: error.code };
    throw error;
  }
}

/** When an older generation was retired is left open, and when the first token after `addRefresh` was issued. */
export const findRefresh = (key: TokenKey, now: number): Call => ({
  name: 'findRefresh',
  async on({ accessTokens }) {
    const { outcome, ...state } = await accessTokens.findRefresh(key, { now });
    return {
      outcome,
      ...('refresh' in state && { refresh: state.refresh }),
      ...('grant' in state && { grant: state.grant }),
    };
  },
});

/** Whether the grant that a rotation gives shows `retainUntil` as moved is left open. */
export const rotate = (
  key: TokenKey,
  successor: Successor,
  options: Parameters<AccessTokenStore['rotate']>[2],
): Call => ({
  name: `rotate to ${typeof successor.refresh === 'string' ? successor.refresh : Object.keys(successor.refresh)[0]}`,
  async on({ accessTokens }) {
    const outcome = await accessTokens.rotate(key, successor, options);
    return 'grant' in outcome ? { ...outcome, grant: { ...outcome.grant, retainUntil: 0 } } : outcome;
  },
});

/** Every page of a listing; the order is the store's own. */
export const listGrants = (selector: Selector, limit: number): Call => ({
  name: 'listGrants',
  async on({ accessTokens }) {
    const found: [string, unknown][] = [];
    for (let after: string | undefined; ; ) {
      const { grants, next } = await accessTokens.listGrants(selector, {
        limit,
        ...(after !== undefined && { after }),
      });
      found.push(
        ...grants.map((entry): [string, unknown] => [Buffer.from(entry.grant.grantId).toString('hex'), entry]),
      );
      if (next === undefined) return Object.fromEntries(found.sort());
      after = next;
    }
  },
});

/** As {@link listGrants}. */
export const listAccess = (grantId: Uint8Array, limit: number): Call => ({
  name: 'listAccess',
  async on({ accessTokens }) {
    const found: [string, unknown][] = [];
    for (let after: string | undefined; ; ) {
      const { tokens, next } = await accessTokens.listAccess(grantId, { limit, ...(after !== undefined && { after }) });
      found.push(...tokens.map((token): [string, unknown] => [Buffer.from(token.digest).toString('hex'), token]));
      if (next === undefined) return Object.fromEntries(found.sort());
      after = next;
    }
  },
});

/** Everything that is due, in every store; what else lies in the storage would be counted too. */
export const purge = (request: PurgeRequest): Call => ({
  name: 'purgeExpired',
  async on(engine) {
    const { authorizationCodes, accessTokens, artifacts, clientAccessTokens } = engine;
    for (const store of [authorizationCodes, accessTokens, artifacts, clientAccessTokens]) {
      while ((await store.purgeExpired(request)).more);
    }
  },
});
