import { type SelectorField, selectorFields } from '../domain/selector.ts';

// What the relational stores ask of a dialect: complete statements, and somebody who sends them.

export type Row = Record<string, unknown>;

/** What a statement gave: its rows, and how many it inserted, changed or deleted. */
export interface Answer {
  readonly rows: readonly Row[];
  readonly changed: number;
}

/**
 * Sends one statement, block or call of the dialect, in one round trip, as a transaction of its own; failures are
 * StoreErrors. `:name` in a text, or the engine's own mark, stands for the value of that name; an absent one is NULL. Rows
 * have the columns that are read below: whole numbers as numbers, bytes as Uint8Array, flags as booleans or 0 and 1.
 */
export type Run = (name: string, text: string, values: Readonly<Record<string, unknown>>) => Promise<Answer>;

/** A statement for tokens that were minted here, and the one for those that were minted elsewhere. */
export interface ByOrigin {
  readonly own: string;
  readonly foreign: string;
}

/** The same statement for each field of a selector that can lead to grants. */
export const byLead = (statement: (lead: SelectorField) => string): Readonly<Record<SelectorField, string>> =>
  Object.fromEntries(selectorFields.map((lead) => [lead, statement(lead)])) as Record<SelectorField, string>;

/** Every statement of a dialect, whole. What each must do under concurrency is what the ports say of its operation. */
export interface Statements {
  // Each gives `outcome`; `selectors` is an array, and absent together with `authorizedAtMs`.
  readonly persist: ByOrigin;
  readonly addAccess: string;
  readonly addRefresh: string;
  // The grant, the token and `outcome`.
  readonly findAccess: ByOrigin;
  readonly findRefresh: ByOrigin;
  readonly rotate: ByOrigin;
  readonly rotateKept: ByOrigin;
  // `changed`: whether it ended something.
  readonly revokeAccess: ByOrigin;
  readonly revokeRefresh: ByOrigin;
  readonly revokeGrant: string;
  readonly revokeAccessOfGrant: string;
  readonly markRevoked: string;
  /**
   * The transactions (`writer`) that may store a grant without having seen a mark that is committed by now, or those of
   * them that are still there. Absent where `markRevoked` itself waits for them.
   */
  readonly writers?: string;
  /** `seen` and `ended` of a page of grants, with the `minute` and `grant_id` of its last one. */
  readonly revokeBy: Readonly<Record<SelectorField, string>>;
  /** A page of grants with their refresh tokens, `revoked_at` and `minute`. */
  readonly listGrants: Readonly<Record<SelectorField, string>>;
  readonly listAccess: string;
  /** `same`: whether the code that is stored is of this attempt. */
  readonly addCode: string;
  readonly findCode: string;
  readonly redeem: string;
  readonly removeCode: string;
  readonly putArtifact: string;
  readonly putArtifactOnce: string;
  readonly findArtifact: string;
  readonly findArtifactByUid: string;
  readonly findArtifactByUserCode: string;
  readonly consumeArtifact: string;
  readonly removeArtifact: string;
  readonly removeArtifactsByConsent: string;
  readonly putClientToken: string;
  readonly getClientToken: string;
  readonly removeClientToken: string;
  /**
   * Where access tokens are in expiry partitions (docs/engines/postgresql.md): empties one or more whose window is over, whole,
   * and gives with `records` about how many were in them; no row when nothing was emptied. It is sent once for each ring at
   * most, which has one such partition at a time. It MUST leave alone a partition that holds a live token, and one whose lock
   * does not come at once: no look-up may wait for long behind it.
   */
  readonly emptyAccessPartitions?: string;
  /** How many rows a purge removes at a time, where that is not as many as on most engines. */
  readonly purgeBatch?: number;
  // `changed`: how many rows are gone, at most `limit`.
  readonly purgeAccessTokens: string;
  readonly purgeGrants: string;
  readonly purgeForeignTokens: string;
  readonly purgeRevocations: string;
  readonly purgeCodes: string;
  readonly purgeArtifacts: string;
  readonly purgeClientTokens: string;
  /** `records` that are due, counted as far as `most`, and when the `oldest` of them was: a row for each table. */
  readonly backlog: Readonly<
    Record<'accessTokens' | 'authorizationCodes' | 'artifacts' | 'clientAccessTokens', string>
  >;
}
