/**
 * `npm run test:engines [engine [url]]…` runs the stores' tests on real servers: `test/stores/<engine>.test.ts`, and
 * what else the engine names, once for every version of each engine asked for (all of them when none is), or against the server of that URL.
 * An engine that cannot be had, and a test that did not run, fail the run.
 *
 * `--reports <folder>` also leaves vitest's JSON reports there.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { cassandra } from './cassandra.ts';
import { db2 } from './db2.ts';
import { dynamodb } from './dynamodb.ts';
import type { Engine, Server } from './engine.ts';
import { createScratchFolder, runAttached } from './launch.ts';
import { mariadb } from './mariadb.ts';
import { memory } from './memory.ts';
import { mysql } from './mysql.ts';
import { oracle } from './oracle.ts';
import { postgresql } from './postgresql.ts';
import { type Counts, formatCounts, isGood, readCounts, reportFailure, sumCounts } from './reports.ts';
import { sqlserver } from './sqlserver.ts';
import { valkey } from './valkey.ts';

const engines: readonly Engine[] = [
  memory,
  dynamodb,
  postgresql,
  mysql,
  mariadb,
  valkey,
  cassandra,
  oracle,
  sqlserver,
  db2,
];

interface Run {
  readonly engine: Engine;
  readonly place: string;
  readonly start: () => Promise<Server>;
}

const refuse = (reason: string): never => {
  console.error(`${reason}; known engines: ${engines.map(({ name }) => name).join(', ')}`);
  process.exit(2);
};

const planRuns = (words: readonly string[]): readonly Run[] => {
  const names = words.length === 0 ? engines.map(({ name }) => name) : words;
  return names.flatMap((name, index) => {
    if (name.includes('://')) return index === 0 ? refuse('a URL stands behind its engine') : [];
    const engine = engines.find((known) => known.name === name) ?? refuse(`unknown engine ${name}`);
    const url = names[index + 1];
    if (!url?.includes('://')) {
      return engine.versions.map((version) => ({ engine, place: version, start: () => engine.start(version) }));
    }
    const attach = engine.attach ?? refuse(`${name} takes no URL`);
    return [{ engine, place: 'by URL', start: () => attach(url) }];
  });
};

const vitest = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs');

const runTests = async ({ engine, place, start }: Run, report: string): Promise<Counts> => {
  const startedMs = Date.now();
  const say = (version: string, text: string) =>
    console.log(`${engine.name} ${version}: ${text} (${Math.round((Date.now() - startedMs) / 1000)} s)`);
  let server: Server;
  try {
    server = await start();
  } catch (error) {
    const reason = `could not be had: ${error instanceof Error ? error.message : error}`;
    say(place, reason);
    await writeFile(report, JSON.stringify(reportFailure(`${engine.name} ${place}`, reason)));
    return readCounts(report, 1);
  }
  try {
    const files = [`test/stores/${engine.name}.test.ts`, ...(engine.tests ?? [])];
    const exitCode = await runAttached([process.execPath, vitest, 'run', '--no-file-parallelism', ...files], {
      ...server.env,
      TEST_REPORT: report,
    });
    const counts = await readCounts(report, exitCode);
    say(server.version, formatCounts(counts));
    return counts;
  } finally {
    await server.stop();
  }
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  // The word --url may stand before a URL: npm keeps it for itself and passes on the URL alone.
  options: { reports: { type: 'string' }, url: { type: 'boolean' } },
});
const runs = planRuns(positionals);

const scratch = await createScratchFolder('reports');
const reports = values.reports ?? scratch.path;
await mkdir(reports, { recursive: true });
const results: Counts[] = [];
for (const run of runs) {
  results.push(await runTests(run, join(reports, `${results.length}-${run.engine.name}.json`)));
}
await scratch.remove();
console.log(formatCounts(sumCounts(results)));
process.exitCode = results.every(isGood) ? 0 : 1;
