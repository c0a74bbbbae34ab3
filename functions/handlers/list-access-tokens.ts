import { deployed } from '../deployed.ts';
import { parametersOf } from '../form.ts';
import { answer, endpoint } from '../http.ts';
import { checked } from '../json-body.ts';
import type { Runtime } from '../runtime.ts';
import { base64url } from '../store-answers.ts';
import { accessTokensQuery } from '../store-requests.ts';

/** The access tokens of a grant, those that ended early too, page by page. */
export const createListAccessTokens = ({ stores, storeNames, log }: Runtime) => {
  const store = stores.accessTokenStore(storeNames?.accessTokenStore);
  return endpoint('list-access-tokens', log, async ({ pathParameters, rawQueryString }) => {
    const query = { ...Object.fromEntries(parametersOf(rawQueryString)), ...pathParameters };
    const { grantId, limit, after } = checked(query, accessTokensQuery);
    const { tokens, next } = await store.listAccess(grantId, { limit, ...(after !== undefined && { after }) });
    return answer(200, {
      access_tokens: tokens.map(({ digest, issuedAt, expiresAt, revokedAt }) => ({
        digest: base64url(digest),
        issued_at: issuedAt,
        expires_at: expiresAt,
        revoked_at: revokedAt,
      })),
      next,
    });
  });
};

export const handler = deployed(createListAccessTokens, 'list-access-tokens');
