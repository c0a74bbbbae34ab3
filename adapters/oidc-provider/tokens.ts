import { type Adapter, errors } from 'oidc-provider';
import { seconds } from '../../functions/domain/clock.ts';
import { keysOf } from '../../functions/domain/digest.ts';
import { type AccessRecord, authorizationOf, newAttempt } from '../../functions/domain/issuing.ts';
import type { AccessState, RefreshState } from '../../functions/domain/ports.ts';
import type { AdapterParts } from './parts.ts';
import { payloadFrom } from './payloads.ts';
import { madeToken } from './requests.ts';
import { storeNew } from './settling.ts';

const earliest = (...times: (number | undefined)[]) => Math.min(...times.filter((at) => at !== undefined));

const otherwise = {
  findByUid: async () => undefined,
  findByUserCode: async () => undefined,
};

/** The AccessToken and ClientCredentials models: one kind of token, which the provider looks up as both. */
export function createAccessTokenModel(
  model: 'AccessToken' | 'ClientCredentials',
  { tokens, requests, revokeConsent }: AdapterParts,
): Adapter {
  const { store, recognition, codec, clock } = tokens;

  async function lookup(value: string): Promise<AccessState> {
    for (const key of keysOf(recognition, 'access token', value)) {
      const state = await store.findAccess(key, { now: seconds(clock) });
      if (state.outcome !== 'unknown') return state;
    }
    return { outcome: 'unknown' };
  }

  function sharedLookup(value: string): Promise<AccessState> {
    const lookups = requests.current()?.lookups;
    const running = lookups?.get(value);
    if (running) return running;
    const started = lookup(value).finally(() => lookups?.delete(value));
    lookups?.set(value, started);
    return started;
  }

  return {
    ...otherwise,
    async upsert(value, payload) {
      const token = madeToken(value, payload);
      const request = requests.currentTokenRequest();
      if (request && !request.access) request.access = token;
      else await storeNew(tokens, { access: token });
    },

    async find(value) {
      const state = await sharedLookup(value);
      if (state.outcome === 'unknown' || state.outcome === 'revoked') return undefined;
      const { access, grant } = state;
      const granted = authorizationOf(codec, grant);
      const kind = granted.grantType === 'client_credentials' ? 'ClientCredentials' : 'AccessToken';
      if (kind !== model) return undefined;
      const record = access.data.length ? codec.decode<AccessRecord>(grant.grantId, access.data) : {};
      return {
        ...payloadFrom({ ...granted, ...record }),
        jti: value,
        kind,
        iat: access.issuedAt,
        exp: earliest(access.expiresAt, grant.expiresAt),
      };
    },

    async destroy(value) {
      for (const key of keysOf(recognition, 'access token', value)) {
        await store.revokeAccess(key, { now: seconds(clock) });
      }
    },

    revokeByGrantId: revokeConsent,
    // The provider consumes no access token.
    async consume() {},
  };
}

/** The RefreshToken model. */
export function createRefreshTokenModel({ tokens, requests, revokeConsent }: AdapterParts): Adapter {
  const { store, recognition, codec, clock } = tokens;

  async function lookup(value: string): Promise<RefreshState> {
    for (const key of keysOf(recognition, 'refresh token', value)) {
      const state = await store.findRefresh(key, { now: seconds(clock) });
      if (state.outcome !== 'unknown') return state;
    }
    return { outcome: 'unknown' };
  }

  return {
    ...otherwise,
    async upsert(value, payload) {
      const token = madeToken(value, payload);
      const request = requests.currentTokenRequest();
      if (request && !request.refresh) request.refresh = token;
      else await storeNew(tokens, { refresh: token });
    },

    async find(value) {
      const state = await lookup(value);
      if (state.outcome === 'unknown' || state.outcome === 'revoked') return undefined;
      const { grant } = state;
      // The grant's record is that of its refresh token; a rotation changes nothing but the times.
      const granted = authorizationOf(codec, grant);
      const request = requests.currentTokenRequest('refresh_token');
      if (request) {
        request.grantId = grant.grantId;
        request.presented = { value, grant, granted };
      }
      const payload = { ...payloadFrom(granted), jti: value, kind: 'RefreshToken' };
      if (state.outcome !== 'retired') {
        const { refresh, issuedAt } = state;
        return { ...payload, iat: issuedAt, exp: earliest(refresh.expiresAt, refresh.idleExpiresAt, grant.expiresAt) };
      }
      // A token request learns from the rotation whether this is a retry, or a reuse that ends the grant.
      const consumed = request ? {} : { consumed: state.retiredAt };
      return { ...payload, ...consumed, iat: grant.createdAt, exp: seconds(clock) + 1 };
    },

    async consume(value) {
      // A refresh request replaces the token at its end, in one step with what comes instead.
      if (requests.currentTokenRequest()?.presented?.value === value) return;
      for (const key of keysOf(recognition, 'refresh token', value)) {
        const now = seconds(clock);
        const found = await store.findRefresh(key, { now });
        if (found.outcome === 'unknown') continue;
        const { clientId, retainUntil } = found.grant;
        const sender = found.outcome === 'retired' ? undefined : found.refresh.sender;
        const { outcome } = await store.rotate(
          key,
          { refresh: 'none', sealed: Buffer.alloc(0), retainUntil },
          { clientId, ...(sender && { sender }), now, attempt: newAttempt(), graceSeconds: 0 },
        );
        if (outcome === 'rotated') return;
      }
      throw new errors.InvalidGrant('refresh token already used, or gone');
    },

    async destroy(value) {
      for (const key of keysOf(recognition, 'refresh token', value)) {
        await store.revokeRefresh(key, { now: seconds(clock) });
      }
    },

    revokeByGrantId: revokeConsent,
  };
}
