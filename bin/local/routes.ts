import { randomBytes } from 'node:crypto';
import type { Configuration } from '../../functions/config/configuration.ts';
import { type HttpFunction, routes } from '../../functions/config/routes.ts';
import { seconds } from '../../functions/domain/clock.ts';
import { StoreError } from '../../functions/domain/errors.ts';
import { createAuthorizer } from '../../functions/handlers/authorizer.ts';
import { createExchangeCode } from '../../functions/handlers/exchange-code.ts';
import { createIntrospect } from '../../functions/handlers/introspect.ts';
import { createIssueCode } from '../../functions/handlers/issue-code.ts';
import { createIssueTokens } from '../../functions/handlers/issue-tokens.ts';
import { createListAccessTokens } from '../../functions/handlers/list-access-tokens.ts';
import { createListGrants } from '../../functions/handlers/list-grants.ts';
import { createLookupCode } from '../../functions/handlers/lookup-code.ts';
import { createLookupToken } from '../../functions/handlers/lookup-token.ts';
import { createPurge } from '../../functions/handlers/purge.ts';
import { createRefreshTokens } from '../../functions/handlers/refresh-tokens.ts';
import { createRemoveCode } from '../../functions/handlers/remove-code.ts';
import { createRevoke } from '../../functions/handlers/revoke.ts';
import { createRevokeAccessToken } from '../../functions/handlers/revoke-access-token.ts';
import { createRevokeGrants } from '../../functions/handlers/revoke-grants.ts';
import { createRevokeToken } from '../../functions/handlers/revoke-token.ts';
import { createTokenInformation } from '../../functions/handlers/token-information.ts';
import { answer } from '../../functions/http.ts';
import { failureFields } from '../../functions/log.ts';
import type { Runtime } from '../../functions/runtime.ts';
import type { Example } from './example.ts';
import type { Handler, Route } from './gateway.ts';
import { callbackPage, errorPage } from './pages.ts';

const functions: Record<HttpFunction, (runtime: Runtime) => Handler> = {
  'exchange-code': createExchangeCode,
  introspect: createIntrospect,
  'issue-code': createIssueCode,
  'issue-tokens': createIssueTokens,
  'list-access-tokens': createListAccessTokens,
  'list-grants': createListGrants,
  'lookup-code': createLookupCode,
  'lookup-token': createLookupToken,
  'refresh-tokens': createRefreshTokens,
  'remove-code': createRemoveCode,
  revoke: createRevoke,
  'revoke-access-token': createRevokeAccessToken,
  'revoke-grants': createRevokeGrants,
  'revoke-token': createRevokeToken,
  'token-information': createTokenInformation,
};

export type LocalDeployment = NonNullable<Configuration['localDeployment']>;

/** What the local deployment has API Gateway answer: the functions, an example API behind the authorizer, and its health. */
export function localRoutes(runtime: Runtime, { protectedPaths }: LocalDeployment, example?: Example): Route[] {
  const guarding = atIssuer(runtime);
  return [
    ...routes.map(({ path, handler, authorization }) => ({
      path,
      handler: functions[handler](runtime),
      iam: authorization === 'iam',
    })),
    ...Object.entries(protectedPaths).map(([path, requiredScopes]) => ({
      path,
      handler: exampleApi,
      authorizer: createAuthorizer(guarding, { requiredScopes }),
    })),
    { path: '/purge', handler: createPurgeNow(runtime), iam: true },
    { path: '/health', handler: createHealth(runtime) },
    ...(example ? [{ path: '/callback', handler: createCallback(example) }] : []),
  ];
}

/** Proofs of DPoP name the URL that clients know: here http, and the issuer's host. */
function atIssuer(runtime: Runtime): Runtime {
  const { configuration } = runtime;
  const { authorizer, issuer } = configuration;
  if (!authorizer.dpop || issuer === undefined) return runtime;
  const dpop = { baseUrls: [issuer], ...authorizer.dpop };
  return { ...runtime, configuration: { ...configuration, authorizer: { ...authorizer, dpop } } };
}

/** What an API would do for whom the authorizer lets in. */
const exampleApi: Handler = async ({ requestContext }) => {
  const { subject, client_id, scope } = requestContext.authorizer.lambda;
  return answer(200, { orders: [{ id: 1, item: 'tea' }], for: subject ?? client_id, by: client_id, scope });
};

/** In AWS a rule calls the purge; here it can be called at will, too. */
const createPurgeNow = (runtime: Runtime): Handler => {
  const purge = createPurge(runtime);
  return async ({ requestContext: { http } }) =>
    http.method === 'POST'
      ? answer(200, await purge({}))
      : answer(405, { error: 'invalid_request' }, { allow: 'POST' });
};

/** Whether the access token store answers: it is asked for a token that nobody has. */
const createHealth = ({ stores, storeNames, clock, log }: Runtime): Handler => {
  const store = stores.accessTokenStore(storeNames?.accessTokenStore);
  return async () => {
    try {
      await store.findAccess({ digest: randomBytes(32), grantId: randomBytes(12) }, { now: seconds(clock) });
      return answer(200, { status: 'ok' });
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      log('error', 'not healthy', failureFields(error));
      return answer(503, { status: 'the store does not answer' });
    }
  };
};

/** The redirect URI of the example client. */
const createCallback =
  (example: Example): Handler =>
  async ({ queryStringParameters = {} }) => {
    const { code = '', error = 'invalid_request', error_description } = queryStringParameters;
    // What does not look like a code has no business in a command.
    const { headers, body } = /^[\w-]+$/.test(code)
      ? callbackPage(example.redemption(code))
      : errorPage(error, error_description);
    return { statusCode: 200, headers, body };
  };
