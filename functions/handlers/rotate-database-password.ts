import { InputError } from '../domain/errors.ts';
import { createRotation, type RotationEvent } from '../password-rotation.ts';
import type { Invocation } from '../runtime.ts';

// What AWS Secrets Manager calls to change the password of a database's user, for engines without IAM. Its environment:
// DATABASE_ENGINE, DATABASE_HOST, DATABASE_PORT and DATABASE_NAME are the server and its database; MASTER_SECRET_ARN is the secret
// of the user who makes others: JSON with `username` and `password`. A secret that it rotates is JSON with `username`, one of
// oauth_reader, oauth_checker, oauth_writer and oauth_purger, and any `password`: the first rotation makes the user.

/** Each in files of its own, of which a function has those of its engine alone. */
const users = {
  sqlserver: () => import('../stores/sqlserver-users.ts'),
  oracle: () => import('../stores/oracle-users.ts'),
  db2: () => import('../stores/db2-users.ts'),
} as const;

const isRotated = (engine: string): engine is keyof typeof users => engine in users;

/** A step of a rotation: any number of times, and beside traffic. */
export const createRotateDatabasePassword =
  (environment: Readonly<Record<string, string | undefined>> = process.env) =>
  async (event: RotationEvent, invocation: Invocation): Promise<void> => {
    const variable = (name: string): string => {
      const value = environment[name];
      if (value) return value;
      throw new InputError(`environment variable ${name}`, 'not set', 'what the deployment sets it to');
    };
    const engine = variable('DATABASE_ENGINE');
    if (!isRotated(engine))
      throw new InputError('environment variable DATABASE_ENGINE', 'another engine', Object.keys(users).join(', '));
    const place = {
      engine,
      host: variable('DATABASE_HOST'),
      port: Number(variable('DATABASE_PORT')),
      database: variable('DATABASE_NAME'),
      masterSecretArn: variable('MASTER_SECRET_ARN'),
    };
    return createRotation(place, users[engine])(event, invocation);
  };

export const handler = createRotateDatabasePassword();
