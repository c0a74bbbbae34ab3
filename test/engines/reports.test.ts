import { describe, expect, it } from 'vitest';
import {
  countReport,
  formatCounts,
  isGood,
  listFailures,
  readCounts,
  readReport,
  reportFailure,
  sumCounts,
} from './reports.ts';

const report = (...statuses: string[]) => ({
  numTotalTests: statuses.length,
  numPassedTests: statuses.filter((status) => status === 'passed').length,
  numFailedTests: statuses.filter((status) => status === 'failed').length,
  testResults: [
    {
      name: 'a.test.ts',
      status: statuses.includes('failed') ? 'failed' : 'passed',
      message: '',
      assertionResults: statuses.map((status, index) => ({
        fullName: `test ${index}`,
        status,
        failureMessages: status === 'failed' ? ['expected 1 to be 2'] : [],
      })),
    },
  ],
});

describe('the failures of a run', () => {
  it('are its failed tests, and why', () => {
    expect(listFailures(report('passed', 'failed'))).toEqual(['a.test.ts > test 1\nexpected 1 to be 2']);
  });

  it('are its files that do not load, and why', () => {
    expect(listFailures(reportFailure('a.test.ts', 'no such module'))).toEqual(['a.test.ts\nno such module']);
  });

  it('are a report that was not written', async () => {
    expect(listFailures(await readReport('no-such-report.json'))).toEqual(['no-such-report.json\nwas not written']);
  });

  it('are none where all passed', () => {
    expect(listFailures(report('passed', 'skipped'))).toEqual([]);
  });
});

describe('the counts of a run', () => {
  it('are those of its report', () => {
    expect(countReport(report('passed', 'passed', 'failed'), 1)).toEqual({ passed: 2, failed: 1, skipped: 0 });
  });

  it('name what was left out, be it skipped or still to be written', () => {
    expect(countReport(report('passed', 'skipped', 'todo'), 0)).toEqual({ passed: 1, failed: 0, skipped: 2 });
  });

  it('hold one failure for a file that does not load', () => {
    expect(countReport(reportFailure('a.test.ts', 'no such module'), 1)).toEqual({ passed: 0, failed: 1, skipped: 0 });
  });

  it('hold one failure for a run that fails while all of its tests pass', () => {
    expect(countReport(report('passed'), 1)).toEqual({ passed: 1, failed: 1, skipped: 0 });
  });

  it('hold one failure for a run that leaves no report', async () => {
    expect(await readCounts('no-such-report.json', 0)).toEqual({ passed: 0, failed: 1, skipped: 0 });
  });

  it('are printed with the skipped ones only when there are some', () => {
    const counts = sumCounts([countReport(report('passed'), 0), countReport(report('passed', 'failed'), 1)]);
    expect(formatCounts(counts)).toBe('2 passed, 1 failed');
    expect(formatCounts(countReport(report('passed', 'skipped'), 0))).toBe('1 passed, 0 failed, 1 skipped');
  });

  it.each([
    ['something ran and all of it passed', { passed: 1, failed: 0, skipped: 0 }, true],
    ['nothing ran', { passed: 0, failed: 0, skipped: 0 }, false],
    ['something failed', { passed: 1, failed: 1, skipped: 0 }, false],
    ['something was skipped', { passed: 1, failed: 0, skipped: 1 }, false],
  ])('are judged where %s', (_case, counts, good) => {
    expect(isGood(counts)).toBe(good);
  });
});
