/** How a caller proves who it is: AWS Signature Version 4, its credentials as an OAuth client, or not at all. */
export type RouteAuthorization = 'iam' | 'client' | 'none';

export interface Route {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** As API Gateway writes it. */
  readonly path: string;
  /** The file in functions/handlers that answers; `issue-code.ts` exports `createIssueCode` and `handler`. */
  readonly handler: string;
  readonly authorization: RouteAuthorization;
}

/** What the HTTP API answers: the store functions, for an authorization server in any language, and the standard endpoints. */
export const routes = [
  { method: 'POST', path: '/store/codes', handler: 'issue-code', authorization: 'iam' },
  { method: 'POST', path: '/store/codes/exchange', handler: 'exchange-code', authorization: 'iam' },
  { method: 'POST', path: '/store/codes/lookup', handler: 'lookup-code', authorization: 'iam' },
  { method: 'POST', path: '/store/codes/remove', handler: 'remove-code', authorization: 'iam' },
  { method: 'POST', path: '/store/tokens', handler: 'issue-tokens', authorization: 'iam' },
  { method: 'POST', path: '/store/tokens/refresh', handler: 'refresh-tokens', authorization: 'iam' },
  { method: 'POST', path: '/store/tokens/lookup', handler: 'lookup-token', authorization: 'iam' },
  { method: 'POST', path: '/store/tokens/revoke', handler: 'revoke-token', authorization: 'iam' },
  { method: 'GET', path: '/store/grants', handler: 'list-grants', authorization: 'iam' },
  { method: 'POST', path: '/store/grants/revoke', handler: 'revoke-grants', authorization: 'iam' },
  {
    method: 'GET',
    path: '/store/grants/{grant_id}/access_tokens',
    handler: 'list-access-tokens',
    authorization: 'iam',
  },
  {
    method: 'DELETE',
    path: '/store/grants/{grant_id}/access_tokens/{digest}',
    handler: 'revoke-access-token',
    authorization: 'iam',
  },
  { method: 'POST', path: '/introspect', handler: 'introspect', authorization: 'client' },
  { method: 'POST', path: '/revoke', handler: 'revoke', authorization: 'client' },
  { method: 'GET', path: '/tokeninfo', handler: 'token-information', authorization: 'none' },
  { method: 'POST', path: '/tokeninfo', handler: 'token-information', authorization: 'none' },
] as const satisfies readonly Route[];

/** The functions behind the HTTP API. */
export type HttpFunction = (typeof routes)[number]['handler'];
