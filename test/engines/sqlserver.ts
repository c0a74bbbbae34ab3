import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Connection } from 'tedious';
import { connectionOf } from '../../functions/stores/sqlserver-connection.ts';
import type { Engine, Server } from './engine.ts';
import { run } from './launch.ts';

// Microsoft's server is in no package registry. Without a URL its statements are read and looked up by Microsoft's own tools,
// which are, and run by a stand-in; the name of the run says so, since none of it ran on SQL Server.

const WITHOUT =
  "not on SQL Server; statements in Microsoft's parser and database model, and on SQLite behind a stand-in of its protocol";

const runtime = {
  runtimeOptions: { tfm: 'netcoreapp3.1', framework: { name: 'Microsoft.NETCore.App', version: '3.1.0' } },
};

/** The folder of Microsoft's tools for T-SQL, and of what they need, fetched by pip once for this checkout. */
const fetchModel = async (): Promise<string> => {
  const folder = fileURLToPath(new URL('../../.engines/sqlserver-model-1.0.0', import.meta.url));
  if (existsSync(folder)) return folder;
  const fetched = `${folder}.part`;
  const at = (...names: string[]) => join(fetched, ...names);
  await rm(fetched, { recursive: true, force: true });
  await mkdir(at('wheels'), { recursive: true });
  const pip = ['python3', '-m', 'pip', '--disable-pip-version-check', '-q'] as const;
  await run([...pip, 'install', '--target', at('python'), 'pythonnet==3.0.5', 'dotnetcore2==3.1.23']);
  // The tools, and OpenSSL 1.1, which their .NET wants and newer systems have no more.
  const linux = [
    '--platform',
    'manylinux_2_17_x86_64',
    '--python-version',
    '310',
    '--implementation',
    'cp',
    '--abi',
    'cp310',
  ];
  await run([...pip, 'download', '--no-deps', '-d', at('wheels'), 'mssql-cli==1.0.0']);
  await run([
    ...pip,
    'download',
    '--no-deps',
    '--only-binary=:all:',
    ...linux,
    '-d',
    at('wheels'),
    'psycopg2-binary==2.9.3',
  ]);
  for (const wheel of await readdir(at('wheels')))
    await run(['python3', '-m', 'zipfile', '-e', at('wheels', wheel), fetched]);
  const libraries = await readdir(at('psycopg2_binary.libs'));
  for (const name of ['libssl', 'libcrypto']) {
    const found = libraries.find((file) => file.startsWith(`${name}-`)) ?? '';
    await symlink(found, at('psycopg2_binary.libs', `${name}.so.1.1`));
  }
  await rm(at('wheels'), { recursive: true });
  await writeFile(at('runtimeconfig.json'), JSON.stringify(runtime));
  await rename(fetched, folder);
  return folder;
};

/** The version of ICU that this machine has: that .NET looks for older ones alone. */
const findIcu = async (): Promise<string> => {
  const version = async () => /libicuuc\.so\.(\d+) /.exec(await run(['ldconfig', '-p']))?.[1];
  const found = await version();
  if (found !== undefined) return found;
  if (process.getuid?.() !== 0) throw new Error('install ICU (the Debian package libicu72), or give a server’s URL');
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  await run(['apt-get', '-qq', 'update'], { env });
  await run(['apt-get', '-qq', '-y', '--no-install-recommends', 'install', 'libicu72'], { env });
  return String(await version());
};

const startWithout = async (): Promise<Server> => {
  const folder = await fetchModel();
  const env = {
    SQLSERVER_MODEL: folder,
    SQLSERVER_MODEL_PYTHON: join(folder, 'python'),
    SQLSERVER_MODEL_LIBRARIES: join(folder, 'psycopg2_binary.libs'),
    SQLSERVER_MODEL_ICU: await findIcu(),
  };
  return { version: WITHOUT, env, stop: async () => {} };
};

const attach = async (url: string): Promise<Server> => {
  const { hostname, port, username, password } = new URL(url);
  const connection = new Connection(
    await connectionOf({
      host: hostname,
      port: Number(port || 1433),
      user: decodeURIComponent(username),
      password: decodeURIComponent(password),
      tls: false,
    }),
  );
  connection.on('error', () => {});
  await new Promise<void>((resolve, reject) => connection.connect((error) => (error ? reject(error) : resolve())));
  connection.close();
  return { version: 'by URL', env: { SQLSERVER_URL: url }, stop: async () => {} };
};

export const sqlserver: Engine = {
  name: 'sqlserver',
  versions: [WITHOUT],
  tests: [
    'test/stores/sqlserver-statements.test.ts',
    'test/stores/sqlserver-driver.test.ts',
    'test/stores/sqlserver-conformance.test.ts',
    'test/stores/sqlserver-partitions.test.ts',
  ],
  start: startWithout,
  attach,
};
