import { Client, type ClientOptions, errors, types } from 'cassandra-driver';
import { type CassandraTable, differenceOf } from '../../config/cassandra-tables.ts';
import type { ReadConsistency, WriteConsistency } from '../../config/consistency.ts';
import { type CassandraSettings, clientOptions } from '../cassandra.ts';
import {
  type Diagnosis,
  inWords,
  loginFailed,
  nobodyAnswers,
  noTls,
  type Place,
  type Words,
} from '../sql-diagnosis.ts';
import { consistencyOf } from './cluster.ts';
import { foundTables, oldVersion, overAnyNode, rowsOf } from './tables.ts';

// Whether a cluster can be worked with, and if not, what is wrong, in words for whoever has to mend it.

/** What is asked of a keyspace. */
export interface Needs {
  readonly tables: readonly CassandraTable[];
  readonly stores: readonly {
    readonly name: string;
    readonly read: ReadConsistency;
    readonly write: WriteConsistency;
  }[];
}

/**
 * Connects once and looks whether everything is there that these stores need. Nothing is changed: the rows that are tried to
 * be deleted, if they are there, are not there.
 */
export function diagnose(settings: CassandraSettings, needs: Needs): Promise<Diagnosis> {
  const {
    hosts = ['localhost'],
    keyspace,
    user = '',
    requestTimeoutMs = 12_000,
    localDataCenter = 'datacenter1',
  } = settings;
  const place = { ...placeOf(hosts, keyspace, requestTimeoutMs), user };
  return connected(overAnyNode(clientOptions(settings)), place, async (client) => {
    const [about] = await rowsOf(client, 'SELECT release_version FROM system.local');
    const fault =
      (await oldVersion(client)) ??
      (await centerFault(client, place.server, localDataCenter)) ??
      (await schemaFault(client, keyspace, needs)) ??
      (await levelFault(client, keyspace, localDataCenter, needs)) ??
      (await accessFault(client, place, needs, 'QUORUM'));
    if (fault !== undefined) return { fault };
    const as = user === '' ? '' : `, user "${user}"`;
    return {
      found: `Cassandra ${about?.release_version} at ${place.server}, keyspace "${keyspace}"${as}: everything is there`,
    };
  });
}

/** Whether one may sign in to a keyspace and use its tables, of which others know that they are there. */
export function diagnoseAccess(options: ClientOptions, keyspace: string, needs: Needs): Promise<Diagnosis> {
  const place = placeOf(options.contactPoints ?? [], keyspace, options.socketOptions?.readTimeout ?? 0);
  return connected(options, place, async (client) => {
    const fault = await accessFault(client, place, needs, 'LOCAL_QUORUM');
    return fault === undefined ? { found: `${place.server}, keyspace "${keyspace}": everything is there` } : { fault };
  });
}

const placeOf = (hosts: readonly string[], database: string, waitMs: number): Place => ({
  server: hosts.join(', '),
  host: (hosts[0] ?? '').replace(/:\d+$/, ''),
  user: '',
  database,
  waitMs,
});

async function connected(
  options: ClientOptions,
  place: Place,
  examine: (client: Client) => Promise<Diagnosis>,
): Promise<Diagnosis> {
  const client = new Client(options);
  try {
    await client.connect();
    return await examine(client);
  } catch (error) {
    const { reason, server } = firstReason(error, place.server);
    return { fault: inWords(reason, { ...place, server }, BY_CODE, BY_MESSAGE) };
  } finally {
    await client.shutdown();
  }
}

async function centerFault(client: Client, server: string, localDataCenter: string): Promise<string | undefined> {
  const rows = ['local', 'peers'].map((table) => rowsOf(client, `SELECT data_center FROM system.${table}`));
  const centers = new Set((await Promise.all(rows)).flat().map(({ data_center }) => String(data_center)));
  return centers.has(localDataCenter)
    ? undefined
    : `there is no data center "${localDataCenter}" at ${server}: "localDataCenter" is ${[...centers].join(' or ')}`;
}

async function schemaFault(client: Client, keyspace: string, { tables }: Needs): Promise<string | undefined> {
  const found = await foundTables(client, keyspace);
  if (found.size === 0 && !(await replicationOf(client, keyspace))) {
    return `the keyspace "${keyspace}" is missing: apply the schema, which makes it too`;
  }
  const missing = tables.filter(({ name }) => !found.has(name)).map(({ name }) => name);
  if (missing.length > 0) {
    return `the schema is missing in the keyspace "${keyspace}": no table ${missing.join(', ')}; apply sql/cassandra/*.cql`;
  }
  const differences = tables.map((table) => differenceOf(table, found.get(table.name) ?? table));
  const [fault] = differences.flatMap(({ faults }) => faults);
  if (fault !== undefined) return fault;
  const columns = tables.flatMap(({ name }, index) =>
    (differences[index]?.missing ?? []).map((column) => `${name}.${column.name}`),
  );
  return columns.length > 0
    ? `the schema of the keyspace "${keyspace}" is of an older version, without ${columns.join(', ')}: apply it anew`
    : undefined;
}

async function replicationOf(client: Client, keyspace: string): Promise<Record<string, string> | undefined> {
  const query = 'SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = ?';
  const [row] = await rowsOf(client, query, [keyspace]);
  return row?.replication as Record<string, string> | undefined;
}

const REPLICAS: Partial<Record<WriteConsistency | ReadConsistency, number>> = { TWO: 2, THREE: 3 };

/** A level that the keyspace does not have the replicas for, however many nodes are up. */
async function levelFault(
  client: Client,
  keyspace: string,
  localDataCenter: string,
  { stores }: Needs,
): Promise<string | undefined> {
  const { class: strategy = '', ...factors } = (await replicationOf(client, keyspace)) ?? {};
  const total = Object.values(factors).reduce((sum, factor) => sum + Number.parseInt(factor, 10), 0);
  for (const { name, read, write } of stores) {
    for (const [level, does] of [
      [read, 'reads'],
      [write, 'writes'],
    ] as const) {
      const lead = `the store "${name}" ${does} at ${level}, which cannot be`;
      if ((REPLICAS[level] ?? 1) > total)
        return `${lead}: the keyspace "${keyspace}" has ${total === 1 ? 'one replica' : `${total} replicas`} of each row`;
      if (/^LOCAL_/.test(level) && /NetworkTopology/.test(strategy) && !(localDataCenter in factors)) {
        return `${lead}: the keyspace "${keyspace}" has no replica in the data center "${localDataCenter}"`;
      }
    }
  }
  return undefined;
}

/** A value of each type that keys have: nobody's. */
const NOBODY: Readonly<Record<string, string>> = { blob: '0x00', text: "'?'", bigint: '-1' };

async function accessFault(
  client: Client,
  { user, database }: Place,
  { tables, stores }: Needs,
  level: 'QUORUM' | 'LOCAL_QUORUM',
): Promise<string | undefined> {
  const lacking: string[] = [];
  for (const { name, columns } of tables) {
    const key = columns.filter(({ kind }) => kind === 'partition_key' || kind === 'clustering');
    const place = `"${database}".${name} WHERE ${key.map((column) => `${column.name} = ${NOBODY[column.type]}`).join(' AND ')}`;
    const tries = { SELECT: `SELECT * FROM ${place}`, MODIFY: `DELETE FROM ${place} IF EXISTS` };
    const refused: string[] = [];
    for (const [privilege, statement] of Object.entries(tries)) {
      try {
        await client.execute(statement, [], { consistency: consistencyOf(level) });
      } catch (error) {
        if (!isRefused(error)) throw error;
        refused.push(/no (\w+) permission/.exec(error.message)?.[1] ?? privilege);
      }
    }
    if (refused.length > 0) lacking.push(`${name} (${[...new Set(refused)].join(', ')})`);
  }
  if (lacking.length > 0) return `the user "${user}" lacks privileges on ${lacking.join(', ')}: grant them`;
  const [table] = tables;
  for (const { name, read } of table ? stores : []) {
    try {
      await client.execute(`SELECT * FROM "${database}".${table?.name} LIMIT 1`, [], {
        consistency: consistencyOf(read),
      });
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      return `the store "${name}" reads at ${read}, for which too few nodes are up: ${error.message}`;
    }
  }
  return undefined;
}

const codes = types.responseErrorCodes;
const isRefused = (error: unknown): error is errors.ResponseError =>
  error instanceof errors.ResponseError && error.code === codes.unauthorized;
const isUnavailable = (error: unknown): error is errors.ResponseError =>
  error instanceof errors.ResponseError && error.code === codes.unavailableException;

/** What the driver says of the first node that it tried. */
function firstReason(error: unknown, server: string): { reason: Error; server: string } {
  const [first] = error instanceof errors.NoHostAvailableError ? Object.entries(error.innerErrors ?? {}) : [];
  return first ? { reason: first[1] as Error, server: first[0] } : { reason: error as Error, server };
}

const BY_CODE: Readonly<Record<string, Words>> = { ERR_SSL_WRONG_VERSION_NUMBER: noTls };

const BY_MESSAGE: readonly (readonly [RegExp, Words])[] = [
  [/No host could be resolved/, ({ server }) => `none of the hosts is found: ${server}`],
  [/requires authentication/, (place) => loginFailed(place, 'user and password are asked for, and none are given')],
  [/[Aa]uthenticat|password|credentials|signature/, loginFailed],
  [/did not reply before timeout/, nobodyAnswers],
];
