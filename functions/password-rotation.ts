import { secretLogin } from './aws.ts';
import { type DatabaseUser, databaseUsers, loginsOf } from './config/database-users.ts';
import type { DatabaseEngine } from './config/engines.ts';
import { isLocal } from './config/location.ts';
import { InputError } from './domain/errors.ts';
import { failureFields, standardLog } from './log.ts';
import { type RotatingSecret, randomPassword, rotatingSecret, type UserSecret } from './rotating-secret.ts';
import type { Invocation } from './runtime.ts';
import { inWords } from './schema-application.ts';
import { onceServerAnswers } from './server-start.ts';
import type { DatabaseSettings } from './stores/sql-settings.ts';
import { type DatabaseUsers, PASSWORD_LENGTH } from './stores/sql-users.ts';

// A password's change, in the four steps in which AWS Secrets Manager asks for it
// (https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html). Two users take turns for
// each secret: the one that calls log in as is left alone, and the other one gets a new password. So no call fails, whenever it
// read the secret, after whichever step a rotation breaks off, and however often one is repeated; and no account is locked
// because many functions came with an old password at once.

/** What Secrets Manager sends. */
export interface RotationEvent {
  readonly Step: string;
  readonly SecretId: string;
  readonly ClientRequestToken: string;
}

/** The server, and the secret of the user who may make others. */
export interface RotationPlace {
  readonly engine: DatabaseEngine;
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly masterSecretArn: string;
}

/** Left to the function for its answer. */
const MARGIN_MS = 5000;

type Step = (secret: RotatingSecret, leftMs: () => number) => Promise<void>;

/**
 * The function that rotates the secrets of a database: a step at a time, each any number of times and by any number of callers
 * at once. It makes users who are not there yet, so that the first rotation of a secret is what lets its user in.
 *
 * @throws {Error} in words, without a password
 */
export function createRotation(
  place: RotationPlace,
  users: () => Promise<DatabaseUsers>,
): (event: RotationEvent, invocation: Invocation) => Promise<void> {
  const { engine, host, port, database, masterSecretArn } = place;
  const server: DatabaseSettings = { host, port, database, tls: isLocal({ host }) ? false : {} };
  const steps: Readonly<Record<string, Step>> = {
    async createSecret(secret) {
      const current = await secret.current();
      if (await secret.pending()) return;
      const next = { username: otherOf(current.username), password: await randomPassword(PASSWORD_LENGTH) };
      await secret.write({ ...current, engine, host, port, dbname: database, ...next });
    },
    async setSecret(secret, leftMs) {
      const { username: user, password } = await written(secret);
      const role = roleOf(user);
      if (user === (await secret.current()).username)
        throw new InputError('the user of the new version', 'the one that calls log in as', 'the other one of the two');
      const master = { ...server, password: () => secretLogin(masterSecretArn) };
      const { setPassword } = await users();
      await unsaid(password, () => onceServerAnswers(() => setPassword(master, { role, user, password }), leftMs));
    },
    async testSecret(secret, leftMs) {
      const { username: user, password } = await written(secret);
      const { logIn } = await users();
      await unsaid(password, () => onceServerAnswers(() => logIn({ ...server, user, password }), leftMs));
    },
    /** From here on calls log in as the other user. */
    finishSecret: (secret) => secret.promote(),
  };
  return async ({ Step: name, SecretId, ClientRequestToken }, invocation) => {
    try {
      const step = Object.hasOwn(steps, name) ? steps[name] : undefined;
      if (!step) throw new InputError('the step of the rotation', 'unknown', Object.keys(steps).join(', '));
      const secret = rotatingSecret(SecretId, ClientRequestToken);
      if (await secret.isDue()) await step(secret, () => invocation.getRemainingTimeInMillis() - MARGIN_MS);
      standardLog('info', 'a step of a rotation is done', { step: name, secret: SecretId });
    } catch (error) {
      standardLog('error', 'a step of a rotation failed', { step: name, secret: SecretId, ...failureFields(error) });
      throw error;
    }
  };
}

/** Whose privileges a user has who may log in. */
function roleOf(user: string): DatabaseUser {
  const role = databaseUsers.find((each) => each === user || loginsOf(each).some((login) => login === user));
  if (role) return role;
  throw new InputError('the user in the secret', 'another', databaseUsers.flatMap(loginsOf).join(', '));
}

/** Who is next: a secret that was never rotated names the role, as which nobody logs in. */
function otherOf(user: string): string {
  const [first, second] = loginsOf(roleOf(user));
  return user === first ? second : first;
}

async function written(secret: RotatingSecret): Promise<UserSecret> {
  const pending = await secret.pending();
  if (pending) return pending;
  throw new InputError('the new version of the secret', 'empty', 'what createSecret writes');
}

/** What becomes of the work; of a failure its words, whatever a server or driver put into them. */
async function unsaid<T>(password: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new Error(inWords(error).replaceAll(password, '…'));
  }
}
