import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { JWKS } from 'oidc-provider';
import type { Keyring } from '../../functions/domain/keyring.ts';
import { readKeyring } from '../../functions/keys.ts';
import { FolderInUse, lockFolder } from '../folder-lock.ts';

/** What a restart must find again beside the embedded databases. */
export interface DataDirectory {
  /** The deployment's keys: without them no token of an earlier run is recognised. */
  readonly keyring: Keyring;
  /** Private keys that sign ID Tokens. */
  readonly signingKeys: JWKS;
  /** Secrets that sign cookies. */
  readonly cookieKeys: readonly string[];
  /** Lets another process use the folder. */
  release(): void;
}

/**
 * Takes the folder for this process alone and reads its keys; whatever is missing is made: folder, keys.
 *
 * @throws {Error} in one sentence: it cannot be written to, or another process uses it
 */
export async function openDataDirectory(path: string): Promise<DataDirectory> {
  try {
    if (!existsSync(path)) mkdirSync(path, { mode: 0o700 });
    const release = lockFolder(path);
    return {
      keyring: await readKeyring(kept(path, 'keyring.json', newKeyring)),
      signingKeys: JSON.parse(kept(path, 'signing-keys.json', newSigningKeys)),
      cookieKeys: JSON.parse(kept(path, 'cookie-keys.json', () => [randomBytes(32).toString('base64url')])),
      release,
    };
  } catch (cause) {
    if (cause instanceof FolderInUse) throw cause;
    throw new Error(`the data directory ${path} cannot be used: ${(cause as Error).message}`, { cause });
  }
}

/** The text of a file that only its owner may read; made, whole or not at all, when it is not there. */
function kept(path: string, name: string, make: () => object): string {
  const file = join(path, name);
  if (!existsSync(file)) {
    const draft = `${file}.${randomUUID()}`;
    const descriptor = openSync(draft, 'wx', 0o600);
    writeFileSync(descriptor, JSON.stringify(make()));
    fsyncSync(descriptor);
    closeSync(descriptor);
    renameSync(draft, file);
  }
  return readFileSync(file, 'utf8');
}

const newKeyring = () => ({ current: 0, keys: { 0: randomBytes(32).toString('base64url') } });

const newSigningKeys = () => ({
  keys: [
    {
      ...generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }),
      alg: 'RS256',
      use: 'sig',
    },
  ],
});
