import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import pg from 'pg';
import { afterAll } from 'vitest';
import type { Engine } from '../../functions/domain/ports.ts';
import { createEngine } from '../../functions/stores/oracle.ts';
import { encoded, rowsOf, whole } from '../../functions/stores/oracle-binds.ts';
import * as statements from '../../functions/stores/oracle-statements.ts';
import { storeError } from '../../functions/stores/postgresql-connection.ts';
import { createSqlEngine } from '../../functions/stores/sql.ts';
import type { Row, Run } from '../../functions/stores/sql-dialect.ts';
import { createVirtualClock } from '../conformance/index.ts';
import { conform } from './conform.ts';
import { countCalls } from './count-calls.ts';
import { callOf, procedureOf, tablesOf } from './oracle-plpgsql.ts';

// The conformance suite over the statements, the scripts and the binds of the Oracle store, run by PostgreSQL in PL/pgSQL
// (oracle-plpgsql.ts): what the blocks decide, sessions that really meet included. Nothing here runs on Oracle but two cases on
// servers that do not answer, which are the driver's.

const url = process.env.POSTGRESQL_URL;
if (url !== undefined) await decisionsOn(url);

/** Every text of the statements. */
function textsOf(from: object): string[] {
  return Object.values(from).flatMap((one) =>
    typeof one === 'string' ? [one] : typeof one === 'object' ? textsOf(one) : [],
  );
}

async function decisionsOn(serverUrl: string): Promise<void> {
  const clock = createVirtualClock(Date.now());
  const database = `oracle_${randomUUID().replaceAll('-', '')}`;
  const onDatabase = new URL(serverUrl);
  onDatabase.pathname = `/${database}`;
  const query = async <R extends pg.QueryResultRow>(connectionString: string, ...texts: string[]) => {
    const client = new pg.Client({ connectionString });
    await client.connect();
    let rows: R[] = [];
    try {
      for (const text of texts) ({ rows } = await client.query<R>(text));
    } finally {
      await client.end();
    }
    return rows;
  };
  await query(serverUrl, `CREATE DATABASE ${database}`);
  afterAll(async () => {
    await query(serverUrl, `DROP DATABASE ${database} WITH (FORCE)`);
  });
  for (const part of ['oauth-server', 'oauth-client']) {
    const script = await readFile(new URL(`../../sql/oracle/${part}.sql`, import.meta.url), 'utf8');
    await query(onDatabase.href, ...tablesOf(script));
  }
  const blocks = [...new Set(textsOf(statements))].filter((text) => /^\s*DECLARE/.test(text));
  const procedures = new Map(blocks.map((text, index) => [text, `block_${index}`]));
  await query(onDatabase.href, ...[...procedures].map(([text, name]) => procedureOf(name, text)));

  const open = async (): Promise<Engine> => {
    const pool = new pg.Pool({ connectionString: onDatabase.href, max: 8 });
    pool.on('error', () => {});
    const types = { getTypeParser: (oid: number) => (oid === 20 ? Number : pg.types.getTypeParser(oid, 'text')) };
    const run: Run = async (_name, text, given) => {
      const { text: call, names } = callOf(text, procedures.get(text));
      const values = names.map((name) => encoded(name, given));
      try {
        const { rows } = await pool.query<Row>({ text: call, values, types: types as never });
        if (!procedures.has(text)) return { rows: rows.map(whole), changed: rows.length };
        const { o_changed: changed, ...answer } = rows[0] ?? {};
        return { rows: rowsOf(answer), changed: Number(changed ?? 0) };
      } catch (cause) {
        throw storeError(cause);
      }
    };
    return createSqlEngine(statements, run, clock.nowMs, () => pool.end());
  };
  const dump = async () => {
    const tables = await query<{ name: string }>(
      onDatabase.href,
      `SELECT quote_ident(table_name) AS name FROM information_schema.tables WHERE table_schema = 'public'`,
    );
    const parts = tables.map(({ name }) =>
      query<{ row: string }>(onDatabase.href, `SELECT t::text AS row FROM ${name} t`),
    );
    return Buffer.from((await Promise.all(parts)).flatMap((rows) => rows.map(({ row }) => row)).join('\n'));
  };
  const cut = async () => {
    await query(
      onDatabase.href,
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
    );
  };
  const listener = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  afterAll(() => {
    listener.close();
  });
  const unreachable = (port: number) =>
    createEngine(
      {
        host: '127.0.0.1',
        port,
        database: 'oauth',
        user: 'app',
        password: 'app',
        tls: false,
        pool: { maxWaitMs: 300, maxActive: 64 },
      },
      clock.nowMs,
    );
  conform(
    'oracle, its statements on PostgreSQL',
    {
      open,
      dump,
      clock,
      roundTrips: countCalls(pg.Client.prototype, 'query'),
      capabilities: {
        concurrent: true,
        purges: ['codes', 'accessTokens', 'grants', 'revocations', 'artifacts', 'clientAccessTokens'],
        purgeBatch: 100,
        // A purge: one block for each of its tables; a revocation by selector: its mark, and a block for each thousand grants.
        roundTrips: { 'accessTokens.purgeExpired': 5, 'accessTokens.revokeBy': 2 },
      },
      outage: {
        cut,
        refused: () => unreachable(1),
        silent: () => unreachable((listener.address() as AddressInfo).port),
      },
    },
    {
      'the storage cannot be restarted from here': [
        'what was acknowledged is there after a restart: tokens, revocations, redemptions, the retired generation',
      ],
    },
  );
}
