import { createClientAuthentication } from '../client-authentication.ts';
import { deployed } from '../deployed.ts';
import { revokeToken } from '../domain/inspection.ts';
import { formText, hintOf, parametersOf, required } from '../form.ts';
import { answer, endpoint } from '../http.ts';
import type { Runtime } from '../runtime.ts';

/**
 * Ends a token of the client that asks, a refresh token with its whole grant (RFC 7009). Another client's token, like one
 * that is not known, is answered with 200 and left alone.
 */
export const createRevoke = (runtime: Runtime) => {
  const { stores, storeNames, log } = runtime;
  const tokens = stores.tokens(storeNames?.accessTokenStore);
  const authenticate = createClientAuthentication(runtime);
  return endpoint('revoke', log, async (event) => {
    const parameters = parametersOf(formText(event));
    const token = required(parameters, 'token');
    const { clientId } = await authenticate(event, parameters, { publicClients: true });
    const hint = hintOf(parameters);
    await revokeToken(tokens, token, { clientId, ...(hint && { hint }) });
    return answer(200, {});
  });
};

export const handler = deployed(createRevoke, 'revoke');
