import { createHash } from 'node:crypto';
import { createClientAuthentication } from '../client-authentication.ts';
import { deployed } from '../deployed.ts';
import { type ActiveToken, inspectToken } from '../domain/inspection.ts';
import { formText, hintOf, parametersOf, required } from '../form.ts';
import { answer, endpoint } from '../http.ts';
import type { Runtime } from '../runtime.ts';

/** Whether a token is good, for a resource server or the token's own client (RFC 7662). */
export const createIntrospect = (runtime: Runtime) => {
  const { stores, storeNames, clients, configuration, log } = runtime;
  const tokens = stores.tokens(storeNames?.accessTokenStore);
  const authenticate = createClientAuthentication(runtime);
  return endpoint('introspect', log, async (event) => {
    const parameters = parametersOf(formText(event));
    const token = required(parameters, 'token');
    const caller = await authenticate(event, parameters);
    const found = await inspectToken(tokens, token, hintOf(parameters));
    // RFC 7662 §2.2: what the caller may not see is as inactive as what is not there.
    if (!found.active) {
      log('info', 'access refused', {
        function: 'introspect',
        request: event.requestContext.requestId,
        reason: found.reason,
      });
      return answer(200, { active: false });
    }
    const { clientId } = found.authorization;
    const mayKnow = caller.mayIntrospect || caller.clientId === clientId;
    if (!mayKnow || !(await clients.find(clientId))?.enabled) return answer(200, { active: false });
    return answer(200, introspection(token, found, configuration.issuer));
  });
};

function introspection(token: string, { authorization, tokenType, issuedAt, expiresAt }: ActiveToken, iss?: string) {
  const { clientId, subject, scopes, resources, confirmation, authorizationDetails } = authorization;
  const { authenticatedAt, acr, amr, sessionId } = authorization;
  return {
    active: true,
    scope: scopes.length ? scopes.join(' ') : undefined,
    client_id: clientId,
    token_type: tokenType,
    exp: expiresAt,
    iat: issuedAt,
    sub: subject,
    aud: resources?.length === 1 ? resources[0] : resources,
    iss,
    // Names the token in a resource server's logs without being good for anything.
    jti: createHash('sha256').update(token).digest().subarray(0, 16).toString('base64url'),
    cnf: confirmation,
    authorization_details: authorizationDetails,
    auth_time: authenticatedAt,
    acr,
    amr,
    sid: sessionId,
  };
}

export const handler = deployed(createIntrospect, 'introspect');
