import type { GenericSchema } from 'valibot';
import type { HttpFunction } from '../../functions/config/routes.ts';
import {
  accessTokenReference,
  accessTokensQuery,
  codeReference,
  codeRequest,
  exchangeRequest,
  grantsQuery,
  refreshRequest,
  revocationRequest,
  tokenReference,
  tokensRequest,
} from '../../functions/store-requests.ts';
import {
  accessTokensAnswer,
  codeAnswer,
  exchangedAnswer,
  grantsAnswer,
  grantsRevokedAnswer,
  informationAnswer,
  introspectionAnswer,
  issuedAnswer,
  nothingAnswer,
  refreshedAnswer,
  removedAnswer,
  revokedAnswer,
  storedCodeAnswer,
  storedTokenAnswer,
} from './answers.ts';
import type { Schema } from './json-schema.ts';

// What the OpenAPI document says of each function, beside its route. Every value in an example is made up.

type Values = Readonly<Record<string, unknown>>;

export interface Operation {
  readonly summary: string;
  readonly description?: string;
  /** The body, or for a function without one the parameters, as the handler's own schema. */
  readonly request: GenericSchema | 'form';
  /** What the function demands beyond its schema. */
  readonly further?: Schema;
  readonly example: Values;
  readonly status: 200 | 201;
  readonly answer: GenericSchema;
  readonly answerExample: Values;
  /** `error` of a 400 beside `invalid_request`, and `outcome` beside `invalid_grant`. */
  readonly errors?: readonly string[];
  readonly outcomes?: readonly string[];
  /** Whether the function stores something that may be stored already. */
  readonly mayConflict?: true;
}

const grant_id = 'EXAMPLE-GRANT-ID';
const digest = 'EXAMPLE-DIGEST-EXAMPLE';
const code = 'EXAMPLE-CODE-THAT-IS-NOT-VALID';
const access_token = 'EXAMPLE-ACCESS-TOKEN-THAT-IS-NOT-VALID';
const refresh_token = 'EXAMPLE-REFRESH-TOKEN-THAT-IS-NOT-VALID';
const attempt = 'EXAMPLE-ATTEMPT-NO-001';
const authentication = {
  client_id: 'example-app',
  subject: 'alice',
  grant_type: 'authorization_code',
  scope: 'orders:read',
};
const tokens = {
  access_token,
  token_type: 'Bearer',
  expires_in: 3600,
  refresh_token,
  refresh_token_expires_in: 43_200,
  scope: 'orders:read',
  grant_id,
  authentication,
};
const at = 1_800_000_000;

const REPEAT =
  'A caller that lost the answer sends the request again with the same `attempt`, and gets what the first try got.';

export const operations: Readonly<Record<HttpFunction, Operation>> = {
  'issue-code': {
    summary: 'Store an authorization code for what a resource owner has granted',
    request: codeRequest,
    // RFC 7636 §4.1; the method that the RFC assumes, plain, is not taken (RFC 9700 §2.1.1).
    further: {
      dependentSchemas: {
        code_challenge: {
          properties: {
            code_challenge: { pattern: '^[A-Za-z0-9._~-]{43,128}$' },
            code_challenge_method: { const: 'S256' },
          },
          required: ['code_challenge_method'],
        },
      },
    },
    example: {
      client_id: 'example-app',
      subject: 'alice',
      scope: 'orders:read',
      redirect_uri: 'https://app.example/callback',
      code_challenge: 'EXAMPLE-CHALLENGE-OF-43-CHARACTERS-AT-LEAST',
      code_challenge_method: 'S256',
    },
    status: 201,
    answer: codeAnswer,
    answerExample: { outcome: 'issued', code, expires_in: 600 },
    errors: ['invalid_client'],
    mayConflict: true,
  },
  'exchange-code': {
    summary: 'Redeem an authorization code for tokens',
    description: `Of any number of callers with one code exactly one is given tokens (RFC 6749 §4.1.3). ${REPEAT}`,
    request: exchangeRequest,
    example: {
      client_id: 'example-app',
      code,
      redirect_uri: 'https://app.example/callback',
      code_verifier: 'EXAMPLE-VERIFIER-THAT-NO-CHALLENGE-WAS-MADE-OF',
      refresh_token: true,
      attempt,
    },
    status: 200,
    answer: exchangedAnswer,
    answerExample: { outcome: 'exchanged', ...tokens },
    errors: ['invalid_client'],
    outcomes: ['unknown', 'expired', 'mismatched', 'replayed', 'revoked'],
    mayConflict: true,
  },
  'lookup-code': {
    summary: 'Show the state of an authorization code, which is not used up',
    request: codeReference,
    example: { code },
    status: 200,
    answer: storedCodeAnswer,
    answerExample: { outcome: 'active', expires_at: at, grant_id, authentication },
  },
  'remove-code': {
    summary: 'Remove an authorization code',
    request: codeReference,
    example: { code },
    status: 200,
    answer: removedAnswer,
    answerExample: { outcome: 'removed' },
  },
  'issue-tokens': {
    summary: 'Store a grant that began without a code, and its tokens',
    description:
      'The tokens are minted here; `minted` has values of another server, where the store is set to `foreignTokens`.',
    request: tokensRequest,
    example: { client_id: 'example-app', subject: 'alice', grant_type: 'password', scope: 'orders:read' },
    status: 201,
    answer: issuedAnswer,
    answerExample: { outcome: 'issued', ...tokens, authentication: { ...authentication, grant_type: 'password' } },
    errors: ['invalid_client'],
    mayConflict: true,
  },
  'refresh-tokens': {
    summary: 'Exchange a refresh token for new tokens',
    description: `Within the grace window a repeat is given the same tokens; later it is reuse, and the grant is revoked. ${REPEAT}`,
    request: refreshRequest,
    example: { client_id: 'example-app', refresh_token, attempt },
    status: 200,
    answer: refreshedAnswer,
    answerExample: { outcome: 'rotated', ...tokens },
    errors: ['invalid_client', 'invalid_scope', 'invalid_target', 'invalid_authorization_details'],
    outcomes: ['unknown', 'expired', 'mismatched', 'reused', 'revoked'],
    mayConflict: true,
  },
  'lookup-token': {
    summary: 'Show the record behind an access token or a refresh token',
    request: tokenReference,
    example: { token: access_token, token_type_hint: 'access_token' },
    status: 200,
    answer: storedTokenAnswer,
    answerExample: {
      active: true,
      outcome: 'active',
      kind: 'access_token',
      token_type: 'Bearer',
      iat: at,
      exp: at + 3600,
      grant_id,
      authentication,
    },
  },
  'revoke-token': {
    summary: 'End a token of any client; a refresh token takes its grant along',
    request: tokenReference,
    example: { token: refresh_token, token_type_hint: 'refresh_token' },
    status: 200,
    answer: revokedAnswer,
    answerExample: { outcome: 'revoked' },
  },
  'list-grants': {
    summary: 'List the grants of a subject, client, application or consent, page by page',
    description: 'At least one of the four must be named. Revoked and expired grants too, as long as they are kept.',
    request: grantsQuery,
    example: { subject: 'alice', limit: 100 },
    status: 200,
    answer: grantsAnswer,
    answerExample: { grants: [{ grant_id, created_at: at, ...authentication }] },
  },
  'revoke-grants': {
    summary: 'End a grant, its access tokens, or every grant of a subject, client, application or consent',
    request: revocationRequest,
    example: { subject: 'alice', client_id: 'example-app' },
    status: 200,
    answer: grantsRevokedAnswer,
    answerExample: { outcome: 'revoked', grants: 2 },
  },
  'list-access-tokens': {
    summary: 'List the access tokens of a grant by their digests, page by page',
    request: accessTokensQuery,
    example: { grant_id, limit: 100 },
    status: 200,
    answer: accessTokensAnswer,
    answerExample: { access_tokens: [{ digest, issued_at: at, expires_at: at + 3600 }] },
  },
  'revoke-access-token': {
    summary: 'End one access token by its digest',
    request: accessTokenReference,
    example: { grant_id, digest },
    status: 200,
    answer: revokedAnswer,
    answerExample: { outcome: 'revoked' },
  },
  introspect: {
    summary: 'Tell a resource server, or the token’s own client, whether a token is good (RFC 7662)',
    request: 'form',
    example: { token: access_token, token_type_hint: 'access_token' },
    status: 200,
    answer: introspectionAnswer,
    answerExample: {
      active: true,
      scope: 'orders:read',
      client_id: 'example-app',
      token_type: 'Bearer',
      exp: at + 3600,
      iat: at,
      sub: 'alice',
      jti: 'EXAMPLE-JTI-EXAMPLE-01',
    },
  },
  revoke: {
    summary: 'End a token of the client that asks (RFC 7009)',
    description:
      'A refresh token takes its grant along. Another client’s token, like one that is not known, is answered with 200 and left alone. Public clients name themselves by `client_id`.',
    request: 'form',
    example: { token: refresh_token, token_type_hint: 'refresh_token' },
    status: 200,
    answer: nothingAnswer,
    answerExample: {},
  },
  'token-information': {
    summary: 'Tell whoever holds an access token what it stands for',
    request: 'form',
    example: { access_token },
    status: 200,
    answer: informationAnswer,
    answerExample: { audience: 'example-app', user_id: 'alice', scope: 'orders:read', expires_in: 3600 },
    errors: ['invalid_token'],
  },
};
