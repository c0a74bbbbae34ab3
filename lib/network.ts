import { Annotations, Fn, type RemovalPolicy, Stack } from 'aws-cdk-lib';
import {
  FlowLogDestination,
  FlowLogTrafficType,
  GatewayVpcEndpointAwsService,
  InterfaceVpcEndpoint,
  InterfaceVpcEndpointAwsService,
  IpAddresses,
  type ISubnet,
  type IVpc,
  Peer,
  Port,
  SecurityGroup,
  Subnet,
  SubnetType,
  Vpc,
} from 'aws-cdk-lib/aws-ec2';
import { AnyPrincipal, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Construct, type IConstruct } from 'constructs';
import type { Network } from './connection.ts';

/** A service of AWS that functions use, and that is reached from a network by an endpoint. */
export type NetworkService = 'dynamodb' | 'keyspaces' | 'secretsmanager';

/** The construct of the endpoint of AWS Secrets Manager. */
const SECRETS = 'SecretsManager';
/** The port of Amazon Keyspaces. */
const KEYSPACES_PORT = 9142;

export interface PrivateNetworkProps {
  /**
   * An existing VPC; its private subnets lead to AWS KMS and, where a schema is applied, to AWS Secrets Manager, by endpoints
   * or otherwise. Default: a VPC without a way to or from the internet, with the endpoints that functions need.
   */
  readonly vpc?: IVpc;
  /** Availability Zones of a new VPC, such as eu-central-1a; at least two. Default: the first two of the Region. */
  readonly availabilityZones?: readonly string[];
  /** Addresses of a new VPC, to be chosen where it will be connected to others. Default: 10.0.0.0/20. */
  readonly cidr?: string;
  /** What functions in it use too. Default: nothing. */
  readonly services?: readonly NetworkService[];
  /**
   * The prefix list of DynamoDB in the Region, pl-…: the addresses that functions may speak to for it (`aws ec2
   * describe-managed-prefix-lists`). Default: any, of which no route of a new VPC leads to others.
   */
  readonly dynamodbPrefixList?: string;
  /** What becomes of the log of refused packets when its stack goes. Default: it stays. */
  readonly removalPolicy?: RemovalPolicy;
}

/** What functions in another stack need to know of it, as text. */
export const networkFacts = ['subnetIds', 'clientGroupId'] as const;
export type NetworkFacts = Readonly<Record<(typeof networkFacts)[number], string>>;

/**
 * Where databases are, and the functions that use them: private subnets, and one security group of the functions, which may
 * speak to what was made for them and to nothing else.
 */
export class PrivateNetwork extends Construct {
  readonly vpc: IVpc;
  /** One in each Availability Zone. */
  readonly subnets: readonly ISubnet[];
  /** The functions. */
  readonly clients: SecurityGroup;
  readonly facts: NetworkFacts;
  private readonly endpoints: SecurityGroup | undefined;

  constructor(scope: Construct, id: string, props: PrivateNetworkProps = {}) {
    super(scope, id);
    this.vpc = props.vpc ?? this.createVpc(props);
    this.subnets = privateSubnets(this.vpc);
    if (this.subnets.length < 2) {
      throw new Error(
        `vpc: ${this.subnets.length} private subnets; accepted: at least two in different Availability Zones, as Aurora and RDS Proxy need`,
      );
    }
    this.clients = this.securityGroup('Clients', 'Functions that use the stores');
    if (props.vpc) {
      // Endpoints of somebody else, in a group of theirs; what has no endpoint is reached through a NAT gateway.
      this.clients.addEgressRule(Peer.anyIpv4(), Port.HTTPS, 'AWS services, as this VPC leads to them');
      if (props.services?.includes('keyspaces')) {
        this.clients.addEgressRule(
          Peer.anyIpv4(),
          Port.tcp(KEYSPACES_PORT),
          'Amazon Keyspaces, as this VPC leads to it',
        );
      }
    } else {
      this.endpoints = this.securityGroup('Endpoints', 'Endpoints of AWS services');
      this.clients.connections.allowTo(this.endpoints, Port.HTTPS, 'Endpoints of AWS services');
      this.addEndpoint('Kms', InterfaceVpcEndpointAwsService.KMS, ['kms:Decrypt'], this.subnets);
      if (props.services?.includes('dynamodb')) this.addDynamodb(this.vpc, props.dynamodbPrefixList);
      if (props.services?.includes('secretsmanager')) this.addSecrets(true);
      if (props.services?.includes('keyspaces')) {
        this.clients.connections.allowTo(this.endpoints, Port.tcp(KEYSPACES_PORT), 'The endpoint of Amazon Keyspaces');
        const actions = ['cassandra:Select', 'cassandra:Modify'];
        this.addEndpoint('Keyspaces', InterfaceVpcEndpointAwsService.KEYSPACES, actions, this.subnets);
      }
    }
    this.facts = {
      subnetIds: Fn.join(
        ',',
        this.subnets.map(({ subnetId }) => subnetId),
      ),
      clientGroupId: this.clients.securityGroupId,
    };
  }

  /** A group that nobody may speak to and that may speak to nobody, until rules are added. */
  securityGroup(id: string, description: string, scope: Construct = this): SecurityGroup {
    const group = new SecurityGroup(scope, id, { vpc: this.vpc, description, allowAllOutbound: false });
    // EC2 lets a group speak to everybody that is made without a rule; rules beside it, as for other groups, come too late
    // (https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ec2-securitygroup.html).
    group.addEgressRule(Peer.ipv4('127.0.0.1/32'), Port.tcp(1), 'Nothing but what other rules allow');
    return group;
  }

  /**
   * A way for `group` to AWS Secrets Manager. Where only deployments go it, an endpoint in one Availability Zone will do.
   */
  allowSecrets(group: SecurityGroup): IConstruct[] {
    if (!this.endpoints) {
      group.addEgressRule(Peer.anyIpv4(), Port.HTTPS, 'AWS Secrets Manager, as this VPC leads to it');
      return [group];
    }
    group.connections.allowTo(this.endpoints, Port.HTTPS, 'The endpoint of AWS Secrets Manager');
    const endpoint = this.node.tryFindChild(SECRETS) ?? this.addSecrets(false);
    return [group, this.endpoints, endpoint];
  }

  /** In all zones, also for the function that replaces passwords; in one, for a deployment that reads one. */
  private addSecrets(isKept: boolean): InterfaceVpcEndpoint {
    const service = InterfaceVpcEndpointAwsService.SECRETS_MANAGER;
    const read = 'secretsmanager:GetSecretValue';
    if (!isKept) return this.addEndpoint(SECRETS, service, [read], this.subnets.slice(0, 1));

    const rotate = ['DescribeSecret', 'PutSecretValue', 'UpdateSecretVersionStage'];
    const permitted = [read, ...rotate.map((action) => `secretsmanager:${action}`)];
    const endpoint = this.addEndpoint(SECRETS, service, permitted, this.subnets);
    // It concerns no secret, so that no account is that of what is asked for.
    endpoint.addToPolicy(this.ofThisAccount(['secretsmanager:GetRandomPassword'], ['aws:PrincipalAccount']));
    return endpoint;
  }

  private createVpc({ availabilityZones, cidr = '10.0.0.0/20', removalPolicy }: PrivateNetworkProps): IVpc {
    const vpc = new Vpc(this, 'Vpc', {
      ipAddresses: IpAddresses.cidr(cidr),
      // Not asked of the account, so that a template is the same wherever it is made.
      availabilityZones: [...(availabilityZones ?? [0, 1].map((index) => Fn.select(index, Fn.getAzs())))],
      natGateways: 0,
      createInternetGateway: false,
      subnetConfiguration: [{ name: 'Private', subnetType: SubnetType.PRIVATE_ISOLATED }],
      // Nothing is in it; to empty it would take a function of CDK’s.
      restrictDefaultSecurityGroup: false,
    });
    vpc.addFlowLog('Refused', {
      trafficType: FlowLogTrafficType.REJECT,
      destination: FlowLogDestination.toCloudWatchLogs(
        new LogGroup(this, 'RefusedTraffic', {
          retention: RetentionDays.THREE_MONTHS,
          ...(removalPolicy && { removalPolicy }),
        }),
      ),
    });
    return vpc as IVpc;
  }

  /** Only for this account: what a function was tricked into cannot carry anything to another one’s keys or secrets. */
  private addEndpoint(
    id: string,
    service: InterfaceVpcEndpointAwsService,
    actions: readonly string[],
    subnets: readonly ISubnet[],
  ): InterfaceVpcEndpoint {
    const endpoint = new InterfaceVpcEndpoint(this, id, {
      vpc: this.vpc,
      service,
      subnets: { subnets: [...subnets] },
      securityGroups: this.endpoints ? [this.endpoints] : [],
      open: false,
      privateDnsEnabled: true,
    });
    endpoint.addToPolicy(this.ofThisAccount(actions));
    return endpoint;
  }

  private addDynamodb(vpc: IVpc, prefixList: string | undefined): void {
    const endpoint = vpc.addGatewayEndpoint('DynamoDb', { service: GatewayVpcEndpointAwsService.DYNAMODB });
    endpoint.addToPolicy(this.ofThisAccount(['dynamodb:*']));
    // Which list that is differs from Region to Region, and is not known when a template is made.
    const peer = prefixList === undefined ? Peer.anyIpv4() : Peer.prefixList(prefixList);
    this.clients.addEgressRule(peer, Port.HTTPS, 'The gateway endpoint of DynamoDB');
  }

  private ofThisAccount(
    actions: readonly string[],
    conditions = ['aws:PrincipalAccount', 'aws:ResourceAccount'],
  ): PolicyStatement {
    const { account } = Stack.of(this);
    return new PolicyStatement({
      principals: [new AnyPrincipal()],
      actions: [...actions],
      resources: ['*'],
      conditions: { StringEquals: Object.fromEntries(conditions.map((condition) => [condition, account])) },
    });
  }
}

/** Where functions must run that use what is in the network. */
export function functionNetwork(scope: Construct, id: string, { subnetIds, clientGroupId }: NetworkFacts): Network {
  const imported = new Construct(scope, id);
  // A function is put into subnets and groups; which VPC these are of goes without saying, and stands in no template.
  // How many subnets there are is not known here, and need not be: the ids go into a list of CloudFormation as one list.
  const subnet = Subnet.fromSubnetId(imported, 'Subnets', String(Fn.split(',', subnetIds)[0]));
  Annotations.of(subnet).acknowledgeWarning(
    '@aws-cdk/aws-ec2:noSubnetRouteTableId',
    'A function needs no route table.',
  );
  const vpc = Vpc.fromVpcAttributes(imported, 'Vpc', {
    vpcId: 'that of the subnets',
    availabilityZones: Fn.getAzs(),
  });
  Annotations.of(vpc).acknowledgeWarning(
    '@aws-cdk/aws-ec2:vpcAttributeIsListTokenavailabilityZones',
    'No zone is asked for.',
  );
  return {
    vpc,
    vpcSubnets: { subnets: [subnet] },
    securityGroups: [SecurityGroup.fromSecurityGroupId(imported, 'Clients', clientGroupId, { mutable: false })],
  };
}

/** Those without a way from the internet, one in each Availability Zone. */
const privateSubnets = (vpc: IVpc): ISubnet[] => {
  const all = vpc.isolatedSubnets.length > 0 ? vpc.isolatedSubnets : vpc.privateSubnets;
  return [...new Map(all.map((subnet) => [subnet.availabilityZone, subnet])).values()];
};
