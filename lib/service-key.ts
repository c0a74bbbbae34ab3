import { Annotations, Stack } from 'aws-cdk-lib';
import { AnyPrincipal, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { Construct } from 'constructs';

/** The services that keep tables, as AWS KMS knows them, and by the names that people use. */
const services = {
  dynamodb: { title: 'DynamoDB', sid: 'TablesOfTheAccount' },
  cassandra: { title: 'Amazon Keyspaces', sid: 'KeyspacesOfTheAccount' },
} as const;

/**
 * Lets whoever may use a table use its key through the service that keeps it, and only so, as the key does that AWS manages
 * (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html,
 * https://docs.aws.amazon.com/keyspaces/latest/devguide/encryption.customermanaged.html): no function needs to know the key
 * of a table then.
 */
export function permitTablesOfAccount(scope: Construct, key: IKey, service: keyof typeof services): void {
  const { account, region } = Stack.of(key);
  const { title, sid } = services[service];
  const { statementAdded } = key.addToResourcePolicy(
    new PolicyStatement({
      sid,
      principals: [new AnyPrincipal()],
      actions: [
        'kms:Encrypt',
        'kms:Decrypt',
        'kms:ReEncrypt*',
        'kms:GenerateDataKey*',
        'kms:CreateGrant',
        'kms:DescribeKey',
      ],
      resources: ['*'],
      conditions: {
        StringEquals: { 'kms:CallerAccount': account, 'kms:ViaService': `${service}.${region}.amazonaws.com` },
      },
    }),
  );
  if (!statementAdded) {
    Annotations.of(scope).addWarningV2(
      `oauth2-stores:encryptionKey:${service}`,
      `encryptionKey: the policy of an imported key cannot be changed here; see to it that it lets the account use the key through ${title}`,
    );
  }
}
