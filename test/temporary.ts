import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Gives the tests a folder for temporary files that goes with them: CDK and its bundling leave theirs behind. */
export const setup = (): (() => void) => {
  const folder = mkdtempSync(join(tmpdir(), 'tests-'));
  chmodSync(folder, 0o1777); // as /tmp: servers that the tests start run as other users
  process.env.TMPDIR = folder;
  return () => rmSync(folder, { recursive: true, force: true });
};
