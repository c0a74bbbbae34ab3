/** What a request to an API carries, wherever its event has it. */
export interface Carrier {
  /** Every value of a header; `name` in lower case. */
  header(name: string): readonly string[];
  /** Every value of a query parameter. */
  query(name: string): readonly string[];
}

/** RFC 6750 §2.1: b64token. */
const BEARER = /^Bearer +([\w.~+/-]+=*)$/i;

/**
 * Every token in the places that the configuration names; empty text for one that is malformed. A request is to carry one
 * (RFC 6750 §2).
 */
export function presentedTokens(places: readonly string[], { header, query }: Carrier): string[] {
  return places.flatMap((place) => {
    const [kind, name = ''] = place.split(':');
    switch (kind) {
      case 'authorization':
        return header(kind)
          .filter((value) => /^Bearer\b/i.test(value))
          .map((value) => BEARER.exec(value)?.[1] ?? '');
      case 'header':
        return header(name.toLowerCase());
      case 'query':
        return query(name);
      default:
        return header('cookie')
          .flatMap((cookies) => cookies.split(/; */))
          .filter((cookie) => cookie.startsWith(`${name}=`))
          .map((cookie) => cookie.slice(name.length + 1));
    }
  });
}
