import { readFile } from 'node:fs/promises';
import * as v from 'valibot';

/** How the tests of one or more runs ended. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

const reportSchema = v.object({
  numTotalTests: v.number(),
  numPassedTests: v.number(),
  numFailedTests: v.number(),
  testResults: v.array(v.object({ status: v.string(), assertionResults: v.array(v.object({ status: v.string() })) })),
});

/**
 * Counts what vitest's JSON report says of a run that ended with this exit code. A test file that failed outside
 * its tests (it does not load, a hook throws) counts as one failed, and so does a run that failed without one.
 */
export const countReport = (report: unknown, exitCode: number): Counts => {
  const { numTotalTests, numPassedTests, numFailedTests, testResults } = v.parse(reportSchema, report);
  const brokenFiles = testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  ).length;
  const failed = numFailedTests + brokenFiles;
  return {
    passed: numPassedTests,
    failed: failed === 0 && exitCode !== 0 ? 1 : failed,
    skipped: numTotalTests - numPassedTests - numFailedTests,
  };
};

/** As `countReport`, of a report in a file; a report that was not written is a run that failed. */
export const readCounts = async (file: string, exitCode: number): Promise<Counts> => {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  return text === undefined ? { passed: 0, failed: 1, skipped: 0 } : countReport(JSON.parse(text), exitCode);
};

export const sumCounts = (counts: readonly Counts[]): Counts =>
  counts.reduce(
    (sum, { passed, failed, skipped }) => ({
      passed: sum.passed + passed,
      failed: sum.failed + failed,
      skipped: sum.skipped + skipped,
    }),
    { passed: 0, failed: 0, skipped: 0 },
  );

export const formatCounts = ({ passed, failed, skipped }: Counts): string =>
  `${passed} passed, ${failed} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`;

/** Nothing failed, nothing was left out, and something ran. */
export const isGood = ({ passed, failed, skipped }: Counts): boolean => passed > 0 && failed === 0 && skipped === 0;
