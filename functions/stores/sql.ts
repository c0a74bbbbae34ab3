import { setTimeout } from 'node:timers/promises';
import { type Clock, stopwatch } from '../domain/clock.ts';
import { StoreError } from '../domain/errors.ts';
import type {
  AccessState,
  AccessTokenStore,
  ArtifactState,
  ArtifactStore,
  AuthorizationCodeStore,
  Backlog,
  ClientAccessTokenStore,
  CodeState,
  Engine,
  PurgeReport,
  PurgeRequest,
  RedeemOutcome,
  RefreshState,
  RotateOutcome,
  Selector,
  StoredAccessToken,
  StoredRefreshToken,
  Successor,
  TokenKey,
} from '../domain/ports.ts';
import { leadOf, selectorKey, selectorKeysOf } from '../domain/selector.ts';
import type { ByOrigin, Row, Run, Statements } from './sql-dialect.ts';
import { rings } from './sql-partitions.ts';
import { accessOf, artifactOf, codeOf, defined, entryOf, grantOf, refreshOf } from './sql-rows.ts';

// What the relational stores share: from the ports to one statement of the dialect each, and from its answer back. The
// dialect decides everything; nothing is decided here.

const REVOKE_BATCH = 1000;
/**
 * So many rows a purge removes at a time: over within a millisecond of a server's time, or a part of it, and whoever comes
 * meanwhile waits for no longer behind it. Nor fewer, where each commit waits for the disk.
 */
const PURGE_BATCH = 50;
/** So many times as long as a batch took is the pause before the next: of a purge's time three quarters are the others'. */
const PURGE_PAUSE = 3;
/** So many records that are due are counted of each table, and no more. */
const BACKLOG_MOST = 10_000;
const WRITERS_MS = 5000;

export function createSqlEngine(sql: Statements, run: Run, clock: Clock, close: () => Promise<void>): Engine {
  const { purgeBatch = PURGE_BATCH } = sql;
  const first = async (name: string, text: string, values: Record<string, unknown>) =>
    (await run(name, text, values)).rows[0];
  const changed = async (name: string, text: string, values: Record<string, unknown>) =>
    (await run(name, text, values)).changed > 0;
  const runBy = (own: boolean, name: string, text: ByOrigin, values: Record<string, unknown>) =>
    own ? run(name, text.own, values) : run(`${name}Foreign`, text.foreign, values);
  const firstBy = async (own: boolean, name: string, text: ByOrigin, values: Record<string, unknown>) =>
    (await runBy(own, name, text, values)).rows[0];
  /** Removes what is due, kind after kind, in batches with pauses between them, and counts what is left then. */
  const purge = (kinds: Record<string, [statement: string, text: string][]>, store: keyof Statements['backlog']) => {
    const backlogOf = async (now: number): Promise<Backlog> => {
      const { rows } = await run(`backlog_${store}`, sql.backlog[store], { now, most: BACKLOG_MOST });
      const oldest = rows.flatMap((row) => (row.oldest === null ? [] : [Number(row.oldest)]));
      return {
        records: rows.reduce((sum, row) => sum + Number(row.records), 0),
        precision: rows.some((row) => Number(row.records) >= BACKLOG_MOST) ? 'at least' : 'exact',
        ...(oldest.length > 0 && { oldestDueAt: Math.min(...oldest) }),
      };
    };
    return async ({ now, limit, deadlineMs = Number.POSITIVE_INFINITY }: PurgeRequest): Promise<PurgeReport> => {
      const removed = Object.fromEntries(Object.keys(kinds).map((kind) => [kind, 0]));
      let left = limit;
      for (const [kind, tables] of Object.entries(kinds)) {
        for (const [name, text] of tables) {
          for (let batch = purgeBatch, gone = batch, tookMs = 0; gone === batch; ) {
            const pauseMs = Math.min(tookMs * PURGE_PAUSE, deadlineMs - clock());
            if (left > 0 && pauseMs > 0) await setTimeout(pauseMs);
            if (left <= 0 || clock() >= deadlineMs) return { removed, more: true, backlog: await backlogOf(now) };
            batch = Math.min(purgeBatch, left);
            const fromMs = stopwatch();
            gone = (await run(name, text, { now, limit: batch })).changed;
            tookMs = stopwatch() - fromMs;
            removed[kind] = (removed[kind] ?? 0) + gone;
            left -= gone;
          }
        }
      }
      return { removed, more: false, backlog: await backlogOf(now) };
    };
  };

  /** Empties the partitions that are over, one of each ring; what was in them costs nothing to remove, and is held to no limit. */
  const emptyPartitions = async ({ now, deadlineMs = Number.POSITIVE_INFINITY }: PurgeRequest): Promise<number> => {
    const { emptyAccessPartitions } = sql;
    let removed = 0;
    for (let left = rings.length; emptyAccessPartitions && left > 0 && clock() < deadlineMs; left -= 1) {
      const { rows } = await run('emptyAccessPartitions', emptyAccessPartitions, { now });
      if (rows.length === 0) break;
      removed += rows.reduce((sum, row) => sum + Number(row.records), 0);
    }
    return removed;
  };

  const purgeAccess = purge(
    {
      accessTokens: [['purgeAccessTokens', sql.purgeAccessTokens]],
      grants: [
        ['purgeGrants', sql.purgeGrants],
        ['purgeForeignTokens', sql.purgeForeignTokens],
      ],
      revocations: [['purgeRevocations', sql.purgeRevocations]],
    },
    'accessTokens',
  );

  /** Waits for the writes that were under way: each takes milliseconds, unless somebody holds a transaction open. */
  const writersGone = async () => {
    if (sql.writers === undefined) return;
    let among: unknown[] | undefined;
    for (const deadline = clock() + WRITERS_MS; ; await setTimeout(2)) {
      among = (await run('writers', sql.writers, { among })).rows.map((row) => row.writer);
      if (among.length === 0) return;
      if (clock() > deadline)
        throw new StoreError('timeout', 'a transaction that writes grants stays open: repeat the revocation');
    }
  };

  const accessTokens: AccessTokenStore = {
    async persist({ grant, refresh, access }, { attempt, authorizedAtMs }) {
      const row = await firstBy(!(refresh?.foreign || access?.foreign), 'persist', sql.persist, {
        ...grant,
        ...refreshValues(refresh),
        ...accessValues(access),
        refreshSender: refresh?.sender,
        attempt,
        ...(authorizedAtMs !== undefined && { authorizedAtMs, selectors: selectorKeysOf(grant) }),
      });
      return outcome(row, 'persisted', 'revoked', 'barred');
    },
    async addAccess(grantId, access, { now, attempt, retainUntil }) {
      const values = { grantId, ...accessValues(access), now, attempt, retainUntil };
      return outcome(await first('addAccess', sql.addAccess, values), 'added', 'expired', 'revoked', 'unknown');
    },
    async addRefresh(grantId, refresh, { now, attempt, retainUntil }) {
      const values = { grantId, ...refreshValues(refresh), refreshSender: refresh.sender, now, attempt, retainUntil };
      return outcome(await first('addRefresh', sql.addRefresh, values), 'added', 'expired', 'revoked', 'unknown');
    },
    async findAccess(key, { now }) {
      const row = await firstBy(own(key), 'findAccess', sql.findAccess, { ...key, now });
      if (!row) return { outcome: 'unknown' };
      return { outcome: row.outcome, access: accessOf(row), grant: grantOf(row) } as AccessState;
    },
    async findRefresh(key, { now }) {
      const row = await firstBy(own(key), 'findRefresh', sql.findRefresh, { ...key, now });
      if (!row) return { outcome: 'unknown' };
      const grant = grantOf(row);
      const state =
        row.outcome === 'retired'
          ? { retiredAt: row.rotated_at }
          : { refresh: refreshOf(row), issuedAt: row.rotated_at };
      return { outcome: row.outcome, ...state, grant } as RefreshState;
    },
    async rotate(key, successor, { clientId, sender, now, attempt, graceSeconds }) {
      const kept = typeof successor.refresh === 'object' && 'kept' in successor.refresh;
      const row = await firstBy(own(key), kept ? 'rotateKept' : 'rotate', kept ? sql.rotateKept : sql.rotate, {
        ...key,
        ...successorValues(successor),
        ...{ clientId, sender, now, attempt, graceSeconds },
      });
      if (!row) return { outcome: 'unknown' };
      switch (row.outcome) {
        case 'rotated':
        case 'retried':
          // What was sealed for this very rotation is not sent back.
          return { outcome: row.outcome, grant: grantOf(row), sealed: (row.sealed as Uint8Array) ?? successor.sealed };
        case 'reused':
          return { outcome: row.outcome, grant: grantOf(row) };
        default:
          return { outcome: row.outcome } as RotateOutcome;
      }
    },
    revokeAccess: async (key, { now, clientId }) =>
      (await runBy(own(key), 'revokeAccess', sql.revokeAccess, { ...key, now, clientId })).changed > 0,
    revokeRefresh: async (key, { now, clientId }) =>
      (await runBy(own(key), 'revokeRefresh', sql.revokeRefresh, { ...key, now, clientId })).changed > 0,
    async revokeGrant(grantId, { now, retainUntil }) {
      await run('revokeGrant', sql.revokeGrant, { grantId, now, retainUntil });
    },
    async revokeAccessOfGrant(grantId, { now }) {
      await run('revokeAccessOfGrant', sql.revokeAccessOfGrant, { grantId, now });
    },
    async revokeBy(selector, { nowMs, retainUntil }) {
      const lead = leadOf(selector);
      await run('markRevoked', sql.markRevoked, { selector: selectorKey(selector), nowMs, retainUntil });
      await writersGone();
      const values = { ...ownerValues(selector), now: Math.floor(nowMs / 1000), limit: REVOKE_BATCH };
      let position = grantPosition();
      for (let ended = 0; ; ) {
        const row = await first(`revokeBy_${lead}`, sql.revokeBy[lead], { ...values, ...position });
        ended += Number(row?.ended ?? 0);
        if (!row || Number(row.seen) < REVOKE_BATCH) return ended;
        position = { afterMinute: row.minute as number, afterId: row.grant_id as Uint8Array };
      }
    },
    async listGrants(selector, { limit, after }) {
      const lead = leadOf(selector);
      const position = grantPosition(after);
      const { rows } = await run(`listGrants_${lead}`, sql.listGrants[lead], {
        ...ownerValues(selector),
        ...position,
        limit,
      });
      const last = rows.length === limit ? rows.at(-1) : undefined;
      return { grants: rows.map(entryOf), ...(last && { next: `${last.minute}.${base64url(last.grant_id)}` }) };
    },
    async listAccess(grantId, { limit, after = '' }) {
      const { rows } = await run('listAccess', sql.listAccess, {
        grantId,
        afterId: Buffer.from(after, 'base64url'),
        limit,
      });
      const last = rows.length === limit ? rows.at(-1) : undefined;
      const tokens = rows.map((row) => ({
        ...accessOf(row),
        ...defined({ revokedAt: row.revoked_at as number | null }),
      }));
      return { tokens, ...(last && { next: base64url(last.access_digest) }) };
    },
    async purgeExpired(request) {
      const emptied = await emptyPartitions(request);
      const { removed, ...rest } = await purgeAccess(request);
      return { removed: { ...removed, accessTokens: (removed.accessTokens ?? 0) + emptied }, ...rest };
    },
  };

  const authorizationCodes: AuthorizationCodeStore = {
    async add(code, { attempt }) {
      const row = await first('addCode', sql.addCode, { ...code, attempt });
      if (!row?.same) throw new StoreError('conflict', 'an authorization code with this digest is stored already');
    },
    async find(digest, { now }) {
      const row = await first('findCode', sql.findCode, { digest, now });
      if (!row) return { outcome: 'unknown' };
      return { outcome: row.outcome, code: codeOf(row), ...defined({ redeemedAt: row.redeemed_at }) } as CodeState;
    },
    async redeem(digest, { binding, now, attempt }) {
      const row = await first('redeem', sql.redeem, { digest, binding, now, attempt });
      if (row?.outcome === 'redeemed') return { outcome: 'redeemed', code: codeOf(row) };
      if (row?.outcome === 'replayed') return { outcome: 'replayed', grantId: row.grant_id as Uint8Array };
      return { outcome: row?.outcome ?? 'unknown' } as RedeemOutcome;
    },
    remove: (digest) => changed('removeCode', sql.removeCode, { digest }),
    purgeExpired: purge({ codes: [['purgeCodes', sql.purgeCodes]] }, 'authorizationCodes'),
  };

  const findArtifact = async (name: string, text: string, kind: string, key: Uint8Array, now: number) => {
    const row = await first(name, text, { kind, key, now });
    if (!row) return { outcome: 'unknown' } as const;
    return {
      outcome: row.outcome,
      artifact: artifactOf(row),
      ...defined({ consumedAt: row.consumed_at }),
    } as ArtifactState;
  };
  const artifacts: ArtifactStore = {
    async put(artifact) {
      await run('putArtifact', sql.putArtifact, { ...artifact });
    },
    putOnce: (artifact, { now, attempt }) =>
      changed('putArtifactOnce', sql.putArtifactOnce, { ...artifact, now, attempt }),
    find: (kind, id, { now }) => findArtifact('findArtifact', sql.findArtifact, kind, id, now),
    findByUid: (kind, uid, { now }) => findArtifact('findArtifactByUid', sql.findArtifactByUid, kind, uid, now),
    findByUserCode: (kind, userCode, { now }) =>
      findArtifact('findArtifactByUserCode', sql.findArtifactByUserCode, kind, userCode, now),
    consume: (kind, id, { now, attempt }) =>
      changed('consumeArtifact', sql.consumeArtifact, { kind, id, now, attempt }),
    remove: (kind, id) => changed('removeArtifact', sql.removeArtifact, { kind, id }),
    removeByConsent: async (consentId) =>
      (await run('removeArtifactsByConsent', sql.removeArtifactsByConsent, { consentId })).changed,
    purgeExpired: purge({ artifacts: [['purgeArtifacts', sql.purgeArtifacts]] }, 'artifacts'),
  };

  const clientAccessTokens: ClientAccessTokenStore = {
    async put(token) {
      await run('putClientToken', sql.putClientToken, { ...token });
    },
    async get(clientId, key, { now }) {
      const row = await first('getClientToken', sql.getClientToken, { clientId, key, now });
      return row && { clientId, key, expiresAt: row.expires_at as number, data: row.data as Uint8Array };
    },
    remove: (clientId, key) => changed('removeClientToken', sql.removeClientToken, { clientId, key }),
    purgeExpired: purge({ clientAccessTokens: [['purgeClientTokens', sql.purgeClientTokens]] }, 'clientAccessTokens'),
  };

  return { accessTokens, authorizationCodes, clientAccessTokens, artifacts, close };
}

function outcome<const O extends string>(row: Row | undefined, ...accepted: O[]): O {
  const found = row?.outcome ?? 'unknown';
  if (found === 'conflict') throw new StoreError('conflict', 'a token or grant of this name is stored already');
  const known = accepted.find((one) => one === found);
  if (known === undefined)
    throw new StoreError('invalid', `the statement gave an outcome that is not one of ${accepted.join(', ')}`);
  return known;
}

const own = ({ grantId }: TokenKey) => grantId !== undefined;

const accessValues = (access: StoredAccessToken | undefined) => ({
  accessDigest: access?.digest,
  accessIssuedAt: access?.issuedAt,
  accessExpiresAt: access?.expiresAt,
  accessData: access?.data.length ? access.data : undefined,
  accessForeign: access?.foreign,
});

const refreshValues = (refresh: Omit<StoredRefreshToken, 'sender'> | undefined) => ({
  refreshDigest: refresh?.digest,
  refreshExpiresAt: refresh?.expiresAt,
  refreshIdleExpiresAt: refresh?.idleExpiresAt,
  refreshForeign: refresh?.foreign,
});

const successorValues = ({ refresh, access, sealed, retainUntil }: Successor) => ({
  ...(refresh === 'none'
    ? {}
    : 'kept' in refresh
      ? { refreshIdleExpiresAt: refresh.idleExpiresAt }
      : refreshValues(refresh)),
  ...accessValues(access),
  sealed,
  retainUntil,
});

const ownerValues = ({ subject, clientId, applicationId, consentId }: Selector) => ({
  subject,
  clientId,
  applicationId,
  consentId,
});

function grantPosition(after = '-1.'): { afterMinute: number; afterId: Uint8Array } {
  const [minute, id = ''] = after.split('.');
  return { afterMinute: Number(minute), afterId: Buffer.from(id, 'base64url') };
}

const base64url = (bytes: unknown) => Buffer.from(bytes as Uint8Array).toString('base64url');
