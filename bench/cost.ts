/**
 * `npm run cost` measures what the operations use up and prints what they cost; `--write` puts it into docs/cost.md, and what
 * was measured into bench/cost-measured.json. `--measured` takes what was measured before: when prices have changed.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { measureCost } from './cost-measurements.ts';
import { type Measurements, page } from './cost-model.ts';

const { values: options } = parseArgs({
  options: { write: { type: 'boolean', default: false }, measured: { type: 'boolean', default: false } },
});
const kept = new URL('cost-measured.json', import.meta.url);
const measurements: Measurements = options.measured
  ? JSON.parse(await readFile(kept, 'utf8'))
  : await measureCost(new Date().toISOString().slice(0, 10));
if (options.write) {
  await writeFile(kept, `${JSON.stringify(measurements, null, 2)}\n`);
  await writeFile(new URL('../docs/cost.md', import.meta.url), page(measurements));
} else {
  console.log(page(measurements));
}
