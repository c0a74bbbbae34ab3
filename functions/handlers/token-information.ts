import { deployed } from '../deployed.ts';
import { seconds } from '../domain/clock.ts';
import { inspectAccessToken } from '../domain/inspection.ts';
import { formText, parametersOf, required } from '../form.ts';
import { answer, endpoint, RequestError } from '../http.ts';
import type { Runtime } from '../runtime.ts';

/** What an access token stands for, to whoever holds it; additional attributes as far as the configuration names them. */
export const createTokenInformation = ({ stores, storeNames, clients, configuration, clock, log }: Runtime) => {
  const tokens = stores.tokens(storeNames?.accessTokenStore);
  const shown = configuration.tokenInformation.attributes;
  return endpoint('token-information', log, async (event) => {
    const isForm = event.requestContext.http.method === 'POST';
    const parameters = parametersOf(event.rawQueryString, ...(isForm ? [formText(event)] : []));
    const found = await inspectAccessToken(tokens, required(parameters, 'access_token'));
    if (!found.active || !(await clients.find(found.authorization.clientId))?.enabled) {
      const logged = { reason: found.active ? 'invalid_client' : found.reason };
      throw new RequestError(400, 'invalid_token', 'the access token is not valid', { logged });
    }
    const { clientId, subject, scopes, attributes = {} } = found.authorization;
    return answer(200, {
      ...Object.fromEntries(shown.map((name) => [name, attributes[name]])),
      audience: clientId,
      user_id: subject,
      scope: scopes.join(' '),
      expires_in: found.expiresAt - seconds(clock),
    });
  });
};

export const handler = deployed(createTokenInformation, 'token-information');
