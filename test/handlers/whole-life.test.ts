import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createAuthorizer } from '../../functions/handlers/authorizer.ts';
import { createPurge } from '../../functions/handlers/purge.ts';
import { ask, basic, deployment, formEvent, httpEvent, jsonEvent, SECRET } from './deployment.ts';
import { creators } from './requests.ts';

const database = { storeIn: 'database', database: 'all' };

const onPostgresql = {
  accessTokenStores: { tokens: database },
  authorizationCodeStores: { codes: database },
  clientAccessTokenStores: { received: database },
  artifactStores: { artifacts: database },
  caches: {},
  databases: { all: { engine: 'postgresql', embedded: true } },
};

it('the whole life of a grant on PostgreSQL leaves no value in the log or in the database', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'whole-life-'));
  try {
    const { runtime, lines, pass } = await deployment(onPostgresql, directory);
    const call = (name: keyof typeof creators, body: object) => ask(creators[name](runtime), jsonEvent(body));
    const codeVerifier = 'v'.repeat(64);
    const { body: issued } = await call('issue-code', {
      client_id: 'web',
      subject: 'alice',
      scope: 'orders:read',
      code_challenge: createHash('sha256').update(codeVerifier).digest('base64url'),
      code_challenge_method: 'S256',
      parameters: { password: 'the password of alice', prompt: 'login' },
    });
    const exchange = { client_id: 'web', code: issued.code, code_verifier: codeVerifier, refresh_token: true };
    const first = await call('exchange-code', { ...exchange, attempt: 'A'.repeat(22) });
    expect(first.status).toBe(200);
    expect(await call('exchange-code', { ...exchange, attempt: 'A'.repeat(22) })).toEqual(first);

    const introspect = async (token: string) =>
      (await ask(creators.introspect(runtime), formEvent({ token }, basic('api')))).body;
    expect(await introspect(first.body.access_token)).toMatchObject({ active: true, sub: 'alice' });
    const information = formEvent({ access_token: first.body.access_token });
    expect((await ask(creators['token-information'](runtime), information)).body.user_id).toBe('alice');
    const authorization = { authorizationToken: `Bearer ${first.body.access_token}`, methodArn: 'arn/prod/GET/orders' };
    expect(await createAuthorizer(runtime)({ type: 'TOKEN', ...authorization })).toMatchObject({
      principalId: 'alice',
    });

    const refresh = { client_id: 'web', refresh_token: first.body.refresh_token };
    const second = await call('refresh-tokens', refresh);
    expect(second.body.outcome).toBe('rotated');
    expect((await call('refresh-tokens', refresh)).body).toMatchObject({
      outcome: 'retried',
      refresh_token: second.body.refresh_token,
    });
    const query = httpEvent({ method: 'GET', query: 'subject=alice' });
    expect((await ask(creators['list-grants'](runtime), query)).body.grants).toHaveLength(1);
    pass(60);
    expect((await call('refresh-tokens', refresh)).body).toMatchObject({ outcome: 'reused' });
    expect((await call('exchange-code', exchange)).body).toMatchObject({ outcome: 'replayed' });
    expect(await introspect(second.body.access_token)).toEqual({ active: false });
    pass(3 * 86_400);
    await createPurge(runtime)({});
    expect((await ask(creators['list-grants'](runtime), query)).body.grants).toHaveLength(0);

    const { code } = issued;
    const { access_token, refresh_token } = first.body;
    const values = [code, access_token, refresh_token, second.body.access_token, second.body.refresh_token];
    const secrets = [...values, SECRET, codeVerifier, 'the password of alice'];
    await runtime.stores.close();
    const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const bytes = files.map((entry) => readFileSync(join(entry.parentPath, entry.name)));
    expect(bytes.some((file) => file.includes('alice'))).toBe(true);
    for (const secret of secrets) {
      expect(lines.join()).not.toContain(secret);
      expect(bytes.some((file) => file.includes(secret))).toBe(false);
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
