import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createCode, exchangeCode } from '../../functions/domain/authorization-codes.ts';
import { digest, keysOf } from '../../functions/domain/digest.ts';
import { inspectAccessToken, inspectRefreshToken, revokeToken } from '../../functions/domain/inspection.ts';
import { createKeyring, type Keyring } from '../../functions/domain/keyring.ts';
import { refreshTokens } from '../../functions/domain/refresh.ts';
import { mint, newGrantId } from '../../functions/domain/token.ts';
import { authorization, createDeployment, expectOutcome, issue, newKey } from './deployment.ts';

const algorithms = ['SHA-256', 'HMAC-SHA-256'] as const;
const [first, second, third] = [newKey(1), newKey(2), newKey(3)];
const [before, during, after] = [createKeyring([first]), createKeyring([second, first]), createKeyring([third])];

/** The same stores, under other keys. */
const under = <Deployment extends { recognition: { keyring: Keyring } }>(deployment: Deployment, keyring: Keyring) => ({
  ...deployment,
  recognition: { ...deployment.recognition, keyring },
});

describe('a digest', () => {
  const value = 'Mellon';

  it('is SHA-256 of the value, of an access token its first 16 bytes', () => {
    const sha256 = createHash('sha256').update(value).digest();
    expect(digest(before, 'SHA-256', 'refresh token', value)).toEqual(sha256);
    expect(digest(before, 'SHA-256', 'authorization code', value)).toEqual(sha256);
    expect(digest(before, 'SHA-256', 'access token', value)).toEqual(sha256.subarray(0, 16));
  });

  it('keyed with a pepper is another under each pepper, and not that of SHA-256', () => {
    const digests = [
      digest(before, 'SHA-256', 'refresh token', value),
      digest(during, 'HMAC-SHA-256', 'refresh token', value, 1),
      digest(during, 'HMAC-SHA-256', 'refresh token', value, 2),
    ];
    expect(new Set(digests.map((each) => each.toString('hex'))).size).toBe(3);
    expect(digest(during, 'HMAC-SHA-256', 'refresh token', value)).toEqual(digests[2]);
    expect(digest(before, 'HMAC-SHA-256', 'refresh token', value)).toEqual(digests[1]);
  });
});

describe('the keys that a value is looked up by', () => {
  const recognition = { keyring: during, algorithm: 'HMAC-SHA-256', foreign: true } as const;
  const grantId = newGrantId(1_800_000_000);

  it('are one for a value that proves itself, with its grant, under the pepper that it was minted with', () => {
    for (const keyring of [before, during]) {
      const text = mint(keyring, 'access token', 54, grantId);
      expect(keysOf(recognition, 'access token', text)).toEqual([
        { digest: digest(keyring, 'HMAC-SHA-256', 'access token', text), grantId },
      ]);
    }
  });

  it('are one for each pepper for a value that was minted elsewhere, without a grant; one without peppers', () => {
    const digests = [2, 1].map((pepper) => digest(during, 'HMAC-SHA-256', 'access token', 'foreign', pepper));
    expect(keysOf(recognition, 'access token', 'foreign')).toEqual(digests.map((each) => ({ digest: each })));
    expect(keysOf({ ...recognition, algorithm: 'SHA-256' }, 'access token', 'foreign')).toHaveLength(1);
  });

  it('are none for a value that was minted elsewhere, unless such are let in, nor for one without or with over 8192 characters', () => {
    expect(keysOf({ ...recognition, foreign: false }, 'access token', 'foreign')).toEqual([]);
    expect(keysOf(recognition, 'access token', '')).toEqual([]);
    expect(keysOf(recognition, 'access token', 'x'.repeat(8192))).toHaveLength(2);
    expect(keysOf(recognition, 'access token', 'x'.repeat(8193))).toEqual([]);
  });
});

describe.each(algorithms)('while the keys are replaced, with %s', (algorithm) => {
  it('tokens of the old key are found, refreshed and ended as before; those that come are of the new one', async () => {
    const { tokens } = createDeployment({ keyring: before, algorithm });
    const [kept, ended] = [await issue(tokens), await issue(tokens)];
    const now = under(tokens, during);

    expect(await inspectAccessToken(now, kept.accessToken)).toMatchObject({ active: true });
    expect(await inspectRefreshToken(now, kept.refreshToken)).toMatchObject({ active: true });
    expect(await revokeToken(now, ended.refreshToken)).toBe(true);
    expect(await inspectAccessToken(now, ended.accessToken)).toMatchObject({ active: false, reason: 'revoked' });

    const request = { refreshToken: kept.refreshToken, clientId: authorization.clientId };
    const rotated = expectOutcome(await refreshTokens(now, request), 'rotated');
    const alone = under(tokens, createKeyring([second]));
    expect(await inspectAccessToken(alone, rotated.accessToken)).toMatchObject({ active: true });
    expect(await inspectRefreshToken(alone, rotated.refreshToken ?? '')).toMatchObject({ active: true });
  });

  it('a code of the old key is redeemed', async () => {
    const { codes, tokens } = createDeployment({ keyring: before, algorithm });
    const { code } = await createCode(codes, { authorization });
    const request = { code, clientId: authorization.clientId, refreshToken: true };
    const exchanged = expectOutcome(
      await exchangeCode(under(codes, during), under(tokens, during), request),
      'exchanged',
    );
    expect(await inspectAccessToken(under(tokens, during), exchanged.accessToken)).toMatchObject({ active: true });
  });

  it('tokens whose key has left the ring are unknown', async () => {
    const { tokens } = createDeployment({ keyring: before, algorithm });
    const { accessToken, refreshToken } = await issue(tokens);
    const later = under(tokens, after);
    expect(await inspectAccessToken(later, accessToken)).toEqual({ active: false, reason: 'unknown' });
    expect(await refreshTokens(later, { refreshToken, clientId: authorization.clientId })).toEqual({
      outcome: 'unknown',
    });
    expect(await inspectRefreshToken(tokens, refreshToken)).toMatchObject({ active: true });
  });

  it('tokens that another server minted are found, refreshed and ended under whichever key they were stored', async () => {
    const { tokens, clock } = createDeployment({ keyring: before, algorithm, foreign: true });
    const foreign = (value: string) => ({ value, expiresAt: clock.now() + 3600, foreign: true });
    const store = (name: string) =>
      issue(tokens, { minted: { accessToken: foreign(`access ${name}`), refreshToken: foreign(`refresh ${name}`) } });
    await store('kept');
    await store('ended');
    const now = under(tokens, during);

    expect(await inspectAccessToken(now, 'access kept')).toMatchObject({ active: true });
    expect(await inspectRefreshToken(now, 'refresh kept')).toMatchObject({ active: true });
    expect(await revokeToken(now, 'refresh ended', { hint: 'refresh_token' })).toBe(true);
    expect(await inspectAccessToken(now, 'access ended')).toMatchObject({ active: false, reason: 'revoked' });

    const request = { refreshToken: 'refresh kept', clientId: authorization.clientId };
    const rotated = expectOutcome(await refreshTokens(now, request), 'rotated');
    expect(await inspectRefreshToken(now, rotated.refreshToken ?? '')).toMatchObject({ active: true });
    expect(await refreshTokens(now, { ...request, refreshToken: 'refresh stranger' })).toEqual({ outcome: 'unknown' });
  });
});
