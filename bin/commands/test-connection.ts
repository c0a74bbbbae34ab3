import type { Configuration } from '../../functions/config/configuration.ts';
import { postgresqlSettings } from '../../functions/connection-settings.ts';
import type { Component, Diagnosis } from '../../functions/stores/sql-diagnosis.ts';
import { diagnoseKeyspace, type KeptStore } from './cassandra.ts';
import { allConnections, type Connection, checkAddress, connectionNamed, dataDirectory } from './connections.ts';
import { diagnosticsOf, serverSettings } from './databases.ts';
import { explain } from './failure.ts';
import { ask } from './question.ts';
import { type ChosenStore, chooseStores, withStores } from './stores.ts';

/** Says of these connections, or of all, whether they can be worked with, and if not, what is wrong. */
export async function testConnection(configuration: Configuration, names: readonly string[]): Promise<void> {
  const connections = names.length
    ? names.map((name) => connectionNamed(configuration, name))
    : allConnections(configuration);
  for (const connection of connections) {
    const diagnosis = await diagnosisOf(configuration, connection).catch((error) => ({ fault: explain(error) }));
    if ('found' in diagnosis) console.log(`${connection.name}: ${diagnosis.found}`);
    else {
      console.error(`${connection.name}: ${diagnosis.fault}`);
      process.exitCode = 1;
    }
  }
}

async function diagnosisOf(configuration: Configuration, connection: Connection): Promise<Diagnosis> {
  const { name, engine, database } = connection;
  if (engine === 'memory')
    return { found: 'in the memory of the process that serves it; there is nothing to connect to' };
  if (engine === 'dynamodb') {
    const { tableName, ...settings } = dynamodbCacheNamed(configuration, name);
    if (tableName === undefined) {
      return {
        fault: `the cache "${name}" has no tableName: the deployment creates its table, and its functions reach it`,
      };
    }
    const { diagnose } = await import('../../functions/stores/dynamodb/diagnosis.ts');
    return diagnose({ ...settings, tableName });
  }
  const cluster = connection.section === 'cassandra' && configuration.cassandra[name];
  if (cluster) {
    return diagnoseKeyspace(cluster, componentsOn(configuration, connection), storesIn(configuration, connection));
  }
  if (!database) {
    const [store] = chooseStores(configuration).filter((each) => isOn(connection, each));
    if (!store) return { fault: 'no store uses it, so there is nothing to ask it' };
    await withStores(configuration, connection, [store], (stores) => ask(stores, store.kind, store.name));
    return { found: `answers the store "${store.name}"` };
  }
  checkAddress(connection);
  if (database.embedded) {
    const { embedded } = await postgresqlSettings(name, database, { dataDirectory });
    return { found: `embedded, in ${embedded}; there is no server to connect to` };
  }
  const { diagnose } = await diagnosticsOf[database.engine]();
  const components = componentsOn(configuration, connection);
  const partitions = database.expiryPartitions && components.includes('oauth-server');
  return diagnose(await serverSettings(database), [
    ...components,
    ...(partitions ? (['oauth-partitions'] as const) : []),
  ]);
}

function dynamodbCacheNamed({ caches }: Configuration, name: string) {
  const cache = caches[name];
  if (cache?.engine !== 'dynamodb') throw new Error(`there is no table of DynamoDB behind "${name}"`);
  return cache;
}

/** The parts of the schema that the stores on a connection need. */
function componentsOn(configuration: Configuration, connection: Connection): Component[] {
  const needed = chooseStores(configuration)
    .filter((store) => isOn(connection, store))
    .map(({ kind }) => (kind === 'clientAccessTokenStores' ? 'oauth-client' : 'oauth-server'));
  return [...new Set(needed)];
}

const isOn = ({ section, name }: Connection, { connection }: ChosenStore) =>
  connection.section === section && connection.name === name;

/** The stores that are kept in a keyspace. */
const storesIn = (configuration: Configuration, connection: Connection): KeptStore[] =>
  chooseStores(configuration).flatMap(({ name, settings, connection: { section, name: kept } }) =>
    section === connection.section && kept === connection.name && settings.storeIn === 'cassandra'
      ? [{ name, settings }]
      : [],
  );
