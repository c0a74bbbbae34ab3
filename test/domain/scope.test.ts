import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseScopes, scopesSuffice, within } from '../../functions/domain/scope.ts';

const name = fc.constantFrom('a', 'b', 'c', 'd', 'e');
const names = fc.uniqueArray(name);

describe('a list of scopes', () => {
  it('is read in its order, each scope once', () => {
    expect(parseScopes('openid orders:read  openid !#[]~ ')).toEqual(['openid', 'orders:read', '!#[]~']);
    expect(parseScopes('')).toEqual([]);
  });

  it.each(['a"b', 'a\\b', 'a\tb', 'a\nb', 'ä', 'a\0', '\x7f'])('is refused with %j, which is not repeated', (list) => {
    expect(() => parseScopes(list)).toThrow(/^scope is a text with characters that no scope has; accepted: /);
  });
});

describe('the scopes of a token are enough', () => {
  it('with any: when one of those that are required is there, or none is required', () => {
    fc.assert(
      fc.property(names, names, (held, required) => {
        const shared = required.filter((scope) => held.includes(scope));
        expect(scopesSuffice(held, required, 'any')).toBe(required.length === 0 || shared.length > 0);
      }),
    );
  });

  it('with all: when all of those that are required are there', () => {
    fc.assert(
      fc.property(names, names, (held, required) => {
        expect(scopesSuffice(held, required, 'all')).toBe(new Set([...held, ...required]).size === held.length);
      }),
    );
  });

  it('only by their exact names', () => {
    expect(scopesSuffice(['orders'], ['orders:read'], 'any')).toBe(false);
    expect(scopesSuffice(['ORDERS'], ['orders'], 'any')).toBe(false);
  });
});

it('what is within a grant is any part of it, and nothing beside it', () => {
  fc.assert(
    fc.property(names, names, (asked, granted) => {
      expect(within(asked, granted)).toBe(new Set([...granted, ...asked]).size === granted.length);
    }),
  );
});
