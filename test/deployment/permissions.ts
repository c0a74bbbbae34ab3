import { AwsV4Signer } from 'aws4fetch';
import { Redis } from 'iovalkey';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { type AwsError, assumeRole, type Credentials, createAws } from './aws.ts';
import type { Deployment } from './deployment.ts';

/** Credentials of the function whose name contains this. */
async function roleOf({ aws }: Deployment, name: string): Promise<Credentials> {
  const response = await aws.send('lambda', '/2015-03-31/functions/?MaxItems=100');
  const { Functions } = (await response.json()) as { Functions: { FunctionName: string; Role: string }[] };
  const found = Functions.find(({ FunctionName }) => FunctionName.includes(name));
  if (!found) throw new Error(`no function ${name} among ${Functions.map(({ FunctionName }) => FunctionName)}`);
  return assumeRole(aws, found.Role);
}

/** What became of a call: `allowed`, or the code of its refusal. */
const outcomeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'allowed',
    (error: AwsError) => error.code,
  );

export const dynamodbPermissions = (deployment: Deployment) =>
  describe('permissions', () => {
    const key = { p: { B: 'AAAA' }, k: { B: 'AAAA' } };
    const callAs = async (name: string) => {
      const { json } = createAws(deployment.endpoint, await roleOf(deployment, name));
      const TableName = await tableOf(deployment);
      return async (action: string, body: object) =>
        outcomeOf(json('dynamodb', `DynamoDB_20120810.${action}`, { TableName, ...body }));
    };
    const refused = 'AccessDeniedException';

    it.each([
      ['LookupToken', { GetItem: 'allowed', PutItem: refused, DeleteItem: refused, Scan: refused }],
      ['IssueTokens', { GetItem: 'allowed', PutItem: 'allowed', DeleteItem: 'allowed', Scan: refused }],
      // The table removes by itself: a purge looks at a sample.
      ['Purge', { GetItem: refused, PutItem: refused, DeleteItem: refused, Scan: refused }],
    ] as const)('the function %s may do with the table what it is for, and nothing else', async (name, expected) => {
      const call = await callAs(name);
      expect({
        GetItem: await call('GetItem', { Key: key }),
        PutItem: await call('PutItem', { Item: key }),
        DeleteItem: await call('DeleteItem', { Key: key }),
        Scan: await call('Scan', {}),
      }).toEqual(expected);
    });

    it('the purge may scan for keys and expiries, and see nothing else of an item', async () => {
      const call = await callAs('Purge');
      const Select = 'SPECIFIC_ATTRIBUTES';
      expect(await call('Scan', { Select, ProjectionExpression: 'p, k, l' })).toBe('allowed');
      expect(await call('Scan', { Select, ProjectionExpression: 'p, k, d' })).toBe(refused);
    });
  });

async function tableOf({ aws }: Deployment): Promise<string> {
  const { TableNames } = await aws.json<{ TableNames: string[] }>('dynamodb', 'DynamoDB_20120810.ListTables', {});
  return TableNames.find((name) => name.includes('Token')) ?? '';
}

const PROXY = 'local.proxy-local.us-east-1.rds.amazonaws.com';

/** Connects to the proxy as this user, with a token of IAM that the caller signed. */
async function connectAs(host: string, credentials: Credentials, user: string): Promise<void> {
  const url = new URL(`https://${PROXY}:5432/?Action=connect&X-Amz-Expires=900`);
  url.searchParams.set('DBUser', user);
  const signing = { service: 'rds-db', region: 'us-east-1', signQuery: true };
  const signed = await new AwsV4Signer({ ...credentials, ...signing, url: url.href }).sign();
  const password = signed.url.href.replace('https://', '');
  const ssl = { servername: PROXY };
  const client = new pg.Client({ host, port: 5432, database: 'oauth', user, password, ssl });
  await client.connect();
  await client.query('SELECT version FROM oauth_schema');
  await client.end();
}

export const postgresqlPermissions = (deployment: Deployment) =>
  describe('permissions', () => {
    it.each([
      ['LookupToken', 'oauth_reader'],
      ['Introspect', 'oauth_checker'],
      ['IssueTokens', 'oauth_writer'],
      ['Purge', 'oauth_purger'],
    ])('the proxy lets the function %s in as %s, and as nobody else', async (name, own) => {
      const credentials = await roleOf(deployment, name);
      const users = ['oauth_reader', 'oauth_checker', 'oauth_writer', 'oauth_purger', 'oauth_admin'];
      const outcomes = await Promise.all(
        users.map((user) => outcomeOf(connectAs(deployment.serverHost, credentials, user))),
      );
      expect(outcomes).toEqual(users.map((user) => (user === own ? 'allowed' : '28000')));
    });
  });

/** The address by which functions know the cache. */
export const CACHE = 'local-cache.serverless.us-east-1.cache.amazonaws.com';

/** What becomes of a login as this user with a token of IAM that the caller signed, and then of a look-up and a write. */
async function useCacheAs(host: string, credentials: Credentials, cacheName: string, user: string): Promise<string> {
  const url = new URL(`https://${cacheName}/?Action=connect&ResourceType=ServerlessCache&X-Amz-Expires=900`);
  url.searchParams.set('User', user);
  const signing = { service: 'elasticache', region: 'us-east-1', signQuery: true };
  const signed = await new AwsV4Signer({ ...credentials, ...signing, url: url.href }).sign();
  const password = signed.url.href.replace('https://', '');
  const client = new Redis({
    host,
    port: 6379,
    username: user,
    password,
    tls: { servername: CACHE },
    lazyConnect: true,
    enableReadyCheck: false,
    retryStrategy: () => null,
  });
  client.on('error', () => {});
  const word = (call: Promise<unknown>) =>
    call.then(
      () => 'allowed',
      (error: Error) => /^[A-Z]+(?= )/.exec(error.message)?.[0] ?? 'refused',
    );
  try {
    const login = await word(client.ping());
    if (login !== 'allowed' && login !== 'NOPERM') return 'refused';
    return `get ${await word(client.get('i'))}, set ${await word(client.set('x', 'y'))}`;
  } finally {
    client.disconnect();
  }
}

export const valkeyPermissions = (deployment: Deployment) =>
  describe('permissions', () => {
    it.each([
      ['LookupToken', 'reader', 'get allowed, set NOPERM'],
      ['IssueTokens', 'writer', 'get allowed, set allowed'],
      ['Purge', 'purger', 'get NOPERM, set NOPERM'],
    ])('the cache lets the function %s in as its %s, and as nobody else', async (name, own, permitted) => {
      const credentials = await roleOf(deployment, name);
      const users = await deployment.aws.query('elasticache', 'DescribeUsers');
      const ids = [...users.matchAll(/<UserId>([^<]*-(?:reader|writer|purger))<\/UserId>/g)].map(([, id = '']) => id);
      expect(ids).toHaveLength(3);
      for (const id of ids) {
        const [, cacheName = '', use] = /^(.*)-(\w+)$/.exec(id) ?? [];
        const outcome = await useCacheAs(deployment.serverHost, credentials, cacheName, id);
        expect([id, outcome]).toEqual([id, use === own ? permitted : 'refused']);
      }
    });
  });
