import type { GenericSchema } from 'valibot';
import { type HttpFunction, type Route, type RouteAuthorization, routes } from '../functions/config/routes.ts';
import { authenticationAnswer } from './openapi/answers.ts';
import { type Schema, schemaOf } from './openapi/json-schema.ts';
import { type Operation, operations } from './openapi/operations.ts';

// The OpenAPI document of the HTTP API: the routes, the schemas that the handlers parse requests with, and those of
// their answers. For the build and the tests; no function holds it.

type Part = Readonly<Record<string, unknown>>;

const names: ReadonlyMap<object, string> = new Map([[authenticationAnswer, 'Authentication']]);
const ref = (kind: 'schemas' | 'responses' | 'headers', name: string) => ({ $ref: `#/components/${kind}/${name}` });
const text = (description: string, further: Part = {}) => ({ type: 'string', minLength: 1, description, ...further });

const answerOf = (description: string, schema: Schema, further: Part = {}) => ({
  description,
  headers: { 'Cache-Control': ref('headers', 'Cache-Control'), ...further },
  content: { 'application/json': { schema } },
});

/** The error response of RFC 6749 §5.2. */
const errorSchema = (errors: readonly string[], outcomes?: readonly string[]): Schema => ({
  type: 'object',
  properties: {
    error: { enum: errors },
    error_description: { type: 'string', pattern: '^[ !#-\\[\\]-~]*$' },
    ...(outcomes && { outcome: { enum: outcomes, description: 'What the store says of the code or token.' } }),
  },
  required: ['error', 'error_description', ...(outcomes ? ['outcome'] : [])],
  additionalProperties: false,
});

const messageSchema: Schema = {
  type: 'object',
  properties: { message: { type: 'string' } },
  required: ['message'],
  description: 'API Gateway’s own answer.',
};
/** An answer of the function, or of API Gateway in its place. */
const eitherSchema = (error: string): Schema => ({ anyOf: [errorSchema([error]), messageSchema] });

const later = { 'Retry-After': ref('headers', 'Retry-After') };

/** Answers that several functions give, and for which reason. */
const responses = {
  InvalidClient: answerOf('Client authentication failed.', errorSchema(['invalid_client']), {
    'WWW-Authenticate': { schema: { type: 'string' }, description: 'The realm (RFC 7617).' },
  }),
  Forbidden: answerOf('API Gateway does not accept the signature, or IAM does not permit the call.', messageSchema),
  Conflict: answerOf('It is stored already, by another attempt.', errorSchema(['conflict'])),
  TooLarge: answerOf('The body has more than 64 kB.', errorSchema(['invalid_request'])),
  WrongMediaType: answerOf('The body is not `application/json`.', errorSchema(['invalid_request'])),
  TooManyRequests: answerOf(
    'The store or API Gateway asks to slow down.',
    eitherSchema('temporarily_unavailable'),
    later,
  ),
  Failed: answerOf('Anything else; the log has it.', eitherSchema('server_error')),
  Unavailable: answerOf('The store does not answer.', eitherSchema('temporarily_unavailable'), later),
};

function errorsOf(route: Route, { errors = [], outcomes, mayConflict, request }: Operation): Part {
  const simple = errorSchema(['invalid_request', ...errors]);
  const badRequest = outcomes ? { anyOf: [simple, errorSchema(['invalid_grant'], outcomes)] } : simple;
  const shared = (name: keyof typeof responses) => ref('responses', name);
  return {
    400: answerOf('The request is at fault, or what it asks for is not granted.', badRequest),
    ...(route.authorization === 'client' && { 401: shared('InvalidClient') }),
    ...(route.authorization === 'iam' && { 403: shared('Forbidden') }),
    ...(mayConflict && { 409: shared('Conflict') }),
    ...(route.method === 'POST' && { 413: shared('TooLarge') }),
    ...(route.method === 'POST' && request !== 'form' && { 415: shared('WrongMediaType') }),
    429: shared('TooManyRequests'),
    500: shared('Failed'),
    503: shared('Unavailable'),
  };
}

const accessToken = text('The access token.');

const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

/** RFC 6749 §2.3.1, RFC 7523 §2.2: what proves a client within the body, in place of HTTP Basic. */
const clientCredentials: Schema = {
  properties: {
    client_id: text('The client; a public one proves nothing more.'),
    client_secret: text('For client_secret_post.'),
    client_assertion: text('For private_key_jwt: a JWT that the client has signed.'),
    client_assertion_type: text('Beside client_assertion.', { examples: [ASSERTION_TYPE] }),
  },
  dependentRequired: { client_secret: ['client_id'] },
  dependentSchemas: {
    client_assertion: {
      properties: { client_assertion_type: { const: ASSERTION_TYPE } },
      required: ['client_assertion_type'],
    },
  },
  not: { required: ['client_secret', 'client_assertion'] },
};

/** Parameters that are not known are ignored, and none may be given twice. */
function formOf({ authorization }: Route): Schema {
  if (authorization !== 'client')
    return { type: 'object', properties: { access_token: accessToken }, required: ['access_token'] };
  const { properties, ...rules } = clientCredentials;
  return {
    type: 'object',
    properties: {
      token: text('An access token or a refresh token.'),
      token_type_hint: text('Which of the two; another word counts as none.', { examples: ['access_token'] }),
      ...(properties as object),
    },
    required: ['token'],
    ...rules,
  };
}

function parametersOf(route: Route, { request, example }: Operation): Part {
  const inPath = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
  const { properties, required = [] } = (request === 'form' ? formOf(route) : schemaOf(request as GenericSchema)) as {
    properties: Record<string, Schema>;
    required?: string[];
  };
  const parameters = Object.entries(properties).map(([name, schema]) => ({
    name,
    in: inPath.includes(name) ? 'path' : 'query',
    required: required.includes(name),
    schema,
    ...(name in example && { example: example[name] }),
  }));
  return { parameters };
}

function bodyOf(route: Route, { request, further = {}, example }: Operation): Part {
  const content =
    request === 'form'
      ? { 'application/x-www-form-urlencoded': { schema: formOf(route), example } }
      : { 'application/json': { schema: { ...schemaOf(request, names), ...further }, example } };
  return { requestBody: { required: true, content } };
}

const security: Readonly<Record<RouteAuthorization, readonly Part[]>> = {
  iam: [{ aws_sigv4: [] }],
  // OpenAPI has no scheme for credentials in the body: the schema of the form names them.
  client: [{ client_secret_basic: [] }, {}],
  none: [],
};

const tagOf = ({ path, authorization }: Route) =>
  authorization === 'iam' ? (path.split('/')[2] ?? '') : 'standard endpoints';

function operationOf(route: (typeof routes)[number]): Part {
  const operation = operations[route.handler];
  const { summary, description, status, answer, answerExample } = operation;
  const success = answerOf(status === 201 ? 'Stored.' : 'Answered.', schemaOf(answer, names));
  success.content['application/json'] = { ...success.content['application/json'], ...{ example: answerExample } };
  return {
    operationId: operationIdOf(route),
    tags: [tagOf(route)],
    summary,
    ...(description && { description }),
    security: security[route.authorization],
    ...(route.method === 'POST' ? bodyOf(route, operation) : parametersOf(route, operation)),
    responses: { [status]: success, ...errorsOf(route, operation) },
  };
}

/** The function's name, and the method where it answers several. */
function operationIdOf({ handler, method }: { handler: HttpFunction; method: Route['method'] }): string {
  const isAlone = routes.filter((route) => route.handler === handler).length === 1;
  return isAlone ? handler : `${handler}-${method.toLowerCase()}`;
}

const paths = () => {
  const byPath: Record<string, Part> = {};
  for (const route of routes) {
    byPath[route.path] = { ...byPath[route.path], [route.method.toLowerCase()]: operationOf(route) };
  }
  return byPath;
};

/** The document, of this version of the package. OpenAPI 3.1, JSON Schema 2020-12. */
export const openApi = (version: string) => ({
  openapi: '3.1.0',
  jsonSchemaDialect: 'https://json-schema.org/draft/2020-12/schema',
  info: {
    title: 'oauth2-stores',
    version,
    description:
      'OAuth 2.0 token stores. Bodies have 64 kB at most; JSON has 16 levels at most and no name twice. A parameter without a value counts as left out, and none may be given twice.',
    license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
  },
  servers: [{ url: 'https://api.example', description: 'The URL that the deployment prints.' }],
  tags: [
    { name: 'codes', description: 'Authorization codes, for an authorization server.' },
    { name: 'tokens', description: 'Access tokens and refresh tokens, for an authorization server.' },
    { name: 'grants', description: 'Administration.' },
    { name: 'standard endpoints', description: 'For clients and resource servers.' },
  ],
  paths: paths(),
  components: {
    schemas: { Authentication: { ...schemaOf(authenticationAnswer), description: 'Who was granted what, and how.' } },
    responses,
    headers: {
      'Cache-Control': { schema: { const: 'no-store' }, description: 'RFC 6749 §5.1.' },
      'Retry-After': { schema: { type: 'string' }, description: 'Seconds.' },
    },
    securitySchemes: {
      aws_sigv4: {
        type: 'apiKey',
        name: 'Authorization',
        in: 'header',
        description:
          'AWS Signature Version 4 for the service `execute-api`, of an identity that IAM lets invoke the route.',
        'x-amazon-apigateway-authtype': 'awsSigv4',
      },
      client_secret_basic: {
        type: 'http',
        scheme: 'basic',
        description: 'Client id and secret, form-encoded first (RFC 6749 §2.3.1).',
      },
    },
  },
});
