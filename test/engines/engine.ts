/** A server that runs, or that was there already. */
export interface Server {
  /** The version that the server itself states. */
  readonly version: string;
  /** What the engine's test file reads from its environment. */
  readonly env: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

/** A server on the loopback address whose administrator needs no password, and which can be disturbed. */
export interface StartedServer extends Server {
  readonly url: string;
  readonly port: number;
  pid(): number;
  /** Ends it at once, as a crash does. */
  kill(): Promise<void>;
  /** Starts it again, with what it has written, on the same port. */
  restart(): Promise<void>;
}

/** An engine that the stores run on. Its tests are `test/stores/<name>.test.ts`, run once for every version. */
export interface Engine {
  readonly name: string;
  readonly versions: readonly string[];
  /** Further test files that read the same environment. */
  readonly tests?: readonly string[];
  /** Starts a server of that version for this run alone; throws when it cannot be had. */
  start(version: string): Promise<Server>;
  /** Takes a server that runs already; its owner stops it. */
  attach?(url: string): Promise<Server>;
}
