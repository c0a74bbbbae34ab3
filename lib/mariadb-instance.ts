import { Duration, type RemovalPolicy, Validations } from 'aws-cdk-lib';
import { InstanceClass, InstanceSize, InstanceType, Port } from 'aws-cdk-lib/aws-ec2';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import {
  Credentials,
  DatabaseInstance,
  DatabaseInstanceEngine,
  MariaDbEngineVersion,
  StorageType,
} from 'aws-cdk-lib/aws-rds';
import { Construct } from 'constructs';
import { usualPorts } from '../functions/config/engines.ts';
import type { Network, StoreConnection } from './connection.ts';
import { type DatabaseServer, watchedInstance } from './database-server.ts';
import { iamConnection } from './iam-connection.ts';
import type { PrivateNetwork } from './network.ts';
import { DatabaseSchema, type SchemaApplication } from './schema.ts';

export interface MariadbInstanceProps {
  readonly network: PrivateNetwork;
  /** Name of the database. Default: oauth. */
  readonly databaseName?: string;
  /** Default: m7g.large, with 8 GiB of memory. */
  readonly instanceType?: InstanceType;
  /** A second instance in another Availability Zone, which takes over when the first one fails. Default: true. */
  readonly multiAz?: boolean;
  /** Gigabytes of storage to begin with, and the most that RDS adds to by itself. Default: 100 and 1000. */
  readonly storageGigabytes?: number;
  readonly maxStorageGigabytes?: number;
  /** The connections that the server takes; each execution environment of a function has one. Default: 500. */
  readonly maxConnections?: number;
  /** Default: 11.8.6, and its later patches. */
  readonly version?: MariaDbEngineVersion;
  /** A customer-managed key for storage, backups and the master user’s secret. Default: keys that AWS manages. */
  readonly encryptionKey?: IKey;
  readonly deletionProtection: boolean;
  readonly removalPolicy: RemovalPolicy;
  /** Default: automatic. */
  readonly schema?: SchemaApplication;
  /** Whether access tokens are kept in partitions that are emptied whole; once on, it stays on. Default: false. */
  readonly expiryPartitions?: boolean;
}

const PORT = usualPorts.mariadb;
const MASTER = 'oauth_admin';
const MAX_CONNECTIONS = 500;

/** Seconds after which the server ends a connection that is not used: as long as for Aurora MySQL, and for the same reasons. */
const IDLE_SECONDS = '900';

/** What a function needs to know of an instance, as text that can cross stacks. */
export const mariadbInstanceFacts = ['host', 'databaseName', 'instanceId', 'instanceResourceId'] as const;
export type MariadbInstanceFacts = Readonly<Record<(typeof mariadbInstanceFacts)[number], string>>;

/**
 * A MariaDB in Amazon RDS, in two Availability Zones, with its schema: encrypted, backed up for 35 days to any second,
 * protected against deletion.
 *
 * Nobody but the master user has a password, which RDS makes and replaces every week. Functions log in with a token of IAM,
 * over TLS, as one of four users with no more privileges than they need.
 */
export class MariadbInstance extends Construct {
  readonly facts: MariadbInstanceFacts;
  readonly instance: DatabaseInstance;

  constructor(scope: Construct, id: string, props: MariadbInstanceProps) {
    super(scope, id);
    const { network, databaseName = 'oauth', schema = 'automatic' } = props;
    const servers = network.securityGroup('InstanceGroup', 'The instance of MariaDB', this);
    const schemas = network.securityGroup('SchemaGroup', 'The function that applies the schema', this);
    for (const group of [network.clients, schemas]) group.connections.allowTo(servers, Port.tcp(PORT), 'MariaDB');
    const { encryptionKey, version = MariaDbEngineVersion.VER_11_8_6 } = props;
    this.instance = new DatabaseInstance(this, 'Instance', {
      engine: DatabaseInstanceEngine.mariaDb({ version }),
      instanceType: props.instanceType ?? InstanceType.of(InstanceClass.M7G, InstanceSize.LARGE),
      multiAz: props.multiAz ?? true,
      vpc: network.vpc,
      vpcSubnets: { subnets: [...network.subnets] },
      securityGroups: [servers],
      publiclyAccessible: false,
      databaseName,
      credentials: Credentials.fromUsername(MASTER, { ...(encryptionKey && { encryptionKey }) }),
      manageMasterUserPassword: true,
      iamAuthentication: true,
      storageType: StorageType.GP3,
      allocatedStorage: props.storageGigabytes ?? 100,
      maxAllocatedStorage: props.maxStorageGigabytes ?? 1000,
      storageEncrypted: true,
      ...(encryptionKey && { storageEncryptionKey: encryptionKey }),
      backupRetention: Duration.days(35),
      copyTagsToSnapshot: true,
      deleteAutomatedBackups: false,
      deletionProtection: props.deletionProtection,
      removalPolicy: props.removalPolicy,
      autoMinorVersionUpgrade: true,
      enablePerformanceInsights: true,
      ...(encryptionKey && { performanceInsightEncryptionKey: encryptionKey }),
      // Not the logs of slow and of all statements: those of prepared ones hold their values.
      cloudwatchLogsExports: ['error', 'iam-db-auth-error'],
      parameters: {
        require_secure_transport: '1',
        // Acknowledged is on disk, in the binary log of backups too: the defaults, which nobody is to change.
        innodb_flush_log_at_trx_commit: '1',
        sync_binlog: '1',
        binlog_format: 'ROW',
        general_log: '0',
        slow_query_log: '0',
        max_connections: String(props.maxConnections ?? MAX_CONNECTIONS),
        wait_timeout: IDLE_SECONDS,
        interactive_timeout: IDLE_SECONDS,
      },
    });
    this.acknowledge(props);
    const { secret, instanceResourceId } = this.instance;
    if (!secret || !instanceResourceId) throw new Error(`${this.node.path}: the instance has no secret or no id`);
    new DatabaseSchema(this, 'Schema', {
      engine: 'mariadb',
      network,
      securityGroup: schemas,
      host: this.instance.dbInstanceEndpointAddress,
      port: PORT,
      database: databaseName,
      user: MASTER,
      secret,
      application: schema,
      ...(props.expiryPartitions !== undefined && { expiryPartitions: props.expiryPartitions }),
      after: [this.instance, servers],
    });
    this.facts = {
      host: this.instance.dbInstanceEndpointAddress,
      databaseName,
      instanceId: this.instance.instanceIdentifier,
      instanceResourceId,
    };
  }

  private acknowledge({ deletionProtection, multiAz = true }: MariadbInstanceProps): void {
    const because = (rule: string, reason: string) =>
      Validations.of(this.instance).acknowledge({ id: `AwsSolutions-${rule}`, reason });
    because('RDS11', 'Another port hides nothing from whoever is in the network.');
    if (!multiAz) because('RDS3', 'Whoever deploys it takes the time that a new instance needs for its price.');
    if (!deletionProtection) {
      because('RDS10', 'Whoever deploys it wants to be rid of it again, and is warned of what that means.');
    }
  }
}

/** An instance of {@link MariadbInstance}, in this stack or in another. */
export const mariadbInstanceConnection = (
  scope: Construct,
  settings: DatabaseServer,
  facts: MariadbInstanceFacts,
  network: Network,
  { maxConnections = MAX_CONNECTIONS }: Pick<MariadbInstanceProps, 'maxConnections'> = {},
): StoreConnection =>
  iamConnection(
    scope,
    settings,
    {
      facts,
      resourceId: facts.instanceResourceId,
      watched: (limits) => watchedInstance(facts.instanceId, maxConnections)(limits),
    },
    network,
  );
