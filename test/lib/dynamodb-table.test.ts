import { App, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { describe, expect, it } from 'vitest';
import type { ConnectionUse } from '../../lib/connection.ts';
import { DynamodbTable, type DynamodbTableProps, dynamodbConnection } from '../../lib/dynamodb-table.ts';
import { permitTablesOfAccount } from '../../lib/service-key.ts';

const env = { account: '111111111111', region: 'us-east-1' };
const plain = { nativeTimeToLive: true, deletionProtection: true, removalPolicy: RemovalPolicy.RETAIN };

function templateOf(props: Partial<DynamodbTableProps> = {}) {
  const stack = new Stack(new App(), 'Data', { env });
  new DynamodbTable(stack, 'Tokens', { ...plain, ...props });
  return Template.fromStack(stack);
}

/** What a function with this use may do. */
function permittedFor(use: ConnectionUse, settings = {}, nativeTimeToLive = true) {
  const stack = new Stack(new App(), 'Service', { env });
  const role = new Role(stack, 'Role', { assumedBy: new ServicePrincipal('lambda.amazonaws.com') });
  dynamodbConnection(stack, { ...settings, nativeTimeToLive }, { tableName: 'tokens' }).grant(role, use);
  const [policy] = Object.values(Template.fromStack(stack).findResources('AWS::IAM::Policy'));
  return policy?.Properties.PolicyDocument.Statement as {
    Action: string | string[];
    Resource: unknown;
    Condition?: object;
  }[];
}

const actionsOf = (use: ConnectionUse) =>
  permittedFor(use).flatMap(({ Action }) => [Action].flat().map((action) => action.replace('dynamodb:', '')));

describe('a table', () => {
  it('is paid by request, backed up, protected, and removes what has expired', () => {
    templateOf().hasResource('AWS::DynamoDB::GlobalTable', {
      Properties: {
        BillingMode: 'PAY_PER_REQUEST',
        KeySchema: [
          { AttributeName: 'p', KeyType: 'HASH' },
          { AttributeName: 'k', KeyType: 'RANGE' },
        ],
        AttributeDefinitions: [
          { AttributeName: 'p', AttributeType: 'B' },
          { AttributeName: 'k', AttributeType: 'B' },
        ],
        TimeToLiveSpecification: { AttributeName: 'l', Enabled: true },
        SSESpecification: Match.absent(),
        Replicas: [
          {
            Region: 'us-east-1',
            DeletionProtectionEnabled: true,
            PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
          },
        ],
      },
      DeletionPolicy: 'Retain',
      UpdateReplacePolicy: 'Retain',
    });
  });

  it('with replicas is strongly consistent, has no TTL, and all of them are backed up and protected', () => {
    const template = templateOf({
      nativeTimeToLive: false,
      replicas: { regions: ['us-east-2'], witnessRegion: 'us-west-2' },
    });
    const kept = {
      DeletionProtectionEnabled: true,
      PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
    };
    template.hasResourceProperties('AWS::DynamoDB::GlobalTable', {
      MultiRegionConsistency: 'STRONG',
      GlobalTableWitnesses: [{ Region: 'us-west-2' }],
      TimeToLiveSpecification: Match.absent(),
      Replicas: Match.arrayWith([
        { Region: 'us-east-2', ...kept },
        { Region: 'us-east-1', ...kept },
      ]),
    });
  });

  it('under a customer-managed key lets those who may use it use the key, through DynamoDB alone', () => {
    const stack = new Stack(new App(), 'Data', { env });
    const encryptionKey = new Key(stack, 'Key');
    permitTablesOfAccount(stack, encryptionKey, 'dynamodb');
    new DynamodbTable(stack, 'Tokens', { ...plain, encryptionKey });
    const template = Template.fromStack(stack);
    template.hasResourceProperties('AWS::DynamoDB::GlobalTable', {
      SSESpecification: { SSEEnabled: true, SSEType: 'KMS' },
    });
    template.hasResourceProperties('AWS::KMS::Key', {
      KeyPolicy: {
        Statement: Match.arrayWith([
          Match.objectLike({
            Principal: { AWS: '*' },
            Condition: {
              StringEquals: {
                'kms:CallerAccount': '111111111111',
                'kms:ViaService': 'dynamodb.us-east-1.amazonaws.com',
              },
            },
          }),
        ]),
      },
    });
  });
});

describe('a function may', () => {
  const reading = ['GetItem', 'BatchGetItem', 'Query'];
  const writing = [...reading, 'PutItem', 'UpdateItem', 'DeleteItem'];
  const purging = ['DescribeTable', 'Scan'];

  it.each<[string, ConnectionUse, string[]]>([
    ['only read, to look up', { tokens: 'read' }, reading],
    ['read and write, to write', { tokens: 'write' }, writing],
    ['write where it writes artifacts only', { tokens: 'read', artifacts: 'write' }, writing],
    ['look at a sample, to purge what the table removes by itself', { tokens: 'purge', artifacts: 'purge' }, purging],
    [
      'read besides, where it purges one and reads the other',
      { tokens: 'read', artifacts: 'purge' },
      [...reading, ...purging],
    ],
  ])('%s', (_, use, actions) => {
    expect(actionsOf(use)).toEqual(actions);
  });

  it('see no more of an item than its key and when it may go, to purge', () => {
    const attributes = { 'dynamodb:Attributes': ['p', 'k', 'l'] };
    const permitted = permittedFor({ tokens: 'purge' }, {}, false);
    expect(permitted.map(({ Action }) => Action)).toEqual(['dynamodb:Scan', 'dynamodb:DeleteItem']);
    expect(permitted.map(({ Condition }) => Condition)).toEqual([
      { 'ForAllValues:StringEquals': attributes, StringEquals: { 'dynamodb:Select': 'SPECIFIC_ATTRIBUTES' } },
      { 'ForAllValues:StringEquals': attributes, StringEqualsIfExists: { 'dynamodb:ReturnValues': 'NONE' } },
    ]);
  });

  it('do so with this one table, in its Region', () => {
    const arn = (region: string) => ({
      'Fn::Join': ['', ['arn:', { Ref: 'AWS::Partition' }, `:dynamodb:${region}:111111111111:table/tokens`]],
    });
    expect(permittedFor({ tokens: 'read' })[0]?.Resource).toEqual(arn('us-east-1'));
    expect(permittedFor({ tokens: 'read' }, { region: 'eu-central-1' })[0]?.Resource).toEqual(arn('eu-central-1'));
  });
});
