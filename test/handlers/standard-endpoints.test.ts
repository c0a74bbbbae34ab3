import { describe, expect, it } from 'vitest';
import { createIntrospect } from '../../functions/handlers/introspect.ts';
import { createIssueTokens } from '../../functions/handlers/issue-tokens.ts';
import { createRefreshTokens } from '../../functions/handlers/refresh-tokens.ts';
import { createRevoke } from '../../functions/handlers/revoke.ts';
import { createTokenInformation } from '../../functions/handlers/token-information.ts';
import type { Runtime } from '../../functions/runtime.ts';
import { ask, basic, deployment, formEvent, httpEvent, jsonEvent, START } from './deployment.ts';

const request = {
  client_id: 'web',
  subject: 'alice',
  grant_type: 'password',
  scope: 'orders:read orders:write',
  refresh_token: true,
};

async function endpoints(changes: object = {}, configuration: Record<string, unknown> = {}) {
  const made = await deployment(configuration);
  const { runtime } = made;
  const { body: issued } = await ask(createIssueTokens(runtime), jsonEvent({ ...request, ...changes }));
  return {
    ...made,
    issued,
    introspect: (token: string, client = 'api', further: Record<string, string> = {}, by: Runtime = runtime) =>
      ask(createIntrospect(by), formEvent({ token, ...further }, basic(client))),
    revoke: (token: string, client = 'web', further: Record<string, string> = {}) =>
      ask(createRevoke(runtime), formEvent({ token, ...further }, basic(client))),
    information: (access_token: string, by: Runtime = runtime) =>
      ask(createTokenInformation(by), formEvent({ access_token })),
  };
}

/** The same deployment after the client of its tokens was disabled. */
const disabled = (runtime: Runtime): Runtime => ({
  ...runtime,
  clients: {
    find: async (clientId) => {
      const client = await runtime.clients.find(clientId);
      return client && { ...client, enabled: clientId !== 'web' };
    },
  },
});

describe('introspect (RFC 7662)', () => {
  it('tells a resource server what an access token stands for', async () => {
    const { issued, introspect, pass } = await endpoints({
      resource: ['https://api.example/orders'],
      authorization_details: [{ type: 'payment' }],
      cnf: { 'x5t#S256': 'c'.repeat(43) },
      auth_time: START - 100,
      acr: 'urn:acr:2',
      amr: ['pwd'],
      sid: 'session-1',
      nonce: 'only for the client',
      parameters: { prompt: 'login' },
      attributes: { internal: 'value' },
    });
    pass(5);
    const { status, body } = await introspect(issued.access_token);
    expect({ status, body }).toEqual({
      status: 200,
      body: {
        active: true,
        scope: 'orders:read orders:write',
        client_id: 'web',
        token_type: 'Bearer',
        exp: START + 3600,
        iat: START,
        sub: 'alice',
        aud: 'https://api.example/orders',
        iss: 'https://issuer.example',
        jti: expect.stringMatching(/^[\w-]{22}$/),
        cnf: { 'x5t#S256': 'c'.repeat(43) },
        authorization_details: [{ type: 'payment' }],
        auth_time: START - 100,
        acr: 'urn:acr:2',
        amr: ['pwd'],
        sid: 'session-1',
      },
    });
    expect(issued.access_token).not.toContain(body.jti);
  });

  it('tells it of a refresh token too, whatever the hint', async () => {
    const { issued, introspect } = await endpoints();
    for (const token_type_hint of ['refresh_token', 'access_token', 'something else']) {
      expect((await introspect(issued.refresh_token, 'api', { token_type_hint })).body).toMatchObject({
        active: true,
        exp: START + 43_200,
      });
    }
    expect((await introspect(issued.refresh_token)).body).not.toHaveProperty('token_type');
  });

  it("lets a client see its own tokens, and nobody else's", async () => {
    const { issued, introspect } = await endpoints();
    expect((await introspect(issued.access_token, 'web')).body).toMatchObject({ active: true });
    expect(await introspect(issued.access_token, 'client with:colon')).toMatchObject({
      status: 200,
      body: { active: false },
    });
  });

  it('says nothing more than inactive of a token that is unknown, expired, revoked, retired, or of a disabled client', async () => {
    const { runtime, issued, introspect, revoke, pass } = await endpoints();
    const only = async (token: string, by: Runtime = runtime) => {
      const { status, body } = await introspect(token, 'api', {}, by);
      expect({ status, body }).toEqual({ status: 200, body: { active: false } });
    };
    await only('A'.repeat(54));
    await only('tökén');
    await only('x'.repeat(9000));
    await only(issued.access_token, disabled(runtime));
    const { body: refreshed } = await ask(
      createRefreshTokens(runtime),
      jsonEvent({ client_id: 'web', refresh_token: issued.refresh_token }),
    );
    await only(issued.refresh_token);
    await revoke(issued.access_token);
    await only(issued.access_token);
    pass(3600);
    await only(refreshed.access_token);
  });
});

describe('revoke (RFC 7009)', () => {
  it('ends an access token alone, a refresh token with its grant; the hint may be wrong', async () => {
    const { issued, introspect, revoke } = await endpoints();
    expect(await revoke(issued.access_token, 'web', { token_type_hint: 'refresh_token' })).toMatchObject({
      status: 200,
    });
    expect((await introspect(issued.access_token)).body).toEqual({ active: false });
    expect((await introspect(issued.refresh_token)).body.active).toBe(true);
    await revoke(issued.refresh_token, 'web', { token_type_hint: 'access_token' });
    expect((await introspect(issued.refresh_token)).body).toEqual({ active: false });
  });

  it("answers 200 for an unknown token, and for another client's, which stays good", async () => {
    const { issued, introspect, revoke } = await endpoints();
    const unknown = await revoke('A'.repeat(54));
    const foreign = await revoke(issued.access_token, 'client with:colon');
    expect([unknown.status, unknown.body]).toEqual([foreign.status, foreign.body]);
    await revoke(issued.refresh_token, 'client with:colon');
    expect((await introspect(issued.access_token)).body.active).toBe(true);
  });

  it('a made-up token with the handle of a grant ends nothing and asks no store', async () => {
    const { issued, introspect, revoke, writes } = await endpoints();
    writes.length = 0;
    await revoke(`${issued.access_token.slice(0, 16)}${'A'.repeat(38)}`);
    await revoke(`${issued.access_token}=`);
    await revoke(issued.access_token.slice(0, -1));
    expect(writes).toEqual([]);
    expect((await introspect(issued.access_token)).body.active).toBe(true);
  });
});

describe('token information', () => {
  it('answers audience, user, scope, remaining seconds and the attributes that are configured', async () => {
    const attributes = { tenant: 'acme', internal: 'x', audience: 'not this one' };
    const { issued, information, pass } = await endpoints(
      { attributes },
      { tokenInformation: { attributes: ['tenant', 'audience', 'absent'] } },
    );
    pass(100);
    expect(await information(issued.access_token)).toMatchObject({ status: 200 });
    expect((await information(issued.access_token)).body).toEqual({
      tenant: 'acme',
      audience: 'web',
      user_id: 'alice',
      scope: 'orders:read orders:write',
      expires_in: 3500,
    });
  });

  it('takes the token from the query of a GET', async () => {
    const { runtime, issued } = await endpoints();
    const event = httpEvent({ method: 'GET', query: `access_token=${issued.access_token}` });
    expect(await ask(createTokenInformation(runtime), event)).toMatchObject({
      status: 200,
      body: { user_id: 'alice' },
    });
  });

  it('answers 400 for a token that is not good, or a refresh token', async () => {
    const { runtime, issued, information, pass } = await endpoints();
    const invalid = { status: 400, body: { error: 'invalid_token' } };
    expect(await information('A'.repeat(54))).toMatchObject(invalid);
    expect(await information(issued.refresh_token)).toMatchObject(invalid);
    expect(await information(issued.access_token, disabled(runtime))).toMatchObject(invalid);
    pass(3600);
    expect(await information(issued.access_token)).toMatchObject(invalid);
  });

  it('answers 400 where there is no token, or one in the query and one in the form', async () => {
    const { runtime } = await endpoints();
    const respond = createTokenInformation(runtime);
    const missing = await ask(respond, httpEvent({ method: 'GET' }));
    const twice = await ask(respond, { ...formEvent({ access_token: 'a' }), rawQueryString: 'access_token=b' });
    for (const { status, body } of [missing, twice]) {
      expect({ status, error: body.error }).toEqual({ status: 400, error: 'invalid_request' });
    }
  });
});
