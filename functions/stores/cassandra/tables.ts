import { createHash } from 'node:crypto';
import { Client, type ClientOptions, policies, types } from 'cassandra-driver';
import {
  type CassandraTable,
  type ColumnKind,
  differenceOf,
  statementsOf,
  tablesIn,
} from '../../config/cassandra-tables.ts';
import { StoreError } from '../../domain/errors.ts';
import { storeError } from './errors.ts';
import { applySchema, keyspaceScript, type Replication } from './schema.ts';

// A keyspace of Apache Cassandra, from what is there to what the scripts of sql/cassandra say.

export interface WantedTables {
  readonly keyspace: string;
  /** Used when the keyspace is made, and never again. */
  readonly replication: Replication;
  /** Texts of sql/cassandra. */
  readonly scripts: readonly string[];
}

/** How the cluster is reached, made anew for every client: policies know the client that they serve. */
type Options = () => ClientOptions;

interface Step {
  readonly statement: string;
  /** What is missing. */
  readonly words: string;
}

/** `ADD IF NOT EXISTS`, and a version of Paxos that conditional writes can be built on. */
const OLDEST = [4, 1] as const;

/**
 * Makes what is missing (keyspace, tables, columns), waits after each statement until the nodes have agreed on it, and says
 * what it was. It may be called again at any time, and by several at once: a table has an id that follows from its name, so
 * that two nodes which make it at the same moment make the same one. Of two with the same name and different ids, which is
 * what Cassandra makes of itself, a cluster is not rid without help.
 *
 * @throws {StoreError} `unsupported`: what it cannot mend, all of it, in words; or it is refused. `unavailable`, `timeout`:
 *   some of it may have been made
 */
export async function ensureTables(options: Options, wanted: WantedTables): Promise<string[]> {
  const { keyspace, replication } = wanted;
  const isThere = await withClient(options, (client) => hasKeyspace(client, keyspace));
  if (!isThere) await applySchema(overAnyNode(options()), [keyspaceScript(keyspace, replication)]);
  const steps = await withClient(options, (client) => stepsTo(client, wanted));
  const statements = steps.map(({ statement }) => statement);
  if (statements.length > 0) await applySchema({ ...overAnyNode(options()), keyspace }, statements);
  return [...(isThere ? [] : [`the keyspace ${keyspace}`]), ...steps.map(({ words }) => words)];
}

/** What is missing, in words. Nothing is changed. @throws {StoreError} as {@link ensureTables} */
export const missingTables = (options: Options, wanted: WantedTables): Promise<string[]> =>
  withClient(options, async (client) => {
    if (!(await hasKeyspace(client, wanted.keyspace))) return [`the keyspace ${wanted.keyspace}`];
    return (await stepsTo(client, wanted)).map(({ words }) => words);
  });

/** Whatever data center is theirs: a driver that looks for one and does not find it leaves its connection open. */
export const overAnyNode = ({ localDataCenter: _, ...options }: ClientOptions): ClientOptions => ({
  ...options,
  policies: { loadBalancing: new policies.loadBalancing.RoundRobinPolicy(), ...options.policies },
});

async function withClient<Result>(options: Options, work: (client: Client) => Promise<Result>): Promise<Result> {
  const client = new Client(overAnyNode(options()));
  try {
    return await work(client);
  } catch (error) {
    throw storeError(error);
  } finally {
    await client.shutdown();
  }
}

const hasKeyspace = async (client: Client, keyspace: string): Promise<boolean> =>
  (await rowsOf(client, 'SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?', [keyspace]))
    .length > 0;

/** What leads from what is there to what is wanted. */
async function stepsTo(client: Client, { keyspace, scripts }: WantedTables): Promise<Step[]> {
  const versionFault = await oldVersion(client);
  if (versionFault !== undefined) throw new StoreError('unsupported', versionFault);
  const found = await foundTables(client, keyspace);
  const wanted = scripts.flatMap((script) =>
    tablesIn(script).map((table, index) => ({ table, statement: statementsOf(script)[index] ?? '' })),
  );
  const compared = wanted.map(({ table, statement }) => {
    const there = found.get(table.name);
    if (there) return { table, ...differenceOf(table, there), statement: undefined };
    return { table, missing: [], faults: [], statement };
  });
  const faults = compared.flatMap((each) => each.faults);
  if (faults.length > 0) throw new StoreError('unsupported', faults.join('; '));
  return compared.flatMap(({ table: { name }, missing, statement }): Step[] =>
    statement !== undefined
      ? [{ statement: `${statement} WITH id = ${idOf(keyspace, name)}`, words: `the table ${name}` }]
      : missing.map((column) => ({
          statement: `ALTER TABLE ${name} ADD IF NOT EXISTS ${column.name} ${column.type}${column.kind === 'static' ? ' STATIC' : ''}`,
          words: `the column ${name}.${column.name}`,
        })),
  );
}

/** In words, if a server is of a version that the stores are not for. */
export async function oldVersion(client: Client): Promise<string | undefined> {
  const [local] = await rowsOf(client, 'SELECT release_version FROM system.local');
  const version = String(local?.release_version);
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const isOld = major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]);
  return isOld ? `the cluster is of version ${version}: ${OLDEST.join('.')} or newer is needed` : undefined;
}

/** The tables of a keyspace, by their names. */
export async function foundTables(client: Client, keyspace: string): Promise<Map<string, CassandraTable>> {
  const rows = await rowsOf(
    client,
    'SELECT table_name, column_name, kind, position, type FROM system_schema.columns WHERE keyspace_name = ?',
    [keyspace],
  );
  const names = new Set(rows.map(({ table_name }) => String(table_name)));
  const inOrder = rows.toSorted((one, other) => Number(one.position) - Number(other.position));
  const tables = [...names].map((name): [string, CassandraTable] => {
    const columns = inOrder
      .filter(({ table_name }) => table_name === name)
      .map((row) => ({ name: String(row.column_name), type: String(row.type), kind: row.kind as ColumnKind }));
    return [name, { name, columns }];
  });
  return new Map(tables);
}

/** Ids of tables are one for all keyspaces of a cluster. */
function idOf(keyspace: string, table: string): types.Uuid {
  const bytes = createHash('sha256').update(`${keyspace}.${table}`).digest().subarray(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80; // RFC 9562: version 8, of one's own making
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return new types.Uuid(bytes);
}

/** Rows of what every node knows by itself, such as the schema. */
export const rowsOf = async (client: Client, query: string, values: readonly unknown[] = []): Promise<types.Row[]> =>
  (await client.execute(query, [...values])).rows;
