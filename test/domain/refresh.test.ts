import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keysOf } from '../../functions/domain/digest.ts';
import { StoreError } from '../../functions/domain/errors.ts';
import { inspectAccessToken, inspectRefreshToken } from '../../functions/domain/inspection.ts';
import type { IssueRequest, RefreshChoice, TokenDeployment } from '../../functions/domain/issuing.ts';
import { type RefreshRequest, refreshTokens } from '../../functions/domain/refresh.ts';
import { openUnderToken } from '../../functions/domain/seal.ts';
import { many, tally } from '../conformance/records.ts';
import { authorization, createDeployment, expectOutcome, issue, unasked } from './deployment.ts';

const { clientId } = authorization;
const jkt = randomBytes(32).toString('base64url');
const otherJkt = randomBytes(32).toString('base64url');
const details = [
  { type: 'payment', amount: 12 },
  { type: 'account', actions: ['read'] },
] as const;

type Settings = Partial<TokenDeployment['issuing']['refreshToken']>;

/** Tokens of a new grant, and a client that refreshes them. */
async function withTokens(settings: Settings = {}, request: Partial<IssueRequest> = {}, options = {}) {
  const deployment = createDeployment({ issuing: { refreshToken: settings }, ...options });
  const { tokens } = deployment;
  const first = await issue(tokens, request);
  const refresh = (given: Partial<RefreshRequest> = {}, store: TokenDeployment['store'] = tokens.store) =>
    refreshTokens({ ...tokens, store }, { refreshToken: first.refreshToken, clientId, ...given });
  const state = async (value: string | undefined) => {
    const found = await inspectRefreshToken(tokens, value ?? '');
    return found.active ? 'active' : found.reason;
  };
  const accessState = async (value: string) => {
    const found = await inspectAccessToken(tokens, value);
    return found.active ? 'active' : found.reason;
  };
  return { ...deployment, first, refresh, state, accessState };
}

describe('a refresh', () => {
  it('with the choice `new` gives new tokens and removes the old refresh token', async () => {
    const { refresh, state, accessState, first, clock } = await withTokens();
    clock.advance(100);
    const rotated = expectOutcome(await refresh(), 'rotated');
    expect(rotated).toMatchObject({
      tokenType: 'Bearer',
      accessExpiresAt: clock.now() + 3600,
      refreshExpiresAt: clock.now() + 43_200,
      authorization,
    });
    expect(rotated.grantId).toEqual(Buffer.from(first.grantId));
    expect(new Set([first.accessToken, rotated.accessToken]).size).toBe(2);
    expect([await state(first.refreshToken), await state(rotated.refreshToken)]).toEqual(['retired', 'active']);
    expect([await accessState(first.accessToken), await accessState(rotated.accessToken)]).toEqual([
      'active',
      'active',
    ]);
    expect(await refresh({ refreshToken: rotated.refreshToken ?? '' })).toMatchObject({ outcome: 'rotated' });
  });

  it('with the choice `none` gives an access token and removes the refresh token', async () => {
    const { refresh, state, accessState, first, clock } = await withTokens({ choice: 'none' });
    const rotated = expectOutcome(await refresh(), 'rotated');
    expect(rotated).not.toHaveProperty('refreshToken');
    expect(rotated).not.toHaveProperty('refreshExpiresAt');
    expect(await accessState(rotated.accessToken)).toBe('active');
    expect(await state(first.refreshToken)).toBe('retired');
    expect(await refresh()).toEqual({ ...rotated, outcome: 'retried' });
    clock.advance(10);
    expect(await refresh()).toMatchObject({ outcome: 'reused' });
  });

  it('with the choice `preserve` gives every caller an access token of his own and keeps the refresh token', async () => {
    const { refresh, state, accessState, first, clock } = await withTokens({ choice: 'preserve' });
    const given = new Set([first.accessToken]);
    for (let times = 0; times < 3; times += 1) {
      const rotated = expectOutcome(await refresh(), 'rotated');
      expect(rotated).not.toHaveProperty('refreshToken');
      expect(await accessState(rotated.accessToken)).toBe('active');
      given.add(rotated.accessToken);
      clock.advance(60);
    }
    expect(given.size).toBe(4);
    expect(await state(first.refreshToken)).toBe('active');
  });

  it('may ask for another choice than the deployment has', async () => {
    for (const [usual, asked] of [
      ['new', 'preserve'],
      ['preserve', 'none'],
      ['none', 'new'],
    ] as const) {
      const { refresh, state, first } = await withTokens({ choice: usual });
      const rotated = expectOutcome(await refresh({ choice: asked }), 'rotated');
      expect('refreshToken' in rotated).toBe(asked === 'new');
      expect(await state(first.refreshToken)).toBe(asked === 'preserve' ? 'active' : 'retired');
    }
  });

  it('is one round trip, when nothing less than was granted is asked for', async () => {
    const { refresh, tokens } = await withTokens();
    const { rotate } = tokens.store;
    expect(await refresh({}, unasked<typeof tokens.store>({ rotate }))).toMatchObject({ outcome: 'rotated' });
  });

  it('adds attributes to the access token, which win, and leaves those of the grant as they are', async () => {
    const granted = { ...authorization, attributes: { tenant: 'north', tier: 'gold' } };
    const { refresh, tokens } = await withTokens({}, { authorization: granted });
    const rotated = expectOutcome(await refresh({ attributes: { tier: 'silver', region: 'eu' } }), 'rotated');
    const attributes = { tenant: 'north', tier: 'silver', region: 'eu' };
    expect(rotated.authorization).toEqual({ ...authorization, attributes });
    expect(await inspectAccessToken(tokens, rotated.accessToken)).toMatchObject({ authorization: { attributes } });
    const next = expectOutcome(await refresh({ refreshToken: rotated.refreshToken ?? '' }), 'rotated');
    expect(next.authorization).toEqual(granted);
  });

  it('binds the new access token to the key that was proved', async () => {
    const { refresh, tokens } = await withTokens({}, { authorization: { ...authorization, confirmation: { jkt } } });
    const rotated = expectOutcome(await refresh({ confirmation: { jkt: otherJkt } }), 'rotated');
    expect(rotated.authorization.confirmation).toEqual({ jkt: otherJkt });
    const found = await inspectAccessToken(tokens, rotated.accessToken);
    expect(found).toMatchObject({ authorization: { confirmation: { jkt: otherJkt } } });
  });
});

describe('a refresh that asks for less', () => {
  const granted = {
    ...authorization,
    resources: ['https://a.example/', 'https://b.example/'],
    authorizationDetails: details,
  };
  const less = {
    scopes: ['orders:read'],
    resources: ['https://b.example/'],
    authorizationDetails: [details[1]],
  };

  it('gets an access token for that alone, is told so, and may ask for all of it again', async () => {
    const { refresh, tokens } = await withTokens({}, { authorization: granted });
    const rotated = expectOutcome(await refresh(less), 'rotated');
    expect(rotated.authorization).toEqual({ ...granted, ...less });
    const found = await inspectAccessToken(tokens, rotated.accessToken);
    expect(found).toMatchObject({ authorization: { ...granted, ...less } });
    const retried = expectOutcome(await refresh(less), 'retried');
    expect(retried.authorization).toEqual({ ...granted, ...less });
    const next = expectOutcome(
      await refresh({ refreshToken: rotated.refreshToken ?? '', scopes: granted.scopes }),
      'rotated',
    );
    expect(next.authorization).toEqual(granted);
  });

  it.each([
    ['scope exceeded', { scopes: ['orders:read', 'admin'] }],
    ['resources exceeded', { resources: ['https://c.example/'] }],
    ['authorization details exceeded', { authorizationDetails: [{ type: 'payment', amount: 13 }] }],
  ] as const)('%s, when it asks for more: then nothing is used up', async (outcome, more) => {
    const { refresh, tokens, first } = await withTokens({}, { authorization: granted });
    const { findRefresh } = tokens.store;
    expect(await refresh({ ...less, ...more }, unasked<typeof tokens.store>({ findRefresh }))).toEqual({ outcome });
    expect(await refresh({ refreshToken: first.refreshToken })).toMatchObject({ outcome: 'rotated' });
  });

  it('than a grant without resources and details has gets none', async () => {
    const { refresh } = await withTokens();
    expect(await refresh({ resources: ['https://a.example/'] })).toEqual({ outcome: 'resources exceeded' });
    expect(await refresh({ authorizationDetails: [details[0]] })).toEqual({
      outcome: 'authorization details exceeded',
    });
  });

  it('by another client is mismatched before anything of the grant is told', async () => {
    const { refresh } = await withTokens({}, { authorization: granted });
    expect(await refresh({ clientId: 'stranger', scopes: ['admin'] })).toEqual({ outcome: 'mismatched' });
  });
});

describe('another client', () => {
  it('is mismatched with a live token and with an old one, uses nothing up and revokes nothing', async () => {
    const { refresh, state, first, clock } = await withTokens();
    expect(await refresh({ clientId: 'stranger' })).toEqual({ outcome: 'mismatched' });
    const rotated = expectOutcome(await refresh(), 'rotated');
    clock.advance(100);
    expect(await refresh({ clientId: 'stranger' })).toEqual({ outcome: 'mismatched' });
    expect(await state(rotated.refreshToken)).toBe('active');
    expect(await state(first.refreshToken)).toBe('retired');
  });
});

describe('the refresh token of a public client', () => {
  const bound = { publicClient: true, authorization: { ...authorization, confirmation: { jkt } } };

  it('is good with the key that it was issued to, generation after generation, and with no other', async () => {
    const { refresh, first } = await withTokens({}, bound);
    let refreshToken = first.refreshToken;
    for (let generation = 0; generation < 3; generation += 1) {
      for (const confirmation of [undefined, { jkt: otherJkt }, { 'x5t#S256': otherJkt }]) {
        const given = { refreshToken, publicClient: true, ...(confirmation && { confirmation }) };
        expect(await refresh(given)).toEqual({ outcome: 'mismatched' });
      }
      const rotated = await refresh({ refreshToken, publicClient: true, confirmation: { jkt } });
      refreshToken = expectOutcome(rotated, 'rotated').refreshToken ?? '';
    }
  });

  it('is bound to a certificate in the same way', async () => {
    const certificate = { 'x5t#S256': jkt };
    const { refresh } = await withTokens(
      {},
      { publicClient: true, authorization: { ...authorization, confirmation: certificate } },
    );
    const given = { publicClient: true };
    expect(await refresh({ ...given, confirmation: { 'x5t#S256': otherJkt } })).toEqual({ outcome: 'mismatched' });
    expect(await refresh({ ...given, confirmation: certificate })).toMatchObject({ outcome: 'rotated' });
  });

  it('is bound to none when no key was proved, as is that of a client with credentials', async () => {
    const unbound = await withTokens({}, { publicClient: true });
    expect(await unbound.refresh({ publicClient: true })).toMatchObject({ outcome: 'rotated' });
    const confidential = await withTokens({}, { ...bound, publicClient: false });
    expect(await confidential.refresh({ confirmation: { jkt: otherJkt } })).toMatchObject({ outcome: 'rotated' });
  });
});

describe('the end of a refresh token', () => {
  it('is its expiry, to the second; each generation lives anew', async () => {
    const { refresh, clock } = await withTokens({ expiresIn: 100 });
    clock.advance(99);
    const rotated = expectOutcome(await refresh(), 'rotated');
    clock.advance(99);
    const next = expectOutcome(await refresh({ refreshToken: rotated.refreshToken ?? '' }), 'rotated');
    clock.advance(100);
    expect(await refresh({ refreshToken: next.refreshToken ?? '' })).toEqual({ outcome: 'expired' });
  });

  it('comes when it is not used for too long, whether it is replaced or kept', async () => {
    for (const choice of ['new', 'preserve'] as const) {
      const { refresh, first, clock } = await withTokens({ choice, idleExpiresIn: 50, expiresIn: 1000 });
      let refreshToken = first.refreshToken;
      for (let times = 0; times < 3; times += 1) {
        clock.advance(49);
        refreshToken = expectOutcome(await refresh({ refreshToken }), 'rotated').refreshToken ?? refreshToken;
      }
      clock.advance(50);
      expect(await refresh({ refreshToken })).toEqual({ outcome: 'expired' });
    }
  });

  it('is that of its grant, however often it is refreshed, and no token is said to live longer', async () => {
    const { refresh, first, accessState, clock } = await withTokens({ absoluteExpiresIn: 100, expiresIn: 80 });
    const end = clock.now() + 100;
    clock.advance(70);
    const rotated = expectOutcome(await refresh(), 'rotated');
    expect(rotated).toMatchObject({ accessExpiresAt: end, refreshExpiresAt: end });
    clock.advance(29);
    const last = expectOutcome(await refresh({ refreshToken: rotated.refreshToken ?? '' }), 'rotated');
    clock.advance(1);
    expect(await refresh({ refreshToken: last.refreshToken ?? '' })).toEqual({ outcome: 'expired' });
    for (const { accessToken } of [first, rotated, last]) expect(await accessState(accessToken)).toBe('expired');
  });

  it('of a kept one is not moved by its use', async () => {
    const { refresh, clock } = await withTokens({ choice: 'preserve', expiresIn: 100 });
    clock.advance(99);
    expect(await refresh()).toMatchObject({ outcome: 'rotated' });
    clock.advance(1);
    expect(await refresh()).toEqual({ outcome: 'expired' });
  });
});

describe('a refresh whose answer was lost', () => {
  it('gives the identical pair to whoever repeats it within the grace window', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom<RefreshChoice>('new', 'none'),
        fc.integer({ min: 0, max: 9 }),
        fc.boolean(),
        async (choice, delay, seal) => {
          const { refresh, clock, accessState, state } = await withTokens({ choice }, {}, { seal });
          const { outcome, ...pair } = expectOutcome(await refresh(), 'rotated');
          clock.advance(delay);
          expect(await refresh()).toEqual({ outcome: 'retried', ...pair });
          expect(await refresh()).toEqual({ outcome: 'retried', ...pair });
          expect(await accessState(pair.accessToken)).toBe('active');
          if (pair.refreshToken) expect(await state(pair.refreshToken)).toBe('active');
        },
      ),
      { numRuns: 30 },
    );
  });

  it('gives all of twenty callers at once one pair', async () => {
    const { refresh } = await withTokens();
    const outcomes = await Promise.all(many(20, () => refresh()));
    expect(tally(outcomes)).toEqual({ rotated: 1, retried: 19 });
    const pairs = outcomes.map((each) => 'accessToken' in each && `${each.accessToken} ${each.refreshToken}`);
    expect(new Set(pairs).size).toBe(1);
  });

  it('gives the first answer to a repeat that asks for something else, and stores nothing of the repeat', async () => {
    const { refresh, engine, first } = await withTokens();
    const { outcome, ...pair } = expectOutcome(await refresh({ scopes: ['orders:read'] }), 'rotated');
    for (const other of [{}, { scopes: ['orders:write'] }, { choice: 'none' }, { choice: 'preserve' }] as const) {
      expect(await refresh(other)).toEqual({ outcome: 'retried', ...pair });
    }
    const { tokens: stored } = await engine.accessTokens.listAccess(first.grantId, { limit: 10 });
    expect(stored).toHaveLength(2);
  });

  it('gives the same pair to the same attempt also after the window, while its successor is not used', async () => {
    const attempt = randomBytes(16);
    const { refresh, tokens, clock } = await withTokens({ graceSeconds: 0 });
    let given: unknown;
    const losing: TokenDeployment['store'] = {
      ...tokens.store,
      async rotate(...request) {
        given = await tokens.store.rotate(...request);
        throw new StoreError('timeout', 'no answer in time');
      },
    };
    await expect(refresh({ attempt }, losing)).rejects.toThrow(StoreError);
    expect(given).toMatchObject({ outcome: 'rotated' });
    clock.advance(60);
    const repeated = expectOutcome(await refresh({ attempt }), 'rotated');
    expect(await inspectAccessToken(tokens, repeated.accessToken)).toMatchObject({ active: true });
    expect(await inspectRefreshToken(tokens, repeated.refreshToken ?? '')).toMatchObject({ active: true });
  });

  it('is sealed so that only the old token opens it', async () => {
    const { refresh, tokens, engine, first } = await withTokens();
    let sealed: Uint8Array = Buffer.alloc(0);
    const watched: TokenDeployment['store'] = {
      ...tokens.store,
      rotate(key, successor, options) {
        sealed = successor.sealed;
        return tokens.store.rotate(key, successor, options);
      },
    };
    const { accessToken, refreshToken = '' } = expectOutcome(await refresh({}, watched), 'rotated');
    const opened = openUnderToken(first.refreshToken, 'successor', sealed).toString();
    expect(opened).toContain(accessToken);
    expect(opened).toContain(refreshToken);
    const [key] = keysOf(tokens.recognition, 'refresh token', first.refreshToken);
    const digest = Buffer.from(key?.digest ?? []);
    const known = [refreshToken, first.accessToken, digest.toString('base64url'), digest.toString('latin1')];
    for (const other of known) expect(() => openUnderToken(other, 'successor', sealed)).toThrow();
    const stored = Buffer.from(engine.dump());
    expect(stored.includes(Buffer.from(sealed))).toBe(true);
    for (const token of [first.refreshToken, accessToken, refreshToken]) expect(stored.includes(token)).toBe(false);
  });
});

describe('a refresh token that was used before', () => {
  it('past the window ends every token of its grant before the call returns, and tells whose they were', async () => {
    const { refresh, state, accessState, first, clock } = await withTokens();
    const rotated = expectOutcome(await refresh(), 'rotated');
    clock.advance(10);
    expect(await refresh()).toEqual({ outcome: 'reused', authorization, grantId: Buffer.from(first.grantId) });
    expect(await state(rotated.refreshToken)).toBe('revoked');
    for (const { accessToken } of [first, rotated]) expect(await accessState(accessToken)).toBe('revoked');
    expect(await refresh({ refreshToken: rotated.refreshToken ?? '' })).toEqual({ outcome: 'revoked' });
  });

  it('is reused at once when its successor was used, or when there is no window', async () => {
    const used = await withTokens();
    const rotated = expectOutcome(await used.refresh(), 'rotated');
    await used.refresh({ refreshToken: rotated.refreshToken ?? '' });
    expect(await used.refresh()).toMatchObject({ outcome: 'reused' });
    const windowless = await withTokens({ graceSeconds: 0 });
    await windowless.refresh();
    expect(await windowless.refresh()).toMatchObject({ outcome: 'reused' });
  });

  it('is not given its successor once the grant was revoked or has expired', async () => {
    const revoked = await withTokens();
    await revoked.refresh();
    await revoked.tokens.store.revokeGrant(revoked.first.grantId, {
      now: revoked.clock.now(),
      retainUntil: revoked.clock.now() + 1000,
    });
    expect(await revoked.refresh()).toEqual({ outcome: 'revoked' });
    const expired = await withTokens({ absoluteExpiresIn: 5 });
    await expired.refresh();
    expired.clock.advance(5);
    expect(await expired.refresh()).toEqual({ outcome: 'expired' });
  });

  it('has no answer to give again when it was taken out of use without one', async () => {
    const { tokens, refresh, first, clock } = await withTokens();
    for (const [key] of [keysOf(tokens.recognition, 'refresh token', first.refreshToken)]) {
      const successor = { refresh: 'none', sealed: Buffer.alloc(0), retainUntil: clock.now() + 1000 } as const;
      const options = { clientId, now: clock.now(), attempt: randomBytes(16), graceSeconds: 10 };
      if (key) expect(await tokens.store.rotate(key, successor, options)).toMatchObject({ outcome: 'rotated' });
    }
    for (const choice of ['new', 'none', 'preserve'] as const) {
      expect(await refresh({ choice })).toEqual({ outcome: 'revoked' });
    }
  });
});
