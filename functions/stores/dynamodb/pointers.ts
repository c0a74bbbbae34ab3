import { createHash } from 'node:crypto';
import type { Selector, StoredGrant } from '../../domain/ports.ts';
import { leadOf, selectorFields, selectorKey, selectorKeysOf } from '../../domain/selector.ts';
import type { GrantId } from '../../domain/token.ts';
import { chunks, type Key, keyOf, LAST, type Range, type Table } from './table.ts';
import { type Item, same } from './values.ts';

// How grants are found by whom they belong to. A grant has one pointer: under its subject, or under its client where it
// has no subject. From its other values a link leads there, which all its like share: from a client to each subject, from
// a consent to its subject. A link is written when it is missing, so most grants cost one pointer and a look at the links.
// Pointer and links stand before the marks of revocations are read, and before the grant is acknowledged.

/** How much longer than its grant a pointer is kept at first, so that it need not move whenever the grant's end does. */
const SLACK_SECONDS = 30 * 86_400;
/** How many pointers' places are read at a time. */
const AT_ONCE = 25;
/** Before every key. */
const START = Buffer.of(0);
const ANCHOR = 32;

export const ownerOf = ({ subject, consentId, applicationId, clientId }: Selector) => ({
  s: subject,
  cs: consentId,
  ap: applicationId,
  c: clientId,
});

/** What a grant must have to match. */
export const wantedOf = (selector: Selector) =>
  Object.entries(ownerOf(selector)).filter(([, value]) => value !== undefined);

export const isOf = (item: Item, wanted: ReturnType<typeof wantedOf>): boolean =>
  wanted.every(([name, value]) => item[name] === value);

const anchorOf = ({ subject, clientId }: StoredGrant): Buffer =>
  selectorKey(subject === undefined ? { clientId } : { subject });
const pointersAt = (anchor: Uint8Array) => keyOf('s', anchor).p;
const linksFrom = (selector: Selector) => keyOf('i', selectorKey(selector)).p;
const markOf = (selector: Uint8Array) => keyOf('m', selector);

// Pointers of one anchor are sorted by client, then by the random part of the id: no end of a long list takes all writes.
const clientPrefix = (clientId: string) => createHash('sha256').update(clientId).digest().subarray(0, 8);
const pointerKey = ({ clientId, grantId }: StoredGrant) =>
  Buffer.concat([clientPrefix(clientId), grantId.subarray(4), grantId.subarray(0, 4)]);

/** The grant that a pointer leads to. */
export const grantIdOf = ({ k }: Item): GrantId => {
  const id = (k as Uint8Array).subarray(8);
  return Buffer.concat([id.subarray(-4), id.subarray(0, -4)]);
};

const pointerTo = (grant: StoredGrant, until: number): Key & Item => ({
  p: pointersAt(anchorOf(grant)),
  k: pointerKey(grant),
  ...ownerOf(grant),
  l: until,
});

const linksTo = (grant: StoredGrant): Key[] => {
  const anchor = anchorOf(grant);
  return selectorFields.flatMap((field) => {
    const value = grant[field];
    if (value === undefined || same(selectorKey({ [field]: value }), anchor)) return [];
    return [{ p: linksFrom({ [field]: value }), k: anchor }];
  });
};

interface Pointer {
  readonly item: Item;
  /** Its anchor and its key: where a list goes on. */
  readonly place: Uint8Array;
}

/** The place of the pointer that a grant has. */
export const placeOf = (grant: StoredGrant): Buffer => Buffer.concat([anchorOf(grant), pointerKey(grant)]);

export const pointerUntil = (retainUntil: number): number => retainUntil + SLACK_SECONDS;

export type Pointers = ReturnType<typeof createPointers>;

export function createPointers(table: Table) {
  /** Writes those links that are missing, or would go before the grant does. */
  const link = async (grant: StoredGrant, until: number) => {
    const links = linksTo(grant);
    if (links.length === 0) return;
    const standing = await table.getAll(links);
    const missing = links.filter(
      (key) => !standing.some((item) => same(item.p, key.p) && Number(item.l) >= grant.retainUntil),
    );
    await Promise.all(
      missing.map((key) =>
        table.update(key, ({ value }) => ({
          set: { l: until },
          when: [`attribute_not_exists(l) OR l < ${value(until)}`],
        })),
      ),
    );
  };

  /** One client's pointers at an anchor, or all of them. */
  const rangeOf = (clientId: string | undefined, after: Uint8Array): Range => {
    if (clientId === undefined) return { after };
    const prefix = clientPrefix(clientId);
    return { after: Buffer.compare(after, prefix) > 0 ? after : prefix, upTo: Buffer.concat([prefix, LAST]) };
  };

  return {
    /** Leads to a grant, so that it is found for as long as it stands. */
    point: async (grant: StoredGrant, until: number): Promise<void> => {
      await Promise.all([table.put(pointerTo(grant, until)), link(grant, until)]);
    },

    /** Whether a revocation concerns what was authorized then. */
    async isBarred(grant: StoredGrant, authorizedAtMs: number, now: number): Promise<boolean> {
      const marks = await table.getAll(selectorKeysOf(grant).map(markOf));
      return marks.some(({ m, l }) => Number(m) >= authorizedAtMs && Number(l) > now);
    },

    /** Marks a revocation: nothing that was authorized until then can be stored any more. */
    async mark(selector: Selector, nowMs: number, retainUntil: number): Promise<void> {
      for (let seen: Item = {}, applied = false; !applied; ) {
        const [m, l] = [Math.max(nowMs, Number(seen.m ?? 0)), Math.max(retainUntil, Number(seen.l ?? 0))];
        const written = await table.update(markOf(selectorKey(selector)), ({ value }) => ({
          set: { m, l },
          when: [`attribute_not_exists(p) OR (m <= ${value(m)} AND l <= ${value(l)})`],
        }));
        ({ applied } = written);
        seen = written.item ?? {};
      }
    },

    /**
     * The pointers for the field of a selector that likely has the fewest, behind a place. What another field of a
     * pointer says is no reason to pass its grant over: a second grant of its id, refused as conflict, may have written
     * it last.
     */
    async *of(selector: Selector, after: Uint8Array, limit?: () => number): AsyncGenerator<Pointer[]> {
      const field = leadOf(selector);
      const lead = { [field]: selector[field] };
      const own = selectorKey(lead);
      const pageOf = async (anchor: Uint8Array, from: Uint8Array) => {
        const most = limit?.();
        const { items, more } = await table.query(pointersAt(anchor), {
          ...rangeOf(selector.clientId, from),
          ...(most !== undefined && { limit: most }),
        });
        const pointers = items.map((item) => ({ item, place: Buffer.concat([anchor, item.k as Uint8Array]) }));
        return { pointers, more, last: (items.at(-1)?.k as Uint8Array | undefined) ?? from };
      };
      type Page = Awaited<ReturnType<typeof pageOf>>;
      async function* rest(anchor: Uint8Array, first: Page) {
        yield first.pointers;
        for (let { more, last } = first; more; ) {
          const page = await pageOf(anchor, last);
          yield page.pointers;
          ({ more, last } = page);
        }
      }

      // Where the value is an anchor itself, what stands there comes first.
      const [anchor, within] = [after.subarray(0, ANCHOR), after.subarray(ANCHOR)];
      const isInOwn = after.length === 0 || same(anchor, own);
      const isAnchor = field === 'subject' || field === 'clientId';
      if (isAnchor && isInOwn) yield* rest(own, await pageOf(own, within.length > 0 ? within : START));
      if (field === 'subject') return;
      if (!isInOwn) yield* rest(anchor, await pageOf(anchor, within));
      for (let from: Uint8Array = isInOwn ? START : anchor, goesOn = true; goesOn; ) {
        const links = await table.query(linksFrom(lead), { after: from, limit: Math.min(limit?.() ?? 1000, 1000) });
        const anchors = links.items.map(({ k }) => k as Uint8Array);
        for (const some of chunks(anchors, AT_ONCE)) {
          const firsts = await Promise.all(some.map(async (each) => [each, await pageOf(each, START)] as const));
          for (const [each, first] of firsts) yield* rest(each, first);
        }
        from = anchors.at(-1) ?? from;
        goesOn = links.more;
      }
    },
  };
}
