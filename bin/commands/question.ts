import { randomBytes } from 'node:crypto';
import type { StoreKind } from '../../functions/config/functions.ts';
import type { Stores } from '../../functions/open-stores.ts';

/** Asks a store for something that nobody has: it answers if it can be worked with. */
export function ask(stores: Stores, kind: StoreKind, name: string): Promise<unknown> {
  const nobody = randomBytes(32);
  const now = 0;
  const questions: Record<StoreKind, () => Promise<unknown>> = {
    accessTokenStores: () => stores.accessTokenStore(name).findAccess({ digest: nobody }, { now }),
    authorizationCodeStores: () => stores.authorizationCodeStore(name).find(nobody, { now }),
    clientAccessTokenStores: () => stores.clientAccessTokenStore(name).get('', '', { now }),
    artifactStores: () => stores.artifactStore(name).find('', nobody, { now }),
  };
  return questions[kind]();
}
