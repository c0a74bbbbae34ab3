import { createHash } from 'node:crypto';
import { type Clock, seconds } from './domain/clock.ts';
import type { ActiveToken, Inspection } from './domain/inspection.ts';

/** Good tokens that are remembered, and bytes of each as JSON: some 40 MB at the most. */
const MOST_TOKENS = 10_000;
const MOST_BYTES = 4096;

interface Entry {
  readonly token: ActiveToken;
  /** Epoch milliseconds before the store was asked. */
  readonly readAtMs: number;
}

export type Inspect = (value: string) => Promise<Inspection>;

/**
 * The same look-up, which asks again for a good token when `cacheSeconds` have passed since the store was asked: a token
 * is found active for less than `cacheSeconds` after the call that revoked it has returned, and never past its expiry.
 * Whatever is not good is asked for every time, and so is everything while the store does not answer. What is remembered
 * is found by a digest of the token; beyond {@link MOST_TOKENS} the least recently used one is forgotten.
 */
export function cached(inspect: Inspect, cacheSeconds: number, clock: Clock): Inspect {
  if (cacheSeconds === 0) return inspect;
  const entries = new Map<string, Entry>();
  return async (value) => {
    const key = createHash('sha256').update(value).digest('base64');
    const known = entries.get(key);
    entries.delete(key);
    const readAtMs = clock();
    // A clock that was set back must not lengthen an entry's life.
    const ageMs = known ? readAtMs - known.readAtMs : -1;
    if (known && ageMs >= 0 && ageMs < cacheSeconds * 1000 && seconds(clock) < known.token.expiresAt) {
      entries.set(key, known);
      return known.token;
    }
    const found = await inspect(value);
    if (!found.active) return found;
    const { idToken: _, ...token } = found;
    if (Buffer.byteLength(JSON.stringify(token)) <= MOST_BYTES) {
      entries.set(key, { token, readAtMs });
      for (const oldest of entries.keys()) {
        if (entries.size <= MOST_TOKENS) break;
        entries.delete(oldest);
      }
    }
    return found;
  };
}
