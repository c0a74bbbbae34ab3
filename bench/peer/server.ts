/** oidc-provider with the adapter beside this file. Told a number, it makes so many codes, as a consent would have. */
import { generateKeyPairSync } from 'node:crypto';
import Provider from 'oidc-provider';
import pg from 'pg';
import { serve } from '../http/serve.ts';
import { adapterOver } from './adapter.ts';

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 8, idleTimeoutMillis: 0 });
pool.on('error', () => {});
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const redirectUri = 'https://app.example/callback';
const scope = 'orders:read offline_access';

const provider = new Provider('http://127.0.0.1', {
  adapter: adapterOver(pool),
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256' }] },
  cookies: { keys: ['not used here'] },
  clients: [
    {
      ...{ client_id: 'app', client_secret: 'app-secret', redirect_uris: [redirectUri], scope },
      grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
    },
    { client_id: 'api', client_secret: 'api-secret', redirect_uris: [], response_types: [], grant_types: [] },
  ],
  clientDefaults: { id_token_signed_response_alg: 'ES256' },
  scopes: ['openid', 'offline_access', 'orders:read'],
  findAccount: (_, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
  rotateRefreshToken: true,
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
  },
  ttl: { AccessToken: 3600, ClientCredentials: 3600, RefreshToken: 43_200, AuthorizationCode: 600, Grant: 43_200 },
});

async function createCode(subject: string, codeChallenge: string): Promise<string> {
  const client = await provider.Client.find('app');
  if (!client) throw new Error('the client is missing');
  const grant = new provider.Grant({ accountId: subject, clientId: client.clientId });
  grant.addOIDCScope(scope);
  const grantId = await grant.save();
  const code = new provider.AuthorizationCode({
    ...{ accountId: subject, client, grantId, scope, redirectUri, codeChallenge, codeChallengeMethod: 'S256' },
    ...{ gty: 'authorization_code', authTime: Math.floor(Date.now() / 1000) },
  });
  return code.save();
}

process.on('message', async ({ subjects, codeChallenge }: { subjects: string[]; codeChallenge: string }) => {
  const codes: string[] = [];
  for (const subject of subjects) codes.push(await createCode(subject, codeChallenge));
  process.send?.(codes);
});
serve(provider.callback());
