import {
  type Component,
  type Diagnosis,
  examineSchema,
  inWords,
  loginFailed,
  noTls,
  serverOf,
  type Words,
} from './sql-diagnosis.ts';
import type { DatabaseSettings } from './sql-settings.ts';
import { connect, numberOf } from './sqlserver-connection.ts';
import { rowsOf } from './sqlserver-schema.ts';

/** 14 is SQL Server 2017. */
const OLDEST = 14;
/** The engine of Azure SQL, whose version says nothing. */
const AZURE = [5, 8];

const PRIVILEGES = ['SELECT', 'INSERT', 'UPDATE', 'DELETE'];

export const ABOUT = `
SELECT CAST(SERVERPROPERTY('ProductMajorVersion') AS int) AS major, CAST(SERVERPROPERTY('ProductVersion') AS varchar(30)) AS version,
    CAST(SERVERPROPERTY('EngineEdition') AS int) AS edition,
    CASE WHEN DATABASEPROPERTYEX(DB_NAME(), 'Updateability') = 'READ_ONLY' THEN 1 ELSE 0 END AS reads_only;`;
const there = (table: string) => `SELECT '${table}' AS name WHERE OBJECT_ID(N'${table}', N'U') IS NOT NULL`;
const lacks = (table: string, privilege: string) =>
  `SELECT '${table}' AS name, '${privilege}' AS privilege WHERE HAS_PERMS_BY_NAME(N'${table}', 'OBJECT', '${privilege}') = 0`;

/** Connects once and looks whether everything is there that the stores need of these components. Nothing is changed. */
export async function diagnose(settings: DatabaseSettings, components: readonly Component[]): Promise<Diagnosis> {
  const { host = 'localhost', port = 1433, user = '', database = '', pool } = settings;
  const waitMs = pool?.maxWaitMs ?? 10_000;
  const place = { server: serverOf(host, port), host, user, database, waitMs };
  try {
    const connection = await connect({ ...settings, pool: { ...pool, statementTimeoutMs: waitMs } });
    try {
      const query = (text: string) => rowsOf(connection, text);
      const [about = {}] = await query(ABOUT);
      const { major, version, edition, reads_only } = about;
      const isAzure = AZURE.includes(Number(edition));
      const product = isAzure ? 'Azure SQL' : `SQL Server ${version}`;
      const fault =
        Number(major) < OLDEST && !isAzure
          ? `${place.server} is ${product}: 2017 (14) or newer is needed`
          : reads_only
            ? `${place.server} takes no writes: the database "${database}" is read-only, or on a secondary replica`
            : undefined;
      const examination = {
        product,
        ...(fault !== undefined && { fault }),
        tablesThere: async (tables: readonly string[]) =>
          (await query(`${tables.map(there).join(' UNION ALL ')};`)).map(({ name }) => String(name)),
        async lacking(tables: readonly string[]) {
          const looks = tables.flatMap((table) =>
            (table === 'oauth_schema' ? ['SELECT'] : PRIVILEGES).map((privilege) => lacks(table, privilege)),
          );
          const lacking = Map.groupBy(await query(`${looks.join(' UNION ALL ')};`), ({ name }) => String(name));
          return [...lacking].map(([name, rows]) => `${name} (${rows.map(({ privilege }) => privilege).join(', ')})`);
        },
        async versionOf(component: Component) {
          const [row] = await query(`SELECT version FROM oauth_schema WHERE component = '${component}';`);
          return row?.version as number | undefined;
        },
      };
      return await examineSchema('sqlserver', examination, place, components);
    } finally {
      connection.close();
    }
  } catch (cause) {
    const { message, code } = cause as { message: string; code?: string };
    const system = (cause as { cause?: { code?: string } }).cause?.code;
    return { fault: inWords({ message, code: numberOf(cause) ?? system ?? code ?? '' }, place, BY_CODE, BY_MESSAGE) };
  }
}

// https://learn.microsoft.com/sql/relational-databases/errors-events/database-engine-events-and-errors, by number
const BY_CODE: Readonly<Record<string, Words>> = {
  18456: loginFailed,
  18452: loginFailed,
  18470: loginFailed,
  18486: loginFailed,
  18487: loginFailed,
  18488: loginFailed,
  4060: ({ database, server, user }) =>
    `the database "${database}" is missing at ${server}, or the user "${user}" may not open it`,
  4064: ({ server, user }) => `the default database of the user "${user}" cannot be opened at ${server}`,
  40613: ({ database, server }) => `the database "${database}" is not available at ${server} for the moment`,
  40615: ({ server }) => `the firewall of ${server} refuses this address`,
  18401: ({ server }) => `${server} is starting up or upgrading`,
  17809: ({ server }) => `${server} has too many connections`,
  10928: ({ server }) => `${server} has too many connections`,
  229: ({ user, database }, message) =>
    `the user "${user}" lacks a privilege in the database "${database}": ${message}`,
};

// What the driver says without a number.
const BY_MESSAGE: readonly (readonly [RegExp, Words])[] = [
  [/EENCRYPT .*did not negotiate/, noTls],
  [/EENCRYPT/, ({ server }) => `TLS failed: ${server} demands it; remove "tls": false`],
  [/ELOGIN/, loginFailed],
  [/hang up|ECONNRESET|EPROTO/, ({ server }) => `${server} ended the connection: it may not be a SQL Server`],
];
