import { describe, expect, it } from 'vitest';
import { createIssueTokens } from '../../functions/handlers/issue-tokens.ts';
import { createLookupToken } from '../../functions/handlers/lookup-token.ts';
import { createRefreshTokens } from '../../functions/handlers/refresh-tokens.ts';
import { createRevokeToken } from '../../functions/handlers/revoke-token.ts';
import { ask, deployment, jsonEvent, START } from './deployment.ts';

const request = {
  client_id: 'web',
  subject: 'alice',
  grant_type: 'password',
  scope: 'orders:read orders:write',
  resource: ['https://api.example/orders', 'https://api.example/bills'],
  authorization_details: [{ type: 'payment' }, { type: 'account' }],
  refresh_token: true,
};

async function issued(changes: object = {}, configuration: Record<string, unknown> = {}) {
  const made = await deployment(configuration);
  const { runtime } = made;
  const { status, body } = await ask(createIssueTokens(runtime), jsonEvent({ ...request, ...changes }));
  const refresh = createRefreshTokens(runtime);
  return {
    ...made,
    status,
    body,
    refresh: (further: object = {}) =>
      ask(refresh, jsonEvent({ client_id: 'web', refresh_token: body.refresh_token, ...further })),
    lookup: async (token: string, further: object = {}) =>
      (await ask(createLookupToken(runtime), jsonEvent({ token, ...further }))).body,
  };
}

const foreign = { accessTokenStores: { tokens: { cache: 'all', foreignTokens: true } } };

describe('issue-tokens', () => {
  it.each([
    'implicit',
    'password',
    'client_credentials',
    'authorization_code',
    'urn:ietf:params:oauth:grant-type:jwt-bearer',
    'urn:ietf:params:oauth:grant-type:saml2-bearer',
  ])('stores the grant of %s and answers 201 with its tokens', async (grant_type) => {
    const { status, body, lookup } = await issued({ grant_type });
    expect(status).toBe(201);
    expect(body).toMatchObject({ outcome: 'issued', token_type: 'Bearer', expires_in: 3600, scope: request.scope });
    expect(await lookup(body.access_token)).toMatchObject({ active: true, authentication: { grant_type } });
    expect(await lookup(body.refresh_token)).toMatchObject({ active: true, kind: 'refresh_token' });
  });

  it.each(['refresh_token', 'something else', 5, undefined])('refuses the grant type %s', async (grant_type) => {
    const { status, body, writes } = await issued({ grant_type });
    expect({ status, error: body.error, writes }).toEqual({ status: 400, error: 'invalid_request', writes: [] });
    expect(body.error_description).toContain('grant_type: found');
  });

  it('stores values that the authorization server minted, where the store takes them', async () => {
    const minted = { access_token: 'their.access-token', expires_in: 60, refresh_token: 'their-refresh-token' };
    const { status, body, lookup } = await issued({ refresh_token: undefined, minted }, foreign);
    expect({ status, body }).toMatchObject({
      status: 201,
      body: { access_token: minted.access_token, expires_in: 60, refresh_token: minted.refresh_token },
    });
    expect(await lookup(minted.access_token)).toMatchObject({ active: true, exp: START + 60 });
    expect(await lookup(minted.refresh_token)).toMatchObject({ active: true, exp: START + 43_200 });
  });

  it('refuses a value that is stored already', async () => {
    const { runtime } = await deployment(foreign);
    const issue = createIssueTokens(runtime);
    const event = jsonEvent({ ...request, minted: { access_token: 'their-access-token' } });
    expect((await ask(issue, event)).status).toBe(201);
    expect(await ask(issue, event)).toMatchObject({ status: 409, body: { error: 'conflict' } });
  });

  it('refuses such values where the store does not take them, without repeating them', async () => {
    const { status, body, writes } = await issued({ minted: { access_token: 'their-access-token' } });
    expect({ status, writes }).toEqual({ status: 400, writes: [] });
    expect(body.error_description).toContain('foreignTokens');
    expect(JSON.stringify(body)).not.toContain('their-access-token');
  });

  it('keeps an ID token for whoever presents its access token', async () => {
    const { body, lookup } = await issued({ id_token: 'header.payload.signature' });
    expect(body).not.toHaveProperty('id_token');
    expect(await lookup(body.access_token)).toHaveProperty('id_token', 'header.payload.signature');
  });

  it('refuses a client that is not registered or disabled', async () => {
    for (const client_id of ['nobody', 'retired']) {
      const { status, body, writes } = await issued({ client_id });
      expect({ status, error: body.error, writes }).toEqual({ status: 400, error: 'invalid_client', writes: [] });
    }
  });
});

describe('refresh-tokens', () => {
  it('of twenty concurrent callers one rotates, the others are given the same tokens', async () => {
    const { refresh, body: before } = await issued();
    const answers = await Promise.all(Array.from({ length: 20 }, () => refresh()));
    expect(answers.map(({ body }) => body.outcome).sort()).toEqual([...Array(19).fill('retried'), 'rotated']);
    expect(new Set(answers.map(({ body }) => `${body.access_token} ${body.refresh_token}`)).size).toBe(1);
    expect(answers[0]?.body.access_token).not.toBe(before.access_token);
  });

  it('after the grace window a repeat is a reuse: the grant is revoked, and the log says whose', async () => {
    const { refresh, lookup, lines, pass, body } = await issued();
    const { body: next } = await refresh();
    pass(11);
    expect(await refresh()).toMatchObject({ status: 400, body: { error: 'invalid_grant', outcome: 'reused' } });
    expect(await lookup(next.access_token)).toEqual({ active: false, outcome: 'revoked' });
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      expect.objectContaining({ level: 'warn', client_id: 'web', grant_id: body.grant_id }),
    ]);
    expect(await refresh({ refresh_token: next.refresh_token })).toMatchObject({ body: { outcome: 'revoked' } });
  });

  it('repeated with its attempt gives the same tokens, also after the grace window', async () => {
    const { refresh, pass } = await issued();
    const attempt = 'A'.repeat(22);
    const { body } = await refresh({ attempt });
    pass(60);
    const { status, body: again } = await refresh({ attempt });
    expect(status).toBe(200);
    expect([again.access_token, again.refresh_token]).toEqual([body.access_token, body.refresh_token]);
  });

  it('narrows what was granted, for the new access token alone', async () => {
    const { refresh, lookup } = await issued();
    const narrower = { scope: 'orders:read', resource: ['https://api.example/orders'] };
    const { status, body } = await refresh({ ...narrower, authorization_details: [{ type: 'account' }] });
    expect({ status, scope: body.scope }).toEqual({ status: 200, scope: 'orders:read' });
    expect((await lookup(body.access_token)).authentication).toMatchObject({
      ...narrower,
      authorization_details: [{ type: 'account' }],
    });
    const again = await refresh({ refresh_token: body.refresh_token });
    expect(again.body.scope).toBe(request.scope);
  });

  it.each([
    [{ scope: 'orders:read admin' }, 'invalid_scope'],
    [{ resource: ['https://api.example/others'] }, 'invalid_target'],
    [{ authorization_details: [{ type: 'payment', amount: 1 }] }, 'invalid_authorization_details'],
  ])('refuses %j, which was not granted, without using the token up', async (more, error) => {
    const { refresh } = await issued();
    expect(await refresh(more)).toMatchObject({ status: 400, body: { error } });
    expect((await refresh()).body.outcome).toBe('rotated');
  });

  it.each([
    ['preserve', { refresh_token: undefined }],
    ['none', { refresh_token: undefined }],
    ['new', { refresh_token: expect.any(String) }],
  ])('gives the refresh token that the choice %s gives', async (choice, given) => {
    const { refresh } = await issued();
    const { body } = await refresh({ choice });
    expect(body).toMatchObject({ outcome: 'rotated', access_token: expect.any(String) });
    expect(body.refresh_token).toEqual(given.refresh_token);
    expect((await refresh()).body.outcome).toBe({ preserve: 'rotated', none: 'retried', new: 'retried' }[choice]);
  });

  it('says why: another client, expired, made up', async () => {
    const { refresh, pass, body } = await issued();
    expect((await refresh({ client_id: 'poster' })).body).toMatchObject({ outcome: 'mismatched' });
    const madeUp = `${body.refresh_token.slice(0, 16)}${'A'.repeat(30)}`;
    expect((await refresh({ refresh_token: madeUp })).body).toMatchObject({ outcome: 'unknown' });
    expect((await refresh({ refresh_token: body.access_token })).body).toMatchObject({ outcome: 'unknown' });
    pass(43_200);
    expect((await refresh()).body).toMatchObject({ error: 'invalid_grant', outcome: 'expired' });
  });

  it("binds a public client's refresh token to its key", async () => {
    const jkt = 'k'.repeat(43);
    const { refresh } = await issued({ client_id: 'spa', cnf: { jkt } });
    expect((await refresh({ client_id: 'spa' })).body).toMatchObject({ outcome: 'mismatched' });
    expect((await refresh({ client_id: 'spa', cnf: { jkt: 'x'.repeat(43) } })).body.outcome).toBe('mismatched');
    expect((await refresh({ client_id: 'spa', cnf: { jkt } })).body.outcome).toBe('rotated');
  });
});

describe('lookup-token and revoke-token', () => {
  it('say what a token is: active, expired, revoked, retired, unknown', async () => {
    const { runtime, body, lookup, refresh, pass } = await issued();
    expect(await lookup(body.access_token)).toEqual({
      active: true,
      outcome: 'active',
      kind: 'access_token',
      token_type: 'Bearer',
      iat: START,
      exp: START + 3600,
      grant_id: body.grant_id,
      authentication: body.authentication,
    });
    await refresh();
    expect(await lookup(body.refresh_token)).toEqual({ active: false, outcome: 'retired' });
    const revoke = (token: string) => ask(createRevokeToken(runtime), jsonEvent({ token }));
    expect((await revoke(body.access_token)).body).toEqual({ outcome: 'revoked' });
    expect(await lookup(body.access_token)).toEqual({ active: false, outcome: 'revoked' });
    expect((await revoke('A'.repeat(54))).body).toEqual({ outcome: 'unknown' });
    expect(await lookup('A'.repeat(54))).toEqual({ active: false, outcome: 'unknown' });
    pass(3600);
    const { body: another } = await issued();
    expect(await lookup(another.access_token)).toEqual({ active: false, outcome: 'unknown' });
  });

  it('a refresh token takes its whole grant along, one of the past too', async () => {
    const { runtime, body, lookup, refresh } = await issued();
    const { body: next } = await refresh();
    const { body: answer } = await ask(
      createRevokeToken(runtime),
      jsonEvent({ token: body.refresh_token, token_type_hint: 'refresh_token' }),
    );
    expect(answer).toEqual({ outcome: 'revoked' });
    for (const token of [body.access_token, next.access_token, next.refresh_token]) {
      expect(await lookup(token)).toEqual({ active: false, outcome: 'revoked' });
    }
  });
});
