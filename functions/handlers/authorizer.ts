import { authorize } from '../authorization.ts';
import {
  type AuthorizerEvent,
  type AuthorizerResult,
  asToldToGateway,
  contextOf,
  requestOf,
  resultOf,
} from '../authorizer-events.ts';
import { deployed } from '../deployed.ts';
import { inspectAccessToken } from '../domain/inspection.ts';
import type { ScopeMatch } from '../domain/scope.ts';
import { createNonces } from '../dpop-nonce.ts';
import { failureFields } from '../log.ts';
import { cached } from '../lookup-cache.ts';
import { presentedTokens, type Scheme } from '../presented-token.ts';
import type { Runtime } from '../runtime.ts';

export interface AuthorizerOptions {
  /** What every route demands; in place of the configured scopes of each. */
  readonly requiredScopes?: readonly string[];
  readonly match?: ScopeMatch;
  readonly realm?: string;
}

/**
 * Whether API Gateway lets a request through. A refusal has `status`, `error`, `error_description` and `www_authenticate`
 * in its context, and where proofs need a nonce every answer has `dpop_nonce`. An outage of a store throws, which API
 * Gateway answers with 500.
 */
export const createAuthorizer = (
  { stores, storeNames, clients, keyring, clock, configuration: { authorizer }, log }: Runtime,
  { requiredScopes, match = authorizer.scopeMatch, realm = authorizer.realm }: AuthorizerOptions = {},
) => {
  const tokens = stores.tokens(storeNames?.accessTokenStore);
  const { cacheSeconds, resultCacheSeconds, artifactStore, dpop } = authorizer;
  const inspect = cached((value) => inspectAccessToken(tokens, value), cacheSeconds, clock);
  const nonces = dpop?.nonceSeconds === undefined ? undefined : createNonces(keyring, dpop.nonceSeconds, clock);
  const proofs = dpop && { ...dpop, ...(nonces && { nonces }), artifacts: stores.artifactStore(artifactStore) };
  const guard = { tokens, inspect, clients, dpop: proofs, bound: resultCacheSeconds === 0 };
  const schemes: Scheme[] = dpop ? ['Bearer', 'DPoP'] : ['Bearer'];
  const everyRoute = requiredScopes !== undefined || Object.keys(authorizer.scopes).length === 0;
  const scopesOf = (route: string) =>
    authorizer.scopes[route] ?? authorizer.scopes[route.replace(/^\S+/, 'ANY')] ?? authorizer.scopes.$default;
  return async (event: AuthorizerEvent): Promise<AuthorizerResult> => {
    const request = requestOf(event);
    const presented = presentedTokens(authorizer.tokenFrom, schemes, request);
    const demand = { scopes: everyRoute ? (requiredScopes ?? []) : scopesOf(request.route), match, realm };
    const nonce = nonces && { dpop_nonce: nonces.current() };
    try {
      const access = await authorize(guard, { ...request, presented, proofs: request.header('dpop') }, demand);
      if (access.granted) {
        const { subject, clientId } = access.token.authorization;
        const context = { ...contextOf(access.token), ...nonce };
        return resultOf(event, { isAuthorized: true, principalId: subject ?? clientId, context }, everyRoute);
      }
      const { status, error, description, challenge, reason } = access;
      log('info', 'access refused', { status, reason, request: request.id });
      const words = { status: `${status}`, error, error_description: description, www_authenticate: challenge };
      const context = { ...words, ...nonce };
      return resultOf(event, { isAuthorized: false, principalId: 'nobody', context }, everyRoute);
    } catch (error) {
      log('error', 'the authorizer failed', failureFields(error));
      throw error;
    }
  };
};

export const handler = deployed((runtime) => {
  const authorizer = createAuthorizer(runtime);
  return async (event: AuthorizerEvent) => asToldToGateway(await authorizer(event));
}, 'authorizer');
