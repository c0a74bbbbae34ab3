import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { secretDigest } from '../../functions/domain/clients.ts';

/** A client or resource server with a secret, or with a key that signs. */
export const secrets = { shop: randomBytes(32).toString('base64url'), api: randomBytes(32).toString('base64url') };
export const signer = generateKeyPairSync('ec', { namedCurve: 'P-256' });

export const issuer = 'https://issuer.example';

/** An example's configuration, with clients, an issuer and scopes of the protected API. */
export const configurationOf = (example: string) => ({
  ...JSON.parse(readFileSync(new URL(`../../examples/${example}/oauth-stores.json`, import.meta.url), 'utf8')),
  issuer,
  // Twenty functions that start at once on two processors take their time.
  issuing: { refreshToken: { graceSeconds: 120 } },
  authorizer: { realm: 'orders', scopes: { 'GET /orders': ['orders:read'], 'POST /orders': ['orders:write'] } },
  clients: {
    shop: { secretDigests: [secretDigest(secrets.shop)], applicationId: 'orders' },
    api: { secretDigests: [secretDigest(secrets.api)], mayIntrospect: true },
    signer: {
      tokenEndpointAuthMethod: 'private_key_jwt',
      mayIntrospect: true,
      jwks: { keys: [{ ...signer.publicKey.export({ format: 'jwk' }), alg: 'ES256' }] },
    },
  },
});
