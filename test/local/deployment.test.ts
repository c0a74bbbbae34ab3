import { randomBytes, scryptSync } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  client,
  clientsOf,
  configurationFile,
  freePort,
  type LocalServer,
  newFolder,
  postgresqlUrl,
  redirectUri,
  removeFolders,
  resourceServer,
  runToEnd,
  startServer,
  type Tokens,
} from './server.ts';

const bob = { name: 'bob', password: 'correct horse battery staple' };
const DATA_DIR = newFolder();
let PORT: string;
let server: LocalServer & ReturnType<typeof clientsOf>;

beforeAll(async () => {
  PORT = await freePort();
  const salt = randomBytes(16);
  const digest = scryptSync(bob.password, salt, 32);
  const OAUTH_STORES = configurationFile(({ accessTokenStores, localDeployment }) => {
    for (const store of Object.values(accessTokenStores)) store.purgeExpiredTokensEvery = 1;
    localDeployment.users.bob = {
      passwordDigest: `scrypt:${salt.toString('base64url')}:${digest.toString('base64url')}`,
    };
  });
  const started = await startServer({ PORT, DATA_DIR, OAUTH_STORES });
  server = { ...started, ...clientsOf(started.url) };
});

afterAll(async () => {
  await server.stop('SIGKILL');
  removeFolders();
});

const times = <T>(count: number, call: () => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, call));

describe('the local deployment', () => {
  it('passes the demo, more than once', async () => {
    for (const _ of [1, 2]) {
      const { exitCode, output } = await runToEnd('demo', { PORT });
      expect(output).toMatch(/^(✓ .*\n)+$/);
      expect(exitCode).toBe(0);
    }
  });

  it('has a demo that says so when no server runs', async () => {
    const { exitCode, output } = await runToEnd('demo', { PORT: await freePort() });
    expect(output).toMatch(/^✗ no authorization server answers at .*npm start.*\n$/);
    expect(exitCode).toBe(1);
  });

  it('announces a command that gives a token the API accepts', async () => {
    const command = /curl -K (\S+) (.*) (\S+)$/m.exec(server.output()) ?? [];
    const [, file = '', data = '', url = ''] = command;
    const [, id = '', secret = ''] = /^user = "(.*):(.*)"$/m.exec(readFileSync(file, 'utf8')) ?? [];
    const body = data.replaceAll('-d ', '').replaceAll(' ', '&');
    const answer = await fetch(url, {
      method: 'POST',
      headers: {
        authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
        'content-type': 'application/x-www-form-urlencoded',
      },
      body,
    });
    expect((await callApi(((await answer.json()) as Tokens).access_token)).status).toBe(200);
  });

  it('lets one of twenty parallel redemptions of a code win', async () => {
    const code = await server.authorize();
    const answers = await times(20, () => server.post('/token', code));
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, ...Array(19).fill(400)]);
    for (const answer of answers) {
      if (answer.status === 400) expect(await answer.json()).toMatchObject({ error: 'invalid_grant' });
      // The losers are a replay: what the winner got is revoked.
      else expect(await server.isActive(((await answer.json()) as Tokens).access_token)).toBe(false);
    }
  });

  it('gives twenty parallel refreshes of one refresh token the same pair', async () => {
    const { refresh_token } = await server.issue();
    const pairs = await times(20, async () => (await (await server.refresh(refresh_token)).json()) as Tokens);
    expect(new Set(pairs.map(({ access_token, refresh_token }) => `${access_token} ${refresh_token}`)).size).toBe(1);
    expect(await server.isActive(pairs[0]?.access_token ?? '')).toBe(true);
  });

  it('binds a token to the API that it was asked for', async () => {
    const resource = `${server.url}/protected`;
    const code = await server.authorize({ resource });
    const { access_token } = (await (await server.post('/token', code)).json()) as Tokens;
    const introspection = await server.post('/introspect', { token: access_token }, resourceServer);
    expect(await introspection.json()).toMatchObject({ active: true, aud: resource, scope: 'orders:read' });
    await expect(server.authorize({ resource: 'https://elsewhere.example/' })).rejects.toThrow('invalid_target');
  });

  it('wants PKCE of a public client, and refreshes for it', async () => {
    const asSpa = { client_id: 'example-spa' };
    await expect(server.authorize({ ...asSpa, code_challenge: '', code_challenge_method: '' })).rejects.toThrow(
      'invalid_request',
    );
    const redeem = (form: Record<string, string>) =>
      fetch(`${server.url}/token`, { method: 'POST', body: new URLSearchParams({ ...form, ...asSpa }) });
    const tokens = (await (await redeem(await server.authorize(asSpa))).json()) as Tokens;
    expect((await redeem({ grant_type: 'refresh_token', refresh_token: tokens.refresh_token })).status).toBe(200);
  });

  it('gives no code for a wrong password, for an unknown user, and to who cancels', async () => {
    for (const user of [
      { ...bob, password: 'wrong' },
      { name: 'nobody', password: 'x' },
      { name: 'toString', password: '' },
    ]) {
      await expect(server.authorize({}, user)).rejects.toThrow('status 422');
    }
    const { uid, cookie } = await openLogin();
    const cancelled = await answerLogin(uid, 'cancel', cookie);
    const back = await fetch(cancelled.headers.get('location') ?? '', { redirect: 'manual', headers: { cookie } });
    expect(back.headers.get('location')).toContain('error=access_denied');
  });

  it('takes a sign-in only with the cookie of the browser that began it', async () => {
    const [mine, other] = [await openLogin(), await openLogin()];
    for (const cookie of ['', other.cookie, `_interaction=${mine.uid}`]) {
      const answer = await answerLogin(mine.uid, 'login', cookie, bob);
      expect(answer.status).toBe(400);
      expect(await answer.text()).toContain('This sign-in has ended');
    }
    expect((await answerLogin(mine.uid, 'consent', mine.cookie)).status).toBe(404);
    expect((await answerLogin(mine.uid, 'login', mine.cookie, bob)).status).toBe(303);
  });

  it('answers no malformed request with 5xx', async () => {
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    const authorization = `Basic ${Buffer.from(`${resourceServer.id}:${resourceServer.secret}`).toString('base64')}`;
    const bodies: (string | Buffer)[] = [
      '',
      'token',
      'token=',
      'token=x&token=y',
      'access_token=x&access_token=y',
      'grant_type=authorization_code',
      'grant_type=authorization_code&code=x&redirect_uri=x&code_verifier=x',
      'grant_type=authorization_code&grant_type=refresh_token',
      'grant_type=refresh_token&refresh_token=%00%ff',
      'grant_type=refresh_token&refresh_token=ü',
      'grant_type=client_credentials&scope=%22',
      'grant_type=__proto__',
      '__proto__=x&constructor=y',
      '%',
      `token=${'x'.repeat(10_000)}`,
      `token=${'x'.repeat(100_000)}`,
      '{"token":"x"}',
      '{"token":',
      Buffer.of(0xff, 0xfe, 0x00),
    ];
    const headers: Record<string, string>[] = [
      {},
      form,
      { ...form, authorization },
      { ...form, authorization: 'Basic' },
      { ...form, authorization: 'Basic !!!!' },
      { ...form, authorization: `Basic ${Buffer.from('a%zz:b').toString('base64')}` },
      { authorization: 'Bearer' },
      { authorization: 'Bearer a b' },
      { authorization: `Bearer ${'x'.repeat(8000)}` },
      { 'content-type': 'application/json', authorization },
      { 'content-type': 'multipart/form-data; boundary=' },
      { 'content-type': '\xff' },
    ];
    const paths = ['/token', '/introspect', '/revoke', '/tokeninfo', '/protected', '/authorize', '/purge'];
    const queries = ['', '?', '?access_token=%zz', '?access_token=x&access_token=y', '?%ff=%ff', '?__proto__=x'];
    const seen: number[] = [];
    for (const path of [...paths, '/store/codes', '/store/grants/%zz/access_tokens', '/nowhere']) {
      for (const body of bodies) for (const each of headers) seen.push(await status('POST', path, each, body));
      for (const query of queries)
        for (const method of ['GET', 'DELETE', 'PUT', 'HEAD']) seen.push(await status(method, path + query));
    }
    expect(seen.filter((each) => each >= 500)).toEqual([]);
    expect(await status('POST', '/introspect', form, 'x'.repeat(70_000))).toBe(413);
    expect(await status('GET', '/protected?access_token=%zz')).toBe(400);
    expect(await status('GET', '/health', { 'x-long': 'x'.repeat(12_000) })).toBe(431);
    expect(await raw('GET http://[ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')).toMatch(/^HTTP\/1.1 4/);
    expect(await raw('GET //[ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')).toMatch(/^HTTP\/1.1 4/);
    expect(await raw('nonsense\r\n\r\n')).toMatch(/^HTTP\/1.1 400/);
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
  });

  it('keeps what IAM guards in AWS to programs of this machine', async () => {
    expect(await status('POST', '/purge', { host: `localhost:${PORT}` })).toBe(200);
    expect(await status('POST', '/purge', { host: 'rebound.example' })).toBe(403);
    expect(await status('GET', '/store/grants?subject=alice', { host: `rebound.example:${PORT}` })).toBe(403);
  });

  it('purges each store at the interval of its own', async () => {
    const purges = () => server.output().match(/^.*"purged what has expired".*$/gm) ?? [];
    const before = purges().length;
    await vi.waitFor(() => expect(purges().length).toBeGreaterThan(before + 1), { timeout: 20_000 });
    for (const line of purges().slice(before)) {
      expect(line).toContain('"accessTokenStores.');
      expect(line).not.toContain('"artifactStores.');
    }
  });

  it('shows a code that arrives, and puts nothing else into its command', async () => {
    const page = async (query: string) => (await fetch(`${server.url}/callback?${query}`)).text();
    expect(await page('code=abc_-1')).toContain('-d code=abc_-1 ');
    for (const query of ['code=$(id)', 'code=a%0Ab', 'error=access_denied', '']) {
      expect(await page(query)).not.toContain('curl');
    }
    expect(await page('error=x&error_description=<script>')).not.toContain('<script>');
  });

  describe('after traffic', () => {
    let secrets: string[];

    beforeAll(async () => {
      const code = await server.authorize({}, bob);
      const first = (await (await server.post('/token', code)).json()) as Tokens;
      const second = (await (await server.refresh(first.refresh_token)).json()) as Tokens;
      await server.post('/token', code); // replayed
      await server.refresh(second.refresh_token); // revoked
      await callApi(second.access_token);
      await callApi('', `?access_token=${first.access_token}`);
      await server.post('/revoke', { token: second.refresh_token });
      await server.post('/introspect', { token: first.access_token }, { id: client.id, secret: 'a wrong secret' });
      const presented = [code.code, code.code_verifier ?? '', bob.password, 'a wrong secret'];
      const issued = [first, second].flatMap(({ access_token, refresh_token }) => [access_token, refresh_token]);
      secrets = [...presented, ...issued, client.secret, resourceServer.secret];
    });

    it('has no token, code, secret or password in its output', () => {
      for (const secret of secrets) expect(server.output()).not.toContain(secret);
    });

    (postgresqlUrl ? () => {} : it)('has none on disk', () => {
      const files = filesIn(join(DATA_DIR, 'oauth_db'));
      expect(files.length).toBeGreaterThan(100);
      for (const secret of secrets) expect(files.filter((file) => file.includes(secret))).toEqual([]);
    });
  });
});

const callApi = (token: string, query = '') =>
  fetch(`${server.url}/protected${query}`, { headers: token ? { authorization: `Bearer ${token}` } : {} });

/** A browser before its login page. */
async function openLogin() {
  const parameters = { client_id: client.id, response_type: 'code', redirect_uri: redirectUri, scope: 'orders:read' };
  const opened = await fetch(`${server.url}/authorize?${new URLSearchParams(parameters)}`, { redirect: 'manual' });
  const cookie = opened.headers
    .getSetCookie()
    .map((each) => each.split(';')[0])
    .join('; ');
  return { uid: opened.headers.get('location')?.split('/').at(-1) ?? '', cookie };
}

const answerLogin = (uid: string, answer: string, cookie: string, form: Record<string, string> = {}) =>
  fetch(`${server.url}/interaction/${uid}/${answer}`, {
    method: 'POST',
    redirect: 'manual',
    headers: { cookie },
    body: new URLSearchParams(form),
  });

const filesIn = (folder: string): Buffer[] =>
  readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => readFileSync(join(parentPath, name)));

/** With headers that fetch would not send. */
const status = (method: string, path: string, headers: Record<string, string> = {}, body: string | Buffer = '') =>
  new Promise<number>((resolve, reject) => {
    const length = body.length > 0 && { 'content-length': Buffer.byteLength(body) };
    const sent = httpRequest({ host: '127.0.0.1', port: PORT, method, path, headers: { ...headers, ...length } });
    sent.on('response', (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode ?? 0));
    });
    sent.on('error', reject);
    sent.end(body);
  });

const raw = (text: string) =>
  new Promise<string>((resolve, reject) => {
    let answer = '';
    const socket = connect(Number(PORT), '127.0.0.1', () => socket.write(text));
    socket.on('data', (chunk) => {
      answer += chunk;
    });
    socket.on('close', () => resolve(answer));
    socket.on('error', reject);
  });
