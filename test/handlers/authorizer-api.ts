import { createHash, X509Certificate } from 'node:crypto';
import type { APIGatewayRequestAuthorizerEvent, APIGatewayRequestAuthorizerEventV2 } from 'aws-lambda';
import type { AuthorizerEvent } from '../../functions/authorizer-events.ts';
import { type AuthorizerOptions, createAuthorizer } from '../../functions/handlers/authorizer.ts';
import { createIssueTokens } from '../../functions/handlers/issue-tokens.ts';
import { ask, deployment, httpEvent, jsonEvent, START } from './deployment.ts';

// A deployment behind an authorizer, and the three events in which API Gateway asks it.

export const ARN = 'arn:aws:execute-api:eu-west-1:123456789012:a1b2c3d4e5/prod';

export const HOST = 'a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com';

// The certificate is public; its key was thrown away.
export const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBeDCCAR+gAwIBAgIUdd+ET0BW6c+HTHJpyvNerCNUClEwCgYIKoZIzj0EAwIw
ETEPMA0GA1UEAwwGY2xpZW50MCAXDTI2MTEyMzAyMTkwM1oYDzIxMjYxMDMwMDIx
OTAzWjARMQ8wDQYDVQQDDAZjbGllbnQwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AAQBQCgcv7MJAu9A2YBbrPHk0RxbLP+TSVLnlg6k509emWQzxXIx/IsxTyWHmW/v
I2BW+gzjaAQAxeNZxljX9kKzo1MwUTAdBgNVHQ4EFgQUJjGBm5Me8h3kvV0J7hig
4EbHVGIwHwYDVR0jBBgwFoAUJjGBm5Me8h3kvV0J7hig4EbHVGIwDwYDVR0TAQH/
BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiBxxYD/PLd+ubLtbHNwMGHSRThxLI1x
wM/DJbkCvM9NowIgYy5aMIMbM3Pe1u+69UA+KCGwljbuFURymdRY0SfC2nQ=
-----END CERTIFICATE-----`;
export const THUMBPRINT = createHash('sha256').update(new X509Certificate(CERTIFICATE).raw).digest('base64url');

export interface Parts {
  readonly authorization?: string | string[];
  readonly headers?: Record<string, string>;
  readonly query?: string;
  readonly cookie?: string;
  readonly certificate?: string;
  readonly method?: string;
  readonly resource?: string;
  readonly path?: string;
  /** Where API Gateway was asked, and what it calls the path there. */
  readonly domainName?: string | undefined;
  readonly stage?: string;
  readonly pathThere?: string;
  readonly pathParameters?: Record<string, string>;
}

const certificateOf = (clientCertPem: string) => ({
  clientCert: {
    clientCertPem,
    serialNumber: '1',
    subjectDN: 'CN=c',
    issuerDN: 'CN=c',
    validity: { notBefore: '', notAfter: '' },
  },
});

export function httpApi({ authorization = [], headers = {}, query = '', cookie, certificate, ...route }: Parts) {
  const { method = 'GET', resource = '/orders/{id}', pathThere = '/orders/5', domainName = HOST } = route;
  const { requestContext } = httpEvent({ method, path: resource });
  const values = [authorization].flat();
  return {
    version: '2.0',
    type: 'REQUEST',
    routeArn: `${ARN}/${method}/orders/5`,
    identitySource: values,
    routeKey: `${method} ${resource}`,
    rawPath: pathThere,
    rawQueryString: query,
    cookies: cookie === undefined ? [] : [cookie],
    headers: {
      ...Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value])),
      ...(values.length > 0 && { authorization: values.join(',') }),
    },
    requestContext: {
      ...requestContext,
      domainName,
      stage: route.stage ?? '$default',
      ...(certificate && { authentication: certificateOf(certificate) }),
    },
  } satisfies APIGatewayRequestAuthorizerEventV2;
}

export function restRequest({ authorization = [], headers = {}, query = '', cookie, certificate, ...route }: Parts) {
  const { method = 'GET', resource = '/orders/{id}', path = '/orders/5', pathThere = `/prod${path}` } = route;
  const multiValueHeaders: Record<string, string[]> = Object.fromEntries(
    Object.entries({ ...headers, ...(cookie !== undefined && { Cookie: cookie }) }).map(([name, value]) => [
      name,
      [value],
    ]),
  );
  if (authorization.length > 0) multiValueHeaders.Authorization = [authorization].flat();
  const parameters = new URLSearchParams(query);
  return {
    type: 'REQUEST',
    methodArn: `${ARN}/${method}${path}`,
    resource,
    path,
    httpMethod: method,
    headers: Object.fromEntries(Object.entries(multiValueHeaders).map(([name, values]) => [name, values.at(-1)])),
    multiValueHeaders,
    pathParameters: route.pathParameters ?? { id: '5' },
    queryStringParameters: Object.fromEntries(parameters),
    multiValueQueryStringParameters: Object.fromEntries(
      [...parameters.keys()].map((name) => [name, parameters.getAll(name)]),
    ),
    stageVariables: null,
    requestContext: {
      accountId: '123456789012',
      apiId: 'a1b2c3d4e5',
      authorizer: undefined,
      protocol: 'HTTP/1.1',
      httpMethod: method,
      ...('domainName' in route
        ? route.domainName !== undefined && { domainName: route.domainName }
        : { domainName: HOST }),
      identity: { clientCert: certificate ? certificateOf(certificate).clientCert : null } as never,
      path: pathThere,
      stage: route.stage ?? 'prod',
      requestId: 'c6af9ac6-7b61-11e6-9a41-93e8deadbeef',
      requestTimeEpoch: START * 1000,
      resourceId: 'abc123',
      resourcePath: resource,
    },
  } satisfies APIGatewayRequestAuthorizerEvent;
}

export const restToken = ({ authorization = [], method = 'GET', path = '/orders/5' }: Parts): AuthorizerEvent => ({
  type: 'TOKEN',
  methodArn: `${ARN}/${method}${path}`,
  authorizationToken: [authorization].flat()[0] ?? '',
});

export const shapes: [string, (parts: Parts) => AuthorizerEvent][] = [
  ['HTTP API 2.0', httpApi],
  ['REST REQUEST', restRequest],
  ['REST TOKEN', restToken],
];

const grant = { client_id: 'web', subject: 'alice', grant_type: 'password', scope: 'orders:read orders:write' };

/** A deployment behind an authorizer, and a token. */
export async function api(
  authorizer: object = {},
  options: AuthorizerOptions = {},
  changes: object = {},
  sections: object = {},
  directory?: string,
) {
  const made = await deployment({ authorizer, ...sections }, directory);
  const { runtime } = made;
  const { body } = await ask(createIssueTokens(runtime), jsonEvent({ ...grant, refresh_token: true, ...changes }));
  const authorize = createAuthorizer(runtime, options);
  return {
    ...made,
    authorize,
    token: body.access_token as string,
    refreshToken: body.refresh_token as string,
    grantId: body.grant_id as string,
    bearer: { authorization: `Bearer ${body.access_token}` },
  };
}

/** Whether API Gateway lets a request with this result through, and what is known of it. */
export function read(result: Awaited<ReturnType<ReturnType<typeof createAuthorizer>>>) {
  if ('isAuthorized' in result) return { allowed: result.isAuthorized, context: result.context };
  const [statement] = result.policyDocument.Statement;
  return { allowed: statement?.Effect === 'Allow', context: result.context };
}
