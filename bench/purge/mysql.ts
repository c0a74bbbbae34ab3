import { setTimeout as sleep } from 'node:timers/promises';
import mysql2, { type Connection } from 'mysql2/promise';
import { applySchema as applyMariadb } from '../../functions/stores/mariadb-schema.ts';
import { applySchema as applyMysql } from '../../functions/stores/mysql-schema.ts';
import type { DatabaseSettings } from '../../functions/stores/sql-settings.ts';
import type { StartedServer } from '../../test/engines/engine.ts';
import { startMariadb } from '../../test/engines/mariadb.ts';
import { type ServerSettings, startMysql } from '../../test/engines/mysql.ts';
import { DATA, DAY, HOUR, NOW } from '../records.ts';
import type { Layout, Purged, PurgedEngine } from './engine.ts';

// Every commit is flushed, as it is deployed; while a table is being filled it is not.
const SETTINGS: ServerSettings = {
  'innodb-flush-log-at-trx-commit': '0',
  'innodb-flush-method': 'fsync',
  'innodb-doublewrite': 'ON',
  'innodb-buffer-pool-size': '5G',
  'innodb-io-capacity': '10000', // the default of MySQL 9; of MariaDB it is 200 pages a second, which is for a disk that turns
  'innodb-io-capacity-max': '20000',
};

/** Rows that one statement makes. */
const AT_ONCE = 100_000;
/** Sessions that fill a table at once. */
const SESSIONS = 2;
/** Pages that may wait to be written when a measurement begins. */
const FEW_PAGES = 500;

const hashed = (text: string, bytes: number) => `LEFT(UNHEX(SHA2(${text}, 256)), ${bytes})`;

/** When grant number `i` began, and its id. */
const beganOf = (i: string, grants: number) => `(${NOW - HOUR} + (${i}) * ${HOUR} DIV ${grants})`;
const idOf = (i: string, grants: number) =>
  `CONCAT(UNHEX(LPAD(HEX(${beganOf(i, grants)}), 8, '0')), ${hashed(`CONCAT('g', ${i})`, 8)})`;

const TOKEN_COLUMNS = 'grant_id, digest, issued_at, expires_at, attempt';
const GRANT_COLUMNS =
  'grant_id, client_id, subject, created_at, data, retain_until, refresh_expires_at, attempt, refresh_digest';

interface Product {
  readonly name: 'mysql' | 'mariadb';
  readonly title: string;
  /** The counter that tells how much the server has written to its log. */
  readonly logged: string;
  start(): Promise<StartedServer>;
  applySchema(settings: DatabaseSettings, options: { partitions: boolean }): Promise<string[]>;
}

async function counterOf(session: Connection, name: string): Promise<number> {
  const [rows] = await session.query(`SHOW GLOBAL STATUS LIKE '${name}'`);
  return Number((rows as { Value: string }[])[0]?.Value);
}

async function filled(product: Product, settings: DatabaseSettings, grants: number, layout: Layout): Promise<Purged> {
  const partitions = layout === 'partitioned';
  await product.applySchema(settings, { partitions });
  const { host = '', port = 0, user = '', database = '' } = settings;
  const sessions = await Promise.all(
    Array.from({ length: SESSIONS }, () => mysql2.createConnection({ host, port, user, database })),
  );
  const [admin] = sessions as [Connection];
  await admin.query('CREATE TABLE numbers (i BIGINT PRIMARY KEY)');
  await admin.query('INSERT INTO numbers VALUES (0)');
  for (let made = 1; made < AT_ONCE; made *= 2) {
    await admin.query(`INSERT INTO numbers SELECT i + ${made} FROM numbers WHERE i + ${made} < ${AT_ONCE}`);
  }
  /** Inserts so many rows, `i` their numbers; and waits until what was changed is written. */
  const make = async (table: string, columns: string, values: string, count: number) => {
    await admin.query('SET GLOBAL innodb_flush_log_at_trx_commit = 0, GLOBAL innodb_max_dirty_pages_pct = 90');
    let from = 0;
    const session = async (one: Connection) => {
      while (from < count) {
        const numbers = `(SELECT i + ${from} AS i FROM numbers WHERE i < ${count - from}) AS numbered`;
        from += AT_ONCE;
        await one.query(`INSERT INTO ${table} (${columns}) SELECT ${values} FROM ${numbers}`);
      }
    };
    await Promise.all(sessions.map(session));
    await admin.query('SET GLOBAL innodb_flush_log_at_trx_commit = 1, GLOBAL innodb_max_dirty_pages_pct = 0');
    while ((await counterOf(admin, 'Innodb_buffer_pool_pages_dirty')) > FEW_PAGES) await sleep(100);
    await admin.query('SET GLOBAL innodb_max_dirty_pages_pct = 90');
  };
  const [began, id, attempt] = [beganOf('i', grants), idOf('i', grants), hashed(`CONCAT('t', i)`, 16)];
  await make(
    'oauth_grant',
    GRANT_COLUMNS,
    `${id}, CONCAT('client-', LPAD(i % 50, 17, '0')), CONCAT('subject-', LPAD(i DIV 3, 28, '0')), ${began}, '${DATA}',
      ${NOW + 2 * DAY}, ${began} + ${DAY}, ${attempt}, ${hashed(`CONCAT('r', i)`, 32)}`,
    grants,
  );
  const makeTokens = (count: number, grantId: string, digest: string, expiresAt: string) => {
    const values = `${grantId}, ${hashed(digest, 16)}, ${expiresAt} - ${HOUR}, ${expiresAt}, ${attempt}`;
    return make('access_token', TOKEN_COLUMNS, values, count);
  };
  await makeTokens(grants, id, `CONCAT('a', i)`, `(${began} + 1 + ${HOUR})`);
  await admin.query('ANALYZE TABLE oauth_grant, access_token');
  let times = 0;
  return {
    place: { engine: product.name, settings: { ...settings, ...(partitions && { expiryPartitions: true }) } },
    async expire(count) {
      times += 1;
      const endOfHour = NOW - (NOW % HOUR);
      const expiresAt = `(${endOfHour - HOUR} + i * ${HOUR} DIV ${count})`;
      await makeTokens(count, idOf(`i * 7919 % ${grants}`, grants), `CONCAT('e${times}.', i)`, expiresAt);
    },
    async countExpired() {
      const [rows] = await admin.query(`SELECT count(*) AS count FROM access_token WHERE expires_at <= ${NOW}`);
      return Number((rows as { count: number }[])[0]?.count);
    },
    logged: () => counterOf(admin, product.logged),
    async close() {
      await Promise.all(sessions.map((session) => session.end()));
    },
  };
}

const purged = (product: Product): PurgedEngine => ({
  ...{ name: product.name, title: product.title, log: 'redo log' },
  async start() {
    const server = await product.start();
    const at = { host: '127.0.0.1', port: server.port, user: 'root' };
    return {
      description: `${product.title} ${server.version}`,
      stop: server.stop,
      async create(name, grants, layout) {
        const admin = await mysql2.createConnection(at);
        await admin.query(`CREATE DATABASE ${name}`);
        await admin.end();
        return filled(product, { ...at, database: name, tls: false }, grants, layout);
      },
    };
  },
});

export const mysql: PurgedEngine = purged({
  name: 'mysql',
  title: 'MySQL',
  logged: 'Innodb_redo_log_current_lsn',
  start: () => startMysql({ ...SETTINGS, 'innodb-redo-log-capacity': '2G' }),
  applySchema: applyMysql,
});

export const mariadb: PurgedEngine = purged({
  name: 'mariadb',
  title: 'MariaDB',
  logged: 'Innodb_lsn_current',
  start: () => startMariadb('11.8', { ...SETTINGS, 'innodb-log-file-size': '2G' }),
  applySchema: applyMariadb,
});
