import { readFile } from 'node:fs/promises';
import { callAws } from '../../functions/aws.ts';
import { tablesIn } from '../../functions/config/cassandra-tables.ts';
import type { Configuration, StoreSettings } from '../../functions/config/configuration.ts';
import { cassandraSettings, keyspacesSettings } from '../../functions/connection-settings.ts';
import { systemClock } from '../../functions/domain/clock.ts';
import { ensureKeyspace, ensureTables, missingTables } from '../../functions/keyspaces-tables.ts';
import { passwordFromAws } from '../../functions/password-from-aws.ts';
import type { Component, Diagnosis } from '../../functions/stores/sql-diagnosis.ts';

// What the commands do with a keyspace: of a cluster, by statements; of Amazon Keyspaces, by its own interface.

export type Keyspace = Configuration['cassandra'][string];

/** A store that is kept in it. */
export interface KeptStore {
  readonly name: string;
  readonly settings: Extract<StoreSettings, { storeIn: 'cassandra' }>;
}

/** How long the service may take to make the tables. */
const PATIENCE_MS = 300_000;
const ALL: readonly Component[] = ['oauth-server', 'oauth-client'];

const scriptsOf = (components: readonly Component[]): Promise<string[]> =>
  Promise.all(components.map((name) => readFile(new URL(`../../sql/cassandra/${name}.cql`, import.meta.url), 'utf8')));

/** The statements that make keyspace and tables, as cqlsh takes them. */
export async function printedSchema(cluster: Keyspace): Promise<string> {
  const scripts = await scriptsOf(ALL);
  const { keyspace } = cluster;
  if (cluster.engine === 'cassandra') {
    const { keyspaceScript } = await import('../../functions/stores/cassandra/schema.ts');
    return `${keyspaceScript(keyspace, cluster.replication)};\nUSE "${keyspace}";\n\n${scripts.join('\n')}`;
  }
  const { tablesOf } = await import('../../functions/stores/keyspaces.ts');
  const made = `CREATE KEYSPACE IF NOT EXISTS "${keyspace}" WITH replication = {'class': 'SingleRegionStrategy'}`;
  return [made, `USE "${keyspace}"`, ...scripts.flatMap(tablesOf)].map((statement) => `${statement};\n`).join('\n');
}

/** Makes what is missing of keyspace and tables. */
export async function applyKeyspace(cluster: Keyspace): Promise<void> {
  const scripts = await scriptsOf(ALL);
  if (cluster.engine === 'cassandra') {
    const { clientOptions } = await import('../../functions/stores/cassandra.ts');
    const tables = await import('../../functions/stores/cassandra/tables.ts');
    const settings = await cassandraSettings(cluster, {}, { password: passwordFromAws });
    await tables.ensureTables(() => clientOptions(settings), { ...cluster, scripts });
    return;
  }
  const wanted = { ...cluster, tables: scripts.flatMap(tablesIn) };
  await ensureKeyspace(callAws, wanted, patience());
  await ensureTables(callAws, wanted, patience());
}

const patience = () => ({ clock: systemClock, untilMs: systemClock() + PATIENCE_MS });

/** Whether these stores can work with it. */
export async function diagnoseKeyspace(
  cluster: Keyspace,
  components: readonly Component[],
  kept: readonly KeptStore[],
): Promise<Diagnosis> {
  const { diagnose, diagnoseAccess } = await import('../../functions/stores/cassandra/diagnosis.ts');
  const tables = (await scriptsOf(components)).flatMap(tablesIn);
  const stores = kept.map(({ name, settings }) => ({
    name,
    read: settings.readConsistency,
    write: settings.writeConsistency,
  }));
  if (cluster.engine === 'cassandra') {
    return diagnose(await cassandraSettings(cluster, {}, { password: passwordFromAws }), { tables, stores });
  }
  const missing = await missingTables(callAws, { ...cluster, tables }, patience());
  if (missing.length > 0) {
    return { fault: `the keyspace "${cluster.keyspace}" lacks ${missing.join(', ')}: apply the schema` };
  }
  const { clientOptions } = await import('../../functions/stores/keyspaces.ts');
  return diagnoseAccess(clientOptions(keyspacesSettings(cluster, {}), systemClock), cluster.keyspace, {
    tables,
    stores,
  });
}
