import type { Configuration } from '../../functions/config/configuration.ts';
import { storeSections } from '../../functions/config/rules.ts';
import { createPurge } from '../../functions/handlers/purge.ts';
import type { PurgeEvent } from '../../functions/purge-ticks.ts';
import type { Runtime } from '../../functions/runtime.ts';

/** The time that a run has, as a deployed function has its timeout. */
const TIME_LIMIT_MS = 60_000;

/** Purges every store at its interval, one run at a time. What it gives ends that, after the runs under way. */
export function startPurging(runtime: Runtime): () => Promise<void> {
  const purge = createPurge(runtime);
  const rules = Object.entries(storesByInterval(runtime.configuration)).map(([interval, stores]) => {
    let run: Promise<unknown> | undefined;
    const timer = setInterval(() => {
      run ??= purge({ stores }, { getRemainingTimeInMillis: () => TIME_LIMIT_MS })
        .catch(() => {}) // it has reported the failure itself; the next run tries again
        .finally(() => {
          run = undefined;
        });
    }, Number(interval) * 1000);
    return { timer, underWay: () => run };
  });
  return async () => {
    for (const { timer } of rules) clearInterval(timer);
    await Promise.all(rules.map(({ underWay }) => underWay()));
  };
}

const storesByInterval = (configuration: Configuration): Record<string, NonNullable<PurgeEvent['stores']>> => {
  const stores = storeSections.flatMap((kind) =>
    Object.entries(configuration[kind]).map(([name, { purgeExpiredTokensEvery }]) => ({
      interval: purgeExpiredTokensEvery,
      store: { kind, name },
    })),
  );
  return Object.fromEntries(
    [...Map.groupBy(stores, ({ interval }) => interval)].map(([interval, due]) => [
      interval,
      due.map(({ store }) => store),
    ]),
  );
};
