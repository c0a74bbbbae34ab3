import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  inspectAccessToken,
  inspectRefreshToken,
  inspectToken,
  revokeToken,
} from '../../functions/domain/inspection.ts';
import { issueTokens, retention } from '../../functions/domain/issuing.ts';
import { openUnderToken } from '../../functions/domain/seal.ts';
import { DAY } from '../conformance/records.ts';
import { authorization, createDeployment, issue, unasked } from './deployment.ts';

describe('what is issued', () => {
  it('carries everything that was granted, and says what it is', async () => {
    const { tokens, clock } = createDeployment({
      issuing: { accessToken: { type: 'DPoP', expiresIn: 60, length: 39 } },
    });
    const granted = {
      ...authorization,
      resources: ['https://api.example/'],
      authorizationDetails: [{ type: 'payment', amount: { currency: 'EUR', value: 12 } }],
      confirmation: { jkt: randomBytes(32).toString('base64url') },
      authenticatedAt: clock.now() - 10,
      acr: 'loa3',
      amr: ['pwd', 'otp'],
      nonce: 'n-0S6_WzA2Mj',
      sessionId: 'session',
      parameters: { prompt: 'login', ui_locales: ['de', 'en'] },
      attributes: { tenant: 'north', roles: ['reader'] },
    };
    const issued = await issue(tokens, { authorization: granted });
    expect(issued.accessToken).toHaveLength(39);
    expect(issued).toMatchObject({ tokenType: 'DPoP', accessExpiresAt: clock.now() + 60, authorization: granted });
    const found = { active: true, authorization: granted, issuedAt: clock.now(), grantId: Buffer.from(issued.grantId) };
    expect(await inspectAccessToken(tokens, issued.accessToken)).toEqual({
      ...found,
      kind: 'access_token',
      tokenType: 'DPoP',
      expiresAt: clock.now() + 60,
    });
    expect(await inspectRefreshToken(tokens, issued.refreshToken)).toEqual({
      ...found,
      kind: 'refresh_token',
      expiresAt: clock.now() + 43_200,
    });
  });

  it('is refused with a length that can be guessed, before anything is stored', async () => {
    for (const [kind, issuing] of [
      ['access token', { accessToken: { length: 38 } }],
      ['refresh token', { refreshToken: { length: 38 } }],
    ] as const) {
      const { tokens } = createDeployment({ issuing });
      await expect(issue({ ...tokens, store: unasked() })).rejects.toThrow(
        `length of the ${kind} is 38; accepted: a whole number of characters from 39`,
      );
    }
  });

  it('holds no token, no secret and no password where it is stored', async () => {
    const { tokens, engine } = createDeployment();
    const parameters = { password: 'Mellon', client_secret: 'Mellon', scope: 'orders:read' };
    const { accessToken, refreshToken } = await issue(tokens, {
      authorization: { ...authorization, grantType: 'password', parameters },
      idToken: 'Mellon',
    });
    const stored = Buffer.from(engine.dump());
    expect(stored.includes('orders:read')).toBe(true);
    for (const secret of ['Mellon', accessToken, refreshToken]) expect(stored.includes(secret)).toBe(false);
  });

  it('shows nothing of the grant beside what it is found by, when records are sealed', async () => {
    const { tokens, engine } = createDeployment({ seal: true });
    const { accessToken } = await issue(tokens);
    expect(Buffer.from(engine.dump()).includes('orders:read')).toBe(false);
    expect(await inspectAccessToken(tokens, accessToken)).toMatchObject({ active: true, authorization });
  });

  it('is barred by a revocation that came after the authorization', async () => {
    const { tokens, clock } = createDeployment();
    const authorizedAtMs = clock.nowMs();
    await tokens.store.revokeBy({ subject: 'alice' }, { nowMs: authorizedAtMs, retainUntil: clock.now() + DAY });
    clock.advance(1);
    const request = { authorization, refreshToken: true };
    expect(await issueTokens(tokens, { ...request, authorizedAtMs })).toBe('barred');
    expect(await issueTokens(tokens, { ...request, authorizedAtMs: clock.nowMs() })).not.toBe('barred');
  });
});

describe('an ID token beside an access token', () => {
  it('is read by whoever presents the access token, and stays with that one', async () => {
    const { tokens, clock } = createDeployment();
    const idToken = 'header.payload.signature';
    const { accessToken, refreshToken, grantId } = await issue(tokens, { idToken });
    expect(await inspectAccessToken(tokens, accessToken)).toMatchObject({ active: true, idToken });
    expect(await inspectRefreshToken(tokens, refreshToken)).not.toHaveProperty('idToken');

    const { tokens: stored } = await tokens.store.listAccess(grantId, { limit: 1 });
    const { sealed } = tokens.codec.decode<{ sealed: string }>(grantId, stored[0]?.data ?? Buffer.alloc(0));
    const bytes = Buffer.from(sealed, 'base64url');
    expect(openUnderToken(accessToken, 'id token', bytes).toString()).toBe(idToken);
    for (const other of [refreshToken, Buffer.from(stored[0]?.digest ?? []).toString('base64url'), `${clock.now()}`]) {
      expect(() => openUnderToken(other, 'id token', bytes)).toThrow();
    }
  });
});

describe('the end of a token', () => {
  it('is its expiry, to the second', async () => {
    const { tokens, clock } = createDeployment({ issuing: { refreshToken: { expiresIn: 7200 } } });
    const { accessToken, refreshToken } = await issue(tokens);
    clock.advance(3599);
    expect(await inspectAccessToken(tokens, accessToken)).toMatchObject({ active: true });
    clock.advance(1);
    expect(await inspectAccessToken(tokens, accessToken)).toEqual({ active: false, reason: 'expired' });
    clock.advance(3599);
    expect(await inspectRefreshToken(tokens, refreshToken)).toMatchObject({ active: true });
    clock.advance(1);
    expect(await inspectRefreshToken(tokens, refreshToken)).toEqual({ active: false, reason: 'expired' });
  });

  it('is that of its grant, when that comes first, and is said to be', async () => {
    const { tokens, clock } = createDeployment({ issuing: { refreshToken: { absoluteExpiresIn: 100 } } });
    const issued = await issue(tokens);
    const end = clock.now() + 100;
    expect(issued).toMatchObject({ accessExpiresAt: end, refreshExpiresAt: end });
    expect(await inspectAccessToken(tokens, issued.accessToken)).toMatchObject({ expiresAt: end });
    expect(await inspectRefreshToken(tokens, issued.refreshToken)).toMatchObject({ expiresAt: end });
    clock.advance(100);
    expect(await inspectAccessToken(tokens, issued.accessToken)).toEqual({ active: false, reason: 'expired' });
    expect(await inspectRefreshToken(tokens, issued.refreshToken)).toEqual({ active: false, reason: 'expired' });
  });

  it('of a refresh token comes, too, when it is not used for too long', async () => {
    const { tokens, clock } = createDeployment({ issuing: { refreshToken: { idleExpiresIn: 50 } } });
    const { refreshToken } = await issue(tokens);
    expect(await inspectRefreshToken(tokens, refreshToken)).toMatchObject({ expiresAt: clock.now() + 50 });
    clock.advance(50);
    expect(await inspectRefreshToken(tokens, refreshToken)).toEqual({ active: false, reason: 'expired' });
  });

  it('is never after its record may be removed, which is at the end of a day', () => {
    const noon = 20_000 * DAY + DAY / 2;
    expect(retention(noon, undefined)).toBe(20_001 * DAY);
    expect(retention(noon, noon + DAY)).toBe(20_002 * DAY);
    expect(retention(20_000 * DAY)).toBe(20_001 * DAY);
  });
});

describe('revoking', () => {
  it('an access token ends it alone', async () => {
    const { tokens } = createDeployment();
    const { accessToken, refreshToken } = await issue(tokens);
    expect(await revokeToken(tokens, accessToken)).toBe(true);
    expect(await revokeToken(tokens, accessToken)).toBe(false);
    expect(await inspectAccessToken(tokens, accessToken)).toEqual({ active: false, reason: 'revoked' });
    expect(await inspectRefreshToken(tokens, refreshToken)).toMatchObject({ active: true });
  });

  it('a refresh token ends every token of its grant, and no other grant', async () => {
    const { tokens } = createDeployment();
    const [ended, other] = [await issue(tokens), await issue(tokens)];
    expect(await revokeToken(tokens, ended.refreshToken)).toBe(true);
    expect(await inspectRefreshToken(tokens, ended.refreshToken)).toEqual({ active: false, reason: 'revoked' });
    expect(await inspectAccessToken(tokens, ended.accessToken)).toEqual({ active: false, reason: 'revoked' });
    expect(await inspectAccessToken(tokens, other.accessToken)).toMatchObject({ active: true });
  });

  it("another client's token ends nothing", async () => {
    const { tokens } = createDeployment();
    const { accessToken, refreshToken } = await issue(tokens);
    for (const token of [accessToken, refreshToken]) {
      expect(await revokeToken(tokens, token, { clientId: 'stranger' })).toBe(false);
      expect(await inspectToken(tokens, token)).toMatchObject({ active: true });
      expect(await revokeToken(tokens, token, { clientId: authorization.clientId })).toBe(true);
    }
  });
});

describe('a token of either kind', () => {
  it.each([false, true])('is found whatever the hint says, in one look-up (foreign tokens: %j)', async (foreign) => {
    const { tokens } = createDeployment({ foreign });
    const { accessToken, refreshToken } = await issue(tokens);
    const { findAccess, findRefresh } = tokens.store;
    for (const hint of ['access_token', 'refresh_token', undefined] as const) {
      const access = { ...tokens, store: unasked<typeof tokens.store>({ findAccess }) };
      expect(await inspectToken(access, accessToken, hint)).toMatchObject({ active: true, kind: 'access_token' });
      const refresh = { ...tokens, store: unasked<typeof tokens.store>({ findRefresh }) };
      expect(await inspectToken(refresh, refreshToken, hint)).toMatchObject({ active: true, kind: 'refresh_token' });
    }
  });

  it('that another server minted is found and ended whatever the hint says', async () => {
    const { tokens, clock } = createDeployment({ foreign: true });
    for (const hint of ['access_token', 'refresh_token', undefined] as const) {
      const name = (what: string) => `foreign ${what} ${hint}`;
      const minted = (what: string) => ({ value: name(what), expiresAt: clock.now() + 5, foreign: true });
      await issue(tokens, { minted: { accessToken: minted('access'), refreshToken: minted('refresh') } });
      const given = hint ? { hint } : {};
      expect(await inspectToken(tokens, name('access'), hint)).toMatchObject({ kind: 'access_token' });
      expect(await inspectToken(tokens, name('refresh'), hint)).toMatchObject({ kind: 'refresh_token' });
      expect(await revokeToken(tokens, name('access'), given)).toBe(true);
      expect(await revokeToken(tokens, name('refresh'), given)).toBe(true);
      expect(await inspectToken(tokens, name('refresh'), hint)).toEqual({ active: false, reason: 'revoked' });
    }
  });
});
