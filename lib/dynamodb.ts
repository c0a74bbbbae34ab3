import type { Configuration, StoreSettings } from '../functions/config/configuration.ts';
import { type Fault, pathText, when } from '../functions/config/faults.ts';
import { isLocal } from '../functions/config/location.ts';
import type { UsedConnection } from '../functions/config/places.ts';
import { storeSections } from '../functions/config/rules.ts';
import type { Warning } from '../functions/config/warnings.ts';
import {
  type DynamodbFacts,
  DynamodbTable,
  dynamodbConnection,
  dynamodbFacts,
  type Replicas,
} from './dynamodb-table.ts';
import type { Engineer } from './engine-deployment.ts';
import { permitTablesOfAccount } from './service-key.ts';
import { sharingWarnings } from './sharing.ts';

// How the cache engine `dynamodb` is deployed: a table that is created, or one that is there.

export type DynamodbCache = Extract<Configuration['caches'][string], { engine: 'dynamodb' }>;

export interface DynamodbOptions {
  /** Tables are kept in other Regions too, strongly consistent. Default: in the stack’s own. */
  readonly replicas?: Replicas;
}

export const dynamodb: Engineer<DynamodbCache, DynamodbOptions, keyof DynamodbFacts> = (
  used,
  { replicas, configuration },
) => {
  const { settings } = used;
  const { tableName, nativeTimeToLive } = settings;
  return {
    isInNetwork: false,
    service: 'dynamodb',
    faults: () => faults(used, replicas),
    warnings: () => [...purgeWarnings(used, configuration), ...sharingWarnings(used, { configuration }, 'table')],
    facts: dynamodbFacts,
    ...(tableName === undefined && {
      create(scope, id, { network: _, ...kept }) {
        if (kept.encryptionKey) permitTablesOfAccount(scope, kept.encryptionKey, 'dynamodb');
        return new DynamodbTable(scope, id, { ...kept, nativeTimeToLive, ...(replicas && { replicas }) }).facts;
      },
    }),
    connect: (scope, facts) => dynamodbConnection(scope, settings, { tableName: tableName ?? facts.tableName }),
  };
};

function faults({ section, name, settings }: UsedConnection<DynamodbCache>, replicas: Replicas | undefined): Fault[] {
  const path = [section, name];
  const { endpoint, tableName, region, nativeTimeToLive } = settings;
  return [
    ...when(
      endpoint !== undefined && isLocal({ url: endpoint }),
      [...path, 'endpoint'],
      'this machine',
      'nothing: the endpoint of the AWS Region',
    ),
    ...when(
      tableName === undefined && region !== undefined,
      [...path, 'region'],
      'a Region for a table that the deployment creates',
      'nothing: the table is created in the Region of its stack; or tableName, of a table that is there',
    ),
    ...when(
      replicas !== undefined && tableName === undefined && nativeTimeToLive,
      [...path, 'nativeTimeToLive'],
      'true, the default',
      'false with replicas: a strongly consistent table has no TTL, and the purge removes what has expired',
    ),
  ];
}

/** A purge that reads a table to the end should not do so every minute. */
const SELDOM_SECONDS = 3600;

const purgeWarnings = (
  { name: cache, settings }: UsedConnection<DynamodbCache>,
  configuration: Configuration,
): Warning[] =>
  settings.nativeTimeToLive
    ? []
    : storeSections.flatMap((section) =>
        Object.entries<StoreSettings>(configuration[section]).flatMap(([name, store]) =>
          store.storeIn === 'cache' && store.cache === cache && store.purgeExpiredTokensEvery < SELDOM_SECONDS
            ? [
                {
                  path: pathText([section, name, 'purgeExpiredTokensEvery']),
                  text:
                    `every ${store.purgeExpiredTokensEvery} seconds the whole table is read, which DynamoDB charges for; ` +
                    `set ${SELDOM_SECONDS} or more, or let the table remove what has expired (nativeTimeToLive)`,
                },
              ]
            : [],
        ),
      );
