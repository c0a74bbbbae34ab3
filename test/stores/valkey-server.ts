import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { type Cluster, Redis } from 'iovalkey';
import { afterAll } from 'vitest';
import type { ValkeySettings } from '../../functions/stores/valkey.ts';
import type { RoundTrips } from '../conformance/index.ts';

/** The server, or the cluster, that the tests were given; none: they are left out. */
export const given: ValkeySettings | undefined = (() => {
  const { VALKEY_URL, VALKEY_CLUSTER } = process.env;
  if (VALKEY_CLUSTER !== undefined) return { hosts: VALKEY_CLUSTER.split(','), cluster: true };
  return VALKEY_URL === undefined ? undefined : { hosts: [new URL(VALKEY_URL).host] };
})();

/** A client of each node of a server or cluster, to look at what no store shows. */
export const nodesOf = ({ hosts = [] }: ValkeySettings): Redis[] =>
  hosts.map((host) => {
    const [name = '', port = ''] = host.split(':');
    const node = new Redis(Number(port), name, { retryStrategy: (times) => Math.min(times * 20, 200) });
    node.on('error', () => {});
    return node;
  });

/** Every key and what it holds, of all nodes. */
export async function dumpOf(nodes: readonly Redis[]): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (const node of nodes) {
    if ((await node.role())[0] !== 'master') continue;
    for await (const keys of node.scanBufferStream({ count: 1000 }) as AsyncIterable<Buffer[]>) {
      for (const key of keys) {
        const bytes = (await node.type(key)) === 'string' ? await node.getBuffer(key) : undefined;
        parts.push(key, bytes ?? Buffer.concat(await node.zrangeBuffer(key, 0, -1)));
      }
    }
  }
  return Buffer.concat(parts);
}

/**
 * Counts what a client waits for: commands that are sent before an answer has come are one round trip. What a client sends
 * of its own accord, to find nodes, is none of a store's.
 */
export function countRoundTrips(client: typeof Redis | typeof Cluster): RoundTrips {
  const prototype = client.prototype as { sendCommand(command: Sent, ...more: unknown[]): unknown };
  const original = prototype.sendCommand;
  let counted = { done: 0, most: 0 };
  prototype.sendCommand = function sendCounted(command, ...more) {
    if (/^(eval|evalsha|get|zrange|exists|info)$/.test(command.name)) {
      const now = counted;
      const depth = now.done + 1;
      now.most = Math.max(now.most, depth);
      const finish = () => {
        now.done = Math.max(now.done, depth);
      };
      command.promise.then(finish, finish);
    }
    return original.call(this, command, ...more);
  };
  return {
    reset: () => {
      counted = { done: 0, most: 0 };
    },
    count: () => counted.most,
  };
}

interface Sent {
  readonly name: string;
  readonly promise: Promise<unknown>;
}

/** A port that takes connections and never answers. */
export async function listenSilently(): Promise<number> {
  const listener = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  afterAll(() => {
    listener.close();
  });
  return (listener.address() as AddressInfo).port;
}
