import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Gives the tests a folder for temporary files that goes with them: CDK and its bundling leave theirs behind. */
export const setup = (): (() => void) => {
  const folder = mkdtempSync(join(tmpdir(), 'tests-'));
  chmodSync(folder, 0o711); // the users that servers run as have their folders in it
  process.env.TMPDIR = folder;
  return () => rmSync(folder, { recursive: true, force: true });
};
