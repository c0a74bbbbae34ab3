import { StoreError } from '../domain/errors.ts';
import { close, codeOf, connect, execute, placeOf } from './oracle-connection.ts';
import {
  type Component,
  type Diagnosis,
  examineSchema,
  inWords,
  loginFailed,
  nobodyAnswers,
  noTls,
  type Place,
  serverOf,
  type Words,
} from './sql-diagnosis.ts';
import type { Row } from './sql-dialect.ts';
import type { DatabaseSettings } from './sql-settings.ts';

const OLDEST = 19;

type Query = (text: string) => Promise<readonly Row[]>;

/** Connects once and looks whether everything is there that the stores need of these components. Nothing is changed. */
export async function diagnose(settings: DatabaseSettings, components: readonly Component[]): Promise<Diagnosis> {
  const { host, port, database } = placeOf(settings);
  const waitMs = settings.pool?.maxWaitMs ?? 10_000;
  const place = { server: serverOf(host, port), host, user: settings.user ?? '', database, waitMs };
  try {
    const { default: driver } = await import('oracledb');
    const connection = await connect(settings, waitMs);
    const query: Query = async (text) => {
      const { rows, metaData } = await execute<unknown[]>(
        connection,
        text,
        {},
        {
          outFormat: driver.OUT_FORMAT_ARRAY,
          fetchArraySize: 1000,
        },
      );
      const names = metaData?.map(({ name }) => name.toLowerCase()) ?? [];
      return (rows ?? []).map((row) => Object.fromEntries(names.map((name, index) => [name, row[index]])));
    };
    return await examine(query, place, components).finally(() => close(connection));
  } catch (error) {
    if (error instanceof StoreError) return { fault: error.message };
    const { message } = error as Error;
    return { fault: inWords({ code: codeOf(error), message }, place, BY_CODE, BY_MESSAGE) };
  }
}

/** What there is to say once a connection stands. */
export async function examine(
  query: Query,
  place: Pick<Place, 'server' | 'user' | 'database'>,
  components: readonly Component[],
): Promise<Diagnosis> {
  const [about] = await query(
    `SELECT (SELECT MAX(version) FROM product_component_version WHERE product LIKE 'Oracle%') AS version,
      (SELECT value FROM nls_database_parameters WHERE parameter = 'NLS_CHARACTERSET') AS letters,
      SYS_CONTEXT('USERENV', 'DATABASE_ROLE') AS role FROM dual`,
  );
  const { version, letters, role } = about ?? {};
  const product = `Oracle Database ${version}`;
  const fault =
    Number.parseInt(String(version), 10) < OLDEST
      ? `${place.server} is ${product}: ${OLDEST} or newer is needed`
      : letters !== 'AL32UTF8' && letters !== 'UTF8'
        ? `${place.server} keeps texts in ${letters}, which loses letters of names: AL32UTF8 is needed`
        : role !== 'PRIMARY'
          ? `${place.server} takes no writes: it is a standby (${role})`
          : undefined;
  const names = async (text: string) => (await query(text)).map(({ name }) => String(name));
  const examination = {
    product,
    ...(fault !== undefined && { fault }),
    tablesThere: (tables: readonly string[]) => names(`SELECT LOWER(name) AS name FROM (${standing(tables)})`),
    lacking: (tables: readonly string[]) => names(lacking(tables)),
    async versionOf(component: Component) {
      const applied = await query(`SELECT version FROM oauth_schema WHERE component = '${component}'`);
      return applied[0]?.version as number | undefined;
    },
  };
  return examineSchema('oracle', examination, place, components);
}

/** Tables by their names, and where they really are: in the current schema, or where a synonym there leads. */
const standing = (tables: readonly string[]): string => {
  const names = tables.map((table) => `'${table.toUpperCase()}'`).join();
  const here = "SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA')";
  return `SELECT table_name AS name, owner, table_name FROM all_tables WHERE owner = ${here} AND table_name IN (${names})
    UNION ALL SELECT synonym_name, table_owner, table_name FROM all_synonyms WHERE owner = ${here} AND synonym_name IN (${names})`;
};

/**
 * What is granted on them to this user, to one of its roles, to everybody, or on every table. The owner may do everything. READ,
 * a privilege beside SELECT, is enough for the versions; blocks lock the rows of all other tables.
 */
const lacking = (tables: readonly string[]): string => `
SELECT LOWER(t.name) || ' (' || LISTAGG(p.privilege, ', ') WITHIN GROUP (ORDER BY p.privilege) || ')' AS name
  FROM (${standing(tables)}) t
  CROSS JOIN (SELECT 'SELECT' AS privilege FROM dual UNION ALL SELECT 'INSERT' FROM dual
    UNION ALL SELECT 'UPDATE' FROM dual UNION ALL SELECT 'DELETE' FROM dual) p
  WHERE t.owner <> USER AND NOT (t.name = 'OAUTH_SCHEMA' AND p.privilege <> 'SELECT')
    AND NOT EXISTS (SELECT 1 FROM session_privs s WHERE s.privilege = p.privilege || ' ANY TABLE')
    AND NOT EXISTS (SELECT 1 FROM all_tab_privs a WHERE a.table_schema = t.owner AND a.table_name = t.table_name
      AND (a.privilege = p.privilege OR (t.name = 'OAUTH_SCHEMA' AND a.privilege = 'READ'))
      AND (a.grantee IN (USER, 'PUBLIC') OR a.grantee IN (SELECT r.role FROM session_roles r)))
  GROUP BY t.name`;

const starting: Words = ({ server }) => `${server} is starting up or shutting down`;
const refused: Words = ({ server }) => `the port is refused: nobody listens at ${server}`;
const notFound: Words = ({ host }) => `the host "${host}" is not found`;
const noService: Words = ({ server, database }) =>
  `the listener at ${server} knows no service "${database}": it may be starting, or have another name`;
const ended: Words = ({ server }) =>
  `${server} ended the connection: it may not be an Oracle listener, or want TLS (tcps, often port 2484)`;

// https://docs.oracle.com/en/error-help/db/; NJS: the driver's own.
const BY_CODE: Readonly<Record<string, Words>> = {
  'ORA-01017': loginFailed,
  'ORA-28000': (place) => loginFailed(place, 'the account is locked'),
  'ORA-28001': (place) => loginFailed(place, 'the password has expired'),
  'ORA-01045': (place) => loginFailed(place, 'the user may not create a session (GRANT CREATE SESSION)'),
  'NJS-101': (place) => loginFailed(place, 'no user or password is given'),
  'NJS-116': (place) => loginFailed(place, 'the password is stored in a way of Oracle 10g: set it anew'),
  'ORA-12514': noService,
  'NJS-518': noService,
  'NJS-530': notFound,
  'NJS-510': nobodyAnswers,
  'NJS-123': nobodyAnswers,
  'ORA-00018': ({ server }) => `${server} has too many sessions`,
  'ORA-00020': ({ server }) => `${server} has too many processes`,
  'ORA-12516': ({ server }) => `${server} has too many connections`,
  'ORA-12519': ({ server }) => `${server} has too many connections`,
  'ORA-12520': ({ server }) => `${server} has too many connections`,
  'ORA-12541': refused,
  'ORA-01033': starting,
  'ORA-01034': starting,
  'ORA-01089': starting,
  'ORA-12528': starting,
  'NJS-138': ({ server }) =>
    `${server} is older than the driver talks to: Oracle Database ${OLDEST} or newer is needed`,
  'NJS-533': ({ server }) => `${server} asks for encryption of its own (NNE), which the thin driver has not: use TLS`,
};

// What stands behind the driver's "cannot connect", and what TLS says.
const BY_MESSAGE: readonly (readonly [RegExp, Words])[] = [
  [/ECONNREFUSED/, refused],
  [/wrong version number|packet length too long|SSL alert|EPROTO/, noTls],
  [
    /ORA-01031|ORA-41900|insufficient privileges/,
    ({ user }, message) => `the user "${user}" lacks a privilege: ${message}`,
  ],
  [/NJS-501|NJS-511|ECONNRESET|NJS-500|NJS-512|closed/, ended],
];
