import { DynamoDBClient, GetItemCommand, PutItemCommand, UpdateItemCommand } from '@aws-sdk/client-dynamodb';
import { createEngine, createTable } from '../../functions/stores/dynamodb.ts';
import { startDynamodb } from '../../test/engines/dynamodb.ts';
import type { BenchedEngine } from '../engine.ts';
import { secondsOf } from '../measure.ts';
import { over, walk } from '../operations.ts';
import {
  clientIdOf,
  DATA,
  DAY,
  grantIdOf,
  NOW,
  randomValues,
  refreshDigestOf,
  scattered,
  subjectOf,
} from '../records.ts';

const EMULATOR = 'dynoxide 1.2.1';
const BARE = 'bare';

/** An item as wide as a grant: as many attributes, as long. */
function itemOf(n: number, rows: number) {
  const number = (value: number) => ({ N: String(value) });
  return {
    ...keyOf(n, rows),
    ...{ c: { S: clientIdOf(n) }, s: { S: subjectOf(n) }, d: { B: Buffer.from(DATA) } },
    ...{ r: { B: refreshDigestOf(n) }, t: { B: refreshDigestOf(n).subarray(0, 16) }, q: { B: Buffer.alloc(200) } },
    ...{ i: number(NOW), rx: number(NOW), l: number(NOW + DAY), y: number(NOW + DAY), w: number(3600) },
  };
}
const keyOf = (n: number, rows: number) => ({ p: { B: grantIdOf(n, rows) }, k: { B: Buffer.of(1) } });

export const dynamodb: BenchedEngine = {
  name: 'dynamodb',
  title: 'DynamoDB',
  calls: 400,
  beside: [
    { operation: 'lookup, hit', floor: 'GetItem', target: { least: 0.9 } },
    { operation: 'lookup, miss', floor: 'GetItem' },
    { operation: 'issue', floor: 'PutItem' },
    { operation: 'issue', floor: 'three of PutItem' },
    { operation: 'redeem', floor: 'UpdateItem' },
    { operation: 'rotate', floor: 'PutItem', target: { least: 0.75 } },
    { operation: 'rotate', floor: 'UpdateItem' },
  ],
  bundle: {
    driver: `
      import { ${['BatchGetItem', 'BatchWriteItem', 'DeleteItem', 'GetItem', 'PutItem', 'Query', 'Scan', 'UpdateItem']
        .map((operation) => `${operation}Command`)
        .join(', ')}, DynamoDBClient } from '@aws-sdk/client-dynamodb';
      export const commands = [BatchGetItemCommand, BatchWriteItemCommand, DeleteItemCommand, GetItemCommand, PutItemCommand,
        QueryCommand, ScanCommand, UpdateItemCommand];
      export const open = () => new DynamoDBClient({ region: 'eu-central-1' });`,
    settings: '{ tableName: "oauth", region: "eu-central-1" }',
    target: { kilobytes: 350, load: 1.3 },
  },
  async start(rows) {
    const server = await startDynamodb(EMULATOR);
    const emulated = {
      ...{ endpoint: server.url, region: 'local' },
      credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
    };
    const settings = { ...emulated, tableName: 'oauth' };
    await createTable(settings);
    await createTable({ ...emulated, tableName: BARE });
    const numbers = Array.from({ length: rows }, (_, n) => n);
    const filling = new DynamoDBClient(emulated);
    const put = (n: number) => filling.send(new PutItemCommand({ TableName: BARE, Item: itemOf(n, rows) }));
    await secondsOf(over(numbers, put), 32);
    filling.destroy();
    return {
      description: `An emulator of DynamoDB (${EMULATOR})`,
      processes: async () => [server.pid],
      connect: async () => {
        const engine = createEngine(settings, () => NOW * 1000);
        const client = new DynamoDBClient({ ...emulated, cacheMiddleware: true });
        const next = walk();
        const rowsOf = (count: number) => next(count).map((n) => scattered(n, rows));
        const puts = (count: number, each: number) =>
          over(
            rowsOf(count).map((n) => Array.from({ length: each }, (_, i) => itemOf((n + i) % rows, rows))),
            (items) => Promise.all(items.map((Item) => client.send(new PutItemCommand({ TableName: BARE, Item })))),
          );
        return {
          engine,
          floors: {
            GetItem: (count) =>
              over(
                rowsOf(count).map((n) => keyOf(n, rows)),
                (Key) => client.send(new GetItemCommand({ TableName: BARE, Key, ConsistentRead: true })),
              ),
            PutItem: (count) => puts(count, 1),
            'three of PutItem': (count) => puts(count, 3),
            UpdateItem: (count) => {
              const values = randomValues(count, 32);
              return over(
                rowsOf(count).map((n, i) => ({ Key: keyOf(n, rows), r: values[i] as Buffer })),
                ({ Key, r }) =>
                  client.send(
                    new UpdateItemCommand({
                      ...{ TableName: BARE, Key, UpdateExpression: 'SET r = :r' },
                      ...{ ConditionExpression: 'attribute_exists(p)', ReturnValues: 'ALL_NEW' },
                      ExpressionAttributeValues: { ':r': { B: r } },
                    }),
                  ),
              );
            },
          },
          close: async () => {
            await engine.close();
            client.destroy();
          },
        };
      },
      stop: server.stop,
    };
  },
};
