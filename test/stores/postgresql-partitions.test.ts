import { setTimeout } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import type { Engine, StoredAccessToken } from '../../functions/domain/ports.ts';
import { createEngine } from '../../functions/stores/postgresql.ts';
import { diagnose } from '../../functions/stores/postgresql-diagnosis.ts';
import { applySchema, findMissingScripts } from '../../functions/stores/postgresql-schema.ts';
import type { SchemaOptions } from '../../functions/stores/sql-schema.ts';
import { createVirtualClock } from '../conformance/index.ts';
import {
  accessOutcome,
  errorCode,
  type Issued,
  issue,
  keyOf,
  many,
  newAccess,
  newAttempt,
  newSuccessor,
  rotate,
} from '../conformance/records.ts';
import { callBeside } from './beside.ts';
import { DAY, HOUR } from './expiry-partitions.ts';
import { as, catalogQueries, hasPostgresql, postgresqlDatabases } from './postgresql-databases.ts';

// Access tokens in partitions by their expiry, on a real server: what the suite cannot say of every engine.

const onServed = hasPostgresql ? describe : () => {};

onServed('expiry partitions, on a server', async () => {
  const { newDatabase, session, rowsOf } = await postgresqlDatabases();
  const opened: Engine[] = [];
  afterAll(async () => {
    await Promise.all(opened.map((engine) => engine.close()));
  });
  // Half an hour into an hour, and into a day.
  const start = Math.floor(Date.now() / 1000 / DAY) * DAY + HOUR / 2;
  const clock = createVirtualClock(start * 1000);
  const open = async (connectionString: string, expiryPartitions = true) => {
    const engine = await createEngine({ connectionString, expiryPartitions, pool: { maxActive: 4 } }, clock.nowMs);
    opened.push(engine);
    return engine;
  };
  const apply = (connectionString: string, options: SchemaOptions = {}) =>
    applySchema({ connectionString }, { partitions: true, ...options });
  const fresh = async () => {
    const url = await newDatabase();
    await apply(url);
    return { url, ...(await open(url)) };
  };
  type Fresh = Awaited<ReturnType<typeof fresh>>;
  /** Grants with a token each that lives so long. */
  const store = async ({ accessTokens }: Pick<Engine, 'accessTokens'>, count: number, seconds: number) => {
    const access = { issuedAt: start, expiresAt: start + seconds };
    const issued = await Promise.all(many(count, () => issue({ accessTokens, clock }, { access })));
    return issued as [Issued, ...Issued[]];
  };
  const purge = async ({ accessTokens }: Pick<Engine, 'accessTokens'>, now: number, limit = 1000) => {
    const { removed, backlog } = await accessTokens.purgeExpired({ now, limit });
    return { gone: removed.accessTokens, left: backlog.records, since: backlog.oldestDueAt };
  };
  const none = { left: 0, since: undefined };
  const bySlot = async (url: string) =>
    Object.fromEntries(
      (await rowsOf(url, 'SELECT slot, count(*)::int AS count FROM access_token GROUP BY slot')).map(
        ({ slot, count }) => [slot, count],
      ),
    );
  const slotOf = (width: number, at: number) => (width === HOUR ? 1 : 4) + (Math.floor(at / width) % 3);
  const insert = (slot: number, expiresAt: number) =>
    `INSERT INTO access_token (grant_id, digest, issued_at, expires_at, attempt, slot)
      VALUES (int8send(${expiresAt}), int8send(${slot}), 0, ${expiresAt}, '', ${slot})`;

  describe('the purge', () => {
    it.each([
      ['an hour', HOUR, HOUR / 2],
      ['a day', DAY, 2 * HOUR],
    ])('empties the partition of %s whole when it is over, in no batches and no sooner', async (_, width, seconds) => {
      const place = await fresh();
      const tokens = await store(place, 30, seconds);
      const expiresAt = start + seconds;
      const end = (Math.floor(expiresAt / width) + 1) * width;
      expect(await bySlot(place.url)).toEqual({ [slotOf(width, expiresAt)]: 30 });
      expect(await purge(place, end - 1)).toEqual({ gone: 0, ...none });
      expect(await accessOutcome(place.accessTokens, tokens[0].accessKey, end - 1)).toBe('expired');
      expect(await purge(place, end, 1)).toEqual({ gone: 30, ...none });
      expect(await accessOutcome(place.accessTokens, tokens[0].accessKey, end)).toBe('unknown');
      expect(await bySlot(place.url)).toEqual({});
      await setTimeout(1200); // in which sessions tell what they did
      const deleted =
        'SELECT sum(n_tup_del)::int AS deleted FROM pg_stat_user_tables WHERE relname ~ $$^access_token$$';
      expect(await rowsOf(place.url, deleted)).toEqual([{ deleted: 0 }]);
    });

    it('removes row by row what lives longer than a day, as soon as it has expired', async () => {
      const place = await fresh();
      await store(place, 3, DAY + 1);
      expect(await bySlot(place.url)).toEqual({ 0: 3 });
      expect(await purge(place, start + DAY)).toEqual({ gone: 0, ...none });
      expect(await purge(place, start + DAY + 1, 2)).toEqual({ gone: 2, left: 1, since: start + DAY + 1 });
      expect(await purge(place, start + DAY + 1)).toEqual({ gone: 1, ...none });
    });

    it.each([2, 3])('removes row by row what was not emptied in its time, %i hours later', async (hours) => {
      const place = await fresh();
      await store(place, 5, HOUR / 2); // of this hour's end, so of the next
      const over = start + HOUR / 2 + HOUR;
      const live = await issue(
        { ...place, clock },
        { access: { issuedAt: over, expiresAt: over + (hours - 1) * HOUR + 9 } },
      );
      const now = over + (hours - 1) * HOUR;
      expect(await purge(place, now, 2)).toEqual({ gone: 2, left: 3, since: over });
      expect(await purge(place, now)).toEqual({ gone: 3, ...none });
      expect(await accessOutcome(place.accessTokens, live.accessKey, now)).toBe('active');
    });

    it('says since when a partition is due that it could not empty', async () => {
      const place = await fresh();
      await store(place, 4, HOUR / 2);
      await store(place, 3, 2 * HOUR);
      const reader = await session(place.url);
      await reader.query('BEGIN');
      await reader.query('SELECT FROM access_token');
      const over = start + HOUR / 2 + HOUR;
      expect(await purge(place, over + 7)).toEqual({ gone: 0, left: 4, since: over });
      await reader.query('COMMIT');
      expect(await purge(place, over + 7)).toEqual({ gone: 4, ...none });
      expect(await purge(place, start - HOUR / 2 + DAY)).toEqual({ gone: 3, ...none });
    });

    it('goes on with the partition of the day where that of the hour is in use', async () => {
      const place = await fresh();
      const midnight = start - HOUR / 2 + DAY;
      const reader = await session(place.url);
      await rowsOf(place.url, insert(slotOf(HOUR, midnight - 1), midnight - 1));
      await rowsOf(place.url, insert(slotOf(DAY, midnight - 1), midnight - 1));
      await reader.query(`BEGIN; LOCK TABLE access_token_${slotOf(HOUR, midnight - 1)} IN ROW SHARE MODE`);
      expect(await purge(place, midnight)).toEqual({ gone: 1, left: 1, since: midnight });
      await reader.query('COMMIT');
      await rowsOf(place.url, insert(slotOf(DAY, midnight - 1), midnight - 1));
      expect(await purge(place, midnight)).toEqual({ gone: 2, ...none });
    });

    it('counts few by themselves, of which the server knows nothing yet', async () => {
      const place = await fresh();
      const writer = await session(place.url);
      await writer.query('SET track_counts = off');
      await writer.query(
        `INSERT INTO access_token (grant_id, digest, issued_at, expires_at, attempt, slot)
          SELECT int8send(n), '', 0, ${start}, '', ${slotOf(HOUR, start)} FROM generate_series(1, 5000) AS n`,
      );
      expect(await purge(place, start + HOUR)).toEqual({ gone: 5000, ...none });
    });

    it('counts many by what the server counts', async () => {
      const place = await fresh();
      const slot = slotOf(HOUR, start);
      await rowsOf(
        place.url,
        `INSERT INTO access_token (grant_id, digest, issued_at, expires_at, attempt, slot)
          SELECT int8send(n), '', 0, ${start}, '', ${slot} FROM generate_series(1, 30000) AS n`,
      );
      await rowsOf(place.url, 'ANALYZE access_token');
      const { gone, left } = await purge(place, start + HOUR);
      expect(gone).toBeGreaterThan(9_999);
      expect(gone).toBeLessThan(31_000);
      expect(left).toBe(0);
    });
  });

  describe('a live token', () => {
    it('keeps its partition from being emptied, whichever it came into', async () => {
      const place = await fresh();
      await store(place, 5, HOUR / 2);
      const now = start + HOUR / 2 + HOUR;
      await rowsOf(place.url, insert(slotOf(HOUR, now - 1), now + 1));
      expect(await purge(place, now)).toEqual({ gone: 0, left: 5, since: now });
      expect(await bySlot(place.url)).toEqual({ [slotOf(HOUR, now - 1)]: 6 });
      expect(await purge(place, now + 1)).toEqual({ gone: 6, ...none });
    });

    it('that is written while the partition is being emptied is never lost', async () => {
      const place = await fresh();
      const writer = await session(place.url);
      const now = start + HOUR / 2 + HOUR;
      const slot = slotOf(HOUR, now - 1);
      let kept = 0;
      for (let round = 0; round < 30; round += 1) {
        await writer.query(insert(slot, now - 10 - round));
        await writer.query('BEGIN');
        await writer.query(insert(slot, now + 10 + round));
        // It has looked, and waits for the writer by then.
        const purged = purge(place, now);
        await setTimeout(20 + round);
        await writer.query('COMMIT');
        const { gone } = await purged;
        expect(gone).toBe(0);
        kept += 1;
        expect(await bySlot(place.url)).toEqual({ [slot]: 2 });
        await rowsOf(place.url, `TRUNCATE access_token_${slot}`);
      }
      expect(kept).toBe(30);
    });

    it('is not removed at another isolation level, which would not see it', async () => {
      const place = await fresh();
      const client = await session(place.url);
      await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
      await expect(client.query('SELECT oauth_empty_access_partition(1)')).rejects.toMatchObject({ code: '0A000' });
      await client.query('ROLLBACK');
    });
  });

  it('no look-up waits for long behind a purge that waits for somebody’s transaction', async () => {
    const place = await fresh();
    const [token] = await store(place, 5, HOUR / 2);
    const reader = await session(place.url);
    await reader.query('BEGIN');
    await reader.query('SELECT FROM access_token');
    const now = start + HOUR / 2 + HOUR;
    const purging = async () => {
      for (const untilMs = performance.now() + 6000; performance.now() < untilMs; )
        expect((await purge(place, now)).gone).toBe(0);
    };
    const purged = purging();
    const { calls, longest } = await callBeside(purged, () => accessOutcome(place.accessTokens, token.accessKey, now));
    await purged;
    await reader.query('COMMIT');
    expect(longest).toBeLessThan(0.5);
    expect(calls).toBeGreaterThan(20);
    expect((await purge(place, now)).gone).toBe(5);
  });

  describe('the key', () => {
    const lives = [HOUR / 2, 2 * HOUR, 2 * DAY, HOUR, DAY];
    const rowsOfGrant = async ({ url }: Fresh, grantId: Uint8Array) =>
      (await rowsOf(url, `SELECT slot FROM access_token WHERE grant_id = '\\x${Buffer.from(grantId).toString('hex')}'`))
        .length;

    it('of twenty that give a grant one digest at once, to live in different partitions, one is added', async () => {
      const place = await fresh();
      for (let round = 0; round < 10; round += 1) {
        const { grant, access } = await issue({ ...place, clock });
        const { grantId, retainUntil } = grant;
        const tokens = many(20, () => ({})).map((__, index) =>
          newAccess(start, {
            digest: newAccess(start).digest,
            expiresAt: start + Number(lives[index % lives.length]) - index,
          }),
        );
        const { digest } = tokens[0] as StoredAccessToken;
        const options = () => ({ now: start, attempt: newAttempt(), retainUntil });
        const outcomes = await Promise.all(
          tokens.map((token) => errorCode(place.accessTokens.addAccess(grantId, { ...token, digest }, options()))),
        );
        expect(outcomes.toSorted()).toEqual([...many(19, () => 'conflict'), 'none']);
        expect(await rowsOfGrant(place, grantId)).toBe(2);
        const late = { ...access, expiresAt: start + 2 * DAY };
        expect(await errorCode(place.accessTokens.addAccess(grantId, late, options()))).toBe('conflict');
        await expect(
          place.accessTokens.persist({ grant, access: late }, { now: start, attempt: newAttempt() }),
        ).rejects.toMatchObject({ code: 'conflict' });
      }
    });

    it('the repeat of an attempt finds its token, whatever partition it asks for', async () => {
      const place = await fresh();
      const { grant, refreshKey } = await issue({ ...place, clock });
      const options = { now: start, attempt: newAttempt(), retainUntil: grant.retainUntil };
      const access = newAccess(start, { expiresAt: start + 9 });
      for (const expiresAt of [start + 9, start + 2 * HOUR]) {
        expect(await place.accessTokens.addAccess(grant.grantId, { ...access, expiresAt }, options)).toBe('added');
      }
      const kept = newSuccessor(start, { refresh: { kept: true } });
      const request = { now: start, attempt: newAttempt() };
      for (const expiresAt of [start + 9, start + 2 * HOUR]) {
        const successor = { ...kept, access: { ...kept.access, expiresAt } };
        expect((await rotate(place.accessTokens, grant, refreshKey, successor, request)).outcome).toBe('rotated');
      }
      expect(await rowsOfGrant(place, grant.grantId)).toBe(3);
      const found = await place.accessTokens.findAccess(keyOf(grant, access), { now: start });
      expect(found).toMatchObject({ outcome: 'active', access: { expiresAt: start + 9 } });
    });
  });

  describe('the schema', () => {
    const catalogOf = (url: string) => Promise.all(catalogQueries.map((text) => rowsOf(url, text)));
    const flat = async (options: SchemaOptions = {}) => {
      const url = await newDatabase();
      await applySchema({ connectionString: url }, options);
      return { url, ...(await open(url, false)) };
    };

    it('of a table with rows becomes that of a new one, beside traffic, and no token is lost', async () => {
      const place = await flat();
      const tokens = await store(place, 200, HOUR);
      await rowsOf(
        place.url,
        `INSERT INTO access_token (grant_id, digest, issued_at, expires_at, attempt)
          SELECT int8send(n), int8send(n), 0, 1, '' FROM generate_series(1, 100000) AS n`,
      );
      let going = true;
      const issued: Issued[] = [];
      const traffic = many(4, async () => {
        while (going) {
          const [made] = await store(place, 1, HOUR);
          const { grant, refreshKey, accessKey } = made;
          const successor = newSuccessor(start);
          expect((await rotate(place.accessTokens, grant, refreshKey, successor, { now: start })).outcome).toBe(
            'rotated',
          );
          const options = { now: start, attempt: newAttempt(), retainUntil: grant.retainUntil };
          expect(await place.accessTokens.addAccess(grant.grantId, newAccess(start), options)).toBe('added');
          expect(await accessOutcome(place.accessTokens, accessKey, start)).toBe('active');
          expect(await accessOutcome(place.accessTokens, keyOf(grant, successor.access), start)).toBe('active');
          issued.push(made);
        }
      });
      const applied = await Promise.all([apply(place.url), apply(place.url)]);
      expect(applied.flat()).toEqual(['oauth-partitions.sql']);
      await setTimeout(100);
      going = false;
      await Promise.all(traffic);
      expect(issued.length).toBeGreaterThan(4);
      const after = await open(place.url);
      for (const { accessKey } of [...tokens, ...issued]) {
        expect(await accessOutcome(after.accessTokens, accessKey, start)).toBe('active');
      }
      expect(await catalogOf(place.url)).toEqual(await catalogOf((await fresh()).url));
      // What was there goes row by row, what comes now with its hour.
      expect(await purge(after, start, 1000)).toMatchObject({ gone: 1000, since: 1 });
    });

    it.each([
      ['before it begins', []],
      [
        'before it puts the partitions in the table’s place',
        [
          'ALTER TABLE access_token ADD COLUMN slot smallint NOT NULL DEFAULT 0',
          'ALTER TABLE access_token ADD CONSTRAINT access_token_slot CHECK (slot = 0)',
          'CREATE UNIQUE INDEX access_token_0_pk ON access_token (grant_id, digest, slot)',
        ],
      ],
    ])('waits for a long transaction %s, and look-ups do not wait for it; then it goes on', async (_, done) => {
      const place = await flat();
      for (const statement of done) await rowsOf(place.url, statement);
      const [token] = await store(place, 1, HOUR);
      const long = await session(place.url);
      await long.query('BEGIN');
      await long.query('SELECT FROM access_token');
      await expect(apply(place.url, { withinMs: 2500 })).rejects.toMatchObject({ code: 'timeout' });
      const applied = apply(place.url);
      const lookUps = callBeside(applied, async () =>
        expect(await accessOutcome(place.accessTokens, token.accessKey, start)).toBe('active'),
      );
      await setTimeout(3000);
      await long.query('COMMIT');
      expect(await applied).toEqual(['oauth-partitions.sql']);
      const { calls, longest } = await lookUps;
      expect(longest).toBeLessThan(0.5);
      expect(calls).toBeGreaterThan(90);
    });

    it('is made after an attempt that left an index that is not whole', async () => {
      const place = await flat();
      await rowsOf(place.url, 'ALTER TABLE access_token ADD COLUMN slot smallint NOT NULL DEFAULT 0');
      const twice = `INSERT INTO access_token (grant_id, digest, issued_at, expires_at, attempt) VALUES (int8send($1), '', 0, 1, '')`;
      const client = await session(place.url);
      for (const each of [1, 2]) await client.query(twice, [each]);
      await client
        .query('CREATE UNIQUE INDEX CONCURRENTLY access_token_0_pk ON access_token (digest)')
        .catch(({ code }) => expect(code).toBe('23505'));
      expect(await apply(place.url)).toEqual(['oauth-partitions.sql']);
      expect(await catalogOf(place.url)).toEqual(await catalogOf((await fresh()).url));
    });

    it('is refused to a configuration that does not ask for it, and to whom the tables are not', async () => {
      const { url } = await fresh();
      const connectionString = url;
      for (const look of [applySchema, findMissingScripts]) {
        await expect(look({ connectionString })).rejects.toMatchObject({
          code: 'unsupported',
          message: 'the access tokens are in expiry partitions: set expiryPartitions',
        });
      }
      const place = await flat();
      await rowsOf(
        place.url,
        `DO $$ BEGIN CREATE ROLE stranger LOGIN SUPERUSER; EXCEPTION WHEN duplicate_object THEN NULL; END $$`,
      );
      await expect(apply(as(place.url, 'stranger'))).rejects.toMatchObject({ code: 'unsupported' });
      expect(await findMissingScripts({ connectionString: place.url }, { partitions: true })).toEqual([
        'oauth-partitions.sql',
      ]);
    });

    it('can be run by hand again', async () => {
      const { url } = await fresh();
      const catalog = await catalogOf(url);
      await rowsOf(url, `DELETE FROM oauth_schema WHERE component = 'oauth-partitions'`);
      expect(await apply(url)).toEqual(['oauth-partitions.sql']);
      expect(await catalogOf(url)).toEqual(catalog);
    });

    it('that differs from the configuration is told by test-connection', async () => {
      const [{ url: withPartitions }, { url: without }] = [await fresh(), await flat()];
      const said = (connectionString: string, partitions: boolean) =>
        diagnose({ connectionString }, ['oauth-server', ...(partitions ? (['oauth-partitions'] as const) : [])]);
      expect(await said(without, true)).toEqual({
        fault:
          'the configuration says expiryPartitions, and access_token has none: apply sql/postgresql/oauth-partitions.sql',
      });
      expect(await said(withPartitions, false)).toEqual({
        fault: 'access_token has expiry partitions, and the configuration does not say so: set expiryPartitions',
      });
      for (const [url, partitions] of [
        [withPartitions, true],
        [without, false],
      ] as const) {
        expect(await said(url, partitions)).toHaveProperty('found');
      }
    });
  });

  it('functions that do not know of them yet go on, but for their purge, which takes nothing', async () => {
    const place = await fresh();
    const old = await open(place.url, false);
    const tokens = [...(await store(old, 20, HOUR)), ...(await store(place, 20, HOUR))];
    for (const { grant, refreshKey, accessKey } of tokens) {
      expect((await rotate(old.accessTokens, grant, refreshKey, newSuccessor(start), { now: start })).outcome).toBe(
        'rotated',
      );
      const options = { now: start, attempt: newAttempt(), retainUntil: grant.retainUntil };
      expect(await old.accessTokens.addAccess(grant.grantId, newAccess(start), options)).toBe('added');
      expect(await accessOutcome(old.accessTokens, accessKey, start)).toBe('active');
    }
    await expect(purge(old, start + HOUR)).rejects.toMatchObject({ code: 'unsupported' });
    expect(await bySlot(place.url)).toEqual({ 0: 100, [slotOf(HOUR, start + HOUR)]: 20 });
    expect(await purge(place, start + HOUR)).toEqual({ gone: 100, ...none });
  });

  describe.each([
    ['before', false],
    ['after', true],
  ])('users that were made %s the partitions', (_, after) => {
    it('purge if they may remove tokens, and nobody may empty a partition by its name', async () => {
      const url = await newDatabase();
      if (after) await apply(url);
      else await applySchema({ connectionString: url }, { roles: true });
      await apply(url, { roles: true });
      const now = start + HOUR / 2 + HOUR;
      const may: Record<string, number | string | undefined> = {};
      for (const user of ['oauth_purger', 'oauth_writer', 'oauth_reader', 'oauth_checker']) {
        await rowsOf(url, insert(slotOf(HOUR, now - 1), now - 1));
        const engine = await open(as(url, user));
        may[user] = await purge(engine, now).then(
          ({ gone }) => gone,
          ({ code }) => code,
        );
        await rowsOf(url, `TRUNCATE access_token_${slotOf(HOUR, now - 1)}`);
        const client = await session(as(url, user));
        for (const purging of [`oauth_empty_access_partition(${now})`, `oauth_purge_access_tokens(${now}, 1)`]) {
          const refused = await client.query(`SELECT ${purging}`).catch(({ code }) => code);
          expect([user, refused === '42501']).toEqual([user, /reader|checker/.test(user)]);
        }
        for (const slot of [0, 1, 6]) {
          for (const text of ['TRUNCATE', 'SELECT FROM', 'DELETE FROM']) {
            await expect(client.query(`${text} access_token_${slot}`)).rejects.toMatchObject({ code: '42501' });
          }
        }
      }
      expect(may).toEqual({
        oauth_purger: 1,
        oauth_writer: 1,
        oauth_reader: 'unsupported',
        oauth_checker: 'unsupported',
      });
      // What runs as the owner takes no table of the caller for one of its own.
      const owners = `SELECT proconfig::text AS set FROM pg_proc WHERE prosecdef AND proname LIKE 'oauth%'`;
      const set = (await rowsOf(url, owners)).map((row) => /search_path=public, pg_temp/.test(row.set));
      expect(set).toEqual([true, true, true]);
      const writer = await open(as(url, 'oauth_writer'));
      const [token] = await store(writer, 1, HOUR);
      const reader = await open(as(url, 'oauth_reader'));
      expect(await accessOutcome(reader.accessTokens, token.accessKey, start)).toBe('active');
    });
  });
});
