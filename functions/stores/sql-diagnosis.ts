import { isIP } from 'node:net';
import type { DatabaseEngine } from '../config/engines.ts';
import { contentsOf, packagedScripts } from './sql-schema.ts';

// Whether a server can be worked with, and if not, what is wrong, in words for whoever has to mend it: what is common to all
// database management systems.

/** The parts of the schema that stores use: a script each in sql/<engine>. */
export type Component = 'oauth-server' | 'oauth-client' | 'oauth-partitions';

export type Diagnosis = { readonly found: string } | { readonly fault: string };

/** What is connected to. */
export interface Place {
  /** host:port, or the folder of a socket. */
  readonly server: string;
  readonly host: string;
  readonly user: string;
  readonly database: string;
  /** How long the server was waited for. */
  readonly waitMs: number;
}

export const serverOf = (host: string, port: number): string =>
  host.startsWith('/') ? host : `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;

/** What each engine asks its server in its own way, once a connection stands. */
export interface Examination {
  /** How the engine calls itself, and its version: `PostgreSQL 18.1`. */
  readonly product: string;
  /** Why no stores can be kept on this server at all: too old, or it takes no writes. */
  readonly fault?: string;
  /** Those of these tables that are there for this user. */
  tablesThere(tables: readonly string[]): Promise<readonly string[]>;
  /** Tables on which this user lacks privileges, each with what is lacking: `access_token (INSERT, UPDATE)`. */
  lacking(tables: readonly string[]): Promise<readonly string[]>;
  /** The version of a part that was applied. */
  versionOf(component: Component): Promise<number | undefined>;
}

/** Whether everything is there that the stores need of these components. Nothing is changed. */
export async function examineSchema(
  engine: DatabaseEngine,
  examination: Examination,
  { server, user, database }: Pick<Place, 'server' | 'user' | 'database'>,
  needed: readonly Component[],
): Promise<Diagnosis> {
  const { product, fault } = examination;
  if (fault !== undefined) return { fault };
  const scripts = await packagedScripts(engine);
  for (const component of needed) {
    if (component === 'oauth-partitions') continue; // its tables are for nobody but their owner
    const { tables, version: expected } = contentsOf(scripts[`${component}.sql`] ?? '', component);
    const there = await examination.tablesThere(tables);
    const missing = tables.filter((table) => !there.includes(table));
    if (missing.length > 0) {
      return {
        fault: `the schema is missing in the database "${database}": no table ${missing.join(', ')} that the user "${user}" can see; apply sql/${engine}/${component}.sql`,
      };
    }
    const lacking = await examination.lacking(tables);
    if (lacking.length > 0) {
      return { fault: `the user "${user}" lacks privileges on ${lacking.toSorted().join(', ')}: grant them` };
    }
    const found = await examination.versionOf(component);
    if (found !== expected) {
      const script = found === 0 ? `${component}.sql to its end` : `upgrades/${component}-${Number(found) + 1}.sql`;
      const upgrade = Number(found) < expected ? `; apply sql/${engine}/${script}` : '';
      return {
        fault: `the schema ${component} is of ${found === undefined ? 'no' : `the wrong`} version${found === undefined ? '' : ` ${found}`}: ${expected} is needed${upgrade}`,
      };
    }
  }
  if (needed.includes('oauth-server')) {
    const wanted = needed.includes('oauth-partitions');
    const { version } = contentsOf(scripts['oauth-partitions.sql'] ?? '', 'oauth-partitions');
    const found = await examination.versionOf('oauth-partitions');
    if (wanted && found !== version) {
      return {
        fault: `the configuration says expiryPartitions, and access_token has none${found === undefined ? '' : ` of version ${version}`}: apply sql/${engine}/oauth-partitions.sql`,
      };
    }
    if (!wanted && found !== undefined) {
      return {
        fault: 'access_token has expiry partitions, and the configuration does not say so: set expiryPartitions',
      };
    }
  }
  return { found: `${product} at ${server}, database "${database}", user "${user}": everything is there` };
}

export type Words = (place: Place, message: string) => string;

export const nobodyAnswers: Words = ({ server, waitMs }) =>
  `no answer from ${server} within ${waitMs} ms: a firewall or a security group may be in the way`;
export const loginFailed: Words = ({ user, server }, message) =>
  `the login as "${user}" failed at ${server}: ${message}`;
const hostNotFound: Words = ({ host }) => `the host "${host}" is not found`;
const noWay: Words = ({ server }) => `no way leads to ${server}`;

/** Codes of the system. */
const systemCodes: Readonly<Record<string, Words>> = {
  ENOTFOUND: hostNotFound,
  EAI_AGAIN: hostNotFound,
  ECONNREFUSED: ({ server }) => `the port is refused: nobody listens at ${server}`,
  EHOSTUNREACH: noWay,
  ENETUNREACH: noWay,
  ENOENT: ({ host }) => `there is no socket in ${host}`,
  ETIMEDOUT: nobodyAnswers,
};

export const tlsFailed: Words = ({ server }, message) => `TLS failed with ${server}: ${message}`;
export const noTls: Words = ({ server }) =>
  `TLS failed: ${server} offers none; "tls": false is for a server on this machine`;

/** What TLS says without a code. */
export const aboutTls = /certificate|self.signed|altname|\bSSL\b|\bTLS\b/i;

/** What an error of connecting means, by the engine’s codes, then by what it and TLS say. */
export function inWords(
  { code = '', message }: { readonly code?: string | number; readonly message: string },
  place: Place,
  byCode: Readonly<Record<string, Words>>,
  byMessage: readonly (readonly [RegExp, Words])[],
): string {
  const said = `${code} ${message}`;
  const words =
    byCode[code] ??
    systemCodes[code] ??
    byMessage.find(([pattern]) => pattern.test(said))?.[1] ??
    (aboutTls.test(said) ? tlsFailed : undefined) ??
    (/timeout/i.test(said) ? nobodyAnswers : undefined);
  return words?.(place, message) ?? `${place.server}: ${message}`;
}
