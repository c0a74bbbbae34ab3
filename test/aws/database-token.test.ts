import { Signer } from '@aws-sdk/rds-signer';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { databaseToken } from '../../functions/aws.ts';

const server = { host: 'oauth.proxy-abc.eu-central-1.rds.amazonaws.com', port: 5432, user: 'oauth_reader' };
const at = new Date('2027-01-15T08:00:00.000Z');

beforeEach(() => {
  vi.useFakeTimers({ now: at, toFake: ['Date'] });
  vi.stubEnv('AWS_REGION', 'eu-central-1');
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIAIOSFODNN7EXAMPLE');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY');
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllEnvs();
});

/** The token's parts: their order in the text means nothing, since the signature is over them sorted. */
const partsOf = (token: string) => {
  const { host, pathname, searchParams } = new URL(`https://${token}`);
  return { host, pathname, parameters: [...searchParams].toSorted() };
};

const ofTheSdk = (sessionToken?: string) => {
  const { host: hostname, port, user: username } = server;
  const credentials = {
    accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
    secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
    ...(sessionToken !== undefined && { sessionToken }),
  };
  return new Signer({ hostname, port, username, region: 'eu-central-1', credentials }).getAuthToken();
};

it('a database token is the one that the AWS SDK makes', async () => {
  expect(partsOf(await databaseToken(server))).toEqual(partsOf(await ofTheSdk()));
});

it('a database token of a role, whose session token has reserved characters, is too', async () => {
  const sessionToken = 'IQoJb3JpZ2luX2VjE/+=//8wEXAMPLE+a b&c=d%';
  vi.stubEnv('AWS_SESSION_TOKEN', sessionToken);
  expect(partsOf(await databaseToken(server))).toEqual(partsOf(await ofTheSdk(sessionToken)));
});

it('a database token differs with the user, the host, the port and the time', async () => {
  const tokens = [await databaseToken(server)];
  for (const change of [{ user: 'oauth_writer' }, { host: 'other.example' }, { port: 5433 }]) {
    tokens.push(await databaseToken({ ...server, ...change }));
  }
  vi.setSystemTime(at.getTime() + 1000);
  tokens.push(await databaseToken(server));
  const signatures = tokens.map((token) => new URL(`https://${token}`).searchParams.get('X-Amz-Signature'));
  expect(new Set(signatures).size).toBe(5);
});
