import type { Configuration, StoreSettings } from './configuration.ts';
import type { StoreKind } from './functions.ts';
import { storeSections } from './rules.ts';

/** Stores of one kind that keep their records in the same place: one store under several names. */
export interface Place {
  readonly kind: StoreKind;
  /** The connection that holds them. */
  readonly place: string;
  readonly names: readonly string[];
  readonly stores: readonly StoreSettings[];
  /** Where the stores stand in the configuration, as `accessTokenStores.tokens`; fit for a dimension of CloudWatch. */
  readonly label: string;
}

/** The connection that a store uses, as text. */
export const placeOf = (store: StoreSettings): string => {
  switch (store.storeIn) {
    case 'cache':
      return `cache ${store.cache}`;
    case 'database':
      return `database ${store.database}`;
    default:
      return `cassandra ${store.cassandra}`;
  }
};

/** The places of a configuration's stores, each once for every kind that is kept there. */
export function placesOf(configuration: Pick<Configuration, StoreKind>): readonly Place[] {
  return storeSections.flatMap((kind) => {
    const groups = Map.groupBy(Object.entries<StoreSettings>(configuration[kind]), ([, store]) => placeOf(store));
    return [...groups].map(([place, group]) => {
      const names = group.map(([name]) => name);
      return { kind, place, names, stores: group.map(([, store]) => store), label: labelOf(kind, names) };
    });
  });
}

/** A dimension's value has at most 1024 characters, all of ASCII: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_Dimension.html */
const labelOf = (kind: StoreKind, names: readonly string[]) =>
  `${kind}.${names.join('+')}`.replaceAll(/[^ -~]/g, '?').slice(0, 1024);
