import { existsSync } from 'node:fs';
import type { Configuration } from '../../functions/config/configuration.ts';
import type { StoreKind } from '../../functions/config/functions.ts';
import { storeSections } from '../../functions/config/rules.ts';
import { postgresqlSettings } from '../../functions/connection-settings.ts';
import type { AccessTokenStore } from '../../functions/domain/ports.ts';
import { openStores, type Stores } from '../../functions/open-stores.ts';
import { passwordFromAws } from '../../functions/password-from-aws.ts';
import { lockFolder } from '../folder-lock.ts';
import { type Connection, checkAddress, connectionOf, dataDirectory } from './connections.ts';

/** A store that a command is to work on. */
export interface ChosenStore {
  readonly kind: StoreKind;
  readonly name: string;
  readonly settings: Configuration[StoreKind][string];
  readonly connection: Connection;
}

/** The stores of these names; all without. */
export function chooseStores(
  configuration: Configuration,
  names: readonly string[] = [],
  kinds: readonly StoreKind[] = storeSections,
): ChosenStore[] {
  const all = kinds.flatMap((kind) =>
    Object.entries(configuration[kind]).map(([name, settings]) => {
      return { kind, name, settings, connection: connectionOf(configuration, settings) };
    }),
  );
  const absent = names.find((name) => !all.some((store) => store.name === name));
  if (absent !== undefined) throw new Error(`there is no store "${absent}"; there is ${namesOf(all)}`);
  return names.length === 0 ? all : all.filter(({ name }) => names.includes(name));
}

/** The access token store of this name; without one, the only one. */
export function chooseAccessTokenStore(configuration: Configuration, name: string | undefined): ChosenStore {
  const stores = chooseStores(configuration, name === undefined ? [] : [name], ['accessTokenStores']);
  const [store] = stores;
  if (!store || stores.length > 1)
    throw new Error(`say with --store which store is meant; there is ${namesOf(stores)}`);
  return store;
}

const namesOf = (stores: readonly ChosenStore[]) => stores.map(({ name }) => `"${name}"`).join(', ') || 'none';

/** Opens these stores, which are on one connection, for as long as the work takes. */
export async function withStores<Result>(
  configuration: Configuration,
  connection: Connection,
  chosen: readonly ChosenStore[],
  work: (stores: Stores) => Promise<Result>,
): Promise<Result> {
  if (connection.engine === 'memory') {
    throw new Error(`"${connection.name}" is in the memory of the process that serves it: no other process can see it`);
  }
  checkAddress(connection);
  const sections = storeSections.map((kind) => {
    const ofKind = chosen.filter((store) => store.kind === kind);
    return [kind, Object.fromEntries(ofKind.map(({ name, settings }) => [name, settings]))];
  });
  return withEmbedded(connection, 'existing', async () => {
    const stores = await openStores(
      { ...configuration, ...Object.fromEntries(sections) },
      { dataDirectory, password: passwordFromAws },
    );
    try {
      return await work(stores);
    } finally {
      await stores.close();
    }
  });
}

/** Opens one access token store for as long as the work takes. */
export const withAccessTokenStore = <Result>(
  configuration: Configuration,
  chosen: ChosenStore,
  work: (store: AccessTokenStore) => Promise<Result>,
): Promise<Result> =>
  withStores(configuration, chosen.connection, [chosen], (stores) => work(stores.accessTokenStore(chosen.name)));

/**
 * Does some work on a connection; if it is an embedded database, alone.
 *
 * @throws {FolderInUse} another process works on it, such as the local deployment
 */
export async function withEmbedded<Result>(
  { name, database }: Connection,
  state: 'existing' | 'new',
  work: () => Promise<Result>,
): Promise<Result> {
  if (!database?.embedded) return work();
  const { embedded = '' } = await postgresqlSettings(name, database, { dataDirectory });
  if (state === 'existing' && !existsSync(embedded)) throw new Error(`there is no database in ${embedded} yet`);
  const release = lockFolder(dataDirectory);
  try {
    return await work();
  } finally {
    release();
  }
}
