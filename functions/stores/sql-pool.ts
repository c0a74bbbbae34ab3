import { type Clock, systemClock } from '../domain/clock.ts';
import { StoreError } from '../domain/errors.ts';
import { within } from '../domain/within.ts';
import type { PoolSettings } from './sql-settings.ts';

/** What the pool asks of an engine's driver. */
export interface Connections<Connection> {
  /** @throws {StoreError} the server cannot be reached, or refuses */
  open(): Promise<Connection>;
  /** Whether nothing more can be sent over it, as far as this end knows. */
  isBroken(connection: Connection): boolean;
  /** Asks the server for an answer; throws when it gives none. */
  validate(connection: Connection): Promise<unknown>;
  /** Closes it, in order if it can; never throws. */
  close(connection: Connection): Promise<void>;
}

export interface Pool<Connection> {
  /** Lends a connection for as long as the work takes. */
  use<Result>(work: (connection: Connection) => Promise<Result>): Promise<Result>;
  /** Closes what is unused, and what is lent when it comes back; refuses whoever comes later. */
  close(): Promise<void>;
}

interface Idle<Connection> {
  readonly connection: Connection;
  readonly sinceMs: number;
}

interface Waiter<Connection> {
  readonly take: (connection: Connection) => void;
  readonly fail: (error: unknown) => void;
}

/** Unused for longer, a connection is asked for an answer first: a server, a proxy or a frozen process may have ended it. */
const TRUSTED_MS = 5000;
/** A connection that does not answer in this time is given up. */
const VALIDATION_MS = 2000;

/**
 * The connections of one process to one server: the one that was used last is lent first, and who waits is served in turn.
 * A broken one is replaced, and no call sees it: before a call is sent over a connection that was unused for a while, the server is
 * asked for an answer. What breaks under a call is that call's error, since it may have been carried out.
 *
 * @throws {StoreError} `throttled`: all connections stayed in use for `maxWaitMs`; `unavailable`: or were still being opened; what
 *   opening a connection throws
 */
export function createPool<Connection>(
  connections: Connections<Connection>,
  settings: PoolSettings = {},
  clock: Clock = systemClock,
): Pool<Connection> {
  const {
    initialSize = 0,
    maxActive = 8,
    maxIdle = 8,
    minIdle = 0,
    maxWaitMs = 10_000,
    idleEvictionMs = 60_000,
  } = settings;
  const idle: Idle<Connection>[] = []; // the one that was used last is last
  const waiting: Waiter<Connection>[] = [];
  const closing = new Set<Promise<void>>();
  let size = 0; // lent, unused and being opened
  let opening = 0;
  let lately: unknown = new Error('the server takes its time'); // why none could be opened
  let preparing = 0; // of these, that nobody asked for
  let closed = false;
  let eviction: NodeJS.Timeout | undefined;
  let drained: (() => void) | undefined;

  const discard = (connection: Connection) => {
    size -= 1;
    const gone = connections.close(connection).finally(() => closing.delete(gone));
    closing.add(gone);
    if (closed && size === 0) drained?.();
  };

  const open = async () => {
    size += 1;
    opening += 1;
    try {
      return await connections.open().finally(() => {
        opening -= 1;
      });
    } catch (error) {
      lately = error;
      size -= 1;
      if (closed && size === 0) drained?.();
      replace();
      throw error;
    }
  };

  /** Opens one that nobody asked for; if it cannot be had, whoever needs one gets the error. */
  const prepare = () => {
    preparing += 1;
    open()
      .then(giveBack, () => {})
      .finally(() => {
        preparing -= 1;
      });
  };

  /** Opens one for whoever waits, now that there is room. */
  const replace = () => {
    const waiter = waiting.length > 0 && size < maxActive ? waiting.shift() : undefined;
    if (waiter) open().then(waiter.take, waiter.fail);
  };

  const keepReady = () => {
    if (closed) return;
    for (let missing = minIdle - idle.length - preparing; missing > 0 && size < maxActive; missing -= 1) prepare();
  };

  const evict = () => {
    eviction = undefined;
    const untilMs = clock() - idleEvictionMs;
    while (idle.length > minIdle && (idle[0] as Idle<Connection>).sinceMs <= untilMs)
      discard((idle.shift() as Idle<Connection>).connection);
    keepReady();
    watch();
  };

  const watch = () => {
    if (eviction || idleEvictionMs === 0 || idle.length <= minIdle || closed) return;
    const dueMs = (idle[0] as Idle<Connection>).sinceMs + idleEvictionMs;
    eviction = setTimeout(evict, Math.max(1, dueMs - clock()));
    eviction.unref(); // an unused pool keeps no process alive
  };

  const giveBack = (connection: Connection) => {
    if (closed || connections.isBroken(connection)) {
      discard(connection);
      replace();
      return;
    }
    const waiter = waiting.shift();
    if (waiter) waiter.take(connection);
    else if (idle.length >= maxIdle) discard(connection);
    else {
      idle.push({ connection, sinceMs: clock() });
      watch();
    }
  };

  const wait = () =>
    new Promise<Connection>((resolve, reject) => {
      const give = (settle: () => void) => {
        clearTimeout(timer);
        settle();
      };
      const waiter: Waiter<Connection> = {
        take: (connection) => give(() => resolve(connection)),
        fail: (error) => give(() => reject(error)),
      };
      const timer = setTimeout(() => {
        waiting.splice(waiting.indexOf(waiter), 1);
        reject(
          opening > 0
            ? new StoreError('unavailable', `no connection could be had within ${maxWaitMs} ms`, { cause: lately })
            : new StoreError('throttled', `all ${maxActive} connections stayed in use for ${maxWaitMs} ms`),
        );
      }, maxWaitMs);
      waiting.push(waiter);
    });

  const acquire = async (): Promise<Connection> => {
    for (;;) {
      if (closed) throw new StoreError('unavailable', 'the stores are closed');
      const { connection, sinceMs = 0 } = idle.pop() ?? {};
      if (connection === undefined) return size < maxActive ? open() : wait();
      if (!connections.isBroken(connection)) {
        if (clock() - sinceMs < TRUSTED_MS || (await answers(connection))) return connection;
      }
      discard(connection);
    }
  };

  const answers = (connection: Connection): Promise<boolean> => {
    const answered = connections.validate(connection).then(
      () => true,
      () => false,
    );
    return within(answered, VALIDATION_MS, () => false);
  };

  for (let missing = Math.min(initialSize, maxActive); missing > 0; missing -= 1) prepare();

  return {
    async use(work) {
      const connection = await acquire();
      try {
        return await work(connection);
      } finally {
        giveBack(connection);
        keepReady();
      }
    },
    async close() {
      if (!closed) {
        closed = true;
        clearTimeout(eviction);
        for (const { fail } of waiting.splice(0)) fail(new StoreError('unavailable', 'the stores are closed'));
        for (const { connection } of idle.splice(0)) discard(connection);
        if (size > 0)
          await new Promise<void>((resolve) => {
            drained = resolve;
          });
      }
      await Promise.all(closing);
    },
  };
}
