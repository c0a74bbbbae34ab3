import { mkdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fetchDebian } from './debian.ts';
import type { Engine, Server } from './engine.ts';
import { type Command, createScratchFolder, findFreePort, giveToServers, launch, run } from './launch.ts';

const SINGLE = 'Valkey 8.1';
const CLUSTER = 'Valkey 8.1, three primaries with a replica each';

/** A program of Debian's packages. */
const program = async (name: 'server' | 'cli', ...args: readonly string[]): Promise<Command> => {
  const packages = await fetchDebian('valkey-trixie', 'trixie', ['valkey-server', 'valkey-tools']);
  return packages.program(`usr/bin/valkey-${name}`, ...args);
};

/** Whether a server on the port answers PING at all, if only that it wants a password. */
const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'));
    socket.setTimeout(1000, () => socket.destroy());
    socket.once('data', () => {
      resolve(true);
      socket.destroy();
    });
    socket.once('error', () => {});
    socket.once('close', () => resolve(false));
  });

/** A process of Valkey. */
export interface Node {
  readonly port: number;
  readonly pid: number;
  /** Ends it at once, as a crash does. */
  kill(): void;
  /** Ends it in good order. */
  stop(): Promise<void>;
}

/** Starts a process on a port, in a folder that it keeps its data in. */
export const startNode = async (port: number, folder: string, ...options: readonly string[]): Promise<Node> => {
  let pid = 0;
  const ready = async (started: number) => {
    pid = started;
    return answers(port);
  };
  const stop = await launch({
    command: await program('server', '--port', String(port), '--bind', '127.0.0.1', '--dir', folder, ...options),
    folder,
    isReady: ready,
    stopSignal: 'SIGTERM',
  });
  return { port, pid, kill: () => process.kill(pid, 'SIGKILL'), stop };
};

/** Starts one that remembers after it was stopped. */
export const startSingle = (port: number, folder: string): Promise<Node> =>
  startNode(port, folder, '--save', '', '--appendonly', 'yes');

export interface Nodes {
  /** Three primaries, then their replicas. */
  readonly nodes: readonly Node[];
  /** What the command line of Valkey answers. */
  cli(node: Node, ...words: readonly string[]): Promise<string>;
  stop(): Promise<void>;
}

/** Starts a cluster of three primaries with a replica each; a primary that is gone for a second is given up. */
export const startCluster = async (): Promise<Nodes> => {
  const folder = await createScratchFolder('valkey');
  const nodes: Node[] = [];
  const stop = async () => {
    await Promise.all(nodes.map((node) => node.stop()));
    await folder.remove();
  };
  const cli = async ({ port }: Node, ...words: readonly string[]) =>
    run(await program('cli', '-p', String(port), ...words));
  const agree = async (test: (node: Node) => Promise<boolean>) => {
    for (const deadline = Date.now() + 60_000; ; await sleep(50)) {
      if ((await Promise.all(nodes.map(test))).every((isTrue) => isTrue)) return;
      if (Date.now() > deadline) throw new Error('the nodes did not become a cluster within a minute');
    }
  };
  try {
    for (let count = 0; count < 6; count += 1) {
      const place = join(folder.path, String(count));
      await mkdir(place);
      await giveToServers(place);
      const [port, busPort] = [await findFreePort(), await findFreePort()];
      const options = ['--cluster-enabled', 'yes', '--cluster-port', String(busPort), '--cluster-node-timeout', '1000'];
      nodes.push(await startNode(port, place, '--save', '', ...options));
    }
    const [first] = nodes;
    if (!first) throw new Error('no node');
    const places = nodes.map(({ port }) => `127.0.0.1:${port}`);
    await cli(first, '--cluster', 'create', ...places, '--cluster-replicas', '1', '--cluster-yes');
    await agree(async (node) => (await cli(node, 'cluster', 'info')).includes('cluster_state:ok'));
    await agree(async (node) => {
      const role = await cli(node, 'info', 'replication');
      return role.includes('role:master') ? role.includes('connected_slaves:1') : role.includes('link_status:up');
    });
    return { nodes, cli, stop };
  } catch (error) {
    await stop();
    throw error;
  }
};

/** That further servers can be started, for what would disturb the others. */
const FETCHED = { VALKEY_FETCHED: 'yes' };

const start = async (version: string): Promise<Server> => {
  if (version === CLUSTER) {
    const { nodes, stop } = await startCluster();
    const env = { ...FETCHED, VALKEY_CLUSTER: nodes.map(({ port }) => `127.0.0.1:${port}`).join() };
    return { version, env, stop };
  }
  const folder = await createScratchFolder('valkey');
  try {
    const port = await findFreePort();
    const node = await startSingle(port, folder.path);
    const env = { ...FETCHED, VALKEY_URL: `valkey://127.0.0.1:${port}` };
    return { version, env, stop: () => node.stop().then(folder.remove) };
  } catch (error) {
    await folder.remove();
    throw error;
  }
};

export const valkey: Engine = {
  name: 'valkey',
  versions: [SINGLE, CLUSTER],
  tests: [
    ...['connections', 'settings', 'users'].map((what) => `test/stores/valkey-${what}.test.ts`),
    'test/stores/shared-lookups.test.ts',
  ],
  start,
  attach: async (url) => ({ version: 'by URL', env: { VALKEY_URL: url }, stop: async () => {} }),
};
