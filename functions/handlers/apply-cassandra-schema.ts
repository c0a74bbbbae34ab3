import { readFile } from 'node:fs/promises';
import type { Configuration } from '../config/configuration.ts';
import { cassandraSettings } from '../connection-settings.ts';
import { passwordFromAws } from '../password-from-aws.ts';
import type { Invocation } from '../runtime.ts';
import { applySchemaOf, type SchemaAnswer, type SchemaEvent } from '../schema-application.ts';

/** The cluster as the configuration has it, in JSON: CloudFormation would make texts of its numbers. */
type ApplyCassandraSchemaEvent = SchemaEvent<{ readonly cluster: string }>;
type Cluster = Extract<Configuration['cassandra'][string], { engine: 'cassandra' }>;

const packaged = async (): Promise<Record<string, string>> => JSON.parse(await readFile('schema.json', 'utf8'));

/**
 * Makes what is missing of a keyspace of Apache Cassandra and its tables, by the scripts beside the function; `manual`:
 * looks whether somebody else did. Repeatable, and by several at once. Deleting leaves everything.
 *
 * @throws {Error} in words, which appear among the deployment’s events
 */
export const createApplyCassandraSchema =
  (readScripts = packaged, password = passwordFromAws) =>
  async (event: ApplyCassandraSchemaEvent, invocation: Invocation): Promise<SchemaAnswer> => {
    const cluster: Cluster = JSON.parse(event.ResourceProperties.cluster);
    const { keyspace, replication } = cluster;
    const withTables = async (does: 'ensureTables' | 'missingTables') => {
      const [{ clientOptions }, tables, scripts, settings] = await Promise.all([
        import('../stores/cassandra.ts'),
        import('../stores/cassandra/tables.ts'),
        readScripts(),
        cassandraSettings(cluster, {}, { password }),
      ]);
      return tables[does](() => clientOptions(settings), { keyspace, replication, scripts: Object.values(scripts) });
    };
    const work = {
      of: keyspace,
      apply: () => withTables('ensureTables'),
      find: () => withTables('missingTables'),
      remedy: (missing: readonly string[]) =>
        `the keyspace "${keyspace}" lacks ${missing.join(', ')}: apply what "oauth2-stores schema" prints`,
    };
    return applySchemaOf(event, work, invocation);
  };

export const handler = createApplyCassandraSchema();
