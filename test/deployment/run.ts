/**
 * `npm run test:deployment [dynamodb | postgresql | valkey]…` deploys the CDK app to a local AWS, once for each example
 * configuration, uses it over HTTP, and takes it down again. What did not run fails the run. docs/local-aws.md says what
 * this AWS can show.
 *
 * `--reports <folder>` leaves vitest's JSON report there.
 */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createScratchFolder, run, runAttached } from '../engines/launch.ts';
import { formatCounts, isGood, readCounts } from '../engines/reports.ts';
import { createCertificate, findPython } from './local-aws.ts';

const vitest = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs');

const { values, positionals } = parseArgs({ allowPositionals: true, options: { reports: { type: 'string' } } });
const files = positionals.map((name) => `test/deployment/${name}.deployed.ts`);

const scratch = await createScratchFolder('deployment');
await findPython();
// The example takes the package as its users do.
await run([process.execPath, fileURLToPath(new URL('../../bin/build.ts', import.meta.url))]);
// Node reads where the certificate is when it starts, so it is made before the tests begin.
const { certificate } = await createCertificate(scratch.path);
const report = join(values.reports ?? scratch.path, 'deployment.json');
const config = fileURLToPath(new URL('vitest.config.ts', import.meta.url));
const exitCode = await runAttached([process.execPath, vitest, 'run', '--config', config, ...files], {
  // Whatever becomes of the tests, their folders go with this one.
  TMPDIR: scratch.path,
  TEST_REPORT: report,
  DEPLOYMENT_FOLDER: scratch.path,
  NODE_EXTRA_CA_CERTS: certificate,
});
const counts = await readCounts(report, exitCode);
await scratch.remove();
console.log(formatCounts(counts));
process.exitCode = isGood(counts) ? 0 : 1;
