import { mysqlProduct, openLink, type Product, type Result } from './mysql-connection.ts';
import {
  type Component,
  type Diagnosis,
  examineSchema,
  inWords,
  loginFailed,
  noTls,
  type Place,
  serverOf,
  type Words,
} from './sql-diagnosis.ts';
import type { Row } from './sql-dialect.ts';
import { packagedScripts } from './sql-schema.ts';
import type { DatabaseSettings } from './sql-settings.ts';

/** Since which procedures can be made where there are none yet, and rows that are locked be skipped. */
const OLDEST: Readonly<Record<Product['engine'], readonly [number, number, number]>> = {
  mysql: [8, 0, 29],
  mariadb: [10, 6, 0],
};

type Query = (text: string) => Promise<readonly Row[]>;

/** Connects once and looks whether everything is there that the stores need of these components. Nothing is changed. */
export const diagnose = (settings: DatabaseSettings, components: readonly Component[]): Promise<Diagnosis> =>
  diagnoseProduct(mysqlProduct, settings, components);

export async function diagnoseProduct(
  product: Product,
  settings: DatabaseSettings,
  components: readonly Component[],
): Promise<Diagnosis> {
  const { host = 'localhost', port = 3306, user = '', database = '', pool } = settings;
  const waitMs = pool?.maxWaitMs ?? 10_000;
  const place = { server: serverOf(host, port), host, user, database, waitMs };
  try {
    const link = await openLink(product, settings, waitMs);
    try {
      return await examine(product, async (text) => rowsOf(await link.query(text)), place, components);
    } finally {
      await link.close();
    }
  } catch (error) {
    return { fault: inWords(error as Error, place, BY_CODE, BY_MESSAGE) };
  }
}

const rowsOf = (result: Result) => (Array.isArray(result) ? (result as readonly Row[]) : []);
const quoted = (names: readonly string[]) => names.map((name) => `'${name}'`).join(', ');

/** What there is to say once a connection stands. */
async function examine(
  product: Product,
  query: Query,
  place: Pick<Place, 'server' | 'user' | 'database'>,
  components: readonly Component[],
): Promise<Diagnosis> {
  const [about] = await query('SELECT VERSION() AS version, @@read_only AS reads_only, DATABASE() AS place');
  const version = String(about?.version);
  const found = /MariaDB/i.test(version) ? 'MariaDB' : 'MySQL';
  const oldest = OLDEST[product.engine];
  const fault =
    found !== product.name
      ? `${place.server} is ${found} ${version}, and the configuration says ${product.engine}`
      : isOlder(version, oldest)
        ? `${place.server} is ${found} ${version}: ${oldest.join('.')} or newer is needed`
        : about?.place === null
          ? 'no database is named: say which one the stores are in'
          : about?.reads_only
            ? `${place.server} takes no writes: it is a replica, or read_only is on`
            : undefined;
  const examination = {
    product: `${found} ${version}`,
    ...(fault !== undefined && { fault }),
    async tablesThere(tables: readonly string[]) {
      const rows = await query(
        `SELECT table_name AS name FROM information_schema.tables
          WHERE table_schema = DATABASE() AND table_name IN (${quoted(tables)})`,
      );
      return rows.map(({ name }) => String(name));
    },
    lacking: (tables: readonly string[]) => lacking(product, query, tables, components),
    async versionOf(component: Component) {
      const [row] = await query(`SELECT version FROM oauth_schema WHERE component = '${component}'`);
      return row?.version as number | undefined;
    },
  };
  return examineSchema(product.engine, examination, place, components);
}

const isOlder = (version: string, oldest: readonly number[]): boolean => {
  const numbers = version.split(/[.-]/).map(Number);
  const different = oldest.findIndex((number, i) => numbers[i] !== number);
  return different >= 0 && Number(numbers[different]) < Number(oldest[different]);
};

const PRIVILEGES = ['SELECT', 'INSERT', 'UPDATE', 'DELETE'];

/**
 * What the user lacks of these tables, and of the procedures that work on them: of a database and of its parts a user sees
 * only those on which it has some privilege. Privileges that come by a role are not told here; where one is on, the server
 * itself says what is missing.
 */
async function lacking(
  product: Product,
  query: Query,
  tables: readonly string[],
  components: readonly Component[],
): Promise<string[]> {
  const user = `CONCAT('''', SUBSTRING_INDEX(CURRENT_USER(), '@', 1), '''@''', SUBSTRING_INDEX(CURRENT_USER(), '@', -1), '''')`;
  const [role] = await query(`SELECT CURRENT_ROLE() AS name`);
  const granted = await query(
    `SELECT '*' AS name, privilege_type AS privilege FROM information_schema.user_privileges WHERE grantee = ${user}
      UNION SELECT '*', privilege_type FROM information_schema.schema_privileges WHERE grantee = ${user} AND DATABASE() LIKE table_schema
      UNION SELECT table_name, privilege_type FROM information_schema.table_privileges
        WHERE grantee = ${user} AND table_schema = DATABASE()`,
  );
  const has = (table: string, privilege: string) =>
    granted.some((row) => [table, '*'].includes(String(row.name)) && row.privilege === privilege);
  const roles = String(role?.name ?? 'NONE') !== 'NONE';
  const ofTables = tables.flatMap((table) => {
    const needed = table === 'oauth_schema' ? ['SELECT'] : PRIVILEGES;
    const missing = needed.filter((privilege) => !roles && !has(table, privilege));
    return missing.length > 0 ? [`${table} (${missing.join(', ')})`] : [];
  });
  if (!tables.includes('oauth_grant')) return ofTables;
  const slots = await query(
    `SELECT 1 FROM information_schema.columns
      WHERE table_schema = DATABASE() AND table_name = 'access_token' AND column_name = 'slot'`,
  );
  const inPartitions = components.includes('oauth-partitions') && slots.length > 0;
  const scripts = await packagedScripts(product.engine);
  const text = `${scripts['oauth-server.sql']}${inPartitions ? scripts['oauth-partitions.sql'] : ''}`;
  const procedures = [...text.matchAll(/^CREATE PROCEDURE IF NOT EXISTS (\w+)/gm)].map(([, name]) => String(name));
  const there = await query(
    `SELECT routine_name AS name FROM information_schema.routines
      WHERE routine_schema = DATABASE() AND routine_name IN (${quoted(procedures)})`,
  );
  const missing = procedures.filter((procedure) => there.every(({ name }) => name !== procedure));
  return [...ofTables, ...missing.map((procedure) => `${procedure} (EXECUTE)`)];
}

// https://dev.mysql.com/doc/mysql-errors/9.4/en/server-error-reference.html; the driver names those of its own.
const tooMany: Words = ({ server }) => `${server} has too many connections`;
const lacks: Words = ({ user, database }, message) =>
  `the user "${user}" lacks a privilege in the database "${database}": ${message}`;
const BY_CODE: Readonly<Record<string, Words>> = {
  ER_ACCESS_DENIED_ERROR: loginFailed,
  ER_ACCESS_DENIED_NO_PASSWORD_ERROR: loginFailed,
  ER_BAD_DB_ERROR: ({ database, server }) => `the database "${database}" is missing at ${server}`,
  ER_DBACCESS_DENIED_ERROR: lacks,
  ER_TABLEACCESS_DENIED_ERROR: lacks,
  ER_COLUMNACCESS_DENIED_ERROR: lacks,
  ER_CON_COUNT_ERROR: tooMany,
  ER_USER_LIMIT_REACHED: tooMany,
  HANDSHAKE_NO_SSL_SUPPORT: noTls,
};

const BY_MESSAGE: readonly (readonly [RegExp, Words])[] = [
  [/secure transport/i, ({ server }) => `${server} wants TLS: "tls": true`],
  [
    /PROTOCOL_CONNECTION_LOST|ECONNRESET|EPROTO|PROTOCOL_ERROR|unexpected packet/i,
    ({ server }) => `${server} ended the connection: it may not be a server of this kind`,
  ],
];
