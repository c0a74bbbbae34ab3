import { InputError } from './errors.ts';

// RFC 6749 §3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E ), separated by one space.
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+$/;

/** The scopes of a space-separated list, in its order, each once. @throws {InputError} a character that RFC 6749 §3.3 refuses */
export function parseScopes(list: string): string[] {
  const scopes = [...new Set(list.split(' ').filter((scope) => scope !== ''))];
  if (!scopes.every((scope) => SCOPE.test(scope))) {
    throw new InputError(
      'scope',
      'a text with characters that no scope has',
      'scopes of printable ASCII without " and \\, separated by spaces',
    );
  }
  return scopes;
}

export type ScopeMatch = 'any' | 'all';

/** Whether a token's scopes are enough: any of the required ones, or all. Nothing required is always enough. */
export const scopesSuffice = (held: readonly string[], required: readonly string[], match: ScopeMatch): boolean =>
  required.length === 0 ||
  (match === 'all' ? required.every((scope) => held.includes(scope)) : required.some((scope) => held.includes(scope)));

/** Whether a request narrows, or keeps, what was granted (RFC 6749 §6). */
export const within = (asked: readonly string[], granted: readonly string[]): boolean =>
  asked.every((one) => granted.includes(one));
