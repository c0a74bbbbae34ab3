import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { databaseUsers, loginsOf } from '../../functions/config/database-users.ts';

// The scripts of all database management systems say the same: tables, columns in one order, indexes by name, a column on a
// line. Whatever folder comes to sql/ is compared as well; Cassandra's is of another kind.

const root = fileURLToPath(new URL('../../sql/', import.meta.url));
const MODEL = 'postgresql';
const others = readdirSync(root).filter((folder) => folder !== MODEL && folder !== 'cassandra');

interface Schema {
  /** Columns by table, in their order. */
  readonly tables: Record<string, string[]>;
  readonly indexes: string[];
  readonly version: number;
}

const SEPARATE_INDEX = /\bINDEX\s+(?:IF NOT EXISTS\s+)?(\w+)\s+ON\s+\w+/gi;
const INDEX_WITHIN = /^\s*(?:KEY|INDEX)\s+(\w+)\s*[( ]/gim;
const CONSTRAINT = /^(constraint|key|index|primary|unique|period)$/;

function schemaOf(folder: string, script: string): Schema {
  const text = readFileSync(`${root}${folder}/${script}`, 'utf8').replaceAll(/--.*$/gm, '');
  const tables: Record<string, string[]> = {};
  for (const [, name = '', body = ''] of text.matchAll(
    /\bCREATE TABLE (?:IF NOT EXISTS )?(\w+)\s*\(\s*\n([\s\S]*?)\n\s*\)/gi,
  )) {
    const lines = body.split('\n').filter((line) => line.trim() !== '');
    const columns = lines
      // An index on an expression is one on a column that holds it, where the system knows no other.
      .filter((line) => !/\bAS\s*\(.*\)/i.test(line))
      .map((line) => /^\s*["`[]?(\w+)["`\]]?\s+\S/.exec(line)?.[1]?.toLowerCase() ?? line)
      .filter((word) => !CONSTRAINT.test(word));
    tables[name.toLowerCase()] = columns;
  }
  const indexes = [...text.matchAll(SEPARATE_INDEX), ...text.matchAll(INDEX_WITHIN)].map(([, name]) =>
    String(name).toLowerCase(),
  );
  const versions = [...text.matchAll(/'oauth-(?:server|client)', (\d+)/g)].map(([, version]) => Number(version));
  return { tables, indexes: [...new Set(indexes)].toSorted(), version: Math.max(...versions) };
}

describe.each(['oauth-server.sql', 'oauth-client.sql'])('%s', (script) => {
  const model = schemaOf(MODEL, script);

  it('of PostgreSQL is read by this test', () => {
    expect(Object.keys(model.tables).length).toBeGreaterThan(1);
    for (const columns of Object.values(model.tables)) expect(columns.length).toBeGreaterThan(1);
    expect(model.indexes.length).toBeGreaterThan(0);
  });

  it.each(others)('of %s has the same tables, columns in the same order, indexes and version', (folder) => {
    const schema = schemaOf(folder, script);
    expect(schema.tables).toEqual(model.tables);
    expect(schema.indexes).toEqual(model.indexes);
    expect(schema.version).toBe(model.version);
  });
});

/** What may be done by whom with a table or procedure; columns, where a privilege is for some only, are left out. */
type Privileges = Record<string, Record<string, string[]>>;

const listOf = (text: string) =>
  text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');

function privilegesOf(folder: string): Privileges {
  const text = readFileSync(`${root}${folder}/oauth-roles.sql`, 'utf8').replaceAll(/--.*$/gm, '');
  const privileges: Privileges = {};
  for (const [, what = '', on = '', to = ''] of text.matchAll(
    /\bGRANT ((?:SELECT|READ|INSERT|UPDATE|DELETE|EXECUTE)\b[^;@]*?)\sON (?:PROCEDURE )?([^;@]+?)\sTO ([^;]+?)(?:'\)|;|@$)/gm,
  )) {
    const names = listOf(what.replaceAll(/\(.*?\)/g, '')).map((name) => (name === 'READ' ? 'SELECT' : name));
    for (const object of listOf(on.replaceAll(/\(.*?\)/g, '')))
      for (const who of listOf(to.replaceAll(/USER |'+@'+%'+|'/g, ''))) {
        const objects = privileges[who] ?? {};
        privileges[who] = objects;
        objects[object] = [...new Set([...(objects[object] ?? []), ...names])].toSorted();
      }
  }
  return privileges;
}

const tablesIn = (objects: Record<string, string[]> = {}) =>
  Object.fromEntries(Object.entries(objects).filter(([, names]) => !names.includes('EXECUTE')));

describe('oauth-roles.sql', () => {
  const model = privilegesOf(MODEL);

  it('of PostgreSQL is read by this test', () => {
    expect(Object.keys(model).toSorted()).toEqual([...databaseUsers].toSorted());
    expect(model.oauth_writer?.oauth_grant).toEqual(['DELETE', 'INSERT', 'SELECT', 'UPDATE']);
    expect(model.oauth_reader?.artifact).toBeUndefined();
  });

  it.each(others.filter((folder) => folder !== 'db2'))(
    'of %s permits the same to the same four, and to a purge no more than to read and remove',
    (folder) => {
      const { oauth_purger: purger, ...rest } = privilegesOf(folder);
      const { oauth_purger: modelPurger = {}, ...modelRest } = model;
      expect(Object.fromEntries(Object.entries(rest).map(([who, objects]) => [who, tablesIn(objects)]))).toEqual(
        modelRest,
      );
      expect(tablesIn(purger)).toEqual(
        Object.fromEntries(
          Object.entries(modelPurger).map(([table, names]) => [table, names.filter((name) => name !== 'UPDATE')]),
        ),
      );
    },
  );

  it('of sqlserver lets a purge read the columns that it goes by, and no others', () => {
    const text = readFileSync(`${root}sqlserver/oauth-roles.sql`, 'utf8');
    for (const [, what] of text.matchAll(/^ *GRANT (.*) TO .*oauth_purger;$/gm))
      expect(what).toMatch(/^DELETE ON \w+$|^SELECT ON \w+ \(.*\)$|^SELECT ON oauth_schema$|^EXECUTE ON oauth_empty_/);
  });

  describe('of db2', () => {
    const privileges = privilegesOf('db2');
    const scripts = ['oauth-server', 'oauth-client'].map((part) => readFileSync(`${root}db2/${part}.sql`, 'utf8'));
    const procedures = [...scripts.join('\n').matchAll(/^CREATE OR REPLACE PROCEDURE (\w+)/gm)].map(([, name]) =>
      String(name),
    );
    const called = (who: string) =>
      Object.entries(privileges[who] ?? {}).flatMap(([name, names]) => (names.includes('EXECUTE') ? [name] : []));

    it('permits the same to both who take turns, and to nobody else', () => {
      expect(Object.keys(privileges).toSorted()).toEqual(databaseUsers.flatMap((user) => loginsOf(user)).toSorted());
      for (const user of databaseUsers) {
        const [one, other] = loginsOf(user);
        expect(privileges[one]).toEqual(privileges[other]);
      }
    });

    it('lets each call what the others may do with tables, and reads no more than they', () => {
      expect(procedures.length).toBeGreaterThan(20);
      expect(called('oauth_writer_a').toSorted()).toEqual(procedures.toSorted());
      expect(called('oauth_purger_a')).toEqual(procedures.filter((name) => name.startsWith('purge_')));
      const readers = called('oauth_reader_a');
      expect(readers).toEqual(['find_access', 'find_refresh', 'find_code', 'get_client_token']);
      const withArtifacts = procedures.filter((name) => /_artifact/.test(name) && !name.startsWith('purge_'));
      expect(called('oauth_checker_a').toSorted()).toEqual([...readers, ...withArtifacts].toSorted());
      for (const user of databaseUsers)
        for (const [table, names] of Object.entries(tablesIn(privileges[`${user}_a`]))) {
          expect(names).toEqual(['SELECT']);
          expect(model[user]?.[table]).toContain('SELECT');
        }
    });
  });
});
