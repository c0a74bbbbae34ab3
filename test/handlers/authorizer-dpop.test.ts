import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type AuthorizerEvent, asToldToGateway } from '../../functions/authorizer-events.ts';
import { createAuthorizer } from '../../functions/handlers/authorizer.ts';
import { createIssueTokens } from '../../functions/handlers/issue-tokens.ts';
import { createRevokeToken } from '../../functions/handlers/revoke-token.ts';
import {
  api,
  CERTIFICATE,
  HOST,
  httpApi,
  type Parts,
  read,
  restRequest,
  restToken,
  THUMBPRINT,
} from './authorizer-api.ts';
import { ask, broken, jsonEvent, START } from './deployment.ts';
import { athOf, type Key, newKey, signed } from './proofs.ts';

let key: Key;
let other: Key;
beforeAll(async () => {
  [key, other] = await Promise.all([newKey(), newKey('EdDSA')]);
});

const ALGORITHMS = 'algs="ES256 EdDSA Ed25519 PS256 RS256"';

const UNBOUND = {};
let proofs = 0;

/** An API whose token is bound to the key, unless something else is said, and proofs for requests with it. */
async function boundApi(dpop: object = {}, cnf: object = { jkt: key.jkt }, settings: object = {}) {
  const made = await api({ dpop, ...settings }, {}, cnf === UNBOUND ? {} : { cnf });
  const proof = (of: object = {}, by = key) => {
    proofs += 1;
    return signed(by, { jti: `${proofs}`, htm: 'GET', iat: START, ath: athOf(made.token), ...of });
  };
  return { ...made, proof, authorization: `DPoP ${made.token}` };
}

/** The events that show the proof, and where they say that the client was. */
const seeing = [
  ['HTTP API 2.0', httpApi, `https://${HOST}/orders/5`],
  ['REST REQUEST', restRequest, `https://${HOST}/prod/orders/5`],
] satisfies [string, (parts: Parts) => AuthorizerEvent, string][];

describe.each(seeing)('authorizer with DPoP, %s', (_, event, htu) => {
  it('lets a bound token through with a proof of its key, once, and hands the thumbprint on', async () => {
    const { authorize, authorization, proof, lines, writes } = await boundApi();
    const request = event({ authorization, headers: { DPoP: await proof({ htu }) } });
    expect(read(await authorize(request))).toMatchObject({
      allowed: true,
      context: { client_id: 'web', token_type: 'Bearer', cnf_jkt: key.jkt },
    });
    expect(read(await authorize(request))).toEqual({
      allowed: false,
      context: {
        status: '401',
        error: 'invalid_dpop_proof',
        error_description: 'the DPoP proof is not good',
        www_authenticate: `DPoP realm="oauth", error="invalid_dpop_proof", error_description="the DPoP proof is not good", ${ALGORITHMS}`,
      },
    });
    expect(lines.map((line) => JSON.parse(line).reason)).toEqual(['proof: used before']);
    expect(writes.filter((name) => name !== 'persist')).toEqual(['putOnce', 'putOnce']);
    const next = event({
      authorization: authorization.replace('DPoP', 'dpop'),
      headers: { dpop: await proof({ htu }) },
    });
    expect(read(await authorize(next)).allowed).toBe(true);
  });

  it('refuses a bound token without proof, as a bearer token, or with the proof of another key or token', async () => {
    const { authorize, authorization, bearer, proof, writes, lines } = await boundApi();
    const refused = async (parts: Parts, error: string, scheme = 'DPoP') => {
      const { allowed, context } = read(await authorize(event(parts)));
      expect({ allowed, status: context.status, error: context.error }).toEqual({
        allowed: false,
        status: '401',
        error,
      });
      expect(context.www_authenticate).toMatch(new RegExp(`^${scheme} realm="oauth", error="${error}"`));
      return context.www_authenticate;
    };
    await refused({ authorization }, 'invalid_dpop_proof');
    const both = await refused({ ...bearer, headers: { DPoP: await proof({ htu }) } }, 'invalid_token', 'Bearer');
    expect(both).toMatch(new RegExp(`, DPoP realm="oauth", ${ALGORITHMS}$`));
    await refused({ authorization, headers: { DPoP: await proof({ htu }, other) } }, 'invalid_token');
    await refused({ authorization, headers: { DPoP: await proof({ htu, ath: athOf('x') }) } }, 'invalid_dpop_proof');
    await refused({ authorization, headers: { DPoP: await proof({ htu, htm: 'POST' }) } }, 'invalid_dpop_proof');
    await refused({ authorization, headers: { DPoP: await proof({ htu: `${htu}5` }) } }, 'invalid_dpop_proof');
    expect(lines.map((line) => JSON.parse(line).reason)).toEqual([
      'proof: 0 proofs',
      'bound to a key that is not proved',
      'bound to a key that is not proved',
      'proof: another token',
      'proof: another method',
      'proof: another URL',
    ]);
    expect(writes).not.toContain('putOnce');
  });

  it('refuses a proof for a token that is bound to no key, and without DPoP every token that is bound to one', async () => {
    const unbound = await boundApi({}, UNBOUND);
    const headers = { DPoP: await unbound.proof({ htu }) };
    expect(
      read(await unbound.authorize(event({ authorization: unbound.authorization, headers }))).context,
    ).toMatchObject({
      status: '401',
      error: 'invalid_token',
    });
    expect(read(await unbound.authorize(event(unbound.bearer))).allowed).toBe(true);
    const without = await api({}, {}, { cnf: { jkt: key.jkt } });
    const jwt = await signed(key, { jti: 'x', htm: 'GET', htu, iat: START, ath: athOf(without.token) });
    const status = async (scheme: string) =>
      read(await without.authorize(event({ authorization: `${scheme} ${without.token}`, headers: { DPoP: jwt } })))
        .context.status;
    expect([await status('DPoP'), await status('Bearer')]).toEqual(['400', '401']);
  });

  it('refuses a token under two schemes, or in two places', async () => {
    const { authorize, authorization, bearer, proof, token } = await boundApi();
    const headers = { DPoP: await proof({ htu }) };
    for (const parts of [
      { authorization: [authorization, bearer.authorization] },
      { authorization, query: `access_token=${token}` },
      { authorization: 'DPoP' },
      { authorization: `DPoP ${token} x` },
    ]) {
      expect(read(await authorize(event({ ...parts, headers }))).context.status).toBe('400');
    }
  });

  it('checks the proof before the store is asked, and asks nothing of it for a token that fails its own check', async () => {
    const made = await boundApi();
    const authorize = createAuthorizer(broken(made, 'unavailable'));
    const context = async (authorization: string, of: object) =>
      read(await authorize(event({ authorization, headers: { DPoP: await made.proof(of) } }))).context;
    const sprayed = 'A'.repeat(54);
    expect(await context(`DPoP ${sprayed}`, { htu, ath: athOf(sprayed) })).toMatchObject({ error: 'invalid_token' });
    expect(read(await authorize(event({ authorization: `DPoP ${sprayed}` }))).context.error).toBe('invalid_token');
    expect(await context(made.authorization, { htu: 'https://other.example/' })).toMatchObject({
      error: 'invalid_dpop_proof',
    });
    await expect(context(made.authorization, { htu })).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('remembers no proof with a token that is not good, or not good enough', async () => {
    const made = await boundApi({}, undefined, { scopes: { $default: ['admin'] } });
    const send = async () =>
      read(
        await made.authorize(
          event({ authorization: made.authorization, headers: { DPoP: await made.proof({ htu }) } }),
        ),
      ).context;
    expect(await send()).toMatchObject({
      status: '403',
      www_authenticate: expect.stringMatching(
        /^DPoP realm="oauth", error="insufficient_scope", .*scope="admin", algs=/,
      ),
    });
    await ask(createRevokeToken(made.runtime), jsonEvent({ token: made.token }));
    expect(await send()).toMatchObject({ status: '401', error: 'invalid_token' });
    expect(made.writes).not.toContain('putOnce');
  });

  it('does not let a proof in when it is not known whether it was used', async () => {
    const made = await boundApi();
    const { runtime } = made;
    const failing = broken(made, 'timeout').stores;
    const authorize = createAuthorizer({
      ...runtime,
      stores: { ...runtime.stores, artifactStore: failing.artifactStore },
    });
    const headers = { DPoP: await made.proof({ htu }) };
    await expect(authorize(event({ authorization: made.authorization, headers }))).rejects.toMatchObject({
      name: 'StoreError',
    });
  });

  it('lets a token that is bound to key and certificate through with both alone', async () => {
    const { authorize, authorization, proof } = await boundApi({}, { jkt: key.jkt, 'x5t#S256': THUMBPRINT });
    const send = async (certificate?: string, by = key) =>
      read(
        await authorize(
          event({ authorization, headers: { DPoP: await proof({ htu }, by) }, ...(certificate && { certificate }) }),
        ),
      );
    expect(await send(CERTIFICATE)).toMatchObject({ allowed: true, context: { cnf_x5t_s256: THUMBPRINT } });
    expect((await send()).allowed).toBe(false);
    expect((await send(CERTIFICATE, other)).allowed).toBe(false);
  });

  it('demands the nonce where one is configured, and gives it with every answer', async () => {
    const { authorize, authorization, bearer, proof, pass } = await boundApi({ nonceSeconds: 300 });
    const send = async (of: object) =>
      read(await authorize(event({ authorization, headers: { DPoP: await proof({ htu, ...of }) } })));
    const { allowed, context } = await send({});
    expect({ allowed, context }).toEqual({
      allowed: false,
      context: {
        status: '401',
        error: 'use_dpop_nonce',
        error_description: 'the proof needs the nonce',
        www_authenticate: `DPoP realm="oauth", error="use_dpop_nonce", error_description="the proof needs the nonce", ${ALGORITHMS}`,
        dpop_nonce: expect.stringMatching(/^[\w-]{43}$/),
      },
    });
    const { dpop_nonce: nonce } = context;
    // A wrong clock of the client does not matter then.
    expect(await send({ nonce, iat: 1 })).toMatchObject({ allowed: true, context: { dpop_nonce: nonce } });
    pass(300);
    const later = await send({ nonce });
    expect(later.allowed).toBe(true);
    expect(later.context.dpop_nonce).not.toBe(nonce);
    pass(300);
    expect((await send({ nonce })).context.error).toBe('use_dpop_nonce');
    expect(read(await authorize(event({ ...bearer }))).context).toHaveProperty('dpop_nonce');
  });

  it('goes by the configured age and algorithms', async () => {
    const { authorize, authorization, proof, pass } = await boundApi({ maxAgeSeconds: 5, algorithms: ['ES256'] });
    const send = async (by = key) =>
      read(await authorize(event({ authorization, headers: { DPoP: await proof({ htu }, by) } }))).context;
    pass(5);
    expect((await send()).error).toBeUndefined();
    expect((await send(other)).error).toBe('invalid_dpop_proof');
    pass(1);
    expect((await send()).www_authenticate).toMatch(/error="invalid_dpop_proof", .*algs="ES256"$/);
  });
});

describe('htu is the URL that the client used', () => {
  const sent = async (event: (parts: Parts) => AuthorizerEvent, parts: Parts, htu: string, dpop: object = {}) => {
    const { authorize, authorization, proof } = await boundApi(dpop);
    const headers = { DPoP: await proof({ htu }) };
    return read(await authorize(event({ authorization, headers, ...parts }))).allowed;
  };
  const custom = { domainName: 'api.example' };

  it('of an HTTP API: with the stage at its own domain, without it at a custom one', async () => {
    const staged = { stage: 'prod', pathThere: '/prod/orders/5' };
    expect(await sent(httpApi, staged, `https://${HOST}/prod/orders/5`)).toBe(true);
    expect(await sent(httpApi, staged, `https://${HOST}/orders/5`)).toBe(false);
    expect(await sent(httpApi, { ...staged, ...custom }, 'https://api.example/orders/5')).toBe(true);
    expect(await sent(httpApi, { ...staged, ...custom }, 'https://api.example/prod/orders/5')).toBe(false);
    expect(await sent(httpApi, { ...custom, pathThere: '/production/5' }, 'https://api.example/production/5')).toBe(
      true,
    );
    expect(
      await sent(httpApi, { ...custom, stage: 'prod', pathThere: '/production/5' }, 'https://api.example/production/5'),
    ).toBe(true);
    expect(await sent(httpApi, { ...custom, stage: 'prod', pathThere: '/prod' }, 'https://api.example')).toBe(true);
    expect(await sent(httpApi, { pathThere: '/orders/a b' }, `https://${HOST}/orders/a%20b`)).toBe(true);
  });

  it('of an HTTP API under a path of a custom domain, or behind a proxy: as configured', async () => {
    const dpop = { baseUrls: ['https://api.example/shop'] };
    for (const parts of [{ ...custom, stage: 'prod', pathThere: '/prod/orders/5' }, { pathThere: '/orders/5' }]) {
      expect(await sent(httpApi, parts, 'https://api.example/shop/orders/5', dpop)).toBe(true);
      expect(await sent(httpApi, parts, 'https://api.example/orders/5', dpop)).toBe(false);
    }
  });

  it('of a REST API: with the stage or the base path', async () => {
    expect(await sent(restRequest, {}, `https://${HOST}/prod/orders/5`)).toBe(true);
    expect(await sent(restRequest, {}, `https://${HOST}/orders/5`)).toBe(false);
    const mapped = { ...custom, path: '/shop/orders/5', pathThere: '/shop/orders/5' };
    expect(await sent(restRequest, mapped, 'https://api.example/shop/orders/5')).toBe(true);
    expect(await sent(restRequest, { domainName: undefined }, `https://${HOST}/prod/orders/5`)).toBe(false);
  });

  it('of a REST API behind a proxy: as configured, and the path within the API', async () => {
    const dpop = { baseUrls: ['https://www.example/api'] };
    for (const parts of [{}, { ...custom, path: '/shop/orders/5', pathThere: '/shop/orders/5' }]) {
      expect(await sent(restRequest, parts, 'https://www.example/api/orders/5', dpop)).toBe(true);
      expect(await sent(restRequest, parts, 'https://www.example/api/prod/orders/5', dpop)).toBe(false);
      expect(await sent(restRequest, parts, `https://${HOST}/prod/orders/5`, dpop)).toBe(false);
    }
    const greedy = { resource: '/files/{proxy+}', pathParameters: { proxy: 'a%20b/c' }, path: '/files/a%20b/c' };
    expect(await sent(restRequest, greedy, 'https://www.example/api/files/a%20b/c', dpop)).toBe(true);
    expect(await sent(restRequest, { ...greedy, pathParameters: {} }, 'https://www.example/api/files/', dpop)).toBe(
      true,
    );
  });

  it('a TOKEN authorizer sees neither URL nor proof, and refuses what is bound', async () => {
    const { authorize, authorization, bearer } = await boundApi();
    expect(read(await authorize(restToken({ authorization }))).context.error).toBe('invalid_dpop_proof');
    expect(read(await authorize(restToken(bearer))).context.error).toBe('invalid_token');
  });
});

it('where API Gateway keeps answers, no bound token is let in', async () => {
  const caching = { resultCacheSeconds: 60, tokenFrom: ['authorization'] };
  const { authorize, bearer } = await api(caching, {}, { cnf: { 'x5t#S256': THUMBPRINT } });
  for (const [, event] of seeing) {
    expect(read(await authorize(event({ ...bearer, certificate: CERTIFICATE }))).allowed).toBe(false);
  }
  const unbound = await api(caching);
  for (const [, event] of seeing) expect(read(await unbound.authorize(event(unbound.bearer))).allowed).toBe(true);
});

it('two clients may use the same jti', async () => {
  const { runtime, authorize, authorization } = await boundApi();
  const request = { client_id: 'web', grant_type: 'password', scope: 'orders:read', cnf: { jkt: other.jkt } };
  const { body } = await ask(createIssueTokens(runtime), jsonEvent(request));
  for (const [credentials, by] of [
    [authorization, key],
    [`DPoP ${body.access_token}`, other],
  ] as const) {
    const [, token = ''] = credentials.split(' ');
    const claims = { jti: 'same', htm: 'GET', htu: `https://${HOST}/orders/5`, iat: START, ath: athOf(token) };
    const headers = { DPoP: await signed(by, claims) };
    expect(read(await authorize(httpApi({ authorization: credentials, headers }))).allowed).toBe(true);
  }
});

describe.each(['memory', 'postgresql'])('of twenty requests at once with one proof, on %s', (engine) => {
  it('exactly one is let in', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'dpop-'));
    try {
      const stores = { storeIn: 'database', database: 'all' };
      const database = {
        accessTokenStores: { tokens: stores },
        authorizationCodeStores: {},
        clientAccessTokenStores: {},
        artifactStores: { artifacts: stores },
        caches: {},
        databases: { all: { engine: 'postgresql', embedded: true } },
      };
      const authorizer = { dpop: {}, artifactStore: 'artifacts' };
      const made = await api(authorizer, {}, { cnf: { jkt: key.jkt } }, engine === 'memory' ? {} : database, directory);
      const htu = `https://${HOST}/orders/5`;
      for (const jti of ['one', 'two']) {
        const jwt = await signed(key, { jti, htm: 'GET', htu, iat: START, ath: athOf(made.token) });
        const request = httpApi({ authorization: `DPoP ${made.token}`, headers: { dpop: jwt } });
        const answers = await Promise.all(Array.from({ length: 20 }, () => made.authorize(request)));
        expect(answers.filter((answer) => read(answer).allowed)).toHaveLength(1);
      }
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

describe('as API Gateway calls it', () => {
  it('a refusal is the error that it answers with 401; a nonce, which an error cannot take along, is a denial', async () => {
    const { authorize, authorization, proof, bearer } = await boundApi({ nonceSeconds: 60 });
    const handle = async (asked: AuthorizerEvent) => asToldToGateway(await authorize(asked));
    for (const [name, event, htu] of seeing) {
      await expect(handle(event({}))).rejects.toThrow(/^Unauthorized$/);
      await expect(handle(event(bearer))).rejects.toThrow(/^Unauthorized$/);
      const answer = handle(event({ authorization, headers: { DPoP: await proof({ htu }) } }));
      if (name === 'HTTP API 2.0') await expect(answer).rejects.toThrow(/^Unauthorized$/);
      else {
        expect(read(await answer)).toMatchObject({
          allowed: false,
          context: { error: 'use_dpop_nonce', dpop_nonce: expect.any(String) },
        });
      }
    }
  });

  it('missing scopes are a denial, and what is good is let in', async () => {
    const { authorize, bearer } = await api({ scopes: { 'GET /orders/{id}': ['orders:read'], $default: ['admin'] } });
    const handle = async (asked: AuthorizerEvent) => asToldToGateway(await authorize(asked));
    for (const [, event] of seeing) {
      expect(read(await handle(event(bearer))).allowed).toBe(true);
      expect(read(await handle(event({ ...bearer, resource: '/others' }))).context.status).toBe('403');
    }
  });
});
