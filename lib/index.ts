// The package's constructs (`oauth2-stores/cdk`).
export type { ConfigurationInput } from '../functions/config/configuration.ts';
export type { StoreAccess, StoreUse } from '../functions/config/functions.ts';
export { watchedCluster, watchedInstance, watchedProxy } from './database-server.ts';
export { watchedTable } from './dynamodb-table.ts';
export { watchedCacheNodes, watchedServerlessCache } from './elasticache-metrics.ts';
export type { KeyGenerations } from './keyring.ts';
export { Monitoring, type MonitoringProps } from './monitoring.ts';
export { OAuthAuthorizer, type OAuthAuthorizerProps } from './oauth-authorizer.ts';
export { OAuthStores, type OAuthStoresLocation, type OAuthStoresProps } from './oauth-stores.ts';
export { PurgeSchedule, type PurgeScheduleProps } from './purge-schedule.ts';
export { ServiceStack, type ServiceStackProps } from './service-stack.ts';
export { StoreApi, type StoreApiProps } from './store-api.ts';
export { StoreFunction, type StoreFunctionProps } from './store-function.ts';
export type { IOAuthStores } from './stores.ts';
export { StoresStack, type StoresStackProps } from './stores-stack.ts';
