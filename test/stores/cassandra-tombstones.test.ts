import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { Client, type types } from 'cassandra-driver';
import { afterAll, afterEach, expect, it, vi } from 'vitest';
import { accessRecord } from '../../functions/stores/cassandra/records.ts';
import { type CassandraSettings, clientOptions, createEngine } from '../../functions/stores/cassandra.ts';
import { createVirtualClock } from '../conformance/index.ts';
import {
  DAY,
  type Issued,
  issue,
  keyOf,
  many,
  newAccess,
  newAttempt,
  newSuccessor,
  rotate,
} from '../conformance/records.ts';
import { nodetool } from '../engines/cassandra.ts';
import { hosts, lendKeyspace, serverUrl } from './cassandra-server.ts';
import { describeOn } from './describe-on.ts';

/** Where a node can be told to flush and to compact; none where it was started by somebody else. */
const jmxPort = process.env.CASSANDRA_JMX_PORT;
const MANY = 2000;

const clock = createVirtualClock(Date.now());
const keyspace = `tombstones_${randomUUID().slice(0, 8)}`;
const settings: CassandraSettings = { hosts, keyspace, readConsistency: 'QUORUM', writeConsistency: 'QUORUM' };
if (serverUrl !== undefined) await lendKeyspace(settings);
const client = new Client({ ...clientOptions(settings), ...(serverUrl !== undefined && { keyspace }) });
if (serverUrl !== undefined) await client.connect();
const { accessTokens, close } = createEngine(settings, clock.nowMs);
afterAll(() => Promise.all([client.shutdown(), close()]));
afterEach(() => {
  vi.restoreAllMocks();
});

/** Stores access tokens of a grant, beside the store, so that they may expire within a second. */
async function fill({ grant }: Issued, count: number, ttlSeconds: number) {
  const insert = 'UPDATE oauth_grant USING TTL ? SET access_record = ? WHERE grant_id = ? AND access_digest = ?';
  const rows = many(count, () => {
    const access = newAccess(clock.now());
    return [ttlSeconds, accessRecord(access, newAttempt()), grant.grantId, access.digest];
  });
  await Promise.all(rows.map((values) => client.execute(insert, values, { prepare: true })));
}

interface Cost {
  readonly reads: number;
  readonly rows: number;
  readonly tombstones: number;
}

/** What the node says that it has read for the statements of a call, each of them traced. */
async function costOf(call: () => Promise<unknown>): Promise<Cost> {
  const traces: types.Uuid[] = [];
  for (const [method, at] of [
    ['execute', 2],
    ['batch', 1],
  ] as const) {
    const original = Client.prototype[method] as (...all: unknown[]) => Promise<types.ResultSet>;
    vi.spyOn(Client.prototype, method).mockImplementation(async function (this: Client, ...values: unknown[]) {
      values[at] = { ...(values[at] as object), traceQuery: true };
      const result = await original.apply(this, values);
      traces.push(result.info.traceId);
      return result;
    } as never);
  }
  await call();
  vi.restoreAllMocks();
  const events = await Promise.all(
    traces.map(
      (id) =>
        new Promise<{ activity: string }[]>((resolve, reject) => {
          client.metadata.getTrace(id, (error, trace) => (error ? reject(error) : resolve(trace.events)));
        }),
    ),
  );
  const reads = events
    .flat()
    .flatMap(({ activity }) => [...activity.matchAll(/Read (\d+) live rows and (\d+) tombstone cells/g)]);
  const most = (group: 1 | 2) => Math.max(...reads.map((read) => Number(read[group])));
  return { reads: reads.length, rows: most(1), tombstones: most(2) };
}

/** What every operation on a grant costs that is on the way of a request. */
async function costs({ grant, access, refresh, accessKey }: Issued): Promise<Record<string, Cost>> {
  const now = clock.now();
  let key = keyOf(grant, refresh);
  const rotated = async () => {
    const successor = newSuccessor(now);
    expect(await rotate(accessTokens, grant, key, successor, { now })).toMatchObject({ outcome: 'rotated' });
    [key, refresh] = [keyOf(grant, successor.refresh), successor.refresh];
  };
  const old = key;
  return {
    'look-up': await costOf(async () => {
      expect(await accessTokens.findAccess(accessKey, { now })).toMatchObject({ outcome: 'active', access });
    }),
    'look-up of a refresh token': await costOf(() => accessTokens.findRefresh(key, { now })),
    rotation: await costOf(rotated),
    'repeated rotation': await costOf(async () => {
      expect(await rotate(accessTokens, grant, old, newSuccessor(now), { now })).toMatchObject({ outcome: 'retried' });
    }),
    'further token': await costOf(() =>
      accessTokens.addAccess(grant.grantId, newAccess(now), {
        now,
        attempt: newAttempt(),
        retainUntil: now + DAY,
      }),
    ),
  };
}

describeOn(serverUrl && jmxPort)(`${MANY} further access tokens of one grant`, () => {
  it.each([
    ['that are good', 3600],
    ['that have expired', 1],
  ])('%s are read by no operation on it, whether in memory, flushed or compacted', async (_, ttlSeconds) => {
    const issued = await issue({ accessTokens, clock });
    const told: Record<string, Record<string, Cost>> = {};
    told.none = await costs(issued);
    await fill(issued, MANY / 2, ttlSeconds);
    await pause(2500);
    told['in memory'] = await costs({ ...issued, refresh: await current(issued) });
    await nodetool(String(jmxPort), 'flush', keyspace, 'oauth_grant');
    await fill(issued, MANY / 2, ttlSeconds);
    await pause(2500);
    told['half flushed'] = await costs({ ...issued, refresh: await current(issued) });
    await nodetool(String(jmxPort), 'flush', keyspace, 'oauth_grant');
    told.flushed = await costs({ ...issued, refresh: await current(issued) });
    await nodetool(String(jmxPort), 'compact', keyspace, 'oauth_grant');
    told.compacted = await costs({ ...issued, refresh: await current(issued) });
    for (const [where, all] of Object.entries(told)) {
      for (const [operation, { reads, rows, tombstones }] of Object.entries(all)) {
        expect(reads, `${operation}, ${where}`).toBeGreaterThan(0);
        expect(rows, `${operation}, ${where}`).toBeLessThan(4);
        expect(tombstones, `${operation}, ${where}`).toBeLessThan(10);
      }
    }
    // What they cost whoever does read them.
    const all = await costOf(() => accessTokens.listAccess(issued.grant.grantId, { limit: 1000 }));
    expect(all.rows + all.tombstones).toBeGreaterThan(900);
  });
});

/** The refresh token that a grant has now. */
async function current({ grant }: Issued) {
  const { grants } = await accessTokens.listGrants({ subject: String(grant.subject) }, { limit: 1 });
  const refresh = grants[0]?.refresh;
  if (!refresh) throw new Error('the grant has no refresh token');
  return refresh;
}
