import { deployed } from '../deployed.ts';
import { revokeToken } from '../domain/inspection.ts';
import { answer, endpoint } from '../http.ts';
import { jsonBody } from '../json-body.ts';
import type { Runtime } from '../runtime.ts';
import { tokenReference } from '../store-requests.ts';

/** Ends any client's token for the authorization server: an access token alone, a refresh token with its whole grant. */
export const createRevokeToken = ({ stores, storeNames, log }: Runtime) => {
  const tokens = stores.tokens(storeNames?.accessTokenStore);
  return endpoint('revoke-token', log, async (event) => {
    const { token, hint } = jsonBody(event, tokenReference);
    const ended = await revokeToken(tokens, token, hint ? { hint } : {});
    return answer(200, { outcome: ended ? 'revoked' : 'unknown' });
  });
};

export const handler = deployed(createRevokeToken, 'revoke-token');
