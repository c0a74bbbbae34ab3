import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startRelay } from './db2-relay.ts';
import type { Engine, Server } from './engine.ts';
import { type Command, createScratchFolder, findFreePort, launch, run } from './launch.ts';

// Db2's server is in no package registry. IBM's own driver is, and it speaks to Apache Derby, whose protocol is nearly that of
// Db2, through a relay. The procedures of sql/db2 run in there by an interpreter of their control flow (db2/procedures.java),
// on Derby's statements, transactions and locks. The name of the run says so, since none of it ran on Db2.

const WITHOUT = "not on Db2; IBM's driver on Apache Derby 10.8.3.0 through a relay, SQL PL interpreted";
/** The client comes as a wheel for Python: npm's own installer fetches it from a host of IBM's. */
const WHEEL = 'ibm_db==3.3.0';
const DRIVER = 'ibm_db@4.0.1';
const DERBY = '10.8.3.0';
const DATABASE = 'STORES';

const project = `<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>engines</groupId><artifactId>derby</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies><dependency>
    <groupId>org.apache.derby</groupId><artifactId>derbynet</artifactId><version>${DERBY}</version>
  </dependency></dependencies>
</project>
`;

/** A folder that is made once for this checkout: whole, or not at all. */
async function once(name: string, fill: (folder: string) => Promise<unknown>): Promise<string> {
  const folder = fileURLToPath(new URL(`../../.engines/${name}`, import.meta.url));
  if (existsSync(folder)) return folder;
  const draft = `${folder}.part`;
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { recursive: true });
  await fill(draft);
  await rename(draft, folder);
  return folder;
}

async function patiently(command: Command, options: Parameters<typeof run>[1] = {}): Promise<void> {
  for (let tries = 3; ; tries -= 1) {
    try {
      await run(command, options);
      return;
    } catch (error) {
      if (tries <= 1) throw error;
      await sleep(2000);
    }
  }
}

/** IBM's client, and the driver for Node.js built against it. */
const fetchDriver = () =>
  once('ibm_db-4.0.1', async (folder) => {
    await patiently(['python3', '-m', 'pip', 'download', '-q', '--no-deps', '-d', folder, WHEEL]);
    const wheel = (await readdir(folder)).find((name) => name.endsWith('.whl')) ?? '';
    await run(['unzip', '-q', join(folder, wheel), 'clidriver/*', 'ibm_db.libs/*', '-d', folder]);
    await rm(join(folder, wheel));
    await writeFile(join(folder, 'package.json'), '{ "private": true }\n');
    const env = { IBM_DB_HOME: join(folder, 'clidriver') };
    await patiently(['npm', 'install', '--no-audit', '--no-fund', '--foreground-scripts', DRIVER], {
      cwd: folder,
      env,
    });
  });

const fetchDerby = () =>
  once(`derby-${DERBY}`, async (folder) => {
    await writeFile(join(folder, 'pom.xml'), project);
    const copy = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies';
    const pom = ['-q', '-B', '-ntp', '-f', join(folder, 'pom.xml')];
    const options = [...pom, `-Dmaven.repo.local=${join(folder, 'repository')}`];
    await patiently(['mvn', ...options, copy, `-DoutputDirectory=${join(folder, 'lib')}`]);
    await rm(join(folder, 'repository'), { recursive: true });
  });

/** What the tests' process needs to load the driver. A call of it holds a thread of Node.js until it is answered. */
async function driverEnvironment(): Promise<Record<string, string>> {
  const folder = await fetchDriver();
  const libraries = [join(folder, 'clidriver', 'lib'), join(folder, 'ibm_db.libs'), process.env.LD_LIBRARY_PATH];
  return {
    DB2_DRIVER: join(folder, 'node_modules', 'ibm_db', 'lib', 'odbc.js'),
    IBM_DB_HOME: join(folder, 'clidriver'),
    LD_LIBRARY_PATH: libraries.filter((path) => path !== undefined).join(delimiter),
    UV_THREADPOOL_SIZE: '32',
  };
}

const listens = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });

const sources = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** Starts Derby with the interpreter in it; the scripts are those whose procedures are made ready. */
async function startDerby(
  scripts: readonly string[],
): Promise<{ readonly url: string; readonly settings: string; stop(): Promise<void> }> {
  const derby = await fetchDerby();
  const folder = await createScratchFolder('db2');
  try {
    const classes = join(folder.path, 'classes');
    await mkdir(classes);
    const path = [join(derby, 'lib', '*'), classes].join(delimiter);
    await run(['javac', '-d', classes, '-cp', path, sources('db2/procedures.java'), sources('db2/server.java')]);
    const port = await findFreePort();
    const properties = {
      'derby.system.home': folder.path,
      'derby.system.durability': 'test',
      'derby.language.statementCache.size': '2000',
      'derby.locks.escalationThreshold': '100000',
      'derby.locks.deadlockTimeout': '2',
      'derby.locks.waitTimeout': '20',
      'procedures.classes': classes,
    };
    const options = Object.entries(properties).map(([name, value]) => `-D${name}=${value}`);
    const stop = await launch({
      command: [
        'java',
        '-Xmx512m',
        '-XX:TieredStopAtLevel=1',
        ...options,
        '-cp',
        path,
        'server',
        String(port),
        DATABASE,
        ...scripts,
      ],
      folder: folder.path,
      isReady: () => listens(port),
      stopSignal: 'SIGTERM',
      readyWithinMs: 120_000,
      asSelf: true,
    });
    const relay = await startRelay(port);
    // Derby ends a login that begins with an encrypted password; a Db2 says what it takes instead.
    await writeFile(join(folder.path, 'db2cli.ini'), '[COMMON]\nAuthentication=SERVER\n');
    return {
      settings: folder.path,
      url: `db2://app:app@127.0.0.1:${relay.port}/${DATABASE}`,
      stop: async () => {
        await relay.stop();
        await stop();
        await folder.remove();
      },
    };
  } catch (error) {
    await folder.remove();
    throw error;
  }
}

const scripts = ['oauth-server', 'oauth-client'].map((part) => sources(`../../sql/db2/${part}.sql`));

async function startWithout(): Promise<Server> {
  const env = await driverEnvironment();
  const { url, settings, stop } = await startDerby(scripts);
  return { version: WITHOUT, env: { ...env, DB2CLIINIPATH: settings, DB2_URL: url }, stop };
}

export const db2: Engine = {
  name: 'db2',
  versions: [WITHOUT],
  tests: ['test/stores/db2-connection.test.ts', 'test/stores/db2-procedures.test.ts'],
  start: startWithout,
  attach: async (url) => ({
    version: 'by URL',
    env: { ...(await driverEnvironment()), DB2_URL: url },
    stop: async () => {},
  }),
};
