import pg from 'pg';
import { afterAll, expect, it } from 'vitest';
import { examine } from '../../functions/stores/oracle-diagnosis.ts';
import { packagedScripts } from '../../functions/stores/sql-schema.ts';
import { describeOn } from './describe-on.ts';

// What a diagnosis concludes from Oracle's views of tables and privileges: its own queries, run by PostgreSQL over tables that
// have the names and columns of these views, filled by the scripts. That the views are so is for a server to say.

const url = process.env.POSTGRESQL_URL;

describeOn(url)('the diagnosis of a user with a role of sql/oracle/oauth-roles.sql', async () => {
  const client = new pg.Client({ connectionString: String(url) });
  await client.connect();
  afterAll(() => client.end());
  const scripts = await packagedScripts('oracle');
  const found = (part: string, pattern: RegExp) => [...String(scripts[`${part}.sql`]).matchAll(pattern)];

  const OWNER = 'OAUTH_ADMIN';
  const VIEWS = `
    CREATE TEMP TABLE dual AS SELECT 'X' AS dummy;
    CREATE TEMP TABLE product_component_version AS SELECT 'Oracle Database 19c' AS product, '19.0.0.0.0' AS version;
    CREATE TEMP TABLE nls_database_parameters AS SELECT 'NLS_CHARACTERSET' AS parameter, 'AL32UTF8' AS value;
    CREATE TEMP TABLE all_tables (owner text, table_name text);
    CREATE TEMP TABLE all_synonyms (owner text, synonym_name text, table_owner text, table_name text);
    CREATE TEMP TABLE all_tab_privs (grantee text, table_schema text, table_name text, privilege text);
    CREATE TEMP TABLE session_privs (privilege text);
    CREATE TEMP TABLE session_roles (role text);
    CREATE TEMP TABLE oauth_schema AS SELECT 'oauth-server' AS component, 2 AS version
      UNION ALL SELECT 'oauth-client', 1;
    CREATE FUNCTION pg_temp.sys_context(space text, name text) RETURNS text LANGUAGE sql
      AS $$ SELECT CASE name WHEN 'DATABASE_ROLE' THEN 'PRIMARY' ELSE '${OWNER}' END $$`;
  await client.query(VIEWS);
  const tables = ['oauth-server', 'oauth-client'].flatMap((part) => found(part, /^CREATE TABLE (\w+)/gm));
  for (const name of new Set(tables.map(([, table]) => String(table).toUpperCase())))
    await client.query('INSERT INTO all_tables VALUES ($1, $2)', [OWNER, name]);
  for (const [, privileges = '', table = '', roles = ''] of found(
    'oauth-roles',
    /^make\('GRANT (.*) ON (\w+) TO (.*)'\)/gm,
  ))
    for (const role of roles.split(', '))
      for (const privilege of privileges.split(', '))
        await client.query('INSERT INTO all_tab_privs VALUES ($1, $2, $3, $4)', [
          role.toUpperCase(),
          OWNER,
          table.toUpperCase(),
          privilege,
        ]);

  const query = async (text: string) => {
    const said = text
      .replaceAll('SYS_CONTEXT', 'pg_temp.sys_context')
      .replace(/LISTAGG\((.*?)\) WITHIN GROUP \((.*?)\)/, 'string_agg($1 $2)')
      .replace(/^(SELECT LOWER\(name\).*\))$/s, '$1 AS standing');
    return (await client.query(said)).rows;
  };
  const of = async (role: string) => {
    await client.query('TRUNCATE session_roles');
    await client.query('INSERT INTO session_roles VALUES ($1)', [role]);
    return examine(query, { server: 'db:1521', user: 'U', database: 'oauth' }, ['oauth-server', 'oauth-client']);
  };

  it('finds everything for a writer, to whom versions are granted to be read', async () => {
    expect(await of('OAUTH_WRITER')).toEqual({ found: expect.stringContaining('everything is there') });
  });

  it('names what another lacks, table by table', async () => {
    expect(await of('OAUTH_CHECKER')).toEqual({
      fault: expect.stringContaining('access_token (DELETE, INSERT, SELECT, UPDATE), authorization_code'),
    });
    expect(await of('OAUTH_PURGER')).toEqual({ fault: expect.stringContaining('artifact (INSERT, UPDATE)') });
    expect(await of('NOBODY')).toEqual({ fault: expect.stringContaining('oauth_schema (SELECT)') });
  });
});
