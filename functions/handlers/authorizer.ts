import { authorize } from '../authorization.ts';
import { type AuthorizerEvent, type AuthorizerResult, contextOf, requestOf, resultOf } from '../authorizer-events.ts';
import { deployed } from '../deployed.ts';
import type { ScopeMatch } from '../domain/scope.ts';
import { failureFields } from '../log.ts';
import { presentedTokens } from '../presented-token.ts';
import type { Runtime } from '../runtime.ts';

export interface AuthorizerOptions {
  /** What every route demands; in place of the configured scopes of each. */
  readonly requiredScopes?: readonly string[];
  readonly match?: ScopeMatch;
  readonly realm?: string;
}

/**
 * Whether API Gateway lets a request through. A refusal has `status`, `error`, `error_description` and `www_authenticate`
 * in its context. An outage of the store throws, which API Gateway answers with 500.
 */
export const createAuthorizer = (
  { stores, storeNames, clients, configuration: { authorizer }, log }: Runtime,
  { requiredScopes, match = authorizer.scopeMatch, realm = authorizer.realm }: AuthorizerOptions = {},
) => {
  const tokens = stores.tokens(storeNames?.accessTokenStore);
  const everyRoute = requiredScopes !== undefined || Object.keys(authorizer.scopes).length === 0;
  const scopesOf = (route: string) =>
    authorizer.scopes[route] ?? authorizer.scopes[route.replace(/^\S+/, 'ANY')] ?? authorizer.scopes.$default;
  return async (event: AuthorizerEvent): Promise<AuthorizerResult> => {
    const request = requestOf(event);
    const presented = presentedTokens(authorizer.tokenFrom, request);
    const demand = { scopes: everyRoute ? (requiredScopes ?? []) : scopesOf(request.route), match, realm };
    try {
      const access = await authorize({ tokens, clients }, presented, demand, request.certificate);
      if (access.granted) {
        const { subject, clientId } = access.token.authorization;
        const context = contextOf(access.token);
        return resultOf(event, { isAuthorized: true, principalId: subject ?? clientId, context }, everyRoute);
      }
      const { status, error, description, challenge, reason } = access;
      log('info', 'access refused', { status, reason });
      const context = { status: `${status}`, error, error_description: description, www_authenticate: challenge };
      return resultOf(event, { isAuthorized: false, principalId: 'nobody', context }, everyRoute);
    } catch (error) {
      log('error', 'the authorizer failed', failureFields(error));
      throw error;
    }
  };
};

/** API Gateway answers 401 to this error alone; to every other refusal 403. */
const unauthorized = (result: AuthorizerResult): AuthorizerResult => {
  if (result.context.status === '400' || result.context.status === '401') throw new Error('Unauthorized');
  return result;
};

export const handler = deployed((runtime) => {
  const authorizer = createAuthorizer(runtime);
  return async (event: AuthorizerEvent) => unauthorized(await authorizer(event));
}, 'authorizer');
