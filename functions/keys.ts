import { InputError } from './domain/errors.ts';
import { createKeyring, type Keyring } from './domain/keyring.ts';

const ACCEPTED =
  '{ "current": 0, "keys": { "0": "<base64url>" } }, or "wrapped" in place of "keys": { "0": "<base64 of AWS KMS>" }';

/**
 * The keys in `text`: `{ "current": 1, "keys": { "1": "<32 bytes or more, base64url>" } }`, or `wrapped` in place of `keys`
 * with each as AWS KMS encrypted it. KMS is asked once for each wrapped key.
 *
 * @throws {InputError} it is something else, of which nothing is said: it holds secrets
 * @throws {StoreError} KMS refuses or does not answer
 */
export async function readKeyring(text: string): Promise<Keyring> {
  const { current, keys, wrapped } = keysIn(text);
  const known = Object.entries(keys).map(([generation, secret]) => ({
    generation: Number(generation),
    secret: Buffer.from(String(secret), 'base64url'),
  }));
  const unwrapped = Object.entries(wrapped).map(async ([generation, secret]) => {
    const { unwrapKey } = await import('./aws.ts');
    return { generation: Number(generation), secret: await unwrapKey(Number(generation), String(secret)) };
  });
  return createKeyring([...known, ...(await Promise.all(unwrapped))], current);
}

const refused = (): never => {
  throw new InputError('the keyring', 'not given to this function', 'a function that does not only purge');
};

/** For the purge, which needs no keys and is therefore given none. */
export const noKeyring: Keyring = { current: -1, generations: [], has: () => false, mac: refused, sealKey: refused };

type Keys = Readonly<Record<string, unknown>>;

function keysIn(text: string): { current: number; keys: Keys; wrapped: Keys } {
  try {
    const { current, keys, wrapped } = JSON.parse(text);
    return { current, keys: { ...keys }, wrapped: { ...wrapped } };
  } catch {
    throw new InputError('the text of the keys', 'not JSON', ACCEPTED);
  }
}
