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
  testResults: v.array(
    v.object({
      name: v.string(),
      status: v.string(),
      message: v.string(),
      assertionResults: v.array(
        v.object({ fullName: v.string(), status: v.string(), failureMessages: v.array(v.string()) }),
      ),
    }),
  ),
});
type FileResult = v.InferOutput<typeof reportSchema>['testResults'][number];

const failedTests = ({ assertionResults }: FileResult) => assertionResults.filter(({ status }) => status === 'failed');

const isBroken = (file: FileResult): boolean => file.status === 'failed' && failedTests(file).length === 0;

/**
 * Counts what vitest's JSON report says of a run that ended with this exit code. A test file that failed outside
 * its tests (it does not load, a hook throws) counts as one failed, and so does a run that failed without one.
 */
export const countReport = (report: unknown, exitCode: number): Counts => {
  const { numTotalTests, numPassedTests, numFailedTests, testResults } = v.parse(reportSchema, report);
  const failed = numFailedTests + testResults.filter(isBroken).length;
  return {
    passed: numPassedTests,
    failed: failed === 0 && exitCode !== 0 ? 1 : failed,
    skipped: numTotalTests - numPassedTests - numFailedTests,
  };
};

/** What vitest's JSON report says of each test that failed, and of each file that failed outside its tests. */
export const listFailures = (report: unknown): string[] =>
  v
    .parse(reportSchema, report)
    .testResults.flatMap((file) => [
      ...(isBroken(file) ? [`${file.name}\n${file.message}`] : []),
      ...failedTests(file).map((test) => `${file.name} > ${test.fullName}\n${test.failureMessages.join('\n')}`),
    ]);

/** The report, in vitest's form, of a run that failed before its tests could begin. */
export const reportFailure = (name: string, message: string): object => ({
  numTotalTests: 0,
  numPassedTests: 0,
  numFailedTests: 0,
  testResults: [{ name, status: 'failed', message, assertionResults: [] }],
});

/** The report in a file; one that was not written is that of a run that failed. */
export const readReport = async (file: string): Promise<unknown> => {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  return text === undefined ? reportFailure(file, 'was not written') : JSON.parse(text);
};

/** As `countReport`, of a report in a file. */
export const readCounts = async (file: string, exitCode: number): Promise<Counts> =>
  countReport(await readReport(file), exitCode);

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
