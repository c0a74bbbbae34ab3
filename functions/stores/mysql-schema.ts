import { mysqlProduct, openLink, type Product, type Result, storeError } from './mysql-connection.ts';
import type { Row } from './sql-dialect.ts';
import { createSchema, type SchemaDialect } from './sql-schema.ts';
import type { DatabaseSettings } from './sql-settings.ts';

// How MySQL and MariaDB apply scripts beside traffic. DDL is no transaction there, but each statement is whole, and can be
// repeated: it gives up after a second without its lock on a table, and is sent again, so that no look-up waits longer behind
// it. A script notes at its head that it has begun, so one that broke off is told from tables of somebody else.

/** The longest that a statement of ours stands in the way of others while it waits for its lock. */
const LOCK_SECONDS = 1;
/** Refused for a moment: a lock that did not come in time, a deadlock. */
const PASSING = [1205, 1213];
const UNKNOWN_COLUMN = 1054;
/** Names of locks are the whole server's, so that of this database's goes with its name. */
const LOCK = `CONCAT('oauth2-stores ', LEFT(SHA2(DATABASE(), 256), 40))`;

const rowsOf = (result: Result) => (Array.isArray(result) ? (result as readonly Row[]) : []);
const numberOf = (error: unknown) => Number((error as { errno?: unknown }).errno);

const dialect: SchemaDialect = {
  async tablesThere(session, tables) {
    const names = tables.map((table) => `'${table}'`);
    const rows = await session.query(
      `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name IN (${names})`,
    );
    return rows.map(({ name }) => String(name));
  },
  isStrange: (error) => numberOf(error) === UNKNOWN_COLUMN,
  isPassing: (error) => PASSING.includes(numberOf(error)),
  async runScript(session, text, insist) {
    await session.script(`SET SESSION lock_wait_timeout = ${LOCK_SECONDS}`);
    for (const statement of statementsOf(text)) await insist(() => session.script(statement));
  },
  async takeLock(keeper) {
    const [row] = await keeper.query(`SELECT GET_LOCK(${LOCK}, 0) AS held`);
    return Number(row?.held) === 1;
  },
};

/** What is done to the schema of servers that speak this protocol. */
export const createSchemaOf = (product: Product) =>
  createSchema<DatabaseSettings>({
    engine: product.engine,
    dialect,
    failure: (cause) => storeError(product, cause),
    async open(settings, withinMs) {
      const link = await openLink(product, settings, withinMs);
      return {
        query: async (text) => rowsOf(await link.query(text)),
        script: async (text) => {
          await link.query(text);
        },
        close: () => link.close(),
      };
    },
  });

export const { applySchema, findMissingScripts } = createSchemaOf(mysqlProduct);

/** The statements of a script, as the command line's client takes them apart: DELIMITER, and comments on lines of their own. */
export function statementsOf(text: string): string[] {
  const statements: string[] = [];
  let delimiter = ';';
  const lines: string[] = [];
  for (const line of text.split('\n')) {
    const changed = /^DELIMITER (\S+)$/.exec(line);
    if (changed) delimiter = String(changed[1]);
    else if (!/^\s*--/.test(line) && (line.trim() !== '' || lines.length > 0)) {
      const ends = line.trimEnd().endsWith(delimiter);
      lines.push(ends ? line.trimEnd().slice(0, -delimiter.length) : line);
      if (ends) statements.push(lines.splice(0).join('\n').trimEnd());
    }
  }
  return statements;
}
