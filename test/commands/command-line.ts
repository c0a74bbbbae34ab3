import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';

const program = fileURLToPath(new URL('../../bin/oauth2-stores.ts', import.meta.url));

const root = mkdtempSync(join(tmpdir(), 'command-line-'));
afterAll(() => rmSync(root, { recursive: true }));

/** The command line, run in a folder of its own that holds this configuration. */
export function createCommandLine(configuration: object) {
  const folder = mkdtempSync(join(root, 'run-'));
  const write = (name: string, content: object) => writeFileSync(join(folder, name), JSON.stringify(content));
  write('oauth-stores.json', configuration);

  const run = async (args: readonly string[], input = '') => {
    const { OAUTH_STORES, DATA_DIR, PGUSER, PGPASSWORD, ...env } = process.env;
    const child = spawn(process.execPath, [program, ...args], { cwd: folder, env });
    child.stdin.end(input);
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    const [stdout, stderr, status] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
    return { status, stdout, stderr };
  };
  return { folder, dataDirectory: join(folder, '.data'), write, run };
}
