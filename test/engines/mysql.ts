import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fetchDebian } from './debian.ts';
import type { Engine, StartedServer } from './engine.ts';
import { type Command, createScratchFolder, findFreePort, launch, run } from './launch.ts';

/** A server's settings by name, as on its command line. */
export type ServerSettings = Readonly<Record<string, string>>;

/** A kind of server: its programs, and how an empty folder becomes one for its data. */
export interface Distribution {
  /** How the variables begin that tests read. */
  readonly name: 'MYSQL' | 'MARIADB';
  readonly version: string;
  readonly server: (...args: readonly string[]) => Command;
  readonly client: (...args: readonly string[]) => Command;
  initialize(folder: string): Promise<void>;
}

// Test data need not survive a power cut. What a client can see of a commit is the same, and a server that is killed has
// written what it acknowledged.
const testSettings: ServerSettings = {
  'innodb-flush-log-at-trx-commit': '2',
  'innodb-flush-method': 'nosync',
  'innodb-doublewrite': 'OFF',
  'innodb-buffer-pool-size': '64M',
  'max-connections': '300',
};

export const asOptions = (settings: ServerSettings): string[] =>
  Object.entries(settings).map(([name, value]) => `--${name}=${value}`);

/** Whether it greets whoever connects: the first packet states version 10 of the protocol. */
const greets = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.setTimeout(1000, () => socket.destroy());
    socket.once('data', (packet) => {
      resolve(packet[4] === 10);
      socket.destroy();
    });
    socket.once('error', () => {});
    socket.once('close', () => resolve(false));
  });

/** Starts a server with an empty folder; `settings` come on top of the ones for tests. */
export async function startServer(
  name: string,
  distribution: Distribution,
  settings: ServerSettings,
): Promise<StartedServer> {
  const { path, remove } = await createScratchFolder(name);
  try {
    await distribution.initialize(path);
    const port = await findFreePort();
    const own = { socket: join(path, 's.sock'), 'pid-file': join(path, 'pid'), 'bind-address': '127.0.0.1' };
    let pid = 0;
    const isReady = async (started: number) => {
      pid = started;
      const written = await readFile(own['pid-file'], 'utf8').catch(() => '');
      return written.trim() === String(started) && greets(port);
    };
    const start = () =>
      launch({
        command: distribution.server(...asOptions({ ...testSettings, ...settings, ...own, port: String(port) })),
        ...{ folder: path, isReady, stopSignal: 'SIGTERM' },
      });
    let stop = await start();
    const url = `mysql://root@127.0.0.1:${port}/`;
    const { name: prefix, client } = distribution;
    const env = {
      [`${prefix}_URL`]: url,
      [`${prefix}_CLIENT`]: JSON.stringify(client()),
      // That further servers can be started, for what would disturb the others.
      [`${prefix}_FETCHED`]: distribution.version,
    };
    return {
      ...{ version: distribution.version, url, port, env },
      pid: () => pid,
      stop: () => stop().then(remove),
      kill: async () => {
        process.kill(pid, 'SIGKILL');
        await stop();
      },
      restart: async () => {
        await stop();
        stop = await start();
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** Starts MySQL as it is in the packages of Debian's unstable suite. */
export const startMysql = async (settings: ServerSettings = {}): Promise<StartedServer> => {
  const packages = await fetchDebian('mysql-sid', 'sid', ['mysql-server-core', 'mysql-client-core']);
  const within = (path: string) => join(packages.root, path);
  const server = (data: string, ...args: readonly string[]) =>
    packages.program(
      'usr/sbin/mysqld',
      '--no-defaults',
      ...asOptions({
        basedir: within('usr'),
        datadir: data,
        'lc-messages-dir': within('usr/share/mysql'),
        'character-sets-dir': within('usr/share/mysql/charsets'),
        'plugin-dir': within('usr/lib/mysql/plugin'),
        'secure-file-priv': 'NULL',
        'innodb-redo-log-capacity': '64M',
      }),
      ...args,
    );
  const stated = await run(packages.program('usr/sbin/mysqld', '--no-defaults', '--version'));
  let data = '';
  const distribution: Distribution = {
    version: /\d+\.\d+\.\d+/.exec(stated)?.[0] ?? stated.trim(),
    name: 'MYSQL',
    client: (...args) => packages.program('usr/bin/mysql', ...args),
    server: (...args) => server(data, '--mysqlx=OFF', '--skip-log-bin', '--performance-schema=OFF', ...args),
    initialize: async (folder) => {
      data = join(folder, 'data');
      await run(server(data, '--initialize-insecure'), { asServer: true, cwd: folder });
    },
  };
  return startServer('mysql', distribution, settings);
};

export const mysql: Engine = {
  name: 'mysql',
  versions: ['of Debian sid'],
  tests: ['schema', 'partitions', 'faults'].map((part) => `test/stores/mysql-${part}.test.ts`),
  start: () => startMysql(),
  attach: async (url) => ({ version: 'by URL', env: { MYSQL_URL: url }, stop: async () => {} }),
};
