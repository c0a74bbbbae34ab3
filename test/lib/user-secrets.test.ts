import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { App, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Key } from 'aws-cdk-lib/aws-kms';
import { describe, expect, it } from 'vitest';
import { databaseUsers } from '../../functions/config/database-users.ts';
import type { NetworkService } from '../../lib/network.ts';
import { PrivateNetwork } from '../../lib/network.ts';
import { type InstanceEngine, RdsInstance, type RdsInstanceProps } from '../../lib/rds-instance.ts';
import { sqlserverInstance } from '../../lib/sqlserver.ts';
import { StoresStack } from '../../lib/stores-stack.ts';

// Users with passwords, of servers that know no IAM.

type Json = ReturnType<typeof JSON.parse>;
type Resource = { Type: string; Properties: Json; DependsOn?: string[]; DeletionPolicy?: string };

function deployed(
  engine: InstanceEngine,
  {
    services = ['secretsmanager'],
    encrypted = false,
  }: { services?: readonly NetworkService[]; encrypted?: boolean } = {},
) {
  const app = new App();
  const stack = new Stack(app, 'Data');
  const network = new PrivateNetwork(stack, 'Network', { services });
  const props: RdsInstanceProps = {
    network,
    deletionProtection: true,
    removalPolicy: RemovalPolicy.RETAIN,
    ...(encrypted && { encryptionKey: new Key(stack, 'Key') }),
  };
  const { facts } = new RdsInstance(stack, 'Database', props, engine);
  const template = Template.fromStack(stack);
  const resources: Record<string, Resource> = template.toJSON().Resources;
  const ofType = (type: string) => Object.entries(resources).filter(([, { Type }]) => Type === type);
  const [rotation] = ofType('AWS::Lambda::Function').filter(
    ([, { Properties }]) => Properties.Handler === 'rotate-database-password.handler',
  );
  if (!rotation) throw new Error('nothing rotates');
  const [functionId, { Properties: fn }] = rotation;
  const permitted: Json[] = ofType('AWS::IAM::Policy')
    .filter(
      ([, { Properties }]) => JSON.stringify(Properties.Roles) === JSON.stringify([{ Ref: fn.Role['Fn::GetAtt'][0] }]),
    )
    .flatMap(([, { Properties }]) => Properties.PolicyDocument.Statement);
  return { folder: app.synth().directory, facts: stack.resolve(facts), ofType, functionId, fn, permitted };
}

describe('the secrets of users', () => {
  const { ofType, facts, functionId } = deployed(sqlserverInstance());

  it('are four, each of one user, with a password that is made where it is kept, and stay where they are', () => {
    const secrets = ofType('AWS::SecretsManager::Secret');
    expect(secrets.map(([id]) => id)).toEqual([
      'DatabaseUsersoauthreaderFFDE2D75',
      'DatabaseUsersoauthcheckerD06F3D2C',
      'DatabaseUsersoauthwriterE6C899E9',
      'DatabaseUsersoauthpurger60680900',
    ]);
    for (const [index, [, { Properties, DeletionPolicy }]] of secrets.entries()) {
      expect(Properties.GenerateSecretString).toEqual({
        SecretStringTemplate: JSON.stringify({ username: databaseUsers[index] }),
        GenerateStringKey: 'password',
        ExcludePunctuation: true,
        PasswordLength: 30,
      });
      expect(DeletionPolicy).toBe('Retain');
      expect(Properties.SecretString).toBeUndefined();
    }
  });

  it('are rotated at once, once their privileges can be granted, and every thirty days', () => {
    const schedules = ofType('AWS::SecretsManager::RotationSchedule');
    const [[schema] = []] = ofType('Custom::SqlserverSchema');
    expect(schedules).toHaveLength(4);
    for (const [, { Properties, DependsOn }] of schedules) {
      expect(Properties.RotationLambdaARN).toEqual({ 'Fn::GetAtt': [functionId, 'Arn'] });
      expect(Properties.RotateImmediatelyOnUpdate).toBe(true);
      expect(Properties.RotationRules).toEqual({ ScheduleExpression: 'rate(30 days)' });
      expect(DependsOn).toContain(schema);
    }
  });

  it('are known to functions by their ARNs, each by its own', () => {
    const arns = ofType('AWS::SecretsManager::Secret').map(([id]) => ({ Ref: id }));
    const { readerSecretArn, checkerSecretArn, writerSecretArn, purgerSecretArn } = facts;
    expect([readerSecretArn, checkerSecretArn, writerSecretArn, purgerSecretArn]).toEqual(arns);
  });

  it('may be rotated more often', () => {
    const often = deployed(sqlserverInstance({ passwordDays: 7 }));
    for (const [, { Properties }] of often.ofType('AWS::SecretsManager::RotationSchedule')) {
      expect(Properties.RotationRules).toEqual({ ScheduleExpression: 'rate(7 days)' });
    }
  });
});

describe('the function that rotates them', () => {
  const { folder, ofType, functionId, fn, permitted } = deployed(sqlserverInstance());

  it('is told where the server is, and of no password', () => {
    const instance = { 'Fn::GetAtt': ['DatabaseInstanceAA8A5FDE', 'Endpoint.Address'] };
    expect(fn.Environment.Variables).toEqual({
      DATABASE_ENGINE: 'sqlserver',
      DATABASE_HOST: instance,
      DATABASE_PORT: '1433',
      DATABASE_NAME: 'oauth',
      MASTER_SECRET_ARN: { 'Fn::GetAtt': ['DatabaseInstanceAA8A5FDE', 'MasterUserSecret.SecretArn'] },
    });
    expect(fn.VpcConfig.SubnetIds).toHaveLength(2);
  });

  it('may read and replace these four, read the one of the master user, and no other', () => {
    const secrets = permitted.filter(({ Action }) => JSON.stringify(Action).includes('secretsmanager:'));
    const rotated = secrets.filter(({ Action }) => JSON.stringify(Action).includes('PutSecretValue'));
    const ids = ofType('AWS::SecretsManager::Secret').map(([id]) => id);
    expect(rotated.map(({ Resource }) => Resource.Ref).toSorted()).toEqual(ids.toSorted());
    const others = secrets.filter((statement) => !rotated.includes(statement));
    expect(others).toEqual([
      {
        Effect: 'Allow',
        Action: ['secretsmanager:GetSecretValue', 'secretsmanager:DescribeSecret'],
        Resource: { 'Fn::GetAtt': ['DatabaseInstanceAA8A5FDE', 'MasterUserSecret.SecretArn'] },
      },
      { Effect: 'Allow', Action: 'secretsmanager:GetRandomPassword', Resource: '*' },
    ]);
  });

  it('is called by Secrets Manager, and by nobody else', () => {
    const permissions = ofType('AWS::Lambda::Permission').filter(([, { Properties }]) =>
      JSON.stringify(Properties.FunctionName).includes(functionId),
    );
    const principals = permissions.map(([, { Properties }]) => Properties.Principal);
    expect(new Set(principals)).toEqual(new Set(['secretsmanager.amazonaws.com']));
  });

  it('has the driver of its engine, and none of another', () => {
    const asset = join(folder, `asset.${fn.Code.S3Key.replace('.zip', '')}`);
    const texts = globSync('**/*.mjs', { cwd: asset }).map((file) => readFileSync(join(asset, file), 'utf8'));
    expect(texts.some((text) => text.includes('ALTER LOGIN'))).toBe(true);
    expect(texts.some((text) => text.includes('rdsadmin.add_user') || text.includes('mysql_clear_password'))).toBe(
      false,
    );
  });

  it('may use a key of yours by which the master user’s secret is encrypted', () => {
    const { ofType: keyed, fn: rotating } = deployed(sqlserverInstance(), { encrypted: true });
    const [[, key] = []] = keyed('AWS::KMS::Key');
    const decrypting = key?.Properties.KeyPolicy.Statement.filter(({ Action }: Json) => Action === 'kms:Decrypt');
    expect(decrypting.map(({ Principal }: Json) => Principal.AWS)).toContainEqual(rotating.Role);
  });
});

describe('the way to Secrets Manager', () => {
  const endpointOf = (services: readonly NetworkService[]) => {
    const found = deployed(sqlserverInstance(), { services }).ofType('AWS::EC2::VPCEndpoint');
    const [[, endpoint] = []] = found.filter(([id]) => id.includes('SecretsManager'));
    return endpoint?.Properties;
  };

  it('is in each zone where functions read secrets, and in one where only deployments do', () => {
    expect(endpointOf(['secretsmanager']).SubnetIds).toHaveLength(2);
    expect(endpointOf([]).SubnetIds).toHaveLength(1);
  });

  it('leads to secrets of this account alone, and to random passwords, which are in none', () => {
    const [secrets, random] = endpointOf(['secretsmanager']).PolicyDocument.Statement;
    const account = { Ref: 'AWS::AccountId' };
    expect(secrets.Condition.StringEquals).toEqual({ 'aws:PrincipalAccount': account, 'aws:ResourceAccount': account });
    expect(random.Action).toBe('secretsmanager:GetRandomPassword');
    expect(random.Condition.StringEquals).toEqual({ 'aws:PrincipalAccount': account });
  });
});

describe('a deployment with a Db2', () => {
  const clientLayer = 'arn:aws:lambda:eu-central-1:111122223333:layer:db2-client:1';
  const stack = new StoresStack(new App(), 'Data', {
    configuration: {
      accessTokenStores: { tokens: { storeIn: 'database', database: 'd' } },
      databases: { d: { engine: 'db2' } },
    },
    db2: { clientLayer },
    db2Instance: { ibmCustomerId: '1234567', ibmSiteId: '1234567890' },
  });
  const template = Template.fromStack(stack);

  it.each(['apply-schema', 'rotate-database-password'])(
    'has its native client beside %s, which runs on the processor that it is for',
    (name) => {
      const functions: Json[] = Object.values(template.findResources('AWS::Lambda::Function'));
      const { Properties } = functions.find((fn) => fn.Properties.Handler === `${name}.handler`);
      expect(Properties).toMatchObject({ Architectures: ['x86_64'], Layers: [clientLayer] });
      expect(Properties.Environment.Variables).toMatchObject({ IBM_DB_HOME: '/opt/clidriver' });
    },
  );

  it('leads its functions to Secrets Manager in each zone', () => {
    const endpoints: [string, Json][] = Object.entries(template.findResources('AWS::EC2::VPCEndpoint'));
    const [[, endpoint] = []] = endpoints.filter(([id]) => id.includes('SecretsManager'));
    expect(endpoint.Properties.SubnetIds).toHaveLength(2);
  });

  it('keeps the master user’s secret with the instance, and lets nobody read it but the two', () => {
    const [[id, master] = []] = Object.entries(template.findResources('AWS::SecretsManager::Secret')).filter(([each]) =>
      each.includes('Master'),
    );
    expect(master?.DeletionPolicy).toBe('Retain');
    const policies: Json[] = Object.values(template.findResources('AWS::IAM::Policy'));
    const readers = policies.filter(({ Properties }) =>
      Properties.PolicyDocument.Statement.some(({ Resource }: Json) => Resource?.Ref === id),
    );
    expect(readers).toHaveLength(2);
  });
});
