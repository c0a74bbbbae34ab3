import { readFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Engine } from '../../functions/domain/ports.ts';
import { createEngine } from '../../functions/stores/postgresql.ts';
import { partitioned } from '../../functions/stores/postgresql-partitions.ts';
import { applySchema, findMissingScripts } from '../../functions/stores/postgresql-schema.ts';
import * as statements from '../../functions/stores/postgresql-statements.ts';
import { packagedScripts, type SchemaOptions } from '../../functions/stores/sql-schema.ts';
import { createVirtualClock } from '../conformance/index.ts';
import { everyOperation } from '../conformance/operations.ts';
import { issue } from '../conformance/records.ts';
import { callBeside } from './beside.ts';
import { as, catalogQueries, hasPostgresql, postgresqlDatabases } from './postgresql-databases.ts';

// The schema's versions and the users of oauth-roles.sql, on a real server: embedded there is one session and no other user.

const onServed = hasPostgresql ? describe : () => {};

onServed('the schema, on a server', async () => {
  const { newDatabase, session, rowsOf } = await postgresqlDatabases();
  const apply = (connectionString: string, options: SchemaOptions = {}) =>
    applySchema({ connectionString }, { roles: true, ...options });
  const versionOne = async () => ({
    ...(await packagedScripts('postgresql')),
    'oauth-server.sql': await readFile(new URL('schemas/oauth-server-1.sql', import.meta.url), 'utf8'),
  });
  /** The next version: this script upgrades to it, and a new database would get it at once. */
  const versionThree = async (script: string) => {
    const scripts = await packagedScripts('postgresql');
    return {
      ...scripts,
      'oauth-server.sql': String(scripts['oauth-server.sql']).replace("('oauth-server', 2)", "('oauth-server', 3)"),
      'upgrades/oauth-server-3.sql': `${script}\nUPDATE oauth_schema SET version = 3 WHERE component = 'oauth-server';`,
    };
  };
  const catalogOf = (url: string) => Promise.all(catalogQueries.map((text) => rowsOf(url, text)));

  describe('versions', () => {
    it('an upgrade from version 1 leaves exactly what a new database gets', async () => {
      const [fresh, upgraded] = [await newDatabase(), await newDatabase()];
      const scripts = await versionOne();
      expect(await apply(upgraded, { scripts })).toEqual(['oauth-server.sql', 'oauth-client.sql', 'oauth-roles.sql']);
      expect(await findMissingScripts({ connectionString: upgraded }, { roles: true })).toEqual([
        'upgrades/oauth-server-2.sql',
      ]);
      expect(await apply(upgraded)).toEqual(['upgrades/oauth-server-2.sql']);
      await apply(fresh);
      const catalog = await catalogOf(fresh);
      expect(await catalogOf(upgraded)).toEqual(catalog);
      expect(JSON.stringify(catalog)).toContain('fillfactor=75');
      expect(await apply(upgraded)).toEqual([]);
    });

    it('of many callers at once each script is run by one', async () => {
      const url = await newDatabase();
      const applied = await Promise.all(Array.from({ length: 8 }, () => apply(url)));
      expect(applied.flat().toSorted()).toEqual(['oauth-client.sql', 'oauth-roles.sql', 'oauth-server.sql']);
    });

    it('the scripts can be run by hand, again and again', async () => {
      const url = await newDatabase();
      const scripts = await packagedScripts('postgresql');
      const paths = ['oauth-server.sql', 'oauth-client.sql', 'oauth-roles.sql', 'upgrades/oauth-server-2.sql'];
      for (const path of [...paths, ...paths]) await rowsOf(url, String(scripts[path]));
      expect(await apply(url)).toEqual([]);
    });

    it('a newer one is refused in words, and so is what others made', async () => {
      const refusal = async (...changes: string[]) => {
        const url = await newDatabase();
        for (const change of changes) await rowsOf(url, change);
        return apply(url).catch((error) => `${error.code}: ${error.message}`);
      };
      const newer = await newDatabase();
      await apply(newer);
      await rowsOf(newer, `UPDATE oauth_schema SET version = 3 WHERE component = 'oauth-server'`);
      await expect(apply(newer)).rejects.toThrow(
        'the schema oauth-server is of version 3, and this package knows 2: it was upgraded by a newer package, so use that one',
      );
      expect(await refusal('CREATE TABLE artifact (id int)')).toBe(
        'unsupported: the database has artifact already, and no version of oauth-server: give the stores a database of their own, or where oauth-server.sql was interrupted run it to its end by hand',
      );
      const strange = 'unsupported: the table oauth_schema is not one that this package made';
      expect(await refusal('CREATE TABLE oauth_schema (number int)')).toBe(strange);
      expect(
        await refusal(
          'CREATE TABLE oauth_schema (component text, version text)',
          "INSERT INTO oauth_schema VALUES ('oauth-server', 'x')",
        ),
      ).toBe(strange);
    });

    it('a script that fails leaves nothing of itself, and says which it was and why', async () => {
      const url = await newDatabase();
      await apply(url);
      const scripts = await versionThree(
        'ALTER TABLE oauth_grant ADD COLUMN note text; ALTER TABLE nowhere ADD COLUMN x int;',
      );
      const error = await apply(url, { scripts }).catch((failure) => failure);
      expect(error.cause.message).toBe('upgrades/oauth-server-3.sql: relation "nowhere" does not exist');
      expect(await findMissingScripts({ connectionString: url }, { scripts })).toEqual(['upgrades/oauth-server-3.sql']);
      expect(await rowsOf(url, `SELECT FROM pg_attribute WHERE attname = 'note'`)).toEqual([]);
    });
  });

  describe('beside traffic', () => {
    const lookUpBeside = async (work: Promise<unknown>, url: string) => {
      const client = await session(url);
      return callBeside(work, () => client.query(`SELECT FROM oauth_grant WHERE grant_id = '\\x00'`));
    };

    it('an upgrade that needs a table to itself waits for a long transaction, and no look-up waits for the upgrade', async () => {
      const url = await newDatabase();
      await apply(url);
      const long = await session(url);
      await long.query('BEGIN');
      await long.query('SELECT FROM oauth_grant');
      const scripts = await versionThree('ALTER TABLE oauth_grant ADD COLUMN note text;');
      let applied: string[] | undefined;
      const upgrade = apply(url, { scripts }).then((paths) => {
        applied = paths;
      });
      const lookUps = lookUpBeside(upgrade, url);
      await setTimeout(3000);
      expect(applied).toBeUndefined();
      await long.query('COMMIT');
      await upgrade;
      expect(applied).toEqual(['upgrades/oauth-server-3.sql']);
      const { calls, longest } = await lookUps;
      expect(longest).toBeLessThan(0.5);
      expect(calls).toBeGreaterThan(50);
    });

    it('an upgrade that cannot have its lock in time says so', async () => {
      const url = await newDatabase();
      await apply(url);
      const long = await session(url);
      await long.query('BEGIN');
      await long.query('SELECT FROM oauth_grant');
      const scripts = await versionThree('ALTER TABLE oauth_grant ADD COLUMN note text;');
      const error = await apply(url, { scripts, withinMs: 1500 }).catch((failure) => failure);
      expect(error).toMatchObject({ code: 'timeout', retryable: true });
      expect(error.cause.message).toBe('upgrades/oauth-server-3.sql: canceling statement due to lock timeout');
      await long.query('COMMIT');
    });

    it('an index is made beside writers, outside a transaction, and again after an attempt that broke off', async () => {
      const url = await newDatabase();
      await apply(url);
      await rowsOf(
        url,
        `INSERT INTO access_token SELECT int8send(n), int8send(n), n % 2, 1, NULL, '' FROM generate_series(1, 10) AS n`,
      );
      const concurrently = (unique: string) => `-- outside a transaction: it can be run again from its start
DROP INDEX CONCURRENTLY IF EXISTS access_token_issued;
CREATE ${unique} INDEX CONCURRENTLY access_token_issued ON access_token (issued_at);
`;
      await expect(apply(url, { scripts: await versionThree(concurrently('UNIQUE')) })).rejects.toThrow('23505');
      const valid = `SELECT indisvalid FROM pg_index WHERE indexrelid = 'access_token_issued'::regclass`;
      expect(await rowsOf(url, valid)).toEqual([{ indisvalid: false }]);

      const writer = await session(url);
      await writer.query('BEGIN');
      await writer.query(`DELETE FROM access_token WHERE grant_id = int8send(1)`);
      const scripts = await versionThree(concurrently(''));
      const upgrades = Promise.all([apply(url, { scripts }), apply(url, { scripts })]);
      const lookUps = lookUpBeside(upgrades, url);
      await setTimeout(2000);
      await rowsOf(url, `DELETE FROM access_token WHERE grant_id = int8send(2)`);
      await writer.query('COMMIT');
      expect((await upgrades).flat()).toEqual(['upgrades/oauth-server-3.sql']);
      expect(await rowsOf(url, valid)).toEqual([{ indisvalid: true }]);
      expect((await lookUps).longest).toBeLessThan(0.5);
    });
  });

  describe('users', () => {
    const clock = createVirtualClock(Date.now());
    const now = clock.now();
    const reads = /\.(find\w*|get|list\w+)$/;
    /** What each may do; whatever is not named here is refused. */
    const permitted: Record<string, (operation: string) => boolean> = {
      oauth_reader: (operation) => reads.test(operation) && !operation.startsWith('artifacts.'),
      oauth_checker: (operation) => reads.test(operation) || operation.startsWith('artifacts.'),
      oauth_writer: () => true,
      oauth_purger: (operation) => operation.endsWith('.purgeExpired'),
    };

    it.each(Object.keys(permitted))('%s can do what its functions do, and nothing else', async (user) => {
      const url = await newDatabase();
      await apply(url);
      const open = (name?: string) =>
        createEngine({ connectionString: as(url, name), pool: { maxActive: 1 } }, clock.nowMs);
      const owner: Engine = await open();
      const engine = await open(user);
      const issued = await issue({ ...owner, clock });
      const found: Record<string, boolean> = {};
      const expected: Record<string, boolean> = {};
      for (const [operation, call] of everyOperation(now, issued)) {
        const refused = await call(engine).then(
          () => false,
          (error) => {
            expect(error).toMatchObject({ code: 'unsupported', cause: { code: '42501' } });
            return true;
          },
        );
        found[operation] = !refused;
        expected[operation] = permitted[user]?.(operation) ?? false;
        if (refused) await call(owner);
      }
      expect(found).toEqual(expected);
      await Promise.all([owner.close(), engine.close()]);
    });

    it('oauth_purger can read no digest, no subject and no record, and make no token live longer', async () => {
      const url = await newDatabase();
      await apply(url);
      const client = await session(as(url, 'oauth_purger'));
      const columns = await rowsOf(
        url,
        `SELECT attrelid::regclass::text AS relation, attname AS name FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
          WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0 AND relname <> 'oauth_schema'`,
      );
      const allowed = async (statement: (column: { relation: string; name: string }) => string) => {
        const done: string[] = [];
        for (const column of columns as { relation: string; name: string }[]) {
          const refused = await client.query(statement(column)).then(
            () => false,
            ({ code }) => code === '42501',
          );
          if (!refused) done.push(`${column.relation}.${column.name}`);
        }
        return done.toSorted();
      };
      expect(await allowed(({ relation, name }) => `SELECT ${name} FROM ${relation}`)).toEqual([
        'access_token.expires_at',
        'artifact.expires_at',
        'artifact.retain_until',
        'authorization_code.retain_until',
        'client_access_token.expires_at',
        'foreign_token.retain_until',
        'oauth_grant.retain_until',
        'revocation.retain_until',
      ]);
      expect(await allowed(({ relation, name }) => `UPDATE ${relation} SET ${name} = NULL WHERE false`)).toEqual([
        'access_token.attempt',
        'artifact.retain_until',
        'authorization_code.retain_until',
        'client_access_token.expires_at',
        'foreign_token.retain_until',
        'oauth_grant.retain_until',
        'revocation.retain_until',
      ]);
    });

    it('none can change the schema, or say that it is of another version', async () => {
      const url = await newDatabase();
      await apply(url);
      for (const user of Object.keys(permitted)) {
        const client = await session(as(url, user));
        for (const change of [
          'ALTER TABLE oauth_grant ADD COLUMN x int',
          'TRUNCATE access_token',
          'UPDATE oauth_schema SET version = 9',
        ]) {
          await expect(client.query(change)).rejects.toMatchObject({ code: '42501' });
        }
      }
    });

    it('are made by a master user as Amazon RDS has it, no superuser, and log in by IAM alone there', async () => {
      const url = await newDatabase();
      for (const statement of [
        'DO $$ BEGIN CREATE ROLE rds_iam; EXCEPTION WHEN duplicate_object THEN NULL; END $$',
        'DO $$ BEGIN CREATE ROLE master LOGIN CREATEROLE; EXCEPTION WHEN duplicate_object THEN NULL; END $$',
        'GRANT rds_iam TO master WITH ADMIN OPTION',
        `ALTER DATABASE ${new URL(url).pathname.slice(1)} OWNER TO master`,
      ]) {
        await rowsOf(url, statement);
      }
      await apply(as(url, 'master'));
      const members = await rowsOf(
        url,
        `SELECT member::regrole::text AS member FROM pg_auth_members WHERE roleid = 'rds_iam'::regrole AND member <> 'master'::regrole
          ORDER BY 1`,
      );
      expect(members.map(({ member }) => member)).toEqual(Object.keys(permitted).toSorted());
    });
  });

  it('no statement is so long that RDS Proxy pins its connection', () => {
    const texts = (value: unknown): string[] =>
      typeof value === 'string'
        ? [value]
        : typeof value === 'object' && value
          ? Object.values(value).flatMap(texts)
          : [];
    for (const layout of [statements, partitioned]) {
      expect(texts(layout).length).toBeGreaterThan(40);
      expect(Math.max(...texts(layout).map((text) => text.length))).toBeLessThan(16_384);
    }
  });
});
