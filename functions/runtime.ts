import type { Context } from 'aws-lambda';
import type { Configuration } from './config/configuration.ts';
import type { ClientRegistry } from './domain/clients.ts';
import type { Clock } from './domain/clock.ts';
import type { Keyring } from './domain/keyring.ts';
import type { Log } from './log.ts';
import type { Stores } from './open-stores.ts';

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
