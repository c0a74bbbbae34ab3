import { randomUUID } from 'node:crypto';
import { Client, errors, types } from 'cassandra-driver';
import { afterAll, afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Engine, StoredGrant } from '../../functions/domain/ports.ts';
import { passwordCredentials } from '../../functions/stores/cassandra/authentication.ts';
import { applySchema, keyspaceScript } from '../../functions/stores/cassandra/schema.ts';
import { type CassandraSettings, clientOptions, createEngine } from '../../functions/stores/cassandra.ts';
import { createVirtualClock } from '../conformance/index.ts';
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
  newRefresh,
  newSuccessor,
  rotate,
} from '../conformance/records.ts';
import { createKeyspace, hosts, lendKeyspace, serverUrl } from './cassandra-server.ts';
import { describeOn } from './describe-on.ts';

const clock = createVirtualClock(Date.now());
const keyspace = `settings_${randomUUID().slice(0, 8)}`;
const settings: CassandraSettings = { hosts, keyspace, readConsistency: 'QUORUM', writeConsistency: 'QUORUM' };
if (serverUrl !== undefined) await lendKeyspace(settings);
const onServer = describeOn(serverUrl);

const opened: Engine[] = [];
const open = (more: Partial<CassandraSettings> = {}) => {
  const engine = createEngine({ ...settings, ...more }, clock.nowMs);
  opened.push(engine);
  return engine;
};
afterAll(() => Promise.all(opened.map((engine) => engine.close())));
afterEach(() => {
  vi.restoreAllMocks();
});

describe('the schema', () => {
  it('has a keyspace of the strategy and the factors that are asked for', () => {
    expect(keyspaceScript('oauth', { strategy: 'SimpleStrategy', factor: 3 })).toBe(
      `CREATE KEYSPACE IF NOT EXISTS "oauth" WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 3}`,
    );
    expect(keyspaceScript('oauth', { strategy: 'NetworkTopologyStrategy', factors: { eu: 3, "o'us": 2 } })).toBe(
      `CREATE KEYSPACE IF NOT EXISTS "oauth" WITH replication = {'class': 'NetworkTopologyStrategy', 'eu': 3, 'o''us': 2}`,
    );
  });

  it('says which password a connection sends, asked for anew', async () => {
    let asked = 0;
    const { initial } = passwordCredentials('user', async () => `password ${++asked}`);
    expect([String(await initial()), String(await initial())]).toEqual(['\0user\0password 1', '\0user\0password 2']);
  });
});

onServer('the schema on a node', () => {
  it('can be applied again, and leaves what is there', async () => {
    const { accessTokens } = open();
    const { accessKey } = await issue({ accessTokens, clock });
    await createKeyspace(settings);
    expect(await accessTokens.findAccess(accessKey, { now: clock.now() })).toMatchObject({ outcome: 'active' });
  });

  it('fails with a coded error where a statement is refused', async () => {
    const failing = applySchema({ ...clientOptions(settings), keyspace }, ['CREATE TABLE nothing (id blob)']);
    await expect(failing).rejects.toMatchObject({ code: expect.stringMatching(/invalid|unsupported/) });
  });

  it('is missed by a store as unsupported', async () => {
    const bare = `bare_${randomUUID().slice(0, 8)}`;
    onTestFinished(() => applySchema(clientOptions(settings), [`DROP KEYSPACE "${bare}"`]));
    await applySchema(clientOptions(settings), [keyspaceScript(bare, { strategy: 'SimpleStrategy', factor: 1 })]);
    const { authorizationCodes } = open({ keyspace: bare });
    await expect(authorizationCodes.find(newDigest(), { now: 0 })).rejects.toMatchObject({ code: 'unsupported' });
  });
});

onServer('what a process remembers', () => {
  it('of a grant or a code is given with what was decided, and nothing of one whose id another has since', async () => {
    let nowMs = clock.nowMs();
    const now = () => Math.floor(nowMs / 1000);
    const [one, other] = [1, 2].map(() => createEngine(settings, () => nowMs)) as [Engine, Engine];
    opened.push(one, other);
    const write = () => ({ now: now(), attempt: newAttempt() });
    const store = async (
      { accessTokens, authorizationCodes }: Engine,
      ids: { grantId: Uint8Array; digest: Uint8Array },
    ) => {
      const grant = newGrant(now(), { grantId: ids.grantId, retainUntil: now() + DAY });
      const code = newCode(now(), { digest: ids.digest, retainUntil: now() + DAY });
      const refresh = newRefresh(now());
      await accessTokens.persist({ grant, refresh }, write());
      await authorizationCodes.add(code, write());
      return { grant, refresh, code };
    };
    const useUp = async (
      { accessTokens, authorizationCodes }: Engine,
      { grant, refresh, code }: Awaited<ReturnType<typeof store>>,
    ) => {
      const successor = newSuccessor(now(), { retainUntil: now() + 2 * DAY });
      const rotated = await rotate(accessTokens, grant, keyOf(grant, refresh), successor, { now: now() });
      expect(rotated).toMatchObject({ outcome: 'rotated', grant: { ...grant, retainUntil: now() + 2 * DAY } });
      const { digest, binding } = code;
      expect(await authorizationCodes.redeem(digest, { binding, ...write() })).toEqual({ outcome: 'redeemed', code });
    };
    const ids = () => ({ grantId: newGrant(now()).grantId, digest: newDigest() });
    await useUp(one, await store(one, ids()));
    await useUp(one, await store(other, ids()));

    const same = ids();
    await store(one, same);
    nowMs += 2 * DAY * 1000;
    await useUp(one, await store(other, same));
  });
});

/** What is sent, with its levels, by the first words and the table of the statement. */
function watchLevels() {
  const levels = new Map<string, Set<string>>();
  const nameOf = (value: number | undefined) =>
    Object.keys(types.consistencies).find(
      (name) => types.consistencies[name as keyof typeof types.consistencies] === value,
    ) ?? 'none';
  const note = (
    query: string,
    { consistency, serialConsistency }: { consistency?: number; serialConsistency?: number },
  ) => {
    const what = `${query.slice(0, 6)} ${/(?:FROM|INTO|UPDATE) (\w+)/.exec(query)?.[1]}${/ IF /.test(query) ? ' IF' : ''}`;
    const level = / IF /.test(query) ? `${nameOf(consistency)}/${nameOf(serialConsistency)}` : nameOf(consistency);
    levels.set(what, (levels.get(what) ?? new Set()).add(level));
  };
  const { execute, batch } = Client.prototype;
  vi.spyOn(Client.prototype, 'execute').mockImplementation(function (this: Client, ...values: unknown[]) {
    const { consistency, ...options } = values[2] as { consistency?: number };
    // The driver takes ANY here for nothing said, and sends ONE.
    note(String(values[0]), { ...options, consistency: consistency || types.consistencies.one });
    return (execute as (...all: unknown[]) => Promise<types.ResultSet>).apply(this, values);
  } as never);
  vi.spyOn(Client.prototype, 'batch').mockImplementation(function (this: Client, ...values: unknown[]) {
    note((values[0] as { query: string }[])[0]?.query ?? '', values[1] as object);
    return (batch as (...all: unknown[]) => Promise<types.ResultSet>).apply(this, values);
  } as never);
  return levels;
}

onServer('consistency', () => {
  it('that a store is set to is that of its look-ups and new records; decisions and revocations never follow it', async () => {
    const engine = open({ readConsistency: 'ONE', writeConsistency: 'ANY' });
    const careful = open();
    const now = clock.now();
    const issued = await issue({ ...careful, clock });
    const code = newCode(now);
    await careful.authorizationCodes.add(code, { now, attempt: newAttempt() });
    const artifact = newArtifact(now);
    await careful.artifacts.put(artifact, { now });
    const levels = watchLevels();
    const during = async (call: () => Promise<unknown>) => {
      levels.clear();
      await call();
      return Object.fromEntries([...levels].map(([what, all]) => [what, [...all].join(' ')]));
    };
    const { accessTokens, authorizationCodes, artifacts, clientAccessTokens } = engine;
    const { grant, accessKey, refreshKey } = issued;
    const write = () => ({ now, attempt: newAttempt() });
    const retain = () => ({ ...write(), retainUntil: grant.retainUntil });

    expect(await during(() => accessTokens.findAccess(accessKey, { now }))).toEqual({ 'SELECT oauth_grant': 'one' });
    expect(await during(() => accessTokens.findRefresh(refreshKey, { now }))).toEqual({ 'SELECT oauth_grant': 'one' });
    expect(await during(() => clientAccessTokens.put(newClientToken(now)))).toEqual({
      'INSERT oauth_client_token': 'any',
    });
    expect(await during(() => authorizationCodes.add(newCode(now), write()))).toEqual({
      'UPDATE oauth_code IF': 'any/serial',
    });
    expect(await during(() => artifacts.put(newArtifact(now), { now }))).toEqual({
      'UPDATE oauth_artifact IF': 'any/serial',
    });
    expect(await during(() => accessTokens.addAccess(grant.grantId, newAccess(now), retain()))).toEqual({
      'UPDATE oauth_grant IF': 'any/serial',
    });
    expect(await during(() => accessTokens.persist({ grant: newGrant(now) }, write()))).toEqual({
      'UPDATE oauth_grant IF': 'any/serial',
      'INSERT oauth_owner': 'quorum',
      'INSERT oauth_owner_grant': 'quorum',
    });

    const { binding, digest } = code;
    expect(await during(() => authorizationCodes.redeem(digest, { binding, ...write() }))).toEqual({
      'UPDATE oauth_code IF': 'quorum/serial',
      'SELECT oauth_code': 'one', // of what never changes
    });
    const successor = newSuccessor(now);
    const decided = { 'UPDATE oauth_grant IF': 'quorum/serial' };
    // What the grant is this process has just found out.
    expect(await during(() => rotate(accessTokens, grant, refreshKey, successor, { now }))).toEqual(decided);
    const [next, stranger] = [keyOf(grant, successor.refresh), open().accessTokens];
    expect(await during(() => rotate(stranger, grant, next, newSuccessor(now), { now }))).toEqual({
      ...decided,
      'SELECT oauth_grant': 'one', // of what never changes, at whatever level it is set to
    });
    expect(await during(() => artifacts.consume(artifact.kind, artifact.id, write()))).toEqual({
      'UPDATE oauth_artifact IF': 'quorum/serial',
    });
    expect(await during(() => artifacts.putOnce(newArtifact(now), write()))).toEqual({
      'UPDATE oauth_artifact IF': 'quorum/serial',
    });
    const revoked = { 'SELECT oauth_grant': 'serial', 'UPDATE oauth_grant IF': 'quorum/serial' };
    expect(await during(() => accessTokens.revokeAccess(accessKey, { now }))).toEqual(revoked);
    expect(await during(() => accessTokens.revokeAccessOfGrant(grant.grantId, { now }))).toEqual(revoked);
    expect(await during(() => accessTokens.revokeRefresh(refreshKey, { now }))).toEqual(revoked);
    const bySubject = { nowMs: clock.nowMs(), retainUntil: now + DAY };
    expect(await during(() => accessTokens.revokeBy({ clientId: grant.clientId }, bySubject))).toEqual({
      'INSERT oauth_revocation': 'quorum',
      'SELECT oauth_owner': 'quorum',
      'SELECT oauth_owner_grant': 'quorum',
      'SELECT oauth_grant': 'serial',
    });
  });
});

/** The next lightweight transaction is carried out, or not, and then reported as one that timed out. */
function timeOutOnce(isCarriedOut: boolean) {
  let left = 1;
  for (const method of ['execute', 'batch'] as const) {
    const original = Client.prototype[method] as (...all: unknown[]) => Promise<types.ResultSet>;
    vi.spyOn(Client.prototype, method).mockImplementation(async function (this: Client, ...values: unknown[]) {
      const query = typeof values[0] === 'string' ? values[0] : ((values[0] as { query: string }[])[0]?.query ?? '');
      if (left === 0 || !/ IF /.test(query)) return original.apply(this, values);
      left -= 1;
      if (isCarriedOut) await original.apply(this, values);
      throw Object.assign(new errors.ResponseError(types.responseErrorCodes.writeTimeout, 'CAS'), { writeType: 'CAS' });
    } as never);
  }
}

onServer('a lightweight transaction that times out', () => {
  it.each([true, false])(
    'is resolved, and its caller told the same as if it had been answered; carried out: %s',
    async (isCarriedOut) => {
      const engine = open();
      const { accessTokens, authorizationCodes, artifacts } = engine;
      const now = clock.now();
      const once = async <T>(call: () => Promise<T>): Promise<T> => {
        timeOutOnce(isCarriedOut);
        const result = await call();
        vi.restoreAllMocks();
        return result;
      };
      const code = newCode(now);
      const { binding, digest } = code;
      const write = () => ({ now, attempt: newAttempt() });
      await once(() => authorizationCodes.add(code, write()));
      expect(await once(() => authorizationCodes.redeem(digest, { binding, ...write() }))).toMatchObject({
        outcome: 'redeemed',
      });
      expect(await authorizationCodes.redeem(digest, { binding, ...write() })).toMatchObject({ outcome: 'replayed' });
      expect(await once(() => authorizationCodes.remove(digest))).toBe(true);

      const grant = newGrant(now);
      const { grantId, retainUntil } = grant;
      const [access, refresh] = [newAccess(now), newRefresh(now)];
      expect(await once(() => accessTokens.persist({ grant, access, refresh }, write()))).toBe('persisted');
      const successor = newSuccessor(now);
      const rotated = await once(() => rotate(accessTokens, grant, keyOf(grant, refresh), successor, { now }));
      expect(rotated).toMatchObject({ outcome: 'rotated', sealed: successor.sealed });
      expect((await accessTokens.listAccess(grantId, { limit: 9 })).tokens).toHaveLength(2);
      const further = newAccess(now);
      expect(await once(() => accessTokens.addAccess(grantId, further, { ...write(), retainUntil }))).toBe('added');
      expect(await once(() => accessTokens.revokeAccess(keyOf(grant, further), { now }))).toBe(true);
      expect(await once(() => accessTokens.revokeRefresh(keyOf(grant, refresh), { now }))).toBe(true);
      expect(await accessTokens.revokeRefresh(keyOf(grant, refresh), { now })).toBe(false);

      const artifact = newArtifact(now);
      const { kind, id } = artifact;
      await once(() => artifacts.put(artifact, { now }));
      expect(await once(() => artifacts.consume(kind, id, write()))).toBe(true);
      expect(await artifacts.consume(kind, id, write())).toBe(false);
      expect(await once(() => artifacts.remove(kind, id))).toBe(true);
      const jti = newArtifact(now);
      expect(await once(() => artifacts.putOnce(jti, write()))).toBe(true);
      expect(await artifacts.putOnce(jti, write())).toBe(false);
    },
  );
});

onServer('a grant that is on its way when it is revoked', () => {
  it('is barred, or revoked, when it comes between its look at the marks and its storing', async () => {
    const [coming, ending] = [open(), open()];
    const now = clock.now();
    const nowMs = clock.nowMs();
    const ways: [string, (grant: StoredGrant) => Promise<unknown>][] = [
      ['barred', ({ subject = '' }) => ending.accessTokens.revokeBy({ subject }, { nowMs, retainUntil: now + DAY })],
      ['revoked', ({ grantId }) => ending.accessTokens.revokeGrant(grantId, { now, retainUntil: now + DAY })],
    ];
    for (const [expected, revoke] of ways) {
      const grant = newGrant(now);
      const execute = Client.prototype.execute as (...all: unknown[]) => Promise<types.ResultSet>;
      vi.spyOn(Client.prototype, 'execute').mockImplementation(async function (this: Client, ...values: unknown[]) {
        const result = await execute.apply(this, values);
        if (/FROM oauth_revocation/.test(String(values[0]))) {
          vi.restoreAllMocks();
          await revoke(grant);
        }
        return result;
      } as never);
      const access = newAccess(now);
      const options = { now, attempt: newAttempt(), authorizedAtMs: nowMs };
      expect(await coming.accessTokens.persist({ grant, access }, options)).toBe(expected);
      expect(await coming.accessTokens.findAccess(keyOf(grant, access), { now })).toEqual({ outcome: 'unknown' });
      // One that is authorized later is not concerned by the bar.
      const later = { now, attempt: newAttempt(), authorizedAtMs: nowMs + 1 };
      expect(await coming.accessTokens.persist({ grant, access }, later)).toBe(
        expected === 'barred' ? 'persisted' : expected,
      );
    }
  });
});
