import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createCode, exchangeCode } from '../../functions/domain/authorization-codes.ts';
import {
  inspectAccessToken,
  inspectRefreshToken,
  inspectToken,
  revokeToken,
} from '../../functions/domain/inspection.ts';
import { refreshTokens } from '../../functions/domain/refresh.ts';
import { mint } from '../../functions/domain/token.ts';
import { authorization, createDeployment, forgeriesOf, issue, newKeyring, unasked } from './deployment.ts';

// Whoever has seen a token knows its grant's handle. With that, and with anything else that he makes up, he must not reach
// the store at all, let alone have a grant revoked.

const { clientId } = authorization;
const { tokens, codes, keyring } = createDeployment();
const { accessToken, refreshToken, grantId } = await issue(tokens);
const { code } = await createCode(codes, { authorization });
const silent = {
  tokens: { ...tokens, store: unasked<typeof tokens.store>() },
  codes: { ...codes, store: unasked<typeof codes.store>() },
};
const secret = (length: number) => randomBytes(length).toString('base64url').slice(0, length);
const handle = accessToken.slice(0, 16);

const stranger = newKeyring();
const madeUp = [
  '',
  handle,
  ...[1, 22, 23, 30, 38, 60, 500].flatMap((length) => [handle + secret(length), secret(length)]),
  accessToken.slice(0, 43) + refreshToken.slice(-11),
  refreshToken.slice(0, 35) + accessToken.slice(-11),
  mint(stranger, 'access token', 54, grantId),
  mint(stranger, 'refresh token', 46, grantId),
  mint(stranger, 'authorization code', 30),
  'é'.repeat(54),
  'x'.repeat(100_000),
];
const forged = {
  accessToken: [...forgeriesOf(accessToken), ...madeUp],
  refreshToken: [...forgeriesOf(refreshToken), ...madeUp],
  code: [...forgeriesOf(code), ...madeUp],
};
const unknown = { active: false, reason: 'unknown' };

describe('a value that fails its own check reaches no store', () => {
  it('when it is inspected as an access token', async () => {
    for (const value of [...forged.accessToken, refreshToken, code]) {
      expect(await inspectAccessToken(silent.tokens, value)).toEqual(unknown);
    }
  });

  it('when it is inspected as a refresh token', async () => {
    for (const value of [...forged.refreshToken, accessToken, code]) {
      expect(await inspectRefreshToken(silent.tokens, value)).toEqual(unknown);
    }
  });

  it('when it is inspected as either, or revoked, whatever the hint', async () => {
    const hints = [undefined, 'access_token', 'refresh_token'] as const;
    for (const [index, value] of [...forged.accessToken, ...forged.refreshToken, code].entries()) {
      const hint = hints[index % hints.length];
      expect(await inspectToken(silent.tokens, value, hint)).toEqual(unknown);
      expect(await revokeToken(silent.tokens, value, hint ? { hint } : {})).toBe(false);
    }
  });

  it('when it is presented to be refreshed', async () => {
    for (const value of [...forged.refreshToken, accessToken, code]) {
      const request = { refreshToken: value, clientId };
      expect(await refreshTokens(silent.tokens, request)).toEqual({ outcome: 'unknown' });
      expect(await refreshTokens(silent.tokens, { ...request, scopes: [] })).toEqual({ outcome: 'unknown' });
    }
  });

  it('when it is presented as a code', async () => {
    for (const value of [...forged.code, accessToken, refreshToken]) {
      const request = { code: value, clientId, refreshToken: true };
      expect(await exchangeCode(silent.codes, silent.tokens, request)).toEqual({ outcome: 'unknown' });
    }
  });

  it('so nothing was revoked or used up by any of it', async () => {
    // The same again, where the store could be reached.
    for (const value of [...forged.accessToken, ...forged.refreshToken, ...forged.code]) {
      await revokeToken(tokens, value);
      await refreshTokens(tokens, { refreshToken: value, clientId });
      await exchangeCode(codes, tokens, { code: value, clientId, refreshToken: true });
    }
    expect(await inspectAccessToken(tokens, accessToken)).toMatchObject({ active: true });
    expect(await inspectRefreshToken(tokens, refreshToken)).toMatchObject({ active: true });
    const exchanged = await exchangeCode(codes, tokens, { code, clientId, refreshToken: true });
    expect(exchanged.outcome).toBe('exchanged');
    const rotated = await refreshTokens(tokens, { refreshToken, clientId });
    expect(rotated.outcome).toBe('rotated');
  });
});

describe('a token whose secret is another, with the right keys', () => {
  // What only the deployment itself could mint: an authentic refresh token that the grant does not know is an old one.
  it('is unknown as an access token, and a reuse as a refresh token', async () => {
    const { tokens } = createDeployment({ keyring });
    const issued = await issue(tokens);
    expect(await inspectAccessToken(tokens, mint(keyring, 'access token', 54, issued.grantId))).toEqual(unknown);
    const older = mint(keyring, 'refresh token', 46, issued.grantId);
    expect(await inspectRefreshToken(tokens, older)).toEqual({ active: false, reason: 'retired' });
    expect(await refreshTokens(tokens, { refreshToken: older, clientId })).toMatchObject({ outcome: 'reused' });
  });

  it('is unknown when nobody knows its grant', async () => {
    const { tokens } = createDeployment({ keyring });
    const lost = mint(keyring, 'refresh token', 46, randomBytes(12));
    expect(await inspectRefreshToken(tokens, lost)).toEqual(unknown);
    expect(await refreshTokens(tokens, { refreshToken: lost, clientId })).toEqual({ outcome: 'unknown' });
    expect(await revokeToken(tokens, lost)).toBe(false);
  });
});

describe('where values of other servers are let in', () => {
  it('a handle and garbage is looked up and unknown, and revokes nothing', async () => {
    const { tokens } = createDeployment({ foreign: true });
    const issued = await issue(tokens);
    const garbage = issued.refreshToken.slice(0, 30) + secret(16);
    expect(await inspectToken(tokens, garbage)).toEqual(unknown);
    expect(await revokeToken(tokens, garbage)).toBe(false);
    expect(await refreshTokens(tokens, { refreshToken: garbage, clientId })).toEqual({ outcome: 'unknown' });
    expect(await inspectRefreshToken(tokens, issued.refreshToken)).toMatchObject({ active: true });
  });
});
