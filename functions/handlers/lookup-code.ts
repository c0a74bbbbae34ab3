import { deployed } from '../deployed.ts';
import type { CodeRecord } from '../domain/authorization-codes.ts';
import { seconds } from '../domain/clock.ts';
import { keysOf } from '../domain/digest.ts';
import { answer, endpoint } from '../http.ts';
import { jsonBody } from '../json-body.ts';
import type { Runtime } from '../runtime.ts';
import { base64url } from '../store-answers.ts';
import { codeReference, inMembers } from '../store-requests.ts';

/** The state of an authorization code and the authentication behind it; the code is not used up. */
export const createLookupCode = ({ stores, storeNames, clock, log }: Runtime) => {
  const { store, recognition, codec } = stores.codes(storeNames?.authorizationCodeStore);
  return endpoint('lookup-code', log, async (event) => {
    const { code } = jsonBody(event, codeReference);
    for (const { digest } of keysOf(recognition, 'authorization code', code)) {
      const found = await store.find(digest, { now: seconds(clock) });
      if (found.outcome === 'unknown') continue;
      const { grantId, expiresAt, data } = found.code;
      const { authorization, redirectUri, state } = codec.decode<CodeRecord>(grantId, data);
      return answer(200, {
        outcome: found.outcome,
        expires_at: expiresAt,
        ...(found.outcome === 'redeemed' && { redeemed_at: found.redeemedAt }),
        redirect_uri: redirectUri,
        state,
        grant_id: base64url(grantId),
        authentication: inMembers(authorization),
      });
    }
    return answer(200, { outcome: 'unknown' });
  });
};

export const handler = deployed(createLookupCode, 'lookup-code');
