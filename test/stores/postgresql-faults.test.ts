import pg from 'pg';
import { createEngine } from '../../functions/stores/postgresql.ts';
import { applySchema } from '../../functions/stores/postgresql-schema.ts';
import type { DatabaseSettings } from '../../functions/stores/sql-settings.ts';
import { startPostgresql } from '../engines/postgresql.ts';
import { describeCuts } from './sql-cuts.ts';
import { describeFaults } from './sql-faults.ts';
import type { Session, Tested } from './tested-database.ts';

const version = String(process.env.POSTGRESQL_FETCHED).split('.')[0] ?? '';

async function connect({ host, port, user, database }: DatabaseSettings): Promise<Session> {
  const client = new pg.Client({ host, port, user, database });
  await client.connect();
  return { query: async (text) => (await client.query(text)).rows, end: () => client.end() };
}

const tested: Tested = {
  ...{ name: 'postgresql', createEngine, applySchema, connect },
  async start() {
    const server = await startPostgresql(version, { synchronous_commit: 'on' });
    const settings = {
      host: '127.0.0.1',
      port: server.port,
      user: 'postgres',
      database: 'postgres',
      tls: false,
    } as const;
    return { server, settings };
  },
  async cut(settings) {
    const session = await connect(settings);
    await session.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND pid <> pg_backend_pid()`);
    await session.end();
  },
  literal: (bytes) => `'\\x${Buffer.from(bytes).toString('hex')}'`,
  openWrites: 'SELECT pid FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()',
  waiting: `SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'`,
  toldOfDeadlock: ['throttled'],
};
describeFaults(tested);
describeCuts(tested);
