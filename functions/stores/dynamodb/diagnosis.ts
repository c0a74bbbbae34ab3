import { randomBytes } from 'node:crypto';
import {
  BatchGetItemCommand,
  DeleteItemCommand,
  DescribeTableCommand,
  DescribeTimeToLiveCommand,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  ScanCommand,
  type TableDescription,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import { purgedAttributes } from '../../config/dynamodb.ts';
import { createClient, type DynamodbSettings } from './client.ts';

// Whether a table can be worked with, and if not, what is wrong, in words for whoever has to mend it.

type Diagnosis = { readonly found: string } | { readonly fault: string };

const KEYS = [
  { name: 'p', role: 'HASH', what: 'the partition key' },
  { name: 'k', role: 'RANGE', what: 'the sort key' },
] as const;

/**
 * Looks whether the table is there and as the stores need it, and whether this identity may do with it what they do.
 * Nothing is changed: the writes that are tried are of an item that is not there, on the condition that it is.
 */
export async function diagnose(settings: DynamodbSettings): Promise<Diagnosis> {
  const client = createClient({ ...settings, maxAttempts: 1 });
  try {
    const { Table } = await client.send(new DescribeTableCommand({ TableName: settings.tableName }));
    const region = await client.config.region();
    const place = settings.endpoint ?? region;
    const fault =
      shapeFault(settings.tableName, Table) ??
      (await expiryFault(client, settings)) ??
      (await permissionFault(client, settings.tableName));
    return fault === undefined
      ? { found: `DynamoDB at ${place}, table "${settings.tableName}": everything is there` }
      : { fault };
  } catch (error) {
    return { fault: inWords(error, settings) };
  } finally {
    client.destroy();
  }
}

function shapeFault(tableName: string, table: TableDescription | undefined): string | undefined {
  if (table?.TableStatus !== 'ACTIVE' && table?.TableStatus !== 'UPDATING')
    return `the table "${tableName}" cannot be used yet: it is ${table?.TableStatus}`;
  for (const { name, role, what } of KEYS) {
    const isKey = table.KeySchema?.some((key) => key.AttributeName === name && key.KeyType === role);
    const type = table.AttributeDefinitions?.find((attribute) => attribute.AttributeName === name)?.AttributeType;
    if (!isKey) return `${what} of the table "${tableName}" is not "${name}": the stores need a table of their own`;
    if (type !== 'B') return `${what} "${name}" of the table "${tableName}" has the type ${type}: B (binary) is needed`;
  }
  return undefined;
}

async function expiryFault(
  client: DynamoDBClient,
  { tableName: TableName, nativeTimeToLive = true }: DynamodbSettings,
): Promise<string | undefined> {
  if (!nativeTimeToLive) return undefined;
  const { TimeToLiveDescription } = await client.send(new DescribeTimeToLiveCommand({ TableName }));
  const { TimeToLiveStatus = 'DISABLED', AttributeName } = TimeToLiveDescription ?? {};
  const remedy = 'switch it on by the attribute "l", or say "nativeTimeToLive": false and let the purge remove';
  if (!['ENABLED', 'ENABLING'].includes(TimeToLiveStatus))
    return `the table "${TableName}" does not remove what has expired: ${remedy}`;
  return AttributeName === 'l' ? undefined : `the table "${TableName}" expires by "${AttributeName}": ${remedy}`;
}

async function permissionFault(client: DynamoDBClient, TableName: string): Promise<string | undefined> {
  const Key = { p: { B: Buffer.concat([Buffer.from('z'), randomBytes(12)]) }, k: { B: Buffer.of(0) } };
  const none = { TableName, ConditionExpression: 'attribute_exists(p)' };
  const tries: Record<string, () => Promise<unknown>> = {
    GetItem: () => client.send(new GetItemCommand({ TableName, Key, ConsistentRead: true })),
    BatchGetItem: () => client.send(new BatchGetItemCommand({ RequestItems: { [TableName]: { Keys: [Key] } } })),
    Query: () =>
      client.send(
        new QueryCommand({ TableName, KeyConditionExpression: 'p = :p', ExpressionAttributeValues: { ':p': Key.p } }),
      ),
    Scan: () =>
      client.send(
        new ScanCommand({
          TableName,
          Limit: 1,
          ProjectionExpression: purgedAttributes.join(', '),
          Select: 'SPECIFIC_ATTRIBUTES',
        }),
      ),
    PutItem: () => client.send(new PutItemCommand({ ...none, Item: Key })),
    UpdateItem: () => client.send(new UpdateItemCommand({ ...none, Key })),
    DeleteItem: () => client.send(new DeleteItemCommand({ ...none, Key })),
  };
  const lacking: string[] = [];
  for (const [action, attempt] of Object.entries(tries)) {
    try {
      await attempt();
    } catch (error) {
      if (nameOf(error) === 'AccessDeniedException') lacking.push(`dynamodb:${action}`);
      else if (nameOf(error) !== 'ConditionalCheckFailedException') throw error;
    }
  }
  return lacking.length === 0
    ? undefined
    : `the identity lacks permissions on the table "${TableName}": allow ${lacking.join(', ')}`;
}

const nameOf = (error: unknown) => (error as { name?: string }).name;

function inWords(error: unknown, { tableName, endpoint, region }: DynamodbSettings): string {
  const { message = '', code = '' } = error as { message?: string; code?: string };
  const place = endpoint ?? `DynamoDB in ${region ?? 'the Region of the environment'}`;
  switch (nameOf(error)) {
    case 'ResourceNotFoundException':
      return `the table "${tableName}" is missing at ${place}`;
    case 'AccessDeniedException': {
      const [action = 'dynamodb:DescribeTable'] = /dynamodb:\w+/.exec(message) ?? [];
      return `the identity lacks permissions on the table "${tableName}": allow ${action}`;
    }
    case 'UnrecognizedClientException':
    case 'InvalidSignatureException':
    case 'ExpiredTokenException':
    case 'CredentialsProviderError':
      return `the credentials are missing or not valid at ${place}: ${message}`;
    case 'TimeoutError':
      return `no answer from ${place} in time: a firewall or a security group may be in the way`;
  }
  if (code === 'ECONNREFUSED') return `the port is refused: nobody listens at ${place}`;
  if (code === 'ENOTFOUND') return `the host of ${place} is not found`;
  if (/Region is missing/.test(message)) return 'the Region is missing: name it in the configuration, or in AWS_REGION';
  return `DynamoDB does not answer as it should at ${place}: ${message}`;
}
