import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as client from 'openid-client';
import { afterAll, expect, it } from 'vitest';
import { authorizeAs } from '../../bin/demo/browser.ts';
import { createAws } from './aws.ts';
import { cdk } from './cdk.ts';
import { certificateIn, startLocalAws } from './local-aws.ts';
import './names.ts';
import { logsOf } from './logs.ts';

// The example as its reader deploys it: an authorization server of another maker over the stores, and an API behind the
// authorizer.

const folder = process.env.DEPLOYMENT_FOLDER ?? '';
const example = fileURLToPath(new URL('../../examples/authorization-server/', import.meta.url));
const local = await startLocalAws(certificateIn(folder));
afterAll(local.stop);
const aws = createAws(local.endpoint);

await cdk(['bootstrap', 'aws://000000000000/us-east-1'], local.env, folder);
const file = join(folder, 'example-outputs.json');
const output = ['--output', join(folder, 'example.out')];
await cdk(['deploy', ...output, '--require-approval', 'never', '--outputs-file', file], local.env, example);
const [outputs = {}] = Object.values(JSON.parse(readFileSync(file, 'utf8')) as Record<string, Record<string, string>>);
const { Issuer = '', OrdersUrl = '', UserName = '', PasswordSecret = '' } = outputs;

it('a user signs in, and the client gets orders for as long as its tokens are good', async () => {
  const secret = { SecretId: PasswordSecret };
  const { SecretString } = await aws.json<{ SecretString: string }>(
    'secretsmanager',
    'secretsmanager.GetSecretValue',
    secret,
  );
  const redirectUri = 'http://127.0.0.1:9999/callback';
  const configuration = await client.discovery(new URL(Issuer), 'example-app', undefined, client.None());
  const verifier = client.randomPKCECodeVerifier();
  const request = client.buildAuthorizationUrl(configuration, {
    redirect_uri: redirectUri,
    scope: 'openid orders:read',
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  });
  const callback = await authorizeAs({ name: UserName, password: SecretString }, request, redirectUri);
  const tokens = await client.authorizationCodeGrant(configuration, callback, { pkceCodeVerifier: verifier });
  const statusOf = async (token?: string) =>
    (await fetch(OrdersUrl, { headers: token === undefined ? {} : { authorization: `Bearer ${token}` } })).status;
  expect(await statusOf()).toBe(401);
  expect(await statusOf(tokens.access_token)).toBe(200);

  const refreshed = await client.refreshTokenGrant(configuration, tokens.refresh_token ?? '');
  expect(await statusOf(refreshed.access_token)).toBe(200);
  await client.tokenRevocation(configuration, refreshed.refresh_token ?? '');
  expect(await statusOf(refreshed.access_token)).toBe(401);

  const values = [callback.searchParams.get('code'), tokens.access_token, tokens.refresh_token, refreshed.access_token];
  const lines = (await logsOf(aws)).map(({ message }) => message);
  expect(lines.some((line) => line.includes('"rotated"'))).toBe(true);
  expect(values.filter((value) => lines.some((line) => line.includes(String(value))))).toEqual([]);
});

it('goes away whole', async () => {
  await cdk(['destroy', ...output, '--force'], local.env, example);
  expect(await aws.query('cloudformation', 'DescribeStacks')).not.toContain('example-authorization-server');
});
