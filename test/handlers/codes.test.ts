import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createExchangeCode } from '../../functions/handlers/exchange-code.ts';
import { createIssueCode } from '../../functions/handlers/issue-code.ts';
import { createLookupCode } from '../../functions/handlers/lookup-code.ts';
import { createLookupToken } from '../../functions/handlers/lookup-token.ts';
import { createRefreshTokens } from '../../functions/handlers/refresh-tokens.ts';
import { createRemoveCode } from '../../functions/handlers/remove-code.ts';
import { ask, deployment, jsonEvent } from './deployment.ts';

const verifier = 'v'.repeat(64);
const granted = {
  client_id: 'web',
  subject: 'alice',
  consent_id: 'consent-1',
  scope: 'openid orders:read',
  resource: ['https://api.example/orders'],
  authorization_details: [{ type: 'payment', amount: 5 }],
  redirect_uri: 'https://app.example/callback',
  state: 'xyz',
  nonce: 'n-1',
  auth_time: 1_799_999_000,
  acr: 'urn:acr:2',
  amr: ['pwd', 'otp'],
  sid: 'session-1',
  parameters: { prompt: 'login', client_secret: 'not to be kept', resource: ['a', 'b'] },
  attributes: { tenant: 'acme', level: 1 },
  code_challenge: createHash('sha256').update(verifier).digest('base64url'),
  code_challenge_method: 'S256',
};
const presented = { client_id: 'web', redirect_uri: granted.redirect_uri, code_verifier: verifier };

async function issued(changes: object = {}) {
  const made = await deployment();
  const { body } = await ask(createIssueCode(made.runtime), jsonEvent({ ...granted, ...changes }));
  const exchange = createExchangeCode(made.runtime);
  return {
    ...made,
    code: body.code as string,
    exchange: (further: object = {}) => ask(exchange, jsonEvent({ ...presented, code: body.code, ...further })),
  };
}

describe('issue-code', () => {
  it('answers 201 with a code of the configured length and life', async () => {
    const { runtime } = await deployment();
    const { status, body } = await ask(createIssueCode(runtime), jsonEvent(granted));
    expect({ status, body }).toEqual({
      status: 201,
      body: { outcome: 'issued', code: expect.stringMatching(/^[\w-]{30}$/), expires_in: 600 },
    });
  });

  it.each([
    ['a client that is not registered', { client_id: 'nobody' }, 'invalid_client'],
    ['a client that is disabled', { client_id: 'retired' }, 'invalid_client'],
    ['a challenge that is too short', { code_challenge: 'short' }, 'invalid_request'],
    ['a plain challenge', { code_challenge_method: 'plain' }, 'invalid_request'],
    ['an unknown method', { code_challenge_method: 'S512' }, 'invalid_request'],
  ])('refuses %s', async (_, changes, error) => {
    const { runtime, writes } = await deployment();
    const { status, body } = await ask(createIssueCode(runtime), jsonEvent({ ...granted, ...changes }));
    expect({ status, error: body.error, writes }).toEqual({ status: 400, error, writes: [] });
  });

  it('names every fault at once: member, kind of value, what is accepted; never the value', async () => {
    const { runtime } = await deployment();
    const wrong = {
      client_id: 5,
      subject: '',
      scope: ['a'],
      auth_time: 'yesterday',
      subjct: 'hunter2',
      cnf: {},
      'a "quoted" é': 1,
    };
    const { status, body } = await ask(createIssueCode(runtime), jsonEvent(wrong));
    expect(status).toBe(400);
    expect(body.error).toBe('invalid_request');
    for (const fault of [
      'client_id: found a number; accepted: 1 to 255 characters of printable ASCII',
      'subject: found empty text',
      'scope: found a list',
      'auth_time: found text; accepted: a whole number',
      'subjct: found text; accepted: one of the fields',
    ]) {
      expect(body.error_description).toContain(fault);
    }
    expect(body.error_description).not.toMatch(/hunter2|yesterday|[^ !#-[\]-~]/);
  });
});

describe('exchange-code', () => {
  it('answers the token response, and the authentication behind it with every field but secrets', async () => {
    const { exchange } = await issued();
    const { status, body } = await exchange({
      refresh_token: true,
      attributes: { level: 2, channel: 'web' },
      cnf: { jkt: 'k'.repeat(43) },
    });
    expect(status).toBe(200);
    expect(body).toEqual({
      outcome: 'exchanged',
      access_token: expect.stringMatching(/^[\w-]{54}$/),
      token_type: 'Bearer',
      expires_in: 3600,
      refresh_token: expect.stringMatching(/^[\w-]{46}$/),
      refresh_token_expires_in: 43_200,
      scope: 'openid orders:read',
      authorization_details: granted.authorization_details,
      state: 'xyz',
      grant_id: body.access_token.slice(0, 16),
      authentication: {
        client_id: 'web',
        application_id: 'shop',
        subject: 'alice',
        consent_id: 'consent-1',
        grant_type: 'authorization_code',
        scope: 'openid orders:read',
        resource: granted.resource,
        authorization_details: granted.authorization_details,
        cnf: { jkt: 'k'.repeat(43) },
        auth_time: granted.auth_time,
        acr: granted.acr,
        amr: granted.amr,
        nonce: 'n-1',
        sid: 'session-1',
        parameters: { prompt: 'login', resource: ['a', 'b'] },
        attributes: { tenant: 'acme', level: 2, channel: 'web' },
      },
    });
  });

  it('gives no refresh token unless one is asked for', async () => {
    const { exchange } = await issued();
    expect((await exchange()).body).not.toHaveProperty('refresh_token');
  });

  it('of twenty concurrent callers exactly one gets tokens, the others learn that it was replayed', async () => {
    const { exchange, lines, runtime } = await issued();
    const answers = await Promise.all(Array.from({ length: 20 }, () => exchange()));
    const winners = answers.filter(({ status }) => status === 200);
    expect(winners).toHaveLength(1);
    for (const { status, body } of answers.filter((each) => each !== winners[0])) {
      expect({ status, error: body.error, outcome: body.outcome }).toEqual({
        status: 400,
        error: 'invalid_grant',
        outcome: 'replayed',
      });
    }
    expect(lines).toHaveLength(19);
    expect(lines[0]).toContain('"client_id":"web"');
    const token = winners[0]?.body.access_token;
    const { body } = await ask(createLookupToken(runtime), jsonEvent({ token }));
    expect(body).toEqual({ active: false, outcome: 'revoked' });
  });

  it('repeated with its attempt gives the same tokens, which are good', async () => {
    const { exchange, runtime } = await issued();
    const again = { attempt: 'A'.repeat(22), refresh_token: true };
    const [one, other] = [await exchange(again), await exchange(again)];
    expect(other).toEqual(one);
    const { access_token: token } = other.body;
    expect((await ask(createLookupToken(runtime), jsonEvent({ token }))).body.active).toBe(true);
  });

  it("binds a public client's refresh token to the key that it proved", async () => {
    const { exchange, runtime } = await issued({ client_id: 'spa' });
    const cnf = { jkt: 'k'.repeat(43) };
    const { body } = await exchange({ client_id: 'spa', refresh_token: true, cnf });
    const refresh = async (proved: object) => {
      const request = { client_id: 'spa', refresh_token: body.refresh_token, ...proved };
      return (await ask(createRefreshTokens(runtime), jsonEvent(request))).body.outcome;
    };
    expect([await refresh({}), await refresh({ cnf })]).toEqual(['mismatched', 'rotated']);
  });

  it.each([
    ['another client', { client_id: 'poster' }],
    ['another redirect URI', { redirect_uri: 'https://evil.example/' }],
    ['another verifier', { code_verifier: 'w'.repeat(64) }],
  ])('refuses %s without using the code up', async (_, changes) => {
    const { exchange } = await issued();
    expect(await exchange(changes)).toMatchObject({
      status: 400,
      body: { error: 'invalid_grant', outcome: 'mismatched' },
    });
    expect((await exchange()).status).toBe(200);
  });

  it('refuses an expired code at the second of its expiry, and a made-up one without asking the store', async () => {
    const { exchange, pass, writes } = await issued();
    pass(600);
    expect((await exchange()).body).toMatchObject({ error: 'invalid_grant', outcome: 'expired' });
    writes.length = 0;
    expect((await exchange({ code: 'A'.repeat(30) })).body).toMatchObject({ outcome: 'unknown' });
    expect(writes).toEqual([]);
  });

  it('refuses a client that was disabled, and leaves the code', async () => {
    const { exchange, writes } = await issued();
    writes.length = 0;
    expect(await exchange({ client_id: 'retired' })).toMatchObject({ status: 400, body: { error: 'invalid_client' } });
    expect(writes).toEqual([]);
  });
});

describe('lookup-code and remove-code', () => {
  it('show the state and the authentication of a code without using it up, and remove it', async () => {
    const { runtime, code, exchange, pass } = await issued();
    const lookup = () => ask(createLookupCode(runtime), jsonEvent({ code }));
    expect((await lookup()).body).toMatchObject({
      outcome: 'active',
      expires_at: 1_800_000_600,
      redirect_uri: granted.redirect_uri,
      state: 'xyz',
      authentication: { client_id: 'web', subject: 'alice', nonce: 'n-1' },
    });
    pass(5);
    const { body: tokens } = await exchange();
    expect((await lookup()).body).toMatchObject({
      outcome: 'redeemed',
      redeemed_at: 1_800_000_005,
      grant_id: tokens.grant_id,
    });
    const remove = () => ask(createRemoveCode(runtime), jsonEvent({ code }));
    expect((await remove()).body).toEqual({ outcome: 'removed' });
    expect((await remove()).body).toEqual({ outcome: 'unknown' });
    expect((await lookup()).body).toEqual({ outcome: 'unknown' });
  });
});
