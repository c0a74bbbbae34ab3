import { readdir, readFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import type { Clock } from '../domain/clock.ts';
import { StoreError } from '../domain/errors.ts';
import type { Row } from './sql.ts';

// The schema of a database, from whatever version it is of to the one of the scripts. Its parts (oauth-server, oauth-client,
// oauth-roles) have a version each, in the table oauth_schema: `<part>.sql` makes the newest one where there is none, and
// `upgrades/<part>-<n>.sql` makes version n of n - 1.

export type Component = 'oauth-server' | 'oauth-client' | 'oauth-roles';

/** Texts by their path in sql/postgresql. */
export type Scripts = Readonly<Record<string, string>>;

/** One connection: what is begun on it goes on on it. Failures have the SQLSTATE as their code. */
export interface Session {
  query(text: string): Promise<Row[]>;
  script(text: string): Promise<void>;
}

export interface Patience {
  readonly clock: Clock;
  /** When to give up waiting: for another that applies scripts, and for locks. */
  readonly untilMs: number;
}

/** The longest that a statement of ours stands in the way of others while it waits for its lock. */
const LOCK_MS = 200;
/** In which everybody else gets on before the next attempt. */
const PAUSE_MS = 1000;
const POLL_MS = 100;
const LOCK = 7267093219450;
/** Refused for a moment: a lock that did not come in time, a deadlock. */
const PASSING = ['55P03', '40P01'];
/** Not what stands in our oauth_schema: another column, another type. */
const STRANGE = ['42703', '42883', '22P02'];
const SEPARATE = /^-- outside a transaction/m;

/** The scripts of this package. */
export async function packagedScripts(): Promise<Scripts> {
  const folder = new URL('../../sql/postgresql/', import.meta.url);
  const paths = (await readdir(folder, { recursive: true })).filter((path) => path.endsWith('.sql'));
  const texts = paths.map(async (path) => [path, await readFile(new URL(path, folder), 'utf8')] as const);
  return Object.fromEntries(await Promise.all(texts));
}

/**
 * Applies what is missing of these parts, and gives the paths of the scripts that it ran: any number of times, by any
 * number of callers at once, who take turns. `keeper` is a second connection, which holds the lock meanwhile.
 *
 * Beside traffic: a script is one transaction that gives up after {@link LOCK_MS} ms without its lock, and is tried again, so
 * that no look-up waits longer behind it. One that says so at its head runs statement by statement, as CREATE INDEX
 * CONCURRENTLY must; it can be repeated from its start.
 *
 * @throws {StoreError} `unsupported`: a newer version than that of the scripts, or tables that are not ours; `timeout`
 */
export async function updateSchema(
  { worker, keeper }: { worker: Session; keeper?: Session },
  scripts: Scripts,
  wanted: readonly Component[],
  patience: Patience,
): Promise<string[]> {
  const applied: string[] = [];
  const work = async () => {
    for (const component of wanted) {
      for (let last: string | undefined; ; ) {
        const [path] = await missingScripts(worker, scripts, component);
        if (path === undefined) break;
        if (path === last) throw new StoreError('invalid', `${path} left the version as it was`);
        await runScript(worker, path, textOf(scripts, path), patience);
        applied.push(path);
        last = path;
      }
    }
  };
  await (keeper ? underLock(keeper, work, patience) : work());
  return applied;
}

/**
 * Paths of the scripts that lead from what is there to the version of the scripts, in their order. Nothing is changed.
 *
 * @throws {StoreError} `unsupported`, as {@link updateSchema}
 */
export async function missingScripts(session: Session, scripts: Scripts, component: Component): Promise<string[]> {
  const whole = `${component}.sql`;
  const { tables } = contentsOf(textOf(scripts, whole), component);
  const found = await versionOf(session, component);
  if (found === undefined) {
    const own = tables.filter((table) => table !== 'oauth_schema').map((table) => `'${table}'`);
    const strange =
      own.length > 0 &&
      (await session.query(`SELECT name FROM unnest(ARRAY[${own}]) AS name WHERE to_regclass(name) IS NOT NULL`));
    if (!strange || strange.length === 0) return [whole];
    const names = strange.map(({ name }) => name).join(', ');
    throw new StoreError(
      'unsupported',
      `the database has ${names} already, and no version of ${component}: give the stores a database of their own, or where ${whole} was interrupted run it to its end by hand`,
    );
  }
  return scriptsFrom(scripts, component, found);
}

/**
 * Paths of the scripts that lead from a version of a part to the newest.
 *
 * @throws {StoreError} `unsupported`: a version that the scripts do not know
 */
export function scriptsFrom(scripts: Scripts, component: Component, found: number): string[] {
  const { version } = contentsOf(textOf(scripts, `${component}.sql`), component);
  if (found > version) {
    throw new StoreError(
      'unsupported',
      `the schema ${component} is of version ${found}, and this package knows ${version}: it was upgraded by a newer package, so use that one`,
    );
  }
  return Array.from({ length: version - found }, (_, index) => `upgrades/${component}-${found + index + 1}.sql`);
}

/** What a script makes, as it stands in it. */
export function contentsOf(text: string, component: Component): { tables: string[]; version: number } {
  const tables = [...text.matchAll(/^CREATE TABLE IF NOT EXISTS (\w+)/gm)].map(([, name]) => String(name));
  return { tables, version: Number(new RegExp(`VALUES \\('${component}', (\\d+)\\)`).exec(text)?.[1]) };
}

async function versionOf(session: Session, component: Component): Promise<number | undefined> {
  const [table] = await session.query(`SELECT to_regclass('oauth_schema') IS NOT NULL AS there`);
  if (!table?.there) return undefined;
  try {
    const [row] = await session.query(`SELECT version FROM oauth_schema WHERE component = '${component}'`);
    if (row === undefined || Number.isInteger(row.version)) return row?.version as number | undefined;
  } catch (cause) {
    if (!STRANGE.includes(stateOf(cause))) throw cause;
  }
  throw new StoreError('unsupported', 'the table oauth_schema is not one that this package made');
}

/**
 * Holds the lock in a transaction that does nothing else, while others work: CREATE INDEX CONCURRENTLY waits for whoever has a
 * snapshot, and neither this transaction nor one that asks now and then has any, as one that waited in the server would.
 */
async function underLock(keeper: Session, work: () => Promise<void>, patience: Patience): Promise<void> {
  await keeper.script('BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0');
  try {
    for (;;) {
      const [row] = await keeper.query(`SELECT pg_try_advisory_xact_lock(${LOCK}) AS held`);
      if (row?.held) break;
      if (patience.clock() >= patience.untilMs) throw new StoreError('timeout', 'another one is applying the schema');
      await setTimeout(POLL_MS);
    }
    await work();
  } finally {
    await keeper.script('ROLLBACK').catch(() => {}); // a connection that broke has let go of it
  }
}

async function runScript(session: Session, path: string, text: string, { clock, untilMs }: Patience): Promise<void> {
  const transaction = async () => {
    await session.script(`BEGIN; SET LOCAL lock_timeout = ${LOCK_MS}; ${text}`);
    await session.script('COMMIT');
  };
  const oneByOne = async () => {
    for (const statement of statementsOf(text)) await session.script(statement);
  };
  const separate = SEPARATE.test(text);
  for (;;) {
    try {
      await (separate ? oneByOne() : transaction());
      return;
    } catch (cause) {
      if (!separate) await session.script('ROLLBACK').catch(() => {});
      const code = stateOf(cause);
      if (!PASSING.includes(code) || clock() + PAUSE_MS >= untilMs) {
        throw Object.assign(new Error(`${path}: ${(cause as Error).message}`, { cause }), { code });
      }
      await setTimeout(PAUSE_MS);
    }
  }
}

/** A script of this kind has a semicolon at the end of each statement, and nowhere else. */
const statementsOf = (text: string): string[] =>
  text
    .replaceAll(/^--.*$/gm, '')
    .split(';')
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '');

function textOf(scripts: Scripts, path: string): string {
  const text = scripts[path];
  if (text === undefined) throw new StoreError('unsupported', `there is no script ${path}`);
  return text;
}

const stateOf = (error: unknown): string => String((error as { code?: unknown }).code ?? '');
