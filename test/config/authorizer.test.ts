import { describe, expect, it } from 'vitest';
import { challengeOf, resultCaching, shortcomings } from '../../functions/config/authorizer.ts';
import { parseConfiguration } from '../../functions/config/configuration.ts';
import { ConfigurationError } from '../../functions/config/faults.ts';
import { useOf } from '../../functions/config/functions.ts';

const artifactStores = { artifacts: { cache: 'c' } };
const caches = { c: { engine: 'memory' } };
const checked = (authorizer: object, sections: object = { artifactStores }) =>
  parseConfiguration({ authorizer, caches, ...sections });
const of = (authorizer: object) => checked(authorizer).configuration.authorizer;

const kinds = ['rest-token', 'rest-request', 'http'] as const;
const one = { tokenFrom: ['authorization'] };
const scopes = { 'GET /a': ['a'] };

describe('answers that API Gateway keeps', () => {
  const caching = (authorizer: object) =>
    kinds.map((kind) => {
      const { identitySources, ttlSeconds } = resultCaching(of(authorizer), kind);
      return [identitySources.join(), ttlSeconds];
    });
  const header = 'method.request.header.Authorization';

  it('are none by default, and a request may carry its token in any of the places', () => {
    expect(caching({})).toEqual([
      [header, 0],
      ['', 0],
      ['', 0],
    ]);
  });

  it('without the one place of the token a request is refused unasked', () => {
    expect(caching(one)).toEqual([
      [header, 0],
      [header, 0],
      ['$request.header.Authorization', 0],
    ]);
    expect(caching({ tokenFrom: ['header:X-Token'] }).slice(1)).toEqual([
      ['method.request.header.X-Token', 0],
      ['$request.header.X-Token', 0],
    ]);
    expect(caching({ tokenFrom: ['query:access_token'] }).slice(1)).toEqual([
      ['method.request.querystring.access_token', 0],
      ['$request.querystring.access_token', 0],
    ]);
    expect(caching({ tokenFrom: ['cookie:token'] }).slice(1)).toEqual([
      ['', 0],
      ['', 0],
    ]);
  });

  it('are found by the token, and where routes demand different scopes by the route too', () => {
    expect(caching({ ...one, resultCacheSeconds: 60 })).toEqual([
      [header, 60],
      [header, 60],
      ['$request.header.Authorization', 60],
    ]);
    expect(caching({ ...one, scopes, resultCacheSeconds: 60 })).toEqual([
      [header, 0],
      [`${header},context.httpMethod,context.path`, 60],
      ['$request.header.Authorization,$context.routeKey', 60],
    ]);
    expect(caching({ ...one, scopes })[1]).toEqual([header, 0]);
  });
});

it('what a kind of authorizer cannot do is said, with the remedy', () => {
  const about = (authorizer: object) =>
    kinds.map((kind) => shortcomings(of(authorizer), kind).map((text) => text.split(':', 1)[0]));
  expect(about({})).toEqual([[], [], []]);
  expect(about({ dpop: {} })).toEqual([['authorizer.dpop'], [], []]);
  expect(about({ dpop: { nonceSeconds: 60 } })).toEqual([['authorizer.dpop'], [], ['authorizer.dpop.nonceSeconds']]);
  expect(about({ tokenFrom: ['query:token'] })).toEqual([['authorizer.tokenFrom'], [], []]);
  expect(about({ ...one, scopes, resultCacheSeconds: 1 })).toEqual([['authorizer.resultCacheSeconds'], [], []]);
  expect(about({ ...one, resultCacheSeconds: 1 })).toEqual([[], [], []]);
});

it('the challenge names every scheme', () => {
  expect(challengeOf(of({ realm: 'shop' }))).toBe('Bearer realm="shop"');
  expect(challengeOf(of({ dpop: { algorithms: ['ES256', 'PS256'] } }))).toBe(
    'Bearer realm="oauth", DPoP realm="oauth", algs="ES256 PS256"',
  );
});

it('the authorizer may write artifacts where it checks proofs, and not otherwise', () => {
  const use = (authorizer: object) => useOf('authorizer', checked(authorizer).configuration);
  expect(use({})).toEqual({ accessTokenStores: 'read' });
  expect(use({ dpop: {} })).toEqual({ accessTokenStores: 'read', artifactStores: 'write' });
});

describe('the settings', () => {
  it('of proofs have their defaults', () => {
    expect(of({ dpop: {} }).dpop).toEqual({
      algorithms: ['ES256', 'EdDSA', 'Ed25519', 'PS256', 'RS256'],
      maxAgeSeconds: 60,
    });
  });

  const faults = (authorizer: object, sections?: object) => {
    try {
      checked(authorizer, sections);
    } catch (error) {
      if (error instanceof ConfigurationError) return error.faults.map((each) => Object.values(each).join(' | '));
      throw error;
    }
    return [];
  };
  const two = { artifactStores: { one: { cache: 'c' }, two: { cache: 'c' } } };

  it('want a store for the proofs that were used', () => {
    const path = 'authorizer.artifactStore';
    expect(faults({ dpop: {} }, {})).toEqual([`${path} | nothing | a name in artifactStores, which has none yet`]);
    expect(faults({ dpop: {} }, two)).toEqual([`${path} | nothing | "one" or "two"`]);
    expect(faults({ dpop: {}, artifactStore: 'two' }, two)).toEqual([]);
    expect(faults({ dpop: {}, artifactStore: 'three' }, two)).toEqual([
      `${path} | a name that is not in artifactStores | "one" or "two"`,
    ]);
    expect(faults({ artifactStore: 'three' }, two)).toHaveLength(1);
    expect(faults({}, {})).toEqual([]);
  });

  it('want algorithms that are known and URLs that are whole', () => {
    expect(faults({ dpop: { algorithms: [] } })).toEqual([
      'authorizer.dpop.algorithms | a list | at least one algorithm',
    ]);
    expect(faults({ dpop: { algorithms: ['ES256', 'HS256'] } })[0]).toMatch(
      /^authorizer\.dpop\.algorithms\[1\] \| text/,
    );
    const urls = [
      '',
      'api.example',
      'https://api.example/?a',
      'https://a.example/#b',
      'https://u@a.example',
      'ftp://a/',
    ];
    expect(
      faults({ dpop: { baseUrls: [...urls, 'https://a.example/%41', 'https://api.example/v1', 'http://[::1]:80'] } }),
    ).toEqual(
      [...urls, ''].map(
        (url, index) =>
          `authorizer.dpop.baseUrls[${index}] | ${url === '' && index === 0 ? 'empty text' : 'text'} | an http or https URL without user, escapes, query and fragment`,
      ),
    );
    expect(faults({ dpop: { baseUrls: [] } })).toHaveLength(1);
  });

  it('refuse answers that are kept without a proof, or could not be found again', () => {
    const result = 'authorizer.resultCacheSeconds';
    const place = 'with resultCacheSeconds one place, and no cookie: API Gateway keeps an answer by it';
    expect(faults({ ...one, resultCacheSeconds: 5, dpop: {} })).toEqual([
      `${result} | the number 5 | 0 with dpop: a kept answer would be given again without a proof`,
    ]);
    expect(faults({ resultCacheSeconds: 5 })).toEqual([`authorizer.tokenFrom | a list of several places | ${place}`]);
    expect(faults({ resultCacheSeconds: 5, tokenFrom: ['cookie:a'] })).toEqual([
      `authorizer.tokenFrom | a cookie | ${place}`,
    ]);
    expect(faults({ ...one, resultCacheSeconds: 3600 })).toEqual([]);
    expect(faults({ ...one, resultCacheSeconds: 3601 })).toHaveLength(1);
    expect(faults({ cacheSeconds: -1 })).toHaveLength(1);
  });
});

it('a warning states how long a revoked token is let in, and the remedy', () => {
  const warnings = (authorizer: object) => checked(authorizer).warnings.map(({ path, text }) => `${path}: ${text}`);
  expect(warnings({ ...one, cacheSeconds: 0, resultCacheSeconds: 0 })).toEqual([]);
  expect(warnings({ cacheSeconds: 5 })).toEqual([
    'authorizer.cacheSeconds: a token is still let in for up to 5 seconds after it was revoked; set 0 to look it up for every request',
  ]);
  expect(warnings({ ...one, cacheSeconds: 5, resultCacheSeconds: 60 })).toEqual([
    'authorizer.cacheSeconds: a token is still let in for up to 65 seconds after it was revoked; set 0 to look it up for every request',
    'authorizer.resultCacheSeconds: a token is still let in for up to 65 seconds after it was revoked, its client was disabled or it expired; set 0, or have API Gateway flush the stage’s answers after a revocation that cannot wait',
  ]);
});
