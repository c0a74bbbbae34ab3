import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fetchDebian } from './debian.ts';
import type { Engine, StartedServer } from './engine.ts';
import { giveToServers, run } from './launch.ts';
import { asOptions, type Distribution, type ServerSettings, startServer } from './mysql.ts';

/** The suites of Debian, by the version of MariaDB that they have. */
const suites: Readonly<Record<string, string>> = { '11.8': 'trixie', '10.11': 'bookworm' };

/** What makes the system's tables, in the order in which it must be run; the files' names differ between versions. */
const SYSTEM_TABLES = ['system_tables', 'performance_tables', 'system_tables_data', 'sys_schema'];

/** Starts MariaDB of this version (11.8 or 10.11). */
export async function startMariadb(version: string, settings: ServerSettings = {}): Promise<StartedServer> {
  const suite = suites[version];
  if (suite === undefined) throw new Error(`MariaDB ${version}: known are ${Object.keys(suites).join(', ')}`);
  const packages = await fetchDebian(`mariadb-${suite}`, suite, ['mariadb-server-core', 'mariadb-client-core']);
  const within = (path: string) => join(packages.root, path);
  const share = [within('usr/share/mariadb'), within('usr/share/mysql')].find(existsSync) ?? '';
  const server = (data: string, ...args: readonly string[]) =>
    packages.program(
      'usr/sbin/mariadbd',
      '--no-defaults',
      ...asOptions({
        basedir: within('usr'),
        datadir: data,
        'lc-messages-dir': share,
        'character-sets-dir': join(share, 'charsets'),
        'plugin-dir': within('usr/lib/mysql/plugin'),
        'innodb-log-file-size': '64M',
      }),
      ...args,
    );
  const stated = await run(packages.program('usr/sbin/mariadbd', '--no-defaults', '--version'));
  let data = '';
  const distribution: Distribution = {
    version: /\d+\.\d+\.\d+/.exec(stated)?.[0] ?? stated.trim(),
    name: 'MARIADB',
    client: (...args) => packages.program('usr/bin/mariadb', ...args),
    server: (...args) => server(data, ...args),
    initialize: async (folder) => {
      data = join(folder, 'data');
      await mkdir(data);
      const files = await readdir(share);
      const texts = SYSTEM_TABLES.map((part) => {
        const file = files.find((name) => /^(mariadb|mysql)_/.test(name) && name.endsWith(`_${part}.sql`));
        if (file === undefined) throw new Error(`${share} has no script for ${part}`);
        return readFile(join(share, file), 'utf8');
      });
      const script = join(folder, 'system.sql');
      const before = 'create database if not exists mysql;\nuse mysql;\n';
      await writeFile(script, before + (await Promise.all(texts)).join('\n'));
      await giveToServers(folder);
      const bootstrap = server(data, '--bootstrap', '--log-warnings=0', '--enforce-storage-engine=');
      await run(['sh', '-c', 'exec "$@" < "$0"', script, ...bootstrap], { asServer: true, cwd: folder });
    },
  };
  return startServer('mariadb', distribution, settings);
}

export const mariadb: Engine = {
  name: 'mariadb',
  versions: Object.keys(suites),
  tests: ['schema', 'partitions', 'faults'].map((part) => `test/stores/mariadb-${part}.test.ts`),
  start: (version) => startMariadb(version),
  attach: async (url) => ({ version: 'by URL', env: { MARIADB_URL: url }, stop: async () => {} }),
};
