import type { Configuration, StoreSettings } from '../../functions/config/configuration.ts';
import { storeSections } from '../../functions/config/rules.ts';
import { databaseSettings } from '../../functions/connection-settings.ts';
import { StoreError } from '../../functions/domain/errors.ts';
import type { OpenOptions, Stores } from '../../functions/open-stores.ts';
import { schemaOf } from '../commands/databases.ts';
import { ask } from '../commands/question.ts';

type Server = Exclude<Configuration['databases'][string], { embedded: true }>;

/**
 * Asks every store for something that nobody has, and applies the schema where a database lacks a table. An account that
 * may not do so is needed only where none is missing.
 *
 * @throws {Error} in one sentence: a store does not answer
 */
export async function applyMissingSchemas(configuration: Configuration, stores: Stores, options: OpenOptions) {
  for (const kind of storeSections) {
    for (const [name, store] of Object.entries<StoreSettings>(configuration[kind])) {
      try {
        const database = store.storeIn === 'database' && configuration.databases[store.database];
        const server = database && !database.embedded ? database : undefined;
        const apply = async (server: Server) =>
          (await schemaOf[server.engine]()).applySchema(await databaseSettings(server, options), {
            partitions: server.expiryPartitions,
          });
        // A look-up is the same with partitions and without: it does not show that they are missing.
        if (server?.expiryPartitions) await apply(server);
        await ask(stores, kind, name).catch(async (error: unknown) => {
          if (!(error instanceof StoreError) || error.code !== 'unsupported' || !server) throw error;
          await apply(server);
          await ask(stores, kind, name);
        });
      } catch (cause) {
        throw new Error(`the store "${name}" in ${kind}: ${(cause as Error).message}`, { cause });
      }
    }
  }
}
