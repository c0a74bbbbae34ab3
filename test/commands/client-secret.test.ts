import { expect, it } from 'vitest';
import { secretMatches } from '../../functions/domain/clients.ts';
import { createCommandLine } from './command-line.ts';

it('client-secret makes a secret that its digest knows, another one each time', async () => {
  const { run } = createCommandLine({});
  const made = [];
  for (let time = 0; time < 2; time++) {
    const { status, stdout } = await run(['client-secret']);
    const [, secret = '', digest = ''] = /^secret {2}(\S{43})\ndigest {2}(\S+)\n$/.exec(stdout) ?? [];
    expect(status).toBe(0);
    expect(secretMatches({ secretDigests: [digest] }, secret)).toBe(true);
    made.push(secret);
  }
  expect(made[0]).not.toBe(made[1]);
});
