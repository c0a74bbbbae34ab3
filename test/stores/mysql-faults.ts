import mysql from 'mysql2/promise';
import { describe, expect, it } from 'vitest';
import { issue, newAttempt, newGrant } from '../conformance/records.ts';
import type { StartedServer } from '../engines/engine.ts';
import type { ServerSettings } from '../engines/mysql.ts';
import { cut, query, settingsOf, type Tested } from './mysql-server.ts';
import { describeCuts } from './sql-cuts.ts';
import { describeFaults as describeSqlFaults } from './sql-faults.ts';
import { onServer, onStage, type Session } from './tested-database.ts';

// What goes wrong between a store and MySQL or MariaDB.

/** Starts a server of its own. */
export type Start = (settings?: ServerSettings) => Promise<StartedServer>;

export function describeFaults({ name, createEngine, applySchema }: Tested, start: Start): void {
  const tested = {
    ...{ name, createEngine, applySchema, cut },
    async start() {
      const server = await start();
      await query(settingsOf(server.url), 'CREATE DATABASE oauth');
      return { server, settings: settingsOf(server.url, 'oauth') };
    },
    async connect({ host = '', port = 0, user = '', database = '' }): Promise<Session> {
      const connection = await mysql.createConnection({ host, port, user, database });
      return {
        query: async (text) => {
          const [rows] = await connection.query(text);
          return Array.isArray(rows) ? (rows as Awaited<ReturnType<Session['query']>>) : [];
        },
        end: () => connection.end(),
      };
    },
    literal: (bytes: Uint8Array) => `x'${Buffer.from(bytes).toString('hex')}'`,
    openWrites: 'SELECT trx_id FROM information_schema.innodb_trx WHERE trx_rows_modified > 0',
    waiting: `SELECT trx_id FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'`,
    toldOfDeadlock: [],
  };

  describe(`${name}: a failover`, () => {
    it('a server that takes no writes any more is left, and its name asked for again', () =>
      onServer(tested, async ({ settings }) => {
        const password = 'Mellon-2026';
        await query(
          settings,
          `CREATE USER app@'%' IDENTIFIED BY '${password}'`, // root may write all the same
          "GRANT ALL ON oauth.* TO app@'%'",
        );
        const opened = createEngine({ ...settings, user: 'app', password, pool: { maxActive: 1 } }, Date.now);
        // The last one: one that was left may take a moment to go.
        const session = async () =>
          (await query<{ Id: number; User: string }>(settings, 'SHOW PROCESSLIST')).findLast(
            ({ User }) => User === 'app',
          )?.Id;
        await issue(onStage(opened));
        const first = await session();
        await query(settings, 'SET GLOBAL read_only = ON');
        await expect(issue(onStage(opened))).rejects.toMatchObject({ code: 'unavailable' });
        await query(settings, 'SET GLOBAL read_only = OFF');
        await issue(onStage(opened));
        const second = await session();
        expect(first).toBeTypeOf('number');
        expect(second).toBeTypeOf('number');
        expect(second).not.toBe(first);
        await opened.close();
      }));
  });

  describeSqlFaults(tested);
  describeCuts(tested);

  describe(`${name}: the row that revocations lock`, () => {
    it('without it no grant of a code is stored, in words that say why', () =>
      onServer(tested, async ({ engine, settings }) => {
        const now = Math.floor(Date.now() / 1000);
        await query(settings, `DELETE FROM revocation WHERE selector = x'00'`);
        const write = { grant: newGrant(now) };
        const options = { now, attempt: newAttempt(), authorizedAtMs: Date.now() };
        await expect(engine.accessTokens.persist(write, options)).rejects.toMatchObject({
          code: 'unsupported',
          cause: { message: 'the first row of the table revocation is missing: run oauth-server.sql' },
        });
        await expect(
          engine.accessTokens.revokeBy({ subject: 's' }, { nowMs: Date.now(), retainUntil: now }),
        ).rejects.toMatchObject({ code: 'unsupported' });
        expect(await query(settings, 'SELECT * FROM information_schema.innodb_trx')).toEqual([]);
      }));
  });
}
