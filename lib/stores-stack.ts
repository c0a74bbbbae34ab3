import { Stack, type StackProps, Tags } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { OAuthStores, type OAuthStoresProps } from './oauth-stores.ts';

export interface StoresStackProps extends StackProps, OAuthStoresProps {}

/**
 * The stateful part of a deployment: tables, databases, keys. It goes on living when functions and APIs are replaced, so
 * it stands apart from them and is protected against termination by default.
 */
export class StoresStack extends Stack {
  readonly stores: OAuthStores;

  constructor(scope: Construct, id: string, props: StoresStackProps) {
    const { name = 'oauth2-stores', terminationProtection = true, ...options } = props;
    super(scope, id, {
      stackName: `${name}-data`,
      description: `Tokens, codes and keys of ${name}`,
      ...options,
      terminationProtection,
    });
    this.stores = new OAuthStores(this, 'Stores', { ...options, name });
    Tags.of(this).add('oauth2-stores', name);
  }
}
