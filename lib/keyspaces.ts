import { ArnFormat, Duration, Stack } from 'aws-cdk-lib';
import { CfnKeyspace, CfnTable } from 'aws-cdk-lib/aws-cassandra';
import { Metric } from 'aws-cdk-lib/aws-cloudwatch';
import { Grant, type IGrantable, type Role } from 'aws-cdk-lib/aws-iam';
import { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import { type CassandraTable, columnsOf } from '../functions/config/cassandra-tables.ts';
import type { Configuration } from '../functions/config/configuration.ts';
import { type Fault, when } from '../functions/config/faults.ts';
import type { UsedConnection } from '../functions/config/places.ts';
import type { AlarmName, Condition, Watch, Watched } from './alarms.ts';
import { cassandraTables } from './cassandra-scripts.ts';
import type { ConnectionUse, StoreConnection } from './connection.ts';
import type { Engineer, Kept } from './engine-deployment.ts';
import { KeyspaceSchema } from './keyspace-schema.ts';
import type { SchemaApplication } from './schema.ts';
import { permitTablesOfAccount } from './service-key.ts';
import { acknowledgeWildcard } from './wildcards.ts';

// How the engine `keyspaces` is deployed: a keyspace that is created, or one that is there.

export type Keyspaces = Extract<Configuration['cassandra'][string], { engine: 'keyspaces' }>;

/** Units of each second: the least and the most that a table is provisioned with. */
export interface UnitRange {
  readonly min: number;
  readonly max: number;
}

export interface KeyspacesOptions {
  /** Of the keyspaces that are created. */
  readonly keyspaces?: {
    /** Capacity that is provisioned, and follows the use that is made of it. Default: paid by request. */
    readonly provisioned?: {
      readonly read: UnitRange;
      readonly write: UnitRange;
      /** Percent of it that is to be in use. Default: 70. */
      readonly targetUtilization?: number;
    };
    /** What each table is ready for from the start, units of each second. Default: 12 000 and 4 000. */
    readonly warmThroughput?: { readonly read: number; readonly write: number };
    /** Who makes the tables of a keyspace that is there. Default: automatic. */
    readonly schema?: SchemaApplication;
  };
}

export const keyspaces: Engineer<Keyspaces, KeyspacesOptions, never> = (used, { keyspaces: options = {} }) => {
  const { settings } = used;
  return {
    isInNetwork: false,
    service: 'keyspaces',
    faults: () => faults(used, options),
    warnings: () => [],
    facts: [],
    create(scope, id, { network: _, ...kept }) {
      if (kept.encryptionKey) permitTablesOfAccount(scope, kept.encryptionKey, 'cassandra');
      new KeyspaceTables(scope, id, { ...kept, ...options, settings });
      return {};
    },
    connect: (scope) => keyspacesConnection(scope, settings),
  };
};

function faults(
  { section, name, settings }: UsedConnection<Keyspaces>,
  { provisioned, warmThroughput }: NonNullable<KeyspacesOptions['keyspaces']>,
): Fault[] {
  const ranges = Object.entries({ read: provisioned?.read, write: provisioned?.write });
  return [
    ...when(
      !settings.existing && settings.region !== undefined,
      [section, name, 'region'],
      'a Region for a keyspace that the deployment creates',
      'nothing: the keyspace is created in the Region of its stack; or "existing": true, of a keyspace that is there',
    ),
    ...ranges.flatMap(([of, range]) =>
      when(
        range && !(range.min >= 1 && range.min <= range.max && range.max <= MOST_UNITS),
        ['keyspaces', 'provisioned', of],
        JSON.stringify(range),
        `min and max, whole numbers from 1 to ${MOST_UNITS}`,
      ),
    ),
    ...when(
      provisioned && warmThroughput,
      ['keyspaces', 'warmThroughput'],
      'warm throughput beside provisioned capacity',
      'one of the two',
    ),
  ];
}

/** The quota of a table (https://docs.aws.amazon.com/keyspaces/latest/devguide/quotas.html). */
const MOST_UNITS = 40_000;
/** Twenty years, the most. Every row has a TTL of its own; that a table has a default switches them on. */
const LONGEST_TTL_SECONDS = 630_720_000;

interface KeyspaceTablesProps extends Kept, NonNullable<KeyspacesOptions['keyspaces']> {
  readonly settings: Keyspaces;
}

/**
 * A keyspace with the tables of sql/cassandra, made by CloudFormation: paid by request, backed up for 35 days to any second,
 * retained. Keyspaces has no protection against deletion. Of one that is there only what is missing is made, by a function;
 * it looks at both, so that a table which is not as the stores need it fails the deployment.
 */
class KeyspaceTables extends Construct {
  constructor(scope: Construct, id: string, props: KeyspaceTablesProps) {
    super(scope, id);
    const { settings, removalPolicy, schema = 'automatic' } = props;
    const { keyspace: keyspaceName, region, existing } = settings;
    const made = [];
    if (!existing) {
      const keyspace = new CfnKeyspace(this, 'Keyspace', { keyspaceName });
      const tables = cassandraTables().map((table) => {
        const created = new CfnTable(this, table.name, tableProps(keyspaceName, table, props));
        created.addResourceDependency(keyspace);
        return created;
      });
      for (const each of [keyspace, ...tables]) each.applyRemovalPolicy(removalPolicy);
      made.push(...tables);
    }
    const { handler } = new KeyspaceSchema(this, 'Schema', {
      handlerName: 'apply-keyspaces-schema',
      application: schema,
      properties: { keyspace: keyspaceName, ...(region !== undefined && { region }) },
      after: made,
    });
    const arns = tableArns(this, settings, cassandraTables());
    const making = schema === 'automatic' ? ['cassandra:Create', 'cassandra:Alter'] : [];
    const resourceArns = [keyspaceArn(this, settings, '/'), ...arns];
    Grant.addToPrincipal({ grantee: handler, actions: ['cassandra:Select', ...making], resourceArns });
    grantSystem(this, settings, handler);
  }
}

function tableProps(keyspaceName: string, table: CassandraTable, props: KeyspaceTablesProps) {
  const { encryptionKey, provisioned, warmThroughput } = props;
  const clustering = columnsOf(table, 'clustering');
  const column = ({ name, type }: { name: string; type: string }) => ({ columnName: name, columnType: type });
  return {
    keyspaceName,
    tableName: table.name,
    partitionKeyColumns: columnsOf(table, 'partition_key').map(column),
    ...(clustering.length > 0 && {
      clusteringKeyColumns: clustering.map((each) => ({ column: column(each), orderBy: 'ASC' })),
    }),
    // https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-cassandra-table-column.html
    regularColumns: [
      ...columnsOf(table, 'static').map(({ name, type }) => column({ name, type: `${type} STATIC` })),
      ...columnsOf(table, 'regular').map(column),
    ],
    defaultTimeToLive: LONGEST_TTL_SECONDS,
    pointInTimeRecoveryEnabled: true,
    ...(encryptionKey && {
      encryptionSpecification: {
        encryptionType: 'CUSTOMER_MANAGED_KMS_KEY',
        kmsKeyIdentifier: encryptionKey.keyArn,
      },
    }),
    ...(provisioned ? provisionedCapacity(provisioned) : { billingMode: { mode: 'ON_DEMAND' } }),
    ...(warmThroughput && {
      warmThroughput: {
        readUnitsPerSecond: warmThroughput.read,
        writeUnitsPerSecond: warmThroughput.write,
      },
    }),
  };
}

function provisionedCapacity({
  read,
  write,
  targetUtilization = 70,
}: NonNullable<NonNullable<KeyspacesOptions['keyspaces']>['provisioned']>) {
  const scaling = ({ min, max }: UnitRange) => ({
    minimumUnits: min,
    maximumUnits: max,
    scalingPolicy: { targetTrackingScalingPolicyConfiguration: { targetValue: targetUtilization } },
  });
  return {
    billingMode: {
      mode: 'PROVISIONED',
      provisionedThroughput: { readCapacityUnits: read.min, writeCapacityUnits: write.min },
    },
    autoScalingSpecifications: { readCapacityAutoScaling: scaling(read), writeCapacityAutoScaling: scaling(write) },
  };
}

/** A keyspace that this stack creates, another one does, or neither: its name is all that there is to know. */
function keyspacesConnection(scope: Construct, settings: Keyspaces): StoreConnection {
  return {
    facts: {},
    watched: watchedKeyspace(settings.keyspace, settings.region),
    settingsFor: () => ({ existing: true }),
    grant(grantee, use) {
      for (const [actions, tables] of permissionsFor(use)) {
        Grant.addToPrincipal({ grantee, actions: [...actions], resourceArns: tableArns(scope, settings, tables) });
      }
      grantSystem(scope, settings, grantee);
      // By way of an endpoint the driver finds only the nodes that Keyspaces may look up for the function
      // (https://docs.aws.amazon.com/keyspaces/latest/devguide/vpc-endpoints.html#system_peers).
      if (grantee instanceof LambdaFunction && grantee.isBoundToVpc) {
        const actions = ['ec2:DescribeNetworkInterfaces', 'ec2:DescribeVpcEndpoints'];
        Grant.addToPrincipal({ grantee, actions, resourceArns: ['*'] });
      }
    },
  };
}

/** Rows leave by their TTL, so a purge only asks whether the service is there. */
function permissionsFor(use: ConnectionUse): [readonly string[], CassandraTable[]][] {
  const isArtifact = ({ name }: CassandraTable) => name.startsWith('oauth_artifact');
  const all = cassandraTables();
  const parts = [
    [use.tokens, all.filter((table) => !isArtifact(table))],
    [use.artifacts, all.filter(isArtifact)],
  ] as const;
  return parts.flatMap(([access, tables]): [readonly string[], CassandraTable[]][] => {
    if (access === undefined || access === 'purge') return [];
    return [[access === 'read' ? ['cassandra:Select'] : ['cassandra:Select', 'cassandra:Modify'], tables]];
  });
}

const keyspaceArn = (scope: Construct, { keyspace, region }: Pick<Keyspaces, 'keyspace' | 'region'>, path: string) =>
  Stack.of(scope).formatArn({
    service: 'cassandra',
    resource: `/keyspace/${keyspace}${path}`,
    arnFormat: ArnFormat.NO_RESOURCE_NAME,
    ...(region !== undefined && { region }),
  });

const tableArns = (scope: Construct, settings: Keyspaces, tables: readonly CassandraTable[]): string[] =>
  tables.map(({ name }) => keyspaceArn(scope, settings, `/table/${name}`));

/** What a driver reads of the service itself: its nodes, and which tables there are. */
function grantSystem(scope: Construct, { region }: Keyspaces, grantee: IGrantable): void {
  const arn = keyspaceArn(scope, { keyspace: 'system*', ...(region !== undefined && { region }) }, '');
  Grant.addToPrincipal({ grantee, actions: ['cassandra:Select'], resourceArns: [arn] });
  const reason = 'The keyspaces in which the service describes itself, as its documentation names them.';
  acknowledgeWildcard(grantee.grantPrincipal as Role, arn, reason);
}

/** The tables that every grant and every code goes through, and the statements on them. */
const WATCHED = ['oauth_grant', 'oauth_code'].flatMap((table) => [
  { table, operation: 'SELECT', throttles: 'ReadThrottleEvents' },
  { table, operation: 'UPDATE', throttles: 'WriteThrottleEvents' },
]);

/** https://docs.aws.amazon.com/keyspaces/latest/devguide/metrics-dimensions.html. A condition that fails is no failure. */
export const watchedKeyspace =
  (Keyspace: string, region?: string): Watched =>
  ({ throttledRequests, failures }) =>
    WATCHED.flatMap(({ table, operation, throttles }) => {
      const watch = (alarm: AlarmName, metricName: string, minutes: number, condition: Condition): Watch => ({
        alarm,
        of: `${table}-${operation}-${metricName}`,
        metric: new Metric({
          namespace: 'AWS/Cassandra',
          metricName,
          dimensionsMap: { Keyspace, TableName: table, Operation: operation },
          statistic: 'Sum',
          period: Duration.minutes(minutes),
          ...(region !== undefined && { region }),
        }),
        condition,
      });
      const throttled = { atLeast: throttledRequests };
      const failing = { atLeast: failures, periods: [2, 3] } as const;
      return [
        watch('keyspace-throttled', throttles, 5, throttled),
        watch('keyspace-throttled', 'StoragePartitionThroughputCapacityExceeded', 5, throttled),
        watch('keyspace-errors', 'SystemErrors', 1, failing),
        watch('keyspace-errors', 'UserErrors', 1, failing),
      ];
    });
