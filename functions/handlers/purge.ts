import { setTimeout as sleep } from 'node:timers/promises';
import { type Place, placesOf } from '../config/places.ts';
import { deployed } from '../deployed.ts';
import { seconds } from '../domain/clock.ts';
import type { PurgeReport } from '../domain/ports.ts';
import { failureFields } from '../log.ts';
import { type PurgeEvent, ticksOf } from '../purge-ticks.ts';
import type { Invocation, Runtime } from '../runtime.ts';

/** Left to the function for its last batch and its answer. */
const MARGIN_MS = 2000;

/** What became of one run in one place. */
interface Purged {
  /** Label of the place; stores that keep their records in the same one are purged as one. */
  readonly store: string;
  readonly lateSeconds: number;
  readonly report?: PurgeReport;
  readonly oldestSeconds?: number;
  readonly failure?: Record<string, unknown>;
}

/**
 * Removes what has expired from the stores that the event names, each up to its limit in each run, and stops before the
 * function's time is over. A store that fails does not keep the others from being purged; then the call fails, after its
 * reports.
 */
export const createPurge = ({ stores, configuration, clock, log }: Runtime, pause: (ms: number) => unknown = sleep) => {
  const storeOf = {
    accessTokenStores: stores.accessTokenStore,
    authorizationCodeStores: stores.authorizationCodeStore,
    clientAccessTokenStores: stores.clientAccessTokenStore,
    artifactStores: stores.artifactStore,
  };
  const purge = async ({ kind, names, stores, label }: Place, tick: number, deadlineMs?: number): Promise<Purged> => {
    const now = seconds(clock);
    const told = { store: label, lateSeconds: Math.max(0, now - tick) };
    try {
      const limit = Math.max(...stores.map(({ purgeUpTo }) => purgeUpTo));
      const request = { now, limit, ...(deadlineMs !== undefined && { deadlineMs }) };
      const report = await storeOf[kind](names[0]).purgeExpired(request);
      const purged = { ...told, report, oldestSeconds: now - (report.backlog.oldestDueAt ?? now) };
      log('info', 'purged what has expired', purged);
      return purged;
    } catch (error) {
      const failure = failureFields(error);
      log('error', 'the purge failed', { ...told, failure });
      return { ...told, failure };
    }
  };
  return async (event: PurgeEvent, invocation?: Invocation): Promise<readonly Purged[]> => {
    const deadlineMs = invocation && clock() + invocation.getRemainingTimeInMillis() - MARGIN_MS;
    const isDue = ({ kind, names }: Place) =>
      event.stores?.some((store) => store.kind === kind && names.includes(store.name)) ?? true;
    const places = placesOf(configuration).filter(isDue);
    const ticks = ticksOf(event, seconds(clock));
    const purged: Purged[] = [];
    for (const [done, tick] of ticks.entries()) {
      const startMs = Math.max(tick * 1000, clock());
      if (deadlineMs !== undefined && startMs >= deadlineMs) {
        log('warn', 'the purge has no time left', { ticks: ticks.length, done });
        break;
      }
      if (startMs > clock()) await pause(startMs - clock());
      for (const place of places) purged.push(await purge(place, tick, deadlineMs));
    }
    const failed = new Set(purged.flatMap(({ store, failure }) => (failure ? [store] : [])));
    if (failed.size > 0) throw new Error(`the purge failed in ${[...failed].join(', ')}`);
    return purged;
  };
};

export const handler = deployed(createPurge, 'purge');
