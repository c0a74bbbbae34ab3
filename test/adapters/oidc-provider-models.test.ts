import { randomBytes } from 'node:crypto';
import { type Adapter, errors } from 'oidc-provider';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { createAdapter } from '../../adapters/oidc-provider.ts';
import { createKeyring } from '../../functions/domain/keyring.ts';
import type { Engine } from '../../functions/domain/ports.ts';
import { createEngine as createMemory } from '../../functions/stores/memory.ts';
import { createEngine as createPostgresql } from '../../functions/stores/postgresql.ts';
import { storesOf, type TestStores } from './oidc-provider-server.ts';

// What oidc-provider expects of an adapter, called as it calls one. Values are its own, so foreign ones are taken.

const tolerance = 15;
let counter = 0;
/** A value that nothing in the storage has yet. */
const fresh = (name: string) => `${name} ${counter++} ${randomBytes(16).toString('base64url')}`;

describe.each([
  ['memory', async () => createMemory({}, Date.now)],
  ['postgresql', () => createPostgresql({ embedded: 'memory://' }, Date.now)],
] as const)('the models of oidc-provider on %s', (_name, open) => {
  let engine: Engine;
  let all: TestStores;
  let model: (name: string) => Adapter;

  beforeEach(async () => {
    engine ??= await open();
    all = storesOf(engine, { foreign: true });
    model = createAdapter(all.stores, { clockTolerance: tolerance });
  });
  afterAll(() => engine.close());

  it('are known by their names alone: those of a minified provider are refused', () => {
    for (const name of ['a', 'class', '', 'Token']) expect(() => model(name)).toThrow(/keepNames/);
  });

  const now = () => Math.floor(all.tokens.clock() / 1000);
  const times = (lifetime: number) => ({ iat: now(), exp: now() + lifetime });
  const granted = () => ({ clientId: 'app', accountId: 'alice', grantId: fresh('grant'), ...times(60) });

  const everyField = (kind: string, jti: string) => ({
    ...granted(),
    ...{ jti, kind, scope: 'openid orders:read', rar: [{ type: 'order', limit: 5 }] },
    ...{ sid: 'sid', sessionUid: 'uid', expiresWithSession: true, claims: { userinfo: { name: null } } },
  });
  const authenticated = { acr: 'silver', amr: ['pwd', 'otp'], authTime: 1_700_000_000, nonce: 'n-0S6' };
  const thumbprint = randomBytes(32).toString('base64url');

  describe.each([
    ['AccessToken', { gty: 'authorization_code', aud: 'urn:api', jkt: thumbprint, extra: { tenant: 7 } }],
    [
      'RefreshToken',
      { ...authenticated, gty: 'device_code', resource: ['urn:a', 'urn:b'], iiat: 5, attestationJkt: 'jkt' },
    ],
    ['RefreshToken', { ...authenticated, gty: 'ciba', 'x5t#S256': thumbprint, resource: 'urn:a' }],
    [
      'AuthorizationCode',
      {
        ...authenticated,
        redirectUri: 'https://app',
        codeChallenge: 'c',
        codeChallengeMethod: 'S256',
        dpopJkt: thumbprint,
      },
    ],
    [
      'DeviceCode',
      { ...authenticated, userCode: fresh('user code'), params: { scope: 'openid' }, deviceInfo: { ip: '::1' } },
    ],
  ])('%s', (kind, fields) => {
    it('is found as it was stored, with every field', async () => {
      const id = fresh(kind);
      const payload = { ...everyField(kind, id), ...fields };
      await model(kind).upsert(id, payload, 60);
      expect(await model(kind).find(id)).toMatchObject(payload);
      expect(await model(kind).find(fresh(kind))).toBeUndefined();
    });

    it('is still found within the clock tolerance after its expiry, for the provider to judge', async () => {
      const id = fresh(kind);
      const payload = { ...everyField(kind, id), ...fields };
      await model(kind).upsert(id, payload, 60);
      all.advance(60 + tolerance - 1);
      expect(await model(kind).find(id)).toMatchObject({ exp: payload.exp });
    });

    it('is gone once it is destroyed', async () => {
      const id = fresh(kind);
      await model(kind).upsert(id, { ...everyField(kind, id), ...fields }, 60);
      await model(kind).destroy(id);
      expect(await model(kind).find(id)).toBeUndefined();
    });
  });

  it('ClientCredentials are not AccessTokens, nor the other way round', async () => {
    const id = fresh('token');
    const payload = { jti: id, kind: 'ClientCredentials', clientId: 'app', scope: 'orders:read', ...times(60) };
    await model('ClientCredentials').upsert(id, payload, 60);
    expect(await model('ClientCredentials').find(id)).toMatchObject(payload);
    expect(await model('AccessToken').find(id)).toBeUndefined();
  });

  it('a record leaves when its time and the clock tolerance have passed, and its second ways in with it', async () => {
    const [session, uid, deviceCode, userCode] = ['session', 'uid', 'device code', 'user code'].map(fresh) as string[];
    await model('Session').upsert(String(session), { jti: session, uid, ...times(60) }, 60);
    await model('DeviceCode').upsert(String(deviceCode), { jti: deviceCode, userCode, ...times(60) }, 60);
    all.advance(60 + tolerance - 1);
    expect(await model('Session').find(String(session))).toMatchObject({ uid });
    expect(await model('Session').findByUid(String(uid))).toMatchObject({ jti: session });
    expect(await model('DeviceCode').findByUserCode(String(userCode))).toMatchObject({ jti: deviceCode });
    all.advance(1);
    expect(await model('Session').find(String(session))).toBeUndefined();
    expect(await model('Session').findByUid(String(uid))).toBeUndefined();
    expect(await model('DeviceCode').findByUserCode(String(userCode))).toBeUndefined();
  });

  it('a record without an expiry stays', async () => {
    const id = fresh('client');
    const metadata = { client_id: id, client_secret: 'secret', redirect_uris: ['https://app'] };
    await model('Client').upsert(id, metadata);
    all.advance(1e9);
    expect(await model('Client').find(id)).toEqual(metadata);
  });

  it('an updated record is found under its new uid or user code alone', async () => {
    const [session, uid, other] = ['session', 'uid', 'uid'].map(fresh) as string[];
    await model('Session').upsert(String(session), { jti: session, uid, ...times(60) }, 60);
    await model('Session').upsert(String(session), { jti: session, uid: other, ...times(60) }, 60);
    expect(await model('Session').findByUid(String(uid))).toBeUndefined();
    expect(await model('Session').findByUid(String(other))).toMatchObject({ jti: session });
  });

  it('a uid that another record has taken over survives the first one', async () => {
    const [first, second, uid] = ['session', 'session', 'uid'].map(fresh) as string[];
    await model('Session').upsert(String(first), { jti: first, uid, ...times(60) }, 60);
    await model('Session').upsert(String(second), { jti: second, uid, ...times(60) }, 60);
    await model('Session').destroy(String(first));
    expect(await model('Session').findByUid(String(uid))).toMatchObject({ jti: second });
    await model('Session').destroy(String(second));
    expect(await model('Session').findByUid(String(uid))).toBeUndefined();
  });

  it('a user code is found after the key has been replaced', async () => {
    const [old, next] = [1, 2].map((generation) => ({ generation, secret: randomBytes(32) }));
    if (!old || !next) throw new Error();
    const before = createAdapter(storesOf(engine, { keyring: createKeyring([old]) }).stores);
    const after = createAdapter(storesOf(engine, { keyring: createKeyring([next, old]) }).stores);
    const [deviceCode, userCode] = ['device code', 'user code'].map(fresh) as string[];
    await before('DeviceCode').upsert(String(deviceCode), { jti: deviceCode, userCode, ...times(60) }, 60);
    expect(await after('DeviceCode').findByUserCode(String(userCode))).toMatchObject({ jti: deviceCode });
  });

  it('a Grant that is revoked takes all that carries it along, and nothing else', async () => {
    const [mine, others] = [granted(), granted()];
    const ids: [kind: string, id: string, other: string][] = [];
    for (const kind of ['AccessToken', 'RefreshToken', 'DeviceCode', 'BackchannelAuthenticationRequest']) {
      const [id, other] = [fresh(kind), fresh(kind)];
      await model(kind).upsert(id, { ...mine, kind, jti: id }, 60);
      await model(kind).upsert(other, { ...others, kind, jti: other }, 60);
      ids.push([kind, id, other]);
    }
    for (const [kind] of ids) await model(kind).revokeByGrantId(mine.grantId);
    for (const [kind, id, other] of ids) {
      expect([kind, await model(kind).find(id)]).toEqual([kind, undefined]);
      expect(await model(kind).find(other)).toMatchObject({ jti: other });
    }
  });

  it('a record goes with the Grant that it carries last', async () => {
    const id = fresh('device code');
    const [first, second] = [granted(), granted()];
    await model('DeviceCode').upsert(id, { ...first, jti: id, kind: 'DeviceCode' }, 60);
    await model('DeviceCode').upsert(id, { ...second, jti: id, kind: 'DeviceCode' }, 60);
    await model('DeviceCode').revokeByGrantId(first.grantId);
    expect(await model('DeviceCode').find(id)).toMatchObject({ grantId: second.grantId });
    await model('DeviceCode').revokeByGrantId(second.grantId);
    expect(await model('DeviceCode').find(id)).toBeUndefined();
  });

  describe.each([
    ['AuthorizationCode', errors.InvalidGrant],
    ['RefreshToken', errors.InvalidGrant],
    ['DeviceCode', errors.InvalidGrant],
    ['BackchannelAuthenticationRequest', errors.InvalidGrant],
    ['PreAuthorizedCode', errors.InvalidGrant],
    ['PushedAuthorizationRequest', errors.InvalidRequestUri],
  ])('consume of %s', (kind, Refusal) => {
    const stored = async () => {
      const id = fresh(kind);
      await model(kind).upsert(id, { ...granted(), kind, jti: id }, 60);
      return id;
    };

    it('succeeds for exactly one of twenty concurrent callers', async () => {
      const id = await stored();
      const results = await Promise.allSettled(Array.from({ length: 20 }, () => model(kind).consume(id)));
      expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      for (const result of results) {
        if (result.status === 'rejected') expect(result.reason).toBeInstanceOf(Refusal);
      }
    });

    it('shows: the record has `consumed` from then on', async () => {
      const id = await stored();
      expect(await model(kind).find(id)).not.toHaveProperty('consumed');
      await model(kind).consume(id);
      expect(await model(kind).find(id)).toMatchObject({ consumed: now() });
    });

    it('is refused for what is not there', async () => {
      await expect(model(kind).consume(fresh(kind))).rejects.toBeInstanceOf(Refusal);
    });
  });

  it('a record that is stored again stays consumed', async () => {
    const id = fresh('device code');
    const payload = { ...granted(), jti: id, kind: 'DeviceCode' };
    await model('DeviceCode').upsert(id, payload, 60);
    await model('DeviceCode').consume(id);
    await model('DeviceCode').upsert(id, { ...payload, error: 'access_denied' }, 60);
    expect(await model('DeviceCode').find(id)).toMatchObject({ error: 'access_denied', consumed: now() });
    await expect(model('DeviceCode').consume(id)).rejects.toBeInstanceOf(errors.InvalidGrant);
  });
});
