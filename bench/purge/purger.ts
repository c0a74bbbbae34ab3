/**
 * A process that purges, as the function does: over one connection, which stays open between two runs. It is told in PLACE
 * what to open, says when it is ready, and answers every request with what the run did.
 */
import { NOW } from '../records.ts';
import { openPlace, type Place } from './places.ts';

/** Ends the run between two batches, as the time of a function does. */
export interface Request {
  readonly withinMs: number;
}

export interface Ran {
  readonly removed: number;
  readonly seconds: number;
}

const place: Place = JSON.parse(process.env.PLACE ?? '');
const { accessTokens, close } = await openPlace(place, 1);

process.on('message', async ({ withinMs }: Request) => {
  const from = performance.now();
  const deadlineMs = Date.now() + withinMs;
  const { removed } = await accessTokens.purgeExpired({ now: NOW, limit: Number.MAX_SAFE_INTEGER, deadlineMs });
  const seconds = (performance.now() - from) / 1000;
  process.send?.({ removed: removed.accessTokens ?? 0, seconds } satisfies Ran);
});
process.on('disconnect', close);
process.send?.('ready');
