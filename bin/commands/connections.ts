import type { Configuration, StoreSettings } from '../../functions/config/configuration.ts';
import type { Engine } from '../../functions/config/engines.ts';
import { environment } from '../../functions/config/environment.ts';
import { connectionSections, storeSections } from '../../functions/config/rules.ts';

/** Where embedded databases are kept. */
export const dataDirectory = process.env[environment.dataDirectory.variable] || environment.dataDirectory.default;

/** A cache, database or cluster that stores are kept in. */
export interface Connection {
  readonly section: (typeof connectionSections)[keyof typeof connectionSections];
  readonly name: string;
  readonly engine: Engine;
  /** Its settings, if it is a database. */
  readonly database?: Configuration['databases'][string];
}

export const allConnections = (configuration: Configuration): Connection[] => [
  ...Object.entries(configuration.caches).map(([name, { engine }]) => ({ section: 'caches', name, engine }) as const),
  ...Object.entries(configuration.databases).map(
    ([name, database]) => ({ section: 'databases', name, engine: database.engine, database }) as const,
  ),
  ...Object.entries(configuration.cassandra).map(
    ([name, { engine }]) => ({ section: 'cassandra', name, engine }) as const,
  ),
];

/** The connection that a store refers to. */
export function connectionOf(configuration: Configuration, store: StoreSettings): Connection {
  const section = connectionSections[store.storeIn];
  const name = Reflect.get(store, store.storeIn);
  const found = allConnections(configuration).find((each) => each.section === section && each.name === name);
  if (!found) throw new Error(`there is no "${name}" in ${section}`);
  return found;
}

/** The connection of this name, or that the store of this name refers to. */
export function connectionNamed(configuration: Configuration, name: string): Connection {
  const ofStores = storeSections.flatMap((kind) => {
    const store: StoreSettings | undefined = configuration[kind][name];
    return store ? [connectionOf(configuration, store)] : [];
  });
  const all = allConnections(configuration);
  const [found, ...others] = [...all.filter((each) => each.name === name), ...ofStores];
  if (!found) throw new Error(`there is no connection or store "${name}"; there is ${named(all)}`);
  const another = others.find((each) => each.section !== found.section || each.name !== found.name);
  if (another) throw new Error(`"${name}" could be ${named([found, another])}; say which`);
  return found;
}

const named = (connections: readonly Connection[]) =>
  connections.map(({ section, name }) => `"${name}" in ${section}`).join(', ') || 'none';

/** @throws {Error} the database is one that the deployment makes: its address is not in the configuration */
export function checkAddress({ name, database }: Connection): void {
  if (database && !database.embedded && database.url === undefined && database.host === undefined) {
    throw new Error(
      `the database "${name}" has neither url nor host: the deployment creates it, and its functions reach it`,
    );
  }
}
