import type { Engine } from '../functions/domain/ports.ts';
import type { Bundled } from './bundle.ts';
import type { Contender } from './measure.ts';
import type { operationsOf } from './operations.ts';
import type { Figure, Target } from './report.ts';

/**
 * An engine, as `npm run bench` measures it: `bench/engines/<name>.ts` exports one, and bench/run.ts lists it. The records
 * (records.ts), the operations on them through the ports (operations.ts), the turns that all take (measure.ts) and the
 * table (beside.ts) are the same for all; an engine tells how its server is started, what its bare driver does beside
 * each operation, and what is aimed at.
 */
export interface BenchedEngine {
  /** As on the command line, and of its section in docs/figures.md. */
  readonly name: string;
  /** The heading of that section. */
  readonly title: string;
  /** How many calls a round has: enough for some tens of milliseconds at 8 connections. */
  readonly calls: number;
  /** The rows of the table, in their order. */
  readonly beside: readonly Beside[];
  readonly bundle?: Bundled;
  /** Starts a server for this run alone, with this many rows for the floors to read and to change. */
  start(rows: number): Promise<BenchedServer>;
}

/** An operation beside what the bare driver does. */
export interface Beside {
  readonly operation: keyof ReturnType<typeof operationsOf>;
  /** A name among {@link Connected.floors}. */
  readonly floor: string;
  /** Of the throughput at 8 connections, as a multiple of the floor's. */
  readonly target?: Target;
}

export interface BenchedServer {
  /** Name and version, and what settings matter: the beginning of the section. */
  readonly description: string;
  /** Opens the stores and the bare driver, with as many connections each as there are calls in flight. */
  connect(concurrency: number): Promise<Connected>;
  /** Its process ids, for what they spend of CPU. */
  processes(): Promise<readonly number[]>;
  /** What so many grants take, each with a refresh token and an access token, when nothing else was stored through a port. */
  measureStorage?(grants: number): Promise<readonly Figure[]>;
  stop(): Promise<void>;
}

export interface Connected {
  readonly engine: Engine;
  /**
   * The bare driver by what it does, prepared and cached as well as it can be: one key or row of about 200 bytes, and as
   * many as the operation touches. The calls of a round are made before it is timed.
   */
  readonly floors: Readonly<Record<string, Contender['prepare']>>;
  close(): Promise<void>;
}
