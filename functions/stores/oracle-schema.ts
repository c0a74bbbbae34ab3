import { close, codeOf, connect, execute, storeError } from './oracle-connection.ts';
import type { Row } from './sql-dialect.ts';
import { createSchema, type SchemaDialect } from './sql-schema.ts';
import type { DatabaseSettings } from './sql-settings.ts';

// How Oracle applies scripts beside traffic: piece by piece, each up to a line with a slash, as SQL*Plus does. DDL commits by
// itself, so a script is one that can be run again from its start. DDL that does not get its lock at once fails (ORA-00054, with
// DDL_LOCK_TIMEOUT 0), and the script is tried again a second later: nobody ever waits behind DDL that waits.

/** A lock that is not to be had now; a library cache that changed meanwhile; a deadlock. */
const PASSING = ['ORA-00054', 'ORA-04021', 'ORA-00060'];
/** Not what stands in our oauth_schema: another column, another type, too narrow. */
const STRANGE = ['ORA-00904', 'ORA-01722', 'ORA-12899', 'ORA-01400', 'ORA-06550'];
const THERE = "SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA')";

// The row by which those who apply scripts take turns: a row lock goes with the connection that holds it, and DBMS_LOCK would
// need a privilege. It stands in oauth_schema, which is made for it where there is none yet.
const MAKE_LOCK = `
BEGIN
  BEGIN
    EXECUTE IMMEDIATE 'CREATE TABLE oauth_schema (
      component VARCHAR2(30 CHAR) NOT NULL, version NUMBER(9) NOT NULL, CONSTRAINT oauth_schema_pk PRIMARY KEY (component))';
  EXCEPTION
    WHEN OTHERS THEN
      IF SQLCODE <> -955 THEN RAISE; END IF;
  END;
  BEGIN
    EXECUTE IMMEDIATE 'INSERT INTO oauth_schema (component, version) VALUES (''lock'', 0)';
    COMMIT;
  EXCEPTION
    WHEN DUP_VAL_ON_INDEX THEN ROLLBACK;
  END;
END;`;
const TAKE_LOCK = "SELECT version FROM oauth_schema WHERE component = 'lock' FOR UPDATE NOWAIT";

const isStrange = (error: unknown) => STRANGE.includes(codeOf(error));
/** A table of another kind is left to the work, which says so. */
const leaveStrange = (error: unknown) => {
  if (!isStrange(error)) throw error;
};

const dialect: SchemaDialect = {
  async tablesThere(session, tables) {
    const names = tables.map((table) => `'${table.toUpperCase()}'`).join();
    const rows = await session.query(
      `SELECT LOWER(table_name) AS name FROM all_tables WHERE owner = ${THERE} AND table_name IN (${names})
        UNION SELECT LOWER(synonym_name) FROM all_synonyms WHERE owner = ${THERE} AND synonym_name IN (${names})`,
    );
    return rows.map(({ name }) => String(name));
  },
  isStrange,
  isPassing: (error) => PASSING.includes(codeOf(error)),
  runScript: (session, text, insist) => insist(() => session.script(text)),
  makeLock: (keeper) => keeper.script(MAKE_LOCK).catch(leaveStrange),
  async takeLock(keeper) {
    await keeper.query(TAKE_LOCK).catch(leaveStrange);
    return true;
  },
};

export const { applySchema, findMissingScripts } = createSchema({
  engine: 'oracle',
  dialect,
  open,
  failure: storeError,
});

async function open(settings: DatabaseSettings, withinMs: number) {
  const { default: driver } = await import('oracledb');
  const connection = await connect(settings, withinMs);
  const fetchTypeHandler = (column: { name: string }) => {
    column.name = column.name.toLowerCase();
    return undefined;
  };
  const run = (text: string) =>
    execute<Row>(connection, text, {}, { outFormat: driver.OUT_FORMAT_OBJECT, fetchTypeHandler });
  return {
    query: async (text: string) => (await run(text)).rows ?? [],
    script: async (text: string) => {
      for (const piece of piecesOf(text)) await run(piece);
    },
    close: () => close(connection), // which rolls back
  };
}

/** The pieces of a script, without what is for SQL*Plus alone: a slash that ends one, and WHENEVER. */
export const piecesOf = (text: string): string[] =>
  text
    .split(/^\/$/m)
    .map((piece) =>
      piece
        .replaceAll(/^WHENEVER .*$/gm, '')
        .replaceAll(/^--.*$/gm, '')
        .trim(),
    )
    .filter((piece) => piece !== '');
