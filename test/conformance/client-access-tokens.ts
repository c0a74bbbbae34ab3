import assert from 'node:assert/strict';
import type { Case } from './harness.ts';
import { atOnce, HOUR, many, newClientToken, newName, rounds, same } from './records.ts';

export const cases: Case[] = [
  {
    guarantee: 'port',
    name: 'a token takes the place of the one before under its client and key, and of no other',
    async run({ clientAccessTokens, clock }) {
      const now = clock.now();
      const first = newClientToken(now);
      const { clientId, key } = first;
      const others = [
        newClientToken(now, { clientId }),
        newClientToken(now, { key }),
        newClientToken(now, { clientId, key: `${key} ` }),
        newClientToken(now, { clientId, key: key.toUpperCase() }),
        newClientToken(now, { clientId: clientId + key, key: '-' }),
      ];
      for (const token of [...others, first]) await clientAccessTokens.put(token);
      const second = newClientToken(now, { clientId, key, expiresAt: now + 2 * HOUR });
      await clientAccessTokens.put(second);
      for (const token of [second, ...others]) {
        same(await clientAccessTokens.get(token.clientId, token.key, { now }), token);
      }
    },
  },
  {
    guarantee: 'port',
    name: 'a removed token is absent; removing says whether there was one',
    async run({ clientAccessTokens, clock }) {
      const now = clock.now();
      const token = newClientToken(now);
      const { clientId, key } = token;
      const other = newClientToken(now, { clientId });
      assert.equal(await clientAccessTokens.get(clientId, key, { now }), undefined);
      assert.equal(await clientAccessTokens.remove(clientId, key), false);
      for (const each of [token, other]) await clientAccessTokens.put(each);
      assert.equal(await clientAccessTokens.remove(clientId, key), true);
      assert.equal(await clientAccessTokens.remove(clientId, key), false);
      assert.equal(await clientAccessTokens.get(clientId, key, { now }), undefined);
      same(await clientAccessTokens.get(clientId, other.key, { now }), other);
    },
  },
  {
    guarantee: 'port',
    name: 'twenty callers who put a token at once leave one of theirs, whole',
    async run(stage) {
      const now = stage.clock.now();
      for (let round = rounds(stage, 20); round > 0; round -= 1) {
        const [clientId, key] = [newName('client'), newName('subject')];
        const candidates = many(20, (index) => newClientToken(now, { clientId, key, expiresAt: now + HOUR + index }));
        await atOnce(stage, candidates, ({ clientAccessTokens }, token) => clientAccessTokens.put(token));
        const found = await stage.clientAccessTokens.get(clientId, key, { now });
        same(
          found,
          candidates.find(({ expiresAt }) => expiresAt === found?.expiresAt),
        );
      }
    },
  },
];
