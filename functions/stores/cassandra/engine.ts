import { types } from 'cassandra-driver';
import { type Clock, seconds } from '../../domain/clock.ts';
import type { ClientAccessTokenStore, Engine, PurgeReport } from '../../domain/ports.ts';
import { createAccessTokenStore } from './access-tokens.ts';
import { createArtifactStore } from './artifacts.ts';
import type { Cluster } from './cluster.ts';
import { createAuthorizationCodeStore } from './codes.ts';
import { createOwners } from './owners.ts';
import type { Consistency } from './stores.ts';
import { ttlUntil } from './values.ts';

/** The stores of a cluster, of Cassandra's or of Amazon Keyspaces' dialect. */
export function engineOver(cluster: Cluster, level: Consistency, clock: Clock): Engine {
  // Rows leave by their TTL, which a purge can only hasten by writing tombstones: it asks whether the cluster is there.
  const purgeExpired = async (): Promise<PurgeReport> => {
    await cluster.read(cluster.statements.check, {}, 'ONE');
    return { removed: {}, more: false, backlog: { records: 0, precision: 'exact' } };
  };
  return {
    accessTokens: createAccessTokenStore(cluster, createOwners(cluster), level, purgeExpired, clock),
    authorizationCodes: createAuthorizationCodeStore(cluster, level, purgeExpired, clock),
    clientAccessTokens: createClientAccessTokenStore(cluster, level, purgeExpired, clock),
    artifacts: createArtifactStore(cluster, level, purgeExpired, clock),
    close: cluster.close,
  };
}

function createClientAccessTokenStore(
  { statements, readOne, write }: Cluster,
  level: Consistency,
  purgeExpired: () => Promise<PurgeReport>,
  clock: Clock,
): ClientAccessTokenStore {
  const find = async (clientId: string, key: string, now: number) => {
    const row = await readOne(statements.findClientToken, { client_id: clientId, token_key: key }, level.read);
    const [expiresAt, data] = (row?.content ?? [0]) as [number, Uint8Array];
    return expiresAt > now ? { clientId, key, expiresAt, data } : undefined;
  };
  return {
    async put({ clientId, key, expiresAt, data }) {
      const content = new types.Tuple(BigInt(expiresAt), Buffer.from(data));
      const ttl = ttlUntil(expiresAt, seconds(clock));
      await write(statements.putClientToken, { client_id: clientId, token_key: key, content, ttl }, level.write);
    },
    get: (clientId, key, { now }) => find(clientId, key, now),
    // Nothing here is single-use: of two who remove one token at once both may be told that there was one.
    async remove(clientId, key) {
      const stood = await find(clientId, key, seconds(clock));
      await write(statements.removeClientToken, { client_id: clientId, token_key: key }, level.write);
      return stood !== undefined;
    },
    purgeExpired,
  };
}
