import { setTimeout } from 'node:timers/promises';
import type { Clock } from '../domain/clock.ts';
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
  GrantEntry,
  PurgeReport,
  PurgeRequest,
  RedeemOutcome,
  RefreshState,
  RotateOutcome,
  Selector,
  StoredAccessToken,
  StoredArtifact,
  StoredCode,
  StoredGrant,
  StoredRefreshToken,
  Successor,
  TokenKey,
} from '../domain/ports.ts';
import { selectorKey, selectorKeysOf } from '../domain/selector.ts';
import type * as statements from './postgresql-statements.ts';

// What the relational stores share: from the ports to one statement of the dialect each, and from its row back. The
// dialect decides everything; nothing is decided here.

/** Every statement of a dialect; each gives the columns that are read below. */
export type Statements = typeof statements;

export type Row = Record<string, unknown>;

type ByOrigin = { readonly own: string; readonly foreign: string };

/** Sends one statement, in one round trip, as a transaction of its own; failures are StoreErrors. */
export type Run = (name: string, text: string, values: Record<string, unknown>) => Promise<Row[]>;

const REVOKE_BATCH = 1000;
const PURGE_BATCH = 1000;
/** So many records that are due are counted of each table, and no more. */
const BACKLOG_MOST = 10_000;
const WRITERS_MS = 5000;
const NOTHING = Buffer.alloc(0);

export function createSqlEngine(sql: Statements, run: Run, clock: Clock, close: () => Promise<void>): Engine {
  const first = async (name: string, text: string, values: Record<string, unknown>) =>
    (await run(name, text, values))[0];
  /** The statement for tokens that were minted here, or the one for those that were minted elsewhere. */
  const firstBy = (own: boolean, name: string, text: ByOrigin, values: Record<string, unknown>) =>
    own ? first(name, text.own, values) : first(`${name}Foreign`, text.foreign, values);
  /** Removes what is due, kind after kind, in batches, and counts what is left then. */
  const purge = (kinds: Record<string, [statement: string, text: string][]>, store: keyof Statements['backlog']) => {
    const backlogOf = async (now: number): Promise<Backlog> => {
      const rows = await run(`backlog_${store}`, sql.backlog[store], { now, most: BACKLOG_MOST });
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
          for (let batch = PURGE_BATCH, gone = batch; gone === batch; ) {
            if (left <= 0 || clock() >= deadlineMs) return { removed, more: true, backlog: await backlogOf(now) };
            batch = Math.min(PURGE_BATCH, left);
            gone = (await run(name, text, { now, limit: batch })).length;
            removed[kind] = (removed[kind] ?? 0) + gone;
            left -= gone;
          }
        }
      }
      return { removed, more: false, backlog: await backlogOf(now) };
    };
  };

  /** Waits for the writes that were under way: each takes milliseconds, unless somebody holds a transaction open. */
  const writersGone = async () => {
    let among: unknown[] | undefined;
    for (const deadline = clock() + WRITERS_MS; ; await setTimeout(2)) {
      among = (await run('writers', sql.writers, { among })).map((row) => row.writer);
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
      (await firstBy(own(key), 'revokeAccess', sql.revokeAccess, { ...key, now, clientId })) !== undefined,
    revokeRefresh: async (key, { now, clientId }) =>
      (await firstBy(own(key), 'revokeRefresh', sql.revokeRefresh, { ...key, now, clientId })) !== undefined,
    async revokeGrant(grantId, { now, retainUntil }) {
      await run('revokeGrant', sql.revokeGrant, { grantId, now, retainUntil });
    },
    async revokeAccessOfGrant(grantId, { now }) {
      await run('revokeAccessOfGrant', sql.revokeAccessOfGrant, { grantId, now });
    },
    async revokeBy(selector, { nowMs, retainUntil }) {
      const way = wayOf(sql, selector);
      await run('markRevoked', sql.markRevoked, { selector: selectorKey(selector), nowMs, retainUntil });
      await writersGone();
      const values = { ...ownerValues(selector), now: Math.floor(nowMs / 1000), limit: REVOKE_BATCH };
      let position = grantPosition();
      for (let ended = 0; ; ) {
        const row = await first(`revokeBy_${way}`, sql.revokeBy[way], { ...values, ...position });
        ended += Number(row?.ended ?? 0);
        if (!row || Number(row.seen) < REVOKE_BATCH) return ended;
        position = { afterMinute: row.minute as number, afterId: row.grant_id as Uint8Array };
      }
    },
    async listGrants(selector, { limit, after }) {
      const way = wayOf(sql, selector);
      const position = grantPosition(after);
      const rows = await run(`listGrants_${way}`, sql.listGrants[way], {
        ...ownerValues(selector),
        ...position,
        limit,
      });
      const last = rows.length === limit ? rows.at(-1) : undefined;
      return { grants: rows.map(entryOf), ...(last && { next: `${last.minute}.${base64url(last.grant_id)}` }) };
    },
    async listAccess(grantId, { limit, after = '' }) {
      const rows = await run('listAccess', sql.listAccess, {
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
    purgeExpired: purge(
      {
        accessTokens: [['purgeAccessTokens', sql.purgeAccessTokens]],
        grants: [
          ['purgeGrants', sql.purgeGrants],
          ['purgeForeignTokens', sql.purgeForeignTokens],
        ],
        revocations: [['purgeRevocations', sql.purgeRevocations]],
      },
      'accessTokens',
    ),
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
    remove: async (digest) => (await first('removeCode', sql.removeCode, { digest })) !== undefined,
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
    putOnce: async (artifact, { now, attempt }) =>
      (await first('putArtifactOnce', sql.putArtifactOnce, { ...artifact, now, attempt })) !== undefined,
    find: (kind, id, { now }) => findArtifact('findArtifact', sql.findArtifact, kind, id, now),
    findByUid: (kind, uid, { now }) => findArtifact('findArtifactByUid', sql.findArtifactByUid, kind, uid, now),
    findByUserCode: (kind, userCode, { now }) =>
      findArtifact('findArtifactByUserCode', sql.findArtifactByUserCode, kind, userCode, now),
    consume: async (kind, id, { now, attempt }) =>
      (await first('consumeArtifact', sql.consumeArtifact, { kind, id, now, attempt })) !== undefined,
    remove: async (kind, id) => (await first('removeArtifact', sql.removeArtifact, { kind, id })) !== undefined,
    removeByConsent: async (consentId) =>
      (await run('removeArtifactsByConsent', sql.removeArtifactsByConsent, { consentId })).length,
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
    remove: async (clientId, key) =>
      (await first('removeClientToken', sql.removeClientToken, { clientId, key })) !== undefined,
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
  client_id: clientId,
  application_id: applicationId,
  consent_id: consentId,
});

function wayOf(sql: Statements, selector: Selector) {
  const way = sql.wayOf(ownerValues(selector));
  if (!way)
    throw new StoreError('invalid', 'a selector names at least one of subject, clientId, applicationId, consentId');
  return way;
}

function grantPosition(after = '-1.'): { afterMinute: number; afterId: Uint8Array } {
  const [minute, id = ''] = after.split('.');
  return { afterMinute: Number(minute), afterId: Buffer.from(id, 'base64url') };
}

/** Only the fields that are there: what is NULL in a row is absent in a record. */
function defined<T extends Record<string, unknown>>(fields: T): { [K in keyof T]?: NonNullable<T[K]> } {
  const present: Partial<T> = {};
  for (const field in fields) if (fields[field] !== null && fields[field] !== undefined) present[field] = fields[field];
  return present as { [K in keyof T]?: NonNullable<T[K]> };
}

const grantOf = (row: Row) =>
  defined({
    grantId: row.grant_id,
    clientId: row.client_id,
    subject: row.subject,
    applicationId: row.application_id,
    consentId: row.consent_id,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    retainUntil: row.retain_until,
    data: row.data,
  }) as unknown as StoredGrant;

const accessOf = (row: Row) =>
  defined({
    digest: row.access_digest,
    issuedAt: row.access_issued_at,
    expiresAt: row.access_expires_at,
    data: row.access_data ?? NOTHING,
    foreign: row.access_foreign,
  }) as unknown as StoredAccessToken;

const refreshOf = (row: Row) =>
  defined({
    digest: row.refresh_digest,
    expiresAt: row.refresh_expires_at,
    idleExpiresAt: row.refresh_idle_expires_at,
    sender: row.refresh_sender,
    foreign: row.refresh_foreign,
  }) as unknown as StoredRefreshToken;

const entryOf = (row: Row): GrantEntry => ({
  grant: grantOf(row),
  ...defined({ revokedAt: row.revoked_at as number | null }),
  ...(row.refresh_digest ? { refresh: refreshOf(row) } : {}),
});

const codeOf = (row: Row) =>
  ({
    digest: row.digest,
    grantId: row.grant_id,
    binding: row.binding,
    expiresAt: row.expires_at,
    retainUntil: row.retain_until,
    data: row.data,
  }) as StoredCode;

const artifactOf = (row: Row) =>
  defined({
    kind: row.kind,
    id: row.id,
    uid: row.uid,
    userCode: row.user_code,
    consentId: row.consent_id,
    expiresAt: row.expires_at,
    retainUntil: row.retain_until,
    data: row.data,
  }) as unknown as StoredArtifact;

const base64url = (bytes: unknown) => Buffer.from(bytes as Uint8Array).toString('base64url');
