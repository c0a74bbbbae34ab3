import { randomInt } from 'node:crypto';
import type { ConnectionOptions } from 'node:tls';
import { Cluster, Redis } from 'iovalkey';
import type { Clock } from '../../domain/clock.ts';
import { connectorOf } from './connector.ts';
import { isRefusedByReplica, isReply, isUnknownScript, storeError } from './errors.ts';
import type { Script } from './scripts/script.ts';

export interface ConnectionSettings {
  /** Each `host` or `host:port`; of a cluster, those to begin with. Default: `127.0.0.1:6379`. */
  readonly hosts?: readonly string[];
  /** Whether the servers form a cluster. ElastiCache Serverless does, with a single host. Default: false. */
  readonly cluster?: boolean;
  /** The user of the access control list. Default: the server's own. */
  readonly user?: string;
  /** A function is asked for every new connection, as tokens of IAM, which live for minutes, need it. */
  readonly password?: string | (() => Promise<string>);
  /** With the server's certificate verified; `false`: none. Default: false. */
  readonly tls?: ConnectionOptions | false;
  /** Default: 1000. */
  readonly connectTimeoutMs?: number;
  /** How long a call may take, connecting and following a moved slot included. Default: 2000. */
  readonly requestTimeoutMs?: number;
  /**
   * A connection whose password comes from a function is replaced when it is this old, or up to a fifth younger, so that
   * those that were opened together are not replaced together. ElastiCache closes what was opened with IAM after twelve
   * hours. Default: six hours.
   */
  readonly longestConnectionMs?: number;
  /** Called when the first connection is good. */
  readonly onFirstReady?: () => void;
}

export type Argument = Uint8Array | string | number;

/** What a script or a command answers. */
export type Reply = Buffer | number | null | readonly Reply[];

export interface Connection {
  /** Runs a script by its digest, or by its text where the server does not have it. `repeatable`: sent again if a connection that had been good is lost. */
  run(script: Script, keys: readonly string[], args: readonly Argument[], repeatable?: boolean): Promise<Reply>;
  get(key: string): Promise<Buffer | null>;
  /** The pointers of a sorted set in the order of their bytes, behind one of them. */
  members(key: string, after: Uint8Array, limit: number): Promise<Buffer[]>;
  /** What each primary says of itself. */
  info(section: string): Promise<readonly string[]>;
  close(): void;
}

type Client = Redis | Cluster;

type Call<T> = (lease: Lease) => Promise<T>;

/** How a call goes on that fails. */
interface Way<T> {
  /** Whether it may be sent again when a connection that had been good is lost. */
  readonly repeatable: boolean;
  /** What is sent where its script is not known. */
  readonly whole?: Call<T>;
  /** It has been sent again. */
  readonly isLast?: boolean;
  /** How long it may take. Default: as long as any call. */
  readonly ms?: number;
}

/** A client while it is used for new calls. */
interface Lease {
  readonly client: Client;
  /** When another takes its place. */
  readonly endsMs: number;
  /** When it was last sent something. */
  usedMs: number;
  /** The scripts that a server has from it. */
  readonly sent: Set<Script>;
  wasReady: boolean;
  lastError?: unknown;
}

/** A connection that nothing was sent on for so long may be dead without a word: the process was frozen, or something on the way has forgotten it. */
const IDLE_MS = 60_000;

const TIMED_OUT = 'Command timed out'; // the client's own words
const isTimeout = (error: unknown) => error instanceof Error && error.message === TIMED_OUT;

/** While a client connects, its own timeout does not run for every call. */
const within = <T>(ms: number, call: Promise<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(TIMED_OUT)), ms);
    call.finally(() => clearTimeout(timer)).then(resolve, reject);
  });

const portOf = (host: string): { host: string; port: number } => {
  const [, name = host, port = '6379'] =
    /^\[?(.+?)\]?(?::(\d+))?$/.exec(host.replace(/^([^[\]]*:[^[\]]*:.*)$/, '[$1]')) ?? [];
  return { host: name, port: Number(port) };
};

/**
 * Opens nothing yet: the first call connects. A client that has lost its connection is thrown away, and the next call opens
 * another, so nothing is queued through an outage and no timer runs in a function that is frozen.
 */
export function openConnection(settings: ConnectionSettings, clock: Clock): Connection {
  const { hosts = ['127.0.0.1:6379'], cluster = false, requestTimeoutMs = 2000 } = settings;
  const { longestConnectionMs = 6 * 3_600_000 } = settings;
  const nodes = hosts.map(portOf);
  const Connector = connectorOf(settings);
  const options = {
    Connector,
    lazyConnect: true,
    enableReadyCheck: false,
    // A call that was cut off is repeated here, if it may be, and not behind the caller's back.
    autoResendUnfulfilledCommands: false,
    retryStrategy: null,
    maxRetriesPerRequest: 0,
    commandTimeout: requestTimeoutMs,
    keepAlive: IDLE_MS, // so that nothing on the way forgets it
  };
  const connect = (): Client => {
    if (!cluster) return new Redis({ ...options, ...nodes[0], retryStrategy: () => null });
    const { retryStrategy: _, ...redisOptions } = options;
    return new Cluster(nodes, {
      redisOptions,
      lazyConnect: true,
      enableReadyCheck: false,
      scaleReads: 'master',
      clusterRetryStrategy: () => null,
      // Certificates carry names, so names are not resolved before TLS sees them.
      dnsLookup: (address, done) => done(null, address),
      retryDelayOnFailover: 0,
      // Keys of one call that are on two nodes: sixteen times, then it is told.
      retryDelayOnTryAgain: requestTimeoutMs / 40,
      slotsRefreshTimeout: requestTimeoutMs,
      slotsRefreshInterval: 0,
    });
  };

  let current: Lease | undefined;
  let wasEverReady = false;
  const lease = (nowMs: number): Lease => {
    if (current?.client.status === 'end') current = undefined;
    if (current && nowMs >= current.endsMs) retire(current);
    if (current) return current;
    const lifeMs =
      typeof settings.password === 'function' ? (longestConnectionMs * randomInt(80, 101)) / 100 : Infinity;
    const opened: Lease = {
      client: connect(),
      endsMs: nowMs + lifeMs,
      usedMs: nowMs,
      sent: new Set(),
      wasReady: false,
    };
    opened.client.on('ready', () => {
      opened.wasReady = true;
      if (!wasEverReady) settings.onFirstReady?.();
      wasEverReady = true;
    });
    opened.client.on('error', (error) => {
      opened.lastError = error;
    });
    opened.client.on('node error', (error) => {
      opened.lastError = error;
    });
    current = opened;
    return opened;
  };
  /** What is under way on a client is answered before it closes. */
  const retire = (old: Lease) => {
    if (current !== old) return;
    current = undefined;
    old.client.quit().catch(() => old.client.disconnect());
  };

  async function failed<T>(call: Call<T>, used: Lease, error: unknown, way: Way<T>): Promise<T> {
    if (error instanceof TypeError || error instanceof RangeError) throw error; // a fault of ours
    // Another node, or one that was started anew.
    if (way.whole && isUnknownScript(error)) return send(way.whole, { repeatable: way.repeatable });
    const isMoved = isRefusedByReplica(error);
    const isLost = !isReply(error) && (!isTimeout(error) || way.ms !== requestTimeoutMs);
    // A peer that says nothing may be gone without a word: it is not asked again on that connection.
    if (isMoved || !isReply(error)) retire(used);
    if (!way.isLast && (isMoved || (isLost && way.repeatable && used.wasReady))) {
      return send(call, { ...way, isLast: true });
    }
    throw storeError(error, isTimeout(error) ? undefined : used.lastError);
  }
  const send = <T>(call: Call<T>, way: Way<T>): Promise<T> => {
    const nowMs = clock();
    const mayBeDead = (one: Lease) => one.wasReady && nowMs - one.usedMs > IDLE_MS;
    let used = lease(nowMs);
    if (mayBeDead(used) && !way.repeatable) {
      retire(used);
      used = lease(nowMs);
    }
    // What may be sent again tries it for half of its time, and has the other half on another connection.
    const { ms = mayBeDead(used) ? requestTimeoutMs / 2 : requestTimeoutMs } = way;
    used.usedMs = nowMs;
    // The client's own timeout counts when it is connected.
    const answer = used.wasReady && ms === requestTimeoutMs ? call(used) : within(ms, call(used));
    return answer.catch((error: unknown) => failed(call, used, error, { ...way, ms }));
  };

  return {
    run: (script, keys, args, repeatable = true) => {
      const all = [...keys, ...args] as (string | Buffer | number)[];
      const whole: Call<Reply> = ({ client, sent }) => {
        sent.add(script);
        return client.callBuffer('eval', script.text, keys.length, ...all) as Promise<Reply>;
      };
      // The text at first, so that no answer is waited for in vain.
      const call: Call<Reply> = (used) =>
        used.sent.has(script)
          ? (used.client.callBuffer('evalsha', script.sha, keys.length, ...all) as Promise<Reply>)
          : whole(used);
      return send(call, { repeatable, whole });
    },
    get: (key) => send(({ client }) => client.getBuffer(key), { repeatable: true }),
    members: (key, after, limit) =>
      send(
        ({ client }) =>
          client.zrangeBuffer(key, Buffer.concat([Buffer.from('('), after]), '(f', 'BYLEX', 'LIMIT', 0, limit),
        { repeatable: true },
      ),
    info: (section) =>
      send(
        async ({ client }) => {
          if (client instanceof Redis) return [await client.info(section)];
          // Its nodes are known when a first command has found them.
          await client.exists('i');
          return Promise.all(client.nodes('master').map((node) => node.info(section)));
        },
        { repeatable: true },
      ),
    close() {
      current?.client.disconnect();
      current = undefined;
    },
  };
}
