import type { Engine } from '../../functions/domain/ports.ts';

/** A clock that stands still until it is moved. It only ever goes forward. */
export interface VirtualClock {
  /** Epoch seconds. */
  now(): number;
  /** Epoch milliseconds. */
  nowMs(): number;
  advance(seconds: number): void;
}

export function createVirtualClock(startMs: number): VirtualClock {
  let nowMs = startMs;
  return {
    now: () => Math.floor(nowMs / 1000),
    nowMs: () => nowMs,
    advance: (seconds) => {
      nowMs += seconds * 1000;
    },
  };
}

/** A kind of record that a purge counts. */
export type PurgeKind = 'codes' | 'accessTokens' | 'grants' | 'revocations' | 'artifacts' | 'clientAccessTokens';

/** How engines may differ. What is declared is held to where it can be observed. */
export interface Capabilities {
  /** Calls of several engines meet in the storage, rather than being served one after another: races get more rounds. */
  readonly concurrent: boolean;
  /** What `purgeExpired` removes; the other kinds leave by the engine's own expiry. */
  readonly purges: readonly PurgeKind[];
  /** The most records that a purge removes before it looks at its deadline again. */
  readonly purgeBatch: number;
  /** When a purge removes an access token, where that is not at its expiry but later. */
  readonly accessTokenLeavesAt?: (token: { readonly issuedAt: number; readonly expiresAt: number }) => number;
  /** Look-ups may be answered from a cache: then, while a call ends a token, one caller may see that it has and a later one not yet. */
  readonly cachesLookups?: boolean;
  /** Operations that may take more round trips than the table of the design says, and how many. */
  readonly roundTrips?: Readonly<Record<string, number>>;
}

/** Counts what an engine sends: everything that it waits for before it goes on is one round trip. */
export interface RoundTrips {
  reset(): void;
  count(): number;
}

/** How to come to an engine that cannot do its work. Opening it may already fail, with the same error. */
export interface Outage {
  /** An engine on a port that nobody listens on. */
  refused(): Promise<Engine>;
  /** An engine on a server that takes the connection and never answers, with the shortest patience that it can be set to. */
  silent(): Promise<Engine>;
  /** Cuts every connection that engines over the storage have open; absent where this cannot be done from here. */
  cut?(): Promise<void>;
}

/** What an engine gives so that the suite can be run against it. The storage is the suite's alone, and may hold rests of it. */
export interface Harness {
  /**
   * Opens an engine over the storage; several are open at once, each with connections of its own. An engine that lives in
   * this process gives the same one again, and ends it when the last was closed or not at all.
   */
  open(): Promise<Engine>;
  /** The clock that every opened engine was given. */
  readonly clock: VirtualClock;
  readonly capabilities: Capabilities;
  readonly outage?: Outage;
  /** Ends the storage in good order and starts it again, engines opened before are dead; absent where this cannot be done from here. */
  restart?(): Promise<void>;
  /** Everything that is stored, in the engine's own words: text as it is, bytes as they are or in hexadecimal. */
  dump?(): Promise<Uint8Array>;
  /** Counts from now on, over all engines that are opened later too. */
  readonly roundTrips?: RoundTrips;
}

/** G1 to G11 of the design; `port`: a rule that the ports state beyond them. */
export type Guarantee =
  | 'G1'
  | 'G2'
  | 'G3'
  | 'G4'
  | 'G5'
  | 'G6'
  | 'G7'
  | 'G8'
  | 'G9'
  | 'G10'
  | 'G11'
  | 'round trips'
  | 'port';

/** What a case works with: an engine that is opened for it, and closed after it. */
export interface Stage extends Engine {
  readonly harness: Harness;
  readonly clock: VirtualClock;
  /** So many engines over the same storage, this one and further ones, which are closed after the case. */
  engines(count: number): Promise<readonly Engine[]>;
}

/** A case as it is written. */
export interface Case {
  readonly guarantee: Guarantee;
  /** The guarantee as a sentence. */
  readonly name: string;
  /** Why the case does not apply to an engine; nothing when it does. */
  readonly omit?: (harness: Harness) => string | false;
  run(stage: Stage): Promise<void>;
}

/** A case as it is given to a test runner. */
export interface ConformanceCase {
  readonly theme: string;
  readonly guarantee: Guarantee;
  readonly name: string;
  /** Why it does not apply to this engine: to be reported, never dropped in silence. */
  readonly omitted?: string;
  /** Rejects, with an AssertionError in most cases, when the engine breaks the guarantee. */
  run(): Promise<void>;
}

/** Opens an engine for a case and closes all that it opened. */
export async function onStage(harness: Harness, run: (stage: Stage) => Promise<void>): Promise<void> {
  const engine = await harness.open();
  const opened = [engine];
  const engines = async (count: number) => {
    while (opened.length < count) opened.push(await harness.open());
    return opened.slice(0, count);
  };
  try {
    await run({ ...engine, harness, clock: harness.clock, engines });
  } finally {
    await Promise.all(opened.map((engine) => engine.close()));
  }
}
