import { Stack, type StackProps, Tags } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { parameterName } from '../functions/config/parameters.ts';
import { Monitoring, type MonitoringProps } from './monitoring.ts';
import { OAuthAuthorizer } from './oauth-authorizer.ts';
import { OAuthStores, type OAuthStoresLocation } from './oauth-stores.ts';
import { Facts } from './parameters.ts';
import { PurgeSchedule, type PurgeScheduleProps } from './purge-schedule.ts';
import { StoreApi, type StoreApiProps } from './store-api.ts';
import { isServed, type StoreFunctionOptions } from './store-function.ts';
import type { IOAuthStores } from './stores.ts';

export interface ServiceStackProps extends StackProps, OAuthStoresLocation, Omit<StoreFunctionOptions, 'stores'> {
  readonly api?: Omit<StoreApiProps, keyof StoreFunctionOptions>;
  readonly purge?: Omit<PurgeScheduleProps, keyof StoreFunctionOptions>;
  /** What stands here is watched too, or in another way. */
  readonly monitoring?: Partial<MonitoringProps>;
}

/**
 * The stateless part of a deployment, over the stores that a stack of the same name holds: the HTTP API, the purge, an
 * authorizer for the APIs of any stack ({@link OAuthAuthorizer.fromName}), alarms. It can be removed and made again.
 *
 * Other stacks find `/<name>/api/url` and `/<name>/authorizer/function-arn` in SSM.
 */
export class ServiceStack extends Stack {
  readonly stores: IOAuthStores;
  readonly api: StoreApi;
  readonly purge: PurgeSchedule;
  /** If there is a store of access tokens. */
  readonly authorizer?: OAuthAuthorizer;
  readonly monitoring: Monitoring;

  constructor(scope: Construct, id: string, props: ServiceStackProps) {
    const { configuration, name = 'oauth2-stores', storeNames, logs, memorySize, ...parts } = props;
    const { api, purge, monitoring, ...options } = parts;
    super(scope, id, {
      stackName: `${name}-service`,
      description: `API, authorizer and purge of ${name}`,
      ...options,
    });
    this.stores = OAuthStores.fromName(this, 'Stores', { ...options, configuration, name });
    const common = {
      stores: this.stores,
      ...(storeNames && { storeNames }),
      ...(logs && { logs }),
      ...(memorySize !== undefined && { memorySize }),
    };
    this.api = new StoreApi(this, 'Api', { ...common, ...api });
    new Facts(this, 'ApiFacts', parameterName(name, 'api'), { url: this.api.url });
    this.purge = new PurgeSchedule(this, 'Purge', { ...common, ...purge });
    if (isServed('authorizer', this.stores.configuration)) {
      this.authorizer = new OAuthAuthorizer(this, 'Authorizer', common);
      this.authorizer.publish(name);
    }
    const functions = [...this.api.functions.values(), ...(this.authorizer ? [this.authorizer.function] : [])];
    this.monitoring = new Monitoring(this, 'Monitoring', {
      configuration: this.stores.configuration,
      namespace: name,
      functions: Object.fromEntries(functions.map((fn) => [fn.handlerName, fn])),
      purge: this.purge,
      apis: { store: this.api.stage },
      servers: this.stores.watched(),
      logs: {
        functions: [...functions, ...this.purge.runs.map((run) => run.function)].map(({ logGroup }) => logGroup),
        access: [this.api.accessLogs],
      },
      ...monitoring,
    });
    Tags.of(this).add('oauth2-stores', name);
  }
}
