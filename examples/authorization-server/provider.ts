import type { fromEnvironment } from 'oauth2-stores';
import { createAdapter } from 'oauth2-stores/oidc-provider';
import Provider from 'oidc-provider';
import type { keysOf } from './secrets.ts';
import { signInPath } from './sign-in.ts';

const HOUR = 3600;

/** oidc-provider over the stores of the deployment, for the public clients of its configuration. */
export function createProvider(
  issuer: string,
  { configuration, stores }: Awaited<ReturnType<typeof fromEnvironment>>,
  { signingKey, cookieKey }: ReturnType<typeof keysOf>,
  userName: string,
): Provider {
  const { accessToken, authorizationCode, refreshToken } = configuration.issuing;
  const adapter = createAdapter(stores);
  const clients = Object.entries(configuration.clients);
  const provider = new Provider(issuer, {
    adapter,
    jwks: { keys: [signingKey] },
    cookies: { keys: [cookieKey] },
    clients: clients.map(([client_id, { redirectUris, grantTypes, scopes }]) => ({
      client_id,
      application_type: 'native', // its redirect URI is of the machine that it runs on (RFC 8252 §7.3)
      token_endpoint_auth_method: 'none',
      redirect_uris: [...redirectUris],
      grant_types: [...grantTypes],
      response_types: ['code'],
      scope: scopes.join(' '),
      id_token_signed_response_alg: 'ES256',
    })),
    scopes: [...new Set(clients.flatMap(([, { scopes }]) => scopes))],
    responseTypes: ['code'],
    clientAuthMethods: ['none'],
    enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
    features: {
      devInteractions: { enabled: false },
      revocation: { enabled: true, allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId },
    },
    interactions: { url: (_ctx, { uid }) => signInPath(uid) },
    findAccount: (_ctx, accountId) =>
      accountId === userName ? { accountId, claims: () => ({ sub: accountId }) } : undefined,
    issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    rotateRefreshToken: true,
    // As the stores have them.
    ttl: {
      AuthorizationCode: authorizationCode.expiresIn,
      AccessToken: accessToken.expiresIn,
      RefreshToken: refreshToken.expiresIn,
      IdToken: HOUR,
      Grant: 24 * HOUR,
      Session: 24 * HOUR,
      Interaction: HOUR,
    },
  });
  adapter.install(provider);
  return provider;
}
