import { beforeAll, describe, expect, it } from 'vitest';
import type { Deployment } from './deployment.ts';
import { issueTokens } from './store-functions.ts';

// The APIs of another team behind the deployed authorizer: one way in which API Gateway asks it after the other.

const kinds = ['TOKEN', 'REQUEST', 'HTTP'] as const;

export const authorizers = (deployment: Deployment) =>
  describe('the authorizer', () => {
    let callOrders: (kind: (typeof kinds)[number], token?: string, method?: string) => Promise<Response>;

    beforeAll(async () => {
      const outputs = (await deployment.deployProtectedApi()).orders ?? {};
      callOrders = (kind, token, method = 'GET') => {
        // The address of a REST API is Amazon's own.
        const rest = `${deployment.endpoint}/restapis/${outputs[`Id${kind}`]}/prod/_user_request_`;
        const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
        return fetch(`${outputs[`Url${kind}`] ?? rest}/orders`, { method, headers });
      };
    });

    it.each(kinds)('%s: lets a good token through, and tells the API whose it is', async (kind) => {
      const { access_token } = await issueTokens(deployment);
      const answer = await callOrders(kind, access_token);
      expect(answer.status).toBe(200);
      expect(await answer.json()).toMatchObject({ client_id: 'shop', subject: 'alice', scope: 'orders:read' });
    });

    it.each(kinds)('%s: refuses no token, an unknown one, one for another route and a revoked one', async (kind) => {
      const { access_token } = await issueTokens(deployment);
      expect((await callOrders(kind)).status).toBe(401);
      expect((await callOrders(kind, 'A'.repeat(54))).status).toBe(401);
      expect((await callOrders(kind, access_token, 'POST')).status).toBe(403);
      expect((await callOrders(kind, access_token)).status).toBe(200);
      await deployment.store('POST', '/store/tokens/revoke', { token: access_token });
      expect((await callOrders(kind, access_token)).status).toBe(401);
    });

    it.each(kinds)('%s: while the stores are away it never says that a good token is bad', async (kind) => {
      const { access_token } = await issueTokens(deployment);
      const recover = await deployment.breakStores();
      try {
        const [during, lookup] = await Promise.all([
          callOrders(kind, access_token),
          deployment.store('POST', '/store/tokens/lookup', { token: access_token }),
        ]);
        expect(during.status).toBeGreaterThanOrEqual(500);
        expect(lookup).toMatchObject({ status: expect.toSatisfy((status: number) => status >= 500) });
      } finally {
        await recover();
      }
      expect((await callOrders(kind, access_token)).status).toBe(200);
    });
  });
