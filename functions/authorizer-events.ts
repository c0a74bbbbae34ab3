import type {
  APIGatewayAuthorizerWithContextResult,
  APIGatewayRequestAuthorizerEvent,
  APIGatewayRequestAuthorizerEventV2,
  APIGatewaySimpleAuthorizerWithContextResult,
  APIGatewayTokenAuthorizerEvent,
} from 'aws-lambda';
import type { ActiveToken } from './domain/inspection.ts';
import type { Target } from './dpop.ts';
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
  /** What the access log calls it; a TOKEN event does not say. */
  readonly id: string | undefined;
  /** Method and resource as they are configured; a TOKEN event names the path itself. */
  readonly route: string;
  readonly method: string;
  /** Certificate of the client's TLS connection, PEM; API Gateway has checked it against the truststore, its validity too. */
  readonly certificate: string | undefined;
  /** What the client asked for; a TOKEN event does not say. */
  readonly target: Target | undefined;
}

export function requestOf(event: AuthorizerEvent): AuthorizedRequest {
  if (event.type === 'TOKEN') {
    const [, , method = '', ...path] = event.methodArn.split('/');
    return {
      id: undefined,
      route: `${method} /${path.join('/')}`,
      header: (name) => (name === 'authorization' ? [event.authorizationToken] : []),
      query: () => [],
      method,
      certificate: undefined,
      target: undefined,
    };
  }
  if ('routeArn' in event) {
    const query = new URLSearchParams(event.rawQueryString);
    const { http, domainName, stage, requestId } = event.requestContext;
    return {
      id: requestId,
      route: event.routeKey,
      method: http.method,
      target: httpTarget(event.rawPath, domainName, stage),
      header: (name) => (name === 'cookie' ? (event.cookies ?? []) : given(event.headers?.[name])),
      query: (name) => query.getAll(name),
      certificate: event.requestContext.authentication?.clientCert.clientCertPem,
    };
  }
  // A REST API hands headers on as the client wrote them.
  const headers = Object.entries(event.multiValueHeaders ?? {});
  return {
    id: event.requestContext.requestId,
    route: event.requestContext.routeKey ?? `${event.httpMethod} ${event.resource}`,
    header: (name) => headers.flatMap(([key, values]) => (key.toLowerCase() === name ? (values ?? []) : [])),
    query: (name) => event.multiValueQueryStringParameters?.[name] ?? [],
    method: event.httpMethod,
    certificate: event.requestContext.identity?.clientCert?.clientCertPem,
    target: restTarget(event),
  };
}

/**
 * A REST API tells the path as the client wrote it, stage or base path and all, in its context alone; the path within the
 * API is that of the resource, with its parameters put in.
 */
function restTarget({ requestContext, resource, pathParameters }: APIGatewayRequestAuthorizerEvent): Target {
  const { domainName, path } = requestContext;
  const innerPath = resource.replace(/\{([^}+]+)\+?\}/g, (_, name: string) => pathParameters?.[name] ?? '');
  return { origin: originOf(domainName), path, innerPath, decoded: false };
}

/**
 * An HTTP API tells the path decoded and behind a named stage. That is what the client wrote at the API's own domain; at a
 * custom one there is no stage in the URL, and of a path that is mapped to the API the event says nothing.
 */
function httpTarget(rawPath: string, domainName: string, stage: string): Target {
  const innerPath =
    rawPath.startsWith(`/${stage}/`) || rawPath === `/${stage}` ? rawPath.slice(stage.length + 1) : rawPath;
  const own = /\.execute-api\./.test(domainName);
  return { origin: originOf(domainName), path: own ? rawPath : innerPath, innerPath, decoded: true };
}

const originOf = (domainName: string | undefined) => (domainName ? `https://${domainName}` : undefined);

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

/**
 * A refusal as API Gateway wants to be told of it: 401 is its answer to the error `Unauthorized` alone, 403 to every other
 * refusal. An error takes no context along, so a REST API is to hand a nonce on with a 403.
 *
 * @throws {Error} `Unauthorized`
 */
export function asToldToGateway(result: AuthorizerResult): AuthorizerResult {
  const { status, error } = result.context;
  if (error === 'use_dpop_nonce' && 'policyDocument' in result) return result;
  if (status === '400' || status === '401') throw new Error('Unauthorized');
  return result;
}

/** Bytes of a context: API Gateway takes 8 kB of answer, policy and all. */
const MOST_BYTES = 6144;

/** What the integration behind a granted request learns; what would not fit is left out. */
export function contextOf({ authorization, tokenType, grantId, issuedAt, expiresAt }: ActiveToken): AuthorizerContext {
  const { clientId, subject, applicationId, authenticatedAt, acr, scopes, resources, confirmation } = authorization;
  const facts = {
    client_id: clientId,
    subject,
    application_id: applicationId,
    grant_id: Buffer.from(grantId).toString('base64url'),
    token_type: tokenType,
    cnf_jkt: confirmation?.jkt,
    cnf_x5t_s256: confirmation?.['x5t#S256'],
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
