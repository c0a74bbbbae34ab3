import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Engine, Server } from './engine.ts';
import { createScratchFolder, findFreePort, giveToServers, launch, run } from './launch.ts';

const VERSION = '5.0.9';

const project = `<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>engines</groupId><artifactId>cassandra</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies><dependency>
    <groupId>org.apache.cassandra</groupId><artifactId>cassandra-all</artifactId><version>${VERSION}</version>
  </dependency></dependencies>
</project>
`;

/** The folder of the server's program, fetched by Maven once for this checkout. */
const fetchProgram = async (): Promise<string> => {
  const folder = fileURLToPath(new URL(`../../.engines/cassandra-${VERSION}`, import.meta.url));
  if (existsSync(folder)) return folder;
  const fetched = `${folder}.part`;
  await mkdir(fetched, { recursive: true });
  await writeFile(join(fetched, 'pom.xml'), project);
  const copy = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies';
  const pom = ['-q', '-B', '-ntp', '-f', join(fetched, 'pom.xml')];
  const options = [...pom, `-Dmaven.repo.local=${join(fetched, 'repository')}`];
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

interface Ports {
  readonly cql: number;
  readonly storage: number;
}

interface Place {
  readonly folder: string;
  readonly address: string;
  readonly seeds: string;
  readonly ports: Ports;
  /** Where on the ring of tokens the node stands. */
  readonly token: bigint;
  /** Further lines of its settings. */
  readonly settings: string;
}

// Small, with every time-out long enough for a busy machine. Paxos v2 is what the vendor recommends for conditional writes;
// its state is repaired by no one here, and no test lives that long.
const settingsOf = ({ folder, address, seeds, ports, token, settings }: Place) => `cluster_name: tests
num_tokens: 1
initial_token: ${token}
auto_bootstrap: false
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
endpoint_snitch: SimpleSnitch
seed_provider: [{class_name: org.apache.cassandra.locator.SimpleSeedProvider, parameters: [{seeds: "${seeds}"}]}]
listen_address: ${address}
rpc_address: ${address}
storage_port: ${ports.storage}
native_transport_port: ${ports.cql}
data_file_directories: [${folder}/data]
commitlog_directory: ${folder}/commitlog
hints_directory: ${folder}/hints
saved_caches_directory: ${folder}/saved
cdc_raw_directory: ${folder}/cdc
commitlog_sync: periodic
commitlog_sync_period: 10000ms
commitlog_segment_size: 8MiB
commitlog_total_space: 256MiB
auto_snapshot: false
paxos_variant: v2
cas_contention_timeout: 5000ms
write_request_timeout: 5000ms
memtable_heap_space: 64MiB
memtable_offheap_space: 64MiB
key_cache_size: 8MiB
networking_cache_size: 16MiB
file_cache_size: 32MiB
concurrent_reads: 8
concurrent_writes: 8
concurrent_counter_writes: 4
concurrent_compactors: 1
disk_optimization_strategy: ssd
${settings}`;

const LOG = `<configuration>
  <appender name="OUT" class="ch.qos.logback.core.ConsoleAppender"><encoder><pattern>%-5level %date{ISO8601} %F:%L - %msg%n</pattern></encoder></appender>
  <root level="INFO"><appender-ref ref="OUT"/></root>
</configuration>
`;

// What the server's own start script exports and opens to it on Java 17.
const EXPORTS =
  'java.base/jdk.internal.misc java.base/jdk.internal.ref java.base/sun.nio.ch java.management.rmi/com.sun.jmx.remote.internal.rmi java.rmi/sun.rmi.registry java.rmi/sun.rmi.server java.sql/java.sql java.base/java.lang.ref jdk.unsupported/sun.misc';
const OPENS =
  'java.base/java.lang.module java.base/jdk.internal.loader java.base/jdk.internal.ref java.base/jdk.internal.reflect java.base/jdk.internal.math java.base/jdk.internal.module java.base/jdk.internal.util.jar jdk.management/com.sun.management.internal java.base/sun.nio.ch java.base/java.io java.base/java.lang java.base/java.lang.reflect java.base/java.util java.base/java.util.concurrent java.base/java.util.concurrent.atomic java.base/java.nio java.rmi/sun.rmi.transport.tcp';

const OPENED = [
  ...EXPORTS.split(' ').flatMap((name) => ['--add-exports', `${name}=ALL-UNNAMED`]),
  ...OPENS.split(' ').flatMap((name) => ['--add-opens', `${name}=ALL-UNNAMED`]),
];

const javaOptions = (folder: string, jmxPort: number) => [
  '-Xms512M',
  '-Xmx512M',
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  '-Xss256k',
  '-XX:MaxDirectMemorySize=256m',
  '-Djdk.attach.allowAttachSelf=true',
  '-Djava.net.preferIPv4Stack=true',
  ...OPENED,
  `-Dcassandra.config=file://${folder}/cassandra.yaml`,
  `-Dlogback.configurationFile=file://${folder}/logback.xml`,
  `-Dcassandra.storagedir=${folder}`,
  `-Dcassandra.logdir=${folder}`,
  `-Djava.io.tmpdir=${folder}/tmp`,
  '-Dcassandra-foreground=yes',
  `-Dcassandra.jmx.local.port=${jmxPort}`,
  '-Dcassandra.skip_wait_for_gossip_to_settle=0',
  '-Dcassandra.ring_delay_ms=0',
  '-Dcassandra.superuser_setup_delay_ms=0',
  // Else it is measured at every start, for three seconds.
  '-Dcassandra.memtable.row_overhead_size=180',
];

/** A node that runs. */
export interface Node {
  readonly address: string;
  readonly pid: number;
  /** Where {@link nodetool} reaches it. */
  readonly jmxPort: number;
  stop(): Promise<void>;
}

/** The vendor's `nodetool` on a node of this machine: what it prints. */
export const nodetool = async (jmxPort: number | string, ...args: string[]): Promise<string> => {
  const main = 'org.apache.cassandra.tools.NodeTool';
  const library = join(await fetchProgram(), 'lib', '*');
  // It keeps a history in the home of who runs it.
  const options = [...OPENED, '-XX:TieredStopAtLevel=1', `-Duser.home=${tmpdir()}`, '-cp', library];
  return run(['java', ...options, main, '-h', '127.0.0.1', '-p', String(jmxPort), ...args]);
};

/** It says that it listens a moment before it does. */
const accepts = (address: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, address, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });

const startNode = async (place: Place): Promise<Node> => {
  const { folder, address, ports } = place;
  const program = await fetchProgram();
  for (const part of ['data', 'commitlog', 'hints', 'saved', 'cdc', 'tmp']) {
    await mkdir(join(folder, part), { recursive: true });
  }
  await writeFile(join(folder, 'cassandra.yaml'), settingsOf(place));
  await writeFile(join(folder, 'logback.xml'), LOG);
  await giveToServers(folder);
  const jmxPort = await findFreePort();
  const options = javaOptions(folder, jmxPort);
  const main = 'org.apache.cassandra.service.CassandraDaemon';
  let node = 0;
  const stop = await launch({
    command: ['java', ...options, '-cp', join(program, 'lib', '*'), main],
    folder,
    isReady: async (pid) => {
      node = pid;
      const log = await readFile(join(folder, 'server.log'), 'utf8');
      return (
        log.includes(`Starting listening for CQL clients on /${address}:${ports.cql}`) && accepts(address, ports.cql)
      );
    },
    stopSignal: 'SIGTERM',
    readyWithinMs: 120_000,
  });
  return { address, pid: node, jmxPort, stop };
};

/** Starts so many nodes on 127.0.0.1, 127.0.0.2 and so on, with nothing in them; each can be stopped by itself. */
export const startNodes = async (
  count: number,
  settings = '',
): Promise<{ readonly nodes: readonly Node[]; readonly port: number }> => {
  const ports = { cql: await findFreePort(), storage: await findFreePort() };
  const addresses = Array.from({ length: count }, (_, index) => `127.0.0.${index + 1}`);
  await fetchProgram();
  const nodes = await Promise.all(
    addresses.map(async (address, index) => {
      const folder = await createScratchFolder('cassandra');
      const token = -(2n ** 63n) + (BigInt(index) * 2n ** 64n) / BigInt(count);
      try {
        const node = await startNode({ folder: folder.path, address, seeds: addresses.join(), ports, token, settings });
        return { ...node, stop: () => node.stop().then(folder.remove) };
      } catch (error) {
        await folder.remove();
        throw error;
      }
    }),
  );
  return { nodes, port: ports.cql };
};

const startCassandra = async (version: string): Promise<Server & { readonly url: string }> => {
  if (version !== VERSION) throw new Error(`Cassandra ${version}: known is ${VERSION}`);
  const { nodes, port } = await startNodes(1);
  const url = `cassandra://127.0.0.1:${port}`;
  const stop = async () => {
    await Promise.all(nodes.map((node) => node.stop()));
  };
  const env = { CASSANDRA_URL: url, CASSANDRA_JMX_PORT: String(nodes[0]?.jmxPort) };
  return { version, url, env, stop };
};

export const cassandra: Engine = {
  name: 'cassandra',
  versions: [VERSION],
  tests: [
    'test/stores/cassandra-settings.test.ts',
    'test/stores/cassandra-lifetimes.test.ts',
    'test/stores/cassandra-tables.test.ts',
    'test/stores/cassandra-tombstones.test.ts',
    'test/stores/keyspaces.test.ts',
    'test/stores/keyspaces-frozen.test.ts',
    'test/commands/test-connection-cassandra.test.ts',
    'test/handlers/apply-cassandra-schema.test.ts',
  ],
  start: startCassandra,
  attach: async (url) => ({ version: 'by URL', env: { CASSANDRA_URL: url }, stop: async () => {} }),
};
