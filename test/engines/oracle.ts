import { existsSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Engine, Server } from './engine.ts';
import { run } from './launch.ts';
import { startPostgresql } from './postgresql.ts';

// Oracle's server is in no package registry. Without a URL its statements are held against a grammar of PL/SQL, and run, as
// PL/pgSQL, by PostgreSQL; the name of the run says so, since none of it ran on Oracle.

const GRAMMAR = '2.7.4.Final';
const WITHOUT = 'not on Oracle; statements in a grammar of PL/SQL, and as PL/pgSQL on PostgreSQL 15';

const dependency = (group: string, artifact: string, version: string) => `<dependency>
    <groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version>
    <exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>
  </dependency>`;

const project = `<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>engines</groupId><artifactId>plsql</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
  ${dependency('io.debezium', 'debezium-ddl-parser', GRAMMAR)}
  ${dependency('org.antlr', 'antlr4-runtime', '4.10.1')}
  </dependencies>
</project>
`;

/** The folder of a grammar of PL/SQL for Java, fetched by Maven once for this checkout. */
const fetchGrammar = async (): Promise<string> => {
  const folder = fileURLToPath(new URL(`../../.engines/plsql-grammar-${GRAMMAR}`, import.meta.url));
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

const startWithout = async (): Promise<Server> => {
  const grammar = join(await fetchGrammar(), 'lib');
  const { env, stop, version } = await startPostgresql('15');
  return { version: `${WITHOUT} (${version})`, env: { ...env, PLSQL_GRAMMAR: grammar }, stop };
};

export const oracle: Engine = {
  name: 'oracle',
  versions: [WITHOUT],
  tests: [
    'test/stores/oracle-grammar.test.ts',
    'test/stores/oracle-decisions.test.ts',
    'test/stores/oracle-diagnosis.test.ts',
    'test/stores/oracle-binds.test.ts',
    'test/stores/oracle-connection.test.ts',
    'test/stores/oracle-schema.test.ts',
  ],
  start: startWithout,
  attach: async (url) => ({ version: 'by URL', env: { ORACLE_URL: url }, stop: async () => {} }),
};
