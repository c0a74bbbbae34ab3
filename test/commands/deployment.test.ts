import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { connectionsOf } from '../../bin/commands/deployment.ts';
import { parseConfiguration } from '../../functions/config/configuration.ts';
import { createCommandLine } from './command-line.ts';

// A server of our own in the place of SSM.

const login = { host: 'proxy.example', port: 5432, database: 'oauth', user: 'oauth_writer', password: { iam: true } };
const known: Record<string, string> = {
  '/shop/caches/tokens/settings': '{"tableName":"shop-tokens-4F2A"}',
  '/shop/caches/existing/settings': '{"tableName":"codes"}',
  '/shop/databases/oauth_db/settings': JSON.stringify(login),
};
const configuration = {
  accessTokenStores: { tokens: { storeIn: 'database', database: 'oauth_db' }, others: { cache: 'tokens' } },
  authorizationCodeStores: { codes: { cache: 'existing' } },
  caches: {
    tokens: { engine: 'dynamodb' },
    existing: { engine: 'dynamodb', tableName: 'codes' },
    unused: { engine: 'memory' },
  },
  databases: { oauth_db: { engine: 'postgresql' } },
};
let server: Server;

beforeEach(async () => {
  server = createServer(async (request, response) => {
    const { Name } = (await json(request)) as { Name: string };
    if (known[Name]) response.end(JSON.stringify({ Parameter: { Value: known[Name] } }));
    else response.writeHead(400).end('{"__type":"ParameterNotFound"}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  vi.stubEnv('AWS_ENDPOINT_URL', `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  vi.stubEnv('AWS_REGION', 'eu-central-1');
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'id');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await new Promise((resolve) => server.close(resolve));
});

describe('what a deployment created', () => {
  it('is found by its name: tables, and servers with the user who may do everything', async () => {
    const { configuration: checked } = parseConfiguration(configuration);
    expect(JSON.parse(await connectionsOf('shop', checked))).toEqual({
      caches: { tokens: { tableName: 'shop-tokens-4F2A' }, existing: { tableName: 'codes' } },
      databases: { oauth_db: login },
    });
  });

  it('of another name is not there, which a command says', async () => {
    const { run } = createCommandLine(configuration);
    const { status, stderr } = await run(['list', '--subject', 'alice', '--store', 'others', '--deployment', 'other']);
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: expect.stringContaining('AmazonSSM.GetParameter: ParameterNotFound'),
    });
  });

  it('is not looked for without credentials', async () => {
    vi.stubEnv('AWS_ACCESS_KEY_ID', '');
    const { run } = createCommandLine(configuration);
    const { stderr } = await run(['test-connection', 'tokens', '--deployment', 'shop']);
    expect(stderr).toContain('AWS_ACCESS_KEY_ID is not set');
  });
});
