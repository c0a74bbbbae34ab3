import { isUtf8 } from 'node:buffer';
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from 'aws-lambda';
import { type HttpFunction, routes } from './config/routes.ts';
import { StoreError, type StoreErrorCode } from './domain/errors.ts';
import { failureFields, type Log } from './log.ts';

// The HTTP side of the functions behind API Gateway's HTTP API (payload 2.0).

export type HttpEvent = APIGatewayProxyEventV2;
export type HttpAnswer = APIGatewayProxyStructuredResultV2;

/** Bytes of a request's body that are read; more is refused. */
const MOST_BYTES = 65_536;

/** A request that is refused: the RFC's words for the client, and what else the log may say, if anything. */
export class RequestError extends Error {
  override readonly name = 'RequestError';
  readonly status: number;
  /** `error` of RFC 6749 §5.2 and its extensions. */
  readonly error: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Further members of the answer. */
  readonly members: Readonly<Record<string, string>>;
  readonly logged: Readonly<Record<string, unknown>> | undefined;

  constructor(
    status: number,
    error: string,
    description: string,
    further: Partial<Pick<RequestError, 'headers' | 'members' | 'logged'>> = {},
  ) {
    super(description);
    this.status = status;
    this.error = error;
    this.headers = further.headers ?? {};
    this.members = further.members ?? {};
    this.logged = further.logged;
  }
}

export const invalidRequest = (description: string): RequestError =>
  new RequestError(400, 'invalid_request', description);

/** An answer that no cache may keep (RFC 6749 §5.1). */
export const answer = (
  statusCode: number,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): HttpAnswer => ({
  statusCode,
  headers: { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers },
  body: JSON.stringify(body),
});

/** Answers the requests of a function: what it throws becomes the answer that the client may see, and the log has the rest. */
export function endpoint(name: HttpFunction, log: Log, respond: (event: HttpEvent) => Promise<HttpAnswer>) {
  const methods: readonly string[] = routes.filter(({ handler }) => handler === name).map(({ method }) => method);
  return async (event: HttpEvent): Promise<HttpAnswer> => {
    try {
      if (!methods.includes(event.requestContext.http.method)) {
        const allow = methods.join(', ');
        throw new RequestError(405, 'invalid_request', `accepted methods: ${allow}`, { headers: { allow } });
      }
      return await respond(event);
    } catch (error) {
      const refusal = refusalOf(error);
      const about = { function: name, request: event.requestContext.requestId };
      if (refusal === undefined) log('error', 'the function failed', { ...about, ...failureFields(error) });
      else {
        const { status, message, members, logged } = refusal;
        const told = { ...about, status, refused: members.outcome ?? refusal.error, description: message, ...logged };
        log(logged ? 'warn' : 'info', error === refusal ? 'request refused' : 'the store failed', told);
      }
      return answerOf(refusal ?? new RequestError(500, 'server_error', 'the request could not be answered'));
    }
  };
}

/** The body's text. */
export function bodyText({ body = '', isBase64Encoded }: HttpEvent): string {
  const bytes = Buffer.from(body, isBase64Encoded ? 'base64' : 'utf8');
  if (bytes.length > MOST_BYTES) {
    throw new RequestError(413, 'invalid_request', `the body has more than ${MOST_BYTES} bytes`);
  }
  if (!isUtf8(bytes)) throw invalidRequest('the body is not UTF-8');
  return bytes.toString();
}

/** The media type of the body, in lower case and without parameters. */
export const mediaType = ({ headers }: HttpEvent): string | undefined =>
  headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase();

// What a store's failure is to the client. Those that may succeed later say when; a value that the engine refuses came
// with the request.
const FAILURES: Record<StoreErrorCode, [status: number, error: string, description: string]> = {
  unavailable: [503, 'temporarily_unavailable', 'the store does not answer'],
  timeout: [503, 'temporarily_unavailable', 'the store does not answer in time'],
  throttled: [429, 'temporarily_unavailable', 'the store is asked too often'],
  conflict: [409, 'conflict', 'it is stored already, by another attempt'],
  invalid: [400, 'invalid_request', 'the store does not take one of the values'],
  unsupported: [500, 'server_error', 'the store cannot do this'],
};

function refusalOf(error: unknown): RequestError | undefined {
  if (error instanceof RequestError) return error;
  if (!(error instanceof StoreError)) return undefined;
  return new RequestError(...FAILURES[error.code], {
    logged: failureFields(error),
    ...(error.retryable && { headers: { 'retry-after': '1' } }),
  });
}

/** A description has no quotes, no backslashes and nothing outside ASCII (RFC 6749 §5.2). */
const answerOf = ({ status, error, message, members, headers }: RequestError) =>
  answer(status, { error, error_description: message.replaceAll(/[^ !#-[\]-~]/g, "'"), ...members }, headers);
