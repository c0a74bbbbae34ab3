import { setTimeout } from 'node:timers/promises';

/**
 * Calls again and again until the work is over, with a short pause: how often, and the longest call as a share of the whole
 * time. Who waits for a lock that the work waits for, or holds, waits for most of it.
 */
export async function callBeside(
  work: Promise<unknown>,
  call: () => Promise<unknown>,
): Promise<{ readonly calls: number; readonly longest: number }> {
  let isOver = false;
  const end = () => {
    isOver = true;
  };
  work.then(end, end);
  const fromMs = performance.now();
  const tookMs: number[] = [];
  while (!isOver) {
    const begunMs = performance.now();
    await call();
    tookMs.push(performance.now() - begunMs);
    await setTimeout(5);
  }
  return { calls: tookMs.length, longest: Math.max(...tookMs) / (performance.now() - fromMs) };
}
