/** What a request to an API carries, wherever its event has it. */
export interface Carrier {
  /** Every value of a header; `name` in lower case. */
  header(name: string): readonly string[];
  /** Every value of a query parameter. */
  query(name: string): readonly string[];
}

/** How a token may be presented: RFC 6750, RFC 9449 §7.1. */
export type Scheme = 'Bearer' | 'DPoP';

export interface PresentedToken {
  /** `Bearer` too for a token outside the Authorization header. */
  readonly scheme: Scheme;
  /** Empty where it is malformed. */
  readonly value: string;
}

/** RFC 6750 §2.1, RFC 9449 §7.1: token68. */
const CREDENTIALS = /^(?:Bearer|DPoP) +([\w.~+/-]+=*)$/i;

/**
 * Every token in the places that the configuration names, under these schemes. A request is to carry one (RFC 6750 §2).
 */
export function presentedTokens(
  places: readonly string[],
  schemes: readonly Scheme[],
  { header, query }: Carrier,
): PresentedToken[] {
  const bearer = (value: string): PresentedToken => ({ scheme: 'Bearer', value });
  return places.flatMap((place) => {
    const [kind, name = ''] = place.split(':');
    switch (kind) {
      case 'authorization':
        return header(kind).flatMap((credentials) => {
          const [word = ''] = /^\w+\b/.exec(credentials) ?? [];
          const scheme = schemes.find((each) => each.toLowerCase() === word.toLowerCase());
          return scheme ? [{ scheme, value: CREDENTIALS.exec(credentials)?.[1] ?? '' }] : [];
        });
      case 'header':
        return header(name.toLowerCase()).map(bearer);
      case 'query':
        return query(name).map(bearer);
      default:
        return header('cookie')
          .flatMap((cookies) => cookies.split(/; */))
          .filter((cookie) => cookie.startsWith(`${name}=`))
          .map((cookie) => bearer(cookie.slice(name.length + 1)));
    }
  });
}
