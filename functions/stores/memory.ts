import { serialize } from 'node:v8';
import type { Clock } from '../domain/clock.ts';
import { StoreError } from '../domain/errors.ts';
import type {
  ArtifactState,
  ArtifactStore,
  Attempt,
  AuthorizationCodeStore,
  ClientAccessTokenStore,
  Digest,
  Engine,
  StoredArtifact,
  StoredClientAccessToken,
  StoredCode,
} from '../domain/ports.ts';
import { createAccessTokenStore } from './memory/access-tokens.ts';
import { createElements, type Elements, type EvictionPolicy } from './memory/elements.ts';
import { copy, same, text } from './memory/records.ts';

// The embedded cache: all four stores in the memory of one process. An operation decides and changes without a pause in
// between, so it is atomic; nothing outlives the process, and no other process sees it.

export interface MemorySettings {
  /** The most elements at a time: codes, grants with their tokens, artifacts, client access tokens. Default: no limit. */
  readonly maxElements?: number;
  /** How long after it was stored an element leaves. Default: no limit. */
  readonly timeToLiveSeconds?: number;
  /** How long after it was last stored, found or changed an element leaves. Default: no limit. */
  readonly timeToIdleSeconds?: number;
  /** Which element a full cache evicts: the least recently used (default), the least often used, the oldest. */
  readonly evictionPolicy?: EvictionPolicy;
  /** No element leaves for its age or idleness, whatever the two settings say. Default: false. */
  readonly eternal?: boolean;
}

export interface MemoryEngine extends Engine {
  /** Everything that is stored, text and bytes as they are, in the form of `v8.serialize`. */
  dump(): Uint8Array;
}

/**
 * Opens an embedded cache of its own.
 *
 * What a limit removes is as if it had never been stored, and it may be live: **an evicted grant logs its user out**,
 * since its access tokens and its refresh token are all `unknown` from then on; an evicted code, session or interaction
 * sends him back to the login page. Nothing becomes valid by it. What guards against replay is removed by no limit before
 * its `retainUntil`: redeemed codes, consumed artifacts, artifacts of `putOnce` (`jti` values), marks of revocation. They
 * count as elements; when nothing else is left in a full cache, `add`, `persist`, `put` and `putOnce` fail with `throttled`
 * and change nothing. A revocation is never refused, even if the cache then holds more than its maximum.
 */
export function createEngine(settings: MemorySettings, clock: Clock): MemoryEngine {
  const { maxElements = Number.POSITIVE_INFINITY, evictionPolicy = 'LRU', eternal = false } = settings;
  const { timeToLiveSeconds = Number.POSITIVE_INFINITY, timeToIdleSeconds = Number.POSITIVE_INFINITY } = eternal
    ? {}
    : settings;
  const elements = createElements({ maxElements, evictionPolicy, timeToLiveSeconds, timeToIdleSeconds }, clock);
  return {
    accessTokens: createAccessTokenStore(elements),
    authorizationCodes: createAuthorizationCodeStore(elements),
    clientAccessTokens: createClientAccessTokenStore(elements),
    artifacts: createArtifactStore(elements),
    close: async () => {},
    dump: () => serialize(elements.values()),
  };
}

interface CodeRecord {
  readonly code: StoredCode;
  readonly attempt: Attempt;
  redeemed?: { readonly at: number; readonly attempt: Attempt };
}

function createAuthorizationCodeStore(elements: Elements): AuthorizationCodeStore {
  const codes = elements.createTable<CodeRecord>('element');
  return {
    async add(code, { attempt }) {
      const stored = codes.get(text(code.digest));
      if (!stored) codes.put(text(code.digest), { code: copy(code), attempt: Buffer.from(attempt) }, code.retainUntil);
      else if (!same(stored.attempt, attempt)) {
        throw new StoreError('conflict', 'an authorization code with this digest is stored already');
      }
    },
    async find(digest, { now }) {
      const stored = codes.get(text(digest));
      if (!stored) return { outcome: 'unknown' };
      const code = copy(stored.code);
      if (stored.redeemed) return { outcome: 'redeemed', code, redeemedAt: stored.redeemed.at };
      return { outcome: code.expiresAt <= now ? 'expired' : 'active', code };
    },
    async redeem(digest, { binding, now, attempt }) {
      const stored = codes.get(text(digest));
      if (!stored) return { outcome: 'unknown' };
      const code = copy(stored.code);
      if (!same(code.binding, binding)) return { outcome: 'mismatched' };
      if (stored.redeemed) {
        if (!same(stored.redeemed.attempt, attempt)) return { outcome: 'replayed', grantId: code.grantId };
      } else {
        if (code.expiresAt <= now) return { outcome: 'expired' };
        stored.redeemed = copy({ at: now, attempt });
        codes.keep(text(digest));
      }
      return { outcome: 'redeemed', code };
    },
    remove: async (digest) => codes.delete(text(digest)),
    purgeExpired: async (request) => elements.purge({ codes: [codes] }, request),
  };
}

interface ArtifactRecord {
  artifact: StoredArtifact;
  /** Who stored it with `putOnce`. */
  readonly attempt?: Attempt;
  consumed?: { readonly at: number; readonly attempt: Attempt };
}

const WAYS = ['uid', 'userCode'] as const;

function createArtifactStore(elements: Elements): ArtifactStore {
  const artifacts = elements.createTable<ArtifactRecord>('element', forget);
  /** From second ways in, and from consents, to the keys of artifacts. */
  const ways = new Map<string, string>();
  const byConsent = new Map<string, Set<string>>();

  const keyOf = (kind: string, id: Digest) => `${text(id)} ${kind}`;
  const wayOf = (way: (typeof WAYS)[number], kind: string, value: Digest) => `${way} ${keyOf(kind, value)}`;
  const waysOf = (artifact: StoredArtifact) =>
    WAYS.flatMap((way) => {
      const value = artifact[way];
      return value ? [{ way, name: wayOf(way, artifact.kind, value) }] : [];
    });

  function forget({ artifact }: ArtifactRecord, key: string): void {
    for (const { name } of waysOf(artifact)) ways.delete(name);
    if (artifact.consentId === undefined) return;
    const keys = byConsent.get(artifact.consentId);
    keys?.delete(key);
    if (keys?.size === 0) byConsent.delete(artifact.consentId);
  }

  const isExpired = ({ expiresAt }: StoredArtifact, now: number) => expiresAt !== undefined && expiresAt <= now;

  const store = (artifact: StoredArtifact, past: Omit<ArtifactRecord, 'artifact'>) => {
    const key = keyOf(artifact.kind, artifact.id);
    const dueAt = artifact.retainUntil ?? artifact.expiresAt ?? Number.POSITIVE_INFINITY;
    const isKept = past.attempt !== undefined || past.consumed !== undefined;
    artifacts.put(key, { artifact: copy(artifact), ...past }, dueAt, isKept);
    for (const { way, name } of waysOf(artifact)) {
      const holder = artifacts.get(ways.get(name) ?? '');
      if (holder) {
        const { [way]: _, ...rest } = holder.artifact;
        holder.artifact = Object.freeze(rest);
      }
      ways.set(name, key);
    }
    if (artifact.consentId === undefined) return;
    const keys = byConsent.get(artifact.consentId) ?? new Set();
    byConsent.set(artifact.consentId, keys.add(key));
  };

  const stateOf = (key: string | undefined, now: number): ArtifactState => {
    const stored = key === undefined ? undefined : artifacts.get(key);
    if (!stored) return { outcome: 'unknown' };
    const { artifact, consumed } = stored;
    const outcome = isExpired(artifact, now) ? 'expired' : 'active';
    return { outcome, artifact: copy(artifact), ...(consumed && { consumedAt: consumed.at }) };
  };

  return {
    async put(artifact) {
      const { artifact: _, ...past } = artifacts.get(keyOf(artifact.kind, artifact.id)) ?? { artifact };
      store(artifact, past);
    },
    async putOnce(artifact, { now, attempt }) {
      const stored = artifacts.get(keyOf(artifact.kind, artifact.id));
      if (stored && !isExpired(stored.artifact, now)) return same(stored.attempt, attempt);
      store(artifact, { attempt: Buffer.from(attempt) });
      return true;
    },
    find: async (kind, id, { now }) => stateOf(keyOf(kind, id), now),
    findByUid: async (kind, uid, { now }) => stateOf(ways.get(wayOf('uid', kind, uid)), now),
    findByUserCode: async (kind, userCode, { now }) => stateOf(ways.get(wayOf('userCode', kind, userCode)), now),
    async consume(kind, id, { now, attempt }) {
      const stored = artifacts.get(keyOf(kind, id));
      if (!stored || isExpired(stored.artifact, now)) return false;
      stored.consumed ??= copy({ at: now, attempt });
      artifacts.keep(keyOf(kind, id));
      return same(stored.consumed.attempt, attempt);
    },
    remove: async (kind, id) => artifacts.delete(keyOf(kind, id)),
    async removeByConsent(consentId) {
      elements.sweep();
      const keys = [...(byConsent.get(consentId) ?? [])];
      for (const key of keys) artifacts.delete(key);
      return keys.length;
    },
    purgeExpired: async (request) => elements.purge({ artifacts: [artifacts] }, request),
  };
}

function createClientAccessTokenStore(elements: Elements): ClientAccessTokenStore {
  const tokens = elements.createTable<StoredClientAccessToken>('element');
  const keyOf = (clientId: string, key: string) => JSON.stringify([clientId, key]);
  return {
    async put(token) {
      tokens.put(keyOf(token.clientId, token.key), copy(token), token.expiresAt);
    },
    async get(clientId, key, { now }) {
      const token = tokens.get(keyOf(clientId, key));
      return token && token.expiresAt > now ? copy(token) : undefined;
    },
    remove: async (clientId, key) => tokens.delete(keyOf(clientId, key)),
    purgeExpired: async (request) => elements.purge({ clientAccessTokens: [tokens] }, request),
  };
}
