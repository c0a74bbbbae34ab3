import type { DatabaseEngine } from '../../functions/config/engines.ts';
import type { Target } from '../report.ts';
import type { Place } from './places.ts';

/** How the access tokens are laid out: in one table, or in partitions by when they expire. */
export type Layout = 'flat' | 'partitioned';

/** An engine whose purge is measured: `bench/purge/<name>.ts` exports one, and bench/run.ts lists it. */
export interface PurgedEngine {
  readonly name: DatabaseEngine;
  readonly title: string;
  /** What its server calls its log. */
  readonly log: string;
  /** Seconds and bytes of that log in which all that has expired is gone, where partitions are emptied whole. */
  readonly emptied?: { readonly seconds: Target; readonly bytes: Target };
  start(): Promise<PurgedServer>;
}

export interface PurgedServer {
  /** Name and version, and what settings matter. */
  readonly description: string;
  /** A database of its own with so many grants, each with a live access token: those of records.ts, by their numbers. */
  create(name: string, grants: number, layout: Layout): Promise<Purged>;
  stop(): Promise<void>;
}

export interface Purged {
  readonly place: Place;
  /**
   * Gives so many grants, which lie scattered over the table, a further access token that has expired within the hour that
   * ended before `NOW`; what the server does behind such writes is done when this is.
   */
  expire(count: number): Promise<void>;
  /** How many tokens are there that have expired. */
  countExpired(): Promise<number>;
  /** Bytes that the server has written to its log by now. */
  logged(): Promise<number>;
  close?(): Promise<void>;
}
