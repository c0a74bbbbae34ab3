import { randomBytes } from 'node:crypto';
import type { Configuration } from '../../functions/config/configuration.ts';
import type { StoreKind } from '../../functions/config/functions.ts';
import { StoreError } from '../../functions/domain/errors.ts';
import { type OpenOptions, postgresqlSettings, type Stores } from '../../functions/open-stores.ts';
import { applySchema } from '../../functions/stores/postgresql.ts';

/**
 * Asks every store for something that nobody has, and applies the schema where a database lacks a table. An account that
 * may not do so is needed only where none is missing.
 *
 * @throws {Error} in one sentence: a store does not answer
 */
export async function applyMissingSchemas(configuration: Configuration, stores: Stores, options: OpenOptions) {
  const nobody = randomBytes(32);
  const now = 0;
  const questions: Record<StoreKind, (name: string) => Promise<unknown>> = {
    accessTokenStores: (name) => stores.accessTokenStore(name).findAccess({ digest: nobody }, { now }),
    authorizationCodeStores: (name) => stores.authorizationCodeStore(name).find(nobody, { now }),
    clientAccessTokenStores: (name) => stores.clientAccessTokenStore(name).get('', '', { now }),
    artifactStores: (name) => stores.artifactStore(name).find('', nobody, { now }),
  };
  for (const [kind, ask] of Object.entries(questions)) {
    for (const [name, store] of Object.entries(configuration[kind as StoreKind])) {
      try {
        await ask(name).catch(async (error: unknown) => {
          const database = store.storeIn === 'database' && configuration.databases[store.database];
          if (!(error instanceof StoreError) || error.code !== 'unsupported' || !database) throw error;
          await applySchema(await postgresqlSettings(store.database, database, options));
          await ask(name);
        });
      } catch (cause) {
        throw new Error(`the store "${name}" in ${kind}: ${(cause as Error).message}`, { cause });
      }
    }
  }
}
