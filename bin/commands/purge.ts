import type { Configuration } from '../../functions/config/configuration.ts';
import type { StoreKind } from '../../functions/config/functions.ts';
import { seconds, systemClock } from '../../functions/domain/clock.ts';
import type { PurgeReport, PurgeRequest } from '../../functions/domain/ports.ts';
import type { Stores } from '../../functions/open-stores.ts';
import { explain } from './failure.ts';
import { type ChosenStore, chooseStores, withStores } from './stores.ts';

export interface PurgeOptions {
  /** The most records that are removed from each store; without, its own limit. */
  readonly limit?: number;
  /** How long all of it may take. */
  readonly seconds?: number;
}

/** Removes what has expired from these stores, or from all. One that fails does not keep the others from being purged. */
export async function purge(
  configuration: Configuration,
  names: readonly string[],
  options: PurgeOptions,
): Promise<void> {
  const deadlineMs = options.seconds === undefined ? Number.POSITIVE_INFINITY : systemClock() + options.seconds * 1000;
  const chosen = chooseStores(configuration, names);
  for (const together of Map.groupBy(chosen, ({ connection }) => `${connection.section} ${connection.name}`).values()) {
    const connection = together[0]?.connection;
    if (!connection) continue;
    const all = together.map(({ name }) => name).join(', ');
    if (connection.engine === 'memory') {
      console.log(`${all}: in the memory of the process that serves it, which purges it`);
      continue;
    }
    await reporting(all, () =>
      withStores(configuration, connection, together, async (stores) => {
        for (const store of together) {
          const request = { now: seconds(systemClock), limit: options.limit ?? store.settings.purgeUpTo, deadlineMs };
          await reporting(store.name, async () => {
            console.log(`${store.name}: ${inWords(await purged(stores, store, request))}`);
          });
        }
      }),
    );
  }
}

async function reporting(names: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    console.error(`${names}: ${explain(error)}`);
    process.exitCode = 1;
  }
}

function purged(stores: Stores, { kind, name }: ChosenStore, request: PurgeRequest): Promise<PurgeReport> {
  const purgeOf: Record<StoreKind, () => Promise<PurgeReport>> = {
    accessTokenStores: () => stores.accessTokenStore(name).purgeExpired(request),
    authorizationCodeStores: () => stores.authorizationCodeStore(name).purgeExpired(request),
    clientAccessTokenStores: () => stores.clientAccessTokenStore(name).purgeExpired(request),
    artifactStores: () => stores.artifactStore(name).purgeExpired(request),
  };
  return purgeOf[kind]();
}

const WORDS: Readonly<Record<string, string>> = {
  accessTokens: 'access tokens',
  grants: 'grants',
  revocations: 'revocations',
  codes: 'authorization codes',
  artifacts: 'artifacts',
  clientAccessTokens: 'client access tokens',
};

const PRECISION = { exact: '', 'at least': 'at least ', estimated: 'about ' };

function inWords({ removed, more, backlog: { records, precision } }: PurgeReport): string {
  const counts = Object.entries(removed).map(([kind, count]) => `${count} ${WORDS[kind] ?? kind}`);
  const done = counts.length === 0 ? 'the engine removes by itself' : `removed ${counts.join(', ')}`;
  const left = records === 0 ? '' : `; ${PRECISION[precision]}${records} more have expired`;
  return `${done}${left || (more ? '; more has expired' : '')}`;
}
