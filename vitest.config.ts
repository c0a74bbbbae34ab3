import { defineConfig } from 'vitest/config';

const report = process.env.TEST_REPORT; // a file that takes the run's counts for whoever started it

const { VALKEY_URL, VALKEY_CLUSTER, CASSANDRA_URL, DB2_DRIVER } = process.env;
const databaseServers = ['mysql', 'mariadb', 'sqlserver', 'oracle', 'db2'];
/** What `npm run test:engines` alone can run, since npm has no such server. */
const onServers = [
  ...((VALKEY_URL ?? VALKEY_CLUSTER) ? [] : ['test/stores/valkey.test.ts']),
  ...(CASSANDRA_URL ? [] : ['test/stores/cassandra.test.ts']),
  ...databaseServers
    .filter((engine) => !process.env[`${engine.toUpperCase()}_URL`])
    .map((engine) => `test/stores/${engine}.test.ts`),
  ...['mysql', 'mariadb'].flatMap((engine) => [
    ...(process.env[`${engine.toUpperCase()}_URL`] ? [] : [`test/stores/${engine}-schema.test.ts`]),
    ...(process.env[`${engine.toUpperCase()}_FETCHED`] ? [] : [`test/stores/${engine}-faults.test.ts`]),
  ]),
];

export default defineConfig({
  // A driver that npm does not install here: `npm run test:engines db2` builds it.
  ...(DB2_DRIVER && { resolve: { alias: { ibm_db: DB2_DRIVER } } }),
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['node_modules/**', 'dist/**', ...onServers],
    reporters: report === undefined ? ['default'] : ['default', ['json', { outputFile: report }]],
    globalSetup: 'test/bundle.ts',
    testTimeout: 60_000,
    hookTimeout: 120_000,
    maxWorkers: 2,
  },
});
