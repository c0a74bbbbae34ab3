import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import {
  type Configuration,
  type ConfigurationInput,
  readConfiguration,
} from '../../functions/config/configuration.ts';
import { environment } from '../../functions/config/environment.ts';
import type { StoreUse } from '../../functions/config/functions.ts';
import type { Network } from '../../lib/connection.ts';
import { watchedProxy } from '../../lib/database-server.ts';
import { watchedTable } from '../../lib/dynamodb-table.ts';
import type { IOAuthStores } from '../../lib/stores.ts';

/** Stores that note what was granted to whom, so that constructs are tested without the stacks of real ones. */
export class FakeStores extends Construct implements IOAuthStores {
  readonly configuration: Configuration;
  readonly configurationText: string;
  readonly granted: { readonly fn: LambdaFunction; readonly use: StoreUse | undefined }[] = [];
  private readonly network: Network;

  constructor(scope: Construct, configuration: ConfigurationInput, network: Network = {}) {
    super(scope, 'Stores');
    this.configurationText = JSON.stringify(configuration);
    this.configuration = readConfiguration(this.configurationText).configuration;
    this.network = network;
  }

  watched(): ReturnType<IOAuthStores['watched']> {
    return { table: watchedTable('t'), database: watchedProxy('p') };
  }

  networkFor(): Network {
    return this.network;
  }

  grantAccess(fn: LambdaFunction, use?: StoreUse): void {
    this.granted.push({ fn, use });
    fn.addEnvironment(environment.keyring.variable, '{}');
    fn.addToRolePolicy(
      new PolicyStatement({
        actions: ['dynamodb:GetItem'],
        resources: ['arn:aws:dynamodb:eu-central-1:111122223333:table/t'],
      }),
    );
  }
}

/** One store of every kind, in one table. */
export const oneOfEach: ConfigurationInput = {
  accessTokenStores: { tokens: { cache: 'table' } },
  authorizationCodeStores: { codes: { cache: 'table' } },
  clientAccessTokenStores: { received: { cache: 'table' } },
  artifactStores: { artifacts: { cache: 'table' } },
  caches: { table: { engine: 'dynamodb' } },
};
