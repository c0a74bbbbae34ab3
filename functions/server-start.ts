import { setTimeout } from 'node:timers/promises';
import { StoreError } from './domain/errors.ts';

const PAUSE_MS = 3000;

/** Repeats what finds no server, as long as `leftMs` says that there is time. */
export async function onceServerAnswers<T>(work: () => Promise<T>, leftMs: () => number): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isAway(error) || leftMs() < PAUSE_MS) throw error;
      await setTimeout(PAUSE_MS);
    }
  }
}

/** How servers refuse a login: SQLSTATE class 28; MySQL and MariaDB, in the words of their driver. */
const REFUSED = /^(28|ER_ACCESS_DENIED)/;

/** Not there, rather than there and refusing the login. */
const isAway = (error: unknown): boolean =>
  error instanceof StoreError &&
  error.code === 'unavailable' &&
  !REFUSED.test(String((error.cause as { code?: unknown } | undefined)?.code));
