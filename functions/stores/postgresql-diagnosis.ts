import { connectionOf, type PostgresqlSettings } from './postgresql-connection.ts';
import {
  aboutTls,
  type Component,
  type Diagnosis,
  examineSchema,
  inWords,
  loginFailed,
  noTls,
  type Place,
  serverOf,
  tlsFailed,
  type Words,
} from './sql-diagnosis.ts';

const OLDEST = 130_000;

type Query = (text: string, values?: readonly unknown[]) => Promise<{ rows: Record<string, unknown>[] }>;

/** Connects once and looks whether everything is there that the stores need of these components. Nothing is changed. */
export async function diagnose(settings: PostgresqlSettings, components: readonly Component[]): Promise<Diagnosis> {
  const { default: pg } = await import('pg');
  const connection = await connectionOf(settings);
  const waitMs = connection.connectionTimeoutMillis;
  const client = new pg.Client({ ...connection, query_timeout: waitMs });
  const { host, port, user = '', database = '' } = client;
  const place = { server: serverOf(host, port), host, user, database, waitMs };
  client.on('error', () => {}); // the query under way fails with the same
  try {
    await client.connect();
    return await examine((text, values = []) => client.query(text, [...values]), place, components);
  } catch (error) {
    return { fault: inWords(error as Error, place, BY_CODE, BY_MESSAGE) };
  } finally {
    await client.end().catch(() => {});
  }
}

/** What there is to say once a connection stands. */
export async function examine(
  query: Query,
  place: Pick<Place, 'server' | 'user' | 'database'>,
  components: readonly Component[],
): Promise<Diagnosis> {
  const about = await query(
    `SELECT current_setting('server_version_num')::int AS number, split_part(current_setting('server_version'), ' ', 1) AS version,
      pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean AS reads_only`,
  );
  const { number, version, reads_only } = about.rows[0] ?? {};
  const product = `PostgreSQL ${version}`;
  const fault =
    Number(number) < OLDEST
      ? `${place.server} is ${product}: 13 or newer is needed`
      : reads_only
        ? `${place.server} takes no writes: it is a replica, or default_transaction_read_only is on`
        : undefined;
  const names = async (text: string, tables: readonly string[]) =>
    (await query(text, [tables])).rows.map(({ name }) => String(name));
  const examination = {
    product,
    ...(fault !== undefined && { fault }),
    tablesThere: (tables: readonly string[]) =>
      names('SELECT name FROM unnest($1::text[]) AS name WHERE to_regclass(name) IS NOT NULL', tables),
    lacking: (tables: readonly string[]) =>
      names(
        `SELECT name || ' (' || string_agg(privilege, ', ') || ')' AS name
          FROM unnest($1::text[]) AS name, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS privilege
          WHERE NOT has_table_privilege(name, privilege) AND NOT (name = 'oauth_schema' AND privilege <> 'SELECT') GROUP BY name`,
        tables,
      ),
    async versionOf(component: Component) {
      const applied = await query('SELECT version FROM oauth_schema WHERE component = $1', [component]);
      return applied.rows[0]?.version as number | undefined;
    },
  };
  return examineSchema('postgresql', examination, place, components);
}

// https://www.postgresql.org/docs/current/errcodes-appendix.html
const BY_CODE: Readonly<Record<string, Words>> = {
  '28P01': loginFailed,
  '28000': loginFailed,
  '3D000': ({ database, server }) => `the database "${database}" is missing at ${server}`,
  '42501': ({ user, database }, message) =>
    `the user "${user}" lacks a privilege in the database "${database}": ${message}`,
  '53300': ({ server }) => `${server} has too many connections`,
  '57P03': ({ server }) => `${server} is starting up or shutting down`,
};

// What the driver says without a code of that kind.
const BY_MESSAGE: readonly (readonly [RegExp, Words])[] = [
  [/does not support SSL/, noTls],
  [aboutTls, tlsFailed],
  [/SASL|password/, (place) => loginFailed(place, 'a password is asked for, and none is given')],
  [
    /terminated unexpectedly|ECONNRESET|EPROTO/,
    ({ server }) => `${server} ended the connection: it may not be a PostgreSQL server`,
  ],
];
