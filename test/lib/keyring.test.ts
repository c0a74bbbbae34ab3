import { App, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { Key } from 'aws-cdk-lib/aws-kms';
import { describe, expect, it } from 'vitest';
import { Keyring, type KeyringProps } from '../../lib/keyring.ts';

const plain = { name: 'tokens', generations: [0, 1], current: 1, removalPolicy: RemovalPolicy.RETAIN };

function templateOf(props: (stack: Stack) => Partial<KeyringProps> = () => ({})) {
  const stack = new Stack(new App(), 'Data');
  new Keyring(stack, 'Keyring', { ...plain, ...props(stack) });
  return Template.fromStack(stack);
}

const statementsOf = (template: Template) =>
  Object.values(template.findResources('AWS::IAM::Policy')).flatMap(
    ({ Properties }) => Properties.PolicyDocument.Statement,
  );

describe('a key ring', () => {
  const template = templateOf();

  it('has a key of AWS KMS that rotates by itself and stays when its stack goes, and so do the data keys', () => {
    template.hasResource('AWS::KMS::Key', {
      Properties: { EnableKeyRotation: true },
      DeletionPolicy: 'Retain',
      UpdateReplacePolicy: 'Retain',
    });
    template.hasResourceProperties('AWS::KMS::Alias', { AliasName: 'alias/tokens' });
    template.hasResource('Custom::DataKeys', { DeletionPolicy: 'Retain', UpdateReplacePolicy: 'Retain' });
  });

  it('has its data keys made under a path of that key, so that those of another one are not taken for them', () => {
    const [key] = Object.keys(template.findResources('AWS::KMS::Key'));
    template.hasResourceProperties('Custom::DataKeys', {
      path: { 'Fn::Join': ['', ['/tokens/data-keys/', { Ref: key }]] },
      keyId: { 'Fn::GetAtt': [key, 'Arn'] },
      generations: [0, 1],
      current: 1,
    });
  });

  it('is made by a function that can make data keys and never see one, nor replace what is stored elsewhere', () => {
    const statements = statementsOf(template);
    const kms = statements.filter(({ Action }) => [Action].flat().some((action) => action.startsWith('kms:')));
    expect(kms).toEqual([
      {
        Effect: 'Allow',
        Action: 'kms:GenerateDataKeyWithoutPlaintext',
        Resource: { 'Fn::GetAtt': [expect.stringMatching('^KeyringKey'), 'Arn'] },
        Condition: { StringEquals: { 'kms:EncryptionContext:purpose': 'oauth2-stores keys' } },
      },
    ]);
    const ssm = statements.filter(({ Action }) => [Action].flat().some((action) => action.startsWith('ssm:')));
    expect(ssm.map(({ Action }) => Action)).toEqual([['ssm:GetParameter', 'ssm:PutParameter', 'ssm:DeleteParameter']]);
    expect(JSON.stringify(ssm[0].Resource)).toMatch(
      /:parameter\/tokens\/data-keys\/",\{"Ref":"KeyringKey\w+"\},"\/\*"/,
    );
  });

  it('is made after the permissions of its function are there', () => {
    const [resource] = Object.values(template.findResources('Custom::DataKeys'));
    const policies = Object.keys(template.findResources('AWS::IAM::Policy'));
    expect(resource?.DependsOn).toEqual(expect.arrayContaining(policies));
  });

  it('under a key of one’s own creates none, and finds its data keys again by the id of that one', () => {
    const own = templateOf((stack) => ({
      encryptionKey: Key.fromKeyArn(stack, 'Own', 'arn:aws:kms:eu-central-1:111111111111:key/own-key'),
    }));
    own.resourceCountIs('AWS::KMS::Key', 0);
    own.hasResourceProperties('Custom::DataKeys', { path: '/tokens/data-keys/own-key' });
  });

  it('goes with its stack where it is told to', () => {
    templateOf(() => ({ removalPolicy: RemovalPolicy.DESTROY })).hasResource('Custom::DataKeys', {
      DeletionPolicy: 'Delete',
      Properties: Match.anyValue(),
    });
  });
});
