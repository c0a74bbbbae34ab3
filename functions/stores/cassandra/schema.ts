import { Client, type ClientOptions } from 'cassandra-driver';
import { StoreError } from '../../domain/errors.ts';
import { storeError } from './errors.ts';

/** How the rows of a keyspace are replicated; used when it is created, and never again. */
export type Replication =
  | { readonly strategy: 'SimpleStrategy'; readonly factor: number }
  | { readonly strategy: 'NetworkTopologyStrategy'; readonly factors: Readonly<Record<string, number>> };

const replicationOf = (replication: Replication) =>
  replication.strategy === 'SimpleStrategy'
    ? `'class': 'SimpleStrategy', 'replication_factor': ${replication.factor}`
    : ["'class': 'NetworkTopologyStrategy'"]
        .concat(
          Object.entries(replication.factors).map(([center, factor]) => `'${center.replaceAll("'", "''")}': ${factor}`),
        )
        .join(', ');

/** The keyspace, if it is not there yet. The name is one of 48 letters, digits and `_` at most. */
export const keyspaceScript = (keyspace: string, replication: Replication): string =>
  `CREATE KEYSPACE IF NOT EXISTS "${keyspace}" WITH replication = {${replicationOf(replication)}}`;

/**
 * Runs statements of a schema one after another and waits until every node has agreed on each; they may be run again.
 * @throws {StoreError} unavailable, timeout: some may have been run; unsupported: one is refused
 */
export async function applySchema(options: ClientOptions, statements: readonly string[]): Promise<void> {
  const client = new Client({
    ...options,
    protocolOptions: { ...options.protocolOptions, maxSchemaAgreementWaitSeconds: 60 },
  });
  try {
    for (const statement of statements) {
      // The driver waits for the agreement; its types do not say so.
      const { info } = (await client.execute(statement)) as { info: { isSchemaInAgreement?: boolean } };
      if (info.isSchemaInAgreement === false)
        throw new StoreError('timeout', 'the nodes have not agreed on the schema in time');
    }
  } catch (error) {
    throw storeError(error);
  } finally {
    await client.shutdown();
  }
}
