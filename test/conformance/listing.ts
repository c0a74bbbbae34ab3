import assert from 'node:assert/strict';
import type { AccessTokenStore, GrantEntry, Selector, StoredGrant, TokenKey } from '../../functions/domain/ports.ts';
import type { Case } from './harness.ts';
import { DAY, issue, many, newAccess, newAttempt, newGrant, newName, newSuccessor, rotate, same } from './records.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const ids = (grants: readonly GrantEntry[]) => grants.map(({ grant }) => hex(grant.grantId));

/** Every page, and what happens between two of them. */
async function allGrants(
  accessTokens: AccessTokenStore,
  selector: Selector,
  limit: number,
  between: (page: number) => Promise<void> = async () => {},
): Promise<GrantEntry[]> {
  const seen: GrantEntry[] = [];
  let after: string | undefined;
  for (let page = 0; ; page += 1) {
    const { grants, next } = await accessTokens.listGrants(selector, {
      limit,
      ...(after !== undefined && { after }),
    });
    assert.ok(grants.length <= limit, `${grants.length} on a page of ${limit}`);
    seen.push(...grants);
    if (next === undefined) return seen;
    after = next;
    await between(page);
  }
}

export const cases: Case[] = [
  {
    guarantee: 'port',
    name: 'all that a selector names must match; nothing matching is an empty page',
    async run(stage) {
      const { accessTokens } = stage;
      const [subject, clientId, applicationId, consentId] = many(4, (index) => newName(`name ${index}`));
      assert.ok(subject && clientId && applicationId && consentId);
      const all = await issue(stage, { grant: { subject, clientId, applicationId, consentId } });
      const mine = await issue(stage, { grant: { subject, clientId } });
      const app = await issue(stage, { grant: { clientId, applicationId } });
      const rows: [Selector, (typeof all)[]][] = [
        [{ subject }, [all, mine]],
        [{ clientId }, [all, mine, app]],
        [{ applicationId }, [all, app]],
        [{ consentId }, [all]],
        [{ subject, clientId }, [all, mine]],
        [{ subject, applicationId }, [all]],
        [{ clientId, applicationId }, [all, app]],
        [{ clientId, consentId }, [all]],
        [{ subject, clientId, applicationId, consentId }, [all]],
        [{ subject, clientId: newName('client') }, []],
        [{ subject: newName('subject') }, []],
      ];
      for (const [selector, expected] of rows) {
        const { grants, next } = await accessTokens.listGrants(selector, { limit: 1000 });
        assert.deepEqual(ids(grants).toSorted(), expected.map(({ grant }) => hex(grant.grantId)).toSorted());
        assert.equal(next, undefined);
      }
    },
  },
  {
    guarantee: 'port',
    name: 'revoked and expired grants are listed too, with the refresh token that they have',
    async run(stage) {
      const { accessTokens, clock } = stage;
      const now = clock.now();
      const clientId = newName('client');
      const fields = { grant: { clientId } };
      const live = await issue(stage, fields);
      const expired = await issue(stage, { grant: { clientId, expiresAt: now + 1 }, refresh: { expiresAt: now + 1 } });
      const revoked = await issue(stage, fields);
      const rotated = await issue(stage, fields);
      const without = newGrant(now, { clientId });
      const successor = newSuccessor(now);
      await accessTokens.persist({ grant: without }, { now, attempt: newAttempt() });
      await accessTokens.revokeGrant(revoked.grant.grantId, { now: now + 2, retainUntil: revoked.grant.retainUntil });
      await rotate(accessTokens, rotated.grant, rotated.refreshKey, successor, { now });
      const grants = await allGrants(accessTokens, { clientId }, 2);
      const expected = [
        { grant: live.grant, refresh: live.refresh },
        { grant: expired.grant, refresh: expired.refresh },
        { grant: revoked.grant, revokedAt: now + 2, refresh: revoked.refresh },
        { grant: rotated.grant, refresh: successor.refresh },
        { grant: without },
      ];
      const byId = (one: { grant: { grantId: Uint8Array } }, two: { grant: { grantId: Uint8Array } }) =>
        Buffer.compare(one.grant.grantId, two.grant.grantId);
      same(grants.toSorted(byId), expected.toSorted(byId));
    },
  },
  {
    guarantee: 'port',
    name: 'pages of any size show every grant once, in a stable order',
    async run(stage) {
      const { accessTokens, clock } = stage;
      const now = clock.now();
      const clientId = newName('client');
      // Some of one second, some hours apart, stored in no order.
      const stored = many(23, (index) => newGrant(now - ((index * 7) % 23 < 12 ? 0 : index * 3601), { clientId }));
      for (const grant of stored) await accessTokens.persist({ grant }, { now, attempt: newAttempt() });
      const order = ids(await allGrants(accessTokens, { clientId }, 1000));
      assert.deepEqual(order.toSorted(), stored.map(({ grantId }) => hex(grantId)).toSorted());
      for (const limit of [1, 5, 22, 23, 24]) {
        assert.deepEqual(ids(await allGrants(accessTokens, { clientId }, limit)), order);
      }
    },
  },
  {
    guarantee: 'port',
    name: 'over changing data no grant is shown twice, and none that stays is missed',
    async run(stage) {
      const { accessTokens, clock, harness } = stage;
      const now = clock.now();
      const subject = newName('subject');
      const stays: string[] = [];
      const add = (at: number, retainUntil: number) =>
        accessTokens.persist(
          { grant: newGrant(at, { subject, retainUntil }) },
          { now, attempt: newAttempt(), authorizedAtMs: clock.nowMs() },
        );
      const rotating: { grant: StoredGrant; key: TokenKey }[] = [];
      for (let index = 0; index < 40; index += 1) {
        const grant = newGrant(now - index * 50, { subject });
        const { refresh } = newSuccessor(now);
        await accessTokens.persist({ grant, refresh }, { now, attempt: newAttempt() });
        stays.push(hex(grant.grantId));
        rotating.push({ grant, key: { digest: refresh.digest, grantId: grant.grantId } });
        if (index % 4 === 0) await add(now - index * 50, now + DAY);
      }
      const purges = harness.capabilities.purges.includes('grants');
      const seen = await allGrants(accessTokens, { subject }, 7, async (page) => {
        await add(now - page * 400, now + 3 * DAY);
        await add(now + page, now + 3 * DAY);
        if (page === 2 && purges) await accessTokens.purgeExpired({ now: now + DAY, limit: 10_000 });
        for (const { grant, key } of rotating.slice(page * 5, page * 5 + 5)) {
          if (page % 2) await rotate(accessTokens, grant, key, newSuccessor(now), { now });
          else await accessTokens.revokeGrant(grant.grantId, { now, retainUntil: grant.retainUntil });
        }
      });
      assert.equal(new Set(ids(seen)).size, seen.length);
      const shown = new Set(ids(seen));
      assert.deepEqual(
        stays.filter((id) => !shown.has(id)),
        [],
      );
    },
  },
  {
    guarantee: 'port',
    name: 'access tokens of a grant are listed page by page, every one once, and those of no other grant',
    async run(stage) {
      const { accessTokens, clock } = stage;
      const now = clock.now();
      const { grant, access } = await issue(stage);
      await issue(stage);
      const stored = [access];
      const options = () => ({ now, attempt: newAttempt(), retainUntil: grant.retainUntil });
      const add = async () => {
        const token = newAccess(now);
        await accessTokens.addAccess(grant.grantId, token, options());
        return token;
      };
      while (stored.length < 23) stored.push(await add());
      for (const [limit, changes] of [
        [1000, false],
        [23, false],
        [5, false],
        [1, false],
        [4, true],
      ] as const) {
        const seen: string[] = [];
        let after: string | undefined;
        do {
          const page = await accessTokens.listAccess(grant.grantId, { limit, ...(after !== undefined && { after }) });
          assert.ok(page.tokens.length <= limit);
          seen.push(...page.tokens.map(({ digest }) => hex(digest)));
          after = page.next;
          if (changes) await add();
        } while (after !== undefined);
        assert.equal(new Set(seen).size, seen.length);
        const shown = new Set(seen);
        assert.ok(stored.every(({ digest }) => shown.has(hex(digest))));
        if (!changes) assert.equal(seen.length, stored.length);
      }
      same(await accessTokens.listAccess(newGrant(now).grantId, { limit: 5 }), { tokens: [] });
    },
  },
];
