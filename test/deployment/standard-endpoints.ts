import { createPrivateKey, randomUUID } from 'node:crypto';
import { SignJWT } from 'jose';
import { ClientSecretBasic, Configuration, PrivateKeyJwt, tokenIntrospection, tokenRevocation } from 'openid-client';
import { describe, expect, it } from 'vitest';
import { issuer, secrets, signer } from './configuration.ts';
import type { Deployment } from './deployment.ts';
import { issueTokens } from './store-functions.ts';

/** A client of another maker, as it would be set up against the deployment. */
const clientOf = ({ url }: Deployment, id: 'shop' | 'api', secret = secrets[id]) =>
  new Configuration(endpoints(url), id, {}, ClientSecretBasic(secret));

const endpoints = (url: string) => ({
  issuer,
  introspection_endpoint: `${url}/introspect`,
  revocation_endpoint: `${url}/revoke`,
});

/** An assertion of the client `signer` (RFC 7523 §3) that lives so many seconds. */
export const assertion = (lifetimeSeconds: number): Promise<string> => {
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({ jti: randomUUID() })
    .setProtectedHeader({ alg: 'ES256' })
    .setIssuer('signer')
    .setSubject('signer')
    .setAudience(issuer)
    .setIssuedAt(now)
    .setExpirationTime(now + lifetimeSeconds)
    .sign(createPrivateKey(signer.privateKey.export({ format: 'pem', type: 'pkcs8' })));
};

/** Introspection by a client that proves itself with this assertion. */
export const introspectBy = ({ url }: Deployment, signed: string, token: string): Promise<Response> =>
  fetch(`${url}/introspect`, {
    method: 'POST',
    body: new URLSearchParams({
      token,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: signed,
    }),
  });

export const standardEndpoints = (deployment: Deployment) =>
  describe('the standard endpoints', () => {
    it('a resource server learns what a token is good for, by secret or by signed assertion', async () => {
      const { access_token } = await issueTokens(deployment);
      const key = await crypto.subtle.importKey(
        'pkcs8',
        signer.privateKey.export({ format: 'der', type: 'pkcs8' }),
        { name: 'ECDSA', namedCurve: 'P-256' },
        false,
        ['sign'],
      );
      const signing = new Configuration(endpoints(deployment.url), 'signer', {}, PrivateKeyJwt(key));
      for (const client of [clientOf(deployment, 'api'), signing]) {
        expect(await tokenIntrospection(client, access_token)).toMatchObject({
          active: true,
          client_id: 'shop',
          sub: 'alice',
          scope: 'orders:read',
          iss: issuer,
        });
      }
    });

    it('an assertion counts once', async () => {
      const { access_token } = await issueTokens(deployment);
      const signed = await assertion(60);
      const answers = [
        await introspectBy(deployment, signed, access_token),
        await introspectBy(deployment, signed, access_token),
      ];
      expect(answers.map(({ status }) => status)).toEqual([200, 401]);
    });

    it('whoever fails to prove who it is learns nothing', async () => {
      const { access_token } = await issueTokens(deployment);
      const impostor = clientOf(deployment, 'api', secrets.shop);
      await expect(tokenIntrospection(impostor, access_token)).rejects.toMatchObject({
        status: 401,
        cause: [{ scheme: 'basic', parameters: { realm: 'orders' } }],
      });
    });

    it('a client revokes its refresh token, and the access tokens go with it', async () => {
      const { access_token, refresh_token } = await issueTokens(deployment);
      await tokenRevocation(clientOf(deployment, 'api'), refresh_token);
      expect(await tokenIntrospection(clientOf(deployment, 'api'), access_token)).toMatchObject({ active: true });
      await tokenRevocation(clientOf(deployment, 'shop'), refresh_token);
      expect(await tokenIntrospection(clientOf(deployment, 'api'), access_token)).toEqual({ active: false });
    });

    it('says what a token is good for to whoever holds it', async () => {
      const { access_token } = await issueTokens(deployment);
      const answer = await fetch(`${deployment.url}/tokeninfo?${new URLSearchParams({ access_token })}`);
      expect(answer.status).toBe(200);
      expect(await answer.json()).toMatchObject({ audience: 'shop', user_id: 'alice', scope: 'orders:read' });
      const { status } = await fetch(`${deployment.url}/tokeninfo?access_token=unknown`);
      expect(status).toBe(400);
    });
  });
