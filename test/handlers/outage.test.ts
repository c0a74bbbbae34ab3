import { describe, expect, it } from 'vitest';
import type { HttpFunction } from '../../functions/config/routes.ts';
import type { StoreErrorCode } from '../../functions/domain/errors.ts';
import { ask, broken, deployment } from './deployment.ts';
import { creators, goodRequests } from './requests.ts';

const answers: [StoreErrorCode, number, string, string | undefined][] = [
  ['unavailable', 503, 'temporarily_unavailable', '1'],
  ['timeout', 503, 'temporarily_unavailable', '1'],
  ['throttled', 429, 'temporarily_unavailable', '1'],
  ['conflict', 409, 'conflict', undefined],
  ['invalid', 400, 'invalid_request', undefined],
  ['unsupported', 500, 'server_error', undefined],
];

describe.each(Object.keys(creators) as HttpFunction[])('%s', (name) => {
  it.each(answers)('answers a store that fails as %s with %i %s', async (code, status, error, retryAfter) => {
    const made = await deployment();
    const { events, values } = await goodRequests(made);
    const { headers, body, ...answer } = await ask(creators[name](broken(made, code)), events[name]);
    expect([answer.status, body.error, headers['retry-after']]).toEqual([status, error, retryAfter]);
    expect(JSON.stringify(body)).not.toMatch(/engine says|StoreError/);
    expect(made.lines).toHaveLength(1);
    expect(JSON.parse(made.lines[0] ?? '')).toMatchObject({ function: name, code, detail: 'the engine says why' });
    for (const value of values) expect(made.lines.join()).not.toContain(value);
  });
});

it('what nobody foresaw is answered with 500 and told to the log alone', async () => {
  const made = await deployment();
  const { events } = await goodRequests(made);
  const clients = { find: () => Promise.reject(new TypeError('a fault in the registry')) };
  const { status, body } = await ask(creators.introspect({ ...made.runtime, clients }), events.introspect);
  expect({ status, body }).toEqual({
    status: 500,
    body: { error: 'server_error', error_description: 'the request could not be answered' },
  });
  expect(JSON.parse(made.lines[0] ?? '')).toMatchObject({ level: 'error', detail: 'a fault in the registry' });
});
