import type { RoundTrips } from '../conformance/index.ts';

/** Counts the calls of a driver's method that sends something and waits for the answer, on every object of its class. */
export function countCalls<K extends string>(
  prototype: Record<K, (...values: never[]) => unknown>,
  method: K,
): RoundTrips {
  const original = prototype[method];
  let calls = 0;
  prototype[method] = function counted(this: unknown, ...values: never[]) {
    calls += 1;
    return original.apply(this, values);
  };
  return {
    reset: () => {
      calls = 0;
    },
    count: () => calls,
  };
}
