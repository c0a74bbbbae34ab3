import { describe, expect, it } from 'vitest';
import { createExchangeCode } from '../../functions/handlers/exchange-code.ts';
import { createIssueCode } from '../../functions/handlers/issue-code.ts';
import { createIssueTokens } from '../../functions/handlers/issue-tokens.ts';
import { createListAccessTokens } from '../../functions/handlers/list-access-tokens.ts';
import { createListGrants } from '../../functions/handlers/list-grants.ts';
import { createLookupToken } from '../../functions/handlers/lookup-token.ts';
import { createRefreshTokens } from '../../functions/handlers/refresh-tokens.ts';
import { createRevokeAccessToken } from '../../functions/handlers/revoke-access-token.ts';
import { createRevokeGrants } from '../../functions/handlers/revoke-grants.ts';
import { ask, deployment, httpEvent, jsonEvent, START } from './deployment.ts';

async function administration() {
  const made = await deployment();
  const { runtime } = made;
  const issue = createIssueTokens(runtime);
  const listGrants = createListGrants(runtime);
  const listAccess = createListAccessTokens(runtime);
  const path = '/store/grants/{grant_id}/access_tokens';
  return {
    ...made,
    issue: async (changes: object = {}) => {
      const request = { client_id: 'web', grant_type: 'password', subject: 'alice', refresh_token: true, ...changes };
      return (await ask(issue, jsonEvent(request))).body;
    },
    refresh: async (refresh_token: string) =>
      (await ask(createRefreshTokens(runtime), jsonEvent({ client_id: 'web', refresh_token }))).body,
    list: (query: string) => ask(listGrants, httpEvent({ method: 'GET', path: '/store/grants', query })),
    listAccess: (grant_id: string, query = '') =>
      ask(listAccess, httpEvent({ method: 'GET', path, query, pathParameters: { grant_id } })),
    revoke: (body: object) => ask(createRevokeGrants(runtime), jsonEvent(body)),
    revokeAccess: (grant_id: string, digest: string) =>
      ask(createRevokeAccessToken(runtime), httpEvent({ method: 'DELETE', pathParameters: { grant_id, digest } })),
    outcome: async (token: string) => (await ask(createLookupToken(runtime), jsonEvent({ token }))).body.outcome,
  };
}

describe('list-grants', () => {
  it('shows what a grant stands for, and no token of it', async () => {
    const { issue, list } = await administration();
    const { grant_id, access_token, refresh_token } = await issue({ scope: 'a b', consent_id: 'c1' });
    const { status, body } = await list('subject=alice');
    expect(status).toBe(200);
    expect(body).toEqual({
      grants: [
        {
          grant_id,
          created_at: START,
          refresh_token: { expires_at: START + 43_200 },
          client_id: 'web',
          application_id: 'shop',
          consent_id: 'c1',
          subject: 'alice',
          grant_type: 'password',
          scope: 'a b',
        },
      ],
    });
    expect(JSON.stringify(body)).not.toContain(access_token);
    expect(JSON.stringify(body)).not.toContain(refresh_token);
  });

  it('gives every grant once, page by page', async () => {
    const { issue, list } = await administration();
    const ids = new Set<string>();
    for (let each = 0; each < 5; each += 1) ids.add((await issue()).grant_id);
    await issue({ subject: 'bob' });
    const seen: string[] = [];
    let after = '';
    do {
      const { body } = await list(`subject=alice&client_id=web&limit=2${after && `&after=${after}`}`);
      seen.push(...body.grants.map((grant: { grant_id: string }) => grant.grant_id));
      after = body.next ?? '';
    } while (after && seen.length <= ids.size);
    expect(seen.toSorted()).toEqual([...ids].toSorted());
  });

  it.each([
    ['', 'one or more of subject'],
    ['limit=10', 'one or more of subject'],
    ['subject=a&limit=0', 'limit: found text'],
    ['subject=a&limit=1001', 'limit: found text'],
    ['subject=a&limit=ten', 'limit: found text'],
    ['subject=a&subject=b', 'given twice'],
    ['subject=a&after=%00', 'after: found text'],
    ['subject=a&after=elsewhere', 'the store does not take'],
    ['subject=a&color=red', 'color: found text'],
  ])('refuses the query "%s"', async (query, description) => {
    const { list } = await administration();
    const { status, body } = await list(query);
    expect({ status, error: body.error }).toEqual({ status: 400, error: 'invalid_request' });
    expect(body.error_description).toContain(description);
  });
});

describe('list-access-tokens and revoke-access-token', () => {
  it('name the access tokens of a grant by their digests, and end one by it', async () => {
    const { issue, refresh, listAccess, revokeAccess, outcome, pass } = await administration();
    const first = await issue();
    pass(1);
    const second = await refresh(first.refresh_token);
    const { body } = await listAccess(first.grant_id);
    expect(body.access_tokens).toHaveLength(2);
    expect(body.access_tokens[0]).toEqual({
      digest: expect.stringMatching(/^[\w-]{22}$/),
      issued_at: START,
      expires_at: START + 3600,
    });
    expect((await revokeAccess(first.grant_id, body.access_tokens[0].digest)).body).toEqual({ outcome: 'revoked' });
    expect([await outcome(first.access_token), await outcome(second.access_token)]).toEqual(['revoked', 'active']);
    const { body: paged } = await listAccess(first.grant_id, 'limit=1');
    expect(paged).toMatchObject({ access_tokens: [{ revoked_at: START + 1 }], next: expect.any(String) });
    const { body: rest } = await listAccess(first.grant_id, `limit=1&after=${paged.next}`);
    expect(rest.access_tokens).toEqual([body.access_tokens[1]]);
  });

  it('refuse a path that names no grant or no digest', async () => {
    const { listAccess, revokeAccess, writes } = await administration();
    expect((await listAccess('../../etc')).status).toBe(400);
    expect((await revokeAccess('A'.repeat(16), 'short')).status).toBe(400);
    expect(writes).toEqual([]);
    expect((await revokeAccess('A'.repeat(16), 'A'.repeat(22))).body).toEqual({ outcome: 'unknown' });
  });
});

describe('revoke-grants', () => {
  it('ends one grant with all of its tokens', async () => {
    const { issue, revoke, outcome } = await administration();
    const [one, other] = [await issue(), await issue()];
    expect(await revoke({ grant_id: one.grant_id })).toMatchObject({ status: 200, body: { outcome: 'revoked' } });
    expect(await Promise.all([one.access_token, one.refresh_token, other.access_token].map(outcome))).toEqual([
      'revoked',
      'revoked',
      'active',
    ]);
  });

  it('ends the access tokens of a grant and lets its refresh token go on', async () => {
    const { issue, revoke, refresh, outcome, pass } = await administration();
    const issued = await issue();
    await revoke({ grant_id: issued.grant_id, access_tokens_only: true });
    expect(await outcome(issued.access_token)).toBe('revoked');
    pass(1);
    const { access_token } = await refresh(issued.refresh_token);
    expect(await outcome(access_token)).toBe('active');
  });

  it.each([
    [{ subject: 'alice' }, ['revoked', 'active', 'revoked'], 2],
    [{ client_id: 'web' }, ['revoked', 'revoked', 'active'], 2],
    [{ application_id: 'shop' }, ['revoked', 'revoked', 'active'], 2],
    [{ consent_id: 'c1' }, ['active', 'active', 'revoked'], 1],
    [{ subject: 'alice', client_id: 'web' }, ['revoked', 'active', 'active'], 1],
  ])('ends every grant of %j', async (selector, expected, grants) => {
    const { issue, revoke, outcome } = await administration();
    const issued = [
      await issue(),
      await issue({ subject: 'bob' }),
      await issue({ client_id: 'poster', consent_id: 'c1' }),
    ];
    expect((await revoke(selector)).body).toEqual({ outcome: 'revoked', grants });
    expect(await Promise.all(issued.map(({ access_token }) => outcome(access_token)))).toEqual(expected);
  });

  it('a code that was issued before a revocation gives no tokens after it', async () => {
    const { runtime, revoke } = await administration();
    const { body } = await ask(createIssueCode(runtime), jsonEvent({ client_id: 'web', subject: 'alice' }));
    await revoke({ subject: 'alice' });
    const exchange = { client_id: 'web', code: body.code, refresh_token: true };
    expect(await ask(createExchangeCode(runtime), jsonEvent(exchange))).toMatchObject({
      status: 400,
      body: { error: 'invalid_grant', outcome: 'revoked' },
    });
  });

  it.each([
    {},
    { access_tokens_only: true },
    { subject: 'alice', access_tokens_only: true },
    { subject: 'alice', grant_id: 'A'.repeat(16) },
    { subject: '' },
    { subjct: 'alice', client_id: 'web' },
    { grant_id: 'short' },
  ])('refuses %j, and ends nothing', async (body) => {
    const { revoke, writes } = await administration();
    expect(await revoke(body)).toMatchObject({ status: 400, body: { error: 'invalid_request' } });
    expect(writes).toEqual([]);
  });
});
