import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import {
  CreateTableCommand,
  type CreateTableCommandInput,
  DynamoDBClient,
  UpdateTimeToLiveCommand,
} from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { diagnose } from '../../functions/stores/dynamodb/diagnosis.ts';
import { createTable } from '../../functions/stores/dynamodb.ts';
import { emulated, findServer } from '../stores/dynamodb-server.ts';
import { createCommandLine } from './command-line.ts';

const server = await findServer();
const endpoint = server ?? '';
const nameOf = (what: string) => `${what}-${randomUUID()}`;

async function listen(answer: (target: string) => [status: number, body: object] | undefined): Promise<string> {
  const listener = createServer(async (request, response) => {
    await buffer(request);
    const [status, body] = answer(String(request.headers['x-amz-target']).split('.').at(-1) ?? '') ?? [];
    if (status === undefined) return; // no answer at all
    response.writeHead(status, { 'content-type': 'application/x-amz-json-1.0' }).end(JSON.stringify(body));
  }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  afterAll(() => {
    listener.closeAllConnections();
    listener.close();
  });
  return `http://127.0.0.1:${(listener.address() as AddressInfo).port}`;
}

describe.skipIf(server === undefined)('test-connection, of tables in DynamoDB', () => {
  const client = new DynamoDBClient({ ...emulated, endpoint });
  afterAll(() => client.destroy());
  const names = {
    complete: nameOf('complete'),
    'kept by the purge': nameOf('purged'),
    unkept: nameOf('unkept'),
    'of another attribute': nameOf('other'),
    'of texts': nameOf('texts'),
    'without a sort key': nameOf('unsorted'),
    missing: nameOf('missing'),
  };
  const make = (TableName: string, type: 'B' | 'S', sorted: boolean) => {
    const table: CreateTableCommandInput = {
      TableName,
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: ['p', ...(sorted ? ['k'] : [])].map((AttributeName) => ({
        AttributeName,
        AttributeType: type,
      })),
      KeySchema: [
        { AttributeName: 'p', KeyType: 'HASH' },
        ...(sorted ? [{ AttributeName: 'k', KeyType: 'RANGE' } as const] : []),
      ],
    };
    return client.send(new CreateTableCommand(table));
  };
  beforeAll(async () => {
    const settings = { ...emulated, endpoint };
    await createTable({ ...settings, tableName: names.complete });
    await createTable({ ...settings, tableName: names['kept by the purge'], nativeTimeToLive: false });
    await createTable({ ...settings, tableName: names.unkept, nativeTimeToLive: false });
    await createTable({ ...settings, tableName: names['of another attribute'], nativeTimeToLive: false });
    const other = {
      TableName: names['of another attribute'],
      TimeToLiveSpecification: { AttributeName: 'x', Enabled: true },
    };
    await client.send(new UpdateTimeToLiveCommand(other));
    await make(names['of texts'], 'S', true);
    await make(names['without a sort key'], 'B', false);
  });

  it('says that everything is there, and else what is wrong', async () => {
    const caches = Object.fromEntries(
      Object.entries(names).map(([name, tableName]) => [
        name,
        {
          engine: 'dynamodb',
          tableName,
          region: 'local',
          endpoint,
          ...(name === 'kept by the purge' && { nativeTimeToLive: false }),
        },
      ]),
    );
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'local');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'local');
    const { status, stdout, stderr } = await createCommandLine({
      caches: {
        ...caches,
        closed: { engine: 'dynamodb', tableName: 'any', region: 'local', endpoint: 'http://127.0.0.1:1' },
        deployed: { engine: 'dynamodb' },
      },
    }).run(['test-connection']);
    vi.unstubAllEnvs();
    const found = (name: keyof typeof names) =>
      `${name}: DynamoDB at ${endpoint}, table "${names[name]}": everything is there`;
    const remedy = 'switch it on by the attribute "l", or say "nativeTimeToLive": false and let the purge remove';
    expect(stdout.trim().split('\n')).toEqual([found('complete'), found('kept by the purge')]);
    expect(stderr.trim().split('\n')).toEqual([
      `unkept: the table "${names.unkept}" does not remove what has expired: ${remedy}`,
      `of another attribute: the table "${names['of another attribute']}" expires by "x": ${remedy}`,
      `of texts: the partition key "p" of the table "${names['of texts']}" has the type S: B (binary) is needed`,
      `without a sort key: the sort key of the table "${names['without a sort key']}" is not "k": the stores need a table of their own`,
      `missing: the table "${names.missing}" is missing at ${endpoint}`,
      'closed: the port is refused: nobody listens at http://127.0.0.1:1',
      'deployed: the cache "deployed" has no tableName: the deployment creates its table, and its functions reach it',
    ]);
    expect(status).toBe(1);
  });
});

describe('test-connection, of a DynamoDB that does not do what is asked', () => {
  const about = (at: string) =>
    diagnose({ ...emulated, endpoint: at, tableName: 'oauth', requestTimeoutMs: 200, connectTimeoutMs: 200 });
  const described = {
    TableStatus: 'ACTIVE',
    AttributeDefinitions: ['p', 'k'].map((AttributeName) => ({ AttributeName, AttributeType: 'B' })),
    KeySchema: [
      { AttributeName: 'p', KeyType: 'HASH' },
      { AttributeName: 'k', KeyType: 'RANGE' },
    ],
  };
  const refused = (name: string, message: string) =>
    [400, { __type: `com.amazon.coral.service#${name}`, message }] as [number, object];
  const denied = (target: string) =>
    refused(
      'AccessDeniedException',
      `User: arn:aws:iam::123456789012:user/app is not authorized to perform: dynamodb:${target}`,
    );
  const answers: Record<string, [number, object]> = {
    DescribeTable: [200, { Table: described }],
    DescribeTimeToLive: [200, { TimeToLiveDescription: { TimeToLiveStatus: 'ENABLED', AttributeName: 'l' } }],
  };

  it('names every permission that is missing', async () => {
    const reader = await listen(
      (target) => answers[target] ?? (/Get|Query|Scan/.test(target) ? [200, {}] : denied(target)),
    );
    expect(await about(reader)).toEqual({
      fault:
        'the identity lacks permissions on the table "oauth": allow dynamodb:PutItem, dynamodb:UpdateItem, dynamodb:DeleteItem',
    });
    const nobody = await listen(denied);
    expect(await about(nobody)).toEqual({
      fault: 'the identity lacks permissions on the table "oauth": allow dynamodb:DescribeTable',
    });
  });

  it('says that credentials are not valid, that the table is not ready, that nobody answers', async () => {
    const stranger = await listen(() => refused('UnrecognizedClientException', 'The security token is invalid'));
    expect(await about(stranger)).toEqual({
      fault: `the credentials are missing or not valid at ${stranger}: The security token is invalid`,
    });
    const creating = await listen(() => [200, { Table: { ...described, TableStatus: 'CREATING' } }]);
    expect(await about(creating)).toEqual({ fault: 'the table "oauth" cannot be used yet: it is CREATING' });
    const silent = await listen(() => undefined);
    expect(await about(silent)).toEqual({
      fault: `no answer from ${silent} in time: a firewall or a security group may be in the way`,
    });
  });
});
