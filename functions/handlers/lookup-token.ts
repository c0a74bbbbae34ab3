import { deployed } from '../deployed.ts';
import { inspectToken } from '../domain/inspection.ts';
import { answer, endpoint } from '../http.ts';
import { jsonBody } from '../json-body.ts';
import type { Runtime } from '../runtime.ts';
import { base64url } from '../store-answers.ts';
import { inMembers, tokenReference } from '../store-requests.ts';

/** The whole record behind an access token or a refresh token, for the authorization server. */
export const createLookupToken = ({ stores, storeNames, log }: Runtime) => {
  const tokens = stores.tokens(storeNames?.accessTokenStore);
  return endpoint('lookup-token', log, async (event) => {
    const { token, hint } = jsonBody(event, tokenReference);
    const found = await inspectToken(tokens, token, hint);
    if (!found.active) return answer(200, { active: false, outcome: found.reason });
    return answer(200, {
      active: true,
      outcome: 'active',
      kind: found.kind,
      token_type: found.tokenType,
      iat: found.issuedAt,
      exp: found.expiresAt,
      id_token: found.idToken,
      grant_id: base64url(found.grantId),
      authentication: inMembers(found.authorization),
    });
  });
};

export const handler = deployed(createLookupToken, 'lookup-token');
