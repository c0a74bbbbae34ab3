/**
 * `node test/engines/cassandra-expired.ts` starts a node of Cassandra on this machine, has very many grants expire in it, and
 * prints what lists, revocations and a purge cost then, while the rows are in memory, flushed, compacted and gone: a table
 * of docs/engines/cassandra.md.
 */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { Client, errors, types } from 'cassandra-driver';
import { seconds, systemClock } from '../../functions/domain/clock.ts';
import { selectorKey } from '../../functions/domain/selector.ts';
import { ensureTables } from '../../functions/stores/cassandra/tables.ts';
import { clientOptions, createEngine } from '../../functions/stores/cassandra.ts';
import { DAY, issue, many, newName } from '../conformance/records.ts';
import { nodetool, startNodes } from './cassandra.ts';

const PAST = 300_000;
const RECENT = 50_000;
const DAYS = 10;
const SHARDS = 16;
const BATCH = 100;

const { nodes, port } = await startNodes(1);
const [node] = nodes;
if (!node) throw new Error('a node is needed');
const settings = {
  hosts: [`127.0.0.1:${port}`],
  keyspace: 'expired',
  readConsistency: 'QUORUM',
  writeConsistency: 'QUORUM',
  requestTimeoutMs: 60_000,
} as const;
const script = await readFile(new URL('../../sql/cassandra/oauth-server.cql', import.meta.url), 'utf8');
await ensureTables(() => clientOptions(settings), {
  keyspace: settings.keyspace,
  replication: { strategy: 'SimpleStrategy', factor: 1 },
  scripts: [script],
});
const client = new Client({ ...clientOptions(settings), keyspace: settings.keyspace });
const { accessTokens, close } = createEngine(settings, systemClock);

const now = () => seconds(systemClock);

/** A node that is told so much at once may not come to it in time. */
async function surely(write: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      await write();
      return;
    } catch (error) {
      if (!(error instanceof errors.ResponseError && error.code === types.responseErrorCodes.writeTimeout)) throw error;
      await pause(500);
    }
  }
}

/** Pointers of a client's grants, over the partitions of so many days up to one, and what names those that are over, all with this TTL. */
async function expire(clientId: string, count: number, days: number, upTo: number, ttl: number) {
  const owner = selectorKey({ clientId });
  const insert = `INSERT INTO oauth_owner_grant (owner, period, grant_id, client_id, subject) VALUES (?, ?, ?, ?, ?) USING TTL ${ttl}`;
  const parts = days * SHARDS;
  const each = Math.ceil(count / parts);
  const period = (part: number) => BigInt((upTo - Math.floor(part / SHARDS)) * SHARDS + (part % SHARDS));
  const batches = many(parts, (part) => part).flatMap((part) =>
    many(
      Math.ceil(each / BATCH),
      () => () =>
        client.batch(
          many(BATCH, () => ({
            query: insert,
            params: [owner, types.Long.fromString(String(period(part))), randomBytes(12), clientId, newName('subject')],
          })),
          { prepare: true, logged: false },
        ),
    ),
  );
  let next = 0;
  await Promise.all(
    many(3, async () => {
      for (let batch = batches[next++]; batch; batch = batches[next++]) await surely(batch);
    }),
  );
  if (upTo === today) return;
  const name = `INSERT INTO oauth_owner (owner, period, until) VALUES (?, ?, 0) USING TTL ${ttl}`;
  for (let part = 0; part < parts; part += 1) {
    await client.execute(name, [owner, types.Long.fromString(String(period(part)))], { prepare: true });
  }
}

const clock = { now, nowMs: systemClock, advance: () => {} };

/** The median of some calls, in milliseconds. */
async function medianMs(call: () => Promise<unknown>): Promise<string> {
  const times: number[] = [];
  for (let turn = 0; turn < 15; turn += 1) {
    const started = performance.now();
    await call();
    times.push(performance.now() - started);
  }
  return `${times.toSorted((one, other) => one - other)[7]?.toFixed(1)} ms`;
}

const today = Math.floor(now() / DAY);
const [quiet, past, recent] = ['quiet', 'past', 'recent'].map(newName) as [string, string, string];
const tell = async (when: string) => {
  const first = (clientId: string) => medianMs(() => accessTokens.listGrants({ clientId }, { limit: 20 }));
  const whole = (clientId: string) => medianMs(() => accessTokens.listGrants({ clientId }, { limit: 1000 }));
  const purge = await medianMs(() => accessTokens.purgeExpired({ now: now(), limit: 1000 }));
  const figures = [await first(quiet), await first(past), await first(recent), await whole(quiet), await whole(recent)];
  console.log(`| ${[when, ...figures, purge].join(' | ')} |`);
};

console.log(`${PAST} expired grants of ${DAYS} days that are over, ${RECENT} of today, 20 that stand of each client`);
for (const clientId of [quiet, past, recent]) {
  for (let n = 0; n < 20; n += 1) await issue({ accessTokens, clock }, { grant: { clientId } });
}
console.log('| | first page, none expired | of days over | of today | whole list, none expired | of today | purge |');
await expire(past, PAST, DAYS, today - 1, 20);
await expire(recent, RECENT, 1, today, 5);
await pause(25_000);
await tell('as they expired');
await nodetool(node.jmxPort, 'flush', settings.keyspace);
await tell('flushed');
await nodetool(node.jmxPort, 'compact', settings.keyspace);
await tell('compacted');
await client.execute('ALTER TABLE oauth_owner_grant WITH gc_grace_seconds = 1');
await pause(2000);
await nodetool(node.jmxPort, 'compact', settings.keyspace);
await tell('compacted once `gc_grace_seconds` were over');
await Promise.all([close(), client.shutdown()]);
await node.stop();
