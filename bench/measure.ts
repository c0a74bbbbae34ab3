import { readdirSync, readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** One call of what is measured; everything that it sends was made before. */
export type Call = () => Promise<unknown>;

export interface Contender {
  /** Makes the calls of one round, outside what is timed. */
  prepare(count: number): Call[] | Promise<Call[]>;
  /** Operations in a round; the calls of one round are as many, or fewer that do several each. */
  readonly count: number;
}

/** Of one round: operations a second, and microseconds of CPU an operation, in the database server and in its clients. */
interface Sample {
  readonly rate: number;
  readonly client: number;
  readonly server: number;
}

export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** A contender beside its floor: ratios within the rounds. */
export interface Comparison {
  readonly rate: Spread;
  readonly client: Spread;
  readonly server: Spread;
  /** Of client and server together. */
  readonly cpu: Spread;
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (index: number) => sorted[index] ?? Number.NaN;
  return { median: at(Math.floor(sorted.length / 2)), least: at(0), most: at(sorted.length - 1) };
}

/** Seconds that the threads of a process have been on a CPU; none of a process that has ended. */
function cpuSeconds(pid: number): number | undefined {
  try {
    const threads = readdirSync(`/proc/${pid}/task`);
    const nanoseconds = threads.map(
      (thread) => readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0],
    );
    return nanoseconds.reduce((sum, each) => sum + Number(each), 0) / 1e9;
  } catch {
    return undefined;
  }
}

/** A clock that runs while these processes are on a CPU. */
function cpuClock(pids: readonly number[]): () => number {
  const from = pids.map(cpuSeconds);
  return () => pids.reduce((sum, pid, i) => sum + ((cpuSeconds(pid) ?? from[i] ?? 0) - (from[i] ?? 0)), 0);
}

/** Seconds that the calls took, so many in flight at a time. */
export async function secondsOf(calls: readonly Call[], concurrency: number): Promise<number> {
  const started = process.hrtime.bigint();
  let next = 0;
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      for (let call = calls[next++]; call; call = calls[next++]) await call();
    }),
  );
  return Number(process.hrtime.bigint() - started) / 1e9;
}

export interface Conditions {
  readonly concurrency: number;
  readonly rounds: number;
  /** The processes that do the work: the database server's, and those that are its clients. */
  readonly processes: () => Promise<{ readonly server: readonly number[]; readonly client: readonly number[] }>;
}

setFlagsFromString('--expose-gc');
const collectGarbage: (options: { type: 'minor' }) => void = runInNewContext('gc');

async function sampleOf({ prepare, count }: Contender, { concurrency, processes }: Conditions): Promise<Sample> {
  const calls = await prepare(count);
  const pids = await processes();
  collectGarbage({ type: 'minor' }); // what preparing left is not the operation's
  const [client, server] = [cpuClock(pids.client), cpuClock(pids.server)];
  const seconds = await secondsOf(calls, concurrency);
  return { rate: count / seconds, client: (client() / count) * 1e6, server: (server() / count) * 1e6 };
}

/** What was measured, round by round. */
export interface Measured {
  /** Ratios within the rounds: throughput, and CPU per operation. */
  beside(name: string, floor: string): Comparison;
  /** Medians of one alone: for who works on the code. */
  absolute(name: string): Record<keyof Sample, number>;
}

/**
 * Sets contenders beside each other. In every round each of them has its turn once, in changing order, so that a busy
 * moment of the machine hits all alike; what is compared are the ratios within a round, and told is their median.
 */
export async function measure(
  contenders: Readonly<Record<string, Contender>>,
  conditions: Conditions,
): Promise<Measured> {
  const names = Object.keys(contenders);
  const rounds: Record<string, Sample>[] = [];
  for (let round = 0; round <= conditions.rounds; round += 1) {
    const samples: Record<string, Sample> = {};
    const turn = round % names.length;
    for (const name of [...names.slice(turn), ...names.slice(0, turn)]) {
      samples[name] = await sampleOf(contenders[name] as Contender, conditions);
    }
    if (round > 0) rounds.push(samples); // the first one warms up
  }
  const spread = (figure: (samples: Record<string, Sample>) => number) => spreadOf(rounds.map(figure));
  return {
    beside: (name, floor) => {
      const ratio = (figure: (sample: Sample) => number) =>
        spread((samples) => figure(samples[name] as Sample) / figure(samples[floor] as Sample));
      return {
        rate: ratio(({ rate }) => rate),
        client: ratio(({ client }) => client),
        server: ratio(({ server }) => server),
        cpu: ratio(({ client, server }) => client + server),
      };
    },
    absolute: (name) => {
      const median = (figure: keyof Sample) => spread((samples) => (samples[name] as Sample)[figure]).median;
      return { rate: median('rate'), client: median('client'), server: median('server') };
    },
  };
}
