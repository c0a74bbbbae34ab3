// A process with the store of Amazon Keyspaces over a node of Cassandra, which does what its parent says: what is frozen
// and goes on in keyspaces-frozen.test.ts. Buffers cross as what structured cloning makes of them.
import type { AccessTokenStore } from '../../functions/domain/ports.ts';
import { createCluster } from '../../functions/stores/cassandra/cluster.ts';
import { engineOver } from '../../functions/stores/cassandra/engine.ts';
import { clientOptions } from '../../functions/stores/cassandra.ts';
import { KEYSPACES } from '../../functions/stores/keyspaces.ts';

export interface Order {
  readonly operation: 'persist' | 'findAccess' | 'rotate';
  readonly values: readonly unknown[];
  /** How long the process is to believe that it stood still. */
  readonly frozenMs?: number;
}

const [host = '', keyspace = '', startedAt = ''] = process.argv.slice(2);
let aheadMs = Number(startedAt) - Date.now();
const clock = () => Date.now() + aheadMs;
const settings = { hosts: [host], keyspace, connectTimeoutMs: 1000, requestTimeoutMs: 1000 };
const cluster = createCluster({ ...KEYSPACES, options: () => ({ ...clientOptions(settings), keyspace }) }, clock);
const { accessTokens, close } = engineOver(cluster, { read: 'LOCAL_QUORUM', write: 'LOCAL_QUORUM' }, clock);

process.on('message', async ({ operation, values, frozenMs = 0 }: Order) => {
  aheadMs += frozenMs;
  const call = accessTokens[operation] as (...all: unknown[]) => ReturnType<AccessTokenStore[typeof operation]>;
  const answer = await call(...values).then(
    (value) => ({ value }),
    ({ code, message }) => ({ error: { code, message } }),
  );
  process.send?.(answer);
});
process.on('disconnect', () => close());
process.send?.('ready');
