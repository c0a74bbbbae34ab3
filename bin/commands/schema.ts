import { mkdirSync, readFileSync } from 'node:fs';
import type { Configuration } from '../../functions/config/configuration.ts';
import { systemClock } from '../../functions/domain/clock.ts';
import { postgresqlSettings } from '../../functions/open-stores.ts';
import { applySchema, createEngine } from '../../functions/stores/postgresql.ts';
import { checkAddress, connectionNamed, dataDirectory } from './connections.ts';
import { withEmbedded } from './stores.ts';

/** Prints the scripts that make the tables of a database, or applies them: any number of times. */
export async function schema(configuration: Configuration, name: string, { apply = false }): Promise<void> {
  const connection = connectionNamed(configuration, name);
  const { engine, database } = connection;
  if (engine !== 'postgresql' || !database) {
    throw new Error(
      engine === 'memory' ? `"${name}" is in memory: it has no schema` : `no schema for the engine ${engine} yet`,
    );
  }
  if (!apply) {
    for (const script of ['oauth-server', 'oauth-client']) {
      process.stdout.write(readFileSync(new URL(`../../sql/${engine}/${script}.sql`, import.meta.url)));
    }
    return;
  }
  checkAddress(connection);
  if (database.embedded) mkdirSync(dataDirectory, { recursive: true, mode: 0o700 });
  await withEmbedded(connection, 'new', async () => {
    const settings = await postgresqlSettings(connection.name, database, { dataDirectory });
    // An embedded database is given its schema whenever it is opened.
    await (database.embedded ? (await createEngine(settings, systemClock)).close() : applySchema(settings));
  });
  console.log(`the schema is applied to "${connection.name}"`);
}
