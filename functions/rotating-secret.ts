import { callAws, isRefusal } from './aws.ts';
import { InputError } from './domain/errors.ts';

// The secret of a database's user in AWS Secrets Manager while it is rotated: the version that calls read, and the one that is to
// take its place.

/** What a version of the secret says, as AWS writes it for databases; what else stands in it is kept. */
export interface UserSecret {
  readonly username: string;
  readonly password: string;
}

export interface RotatingSecret {
  /** Whether there is anything left to do for this version. @throws {InputError} nobody asked for it */
  isDue(): Promise<boolean>;
  current(): Promise<UserSecret>;
  /** The version to come; `undefined` as long as nobody has written it. */
  pending(): Promise<UserSecret | undefined>;
  /** Writes the version to come, if nobody else did meanwhile. */
  write(next: UserSecret & Readonly<Record<string, unknown>>): Promise<void>;
  /** Makes the version to come the one that calls read; of several who do, all succeed. */
  promote(): Promise<void>;
}

const ask = (action: string, body: object) => callAws('secretsmanager', `secretsmanager.${action}`, body);

/** Letters and digits, with at least one of each kind. */
export async function randomPassword(length: number): Promise<string> {
  const { RandomPassword } = await ask('GetRandomPassword', { PasswordLength: length, ExcludePunctuation: true });
  return String(RandomPassword);
}

export function rotatingSecret(SecretId: string, version: string): RotatingSecret {
  const describe = async () => {
    const { RotationEnabled, VersionIdsToStages = {} } = await ask('DescribeSecret', { SecretId });
    const versions = VersionIdsToStages as Readonly<Record<string, readonly string[]>>;
    return {
      rotates: RotationEnabled !== false,
      stages: versions[version] ?? [],
      current: Object.entries(versions).find(([, stages]) => stages.includes('AWSCURRENT'))?.[0],
    };
  };
  const read = async (which: object) => {
    const { SecretString } = await ask('GetSecretValue', { SecretId, ...which });
    return userIn(String(SecretString));
  };
  return {
    async isDue() {
      const { rotates, stages } = await describe();
      if (!rotates) throw new InputError('the rotation of the secret', 'off', 'a secret that rotates');
      if (stages.includes('AWSCURRENT')) return false;
      if (stages.includes('AWSPENDING')) return true;
      throw new InputError('the version of the secret', 'not pending', 'one that Secrets Manager asked for');
    },
    current: () => read({ VersionStage: 'AWSCURRENT' }),
    pending: () =>
      read({ VersionId: version, VersionStage: 'AWSPENDING' }).catch((error) => {
        if (isRefusal(error, 'ResourceNotFoundException')) return undefined;
        throw error;
      }),
    async write(next) {
      try {
        await ask('PutSecretValue', {
          ...{ SecretId, ClientRequestToken: version },
          ...{ SecretString: JSON.stringify(next), VersionStages: ['AWSPENDING'] },
        });
      } catch (error) {
        if (!isRefusal(error, 'ResourceExistsException')) throw error; // another one wrote it, with a password of its own
      }
    },
    async promote() {
      const { current } = await describe();
      if (current === version) return;
      try {
        await ask('UpdateSecretVersionStage', {
          ...{ SecretId, VersionStage: 'AWSCURRENT', MoveToVersionId: version },
          ...(current !== undefined && { RemoveFromVersionId: current }),
        });
      } catch (error) {
        if ((await describe()).current !== version) throw error; // else another one did
      }
    },
  };
}

function userIn(text: string): UserSecret {
  try {
    const secret = JSON.parse(text);
    if (typeof secret.username === 'string' && typeof secret.password === 'string') return secret;
  } catch {}
  throw new InputError('the secret of the database’s user', 'of another form', 'JSON with username and password');
}
