import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Connections, createPool, type Pool } from '../../functions/stores/sql-pool.ts';
import type { PoolSettings } from '../../functions/stores/sql-settings.ts';
import { errorCode, many } from '../conformance/records.ts';

interface Connection {
  readonly number: number;
  broken: boolean;
}

/** A server whose connections are numbered; it can refuse, dawdle, and end connections that are unused. */
function createServer() {
  const server = {
    open: new Set<Connection>(),
    opened: 0,
    most: 0,
    asked: 0,
    does: 'answer' as 'answer' | 'refuse' | 'nothing',
    connect: async () => {},
  };
  const connections: Connections<Connection> = {
    async open() {
      await server.connect();
      const connection = { number: ++server.opened, broken: false };
      server.open.add(connection);
      server.most = Math.max(server.most, server.open.size);
      return connection;
    },
    isBroken: ({ broken }) => broken,
    validate() {
      server.asked += 1;
      if (server.does === 'nothing') return new Promise(() => {});
      return server.does === 'answer' ? Promise.resolve() : Promise.reject(new Error('ended'));
    },
    async close(connection) {
      server.open.delete(connection);
    },
  };
  return { server, connections };
}

const pools: Pool<Connection>[] = [];
function createStage(settings: PoolSettings = {}) {
  const { server, connections } = createServer();
  const pool = createPool(connections, settings);
  pools.push(pool);
  return { server, pool };
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'] });
});
afterEach(async () => {
  vi.useRealTimers();
  await Promise.all(pools.splice(0).map((pool) => pool.close()));
});

const numberOf = async ({ number }: Connection) => number;
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
/** Work that lasts until it is let go of. */
function lasting() {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { work: () => promise, end: resolve };
}

describe('a pool', () => {
  it('opens what is asked for, lends the connection that was used last, and never more than maxActive at once', async () => {
    const { server, pool } = createStage({ maxActive: 3 });
    expect(await pool.use(numberOf)).toBe(1);
    expect(await pool.use(numberOf)).toBe(1);
    const served: number[] = [];
    await Promise.all(
      many(20, (index) =>
        pool.use(async () => {
          await turn();
          served.push(index);
        }),
      ),
    );
    expect([server.most, server.opened]).toEqual([3, 3]);
    expect(served).toEqual(many(20, (index) => index)); // in turn
    let last = 0;
    const late = async ({ number }: Connection) => {
      await turn().then(turn);
      last = number;
    };
    await Promise.all([pool.use(turn), pool.use(late)]);
    expect(await pool.use(numberOf)).toBe(last);
  });

  it('opens initialSize at the start', async () => {
    const { server } = createStage({ initialSize: 4, maxActive: 3 });
    await turn();
    expect(server.opened).toBe(3);
  });

  it('keeps maxIdle unused ones, and closes those beyond at once', async () => {
    const { server, pool } = createStage({ maxActive: 6, maxIdle: 2 });
    await Promise.all(many(6, () => pool.use(turn)));
    await turn();
    expect([server.most, server.open.size]).toEqual([6, 2]);
  });

  it('closes what was unused for idleEvictionMs, but for minIdle', async () => {
    const { server, pool } = createStage({ minIdle: 1, idleEvictionMs: 1000 });
    await Promise.all(many(4, () => pool.use(turn)));
    await vi.advanceTimersByTimeAsync(999);
    expect(server.open.size).toBe(4);
    await vi.advanceTimersByTimeAsync(2);
    expect(server.open.size).toBe(1);
    await vi.advanceTimersByTimeAsync(60_000);
    expect([server.open.size, server.opened]).toEqual([1, 4]);
  });

  it('never closes unused ones when idleEvictionMs is 0', async () => {
    const { server, pool } = createStage({ idleEvictionMs: 0 });
    await Promise.all(many(4, () => pool.use(turn)));
    await vi.advanceTimersByTimeAsync(86_400_000);
    expect(server.open.size).toBe(4);
  });

  it('keeps minIdle ready while others are lent, and never more than maxActive', async () => {
    const { server, pool } = createStage({ minIdle: 2, maxActive: 3 });
    const { work, end } = lasting();
    const { promise, resolve } = Promise.withResolvers<void>();
    await pool.use(async () => {
      server.connect = () => promise;
    });
    for (const _ of [1, 2, 3]) await pool.use(turn);
    resolve();
    await turn();
    expect([server.open.size, server.opened]).toEqual([2, 2]);
    const lent = many(2, () => pool.use(work));
    await turn();
    const more = pool.use(numberOf);
    await turn();
    expect(server.open.size).toBe(3);
    end();
    await Promise.all([...lent, more]);
    expect(server.most).toBe(3);
  });
});

describe('a broken connection', () => {
  it('is replaced before a call is sent over it: unused for 5 seconds, it is asked for an answer first', async () => {
    const { server, pool } = createStage({ idleEvictionMs: 0 });
    expect(await pool.use(numberOf)).toBe(1);
    await vi.advanceTimersByTimeAsync(4999);
    server.does = 'refuse';
    expect([await pool.use(numberOf), server.asked]).toEqual([1, 0]);
    await vi.advanceTimersByTimeAsync(5000);
    expect([await pool.use(numberOf), server.asked]).toEqual([2, 1]);
    expect(server.open.size).toBe(1);
  });

  it('all of them are, one after the other', async () => {
    const { server, pool } = createStage({ idleEvictionMs: 0 });
    await Promise.all(many(4, () => pool.use(turn)));
    await vi.advanceTimersByTimeAsync(5000);
    server.does = 'refuse';
    expect(await pool.use(numberOf)).toBe(5);
    expect([server.asked, server.open.size]).toEqual([4, 1]);
  });

  it('that does not answer is given up after 2 seconds', async () => {
    const { server, pool } = createStage({ idleEvictionMs: 0 });
    await pool.use(numberOf);
    await vi.advanceTimersByTimeAsync(5000);
    server.does = 'nothing';
    const next = pool.use(numberOf);
    await vi.advanceTimersByTimeAsync(2000);
    expect(await next).toBe(2);
  });

  it('under a call fails that call alone, and is not lent again', async () => {
    const { server, pool } = createStage();
    const failed = pool.use(async (connection) => {
      connection.broken = true;
      throw new Error('cut');
    });
    await expect(failed).rejects.toThrow('cut');
    expect([await pool.use(numberOf), server.open.size]).toEqual([2, 1]);
  });

  it('gives its place to whoever waits', async () => {
    const { pool } = createStage({ maxActive: 1 });
    const { work, end } = lasting();
    const first = pool.use(async (connection) => {
      await work();
      connection.broken = true;
    });
    const second = pool.use(numberOf);
    end();
    await first;
    expect(await second).toBe(2);
  });

  it('that breaks while it is unused is not lent', async () => {
    const { server, pool } = createStage();
    await pool.use(turn);
    for (const connection of server.open) connection.broken = true;
    expect([await pool.use(numberOf), server.asked]).toEqual([2, 0]);
  });
});

describe('whoever waits too long', () => {
  it('is told that all connections are in use, and leaves no place behind', async () => {
    const { pool } = createStage({ maxActive: 1, maxWaitMs: 300 });
    const { work, end } = lasting();
    const first = pool.use(work);
    await turn();
    const code = errorCode(pool.use(numberOf));
    await vi.advanceTimersByTimeAsync(300);
    expect(await code).toBe('throttled');
    end();
    await first;
    expect(await pool.use(numberOf)).toBe(1);
  });

  it('is told that none could be had, while one is being opened', async () => {
    const { server, pool } = createStage({ maxActive: 1, maxWaitMs: 300 });
    const { promise, reject } = Promise.withResolvers<void>();
    server.connect = () => promise;
    const first = pool.use(numberOf);
    const code = errorCode(pool.use(numberOf));
    await vi.advanceTimersByTimeAsync(300);
    expect(await code).toBe('unavailable');
    reject(new Error('refused'));
    await expect(first).rejects.toThrow('refused');
  });

  it('gets the error of opening one where the server refuses, each his own', async () => {
    const { server, pool } = createStage({ maxActive: 2 });
    let refused = 0;
    server.connect = async () => {
      await turn();
      throw new Error(`refused ${++refused}`);
    };
    const errors = await Promise.all(many(6, () => pool.use(numberOf).catch((error: Error) => error.message)));
    expect(errors.toSorted()).toEqual(many(6, (index) => `refused ${index + 1}`));
    server.connect = async () => {};
    expect(await pool.use(numberOf)).toBe(1);
  });
});

describe('a pool that is closed', () => {
  it('waits for what is lent, closes everything, and refuses whoever comes later', async () => {
    vi.useRealTimers();
    const { server, pool } = createStage({ initialSize: 2, minIdle: 2 });
    const { work, end } = lasting();
    const lent = pool.use(work);
    await setTimeout(1);
    let closed = false;
    const closing = pool.close().then(() => {
      closed = true;
    });
    await turn();
    expect(closed).toBe(false);
    end();
    await Promise.all([lent, closing, pool.close()]);
    expect([closed, server.open.size]).toEqual([true, 0]);
    expect(await errorCode(pool.use(numberOf))).toBe('unavailable');
  });
});
