import { deployed } from '../deployed.ts';
import { seconds } from '../domain/clock.ts';
import { answer, endpoint } from '../http.ts';
import { checked } from '../json-body.ts';
import type { Runtime } from '../runtime.ts';
import { accessTokenReference } from '../store-requests.ts';

/** Ends one access token by its digest, as the list of a grant's access tokens names it. */
export const createRevokeAccessToken = ({ stores, storeNames, clock, log }: Runtime) => {
  const store = stores.accessTokenStore(storeNames?.accessTokenStore);
  return endpoint('revoke-access-token', log, async ({ pathParameters }) => {
    const key = checked(pathParameters, accessTokenReference);
    const ended = await store.revokeAccess(key, { now: seconds(clock) });
    return answer(200, { outcome: ended ? 'revoked' : 'unknown' });
  });
};

export const handler = deployed(createRevokeAccessToken, 'revoke-access-token');
