import type { Configuration } from '../../functions/config/configuration.ts';
import { storeSections } from '../../functions/config/rules.ts';
import { createPurge } from '../../functions/handlers/purge.ts';
import type { Runtime } from '../../functions/runtime.ts';

/** The time that a run has, as a deployed function has its timeout. */
const TIME_LIMIT_MS = 60_000;

/** Purges every store at its interval, one run at a time. What it gives ends that, after the runs under way. */
export function startPurging(runtime: Runtime): () => Promise<void> {
  const rules = intervalsOf(runtime.configuration).map((interval) => {
    const purge = createPurge({ ...runtime, configuration: storesPurgedEvery(interval, runtime.configuration) });
    let run: Promise<unknown> | undefined;
    const timer = setInterval(() => {
      run ??= purge({}, { getRemainingTimeInMillis: () => TIME_LIMIT_MS })
        .catch(() => {}) // it has reported the failure itself; the next run tries again
        .finally(() => {
          run = undefined;
        });
    }, interval * 1000);
    return { timer, underWay: () => run };
  });
  return async () => {
    for (const { timer } of rules) clearInterval(timer);
    await Promise.all(rules.map(({ underWay }) => underWay()));
  };
}

const intervalsOf = (configuration: Configuration) => [
  ...new Set(
    storeSections.flatMap((section) =>
      Object.values(configuration[section]).map(({ purgeExpiredTokensEvery }) => purgeExpiredTokensEvery),
    ),
  ),
];

const storesPurgedEvery = (interval: number, configuration: Configuration): Configuration => {
  const due = storeSections.map((section) => [
    section,
    Object.fromEntries(
      Object.entries(configuration[section]).filter(([, store]) => store.purgeExpiredTokensEvery === interval),
    ),
  ]);
  return { ...configuration, ...Object.fromEntries(due) };
};
