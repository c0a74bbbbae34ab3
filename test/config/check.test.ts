import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exampleText } from './documents.ts';

const program = fileURLToPath(new URL('../../bin/oauth2-stores.ts', import.meta.url));
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'oauth2-stores-check-'));
  writeFileSync(join(folder, 'oauth-stores.json'), exampleText);
  writeFileSync(
    join(folder, 'risky.json'),
    '{ "caches": { "c": { "engine": "memory", "maxElements": 5 } }, "clients": {} }',
  );
  writeFileSync(join(folder, 'wrong.json'), '{ "caches": { "c": { "engine": "redis" } }, "purge": 60 }');
});
afterAll(() => rmSync(folder, { recursive: true }));

function check(file?: string, variables: NodeJS.ProcessEnv = {}) {
  const { OAUTH_STORES: _, ...env } = process.env;
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, 'check', ...(file ? [file] : [])], {
    cwd: folder,
    env: { ...env, ...variables },
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

describe('oauth2-stores check', () => {
  it('says that a configuration is correct', () => {
    expect(check()).toEqual({ status: 0, stdout: 'oauth-stores.json is correct\n', stderr: '' });
  });

  it('prints the warnings of a correct one', () => {
    const { status, stdout } = check('risky.json');
    expect(status).toBe(0);
    expect(stdout.split('\n')).toEqual([
      'risky.json is correct',
      expect.stringMatching(/^ {2}warning: there is no store/),
      expect.stringMatching(/^ {2}warning: caches\["c"\]\.maxElements: a full cache/),
      expect.stringMatching(/^ {2}warning: caches\["c"\]: no store uses it/),
      '',
    ]);
  });

  it('prints all faults of a wrong one and exits with 1', () => {
    const { status, stdout, stderr } = check(undefined, { OAUTH_STORES: 'wrong.json' });
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr.split('\n')).toEqual([
      'wrong.json: 2 faults in the configuration:',
      '  caches["c"].engine: found text; accepted: memory, dynamodb or valkey',
      expect.stringMatching(/^ {2}purge: found an unknown field; accepted: one of the fields \$schema, /),
      '',
    ]);
  });

  it('names the file that it cannot read and exits with 1', () => {
    const { status, stderr } = check('absent.json');
    expect(status).toBe(1);
    expect(stderr).toMatch(/no such file.*absent\.json/);
  });
});
