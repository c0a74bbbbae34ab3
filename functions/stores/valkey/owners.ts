import type { Selector, StoredGrant } from '../../domain/ports.ts';
import { leadOf, type SelectorField, selectorFields, selectorKey } from '../../domain/selector.ts';
import type { GrantId } from '../../domain/token.ts';
import { f64, join, NONE, u32 } from './bytes.ts';
import { mark, point } from './scripts/pointers.ts';
import type { Store } from './store.ts';

// How grants are found by whom they belong to: for each of its names, a grant has a pointer in a sorted set of that name,
// a single key, so that it can move between nodes while it is used. The marks of revocations stand in the same set: a
// revocation writes its mark and reads the pointers in one step, a grant on its way writes its pointer and reads the marks
// in one step, and stands in its own key only after that. So whichever of the two comes first, the other meets it:
//
//   pointer before mark   the revocation reads the pointer, and goes to the grant's key: it ends the grant, or leaves a
//                         bar there that the grant meets when it comes
//   mark before pointer   the grant reads the mark, and does not come
//
// A selector of several names has its mark in the set of the first of them, in the order of
// `selectorFields`; a grant looks for it there.

/** Names that may have very many grants have several sets, so that none is too large to move, nor all in one slot. */
const SHARDS: Readonly<Record<SelectorField, number>> = { subject: 1, consentId: 1, applicationId: 16, clientId: 16 };

/** How much longer than its grant a pointer is kept at first, so that it need not be written anew whenever the grant's end moves. */
const SLACK_SECONDS = 30 * 86_400;
const DAY = 86_400;

/** How many pointers are read at a time. */
const PAGE = 1000;

const shardOf = (field: SelectorField, grantId: GrantId) => (grantId.at(-1) ?? 0) % SHARDS[field];
const keyOf = (field: SelectorField, value: string, shard: number) =>
  `i${field[0]}${shard.toString(16)}${selectorKey({ [field]: value }).toString('base64url', 0, 16)}`;
const markName = (selector: Selector) => selectorKey(selector).subarray(0, 16);

const keysOf = (selector: Selector): string[] => {
  const field = leadOf(selector);
  return Array.from({ length: SHARDS[field] }, (_, shard) => keyOf(field, selector[field] ?? '', shard));
};

/** Every selector that matches a grant and whose mark stands with this name of it. */
const selectorsLedBy = (field: SelectorField, grant: StoredGrant): Selector[] =>
  selectorFields
    .slice(selectorFields.indexOf(field) + 1)
    .filter((other) => grant[other] !== undefined)
    .reduce<Selector[]>(
      (selectors, other) => selectors.flatMap((selector) => [selector, { ...selector, [other]: grant[other] }]),
      [{ [field]: grant[field] }],
    );

/** A pointer to a grant: `e`, until when, the grant. */
export interface Pointer {
  readonly bytes: Buffer;
  readonly until: number;
  readonly grantId: GrantId;
}

const pointerOf = (bytes: Buffer): Pointer => ({ bytes, until: bytes.readUInt32BE(1), grantId: bytes.subarray(5) });
const pointerBytes = (grantId: GrantId, until: number) => join(Buffer.from('e'), u32(until), grantId);

/** Until when the pointers of a grant are to lead to it. */
export const pointerUntil = (retainUntil: number): number => Math.min(retainUntil + SLACK_SECONDS, NONE - 1);

/** Until when the grant was to be kept that a pointer of that end was written for. */
export const pointedFor = (until: number): number => until - SLACK_SECONDS;

export function createOwners({ connection, now }: Store) {
  return {
    /** Leads to a grant from all its names; the milliseconds of the last revocation that concerns it, or -1. */
    async point(grant: StoredGrant, until: number): Promise<number> {
      const last = await Promise.all(
        selectorFields.map((field) => {
          const value = grant[field];
          if (value === undefined) return -1;
          const names = selectorsLedBy(field, grant).map(markName);
          const key = keyOf(field, value, shardOf(field, grant.grantId));
          return connection.run(point, [key], [u32(now(), until), pointerBytes(grant.grantId, until), ...names]);
        }),
      );
      return Math.max(...last.map(Number));
    },

    /** Marks a revocation, and gives, some at a time, the grants that a name of the selector leads to. */
    async *mark(selector: Selector, { nowMs, until }: { nowMs: number; until: number }): AsyncGenerator<Pointer[]> {
      const head = join(u32(now(), until), f64(nowMs), u32(PAGE));
      const first = await Promise.all(
        keysOf(selector).map(async (key) => {
          const found = await connection.run(mark, [key], [head, markName(selector)]);
          return { key, found: found as Buffer[] };
        }),
      );
      yield first.flatMap(({ found }) => found.map(pointerOf));
      for (const { key, found } of first) {
        for (let page = found; page.length === PAGE; ) {
          page = await connection.members(key, page.at(-1) ?? Buffer.of(), PAGE);
          yield page.map(pointerOf);
        }
      }
    },

    /** The first pointers behind one of them, in their order, and whether there are more. */
    async list(selector: Selector, after: Uint8Array, limit: number): Promise<{ pointers: Pointer[]; more: boolean }> {
      const pages = await Promise.all(keysOf(selector).map((key) => connection.members(key, after, limit)));
      const all = pages.flat().sort(Buffer.compare);
      return {
        pointers: all.slice(0, limit).map(pointerOf),
        more: all.length > limit || pages.some((page) => page.length === limit),
      };
    },
  };
}

/** Before every pointer that leads anywhere. */
export const firstPointer = (now: number): Buffer => join(Buffer.from('e'), u32(now));

/**
 * Whether a grant that is not there may be on its way still: what was due a day ago is not, when it came to be pointed to,
 * for nobody's clock is a day off.
 */
export const mayCome = ({ until }: Pointer, now: number): boolean => pointedFor(until) > now - DAY;
