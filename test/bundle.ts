import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Bundles the functions once before the tests: the constructs deploy them, and the package publishes them. */
export const setup = (): void => {
  execFileSync(process.execPath, [fileURLToPath(new URL('../bin/bundle.ts', import.meta.url))], { stdio: 'inherit' });
};
