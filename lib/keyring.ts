import { CustomResource, Duration, type RemovalPolicy, Stack } from 'aws-cdk-lib';
import { Grant, type IGrantable, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { type IKey, Key } from 'aws-cdk-lib/aws-kms';
import { Construct } from 'constructs';
import { keyPurpose } from '../functions/config/keys.ts';
import { parameterName } from '../functions/config/parameters.ts';
import { Provisioner } from './provisioner.ts';
import { acknowledgeWildcard } from './wildcards.ts';

/** The generations of the deployment's data key: numbers from 0 to 63, at most four at a time. */
export interface KeyGenerations {
  /** Those under which tokens are accepted. One that is new gets its key by the next deployment. */
  readonly generations: readonly number[];
  /** The one under which tokens are made. */
  readonly current: number;
}

/** What functions need to know of a key ring, as text that can cross stacks. */
export const keyringFacts = ['keyArn', 'keys'] as const;
export type KeyringFacts = Readonly<Record<(typeof keyringFacts)[number], string>>;

export interface KeyringProps extends KeyGenerations {
  /** The deployment's name. */
  readonly name: string;
  /** Default: a key of its own, which AWS KMS rotates every year. */
  readonly encryptionKey?: IKey;
  /** What becomes of the keys when their stack goes: without them no token is known any more. */
  readonly removalPolicy: RemovalPolicy;
}

/**
 * The keys under which tokens are checked, digests keyed and attributes sealed: one data key for each generation, made by
 * AWS KMS and never seen outside of it but by the functions, which unwrap it once per execution environment.
 *
 * A wrapped key is written once, to a parameter of its own, and neither replaced nor removed by any update.
 */
export class Keyring extends Construct {
  readonly facts: KeyringFacts;
  readonly encryptionKey: IKey;

  constructor(scope: Construct, id: string, props: KeyringProps) {
    super(scope, id);
    const { name, generations, current, removalPolicy } = props;
    this.encryptionKey =
      props.encryptionKey ??
      new Key(this, 'Key', {
        alias: `alias/${name}`,
        description: `Wraps the data keys of ${name}`,
        enableKeyRotation: true,
        removalPolicy,
      });
    const { keyArn, keyId } = this.encryptionKey;
    const path = `${parameterName(name, 'data-keys')}/${keyId}`;
    const pathArn = Stack.of(this).formatArn({ service: 'ssm', resource: `parameter${path}` });
    const provisioner = new Provisioner(this, 'CreateKeys', {
      handlerName: 'create-keys',
      description: `Makes the data keys of ${name}, and never one anew`,
    });
    for (const statement of [
      new PolicyStatement({
        actions: ['kms:GenerateDataKeyWithoutPlaintext'],
        resources: [keyArn],
        conditions: { StringEquals: { 'kms:EncryptionContext:purpose': keyPurpose } },
      }),
      new PolicyStatement({
        actions: ['ssm:GetParameter', 'ssm:PutParameter', 'ssm:DeleteParameter'],
        resources: [`${pathArn}/*`],
      }),
    ]) {
      provisioner.handler.addToRolePolicy(statement);
    }
    const resource = new CustomResource(this, 'DataKeys', {
      serviceToken: provisioner.serviceToken,
      resourceType: 'Custom::DataKeys',
      serviceTimeout: Duration.minutes(5),
      removalPolicy,
      properties: { path, keyId: keyArn, generations, current },
    });
    acknowledgeWildcard(
      provisioner,
      `${pathArn}/*`,
      'The parameters below this path are those of the keys. That a new generation’s is among them spares the function a new policy, which takes effect some time after it was made.',
    );
    // Also of the policies beside the function.
    resource.node.addDependency(provisioner);
    this.facts = { keyArn, keys: resource.getAttString('keys') };
  }
}

/** Permits unwrapping keys of the ring, and nothing else that the same key of AWS KMS may have encrypted. */
export function grantUnwrapping(grantee: IGrantable, { keyArn }: Pick<KeyringFacts, 'keyArn'>): void {
  Grant.addToPrincipal({
    grantee,
    actions: ['kms:Decrypt'],
    resourceArns: [keyArn],
    conditions: { StringEquals: { 'kms:EncryptionContext:purpose': keyPurpose } },
  });
}
