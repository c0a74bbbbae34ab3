import { Duration, type RemovalPolicy, Stack } from 'aws-cdk-lib';
import { Metric } from 'aws-cdk-lib/aws-cloudwatch';
import {
  AttributeType,
  Billing,
  MultiRegionConsistency,
  TableEncryptionV2,
  type TablePropsV2,
  TableV2,
} from 'aws-cdk-lib/aws-dynamodb';
import { Grant } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { Construct } from 'constructs';
import { purgedAttributes, tableAttributes } from '../functions/config/dynamodb.ts';
import type { StoreAccess } from '../functions/config/functions.ts';
import type { Watched } from './alarms.ts';
import type { StoreConnection } from './connection.ts';

/** Regions in which a strongly consistent table is kept beside that of its stack: two, or one and a witness. */
export interface Replicas {
  readonly regions: readonly string[];
  /** A Region that counts for the quorum and holds no items to read. */
  readonly witnessRegion?: string;
}

export interface DynamodbTableProps {
  /** Whether DynamoDB removes what has expired. Not with replicas: strongly consistent tables have no TTL. */
  readonly nativeTimeToLive: boolean;
  /** Default: a key that AWS owns, without charge. */
  readonly encryptionKey?: IKey;
  readonly deletionProtection: boolean;
  readonly removalPolicy: RemovalPolicy;
  readonly replicas?: Replicas;
}

/**
 * A table for all four kinds of stores: paid by request, backed up continuously, protected against deletion.
 *
 * It is a TableV2 (`AWS::DynamoDB::GlobalTable`) also without replicas. The older type has none that are strongly
 * consistent, and a change of type later would replace the table, with every token in it.
 */
export class DynamodbTable extends Construct {
  readonly facts: DynamodbFacts;

  constructor(scope: Construct, id: string, props: DynamodbTableProps) {
    super(scope, id);
    const { nativeTimeToLive, encryptionKey, deletionProtection, removalPolicy, replicas } = props;
    const { partitionKey, sortKey, timeToLive } = tableAttributes;
    const table = new TableV2(this, 'Table', {
      partitionKey: { name: partitionKey, type: AttributeType.BINARY },
      sortKey: { name: sortKey, type: AttributeType.BINARY },
      billing: Billing.onDemand(),
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      deletionProtection,
      removalPolicy,
      ...(nativeTimeToLive && { timeToLiveAttribute: timeToLive }),
      ...(encryptionKey && { encryption: TableEncryptionV2.customerManagedKey(encryptionKey) }),
      ...(replicas && replicated(replicas, deletionProtection)),
    });
    this.facts = { tableName: table.tableName };
  }
}

/** Neither backup nor protection of a table is copied to its replicas. */
const replicated = ({ regions, witnessRegion }: Replicas, deletionProtection: boolean): Partial<TablePropsV2> => ({
  multiRegionConsistency: MultiRegionConsistency.STRONG,
  replicas: regions.map((region) => ({
    region,
    deletionProtection,
    pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
  })),
  ...(witnessRegion !== undefined && { witnessRegion }),
});

export const dynamodbFacts = ['tableName'] as const;
export type DynamodbFacts = Readonly<Record<(typeof dynamodbFacts)[number], string>>;

const reads = ['dynamodb:GetItem', 'dynamodb:BatchGetItem', 'dynamodb:Query'];
const writes = [...reads, 'dynamodb:PutItem', 'dynamodb:UpdateItem', 'dynamodb:DeleteItem'];
const onlyPurged = { 'ForAllValues:StringEquals': { 'dynamodb:Attributes': purgedAttributes } };

/**
 * What is permitted for each use. A purge sees of an item no more than its key and when it may go: a scan must name what
 * it reads, or it would be given everything, and a removed item is not given back
 * (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html).
 */
interface Permission {
  readonly actions: string[];
  readonly conditions?: Record<string, Record<string, unknown>>;
}

const permissions = (access: StoreAccess, nativeTimeToLive: boolean): readonly Permission[] => {
  if (access !== 'purge') return [{ actions: access === 'read' ? reads : writes }];
  const scan = {
    actions: ['dynamodb:Scan'],
    conditions: { ...onlyPurged, StringEquals: { 'dynamodb:Select': 'SPECIFIC_ATTRIBUTES' } },
  };
  // Where the table removes by itself, a purge looks at a sample, and tells how much that stands for.
  if (nativeTimeToLive) return [{ actions: ['dynamodb:DescribeTable'] }, scan];
  const remove = {
    actions: ['dynamodb:DeleteItem'],
    conditions: { ...onlyPurged, StringEqualsIfExists: { 'dynamodb:ReturnValues': 'NONE' } },
  };
  return [scan, remove];
};

/** A table that this stack creates, another one does, or neither: its name is all that there is to know. */
export function dynamodbConnection(
  scope: Construct,
  { region, nativeTimeToLive }: { readonly region?: string; readonly nativeTimeToLive: boolean },
  { tableName }: DynamodbFacts,
): StoreConnection {
  const tableArn = Stack.of(scope).formatArn({
    service: 'dynamodb',
    resource: 'table',
    resourceName: tableName,
    ...(region !== undefined && { region }),
  });
  return {
    facts: { tableName },
    watched: watchedTable(tableName),
    settingsFor: () => ({ tableName }),
    grant(grantee, { tokens, artifacts }) {
      // One table holds both: what is permitted with the one is with the other.
      const accesses = new Set([tokens, artifacts]);
      for (const access of ['read', 'write', 'purge'] as const) {
        if (!accesses.has(access) || (access === 'read' && accesses.has('write'))) continue;
        for (const permission of permissions(access, nativeTimeToLive)) {
          Grant.addToPrincipal({ grantee, resourceArns: [tableArn], ...permission });
        }
      }
    },
  };
}

/** Reads and writes that DynamoDB puts off. */
export const watchedTable =
  (TableName: string): Watched =>
  ({ throttledRequests }) =>
    ['ReadThrottleEvents', 'WriteThrottleEvents'].map((metricName) => ({
      alarm: 'table-throttled',
      of: metricName,
      metric: new Metric({
        namespace: 'AWS/DynamoDB',
        metricName,
        dimensionsMap: { TableName },
        period: Duration.minutes(5),
        statistic: 'Sum',
      }),
      condition: { atLeast: throttledRequests },
    }));
