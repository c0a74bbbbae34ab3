import type { Selector, StoredGrant } from '../../domain/ports.ts';
import { leadOf, type SelectorField, selectorFields, selectorKey, selectorKeysOf } from '../../domain/selector.ts';
import type { GrantId } from '../../domain/token.ts';
import type { Cluster } from './cluster.ts';
import { hex, present, type Row, ttlUntil } from './values.ts';

// How grants are found by whom they belong to. A grant has a pointer under each of its subject, client, application and
// consent. The pointers of one owner are split by the day or week in which their grants were created: a partition whose
// grants have all ended is named by no row of `oauth_owner` any more and never read again, however many expired rows it
// holds.
// Pointers stand before the marks of revocations are read, and before the grant is acknowledged.

const DAY = 86_400;
const SHARDS = 16;

interface Parts {
  readonly seconds: number;
  readonly shards: number;
}
const FEW: Parts = { seconds: 7 * DAY, shards: 1 };
/** So many grants that one partition for a week were too large, that all writes went to it, and what has expired of it made a read fail. */
const MANY: Parts = { seconds: DAY, shards: SHARDS };
const PARTS: Readonly<Record<SelectorField, Parts>> = {
  subject: FEW,
  consentId: FEW,
  applicationId: MANY,
  clientId: MANY,
};
const AT_ONCE = 16;
const PERIODS_READ = 1000;
/** How many rows of periods a process remembers to have written. */
const REMEMBERED = 10_000;
const START = Buffer.alloc(0);

const ownerRow = ({ subject, clientId, applicationId, consentId }: Selector) => ({
  client_id: clientId,
  subject,
  application_id: applicationId,
  consent_id: consentId,
});

const ownerOf = (row: Row): Selector =>
  present({
    clientId: row.client_id,
    subject: row.subject,
    applicationId: row.application_id,
    consentId: row.consent_id,
  }) as Selector;

const periodOf = ({ createdAt, grantId }: StoredGrant, { seconds, shards }: Parts) =>
  Math.floor(createdAt / seconds) * SHARDS + (Number(grantId.at(-1)) % shards);

export interface Pointer {
  readonly grantId: GrantId;
  /** Of the grant that wrote it last, which may have been refused. */
  readonly owner: Selector;
  /** Its period and its grant: where a list goes on. */
  readonly place: string;
}

export type Owners = ReturnType<typeof createOwners>;

export function createOwners({ statements, decisiveness, read, write }: Cluster) {
  const { quorum } = decisiveness;
  const written = new Set<string>();

  const putPeriod = async (owner: Buffer, period: number, until: number, now: number) => {
    const name = `${hex(owner)} ${period} ${until}`;
    if (written.has(name)) return;
    await write(statements.putPeriod, { owner, period, until, ttl: ttlUntil(until, now) }, quorum);
    if (written.size >= REMEMBERED) written.clear();
    written.add(name);
  };

  return {
    /** Leads to a grant until then. */
    async point(grant: StoredGrant, keptUntil: number, now: number): Promise<void> {
      const writes = selectorFields.flatMap((field) => {
        const value = grant[field];
        if (value === undefined) return [];
        const owner = selectorKey({ [field]: value });
        const { seconds } = PARTS[field];
        const period = periodOf(grant, PARTS[field]);
        const until = Math.ceil(keptUntil / seconds) * seconds;
        const pointer = { owner, period, grant_id: grant.grantId, ...ownerRow(grant), ttl: ttlUntil(keptUntil, now) };
        return [putPeriod(owner, period, until, now), write(statements.putPointer, pointer, quorum)];
      });
      await Promise.all(writes);
    },

    /** Whether a revocation concerns what was authorized then. */
    async isBarred(grant: StoredGrant, authorizedAtMs: number, now: number): Promise<boolean> {
      const values = { selectors: selectorKeysOf(grant), at_ms: authorizedAtMs };
      const marks = await read(statements.findMarks, values, quorum);
      return marks.some(({ retain_until }) => Number(retain_until) > now);
    },

    /** Marks a revocation: nothing that was authorized until then can be stored any more. Each mark bars until its own end. */
    async mark(selector: Selector, nowMs: number, retainUntil: number): Promise<void> {
      const now = Math.floor(nowMs / 1000);
      const mark = { selector: selectorKey(selector), at_ms: nowMs, retain_until: retainUntil };
      await write(statements.putMark, { ...mark, ttl: ttlUntil(retainUntil, now) }, quorum);
    },

    /** Whether a pointer of this selector is where the grant that it leads to is listed; any other is a refused grant's. */
    isPlaceOf(selector: Selector, { place }: Pointer, grant: StoredGrant): boolean {
      return place === `${periodOf(grant, PARTS[leadOf(selector)])}.${hex(grant.grantId)}`;
    },

    /** The pointers for the field of a selector that likely has the fewest, behind a place, in a stable order. */
    async *of(selector: Selector, after = '', limit = 1000): AsyncGenerator<Pointer[]> {
      const field = leadOf(selector);
      const owner = selectorKey({ [field]: selector[field] });
      const [startPeriod = '-1', startGrant = ''] = after.split('.');
      const pageOf = async (period: number, from: Buffer) => {
        const rows = await read(statements.findPointers, { owner, period, after: from, limit }, quorum);
        const pointers = rows.map((row) => ({
          grantId: row.grant_id as GrantId,
          owner: ownerOf(row),
          place: `${period}.${hex(row.grant_id)}`,
        }));
        return { pointers, last: rows.length < limit ? undefined : (rows.at(-1)?.grant_id as Buffer) };
      };
      async function* rest(period: number, first: Awaited<ReturnType<typeof pageOf>>) {
        yield first.pointers;
        for (let { last } = first; last; ) {
          const page = await pageOf(period, last);
          yield page.pointers;
          ({ last } = page);
        }
      }

      const started = Number(startPeriod);
      if (after !== '') yield* rest(started, await pageOf(started, Buffer.from(startGrant, 'hex')));
      for (let behind = started; ; ) {
        const rows = await read(statements.findPeriods, { owner, after: behind, limit: PERIODS_READ }, quorum);
        const periods = [...new Set(rows.map(({ period }) => Number(period)))];
        for (let index = 0; index < periods.length; index += AT_ONCE) {
          const some = periods.slice(index, index + AT_ONCE);
          const firsts = await Promise.all(some.map(async (period) => [period, await pageOf(period, START)] as const));
          for (const [period, first] of firsts) yield* rest(period, first);
        }
        const last = periods.at(-1);
        if (rows.length < PERIODS_READ || last === undefined) return;
        behind = last;
      }
    },
  };
}
