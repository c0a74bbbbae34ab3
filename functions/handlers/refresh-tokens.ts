import { deployed } from '../deployed.ts';
import { refreshTokens } from '../domain/refresh.ts';
import { endpoint, RequestError } from '../http.ts';
import { jsonBody } from '../json-body.ts';
import type { Runtime } from '../runtime.ts';
import { base64url, invalidGrant, isPublic, issuingClient, tokenAnswer } from '../store-answers.ts';
import { refreshRequest } from '../store-requests.ts';

/** Exchanges a refresh token for new tokens (RFC 6749 §6); a repeat within the grace window is given the same ones. */
export const createRefreshTokens = ({ stores, storeNames, clients, clock, log }: Runtime) => {
  const tokens = stores.tokens(storeNames?.accessTokenStore);
  return endpoint('refresh-tokens', log, async (event) => {
    const request = jsonBody(event, refreshRequest);
    const client = await issuingClient(clients, request.clientId);
    const result = await refreshTokens(tokens, { ...request, publicClient: isPublic(client) });
    switch (result.outcome) {
      case 'rotated':
      case 'retried':
        return tokenAnswer(200, clock, result);
      case 'scope exceeded':
        throw new RequestError(400, 'invalid_scope', 'more scopes than were granted');
      case 'resources exceeded':
        throw new RequestError(400, 'invalid_target', 'more resources than were granted');
      case 'authorization details exceeded':
        throw new RequestError(400, 'invalid_authorization_details', 'more than was granted');
      case 'reused':
        throw invalidGrant(result.outcome, { client_id: client.clientId, grant_id: base64url(result.grantId) });
      default:
        throw invalidGrant(result.outcome);
    }
  });
};

export const handler = deployed(createRefreshTokens, 'refresh-tokens');
