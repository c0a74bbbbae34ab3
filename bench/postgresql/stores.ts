import pg from 'pg';
import type { Engine } from '../../functions/domain/ports.ts';
import { createEngine } from '../../functions/stores/postgresql.ts';
import { purgeBatch } from '../../functions/stores/postgresql-statements.ts';
import { type Contender, type Measured, measure } from '../measure.ts';
import { demand, operationsOf, over, walk } from '../operations.ts';
import { accessDigestOf, DAY, grantIdOf, NOW, randomValues, scattered } from '../records.ts';
import { query, type Tables } from './tables.ts';

// The stores beside their floors: the bare driver with one prepared statement, through a pool of the same size.

/** The bare driver: one prepared statement. */
function floorsOf(pool: pg.Pool, { grants }: Tables) {
  const one = (name: string, text: string, valuesOf: (numbers: number[]) => unknown[][]): Contender['prepare'] => {
    const next = walk();
    return (count) => over(valuesOf(next(count)), (values) => pool.query({ name, text, values }));
  };
  const keyOf = (n: number) => grantIdOf(scattered(n, grants), grants);
  const keys = (numbers: number[]) => numbers.map((n) => [keyOf(n)]);
  const rows = (numbers: number[]) => {
    const ids = randomValues(numbers.length, 12);
    const payloads = randomValues(numbers.length, 200);
    return numbers.map((_, i) => {
      const id = Buffer.from(ids[i] as Buffer);
      id.writeUInt32BE(NOW);
      return [id, ids[i], NOW, 'openid orders:read', payloads[i]];
    });
  };
  const children = (numbers: number[]) => {
    const random = randomValues(numbers.length, 32);
    return random.map((bytes) => [bytes.subarray(0, 16), NOW, NOW + 3600, bytes.subarray(16)]);
  };
  const join = <A>(left: A[][], right: A[][]) => left.map((values, i) => [...values, ...(right[i] ?? [])]);
  return {
    select: one('select', 'SELECT k, grant_id, n, scope, payload FROM bare WHERE k = $1', keys),
    update: one('update', 'UPDATE bare SET n = n + 1 WHERE k = $1', keys),
    insert: one(
      'insert',
      'INSERT INTO bare_indexed (k, grant_id, n, scope, payload) VALUES ($1, $2, $3, $4, $5)',
      rows,
    ),
    'select of two rows': one(
      'select2',
      `SELECT b.k, b.grant_id, b.n, b.scope, b.payload, c.digest, c.issued_at, c.n AS expires_at, c.attempt
        FROM bare_child c JOIN bare b ON b.k = c.k WHERE c.k = $1 AND c.digest = $2`,
      (numbers) => numbers.map((n) => [keyOf(n), accessDigestOf(scattered(n, grants))]),
    ),
    'update and insert': one(
      'update2',
      `WITH u AS (UPDATE bare SET n = n + 1, payload = $2 WHERE k = $1 RETURNING k, grant_id, n, scope),
        i AS (INSERT INTO bare_child (k, digest, issued_at, n, attempt) SELECT k, $3, $4, $5, $6 FROM u)
        SELECT k, grant_id, n, scope FROM u`,
      (numbers) => {
        const payloads = randomValues(numbers.length, 200).map((payload) => [payload]);
        return join(join<unknown>(keys(numbers), payloads), children(numbers));
      },
    ),
    'insert of two rows': one(
      'insert2',
      `WITH g AS (INSERT INTO bare_indexed (k, grant_id, n, scope, payload) VALUES ($1, $2, $3, $4, $5) RETURNING k)
        INSERT INTO bare_child (k, digest, issued_at, n, attempt) SELECT k, $6, $7, $8, $9 FROM g`,
      (numbers) => join<unknown>(rows(numbers), children(numbers)),
    ),
  };
}

/** Each call removes a batch: what has expired, and, beside it, as many rows of the floor's by their keys. */
function purges({ accessTokens }: Engine, pool: pg.Pool, { url }: Tables) {
  const expired = NOW - 2 * DAY; // nothing else has expired by then
  return {
    delete: async (count: number) => {
      const keys = randomValues(count * purgeBatch, 12);
      await query(url, 'INSERT INTO bare_child SELECT k, k, 0, 0, k FROM unnest($1::bytea[]) k', [keys]);
      const batches = Array.from({ length: count }, (_, i) => keys.slice(i * purgeBatch, (i + 1) * purgeBatch));
      return over(batches, async (batch) => {
        const text = 'DELETE FROM bare_child WHERE k = ANY ($1)';
        demand('delete', `${(await pool.query({ name: 'delete', text, values: [batch] })).rowCount}`, `${purgeBatch}`);
      });
    },
    purge: async (count: number) => {
      await query(
        url,
        `INSERT INTO access_token (grant_id, digest, issued_at, expires_at, attempt)
          SELECT k, k, 0, ${expired}, k FROM unnest($1::bytea[]) k`,
        [randomValues(count * purgeBatch, 12)],
      );
      return over(Array.from({ length: count }), async () => {
        const { removed } = await accessTokens.purgeExpired({ now: expired, limit: purgeBatch });
        demand('purge', `${removed.accessTokens}`, `${purgeBatch}`);
      });
    },
  };
}

export interface Sessions {
  readonly synchronousCommit: 'on' | 'off';
  readonly concurrency: number;
}

export interface StoreConditions extends Sessions {
  readonly rounds: number;
  /** Calls in a round. */
  readonly calls: number;
}

/** The server's processes that do the work of its clients. */
export async function backendsOf(url: string): Promise<number[]> {
  const text = `SELECT pid FROM pg_stat_activity WHERE backend_type IN ('client backend', 'walwriter') AND pid <> pg_backend_pid()`;
  return (await query<{ pid: number }>(url, text)).map(({ pid }) => pid);
}

/** The stores and the bare driver, through pools of the same size. */
export async function withStores<Result>(
  { url }: Tables,
  { synchronousCommit, concurrency }: Sessions,
  use: (engine: Engine, pool: pg.Pool) => Promise<Result>,
) {
  const connectionString = `${url}?options=${encodeURIComponent(`-c synchronous_commit=${synchronousCommit}`)}`;
  const pool = new pg.Pool({ connectionString, max: concurrency, idleTimeoutMillis: 0 });
  pool.on('error', () => {}); // the server may end before its last connection
  const engine = await createEngine(
    { connectionString, pool: { maxActive: concurrency, maxIdle: concurrency, idleEvictionMs: 0 } },
    Date.now,
  );
  try {
    return await use(engine, pool);
  } finally {
    await engine.close();
    await pool.end();
  }
}

const processesOf = (url: string) => async () => ({ server: await backendsOf(url), client: [process.pid] });

/** Every operation and every floor, in the same rounds. */
export function measureStores(tables: Tables, conditions: StoreConditions): Promise<Measured> {
  const { concurrency, rounds, calls } = conditions;
  return withStores(tables, conditions, (engine, pool) => {
    const contenders: Record<string, Contender> = {};
    for (const [name, prepare] of Object.entries({ ...floorsOf(pool, tables), ...operationsOf(engine, tables) })) {
      contenders[name] = { prepare, count: calls };
    }
    for (const [name, prepare] of Object.entries(purges(engine, pool, tables)))
      contenders[name] = { prepare, count: 8 };
    return measure(contenders, { concurrency, rounds, processes: processesOf(tables.url) });
  });
}

/** The same operations, and the bare SELECT, over few grants and over many. */
export function measureGrowth(few: Tables, many: Tables, conditions: StoreConditions): Promise<Measured> {
  const { concurrency, rounds, calls } = conditions;
  return withStores(few, conditions, (fewEngine, fewPool) =>
    withStores(many, conditions, (manyEngine, manyPool) => {
      const [ofFew, ofMany] = [operationsOf(fewEngine, few), operationsOf(manyEngine, many)];
      const contenders = {
        'select, few': { prepare: floorsOf(fewPool, few).select, count: calls },
        'select, many': { prepare: floorsOf(manyPool, many).select, count: calls },
        'lookup, few': { prepare: ofFew['lookup, hit'], count: calls },
        'lookup, many': { prepare: ofMany['lookup, hit'], count: calls },
        'rotate, few': { prepare: ofFew.rotate, count: calls },
        'rotate, many': { prepare: ofMany.rotate, count: calls },
      };
      return measure(contenders, { concurrency, rounds, processes: processesOf(many.url) });
    }),
  );
}
