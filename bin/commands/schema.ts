import { mkdirSync } from 'node:fs';
import type { Configuration } from '../../functions/config/configuration.ts';
import { postgresqlSettings } from '../../functions/connection-settings.ts';
import { systemClock } from '../../functions/domain/clock.ts';
import { createEngine } from '../../functions/stores/postgresql.ts';
import { packagedScripts, scriptsFrom } from '../../functions/stores/sql-schema.ts';
import { applyKeyspace, type Keyspace, printedSchema } from './cassandra.ts';
import { checkAddress, connectionNamed, dataDirectory } from './connections.ts';
import { schemaOf, serverSettings } from './databases.ts';
import { withEmbedded } from './stores.ts';

export interface SchemaOptions {
  readonly apply?: boolean;
  /** The users of the database too. */
  readonly roles?: boolean;
  /** The version of oauth-server that is there: what leads from it to the newest. */
  readonly from?: number;
}

/**
 * Prints the scripts that make the tables of a database or a keyspace, or upgrade them, or applies what is missing: any number of times.
 */
export async function schema(configuration: Configuration, name: string, options: SchemaOptions): Promise<void> {
  const { apply = false, roles = false, from } = options;
  const connection = connectionNamed(configuration, name);
  const { engine, database } = connection;
  const cluster = connection.section === 'cassandra' && configuration.cassandra[connection.name];
  if (cluster) return keyspaceSchema(connection.name, cluster, options);
  if (!database) throw new Error(`"${name}" is in ${engine}: it has no schema`);
  if (roles && database.embedded) throw new Error(`"${name}" is embedded: it has one user`);
  if (!apply) {
    const scripts = await packagedScripts(database.engine);
    const partitions = !database.embedded && database.expiryPartitions;
    if (roles && !scripts['oauth-roles.sql']) throw new Error(`there is no oauth-roles.sql for ${engine}`);
    const wanted = [
      ...(from === undefined ? ['oauth-server.sql', 'oauth-client.sql'] : scriptsFrom(scripts, 'oauth-server', from)),
      ...(partitions ? ['oauth-partitions.sql'] : []),
      ...(roles ? ['oauth-roles.sql'] : []),
    ];
    for (const path of wanted) process.stdout.write(scripts[path] ?? '');
    return;
  }
  if (from !== undefined) throw new Error('--from is for printing: what is applied goes by the version that is there');
  checkAddress(connection);
  if (database.embedded) mkdirSync(dataDirectory, { recursive: true, mode: 0o700 });
  await withEmbedded(connection, 'new', async () => {
    if (!database.embedded) {
      await (await schemaOf[database.engine]()).applySchema(await serverSettings(database), {
        partitions: database.expiryPartitions,
        roles,
      });
      return;
    }
    // An embedded database is given its schema whenever it is opened.
    const settings = await postgresqlSettings(connection.name, database, { dataDirectory });
    await (await createEngine(settings, systemClock)).close();
  });
  console.log(`the schema is applied to "${connection.name}"`);
}

async function keyspaceSchema(name: string, cluster: Keyspace, { apply, roles, from }: SchemaOptions): Promise<void> {
  if (roles || from !== undefined) {
    throw new Error(
      `"${name}" is a keyspace: --roles and --from are for databases; what is missing there is found out`,
    );
  }
  if (!apply) {
    process.stdout.write(await printedSchema(cluster));
    return;
  }
  await applyKeyspace(cluster);
  console.log(`the schema is applied to "${name}"`);
}
