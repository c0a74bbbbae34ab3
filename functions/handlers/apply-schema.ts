import { readFile } from 'node:fs/promises';
import { secretPassword } from '../aws.ts';
import type { DatabaseEngine } from '../config/engines.ts';
import { isLocal } from '../config/location.ts';
import { type Clock, systemClock } from '../domain/clock.ts';
import type { Invocation } from '../runtime.ts';
import { applySchemaOf, type SchemaAnswer, type SchemaEvent } from '../schema-application.ts';
import type { createSchema } from '../stores/sql-schema.ts';
import type { DatabaseSettings } from '../stores/sql-settings.ts';

// It reads no environment: what to do stands in the event's properties, with the ARN of the secret of `user`.

interface SchemaModule extends ReturnType<typeof createSchema<DatabaseSettings>> {
  /** Of engines whose servers come without one. */
  createDatabase?(settings: DatabaseSettings, withinMs: number): Promise<void>;
}

/** Each in files of its own, of which a function has those of its engine alone. */
const schemas: Readonly<Record<DatabaseEngine, () => Promise<SchemaModule>>> = {
  postgresql: () => import('../stores/postgresql-schema.ts'),
  mysql: () => import('../stores/mysql-schema.ts'),
  mariadb: () => import('../stores/mariadb-schema.ts'),
  sqlserver: () => import('../stores/sqlserver-schema.ts'),
  oracle: () => import('../stores/oracle-schema.ts'),
  db2: () => import('../stores/db2-schema.ts'),
};

type ApplySchemaEvent = SchemaEvent<{
  readonly engine: DatabaseEngine;
  readonly host: string;
  readonly port: string;
  readonly database: string;
  readonly user: string;
  readonly secretArn: string;
  /** Absent where they are not wanted. */
  readonly expiryPartitions?: 'true';
}>;

const packaged = async (): Promise<Record<string, string>> => JSON.parse(await readFile('schema.json', 'utf8'));

/**
 * Brings the schema and the users of a database to the version of the scripts beside the function; `manual`: looks whether
 * somebody else did. Repeatable, and beside traffic. Deleting leaves everything.
 *
 * @throws {Error} in words, which appear among the deployment’s events
 */
export const createApplySchema =
  (
    readScripts = packaged,
    password: (secretArn: string) => Promise<string> = secretPassword,
    clock: Clock = systemClock,
  ) =>
  async (event: ApplySchemaEvent, invocation: Invocation): Promise<SchemaAnswer> => {
    const { engine, host, port, database, user, secretArn, expiryPartitions } = event.ResourceProperties;
    const tls = isLocal({ host }) ? false : {};
    const server = { host, port: Number(port), database, user, password: () => password(secretArn), tls } as const;
    const schema = async (withinMs: number) => {
      const dialect = await schemas[engine]();
      await dialect.createDatabase?.(server, withinMs);
      const scripts = await readScripts();
      return { ...dialect, options: { scripts, partitions: expiryPartitions !== undefined, roles: true, withinMs } };
    };
    const work = {
      of: database,
      async apply(withinMs: number) {
        const { applySchema, options } = await schema(withinMs);
        return applySchema(server, options);
      },
      async find(withinMs: number) {
        const { findMissingScripts, options } = await schema(withinMs);
        return findMissingScripts(server, options);
      },
      remedy: (missing: readonly string[]) =>
        `the schema of "${database}" is too old for this version: run ${missing.map((path) => `sql/${engine}/${path}`).join(', then ')}`,
    };
    return applySchemaOf(event, work, invocation, clock);
  };

export const handler = createApplySchema();
