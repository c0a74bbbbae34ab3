import { isIP } from 'node:net';
import { connectionOf, type PostgresqlSettings } from './postgresql.ts';
import { contentsOf, packagedScripts } from './postgresql-schema.ts';

// Whether a server can be worked with, and if not, what is wrong, in words for whoever has to mend it.

const OLDEST = 130_000;

/** The parts of the schema: a script each in sql/postgresql. */
export type Component = 'oauth-server' | 'oauth-client';

export type Diagnosis = { readonly found: string } | { readonly fault: string };

type Query = (text: string, values?: readonly unknown[]) => Promise<{ rows: Record<string, unknown>[] }>;

interface Place {
  readonly server: string;
  readonly host: string;
  readonly user: string;
  readonly database: string;
  readonly waitMs: number;
}

/** Connects once and looks whether everything is there that the stores need of these components. Nothing is changed. */
export async function diagnose(settings: PostgresqlSettings, components: readonly Component[]): Promise<Diagnosis> {
  const { default: pg } = await import('pg');
  const connection = await connectionOf(settings);
  const waitMs = connection.connectionTimeoutMillis;
  const client = new pg.Client({ ...connection, query_timeout: waitMs });
  const { host, port, user = '', database = '' } = client;
  const server = host.startsWith('/') ? host : `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
  const place = { server, host, user, database, waitMs };
  client.on('error', () => {}); // the query under way fails with the same
  try {
    await client.connect();
    return await examine((text, values = []) => client.query(text, [...values]), place, components);
  } catch (error) {
    return { fault: inWords(error as DriverError, place) };
  } finally {
    await client.end().catch(() => {});
  }
}

/** What there is to say once a connection stands. */
export async function examine(
  query: Query,
  { server, user, database }: Pick<Place, 'server' | 'user' | 'database'>,
  components: readonly Component[],
): Promise<Diagnosis> {
  const about = await query(
    `SELECT current_setting('server_version_num')::int AS number, split_part(current_setting('server_version'), ' ', 1) AS version,
      pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean AS reads_only`,
  );
  const { number, version, reads_only } = about.rows[0] ?? {};
  if (Number(number) < OLDEST) return { fault: `${server} is PostgreSQL ${version}: 13 or newer is needed` };
  if (reads_only)
    return { fault: `${server} takes no writes: it is a replica, or default_transaction_read_only is on` };
  const scripts = await packagedScripts();
  for (const component of components) {
    const { tables, version: expected } = contentsOf(scripts[`${component}.sql`] ?? '', component);
    const there = await query('SELECT name FROM unnest($1::text[]) AS name WHERE to_regclass(name) IS NOT NULL', [
      tables,
    ]);
    const missing = without(tables, there.rows);
    if (missing.length > 0) {
      return {
        fault: `the schema is missing in the database "${database}": no table ${missing.join(', ')} that the user "${user}" can see; apply sql/postgresql/${component}.sql`,
      };
    }
    const refused = await query(
      `SELECT name || ' (' || string_agg(privilege, ', ') || ')' AS name
        FROM unnest($1::text[]) AS name, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS privilege
        WHERE NOT has_table_privilege(name, privilege) AND NOT (name = 'oauth_schema' AND privilege <> 'SELECT') GROUP BY name`,
      [tables],
    );
    if (refused.rows.length > 0) {
      const names = refused.rows.map(({ name }) => name).sort();
      return { fault: `the user "${user}" lacks privileges on ${names.join(', ')}: grant them` };
    }
    const applied = await query('SELECT version FROM oauth_schema WHERE component = $1', [component]);
    const found = applied.rows[0]?.version;
    if (found !== expected) {
      const upgrade =
        Number(found) < expected ? `; apply sql/postgresql/upgrades/${component}-${Number(found) + 1}.sql` : '';
      return {
        fault: `the schema ${component} is of ${found === undefined ? 'no' : `the wrong`} version${found === undefined ? '' : ` ${found}`}: ${expected} is needed${upgrade}`,
      };
    }
  }
  return { found: `PostgreSQL ${version} at ${server}, database "${database}", user "${user}": everything is there` };
}

const without = (names: readonly string[], rows: readonly Record<string, unknown>[]) =>
  names.filter((name) => !rows.some((row) => row.name === name));

interface DriverError {
  readonly code?: string;
  readonly message: string;
}

type Words = (place: Place, message: string) => string;

const nobodyAnswers: Words = ({ server, waitMs }) =>
  `no answer from ${server} within ${waitMs} ms: a firewall or a security group may be in the way`;
const hostNotFound: Words = ({ host }) => `the host "${host}" is not found`;
const noWay: Words = ({ server }) => `no way leads to ${server}`;
const loginFailed: Words = ({ user, server }, message) => `the login as "${user}" failed at ${server}: ${message}`;

// Codes of the system and of PostgreSQL: https://www.postgresql.org/docs/current/errcodes-appendix.html
const BY_CODE: Readonly<Record<string, Words>> = {
  ENOTFOUND: hostNotFound,
  EAI_AGAIN: hostNotFound,
  ECONNREFUSED: ({ server }) => `the port is refused: nobody listens at ${server}`,
  EHOSTUNREACH: noWay,
  ENETUNREACH: noWay,
  ENOENT: ({ host }) => `there is no socket in ${host}`,
  ETIMEDOUT: nobodyAnswers,
  '28P01': loginFailed,
  '28000': loginFailed,
  '3D000': ({ database, server }) => `the database "${database}" is missing at ${server}`,
  '42501': ({ user, database }, message) =>
    `the user "${user}" lacks a privilege in the database "${database}": ${message}`,
  '53300': ({ server }) => `${server} has too many connections`,
  '57P03': ({ server }) => `${server} is starting up or shutting down`,
};

// What the driver and TLS say without a code of that kind.
const BY_MESSAGE: readonly (readonly [RegExp, Words])[] = [
  [
    /does not support SSL/,
    ({ server }) => `TLS failed: ${server} offers none; "tls": false is for a server on this machine`,
  ],
  [
    /certificate|self.signed|altname|\bSSL\b|\bTLS\b/i,
    ({ server }, message) => `TLS failed with ${server}: ${message}`,
  ],
  [/timeout/i, nobodyAnswers],
  [/SASL|password/, (place) => loginFailed(place, 'a password is asked for, and none is given')],
  [
    /terminated unexpectedly|ECONNRESET|EPROTO/,
    ({ server }) => `${server} ended the connection: it may not be a PostgreSQL server`,
  ],
];

function inWords({ code = '', message }: DriverError, place: Place): string {
  const words = BY_CODE[code] ?? BY_MESSAGE.find(([pattern]) => pattern.test(`${code} ${message}`))?.[1];
  return words?.(place, message) ?? `${place.server}: ${message}`;
}
