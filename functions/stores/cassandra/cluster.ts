import { setTimeout as pause } from 'node:timers/promises';
import { Client, type ClientOptions, policies, type QueryOptions, types } from 'cassandra-driver';
import type { ReadConsistency, WriteConsistency } from '../../config/consistency.ts';
import type { Clock } from '../../domain/clock.ts';
import { isAmbiguous, remedyFor, storeError } from './errors.ts';
import { createStatements, type Decision, type Dialect, type Statement, type Statements } from './statements.ts';
import type { Row } from './values.ts';

/** The names of bound values that are 32-bit integers; every other whole number is a bigint. */
const INTEGERS: ReadonlySet<string> = new Set(['ttl', 'row_ttl', 'limit']);
/** How often a lightweight transaction whose outcome is not known is sent at most. */
const TRIES = 6;
/** After so long without an answer connections are suspected: a frozen function does not notice that they were cut. */
const IDLE_MS = 30_000;

type Level = ReadConsistency | WriteConsistency;
type Values = Readonly<Record<string, unknown>>;

/** What decisions take place at, whatever a store is set to. */
export interface Decisiveness {
  /** Of the rounds of a lightweight transaction; where nothing is said of it, the service has one for all. */
  readonly serial?: 'SERIAL';
  /** Of what a decision writes, and of what it rests on. */
  readonly quorum: 'QUORUM' | 'LOCAL_QUORUM';
  /** Of a read that sees every decision, even one whose writer was not answered. */
  readonly settled: 'SERIAL' | 'LOCAL_QUORUM';
  /** Of a read of what never changes, which is repeated at `settled` where it finds nothing. */
  readonly nearest: 'ONE' | 'LOCAL_ONE';
}

export interface Decided {
  readonly applied: boolean;
  /** Whether it was sent more than once: then an earlier sending may have been applied. */
  readonly repeated: boolean;
  /** Of what stood in the way. */
  readonly seen: Row;
}

export interface ClusterSettings {
  /** Made anew for every client: policies know the client that they serve. */
  readonly options: () => ClientOptions;
  readonly dialect: Dialect;
  readonly decisiveness: Decisiveness;
}

/** The number that the protocol has for a level. */
export const consistencyOf = (level: Level): number => {
  const name = level.toLowerCase().replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
  return types.consistencies[name as keyof typeof types.consistencies];
};

function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof types.Tuple) return value.values().map(plain);
  return value;
}

const rowOf = (row: Readonly<Record<string, unknown>>): Row => {
  const plainRow: Record<string, unknown> = {};
  for (const name of Object.keys(row)) {
    if (row[name] !== null && row[name] !== undefined) plainRow[name] = plain(row[name]);
  }
  return plainRow;
};

export type Cluster = ReturnType<typeof createCluster>;

/** Single statements on a keyspace, each retried or not as its effect allows; failures are StoreErrors. */
export function createCluster({ options, dialect, decisiveness }: ClusterSettings, clock: Clock) {
  const statements: Statements = createStatements(dialect);
  /** What takes the place of a value that is absent: on Cassandra a null would be kept as a tombstone. */
  const absent = dialect.refusalShows ? types.unset : null;
  const { quorum } = decisiveness;
  const newClient = () => {
    const given = options();
    return new Client({
      ...given,
      encoding: { useBigIntAsLong: true },
      policies: {
        // The driver does not know which statements may be repeated. The server's clock orders plain writes, not the caller's.
        retry: new policies.retry.FallthroughRetryPolicy(),
        timestampGeneration: null,
        ...given.policies,
      } as NonNullable<ClientOptions['policies']>,
    });
  };
  const connect = () => ({ client: newClient(), answeredMs: undefined as number | undefined });
  let connection = connect();

  const bound = (name: string, value: unknown): unknown => {
    if (value === undefined) return absent;
    if (typeof value === 'number') return INTEGERS.has(name) ? value : BigInt(value);
    if (Array.isArray(value)) return value.map((each) => bound('', each));
    if (value instanceof Uint8Array && !Buffer.isBuffer(value)) return Buffer.from(value);
    return value;
  };
  const queryOf = ({ text, names }: Statement, values: Values) => ({
    query: text,
    params: names.map((name) => bound(name, values[name])),
  });

  const optionsAt = new Map<Level, QueryOptions>();
  const optionsOf = (level: Level): QueryOptions => {
    const { serial } = decisiveness;
    const made = optionsAt.get(level) ?? {
      prepare: true,
      logged: false,
      consistency: consistencyOf(level),
      ...(serial && { serialConsistency: consistencyOf(serial) }),
    };
    optionsAt.set(level, made);
    return made;
  };

  const send = async (to: typeof connection, all: readonly Statement[], values: Values, level: Level) => {
    const queries = all.map((statement) => queryOf(statement, values));
    const [{ query, params }] = queries as [(typeof queries)[0]];
    // `execute` takes ANY, which is 0, for nothing said, and sends ONE; `batch` does not.
    const result =
      queries.length > 1 || level === 'ANY'
        ? await to.client.batch(queries, optionsOf(level))
        : await to.client.execute(query, params, optionsOf(level));
    to.answeredMs = clock();
    const rows = (result.rows ?? []).map(rowOf);
    if (result.pageState) for await (const row of result) rows.push(rowOf(row));
    return rows;
  };

  /**
   * Sends something that may be repeated. Where a connection is lost, another one may be there; where none is left although
   * there were some, or where none answers after a rest, all are made anew. Each is tried once.
   */
  const request = async (all: readonly Statement[], values: Values, level: Level): Promise<Row[]> => {
    for (const tried: string[] = []; ; ) {
      const used = connection;
      const { answeredMs = Number.POSITIVE_INFINITY } = used;
      const isRested = clock() - answeredMs > IDLE_MS;
      try {
        return await send(used, all, values, level);
      } catch (error) {
        const remedy = remedyFor(error, isRested);
        if (remedy === undefined || used.answeredMs === undefined || tried.includes(remedy)) throw error;
        tried.push(remedy);
        if (remedy === 'repeat' || connection !== used) continue;
        connection = connect();
        used.client.shutdown().catch(() => {});
      }
    }
  };
  const fail = (error: unknown): never => {
    throw storeError(error);
  };

  const read = (statement: Statement, values: Values, level: ReadConsistency = quorum): Promise<Row[]> =>
    request([statement], values, level).catch(fail);

  const write = async (statement: Statement, values: Values, level: WriteConsistency = quorum): Promise<void> => {
    await request([statement], values, level).catch(fail);
  };

  /**
   * Applies a decision if its conditions hold, else gives what stands in the way. One whose outcome is not known is sent
   * again: it reads serially what has become of it, in the same step in which it would be applied if it has not been, and
   * carries what its first sending carried, an attempt, by which its own trace is recognised.
   *
   * `level`: how many replicas must have the result before this returns; what was decided stands without them.
   */
  const decide = async (decision: Decision, values: Values, level: WriteConsistency = quorum): Promise<Decided> => {
    for (let tries = 1; ; tries += 1) {
      const repeated = tries > 1;
      try {
        const rows = await request(decision.statements, values, level);
        const seen: Row = Object.assign({}, ...rows);
        if (seen['[applied]'] === true) return { applied: true, repeated, seen };
        if (decision.shows.length === 0) return { applied: false, repeated, seen };
        const shown = await Promise.all(decision.shows.map((show) => request([show], values, decisiveness.settled)));
        return { applied: false, repeated, seen: Object.assign({}, ...shown.flat()) };
      } catch (error) {
        if (!isAmbiguous(error) || tries >= TRIES) throw storeError(error);
        await pause(5 * 2 ** tries);
      }
    }
  };

  return {
    statements,
    decisiveness,
    read,
    write,
    decide,
    /** The one row that a read gives at most. */
    readOne: async (statement: Statement, values: Values, level?: ReadConsistency): Promise<Row | undefined> =>
      (await read(statement, values, level))[0],
    close: async (): Promise<void> => {
      await connection.client.shutdown();
    },
  };
}
