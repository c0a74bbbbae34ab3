import mysql from 'mysql2/promise';
import { describe, expect, it } from 'vitest';
import type { DatabaseSettings } from '../../functions/stores/sql-settings.ts';
import { createVirtualClock } from '../conformance/index.ts';
import {
  DAY,
  HOUR,
  issue,
  keyOf,
  many,
  newAccess,
  newAttempt,
  newGrant,
  newSuccessor,
  rotate,
} from '../conformance/records.ts';
import { newDatabase, query, type Tested } from './mysql-server.ts';

/** Expiry partitions of MySQL and MariaDB, on a real server. */
export function describePartitions({ name, createEngine, applySchema }: Tested, url: string): void {
  /** Ten minutes into an hour, at noon. */
  const noon = Math.floor(Date.now() / 1000 / DAY) * DAY + DAY / 2 + 600;
  const onPartitions = async () => {
    const settings = { ...(await newDatabase(url)), expiryPartitions: true };
    await applySchema(settings, { partitions: true });
    const clock = createVirtualClock(noon * 1000);
    return { settings, clock, engine: createEngine(settings, clock.nowMs) };
  };
  type Place = Awaited<ReturnType<typeof onPartitions>>;
  const slots = async (settings: DatabaseSettings) => {
    const rows = await query<{ slot: number; records: number }>(
      settings,
      'SELECT slot, count(*) AS records FROM access_token GROUP BY slot ORDER BY slot',
    );
    return Object.fromEntries(rows.map(({ slot, records }) => [slot, Number(records)]));
  };
  const hourSlot = (at: number) => 1 + (Math.floor(at / HOUR) % 3);
  const daySlot = (at: number) => 4 + (Math.floor(at / DAY) % 3);
  /** So many grants, each with an access token of this lifetime. */
  const fill = ({ engine, clock }: Place, count: number, lifetime: number) =>
    Promise.all(many(count, () => issue({ ...engine, clock }, { access: { expiresAt: clock.now() + lifetime } })));
  const purge = ({ engine, clock }: Place) => engine.accessTokens.purgeExpired({ now: clock.now(), limit: 10_000 });
  /** A token that is there as if somebody with another clock had stored it. */
  const plant = (settings: DatabaseSettings, expiresAt: number) =>
    query(
      settings,
      `INSERT INTO access_token (grant_id, digest, issued_at, expires_at, attempt)
        VALUES (RANDOM_BYTES(12), RANDOM_BYTES(16), ${expiresAt - HOUR}, ${expiresAt}, RANDOM_BYTES(16))`,
    );

  describe(`${name}: expiry partitions`, () => {
    it('a token stands by the hour, the day, or in none, as long as it lives; each goes with its partition, and no other', async () => {
      const place = await onPartitions();
      const { settings, clock, engine } = place;
      const short = await fill(place, 3, HOUR / 2);
      const long = await fill(place, 2, HOUR + 1);
      const longest = await fill(place, 1, DAY + 1);
      expect(await slots(settings)).toEqual({ [hourSlot(noon)]: 3, [daySlot(noon)]: 2, 0: 1 });
      clock.advance(HOUR / 2);
      const early = await purge(place);
      expect([early.removed.accessTokens, early.backlog.records]).toEqual([0, 0]);
      clock.advance(HOUR / 2);
      const hour = await purge(place);
      expect([hour.removed.accessTokens, hour.more, hour.backlog.records]).toEqual([3, false, 0]);
      const outcome = async ({ accessKey }: (typeof short)[number]) =>
        (await engine.accessTokens.findAccess(accessKey, { now: clock.now() })).outcome;
      expect(await Promise.all([...short, ...long, ...longest].map(outcome))).toEqual([
        ...['unknown', 'unknown', 'unknown', 'active', 'active', 'active'],
      ]);
      clock.advance(DAY);
      expect((await purge(place)).removed.accessTokens).toBe(3);
      expect(await slots(settings)).toEqual({});
      await engine.close();
    });

    it('what is due counts from the end of its hour, and is removed row by row once its turn is over', async () => {
      const place = await onPartitions();
      const { settings, clock, engine } = place;
      await fill(place, 4, HOUR / 2);
      clock.advance(2 * HOUR);
      const { removed, backlog } = await engine.accessTokens.purgeExpired({ now: clock.now(), limit: 3 });
      const due = noon - 600 + HOUR;
      expect([removed.accessTokens, backlog]).toEqual([3, { records: 1, precision: 'exact', oldestDueAt: due }]);
      expect((await purge(place)).removed.accessTokens).toBe(1);
      expect(await slots(settings)).toEqual({});
      await engine.close();
    });

    it('one live token in it, from whatever clock, keeps a partition as it is', async () => {
      const place = await onPartitions();
      const { settings, clock, engine } = place;
      await fill(place, 3, HOUR / 2);
      await plant(settings, noon + 3 * HOUR);
      clock.advance(HOUR);
      expect((await purge(place)).removed.accessTokens).toBe(0);
      expect(await slots(settings)).toEqual({ [hourSlot(noon)]: 4 });
      await engine.close();
    });

    it('in the last five minutes of an hour nothing is emptied, since the next one may begin for somebody', async () => {
      const place = await onPartitions();
      const { clock, engine } = place;
      await fill(place, 3, HOUR / 2);
      clock.advance(HOUR + 2700 + 1); // 12:55:01 where it began at 12:10
      expect((await purge(place)).removed.accessTokens).toBe(0);
      clock.advance(-2);
      expect((await purge(place)).removed.accessTokens).toBe(3);
      await engine.close();
    });

    it('a partition whose lock does not come is left alone, look-ups are answered meanwhile, and the next purge empties it', async () => {
      const place = await onPartitions();
      const { settings, clock, engine } = place;
      const [{ accessKey } = { accessKey: { digest: Buffer.alloc(0) } }] = await fill(place, 3, HOUR / 2);
      clock.advance(HOUR);
      const { host = '', port = 0, user = '', database = '' } = settings;
      const reader = await mysql.createConnection({ host, port, user, database });
      await reader.query('START TRANSACTION');
      await reader.query('SELECT count(*) FROM access_token');
      let answered = 0;
      let purging = true;
      const looking = (async () => {
        while (purging) {
          const { outcome } = await engine.accessTokens.findAccess(accessKey, { now: clock.now() });
          expect(outcome).toBe('expired');
          answered += 1;
        }
      })();
      const { removed, backlog } = await purge(place);
      purging = false;
      await looking;
      expect([removed.accessTokens, backlog.records]).toEqual([0, 3]);
      expect(answered).toBeGreaterThan(0);
      await reader.end();
      expect((await purge(place)).removed.accessTokens).toBe(3);
      await engine.close();
    });

    it('beside tokens that are being stored and found it takes nothing that lives', async () => {
      const place = await onPartitions();
      const { clock, engine } = place;
      await fill(place, 50, HOUR / 2);
      clock.advance(HOUR);
      let storing = true;
      const stored: Awaited<ReturnType<typeof issue>>[] = [];
      const writers = many(4, async () => {
        while (storing) stored.push(await issue({ ...engine, clock }));
      });
      // The lock on the table is waited for one second, which on a busy machine may not be enough.
      let before = 0;
      for (let round = 0; round < 10 && before === 0; round += 1)
        before += (await purge(place)).removed.accessTokens ?? 0;
      for (let round = 0; round < 5; round += 1) {
        await plant(place.settings, clock.now() - HOUR);
        await purge(place);
      }
      storing = false;
      await Promise.all(writers);
      expect(before).toBe(50);
      expect(stored.length).toBeGreaterThan(0);
      for (const { accessKey, access, grant } of stored) {
        const found = await engine.accessTokens.findAccess(accessKey, { now: clock.now() });
        expect(found).toMatchObject({
          outcome: 'active',
          access: { expiresAt: access.expiresAt },
          grant: { clientId: grant.clientId },
        });
      }
      await engine.close();
    });

    it('of one token there is one, whatever expiries its attempts come with, however many come at once', async () => {
      const place = await onPartitions();
      const { settings, clock, engine } = place;
      const { accessTokens } = engine;
      const now = clock.now();
      const lifetimes = [HOUR / 2, HOUR, 2 * HOUR, DAY, 2 * DAY];
      const count = async () => (await query(settings, 'SELECT digest FROM access_token')).length;
      for (let round = 1; round <= 10; round += 1) {
        const [grant, attempt, digest] = [newGrant(now), newAttempt(), newAccess(now).digest];
        const access = (lifetime: number) => newAccess(now, { digest, expiresAt: now + lifetime });
        const persisted = await Promise.all(
          lifetimes.map((lifetime) => accessTokens.persist({ grant, access: access(lifetime) }, { now, attempt })),
        );
        expect(new Set(persisted)).toEqual(new Set(['persisted']));
        expect(await count()).toBe(2 * round - 1);
        const further = newAccess(now).digest;
        const attempts = [attempt, newAttempt()];
        const added = await Promise.allSettled(
          lifetimes.flatMap((lifetime) =>
            attempts.map((each) =>
              accessTokens.addAccess(grant.grantId, newAccess(now, { digest: further, expiresAt: now + lifetime }), {
                ...{ now, attempt: each, retainUntil: now + DAY },
              }),
            ),
          ),
        );
        expect(added.filter(({ status }) => status === 'fulfilled')).toHaveLength(lifetimes.length);
        for (const each of added)
          if (each.status === 'rejected') expect(each.reason).toMatchObject({ code: 'conflict' });
        expect(await count()).toBe(2 * round);
      }
      await engine.close();
    });

    it('a rotation that gives a token of the grant once more is a conflict, or its own repeat where the refresh token is kept', async () => {
      const place = await onPartitions();
      const { settings, clock, engine } = place;
      const now = clock.now();
      const { grant, access, refreshKey } = await issue({ ...engine, clock });
      const again = { ...access, expiresAt: now + 2 * HOUR };
      await expect(
        rotate(engine.accessTokens, grant, refreshKey, newSuccessor(now, { access: again }), { now }),
      ).rejects.toMatchObject({ code: 'conflict' });
      const attempt = newAttempt();
      const kept = (lifetime: number) => ({
        ...newSuccessor(now, { access: newAccess(now, { digest: Buffer.alloc(16, 7), expiresAt: now + lifetime }) }),
        refresh: { kept: true as const },
      });
      for (const lifetime of [HOUR / 2, 2 * HOUR, 2 * DAY]) {
        const { outcome } = await rotate(engine.accessTokens, grant, refreshKey, kept(lifetime), { now, attempt });
        expect(outcome).toBe('rotated');
      }
      expect(await slots(settings)).toEqual({ [hourSlot(now + HOUR / 2)]: 1, [hourSlot(access.expiresAt)]: 1 });
      await engine.close();
    });

    it('a table with tokens is divided beside traffic: none is lost, and who does not know of it goes on', async () => {
      const flat = await newDatabase(url);
      await applySchema(flat);
      const clock = createVirtualClock(noon * 1000);
      const engine = createEngine(flat, clock.nowMs);
      const stored = await Promise.all(many(300, () => issue({ ...engine, clock })));
      let dividing = true;
      const traffic = many(4, async () => {
        for (let i = 0; dividing; i += 1) {
          stored.push(
            await issue({ ...engine, clock }, { access: { expiresAt: clock.now() + (i % 2 ? HOUR / 2 : 2 * HOUR) } }),
          );
          const { accessKey } = stored[i % stored.length] as (typeof stored)[number];
          expect((await engine.accessTokens.findAccess(accessKey, { now: clock.now() })).outcome).toBe('active');
        }
      });
      expect(await applySchema(flat, { partitions: true })).toEqual(['oauth-partitions.sql']);
      dividing = false;
      await Promise.all(traffic);
      expect(await applySchema(flat, { partitions: true })).toEqual([]);
      await expect(applySchema(flat)).rejects.toMatchObject({ code: 'unsupported' });
      for (const { accessKey } of stored) {
        expect((await engine.accessTokens.findAccess(accessKey, { now: clock.now() })).outcome).toBe('active');
      }
      expect(Object.keys(await slots(flat))).toEqual(
        [hourSlot(noon + HOUR / 2), hourSlot(noon + HOUR), daySlot(noon + HOUR)].map(String).toSorted(),
      );
      // A version of the stores that knows nothing of partitions: it stores, finds, rotates, and purges row by row.
      const { grant, refreshKey } = stored[0] as (typeof stored)[number];
      const successor = newSuccessor(clock.now());
      expect((await rotate(engine.accessTokens, grant, refreshKey, successor, { now: clock.now() })).outcome).toBe(
        'rotated',
      );
      const key = keyOf(grant, successor.access as { digest: Uint8Array });
      expect((await engine.accessTokens.findAccess(key, { now: clock.now() })).outcome).toBe('active');
      clock.advance(3 * HOUR);
      const { removed } = await engine.accessTokens.purgeExpired({ now: clock.now(), limit: 100_000 });
      expect(removed.accessTokens).toBe(stored.length + 1);
      await engine.close();
    });
  });
}
