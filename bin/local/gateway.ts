import { randomUUID } from 'node:crypto';
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type {
  APIGatewayProxyEventV2,
  APIGatewayProxyEventV2WithLambdaAuthorizer,
  APIGatewayProxyStructuredResultV2,
  APIGatewayRequestAuthorizerEventV2,
} from 'aws-lambda';
import type { AuthorizerContext, AuthorizerResult } from '../../functions/authorizer-events.ts';
import { isLocal } from '../../functions/config/location.ts';
import { failureFields, type Log } from '../../functions/log.ts';
import { readBody } from './request-body.ts';

// What stands between HTTP and a function in AWS: an HTTP API of API Gateway, payload format 2.0. It is on the path of
// every request to the functions, so it does no more than API Gateway's events need.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html

export type Handler = (event: APIGatewayProxyEventV2WithLambdaAuthorizer<AuthorizerContext>) => Promise<Result>;

export type Authorizer = (event: APIGatewayRequestAuthorizerEventV2) => Promise<AuthorizerResult>;

type Result = APIGatewayProxyStructuredResultV2;

export interface Route {
  /** As API Gateway writes it: `/store/grants/{grant_id}`. */
  readonly path: string;
  /** Is called with any method. */
  readonly handler: Handler;
  readonly authorizer?: Authorizer;
  /** Whether the caller is to be one that IAM lets in; here that is any program of this machine. */
  readonly iam?: boolean;
}

/** Answers a request to one of the routes; of any other it says that it is none of its own. */
export function createGateway(
  routes: readonly Route[],
  log: Log,
): (request: IncomingMessage, response: ServerResponse) => boolean {
  const exact = new Map(routes.map((route) => [route.path, route]));
  const patterns = routes
    .filter(({ path }) => path.includes('{'))
    .map((route) => ({ route, pattern: patternOf(route) }));

  function find(path: string): Match | undefined {
    const route = exact.get(path);
    if (route) return { route };
    for (const { route, pattern } of patterns) {
      const pathParameters = pattern.exec(path)?.groups;
      if (pathParameters) return { route, pathParameters };
    }
    return undefined;
  }

  return (request, response) => {
    const url = request.url ?? '';
    const mark = url.indexOf('?');
    const path = mark < 0 ? url : url.slice(0, mark);
    const match = find(path);
    if (!match) return false;
    answer(match, request, path, mark < 0 ? '' : url.slice(mark + 1))
      .then((result) => send(response, result))
      .catch((error: unknown) => {
        if (response.destroyed) return; // by the client, before its request or its answer was complete
        log('error', 'function failed', { path: match.route.path, ...failureFields(error) });
        send(response, FAILED);
      });
    return true;
  };
}

interface Match {
  readonly route: Route;
  readonly pathParameters?: Readonly<Record<string, string>>;
}

const patternOf = ({ path }: Route) => new RegExp(`^${path.replaceAll(/\{(\w+)\}/g, '(?<$1>[^/]+)')}$`);

async function answer(
  { route, pathParameters }: Match,
  request: IncomingMessage,
  path: string,
  query: string,
): Promise<Result> {
  const event = eventOf(`${request.method} ${route.path}`, request, path, query);
  try {
    if (query !== '') event.queryStringParameters = parametersOf(query);
    if (pathParameters) event.pathParameters = decoded(pathParameters);
  } catch (error) {
    if (error instanceof URIError) return BAD_REQUEST;
    throw error;
  }
  if (route.iam && !isOfThisMachine(request)) return FORBIDDEN;
  const body = hasBody(event.headers) ? await readBody(request) : undefined;
  if (body === 'too large') return TOO_LARGE;
  if (body) {
    event.isBase64Encoded = !TEXT.test(event.headers['content-type'] ?? '');
    event.body = body.toString(event.isBase64Encoded ? 'base64' : 'utf8');
  }
  if (!route.authorizer) return route.handler(event as Parameters<Handler>[0]);
  const authorized = await route.authorizer(authorizerEventOf(event));
  const { context } = authorized;
  if (!('isAuthorized' in authorized && authorized.isAuthorized)) return refusal(context);
  return route.handler({ ...event, requestContext: { ...event.requestContext, authorizer: { lambda: context } } });
}

/** By its address and, lest a page of some other site reaches it under a name of its own, by the name that it uses. */
const isOfThisMachine = ({ socket, headers }: IncomingMessage) =>
  isLocal({ host: socket.remoteAddress }) && isLocal({ host: headers.host?.replace(/:\d+$/, '') });

/** As a gateway response makes it of the authorizer's context. */
const refusal = ({
  status,
  error,
  error_description,
  www_authenticate = '',
  dpop_nonce,
}: AuthorizerContext): Result => ({
  statusCode: Number(status),
  headers: {
    'content-type': 'application/json',
    'cache-control': 'no-store',
    'www-authenticate': www_authenticate,
    ...(dpop_nonce && { 'dpop-nonce': dpop_nonce }),
  },
  body: JSON.stringify({ error, error_description }),
});

const plain = (statusCode: number, message: string): Result => ({
  statusCode,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ message }),
});

const BAD_REQUEST = plain(400, 'Bad Request');
const FORBIDDEN = plain(403, 'Forbidden');
const TOO_LARGE = plain(413, 'Request Entity Too Large');
const FAILED = plain(500, 'Internal Server Error');

/** Bodies of these types stand in the event as text; of others, a form's too, in base64. */
const TEXT = /^(text\/|application\/(json|javascript|xml)\b)/i;

const hasBody = (headers: APIGatewayProxyEventV2['headers']) =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;

function eventOf(key: string, request: IncomingMessage, path: string, query: string): APIGatewayProxyEventV2 {
  const headers: Record<string, string> = Object.create(null);
  let cookies: string[] | undefined;
  const { rawHeaders } = request;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] ?? '').toLowerCase();
    const value = rawHeaders[index + 1] ?? '';
    if (name === 'cookie') cookies = [...(cookies ?? []), ...value.split('; ')];
    else headers[name] = headers[name] === undefined ? value : `${headers[name]},${value}`;
  }
  const domainName = headers.host ?? '';
  const timeEpoch = Date.now();
  return {
    version: '2.0',
    routeKey: key,
    rawPath: path,
    rawQueryString: query,
    ...(cookies && { cookies }),
    headers,
    requestContext: {
      accountId: 'local',
      apiId: 'local',
      domainName,
      domainPrefix: 'local',
      http: {
        method: request.method ?? '',
        path,
        protocol: `HTTP/${request.httpVersion}`,
        sourceIp: request.socket.remoteAddress ?? '',
        userAgent: headers['user-agent'] ?? '',
      },
      requestId: randomUUID(),
      routeKey: key,
      stage: '$default',
      time: timeOf(timeEpoch),
      timeEpoch,
    },
    isBase64Encoded: false,
  };
}

const authorizerEventOf = ({
  version,
  cookies = [],
  body: _,
  isBase64Encoded: __,
  ...event
}: APIGatewayProxyEventV2) => {
  const { authorization } = event.headers;
  return {
    ...event,
    version,
    type: 'REQUEST' as const,
    routeArn: `arn:aws:execute-api:local:local:local/$default/${event.requestContext.http.method}${event.rawPath}`,
    identitySource: authorization === undefined ? [] : [authorization],
    cookies,
  };
};

/**
 * Parameters given twice are joined, as API Gateway joins them.
 *
 * @throws {URIError} a malformed escape
 */
function parametersOf(query: string): Record<string, string> {
  const parameters: Record<string, string> = {};
  for (const pair of query.replaceAll('+', ' ').split('&')) {
    if (pair === '') continue;
    const [name = '', ...rest] = pair.split('=');
    const key = decodeURIComponent(name);
    const value = decodeURIComponent(rest.join('='));
    parameters[key] = Object.hasOwn(parameters, key) ? `${parameters[key]},${value}` : value;
  }
  return parameters;
}

const decoded = (parameters: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, decodeURIComponent(value)]));

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

let timeSecond = 0;
let timeText = '';

/** `12/Mar/2020:19:03:58 +0000`; written once a second. */
function timeOf(epochMs: number): string {
  const second = Math.floor(epochMs / 1000);
  if (second !== timeSecond) {
    const iso = new Date(epochMs).toISOString();
    const date = `${iso.slice(8, 10)}/${MONTHS[Number(iso.slice(5, 7)) - 1]}/${iso.slice(0, 4)}`;
    timeText = `${date}:${iso.slice(11, 19)} +0000`;
    timeSecond = second;
  }
  return timeText;
}

function send(response: ServerResponse, { statusCode = 200, headers, cookies, body = '', isBase64Encoded }: Result) {
  const content = isBase64Encoded ? Buffer.from(body, 'base64') : body;
  response.writeHead(statusCode, {
    ...(headers as OutgoingHttpHeaders | undefined),
    ...(cookies && { 'set-cookie': cookies }),
    'content-length': Buffer.byteLength(content),
  });
  response.end(content);
}
