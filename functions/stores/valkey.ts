import { createHash } from 'node:crypto';
import type { Clock } from '../domain/clock.ts';
import { StoreError } from '../domain/errors.ts';
import type { AuthorizationCodeStore, ClientAccessTokenStore, Digest, Engine, StoredCode } from '../domain/ports.ts';
import { createAccessTokenStore } from './valkey/access-tokens.ts';
import { createArtifactStore } from './valkey/artifacts.ts';
import { base64url, join, readerOf, short, traceOf, u32 } from './valkey/bytes.ts';
import { type Connection, type ConnectionSettings, openConnection } from './valkey/connection.ts';
import { tellOfEviction } from './valkey/eviction.ts';
import type { Limits } from './valkey/limits.ts';
import { createPurge } from './valkey/purge.ts';
import { head } from './valkey/records.ts';
import { addCode, redeem } from './valkey/scripts/codes.ts';
import { drop, putToken } from './valkey/scripts/script.ts';
import { createStore, type Store } from './valkey/store.ts';

// Valkey, or Redis 7: all four stores in one keyspace. Every decision is one script on one key, so each holds in a cluster,
// and while its slot moves from node to node. A key's letter says what it is:
//
// {grant}             a grant with its refresh tokens and the access tokens that have room (valkey/scripts/grants.ts)
// {grant}a…, {grant}t an access token that has none; the set of those
// i                   pointers to grants of one name, and marks of revocations (valkey/owners.ts)
// f                   where a foreign digest leads
// c                   a code
// a, w, n             an artifact; a second way in; pointers to the artifacts of a consent
// t                   a client's token

export interface ValkeySettings extends Omit<ConnectionSettings, 'onFirstReady'>, Limits {
  /** Told, when the first connection is good, of what the server is set to that may do harm. */
  readonly warn?: (text: string) => void;
}

/**
 * Opens the four stores over one connection, or one to each node of a cluster. A server that is away is noticed by the
 * first call.
 *
 * What `timeToLiveSeconds` and `timeToIdleSeconds` remove is as if it had never been stored: an ended grant logs its user
 * out. What guards against replay (redeemed codes, consumed artifacts and those of `putOnce`, revoked grants and the marks
 * of revocations) stays until its `retainUntil`. With `timeToIdleSeconds` every lookup is a write.
 */
export function createEngine(settings: ValkeySettings, clock: Clock): Engine {
  const { warn } = settings;
  const connection: Connection = openConnection(
    { ...settings, ...(warn && { onFirstReady: () => tellOfEviction(connection, warn) }) },
    clock,
  );
  const store = createStore(connection, settings, clock);
  const purge = createPurge(connection);
  return {
    accessTokens: createAccessTokenStore(store, purge),
    authorizationCodes: createAuthorizationCodeStore(store, purge),
    clientAccessTokens: createClientAccessTokenStore(store, purge),
    artifacts: createArtifactStore(store, purge),
    close: async () => connection.close(),
  };
}

interface CodeRecord {
  readonly code: StoredCode;
  /** 0: it is not. */
  readonly redeemedAt: number;
}

function readCode(digest: Digest, bytes: Buffer): CodeRecord {
  const reader = readerOf(bytes, 1);
  const retainUntil = reader.u32();
  reader.u32();
  const redeemedAt = reader.u32();
  reader.bytes(16);
  const expiresAt = reader.u32();
  const [binding, grantId] = [reader.short(), reader.short()];
  return { code: { digest, grantId, binding, expiresAt, retainUntil, data: reader.rest() }, redeemedAt };
}

function createAuthorizationCodeStore(store: Store, purge: ReturnType<typeof createPurge>): AuthorizationCodeStore {
  const { numbers } = store;
  const keyOf = (digest: Digest) => `c${base64url(digest)}`;
  return {
    async add({ digest, grantId, binding, expiresAt, retainUntil, data }, { attempt }) {
      const trace = traceOf(attempt);
      const record = join(
        head('c', retainUntil, store.leavesAt()),
        u32(0, 0, 0),
        trace,
        u32(expiresAt),
        short(binding),
        short(grantId),
        data,
      );
      if ((await store.run(addCode, [keyOf(digest)], [numbers(), trace, record])) === 0) {
        throw new StoreError('conflict', 'an authorization code with this digest is stored already');
      }
    },
    async find(digest, { now }) {
      const bytes = await store.find(keyOf(digest));
      if (!bytes) return { outcome: 'unknown' };
      const { code, redeemedAt } = readCode(digest, bytes);
      if (redeemedAt > 0) return { outcome: 'redeemed', code, redeemedAt };
      return { outcome: code.expiresAt <= now ? 'expired' : 'active', code };
    },
    async redeem(digest, { binding, now, attempt }) {
      const args = [numbers(now), traceOf(attempt), binding];
      const [word, standing] = (await store.run(redeem, [keyOf(digest)], args)) as readonly Buffer[];
      const outcome = String(word);
      if (!standing) return { outcome: outcome as 'expired' | 'mismatched' | 'unknown' };
      const { code } = readCode(digest, standing);
      return outcome === 'redeemed' ? { outcome, code } : { outcome: 'replayed', grantId: code.grantId };
    },
    remove: async (digest) => (await store.runOnce(drop, [keyOf(digest)], [u32(store.now())])) !== null,
    purgeExpired: purge,
  };
}

function createClientAccessTokenStore(store: Store, purge: ReturnType<typeof createPurge>): ClientAccessTokenStore {
  const keyOf = (clientId: string, key: string) =>
    `t${createHash('sha256')
      .update(JSON.stringify([clientId, key]))
      .digest('base64url')}`;
  return {
    async put({ clientId, key, expiresAt, data }) {
      const record = join(head('t', expiresAt, store.leavesAt()), data);
      await store.run(putToken, [keyOf(clientId, key)], [store.numbers(), record]);
    },
    async get(clientId, key, { now }) {
      const bytes = await store.find(keyOf(clientId, key));
      const expiresAt = bytes?.readUInt32BE(1) ?? 0;
      return bytes && expiresAt > now ? { clientId, key, expiresAt, data: bytes.subarray(9) } : undefined;
    },
    remove: async (clientId, key) => (await store.runOnce(drop, [keyOf(clientId, key)], [u32(store.now())])) !== null,
    purgeExpired: purge,
  };
}
