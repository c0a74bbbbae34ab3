import { availableParallelism } from 'node:os';
import { tellBundle } from './bundle.ts';
import type { BenchedEngine, BenchedServer, Beside } from './engine.ts';
import { type Comparison, type Contender, measure } from './measure.ts';
import { fill, operationsOf } from './operations.ts';
import type { Grants } from './records.ts';
import { figures, isMet, type Say, sought, spread, table } from './report.ts';

// The stores of any engine beside its bare driver.

const CONCURRENCIES = [1, 8, 32] as const;
/** The one that targets are about. */
const AIMED = 8;

const full = { rounds: 15, share: 1, processes: 11, concurrencies: CONCURRENCIES };
const quick = { rounds: 4, share: 0.5, processes: 3, concurrencies: [AIMED] as const };

/** Every operation and every floor in the same rounds; each operation beside its floor. */
async function compare(
  server: BenchedServer,
  grants: Grants,
  { beside, calls, ...conditions }: { beside: readonly Beside[]; calls: number; concurrency: number; rounds: number },
): Promise<Comparison[]> {
  const { engine, floors, close } = await server.connect(conditions.concurrency);
  try {
    const prepared: Record<string, Contender['prepare']> = { ...operationsOf(engine, grants), ...floors };
    const contenders: Record<string, Contender> = {};
    for (const name of beside.flatMap(({ operation, floor }) => [operation, floor])) {
      const prepare = prepared[name];
      if (!prepare) throw new Error(`nothing is called ${name}`);
      contenders[name] = { prepare, count: calls };
    }
    const processes = async () => ({ server: await server.processes(), client: [process.pid] });
    const measured = await measure(contenders, { ...conditions, processes });
    return beside.map(({ operation, floor }) => measured.beside(operation, floor));
  } finally {
    await close();
  }
}

/** Starts the engine's server, and tells its section. */
export async function measureBeside(engine: BenchedEngine, isQuick: boolean, say: Say): Promise<void> {
  const { rounds, share, processes, concurrencies } = isQuick ? quick : full;
  const calls = Math.ceil(engine.calls * share);
  const rows = calls * (rounds + 1); // so that no grant is refreshed twice at one concurrency
  const server = await engine.start(rows);
  try {
    const { connect, description, measureStorage } = server;
    say(`${description}, ${availableParallelism()} cores, Node ${process.versions.node}; ${rows} grants.`);
    const filling = await connect(AIMED);
    const grants = await fill(filling.engine, rows).finally(filling.close);
    const storage = await measureStorage?.(rows);
    if (storage) say('', figures(storage));
    const measured = new Map<number, readonly Comparison[]>();
    for (const concurrency of concurrencies) {
      measured.set(concurrency, await compare(server, grants, { beside: engine.beside, calls, concurrency, rounds }));
    }
    const head = ['', 'beside', ...concurrencies.map(String), `CPU at ${AIMED}, client · server`, 'target', ''];
    const lines = engine.beside.map(({ operation, floor, target }, i) => {
      const aimed = measured.get(AIMED)?.[i];
      return [
        ...[operation, floor],
        ...concurrencies.map((concurrency) => {
          const comparison = measured.get(concurrency)?.[i];
          return comparison ? spread(comparison.rate) : '';
        }),
        aimed ? `${aimed.client.median.toFixed(2)} · ${aimed.server.median.toFixed(2)}` : '',
        target ? sought(target) : '',
        target && aimed ? isMet(aimed.rate.median, target) : '',
      ];
    });
    say('', table(head, lines));
    if (engine.bundle) await tellBundle(engine.name, engine.bundle, processes, say);
  } finally {
    await server.stop();
  }
}
