import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import Provider, { type Configuration } from 'oidc-provider';
import { createAdapter } from '../../adapters/oidc-provider.ts';
import type { Issuing, TokenDeployment } from '../../functions/domain/issuing.ts';
import { createKeyring } from '../../functions/domain/keyring.ts';
import type { Engine } from '../../functions/domain/ports.ts';
import { createCodec } from '../../functions/domain/records.ts';

const testKeyring = createKeyring([{ generation: 3, secret: randomBytes(32) }]);

const issuing: Issuing = {
  accessToken: { expiresIn: 3600, length: 54, type: 'Bearer' },
  refreshToken: { expiresIn: 43_200, length: 46, choice: 'new', graceSeconds: 10 },
  authorizationCode: { expiresIn: 600, length: 30 },
};

export interface TestStores {
  readonly tokens: TokenDeployment;
  readonly stores: Parameters<typeof createAdapter>[0];
  /** Moves the stores' clock, which runs with the system's. */
  advance(seconds: number): void;
}

/** The stores of an engine, as a configuration would open them. */
export function storesOf(
  engine: Engine,
  { foreign = false, keyring = testKeyring, idleExpiresIn = undefined as number | undefined } = {},
): TestStores {
  let aheadMs = 0;
  const shared = {
    recognition: { keyring, algorithm: 'SHA-256' as const, foreign },
    codec: createCodec(keyring, false),
    issuing: { ...issuing, refreshToken: { ...issuing.refreshToken, ...(idleExpiresIn && { idleExpiresIn }) } },
    clock: () => Date.now() + aheadMs,
  };
  const tokens = { ...shared, store: engine.accessTokens };
  return {
    tokens,
    stores: {
      tokens: () => tokens,
      codes: () => ({ ...shared, store: engine.authorizationCodes }),
      artifactStore: () => engine.artifacts,
    },
    advance: (seconds) => {
      aheadMs += seconds * 1000;
    },
  };
}

const signingKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
export const redirectUri = 'http://127.0.0.1:9999/callback';
export const customGrant = 'urn:test:custom';
const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code';

const client = {
  redirect_uris: [redirectUri],
  response_types: ['code' as const],
  grant_types: ['authorization_code', 'refresh_token', 'client_credentials', deviceGrant, customGrant],
  id_token_signed_response_alg: 'ES256' as const,
  scope: 'openid offline_access orders:read orders:write',
};

const configuration: Configuration = {
  jwks: { keys: [{ ...signingKey, kid: 'test', use: 'sig', alg: 'ES256' }] },
  cookies: { keys: ['cookies are signed with this'] },
  clients: [
    { ...client, client_id: 'app', client_secret: 'app-secret' },
    { ...client, client_id: 'spa', token_endpoint_auth_method: 'none', grant_types: client.grant_types.slice(0, 2) },
    { client_id: 'api', client_secret: 'api-secret', redirect_uris: [], response_types: [], grant_types: [] },
  ],
  scopes: ['openid', 'offline_access', 'orders:read', 'orders:write'],
  clientDefaults: { id_token_signed_response_alg: 'ES256' },
  findAccount: (_ctx, accountId) => ({ accountId, claims: async () => ({ sub: accountId }) }),
  rotateRefreshToken: true,
  interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    deviceFlow: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    registration: { enabled: true, initialAccessToken: true },
    pushedAuthorizationRequests: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined as unknown as string,
      getResourceServerInfo: (_ctx, resource) => ({
        scope: 'orders:read orders:write',
        audience: resource,
        accessTokenFormat: resource === 'urn:jwt' ? 'jwt' : 'opaque',
        ...(resource === 'urn:jwt' && { jwt: { sign: { alg: 'ES256' } } }),
      }),
    },
  },
  ttl: {
    AccessToken: 3600,
    RefreshToken: 43_200,
    AuthorizationCode: 600,
    Grant: 86_400,
    Session: 86_400,
    Interaction: 600,
  },
};

export interface TestServer {
  readonly issuer: string;
  readonly provider: Provider;
  /** Takes a new browser through login and consent, and gives the code that the client's redirect URI gets. */
  authorize(parameters?: Record<string, string>): Promise<string>;
  /** {@link authorize} and the exchange of the code. */
  logIn(parameters?: Record<string, string>, headers?: Record<string, string>): Promise<TokenResponse['body']>;
  /** A browser: follows redirects on this server, keeps its cookies, and stops at any other place. */
  browse(url: string | URL, init?: RequestInit): Promise<{ response: Response; location: URL }>;
  /** Posts a form to the token endpoint. */
  token(parameters: Record<string, string>, headers?: Record<string, string>): Promise<TokenResponse>;
  /** A device asks for codes; its user approves, and it polls. */
  startDevice(): Promise<{ approve(): Promise<number>; poll(): Promise<TokenResponse> }>;
  /** Pushes an authorization request and gives its `request_uri`. */
  push(): Promise<string>;
  /** Registers a new client and gives its metadata. */
  register(): Promise<Record<string, string>>;
  post(path: string, parameters: Record<string, string>, headers?: Record<string, string>): Promise<Response>;
  /** Every value that this server has given to a client or a browser and takes back as a proof. */
  readonly secrets: Set<string>;
  close(): Promise<void>;
}

export interface TokenResponse {
  readonly status: number;
  readonly body: Readonly<
    Record<'access_token' | 'refresh_token' | 'id_token' | 'scope' | 'token_type' | 'error', string>
  > & { readonly expires_in: number };
}

export const asApp = { authorization: `Basic ${Buffer.from('app:app-secret').toString('base64')}` };
export const asApi = { authorization: `Basic ${Buffer.from('api:api-secret').toString('base64')}` };

export const verifier = 'a-code-verifier-of-at-least-forty-three-characters';
export const pkce = {
  code_challenge: createHash('sha256').update(verifier).digest('base64url'),
  code_challenge_method: 'S256',
};

const json = async (response: Response) => (await response.json()) as Record<string, string>;

export const exchangeOf = (code: string) => ({
  grant_type: 'authorization_code',
  code,
  redirect_uri: redirectUri,
  code_verifier: verifier,
});

type Handler = Parameters<Provider['registerGrantType']>[1];

/** A provider over the stores, on a port of its own. */
export async function startServer(
  { stores }: TestStores,
  {
    installed = true,
    customHandler = () => {},
    ...overrides
  }: Configuration & { installed?: boolean; customHandler?: Handler } = {},
): Promise<TestServer> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const adapter = createAdapter(stores);
  const provider = new Provider(issuer, { ...configuration, ...overrides, adapter });
  provider.registerGrantType(customGrant, customHandler, 'subject_token');
  if (installed) adapter.install(provider);
  const handle = provider.callback();
  server.on('request', (req: IncomingMessage, res: ServerResponse) => {
    if (req.url?.startsWith('/interaction/')) void consent(provider, req, res);
    else void handle(req, res);
  });

  const secrets = new Set<string>();
  const cookies = new Map<string, string>();

  const browse: TestServer['browse'] = async (url, init) => {
    let location = new URL(url, issuer);
    for (let redirected = init; ; redirected = undefined) {
      const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
      const response = await fetch(location, {
        ...redirected,
        redirect: 'manual',
        headers: { ...redirected?.headers, cookie },
      });
      for (const line of response.headers.getSetCookie()) {
        const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
        cookies.set(name, value);
        if (value && !name.endsWith('.sig')) secrets.add(value);
      }
      const target = response.headers.get('location');
      if (!target) return { response, location };
      location = new URL(target, issuer);
      if (location.origin !== issuer) return { response, location };
    }
  };

  const post: TestServer['post'] = (path, parameters, headers = {}) =>
    fetch(new URL(path, issuer), { method: 'POST', headers, body: new URLSearchParams(parameters) });

  const authorize: TestServer['authorize'] = async (parameters = {}) => {
    cookies.clear();
    const query = {
      client_id: 'app',
      response_type: 'code',
      redirect_uri: redirectUri,
      prompt: 'consent',
      scope: 'openid offline_access orders:read orders:write',
      ...pkce,
    };
    const { location } = await browse(`/auth?${new URLSearchParams({ ...query, ...parameters })}`);
    const code = location.searchParams.get('code');
    if (!code) throw new Error(`no code: ${location.searchParams}`);
    secrets.add(code);
    return code;
  };

  const token: TestServer['token'] = async (parameters, headers = asApp) => {
    const response = await post('/token', parameters, headers);
    const body = (await response.json()) as TokenResponse['body'];
    for (const value of [body.access_token, body.refresh_token]) if (value) secrets.add(value);
    return { status: response.status, body };
  };

  const startDevice: TestServer['startDevice'] = async () => {
    const parameters = { client_id: 'app', scope: 'openid offline_access orders:read', prompt: 'consent' };
    const { device_code, user_code } = await json(await post('/device/auth', parameters, asApp));
    secrets.add(String(device_code)).add(String(user_code)).add(String(user_code).replace('-', ''));
    return {
      async approve() {
        const page = await browse(`/device?user_code=${user_code}`);
        const xsrf = /name="xsrf" value="([^"]+)"/.exec(await page.response.text())?.[1] ?? '';
        const body = new URLSearchParams({ xsrf, user_code: String(user_code), confirm: 'yes' });
        return (await browse('/device', { method: 'POST', body })).response.status;
      },
      poll: () => token({ grant_type: deviceGrant, device_code: String(device_code) }),
    };
  };

  const push: TestServer['push'] = async () => {
    const parameters = { client_id: 'app', response_type: 'code', redirect_uri: redirectUri, scope: 'openid', ...pkce };
    const { request_uri } = await json(await post('/request', parameters, asApp));
    secrets.add(String(request_uri?.split(':').at(-1)));
    return String(request_uri);
  };

  const register: TestServer['register'] = async () => {
    const initial = await new provider.InitialAccessToken({}).save();
    const response = await fetch(new URL('/reg', issuer), {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${initial}` },
      body: JSON.stringify({ redirect_uris: [], response_types: [], grant_types: ['client_credentials'] }),
    });
    const metadata = await json(response);
    secrets.add(initial).add(String(metadata.client_secret)).add(String(metadata.registration_access_token));
    return metadata;
  };

  return {
    ...{ issuer, provider, secrets, browse, post, authorize, token, startDevice, push, register },
    async logIn(parameters = {}, headers = asApp) {
      const code = await authorize(parameters);
      const { status, body } = await token(
        { ...exchangeOf(code), ...(parameters.client_id && { client_id: parameters.client_id }) },
        headers,
      );
      if (status !== 200) throw new Error(`no tokens: ${JSON.stringify(body)}`);
      return body;
    },
    async close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Everybody is alice, and agrees to everything. */
async function consent(provider: Provider, req: IncomingMessage, res: ServerResponse) {
  const { params, grantId } = await provider.interactionDetails(req, res);
  const clientId = String(params.client_id);
  const known = grantId === undefined ? undefined : await provider.Grant.find(grantId);
  const grant = known ?? new provider.Grant({ accountId: 'alice', clientId });
  grant.addOIDCScope(String(params.scope));
  for (const resource of [params.resource ?? []].flat()) grant.addResourceScope(String(resource), String(params.scope));
  const result = { login: { accountId: 'alice' }, consent: { grantId: await grant.save() } };
  await provider.interactionFinished(req, res, result, { mergeWithLastSubmission: false });
}
