import { readFile } from 'node:fs/promises';
import { secretPassword } from '../aws.ts';
import { isLocal } from '../config/location.ts';
import { type Clock, systemClock } from '../domain/clock.ts';
import { failureFields, standardLog } from '../log.ts';
import type { Invocation } from '../runtime.ts';
import { onceServerAnswers } from '../server-start.ts';

/** What CloudFormation sends, by way of the provider framework; it makes texts of numbers. */
interface ApplySchemaEvent {
  readonly RequestType: 'Create' | 'Update' | 'Delete';
  readonly PhysicalResourceId?: string;
  readonly ResourceProperties: {
    readonly host: string;
    readonly port: string;
    readonly database: string;
    readonly user: string;
    readonly secretArn: string;
    readonly application: 'automatic' | 'manual';
  };
}

/** A server that was just made answers within this; one that does not is not reached at all. */
const SERVER_MS = 180_000;
/** Left to the function for its answer. */
const MARGIN_MS = 10_000;

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
  async (
    { RequestType, PhysicalResourceId, ResourceProperties }: ApplySchemaEvent,
    invocation: Invocation,
  ): Promise<{ PhysicalResourceId: string; Data: { scripts: string } }> => {
    const { host, port, database, user, secretArn, application } = ResourceProperties;
    const answer = (scripts: readonly string[]) => ({
      PhysicalResourceId: PhysicalResourceId ?? `schema of ${database}`,
      Data: { scripts: scripts.join(', ') },
    });
    if (RequestType === 'Delete') return answer([]);
    const { applySchema, findMissingScripts } = await import('../stores/postgresql-schema.ts');
    const tls = isLocal({ host }) ? false : {};
    const server = { host, port: Number(port), database, user, password: () => password(secretArn), tls } as const;
    const scripts = await readScripts();
    const leftMs = () => Math.max(0, invocation.getRemainingTimeInMillis() - MARGIN_MS);
    const attempt = () => {
      const options = { scripts, roles: true, withinMs: leftMs() };
      return application === 'automatic' ? applySchema(server, options) : findMissingScripts(server, options);
    };
    const answeredByMs = clock() + SERVER_MS;
    const found = await onceServerAnswers(attempt, () => Math.min(leftMs(), answeredByMs - clock())).catch((error) => {
      standardLog('error', 'the schema was not applied', failureFields(error));
      throw new Error(inWords(error));
    });
    standardLog('info', application === 'automatic' ? 'scripts applied' : 'scripts missing', { scripts: found });
    // A database that this very deployment makes cannot have its tables yet.
    if (application === 'automatic' || found.length === 0 || RequestType === 'Create') return answer(found);
    throw new Error(
      `the schema of "${database}" is too old for this version: run ${found.map((path) => `sql/postgresql/${path}`).join(', then ')}`,
    );
  };

const inWords = (error: unknown): string =>
  error instanceof Error ? [error.message, ...(error.cause ? [inWords(error.cause)] : [])].join(': ') : String(error);

export const handler = createApplySchema();
