import type { TokenTypeHint } from './domain/inspection.ts';
import { bodyText, type HttpEvent, invalidRequest, mediaType } from './http.ts';

/** The parameters of a request; one without a value counts as left out (RFC 6749 §3.2). */
export type Parameters = ReadonlyMap<string, string>;

/**
 * The parameters in the bodies and queries given, together.
 *
 * @throws {RequestError} invalid_request: one is given twice (RFC 6749 §3.2)
 */
export function parametersOf(...texts: string[]): Parameters {
  const parameters = new Map<string, string>();
  for (const [name, value] of texts.flatMap((text) => [...new URLSearchParams(text)])) {
    if (value === '') continue;
    if (parameters.has(name)) throw invalidRequest('a parameter is given twice');
    parameters.set(name, value);
  }
  return parameters;
}

/** The text of a form. @throws {RequestError} invalid_request: the body is something else */
export function formText(event: HttpEvent): string {
  if (mediaType(event) !== 'application/x-www-form-urlencoded') {
    throw invalidRequest('the body is not application/x-www-form-urlencoded');
  }
  return bodyText(event);
}

/** @throws {RequestError} invalid_request: it is missing */
export function required(parameters: Parameters, name: string): string {
  const value = parameters.get(name);
  if (value === undefined) throw invalidRequest(`${name} is missing`);
  return value;
}

/** `token_type_hint`; one of another kind counts as none (RFC 7009 §2.1). */
export function hintOf(parameters: Parameters): TokenTypeHint | undefined {
  const hint = parameters.get('token_type_hint');
  return hint === 'access_token' || hint === 'refresh_token' ? hint : undefined;
}
