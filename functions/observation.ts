import type { Configuration } from './config/configuration.ts';
import type { StoreKind } from './config/functions.ts';
import { placesOf } from './config/places.ts';
import { stopwatch } from './domain/clock.ts';
import { StoreError } from './domain/errors.ts';
import type { Engine } from './domain/ports.ts';

/** One operation of a store, when it has ended. Nothing in it comes from a request. */
export interface Observation {
  /** Label of the stores' place. */
  readonly store: string;
  /** The method of the port. */
  readonly operation: string;
  /** The port's word, `done` where it has none, `refused` for its false, or the code of the failure. */
  readonly outcome: string;
  readonly durationMs: number;
}

export type Observe = (observation: Observation) => void;

/** The engine in one place of the configuration, with every operation of its stores told of as it ends. */
export function observedEngine(engine: Engine, place: string, configuration: Configuration, observe: Observe): Engine {
  const places = placesOf(configuration).filter((each) => each.place === place);
  const observed = <Store extends object>(kind: StoreKind, store: Store): Store => {
    const label = places.find((each) => each.kind === kind)?.label;
    return label === undefined ? store : observedStore(store, label, observe);
  };
  return {
    accessTokens: observed('accessTokenStores', engine.accessTokens),
    authorizationCodes: observed('authorizationCodeStores', engine.authorizationCodes),
    clientAccessTokens: observed('clientAccessTokenStores', engine.clientAccessTokens),
    artifacts: observed('artifactStores', engine.artifacts),
    close: () => engine.close(),
  };
}

type Operation = (...values: unknown[]) => Promise<unknown>;

function observedStore<Store extends object>(store: Store, label: string, observe: Observe): Store {
  const operations = Object.entries<Operation>({ ...store } as Record<string, Operation>).map(([operation, run]) => {
    const observed: Operation = async (...values) => {
      const began = stopwatch();
      let outcome = 'failed';
      try {
        const result = await run(...values);
        outcome = outcomeOf(result);
        return result;
      } catch (error) {
        if (error instanceof StoreError) outcome = error.code;
        throw error;
      } finally {
        observe({ store: label, operation, outcome, durationMs: stopwatch() - began });
      }
    };
    return [operation, observed];
  });
  return Object.fromEntries(operations);
}

function outcomeOf(result: unknown): string {
  if (typeof result === 'string') return result;
  if (typeof result === 'object' && result !== null && 'outcome' in result) return String(result.outcome);
  return result === false ? 'refused' : 'done';
}
