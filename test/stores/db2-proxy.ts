import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { RoundTrips } from '../conformance/index.ts';

/**
 * What stands between a driver and its server, changes nothing, and counts each time that the driver sent something and waited.
 * In a thread of its own: the driver closes a query on the thread that it is called on, and that one waits then.
 */
export async function startProxy(host: string, port: number) {
  const turns = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(new URL('./db2-proxy-worker.ts', import.meta.url), { workerData: { host, port, turns } });
  const [listening] = (await once(worker, 'message')) as [number];
  const roundTrips: RoundTrips = {
    reset: () => {
      Atomics.store(turns, 0, 0);
    },
    count: () => Atomics.load(turns, 0),
  };
  return {
    port: listening,
    roundTrips,
    /** Breaks every connection that is open through it. */
    cut: async () => {
      worker.postMessage('cut');
      await once(worker, 'message');
    },
    stop: async () => {
      await worker.terminate();
    },
  };
}
