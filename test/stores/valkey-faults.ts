import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'iovalkey';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine, StoredGrant, TokenKey } from '../../functions/domain/ports.ts';
import { createEngine } from '../../functions/stores/valkey.ts';
import {
  accessOutcome,
  DAY,
  type Issued,
  issue,
  keyOf,
  many,
  newAccess,
  newAttempt,
  newCode,
  newDigest,
  newGrant,
  newSuccessor,
  refreshOutcome,
  rotate,
} from '../conformance/records.ts';
import { type Node, type Nodes, startCluster } from '../engines/valkey.ts';

// What becomes of a cluster's guarantees when a primary is lost under traffic, and when a slot moves. A cluster of its own,
// since it does not end as it began.

const clock = { now: () => Math.floor(Date.now() / 1000), nowMs: () => Date.now() };

/** The slot of a key without a tag, or with this one: https://valkey.io/topics/cluster-spec, CRC-16/XMODEM. */
function slotOf(tag: string): number {
  let crc = 0;
  for (const byte of Buffer.from(tag)) crc = ((crc << 8) & 0xffff) ^ (CRC[(crc >> 8) ^ byte] ?? 0);
  return crc % 16_384;
}
const CRC = Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit += 1) crc = ((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff;
  return crc;
});
const tagOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url');

/** Bytes near these whose key is in that slot. */
function inSlot(slot: number, bytes: Uint8Array, keyOfThem: (bytes: Uint8Array) => string): Buffer {
  const tried = Buffer.from(bytes);
  const at = tried.length - 4;
  while (slotOf(keyOfThem(tried)) !== slot) tried.writeUInt32BE((tried.readUInt32BE(at) + 1) >>> 0, at);
  return tried;
}

/** A client that goes on from token to token, as far as it is answered. */
interface Chain {
  readonly grant: StoredGrant;
  key: TokenKey;
  rotations: number;
  failures: number;
  /** What it was answered that nobody who uses his token once should be. */
  readonly wrong: string[];
}

async function goOn(engine: Engine, chain: Chain, isOver: () => boolean): Promise<void> {
  const { grant } = chain;
  while (!isOver()) {
    const now = clock.now();
    // As if the last access token had expired, for which a client refreshes.
    const successor = newSuccessor(now, { access: newAccess(now - DAY) });
    const attempt = newAttempt();
    // A call that fails is sent again with its attempt, as a caller does.
    for (;;) {
      try {
        const { outcome } = await rotate(engine.accessTokens, grant, chain.key, successor, { now, attempt });
        if (outcome === 'rotated') {
          chain.key = keyOf(grant, successor.refresh);
          chain.rotations += 1;
        } else chain.wrong.push(outcome);
        break;
      } catch (error) {
        if (!(error instanceof Error && error.name === 'StoreError')) throw error;
        chain.failures += 1;
        if (isOver()) return;
        await sleep(50);
      }
    }
    if (chain.wrong.length > 0) return;
    await sleep(1);
  }
}

const chainOf = ({ grant, refreshKey }: Issued): Chain => ({
  grant,
  key: refreshKey,
  rotations: 0,
  failures: 0,
  wrong: [],
});
const sum = (numbers: readonly number[]) => numbers.reduce((one, two) => one + two, 0);

export const faults = (): void => {
  describe('a cluster that', () => {
    let cluster: Nodes;
    const gone = new Set<number>();
    const promoted = new Set<number>();
    beforeAll(async () => {
      cluster = await startCluster();
    });
    afterAll(() => cluster.stop());
    const open = (requestTimeoutMs = 2000) => {
      const hosts = cluster.nodes.map(({ port }) => `127.0.0.1:${port}`);
      return createEngine({ hosts, cluster: true, requestTimeoutMs }, clock.nowMs);
    };
    /** The primaries by their port: what they call themselves, and their slots. */
    const primariesBy = async (node: Node) => {
      const lines = (await cluster.cli(node, 'cluster', 'nodes')).split('\n').map((line) => line.split(' '));
      return new Map(
        lines.flatMap(([id = '', place = '', flags = '', , , , , , ...slots]) =>
          flags.includes('master') && !flags.includes('fail')
            ? [[Number(/:(\d+)@/.exec(place)?.[1]), { id, slots }] as const]
            : [],
        ),
      );
    };
    const holds = (slots: readonly string[], slot: number) =>
      slots.some((range) => {
        const [from = -1, to = from] = range.split('-').map(Number);
        return slot >= from && slot <= to;
      });
    const ownerOf = async (slot: number, node: Node) =>
      [...(await primariesBy(node))].find(([, { slots }]) => holds(slots, slot))?.[0];
    /** Whether every node knows whose the slot is: one that had no part in its move hears of it from the others. */
    const isAgreed = async (slot: number) =>
      new Set(await Promise.all(cluster.nodes.map((node) => ownerOf(slot, node)))).size === 1;

    /** Moves a slot to another primary key by key, as `valkey-cli --cluster reshard` does; `moved` before both agree whose it is. */
    const moveSlot = async (slot: number, pauseMs: number, moved = () => {}) => {
      const [first] = cluster.nodes;
      if (!first) throw new Error('no node');
      while (!(await isAgreed(slot))) await sleep(10);
      const primaries = await primariesBy(first);
      const [sourcePort = 0, source] = [...primaries].find(([, { slots }]) => holds(slots, slot)) ?? [];
      const [targetPort = 0, target] = [...primaries].find(([port]) => port !== sourcePort) ?? [];
      const [from, to] = [new Redis(sourcePort), new Redis(targetPort)];
      await to.call('cluster', 'setslot', slot, 'importing', source?.id ?? '');
      await from.call('cluster', 'setslot', slot, 'migrating', target?.id ?? '');
      for (;;) {
        const keys = (await from.call('cluster', 'getkeysinslot', slot, 1)) as string[];
        if (keys.length === 0) break;
        await from.call('migrate', '127.0.0.1', targetPort, '', 0, 5000, 'KEYS', ...keys);
        await sleep(pauseMs);
      }
      moved();
      for (const node of [to, from]) await node.call('cluster', 'setslot', slot, 'node', target?.id ?? '');
      from.disconnect();
      to.disconnect();
    };

    it('moves a slot, key by key, under rotation traffic answers every call, and none wrongly', async () => {
      const engines = [open(), open()];
      // Grants that share a slot: where one lies decides.
      const now = clock.now();
      const slot = slotOf(tagOf(newGrant(now).grantId));
      const grants = many(30, () => newGrant(now, { grantId: inSlot(slot, newGrant(now).grantId, tagOf) }));
      const chains: Chain[] = [];
      const [engine = open()] = engines;
      for (const grant of grants)
        chains.push(chainOf(await issue({ ...engine, clock: { ...clock, advance: () => {} } }, { grant })));
      let isOver = false;
      const traffic = chains.map((chain, index) => goOn(engines[index % 2] ?? engine, chain, () => isOver));

      await sleep(100);
      const rotations = () => sum(chains.map((chain) => chain.rotations));
      const before = rotations();
      let during = 0;
      await moveSlot(slot, 20, () => {
        during = rotations() - before;
      });
      await sleep(200);
      isOver = true;
      await Promise.all(traffic);
      expect(during).toBeGreaterThan(30);
      expect(chains.flatMap(({ wrong }) => wrong)).toEqual([]);
      expect(sum(chains.map(({ failures }) => failures))).toBe(0);
      for (const { key } of chains) expect(await refreshOutcome(engine.accessTokens, key, now)).toBe('active');
      await Promise.all(engines.map((each) => each.close()));
    });

    it('moves a slot there and back while many present the same token or code: one of them wins', async () => {
      // Time enough on a busy machine.
      const engines = many(3, () => open(20_000));
      const [engine = open()] = engines;
      const slot = slotOf(tagOf(newGrant(clock.now()).grantId));
      const refusals = new Set<string>();
      /** A call that fails is sent again as it was. */
      const insist = async <T>(call: () => Promise<T>): Promise<T> => {
        for (;;) {
          try {
            return await call();
          } catch (error) {
            refusals.add(String((error as { code?: unknown }).code));
            await sleep(10);
          }
        }
      };
      const CONTENDERS = 6;
      const contend = async (
        call: (engine: Engine, attempt: Buffer, index: number) => Promise<{ outcome: string }>,
      ) => {
        const attempts = many(CONTENDERS, () => Buffer.from(newAttempt()));
        const outcomes = await Promise.all(
          attempts.map((attempt, index) => insist(() => call(engines[index % 3] ?? engine, attempt, index))),
        );
        return outcomes.map(({ outcome }) => outcome);
      };
      const wrong: string[][] = [];
      let [races, winners] = [0, 0];
      let isOver = false;
      const judge = (outcomes: string[], won: string, lost: string) => {
        races += 1;
        winners += outcomes.filter((outcome) => outcome === won).length;
        const expected = [won, ...many(CONTENDERS - 1, () => lost)];
        if (outcomes.toSorted().join() !== expected.toSorted().join()) wrong.push(outcomes);
      };
      const rotating = async (size: number) => {
        const grantId = inSlot(slot, newGrant(clock.now()).grantId, tagOf);
        const grant = newGrant(clock.now(), { grantId });
        let { refreshKey: key } = await issue({ ...engine, clock: { ...clock, advance: () => {} } }, { grant });
        while (!isOver) {
          const now = clock.now();
          // Some have no room in the record of their grant: two keys, which can be on two nodes for a moment.
          const successors = many(CONTENDERS, () =>
            newSuccessor(now, { access: newAccess(now - DAY, { data: Buffer.alloc(size) }) }),
          );
          const outcomes = await contend((on, attempt, index) =>
            rotate(on.accessTokens, grant, key, successors[index] ?? newSuccessor(now), { now, attempt }),
          );
          judge(outcomes, 'rotated', 'retried');
          const winner = successors[outcomes.indexOf('rotated')];
          if (!winner) return;
          key = keyOf(grant, winner.refresh);
          await sleep(20);
        }
        expect(await refreshOutcome(engine.accessTokens, key, clock.now())).toBe('active');
      };
      const redeeming = async () => {
        while (!isOver) {
          const now = clock.now();
          const code = newCode(now, { digest: inSlot(slot, newDigest(), (digest) => `c${tagOf(digest)}`) });
          await insist(() => engine.authorizationCodes.add(code, { now, attempt: newAttempt() }));
          const { digest, binding } = code;
          judge(
            await contend((on, attempt) => on.authorizationCodes.redeem(digest, { binding, now, attempt })),
            'redeemed',
            'replayed',
          );
          await sleep(20);
        }
      };
      const traffic = [...many(8, (index) => rotating(index % 2 === 0 ? 0 : 2000)), redeeming(), redeeming()];
      await sleep(200);
      const before = races;
      for (let time = 0; time < 4; time += 1) await moveSlot(slot, 2);
      const during = races - before;
      isOver = true;
      await Promise.all(traffic);
      expect(wrong).toEqual([]);
      expect(winners).toBe(races);
      expect(during).toBeGreaterThan(30);
      // Keys of one call that are on two nodes for a moment: TRYAGAIN.
      expect([...refusals].filter((code) => code !== 'throttled')).toEqual([]);
      await Promise.all(engines.map((each) => each.close()));
    });

    it.each([
      ['whose replica keeps up', false],
      ['whose replica had lost it a moment before', true],
    ])(
      'loses a primary under traffic, %s, goes on; what was lost is counted, and is lost on that primary alone',
      async (_, isCut) => {
        const engines = [open(), open()];
        const [engine = open()] = engines;
        const stage = { ...engine, clock: { ...clock, advance: () => {} } };
        const issued: Issued[] = [];
        while (issued.length < 690) issued.push(...(await Promise.all(many(30, () => issue(stage)))));
        const chains = issued.slice(0, 60).map(chainOf);
        let isOver = false;
        const traffic = chains.map((chain, index) => goOn(engines[index % 2] ?? engine, chain, () => isOver));
        // Beside it: codes that are redeemed and grants that are revoked, until the moment that the primary is gone.
        const redeemed: ReturnType<typeof newCode>[] = [];
        const revoked: Issued[] = [];
        const standing = issued.slice(90);
        let isGone = false;
        const others = (async () => {
          while (!isGone) {
            const now = clock.now();
            const code = newCode(now);
            const each = standing.pop();
            if (!each) break;
            const done = await Promise.all([
              engine.authorizationCodes
                .add(code, { now, attempt: newAttempt() })
                .then(() =>
                  engine.authorizationCodes.redeem(code.digest, { binding: code.binding, now, attempt: newAttempt() }),
                ),
              engine.accessTokens.revokeGrant(each.grant.grantId, { now, retainUntil: now + DAY }),
            ]).catch(() => undefined);
            if (!done) continue;
            redeemed.push(code);
            revoked.push(each);
          }
        })();
        await sleep(1000);

        const survivor = cluster.nodes.findLast(({ port }) => !gone.has(port));
        if (!survivor) throw new Error('no node is left');
        const before = await primariesBy(survivor);
        // One that has a replica still.
        const victim = cluster.nodes.find(({ port }) => before.has(port) && !gone.has(port) && !promoted.has(port));
        if (!victim) throw new Error('no primary is left');
        gone.add(victim.port);
        const lostSlots = before.get(victim.port)?.slots ?? [];
        if (isCut) {
          // Its replica cannot come back to it: the password has changed.
          const control = new Redis(victim.port);
          await control.config('SET', 'requirepass', 'another');
          await control.call('client', 'kill', 'type', 'replica');
          control.disconnect();
          await sleep(150);
        }
        victim.kill();
        isGone = true;
        const killedAt = Date.now();
        while ((await primariesBy(survivor)).size < 3 || (await primariesBy(survivor)).has(victim.port))
          await sleep(50);
        while (!(await cluster.cli(survivor, 'cluster', 'info')).includes('cluster_state:ok')) await sleep(50);
        const tookMs = Date.now() - killedAt;
        for (const port of (await primariesBy(survivor)).keys()) if (!before.has(port)) promoted.add(port);
        await sleep(2000);
        isOver = true;
        await Promise.all([...traffic, others]);

        const now = clock.now();
        const onVictim = (grantId: Uint8Array) => holds(lostSlots, slotOf(tagOf(grantId)));
        const rotationsLost: Chain[] = [];
        for (const chain of chains) if (chain.wrong.length > 0) rotationsLost.push(chain);
        const revocationsLost: Issued[] = [];
        for (const each of revoked) {
          if ((await accessOutcome(engine.accessTokens, each.accessKey, now)) === 'active') revocationsLost.push(each);
        }
        let redemptionsLost = 0;
        for (const { digest, binding } of redeemed) {
          const { outcome } = await engine.authorizationCodes.redeem(digest, { binding, now, attempt: newAttempt() });
          if (outcome === 'redeemed') redemptionsLost += 1;
        }
        for (const { grant } of [...rotationsLost, ...revocationsLost]) expect(onVictim(grant.grantId)).toBe(true);
        // Whoever goes on with a token whose rotation was lost is taken for a thief: his grant ends, none goes on twice.
        for (const { wrong } of rotationsLost) expect(wrong).toEqual(['reused']);
        const acknowledged = sum(chains.map(({ rotations }) => rotations));
        console.log(
          JSON.stringify({
            isCut,
            tookMs,
            acknowledged: { rotations: acknowledged, redemptions: redeemed.length, revocations: revoked.length },
            lost: {
              rotations: rotationsLost.length,
              redemptions: redemptionsLost,
              revocations: revocationsLost.length,
            },
            failures: sum(chains.map(({ failures }) => failures)),
          }),
        );
        if (isCut) expect(rotationsLost.length).toBeGreaterThan(0);
        for (const chain of chains) {
          if (chain.wrong.length === 0)
            expect(await refreshOutcome(engine.accessTokens, chain.key, now)).toBe('active');
        }
        // Those whom nobody touched meanwhile have lost nothing.
        for (const { accessKey, refreshKey } of issued.slice(60, 90)) {
          expect(await accessOutcome(engine.accessTokens, accessKey, now)).toBe('active');
          expect(await refreshOutcome(engine.accessTokens, refreshKey, now)).toBe('active');
        }
        await Promise.all(engines.map((each) => each.close()));
      },
    );
  });
};
