import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import type { HttpFunction } from '../../functions/config/routes.ts';
import { createExchangeCode } from '../../functions/handlers/exchange-code.ts';
import { createIntrospect } from '../../functions/handlers/introspect.ts';
import { createIssueCode } from '../../functions/handlers/issue-code.ts';
import { createIssueTokens } from '../../functions/handlers/issue-tokens.ts';
import { createListAccessTokens } from '../../functions/handlers/list-access-tokens.ts';
import { createListGrants } from '../../functions/handlers/list-grants.ts';
import { createLookupCode } from '../../functions/handlers/lookup-code.ts';
import { createLookupToken } from '../../functions/handlers/lookup-token.ts';
import { createRefreshTokens } from '../../functions/handlers/refresh-tokens.ts';
import { createRemoveCode } from '../../functions/handlers/remove-code.ts';
import { createRevoke } from '../../functions/handlers/revoke.ts';
import { createRevokeAccessToken } from '../../functions/handlers/revoke-access-token.ts';
import { createRevokeGrants } from '../../functions/handlers/revoke-grants.ts';
import { createRevokeToken } from '../../functions/handlers/revoke-token.ts';
import { createTokenInformation } from '../../functions/handlers/token-information.ts';
import type { endpoint } from '../../functions/http.ts';
import type { Runtime } from '../../functions/runtime.ts';
import { ask, basic, type Deployment, formEvent, httpEvent, jsonEvent } from './deployment.ts';

export type Creators = Record<HttpFunction, (runtime: Runtime) => ReturnType<typeof endpoint>>;

/** Every function behind the HTTP API. */
export const creators: Creators = {
  'issue-code': createIssueCode,
  'exchange-code': createExchangeCode,
  'lookup-code': createLookupCode,
  'remove-code': createRemoveCode,
  'issue-tokens': createIssueTokens,
  'refresh-tokens': createRefreshTokens,
  'lookup-token': createLookupToken,
  'revoke-token': createRevokeToken,
  'list-grants': createListGrants,
  'revoke-grants': createRevokeGrants,
  'list-access-tokens': createListAccessTokens,
  'revoke-access-token': createRevokeAccessToken,
  introspect: createIntrospect,
  revoke: createRevoke,
  'token-information': createTokenInformation,
};

/** A request to each function that it grants, and the values among them that nobody else may see. */
export async function goodRequests({ runtime }: Deployment) {
  const { body: issuedCode } = await ask(createIssueCode(runtime), jsonEvent({ client_id: 'web', subject: 'alice' }));
  const { body: issued } = await ask(
    createIssueTokens(runtime),
    jsonEvent({ client_id: 'web', subject: 'alice', grant_type: 'password', scope: 'a b', refresh_token: true }),
  );
  const { code } = issuedCode;
  const { access_token: token, refresh_token, grant_id } = issued;
  const { body: list } = await ask(
    createListAccessTokens(runtime),
    httpEvent({ method: 'GET', pathParameters: { grant_id } }),
  );
  const { digest } = list.access_tokens[0];
  const events: Record<HttpFunction, APIGatewayProxyEventV2> = {
    'issue-code': jsonEvent({ client_id: 'web', subject: 'alice', scope: 'a' }),
    'exchange-code': jsonEvent({ client_id: 'web', code, refresh_token: true }),
    'lookup-code': jsonEvent({ code }),
    'remove-code': jsonEvent({ code }),
    'issue-tokens': jsonEvent({ client_id: 'web', grant_type: 'client_credentials' }),
    'refresh-tokens': jsonEvent({ client_id: 'web', refresh_token }),
    'lookup-token': jsonEvent({ token }),
    'revoke-token': jsonEvent({ token }),
    'list-grants': httpEvent({ method: 'GET', query: 'subject=alice' }),
    'revoke-grants': jsonEvent({ subject: 'alice' }),
    'list-access-tokens': httpEvent({ method: 'GET', pathParameters: { grant_id } }),
    'revoke-access-token': httpEvent({ method: 'DELETE', pathParameters: { grant_id, digest } }),
    introspect: formEvent({ token }, basic('api')),
    revoke: formEvent({ token }, basic('web')),
    'token-information': formEvent({ access_token: token }),
  };
  return { events, values: [code, token, refresh_token] as string[] };
}
