import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Builds `dist` once before the tests: the constructs deploy its bundles, and the package publishes it. */
export const setup = (): void => {
  execFileSync(process.execPath, [fileURLToPath(new URL('../bin/build.ts', import.meta.url))], { stdio: 'inherit' });
};
