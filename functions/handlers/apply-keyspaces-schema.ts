import { readFile } from 'node:fs/promises';
import { callAws } from '../aws.ts';
import { tablesIn } from '../config/cassandra-tables.ts';
import { type Clock, systemClock } from '../domain/clock.ts';
import { ensureTables, missingTables } from '../keyspaces-tables.ts';
import type { Invocation } from '../runtime.ts';
import { applySchemaOf, type SchemaAnswer, type SchemaEvent } from '../schema-application.ts';

type ApplyKeyspacesSchemaEvent = SchemaEvent<{ readonly keyspace: string; readonly region?: string }>;

const packaged = async (): Promise<Record<string, string>> => JSON.parse(await readFile('schema.json', 'utf8'));

/**
 * Makes what is missing of the tables in a keyspace of Amazon Keyspaces, by the scripts beside the function, and returns when
 * they can be used; `manual`: looks whether somebody else did. Repeatable, and by several at once. Deleting leaves everything.
 *
 * @throws {Error} in words, which appear among the deployment’s events
 */
export const createApplyKeyspacesSchema =
  (readScripts = packaged, call = callAws, clock: Clock = systemClock) =>
  async (event: ApplyKeyspacesSchemaEvent, invocation: Invocation): Promise<SchemaAnswer> => {
    const { keyspace, region } = event.ResourceProperties;
    const tables = async () => Object.values(await readScripts()).flatMap(tablesIn);
    const wanted = async () => ({ keyspace, ...(region !== undefined && { region }), tables: await tables() });
    const patience = (withinMs: number) => ({ clock, untilMs: clock() + withinMs });
    const work = {
      of: keyspace,
      apply: async (withinMs: number) => ensureTables(call, await wanted(), patience(withinMs)),
      find: async (withinMs: number) => missingTables(call, await wanted(), patience(withinMs)),
      remedy: (missing: readonly string[]) =>
        `the keyspace "${keyspace}" lacks ${missing.join(', ')}: apply it by "oauth2-stores schema", with --apply`,
    };
    return applySchemaOf(event, work, invocation, clock);
  };

export const handler = createApplyKeyspacesSchema();
