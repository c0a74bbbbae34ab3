import { setTimeout } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import type { Engine } from '../../functions/domain/ports.ts';
import type { DatabaseSettings } from '../../functions/stores/sql-settings.ts';
import {
  DAY,
  type Issued,
  issue,
  keyOf,
  many,
  newAttempt,
  newCode,
  newGrant,
  newSuccessor,
  rotate,
} from '../conformance/records.ts';
import { clock, onServer, onStage, type Place, type Tested } from './tested-database.ts';

// What goes wrong between a store and a relational database: deadlocks, locks that do not come, a server that is killed or
// restarted. The same cases for each engine.

/** Repeats a call for as long as it fails with what says that it may be repeated; notes what it was told. */
async function again<T>(call: () => Promise<T>, told: string[]): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      const { code } = error as { code: string };
      expect(code).toMatch(/^(unavailable|timeout|throttled)$/);
      told.push(code);
      await setTimeout(20);
    }
  }
}

export function describeFaults(tested: Tested): void {
  const { name, createEngine, connect, cut, literal, openWrites, waiting, toldOfDeadlock } = tested;

  /** Until somebody waits for a lock that this session holds, or another. */
  const untilOneWaits = async (settings: DatabaseSettings) => {
    const session = await connect(settings);
    // MySQL gives the same answer again to whoever asks within a tenth of a second.
    const patience = { timeout: 20_000, interval: 250 };
    await vi.waitFor(async () => expect(await session.query(waiting)).not.toEqual([]), patience);
    await session.end();
  };

  describe(`${name}: locks`, () => {
    it('a call that the server ends in a deadlock leaves nothing, and goes through when it is sent again', () =>
      onServer(tested, async ({ engine, settings }) => {
        const now = clock.now();
        const told: string[] = [];
        const grant = newGrant(now);
        for (let round = 0; round < 3; round += 1) {
          const [first, second] = [Buffer.alloc(32, 1 + 2 * round), Buffer.alloc(32, 2 + 2 * round)];
          const uid = Buffer.alloc(32, 99);
          const artifact = { kind: 'Session', expiresAt: now + DAY, data: Buffer.from('x') };
          await engine.artifacts.put({ ...artifact, id: second, uid }, { now });
          await engine.artifacts.put({ ...artifact, id: first }, { now });
          // It holds the second row and wants the first; the call holds the first and wants the second. It has changed more,
          // and waits for less long, so it is the call that is ended.
          const other = await connect(settings);
          await other.query('BEGIN');
          for (let index = 0; index < 200; index += 1) {
            const row = [literal(newAttempt()), literal(grant.grantId), now];
            await other.query(`INSERT INTO foreign_token (digest, grant_id, retain_until) VALUES (${row})`);
          }
          const lock = (id: Uint8Array) =>
            other.query(`SELECT id FROM artifact WHERE kind = 'Session' AND id = ${literal(id)} FOR UPDATE`);
          await lock(second);
          const taken = { ...artifact, id: first, uid, data: Buffer.from('taken') };
          const put = again(() => engine.artifacts.put(taken, { now }), told);
          await untilOneWaits(settings);
          await lock(first);
          const found = await engine.artifacts.findByUid('Session', uid, { now });
          expect(found).toMatchObject({ artifact: { id: second } });
          await other.query('ROLLBACK');
          await put;
          await other.end();
          const after = await engine.artifacts.findByUid('Session', uid, { now });
          expect(after).toMatchObject({ outcome: 'active', artifact: { id: first, data: Buffer.from('taken') } });
        }
        expect([...new Set(told)]).toEqual(toldOfDeadlock);
      }));

    it('a lock that does not come in time is a timeout, a look-up waits for none, and the call is carried out once', () =>
      onServer(tested, async ({ engine, settings }) => {
        const now = clock.now();
        const { grant, refreshKey } = await issue(onStage(engine));
        const hasty = await createEngine({ ...settings, pool: { statementTimeoutMs: 4000 } }, clock.nowMs);
        const other = await connect(settings);
        await other.query('BEGIN');
        await other.query('SELECT grant_id FROM oauth_grant FOR UPDATE');
        const given = newSuccessor(now);
        const options = { now, attempt: newAttempt() };
        const call = () => rotate(hasty.accessTokens, grant, refreshKey, given, options);
        await expect(call()).rejects.toMatchObject({ code: 'timeout', retryable: true });
        expect((await hasty.accessTokens.findRefresh(refreshKey, { now })).outcome).toBe('active');
        await other.query('ROLLBACK');
        await other.end();
        expect(await call()).toMatchObject({ outcome: 'rotated', sealed: given.sealed });
        await hasty.close();
      }));

    it('a revocation waits for a grant that comes without having seen it, and ends it', () =>
      onServer(tested, async ({ engine, settings }) => {
        const now = clock.now();
        const other = await connect(settings);
        const grant = newGrant(now, { subject: 'alice' });
        // Somebody else is storing a grant of that id, and will not: so the call stands still, behind its look at the marks.
        await other.query('BEGIN');
        await other.query(
          `INSERT INTO oauth_grant (grant_id, client_id, created_at, data, retain_until)
            VALUES (${literal(grant.grantId)}, 'somebody', ${now}, '', ${now})`,
        );
        const options = { now, attempt: newAttempt(), authorizedAtMs: clock.nowMs() - 1000 };
        const persisted = engine.accessTokens.persist({ grant }, options);
        await untilOneWaits(settings);
        let ended: number | undefined;
        const revocation = engine.accessTokens
          .revokeBy({ subject: 'alice' }, { nowMs: clock.nowMs(), retainUntil: now + DAY })
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
  });

  describe(`${name}: a server that goes away`, () => {
    /** Rotates and redeems over and over, each again with its attempt until it is told how it went. */
    const traffic = async (
      { accessTokens, authorizationCodes }: Engine,
      issued: readonly Issued[],
      progress: { rotations: number; isOver: boolean },
    ) => {
      const told: string[] = [];
      const persistently = <T>(call: () => Promise<T>) => again(call, told);
      const one = async ({ grant, refreshKey }: Issued) => {
        while (!progress.isOver) {
          const now = clock.now();
          const [given, attempt, code] = [newSuccessor(now), newAttempt(), newCode(now)];
          await persistently(() => authorizationCodes.add(code, { now, attempt }));
          const redeem = () => {
            const options = { binding: code.binding, now, attempt: newAttempt() };
            return persistently(() => authorizationCodes.redeem(code.digest, options));
          };
          const redeemed = await Promise.all([redeem(), redeem()]);
          expect(redeemed.map(({ outcome }) => outcome).sort()).toEqual(['redeemed', 'replayed']);
          const rotated = await persistently(() => rotate(accessTokens, grant, refreshKey, given, { now, attempt }));
          expect(rotated.outcome).toBe('rotated');
          expect('sealed' in rotated && Buffer.compare(rotated.sealed, given.sealed)).toBe(0);
          refreshKey = keyOf(grant, given.refresh);
          progress.rotations += 1;
          const found = await persistently(() => accessTokens.findRefresh(refreshKey, { now }));
          expect(found.outcome).toBe('active');
          const { tokens } = await persistently(() => accessTokens.listAccess(grant.grantId, { limit: 1000 }));
          expect(tokens.filter(({ digest }) => Buffer.compare(digest, given.access.digest) === 0)).toHaveLength(1);
          expect(await persistently(redeem)).toMatchObject({ outcome: 'replayed' });
        }
      };
      await Promise.all(issued.map(one));
      return told.length;
    };

    const disturbed = (disturb: (place: Place) => Promise<void>, times: number) =>
      onServer(tested, async (place) => {
        const progress = { rotations: 0, isOver: false };
        const issued = await Promise.all(many(8, () => issue(onStage(place.engine))));
        const running = traffic(place.engine, issued, progress);
        const goesOn = async () => {
          const enough = progress.rotations + 8;
          await setTimeout(400);
          await vi.waitFor(() => expect(progress.rotations).toBeGreaterThan(enough), { timeout: 20_000 });
        };
        for (let time = 0; time < times; time += 1) {
          await goesOn();
          await disturb(place);
        }
        await goesOn();
        progress.isOver = true;
        expect(await running).toBeGreaterThan(0);
        const session = await connect(place.settings);
        expect(await session.query(openWrites)).toEqual([]);
        await session.end();
      });

    it('killed under traffic and started again: every attempt is told how it went, and nothing happened twice', () =>
      disturbed(async ({ server }) => {
        await server.kill();
        await server.restart();
      }, 3));

    it('restarted in order under traffic: the same', () => disturbed(({ server }) => server.restart(), 2));

    it('with every connection cut in the middle of commits: the same', () =>
      disturbed(({ settings }) => cut(settings), 8));
  });
}
