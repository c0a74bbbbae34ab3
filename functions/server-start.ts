import { setTimeout } from 'node:timers/promises';
import { StoreError } from './domain/errors.ts';
import { isLoginRefused } from './stores/sql-login.ts';

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

/** Not there, rather than there and refusing the login. */
const isAway = (error: unknown): boolean =>
  error instanceof StoreError && error.code === 'unavailable' && !isLoginRefused(error);
