import { setTimeout as pause } from 'node:timers/promises';
import { type callAws, isRefusal } from './aws.ts';
import { type CassandraTable, columnsOf, differenceOf } from './config/cassandra-tables.ts';
import type { Clock } from './domain/clock.ts';
import { StoreError } from './domain/errors.ts';

// The tables of Amazon Keyspaces by its own interface, which makes and changes them in the background
// (https://docs.aws.amazon.com/keyspaces/latest/APIReference/Welcome.html).

export interface KeyspaceTables {
  readonly keyspace: string;
  /** Default: that of the environment. */
  readonly region?: string;
  readonly tables: readonly CassandraTable[];
}

export interface TablePatience {
  readonly clock: Clock;
  /** When to give up waiting for what the service does in the background. */
  readonly untilMs: number;
  readonly pauseMs?: number;
}

const PAUSE_MS = 2000;
/** What a table is while the service works on it. */
const PASSING = ['CREATING', 'UPDATING', 'RESTORING'];

type Ask = (action: string, body?: object) => Promise<Record<string, unknown>>;

const askOf =
  (call: typeof callAws, { keyspace, region }: KeyspaceTables): Ask =>
  (action, body = {}) =>
    call('cassandra', `KeyspacesService.${action}`, { keyspaceName: keyspace, ...body }, region);

/** Makes the keyspace, in its one Region, if it is not there. */
export async function ensureKeyspace(
  call: typeof callAws,
  wanted: KeyspaceTables,
  patience: TablePatience,
): Promise<void> {
  const ask = askOf(call, wanted);
  while ((await ifThere(ask('GetKeyspace'))) === undefined) {
    const replicationSpecification = { replicationStrategy: 'SINGLE_REGION' };
    await unlessBusy(ask('CreateKeyspace', { replicationSpecification }));
    await wait(patience, `the keyspace "${wanted.keyspace}" is still being made`);
  }
}

/**
 * Makes what is missing (tables, regular columns, the TTL of rows), waits until every table can be used, and says what it
 * was. It may be called again at any time, and by several at once.
 *
 * @throws {StoreError} `unsupported`: what it cannot mend, all of it, in words; or it is not permitted. `timeout`
 */
export async function ensureTables(
  call: typeof callAws,
  wanted: KeyspaceTables,
  patience: TablePatience,
): Promise<string[]> {
  const ask = askOf(call, wanted);
  await stepsTo(ask, wanted, patience);
  const bring = async (table: CassandraTable): Promise<string[]> => {
    const made = new Set<string>();
    for (;;) {
      // One step at a time: a table that is being changed takes no other change.
      const [step] = stepsOf(table, await settled(ask, table, patience));
      if (!step) return [...made];
      // A step that is refused as one too many is somebody else's at this moment.
      if (await unlessBusy(ask(step.action, { tableName: table.name, ...step.body }))) made.add(step.words);
      await wait(patience, `the service is not done with ${step.words}`);
    }
  };
  return (await Promise.all(wanted.tables.map(bring))).flat();
}

/** What is missing, in words. Nothing is changed. @throws {StoreError} as {@link ensureTables} */
export async function missingTables(
  call: typeof callAws,
  wanted: KeyspaceTables,
  patience: TablePatience,
): Promise<string[]> {
  return (await stepsTo(askOf(call, wanted), wanted, patience)).map(({ words }) => words);
}

interface Step {
  readonly action: 'CreateTable' | 'UpdateTable';
  readonly body: object;
  /** What is missing. */
  readonly words: string;
}

/** What leads from what is there to what is wanted. */
async function stepsTo(ask: Ask, { keyspace, region, tables }: KeyspaceTables, patience: TablePatience) {
  if ((await ifThere(ask('GetKeyspace'))) === undefined) {
    throw new StoreError('unsupported', `the keyspace "${keyspace}" is missing in ${region ?? 'this Region'}`);
  }
  const found = await Promise.all(tables.map(async (table) => ({ table, found: await settled(ask, table, patience) })));
  const faults = found.flatMap((each) => (each.found ? faultsOf(each.table, each.found) : []));
  if (faults.length > 0) throw new StoreError('unsupported', faults.join('; '));
  return found.flatMap((each) => stepsOf(each.table, each.found));
}

interface FoundTable {
  readonly status: string;
  readonly table: CassandraTable;
  readonly expires: boolean;
}

function faultsOf(wanted: CassandraTable, { status, table }: FoundTable): string[] {
  if (status !== 'ACTIVE') return [`the table "${wanted.name}" cannot be used: its status is ${status}`];
  const { missing, faults } = differenceOf(wanted, table);
  const statics = missing.filter(({ kind }) => kind === 'static');
  return [
    ...faults,
    ...statics.map(
      ({ name, type }) =>
        `the column "${name}" of the table "${wanted.name}" is missing, which CQL alone can add: ALTER TABLE ${wanted.name} ADD ${name} ${type} STATIC`,
    ),
  ];
}

function stepsOf(wanted: CassandraTable, found: FoundTable | undefined): Step[] {
  const { name } = wanted;
  if (!found) return [{ action: 'CreateTable', body: definitionOf(wanted), words: `the table ${name}` }];
  const columns = differenceOf(wanted, found.table).missing;
  const addColumns = columns.map((column) => ({ name: column.name, type: column.type }));
  const step = (body: object, words: string): Step => ({ action: 'UpdateTable', body, words });
  return [
    ...(columns.length > 0
      ? [step({ addColumns }, columns.map((column) => `the column ${name}.${column.name}`).join(', '))]
      : []),
    ...(found.expires ? [] : [step({ ttl: ENABLED }, `the TTL of rows of ${name}`)]),
  ];
}

const ENABLED = { status: 'ENABLED' };

const definitionOf = (table: CassandraTable) => {
  const named = (kind: 'partition_key' | 'static') => columnsOf(table, kind).map(({ name }) => ({ name }));
  return {
    schemaDefinition: {
      allColumns: table.columns.map(({ name, type }) => ({ name, type })),
      partitionKeys: named('partition_key'),
      clusteringKeys: columnsOf(table, 'clustering').map(({ name }) => ({ name, orderBy: 'ASC' })),
      staticColumns: named('static'),
    },
    ttl: ENABLED,
    pointInTimeRecovery: ENABLED,
  };
};

/** A table once the service does not work on it any more; absent: there is none. */
async function settled(ask: Ask, { name }: CassandraTable, patience: TablePatience): Promise<FoundTable | undefined> {
  for (;;) {
    const answer = await ifThere(ask('GetTable', { tableName: name }));
    if (answer === undefined) return undefined;
    const status = String(answer.status);
    if (!PASSING.includes(status)) return { status, table: tableIn(name, answer), expires: isEnabled(answer.ttl) };
    await wait(patience, `the table "${name}" is still ${status}`);
  }
}

const isEnabled = (setting: unknown) =>
  String((setting as { status?: unknown } | undefined)?.status).toUpperCase() === 'ENABLED';

interface Named {
  readonly name: string;
}

function tableIn(name: string, answer: Record<string, unknown>): CassandraTable {
  const schema = answer.schemaDefinition as {
    allColumns: (Named & { type: string })[];
    partitionKeys: Named[];
    clusteringKeys?: Named[];
    staticColumns?: Named[];
  };
  const kinds = [
    ...schema.partitionKeys.map((column) => [column.name, 'partition_key'] as const),
    ...(schema.clusteringKeys ?? []).map((column) => [column.name, 'clustering'] as const),
    ...(schema.staticColumns ?? []).map((column) => [column.name, 'static'] as const),
  ];
  const typeOf = (column: string) => schema.allColumns.find((each) => each.name === column)?.type ?? '';
  const special = kinds.map(([column, kind]) => ({ name: column, type: typeOf(column), kind }));
  const regular = schema.allColumns
    .filter((column) => !special.some((each) => each.name === column.name))
    .map((column) => ({ ...column, kind: 'regular' as const }));
  return { name, columns: [...special, ...regular] };
}

async function ifThere<Answer>(request: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await request;
  } catch (error) {
    if (isRefusal(error, 'ResourceNotFoundException')) return undefined;
    throw error;
  }
}

/** Whether it was taken; not, where the same is being done already. */
async function unlessBusy(request: Promise<unknown>): Promise<boolean> {
  try {
    await request;
    return true;
  } catch (error) {
    if (isRefusal(error, 'ConflictException')) return false;
    throw error;
  }
}

async function wait({ clock, untilMs, pauseMs = PAUSE_MS }: TablePatience, still: string): Promise<void> {
  if (clock() + pauseMs >= untilMs) throw new StoreError('timeout', still);
  await pause(pauseMs);
}
