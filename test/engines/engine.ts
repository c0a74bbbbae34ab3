/** A server that runs, or that was there already. */
export interface Server {
  /** The version that the server itself states. */
  readonly version: string;
  /** What the engine's test file reads from its environment. */
  readonly env: Readonly<Record<string, string>>;
  stop(): Promise<void>;
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
