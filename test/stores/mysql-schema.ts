import { readFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import mysql from 'mysql2/promise';
import { describe, expect, it } from 'vitest';
import { statementsOf } from '../../functions/stores/mysql-schema.ts';
import type { Component, Diagnosis } from '../../functions/stores/sql-diagnosis.ts';
import { packagedScripts, type SchemaOptions } from '../../functions/stores/sql-schema.ts';
import type { DatabaseSettings } from '../../functions/stores/sql-settings.ts';
import { createVirtualClock } from '../conformance/index.ts';
import { everyOperation } from '../conformance/operations.ts';
import { issue, newDigest, newSuccessor, rotate } from '../conformance/records.ts';
import { type Command, run } from '../engines/launch.ts';
import { callBeside } from './beside.ts';
import { newDatabase, query, settingsOf, type Tested } from './mysql-server.ts';

// The schema and the users of MySQL and MariaDB, on a real server.

interface TestedSchema extends Tested {
  findMissingScripts(settings: DatabaseSettings, options?: SchemaOptions): Promise<string[]>;
  diagnose(settings: DatabaseSettings, components: readonly Component[]): Promise<Diagnosis>;
}

const SCRIPTS = ['oauth-server.sql', 'oauth-client.sql', 'oauth-roles.sql'];
const PASSWORD = 'Mellon-2026';

/** Everything that the scripts make, as the server describes it. */
async function catalogOf(settings: DatabaseSettings): Promise<unknown> {
  const tables = await query<{ name: string }>(
    settings,
    'SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY 1',
  );
  const texts = tables.map(async ({ name }) => (await query(settings, `SHOW CREATE TABLE ${name}`))[0]);
  const routines = await query<{ name: string; body: string; mode: string }>(
    settings,
    `SELECT routine_name AS name, routine_definition AS body, sql_mode AS mode, security_type FROM information_schema.routines
      WHERE routine_schema = DATABASE() ORDER BY 1`,
  );
  const parameters = await query(
    settings,
    `SELECT specific_name, ordinal_position, parameter_name, data_type, character_maximum_length, collation_name
      FROM information_schema.parameters WHERE specific_schema = DATABASE() ORDER BY 1, 2`,
  );
  // Clients differ in whether they send comments.
  const bare = (text: string) => text.replaceAll(/^\s*--.*$/gm, '').replaceAll(/\s*\n\s*/g, '\n');
  return {
    tables: await Promise.all(texts),
    routines: routines.map((routine) => ({ ...routine, body: bare(routine.body) })),
    parameters,
    versions: await query(settings, 'SELECT * FROM oauth_schema ORDER BY 1'),
  };
}

export function describeSchema(tested: TestedSchema, url: string, clientCommand: string | undefined): void {
  const { name: engine, createEngine, applySchema, findMissingScripts, diagnose } = tested;
  const apply = (settings: DatabaseSettings, options: SchemaOptions = {}) =>
    applySchema(settings, { roles: true, ...options });

  describe(`${engine}: versions`, () => {
    it('a new database gets every script once, however many apply them at once', async () => {
      const settings = await newDatabase(url);
      const applied = await Promise.all(Array.from({ length: 6 }, () => apply(settings)));
      expect(applied.flat().toSorted()).toEqual(SCRIPTS.toSorted());
      expect(await apply(settings)).toEqual([]);
      expect(await findMissingScripts(settings, { roles: true })).toEqual([]);
    });

    it('a script that broke off anywhere is run to its end by the next who applies it, by hand or not', async () => {
      const [whole, text] = [await newDatabase(url), (await packagedScripts(engine))['oauth-server.sql'] ?? ''];
      await apply(whole, { roles: false });
      const catalog = await catalogOf(whole);
      const statements = statementsOf(text);
      for (const done of [3, 4, 8, statements.length - 3]) {
        const broken = await newDatabase(url);
        await query(broken, ...statements.slice(0, done));
        expect(await findMissingScripts(broken)).toEqual(['oauth-server.sql', 'oauth-client.sql']);
        expect(await diagnose(broken, ['oauth-server'])).toHaveProperty('fault');
        await apply(broken, { roles: false });
        expect(await catalogOf(broken)).toEqual(catalog);
      }
    });

    it('a newer one is refused in words, and so is what others made', async () => {
      const refusal = async (...changes: string[]) => {
        const settings = await newDatabase(url);
        await query(settings, ...changes);
        return apply(settings).catch((error) => `${error.code}: ${error.message}`);
      };
      const newer = await newDatabase(url);
      await apply(newer);
      await query(newer, `UPDATE oauth_schema SET version = 3 WHERE component = 'oauth-server'`);
      await expect(apply(newer)).rejects.toThrow('oauth-server is of version 3, and this package knows 2');
      expect(await refusal('CREATE TABLE artifact (id int)')).toMatch(
        /^unsupported: the database has artifact already/,
      );
      const strange = 'unsupported: the table oauth_schema is not one that this package made';
      expect(await refusal('CREATE TABLE oauth_schema (number int)')).toBe(strange);
      expect(
        await refusal(
          'CREATE TABLE oauth_schema (component varchar(20), version text)',
          `INSERT INTO oauth_schema VALUES ('oauth-server', 'x')`,
        ),
      ).toBe(strange);
    });

    const byHand = clientCommand === undefined ? it.skip : it;
    byHand('by hand, with the client of the server and again and again, they make the same', async () => {
      const [settings, applied] = [await newDatabase(url), await newDatabase(url)];
      await apply(applied, { partitions: true });
      const { host, port, user } = settingsOf(url);
      const client = JSON.parse(String(clientCommand)) as Command;
      const place = ['--no-defaults', `--host=${host}`, `--port=${port}`, `--user=${user}`, '--protocol=tcp'];
      const scripts = ['oauth-server.sql', 'oauth-client.sql', 'oauth-partitions.sql', 'oauth-roles.sql'];
      for (const path of [...scripts, ...scripts]) {
        const script = new URL(`../../sql/${engine}/${path}`, import.meta.url).pathname;
        const command = [...client, ...place, '--default-character-set=utf8mb4', String(settings.database)];
        await run(['sh', '-c', 'exec "$@" < "$0"', script, ...command]);
      }
      expect(await apply(settings, { partitions: true })).toEqual([]);
      expect(await catalogOf(settings)).toEqual(await catalogOf(applied));
    });

    it('every script says at its head how it is run, and whatever it makes is of this engine alone', async () => {
      for (const path of SCRIPTS) {
        const text = await readFile(new URL(`../../sql/${engine}/${path}`, import.meta.url), 'utf8');
        expect(text).toContain(`${engine} --default-character-set=utf8mb4 DATABASE < ${path}`);
      }
    });
  });

  describe(`${engine}: beside traffic`, () => {
    /** The next version: this script upgrades to it. */
    const versionThree = async (script: string) => {
      const scripts = await packagedScripts(engine);
      return {
        ...scripts,
        'oauth-server.sql': String(scripts['oauth-server.sql']).replace("('oauth-server', 2)", "('oauth-server', 3)"),
        'upgrades/oauth-server-3.sql': `${script}\nUPDATE oauth_schema SET version = 3 WHERE component = 'oauth-server';`,
      };
    };
    const openTransaction = async (settings: DatabaseSettings) => {
      const { host = '', port = 0, user = '', database = '' } = settings;
      const connection = await mysql.createConnection({ host, port, user, database });
      await connection.query('BEGIN');
      await connection.query('SELECT * FROM oauth_grant');
      return connection;
    };

    it('an upgrade that needs a table to itself waits for a long transaction, and no look-up waits for the upgrade', async () => {
      const settings = await newDatabase(url);
      await apply(settings);
      const long = await openTransaction(settings);
      const scripts = await versionThree('ALTER TABLE oauth_grant ADD COLUMN note VARCHAR(10);');
      let applied: string[] | undefined;
      const upgrade = apply(settings, { scripts }).then((paths) => {
        applied = paths;
      });
      const looking = await mysql.createConnection({ uri: url });
      const lookUps = callBeside(upgrade, () =>
        looking.query(`SELECT 1 FROM ${settings.database}.oauth_grant WHERE grant_id = x'00'`),
      );
      await setTimeout(5000);
      expect(applied).toBeUndefined();
      await long.end();
      await upgrade;
      expect(applied).toEqual(['upgrades/oauth-server-3.sql']);
      const { calls, longest } = await lookUps;
      await looking.end();
      expect(longest).toBeLessThan(0.5);
      expect(calls).toBeGreaterThan(50);
    });

    it('an upgrade that cannot have its lock in time says so', async () => {
      const settings = await newDatabase(url);
      await apply(settings);
      const long = await openTransaction(settings);
      const scripts = await versionThree('ALTER TABLE oauth_grant ADD COLUMN note VARCHAR(10);');
      const error = await apply(settings, { scripts, withinMs: 2500 }).catch((failure) => failure);
      await long.end();
      expect(error).toMatchObject({ code: 'timeout', retryable: true });
      expect(error.cause.message).toMatch(/^upgrades\/oauth-server-3\.sql: Lock wait timeout exceeded/);
    });
  });

  describe(`${engine}: names`, () => {
    it('one that is too long is refused and never cut, be it by a space at its end; one of full length is told apart by it', async () => {
      const clock = createVirtualClock(Date.now());
      const now = clock.now();
      const settings = await newDatabase(url);
      await apply(settings, { roles: false });
      const opened = createEngine(settings, clock.nowMs);
      const long = (length: number, end: string) => `${'x'.repeat(length - 1)}${end}`;
      const longest = { clientId: 255, subject: 512, applicationId: 255, consentId: 512 };
      for (const [field, length] of Object.entries(longest)) {
        for (const end of ['xy', 'x ']) {
          const stored = issue({ ...opened, clock }, { grant: { [field]: long(length, end) } });
          await expect(stored).rejects.toMatchObject({ code: 'invalid' });
        }
        for (const end of ['x', ' ']) await issue({ ...opened, clock }, { grant: { [field]: long(length, end) } });
        const { grants } = await opened.accessTokens.listGrants({ [field]: long(length, ' ') }, { limit: 9 });
        expect(grants.map(({ grant }) => grant[field as keyof typeof longest])).toEqual([long(length, ' ')]);
      }
      const { grant, refreshKey } = await issue({ ...opened, clock }, { grant: { clientId: long(255, 'x') } });
      const stranger = { now, clientId: `${grant.clientId} ` };
      const rotated = rotate(opened.accessTokens, grant, refreshKey, newSuccessor(now), stranger);
      await expect(rotated).rejects.toMatchObject({ code: 'invalid' });
      const expiresAt = now + 60;
      const data = Buffer.from('token');
      const put = (key: string) => opened.clientAccessTokens.put({ clientId: 'c', key, expiresAt, data });
      await put(long(512, 'x'));
      await expect(put(long(512, 'x '))).rejects.toMatchObject({ code: 'invalid' });
      const kept = (kind: string) => opened.artifacts.put({ kind, id: newDigest(), expiresAt, data }, { now });
      await kept(long(64, ' '));
      await expect(kept(long(64, 'x '))).rejects.toMatchObject({ code: 'invalid' });
      await opened.close();
    });
  });

  describe(`${engine}: users`, () => {
    const clock = createVirtualClock(Date.now());
    const now = clock.now();
    const reads = /\.(find\w*|get|list\w+)$/;
    /** What each may do; whatever is not named here is refused. */
    const permitted: Record<string, (operation: string) => boolean> = {
      oauth_reader: (operation) => reads.test(operation) && !operation.startsWith('artifacts.'),
      oauth_checker: (operation) => reads.test(operation) || operation.startsWith('artifacts.'),
      oauth_writer: () => true,
      // What it removes it finds by its keys, so it can remove one that is named to it as well.
      oauth_purger: (operation) => /\.(purgeExpired|remove)$/.test(operation),
    };
    const admitted = async (settings: DatabaseSettings, user: string) => {
      await query(settings, `ALTER USER '${user}'@'%' IDENTIFIED BY '${PASSWORD}' ACCOUNT UNLOCK`);
      return { ...settings, user, password: PASSWORD };
    };

    it('nobody can log in as one of them until it is said how', async () => {
      const settings = await newDatabase(url);
      await query(settings, `DROP USER IF EXISTS 'oauth_reader'@'%'`);
      await apply(settings);
      const refused = createEngine({ ...settings, user: 'oauth_reader' }, clock.nowMs);
      await expect(refused.clientAccessTokens.get('c', 'k', { now })).rejects.toMatchObject({ code: 'unavailable' });
      await refused.close();
    });

    const layouts = Object.keys(permitted).flatMap((user) => [false, true].map((partitions) => ({ user, partitions })));
    it.each(layouts)(
      '$user can do what its functions do, and nothing else; expiry partitions: $partitions',
      async (each) => {
        const { user, partitions } = each;
        const settings = { ...(await newDatabase(url)), expiryPartitions: partitions };
        await apply(settings, { partitions });
        const owner = createEngine(settings, clock.nowMs);
        const engine = createEngine(await admitted(settings, user), clock.nowMs);
        const issued = await issue({ ...owner, clock });
        const found: Record<string, boolean> = {};
        const expected: Record<string, boolean> = {};
        for (const [operation, call] of everyOperation(now, issued)) {
          const refused = await call(engine).then(
            () => false,
            (error) => {
              expect([1142, 1143, 1370]).toContain(error.cause?.errno);
              expect(error).toMatchObject({ code: 'unsupported' });
              return true;
            },
          );
          found[operation] = !refused;
          expected[operation] = permitted[user]?.(operation) ?? false;
          if (refused) await call(owner);
        }
        expect(found).toEqual(expected);
        await Promise.all([owner.close(), engine.close()]);
      },
    );

    it('test-connection says in words what is wrong', async () => {
      const settings = await newDatabase(url);
      const said = async (changes: Partial<DatabaseSettings> = {}, ...more: Component[]) => {
        const parts: Component[] = ['oauth-server', 'oauth-client', ...more];
        const { fault } = (await diagnose({ ...settings, ...changes }, parts)) as { fault?: string };
        return fault;
      };
      expect(await said()).toContain(`apply sql/${engine}/oauth-server.sql`);
      await query(settings, ...statementsOf((await packagedScripts(engine))['oauth-server.sql'] ?? '').slice(0, -1));
      expect(await said()).toBe(
        `the schema oauth-server is of the wrong version 0: 2 is needed; apply sql/${engine}/oauth-server.sql to its end`,
      );
      await apply(settings);
      expect(await said()).toBeUndefined();
      expect(await said({ database: 'nowhere' })).toContain('the database "nowhere" is missing');
      expect(await said({ port: 1 })).toContain('the port is refused');
      const writer = await admitted(settings, 'oauth_writer');
      expect(await said(writer)).toBeUndefined();
      expect(await said({ ...writer, password: 'wrong' })).toContain('the login as "oauth_writer" failed');
      expect(await said(writer, 'oauth-partitions')).toContain(`apply sql/${engine}/oauth-partitions.sql`);
      await apply(settings, { partitions: true });
      expect(await said(writer, 'oauth-partitions')).toBeUndefined();
      expect(await said(writer)).toContain('set expiryPartitions');
      await query(settings, `REVOKE EXECUTE ON PROCEDURE oauth_empty_access_partitions FROM 'oauth_writer'@'%'`);
      const lackOfOne = 'lacks privileges on oauth_empty_access_partitions (EXECUTE): grant them';
      expect(await said(writer, 'oauth-partitions')).toContain(lackOfOne);
      await query(settings, `REVOKE EXECUTE ON PROCEDURE oauth_rotate FROM 'oauth_writer'@'%'`);
      expect(await said(writer)).toContain('lacks privileges on oauth_rotate (EXECUTE)');
      await query(settings, `REVOKE INSERT, UPDATE ON access_token FROM 'oauth_writer'@'%'`);
      expect(await said(writer)).toContain('lacks privileges on access_token (INSERT, UPDATE), oauth_rotate (EXECUTE)');
    });
  });
}
