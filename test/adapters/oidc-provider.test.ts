import { randomUUID } from 'node:crypto';
import * as openid from 'openid-client';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StoreError } from '../../functions/domain/errors.ts';
import { inspectAccessToken, inspectRefreshToken, inspectToken } from '../../functions/domain/inspection.ts';
import type { Engine } from '../../functions/domain/ports.ts';
import { createEngine as createMemory } from '../../functions/stores/memory.ts';
import { createEngine as createPostgresql } from '../../functions/stores/postgresql.ts';
import { applySchema } from '../../functions/stores/postgresql-schema.ts';
import {
  asApi,
  asApp,
  customGrant,
  exchangeOf,
  pkce,
  redirectUri,
  startServer,
  storesOf,
  type TestServer,
  type TestStores,
  type TokenResponse,
  verifier,
} from './oidc-provider-server.ts';

const connectionString = process.env.POSTGRESQL_URL;

async function postgresql(): Promise<Engine> {
  if (connectionString === undefined) return createPostgresql({ embedded: 'memory://' }, Date.now);
  await applySchema({ connectionString });
  return createPostgresql({ connectionString }, Date.now);
}

const times = <T>(count: number, call: () => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, call));

const refreshOf = (refreshToken: string, more: Record<string, string> = {}) => ({
  grant_type: 'refresh_token',
  refresh_token: refreshToken,
  ...more,
});

describe.each([
  ['memory', async () => createMemory({}, Date.now)],
  ['postgresql', postgresql],
] as const)('oidc-provider on %s', (_name, open) => {
  let engine: Engine;
  let all: TestStores;
  let server: TestServer;
  const errors: unknown[] = [];

  async function start(...settings: Parameters<typeof startServer> extends [unknown, ...infer Rest] ? Rest : never) {
    server = await startServer(all, ...settings);
    server.provider.on('server_error', (_ctx, error) => errors.push(error));
    return server;
  }

  beforeEach(async () => {
    engine ??= await open();
    all = storesOf(engine);
    errors.length = 0;
  });
  afterEach(async () => {
    await server.close();
  });
  afterAll(() => engine.close());

  const active = async (token: string) => (await inspectToken(all.tokens, token)).active;
  const introspect = async (token: string) =>
    (await (await server.post('/token/introspection', { token }, asApi)).json()) as Record<string, unknown>;

  describe('the life of a grant, seen by an independent client library', () => {
    it('code with PKCE, tokens, user info, introspection, refresh, revocation', async () => {
      await start();
      const config = await openid.discovery(new URL(server.issuer), 'app', {}, openid.ClientSecretBasic('app-secret'), {
        execute: [openid.allowInsecureRequests],
      });
      const url = openid.buildAuthorizationUrl(config, {
        redirect_uri: redirectUri,
        scope: 'openid offline_access orders:read',
        prompt: 'consent',
        state: 'a state',
        nonce: 'a nonce',
        ...pkce,
      });
      const { location } = await server.browse(url);
      const tokens = await openid.authorizationCodeGrant(config, location, {
        pkceCodeVerifier: verifier,
        expectedState: 'a state',
        expectedNonce: 'a nonce',
      });
      expect(location.searchParams.get('code')).toHaveLength(30);
      expect(tokens.access_token).toHaveLength(54);
      expect(tokens.refresh_token).toHaveLength(46);
      expect(tokens.claims()).toMatchObject({ sub: 'alice', aud: 'app' });
      expect(await openid.fetchUserInfo(config, tokens.access_token, 'alice')).toEqual({ sub: 'alice' });
      expect(await openid.tokenIntrospection(config, tokens.access_token)).toMatchObject({
        active: true,
        client_id: 'app',
        sub: 'alice',
        scope: 'openid offline_access orders:read',
        token_type: 'Bearer',
      });

      const refreshed = await openid.refreshTokenGrant(config, String(tokens.refresh_token));
      expect(refreshed.access_token).not.toBe(tokens.access_token);
      expect(refreshed.refresh_token).toHaveLength(46);
      expect(refreshed.refresh_token).not.toBe(tokens.refresh_token);
      expect(refreshed.claims()).toMatchObject({ sub: 'alice', nonce: 'a nonce' });
      expect(await introspect(String(tokens.refresh_token))).toEqual({ active: false });
      expect(await introspect(String(refreshed.refresh_token))).toMatchObject({ active: true });

      await openid.tokenRevocation(config, String(refreshed.refresh_token));
      for (const token of [tokens.access_token, refreshed.access_token]) {
        expect(await openid.tokenIntrospection(config, token)).toEqual({ active: false });
      }
      expect(errors).toEqual([]);
    });

    it('the rules of the store see what the provider issued, and the provider what they end', async () => {
      await start();
      const tokens = await server.logIn({ scope: 'openid offline_access orders:read' });
      expect(await inspectAccessToken(all.tokens, tokens.access_token)).toMatchObject({
        active: true,
        tokenType: 'Bearer',
        authorization: {
          clientId: 'app',
          subject: 'alice',
          grantType: 'authorization_code',
          scopes: ['openid', 'offline_access', 'orders:read'],
        },
      });
      expect(await inspectRefreshToken(all.tokens, tokens.refresh_token)).toMatchObject({ active: true });
      await all.tokens.store.revokeBy({ subject: 'alice' }, { nowMs: Date.now(), retainUntil: 4e9 });
      expect(await introspect(tokens.access_token)).toEqual({ active: false });
      expect(await server.token(refreshOf(tokens.refresh_token))).toMatchObject({
        status: 400,
        body: { error: 'invalid_grant' },
      });
    });

    it('client credentials', async () => {
      await start();
      const { body } = await server.token({ grant_type: 'client_credentials', scope: 'orders:read' });
      expect(await introspect(body.access_token)).toMatchObject({
        active: true,
        client_id: 'app',
        scope: 'orders:read',
      });
      await server.post('/token/revocation', { token: body.access_token }, asApp);
      expect(await active(body.access_token)).toBe(false);
    });

    it('no token outlives the consent', async () => {
      await start({ ttl: { Grant: 100, AccessToken: 3600, RefreshToken: 3600 } });
      const tokens = await server.logIn();
      const inspection = await inspectAccessToken(all.tokens, tokens.access_token);
      expect(inspection.active && inspection.expiresAt - Date.now() / 1000).toBeLessThanOrEqual(100);
    });

    it('a Grant that the provider destroys takes its tokens along', async () => {
      await start();
      const { access_token } = await server.logIn();
      const inspection = await inspectAccessToken(all.tokens, access_token);
      const grant = await server.provider.Grant.find(String(inspection.active && inspection.authorization.consentId));
      await grant?.destroy();
      expect(await active(access_token)).toBe(false);
    });
  });

  describe('a code', () => {
    it('of twenty concurrent redemptions exactly one is answered, and what it gave is revoked', async () => {
      await start();
      const code = await server.authorize();
      const answers = await times(20, () => server.token(exchangeOf(code)));
      const winners = answers.filter(won);
      expect(winners).toHaveLength(1);
      for (const { status, body } of answers.filter((answer) => answer !== winners[0])) {
        expect([status, body.error]).toEqual([400, 'invalid_grant']);
      }
      expect(await active(String(winners[0]?.body.access_token))).toBe(false);
      expect(await active(String(winners[0]?.body.refresh_token))).toBe(false);
    });

    it('replayed later ends its grant, and no other of the same consent', async () => {
      await start();
      const code = await server.authorize();
      const { body } = await server.token(exchangeOf(code));
      const { location } = await server.browse(
        `/auth?${new URLSearchParams({ client_id: 'app', response_type: 'code', redirect_uri: redirectUri, scope: 'openid', ...pkce })}`,
      );
      const other = await server.token(exchangeOf(String(location.searchParams.get('code'))));
      const consents = await Promise.all(
        [body, other.body].map(async ({ access_token }) => {
          const inspection = await inspectAccessToken(all.tokens, access_token);
          return inspection.active && inspection.authorization.consentId;
        }),
      );
      expect(consents[0]).toBe(consents[1]);
      expect((await server.token(exchangeOf(code))).body.error).toBe('invalid_grant');
      expect(await active(body.access_token)).toBe(false);
      expect(await active(body.refresh_token)).toBe(false);
      expect(await active(other.body.access_token)).toBe(true);
    });

    it('is not used up by a request that is refused before', async () => {
      await start();
      const code = await server.authorize();
      expect((await server.token({ ...exchangeOf(code), code_verifier: 'x'.repeat(43) })).body.error).toBe(
        'invalid_grant',
      );
      expect((await server.token({ ...exchangeOf(code), client_id: 'spa' }, {})).body.error).toBe('invalid_grant');
      expect((await server.token(exchangeOf(code))).status).toBe(200);
    });

    it('gives nothing once its subject was revoked', async () => {
      await start();
      const code = await server.authorize();
      await new Promise((resolve) => setTimeout(resolve, 2));
      await all.tokens.store.revokeBy({ subject: 'alice' }, { nowMs: Date.now(), retainUntil: 4e9 });
      expect((await server.token(exchangeOf(code))).body.error).toBe('invalid_grant');
    });
  });

  describe('a refresh', () => {
    it('of twenty concurrent ones with one token all get the same pair, and one chain lives', async () => {
      await start();
      const first = await server.logIn();
      const answers = await times(20, () => server.token(refreshOf(first.refresh_token)));
      expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200));
      const pairs = new Set(answers.map(({ body }) => `${body.access_token} ${body.refresh_token}`));
      expect(pairs.size).toBe(1);
      const inspection = await inspectAccessToken(all.tokens, String(answers[0]?.body.access_token));
      if (!inspection.active) throw new Error(inspection.reason);
      expect((await all.tokens.store.listAccess(inspection.grantId, { limit: 10 })).tokens).toHaveLength(2);
      expect((await server.token(refreshOf(String(answers[0]?.body.refresh_token)))).status).toBe(200);
    });

    it('repeated inside the grace window gets the first answer with the seconds that are left', async () => {
      await start();
      const first = await server.logIn({ scope: 'openid offline_access orders:read orders:write' });
      const { body: narrowed } = await server.token(refreshOf(first.refresh_token, { scope: 'orders:read' }));
      all.advance(9);
      const { body: again } = await server.token(refreshOf(first.refresh_token));
      expect(again).toMatchObject({
        access_token: narrowed.access_token,
        refresh_token: narrowed.refresh_token,
        scope: 'orders:read',
        token_type: 'Bearer',
      });
      expect(again.expires_in).toBe(narrowed.expires_in - 9);
      expect(again.id_token).toBeDefined();
    });

    it('repeated after the grace window is refused and ends the grant', async () => {
      await start();
      const first = await server.logIn();
      const { body } = await server.token(refreshOf(first.refresh_token));
      all.advance(10);
      expect(await server.token(refreshOf(first.refresh_token))).toEqual({
        status: 400,
        body: { error: 'invalid_grant', error_description: 'grant request is invalid' },
      });
      expect(await active(body.access_token)).toBe(false);
      expect((await server.token(refreshOf(body.refresh_token))).body.error).toBe('invalid_grant');
    });

    it('with an older generation is refused and ends the grant, inside the window too', async () => {
      await start();
      const first = await server.logIn();
      const second = await server.token(refreshOf(first.refresh_token));
      const third = await server.token(refreshOf(second.body.refresh_token));
      expect((await server.token(refreshOf(first.refresh_token))).body.error).toBe('invalid_grant');
      expect(await active(third.body.access_token)).toBe(false);
    });

    it('that the provider refuses leaves the token as it was', async () => {
      let known = true;
      await start({
        findAccount: (_ctx, accountId) =>
          known ? { accountId, claims: async () => ({ sub: accountId }) } : (undefined as never),
      });
      const first = await server.logIn();
      known = false;
      expect((await server.token(refreshOf(first.refresh_token))).body.error).toBe('invalid_grant');
      known = true;
      expect((await server.token(refreshOf(first.refresh_token, { scope: 'unheard-of' }))).body.error).toBe(
        'invalid_scope',
      );
      expect((await server.token(refreshOf(first.refresh_token), { authorization: 'Basic eDp5' })).status).toBe(401);
      expect((await server.token(refreshOf(first.refresh_token))).status).toBe(200);
    });

    it('that fails while its answer is made leaves the token as it was', async () => {
      let fails = false;
      const claims = async () => {
        if (fails) throw new Error('the directory is away');
        return { sub: 'alice' };
      };
      await start({ findAccount: (_ctx, accountId) => ({ accountId, claims }) });
      const first = await server.logIn();
      fails = true;
      expect((await server.token(refreshOf(first.refresh_token))).status).toBe(500);
      fails = false;
      all.advance(60); // no retry: the token has not been used
      expect((await server.token(refreshOf(first.refresh_token))).status).toBe(200);
    });

    it('that the store cannot carry out is a server error, and the token is as good as before', async () => {
      await start();
      const first = await server.logIn();
      const { rotate } = engine.accessTokens;
      engine.accessTokens.rotate = async () => {
        throw new StoreError('unavailable', 'the engine is away');
      };
      try {
        expect(await server.token(refreshOf(first.refresh_token))).toMatchObject({
          status: 500,
          body: { error: 'server_error' },
        });
      } finally {
        engine.accessTokens.rotate = rotate;
      }
      expect(errors).toEqual([expect.objectContaining({ code: 'unavailable' })]);
      expect((await server.token(refreshOf(first.refresh_token))).status).toBe(200);
    });

    it('keeps its token where the provider is set so', async () => {
      await start({ rotateRefreshToken: false });
      const first = await server.logIn();
      const answers = await times(5, () => server.token(refreshOf(first.refresh_token)));
      expect(new Set(answers.map(({ body }) => body.refresh_token))).toEqual(new Set([first.refresh_token]));
      expect(new Set(answers.map(({ body }) => body.access_token)).size).toBe(5);
      for (const { body } of answers) expect(await active(body.access_token)).toBe(true);
    });

    it('follows the rotation policy, which sees the true age of a rotated token', async () => {
      await start({ rotateRefreshToken: (ctx) => (ctx.oidc.entities.RefreshToken?.ttlPercentagePassed() ?? 100) < 50 });
      const first = await server.logIn();
      all.advance(100);
      const second = await server.token(refreshOf(first.refresh_token));
      expect(second.body.refresh_token).not.toBe(first.refresh_token);
      const found = await server.provider.RefreshToken.find(second.body.refresh_token);
      expect(found?.iat).toBeGreaterThan(Date.now() / 1000 + 90);
    });

    it('keeps a token alive that would be idle without', async () => {
      all = storesOf(engine, { idleExpiresIn: 60 });
      await start({ rotateRefreshToken: false });
      const { refresh_token } = await server.logIn();
      for (const seconds of [50, 50]) {
        all.advance(seconds);
        expect((await server.token(refreshOf(refresh_token))).status).toBe(200);
      }
      all.advance(60);
      expect((await server.token(refreshOf(refresh_token))).body.error).toBe('invalid_grant');
    });

    it('gives a retry the same JWT access token', async () => {
      await start();
      const first = await server.logIn({ resource: 'urn:jwt', scope: 'offline_access orders:read' });
      expect(first.access_token.split('.')).toHaveLength(3);
      const second = await server.token(refreshOf(first.refresh_token));
      expect(second.body.access_token.split('.')).toHaveLength(3);
      expect(second.body.access_token).not.toBe(first.access_token);
      const again = await server.token(refreshOf(first.refresh_token));
      expect(again.body.access_token).toBe(second.body.access_token);
      expect(again.body.refresh_token).toBe(second.body.refresh_token);
    });

    it('keeps resource indicators', async () => {
      await start();
      const first = await server.logIn({ resource: 'urn:opaque', scope: 'offline_access orders:read' });
      expect(await introspect(first.access_token)).toMatchObject({
        active: true,
        aud: 'urn:opaque',
        scope: 'orders:read',
      });
      const second = await server.token(refreshOf(first.refresh_token, { resource: 'urn:opaque' }));
      expect(await introspect(second.body.access_token)).toMatchObject({ aud: 'urn:opaque', scope: 'orders:read' });
      const elsewhere = await server.token(refreshOf(second.body.refresh_token, { resource: 'urn:jwt' }));
      expect(elsewhere.body.error).toBe('invalid_target');
    });

    it("of a public client is bound to the client's key, and so is a retry", async () => {
      await start();
      const config = await openid.discovery(new URL(server.issuer), 'spa', {}, openid.None(), {
        execute: [openid.allowInsecureRequests],
      });
      const own = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair('ES256'));
      const stranger = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair('ES256'));
      const { location } = await server.browse(
        openid.buildAuthorizationUrl(config, {
          redirect_uri: redirectUri,
          scope: 'openid offline_access',
          prompt: 'consent',
          ...pkce,
        }),
      );
      const checks = { pkceCodeVerifier: verifier };
      const first = await openid.authorizationCodeGrant(config, location, checks, undefined, { DPoP: own });
      const refresh = (DPoP: typeof own) =>
        openid.refreshTokenGrant(config, String(first.refresh_token), undefined, { DPoP });
      const inspection = await inspectAccessToken(all.tokens, first.access_token);
      expect(inspection).toMatchObject({
        tokenType: 'DPoP',
        authorization: { confirmation: { jkt: expect.any(String) } },
      });
      await expect(refresh(stranger)).rejects.toThrow();
      const second = await refresh(own);
      await expect(refresh(stranger)).rejects.toThrow();
      const again = await refresh(own);
      expect(again.access_token).toBe(second.access_token);
      expect(again.refresh_token).toBe(second.refresh_token);
    });
  });

  describe('what the provider keeps beside tokens', () => {
    it('a device code: pending, approved by its user code, redeemed by one of twenty polls', async () => {
      await start();
      const { approve, poll } = await server.startDevice();
      expect((await poll()).body.error).toBe('authorization_pending');
      expect(await approve()).toBe(200);
      const answers = await times(20, poll);
      const winners = answers.filter(won);
      expect(winners).toHaveLength(1);
      expect(await active(String(winners[0]?.body.access_token))).toBe(false);
    });

    it('a device code that was approved before its subject was revoked gives nothing', async () => {
      await start();
      const { approve, poll } = await server.startDevice();
      await approve();
      await new Promise((resolve) => setTimeout(resolve, 2));
      await all.tokens.store.revokeBy({ subject: 'alice' }, { nowMs: Date.now(), retainUntil: 4e9 });
      expect((await poll()).body.error).toBe('invalid_grant');
    });

    it('a pushed authorization request is used once', async () => {
      await start();
      const url = `/auth?${new URLSearchParams({ client_id: 'app', request_uri: await server.push() })}`;
      const first = await server.browse(url);
      expect(first.location.searchParams.get('code')).toHaveLength(30);
      const second = await server.browse(url);
      expect(second.location.searchParams.get('code')).toBeNull();
    });

    it('a client that registered itself, found again with its secret', async () => {
      await start();
      const registered = await server.register();
      const credentials = Buffer.from(`${registered.client_id}:${registered.client_secret}`).toString('base64');
      const answer = await server.token(
        { grant_type: 'client_credentials' },
        { authorization: `Basic ${credentials}` },
      );
      expect(answer.status).toBe(200);
    });

    it('of twenty concurrent uses of one jti one passes', async () => {
      await start();
      const jti = randomUUID();
      const uses = await Promise.allSettled(
        Array.from({ length: 20 }, () =>
          server.provider.ReplayDetection.unique('issuer', jti, Math.floor(Date.now() / 1000) + 60),
        ),
      );
      expect(uses.filter((use) => use.status === 'fulfilled' && use.value)).toHaveLength(1);
    });
  });

  it('a grant type of its own may look a refresh token up and make several access tokens', async () => {
    await start({
      async customHandler(ctx) {
        const { client, params, provider } = ctx.oidc;
        const subject = await provider.RefreshToken.find(String(params.subject_token));
        if (!subject || subject.consumed) throw new Error('not a refresh token that can be used');
        const { accountId, grantId = '' } = subject;
        const make = () =>
          new provider.AccessToken({ client, accountId, grantId, gty: 'custom', scope: 'orders:read' }).save();
        ctx.body = { access_token: await make(), second: await make() };
      },
    });
    const { refresh_token } = await server.logIn();
    const exchange = () => server.token({ grant_type: customGrant, subject_token: refresh_token });
    const { body } = await exchange();
    for (const token of [body.access_token, (body as unknown as { second: string }).second]) {
      expect(await introspect(token)).toMatchObject({ active: true, scope: 'orders:read', sub: 'alice' });
    }
    await server.token(refreshOf(refresh_token));
    expect((await exchange()).status).toBe(500);
  });

  it('a store is handed no value that anybody could present', async () => {
    const handed: Buffer[] = [];
    const write = (value: unknown): void => {
      if (value instanceof Uint8Array) handed.push(Buffer.from(value));
      else if (typeof value === 'object' && value !== null) for (const part of Object.values(value)) write(part);
      else handed.push(Buffer.from(`${value} `));
    };
    all = storesOf(watched(engine, (_operation, values) => write(values)));
    await start();
    const first = await server.logIn();
    const second = await server.token(refreshOf(first.refresh_token));
    await introspect(second.body.access_token);
    await server.browse('/auth?client_id=app&response_type=code&scope=openid'); // finds the session again
    const { approve, poll } = await server.startDevice();
    await approve();
    await poll();
    await server.push();
    await server.register();
    await server.post('/token/revocation', { token: second.body.refresh_token }, asApp);

    expect(errors).toEqual([]);
    expect(server.secrets.size).toBeGreaterThan(15);
    const everything = Buffer.concat(handed);
    expect(everything.includes('alice')).toBe(true);
    expect([...server.secrets].filter((secret) => everything.includes(secret))).toEqual([]);
  });

  it('a request costs so many round trips', async () => {
    const asked: string[] = [];
    all = storesOf(watched(engine, (operation) => asked.push(operation)));
    await start();
    const during = async <T>(work: Promise<T>): Promise<[T, string[]]> => {
      asked.length = 0;
      return [await work, [...asked]];
    };
    const [{ body }, exchange] = await during(server.token(exchangeOf(await server.authorize())));
    expect(exchange).toEqual([
      'authorizationCodes.find',
      'artifacts.find',
      'authorizationCodes.redeem',
      'accessTokens.persist',
    ]);
    const [, introspection] = await during(introspect(body.access_token));
    expect(introspection).toEqual(['accessTokens.findAccess', 'artifacts.find']);
    const [, refresh] = await during(server.token(refreshOf(body.refresh_token)));
    expect(refresh).toEqual(['accessTokens.findRefresh', 'artifacts.find', 'accessTokens.rotate']);
    const [, credentials] = await during(server.token({ grant_type: 'client_credentials' }));
    expect(credentials).toEqual(['accessTokens.persist']);
    const [, sprayed] = await during(introspect(`${body.access_token.slice(0, -1)}!`));
    expect(sprayed).toEqual([]);
  });

  describe('without install', () => {
    it('a store that takes its own values only refuses those of the provider', async () => {
      await start({ installed: false });
      await expect(server.authorize()).rejects.toThrow();
      expect(errors).toEqual([
        expect.objectContaining({ message: expect.stringContaining('adapter.install(provider)') }),
      ]);
    });

    it('one of twenty redemptions and one of twenty refreshes is answered, and a reuse ends the consent', async () => {
      all = storesOf(engine, { foreign: true });
      await start({ installed: false });
      const code = await server.authorize();
      expect((await times(20, () => server.token(exchangeOf(code)))).filter(won)).toHaveLength(1);
      const first = await server.logIn();
      const answers = await times(20, () => server.token(refreshOf(first.refresh_token)));
      expect(answers.filter(won).length).toBeLessThanOrEqual(1);
      const { body } = await server.token(refreshOf((await server.logIn()).refresh_token));
      const { body: last } = await server.token(refreshOf(body.refresh_token));
      expect(await introspect(last.access_token)).toMatchObject({ active: true });
      expect((await server.token(refreshOf(body.refresh_token))).body.error).toBe('invalid_grant');
      expect(await introspect(last.access_token)).toEqual({ active: false });
    });
  });
});

const won = ({ status }: TokenResponse) => status === 200;

/** The engine; whoever watches is told of each operation and what it is handed. */
function watched(engine: Engine, watch: (operation: string, values: unknown[]) => void): Engine {
  const stores = ['accessTokens', 'authorizationCodes', 'artifacts'] as const;
  const proxies = stores.map((name) => [
    name,
    new Proxy(engine[name], {
      get(store, operation) {
        const original = Reflect.get(store, operation) as (...values: unknown[]) => unknown;
        return (...values: unknown[]) => {
          watch(`${name}.${String(operation)}`, values);
          return original.apply(store, values);
        };
      },
    }),
  ]);
  return { ...engine, ...Object.fromEntries(proxies) };
}
