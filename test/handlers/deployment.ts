import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from 'aws-lambda';
import { afterEach } from 'vitest';
import { parseConfiguration } from '../../functions/config/configuration.ts';
import { secretDigest } from '../../functions/domain/clients.ts';
import { StoreError, type StoreErrorCode } from '../../functions/domain/errors.ts';
import { createKeyring } from '../../functions/domain/keyring.ts';
import type { Log } from '../../functions/log.ts';
import { openStores, type Stores } from '../../functions/open-stores.ts';
import { configuredClients, type Runtime } from '../../functions/runtime.ts';

// A deployment in memory, with a clock that stands still, and the events in which API Gateway hands requests to it.

export const START = 1_800_000_000;
export const SECRET = 'a secret+with %reserved: characters';

const confidential = { secretDigests: [secretDigest(SECRET)] };

export const settings = {
  accessTokenStores: { tokens: { cache: 'all' } },
  authorizationCodeStores: { codes: { cache: 'all' } },
  clientAccessTokenStores: { received: { cache: 'all' } },
  artifactStores: { artifacts: { cache: 'all' } },
  caches: { all: { engine: 'memory' } },
  issuer: 'https://issuer.example',
  clients: {
    web: { ...confidential, applicationId: 'shop' },
    'client with:colon': confidential,
    poster: { ...confidential, tokenEndpointAuthMethod: 'client_secret_post' },
    spa: { tokenEndpointAuthMethod: 'none' },
    api: { ...confidential, mayIntrospect: true },
    retired: { ...confidential, enabled: false },
    'retired api': { ...confidential, enabled: false, mayIntrospect: true },
  },
};

export interface Deployment {
  readonly runtime: Runtime;
  /** Every line of the log, as JSON. */
  readonly lines: string[];
  /** Every call of a store that may write, as `persist` or `putOnce`. */
  readonly writes: string[];
  pass(seconds: number): void;
}

const opened: Stores[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((stores) => stores.close()));
});

export async function deployment(changes: Record<string, unknown> = {}, dataDirectory?: string): Promise<Deployment> {
  const { configuration } = parseConfiguration({ ...settings, ...changes });
  const keyring = createKeyring([{ generation: 0, secret: Buffer.alloc(32, 7) }]);
  let nowMs = START * 1000;
  const clock = () => nowMs;
  const stores = await openStores(configuration, { keyring, clock, ...(dataDirectory && { dataDirectory }) });
  let closed: Promise<void> | undefined;
  const close = () => {
    closed ??= stores.close();
    return closed;
  };
  opened.push({ ...stores, close });
  const lines: string[] = [];
  const writes: string[] = [];
  const log: Log = (level, message, fields) => void lines.push(JSON.stringify({ level, message, ...fields }));
  const watched = eachCall({ ...stores, close }, (name, call) => {
    if (!/^(find|list|get)/.test(name)) writes.push(name);
    return call();
  });
  return {
    runtime: { configuration, stores: watched, clients: configuredClients(configuration), keyring, clock, log },
    lines,
    writes,
    pass: (seconds) => {
      nowMs += seconds * 1000;
    },
  };
}

/** The same deployment, whose stores fail. */
export const broken = ({ runtime }: Deployment, code: StoreErrorCode): Runtime => ({
  ...runtime,
  stores: eachCall(runtime.stores, () => Promise.reject(new StoreError(code, 'the engine says why'))),
});

type Method = (...values: unknown[]) => unknown;

/** Stores whose every operation goes through `around`. */
function eachCall(stores: Stores, around: (name: string, call: () => unknown) => unknown): Stores {
  const watched = <Store extends object>(store: Store): Store =>
    new Proxy(store, {
      get: (target, name) => {
        const method = Reflect.get(target, name) as Method;
        return (...values: unknown[]) => around(String(name), () => method.apply(target, values));
      },
    });
  const same = new Map<object, object>();
  const once = <Store extends object>(store: Store): Store => {
    const known = same.get(store) ?? watched(store);
    same.set(store, known);
    return known as Store;
  };
  return {
    accessTokenStore: (name) => once(stores.accessTokenStore(name)),
    authorizationCodeStore: (name) => once(stores.authorizationCodeStore(name)),
    clientAccessTokenStore: (name) => once(stores.clientAccessTokenStore(name)),
    artifactStore: (name) => once(stores.artifactStore(name)),
    tokens: (name) => ({ ...stores.tokens(name), store: once(stores.accessTokenStore(name)) }),
    codes: (name) => ({ ...stores.codes(name), store: once(stores.authorizationCodeStore(name)) }),
    close: stores.close,
  };
}

export interface RequestParts {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string>;
  readonly query?: string;
  readonly pathParameters?: Record<string, string>;
  readonly body?: string;
  readonly isBase64Encoded?: boolean;
}

/** A request as API Gateway's HTTP API hands it to a function: payload 2.0. */
export function httpEvent(parts: RequestParts = {}): APIGatewayProxyEventV2 {
  const {
    method = 'POST',
    path = '/',
    headers = {},
    query = '',
    pathParameters,
    body,
    isBase64Encoded = false,
  } = parts;
  return {
    version: '2.0',
    routeKey: `${method} ${path}`,
    rawPath: path,
    rawQueryString: query,
    headers: { host: 'api.example', 'x-forwarded-for': '192.0.2.1', ...headers },
    ...(query && { queryStringParameters: Object.fromEntries(new URLSearchParams(query)) }),
    ...(pathParameters && { pathParameters }),
    requestContext: {
      accountId: '123456789012',
      apiId: 'a1b2c3d4e5',
      domainName: 'api.example',
      domainPrefix: 'api',
      http: { method, path, protocol: 'HTTP/1.1', sourceIp: '192.0.2.1', userAgent: 'test' },
      requestId: 'JKJaXmPLvHcESHA=',
      routeKey: `${method} ${path}`,
      stage: '$default',
      time: '15/Jan/2027:08:00:00 +0000',
      timeEpoch: START * 1000,
    },
    ...(body !== undefined && { body }),
    isBase64Encoded,
  };
}

export const jsonEvent = (body: unknown, parts: RequestParts = {}): APIGatewayProxyEventV2 =>
  httpEvent({
    ...parts,
    headers: { 'content-type': 'application/json', ...parts.headers },
    body: JSON.stringify(body),
  });

export const formEvent = (parameters: Record<string, string>, headers: Record<string, string> = {}) =>
  httpEvent({
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body: new URLSearchParams(parameters).toString(),
  });

/** RFC 6749 §2.3.1: form encoding first, then Basic. */
export function basic(clientId: string, secret = SECRET): { authorization: string } {
  const encoded = (text: string) => encodeURIComponent(text).replaceAll('%20', '+');
  return { authorization: `Basic ${Buffer.from(`${encoded(clientId)}:${encoded(secret)}`).toString('base64')}` };
}

type Respond = (event: APIGatewayProxyEventV2) => Promise<APIGatewayProxyStructuredResultV2>;

/** The status and the members of an answer, which is JSON that no cache may keep. */
export async function ask(respond: Respond, event: APIGatewayProxyEventV2) {
  const { statusCode = 0, headers = {}, body = '' } = await respond(event);
  if (headers['content-type'] !== 'application/json' || headers['cache-control'] !== 'no-store') {
    throw new Error(`an answer with the headers ${JSON.stringify(headers)}`);
  }
  return { status: statusCode, headers, body: JSON.parse(body) };
}
