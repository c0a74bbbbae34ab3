import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  type CodeRequest,
  createCode,
  type ExchangeRequest,
  exchangeCode,
} from '../../functions/domain/authorization-codes.ts';
import { StoreError } from '../../functions/domain/errors.ts';
import { inspectAccessToken, inspectRefreshToken } from '../../functions/domain/inspection.ts';
import type { IssuedTokens, TokenDeployment } from '../../functions/domain/issuing.ts';
import { grantIdOfCode } from '../../functions/domain/token.ts';
import { DAY, many, tally } from '../conformance/records.ts';
import { authorization, createDeployment, expectOutcome, unasked } from './deployment.ts';

const { clientId } = authorization;
const redirectUri = 'https://shop.example/callback';
const verifier = 'v'.repeat(43);
const challenge = createHash('sha256').update(verifier).digest('base64url');
const jkt = randomBytes(32).toString('base64url');

/** A new code, and a client that presents it. */
async function withCode(
  request: Partial<CodeRequest> = {},
  deployment: ReturnType<typeof createDeployment> = createDeployment(),
) {
  const { codes, tokens } = deployment;
  const { code, expiresAt } = await createCode(codes, { authorization, ...request });
  const exchange = (given: Partial<ExchangeRequest> = {}, store: TokenDeployment['store'] = tokens.store) =>
    exchangeCode(codes, { ...tokens, store }, { code, clientId, refreshToken: true, ...given });
  return { ...deployment, code, expiresAt, exchange };
}

const stateOf = async (
  tokens: TokenDeployment,
  { accessToken, refreshToken = '' }: Pick<IssuedTokens, 'accessToken' | 'refreshToken'>,
) => ({
  access: await inspectAccessToken(tokens, accessToken),
  refresh: await inspectRefreshToken(tokens, refreshToken),
});
const dead = { access: { active: false, reason: 'revoked' }, refresh: { active: false, reason: 'revoked' } };
const alive = { access: { active: true }, refresh: { active: true } };

/** The store of a deployment, one operation of which fails once: before it is done, or with its answer lost. */
function failingOnce<Operation extends 'persist' | 'revokeGrant'>(
  store: TokenDeployment['store'],
  operation: Operation,
  when: 'before' | 'after',
): TokenDeployment['store'] {
  let failed = false;
  const original = store[operation] as (...values: unknown[]) => Promise<unknown>;
  const failing = async (...values: unknown[]) => {
    if (failed) return original(...values);
    failed = true;
    if (when === 'after') await original(...values);
    throw new StoreError('timeout', 'no answer in time');
  };
  return { ...store, [operation]: failing };
}

describe('a code', () => {
  it('gives tokens that stand for what was authorized, and the state of the request', async () => {
    const { exchange, tokens, code, clock } = await withCode({ redirectUri, state: 'xyz' });
    const exchanged = expectOutcome(await exchange({ redirectUri }), 'exchanged');
    expect(exchanged).toMatchObject({
      tokenType: 'Bearer',
      accessExpiresAt: clock.now() + 3600,
      refreshExpiresAt: clock.now() + 43_200,
      authorization,
      state: 'xyz',
    });
    expect(exchanged.accessToken).toHaveLength(54);
    expect(exchanged.refreshToken).toHaveLength(46);
    expect(exchanged.grantId).toEqual(grantIdOfCode(code));
    expect(await stateOf(tokens, exchanged)).toMatchObject(alive);
  });

  it('gives no refresh token unless one is asked for', async () => {
    const { exchange } = await withCode();
    const exchanged = expectOutcome(await exchange({ refreshToken: false }), 'exchanged');
    expect(exchanged).not.toHaveProperty('refreshToken');
    expect(exchanged).not.toHaveProperty('refreshExpiresAt');
  });

  it('is as long as it is to be, lives as long as it is to live, and not a second longer', async () => {
    const issuing = { authorizationCode: { length: 43, expiresIn: 60 } };
    const { exchange, code, expiresAt, clock } = await withCode({}, createDeployment({ issuing }));
    expect(code).toHaveLength(43);
    expect(expiresAt).toBe(clock.now() + 60);
    clock.advance(60);
    expect(await exchange()).toEqual({ outcome: 'expired' });
    const fresh = await withCode({}, createDeployment({ issuing }));
    fresh.clock.advance(59);
    expect(await fresh.exchange()).toMatchObject({ outcome: 'exchanged' });
  });

  it('of any number of callers serves exactly one, and the others have ended what it got', async () => {
    const { exchange, tokens } = await withCode();
    const outcomes = await Promise.all(many(20, () => exchange()));
    expect(tally(outcomes)).toEqual({ exchanged: 1, replayed: 19 });
    const winner = outcomes.find(({ outcome }) => outcome === 'exchanged') ?? { outcome: 'unknown' };
    expect(await stateOf(tokens, expectOutcome(winner, 'exchanged'))).toMatchObject(dead);
  });

  it('is refused with a length that can be guessed, before anything is stored', async () => {
    const { codes } = createDeployment({ issuing: { authorizationCode: { length: 22 } } });
    await expect(createCode({ ...codes, store: unasked() }, { authorization })).rejects.toThrow(
      'length of the authorization code is 22; accepted: a whole number of characters from 23',
    );
  });
});

describe('additional attributes', () => {
  const given = { tenant: 'from the code', tier: 'gold', limits: { daily: 3 } };

  it("of code and token are merged, and the token's win", async () => {
    const { exchange, tokens } = await withCode({ authorization: { ...authorization, attributes: given } });
    const exchanged = expectOutcome(
      await exchange({ attributes: { tenant: 'from the token', region: 'eu' } }),
      'exchanged',
    );
    const attributes = { ...given, tenant: 'from the token', region: 'eu' };
    expect(exchanged.authorization.attributes).toEqual(attributes);
    expect(await stateOf(tokens, exchanged)).toMatchObject({
      access: { authorization: { attributes } },
      refresh: { authorization: { attributes } },
    });
  });

  it('of the code alone, of the token alone, or of none are what there is', async () => {
    const ofCode = await withCode({ authorization: { ...authorization, attributes: given } });
    expect(expectOutcome(await ofCode.exchange(), 'exchanged').authorization.attributes).toEqual(given);
    const ofToken = await (await withCode()).exchange({ attributes: given });
    expect(expectOutcome(ofToken, 'exchanged').authorization.attributes).toEqual(given);
    const ofNone = await (await withCode()).exchange();
    expect(expectOutcome(ofNone, 'exchanged').authorization).not.toHaveProperty('attributes');
  });
});

describe('whoever does not present what a code is bound to is mismatched, and does not use it up', () => {
  const proved = { confirmation: { jkt } };
  const right: Record<string, [Partial<CodeRequest>, Partial<ExchangeRequest>]> = {
    'a client': [{}, {}],
    'a redirect URI': [{ redirectUri }, { redirectUri }],
    'a challenge': [{ codeChallenge: challenge, codeChallengeMethod: 'S256' }, { codeVerifier: verifier }],
    'a key': [{ dpopJkt: jkt }, proved],
    'all of them': [
      { redirectUri, codeChallenge: challenge, codeChallengeMethod: 'S256', dpopJkt: jkt },
      { redirectUri, codeVerifier: verifier, ...proved },
    ],
  };
  const wrong: Record<string, Partial<ExchangeRequest>[]> = {
    'a client': [{ clientId: 'stranger' }, { clientId: '' }, { redirectUri }, { codeVerifier: verifier }],
    'a redirect URI': [{}, { redirectUri: `${redirectUri}/` }, { redirectUri: '' }],
    'a challenge': [
      {},
      { codeVerifier: 'w'.repeat(43) },
      { codeVerifier: challenge },
      { codeVerifier: '' },
      { codeVerifier: 'v'.repeat(129) },
      { codeVerifier: `${verifier}é` },
    ],
    'a key': [
      {},
      { confirmation: { jkt: randomBytes(32).toString('base64url') } },
      { confirmation: { 'x5t#S256': jkt } },
    ],
    'all of them': [
      { redirectUri, codeVerifier: verifier },
      { redirectUri, ...proved },
      { codeVerifier: verifier, ...proved },
      { redirectUri, codeVerifier: verifier, ...proved, clientId: 'stranger' },
    ],
  };

  it.each(Object.keys(right))('bound to %s', async (bond) => {
    const [request, presented] = right[bond] ?? [];
    const { exchange, tokens } = await withCode(request);
    for (const each of wrong[bond] ?? []) expect(await exchange(each)).toEqual({ outcome: 'mismatched' });
    const exchanged = expectOutcome(await exchange(presented), 'exchanged');
    // Nor does he who comes too late with the wrong things end anything.
    for (const each of wrong[bond] ?? []) expect(await exchange(each)).toEqual({ outcome: 'mismatched' });
    expect(await stateOf(tokens, exchanged)).toMatchObject(alive);
    expect(await exchange(presented)).toEqual({ outcome: 'replayed' });
  });

  it('to no key can be redeemed with any, and the tokens are bound to that one', async () => {
    const { exchange, tokens } = await withCode({ redirectUri });
    const exchanged = expectOutcome(await exchange({ redirectUri, ...proved }), 'exchanged');
    expect(exchanged.authorization.confirmation).toEqual({ jkt });
    expect(await stateOf(tokens, exchanged)).toMatchObject({ access: { authorization: { confirmation: { jkt } } } });
  });
});

describe('PKCE', () => {
  it('takes plain only where that is allowed, and then the challenge is its own verifier', async () => {
    const plain = { codeChallenge: verifier, codeChallengeMethod: 'plain' } as const;
    await expect(withCode(plain)).rejects.toThrow('code_challenge_method is plain; accepted: S256');
    const { exchange } = await withCode(plain, createDeployment({ plainChallenges: true }));
    expect(await exchange({ codeVerifier: 'w'.repeat(43) })).toEqual({ outcome: 'mismatched' });
    expect(await exchange({ codeVerifier: verifier })).toMatchObject({ outcome: 'exchanged' });
  });

  it('means plain when the method is missing (RFC 7636 §4.3)', async () => {
    await expect(withCode({ codeChallenge: challenge })).rejects.toThrow('code_challenge_method is plain');
    const { exchange } = await withCode({ codeChallenge: verifier }, createDeployment({ plainChallenges: true }));
    expect(await exchange({ codeVerifier: verifier })).toMatchObject({ outcome: 'exchanged' });
  });

  it.each(['', 'c'.repeat(42), 'c'.repeat(129), `${'c'.repeat(42)}+`, `${'c'.repeat(43)}\n`])(
    'refuses the malformed challenge %j, and does not repeat it',
    async (codeChallenge) => {
      await expect(withCode({ codeChallenge, codeChallengeMethod: 'S256' })).rejects.toThrow(
        `code_challenge is ${codeChallenge.length} characters; accepted: 43 to 128 of A-Z a-z 0-9 - . _ ~`,
      );
    },
  );
});

describe('secrets among the parameters of a request', () => {
  it('are not stored, whatever their case', async () => {
    const parameters = {
      response_type: 'code',
      resource: ['https://api.example/'],
      client_secret: 'Mellon 1',
      Password: 'Mellon 2',
      client_assertion: ['Mellon 3'],
      CODE_VERIFIER: 'Mellon 4',
    };
    const { exchange, engine } = await withCode({ authorization: { ...authorization, parameters } });
    const exchanged = expectOutcome(await exchange(), 'exchanged');
    expect(exchanged.authorization.parameters).toEqual({ response_type: 'code', resource: ['https://api.example/'] });
    const stored = Buffer.from(engine.dump());
    expect(stored.includes('response_type')).toBe(true);
    expect(stored.includes('Mellon')).toBe(false);
  });
});

describe('a replayed code', () => {
  it('has ended every token of its grant when the call returns', async () => {
    const { exchange, tokens } = await withCode();
    const exchanged = expectOutcome(await exchange(), 'exchanged');
    expect(await exchange()).toEqual({ outcome: 'replayed' });
    expect(await stateOf(tokens, exchanged)).toMatchObject(dead);
  });

  it('ends them as well when its record was purged, or evicted', async () => {
    const { exchange, engine, tokens, clock } = await withCode();
    const exchanged = expectOutcome(await exchange(), 'exchanged');
    const { removed } = await engine.authorizationCodes.purgeExpired({ now: clock.now() + 10 * DAY, limit: 10 });
    expect(removed).toEqual({ codes: 1 });
    expect(await exchange()).toEqual({ outcome: 'unknown' });
    expect(await stateOf(tokens, exchanged)).toMatchObject(dead);
  });

  it('that is not known to have ended them is an error, and is repeated until it is', async () => {
    const { exchange, tokens } = await withCode();
    const exchanged = expectOutcome(await exchange(), 'exchanged');
    const failing = failingOnce(tokens.store, 'revokeGrant', 'before');
    await expect(exchange({}, failing)).rejects.toThrow(StoreError);
    expect(await exchange({}, failing)).toEqual({ outcome: 'replayed' });
    expect(await stateOf(tokens, exchanged)).toMatchObject(dead);
  });

  it('whose first use is not stored yet lets that one be answered, with tokens that are dead on arrival', async () => {
    const { exchange, tokens } = await withCode();
    const late: TokenDeployment['store'] = {
      ...tokens.store,
      async persist(...write) {
        expect(await exchange()).toEqual({ outcome: 'replayed' });
        return tokens.store.persist(...write);
      },
    };
    const exchanged = expectOutcome(await exchange({}, late), 'exchanged');
    expect((await inspectAccessToken(tokens, exchanged.accessToken)).active).toBe(false);
    expect((await inspectRefreshToken(tokens, exchanged.refreshToken ?? '')).active).toBe(false);
  });
});

describe('a crash between redeeming and storing', () => {
  const attempt = randomBytes(16);

  it('burns the code and mints nothing', async () => {
    const { exchange, engine, tokens, code } = await withCode();
    const failing = failingOnce(tokens.store, 'persist', 'before');
    await expect(exchange({}, failing)).rejects.toThrow(StoreError);
    const { grants } = await engine.accessTokens.listGrants({ clientId }, { limit: 10 });
    expect(grants).toEqual([]);
    expect(await exchange({}, failing)).toEqual({ outcome: 'replayed' });
    const { tokens: minted } = await engine.accessTokens.listAccess(grantIdOfCode(code), { limit: 10 });
    expect(minted).toEqual([]);
  });

  it('is made good by a repeat with the same attempt', async () => {
    const { exchange, tokens } = await withCode();
    const failing = failingOnce(tokens.store, 'persist', 'before');
    await expect(exchange({ attempt }, failing)).rejects.toThrow(StoreError);
    const exchanged = expectOutcome(await exchange({ attempt }, failing), 'exchanged');
    expect(await stateOf(tokens, exchanged)).toMatchObject(alive);
  });

  it('is made good as well when the tokens were stored and only the answer was lost', async () => {
    for (const refreshToken of [true, false]) {
      const { exchange, tokens, engine, code, clock } = await withCode();
      const failing = failingOnce(tokens.store, 'persist', 'after');
      await expect(exchange({ attempt, refreshToken }, failing)).rejects.toThrow(StoreError);
      clock.advance(2);
      const exchanged = expectOutcome(await exchange({ attempt, refreshToken }, failing), 'exchanged');
      expect(await inspectAccessToken(tokens, exchanged.accessToken)).toMatchObject({ active: true });
      const refresh = await inspectRefreshToken(tokens, exchanged.refreshToken ?? '');
      expect(refresh.active).toBe(refreshToken);
      const { tokens: minted } = await engine.accessTokens.listAccess(grantIdOfCode(code), { limit: 10 });
      expect(minted).toHaveLength(1);
    }
  });

  it('gives nobody else the tokens: another attempt at the same code is a replay', async () => {
    const { exchange, tokens } = await withCode();
    const exchanged = expectOutcome(await exchange({ attempt }), 'exchanged');
    expect(await exchange({ attempt: randomBytes(16) })).toEqual({ outcome: 'replayed' });
    expect(await stateOf(tokens, exchanged)).toMatchObject(dead);
  });
});

describe('a revocation by subject, client, application or consent', () => {
  const selectors = { subject: 'alice', clientId, applicationId: 'storefront', consentId: 'consent of alice' };

  it.each(Object.entries(selectors))('by %s bars the codes that were authorized before it', async (field, value) => {
    const deployment = createDeployment();
    const { clock, tokens } = deployment;
    const earlier = await withCode({}, deployment);
    const others = await withCode(
      { authorization: { clientId: 'other', subject: 'bob', grantType: 'authorization_code', scopes: [] } },
      deployment,
    );
    await tokens.store.revokeBy({ [field]: value }, { nowMs: clock.nowMs(), retainUntil: clock.now() + DAY });
    clock.advance(1);
    const later = await withCode({}, deployment);
    expect(await earlier.exchange()).toEqual({ outcome: 'revoked' });
    expect(await later.exchange()).toMatchObject({ outcome: 'exchanged' });
    expect(await others.exchange({ clientId: 'other' })).toMatchObject({ outcome: 'exchanged' });
  });
});
