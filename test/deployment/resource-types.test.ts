import { readFileSync } from 'node:fs';
import { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { describe, expect, it } from 'vitest';
import { ServiceStack } from '../../lib/service-stack.ts';
import { StoresStack } from '../../lib/stores-stack.ts';

/** What MiniStack deploys by itself. Of another type it refuses the whole template: see whether it is known there. */
const deployed = [
  'AWS::ApiGatewayV2::Api',
  'AWS::ApiGatewayV2::Integration',
  'AWS::ApiGatewayV2::Route',
  'AWS::ApiGatewayV2::Stage',
  'AWS::CloudWatch::Alarm',
  'AWS::CloudWatch::Dashboard',
  'AWS::DynamoDB::GlobalTable',
  'AWS::EC2::RouteTable',
  'AWS::EC2::SecurityGroup',
  'AWS::EC2::Subnet',
  'AWS::EC2::SubnetRouteTableAssociation',
  'AWS::EC2::VPC',
  'AWS::EC2::VPCEndpoint',
  'AWS::ElastiCache::User',
  'AWS::ElastiCache::UserGroup',
  'AWS::Events::Rule',
  'AWS::IAM::Policy',
  'AWS::IAM::Role',
  'AWS::KMS::Alias',
  'AWS::KMS::Key',
  'AWS::Lambda::EventInvokeConfig',
  'AWS::Lambda::Function',
  'AWS::Lambda::Permission',
  'AWS::Logs::LogGroup',
  'AWS::RDS::DBCluster',
  'AWS::RDS::DBClusterParameterGroup',
  'AWS::RDS::DBInstance',
  'AWS::RDS::DBSubnetGroup',
  'AWS::SNS::Topic',
  'AWS::SNS::TopicPolicy',
  'AWS::SQS::Queue',
  'AWS::SQS::QueuePolicy',
  'AWS::SSM::Parameter',
  'Custom::DataKeys',
  'Custom::PostgresqlSchema',
];

/** What the launcher of the local AWS records or makes in place of MiniStack. */
const launched = readFileSync(new URL('local-aws.py', import.meta.url), 'utf8').matchAll(
  /^(?:stub\(\s*|handlers\[)"([^"]+)"/gm,
);

describe('the local AWS', () => {
  it('knows every type of resource that is deployed to it, and of no other is anything said', () => {
    const found = ['dynamodb', 'aurora-postgresql', 'elasticache'].flatMap((example) => {
      const app = new App();
      const configuration = new URL(`../../examples/${example}/oauth-stores.json`, import.meta.url).pathname;
      const stacks = [
        new StoresStack(app, 'Data', { configuration }),
        new ServiceStack(app, 'Service', { configuration }),
      ];
      return stacks.flatMap((stack) => Object.values(Template.fromStack(stack).toJSON().Resources as object));
    });
    const types = new Set(found.map(({ Type }) => Type));
    expect([...types].toSorted()).toEqual([...deployed, ...Array.from(launched, ([, type]) => type)].toSorted());
  });
});
