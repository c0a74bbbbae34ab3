import { describe, expect, it } from 'vitest';
import { createAuthorizer } from '../../functions/handlers/authorizer.ts';
import { createRevokeToken } from '../../functions/handlers/revoke-token.ts';
import {
  ARN,
  api,
  CERTIFICATE,
  type Parts,
  read,
  restRequest,
  restToken,
  shapes,
  THUMBPRINT,
} from './authorizer-api.ts';
import { ask, broken, jsonEvent, START } from './deployment.ts';

describe.each(shapes)('authorizer, %s', (_, event) => {
  it('lets a good token through and hands on whose it is, as flat texts', async () => {
    const { authorize, bearer, grantId, token } = await api({}, {}, { acr: 'urn:acr:2', auth_time: START - 5 });
    const result = await authorize(event(bearer));
    expect(read(result)).toEqual({
      allowed: true,
      context: {
        client_id: 'web',
        subject: 'alice',
        application_id: 'shop',
        grant_id: grantId,
        token_type: 'Bearer',
        iat: `${START}`,
        exp: `${START + 3600}`,
        auth_time: `${START - 5}`,
        acr: 'urn:acr:2',
        scope: 'orders:read orders:write',
      },
    });
    expect(JSON.stringify(result)).not.toContain(token);
  });

  it('takes the scheme in any case', async () => {
    const { authorize, token } = await api();
    for (const scheme of ['bearer', 'BEARER']) {
      expect(read(await authorize(event({ authorization: `${scheme} ${token}` }))).allowed).toBe(true);
    }
  });

  it.each([
    ['no token', {}],
    ['another scheme', { authorization: 'Basic YTpi' }],
    ['a scheme without a token', { authorization: 'Bearer' }],
    ['no space', { authorization: 'Bearer.abc' }],
    ['two words', { authorization: 'Bearer a b' }],
    ['what is no token', { authorization: 'Bearer tökén' }],
  ])('refuses %s: 400 invalid_request', async (_name, parts) => {
    const { authorize } = await api();
    expect(read(await authorize(event(parts)))).toEqual({
      allowed: false,
      context: {
        status: '400',
        error: 'invalid_request',
        error_description: 'exactly one access token is needed',
        www_authenticate:
          'Bearer realm="oauth", error="invalid_request", error_description="exactly one access token is needed"',
      },
    });
  });

  it('refuses a token that is unknown, expired, revoked, no access token, or of a disabled or unknown client: 401', async () => {
    const { runtime, authorize, bearer, refreshToken, token, lines, pass } = await api({ realm: 'shop' });
    const answers: unknown[] = [];
    const refused = async (parts: Parts, by = authorize) => answers.push(read(await by(event(parts))));
    await refused({ authorization: `Bearer ${'A'.repeat(54)}` });
    await refused({ authorization: `Bearer ${refreshToken}` });
    for (const client of [undefined, { ...(await runtime.clients.find('web')), enabled: false }]) {
      await refused(bearer, createAuthorizer({ ...runtime, clients: { find: () => client as never } }));
    }
    pass(3600);
    await refused(bearer);
    pass(-3600);
    await ask(createRevokeToken(runtime), jsonEvent({ token }));
    await refused(bearer);
    expect(answers).toEqual(
      Array(6).fill({
        allowed: false,
        context: {
          status: '401',
          error: 'invalid_token',
          error_description: 'the access token is unknown, expired or revoked',
          www_authenticate:
            'Bearer realm="shop", error="invalid_token", error_description="the access token is unknown, expired or revoked"',
        },
      }),
    );
    expect(lines.map((line) => JSON.parse(line).reason)).toEqual([
      'unknown',
      'unknown',
      'client disabled or unknown',
      'client disabled or unknown',
      'expired',
      'revoked',
    ]);
  });

  it('refuses a token without the scopes: 403, naming them', async () => {
    const { bearer, runtime } = await api();
    const admin = createAuthorizer(runtime, { requiredScopes: ['admin', 'audit'] });
    expect(read(await admin(event(bearer)))).toMatchObject({
      allowed: false,
      context: {
        status: '403',
        error: 'insufficient_scope',
        www_authenticate: expect.stringMatching(
          /^Bearer realm="oauth", error="insufficient_scope", .*scope="admin audit"$/,
        ),
      },
    });
    const some = { requiredScopes: ['admin', 'orders:read'] };
    expect(read(await createAuthorizer(runtime, some)(event(bearer))).allowed).toBe(true);
    expect(read(await createAuthorizer(runtime, { ...some, match: 'all' })(event(bearer))).allowed).toBe(false);
  });

  it('refuses a token that is bound to a key which is not proved: 401', async () => {
    for (const cnf of [{ jkt: 'k'.repeat(43) }, { 'x5t#S256': THUMBPRINT }]) {
      const { authorize, bearer } = await api({}, {}, { cnf });
      expect(read(await authorize(event(bearer)))).toMatchObject({ allowed: false, context: { status: '401' } });
    }
  });

  it('an outage throws, and never as Unauthorized; the log has the reason, without the token', async () => {
    const made = await api();
    const authorize = createAuthorizer(broken(made, 'unavailable'));
    await expect(authorize(event(made.bearer))).rejects.toMatchObject({ name: 'StoreError', code: 'unavailable' });
    await expect(authorize(event(made.bearer))).rejects.not.toThrow(/^Unauthorized$/);
    expect(made.lines[0]).toContain('the engine says why');
    expect(made.lines.join()).not.toContain(made.token);
  });
});

describe.each(shapes.slice(0, 2))('authorizer, %s', (_, event) => {
  it('takes the token from the query by default, from elsewhere as configured, from one place alone', async () => {
    const { authorize, token, bearer } = await api();
    const query = `access_token=${token}`;
    expect(read(await authorize(event({ query }))).allowed).toBe(true);
    for (const parts of [{ ...bearer, query }, { query: `${query}&${query}` }, { query: 'access_token=' }]) {
      expect(read(await authorize(event(parts))).context.status).toBe('400');
    }
    const elsewhere = await api({ tokenFrom: ['header:X-Token', 'cookie:session'] });
    const found = async (parts: Parts) => read(await elsewhere.authorize(event(parts)));
    expect((await found({ headers: { 'x-token': elsewhere.token } })).allowed).toBe(true);
    expect((await found({ cookie: `mysession=b; session=${elsewhere.token}` })).allowed).toBe(true);
    expect((await found(elsewhere.bearer)).context.status).toBe('400');
    expect((await found({ cookie: `session=${elsewhere.token}`, headers: { 'x-token': 'x' } })).context.status).toBe(
      '400',
    );
  });

  it('refuses two Authorization headers', async () => {
    const { authorize, token } = await api();
    const result = await authorize(event({ authorization: [`Bearer ${token}`, `Bearer ${token}`] }));
    expect(read(result).context.status).toBe('400');
  });

  it('lets a bound token through over a connection with its certificate, and no other', async () => {
    const { authorize, bearer } = await api({}, {}, { cnf: { 'x5t#S256': THUMBPRINT } });
    expect(read(await authorize(event({ ...bearer, certificate: CERTIFICATE }))).allowed).toBe(true);
    const other = await api({}, {}, { cnf: { 'x5t#S256': 'x'.repeat(43) } });
    expect(read(await other.authorize(event({ ...other.bearer, certificate: CERTIFICATE }))).allowed).toBe(false);
    const keyed = await api({}, {}, { cnf: { jkt: THUMBPRINT } });
    expect(read(await keyed.authorize(event({ ...keyed.bearer, certificate: CERTIFICATE }))).allowed).toBe(false);
    const both = await api({}, {}, { cnf: { 'x5t#S256': THUMBPRINT, jkt: 'k'.repeat(43) } });
    expect(read(await both.authorize(event({ ...both.bearer, certificate: CERTIFICATE }))).allowed).toBe(false);
  });

  it('demands the scopes of the route, and lets nobody into a route for which none are configured', async () => {
    const scopes = { 'GET /orders/{id}': ['orders:read'], 'DELETE /orders/{id}': ['admin'], 'ANY /free': [] };
    const { authorize, bearer } = await api({ scopes });
    const status = async (method: string, resource: string) =>
      read(await authorize(event({ ...bearer, method, resource }))).context.status;
    expect(await status('GET', '/orders/{id}')).toBeUndefined();
    expect(await status('DELETE', '/orders/{id}')).toBe('403');
    expect(await status('PUT', '/free')).toBeUndefined();
    expect(await status('GET', '/others')).toBe('403');
    const usual = await api({ scopes: { ...scopes, $default: ['orders:write'] } });
    const others = event({ ...usual.bearer, resource: '/others' });
    expect(read(await usual.authorize(others)).allowed).toBe(true);
  });
});

describe('authorizer, policies of REST APIs', () => {
  const resourceOf = async ({ authorize, bearer }: Awaited<ReturnType<typeof api>>, parts: Parts) => {
    const result = await authorize(restRequest({ ...bearer, ...parts }));
    return 'policyDocument' in result
      ? JSON.parse(JSON.stringify(result.policyDocument.Statement[0])).Resource
      : undefined;
  };

  it('cover the stage where every route demands the same, so that a cached one does not shut out another route', async () => {
    expect(await resourceOf(await api(), {})).toBe(`${ARN}/*`);
    expect(await resourceOf(await api({}, { requiredScopes: ['orders:read'] }), {})).toBe(`${ARN}/*`);
  });

  it('cover nothing but the request where routes demand different scopes', async () => {
    const made = await api({ scopes: { 'GET /orders/{id}': ['orders:read'] } });
    expect(await resourceOf(made, {})).toBe(`${ARN}/GET/orders/5`);
    expect(await resourceOf(made, { path: '/orders/*' })).toBe(`${ARN}/GET/orders/?`);
    const long = await resourceOf(made, { path: `/orders/${'5'.repeat(600)}` });
    expect(long).toHaveLength(512);
    expect(long).toMatch(/5\*$/);
  });

  it('a TOKEN event is judged by its path', async () => {
    const { authorize, bearer } = await api({ scopes: { 'GET /orders': ['orders:read'] } });
    expect(read(await authorize(restToken({ ...bearer, path: '/orders' }))).allowed).toBe(true);
    expect(read(await authorize(restToken({ ...bearer, path: '/orders/5' }))).allowed).toBe(false);
  });

  it('the answer stays under 8 kB, however many scopes a token has', async () => {
    const scope = Array.from({ length: 2000 }, (_, each) => `scope-${each}`).join(' ');
    const { authorize, bearer } = await api({}, {}, { scope, acr: 'a'.repeat(5000) });
    const result = await authorize(restRequest(bearer));
    expect(read(result)).toMatchObject({ allowed: true, context: { client_id: 'web', exp: `${START + 3600}` } });
    expect(Buffer.byteLength(JSON.stringify(result))).toBeLessThan(8192);
    expect(result.context).not.toHaveProperty('scope');
  });

  it('names the client where there is no subject', async () => {
    const { authorize, bearer } = await api({}, {}, { subject: undefined, grant_type: 'client_credentials' });
    expect(await authorize(restRequest(bearer))).toHaveProperty('principalId', 'web');
  });
});
