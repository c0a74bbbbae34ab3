import { execFileSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { bundledFunctions } from '../../functions/config/functions.ts';
import { deployed } from '../../functions/deployed.ts';
import { readKeyring } from '../../functions/keys.ts';
import type { Runtime } from '../../functions/runtime.ts';
import { settings } from './deployment.ts';

const handlers = new URL('../../functions/handlers/', import.meta.url);
const files = readdirSync(handlers).map((file) => file.replace('.ts', ''));

describe('the files in functions/handlers', () => {
  it('are the functions that are deployed', () => {
    expect(files.toSorted()).toEqual([...bundledFunctions].toSorted());
  });

  it('do nothing when they are imported, and export a factory and a handler', () => {
    const program = `
      for (const file of ${JSON.stringify(files)}) {
        const { handler, ...others } = await import(new URL(file + '.ts', ${JSON.stringify(handlers.href)}));
        const create = 'create' + file.split('-').map((word) => word[0].toUpperCase() + word.slice(1)).join('');
        if (typeof handler !== 'function' || Object.keys(others).join() !== create) throw new Error(file);
      }`;
    const output = execFileSync(process.execPath, ['--input-type=module', '--eval', program], {
      env: { PATH: process.env.PATH },
      encoding: 'utf8',
    });
    expect(output).toBe('');
  });
});

describe('a deployed function', () => {
  let directory: string;
  const invocation = { getRemainingTimeInMillis: () => 1000 };
  const write = (text: string) => writeFileSync(join(directory, 'oauth-stores.json'), text);
  const keys = { current: 3, keys: { 3: Buffer.alloc(32, 1).toString('base64url') } };

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'deployed-'));
    write(JSON.stringify(settings));
    vi.stubEnv('OAUTH_STORES', join(directory, 'oauth-stores.json'));
    vi.stubEnv('OAUTH_STORES_KEYS', JSON.stringify(keys));
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    await rm(directory, { recursive: true });
  });

  it('opens its runtime with the first event and keeps it, also when events fail', async () => {
    const opened: Runtime[] = [];
    const handler = deployed((runtime) => {
      opened.push(runtime);
      return async (event: string) => {
        if (event === 'fails') throw new Error('this event fails');
        return runtime.keyring.current;
      };
    }, 'lookup-token');
    expect(opened).toHaveLength(0);
    await expect(handler('fails', invocation)).rejects.toThrow('this event fails');
    expect(await Promise.all([handler('a', invocation), handler('b', invocation)])).toEqual([3, 3]);
    expect(opened).toHaveLength(1);
  });

  it('that cannot be opened fails, and tries again with the next event', async () => {
    const handler = deployed(() => async (event: string) => event, 'lookup-token');
    write('{ "accessTokenStores": 5 }');
    await expect(Promise.all([handler('a', invocation), handler('b', invocation)])).rejects.toThrow(
      'accessTokenStores',
    );
    write(JSON.stringify(settings));
    expect(await handler('c', invocation)).toBe('c');
  });

  it('is told how much time it has, and which stores it uses', async () => {
    vi.stubEnv('OAUTH_STORES_ACCESS_TOKENS', 'tokens');
    const handler = deployed(
      ({ storeNames }) =>
        async (_event, { getRemainingTimeInMillis }) => [storeNames?.accessTokenStore, getRemainingTimeInMillis()],
      'lookup-token',
    );
    expect(await handler({}, invocation)).toEqual(['tokens', 1000]);
  });

  it('needs no keys to purge, and any other function does', async () => {
    vi.stubEnv('OAUTH_STORES_KEYS', undefined);
    const generations =
      ({ keyring }: Runtime) =>
      async () =>
        keyring.generations;
    expect(await deployed(generations, 'purge')({}, invocation)).toEqual([]);
    await expect(deployed(generations, 'lookup-token')({}, invocation)).rejects.toThrow('the text of the keys');
  });

  it('says nothing of keys that it cannot read', async () => {
    for (const text of ['', 'secret', '{"keys":{"0":"c2VjcmV0"}}', '{"current":0,"keys":{"0":5}}', 'null']) {
      const error = await readKeyring(text).catch((reason: Error) => reason);
      expect(error).toBeInstanceOf(Error);
      expect(String(error)).not.toMatch(/secret"|c2VjcmV0|"secret/);
    }
  });
});

describe('the deployed authorizer', () => {
  it('answers a refusal that calls for another token in the one way that API Gateway makes 401 of', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'deployed-'));
    writeFileSync(join(directory, 'oauth-stores.json'), JSON.stringify(settings));
    vi.stubEnv('OAUTH_STORES', join(directory, 'oauth-stores.json'));
    vi.stubEnv('OAUTH_STORES_KEYS', JSON.stringify({ current: 0, keys: { 0: 'A'.repeat(43) } }));
    const output = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    const { handler } = await import('../../functions/handlers/authorizer.ts');
    const event = { type: 'TOKEN' as const, methodArn: 'arn:x/prod/GET/orders' };
    const invocation = { getRemainingTimeInMillis: () => 1000 };
    for (const authorizationToken of ['', `Bearer ${'A'.repeat(54)}`]) {
      await expect(handler({ ...event, authorizationToken }, invocation)).rejects.toThrow(/^Unauthorized$/);
    }
    const lines = output.mock.calls.map(([line]) => JSON.parse(String(line)).message);
    output.mockRestore();
    vi.unstubAllEnvs();
    await rm(directory, { recursive: true });
    expect(lines).toEqual(['access refused', 'access refused']);
  });
});
