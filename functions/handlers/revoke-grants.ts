import { deployed } from '../deployed.ts';
import { seconds } from '../domain/clock.ts';
import { revocationRetention } from '../domain/issuing.ts';
import { answer, endpoint } from '../http.ts';
import { jsonBody } from '../json-body.ts';
import type { Runtime } from '../runtime.ts';
import { revocationRequest } from '../store-requests.ts';

/** Ends a grant, the access tokens of one, or every grant of a subject, client, application or consent. */
export const createRevokeGrants = ({ stores, storeNames, configuration, clock, log }: Runtime) => {
  const store = stores.accessTokenStore(storeNames?.accessTokenStore);
  return endpoint('revoke-grants', log, async (event) => {
    const { grantId, accessTokensOnly, ...selector } = jsonBody(event, revocationRequest);
    const nowMs = clock();
    const now = seconds(() => nowMs);
    if (grantId && accessTokensOnly) {
      await store.revokeAccessOfGrant(grantId, { now });
      return answer(200, { outcome: 'revoked' });
    }
    const retainUntil = revocationRetention(configuration.issuing, now);
    if (grantId) {
      await store.revokeGrant(grantId, { now, retainUntil });
      return answer(200, { outcome: 'revoked' });
    }
    return answer(200, { outcome: 'revoked', grants: await store.revokeBy(selector, { nowMs, retainUntil }) });
  });
};

export const handler = deployed(createRevokeGrants, 'revoke-grants');
