import { functionNames } from './functions.ts';

// What the functions measure and what dashboard and alarms show: one list for both. Every value of a dimension comes from
// this file or from the configuration's names of stores, never from a request: each new one is a metric that is paid for.

/** How a store's operation ended: an outcome of the ports, `done` where they name none, or the code of its failure. */
export const outcomes = [
  ...['persisted', 'added', 'barred', 'rotated', 'retried', 'reused', 'redeemed', 'replayed', 'mismatched'],
  ...['active', 'expired', 'revoked', 'retired', 'unknown', 'done', 'refused'],
  ...['unavailable', 'timeout', 'throttled', 'conflict', 'invalid', 'unsupported', 'failed'],
] as const;

/** Why a request was refused: what became of its token or code, or else the word of the RFCs for the client. */
const refusalReasons = [
  ...['unknown', 'expired', 'revoked', 'retired', 'replayed', 'reused', 'mismatched'],
  ...['invalid_request', 'invalid_client', 'invalid_token', 'insufficient_scope'],
] as const;

/** A name that stands for whatever a list does not hold. */
export const other = 'other';

/** The values of each dimension; those of `Store` are labels of the configuration's places. */
export const dimensions = {
  Store: 'label',
  Operation: 'method',
  Outcome: [...outcomes, other],
  Reason: [...refusalReasons, other],
  Function: [...functionNames, other],
} as const;

export type Dimension = keyof typeof dimensions;

interface Metric {
  readonly unit: 'Count' | 'Milliseconds' | 'Seconds';
  /** Each set gives one metric for every combination of its values; the empty one the total. */
  readonly dimensions: readonly (readonly Dimension[])[];
}

export const metrics = {
  /** Of one operation of a store; its number of samples is the number of operations. */
  DurationMs: {
    unit: 'Milliseconds',
    dimensions: [
      ['Store', 'Operation'],
      ['Store', 'Operation', 'Outcome'],
    ],
  },
  /** Codes that were redeemed a second time. */
  CodeReplays: { unit: 'Count', dimensions: [[]] },
  /** Refresh tokens that were used again after their grace. */
  RefreshReuses: { unit: 'Count', dimensions: [[]] },
  /** Operations that a store did not do: it is away, does not answer in time, or refuses. */
  StoreFailures: { unit: 'Count', dimensions: [[], ['Store']] },
  /** Operations that a store put off until its client had no more patience. */
  StoreThrottles: { unit: 'Count', dimensions: [[], ['Store']] },
  /** Requests that were refused, those too that never reached a store. */
  Refusals: { unit: 'Count', dimensions: [['Reason'], ['Function', 'Reason']] },
  /** Requests that a function could not answer, an authorizer's among them. */
  FunctionFailures: { unit: 'Count', dimensions: [[], ['Function']] },
  /** Execution environments that could not be made ready: keys, configuration or secrets. */
  StartFailures: { unit: 'Count', dimensions: [[]] },
  /** Runs of the purge that came to their end: its heartbeat. */
  PurgeRuns: { unit: 'Count', dimensions: [['Store']] },
  PurgeRemoved: { unit: 'Count', dimensions: [['Store']] },
  /** 1 for a run that ended before all that was due had been removed, else 0. */
  PurgeUnfinished: { unit: 'Count', dimensions: [['Store']] },
  /** Records that are due and still there, and how long the oldest of them has been: both 0 where there are none. */
  PurgeBacklog: { unit: 'Count', dimensions: [['Store']] },
  PurgeOldestSeconds: { unit: 'Seconds', dimensions: [['Store']] },
  /** How much later than its tick a run began. */
  PurgeLateSeconds: { unit: 'Seconds', dimensions: [['Store']] },
} as const satisfies Record<string, Metric>;

export type MetricName = keyof typeof metrics;
