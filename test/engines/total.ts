/**
 * `node test/engines/total.ts <failed steps> <report>…` adds up vitest's JSON reports; one that is missing counts as
 * a failure. So does a step that failed without a failed test. What failed stands above the counts once more, since
 * whoever reads the end of a long run should see it.
 */
import { basename } from 'node:path';
import { type Counts, countReport, formatCounts, isGood, listFailures, readReport, sumCounts } from './reports.ts';

const [failedSteps, ...files] = process.argv.slice(2);
const counts: Counts[] = [];
for (const file of files) {
  const report = await readReport(file);
  for (const failure of listFailures(report)) console.log(`failed in ${basename(file, '.json')}: ${failure}`);
  counts.push(countReport(report, 0));
}
const sum = sumCounts(counts);
const total = { ...sum, failed: Math.max(sum.failed, Number(failedSteps)) };
console.log(formatCounts(total));
process.exitCode = isGood(total) ? 0 : 1;
