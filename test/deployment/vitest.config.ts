import { defineConfig } from 'vitest/config';

const report = process.env.TEST_REPORT;

// The tests of a deployment: minutes each, so `npm test` leaves them out.
export default defineConfig({
  test: {
    root: new URL('../../', import.meta.url).pathname,
    include: ['test/deployment/*.deployed.ts'],
    globalSetup: 'test/bundle.ts',
    reporters: report === undefined ? ['verbose'] : ['verbose', ['json', { outputFile: report }]],
    testTimeout: 300_000,
    hookTimeout: 300_000,
    fileParallelism: false,
  },
});
