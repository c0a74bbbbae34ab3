import { describe, expect, it } from 'vitest';
import type { Engine, StoredAccessToken } from '../../functions/domain/ports.ts';
import { keyOf, newAccess, newAttempt, newGrant, newRefresh, newSuccessor } from '../conformance/records.ts';
import { DAY, HOUR } from './expiry-partitions.ts';

/** What expiry partitions promise beyond the suite, on an engine that has them: the times are far from anybody else's. */
export function describeRings(name: string, open: () => Promise<Engine>): void {
  let day = 23_000;
  /** A token in a grant of its own, stored at `now`. */
  const store = async ({ accessTokens }: Engine, now: number, fields: Partial<StoredAccessToken>) => {
    const grant = newGrant(now, { retainUntil: now + 300 * DAY });
    const access = newAccess(now, fields);
    await accessTokens.persist({ grant, access }, { now, attempt: newAttempt() });
    return { grant, key: keyOf(grant, access) };
  };
  const outcome = async ({ accessTokens }: Engine, { key }: Awaited<ReturnType<typeof store>>, now: number) =>
    (await accessTokens.findAccess(key, { now })).outcome;
  const removed = async ({ accessTokens }: Engine, now: number) =>
    (await accessTokens.purgeExpired({ now, limit: 1000 })).removed.accessTokens ?? 0;

  describe(`${name}: expiry partitions`, () => {
    const using = (work: (engine: Engine, midnight: number) => Promise<void>) => async () => {
      const engine = await open();
      day += 50;
      while ((await removed(engine, day * DAY)) > 0); // what earlier ones left
      await work(engine, day * DAY).finally(() => engine.close());
    };

    it.each([
      ['an hour', HOUR],
      ['a day', DAY],
    ])('are emptied whole when %s is over, whatever of it a token lived, and not before', (_width, width) =>
      using(async (engine, midnight) => {
        const now = midnight + width - 60;
        const early = await store(engine, now, { expiresAt: now + 1, issuedAt: now + 2 - width });
        const late = await store(engine, now, { expiresAt: midnight + width - 1, issuedAt: midnight + 1 });
        const next = await store(engine, now, { expiresAt: midnight + width, issuedAt: now });
        expect(await removed(engine, midnight + width - 1)).toBe(0);
        const { accessTokens } = engine;
        const stopped = { now: midnight + width, limit: 0, deadlineMs: 0 };
        expect((await accessTokens.purgeExpired(stopped)).backlog).toMatchObject({
          records: 2,
          oldestDueAt: midnight + width,
        });
        expect(await removed(engine, midnight + width)).toBe(2);
        for (const one of [early, late]) expect(await outcome(engine, one, now)).toBe('unknown');
        expect(await outcome(engine, next, now)).toBe('active');
        expect((await accessTokens.purgeExpired({ now: midnight + width, limit: 9 })).backlog?.records).toBe(0);
        expect(await removed(engine, midnight + 2 * width)).toBe(1);
      })(),
    );

    it('leave a partition alone in which a token still lives, whosever clock was wrong', () =>
      using(async (engine, midnight) => {
        const now = midnight + 12 * HOUR;
        const over = await store(engine, now - HOUR, { expiresAt: now - 1 });
        const ahead = await store(engine, now, { issuedAt: now + HOUR + 60, expiresAt: now + 2 * HOUR + 60 });
        expect(await removed(engine, now)).toBe(0);
        expect([await outcome(engine, over, now), await outcome(engine, ahead, now)]).toEqual(['expired', 'active']);
        // What could not be emptied in its time goes row by row.
        expect(await removed(engine, now + HOUR)).toBe(1);
        expect([await outcome(engine, over, now), await outcome(engine, ahead, now)]).toEqual(['unknown', 'active']);
      })());

    it('have a token that lives longer than a day in no ring: it leaves at its expiry, and no other with it', () =>
      using(async (engine, midnight) => {
        const now = midnight + 10;
        const one = await store(engine, now, { expiresAt: now + DAY + 1 });
        const other = await store(engine, now, { expiresAt: now + DAY + 2 });
        expect(await removed(engine, now + DAY)).toBe(0);
        expect(await removed(engine, now + DAY + 1)).toBe(1);
        expect([await outcome(engine, one, now), await outcome(engine, other, now)]).toEqual(['unknown', 'active']);
      })());

    it('keep a digest to one token of a grant, whatever its expiry: others conflict, a repeated attempt changes nothing', () =>
      using(async (engine, midnight) => {
        const { accessTokens } = engine;
        const now = midnight + 10;
        const retainUntil = now + 300 * DAY;
        const grant = newGrant(now, { retainUntil });
        const refresh = newRefresh(now);
        const access = newAccess(now);
        const elsewhere = { ...access, expiresAt: now + 2 * HOUR };
        const attempt = newAttempt();
        for (const token of [access, elsewhere])
          expect(await accessTokens.persist({ grant, refresh, access: token }, { now, attempt })).toBe('persisted');
        const added = (token: StoredAccessToken, by: Uint8Array) =>
          accessTokens.addAccess(grant.grantId, token, { now, attempt: by, retainUntil });
        const conflict = { code: 'conflict' };
        await expect(added(elsewhere, newAttempt())).rejects.toMatchObject(conflict);
        expect(await added(elsewhere, attempt)).toBe('added');
        const options = { clientId: grant.clientId, now, graceSeconds: 10 };
        const rotate = (fields: object) =>
          accessTokens.rotate(keyOf(grant, refresh), newSuccessor(now, fields), { ...options, attempt: newAttempt() });
        await expect(rotate({ access: elsewhere })).rejects.toMatchObject(conflict);
        expect(await rotate({ access: elsewhere, refresh: { kept: true }, sealed: undefined })).toMatchObject({
          outcome: 'rotated',
        });
        const { tokens } = await accessTokens.listAccess(grant.grantId, { limit: 10 });
        expect(tokens.map(({ expiresAt }) => expiresAt)).toEqual([access.expiresAt]);
        expect(await rotate({})).toMatchObject({ outcome: 'rotated' });
      })());

    it('of forty callers who add one digest with seven expiries at once exactly one succeeds', () =>
      using(async (engine, midnight) => {
        const { accessTokens } = engine;
        const now = midnight + 10;
        for (let round = 0; round < 10; round += 1) {
          const grant = newGrant(now, { retainUntil: now + 300 * DAY });
          await accessTokens.persist({ grant }, { now, attempt: newAttempt() });
          const access = newAccess(now);
          const results = await Promise.allSettled(
            Array.from({ length: 40 }, (_, index) =>
              accessTokens.addAccess(
                grant.grantId,
                { ...access, expiresAt: now + 60 + (index % 7) * 4 * HOUR },
                { now, attempt: newAttempt(), retainUntil: grant.retainUntil },
              ),
            ),
          );
          expect(results.filter(({ status }) => status === 'fulfilled').length).toBe(1);
          expect((await accessTokens.listAccess(grant.grantId, { limit: 10 })).tokens.length).toBe(1);
        }
      })());
  });
}
