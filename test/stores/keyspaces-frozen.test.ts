import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { createVirtualClock } from '../conformance/index.ts';
import { keyOf, newAccess, newAttempt, newGrant, newRefresh, newSuccessor, plain } from '../conformance/records.ts';
import { hosts, lendKeyspace, listenBefore, serverUrl } from './cassandra-server.ts';
import { describeOn } from './describe-on.ts';
import type { Order } from './keyspaces-caller.ts';

// A function in AWS Lambda stands still between two calls, and nobody keeps its connections meanwhile. Here a process is
// stopped (SIGSTOP), its connections end or go astray, and it goes on (SIGCONT). It is told that it stood still for five
// minutes, rather than made to.

const FROZEN_MS = 300_000;
const clock = createVirtualClock(Date.now());
const settings = { hosts, keyspace: `frozen_${randomUUID().slice(0, 8)}` };
if (serverUrl !== undefined) await lendKeyspace(settings);

/** A process with a grant stored, its way to the node, and a way to tell it what to do. */
async function startCaller() {
  const way = await listenBefore(String(hosts[0]));
  const script = new URL('keyspaces-caller.ts', import.meta.url);
  const caller: ChildProcess = fork(script, [way.host, settings.keyspace, String(clock.nowMs())], {
    serialization: 'advanced',
    execArgv: [],
  });
  onTestFinished(() => {
    caller.kill('SIGKILL');
  });
  await once(caller, 'message');
  const order = async (operation: Order['operation'], values: readonly unknown[], frozenMs = 0) => {
    const answered = once(caller, 'message');
    caller.send({ operation, values, frozenMs } satisfies Order);
    const [answer] = await answered;
    return plain(answer) as { value?: unknown; error?: unknown };
  };
  const now = clock.now();
  const [grant, access, refresh] = [newGrant(now), newAccess(now), newRefresh(now)];
  const persisted = await order('persist', [
    { grant, access, refresh },
    { now, attempt: newAttempt() },
  ]);
  expect(persisted).toEqual({ value: 'persisted' });
  const successor = newSuccessor(now);
  const options = { clientId: grant.clientId, now, attempt: newAttempt(), graceSeconds: 0 };
  return {
    way,
    order,
    grant,
    /** Stops the process until what is given has happened. */
    freezeWhile: async (happens: () => unknown) => {
      caller.kill('SIGSTOP');
      await pause(100);
      await happens();
      await pause(100);
      caller.kill('SIGCONT');
    },
    findAccess: ['findAccess', [keyOf(grant, access), { now }]] as const,
    rotate: ['rotate', [keyOf(grant, refresh), successor, options]] as const,
    rotated: { value: plain({ outcome: 'rotated', grant, sealed: successor.sealed }) },
    /** The same by somebody who comes later: so it was carried out, once. */
    reuse: ['rotate', [keyOf(grant, refresh), newSuccessor(now), { ...options, attempt: newAttempt() }]] as const,
  };
}

describeOn(serverUrl)('a process that stood still', () => {
  const ends = {
    'were ended': (way: Awaited<ReturnType<typeof listenBefore>>) => way.cut(),
    'went astray without a word': (way: Awaited<ReturnType<typeof listenBefore>>) => {
      way.swallow('requests');
      way.swallow('answers');
    },
  };

  it.each(Object.entries(ends))('looks up and rotates as if it had not, whose connections %s', async (_, end) => {
    const { way, order, freezeWhile, findAccess, rotate, rotated, reuse } = await startCaller();
    await freezeWhile(() => end(way));
    expect(await order(...findAccess, FROZEN_MS)).toMatchObject({ value: { outcome: 'active' } });
    await freezeWhile(() => end(way));
    expect(await order(...rotate, FROZEN_MS)).toEqual(rotated);
    expect(await order(...reuse)).toMatchObject({ value: { outcome: 'reused' } });
  });

  it('between a rotation and its answer is told that it was carried out, and it was once', async () => {
    const { way, order, freezeWhile, rotate, rotated, reuse } = await startCaller();
    way.swallow('answers');
    const rotating = order(...rotate);
    await pause(50);
    await freezeWhile(() => pause(200).then(way.cut));
    expect(await rotating).toEqual(rotated);
    expect(await order(...reuse)).toMatchObject({ value: { outcome: 'reused' } });
  });

  it('between a look-up and its answer is answered', async () => {
    const { way, order, freezeWhile, findAccess } = await startCaller();
    way.swallow('answers');
    const looking = order(...findAccess);
    await pause(50);
    await freezeWhile(way.cut);
    expect(await looking).toMatchObject({ value: { outcome: 'active' } });
  });
});
