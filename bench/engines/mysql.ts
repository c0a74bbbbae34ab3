import { randomBytes } from 'node:crypto';
import mysql2 from 'mysql2';
import mysqlPromise from 'mysql2/promise';
import type { Clock } from '../../functions/domain/clock.ts';
import type { Engine } from '../../functions/domain/ports.ts';
import { createEngine as createMariadb } from '../../functions/stores/mariadb.ts';
import { applySchema as applyMariadb } from '../../functions/stores/mariadb-schema.ts';
import { createEngine as createMysql } from '../../functions/stores/mysql.ts';
import { applySchema as applyMysql } from '../../functions/stores/mysql-schema.ts';
import type { DatabaseSettings } from '../../functions/stores/sql-settings.ts';
import type { StartedServer } from '../../test/engines/engine.ts';
import { startMariadb } from '../../test/engines/mariadb.ts';
import { type ServerSettings, startMysql } from '../../test/engines/mysql.ts';
import type { BenchedEngine, Beside } from '../engine.ts';
import type { Contender } from '../measure.ts';
import { over, walk } from '../operations.ts';
import { NOW, randomValues, scattered } from '../records.ts';
import { bytes } from '../report.ts';

// MySQL and MariaDB, as they are deployed: every commit is flushed. The buffer pool holds all of it.
const SETTINGS: ServerSettings = {
  'innodb-flush-log-at-trx-commit': '1',
  'innodb-flush-method': 'fsync',
  'innodb-doublewrite': 'ON',
  'innodb-buffer-pool-size': '1G',
};

/** As long as the row of a grant that has been refreshed once. */
const PAYLOAD = 180;

const keyOf = (n: number) => {
  const key = Buffer.alloc(12);
  key.writeUInt32BE(n);
  return key;
};

const FLOOR_TABLES = [
  'CREATE TABLE bare (k BINARY(12) PRIMARY KEY, n BIGINT NOT NULL, payload VARBINARY(200) NOT NULL)',
  'CREATE TABLE second (k BINARY(12) PRIMARY KEY, n BIGINT NOT NULL, payload VARBINARY(200), KEY second_n (n))',
  `CREATE PROCEDURE update_and_insert(p_k BINARY(12), p_payload VARBINARY(200), p_new BINARY(12))
    BEGIN
      START TRANSACTION;
      UPDATE bare SET payload = p_payload WHERE k = p_k;
      INSERT INTO second VALUES (p_new, 1, NULL);
      COMMIT;
    END`,
];

type Send = (text: string, values: readonly unknown[]) => Promise<unknown>;

/** The bare driver on as many connections as there are calls in flight, each used by one call at a time. */
function bareDriver(port: number, concurrency: number) {
  const idle = Array.from({ length: concurrency }, () =>
    mysql2.createConnection({ host: '127.0.0.1', port, user: 'root', database: 'bench' }),
  );
  const all = [...idle];
  const send: Send = (text, values) => {
    const connection = idle.pop();
    if (!connection) throw new Error('more calls in flight than connections');
    return new Promise((resolve, reject) => {
      connection.execute(text, values as string[], (error, result) => {
        idle.push(connection);
        if (error) reject(error);
        else resolve(result);
      });
    });
  };
  const close = () => {
    for (const connection of all) connection.destroy();
  };
  return { send, close };
}

function floorsOf(send: Send, rows: number): Record<string, Contender['prepare']> {
  const next = walk();
  const keys = (count: number) => next(count).map((n) => keyOf(scattered(n, rows)));
  const written = (count: number) => {
    const [payloads, fresh] = [randomValues(count, PAYLOAD), randomValues(count, 12)];
    return keys(count).map((key, i) => ({ key, payload: payloads[i] as Buffer, fresh: fresh[i] as Buffer }));
  };
  return {
    select: (count) => over(keys(count), (key) => send('SELECT k, n, payload FROM bare WHERE k = ?', [key])),
    'select of two rows': (count) =>
      over(keys(count), (key) =>
        send('SELECT b.k, b.n, b.payload, s.n AS m FROM bare b JOIN second s ON s.k = b.k WHERE b.k = ?', [key]),
      ),
    update: (count) =>
      over(written(count), ({ key, payload }) => send('UPDATE bare SET payload = ? WHERE k = ?', [payload, key])),
    insert: (count) =>
      over(written(count), ({ fresh, payload }) => send('INSERT INTO second VALUES (?, 1, ?)', [fresh, payload])),
    'update and insert, in a call': (count) =>
      over(written(count), ({ key, payload, fresh }) => send('CALL update_and_insert(?, ?, ?)', [key, payload, fresh])),
  };
}

interface Product {
  readonly name: 'mysql' | 'mariadb';
  readonly title: string;
  readonly targets: { readonly lookup: number; readonly write: number };
  start(): Promise<StartedServer>;
  applySchema(settings: DatabaseSettings): Promise<string[]>;
  createEngine(settings: DatabaseSettings, clock: Clock): Engine;
}

function benched({ name, title, targets, start, applySchema, createEngine }: Product): BenchedEngine {
  const beside: Beside[] = [
    { operation: 'lookup, hit', floor: 'select', target: { least: targets.lookup } },
    { operation: 'lookup, hit', floor: 'select of two rows' },
    { operation: 'lookup, miss', floor: 'select' },
    { operation: 'issue', floor: 'insert' },
    { operation: 'redeem', floor: 'update', target: { least: targets.write } },
    { operation: 'rotate', floor: 'update', target: { least: targets.write } },
    { operation: 'rotate', floor: 'update and insert, in a call' },
  ];
  return {
    ...{ name, title, beside },
    calls: 1000,
    async start(rows) {
      const server = await start();
      const at = { host: '127.0.0.1', port: server.port, user: 'root' };
      const admin = await mysqlPromise.createConnection(at);
      await admin.query('CREATE DATABASE bench');
      await admin.changeUser({ database: 'bench' });
      const settings = { ...at, database: 'bench', tls: false as const };
      await applySchema(settings);
      for (const text of FLOOR_TABLES) await admin.query(text);
      const payload = randomBytes(PAYLOAD);
      for (let row = 0; row < rows; row += 1000) {
        const batch = Array.from({ length: Math.min(1000, rows - row) }, (_, i) => [keyOf(row + i), 0, payload]);
        await admin.query('INSERT INTO bare VALUES ?', [batch]);
        await admin.query('INSERT INTO second VALUES ?', [batch]);
      }
      return {
        description: `${title} ${server.version}, innodb_flush_log_at_trx_commit ${SETTINGS['innodb-flush-log-at-trx-commit']}, READ COMMITTED`,
        processes: async () => [server.pid()],
        connect: async (concurrency) => {
          const engine = createEngine(
            { ...settings, pool: { maxActive: concurrency, maxIdle: concurrency } },
            () => NOW * 1000,
          );
          const bare = bareDriver(server.port, concurrency);
          return {
            engine,
            floors: floorsOf(bare.send, rows),
            close: async () => {
              bare.close();
              await engine.close();
            },
          };
        },
        measureStorage: async (grants) => {
          await admin.query('ANALYZE TABLE oauth_grant, access_token');
          const [found] = await admin.query(
            `SELECT CAST(SUM(data_length + index_length) AS DOUBLE) AS total FROM information_schema.tables
              WHERE table_schema = 'bench' AND table_name IN ('oauth_grant', 'access_token')`,
          );
          const [{ total } = { total: 0 }] = found as { total: number }[];
          return [bytes('a grant with an access token, indexes included', total / grants)];
        },
        stop: async () => {
          await admin.end();
          await server.stop();
        },
      };
    },
  };
}

export const mysql: BenchedEngine = benched({
  name: 'mysql',
  title: 'MySQL',
  targets: { lookup: 0.8, write: 0.6 },
  start: () => startMysql(SETTINGS),
  applySchema: applyMysql,
  createEngine: createMysql,
});

export const mariadb: BenchedEngine = benched({
  name: 'mariadb',
  title: 'MariaDB',
  targets: { lookup: 0.85, write: 0.5 },
  start: () => startMariadb('11.8', SETTINGS),
  applySchema: applyMariadb,
  createEngine: createMariadb,
});
