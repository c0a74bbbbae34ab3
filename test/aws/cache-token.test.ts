import { createHash, createHmac } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { cacheToken } from '../../functions/aws.ts';
import { passwordFromAws } from '../../functions/password-from-aws.ts';

const login = { cacheName: 'oauth-cache', serverless: false, user: 'oauth-cache-writer' };
const secret = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';
const at = new Date('2027-01-15T08:00:00.000Z');

beforeEach(() => {
  vi.useFakeTimers({ now: at, toFake: ['Date'] });
  vi.stubEnv('AWS_REGION', 'eu-central-1');
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIAIOSFODNN7EXAMPLE');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', secret);
  vi.stubEnv('AWS_SESSION_TOKEN', '');
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllEnvs();
});

const parametersOf = (token: string) => Object.fromEntries(new URL(`https://${token}`).searchParams);

/** By the steps of https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html. */
function signatureOf(token: string): string {
  const { host, searchParams } = new URL(`https://${token}`);
  const encode = (text: string) =>
    encodeURIComponent(text).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
  const query = [...searchParams]
    .filter(([name]) => name !== 'X-Amz-Signature')
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .toSorted()
    .join('&');
  const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
  const request = ['GET', '/', query, `host:${host}`, '', 'host', sha256('')].join('\n');
  const scope = ['20270115', 'eu-central-1', 'elasticache', 'aws4_request'];
  const key = scope.reduce<string | Buffer>(
    (last, part) => createHmac('sha256', last).update(part).digest(),
    `AWS4${secret}`,
  );
  const text = ['AWS4-HMAC-SHA256', '20270115T080000Z', scope.join('/'), sha256(request)].join('\n');
  return createHmac('sha256', key).update(text).digest('hex');
}

describe('a token for ElastiCache', () => {
  it('is a presigned request for the name of the cache, without its scheme, good for 15 minutes', async () => {
    const token = await cacheToken(login);
    expect(token.startsWith('oauth-cache/?')).toBe(true);
    expect(parametersOf(token)).toEqual({
      Action: 'connect',
      User: 'oauth-cache-writer',
      'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
      'X-Amz-Credential': 'AKIAIOSFODNN7EXAMPLE/20270115/eu-central-1/elasticache/aws4_request',
      'X-Amz-Date': '20270115T080000Z',
      'X-Amz-Expires': '900',
      'X-Amz-SignedHeaders': 'host',
      'X-Amz-Signature': signatureOf(token),
    });
  });

  it('of a Serverless cache says so, and one of a role has its session token', async () => {
    const sessionToken = 'IQoJb3JpZ2luX2VjE/+=//8wEXAMPLE+a b&c=d%';
    vi.stubEnv('AWS_SESSION_TOKEN', sessionToken);
    const token = await cacheToken({ ...login, serverless: true });
    expect(parametersOf(token)).toMatchObject({
      ResourceType: 'ServerlessCache',
      'X-Amz-Security-Token': sessionToken,
      'X-Amz-Signature': signatureOf(token),
    });
  });

  it('is what a function logs in with, signed anew each time', async () => {
    const first = await passwordFromAws({ iam: true, ...login });
    expect(first).toBe(await cacheToken(login));
    vi.setSystemTime(at.getTime() + 1000);
    expect(await passwordFromAws({ iam: true, ...login })).not.toBe(first);
  });
});
