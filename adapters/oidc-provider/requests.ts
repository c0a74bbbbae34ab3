import Provider, { type AdapterPayload } from 'oidc-provider';
import type { AccessState, StoredGrant } from '../../functions/domain/ports.ts';
import type { Authorization } from '../../functions/domain/records.ts';
import type { GrantId } from '../../functions/domain/token.ts';
import type { Payload } from './payloads.ts';

/** A token that the provider has made, on its way to the store. */
export interface MadeToken {
  readonly value: string;
  readonly payload: Payload;
  /** When the Grant that it rests on ends, and the token with it. */
  readonly consentExpiresAt: number | undefined;
}

export const madeToken = (value: string, payload: AdapterPayload): MadeToken => ({
  value,
  payload: payload as Payload,
  consentExpiresAt: Provider.ctx?.oidc.entities.Grant?.exp,
});

/** The refresh token that a token request presents. */
export interface PresentedToken {
  readonly value: string;
  readonly grant: StoredGrant;
  readonly granted: Authorization;
}

/** What one request to the provider has read and is going to write. */
export interface PendingRequest {
  /** Epoch milliseconds of the authorization that new tokens rest on; until a code says otherwise, of the request itself. */
  authorizedAtMs: number;
  /** The grant that the tokens of this request belong to. */
  grantId?: GrantId;
  presented?: PresentedToken;
  access?: MadeToken;
  refresh?: MadeToken;
  /** Look-ups under way: the provider asks for one value as two models at once. */
  readonly lookups: Map<string, Promise<AccessState>>;
}

/** The requests under way, for a provider on which the adapter is installed; else there are none. */
export interface Requests {
  open(ctx: object, nowMs: number): PendingRequest;
  /** The request that the calling code serves. */
  current(): PendingRequest | undefined;
  /** The same, if it is one to the token endpoint (with this `grant_type`): its writes wait for its end. */
  currentTokenRequest(grantType?: string): PendingRequest | undefined;
}

export function createRequests(): Requests {
  const requests = new WeakMap<object, PendingRequest>();
  const current = () => Provider.ctx && requests.get(Provider.ctx);
  return {
    open(ctx, nowMs) {
      const request: PendingRequest = { authorizedAtMs: nowMs, lookups: new Map() };
      requests.set(ctx, request);
      return request;
    },
    current,
    currentTokenRequest(grantType) {
      const oidc = Provider.ctx?.oidc;
      const asked = oidc?.route === 'token' && (grantType ?? oidc.params?.grant_type) === oidc.params?.grant_type;
      return asked ? current() : undefined;
    },
  };
}
