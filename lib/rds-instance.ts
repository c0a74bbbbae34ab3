import { Duration, type RemovalPolicy, Validations } from 'aws-cdk-lib';
import { InstanceClass, InstanceSize, InstanceType, Port, type SecurityGroup } from 'aws-cdk-lib/aws-ec2';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import {
  CaCertificate,
  CfnDBInstance,
  Credentials,
  DatabaseInstance,
  type DatabaseInstanceProps,
  type IInstanceEngine,
  OptionGroup,
  StorageType,
} from 'aws-cdk-lib/aws-rds';
import { type ISecret, Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';
import type { Watched } from './alarms.ts';
import type { Network, StoreConnection } from './connection.ts';
import { type CreatedServer, type DatabaseServer, watchedInstance } from './database-server.ts';
import type { FactsOf } from './engine-deployment.ts';
import { MAX_CONNECTIONS, MAX_STORAGE, type RdsInstanceOptions, STORAGE } from './instance-options.ts';
import type { NetworkService, PrivateNetwork } from './network.ts';
import { DatabaseSchema, type DatabaseSchemaProps } from './schema.ts';

// What instances of Amazon RDS have in common, whatever they speak. How one differs is data in the file of its engine.

export interface RdsInstanceProps extends RdsInstanceOptions {
  readonly network: PrivateNetwork;
  /** Name of the database. Default: oauth. */
  readonly databaseName?: string;
  /** A customer-managed key for storage, backups and the master user’s secret. Default: keys that AWS manages. */
  readonly encryptionKey?: IKey;
  readonly deletionProtection: boolean;
  readonly removalPolicy: RemovalPolicy;
  /** Whether access tokens are kept in partitions that are emptied whole; once on, it stays on. Default: false. */
  readonly expiryPartitions?: boolean;
}

/** How the instances of one engine differ from others. */
export interface InstanceEngine extends Pick<DatabaseSchemaProps, 'engine'> {
  /** Its name, as people write it. */
  readonly title: string;
  readonly instanceEngine: IInstanceEngine;
  /** Where it listens for TLS. */
  readonly port: number;
  /** What a database may be called. Default: anything that the configuration takes. */
  readonly databaseNames?: { readonly pattern: RegExp; readonly accepted: string };
  /** Whether the database is there with the instance, rather than made by whoever applies the schema. Default: true. */
  readonly hasDatabase?: boolean;
  /** Default: m7g.large. */
  readonly instanceType?: InstanceType;
  readonly license?: 'license-included' | 'bring-your-own-license' | 'marketplace-license';
  /** Whether the master user’s password has letters and digits alone: made here then, and left as it is. Default: RDS makes it. */
  readonly hasPlainPassword?: boolean;
  /** What goes to CloudWatch: nothing that holds the values of statements. */
  readonly logs: readonly string[];
  parameters(maxConnections: number): Readonly<Record<string, string>>;
  /** What an option group switches on, at a port of its own. */
  readonly option?: { readonly name: string; readonly settings: Readonly<Record<string, string>> };
  /** What is said of the instance beside. */
  readonly further?: Pick<DatabaseInstanceProps, 'characterSetName' | 'enablePerformanceInsights'>;
  /** Gives a function what it needs of the engine beside its bundle. */
  equip?(fn: LambdaFunction): void;
  readonly login: InstanceLogin;
}

/** How functions log in to an instance, and by which way. */
export interface InstanceLogin {
  readonly isIam: boolean;
  /** What functions need a way to, as long as they live. */
  readonly service?: NetworkService;
  /** What functions must know beside {@link commonFacts}. */
  readonly facts: readonly string[];
  /** What it takes beside the instance, made below `scope`: its facts, and the host if functions are not to use the instance’s. */
  prepare(scope: Construct, made: MadeInstance): FactsOf<string>;
  connect(scope: Construct, settings: DatabaseServer, connected: ConnectedInstance): StoreConnection;
}

export interface MadeInstance {
  readonly engine: InstanceEngine;
  readonly instance: DatabaseInstance;
  readonly instanceResourceId: string;
  readonly host: string;
  readonly database: string;
  /** The secret of the master user. */
  readonly master: ISecret;
  /** That of the instance: whoever may speak to it is let in here. */
  readonly securityGroup: SecurityGroup;
  readonly network: PrivateNetwork;
  readonly schema: DatabaseSchema;
  readonly removalPolicy: RemovalPolicy;
}

export interface ConnectedInstance {
  readonly facts: RdsInstanceFacts;
  readonly port: number;
  readonly watched: Watched;
  readonly network: Network;
}

/** Who owns the tables. */
export const MASTER = 'oauth_admin';

const commonFacts = ['host', 'databaseName', 'instanceId'] as const;
export type RdsInstanceFacts = FactsOf<(typeof commonFacts)[number]> & FactsOf<string>;

/** The names of what a function needs to know of an instance. */
export const rdsInstanceFacts = ({ login }: Pick<InstanceEngine, 'login'>) => [...commonFacts, ...login.facts];

/**
 * A database server in Amazon RDS, in two Availability Zones, with its schema: encrypted, backed up for 35 days to any second,
 * protected against deletion, without a way in but over TLS.
 *
 * The master user’s password is made and replaced every week by RDS. Functions log in as one of four users with no more
 * privileges than they need.
 */
export class RdsInstance extends Construct {
  readonly facts: RdsInstanceFacts;
  readonly instance: DatabaseInstance;

  constructor(scope: Construct, id: string, props: RdsInstanceProps, engine: InstanceEngine) {
    super(scope, id);
    const { network, databaseName: database = 'oauth', schema = 'automatic', removalPolicy } = props;
    const { title, port, login } = engine;
    const servers = network.securityGroup('InstanceGroup', `The instance of ${title}`, this);
    const schemas = network.securityGroup('SchemaGroup', 'The function that applies the schema', this);
    schemas.connections.allowTo(servers, Port.tcp(port), title);
    const plain = engine.hasPlainPassword ? plainMaster(this, props) : undefined;
    this.instance = createInstance(this, { ...props, databaseName: database }, engine, servers, plain);
    const { instanceResourceId, dbInstanceEndpointAddress: host } = this.instance;
    const master = plain ?? this.instance.secret;
    if (!master || !instanceResourceId) throw new Error(`${this.node.path}: the instance has no secret or no id`);
    const applied = new DatabaseSchema(this, 'Schema', {
      engine: engine.engine,
      network,
      securityGroup: schemas,
      host,
      port,
      database,
      user: MASTER,
      secret: master,
      application: schema,
      ...(props.expiryPartitions !== undefined && { expiryPartitions: props.expiryPartitions }),
      ...(engine.equip && { equip: engine.equip }),
      after: [this.instance, servers],
    });
    this.facts = {
      host,
      databaseName: database,
      instanceId: this.instance.instanceIdentifier,
      ...login.prepare(this, {
        engine,
        instance: this.instance,
        instanceResourceId,
        host,
        database,
        master,
        securityGroup: servers,
        network,
        schema: applied,
        removalPolicy,
      }),
    };
  }
}

function createInstance(
  scope: Construct,
  props: RdsInstanceProps & { readonly databaseName: string },
  engine: InstanceEngine,
  servers: SecurityGroup,
  master: ISecret | undefined,
): DatabaseInstance {
  const { network, encryptionKey, multiAz = true, deletionProtection, removalPolicy } = props;
  const { instanceEngine, login, hasDatabase = true, further } = engine;
  const options = optionGroup(scope, props, engine, servers);
  const instance = new DatabaseInstance(scope, 'Instance', {
    engine: instanceEngine,
    instanceType: props.instanceType ?? engine.instanceType ?? InstanceType.of(InstanceClass.M7G, InstanceSize.LARGE),
    multiAz,
    vpc: network.vpc,
    vpcSubnets: { subnets: [...network.subnets] },
    securityGroups: [servers],
    publiclyAccessible: false,
    ...(hasDatabase && { databaseName: props.databaseName }),
    ...(master
      ? { credentials: Credentials.fromPassword(MASTER, master.secretValueFromJson('password')) }
      : {
          credentials: Credentials.fromUsername(MASTER, { ...(encryptionKey && { encryptionKey }) }),
          manageMasterUserPassword: true,
        }),
    ...(login.isIam && { iamAuthentication: true }),
    // Its authority is among those that functions trust, which the package carries.
    caCertificate: CaCertificate.RDS_CA_RSA2048_G1,
    storageType: StorageType.GP3,
    allocatedStorage: props.storageGigabytes ?? STORAGE,
    maxAllocatedStorage: props.maxStorageGigabytes ?? MAX_STORAGE,
    storageEncrypted: true,
    ...(encryptionKey && { storageEncryptionKey: encryptionKey }),
    backupRetention: Duration.days(35),
    copyTagsToSnapshot: true,
    deleteAutomatedBackups: false,
    deletionProtection,
    removalPolicy,
    autoMinorVersionUpgrade: true,
    enablePerformanceInsights: true,
    ...(encryptionKey &&
      further?.enablePerformanceInsights !== false && { performanceInsightEncryptionKey: encryptionKey }),
    cloudwatchLogsExports: [...engine.logs],
    parameters: { ...engine.parameters(props.maxConnections ?? MAX_CONNECTIONS) },
    ...(options && { optionGroup: options }),
    ...further,
  });
  const { license } = engine;
  // One of them CDK has no name for.
  if (license && instance.node.defaultChild instanceof CfnDBInstance) instance.node.defaultChild.licenseModel = license;
  const because = (rule: string, reason: string) =>
    Validations.of(instance).acknowledge({ id: `AwsSolutions-${rule}`, reason });
  because('RDS11', 'Another port hides nothing from whoever is in the network.');
  if (!multiAz) because('RDS3', 'Whoever deploys it takes the time that a new instance needs for its price.');
  if (!deletionProtection) {
    because('RDS10', 'Whoever deploys it wants to be rid of it again, and is warned of what that means.');
  }
  return instance;
}

/** The secret of a master user whose password is not RDS’s to make. */
function plainMaster(scope: Construct, { encryptionKey, removalPolicy }: RdsInstanceProps): ISecret {
  const secret = new Secret(scope, 'Master', {
    description: `The master user of ${scope.node.path}`,
    generateSecretString: {
      secretStringTemplate: JSON.stringify({ username: MASTER }),
      generateStringKey: 'password',
      excludePunctuation: true,
      passwordLength: 30,
    },
    ...(encryptionKey && { encryptionKey }),
    removalPolicy,
  });
  Validations.of(secret).acknowledge({
    id: 'AwsSolutions-SMG4',
    reason:
      'Only a deployment and the rotation of others use it; RDS, which would rotate it, makes passwords that the driver cannot be given.',
  });
  return secret as ISecret;
}

function optionGroup(
  scope: Construct,
  { network: { vpc }, removalPolicy }: RdsInstanceProps,
  { instanceEngine: engine, option, port }: InstanceEngine,
  servers: SecurityGroup,
): OptionGroup | undefined {
  if (!option) return undefined;
  const { name, settings } = option;
  const configuration = { name, port, vpc, securityGroups: [servers], settings: { ...settings } };
  const group = new OptionGroup(scope, 'Options', { engine, configurations: [configuration] });
  group.applyRemovalPolicy(removalPolicy); // that of the instance, which cannot be without
  return group;
}

/** An instance that the deployment creates, of this engine. */
export const createdInstance = (
  settings: DatabaseServer,
  engine: InstanceEngine,
  options: RdsInstanceOptions = {},
): CreatedServer => ({
  facts: rdsInstanceFacts(engine),
  ...(engine.login.service && { service: engine.login.service }),
  create: (scope, id, { network, ...kept }) =>
    new RdsInstance(
      scope,
      id,
      {
        ...options,
        ...kept,
        network: network(),
        expiryPartitions: settings.expiryPartitions,
        ...(settings.database !== undefined && { databaseName: settings.database }),
      },
      engine,
    ).facts,
  connect: (scope, facts, network) =>
    instanceConnection(scope, settings, engine, facts as RdsInstanceFacts, network, options),
});

/** An instance of {@link RdsInstance}, in this stack or in another. */
export const instanceConnection = (
  scope: Construct,
  settings: DatabaseServer,
  { port, login, equip }: Pick<InstanceEngine, 'port' | 'login' | 'equip'>,
  facts: RdsInstanceFacts,
  network: Network,
  { maxConnections = MAX_CONNECTIONS }: RdsInstanceOptions = {},
): StoreConnection => ({
  ...login.connect(scope, settings, {
    facts,
    port,
    network,
    watched: (limits) => watchedInstance(facts.instanceId, maxConnections)(limits),
  }),
  ...(equip && { equip }),
});
