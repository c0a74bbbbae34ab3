import { StoreError } from '../../domain/errors.ts';
import type { Attempt, Digest, StoredAccessToken, StoredGrant } from '../../domain/ports.ts';
import type { GrantId } from '../../domain/token.ts';
import { absent, adding, fits, hasRoom, isStale, sorted, unchanged, widthOf } from './buckets.ts';
import { pointerUntil } from './pointers.ts';
import { grantOf, tokenItem, traceOf } from './records.ts';
import { type Key, keyOf, type Table, type Terms, type Update } from './table.ts';
import { type Item, same } from './values.ts';

/** A write that others overtake is built anew, from what they left. */
const TRIES = 20;
/** So many grants are remembered whose item was full. */
const REMEMBERED = 1000;

export const grantPlace = (grantId: GrantId): Key => keyOf('g', grantId);
export const tokensPlace = (grantId: GrantId): Uint8Array => keyOf('x', grantId).p;
export const tokenPlace = (grantId: GrantId, digest: Digest): Key => ({ p: tokensPlace(grantId), k: digest });

/** That a grant is there and has not ended. */
export const OPEN = ['attribute_exists(c)', 'attribute_not_exists(v)'];

export const conflict = (what: string) => new StoreError('conflict', `${what} is stored already`);

/** What a write adds to a grant beside its own change. */
interface Addition {
  readonly grantId: GrantId;
  readonly access?: StoredAccessToken | undefined;
  readonly attempt: Attempt;
  readonly now: number;
  readonly retainUntil: number;
  /** What to take the grant's present `retainUntil` for, before it is seen. */
  readonly guess: number;
}

/** A time of a grant that only grows: set where it was seen to be earlier, else a condition that it is late enough. */
const grow = ({ value }: Terms, path: 'l' | 'o', to: number, seen: number): Update => {
  if (seen >= to) return { set: {}, when: [`${path} >= ${value(to)}`] };
  const isEarlier = `${path} <= ${value(to)}`;
  return { set: { [path]: to }, when: [path === 'l' ? isEarlier : `attribute_not_exists(${path}) OR ${isEarlier}`] };
};

/** Changes to grants that are there: one conditional write, unless it meets what it could not know. */
export function createChanges(
  table: Table,
  longestLifeSeconds: number,
  point: (grant: StoredGrant, until: number) => Promise<void>,
) {
  const usualWidth = widthOf(longestLifeSeconds);
  /** Until when a grant was seen to be full. A hint that spares its next token a refusal, and nothing more. */
  const full = new Map<string, number>();
  const nameOf = (grantId: GrantId) => Buffer.from(grantId).toString('base64url');
  const remember = (grantId: GrantId, until: number) => {
    full.delete(nameOf(grantId));
    full.set(nameOf(grantId), until);
    for (const oldest of full.keys()) {
      if (full.size <= REMEMBERED) break;
      full.delete(oldest);
    }
  };

  /**
   * Stores an access token as an item of its own; what takes it back if it was not there yet.
   * @throws {StoreError} conflict
   */
  const putOwn = async (grantId: GrantId, token: StoredAccessToken, attempt: Attempt) => {
    const key = tokenPlace(grantId, token.digest);
    const { applied, item } = await table.put({ ...key, ...tokenItem(token, attempt) }, () => [
      'attribute_not_exists(p)',
    ]);
    if (!applied && !same(item?.t, traceOf(attempt))) throw conflict('an access token with this digest');
    return async () => {
      if (applied) await table.remove(key);
    };
  };

  /** Leads to a grant for longer, since its end moves beyond that of its pointers. */
  const pointLonger = async (seen: Item, retainUntil: number) => {
    const until = pointerUntil(retainUntil);
    const grant = grantOf(seen);
    await point({ ...grant, retainUntil }, until);
    await table.update(grantPlace(grant.grantId), ({ value }) => ({
      set: { y: until },
      when: [`y < ${value(until)}`],
    }));
  };

  /**
   * Changes a grant by one conditional write, and adds an access token to it, all or nothing. A refusal gives the grant
   * back: `judge` says what it means (`isDone`: that it had been done before), or nothing when it was for want of room or
   * of time, and it is written again.
   */
  const change = async <Outcome>(
    { grantId, access, attempt, now, retainUntil, guess }: Addition,
    build: (terms: Terms) => Update,
    judge: (item: Item | undefined) => Outcome | undefined,
    applied: (item: Item) => Outcome,
    isDone: (outcome: Outcome) => boolean,
  ): Promise<Outcome> => {
    const place = grantPlace(grantId);
    let width = usualWidth;
    for (let seen: Item | undefined, tries = 0; tries < TRIES; tries += 1) {
      if (seen && Number(seen.y) < retainUntil) await pointLonger(seen, retainUntil);
      if (seen && access && (seen.w !== width || (!hasRoom(seen, access, now, width) && isStale(seen, now)))) {
        const before = seen;
        const { to, width: found } = sorted(seen, now, usualWidth);
        const written = await table.update(place, (terms) => ({ set: to, when: unchanged(terms, before) }));
        seen = written.item ?? seen;
        width = found;
      }
      const isFull = access && (seen ? !hasRoom(seen, access, now, width) : (full.get(nameOf(grantId)) ?? 0) > now);
      if (isFull && seen) remember(grantId, access.expiresAt);
      const isOwn = access && (isFull || !fits(access, now, width));
      // First, so that no rotation is without its token. Where that is refused, nobody was given this one.
      const takeBack = isOwn ? await putOwn(grantId, access, attempt) : undefined;
      const written = await table.update(place, (terms) => {
        const change = build(terms);
        const kept = grow(terms, 'l', retainUntil, seen ? Number(seen.l) : guess);
        const updates = [change, kept];
        if (isOwn) {
          updates.push(grow(terms, 'o', access.expiresAt, Number(seen?.o ?? 0)), {
            set: {},
            when: absent(terms, access),
          });
        } else if (access) updates.push(adding(terms, access, attempt, { now, width }));
        return {
          set: Object.assign({}, ...updates.map(({ set }) => set)),
          when: [...updates.flatMap(({ when }) => when), `y >= ${terms.value(retainUntil)}`],
        };
      });
      if (written.applied && written.item) return applied(written.item);
      let outcome: Outcome | undefined;
      try {
        outcome = judge(written.item);
      } finally {
        // Unless it was done before: the SDK sent it twice, and the token is the one that was stored the first time.
        if (outcome === undefined || !isDone(outcome)) await takeBack?.();
      }
      if (outcome !== undefined) return outcome;
      seen = written.item;
    }
    throw new StoreError('throttled', 'others write to the same grant all the time');
  };
  return { change, putOwn };
}
