import { readFileSync } from 'node:fs';
import { type CassandraTable, tablesIn } from '../functions/config/cassandra-tables.ts';

/** The scripts of sql/cassandra by their names. */
export const cassandraScripts = (): Record<string, string> =>
  Object.fromEntries(
    ['oauth-server.cql', 'oauth-client.cql'].map((name) => [
      name,
      readFileSync(new URL(`../sql/cassandra/${name}`, import.meta.url), 'utf8'),
    ]),
  );

/** The tables of a keyspace. */
export const cassandraTables = (): CassandraTable[] => Object.values(cassandraScripts()).flatMap(tablesIn);
