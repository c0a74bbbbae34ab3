import { beforeEach, describe, expect, it } from 'vitest';
import type { ActiveToken, Inspection } from '../../functions/domain/inspection.ts';
import { createAuthorizer } from '../../functions/handlers/authorizer.ts';
import { createRevokeToken } from '../../functions/handlers/revoke-token.ts';
import { cached } from '../../functions/lookup-cache.ts';
import type { Runtime } from '../../functions/runtime.ts';
import { api, CERTIFICATE, httpApi, type Parts, read, THUMBPRINT } from './authorizer-api.ts';
import { ask, broken, jsonEvent, START } from './deployment.ts';

const token = (changes: object = {}): ActiveToken => ({
  active: true,
  kind: 'access_token',
  authorization: { clientId: 'web', grantType: 'password', scopes: [] },
  expiresAt: START + 3600,
  grantId: Buffer.alloc(12),
  ...changes,
});

let nowMs: number;
let asked: string[];
let answer: (value: string) => Inspection;
beforeEach(() => {
  nowMs = START * 1000;
  asked = [];
  answer = () => token();
});

const open = (cacheSeconds = 10) =>
  cached(
    async (value) => {
      asked.push(value);
      return answer(value);
    },
    cacheSeconds,
    () => nowMs,
  );

describe('the look-up cache', () => {
  it('answers from what it read for less than the configured seconds, to the millisecond', async () => {
    const inspect = open();
    const first = await inspect('a');
    nowMs += 9999;
    expect(await inspect('a')).toEqual(first);
    expect(asked).toEqual(['a']);
    nowMs += 1;
    answer = () => ({ active: false, reason: 'revoked' });
    expect(await inspect('a')).toEqual({ active: false, reason: 'revoked' });
    expect(asked).toEqual(['a', 'a']);
  });

  it('counts from before the store was asked, however late it answers, and however often the token is used', async () => {
    const inspect = cached(
      async (value) => {
        asked.push(value);
        nowMs += 4000;
        return token();
      },
      10,
      () => nowMs,
    );
    await inspect('a');
    for (const _ of [1, 2, 3]) {
      nowMs += 1999;
      await inspect('a');
    }
    expect(asked).toEqual(['a']);
    nowMs += 3;
    await inspect('a');
    expect(asked).toEqual(['a', 'a']);
  });

  it('never answers beyond the expiry of the token', async () => {
    answer = () => token({ expiresAt: START + 5 });
    const inspect = open();
    await inspect('a');
    nowMs += 4999;
    await inspect('a');
    expect(asked).toHaveLength(1);
    nowMs += 1;
    await inspect('a');
    expect(asked).toHaveLength(2);
  });

  it('asks again after the clock was set back', async () => {
    const inspect = open();
    await inspect('a');
    nowMs -= 1;
    await inspect('a');
    expect(asked).toHaveLength(2);
  });

  it.each(['unknown', 'expired', 'revoked'] as const)('remembers no token that is %s', async (reason) => {
    const inspect = open();
    answer = () => ({ active: false, reason });
    expect(await inspect('a')).toEqual({ active: false, reason });
    answer = () => token();
    expect(await inspect('a')).toMatchObject({ active: true });
    expect(asked).toHaveLength(2);
  });

  it('holds 10 000 tokens and forgets the one that was used least recently', async () => {
    const inspect = open();
    for (let each = 0; each < 10_000; each += 1) await inspect(`${each}`);
    await inspect('0');
    expect(asked).toHaveLength(10_000);
    await inspect('one more');
    await inspect('0');
    await inspect('2');
    expect(asked).toHaveLength(10_001);
    await inspect('1');
    expect(asked).toHaveLength(10_002);
  });

  it('does not hold what is long, nor ID tokens', async () => {
    const inspect = open();
    answer = () => token({ idToken: 'i'.repeat(5000) });
    expect(await inspect('a')).toHaveProperty('idToken');
    expect(await inspect('a')).not.toHaveProperty('idToken');
    expect(asked).toHaveLength(1);
    const long = { clientId: 'web', grantType: 'password', scopes: ['é'.repeat(2048)] };
    answer = () => token({ authorization: long });
    await inspect('b');
    await inspect('b');
    expect(asked).toEqual(['a', 'b', 'b']);
  });

  it('tells tokens apart', async () => {
    const inspect = open();
    answer = (value) => (value === 'a' ? token() : { active: false, reason: 'unknown' });
    expect(await inspect('a')).toMatchObject({ active: true });
    expect(await inspect('b')).toMatchObject({ active: false });
  });

  it('is off at 0', async () => {
    const inspect = open(0);
    await inspect('a');
    await inspect('a');
    expect(asked).toHaveLength(2);
  });
});

describe('an authorizer with a look-up cache', () => {
  const event = (parts: Parts) => httpApi(parts);
  /** The same deployment, whose store can be made to fail. */
  const failing = (made: Awaited<ReturnType<typeof api>>) => {
    let fails = false;
    const { runtime } = made;
    const store = { ...runtime.stores.tokens(), store: broken(made, 'unavailable').stores.accessTokenStore() };
    const good = runtime.stores.tokens();
    const tokens = {
      ...good,
      get store() {
        return fails ? store.store : good.store;
      },
    };
    return {
      runtime: { ...runtime, stores: { ...runtime.stores, tokens: () => tokens } } satisfies Runtime,
      fail: () => {
        fails = true;
      },
    };
  };

  it('lets a revoked token in for less than the bound, and no longer', async () => {
    const { authorize, runtime, bearer, token: value, pass } = await api({ cacheSeconds: 5 });
    const allowed = async () => read(await authorize(event(bearer))).allowed;
    expect(await allowed()).toBe(true);
    await ask(createRevokeToken(runtime), jsonEvent({ token: value }));
    pass(4.999);
    expect(await allowed()).toBe(true);
    pass(0.001);
    expect(await allowed()).toBe(false);
  });

  it('without one, not at all', async () => {
    const { authorize, runtime, bearer, token: value } = await api();
    expect(read(await authorize(event(bearer))).allowed).toBe(true);
    await ask(createRevokeToken(runtime), jsonEvent({ token: value }));
    expect(read(await authorize(event(bearer))).allowed).toBe(false);
  });

  it('in an outage answers what it knows until the bound, and nothing else', async () => {
    const made = await api({ cacheSeconds: 5 });
    const { runtime, fail } = failing(made);
    const authorize = createAuthorizer(runtime);
    const first = await authorize(event(made.bearer));
    fail();
    made.pass(4.999);
    expect(await authorize(event(made.bearer))).toEqual(first);
    made.pass(0.001);
    await expect(authorize(event(made.bearer))).rejects.toMatchObject({ code: 'unavailable' });
    made.pass(-4);
    await expect(authorize(event(made.bearer))).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('checks client, scopes and certificate of every request', async () => {
    const authorizer = { cacheSeconds: 60, scopes: { 'GET /a': [], 'GET /b': ['admin'] } };
    const made = await api(authorizer, {}, { cnf: { 'x5t#S256': THUMBPRINT } });
    let enabled = true;
    const { clients } = made.runtime;
    const authorize = createAuthorizer({
      ...made.runtime,
      clients: {
        find: async (clientId) => {
          const client = await clients.find(clientId);
          return client && { ...client, enabled };
        },
      },
    });
    const status = async (parts: Parts) =>
      read(await authorize(event({ ...made.bearer, certificate: CERTIFICATE, resource: '/a', ...parts }))).context
        .status;
    expect(await status({})).toBeUndefined();
    expect(await status({ resource: '/b' })).toBe('403');
    expect(await status({ certificate: '' })).toBe('401');
    enabled = false;
    expect(await status({})).toBe('401');
  });
});
