import { randomBytes } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type ValkeyUser, valkeyUsers } from '../../functions/config/valkey-users.ts';
import type { Engine } from '../../functions/domain/ports.ts';
import { createEngine, type ValkeySettings } from '../../functions/stores/valkey.ts';
import { conformance, createVirtualClock, type Harness } from '../conformance/index.ts';
import {
  accessOutcome,
  HOUR,
  issue,
  keyOf,
  newArtifact,
  newAttempt,
  newClientToken,
  newCode,
  newDigest,
  newSuccessor,
  rotate,
} from '../conformance/records.ts';
import { describeOn } from './describe-on.ts';
import { given, nodesOf } from './valkey-server.ts';

// The users that a deployment makes, with their access strings as they are, on a real server.

const clock = createVirtualClock(Date.now());
const nodes = nodesOf(given ?? {});
const password = randomBytes(16).toString('hex');
const names = Object.keys(valkeyUsers) as ValkeyUser[];

const openAs = (user: ValkeyUser, settings: ValkeySettings = {}): Engine =>
  createEngine({ ...given, user, password, requestTimeoutMs: 10_000, ...settings }, clock.nowMs);

/** The themes of the suite that are about what stores do, each with its own scripts. */
const operations = [
  'fields',
  'authorization codes',
  'rotation',
  'expiry',
  'revocation',
  'duplicates',
  'listing',
  'artifacts',
  'client access tokens',
];

/** What the servers refused since the last time, as `user command`. */
async function refusals(): Promise<string[]> {
  const logs = await Promise.all(nodes.map((node) => node.call('acl', 'log') as Promise<string[][]>));
  await Promise.all(nodes.map((node) => node.call('acl', 'log', 'reset')));
  const fields = (entry: string[], field: string) => entry[entry.indexOf(field) + 1];
  return logs.flat().map((entry) => `${fields(entry, 'username')} ${fields(entry, 'object')}`);
}

it('the writer may run every command of the scripts', () => {
  const sources = globSync('functions/stores/valkey/scripts/*.ts').map((file) => readFileSync(file, 'utf8'));
  const called = new Set(
    sources.flatMap((text) => [...text.matchAll(/redis\.call\('(\w+)'/g)].map(([, name = '']) => name)),
  );
  expect(called.size).toBeGreaterThan(8);
  const permitted = valkeyUsers.writer.split(' ');
  expect([...called].filter((name) => !permitted.includes(`+${name.toLowerCase()}`))).toEqual([]);
});

describeOn(given)('as a user of the deployment', () => {
  let engines: Record<ValkeyUser, Engine>;
  beforeAll(async () => {
    for (const node of nodes) {
      for (const name of names) {
        await node.call('acl', 'setuser', name, 'reset', ...valkeyUsers[name].split(' '), `>${password}`);
      }
    }
    await refusals();
    engines = { reader: openAs('reader'), writer: openAs('writer'), purger: openAs('purger') };
  });
  afterAll(async () => {
    for (const engine of Object.values(engines)) await engine.close();
    for (const node of nodes) {
      await node.call('acl', 'deluser', ...names);
      node.disconnect();
    }
  });

  it('the writer does everything that stores do, and nothing is refused', async () => {
    const harness: Harness = {
      open: async () => openAs('writer'),
      clock,
      capabilities: { concurrent: false, purges: [], purgeBatch: 1 },
    };
    const cases = conformance(harness).filter((each) => !each.omitted && operations.includes(each.theme));
    expect(new Set(cases.map(({ theme }) => theme)).size).toBe(operations.length);
    for (const { name, run } of cases) await run().catch((cause) => expect.fail(`${name}: ${cause}`));
    expect(await refusals()).toEqual([]);
  });

  it('the reader looks everything up, and can neither change nor end anything', async () => {
    const { accessTokens, authorizationCodes, artifacts, clientAccessTokens } = engines.writer;
    const now = clock.now();
    const { grant, accessKey, refreshKey } = await issue({ accessTokens, clock });
    const [code, artifact, token] = [newCode(now), newArtifact(now, { uid: newDigest() }), newClientToken(now)];
    await authorizationCodes.add(code, { now, attempt: newAttempt() });
    await artifacts.put(artifact, { now });
    await clientAccessTokens.put(token);

    const reader = engines.reader;
    expect(await accessOutcome(reader.accessTokens, accessKey, now)).toBe('active');
    expect((await reader.accessTokens.findRefresh(refreshKey, { now })).outcome).toBe('active');
    const { clientId } = grant;
    expect((await reader.accessTokens.listGrants({ clientId }, { limit: 10 })).grants).toHaveLength(1);
    expect((await reader.authorizationCodes.find(code.digest, { now })).outcome).toBe('active');
    expect((await reader.artifacts.findByUid(artifact.kind, artifact.uid ?? newDigest(), { now })).outcome).toBe(
      'active',
    );
    expect(await reader.clientAccessTokens.get(token.clientId, token.key, { now })).toBeDefined();
    expect(await refusals()).toEqual([]);

    const attempts = {
      issue: () => issue({ accessTokens: reader.accessTokens, clock }),
      rotate: () => rotate(reader.accessTokens, grant, refreshKey, newSuccessor(now), { now }),
      revoke: () => reader.accessTokens.revokeGrant(grant.grantId, { now, retainUntil: now + HOUR }),
      redeem: () =>
        reader.authorizationCodes.redeem(code.digest, { binding: code.binding, now, attempt: newAttempt() }),
      put: () => reader.artifacts.put(newArtifact(now), { now }),
      remove: () => reader.clientAccessTokens.remove(token.clientId, token.key),
    };
    for (const [name, attempt] of Object.entries(attempts)) {
      await expect(attempt(), name).rejects.toMatchObject({ code: 'unsupported' });
    }
    expect(new Set((await refusals()).map((each) => each.replace('evalsha', 'eval')))).toEqual(
      new Set(['reader eval']),
    );
    expect(await accessOutcome(accessTokens, accessKey, now)).toBe('active');
  });

  it('the purger learns how many keys there are, and reads none', async () => {
    const now = clock.now();
    const { accessTokens } = engines.purger;
    const { grant, access } = await issue({ accessTokens: engines.writer.accessTokens, clock });
    const report = await accessTokens.purgeExpired({ now, limit: 1000 });
    expect(report).toMatchObject({ removed: {}, more: false, backlog: { precision: 'estimated' } });
    expect(await refusals()).toEqual([]);
    await expect(accessTokens.findAccess(keyOf(grant, access), { now })).rejects.toMatchObject({ code: 'unsupported' });
    expect(await refusals()).toEqual(['purger get']);
  });
});
