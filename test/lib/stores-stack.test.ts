import { App, RemovalPolicy, Validations } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import { AwsSolutionsChecks } from 'cdk-nag';
import { describe, expect, it } from 'vitest';
import type { ConfigurationInput } from '../../functions/config/configuration.ts';
import type { OAuthStoresProps } from '../../lib/oauth-stores.ts';
import { StoresStack } from '../../lib/stores-stack.ts';

const configuration: ConfigurationInput = {
  accessTokenStores: { 'OAuth Access Token Store': { cache: 'OAuth Tokens' } },
  authorizationCodeStores: { 'OAuth Authorization Code Store': { cache: 'OAuth Tokens' } },
  artifactStores: { 'OAuth Artifact Store': { storeIn: 'database', database: 'oauth_db' } },
  caches: { 'OAuth Tokens': { engine: 'dynamodb' }, unused: { engine: 'dynamodb' } },
  databases: { oauth_db: { engine: 'postgresql' } },
  localDeployment: { users: { alice: { passwordDigest: `scrypt:${'A'.repeat(22)}:${'A'.repeat(43)}` } } },
};

const app = new App({ context: { '@aws-cdk/core:validateAgainstDefaultRules': true } });
Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
const stack = new StoresStack(app, 'Data', { configuration });
app.synth(); // which fails by a finding
const template = Template.fromStack(stack);

const stateful = ['AWS::DynamoDB::GlobalTable', 'AWS::KMS::Key', 'AWS::RDS::DBCluster', 'Custom::DataKeys'];
/** What a cluster is replaced with. */
const beneath = ['AWS::RDS::DBSubnetGroup', 'AWS::EC2::VPC', 'AWS::EC2::Subnet'];

interface Statement {
  readonly Effect: string;
  readonly Action: string | string[];
  readonly Resource?: unknown;
  readonly Principal?: unknown;
}

const statementsOf = (type: string, document: string): Statement[] =>
  Object.values(template.findResources(type)).flatMap(({ Properties }) => Properties[document].Statement);

const warningsOf = (changed: Partial<OAuthStoresProps>): unknown[] => {
  const other = new StoresStack(new App(), 'Other', {
    configuration: { accessTokenStores: configuration.accessTokenStores, caches: configuration.caches },
    ...changed,
  });
  return Annotations.fromStack(other)
    .findWarning('*', Match.anyValue())
    .map(({ entry }) => entry.data);
};

describe('the stack of what is kept', () => {
  it('is protected against termination, named and tagged for the deployment', () => {
    expect([stack.terminationProtection, stack.stackName, stack.tags.tagValues()]).toEqual([
      true,
      'oauth2-stores-data',
      { 'oauth2-stores': 'oauth2-stores' },
    ]);
  });

  it('has the logical ids that a deployment out there has: another one would replace what is kept', () => {
    const found = [...stateful, ...beneath].flatMap((type) => Object.keys(template.findResources(type)));
    expect(found.toSorted()).toEqual([
      'StoresKeyringDataKeysEF05DB54',
      'StoresKeyringKey49C94E4A',
      'StoresNetworkVpc9AD0E098',
      'StoresNetworkVpcPrivateSubnet1Subnet157D1F6A',
      'StoresNetworkVpcPrivateSubnet2Subnet250C65BF',
      'StorescachesOAuthTokensTable339A5A02',
      'StoresdatabasesoauthdbCluster5DD94576',
      'StoresdatabasesoauthdbClusterSubnetsEC7D11FD',
    ]);
  });

  it('keeps all of it when it is deleted', () => {
    for (const type of stateful) {
      for (const { DeletionPolicy, UpdateReplacePolicy } of Object.values(template.findResources(type))) {
        expect([type, DeletionPolicy, UpdateReplacePolicy]).toEqual([type, 'Retain', 'Retain']);
      }
    }
  });

  it('permits no action by a wildcard, and on no resource but one that it names, apart from network interfaces', () => {
    const statements = statementsOf('AWS::IAM::Policy', 'PolicyDocument').filter(({ Effect }) => Effect === 'Allow');
    expect(statements.length).toBeGreaterThan(5);
    const actions = statements.flatMap(({ Action }) => Action);
    expect(actions.filter((action) => action.includes('*'))).toEqual([]);
    const anywhere = statements.filter(({ Resource }) => [Resource].flat().includes('*'));
    expect(anywhere.flatMap(({ Action }) => Action).filter((action) => !action.startsWith('ec2:'))).toEqual([]);
  });

  it('lets in nobody from elsewhere: no address, no other account', () => {
    expect(Object.keys(template.findResources('AWS::EC2::InternetGateway'))).toEqual([]);
    const groups = Object.values(template.findResources('AWS::EC2::SecurityGroup'));
    expect(groups.flatMap(({ Properties }) => Properties.SecurityGroupIngress ?? [])).toEqual([]);
    const rules = Object.values(template.findResources('AWS::EC2::SecurityGroupIngress'));
    expect(rules.filter(({ Properties }) => !('SourceSecurityGroupId' in Properties))).toEqual([]);
    const root = {
      AWS: { 'Fn::Join': ['', ['arn:', { Ref: 'AWS::Partition' }, ':iam::', { Ref: 'AWS::AccountId' }, ':root']] },
    };
    for (const { Principal } of statementsOf('AWS::KMS::Key', 'KeyPolicy')) expect(Principal).toEqual(root);
  });

  it('creates nothing that no store uses, and says so', () => {
    template.resourceCountIs('AWS::DynamoDB::GlobalTable', 1);
    expect(warningsOf({})).toEqual([
      'caches["unused"]: no store uses it; refer to it from a store, or leave it out [ack: oauth2-stores:caches["unused"]]',
    ]);
  });

  it('warns of what would lose tokens', () => {
    expect(warningsOf({ removalPolicy: RemovalPolicy.DESTROY, deletionProtection: false }).slice(1)).toEqual([
      'removalPolicy: with the stack go all tokens, and their keys; leave it out, but for a test [ack: oauth2-stores:removalPolicy]',
      'deletionProtection: whoever deletes a table deletes all tokens in it; leave it out [ack: oauth2-stores:deletionProtection]',
    ]);
  });

  it('publishes what functions need to know as parameters, and exports nothing', () => {
    const names = Object.values(template.findResources('AWS::SSM::Parameter')).map(({ Properties }) => Properties.Name);
    expect(names.toSorted()).toEqual([
      '/oauth2-stores/caches/OAuth-Tokens-abc407a8/settings',
      '/oauth2-stores/caches/OAuth-Tokens-abc407a8/tableName',
      '/oauth2-stores/databases/oauth_db/databaseName',
      '/oauth2-stores/databases/oauth_db/host',
      '/oauth2-stores/databases/oauth_db/proxyId',
      '/oauth2-stores/databases/oauth_db/proxyName',
      '/oauth2-stores/databases/oauth_db/settings',
      '/oauth2-stores/keyring/keyArn',
      '/oauth2-stores/keyring/keys',
      '/oauth2-stores/network/clientGroupId',
      '/oauth2-stores/network/subnetIds',
    ]);
    expect(template.toJSON().Outputs).toBeUndefined();
  });
});
