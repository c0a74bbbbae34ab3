import { defineConfig } from 'vitest/config';

const report = process.env.TEST_REPORT; // a file that takes the run's counts for whoever started it

/** Test files in which nothing runs without what `npm run test:engines` starts or fetches, by the variable that says where it is. */
const onServers: Record<string, string[]> = {
  VALKEY_URL: ['valkey'],
  VALKEY_FETCHED: ['valkey-connections'],
  CASSANDRA_URL: ['cassandra', 'cassandra-lifetimes', 'keyspaces-frozen'],
  CASSANDRA_JMX_PORT: ['cassandra-tombstones'],
  POSTGRESQL_FETCHED: ['postgresql-faults'],
  MYSQL_URL: ['mysql', 'mysql-schema', 'mysql-partitions'],
  MYSQL_FETCHED: ['mysql-faults'],
  MARIADB_URL: ['mariadb', 'mariadb-schema', 'mariadb-partitions'],
  MARIADB_FETCHED: ['mariadb-faults'],
  SQLSERVER_URL: ['sqlserver'],
  ORACLE_URL: ['oracle'],
  PLSQL_GRAMMAR: ['oracle-grammar', 'oracle-decisions', 'oracle-diagnosis'],
  DB2_URL: ['db2', 'db2-procedures'],
};
const given = { ...process.env, VALKEY_URL: process.env.VALKEY_URL ?? process.env.VALKEY_CLUSTER };
const without = Object.entries(onServers).flatMap(([variable, files]) =>
  given[variable as keyof typeof given] === undefined ? files.map((file) => `test/stores/${file}.test.ts`) : [],
);
const { DB2_DRIVER } = process.env;

export default defineConfig({
  // A driver that npm does not install here: `npm run test:engines db2` builds it.
  ...(DB2_DRIVER && { resolve: { alias: { ibm_db: DB2_DRIVER } } }),
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['node_modules/**', 'dist/**', ...without],
    reporters: report === undefined ? ['default'] : ['default', ['json', { outputFile: report }]],
    globalSetup: ['test/temporary.ts', 'test/bundle.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    maxWorkers: 2,
  },
});
