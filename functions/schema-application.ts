import { type Clock, systemClock } from './domain/clock.ts';
import { failureFields, standardLog } from './log.ts';
import type { Invocation } from './runtime.ts';
import { onceServerAnswers } from './server-start.ts';

// What the functions have in common that CloudFormation calls to have a schema applied, or looked at.

/** What CloudFormation sends, by way of the provider framework; it makes texts of numbers. */
export interface SchemaEvent<Properties> {
  readonly RequestType: 'Create' | 'Update' | 'Delete';
  readonly PhysicalResourceId?: string;
  readonly ResourceProperties: Properties & { readonly application: 'automatic' | 'manual' };
}

/** One schema: of a database, of a keyspace. */
export interface SchemaWork {
  /** Whose schema it is. */
  readonly of: string;
  /** Makes what is missing within so many milliseconds, and says what it was: any number of times. */
  apply(withinMs: number): Promise<string[]>;
  /** Says what is missing. */
  find(withinMs: number): Promise<string[]>;
  /** What somebody is to do about it. */
  remedy(missing: readonly string[]): string;
}

export interface SchemaAnswer {
  readonly PhysicalResourceId: string;
  readonly Data: { readonly scripts: string };
}

/** A server that was just made answers within this; one that does not is not reached at all. */
const SERVER_MS = 180_000;
/** Left to the function for its answer. */
const MARGIN_MS = 10_000;

/**
 * Does what is asked, and answers with it: nothing where a schema is to be deleted, which stays; of one that is left to others
 * only whether they did.
 *
 * @throws {Error} in words, which appear among the deployment’s events
 */
export async function applySchemaOf(
  { RequestType, PhysicalResourceId, ResourceProperties: { application } }: SchemaEvent<object>,
  work: SchemaWork,
  invocation: Invocation,
  clock: Clock = systemClock,
): Promise<SchemaAnswer> {
  const answer = (scripts: readonly string[]) => ({
    PhysicalResourceId: PhysicalResourceId ?? `schema of ${work.of}`,
    Data: { scripts: scripts.join(', ') },
  });
  if (RequestType === 'Delete') return answer([]);
  const leftMs = () => Math.max(0, invocation.getRemainingTimeInMillis() - MARGIN_MS);
  const attempt = () => (application === 'automatic' ? work.apply(leftMs()) : work.find(leftMs()));
  const answeredByMs = clock() + SERVER_MS;
  const found = await onceServerAnswers(attempt, () => Math.min(leftMs(), answeredByMs - clock())).catch((error) => {
    standardLog('error', 'the schema was not applied', failureFields(error));
    throw new Error(inWords(error));
  });
  standardLog('info', application === 'automatic' ? 'scripts applied' : 'scripts missing', { scripts: found });
  // What this very deployment makes cannot have its tables yet.
  if (application === 'automatic' || found.length === 0 || RequestType === 'Create') return answer(found);
  throw new Error(work.remedy(found));
}

/** What an error says, and what caused it. */
export const inWords = (error: unknown): string =>
  error instanceof Error ? [error.message, ...(error.cause ? [inWords(error.cause)] : [])].join(': ') : String(error);
