import { existsSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Engine, Server } from './engine.ts';
import { type Command, createScratchFolder, findFreePort, launch, run } from './launch.ts';

const DYNOXIDE = 'dynoxide 1.2.1';
const LOCAL = 'DynamoDB Local 3.3.1';

// The version of the AWS SDK that DynamoDB Local asks for is not published in all its parts: an older one serves it.
const project = `<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>engines</groupId><artifactId>dynamodb</artifactId><version>1</version><packaging>pom</packaging>
  <dependencyManagement><dependencies><dependency>
    <groupId>software.amazon.awssdk</groupId><artifactId>bom</artifactId><version>2.33.0</version><type>pom</type><scope>import</scope>
  </dependency></dependencies></dependencyManagement>
  <dependencies><dependency>
    <groupId>software.amazon.dynamodb</groupId><artifactId>DynamoDBLocal</artifactId><version>3.3.1</version>
  </dependency></dependencies>
</project>
`;

/** The folder of DynamoDB Local's program, fetched by Maven once for this checkout. */
const fetchLocal = async (): Promise<string> => {
  const folder = fileURLToPath(new URL('../../.engines/dynamodb-local-3.3.1', import.meta.url));
  if (existsSync(folder)) return folder;
  const fetched = `${folder}.part`;
  await mkdir(fetched, { recursive: true });
  await writeFile(join(fetched, 'pom.xml'), project);
  const copy = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies';
  const options = [
    '-q',
    '-B',
    '-ntp',
    '-f',
    join(fetched, 'pom.xml'),
    `-Dmaven.repo.local=${join(fetched, 'repository')}`,
  ];
  for (let tries = 3; ; tries -= 1) {
    try {
      await run(['mvn', ...options, copy, '-DincludeScope=runtime', `-DoutputDirectory=${join(fetched, 'lib')}`]);
      break;
    } catch (error) {
      if (tries <= 1) throw error;
      await sleep(2000);
    }
  }
  await rm(join(fetched, 'repository'), { recursive: true });
  await rename(fetched, folder);
  return folder;
};

/** The program that npm carries; none where its package is not installed. */
export const findDynoxide = (): string | undefined => {
  try {
    const program = fileURLToPath(import.meta.resolve('@dynoxide/linux-x64/package.json'));
    return join(dirname(program), 'dynoxide');
  } catch {
    return undefined;
  }
};

const commands: Readonly<Record<string, (port: number, folder: string) => Promise<Command>>> = {
  [DYNOXIDE]: async (port) => {
    const program = findDynoxide();
    if (program === undefined) throw new Error('the package @dynoxide/linux-x64 is not installed');
    return [program, '--host', '127.0.0.1', '--port', String(port)];
  },
  // It listens on every address of the machine; it has no option for one.
  [LOCAL]: async (port) => {
    const lib = join(await fetchLocal(), 'lib');
    const java = ['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', `-Dsqlite4java.library.path=${lib}`];
    const main = 'software.amazon.dynamodb.services.local.main.ServerRunner';
    return [
      'java',
      ...java,
      '-cp',
      join(lib, '*'),
      main,
      '-inMemory',
      '-sharedDb',
      '-disableTelemetry',
      '-port',
      String(port),
    ];
  },
};

const answers = (url: string) =>
  fetch(url, { signal: AbortSignal.timeout(1000) }).then(
    () => true,
    () => false,
  );

/** Starts an emulator on the loopback address, with no table in it. */
export const startDynamodb = async (
  version: string,
): Promise<Server & { readonly url: string; readonly pid: number }> => {
  const command = commands[version];
  if (command === undefined) throw new Error(`${version}: known are ${Object.keys(commands).join(', ')}`);
  const folder = await createScratchFolder('dynamodb');
  try {
    const port = await findFreePort();
    const url = `http://127.0.0.1:${port}`;
    let pid = 0;
    const stop = await launch({
      command: await command(port, folder.path),
      folder: folder.path,
      isReady: (started) => {
        pid = started;
        return answers(url);
      },
      stopSignal: 'SIGTERM',
    });
    return { version, url, pid, env: { DYNAMODB_URL: url }, stop: () => stop().then(folder.remove) };
  } catch (error) {
    await folder.remove();
    throw error;
  }
};

export const dynamodb: Engine = {
  name: 'dynamodb',
  versions: Object.keys(commands),
  tests: ['buckets', 'failures', 'purge', 'settings', 'units'].map((what) => `test/stores/dynamodb-${what}.test.ts`),
  start: startDynamodb,
  attach: async (url) => ({ version: 'by URL', env: { DYNAMODB_URL: url }, stop: async () => {} }),
};
