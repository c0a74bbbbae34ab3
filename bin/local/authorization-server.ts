import { type ClientMetadata, errors, type KoaContextWithOIDC, default as Provider } from 'oidc-provider';
import { createAdapter } from '../../adapters/oidc-provider.ts';
import { type Client, secretMatches } from '../../functions/domain/clients.ts';
import { failureFields } from '../../functions/log.ts';
import type { Runtime } from '../../functions/runtime.ts';
import type { DataDirectory } from './data-directory.ts';
import { interactionPath } from './interactions.ts';
import { errorPage } from './pages.ts';
import type { LocalDeployment } from './routes.ts';

const DAY = 86_400;
const YEAR = 365 * DAY;

const GRANT_TYPES = ['authorization_code', 'refresh_token', 'client_credentials'];

/**
 * oidc-provider over the configured stores and clients. Introspection and revocation are the functions' own.
 *
 * @throws {Error} a client, or a setting, that it cannot work with
 */
export async function createAuthorizationServer(
  issuer: string,
  { configuration, clients, stores, log }: Runtime,
  { users, protectedPaths, ...storeNames }: LocalDeployment,
  { signingKeys, cookieKeys }: Pick<DataDirectory, 'signingKeys' | 'cookieKeys'>,
): Promise<Provider> {
  const { issuing } = configuration;
  const { expiresIn, absoluteExpiresIn, choice } = issuing.refreshToken;
  if (choice === 'none')
    throw new Error('npm start: issuing.refreshToken.choice is none; accepted here: new or preserve');
  const registered = Object.entries(configuration.clients).map(([clientId, client]) => ({ clientId, ...client }));
  const authentication = ['client_secret_basic', 'client_secret_post', 'private_key_jwt'] as const;
  const adapter = createAdapter(stores, storeNames);

  const provider = new Provider(issuer, {
    adapter,
    clients: registered.filter(isServed).map(metadataOf),
    jwks: signingKeys,
    cookies: { keys: cookieKeys },
    routes: {
      authorization: '/authorize',
      token: '/token',
      userinfo: '/userinfo',
      pushed_authorization_request: '/par',
    },
    discovery: {
      introspection_endpoint: `${issuer}/introspect`,
      introspection_endpoint_auth_methods_supported: authentication,
      revocation_endpoint: `${issuer}/revoke`,
      revocation_endpoint_auth_methods_supported: [...authentication, 'none'],
    },
    scopes: [...new Set(['openid', 'offline_access', ...registered.flatMap(({ scopes }) => scopes)])],
    responseTypes: ['code'],
    clientAuthMethods: [...authentication, 'none'],
    // No algorithm that is keyed with a client's secret: only its digest is known.
    enabledJWA: {
      idTokenSigningAlgValues: ['RS256'],
      clientAuthSigningAlgValues: ['RS256', 'PS256', 'ES256', 'EdDSA'],
    },
    features: {
      devInteractions: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo(_ctx, resource) {
          const scopes = protectedPaths[resource.slice(issuer.length)];
          if (!scopes || !resource.startsWith(issuer)) throw new errors.InvalidTarget();
          return { scope: scopes.join(' '), audience: resource, accessTokenFormat: 'opaque' };
        },
        useGrantedResource: () => true,
      },
    },
    interactions: { url: (_ctx, { uid }) => interactionPath(uid) },
    findAccount: (_ctx, accountId) =>
      users[accountId] ? { accountId, claims: () => ({ sub: accountId }) } : undefined,
    clientBasedCORS: (_ctx, origin, { redirectUris = [] }) =>
      redirectUris.some((uri) => new URL(uri).origin === origin),
    rotateRefreshToken: () => choice !== 'preserve',
    ttl: {
      AuthorizationCode: issuing.authorizationCode.expiresIn,
      AccessToken: issuing.accessToken.expiresIn,
      ClientCredentials: issuing.accessToken.expiresIn,
      IdToken: issuing.accessToken.expiresIn,
      RefreshToken: expiresIn,
      Grant: absoluteExpiresIn ?? YEAR,
      Session: DAY,
      Interaction: DAY / 24,
    },
    renderError(ctx, { error, error_description }) {
      const { headers, body } = errorPage(error, error_description);
      ctx.set(headers);
      ctx.body = body;
    },
  });

  adapter.install(provider);
  provider.use((ctx, next) => {
    // Offline access needs the user's consent (OpenID Connect Core §11). A request that does not ask for the prompt
    // would lose the scope without a word; here it gets the prompt.
    const { scope, prompt } = ctx.query;
    if (ctx.path === '/authorize' && prompt === undefined && String(scope).split(' ').includes('offline_access'))
      ctx.query = { ...ctx.query, prompt: 'consent' };
    return next();
  });
  provider.Client.prototype.compareClientSecret = async function (secret) {
    const client = await clients.find(this.clientId);
    return client !== undefined && secretMatches(client, secret);
  };

  const refused = (ctx: KoaContextWithOIDC, error: errors.OIDCProviderError) =>
    log('info', 'request refused', { route: ctx.oidc.route, error: error.error, detail: error.error_detail });
  provider.on('grant.error', refused);
  provider.on('authorization.error', refused);
  provider.on('server_error', (ctx, error) =>
    log('error', 'authorization server failed', { route: ctx.oidc?.route, ...failureFields(error) }),
  );
  const koa: NodeJS.EventEmitter = provider;
  koa.on('error', (error: unknown) => log('error', 'authorization server failed', failureFields(error)));
  // A client that the provider cannot work with is found now rather than by its first request.
  for (const { clientId } of registered.filter(isServed)) await provider.Client.find(clientId);
  return provider;
}

const isServed = ({ enabled, grantTypes }: Client) => enabled && grantTypes.some((type) => GRANT_TYPES.includes(type));

const metadataOf = (client: Client): ClientMetadata => ({
  client_id: client.clientId,
  application_type: client.redirectUris.every((uri) => /^https?:/.test(uri)) ? 'web' : 'native',
  token_endpoint_auth_method: client.tokenEndpointAuthMethod,
  // The provider insists on a secret; the digests stand in for it, and compareClientSecret compares with them.
  ...(client.secretDigests && { client_secret: client.secretDigests.join() }),
  ...(client.jwks && { jwks: client.jwks as NonNullable<ClientMetadata['jwks']> }),
  redirect_uris: [...client.redirectUris],
  grant_types: client.grantTypes.filter((type) => GRANT_TYPES.includes(type)),
  response_types: client.grantTypes.includes('authorization_code') ? ['code'] : [],
  // The provider takes an empty list for no limit.
  scope: client.scopes.join(' ') || 'openid',
});
