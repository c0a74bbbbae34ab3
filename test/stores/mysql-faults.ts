import { setTimeout } from 'node:timers/promises';
import mysql from 'mysql2/promise';
import { describe, expect, it } from 'vitest';
import type { Engine } from '../../functions/domain/ports.ts';
import type { DatabaseSettings } from '../../functions/stores/sql-settings.ts';
import { DAY, issue, newAttempt, newCode, newGrant, newSuccessor, rotate } from '../conformance/records.ts';
import type { ServerSettings, StartedServer } from '../engines/mysql.ts';
import { cut, query, settingsOf, type Tested } from './mysql-server.ts';

// What goes wrong between a store and its server: deadlocks, locks that do not come, a server that is killed or restarted.

const nowMs = () => Date.now();

/** Starts a server of its own, on which a commit survives a kill. */
export type Start = (settings?: ServerSettings) => Promise<StartedServer>;

export function describeFaults({ name: engine, createEngine, applySchema }: Tested, start: Start): void {
  /** Runs with an engine on a new server with the schema. */
  const onServer = async (
    work: (at: { engine: Engine; settings: DatabaseSettings; server: StartedServer }) => unknown,
  ) => {
    const server = await start();
    try {
      await query(settingsOf(server.url), 'CREATE DATABASE oauth');
      const settings = settingsOf(server.url, 'oauth');
      await applySchema(settings);
      const opened = createEngine(settings, nowMs);
      await Promise.resolve(work({ engine: opened, settings, server })).finally(() => opened.close());
    } finally {
      await server.stop();
    }
  };
  const clock = { now: () => Math.floor(Date.now() / 1000), nowMs, advance: () => {} };
  const onStage = (opened: Engine) => ({ ...opened, clock });
  const connect = ({ host = '', port = 0, user = '', database = '' }: DatabaseSettings) =>
    mysql.createConnection({ host, port, user, database });

  describe(`${engine}: a failover`, () => {
    it('a server that takes no writes any more is left, and its name asked for again', () =>
      onServer(async ({ settings }) => {
        const password = 'Mellon-2026';
        await query(
          settings,
          `CREATE USER app@'%' IDENTIFIED BY '${password}'`, // root may write all the same
          "GRANT ALL ON oauth.* TO app@'%'",
        );
        const opened = createEngine({ ...settings, user: 'app', password, pool: { maxActive: 1 } }, nowMs);
        const session = async () =>
          (await query<{ Id: number; User: string }>(settings, 'SHOW PROCESSLIST')).find(({ User }) => User === 'app')
            ?.Id;
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

  describe(`${engine}: locks`, () => {
    it('a call that the server ends in a deadlock is sent again, and nothing of the first is left', () =>
      onServer(async ({ engine: opened, settings }) => {
        const now = clock.now();
        for (let round = 0; round < 3; round += 1) {
          const [first, second] = [Buffer.alloc(32, 1 + 2 * round), Buffer.alloc(32, 2 + 2 * round)];
          const uid = Buffer.alloc(32, 99);
          const artifact = { kind: 'Session', expiresAt: now + DAY, data: Buffer.from('x') };
          await opened.artifacts.put({ ...artifact, id: second, uid }, { now });
          await opened.artifacts.put({ ...artifact, id: first }, { now });
          // It holds the second row and wants the first; the call holds the first and wants the second. It has changed more,
          // so it is the call that is ended.
          const other = await connect(settings);
          await other.query('BEGIN');
          await other.query(`INSERT INTO foreign_token SELECT RANDOM_BYTES(32), x'00', n FROM (
            WITH RECURSIVE counted AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM counted WHERE n < 500) SELECT n FROM counted) AS many`);
          await other.query(`SELECT * FROM artifact WHERE kind = 'Session' AND id = ? FOR UPDATE`, [second]);
          const put = opened.artifacts.put({ ...artifact, id: first, uid, data: Buffer.from('taken') }, { now });
          await setTimeout(200);
          await other.query(`SELECT * FROM artifact WHERE kind = 'Session' AND id = ? FOR UPDATE`, [first]);
          await other.query('ROLLBACK');
          await put;
          await other.end();
          const [status] = await query<{ Status: string }>(settings, 'SHOW ENGINE INNODB STATUS');
          expect(status?.Status).toContain('LATEST DETECTED DEADLOCK');
          const found = await opened.artifacts.findByUid('Session', uid, { now });
          expect(found).toMatchObject({ outcome: 'active', artifact: { id: first, data: Buffer.from('taken') } });
        }
      }));

    it('a lock that does not come in time is a timeout, and nothing was done', () =>
      onServer(async ({ engine: opened, settings }) => {
        const now = clock.now();
        const { grant, refreshKey } = await issue(onStage(opened));
        const hasty = createEngine({ ...settings, pool: { statementTimeoutMs: 4000 } }, nowMs);
        const other = await connect(settings);
        await other.query('BEGIN');
        await other.query('SELECT * FROM oauth_grant FOR UPDATE');
        const given = newSuccessor(now);
        await expect(
          rotate(hasty.accessTokens, grant, refreshKey, given, { now, attempt: newAttempt() }),
        ).rejects.toMatchObject({
          code: 'timeout',
          retryable: true,
        });
        // A look-up waits for no lock.
        expect((await hasty.accessTokens.findRefresh(refreshKey, { now })).outcome).toBe('active');
        await other.query('ROLLBACK');
        await other.end();
        expect(
          (await rotate(hasty.accessTokens, grant, refreshKey, given, { now, attempt: newAttempt() })).outcome,
        ).toBe('rotated');
        await hasty.close();
      }));

    it('a revocation waits for a grant that comes without having seen it, and ends it', () =>
      onServer(async ({ engine: opened, settings }) => {
        const now = clock.now();
        const other = await connect(settings);
        const grant = newGrant(now, { subject: 'alice' });
        // Somebody else is storing a grant of that id, and will not: so the call stands still, behind its look at the marks.
        await other.query('BEGIN');
        await other.query(
          'INSERT INTO oauth_grant (grant_id, client_id, created_at, data, retain_until) VALUES (?, ?, ?, ?, ?)',
          [grant.grantId, 'somebody', now, '', now],
        );
        const options = { now, attempt: newAttempt(), authorizedAtMs: nowMs() - 1000 };
        const persisted = opened.accessTokens.persist({ grant }, options);
        await setTimeout(500);
        let ended: number | undefined;
        const revocation = opened.accessTokens
          .revokeBy({ subject: 'alice' }, { nowMs: nowMs(), retainUntil: now + DAY })
          .then((count) => {
            ended = count;
          });
        await setTimeout(500);
        expect(ended).toBeUndefined();
        await other.query('ROLLBACK');
        await other.end();
        expect(await persisted).toBe('persisted');
        await revocation;
        expect(ended).toBe(1);
      }));

    it('without the row that revocations lock, no grant of a code is stored, in words that say why', () =>
      onServer(async ({ engine: opened, settings }) => {
        const now = clock.now();
        await query(settings, `DELETE FROM revocation WHERE selector = x'00'`);
        const write = { grant: newGrant(now) };
        const options = { now, attempt: newAttempt(), authorizedAtMs: nowMs() };
        await expect(opened.accessTokens.persist(write, options)).rejects.toMatchObject({
          code: 'unsupported',
          cause: { message: 'the first row of the table revocation is missing: run oauth-server.sql' },
        });
        await expect(
          opened.accessTokens.revokeBy({ subject: 's' }, { nowMs: nowMs(), retainUntil: now }),
        ).rejects.toMatchObject({ code: 'unsupported' });
        expect(await query(settings, 'SELECT * FROM information_schema.innodb_trx')).toEqual([]);
      }));
  });

  describe(`${engine}: a server that goes away`, () => {
    /** Rotates and redeems over and over, each again with its attempt until it is told how it went. */
    const traffic = async (opened: Engine, until: () => boolean) => {
      const counts = { rotations: 0, failures: 0 };
      const one = async () => {
        let { grant, refreshKey } = await issue(onStage(opened));
        while (!until()) {
          const now = clock.now();
          const [given, attempt, code] = [newSuccessor(now), newAttempt(), newCode(now)];
          const again = async <T>(call: () => Promise<T>): Promise<T> => {
            for (;;) {
              try {
                return await call();
              } catch (error) {
                expect((error as { code: string }).code).toMatch(/^(unavailable|timeout|throttled)$/);
                counts.failures += 1;
                await setTimeout(20);
              }
            }
          };
          await again(() => opened.authorizationCodes.add(code, { now, attempt }));
          const redeemed = await again(() =>
            opened.authorizationCodes.redeem(code.digest, { binding: code.binding, now, attempt }),
          );
          expect(redeemed.outcome).toBe('redeemed');
          const rotated = await again(() => rotate(opened.accessTokens, grant, refreshKey, given, { now, attempt }));
          expect(rotated.outcome).toBe('rotated');
          expect('sealed' in rotated && Buffer.compare(rotated.sealed, given.sealed)).toBe(0);
          refreshKey = { grantId: grant.grantId, digest: given.refresh.digest };
          grant = { ...grant, retainUntil: given.retainUntil };
          counts.rotations += 1;
          const { tokens } = await again(() => opened.accessTokens.listAccess(grant.grantId, { limit: 1000 }));
          expect(tokens.filter(({ digest }) => Buffer.compare(digest, given.access.digest) === 0)).toHaveLength(1);
        }
        expect((await opened.accessTokens.findRefresh(refreshKey, { now: clock.now() })).outcome).toBe('active');
      };
      await Promise.all(Array.from({ length: 8 }, one));
      return counts;
    };

    const disturbed = async (
      disturb: (server: StartedServer, settings: DatabaseSettings) => Promise<void>,
      times: number,
    ) =>
      onServer(async ({ engine: opened, settings, server }) => {
        let done = false;
        const running = traffic(opened, () => done);
        for (let time = 0; time < times; time += 1) {
          await setTimeout(400);
          await disturb(server, settings);
        }
        await setTimeout(400);
        done = true;
        const { rotations, failures } = await running;
        expect(rotations).toBeGreaterThan(20);
        expect(failures).toBeGreaterThan(0);
        expect(
          await query(settings, 'SELECT trx_id FROM information_schema.innodb_trx WHERE trx_rows_modified > 0'),
        ).toEqual([]);
      });

    it('killed under traffic and started again: every attempt is told how it went, and nothing happened twice', () =>
      disturbed(async (server) => {
        await server.kill();
        await server.restart();
      }, 3));

    it('restarted in order under traffic: the same', () => disturbed((server) => server.restart(), 2));

    it('with every connection cut in the middle of commits: the same', () =>
      disturbed((_, settings) => cut(settings), 8));
  });
}
