import { randomBytes } from 'node:crypto';
import { type Clock, seconds } from '../../domain/clock.ts';
import type { ArtifactState, ArtifactStore, Digest, PurgeReport, StoredArtifact } from '../../domain/ports.ts';
import type { Cluster } from './cluster.ts';
import { type Consistency, chunks, createTurns } from './stores.ts';
import { NEVER, present, type Row, same, timeOf, ttlUntil } from './values.ts';

const WAYS = ['uid', 'user_code'] as const;
type Way = (typeof WAYS)[number];

const AT_ONCE = 50;

const rowOf = (artifact: Omit<StoredArtifact, 'uid' | 'userCode'> & Pick<StoredArtifact, 'uid' | 'userCode'>) => ({
  kind: artifact.kind,
  id: artifact.id,
  uid: artifact.uid ?? null,
  user_code: artifact.userCode ?? null,
  consent_id: artifact.consentId ?? null,
  expires_at: artifact.expiresAt ?? NEVER,
  retain_until: artifact.retainUntil ?? null,
  due_at: artifact.retainUntil ?? artifact.expiresAt ?? NEVER,
  artifact_data: artifact.data,
  put_id: randomBytes(8),
});

const artifactOf = (row: Row): StoredArtifact =>
  present({
    kind: row.kind,
    id: row.id,
    uid: row.uid,
    userCode: row.user_code,
    consentId: row.consent_id,
    expiresAt: timeOf(row.expires_at),
    retainUntil: row.retain_until,
    data: row.artifact_data,
  }) as unknown as StoredArtifact;

/** One that is past its time by the store's own clock is as good as removed; of one that was removed by its TTL, the mark of its consumption may be left. */
const isStanding = (row: Row | undefined, now: number): row is Row =>
  row?.put_id !== undefined && Number(row.due_at) > now;

/** Artifacts by kind and id. A second way in has a row of its own, which says whose it is, and its artifact must claim it. */
export function createArtifactStore(
  { statements, read, readOne, write, decide }: Cluster,
  level: Consistency,
  purgeExpired: () => Promise<PurgeReport>,
  clock: Clock,
): ArtifactStore {
  const stands = (row: Row | undefined): row is Row => isStanding(row, seconds(clock));
  /** How long artifacts that are consumed are kept, as far as this process has seen. */
  let horizonSeconds = 2 * 86_400;

  const holderOf = async (way: Way, kind: string, value: unknown) =>
    (await readOne(statements.findWay, { way, kind, value }, level.read))?.id;
  const lead = async (way: Way, values: ReturnType<typeof rowOf>, ttl: number) => {
    if (values[way] === null) return;
    const led = { way, kind: values.kind, value: values[way], id: values.id, ttl };
    if ('text' in statements.lead) await write(statements.lead, led, level.write);
    else await decide(statements.lead, led, level.write);
  };
  const follow = async (row: ReturnType<typeof rowOf>, ttl: number) => {
    const { kind, id, consent_id } = row;
    const consent = consent_id === null ? [] : [write(statements.putConsent, { consent_id, kind, id, ttl })];
    await Promise.all([...WAYS.map((way) => lead(way, row, ttl)), ...consent]);
  };

  /** What an artifact is, without the ways that now lead to another. */
  const stateOf = async (row: Row | undefined, now: number): Promise<ArtifactState> => {
    if (!stands(row)) return { outcome: 'unknown' };
    const taken = await Promise.all(
      WAYS.filter((way) => row[way] !== undefined).map(async (way) =>
        same(await holderOf(way, String(row.kind), row[way]), row.id) ? [] : [way],
      ),
    );
    const shown = Object.fromEntries(Object.entries(row).filter(([name]) => !taken.flat().includes(name as Way)));
    return {
      outcome: Number(row.expires_at) <= now ? 'expired' : 'active',
      artifact: artifactOf(shown),
      ...(row.consumed_at !== undefined && { consumedAt: Number(row.consumed_at) }),
    };
  };

  const findBy = async (way: Way, kind: string, value: Digest, now: number): Promise<ArtifactState> => {
    const id = await holderOf(way, kind, value);
    if (id === undefined) return { outcome: 'unknown' };
    const row = await readOne(statements.findArtifact, { kind, id }, level.read);
    return stateOf(same(row?.[way], value) ? row : undefined, now);
  };

  return {
    async put(artifact, { now }) {
      const row = rowOf(artifact);
      const ttl = ttlUntil(row.due_at, now);
      const store = async () => {
        // Its consumption is written anew with it, so that it is kept for as long.
        let consumed: Row = {};
        for (const turn = createTurns(); ; turn()) {
          const { seen_consumed_at = null, ...marks } = consumed;
          const { applied, seen } = await decide(
            statements.putArtifact,
            { ...row, ...marks, seen_consumed_at, ttl },
            level.write,
          );
          if (applied) return;
          const { consumed_at = null, consumed_by = null, due_at } = seen;
          const isOver = due_at === undefined || Number(due_at) <= seconds(clock);
          const kept = isOver ? { consumed_at: null, consumed_by: null } : { consumed_at, consumed_by };
          consumed = { ...kept, seen_consumed_at: consumed_at };
        }
      };
      await Promise.all([store(), follow(row, ttl)]);
    },

    async putOnce(artifact, { now, attempt }) {
      const row = { ...rowOf(artifact), attempt };
      const ttl = ttlUntil(row.due_at, now);
      await follow(row, ttl);
      let before: Row = {};
      for (const turn = createTurns(); ; turn()) {
        const gone = before.put_id === undefined ? {} : { consumed_at: null, consumed_by: null };
        const values = { ...row, ...gone, seen_put_id: before.put_id ?? null, ttl };
        const { applied, seen } = await decide(statements.putOnce, values);
        if (applied || same(seen.attempt, attempt)) return true;
        if (seen.put_id !== undefined && Number(seen.expires_at) > now) return false;
        before = seen;
      }
    },

    find: async (kind, id, { now }) => stateOf(await readOne(statements.findArtifact, { kind, id }, level.read), now),
    findByUid: (kind, uid, { now }) => findBy('uid', kind, uid, now),
    findByUserCode: (kind, userCode, { now }) => findBy('user_code', kind, userCode, now),

    async consume(kind, id, { now, attempt }) {
      const values = { kind, id, consumed_at: now, consumed_by: attempt, now };
      let keptUntil = now + horizonSeconds;
      for (const turn = createTurns(); ; turn()) {
        const ttl = ttlUntil(keptUntil, now);
        const { applied, seen } = await decide(statements.consume, { ...values, kept_until: keptUntil, ttl });
        if (applied) return true;
        if (seen.due_at === undefined || Number(seen.due_at) <= seconds(clock)) return false;
        if (Number(seen.expires_at) <= now) return false;
        if (seen.consumed_at !== undefined) return same(seen.consumed_by, attempt);
        keptUntil = Number(seen.due_at);
        if (keptUntil < NEVER) horizonSeconds = Math.max(horizonSeconds, keptUntil - now + 86_400);
      }
    },

    async remove(kind, id) {
      const { applied, repeated, seen } = await decide(statements.removeArtifact, { kind, id, now: seconds(clock) });
      return applied || (repeated && seen.due_at === undefined);
    },

    async removeByConsent(consentId) {
      const now = seconds(clock);
      let count = 0;
      const rows = await read(statements.findConsent, { consent_id: consentId });
      for (const some of chunks(rows, AT_ONCE)) {
        const removed = some.map(({ kind, id }) =>
          decide(statements.removeOfConsent, { kind, id, consent_id: consentId, now }),
        );
        count += (await Promise.all(removed)).filter(({ applied }) => applied).length;
      }
      return count;
    },

    purgeExpired,
  };
}
