import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createUser } from './aws.ts';
import type { Answer, Deployment } from './deployment.ts';

// The store functions over HTTP, as an authorization server in any language calls them.

/** Twenty callers at once. One whom nobody answered in time, on a machine that has other work too, asks again. */
const twentyTimes = (call: (attempt: string) => Promise<Answer>): Promise<Answer[]> =>
  Promise.all(
    Array.from({ length: 20 }, async () => {
      const attempt = randomBytes(16).toString('base64url');
      for (let tries = 5; ; tries -= 1) {
        const answer = await call(attempt);
        if (answer.status < 500 || tries === 1) return answer;
      }
    }),
  );

const redirectUri = 'https://shop.example/callback';

/** What an authorization server does once the resource owner has consented: gives the request that redeems the code. */
async function issueCode(deployment: Deployment, scope = 'orders:read', subject = 'alice') {
  const verifier = randomBytes(32).toString('base64url');
  const { status, body } = await deployment.store('POST', '/store/codes', {
    client_id: 'shop',
    subject,
    scope,
    redirect_uri: redirectUri,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    attributes: { tenant: 'blue' },
  });
  expect({ status, body }).toMatchObject({
    status: 201,
    body: { outcome: 'issued', expires_in: expect.closeTo(600, -1) },
  });
  const { code } = body as { code: string };
  return { code, client_id: 'shop', redirect_uri: redirectUri, code_verifier: verifier, refresh_token: true };
}

export interface Tokens {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly grant_id: string;
}

/** The tokens of a new grant. */
export async function issueTokens(deployment: Deployment, scope?: string, subject?: string): Promise<Tokens> {
  const request = await issueCode(deployment, scope, subject);
  const { status, body } = await deployment.store('POST', '/store/codes/exchange', request);
  expect(status).toBe(200);
  return body as unknown as Tokens;
}

const lookUp = async (deployment: Deployment, token: string) =>
  (await deployment.store('POST', '/store/tokens/lookup', { token })).body;

const refresh = (deployment: Deployment, token: string) =>
  deployment.store('POST', '/store/tokens/refresh', { refresh_token: token, client_id: 'shop' });

export const storeFunctions = (deployment: Deployment) =>
  describe('the store functions', () => {
    it('a code becomes tokens, which show who granted what to whom', async () => {
      const request = await issueCode(deployment);
      const { status, body } = await deployment.store('POST', '/store/codes/exchange', request);
      expect(status).toBe(200);
      expect(body).toMatchObject({ token_type: 'Bearer', expires_in: expect.closeTo(3600, -1), scope: 'orders:read' });
      const { access_token } = body as { access_token: string };
      expect(access_token).toHaveLength(54);
      expect(await lookUp(deployment, access_token)).toMatchObject({
        active: true,
        authentication: {
          client_id: 'shop',
          subject: 'alice',
          application_id: 'orders',
          attributes: { tenant: 'blue' },
        },
      });
    });

    it('of twenty who redeem one code at once exactly one wins; the replays end its tokens', async () => {
      const request = await issueCode(deployment);
      const answers = await twentyTimes((attempt) =>
        deployment.store('POST', '/store/codes/exchange', { ...request, attempt }),
      );
      const [winner, ...others] = answers.toSorted((a, b) => a.status - b.status);
      expect(winner?.status).toBe(200);
      for (const { status, body } of others) {
        expect({ status, body }).toMatchObject({ status: 400, body: { error: 'invalid_grant', outcome: 'replayed' } });
      }
      const { access_token, refresh_token } = (winner?.body ?? {}) as unknown as Tokens;
      expect(await lookUp(deployment, access_token)).toMatchObject({ active: false, outcome: 'revoked' });
      expect((await refresh(deployment, refresh_token)).body).toMatchObject({ outcome: 'revoked' });
    });

    it('of twenty who refresh one token at once one rotates it, and all get the same pair', async () => {
      const tokens = await issueTokens(deployment);
      const answers = await twentyTimes(() => refresh(deployment, tokens.refresh_token));
      const outcomes = answers.map(({ body: { outcome, error } }) => outcome ?? error);
      expect(outcomes.filter((outcome) => outcome === 'rotated').length).toBeLessThanOrEqual(1);
      expect(new Set([...outcomes, 'rotated'])).toEqual(new Set(['rotated', 'retried']));
      const pairs = answers.map(({ body: { access_token, refresh_token } }) => `${access_token} ${refresh_token}`);
      expect(new Set(pairs).size).toBe(1);
      const { access_token } = (answers[0]?.body ?? {}) as unknown as Tokens;
      expect(await lookUp(deployment, access_token)).toMatchObject({ active: true });
    });

    it('a refresh token from before the last rotation is reused: whatever came of the grant is revoked', async () => {
      const first = await issueTokens(deployment);
      const second = (await refresh(deployment, first.refresh_token)).body as unknown as Tokens;
      const third = (await refresh(deployment, second.refresh_token)).body as unknown as Tokens;
      const { status, body } = await refresh(deployment, first.refresh_token);
      expect({ status, body }).toMatchObject({ status: 400, body: { error: 'invalid_grant', outcome: 'reused' } });
      expect(await lookUp(deployment, third.access_token)).toMatchObject({ active: false, outcome: 'revoked' });
      expect((await refresh(deployment, third.refresh_token)).body).toMatchObject({ outcome: 'revoked' });
    });

    it('what was revoked is inactive when the call has returned: one token, a grant, all of a subject', async () => {
      const one = await issueTokens(deployment);
      const revoked = await deployment.store('POST', '/store/tokens/revoke', { token: one.access_token });
      expect(revoked.body).toMatchObject({ outcome: 'revoked' });
      expect(await lookUp(deployment, one.access_token)).toMatchObject({ active: false });
      await deployment.store('POST', '/store/grants/revoke', { grant_id: one.grant_id });
      expect((await refresh(deployment, one.refresh_token)).body).toMatchObject({ outcome: 'revoked' });

      const grants = [await issueTokens(deployment, undefined, 'bob'), await issueTokens(deployment, undefined, 'bob')];
      const listed = await deployment.store('GET', '/store/grants?subject=bob');
      expect(listed.body.grants).toHaveLength(2);
      await deployment.store('POST', '/store/grants/revoke', { subject: 'bob' });
      for (const { access_token } of grants)
        expect(await lookUp(deployment, access_token)).toMatchObject({ active: false });
    });

    it('answers 403 to a request that is not signed, and to a caller whom nobody granted the API', async () => {
      const request = { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } };
      expect((await fetch(`${deployment.url}/store/codes`, request)).status).toBe(403);
      const stranger = await createUser(deployment.aws, 'stranger', []);
      const { status } = await deployment.store('POST', '/store/codes', { client_id: 'shop' }, stranger);
      expect(status).toBe(403);
    });
  });
