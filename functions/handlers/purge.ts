import type { StoreKind } from '../config/functions.ts';
import { deployed } from '../deployed.ts';
import { seconds } from '../domain/clock.ts';
import type { PurgeReport, PurgeRequest } from '../domain/ports.ts';
import { failureFields } from '../log.ts';
import type { Invocation, Runtime } from '../runtime.ts';

/** Left to the function for its last batch and its answer. */
const MARGIN_MS = 2000;

const kinds = ['accessTokenStores', 'authorizationCodeStores', 'clientAccessTokenStores', 'artifactStores'] as const;

interface Purged {
  readonly kind: StoreKind;
  /** Stores that keep their records in the same place are purged as one. */
  readonly names: readonly string[];
  readonly report: PurgeReport | { readonly failure: Record<string, unknown> };
}

type Purge = (request: PurgeRequest) => Promise<PurgeReport>;

/**
 * Removes what has expired from every store of the configuration, each up to its limit, and stops before the function's
 * time is over. A store that fails does not keep the others from being purged; then the call fails, after its report.
 */
export const createPurge = ({ stores, configuration, clock, log }: Runtime) => {
  const storeOf = {
    accessTokenStores: stores.accessTokenStore,
    authorizationCodeStores: stores.authorizationCodeStore,
    clientAccessTokenStores: stores.clientAccessTokenStore,
    artifactStores: stores.artifactStore,
  };
  const places = new Map<object, { kind: StoreKind; names: string[]; limit: number; purge: Purge }>();
  for (const kind of kinds) {
    for (const [name, { purgeUpTo }] of Object.entries(configuration[kind])) {
      const store = storeOf[kind](name);
      const { names = [], limit = 0 } = places.get(store) ?? {};
      places.set(store, {
        kind,
        names: [...names, name],
        limit: Math.max(limit, purgeUpTo),
        purge: store.purgeExpired,
      });
    }
  }
  return async (_event: unknown, invocation?: Invocation): Promise<readonly Purged[]> => {
    const deadlineMs = invocation && clock() + invocation.getRemainingTimeInMillis() - MARGIN_MS;
    const purged: Purged[] = [];
    for (const { kind, names, limit, purge } of places.values()) {
      const request = { now: seconds(clock), limit, ...(deadlineMs !== undefined && { deadlineMs }) };
      const report = await purge(request).catch((error: unknown) => ({ failure: failureFields(error) }));
      purged.push({ kind, names, report });
    }
    const failed = purged.filter(({ report }) => 'failure' in report).flatMap(({ names }) => names);
    log(failed.length > 0 ? 'error' : 'info', 'purged what has expired', { stores: purged });
    if (failed.length > 0) throw new Error(`the purge failed in ${failed.join(', ')}`);
    return purged;
  };
};

export const handler = deployed(createPurge, 'purge');
