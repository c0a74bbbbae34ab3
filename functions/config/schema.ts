import * as v from 'valibot';
import { signatureAlgorithms } from './algorithms.ts';
import { client } from './clients.ts';
import { cache, cassandra, database } from './connections.ts';
import { flag, list, named, object, oneOf, seconds, text, whole } from './fields.ts';
import { accessTokenStore, artifactStore, authorizationCodeStore, clientAccessTokenStore } from './stores.ts';

// oauth-stores.json, setting by setting. What one setting demands of another stands in rules.ts.

const issuing = v.pipe(
  object({
    accessToken: v.optional(
      object({
        expiresIn: v.optional(seconds('Seconds that an access token lives.'), 3600),
        length: v.optional(
          whole(39, 512, 'Characters of an access token; under 39 fewer than 128 bits cannot be guessed.'),
          54,
        ),
        type: v.optional(
          text(
            '`token_type` of the answers (RFC 6749 §7.1).',
            /^[A-Za-z0-9._-]{1,64}$/,
            '1 to 64 letters, digits, . _ -',
          ),
          'Bearer',
        ),
      }),
      {},
    ),
    refreshToken: v.optional(
      object({
        expiresIn: v.optional(seconds('Seconds that a refresh token lives.'), 43_200),
        length: v.optional(
          whole(39, 512, 'Characters of a refresh token; under 39 fewer than 128 bits cannot be guessed.'),
          46,
        ),
        choice: v.optional(
          oneOf(
            ['new', 'none', 'preserve'],
            'What a refresh gives: a new refresh token (the old one is removed), none (the old one is removed), or the old one.',
          ),
          'new',
        ),
        idleExpiresIn: v.exactOptional(
          seconds('Seconds without a refresh after which the refresh token has expired. Default: no limit.'),
        ),
        absoluteExpiresIn: v.exactOptional(
          seconds('Seconds after the grant began when its last refresh token has expired. Default: no limit.'),
        ),
        graceSeconds: v.optional(
          whole(0, 300, 'Seconds in which a repeated refresh gives the same new tokens again; 0: never.'),
          10,
        ),
      }),
      {},
    ),
    authorizationCode: v.optional(
      object({
        expiresIn: v.optional(
          whole(1, 3600, 'Seconds that an authorization code lives; FAPI 2.0 demands at most 60.'),
          600,
        ),
        length: v.optional(
          whole(23, 512, 'Characters of an authorization code; under 23 fewer than 128 bits cannot be guessed.'),
          30,
        ),
      }),
      {},
    ),
  }),
  v.description('What is issued, and for how long.'),
);

const scope = text('A scope.', /^[\x21\x23-\x5B\x5D-\x7E]+$/, 'scopes: printable ASCII but space, " and \\');

const storeName = (section: string) =>
  v.exactOptional(text(`The name of one of \`${section}\`. Default: the only one.`));

const baseUrl = 'an http or https URL without user, escapes, query and fragment';

const dpop = v.pipe(
  object({
    algorithms: v.optional(
      v.pipe(
        list(oneOf(signatureAlgorithms, 'An algorithm of JWS.'), 'The algorithms that a proof may be signed with.'),
        v.minLength(1, 'at least one algorithm'),
      ),
      ['ES256', 'EdDSA', 'Ed25519', 'PS256', 'RS256'],
    ),
    maxAgeSeconds: v.optional(
      whole(1, 3600, 'Seconds after its `iat` that a proof is good; without a nonce, for it stands for the time then.'),
      60,
    ),
    nonceSeconds: v.exactOptional(
      whole(
        1,
        3600,
        'Seconds after which there is a new nonce, which every proof must hold; each is good for up to twice as long (RFC 9449 §9). Default: none is demanded.',
      ),
    ),
    baseUrls: v.exactOptional(
      v.pipe(
        list(
          v.pipe(
            v.string(baseUrl),
            v.url(baseUrl),
            v.regex(/^https?:\/\/[\x21\x22\x24\x26-\x3E\x41-\x5B\x5D-\x7E]+$/, baseUrl),
          ),
          'The URLs under which clients see the API, where API Gateway does not: behind a proxy, or an HTTP API under a path of a custom domain. Default: as API Gateway sees it.',
        ),
        v.minLength(1, 'at least one URL'),
      ),
    ),
  }),
  v.description(
    'Tokens that are bound to a key of DPoP (RFC 9449) are good with its proof. Default: they are refused.',
  ),
);

const authorizer = v.pipe(
  object({
    realm: v.optional(
      text('Realm of WWW-Authenticate.', /^[\x20\x21\x23-\x5B\x5D-\x7E]+$/, 'printable ASCII but " and \\'),
      'oauth',
    ),
    scopeMatch: v.optional(oneOf(['any', 'all'], 'How many of a route’s scopes a token must have.'), 'any'),
    scopes: v.optional(
      named(
        list(scope, 'The scopes that the route demands.'),
        'The scopes that each route demands. Where there are any, a route for which nothing stands here is refused.',
        /^(\$default|\$connect|[A-Z]+ \/[\x21-\x7E]*)$/,
        'as a name: a route such as GET /orders/{id}, or $default for every other',
      ),
      {},
    ),
    tokenFrom: v.optional(
      list(
        text(
          'A place.',
          /^(authorization|(header|query|cookie):[A-Za-z0-9._-]{1,64})$/,
          'authorization, header:NAME, query:NAME or cookie:NAME',
        ),
        'Where a request may carry its token: the Authorization header (Bearer), another header, a parameter of the query or a cookie.',
      ),
      ['authorization', 'query:access_token'],
    ),
    dpop: v.exactOptional(dpop),
    artifactStore: storeName('artifactStores'),
    cacheSeconds: v.optional(
      whole(
        0,
        3600,
        'Seconds that the function may go by what it read of a good token; 0: every request looks its token up.',
      ),
      0,
    ),
    resultCacheSeconds: v.optional(
      whole(
        0,
        3600,
        'Seconds that API Gateway may keep an answer of the authorizer; 0: none. Where it keeps answers, tokens that are bound to a key are refused.',
      ),
      0,
    ),
  }),
  v.description('The authorizer of API Gateway.'),
);

const tokenInformation = v.pipe(
  object({
    attributes: v.optional(
      list(text('The name of an attribute.'), 'The additional attributes of a token that its answers show.'),
      [],
    ),
  }),
  v.description('The token information endpoint.'),
);

const absoluteUrl = text('A URL.', /^https?:\/\/[\x21\x22\x24-\x7E]+$/, 'an http or https URL without a fragment');

const localUser = object({
  passwordDigest: text(
    'scrypt(password, salt) of 32 bytes at cost 16384, block size 8, parallelization 1.',
    /^scrypt:[A-Za-z0-9_-]{22,}:[A-Za-z0-9_-]{43}$/,
    '"scrypt:<salt>:<digest>" in base64url, at least 22 and exactly 43 characters',
  ),
});

const localDeployment = v.pipe(
  object({
    exampleData: v.optional(
      flag(
        'Whether clients and users are examples, whose secrets everybody knows: then only this machine may connect.',
      ),
      false,
    ),
    host: v.optional(text('Address to listen on.'), '127.0.0.1'),
    accessTokenStore: storeName('accessTokenStores'),
    authorizationCodeStore: storeName('authorizationCodeStores'),
    artifactStore: storeName('artifactStores'),
    users: v.optional(named(localUser, 'The users who can log in, by name.'), {}),
    protectedPaths: v.optional(
      named(
        list(text('A scope.'), 'The scopes that the authorizer demands on this path.'),
        'The paths of the example API, and the scopes that each demands.',
        /^\/[\x21-\x7E]*$/,
        'as a name: a path that begins with /',
      ),
      {},
    ),
  }),
  v.description('`npm start`: an authorization server, an example API and the functions, on one machine.'),
);

export const sections = object({
  $schema: v.exactOptional(text('The JSON Schema of this file, for editors.')),
  accessTokenStores: v.optional(named(accessTokenStore, 'Stores of access tokens and refresh tokens, by name.'), {}),
  authorizationCodeStores: v.optional(named(authorizationCodeStore, 'Stores of authorization codes, by name.'), {}),
  clientAccessTokenStores: v.optional(
    named(clientAccessTokenStore, 'Stores of the tokens that this deployment receives as a client of others, by name.'),
    {},
  ),
  artifactStores: v.optional(
    named(
      artifactStore,
      'Stores of what an authorization server keeps beside tokens (sessions, interactions…), by name.',
    ),
    {},
  ),
  caches: v.optional(named(cache, 'Caches that stores use, by name.'), {}),
  databases: v.optional(named(database, 'Databases that stores use, by name.'), {}),
  cassandra: v.optional(named(cassandra, 'Cassandra clusters that stores use, by name.'), {}),
  issuing: v.optional(issuing, {}),
  issuer: v.exactOptional(
    v.pipe(
      absoluteUrl,
      v.description(
        'Issuer identifier of the authorization server (RFC 8414): the audience of client assertions, and `iss` of introspection.',
      ),
    ),
  ),
  assertionAudiences: v.optional(
    list(
      absoluteUrl,
      'What else a client assertion may name as its audience, such as URLs of endpoints (RFC 7523 §3).',
    ),
    [],
  ),
  clients: v.optional(
    named(
      client,
      'The clients and resource servers, by client id.',
      /^[\x20-\x7E]+$/,
      'as a client id: printable ASCII',
    ),
    {},
  ),
  authorizer: v.optional(authorizer, {}),
  tokenInformation: v.optional(tokenInformation, {}),
  localDeployment: v.exactOptional(localDeployment),
});
