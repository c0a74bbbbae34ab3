/**
 * `node test/engines/cassandra-faults.ts` starts three nodes of Cassandra on this machine, takes one and two of them away
 * under callers at once, and prints which guarantees held at which level: the tables of docs/engines/cassandra.md.
 */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { Client, policies } from 'cassandra-driver';
import { statementsOf } from '../../functions/config/cassandra-tables.ts';
import { seconds, systemClock } from '../../functions/domain/clock.ts';
import { StoreError } from '../../functions/domain/errors.ts';
import type { Engine } from '../../functions/domain/ports.ts';
import { createCluster } from '../../functions/stores/cassandra/cluster.ts';
import { engineOver } from '../../functions/stores/cassandra/engine.ts';
import { applySchema, keyspaceScript } from '../../functions/stores/cassandra/schema.ts';
import type { Consistency } from '../../functions/stores/cassandra/stores.ts';
import { CASSANDRA, type CassandraSettings, clientOptions } from '../../functions/stores/cassandra.ts';
import {
  DAY,
  issue,
  many,
  newAttempt,
  newClientToken,
  newCode,
  newSuccessor,
  rotate,
  tally,
} from '../conformance/records.ts';
import { type Node, startNodes } from './cassandra.ts';

const ROUNDS = 10;
const LOOKS = 30;
const CALLERS = 20;

const { nodes, port } = await startNodes(3);
const [first, second, third] = nodes;
if (!first || !second || !third) throw new Error('three nodes are needed');

const addressOf = (node: Node) => `${node.address}:${port}`;
const settings: CassandraSettings = { hosts: nodes.map(addressOf), keyspace: 'faults', requestTimeoutMs: 15_000 };

/** Waits until every node sees both others. */
const meet = async () => {
  for (const node of nodes) {
    const client = new Client({
      ...clientOptions({ ...settings, hosts: [addressOf(node)] }),
      policies: { loadBalancing: only(node) },
    });
    while ((await client.execute('SELECT tokens FROM system.peers')).rows.filter(({ tokens }) => tokens).length < 2) {
      await pause(500);
    }
    await client.shutdown();
  }
};
const only = (...some: Node[]) =>
  new policies.loadBalancing.AllowListPolicy(new policies.loadBalancing.RoundRobinPolicy(), some.map(addressOf));

/** Stores whose requests all go to these nodes. */
const openOn = (level: Consistency, keyspace: string, ...some: Node[]): Engine => {
  const options = () => ({
    ...clientOptions({ ...settings, hosts: some.map(addressOf) }),
    keyspace,
    policies: { loadBalancing: only(...some) },
  });
  return engineOver(createCluster({ ...CASSANDRA, options }, systemClock), level, systemClock);
};

const now = () => seconds(systemClock);
const clock = { now, nowMs: systemClock, advance: () => {} };
const outcomeOf = (call: Promise<{ outcome: string } | boolean>): Promise<string> =>
  call.then(
    (answer) => (typeof answer === 'boolean' ? String(answer) : answer.outcome),
    (error: unknown) => {
      if (error instanceof StoreError) return error.code;
      throw error;
    },
  );
const sum = (counts: readonly Record<string, number>[]) => {
  const all: Record<string, number> = {};
  for (const count of counts) for (const [name, many] of Object.entries(count)) all[name] = (all[name] ?? 0) + many;
  return all;
};
const told = (counts: Record<string, number>) =>
  Object.entries(counts)
    .toSorted(([one], [two]) => (one < two ? -1 : 1))
    .map(([name, count]) => `${count} ${name}`)
    .join(', ');

/** Twenty redeemers, then twenty rotations, of one code or token each round; `twice`: rounds with more than one winner. */
const race = async (engines: readonly Engine[]) => {
  const redeemed: Record<string, number>[] = [];
  const rotated: Record<string, number>[] = [];
  const one = engines[0];
  if (!one) throw new Error('no engine');
  for (let round = 0; round < ROUNDS; round += 1) {
    const code = newCode(now());
    await one.authorizationCodes.add(code, { now: now(), attempt: newAttempt() });
    const { binding, digest } = code;
    const redeemers = many(CALLERS, (index) =>
      outcomeOf(
        (engines[index % engines.length] ?? one).authorizationCodes.redeem(digest, {
          binding,
          now: now(),
          attempt: newAttempt(),
        }),
      ),
    );
    redeemed.push(tally(await Promise.all(redeemers)));
    const { grant, refreshKey } = await issue({ ...one, clock });
    const rotations = many(CALLERS, (index) =>
      outcomeOf(
        rotate((engines[index % engines.length] ?? one).accessTokens, grant, refreshKey, newSuccessor(now()), {
          now: now(),
          graceSeconds: 60,
        }),
      ),
    );
    rotated.push(tally(await Promise.all(rotations)));
  }
  const twice = [...redeemed.map((each) => each.redeemed ?? 0), ...rotated.map((each) => each.rotated ?? 0)];
  return {
    redeem: told(sum(redeemed)),
    rotate: told(sum(rotated)),
    twice: twice.filter((winners) => winners > 1).length,
  };
};

/** What is stored, and at once looked for through each node that answers; then revoked, and looked for again. */
const look = async (level: Consistency, up: readonly Node[], meanwhile?: { during(): void; after(): void }) => {
  const writer = openOn(level, settings.keyspace, up[0] ?? first);
  const readers = nodes
    .filter((node) => meanwhile || up.includes(node))
    .map((node) => openOn(level, settings.keyspace, node));
  let [missed, stale, looks] = [0, 0, 0];
  for (let round = 0; round < LOOKS; round += 1) {
    meanwhile?.during();
    const { accessKey, grant } = await issue({ ...writer, clock });
    meanwhile?.after();
    const seen = await Promise.all(
      readers.map(({ accessTokens }) => outcomeOf(accessTokens.findAccess(accessKey, { now: now() }))),
    );
    meanwhile?.during();
    await writer.accessTokens.revokeGrant(grant.grantId, { now: now(), retainUntil: now() + DAY });
    meanwhile?.after();
    const later = await Promise.all(
      readers.map(({ accessTokens }) => outcomeOf(accessTokens.findAccess(accessKey, { now: now() }))),
    );
    looks += seen.length;
    missed += seen.filter((outcome) => outcome === 'unknown').length;
    stale += later.filter((outcome) => outcome === 'active').length;
  }
  await Promise.all([writer, ...readers].map((engine) => engine.close()));
  return { found: `${looks - missed} of ${looks}`, stale: `${stale} of ${looks}` };
};

const levels: readonly Consistency[] = [
  { read: 'ONE', write: 'ANY' },
  { read: 'ONE', write: 'ONE' },
  { read: 'QUORUM', write: 'QUORUM' },
];

const report = async (condition: string, up: readonly Node[], paused?: Node) => {
  for (const level of levels) {
    const engines = up.map((node) => openOn(level, settings.keyspace, node));
    const raced = await race(engines).catch((error: unknown) => ({
      redeem: `failed: ${error instanceof StoreError ? error.code : error}`,
      rotate: '–',
      twice: 0,
    }));
    await Promise.all(engines.map((engine) => engine.close()));
    const meanwhile = paused && {
      during: () => process.kill(paused.pid, 'SIGSTOP'),
      // It is asked in the moment in which it goes on.
      after: () => process.kill(paused.pid, 'SIGCONT'),
    };
    const looked = await look(level, up, meanwhile).catch((error: unknown) => ({
      found: `failed: ${error instanceof StoreError ? error.code : error}`,
      stale: '–',
    }));
    console.log(
      `| ${condition} | ${level.read}, ${level.write} | ${raced.redeem} | ${raced.rotate} | ${raced.twice} | ${looked.found} | ${looked.stale} |`,
    );
  }
};

/** Whether a level reaches the servers: of a row whose only replica is away, ANY keeps a hint and ONE fails. */
const reachOfAny = async (up: Node) => {
  for (const write of ['ANY', 'ONE'] as const) {
    const engine = openOn({ read: 'ONE', write }, 'alone', up);
    const puts = many(60, () => outcomeOf(engine.clientAccessTokens.put(newClientToken(now())).then(() => true)));
    const adds = many(20, () =>
      outcomeOf(
        engine.artifacts.putOnce(
          { kind: 'x', id: randomBytes(8), data: randomBytes(8) },
          { now: now(), attempt: newAttempt() },
        ),
      ),
    );
    console.log(`| ${write} | ${told(tally(await Promise.all(puts)))} | ${told(tally(await Promise.all(adds)))} |`);
    await engine.close();
  }
};

try {
  await meet();
  const scripts = await Promise.all(
    ['oauth-server', 'oauth-client'].map((name) =>
      readFile(new URL(`../../sql/cassandra/${name}.cql`, import.meta.url), 'utf8'),
    ),
  );
  for (const [keyspace, factor] of [
    [settings.keyspace, 3],
    ['alone', 1],
  ] as const) {
    await applySchema(clientOptions(settings), [keyspaceScript(keyspace, { strategy: 'SimpleStrategy', factor })]);
    await applySchema({ ...clientOptions(settings), keyspace }, scripts.flatMap(statementsOf));
  }
  console.log('| nodes | read, write | redeem | rotate | won twice | found at once | active after revocation |');
  console.log('| --- | --- | --- | --- | --- | --- | --- |');
  await report('three', nodes);
  await report('one pauses', [first, second], third);
  await third.stop();
  await pause(1000);
  await report('one stopped', [first, second]);
  await second.stop();
  await pause(20_000);
  await report('two stopped', [first]);
  console.log('\n| write | 60 client access tokens, one replica each | 20 `putOnce` |');
  console.log('| --- | --- | --- |');
  await reachOfAny(first);
} finally {
  await Promise.all(nodes.map((node) => node.stop().catch(() => {})));
}
process.exit();
