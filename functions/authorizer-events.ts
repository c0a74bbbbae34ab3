import type {
  APIGatewayAuthorizerWithContextResult,
  APIGatewayRequestAuthorizerEvent,
  APIGatewayRequestAuthorizerEventV2,
  APIGatewaySimpleAuthorizerWithContextResult,
  APIGatewayTokenAuthorizerEvent,
} from 'aws-lambda';
import type { ActiveToken } from './domain/inspection.ts';
import type { Carrier } from './presented-token.ts';

// The three shapes in which API Gateway asks an authorizer: a REST API's TOKEN and REQUEST, and an HTTP API's payload 2.0.

export type AuthorizerEvent =
  | APIGatewayTokenAuthorizerEvent
  | APIGatewayRequestAuthorizerEvent
  | APIGatewayRequestAuthorizerEventV2;

/** Flat texts: what API Gateway hands on to integrations, access logs and gateway responses. */
export type AuthorizerContext = Record<string, string>;

export type AuthorizerResult =
  | APIGatewayAuthorizerWithContextResult<AuthorizerContext>
  | APIGatewaySimpleAuthorizerWithContextResult<AuthorizerContext>;

export interface AuthorizedRequest extends Carrier {
  /** Method and resource as they are configured; a TOKEN event names the path itself. */
  readonly route: string;
  /** Certificate of the client's TLS connection, PEM. */
  readonly certificate: string | undefined;
}

export function requestOf(event: AuthorizerEvent): AuthorizedRequest {
  if (event.type === 'TOKEN') {
    const [, , method, ...path] = event.methodArn.split('/');
    return {
      route: `${method} /${path.join('/')}`,
      header: (name) => (name === 'authorization' ? [event.authorizationToken] : []),
      query: () => [],
      certificate: undefined,
    };
  }
  if ('routeArn' in event) {
    const query = new URLSearchParams(event.rawQueryString);
    return {
      route: event.routeKey,
      header: (name) => (name === 'cookie' ? (event.cookies ?? []) : given(event.headers?.[name])),
      query: (name) => query.getAll(name),
      certificate: event.requestContext.authentication?.clientCert.clientCertPem,
    };
  }
  // A REST API hands headers on as the client wrote them.
  const headers = Object.entries(event.multiValueHeaders ?? {});
  return {
    route: event.requestContext.routeKey ?? `${event.httpMethod} ${event.resource}`,
    header: (name) => headers.flatMap(([key, values]) => (key.toLowerCase() === name ? (values ?? []) : [])),
    query: (name) => event.multiValueQueryStringParameters?.[name] ?? [],
    certificate: event.requestContext.identity?.clientCert?.clientCertPem,
  };
}

const given = (value: string | undefined) => (value === undefined ? [] : [value]);

/** API Gateway takes resources of up to 512 characters in a policy. */
const LONGEST_RESOURCE = 512;

/**
 * The answer in the shape of the question.
 *
 * @param everyRoute whether it is the same for every route: then a policy that is cached may be for the whole stage
 */
export function resultOf(
  event: AuthorizerEvent,
  { isAuthorized, principalId, context }: { isAuthorized: boolean; principalId: string; context: AuthorizerContext },
  everyRoute: boolean,
): AuthorizerResult {
  if ('routeArn' in event) return { isAuthorized, context };
  const [api, stage] = event.methodArn.split('/', 2);
  // A path may hold what is a wildcard in a policy.
  const exact = event.methodArn.replaceAll('*', '?');
  const resource = exact.length > LONGEST_RESOURCE ? `${exact.slice(0, LONGEST_RESOURCE - 1)}*` : exact;
  return {
    principalId,
    policyDocument: {
      Version: '2012-10-17',
      Statement: [
        {
          Action: 'execute-api:Invoke',
          Effect: isAuthorized ? 'Allow' : 'Deny',
          Resource: everyRoute ? `${api}/${stage}/*` : resource,
        },
      ],
    },
    context,
  };
}

/** Bytes of a context: API Gateway takes 8 kB of answer, policy and all. */
const MOST_BYTES = 6144;

/** What the integration behind a granted request learns; what would not fit is left out. */
export function contextOf({ authorization, grantId, issuedAt, expiresAt }: ActiveToken): AuthorizerContext {
  const { clientId, subject, applicationId, authenticatedAt, acr, scopes, resources } = authorization;
  const facts = {
    client_id: clientId,
    subject,
    application_id: applicationId,
    grant_id: Buffer.from(grantId).toString('base64url'),
    iat: issuedAt,
    exp: expiresAt,
    auth_time: authenticatedAt,
    acr,
    scope: scopes.join(' '),
    aud: resources?.join(' '),
  };
  const context: AuthorizerContext = {};
  let room = MOST_BYTES;
  for (const [name, value = ''] of Object.entries(facts)) {
    const bytes = Buffer.byteLength(JSON.stringify({ [name]: value }));
    if (value === '' || bytes > room) continue;
    context[name] = `${value}`;
    room -= bytes;
  }
  return context;
}
