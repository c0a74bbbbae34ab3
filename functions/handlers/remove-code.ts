import { deployed } from '../deployed.ts';
import { keysOf } from '../domain/digest.ts';
import { answer, endpoint } from '../http.ts';
import { jsonBody } from '../json-body.ts';
import type { Runtime } from '../runtime.ts';
import { codeReference } from '../store-requests.ts';

/** Removes an authorization code. */
export const createRemoveCode = ({ stores, storeNames, log }: Runtime) => {
  const { store, recognition } = stores.codes(storeNames?.authorizationCodeStore);
  return endpoint('remove-code', log, async (event) => {
    const { code } = jsonBody(event, codeReference);
    for (const { digest } of keysOf(recognition, 'authorization code', code)) {
      if (await store.remove(digest)) return answer(200, { outcome: 'removed' });
    }
    return answer(200, { outcome: 'unknown' });
  });
};

export const handler = deployed(createRemoveCode, 'remove-code');
