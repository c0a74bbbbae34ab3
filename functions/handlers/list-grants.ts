import { deployed } from '../deployed.ts';
import { authorizationOf } from '../domain/issuing.ts';
import { parametersOf } from '../form.ts';
import { answer, endpoint } from '../http.ts';
import { checked } from '../json-body.ts';
import type { Runtime } from '../runtime.ts';
import { base64url } from '../store-answers.ts';
import { grantsQuery, inMembers } from '../store-requests.ts';

/** The grants of a subject, client, application or consent, revoked and expired ones too, page by page. */
export const createListGrants = ({ stores, storeNames, log }: Runtime) => {
  const { store, codec } = stores.tokens(storeNames?.accessTokenStore);
  return endpoint('list-grants', log, async ({ rawQueryString }) => {
    const query = Object.fromEntries(parametersOf(rawQueryString));
    const { limit, after, ...selector } = checked(query, grantsQuery);
    const { grants, next } = await store.listGrants(selector, { limit, ...(after !== undefined && { after }) });
    return answer(200, {
      grants: grants.map(({ grant, revokedAt, refresh }) => ({
        grant_id: base64url(grant.grantId),
        created_at: grant.createdAt,
        expires_at: grant.expiresAt,
        revoked_at: revokedAt,
        refresh_token: refresh && { expires_at: refresh.expiresAt, idle_expires_at: refresh.idleExpiresAt },
        ...inMembers(authorizationOf(codec, grant)),
      })),
      next,
    });
  });
};

export const handler = deployed(createListGrants, 'list-grants');
