import {
  allowInsecureRequests,
  clientCredentialsGrant,
  discovery,
  fetchProtectedResource,
  getDPoPHandle,
  randomDPoPKeyPair,
} from 'openid-client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  client,
  configurationFile,
  freePort,
  type LocalServer,
  newFolder,
  removeFolders,
  startServer,
} from './server.ts';

let server: LocalServer;
beforeAll(async () => {
  const OAUTH_STORES = configurationFile((configuration) => {
    Object.assign(configuration, { authorizer: { dpop: { nonceSeconds: 60 } } });
  });
  server = await startServer({ PORT: await freePort(), DATA_DIR: newFolder(), OAUTH_STORES });
});
afterAll(async () => {
  await server.stop();
  removeFolders();
});

it('an independent client uses a token that is bound to its key, and nobody else can', async () => {
  const options = { execute: [allowInsecureRequests] };
  const configuration = await discovery(new URL(server.url), client.id, client.secret, undefined, options);
  const handle = getDPoPHandle(configuration, await randomDPoPKeyPair('ES256'));
  const scope = 'orders:read';
  const { access_token, token_type } = await clientCredentialsGrant(configuration, { scope }, { DPoP: handle });
  expect(token_type).toBe('dpop');

  const url = new URL('/protected', server.url);
  const use = (DPoP = handle) =>
    fetchProtectedResource(configuration, access_token, url, 'GET', undefined, undefined, { DPoP });
  // The first proof has no nonce; the client makes another with the one that it is given.
  for (const _ of [1, 2]) expect(await (await use()).json()).toMatchObject({ by: client.id });

  await expect(use(getDPoPHandle(configuration, await randomDPoPKeyPair('ES256')))).rejects.toMatchObject({
    status: 401,
    cause: [{ scheme: 'dpop', parameters: { error: 'invalid_token' } }],
  });
  const bearer = await fetch(url, { headers: { authorization: `Bearer ${access_token}` } });
  expect(bearer.status).toBe(401);
  expect(bearer.headers.get('www-authenticate')).toMatch(/^Bearer .*error="invalid_token".*, DPoP .*algs="ES256 /);
});
