/** How a database server is reached. Each engine says which of these it takes, and what it adds. */
export interface DatabaseSettings extends LoginSettings {
  readonly host?: string;
  readonly port?: number;
  readonly database?: string;
  /** Where tables and procedures are, for a user who does not own them (Oracle, Db2). Default: in the user's own. */
  readonly schema?: string;
  /**
   * TLS, verified against `ca` (PEM) and `servername`, or else the host; `false` only on a loopback. Without `ca`: the
   * authorities of Amazon RDS for a server of theirs, and the common ones for others.
   */
  readonly tls?: false | TlsSettings;
  readonly pool?: PoolSettings & {
    /** Longest that a statement may take; later it is a `timeout`. */
    readonly statementTimeoutMs?: number;
  };
  /** Whether access tokens are in expiry partitions, as `oauth-partitions.sql` makes them. */
  readonly expiryPartitions?: boolean;
  /** Query that tells a working connection from a broken one. Default: the engine's cheapest way. */
  readonly validationQuery?: string;
}

/** Who connects. */
export interface LoginSettings {
  readonly user?: string;
  /**
   * A function is asked for every new connection: an IAM token lives 15 minutes, and a secret changes. With a name beside it,
   * whoever it belongs to connects.
   */
  readonly password?: string | (() => Promise<string | Partial<Login>> | string | Partial<Login>);
}

/** A user, and the password that is theirs. */
export interface Login {
  readonly user: string;
  readonly password: string;
}

export interface TlsSettings {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
}

/** The connections of one process. Each default in brackets. */
export interface PoolSettings {
  /** Opened at the start (0). */
  readonly initialSize?: number;
  /** The most at a time (8). */
  readonly maxActive?: number;
  /** The most unused ones that are kept; more are closed at once (8). */
  readonly maxIdle?: number;
  /** The unused ones that are kept ready (0). */
  readonly minIdle?: number;
  /** Milliseconds that a call waits for a connection, and a connection for its server (10 000). */
  readonly maxWaitMs?: number;
  /** Milliseconds after which an unused connection beyond `minIdle` is closed; 0: never (60 000). */
  readonly idleEvictionMs?: number;
}
