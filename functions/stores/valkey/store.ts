import { type Clock, seconds } from '../../domain/clock.ts';
import { u32 } from './bytes.ts';
import type { Argument, Connection, Reply } from './connection.ts';
import { type Limits, leavesAt } from './limits.ts';
import { type Script, touch } from './scripts/script.ts';

/** What every store works with. */
export interface Store {
  readonly connection: Connection;
  /** Epoch seconds of the caller's clock: what is due by it is not there. */
  now(): number;
  /** How long an element may idle; 0: as long as it likes. */
  readonly idleSeconds: number;
  /** When an element that is stored now leaves the cache for its age. */
  leavesAt(): number;
  /** The numbers that most scripts begin with: the clock, how long an element may idle, and what else there is. */
  numbers(...more: readonly number[]): Buffer;
  /** What a key holds, if it is not due; the cache counts it as used. */
  find(key: string): Promise<Buffer | undefined>;
  /** The same of what is no element of the cache. */
  get(key: string): Promise<Buffer | undefined>;
  run(script: Script, keys: readonly string[], args: readonly Argument[]): Promise<Reply>;
  /** As `run`, of what would answer otherwise if it were sent twice: it is sent once, and fails if its answer is lost. */
  runOnce(script: Script, keys: readonly string[], args: readonly Argument[]): Promise<Reply>;
}

export function createStore(connection: Connection, limits: Limits, clock: Clock): Store {
  const { timeToIdleSeconds = 0 } = limits;
  const now = () => seconds(clock);
  const numbers: Store['numbers'] = (...more) => u32(now(), timeToIdleSeconds, ...more);
  const standing = (bytes: Buffer | null) => (bytes !== null && bytes.readUInt32BE(1) > now() ? bytes : undefined);
  const get: Store['get'] = (key) => connection.get(key).then(standing);
  return {
    connection,
    now,
    idleSeconds: timeToIdleSeconds,
    leavesAt: () => leavesAt(limits, now()),
    numbers,
    get,
    find:
      timeToIdleSeconds === 0
        ? get
        : async (key) => standing((await connection.run(touch, [key], [numbers()])) as Buffer | null),
    run: (script, keys, args) => connection.run(script, keys, args),
    runOnce: (script, keys, args) => connection.run(script, keys, args, false),
  };
}
