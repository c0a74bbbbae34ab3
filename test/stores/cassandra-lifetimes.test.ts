import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Client } from 'cassandra-driver';
import { afterAll, describe, expect, it } from 'vitest';
import { statementsOf } from '../../functions/config/cassandra-tables.ts';
import type { Clock } from '../../functions/domain/clock.ts';
import type { Engine } from '../../functions/domain/ports.ts';
import { selectorKey } from '../../functions/domain/selector.ts';
import { type CassandraSettings, clientOptions, createEngine } from '../../functions/stores/cassandra.ts';
import { createVirtualClock } from '../conformance/index.ts';
import { everyOperation } from '../conformance/operations.ts';
import {
  DAY,
  issue,
  keyOf,
  newAccess,
  newArtifact,
  newAttempt,
  newClientToken,
  newCode,
  newDigest,
  newGrant,
  newSuccessor,
  rotate,
} from '../conformance/records.ts';
import { hosts, lendKeyspace } from './cassandra-server.ts';

// How long rows stand, and what they are good for when they stand longer than they should.

const clock = createVirtualClock(Date.now());
const keyspace = `lifetimes_${randomUUID().slice(0, 8)}`;
const settings: CassandraSettings = { hosts, keyspace, readConsistency: 'QUORUM', writeConsistency: 'QUORUM' };
await lendKeyspace(settings);

const opened: Engine[] = [];
const open = (at: Clock = clock.nowMs) => {
  const engine = createEngine(settings, at);
  opened.push(engine);
  return engine;
};
const client = new Client({ ...clientOptions(settings), keyspace });
const ask = async (query: string, params: unknown[] = []) =>
  (await client.execute(query, params, { prepare: true })).rows;
afterAll(() => Promise.all([client.shutdown(), ...opened.map((engine) => engine.close())]));

describe('everything that is written', () => {
  it('has an end, but for what never expires', async () => {
    const engine = open();
    const now = clock.now();
    for (const [, call] of everyOperation(now, await issue({ ...engine, clock }))) await call(engine);
    const { grant, refreshKey } = await issue({ ...engine, clock });
    await rotate(engine.accessTokens, grant, refreshKey, newSuccessor(now), { now });
    await issue({ ...engine, clock }, { access: { foreign: true }, refresh: { foreign: true } });
    const code = newCode(now);
    await engine.authorizationCodes.add(code, { now, attempt: newAttempt() });
    await engine.authorizationCodes.redeem(code.digest, { binding: code.binding, now, attempt: newAttempt() });
    const artifact = newArtifact(now, { uid: newDigest(), userCode: newDigest(), consentId: 'consent' });
    await engine.artifacts.put(artifact, { now });
    await engine.artifacts.consume(artifact.kind, artifact.id, { now, attempt: newAttempt() });
    await engine.clientAccessTokens.put(newClientToken(now));
    for (const script of ['oauth-server', 'oauth-client']) {
      const text = await readFile(new URL(`../../sql/cassandra/${script}.cql`, import.meta.url), 'utf8');
      for (const statement of statementsOf(text)) {
        const table = /EXISTS (\w+)/.exec(statement)?.[1] ?? '';
        const key = (/PRIMARY KEY \((.*)\)/.exec(statement)?.[1] ?? '').split(/\W+/);
        const columns = [...statement.matchAll(/^ {2}(\w+) [a-z]/gm)].map(([, name]) => String(name));
        const values = columns.filter((name) => !key.includes(name));
        if (values.length === 0) continue;
        const rows = await ask(
          `SELECT ${values.flatMap((name) => [name, `TTL(${name}) AS ttl_${name}`])} FROM ${table}`,
        );
        expect(rows.length, table).toBeGreaterThan(0);
        for (const row of rows) {
          for (const name of values)
            if (row[name] !== null) expect(row[`ttl_${name}`], `${table}.${name}`).toBeGreaterThan(0);
        }
      }
    }
  });
});

describe('what is kept of a grant', () => {
  const ttls = async (grantId: Uint8Array, subject = '') => {
    const [grant] = await ask(
      'SELECT TTL(grant_record) AS d, TTL(client_id) AS c, TTL(refresh_key) AS r, TTL(kept_until) AS k, TTL(refresh_record) AS s FROM oauth_grant WHERE grant_id = ? LIMIT 1',
      [grantId],
    );
    const pointers = await ask('SELECT TTL(client_id) AS p, grant_id, owner FROM oauth_owner_grant');
    const pointer = pointers.find(
      ({ grant_id, owner }) => Buffer.compare(grant_id, grantId) === 0 && selectorKey({ subject }).equals(owner),
    );
    return [grant?.d, grant?.c, grant?.r, grant?.k, grant?.s, pointer?.p].map(Number);
  };

  it('stays as long as the grant does, pointers too, however far its end moves', async () => {
    const { accessTokens } = open();
    const now = clock.now();
    const { grant, refreshKey } = await issue({ accessTokens, clock }, { grant: { retainUntil: now + DAY } });
    const { grantId, subject } = grant;
    let key = refreshKey;
    for (const days of [1, 3, 20, 60, 200]) {
      const retainUntil = now + days * DAY;
      if (days === 20) {
        await accessTokens.addAccess(grantId, newAccess(now), { now, attempt: newAttempt(), retainUntil });
      } else {
        const successor = newSuccessor(now, { retainUntil });
        expect(await rotate(accessTokens, grant, key, successor, { now })).toMatchObject({ outcome: 'rotated' });
        key = keyOf(grant, successor.refresh);
      }
      for (const ttl of await ttls(grantId, subject)) expect(ttl).toBeGreaterThan(days * DAY);
      for (const selector of [{ subject: String(subject) }, { clientId: grant.clientId }]) {
        const named = await ask('SELECT until FROM oauth_owner WHERE owner = ?', [selectorKey(selector)]);
        expect(Math.max(...named.map(({ until }) => Number(until)))).toBeGreaterThanOrEqual(retainUntil);
      }
      const { grants } = await accessTokens.listGrants({ clientId: grant.clientId }, { limit: 2 });
      expect(grants.map((each) => each.grant.retainUntil)).toEqual([retainUntil]);
      expect(await accessTokens.findRefresh(key, { now })).toMatchObject({ outcome: 'active' });
    }
  });

  it('is not shortened for the grant that stands by a second one of its id, which is refused', async () => {
    const { accessTokens } = open();
    const now = clock.now();
    const { grant } = await issue({ accessTokens, clock }, { grant: { retainUntil: now + 100 * DAY } });
    const second = newGrant(now, { ...grant, retainUntil: now + DAY });
    const refused = accessTokens.persist({ grant: second }, { now, attempt: newAttempt() });
    await expect(refused).rejects.toMatchObject({ code: 'conflict' });
    for (const ttl of await ttls(grant.grantId, grant.subject)) expect(ttl).toBeGreaterThan(100 * DAY);
  });

  it('is not outlived by its revocation, which ends with it and not before', async () => {
    const { accessTokens } = open();
    const now = clock.now();
    const { grant } = await issue({ accessTokens, clock }, { grant: { retainUntil: now + 300 * DAY } });
    await accessTokens.revokeGrant(grant.grantId, { now, retainUntil: now + DAY });
    const [row] = await ask('SELECT TTL(revoked_at) AS v FROM oauth_grant WHERE grant_id = ? LIMIT 1', [grant.grantId]);
    expect(row?.v).toBeGreaterThan(300 * DAY);
  });

  it('has no end where an artifact never expires, nor has its consumption', async () => {
    const { artifacts } = open();
    const now = clock.now();
    const { kind, id, data } = newArtifact(now);
    await artifacts.put({ kind, id, data }, { now });
    await artifacts.consume(kind, id, { now, attempt: newAttempt() });
    const ttls = 'SELECT TTL(put_id) AS p, TTL(consumed_at) AS u FROM oauth_artifact WHERE kind = ? AND id = ?';
    expect((await ask(ttls, [kind, id]))[0]).toMatchObject({ p: null, u: null });
    await artifacts.remove(kind, id);
  });

  it('is redeemed or consumed for as long as the code or artifact stands, however long that is', async () => {
    const { authorizationCodes, artifacts } = open();
    const now = clock.now();
    for (const days of [1, 90, 1000]) {
      const code = newCode(now, { retainUntil: now + days * DAY });
      await open().authorizationCodes.add(code, { now, attempt: newAttempt() });
      const { binding, digest } = code;
      expect(await authorizationCodes.redeem(digest, { binding, now, attempt: newAttempt() })).toMatchObject({
        outcome: 'redeemed',
      });
      const [row] = await ask('SELECT TTL(redemption) AS u FROM oauth_code WHERE code_digest = ?', [digest]);
      expect(row?.u).toBeGreaterThan(days * DAY);
      const artifact = newArtifact(now, { retainUntil: now + days * DAY });
      await open().artifacts.put(artifact, { now });
      expect(await artifacts.consume(artifact.kind, artifact.id, { now, attempt: newAttempt() })).toBe(true);
      const consumed = 'SELECT TTL(consumed_at) AS u FROM oauth_artifact WHERE kind = ? AND id = ?';
      const ttl = async () => (await ask(consumed, [artifact.kind, artifact.id]))[0]?.u;
      expect(await ttl()).toBeGreaterThan(days * DAY);
      await artifacts.put({ ...artifact, retainUntil: now + 2000 * DAY }, { now });
      expect(await ttl()).toBeGreaterThan(2000 * DAY);
    }
  });
});

describe('what is past its retainUntil by the store’s own clock', () => {
  it('is as good as removed, although its row stands, and can be stored anew', async () => {
    const now = clock.now();
    const early = open();
    const late = open(() => clock.nowMs() + DAY * 1000);
    const retainUntil = now + DAY;
    const foreign = true;
    const owner = { grant: { retainUntil }, access: { foreign }, refresh: { foreign } };
    const { grant, access, refresh, accessKey, refreshKey } = await issue({ ...early, clock }, owner);
    const further = newAccess(now, { expiresAt: now + 60 });
    await early.accessTokens.addAccess(grant.grantId, further, { now, attempt: newAttempt(), retainUntil });
    const ended = newGrant(now);
    await early.accessTokens.revokeGrant(ended.grantId, { now, retainUntil });
    const code = newCode(now, { retainUntil });
    const artifact = newArtifact(now, { retainUntil });
    await early.authorizationCodes.add(code, { now, attempt: newAttempt() });
    await early.authorizationCodes.redeem(code.digest, { binding: code.binding, now, attempt: newAttempt() });
    await early.artifacts.put(artifact, { now });
    await early.artifacts.consume(artifact.kind, artifact.id, { now, attempt: newAttempt() });

    const { accessTokens, authorizationCodes, artifacts } = late;
    const unknown = { outcome: 'unknown' };
    expect(await accessTokens.findAccess(accessKey, { now })).toEqual(unknown);
    expect(await accessTokens.findRefresh(refreshKey, { now })).toEqual(unknown);
    expect(await rotate(accessTokens, grant, refreshKey, newSuccessor(now), { now })).toEqual(unknown);
    expect(await accessTokens.listGrants({ clientId: grant.clientId }, { limit: 2 })).toEqual({ grants: [] });
    expect(await authorizationCodes.find(code.digest, { now })).toEqual(unknown);
    expect(await artifacts.find(artifact.kind, artifact.id, { now })).toEqual(unknown);
    expect(await artifacts.remove(artifact.kind, artifact.id)).toBe(false);

    const at = now + DAY;
    const anew = { grant: newGrant(at, { grantId: grant.grantId }), access: newAccess(at), refresh };
    expect(await accessTokens.persist(anew, { now: at, attempt: newAttempt() })).toBe('persisted');
    expect((await accessTokens.listAccess(grant.grantId, { limit: 9 })).tokens).toEqual([anew.access]);
    expect(await accessTokens.findAccess(keyOf(grant, further), { now: at })).toEqual(unknown);
    expect(await accessTokens.findAccess({ digest: access.digest, grantId: grant.grantId }, { now: at })).toEqual(
      unknown,
    );
    expect(await accessTokens.persist({ grant: ended }, { now: at, attempt: newAttempt() })).toBe('persisted');
    const again = newCode(at, { digest: code.digest });
    await authorizationCodes.add(again, { now: at, attempt: newAttempt() });
    expect(await authorizationCodes.find(code.digest, { now: at })).toEqual({ outcome: 'active', code: again });
    const put = newArtifact(at, { id: artifact.id });
    await artifacts.put(put, { now: at });
    expect(await artifacts.find(put.kind, put.id, { now: at })).toEqual({ outcome: 'active', artifact: put });
  });
});
