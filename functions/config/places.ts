import type { Configuration, StoreSettings } from './configuration.ts';
import { type EngineKind, engineKinds } from './engines.ts';
import type { StoreKind, StoreUse } from './functions.ts';
import { connectionSections, storeSections } from './rules.ts';

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

type ConnectionSection = (typeof connectionSections)[EngineKind];
export type ConnectionSettings = Configuration[ConnectionSection][string];

/** A cache, database or cluster of the configuration that stores refer to. */
export interface UsedConnection<Settings = ConnectionSettings> {
  readonly section: ConnectionSection;
  readonly name: string;
  readonly settings: Settings;
  /** The kinds of the stores that refer to it. */
  readonly kinds: readonly StoreKind[];
  /** Whether it is in front of an access token store, for its look-ups. */
  readonly cachesLookups: boolean;
}

/** The caches in front of access token stores, by name. */
export const lookupCaches = ({ accessTokenStores }: Pick<Configuration, 'accessTokenStores'>): ReadonlySet<string> =>
  new Set(Object.values(accessTokenStores).flatMap(({ lookupCache }) => lookupCache?.cache ?? []));

/** Whether a function with this use opens a connection. A purge looks nothing up. */
export const isOpened = ({ kinds, cachesLookups }: Pick<UsedConnection, 'kinds' | 'cachesLookups'>, use: StoreUse) =>
  kinds.some((kind) => use[kind] !== undefined) || (cachesLookups && looksUp(use));

/** Whether a function with this use looks access tokens up, or ends them. */
export const looksUp = ({ accessTokenStores }: StoreUse): boolean =>
  accessTokenStores === 'read' || accessTokenStores === 'write';

/** The connections that stores refer to: what a deployment creates or reaches. */
export function usedConnections(configuration: Configuration): UsedConnection[] {
  const places = placesOf(configuration);
  const caches = lookupCaches(configuration);
  return engineKinds.flatMap((kind) => {
    const section = connectionSections[kind];
    return Object.entries<ConnectionSettings>(configuration[section]).flatMap(([name, settings]) => {
      const kinds = places.filter(({ place }) => place === `${kind} ${name}`).map((each) => each.kind);
      const cachesLookups = section === 'caches' && caches.has(name);
      return kinds.length > 0 || cachesLookups ? [{ section, name, settings, kinds, cachesLookups }] : [];
    });
  });
}
