import { readdir, readFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import type { DatabaseEngine } from '../config/engines.ts';
import { type Clock, systemClock } from '../domain/clock.ts';
import { StoreError } from '../domain/errors.ts';
import type { Row } from './sql-dialect.ts';

// The schema of a database, from whatever version it is of to the one of the scripts. Its parts (oauth-server, oauth-client,
// and where they are wanted oauth-partitions and oauth-roles) have a version each, in the table oauth_schema: `<part>.sql`
// makes the newest one where there is none, and `upgrades/<part>-<n>.sql` makes version n of n - 1. What an engine does in its
// own way is its dialect's.

/** In which everybody else gets on, before what was refused for a moment is tried again. */
const PAUSE_MS = 1000;
/** Between two questions whether the lock is free. */
const POLL_MS = 100;

const parts = ['oauth-server', 'oauth-client', 'oauth-partitions', 'oauth-roles'] as const;
type Part = (typeof parts)[number];

/** Texts by their path in sql/<engine>. */
export type Scripts = Readonly<Record<string, string>>;

/** How a schema is applied, or looked at. */
export interface SchemaOptions {
  /** Whether access tokens are in the expiry partitions of `oauth-partitions.sql`. */
  readonly partitions?: boolean;
  /** Whether the users of `oauth-roles.sql` belong to it; whoever applies it must then be allowed to make roles. */
  readonly roles?: boolean;
  /** Default: those of this package. */
  readonly scripts?: Scripts;
  readonly clock?: Clock;
  /** Milliseconds that it may wait for locks and for others who apply it. */
  readonly withinMs?: number;
}

const partsOf = ({ partitions = false, roles = false }: SchemaOptions): Part[] => [
  'oauth-server',
  'oauth-client',
  ...(partitions ? (['oauth-partitions'] as const) : []),
  ...(roles ? (['oauth-roles'] as const) : []),
];

/** One connection: what is begun on it goes on on it. Failures have the engine's code as their `code`. */
export interface Session {
  query(text: string): Promise<readonly Row[]>;
  script(text: string): Promise<void>;
}

interface Patience {
  readonly clock: Clock;
  /** When to give up waiting: for another that applies scripts, and for locks. */
  readonly untilMs: number;
}

/** Does something, and does it again after a moment for as long as it is refused for a moment only. */
export type Insist = (work: () => Promise<void>) => Promise<void>;

/** What an engine does in its own way. */
export interface SchemaDialect {
  /** Those of these tables that are there, where the stores look for them. */
  tablesThere(session: Session, tables: readonly string[]): Promise<readonly string[]>;
  /** Whether an error says that what stands in `oauth_schema` is not ours: another column, another type. */
  isStrange(error: unknown): boolean;
  /** Whether an error says that something was refused for a moment: a lock that did not come in time, a deadlock. */
  isPassing(error: unknown): boolean;
  /** Runs one script, beside traffic. What leaves nothing behind when it is refused is a piece of work to insist on. */
  runScript(session: Session, text: string, insist: Insist): Promise<void>;
  /** Makes what {@link takeLock} needs in the database. */
  makeLock?(keeper: Session): Promise<void>;
  /**
   * Asks once, whether or not a moment is waited for in the server, for the lock of whoever applies scripts to this database;
   * false, or refused for a moment, when another one has it. It goes with its connection, closed or broken.
   */
  takeLock(keeper: Session): Promise<boolean>;
}

/** Sends these texts, one after the other; `takeBack` where one is refused. */
export async function allOrNothing(session: Session, texts: readonly string[], takeBack: string): Promise<void> {
  try {
    for (const text of texts) await session.script(text);
  } catch (error) {
    await session.script(takeBack).catch(() => {}); // a connection that broke has taken it back
    throw error;
  }
}

/** How the schema of a server is reached. */
export interface SchemaAccess<Settings> {
  readonly engine: DatabaseEngine;
  readonly dialect: SchemaDialect;
  /** A connection of its own, beside no pool; a statement on it takes `withinMs` at most. */
  open(settings: Settings, withinMs: number): Promise<Session & { close(): Promise<void> }>;
  /** What an error of the driver is to whoever called. */
  failure(cause: unknown): StoreError;
}

/** The scripts of this package for an engine. */
export async function packagedScripts(engine: DatabaseEngine): Promise<Scripts> {
  const folder = new URL(`../../sql/${engine}/`, import.meta.url);
  const paths = (await readdir(folder, { recursive: true })).filter((path) => path.endsWith('.sql'));
  const texts = paths.map(async (path) => [path, await readFile(new URL(path, folder), 'utf8')] as const);
  return Object.fromEntries(await Promise.all(texts));
}

/** What is done to the schema of an engine’s servers. */
export function createSchema<Settings>({ engine, dialect, open, failure }: SchemaAccess<Settings>) {
  const withSession = async <T>(settings: Settings, withinMs: number, work: (session: Session) => Promise<T>) => {
    try {
      const session = await open(settings, withinMs);
      return await work(session).finally(() => session.close());
    } catch (cause) {
      throw failure(cause);
    }
  };
  const scriptsOf = async ({ scripts }: SchemaOptions) => scripts ?? packagedScripts(engine);
  return {
    /**
     * Brings the schema of a server to the version of the scripts: any number of times, by any number of callers at once,
     * beside traffic ({@link updateSchema}). Gives the paths of the scripts that it ran.
     *
     * @throws {StoreError} `unsupported`: a newer version, tables of somebody else, partitions that are not asked for, a
     *   privilege is missing; `timeout`
     */
    async applySchema(settings: Settings, options: SchemaOptions = {}): Promise<string[]> {
      const { clock = systemClock, withinMs = 60_000 } = options;
      const scripts = await scriptsOf(options);
      const patience = { clock, untilMs: clock() + withinMs };
      return withSession(settings, withinMs, (worker) =>
        withSession(settings, withinMs, async (keeper) => {
          await refusePartitions(dialect, worker, options);
          return updateSchema(dialect, { worker, keeper }, scripts, partsOf(options), patience);
        }),
      );
    },

    /** Paths of the scripts that are missing in the schema of a server. Nothing is changed. */
    async findMissingScripts(settings: Settings, options: SchemaOptions = {}): Promise<string[]> {
      const scripts = await scriptsOf(options);
      return withSession(settings, options.withinMs ?? 60_000, async (session) => {
        const missing: string[] = [];
        for (const part of partsOf(options)) missing.push(...(await missingScripts(dialect, session, scripts, part)));
        await refusePartitions(dialect, session, options);
        return missing;
      });
    },
  };
}

/**
 * Applies what is missing of these parts, and gives the paths of the scripts that it ran: any number of times, by any
 * number of callers at once, who take turns. `keeper` is a second connection, which holds the lock meanwhile.
 *
 * @throws {StoreError} `unsupported`: a newer version than that of the scripts, or tables that are not ours; `timeout`
 */
export async function updateSchema(
  dialect: SchemaDialect,
  { worker, keeper }: { worker: Session; keeper?: Session },
  scripts: Scripts,
  wanted: readonly Part[],
  patience: Patience,
): Promise<string[]> {
  const applied: string[] = [];
  if (keeper) await waitForLock(dialect, keeper, patience);
  for (const part of wanted) {
    for (let last: string | undefined; ; ) {
      const [path] = await missingScripts(dialect, worker, scripts, part);
      if (path === undefined) break;
      if (path === last) throw new StoreError('invalid', `${path} left the version as it was`);
      await runScript(dialect, worker, path, textOf(scripts, path), patience);
      applied.push(path);
      last = path;
    }
  }
  return applied;
}

async function waitForLock(dialect: SchemaDialect, keeper: Session, { clock, untilMs }: Patience): Promise<void> {
  const takenByAnother = (error: unknown) => {
    if (dialect.isPassing(error)) return false;
    throw error;
  };
  await dialect.makeLock?.(keeper);
  while (!(await dialect.takeLock(keeper).catch(takenByAnother))) {
    if (clock() >= untilMs) throw new StoreError('timeout', 'another one is applying the schema');
    await setTimeout(POLL_MS);
  }
}

async function runScript(
  dialect: SchemaDialect,
  worker: Session,
  path: string,
  text: string,
  { clock, untilMs }: Patience,
): Promise<void> {
  const insist: Insist = async (work) => {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (!dialect.isPassing(error) || clock() + PAUSE_MS >= untilMs) throw error;
        await setTimeout(PAUSE_MS);
      }
    }
  };
  try {
    await dialect.runScript(worker, text, insist);
  } catch (error) {
    if (error instanceof Error) error.message = `${path}: ${error.message}`; // the driver's own, which keeps its codes
    throw error;
  }
}

/**
 * Paths of the scripts that lead from what is there to the version of the scripts, in their order. Nothing is changed.
 *
 * @throws {StoreError} `unsupported`, as {@link updateSchema}
 */
async function missingScripts(
  dialect: SchemaDialect,
  session: Session,
  scripts: Scripts,
  part: Part,
): Promise<string[]> {
  const whole = `${part}.sql`;
  const { tables } = contentsOf(textOf(scripts, whole), part);
  const found = await versionOf(dialect, session, part);
  if (found === undefined) {
    const own = tables.filter((table) => !tablesBefore(scripts, part).includes(table));
    const strange = own.length > 0 ? await dialect.tablesThere(session, own) : [];
    if (strange.length === 0) return [whole];
    throw new StoreError(
      'unsupported',
      `the database has ${strange.join(', ')} already, and no version of ${part}: give the stores a database of their own, or where ${whole} was interrupted run it to its end by hand`,
    );
  }
  // Where DDL is no transaction, a script notes at its head that it has begun, and can be run again to its end.
  if (found === 0) return [whole];
  return scriptsFrom(scripts, part, found);
}

/** Access tokens that are in partitions once stay there: functions that did not know would purge none of them. */
async function refusePartitions(dialect: SchemaDialect, session: Session, { partitions = false }: SchemaOptions) {
  if (partitions || (await versionOf(dialect, session, 'oauth-partitions')) === undefined) return;
  throw new StoreError('unsupported', 'the access tokens are in expiry partitions: set expiryPartitions');
}

/**
 * Paths of the scripts that lead from a version of a part to the newest.
 *
 * @throws {StoreError} `unsupported`: a version that the scripts do not know
 */
export function scriptsFrom(scripts: Scripts, part: Part, found: number): string[] {
  const { version } = contentsOf(textOf(scripts, `${part}.sql`), part);
  if (found > version) {
    throw new StoreError(
      'unsupported',
      `the schema ${part} is of version ${found}, and this package knows ${version}: it was upgraded by a newer package, so use that one`,
    );
  }
  return Array.from({ length: version - found }, (_, index) => `upgrades/${part}-${found + index + 1}.sql`);
}

/** What the parts before this one make, which is no stranger's. */
const tablesBefore = (scripts: Scripts, part: Part): string[] => [
  'oauth_schema',
  ...parts
    .slice(0, parts.indexOf(part))
    .flatMap((earlier) => contentsOf(scripts[`${earlier}.sql`] ?? '', earlier).tables),
];

/** What a script makes, as it stands in it. */
export function contentsOf(text: string, part: Part): { tables: string[]; version: number } {
  const tables = [...text.matchAll(/^\s*CREATE TABLE (?:IF NOT EXISTS )?(\w+)/gm)].map(([, name]) => String(name));
  const versions = [...text.matchAll(new RegExp(`'${part}', (\\d+)`, 'g'))].map(([, version]) => Number(version));
  return { tables, version: Math.max(...versions) };
}

async function versionOf(dialect: SchemaDialect, session: Session, part: Part): Promise<number | undefined> {
  if ((await dialect.tablesThere(session, ['oauth_schema'])).length === 0) return undefined;
  try {
    const [row] = await session.query(`SELECT version FROM oauth_schema WHERE component = '${part}'`);
    if (row === undefined || Number.isInteger(row.version)) return row?.version as number | undefined;
  } catch (cause) {
    if (!dialect.isStrange(cause)) throw cause;
  }
  throw new StoreError('unsupported', 'the table oauth_schema is not one that this package made');
}

function textOf(scripts: Scripts, path: string): string {
  const text = scripts[path];
  if (text === undefined) throw new StoreError('unsupported', `there is no script ${path}`);
  return text;
}
