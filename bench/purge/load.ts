import { setTimeout as sleep } from 'node:timers/promises';
import type { Call } from '../measure.ts';

/** What a load met: answers a second, and milliseconds from a call to its answer. */
export interface Met {
  readonly rate: number;
  readonly p99: number;
}

/** Makes calls until that is over. */
export type Load = (over: Promise<unknown>) => Promise<Met>;

function loadOf(work: (ask: () => Promise<void>, isOver: () => boolean) => Promise<unknown>, next: () => Call): Load {
  return async (over) => {
    const latencies: number[] = [];
    let isOver = false;
    const end = over.finally(() => {
      isOver = true;
    });
    const ask = async () => {
      const call = next();
      const from = performance.now();
      await call();
      latencies.push(performance.now() - from);
    };
    const from = performance.now();
    await work(ask, () => isOver);
    await end;
    const seconds = (performance.now() - from) / 1000;
    const sorted = Float64Array.from(latencies).sort();
    return { rate: sorted.length / seconds, p99: sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN };
  };
}

/** Calls at an even pace, whatever becomes of those before: a server that stands still meets them all. */
export const paced = (perSecond: number, next: () => Call): Load =>
  loadOf(async (ask, isOver) => {
    const asked: Promise<void>[] = [];
    const from = performance.now();
    while (!isOver()) {
      const due = ((performance.now() - from) * perSecond) / 1000;
      while (asked.length < due) asked.push(ask());
      await sleep(1);
    }
    await Promise.all(asked);
  }, next);

/** Calls one behind the other, so many at a time: as many as the server answers. */
export const crowded = (concurrency: number, next: () => Call): Load =>
  loadOf(async (ask, isOver) => {
    const one = async () => {
      while (!isOver()) await ask();
    };
    await Promise.all(Array.from({ length: concurrency }, one));
  }, next);
