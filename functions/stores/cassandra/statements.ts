// Every statement that a store can send, as complete text. Apache Cassandra and Amazon Keyspaces differ in what this file
// says and in nothing else: Keyspaces has no conditional batches, no `!=`, no DISTINCT, and does not promise to say what
// stood in the way of a write (docs/engines/keyspaces.md).

/** A statement whose values are bound by the names of its columns, or by names of their own. */
export interface Statement {
  readonly text: string;
  readonly names: readonly string[];
}

/** Statements on one partition that are applied together, if the conditions hold: one lightweight transaction. */
export interface Decision {
  readonly statements: readonly Statement[];
  /** What shows the record as it stands where a refusal does not. */
  readonly shows: readonly Statement[];
}

/** How the CQL of an engine differs from Cassandra's. */
export interface Dialect {
  readonly conditionalBatches: boolean;
  /** Whether a refused write gives the columns that its conditions name: then some are named in conditions that always hold. */
  readonly refusalShows: boolean;
  readonly distinct: boolean;
}

const statement = (text: string): Statement => ({
  text: text.trim().replace(/\s+/g, ' ').replace(/:\w+/g, '?'),
  names: [...text.matchAll(/:(\w+)/g)].map(([, name]) => String(name)),
});

const OWNER = ['client_id', 'subject', 'application_id', 'consent_id'] as const;
const REFRESH = ['refresh_key', 'refresh_expires_at', 'refresh_idle_expires_at', 'refresh_record'] as const;
const STATICS = [
  'grant_record',
  'attempt',
  'client_id',
  'ends_at',
  'retain_until',
  'kept_until',
  ...REFRESH,
  'refresh_attempt',
  'revoked_at',
  'revoked_by',
  'revoked_until',
  'barred_ms',
  'barred_until',
  'access_ended_at',
] as const;
/** What an access token is, and whether it is good. */
const ACCESS = [
  'grant_record',
  'retain_until',
  'revoked_at',
  'access_ended_at',
  'access_record',
  'access_revoked_at',
] as const;
const CODE = ['binding', 'expires_at', 'retain_until', 'attempt', 'code_record', 'redemption'] as const;
const ARTIFACT = [
  'uid',
  'user_code',
  'consent_id',
  'expires_at',
  'retain_until',
  'due_at',
  'artifact_data',
  'put_id',
  'attempt',
  'consumed_at',
  'consumed_by',
] as const;

const list = (columns: readonly string[]) => columns.join(', ');
const set = (columns: readonly string[]) => columns.map((column) => `${column} = :${column}`).join(', ');
const values = (columns: readonly string[]) =>
  `(${list(columns)}) VALUES (${columns.map((name) => `:${name}`).join(', ')})`;

/**
 * A row before all others of a grant, which stands for as long: a read of the static columns, or a condition on them, reads
 * the partition up to its first row that stands, through all that have expired.
 */
const ANCHOR_KEY = 'access_digest = 0x00';
const ANCHOR_SET = 'access_record = 0x';
const ANCHOR = `UPDATE oauth_grant USING TTL :ttl SET ${ANCHOR_SET} WHERE grant_id = :grant_id AND ${ANCHOR_KEY}`;

interface OnGrant {
  /** What a refusal shows beside the columns of the condition. */
  readonly shown?: readonly string[];
  /** Stores an access token in the same step, under a TTL of its own where that can be. */
  readonly withAccess?: boolean;
  /** Gives the partition its first row, with the TTL of the static columns. */
  readonly withAnchor?: boolean;
}

/** What differs from every value that the columns can have, absence included. */
const IMPOSSIBLE: Readonly<Record<string, string>> = {
  attempt: '0x',
  refresh_record: '0x',
  revoked_by: '0x',
  access_revoked_by: '0x',
  code_record: '0x',
  put_id: '0x',
  consumed_by: '0x',
};

export type Statements = ReturnType<typeof createStatements>;

export function createStatements({ conditionalBatches, refusalShows, distinct }: Dialect) {
  /** `condition`, and in a refusal these columns too. */
  const showing = (condition: string, columns: readonly string[]) =>
    [condition, ...(refusalShows ? columns.map((name) => `${name} != ${IMPOSSIBLE[name] ?? '-1'}`) : [])].join(' AND ');
  const decision = (statements: readonly string[], shows: readonly Statement[]): Decision => ({
    statements: statements.map(statement),
    shows: refusalShows ? [] : shows,
  });

  const ofGrant = (columns: readonly string[]) =>
    statement(
      distinct
        ? `SELECT DISTINCT grant_id, ${list(columns)} FROM oauth_grant WHERE grant_id = :grant_id`
        : `SELECT grant_id, ${list(columns)} FROM oauth_grant WHERE grant_id = :grant_id LIMIT 1`,
    );
  const findGrant = ofGrant(STATICS);
  const findAccess = statement(
    `SELECT ${list(ACCESS)} FROM oauth_grant WHERE grant_id = :grant_id AND access_digest = :access_digest`,
  );

  const onGrant = (
    columns: readonly string[],
    condition: string,
    { shown = [], withAccess = false, withAnchor = false }: OnGrant = {},
  ) => {
    const when = showing(condition, shown);
    const change = `UPDATE oauth_grant USING TTL :ttl SET ${set(columns)}`;
    const row = 'WHERE grant_id = :grant_id AND access_digest = :access_digest';
    if (!conditionalBatches && withAccess) {
      return decision([`${change}, access_record = :access_record ${row} IF ${when}`], [findGrant]);
    }
    if (!conditionalBatches && withAnchor) {
      return decision(
        [`${change}, ${ANCHOR_SET} WHERE grant_id = :grant_id AND ${ANCHOR_KEY} IF ${when}`],
        [findGrant],
      );
    }
    return decision(
      [
        `${change} WHERE grant_id = :grant_id IF ${when}`,
        ...(withAccess ? [`UPDATE oauth_grant USING TTL :row_ttl SET access_record = :access_record ${row}`] : []),
        ...(withAnchor ? [ANCHOR] : []),
      ],
      [findGrant],
    );
  };
  const onAccess = (columns: readonly string[], condition: string, shown: readonly string[]) =>
    decision(
      [
        `UPDATE oauth_grant USING TTL :row_ttl SET ${set(columns)}
         WHERE grant_id = :grant_id AND access_digest = :access_digest IF ${showing(condition, shown)}`,
      ],
      [findGrant, findAccess],
    );
  /** The same with and without an access token. */
  const both = (columns: readonly string[], condition: string, options: OnGrant) => ({
    bare: onGrant(columns, condition, options),
    withAccess: onGrant(columns, condition, { ...options, withAccess: true }),
  });

  const persistable = 'attempt = :seen_attempt AND revoked_until = :seen_revoked_until AND barred_ms = :seen_barred_ms';
  const usable = `client_id = :client_id AND refresh_key = :presented AND revoked_at = null
    AND refresh_expires_at > :now AND refresh_idle_expires_at > :now AND ends_at > :now
    AND retain_until <= :retain_until AND kept_until >= :retain_until`;
  const standing = 'attempt = :attempt AND kept_until = :kept_until';

  const findCode = statement(`SELECT ${list(CODE)} FROM oauth_code WHERE code_digest = :code_digest`);
  const onCode = (text: string, condition: string, shown: readonly string[]) =>
    decision([`${text} WHERE code_digest = :code_digest IF ${showing(condition, shown)}`], [findCode]);

  const findArtifact = statement(
    `SELECT kind, id, ${list(ARTIFACT)} FROM oauth_artifact WHERE kind = :kind AND id = :id`,
  );
  const onArtifact = (text: string, condition: string, shown: readonly string[] = []) =>
    decision([`${text} WHERE kind = :kind AND id = :id IF ${showing(condition, shown)}`], [findArtifact]);
  const changeArtifact = (columns: readonly string[]) => `UPDATE oauth_artifact USING TTL :ttl SET ${set(columns)}`;
  const lead =
    'UPDATE oauth_artifact_way USING TTL :ttl SET id = :id WHERE way = :way AND kind = :kind AND value = :value';

  return {
    findGrant,
    /** What of a grant never changes, and whether it stands. */
    findRecord: ofGrant(['grant_record', 'retain_until']),
    findAccess,
    listAccess: statement(
      `SELECT access_digest, ${list(ACCESS)}
       FROM oauth_grant WHERE grant_id = :grant_id AND access_digest > :after LIMIT :limit`,
    ),
    persist: both(STATICS, persistable, {
      shown: ['retain_until', 'revoked_at', 'barred_until', 'kept_until'],
      withAnchor: true,
    }),
    rotate: both([...REFRESH, 'retain_until'], usable, { shown: ['refresh_record', 'attempt'] }),
    keep: both(['retain_until'], usable, { shown: ['refresh_record', 'attempt'] }),
    keepAndMoveIdle: both(['refresh_idle_expires_at', 'retain_until'], usable, {
      shown: ['refresh_record', 'attempt'],
    }),
    addAccess: onAccess(
      ['access_record'],
      'access_record = null AND revoked_at = null AND ends_at > :now AND retain_until >= :retain_until',
      ['revoked_until', 'kept_until'],
    ),
    addRefresh: onGrant(
      [...REFRESH, 'refresh_attempt', 'retain_until'],
      `refresh_key = :seen_refresh_key AND refresh_record = :seen_refresh_record
       AND refresh_attempt = :seen_refresh_attempt AND revoked_at = null AND ends_at > :now
       AND retain_until <= :retain_until AND kept_until >= :retain_until`,
      { shown: ['revoked_until'] },
    ),
    retain: onGrant(
      ['retain_until'],
      'attempt = :attempt AND retain_until < :retain_until AND kept_until >= :retain_until',
    ),
    extend: onGrant(
      STATICS,
      `attempt = :attempt AND kept_until = :seen_kept_until AND retain_until = :seen_retain_until
       AND refresh_key = :refresh_key AND refresh_idle_expires_at = :refresh_idle_expires_at
       AND refresh_record = :refresh_record AND revoked_at = null AND access_ended_at = :access_ended_at`,
      { withAnchor: true },
    ),
    end: onGrant(['revoked_at', 'revoked_by'], `${standing} AND revoked_at = null`, { shown: ['revoked_by'] }),
    endEarly: onGrant(
      ['revoked_at', 'revoked_until'],
      'attempt = :seen_attempt AND revoked_until = :seen_revoked_until',
      { withAnchor: true },
    ),
    bar: onGrant(['barred_ms', 'barred_until'], 'attempt = :seen_attempt AND barred_ms = :seen_barred_ms', {
      withAnchor: true,
    }),
    endAccess: onAccess(
      ['access_revoked_at', 'access_revoked_by'],
      `access_record = :access_record AND access_revoked_at = null AND revoked_at = null
       AND access_ended_at = :access_ended_at`,
      ['access_revoked_by'],
    ),
    endAllAccess: onGrant(['access_ended_at'], `${standing} AND access_ended_at = :seen_access_ended_at`),

    putPointer: statement(
      `INSERT INTO oauth_owner_grant ${values(['owner', 'period', 'grant_id', ...OWNER])} USING TTL :ttl`,
    ),
    findPointers: statement(
      `SELECT grant_id, ${list(OWNER)} FROM oauth_owner_grant
       WHERE owner = :owner AND period = :period AND grant_id > :after LIMIT :limit`,
    ),
    putPeriod: statement(`INSERT INTO oauth_owner ${values(['owner', 'period', 'until'])} USING TTL :ttl`),
    findPeriods: statement('SELECT period FROM oauth_owner WHERE owner = :owner AND period > :after LIMIT :limit'),
    putMark: statement(`INSERT INTO oauth_revocation ${values(['selector', 'at_ms', 'retain_until'])} USING TTL :ttl`),
    findMarks: statement('SELECT retain_until FROM oauth_revocation WHERE selector IN :selectors AND at_ms >= :at_ms'),

    findForeign: statement('SELECT grant_id FROM oauth_foreign WHERE kind = :kind AND digest = :digest'),
    claimForeign: decision(
      [
        `UPDATE oauth_foreign USING TTL :ttl SET grant_id = :grant_id, retain_until = :retain_until
         WHERE kind = :kind AND digest = :digest IF ${showing('grant_id = :seen_grant_id', ['retain_until'])}`,
      ],
      [statement('SELECT grant_id, retain_until FROM oauth_foreign WHERE kind = :kind AND digest = :digest')],
    ),
    releaseForeign: decision(
      ['DELETE FROM oauth_foreign WHERE kind = :kind AND digest = :digest IF grant_id = :grant_id'],
      [],
    ),

    findCode,
    /** What of a code never changes, but for what its redeemer has presented. */
    findCodeRecord: statement(
      'SELECT expires_at, retain_until, code_record FROM oauth_code WHERE code_digest = :code_digest',
    ),
    addCode: onCode(
      `UPDATE oauth_code USING TTL :ttl SET ${set(CODE)}`,
      'attempt = :seen_attempt AND redemption = :seen_redemption',
      ['retain_until'],
    ),
    redeem: onCode(
      'UPDATE oauth_code USING TTL :ttl SET redemption = :redemption',
      'binding = :binding AND redemption = null AND expires_at > :now AND retain_until <= :kept_until',
      ['code_record'],
    ),
    removeCode: onCode('DELETE FROM oauth_code', 'retain_until > :now', []),

    findArtifact,
    putArtifact: onArtifact(
      changeArtifact(ARTIFACT.filter((name) => name !== 'attempt')),
      'consumed_at = :seen_consumed_at',
      ['consumed_by', 'due_at'],
    ),
    putOnce: onArtifact(changeArtifact(ARTIFACT), 'put_id = :seen_put_id', ['attempt', 'expires_at']),
    consume: onArtifact(
      changeArtifact(['consumed_at', 'consumed_by']),
      'consumed_at = null AND expires_at > :now AND due_at <= :kept_until',
      ['consumed_by'],
    ),
    removeArtifact: onArtifact('DELETE FROM oauth_artifact', 'due_at > :now'),
    removeOfConsent: onArtifact('DELETE FROM oauth_artifact', 'consent_id = :consent_id AND due_at > :now'),
    findWay: statement('SELECT id FROM oauth_artifact_way WHERE way = :way AND kind = :kind AND value = :value'),
    // Where servers' clocks order plain writes, one in order with all others is a transaction whose condition always holds.
    lead: refusalShows ? decision([`${lead} IF id != 0x`], []) : statement(lead),
    putConsent: statement(`INSERT INTO oauth_artifact_consent ${values(['consent_id', 'kind', 'id'])} USING TTL :ttl`),
    findConsent: statement('SELECT kind, id FROM oauth_artifact_consent WHERE consent_id = :consent_id'),

    putClientToken: statement(
      `INSERT INTO oauth_client_token ${values(['client_id', 'token_key', 'content'])} USING TTL :ttl`,
    ),
    findClientToken: statement(
      'SELECT content FROM oauth_client_token WHERE client_id = :client_id AND token_key = :token_key',
    ),
    removeClientToken: statement(
      'DELETE FROM oauth_client_token WHERE client_id = :client_id AND token_key = :token_key',
    ),
    check: statement('SELECT cluster_name FROM system.local'),
  };
}
