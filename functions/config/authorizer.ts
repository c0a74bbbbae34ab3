import type { Configuration } from './configuration.ts';

// What API Gateway must be told of the authorizer; for the constructs, and for whoever sets it up by hand.

type Authorizer = Configuration['authorizer'];

/** An authorizer of a REST API, `TOKEN` or `REQUEST`, or of an HTTP API with payload format 2.0. */
export type AuthorizerKind = 'rest-token' | 'rest-request' | 'http';

export interface ResultCaching {
  /**
   * Identity sources as API Gateway writes them. A request without all of them is answered with 401 and never reaches the
   * function; answers that are kept are found again by their values.
   */
  readonly identitySources: readonly string[];
  /** `authorizerResultTtlInSeconds`: never more than this. */
  readonly ttlSeconds: number;
}

/**
 * How API Gateway finds an answer that it keeps: by the token, and where routes demand different scopes by what the answer
 * is for. A `TOKEN` authorizer knows the token alone, so then it keeps nothing. Where a token may stand in several places,
 * or in a cookie, there is no identity source: a request that lacks one of them would be refused unasked.
 *
 * Amazon API Gateway Developer Guide: "Use API Gateway Lambda authorizers", "Control access to HTTP APIs with AWS Lambda
 * authorizers"
 */
export function resultCaching(
  { tokenFrom, scopes, resultCacheSeconds }: Authorizer,
  kind: AuthorizerKind,
): ResultCaching {
  const differ = Object.keys(scopes).length > 0;
  if (kind === 'rest-token') {
    return { identitySources: ['method.request.header.Authorization'], ttlSeconds: differ ? 0 : resultCacheSeconds };
  }
  const request = kind === 'http' ? '$request' : 'method.request';
  const places = tokenFrom.map((place) => {
    const [, where, name] = /^(header|query):(.*)$/.exec(place) ?? [];
    if (where === undefined) return place === 'authorization' ? `${request}.header.Authorization` : undefined;
    return `${request}.${where === 'query' ? 'querystring' : where}.${name}`;
  });
  const [token] = places;
  if (places.length > 1 || token === undefined) return { identitySources: [], ttlSeconds: 0 };
  const route = kind === 'http' ? ['$context.routeKey'] : ['context.httpMethod', 'context.path'];
  return {
    identitySources: [token, ...(differ && resultCacheSeconds > 0 ? route : [])],
    ttlSeconds: resultCacheSeconds,
  };
}

/** What this configuration asks of this kind of authorizer and it cannot do, each with the remedy. */
export function shortcomings(
  { dpop, scopes, tokenFrom, resultCacheSeconds }: Authorizer,
  kind: AuthorizerKind,
): string[] {
  const rules: readonly (readonly [AuthorizerKind, boolean, string])[] = [
    [
      'http',
      dpop?.nonceSeconds !== undefined,
      'authorizer.dpop.nonceSeconds: a refusal of an HTTP API takes no header along, so no client learns a nonce; leave it out, or use a REST API with a REQUEST authorizer',
    ],
    [
      'rest-token',
      dpop !== undefined,
      'authorizer.dpop: a TOKEN authorizer does not see the header DPoP, so it refuses every token that is bound to a key; use a REQUEST authorizer',
    ],
    [
      'rest-token',
      !tokenFrom.includes('authorization'),
      'authorizer.tokenFrom: a TOKEN authorizer is given the Authorization header alone; use a REQUEST authorizer',
    ],
    [
      'rest-token',
      Object.keys(scopes).length > 0 && resultCacheSeconds > 0,
      'authorizer.resultCacheSeconds: API Gateway keeps the answers of a TOKEN authorizer by the token alone, which is wrong where routes demand different scopes, so none is kept; use a REQUEST authorizer',
    ],
  ];
  return rules.flatMap(([of, applies, text]) => (of === kind && applies ? [text] : []));
}

/**
 * WWW-Authenticate for a request without a token (RFC 6750 §3, RFC 9449 §7.1): for the gateway response UNAUTHORIZED,
 * which cannot say more, since an authorizer's error takes no context along.
 */
export const challengeOf = ({ realm, dpop }: Authorizer): string =>
  [`Bearer realm="${realm}"`, ...(dpop ? [`DPoP realm="${realm}", ${algorithmsOf(dpop)}`] : [])].join(', ');

/** `algs` of RFC 9449 §7.1. */
export const algorithmsOf = ({ algorithms }: { readonly algorithms: readonly string[] }): string =>
  `algs="${algorithms.join(' ')}"`;
