import { readFile } from 'node:fs/promises';
import type { Context } from 'aws-lambda';
import { type Configuration, readConfiguration } from './config/configuration.ts';
import { environment } from './config/environment.ts';
import type { ClientRegistry } from './domain/clients.ts';
import { type Clock, systemClock } from './domain/clock.ts';
import { InputError } from './domain/errors.ts';
import { createKeyring, type Keyring } from './domain/keyring.ts';
import { type Log, standardLog } from './log.ts';
import { openStores, type StoreKind, type Stores } from './open-stores.ts';

/** What every function works with. The local deployment makes one for all; a deployed function one for itself. */
export interface Runtime {
  readonly configuration: Configuration;
  readonly stores: Stores;
  /** Which of the stores the functions use, where there are several of a kind. */
  readonly storeNames?: StoreNames;
  readonly clients: ClientRegistry;
  readonly keyring: Keyring;
  readonly clock: Clock;
  readonly log: Log;
}

export interface StoreNames {
  readonly accessTokenStore?: string | undefined;
  readonly authorizationCodeStore?: string | undefined;
  readonly artifactStore?: string | undefined;
}

/** What a function reads of the context in which AWS Lambda calls it. */
export type Invocation = Pick<Context, 'getRemainingTimeInMillis'>;

/** The registry that a configuration's `clients` make. */
export const configuredClients = (configuration: Configuration): ClientRegistry => {
  const clients = new Map(
    Object.entries(configuration.clients).map(([clientId, client]) => [clientId, { clientId, ...client }]),
  );
  return { find: (clientId) => clients.get(clientId) };
};

/**
 * The keys in `text`: `{ "current": 1, "keys": { "1": "<32 bytes or more, base64url>" } }`.
 *
 * @throws {InputError} it is something else, of which nothing is said: it holds secrets
 */
export function readKeyring(text: string): Keyring {
  const { current, keys } = keysIn(text);
  return createKeyring(
    Object.entries(keys).map(([generation, secret]) => ({
      generation: Number(generation),
      secret: Buffer.from(String(secret), 'base64url'),
    })),
    current,
  );
}

function keysIn(text: string): { current: number; keys: Record<string, string> } {
  try {
    const { current, keys } = JSON.parse(text);
    return { current, keys: { ...keys } };
  } catch {
    throw new InputError('the text of the keys', 'not JSON', '{ "current": 0, "keys": { "0": "<base64url>" } }');
  }
}

/**
 * A function as AWS Lambda calls it: its runtime is made by the first call of an execution environment and kept, whatever
 * becomes of an event; a call that fails to make one fails, and the next one tries again.
 */
export function deployed<Event, Result>(
  create: (runtime: Runtime) => (event: Event, invocation: Invocation) => Promise<Result>,
  kinds: readonly StoreKind[],
): (event: Event, invocation: Invocation) => Promise<Result> {
  let handler: Promise<ReturnType<typeof create>> | undefined;
  return async (event, invocation) => {
    handler ??= fromEnvironment(kinds)
      .then(create)
      .catch((error) => {
        handler = undefined;
        throw error;
      });
    return (await handler)(event, invocation);
  };
}

async function fromEnvironment(kinds: readonly StoreKind[]): Promise<Runtime> {
  const {
    configurationFile,
    keyring: keyringVariable,
    accessTokenStore,
    authorizationCodeStore,
    artifactStore,
  } = environment;
  const file = process.env[configurationFile.variable] ?? configurationFile.default;
  const { configuration } = readConfiguration(await readFile(file, 'utf8'));
  const keyring = readKeyring(process.env[keyringVariable.variable] ?? '');
  const stores = await openStores(configuration, { keyring, kinds });
  return {
    configuration,
    stores,
    storeNames: {
      accessTokenStore: process.env[accessTokenStore.variable],
      authorizationCodeStore: process.env[authorizationCodeStore.variable],
      artifactStore: process.env[artifactStore.variable],
    },
    clients: configuredClients(configuration),
    keyring,
    clock: systemClock,
    log: standardLog,
  };
}
