import { setTimeout } from 'node:timers/promises';
import {
  type AttributeValue,
  BatchGetItemCommand,
  DeleteItemCommand,
  DescribeTableCommand,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  ScanCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import { StoreError } from '../../domain/errors.ts';
import { coded, storeError } from './errors.ts';
import { attribute, attributes, type Item, plain } from './values.ts';

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

export interface Range {
  /** Behind this key. */
  readonly after: Uint8Array;
  /** Up to this key, which is one of the range. */
  readonly upTo?: Uint8Array;
  readonly limit?: number;
}

/** What a scan reads of each item, and whether it goes on. */
interface Scan {
  readonly filter: (terms: Terms) => string;
  /** The only attributes that are given, and that the filter may name. */
  readonly only: readonly string[];
  /** One part of so many. */
  readonly segment?: { readonly number: number; readonly of: number };
  readonly limit?: number;
}

const BATCH_GET = 100;
const FIRST = Buffer.of(0);
/** Behind every key that an item has. */
export const LAST = Buffer.alloc(64, 0xff);

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
    ...(when.length > 0 && { ConditionExpression: when.map(inParentheses).join(' AND ') }),
    ...terms.registered(),
  });
  const RETURNED = { ReturnValuesOnConditionCheckFailure: 'ALL_OLD' } as const;

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
            ...RETURNED,
          }),
        ),
      );
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
            ...RETURNED,
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
            ...RETURNED,
          }),
        ),
      );
    },
    /** Removes an item that fulfils the condition, and gives nothing of it: whether there was one. */
    async drop(key: Key, when: (terms: Terms) => readonly string[]): Promise<boolean> {
      const terms = createTerms();
      const request = { TableName, Key: attributes(key), ...conditional(when(terms), terms) };
      return (await written(client.send(new DeleteItemCommand(request)))).applied;
    },
    /** Items of one `p` in the order of `k`; `more` when there may be further ones. */
    async query(p: Uint8Array, { after, upTo = LAST, limit }: Range): Promise<{ items: Item[]; more: boolean }> {
      const { Items = [], LastEvaluatedKey } = await coded(
        client.send(
          new QueryCommand({
            TableName,
            KeyConditionExpression: 'p = :p AND k BETWEEN :from AND :to',
            // The next key there can be: a zero byte more.
            ExpressionAttributeValues: attributes({ ':p': p, ':from': Buffer.concat([after, FIRST]), ':to': upTo }),
            ConsistentRead: true,
            ...(limit !== undefined && { Limit: limit }),
          }),
        ),
      );
      return { items: Items.map(plain), more: LastEvaluatedKey !== undefined };
    },
    /**
     * The items of the whole table, or of a part of it, that the filter lets through, page by page. What was written just
     * before may be missing.
     */
    async *scan({ filter, only, segment, limit }: Scan): AsyncGenerator<{
      items: Item[];
      read: number;
      more: boolean;
    }> {
      const terms = createTerms();
      const request = {
        TableName,
        FilterExpression: filter(terms),
        ProjectionExpression: only.join(', '),
        Select: 'SPECIFIC_ATTRIBUTES' as const, // goes without saying, but not to a policy that demands it
        ...terms.registered(),
        ...(segment && { Segment: segment.number, TotalSegments: segment.of }),
        ...(limit !== undefined && { Limit: limit }),
      };
      for (let start: Record<string, AttributeValue> | undefined, more = true; more; ) {
        const { Items, ScannedCount, LastEvaluatedKey } = await coded(
          client.send(new ScanCommand({ ...request, ...(start && { ExclusiveStartKey: start }) })),
        );
        start = LastEvaluatedKey;
        more = start !== undefined;
        yield { items: (Items ?? []).map(plain), read: ScannedCount ?? 0, more };
      }
    },
    /** How many items the table has, as DynamoDB counted them within the last six hours. */
    async countedItems(): Promise<number> {
      const { Table } = await coded(client.send(new DescribeTableCommand({ TableName })));
      return Table?.ItemCount ?? 0;
    },
  };
}

const inParentheses = (condition: string) => (condition.includes(' OR ') ? `(${condition})` : condition);

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
  const terms = new Map<unknown, string>();
  return {
    /** One term for all times that a value is named. */
    value(value: unknown): string {
      const known = terms.get(value);
      if (known !== undefined) return known;
      const term = `:v${terms.size}`;
      terms.set(value, term);
      values[term] = attribute(value);
      return term;
    },
    name(name: string): string {
      const term = `#n${Object.keys(names).length}`;
      names[term] = name;
      return term;
    },
    registered: () => ({
      ...(terms.size > 0 && { ExpressionAttributeValues: values }),
      ...(Object.keys(names).length > 0 && { ExpressionAttributeNames: names }),
    }),
  };
}

const itemOf = (item: Record<string, AttributeValue> | undefined): { item?: Item } =>
  item ? { item: plain(item) } : {};
