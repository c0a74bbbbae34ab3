import { setTimeout } from 'node:timers/promises';
import {
  type AttributeValue,
  BatchGetItemCommand,
  BatchWriteItemCommand,
  DeleteItemCommand,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  ScanCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import { StoreError, type StoreErrorCode } from '../../domain/errors.ts';

/** An item or a map in one, as plain values. */
export type Item = Record<string, unknown>;

/** `p` says what the item is, with one letter, and of whom; `k` tells the items of one `p` apart. */
export type Key = { readonly p: Uint8Array; readonly k: Uint8Array };

/** What a write came to. Refused by its condition, it gives the item as it stands, or none where there is none. */
export interface Written {
  readonly applied: boolean;
  readonly item?: Item;
}

/** Registers what an expression names, and gives what stands for it there. */
export interface Terms {
  value(value: unknown): string;
  name(name: string): string;
}

export interface Update {
  /** Attributes and what they become; `undefined` removes. */
  readonly set: Item;
  /** Further assignments, as they are written. */
  readonly assign?: readonly string[];
  /** All must hold. */
  readonly when: readonly string[];
}

const BATCH_GET = 100;
const BATCH_WRITE = 25;
const FIRST = Buffer.of(0);

/** Whether two values are the same bytes, or both absent. */
export const same = (one: unknown, other: unknown): boolean =>
  one instanceof Uint8Array && other instanceof Uint8Array ? Buffer.compare(one, other) === 0 : one === other;

export const keyOf = (letter: string, ...parts: readonly Uint8Array[]): Key => ({
  p: Buffer.concat([Buffer.from(letter), ...parts]),
  k: FIRST,
});

export type Table = ReturnType<typeof createTable>;

/** Single requests on one table: strongly consistent reads, conditional writes; failures are StoreErrors. */
export function createTable(client: Pick<DynamoDBClient, 'send'>, TableName: string) {
  const written = async (
    request: Promise<{ Attributes?: Record<string, AttributeValue> | undefined }>,
  ): Promise<Written> => {
    try {
      return { applied: true, ...itemOf((await request).Attributes) };
    } catch (error) {
      const { name, Item } = error as { name?: string; Item?: Record<string, AttributeValue> };
      if (name === 'ConditionalCheckFailedException') return { applied: false, ...itemOf(Item) };
      throw storeError(error);
    }
  };
  const conditional = (when: readonly string[], terms: ReturnType<typeof createTerms>) => ({
    ...(when.length > 0 && { ConditionExpression: when.map((each) => `(${each})`).join(' AND ') }),
    ...terms.registered(),
    ReturnValuesOnConditionCheckFailure: 'ALL_OLD' as const,
  });
  const writeAll = async (requests: readonly object[]) => {
    let left: readonly object[] = requests;
    for (let waitMs = 20; left.length > 0; waitMs *= 2) {
      const { UnprocessedItems } = await coded(
        client.send(new BatchWriteItemCommand({ RequestItems: { [TableName]: [...left] } })),
      );
      left = UnprocessedItems?.[TableName] ?? [];
      if (left.length > 0) await pause(waitMs);
    }
  };

  return {
    async get(key: Key): Promise<Item | undefined> {
      const { Item } = await coded(
        client.send(new GetItemCommand({ TableName, Key: attributes(key), ConsistentRead: true })),
      );
      return itemOf(Item).item;
    },
    /** The items that there are, in no order. */
    async getAll(keys: readonly Key[]): Promise<Item[]> {
      const batches = await Promise.all(
        chunks(keys, BATCH_GET).map(async (some) => {
          const found: Item[] = [];
          let left = some.map((key) => attributes(key));
          for (let waitMs = 20; left.length > 0; waitMs *= 2) {
            const { Responses, UnprocessedKeys } = await coded(
              client.send(
                new BatchGetItemCommand({ RequestItems: { [TableName]: { Keys: left, ConsistentRead: true } } }),
              ),
            );
            found.push(...(Responses?.[TableName] ?? []).map(plain));
            left = UnprocessedKeys?.[TableName]?.Keys ?? [];
            if (left.length > 0) await pause(waitMs);
          }
          return found;
        }),
      );
      return batches.flat();
    },
    /** Puts an item in the place of the one before, which it gives. */
    put(item: Key & Item, when: (terms: Terms) => readonly string[] = () => []): Promise<Written> {
      const terms = createTerms();
      return written(
        client.send(
          new PutItemCommand({
            TableName,
            Item: attributes(item),
            ReturnValues: 'ALL_OLD',
            ...conditional(when(terms), terms),
          }),
        ),
      );
    },
    async putAll(items: readonly (Key & Item)[]): Promise<void> {
      const requests = items.map((item) => ({ PutRequest: { Item: attributes(item) } }));
      await Promise.all(chunks(requests, BATCH_WRITE).map(writeAll));
    },
    /** Changes an item, or makes it where the condition allows that; gives it as it is then, or as it was. */
    update(key: Key, build: (terms: Terms) => Update, gives: 'ALL_NEW' | 'ALL_OLD' = 'ALL_NEW'): Promise<Written> {
      const terms = createTerms();
      const { set, assign = [], when } = build(terms);
      const fields = Object.entries(set);
      const sets = [
        ...fields.flatMap(([path, value]) => (value === undefined ? [] : [`${path} = ${terms.value(value)}`])),
        ...assign,
      ];
      const removes = fields.flatMap(([path, value]) => (value === undefined ? [path] : []));
      const clauses = [
        ...(sets.length > 0 ? [`SET ${sets.join(', ')}`] : []),
        ...(removes.length > 0 ? [`REMOVE ${removes.join(', ')}`] : []),
      ];
      return written(
        client.send(
          new UpdateItemCommand({
            TableName,
            Key: attributes(key),
            ...(clauses.length > 0 && { UpdateExpression: clauses.join(' ') }),
            ReturnValues: gives,
            ...conditional(when, terms),
          }),
        ),
      );
    },
    /** Removes an item that is there, and gives it: of callers at once one alone. */
    remove(key: Key, when: (terms: Terms) => readonly string[] = () => []): Promise<Written> {
      const terms = createTerms();
      return written(
        client.send(
          new DeleteItemCommand({
            TableName,
            Key: attributes(key),
            ReturnValues: 'ALL_OLD',
            ...conditional(['attribute_exists(p)', ...when(terms)], terms),
          }),
        ),
      );
    },
    /** Items of one `p` in the order of `k`, behind `after`; `more` when there may be further ones. */
    async query(p: Uint8Array, after: Uint8Array, limit?: number): Promise<{ items: Item[]; more: boolean }> {
      const { Items = [], LastEvaluatedKey } = await coded(
        client.send(
          new QueryCommand({
            TableName,
            KeyConditionExpression: 'p = :p AND k > :k',
            ExpressionAttributeValues: attributes({ ':p': p, ':k': after }),
            ConsistentRead: true,
            ...(limit !== undefined && { Limit: limit }),
          }),
        ),
      );
      return { items: Items.map(plain), more: LastEvaluatedKey !== undefined };
    },
    /** All items that the filter lets through, page by page. It reads the whole table. */
    async *scan(filter: (terms: Terms) => string): AsyncGenerator<Item[]> {
      const terms = createTerms();
      const FilterExpression = filter(terms);
      let ExclusiveStartKey: Record<string, AttributeValue> | undefined;
      do {
        const { Items = [], LastEvaluatedKey } = await coded(
          client.send(
            new ScanCommand({
              TableName,
              FilterExpression,
              ...terms.registered(),
              ConsistentRead: true,
              ...(ExclusiveStartKey && { ExclusiveStartKey }),
            }),
          ),
        );
        yield Items.map(plain);
        ExclusiveStartKey = LastEvaluatedKey;
      } while (ExclusiveStartKey);
    },
  };
}

const pause = (waitMs: number) => {
  if (waitMs > 1000) throw new StoreError('throttled', 'DynamoDB leaves a part of the request undone');
  return setTimeout(waitMs);
};

export function chunks<T>(all: readonly T[], size: number): T[][] {
  const count = Math.ceil(all.length / size);
  return Array.from({ length: count }, (_, index) => all.slice(index * size, (index + 1) * size));
}

function createTerms() {
  const values: Record<string, AttributeValue> = {};
  const names: Record<string, string> = {};
  return {
    value(value: unknown): string {
      const term = `:v${Object.keys(values).length}`;
      values[term] = attribute(value);
      return term;
    },
    name(name: string): string {
      const term = `#n${Object.keys(names).length}`;
      names[term] = name;
      return term;
    },
    registered: () => ({
      ...(Object.keys(values).length > 0 && { ExpressionAttributeValues: values }),
      ...(Object.keys(names).length > 0 && { ExpressionAttributeNames: names }),
    }),
  };
}

function attribute(value: unknown): AttributeValue {
  if (typeof value === 'string') return { S: value };
  if (typeof value === 'number') return { N: String(value) };
  if (typeof value === 'boolean') return { BOOL: value };
  if (value instanceof Uint8Array) return { B: value };
  if (Array.isArray(value)) return { L: value.map(attribute) };
  return { M: attributes(value as Item) };
}

const attributes = (item: Item): Record<string, AttributeValue> =>
  Object.fromEntries(
    Object.entries(item).flatMap(([name, value]) => (value === undefined ? [] : [[name, attribute(value)]])),
  );

function plainValue({ S, N, B, BOOL, L, M }: AttributeValue): unknown {
  if (N !== undefined) return Number(N);
  return S ?? B ?? BOOL ?? L?.map(plainValue) ?? (M && plain(M));
}

const plain = (item: Record<string, AttributeValue>): Item =>
  Object.fromEntries(Object.entries(item).map(([name, value]) => [name, plainValue(value)]));

const itemOf = (item: Record<string, AttributeValue> | undefined): { item?: Item } =>
  item ? { item: plain(item) } : {};

const coded = async <T>(request: Promise<T>): Promise<T> => {
  try {
    return await request;
  } catch (error) {
    throw storeError(error);
  }
};

// Names of https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html, and of the SDK.
const CODES: Record<string, StoreErrorCode> = {
  ProvisionedThroughputExceededException: 'throttled',
  ThrottlingException: 'throttled',
  RequestLimitExceeded: 'throttled',
  TransactionConflictException: 'throttled',
  ReplicatedWriteConflictException: 'throttled',
  ItemCollectionSizeLimitExceededException: 'invalid',
  ValidationException: 'invalid', // an item of more than 400 kB too
  ResourceNotFoundException: 'unsupported',
  AccessDeniedException: 'unsupported',
  TimeoutError: 'timeout',
  AbortError: 'timeout',
};

function storeError(cause: unknown): StoreError {
  if (cause instanceof StoreError) return cause;
  const { name = '' } = cause as { name?: string };
  const code = CODES[name] ?? 'unavailable';
  const words = code === 'unavailable' ? 'DynamoDB cannot be reached' : 'DynamoDB refused or did not answer';
  return new StoreError(code, `${words}: ${name}`, { cause });
}
