import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { partitionedEngines } from '../functions/config/engines.ts';
import type { Engine } from '../functions/domain/ports.ts';
import { ask } from './ask.ts';
import { type Call, type Measured, measure, type Spread, spreadOf } from './measure.ts';
import { operationsOf } from './operations.ts';
import type { Layout, Purged, PurgedEngine, PurgedServer } from './purge/engine.ts';
import { crowded, type Load, paced } from './purge/load.ts';
import { openPlace } from './purge/places.ts';
import type { Ran, Request } from './purge/purger.ts';
import { type Figure, figures, ratio, type Say, type Target } from './report.ts';

// Look-ups on a large table, and beside a purge of it: by rows, and by whole partitions where the engine has them. The purge
// is a process of its own, as its function is; quiet slices and slices with a purge take turns, now the one first and now the other.

const FEW = 10_000;
const CONNECTIONS = 8;
/** Of what the server answers at most, in a load at an even pace: one that leaves it time to spare. */
const SHARE = 0.25;

const full = { rounds: 15, calls: 5000, slices: 8, sliceMs: 2500, emptyings: 5 };
const quick = { rounds: 4, calls: 1000, slices: 3, sliceMs: 1000, emptyings: 3 };
type Size = typeof full;

export const ROWS = { full: 10_000_000, quick: 200_000 };

/** A database that is filled, its stores, and the process that purges it. */
interface Opened {
  readonly database: Purged;
  readonly engine: Engine;
  readonly purger: ChildProcess;
  /** The next look-up, of a token that is live. */
  readonly next: () => Call;
  close(): Promise<void>;
}

async function open(server: PurgedServer, name: string, grants: number, layout: Layout): Promise<Opened> {
  const database = await server.create(name, grants, layout);
  const engine = await openPlace(database.place, CONNECTIONS);
  const lookups = operationsOf(engine, { grants, refreshed: new Map() })['lookup, hit'];
  const env = { ...process.env, PLACE: JSON.stringify(database.place) };
  const purger = fork(new URL('purge/purger.ts', import.meta.url), { env });
  await once(purger, 'message');
  const close = async () => {
    purger.disconnect();
    await Promise.all([once(purger, 'exit'), engine.close(), database.close?.()]);
  };
  return { database, engine, purger, next: () => lookups(1)[0] as Call, close };
}

const purge = ({ purger }: Opened, withinMs: number): Promise<Ran> => ask(purger, { withinMs } satisfies Request);

/** Throughput of look-ups at {@link CONNECTIONS} connections, in the same rounds. */
function compare(opened: Readonly<Record<string, Opened>>, { rounds, calls }: Size): Promise<Measured> {
  const contenders = Object.fromEntries(
    Object.entries(opened).map(([name, { next }]) => [
      name,
      { prepare: (count: number) => Array.from({ length: count }, next), count: calls },
    ]),
  );
  const processes = async () => ({ server: [], client: [] });
  return measure(contenders, { concurrency: CONNECTIONS, rounds, processes });
}

interface Beside {
  readonly p99: Spread;
  readonly rate: Spread;
  readonly rowsPerSecond: Spread;
  readonly loggedPerRow: Spread;
}

/** Slices of a load by itself and beside the store's purge by rows, in turns. */
async function besideBatches(opened: Opened, load: Load, expired: number, size: Size): Promise<Beside> {
  const { database } = opened;
  const rounds: Record<keyof Beside, number>[] = [];
  let left = await database.countExpired();
  for (let most = 0; rounds.length < size.slices; ) {
    if (left < 2 * most || left === 0) {
      await database.expire(expired - left);
      left = expired;
    }
    const quietly = () => load(sleep(size.sliceMs));
    const isFirst = rounds.length % 2 === 0;
    const before = isFirst ? await quietly() : undefined;
    const written = await database.logged();
    const purging = purge(opened, size.sliceMs);
    const busy = await load(purging);
    const { removed, seconds } = await purging;
    const logged = (await database.logged()) - written;
    const quiet = before ?? (await quietly());
    left -= removed;
    most = Math.max(most, removed);
    if (left === 0) continue; // it was over before the slice was
    const [p99, rate] = [busy.p99 / quiet.p99, busy.rate / quiet.rate];
    rounds.push({ p99, rate, rowsPerSecond: removed / seconds, loggedPerRow: logged / removed });
  }
  const spread = (figure: keyof Beside) => spreadOf(rounds.map((round) => round[figure]));
  return {
    ...{ p99: spread('p99'), rate: spread('rate') },
    ...{ rowsPerSecond: spread('rowsPerSecond'), loggedPerRow: spread('loggedPerRow') },
  };
}

interface Emptied {
  /** How often all was gone; a purge leaves a partition alone whose lock does not come at once, and the next one tries again. */
  readonly times: number;
  readonly p99: Spread;
  readonly seconds: Spread;
  readonly logged: Spread;
}

/** Slices of a load by itself and with a purge in it that empties what has expired whole, in turns. */
async function besideEmptying(opened: Opened, load: Load, expired: number, size: Size): Promise<Emptied> {
  const { database } = opened;
  const rounds: Record<'p99' | 'seconds' | 'logged', number>[] = [];
  for (let round = 0; round < size.emptyings; round += 1) {
    await database.expire(expired - (await database.countExpired()));
    await load(sleep(size.sliceMs / 2)); // so that what was read for `expire` is behind it
    const quiet = await load(sleep(size.sliceMs));
    const before = await database.logged();
    const purging = sleep(size.sliceMs / 4).then(() => purge(opened, size.sliceMs));
    const busy = await load(Promise.all([sleep(size.sliceMs), purging]));
    const logged = (await database.logged()) - before;
    if ((await database.countExpired()) > 0) continue;
    rounds.push({ p99: busy.p99 / quiet.p99, seconds: (await purging).seconds, logged });
  }
  const spread = (figure: 'p99' | 'seconds' | 'logged') => spreadOf(rounds.map((round) => round[figure]));
  return { times: rounds.length, p99: spread('p99'), seconds: spread('seconds'), logged: spread('logged') };
}

const P99 = { most: 1.3 };

const whole = (name: string, { median, least, most }: Spread, unit = '', target?: Target): Figure => ({
  ...{ name, value: median, target },
  shown: `${inWords(median)}${unit && ` ${unit}`} (${inWords(least)}–${inWords(most)})`,
});

/** Rounded, a space after the thousands. */
const inWords = (number: number) => Math.round(number).toLocaleString('en').replaceAll(',', ' ');

/** Starts the engine's server, and tells its section. */
export async function measurePurge(engine: PurgedEngine, rows: number, isQuick: boolean, say: Say): Promise<void> {
  const size = isQuick ? quick : full;
  const expired = rows / 10;
  const { name, log } = engine;
  const server = await engine.start();
  const all: Opened[] = [];
  const opened = async (name: string, grants: number, layout: Layout) => {
    const one = await open(server, name, grants, layout);
    all.push(one);
    return one;
  };
  try {
    const cores = `${availableParallelism()} cores, Node ${process.versions.node}`;
    say(
      `${server.description}, ${cores}; ${inWords(rows)} live access tokens of as many grants, ${inWords(expired)} expired.`,
    );
    const few = await opened('few', FEW, 'flat');
    const flat = await opened('flat', rows, 'flat');
    const many = (await compare({ few, flat }, size)).beside('flat', 'few').rate;
    const partitioned = partitionedEngines.includes(name)
      ? await opened('partitioned', rows, 'partitioned')
      : undefined;
    const probed = partitioned && (await compare({ flat, partitioned }, size)).beside('partitioned', 'flat').rate;
    await flat.database.expire(expired);
    const answered = await crowded(CONNECTIONS, flat.next)(sleep(size.sliceMs));
    const evenly = (one: Opened) => paced(answered.rate * SHARE, one.next);
    const batches = await besideBatches(flat, evenly(flat), expired, size);
    const atMost = await besideBatches(flat, crowded(CONNECTIONS, flat.next), expired, size);
    say(
      '',
      figures([
        ratio(`look-ups among ${inWords(rows)}, beside ${inWords(FEW)}`, many, { least: 0.8 }),
        ratio('p99 of look-ups beside the purge by rows, an even load', batches.p99, P99),
        ratio('the same, as many look-ups as are answered', atMost.p99, P99),
        ratio('throughput of look-ups then', atMost.rate),
        whole('rows a second of the purge, an even load', batches.rowsPerSecond),
        whole('the same, as many look-ups as are answered', atMost.rowsPerSecond),
        whole(`${log} of a row`, batches.loggedPerRow, 'bytes'),
      ]),
    );
    if (!partitioned || !probed) return;
    const emptyings = await besideEmptying(partitioned, evenly(partitioned), expired, size);
    say(
      '',
      figures([
        ratio('look-ups in partitions, beside one table', probed, { least: 0.8 }),
        ratio('p99 of look-ups beside the purge by partition, an even load', emptyings.p99, P99),
        ratio(`seconds in which ${inWords(expired)} are gone`, emptyings.seconds, engine.emptied?.seconds),
        whole(`${log} of that`, emptyings.logged, 'bytes', engine.emptied?.bytes),
        {
          name: 'gone at the first purge',
          value: emptyings.times,
          shown: `${emptyings.times} of ${size.emptyings} times`,
        },
      ]),
    );
  } finally {
    await Promise.allSettled(all.map(({ close }) => close()));
    await server.stop();
  }
}
