import { generateKeyPairSync, KeyObject, sign } from 'node:crypto';
import fc from 'fast-check';
import { SignJWT } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { signatureAlgorithms } from '../../functions/config/algorithms.ts';
import { createKeyring } from '../../functions/domain/keyring.ts';
import { checkProof, type ExpectedProof, type Target } from '../../functions/dpop.ts';
import { createNonces } from '../../functions/dpop-nonce.ts';
import { athOf, type Key, newKey, signed } from './proofs.ts';

const NOW = 1_800_000_000;
const TOKEN = 'Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU';
const target: Target = { origin: 'https://api.example', path: '/orders/5', innerPath: '/orders/5', decoded: false };
const expected: ExpectedProof = {
  method: 'GET',
  target,
  token: TOKEN,
  algorithms: signatureAlgorithms,
  maxAgeSeconds: 60,
  now: NOW,
};
const claims = { jti: 'one', htm: 'GET', htu: 'https://api.example/orders/5', iat: NOW, ath: athOf(TOKEN) };

let key: Key;
beforeAll(async () => {
  key = await newKey();
});

const check = async (changes: object, wanted: Partial<ExpectedProof> = {}, header: object = {}) =>
  checkProof([await signed(key, { ...claims, ...changes }, header)], { ...expected, ...wanted });
/** Signed without the library, which makes no such thing. */
async function compact(header: object, { privateKey }: Key, hash: string, dsaEncoding: 'der' | 'ieee-p1363') {
  const input = [{ typ: 'dpop+jwt', ...header }, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  const signature = sign(hash, Buffer.from(input), { key: KeyObject.from(privateKey), dsaEncoding });
  return `${input}.${signature.toString('base64url')}`;
}
const refused = (reason: string) => ({ error: 'invalid_dpop_proof', reason: `proof: ${reason}` });

describe('the examples of RFC 9449', () => {
  // §7.1, figure 12, and §4.1, figure 4.
  const header =
    'eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJo' +
    'RjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19';
  const atResource = [
    header,
    'eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRy' +
      'ZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9',
    '2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA',
  ].join('.');
  const atServer = [
    header,
    'eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0' +
      'IjoxNTYyMjYyNjE2fQ',
    '2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg',
  ].join('.');
  const at = { ...expected, algorithms: ['ES256'] as const, now: 1_562_262_618 };

  it('a proof for a protected resource holds for its token', () => {
    const resource = { ...target, origin: 'https://resource.example.org', path: '/protectedresource' };
    expect(checkProof([atResource], { ...at, target: resource })).toEqual({
      jkt: '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I',
      jti: 'e1j3V_bKic8-LAEB',
      expiresAt: 1_562_262_679,
    });
  });

  it('a proof for the token endpoint, which names no token, does not', () => {
    const server = { ...target, origin: 'https://server.example.com', path: '/token' };
    expect(checkProof([atServer], { ...at, method: 'POST', target: server })).toEqual(refused('another token'));
  });
});

describe('a proof', () => {
  it.each(signatureAlgorithms)('signed with %s is good where that is accepted, and nowhere else', async (alg) => {
    const { jkt, ...rest } = await newKey(alg);
    const jwt = await signed({ jkt, ...rest }, claims);
    expect(checkProof([jwt], { ...expected, algorithms: [alg] })).toEqual({
      jkt,
      jti: 'one',
      expiresAt: NOW + 61,
    });
    const others = signatureAlgorithms.filter((each) => each !== alg);
    expect(checkProof([jwt], { ...expected, algorithms: others })).toEqual(
      refused('no JWT of its type, or of an algorithm that is not accepted'),
    );
  });

  it('signed with a symmetric key or not at all is not', async () => {
    const secret = Buffer.alloc(32, 1);
    const jwk = { kty: 'oct', k: secret.toString('base64url') };
    const hmac = await new SignJWT(claims).setProtectedHeader({ typ: 'dpop+jwt', alg: 'HS256', jwk }).sign(secret);
    const encoded = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const none = `${encoded({ typ: 'dpop+jwt', alg: 'none', jwk: key.jwk })}.${encoded(claims)}`;
    for (const jwt of [hmac, `${none}.`, `${none}.AA`]) {
      expect(checkProof([jwt], expected)).toMatchObject({ error: 'invalid_dpop_proof' });
    }
  });

  it('is a JWT of its own type with a public key in it', async () => {
    expect(await check({})).toMatchObject({ jkt: key.jkt });
    for (const typ of ['JWT', 'at+jwt', undefined]) {
      expect(await check({}, {}, { typ })).toMatchObject({ error: 'invalid_dpop_proof' });
    }
    const rsa = await newKey('PS256');
    for (const jwk of [
      undefined,
      null,
      {},
      key.privateJwk,
      rsa.jwk,
      (await newKey()).jwk,
      { ...key.jwk, kty: 'RSA' },
    ]) {
      expect(await check({}, {}, { jwk })).toMatchObject({ error: 'invalid_dpop_proof' });
    }
  });

  it('with a key for something else, or of another curve than its algorithm has, is not good', async () => {
    const p384 = await newKey('ES384');
    for (const jwk of [{ ...key.jwk, use: 'enc' }, { ...key.jwk, alg: 'ES384' }, p384.jwk]) {
      expect(await check({}, {}, { jwk })).toEqual(refused(jwk === p384.jwk ? 'another signature' : 'no public key'));
    }
    expect(await check({}, {}, { jwk: { ...key.jwk, use: 'sig', alg: 'ES256', kid: 'k' } })).toMatchObject({
      jkt: key.jkt,
    });
    // A signature that fits its key, under the name of another algorithm.
    const der = await compact({ alg: 'ES256', jwk: p384.jwk }, p384, 'sha256', 'ieee-p1363');
    const asn1 = await compact({ alg: 'ES256', jwk: key.jwk }, key, 'sha256', 'der');
    const critical = await compact(
      { alg: 'ES256', jwk: key.jwk, crit: ['b64'], b64: true },
      key,
      'sha256',
      'ieee-p1363',
    );
    const good = await compact({ alg: 'ES256', jwk: key.jwk }, key, 'sha256', 'ieee-p1363');
    for (const jwt of [der, asn1, critical, good.slice(0, -4), `${good}AAAA`]) {
      expect(checkProof([jwt], expected)).toMatchObject({ error: 'invalid_dpop_proof' });
    }
    expect(checkProof([good], expected)).toMatchObject({ jkt: key.jkt });
  });

  it.each(['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'])(
    'with %s, a member of private keys, is not good',
    async (member) => {
      for (const value of ['', 'AQ', [], null]) {
        expect(await check({}, {}, { jwk: { ...key.jwk, [member]: value } })).toMatchObject({
          error: 'invalid_dpop_proof',
        });
      }
    },
  );

  it('with a key that is too weak is not good', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
    const header = { typ: 'dpop+jwt', alg: 'RS256', jwk: publicKey.export({ format: 'jwk' }) };
    const input = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
    const jwt = `${input}.${sign('sha256', Buffer.from(input), privateKey).toString('base64url')}`;
    expect(checkProof([jwt], expected)).toMatchObject({ error: 'invalid_dpop_proof' });
  });

  it('is given once: none, two, two in one header, or what is no JWT is refused', async () => {
    const jwt = await signed(key, claims);
    for (const headers of [
      [],
      [jwt, jwt],
      [`${jwt},${jwt}`],
      [`${jwt}, ${jwt}`],
      [''],
      ['a.b'],
      [` ${jwt}`],
      [`${jwt}=`],
      [`${jwt}.a`],
      ['a.b.c'],
      ['W10.W10.AA'],
      ['bnVsbA.bnVsbA.AA'],
    ]) {
      expect(checkProof(headers, expected), headers.join()).toMatchObject({ error: 'invalid_dpop_proof' });
    }
    expect(checkProof([await signed(key, { ...claims, more: 'x'.repeat(8192) })], expected)).toEqual(
      refused('too long'),
    );
  });

  it.each<[string, unknown]>([
    ['htm', 'POST'],
    ['htm', 'get'],
    ['htm', undefined],
    ['htm', ['GET']],
    ['htu', undefined],
    ['htu', ['https://api.example/orders/5']],
    ['ath', undefined],
    ['ath', athOf('another')],
    ['ath', `${athOf(TOKEN)}=`],
    ['ath', athOf(TOKEN).toUpperCase()],
    ['jti', undefined],
    ['jti', ''],
    ['jti', 1],
    ['iat', undefined],
    ['iat', `${NOW}`],
    ['exp', `${NOW + 60}`],
    ['exp', NOW - 10],
    ['nbf', NOW + 11],
    ['nbf', null],
  ])('with the claim %s of %j is not good', async (claim, value) => {
    expect(await check({ [claim]: value })).toMatchObject({ error: 'invalid_dpop_proof' });
  });

  it('is not good with any change of a claim', async () => {
    const changed = fc.constantFrom('htm', 'htu', 'ath', 'iat').chain((claim) =>
      fc.record({
        claim: fc.constant(claim),
        value: fc.oneof(fc.string(), fc.webUrl(), fc.jsonValue(), fc.integer({ min: 0, max: NOW - 61 })),
      }),
    );
    await fc.assert(
      fc.asyncProperty(changed, async ({ claim, value }) => {
        const sound =
          claim === 'iat'
            ? typeof value === 'number' && value >= NOW - 60 && value <= NOW + 10
            : value === Reflect.get(claims, claim);
        fc.pre(!sound);
        expect(await check({ [claim]: value })).toMatchObject({ error: 'invalid_dpop_proof' });
      }),
      { numRuns: 200 },
    );
  });

  it('is not good with any change of a character', async () => {
    const jwt = await signed(key, claims);
    // The last character of a signature has bits that say nothing.
    await fc.assert(
      fc.asyncProperty(
        fc.nat(jwt.length - 2),
        fc.constantFrom(...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.'),
        async (at, character) => {
          fc.pre(jwt[at] !== character);
          const other = jwt.slice(0, at) + character + jwt.slice(at + 1);
          expect(checkProof([other], expected)).toMatchObject({ error: 'invalid_dpop_proof' });
        },
      ),
      { numRuns: 300 },
    );
  });

  it('is good from 10 seconds before it was made until its age is the configured one, and remembered so long', async () => {
    const at = (now: number, iat = NOW) => check({ iat }, { now, maxAgeSeconds: 30 });
    expect(await at(NOW - 11)).toEqual(refused('made in the future'));
    expect(await at(NOW - 10)).toMatchObject({ expiresAt: NOW + 31 });
    expect(await at(NOW + 30)).toMatchObject({ expiresAt: NOW + 31 });
    expect(await at(NOW + 31)).toEqual(refused('too old'));
    // `iat` may be a fraction (RFC 7519 §2).
    expect(await at(NOW + 30, NOW + 0.5)).toMatchObject({ expiresAt: NOW + 31 });
    expect(await at(NOW + 31, NOW + 0.5)).toEqual(refused('too old'));
  });
});

describe('htu', () => {
  const is = async (htu: string, wanted: Partial<Target> = {}, baseUrls?: string[]) =>
    'jkt' in (await check({ htu }, { target: { ...target, ...wanted }, ...(baseUrls && { baseUrls }) }));

  it.each([
    'HTTPS://API.EXAMPLE/orders/5',
    'https://api.example:443/orders/5',
    'https://api.example/orders/./5',
    'https://api.example/orders/4/../5',
    'https://api.example/%6frders/%35',
    'https://api.example/orders/5?page=2',
    'https://api.example/orders/5#top',
  ])('%s is the same URL', async (htu) => {
    expect(await is(htu)).toBe(true);
  });

  it.each([
    'http://api.example/orders/5',
    'https://api.example:8443/orders/5',
    'https://api.example.evil/orders/5',
    'https://other.example/orders/5',
    'https://api.example/orders/5/',
    'https://api.example/orders/55',
    'https://api.example/Orders/5',
    'https://api.example//orders/5',
    'https://api.example/orders%2F5',
    'https://api.example/orders',
    'https://user@api.example/orders/5',
    'https://:secret@api.example/orders/5',
    'https:\\\\api.example\\orders\\5',
    'https://api.example\\orders\\5',
    ' https://api.example/orders/5',
    'https://api.example/or\tders/5',
    'ftp://api.example/orders/5',
    '/orders/5',
    'https://',
  ])('%s is another', async (htu) => {
    expect(await is(htu)).toBe(false);
  });

  it('is compared with what the client wrote where that is known, and else with what it stands for', async () => {
    const escaped = { path: '/a%2fb%7e/%C3%A9' };
    expect(await is('https://api.example/a%2Fb~/%c3%a9', escaped)).toBe(true);
    expect(await is('https://api.example/a%2Fb~/é', escaped)).toBe(true);
    expect(await is('https://api.example/a/b~/%c3%a9', escaped)).toBe(false);
    const decoded = { path: '/a/b~?/é 100%', decoded: true };
    expect(await is('https://api.example/a%2Fb%7e%3F/%c3%a9%20100%25', decoded)).toBe(true);
    expect(await is('https://api.example/a/b~%3F/é%20100%25', decoded)).toBe(true);
    expect(await is('https://api.example/a/b~?/é%20100%25', decoded)).toBe(false);
    expect(await is('https://api.example/a/b~%3F/é%20100%', decoded)).toBe(false);
    expect(await is('https://api.example/%zz', { path: '/%zz', decoded: true })).toBe(false);
    for (const root of [{ path: '' }, { path: '/' }, { path: '', decoded: true }, { path: '/', decoded: true }]) {
      expect(await is('https://api.example', root)).toBe(true);
    }
  });

  it('names one of the base URLs where there are any, and the path within the API', async () => {
    for (const decoded of [false, true]) {
      const there = { origin: 'https://x.execute-api.example', path: '/prod/orders/5', decoded };
      const bases = ['https://api.example/v1/', 'https://api.example', 'http://127.0.0.1:8089'];
      expect(await is('https://api.example/v1/orders/5', there, bases)).toBe(true);
      expect(await is('https://api.example/orders/5', there, bases)).toBe(true);
      expect(await is('http://127.0.0.1:8089/orders/5', there, bases)).toBe(true);
      expect(await is('https://x.execute-api.example/prod/orders/5', there, bases)).toBe(false);
      expect(await is('https://api.example/v1/prod/orders/5', there, bases)).toBe(false);
      expect(await is('https://api.example/v1orders/5', there, bases)).toBe(false);
      expect(await is('https://x.execute-api.example/prod/orders/5', there)).toBe(true);
    }
  });

  it('is refused where the host is not known', async () => {
    expect(await is('https://api.example/orders/5', { origin: undefined })).toBe(false);
    expect(await is('https://undefined/orders/5', { origin: undefined })).toBe(false);
  });
});

describe('nonces', () => {
  const secrets = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)] as const;
  const ring = (...generations: number[]) =>
    createKeyring(generations.map((generation) => ({ generation, secret: secrets[generation as 0 | 1] })));
  let now = NOW;
  const nonces = (keyring = ring(0), period = 100) => createNonces(keyring, period, () => now * 1000);

  it('are good in their period and the next one, and proofs with them are remembered until then', () => {
    now = NOW; // begins a period
    const nonce = nonces().current();
    for (const [later, end] of [
      [0, NOW + 200],
      [99, NOW + 200],
      [199, NOW + 200],
      [200, undefined],
      [-1, undefined],
    ] as const) {
      now = NOW + later;
      expect(nonces().endOf(nonce)).toBe(end);
    }
    now = NOW + 100;
    expect(nonces().current()).not.toBe(nonce);
  });

  it('are good under every key in the ring, and no other', () => {
    now = NOW;
    const nonce = nonces(ring(0)).current();
    expect(nonces(ring(1, 0)).current()).not.toBe(nonce);
    expect(nonces(ring(1, 0)).endOf(nonce)).toBe(NOW + 200);
    expect(nonces(ring(1)).endOf(nonce)).toBeUndefined();
    expect(nonces(ring(0), 50).endOf(nonce)).toBeUndefined();
    for (const other of ['', 'x', `${nonce}A`, nonce.slice(1), `${nonce.slice(0, -2)}__`]) {
      expect(nonces().endOf(other)).toBeUndefined();
    }
  });

  it('stand for the time of a proof, and are demanded', async () => {
    now = NOW;
    const given = { nonces: nonces() };
    const nonce = given.nonces.current();
    expect(await check({ nonce, iat: NOW - 4000 }, given)).toMatchObject({ jkt: key.jkt, expiresAt: NOW + 200 });
    for (const wrong of [undefined, '', 'x', 1, [nonce]]) {
      expect(await check({ nonce: wrong }, given)).toMatchObject({ error: 'use_dpop_nonce' });
    }
    expect(await check({ nonce, ath: 'x' }, given)).toMatchObject({ error: 'invalid_dpop_proof' });
  });
});
