import { createHash, createHmac } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { signed } from '../../functions/stores/cassandra/sigv4.ts';
import { createEngine, type KeyspacesSettings } from '../../functions/stores/keyspaces.ts';
import { run } from '../engines/launch.ts';
import { startFakeKeyspaces } from './keyspaces-server.ts';

const folder = await mkdtemp(join(tmpdir(), 'keyspaces-'));
afterAll(() => rm(folder, { recursive: true }));
const file = (name: string) => join(folder, name);
await run([
  'openssl',
  'req',
  '-x509',
  ...[
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '2',
    '-subj',
    '/CN=localhost',
    '-addext',
    'subjectAltName=DNS:localhost',
  ],
  ...['-keyout', file('key.pem'), '-out', file('cert.pem')],
]);
const [key, cert] = await Promise.all([readFile(file('key.pem'), 'utf8'), readFile(file('cert.pem'), 'utf8')]);

const NONCE = '91703fdc2ef562e19fbdab0f58e42fe5';
const NOW_MS = Date.UTC(2026, 0, 2, 3, 4, 5);
const temporary = {
  accessKeyId: 'ASIAEXAMPLE',
  secretAccessKey: 'secret/of+the=role',
  sessionToken: 'token+of/the==role',
};

/** The service's side, written down from its documentation: whether an answer is signed with the secret of its key. */
function verifies(answer: string, secretOf: (accessKeyId: string) => string | undefined): boolean {
  const fields = Object.fromEntries(
    answer.split(',').map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
  );
  const { signature, access_key: accessKey = '', amzdate = '', session_token: session } = fields;
  const secret = secretOf(accessKey);
  if (secret === undefined || session !== temporary.sessionToken) return false;
  if (Math.abs(Date.parse(amzdate) - NOW_MS) > 900_000) return false;
  const day = new Date(amzdate).toISOString().replace(/-|T.*/g, '');
  const escaped = (text: string) =>
    text.replace(/[/:]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
  const canonical = `PUT
/authenticate
X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=${accessKey}${escaped(`/${day}/eu-west-1/cassandra/aws4_request`)}&X-Amz-Date=${escaped(amzdate)}&X-Amz-Expires=900
host:cassandra

host
${createHash('sha256').update(NONCE).digest('hex')}`;
  const mac = (of: string | Buffer, said: string) => createHmac('sha256', of).update(said).digest();
  const signing = mac(mac(mac(mac(`AWS4${secret}`, day), 'eu-west-1'), 'cassandra'), 'aws4_request');
  const hash = createHash('sha256').update(canonical).digest('hex');
  const toSign = `AWS4-HMAC-SHA256\n${amzdate}\n${day}/eu-west-1/cassandra/aws4_request\n${hash}`;
  return signature === mac(signing, toSign).toString('hex');
}

const startServer = async () => {
  const server = await startFakeKeyspaces({ key, cert }, NONCE, (answer) =>
    verifies(answer, (id) => (id === temporary.accessKeyId ? temporary.secretAccessKey : undefined)),
  );
  afterAll(server.close);
  return server;
};
const settingsFor = (port: number, more: Partial<KeyspacesSettings> = {}): KeyspacesSettings => ({
  keyspace: 'oauth',
  region: 'eu-west-1',
  endpoint: `localhost:${port}`,
  trustedCertificates: cert,
  credentials: () => temporary,
  connectTimeoutMs: 1000,
  requestTimeoutMs: 500,
  ...more,
});
const purge = { now: 0, limit: 1 };

describe('the signature', () => {
  it('is the one of the vendor’s own plugins for their test values', () => {
    // https://github.com/aws/aws-sigv4-auth-cassandra-nodejs-driver-plugin, test/unit/sigv4-auth-signature_test.js
    const credentials = { accessKeyId: 'UserID-1', secretAccessKey: 'UserSecretKey-1' };
    expect(signed(`nonce=${NONCE}`, credentials, 'us-west-2', 1_591_742_511_000)).toBe(
      'signature=7f3691c18a81b8ce7457699effbfae5b09b4e0714ab38c1292dbdf082c9ddd87,access_key=UserID-1,amzdate=2020-06-09T22:41:51.000Z',
    );
  });

  it('is refused to be made for a challenge without a number', () => {
    expect(() => signed('password?', temporary, 'eu-west-1', 0)).toThrow(/asks for something else/);
  });
});

describe('a connection to Amazon Keyspaces', () => {
  it('is signed for with the credentials of the moment, the session’s token included', async () => {
    const server = await startServer();
    let asked = 0;
    const credentials = async () => {
      asked += 1;
      return temporary;
    };
    const engine = createEngine(settingsFor(server.port, { credentials }), () => NOW_MS);
    await engine.accessTokens.purgeExpired(purge);
    expect(server.signatures.length).toBeGreaterThan(0);
    expect(asked).toBe(server.signatures.length);
    await engine.close();
  });

  it.each<[string, Partial<KeyspacesSettings>]>([
    ['another secret', { credentials: () => ({ ...temporary, secretAccessKey: 'another' }) }],
    ['another Region', { region: 'eu-west-2' }],
    ['no credentials to be had', { credentials: () => Promise.reject(new Error('no role')) }],
    ['a server whose certificate nobody trusts', { trustedCertificates: '' }],
  ])('fails with %s as unavailable, with the cause', async (_, more) => {
    const server = await startServer();
    const { trustedCertificates, ...others } = settingsFor(server.port, more);
    const settings = { ...others, ...(trustedCertificates && { trustedCertificates }) };
    const engine = createEngine(settings, () => NOW_MS);
    await expect(engine.accessTokens.purgeExpired(purge)).rejects.toMatchObject({ code: 'unavailable' });
    await engine.close();
  });

  it('fails for a certificate of another name', async () => {
    const server = await startServer();
    const engine = createEngine(settingsFor(server.port, { endpoint: `127.0.0.1:${server.port}` }), () => NOW_MS);
    await expect(engine.accessTokens.purgeExpired(purge)).rejects.toMatchObject({ code: 'unavailable' });
    expect(server.signatures).toEqual([]);
    await engine.close();
  });

  it('that was cut unnoticed while its function was frozen is replaced, and the call that meets it succeeds', async () => {
    const server = await startServer();
    let nowMs = NOW_MS;
    const engine = createEngine(settingsFor(server.port), () => nowMs);
    await engine.accessTokens.purgeExpired(purge);
    const before = server.signatures.length;
    server.freeze();
    nowMs += 120_000;
    await engine.accessTokens.purgeExpired(purge);
    expect(server.signatures.length).toBeGreaterThan(before);
    await engine.close();
  });

  it('that does not answer although it was used a moment ago is no reason to repeat the call', async () => {
    const server = await startServer();
    const engine = createEngine(settingsFor(server.port), () => NOW_MS);
    await engine.accessTokens.purgeExpired(purge);
    const before = server.signatures.length;
    server.freeze();
    await expect(engine.accessTokens.purgeExpired(purge)).rejects.toMatchObject({ code: 'timeout' });
    expect(server.signatures).toHaveLength(before);
    await engine.close();
  });
});
