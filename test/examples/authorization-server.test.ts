import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import * as client from 'openid-client';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { authorizeAs } from '../../bin/demo/browser.ts';
import { bundling } from '../../examples/authorization-server/bundling.ts';
import { environment } from '../../functions/config/environment.ts';
import { createTable } from '../../functions/stores/dynamodb.ts';
import { httpEvent } from '../handlers/deployment.ts';
import { emulated, findServer } from '../stores/dynamodb-server.ts';

// The example's functions, bundled as they are deployed and told by their environment what a deployment tells them, between
// an HTTP server that turns requests into events as API Gateway does and an emulator of DynamoDB.

const root = fileURLToPath(new URL('../../', import.meta.url));
const example = join(root, 'examples/authorization-server');
const folder = mkdtempSync(join(tmpdir(), 'example-'));
const redirectUri = 'http://127.0.0.1:9999/callback';
const secrets: Record<string, string> = { keys: randomBytes(48).toString('base64'), password: 'a password' };

type Handler = (event: object, context: object) => Promise<Record<string, unknown>>;
const functions: Record<'authorizationServer' | 'authorizer' | 'orders', Handler> = {
  authorizationServer: never,
  authorizer: never,
  orders: never,
};
async function never(): Promise<never> {
  throw new Error('the bundle is not loaded yet');
}

const logged: string[] = [];
vi.spyOn(process.stdout, 'write').mockImplementation((line) => logged.push(String(line)) > 0);

const dynamodb = await findServer();
let issuer = '';

/** What API Gateway makes of a request, and of the function's answer. */
async function viaGateway(request: IncomingMessage, response: ServerResponse, handler: Handler, authorized = {}) {
  const url = new URL(request.url ?? '', issuer);
  const { cookie, ...headers } = request.headers as Record<string, string>;
  const body = await text(request);
  const event = httpEvent({
    method: request.method ?? '',
    path: url.pathname,
    query: url.search.slice(1),
    headers,
    ...(body && { body: Buffer.from(body).toString('base64'), isBase64Encoded: true }),
  });
  const { requestContext, ...parts } = { ...event, ...(cookie && { cookies: cookie.split('; ') }) };
  const answer = await handler({ ...parts, requestContext: { ...requestContext, ...authorized } }, {});
  const { statusCode = 200, headers: given = {}, cookies = [], body: content = JSON.stringify(answer) } = answer;
  response.writeHead(statusCode as number, { ...(given as object), 'set-cookie': cookies as string[] });
  response.end(content);
}

async function orders(request: IncomingMessage, response: ServerResponse) {
  const { authorization = '' } = request.headers;
  const event = httpEvent({ method: 'GET', path: '/orders', headers: { authorization } });
  const asked = { ...event, type: 'REQUEST', routeArn: 'arn', identitySource: [authorization] };
  const decision = await functions.authorizer(asked, {}).catch((error: Error) => error);
  if (decision instanceof Error) return response.writeHead(decision.message === 'Unauthorized' ? 401 : 500).end();
  if (!decision.isAuthorized) return response.writeHead(403).end();
  return viaGateway(request, response, functions.orders, { authorizer: { lambda: decision.context } });
}

const server = createServer((request, response) => {
  const respond = async () => {
    if (request.headers['x-amz-target'] !== undefined) {
      const { SecretId } = JSON.parse(await text(request));
      response.end(JSON.stringify({ SecretString: secrets[SecretId] }));
    } else if (request.url === '/orders') await orders(request, response);
    else await viaGateway(request, response, functions.authorizationServer);
  };
  respond().catch((error: unknown) => response.writeHead(500).end(String(error)));
});

beforeAll(async () => {
  if (dynamodb === undefined) return;
  await createTable({ ...emulated, tableName: 'example', endpoint: dynamodb });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  copyFileSync(join(example, 'oauth-stores.json'), join(folder, 'oauth-stores.json'));
  const { accessKeyId, secretAccessKey } = emulated.credentials;
  Object.assign(process.env, {
    [environment.configurationFile.variable]: join(folder, 'oauth-stores.json'),
    [environment.connections.variable]: JSON.stringify({
      caches: { table: { engine: 'dynamodb', tableName: 'example', endpoint: dynamodb, region: emulated.region } },
    }),
    [environment.keyring.variable]: JSON.stringify({ current: 0, keys: { 0: randomBytes(32).toString('base64url') } }),
    AWS_REGION: emulated.region,
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_ENDPOINT_URL: issuer,
    ISSUER: issuer,
    KEY_SECRET: 'keys',
    PASSWORD_SECRET: 'password',
    USER_NAME: 'alice',
  });
  await build({
    absWorkingDir: root,
    stdin: {
      resolveDir: root,
      contents: `
        export { handler as authorizationServer } from './examples/authorization-server/authorization-server.ts';
        export { handler as orders } from './examples/authorization-server/orders.ts';
        export { handler as authorizer } from './functions/handlers/authorizer.ts';`,
    },
    outfile: join(folder, 'functions.mjs'),
    bundle: true,
    format: 'esm',
    platform: 'node',
    ...bundling,
    banner: { js: bundling.banner },
    logLevel: 'error',
  });
  Object.assign(functions, await import(pathToFileURL(join(folder, 'functions.mjs')).href));
});

afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

const askOrders = async (token?: string) => {
  const response = await fetch(`${issuer}/orders`, { headers: token ? { authorization: `Bearer ${token}` } : {} });
  return { status: response.status, body: response.ok ? await response.json() : undefined };
};

it.skipIf(dynamodb === undefined)('a user signs in, the client gets orders, refreshes, and revokes', async () => {
  const configuration = await client.discovery(new URL(issuer), 'example-app', undefined, client.None(), {
    execute: [client.allowInsecureRequests],
  });
  const verifier = client.randomPKCECodeVerifier();
  const state = client.randomState();
  const request = client.buildAuthorizationUrl(configuration, {
    redirect_uri: redirectUri,
    scope: 'openid orders:read',
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
  });
  await expect(authorizeAs({ name: 'alice', password: 'wrong' }, request, redirectUri)).rejects.toThrow('422');
  const callback = await authorizeAs({ name: 'alice', password: 'a password' }, request, redirectUri);
  const tokens = await client.authorizationCodeGrant(configuration, callback, {
    pkceCodeVerifier: verifier,
    expectedState: state,
    idTokenExpected: true,
  });
  expect(tokens.claims()).toMatchObject({ iss: issuer, sub: 'alice', aud: 'example-app' });
  expect(tokens.access_token).toHaveLength(54);

  expect(await askOrders()).toMatchObject({ status: 401 });
  expect(await askOrders(tokens.access_token)).toMatchObject({
    status: 200,
    body: {
      orders: [{ id: 1, item: 'tea' }],
      authorizer: { client_id: 'example-app', subject: 'alice', scope: 'openid orders:read' },
    },
  });

  const refreshed = await client.refreshTokenGrant(configuration, tokens.refresh_token ?? '');
  expect((await client.refreshTokenGrant(configuration, tokens.refresh_token ?? '')).access_token).toBe(
    refreshed.access_token,
  );
  expect(await askOrders(refreshed.access_token)).toMatchObject({ status: 200 });
  await client.tokenRevocation(configuration, refreshed.refresh_token ?? '');
  for (const token of [tokens.access_token, refreshed.access_token]) {
    expect(await askOrders(token)).toMatchObject({ status: 401 });
  }
  await expect(client.refreshTokenGrant(configuration, refreshed.refresh_token ?? '')).rejects.toMatchObject({
    error: 'invalid_grant',
  });

  const code = callback.searchParams.get('code');
  const values = [code, tokens.access_token, tokens.refresh_token, refreshed.access_token, refreshed.refresh_token];
  expect(logged.join()).toContain('rotated');
  for (const value of [...values, ...Object.values(secrets)]) expect(logged.join()).not.toContain(value);
});

it.skipIf(dynamodb === undefined)('a token without the scope gets no orders', async () => {
  const configuration = await client.discovery(new URL(issuer), 'example-app', undefined, client.None(), {
    execute: [client.allowInsecureRequests],
  });
  const verifier = client.randomPKCECodeVerifier();
  const request = client.buildAuthorizationUrl(configuration, {
    redirect_uri: redirectUri,
    scope: 'openid',
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  });
  const callback = await authorizeAs({ name: 'alice', password: 'a password' }, request, redirectUri);
  const tokens = await client.authorizationCodeGrant(configuration, callback, { pkceCodeVerifier: verifier });
  expect(await askOrders(tokens.access_token)).toMatchObject({ status: 403 });
});
