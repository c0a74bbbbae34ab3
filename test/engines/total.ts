/**
 * `node test/engines/total.ts <failed steps> <report>…` adds up vitest's JSON reports; one that is missing counts as
 * a failure. So does a step that failed without a failed test.
 */
import { formatCounts, isGood, readCounts, sumCounts } from './counts.ts';

const [failedSteps, ...reports] = process.argv.slice(2);
const counts = sumCounts(await Promise.all(reports.map((report) => readCounts(report, 0))));
const total = { ...counts, failed: Math.max(counts.failed, Number(failedSteps)) };
console.log(formatCounts(total));
process.exitCode = isGood(total) ? 0 : 1;
