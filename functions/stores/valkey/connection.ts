import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { AbstractConnector, Cluster, Redis } from 'iovalkey';
import type { Clock } from '../../domain/clock.ts';
import { isRefusedByReplica, isReply, storeError } from './errors.ts';
import type { Script } from './scripts.ts';

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
   * A connection whose password comes from a function is replaced when it is this old. ElastiCache closes those that were
   * opened with IAM after twelve hours. Default: six hours.
   */
  readonly longestConnectionMs?: number;
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

/** A client while it is used for new calls. */
interface Lease {
  readonly client: Client;
  readonly openedMs: number;
  /** The scripts that a server has from it. */
  readonly sent: Set<Script>;
  wasReady: boolean;
  lastError?: unknown;
}

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
      slotsRefreshTimeout: requestTimeoutMs,
      slotsRefreshInterval: 0,
    });
  };

  let current: Lease | undefined;
  const lease = (): Lease => {
    const nowMs = clock();
    if (current?.client.status === 'end') current = undefined;
    if (current && typeof settings.password === 'function' && nowMs - current.openedMs >= longestConnectionMs) {
      retire(current);
    }
    if (current) return current;
    const opened: Lease = { client: connect(), openedMs: nowMs, sent: new Set(), wasReady: false };
    opened.client.on('ready', () => {
      opened.wasReady = true;
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

  async function failed<T>(
    call: Call<T>,
    used: Lease,
    error: unknown,
    repeatable: boolean,
    isLast: boolean,
  ): Promise<T> {
    if (error instanceof TypeError || error instanceof RangeError) throw error; // a fault of ours
    const isMoved = isRefusedByReplica(error);
    const isLost = !isReply(error) && !isTimeout(error);
    // A peer that says nothing may be gone without a word: it is not asked again on that connection.
    if (isMoved || !isReply(error)) retire(used);
    if (!isLast && (isMoved || (isLost && repeatable && used.wasReady))) return send(call, repeatable, true);
    throw storeError(error, isTimeout(error) ? undefined : used.lastError);
  }
  const send = <T>(call: Call<T>, repeatable: boolean, isLast = false): Promise<T> => {
    const used = lease();
    // Later, it is the client's own timeout that counts.
    const answer = used.wasReady ? call(used) : within(requestTimeoutMs, call(used));
    return answer.catch((error: unknown) => failed(call, used, error, repeatable, isLast));
  };

  return {
    run: (script, keys, args, repeatable = true) =>
      send(async ({ client, sent }) => {
        const all = [...keys, ...args] as (string | Buffer | number)[];
        // The text at first, so that no answer is waited for in vain.
        if (sent.has(script)) {
          try {
            return (await client.callBuffer('evalsha', script.sha, keys.length, ...all)) as Reply;
          } catch (error) {
            // Another node, or one that was started anew.
            if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
          }
        }
        sent.add(script);
        return (await client.callBuffer('eval', script.text, keys.length, ...all)) as Reply;
      }, repeatable),
    get: (key) => send(({ client }) => client.getBuffer(key), true),
    members: (key, after, limit) =>
      send(
        ({ client }) =>
          client.zrangeBuffer(key, Buffer.concat([Buffer.from('('), after]), '(f', 'BYLEX', 'LIMIT', 0, limit),
        true,
      ),
    info: (section) =>
      send(async ({ client }) => {
        if (client instanceof Redis) return [await client.info(section)];
        // Its nodes are known when a first command has found them.
        await client.exists('i');
        return Promise.all(client.nodes('master').map((node) => node.info(section)));
      }, true),
    close() {
      current?.client.disconnect();
      current = undefined;
    },
  };
}

/**
 * A connection with its own password, asked for at that moment: the client knows one password, from its start. It is
 * verified before the client has the connection, so that a refusal reaches the calls that wait for it in its own words.
 * The client asks for a class.
 */
const connectorOf = ({ user, password, tls = false, connectTimeoutMs = 1000 }: ConnectionSettings) =>
  class extends AbstractConnector {
    readonly #place: { host: string; port: number };

    constructor(options: unknown) {
      super(2000);
      const { host, port } = options as { host: string; port: number };
      this.#place = { host, port };
    }

    override async connect(): Promise<Socket> {
      this.connecting = true;
      const secret = typeof password === 'function' ? await password() : password;
      if (!this.connecting) throw new Error('Connection is closed.');
      const socket = tls ? connectTls({ ...this.#place, ...tls }) : createConnection(this.#place);
      this.stream = socket;
      const signal = AbortSignal.timeout(connectTimeoutMs);
      try {
        await once(socket, tls ? 'secureConnect' : 'connect', { signal });
        if (secret !== undefined) await authenticate(socket, user, secret, signal);
        return socket;
      } catch (error) {
        socket.on('error', () => {});
        socket.destroy();
        throw signal.aborted ? new Error(`no connection within ${connectTimeoutMs} ms`, { cause: error }) : error;
      }
    }
  };

/** https://valkey.io/commands/auth/, in RESP. */
async function authenticate(socket: Socket, user: string | undefined, password: string, signal: AbortSignal) {
  const words = ['AUTH', ...(user === undefined ? [] : [user]), password];
  socket.write(`*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`);
  let answer = '';
  while (!answer.endsWith('\r\n')) {
    const [chunk] = (await Promise.race([
      once(socket, 'data', { signal }),
      once(socket, 'close', { signal }).then(() => {
        throw new Error('Connection is closed.');
      }),
    ])) as [Buffer];
    answer += chunk.toString('latin1');
  }
  socket.pause();
  if (answer.startsWith('+OK')) return;
  throw Object.assign(new Error(answer.slice(1).trim()), { name: 'ReplyError' });
}
