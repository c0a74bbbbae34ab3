import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { createIntrospect } from '../../functions/handlers/introspect.ts';
import { createRevoke } from '../../functions/handlers/revoke.ts';
import { ask, basic, deployment, formEvent, SECRET, START, settings } from './deployment.ts';

type Claims = Record<string, unknown>;

const token = 'A'.repeat(54);

async function introspection(parameters: Record<string, string>, headers: Record<string, string> = {}) {
  const made = await deployment();
  return { ...made, ...(await ask(createIntrospect(made.runtime), formEvent({ token, ...parameters }, headers))) };
}

const refused = { status: 401, body: { error: 'invalid_client', error_description: 'client authentication failed' } };

describe('client authentication by secret', () => {
  it('takes client_secret_basic, form-encoded within', async () => {
    expect(await introspection({}, basic('api'))).toMatchObject({ status: 200 });
    expect(await introspection({}, basic('client with:colon'))).toMatchObject({ status: 200 });
    expect(await introspection({ client_id: 'api' }, basic('api'))).toMatchObject({ status: 200 });
  });

  it('takes client_secret_post', async () => {
    expect(await introspection({ client_id: 'poster', client_secret: SECRET })).toMatchObject({ status: 200 });
  });

  it.each([
    ['a wrong secret', {}, basic('api', 'wrong')],
    ['an empty secret', {}, basic('api', '')],
    ['an unknown client', {}, basic('nobody')],
    ['an unknown client with an empty secret', {}, basic('nobody', '')],
    ['a disabled client', {}, basic('retired')],
    ['a name that every object has', {}, basic('constructor')],
    ['another method than the registered one', { client_id: 'api', client_secret: SECRET }, {}],
    ['the other way round', {}, basic('poster')],
    ['a public client with a secret', {}, basic('spa')],
    ['no credentials', {}, {}],
    ['a client_id alone', { client_id: 'api' }, {}],
    ['a public client where none is let in', { client_id: 'spa' }, {}],
    ['a secret without a client', { client_secret: SECRET }, {}],
    ['another scheme', {}, { authorization: 'Bearer abc' }],
    ['Basic that is not base64', {}, { authorization: 'Basic ???' }],
    ['Basic without a colon', {}, { authorization: `Basic ${Buffer.from('api').toString('base64')}` }],
    ['Basic with a broken escape', {}, { authorization: `Basic ${Buffer.from('api:%zz').toString('base64')}` }],
  ])('refuses %s with 401 and a challenge, and tells the reason to the log alone', async (_, parameters, headers) => {
    const {
      status,
      body,
      headers: answered,
      lines,
    } = await introspection(parameters, headers as Record<string, string>);
    expect({ status, body }).toEqual(refused);
    expect(answered['www-authenticate']).toBe('Basic realm="oauth", charset="UTF-8"');
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ level: 'warn', reason: expect.any(String) });
    expect(lines[0]).not.toContain(JSON.stringify(SECRET).slice(1, -1));
    expect(lines[0]).not.toContain('nobody');
  });

  it('answers an unknown client just as it answers a wrong secret', async () => {
    const [unknown, wrong] = [await introspection({}, basic('nobody')), await introspection({}, basic('api', 'wrong'))];
    expect([unknown.status, unknown.headers, unknown.body]).toEqual([wrong.status, wrong.headers, wrong.body]);
  });

  it.each([
    ['Basic and a secret in the form', { client_secret: SECRET }, basic('api')],
    ['Basic and an assertion', { client_assertion: 'a.b.c' }, basic('api')],
    ['a secret and an assertion', { client_id: 'api', client_secret: SECRET, client_assertion: 'a.b.c' }, {}],
    ['Basic and another client_id', { client_id: 'web' }, basic('api')],
  ])('refuses %s as invalid_request', async (_, parameters, headers) => {
    const { status, body } = await introspection(parameters, headers as Record<string, string>);
    expect({ status, error: body.error }).toEqual({ status: 400, error: 'invalid_request' });
  });

  it('lets a public client in by its client_id where the endpoint allows it', async () => {
    const { runtime } = await deployment();
    const revoke = createRevoke(runtime);
    expect(await ask(revoke, formEvent({ token, client_id: 'spa' }))).toMatchObject({ status: 200 });
    for (const client_id of ['web', 'retired', 'nobody']) {
      expect(await ask(revoke, formEvent({ token, client_id }))).toMatchObject(refused);
    }
  });
});

describe('client authentication by private_key_jwt', () => {
  let keys: Awaited<ReturnType<typeof generateKeyPair>>;
  let other: typeof keys;
  let clients: object;

  beforeAll(async () => {
    [keys, other] = [await generateKeyPair('ES256'), await generateKeyPair('ES256')];
    const { kty, crv, x, y } = await exportJWK(keys.publicKey);
    const registered = {
      tokenEndpointAuthMethod: 'private_key_jwt',
      jwks: { keys: [{ kty, crv, x, y, alg: 'ES256' }] },
    };
    clients = {
      ...settings.clients,
      signer: { ...registered, mayIntrospect: true },
      'retired signer': { ...registered, enabled: false },
    };
  });

  let serial = 0;
  const claims = (changes: Claims = {}): Claims => {
    serial += 1;
    const usual = {
      iss: 'signer',
      sub: 'signer',
      aud: settings.issuer,
      jti: `id-${serial}`,
      iat: START,
      exp: START + 60,
    };
    return { ...usual, ...changes };
  };
  const signed = (payload: Claims, key = keys.privateKey) =>
    new SignJWT(payload).setProtectedHeader({ alg: 'ES256' }).sign(key);
  const form = (client_assertion: string, further: Record<string, string> = {}) =>
    formEvent({
      token,
      client_assertion,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      ...further,
    });

  it('takes an assertion for the issuer, or for another audience that is configured', async () => {
    const { runtime } = await deployment({ clients, assertionAudiences: ['https://api.example/introspect'] });
    const introspect = createIntrospect(runtime);
    expect(await ask(introspect, form(await signed(claims())))).toMatchObject({ status: 200 });
    const endpoint = await signed(claims({ aud: ['https://api.example/introspect'] }));
    expect(await ask(introspect, form(endpoint, { client_id: 'signer' }))).toMatchObject({ status: 200 });
  });

  it('takes an assertion of any of the client’s keys, and of that one alone which it names', async () => {
    const publicJwk = async (key: typeof keys.publicKey, kid: string) => {
      const { kty = '', crv = '', x = '', y = '' } = await exportJWK(key);
      return { kty, crv, x, y, kid };
    };
    const keySet = [await publicJwk(keys.publicKey, 'old'), await publicJwk(other.publicKey, 'new')];
    const signer = { tokenEndpointAuthMethod: 'private_key_jwt', jwks: { keys: keySet }, mayIntrospect: true };
    const { runtime } = await deployment({ clients: { ...settings.clients, signer } });
    const status = async (key: typeof keys.privateKey, header: object) => {
      const assertion = await new SignJWT(claims()).setProtectedHeader({ alg: 'ES256', ...header }).sign(key);
      return (await ask(createIntrospect(runtime), form(assertion))).status;
    };
    for (const key of [keys, other]) expect(await status(key.privateKey, {})).toBe(200);
    expect(await status(other.privateKey, { kid: 'new' })).toBe(200);
    expect(await status(other.privateKey, { kid: 'old' })).toBe(401);
    expect(await status(other.privateKey, { kid: 'unknown' })).toBe(401);
  });

  it('takes an assertion once, of however many concurrent requests', async () => {
    const { runtime } = await deployment({ clients });
    const event = form(await signed(claims()));
    const answers = await Promise.all(Array.from({ length: 10 }, () => ask(createIntrospect(runtime), event)));
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, ...Array(9).fill(401)]);
  });

  it('refuses it again to the last second in which it would be good', async () => {
    const { runtime, pass } = await deployment({ clients });
    const introspect = createIntrospect(runtime);
    const event = form(await signed(claims()));
    await ask(introspect, event);
    pass(69);
    expect(await ask(introspect, form(await signed(claims())))).toMatchObject({ status: 200 });
    expect(await ask(introspect, event)).toMatchObject(refused);
    pass(1);
    expect(await ask(introspect, form(await signed(claims())))).toMatchObject(refused);
  });

  it.each<[string, Claims]>([
    ['another issuer than subject', { iss: 'web' }],
    ['another audience', { aud: 'https://other.example' }],
    ['no audience', { aud: undefined }],
    ['no expiry', { exp: undefined }],
    ['an expiry in the past', { exp: START - 11 }],
    ['no time of issue', { iat: undefined }],
    ['a time of issue in the future', { iat: START + 11 }],
    ['a time of issue long ago', { iat: START - 3611 }],
    ['no jti', { jti: undefined }],
    ['a jti that is no text', { jti: 1 }],
    ['a beginning in the future', { nbf: START + 11 }],
    ['times that are no numbers', { exp: `${START + 60}` }],
    ['another subject than issuer', { iss: 'signer', sub: 'api' }],
    ['a client that is not known', { iss: 'nobody', sub: 'nobody' }],
    ['a client that does not sign', { iss: 'api', sub: 'api' }],
    ['a disabled client', { iss: 'retired signer', sub: 'retired signer' }],
    ['no subject', { sub: undefined }],
  ])('refuses an assertion with %s, and keeps nothing of it', async (_, changes) => {
    const { runtime, writes } = await deployment({ clients });
    const answer = await ask(createIntrospect(runtime), form(await signed(claims(changes))));
    expect(answer).toMatchObject(refused);
    expect(writes).toEqual([]);
  });

  it('refuses another key, no signature, a symmetric one, and what is no JWT', async () => {
    const { runtime, writes, lines } = await deployment({ clients });
    const introspect = createIntrospect(runtime);
    const payload = claims();
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const symmetric = new SignJWT(payload).setProtectedHeader({ alg: 'HS256' }).sign(Buffer.alloc(32));
    for (const assertion of [
      await signed(payload, other.privateKey),
      `${part({ alg: 'none' })}.${part(payload)}.`,
      await symmetric,
      `${part({ alg: 'ES256' })}.${part(payload)}.AAAA`,
      'a.b.c',
      '...',
      'é',
    ]) {
      expect(await ask(introspect, form(assertion))).toMatchObject(refused);
      expect(lines.join()).not.toContain(assertion.slice(-20));
      lines.length = 0;
    }
    expect(writes).toEqual([]);
  });

  it('refuses an assertion of another type, of another client than client_id, and where none can be checked', async () => {
    const { runtime } = await deployment({ clients });
    const assertion = await signed(claims());
    const type = { client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:saml2-bearer' };
    expect(await ask(createIntrospect(runtime), form(assertion, type))).toMatchObject(refused);
    expect(await ask(createIntrospect(runtime), form(assertion, { client_id: 'api' }))).toMatchObject({ status: 400 });
    const { runtime: without } = await deployment({ clients, artifactStores: {} });
    expect(await ask(createIntrospect(without), form(assertion))).toMatchObject(refused);
    const { issuer: _, ...configuration } = runtime.configuration;
    expect(await ask(createIntrospect({ ...runtime, configuration }), form(assertion))).toMatchObject(refused);
  });
});
