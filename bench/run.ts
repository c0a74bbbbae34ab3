/**
 * `npm run bench` sets the stores beside the bare driver, and the functions over HTTP beside a bare server and beside
 * oidc-provider with a usual adapter, all on one PostgreSQL server that it starts. See docs/figures.md.
 *
 * `--quick` takes under a minute, and its figures are rough. `--postgresql 18` takes that version instead of 15. `--write`
 * puts the figures into docs/figures.md.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { applySchema } from '../functions/stores/postgresql.ts';
import { startPostgresql } from '../test/engines/postgresql.ts';
import { measureBundle } from './bundle.ts';
import { measureHttp, OPERATIONS } from './http.ts';
import type { Measured } from './measure.ts';
import { schema as peerSchema } from './peer/adapter.ts';
import { bytes, type Figure, figures, ratio, spread, type Target, table } from './report.ts';
import { bytesOfFurtherToken, bytesOfGrant, hotShare, walOfRefresh } from './storage.ts';
import { measureGrowth, measureStores } from './stores.ts';
import { fill, query, type Tables } from './tables.ts';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    postgresql: { type: 'string', default: '15' },
    write: { type: 'boolean', default: false },
  },
});

const FEW = 10_000;
const full = { many: 1_000_000, calls: 600, rounds: 25, requests: 1500, httpRounds: 7, processes: 11 };
const quick = { many: 50_000, calls: 300, rounds: 4, requests: 500, httpRounds: 2, processes: 3 };
const size = options.quick ? quick : full;

/** At 8 connections, beside one row of the bare driver's. */
const throughput: Record<string, Target> = {
  'lookup, hit': { least: 0.95 },
  redeem: { least: 0.75 },
  rotate: { least: 0.7 },
};
const httpCpu: Record<(typeof OPERATIONS)[number], Target> = {
  introspect: { most: 1.4 },
  issue: { most: 2 },
  refresh: { most: 2.5 },
  redeem: { most: 3 },
};

const lines: string[] = [];
const say = (...texts: string[]) => {
  for (const text of texts) console.log(text);
  lines.push(...texts);
};

/** Operations, each beside the floor of one row and the one that touches as many rows. */
const BESIDE = [
  ['lookup, hit', 'select', 'select of two rows'],
  ['lookup, miss', 'select', undefined],
  ['issue', 'insert', 'insert of two rows'],
  ['redeem', 'update', 'update'],
  ['rotate', 'update', 'update and insert'],
  ['purge', 'delete', 'delete'],
] as const;

function storeTable(measured: Measured): string {
  const rows = BESIDE.map(([name, floor, alike]) => {
    const { rate, client, server } = measured.beside(name, floor);
    const fair = alike && measured.beside(name, alike);
    return [
      name,
      floor,
      spread(rate),
      `${client.median.toFixed(2)} · ${server.median.toFixed(2)}`,
      alike ?? '',
      fair ? spread(fair.rate) : '',
      fair ? fair.cpu.median.toFixed(2) : '',
    ];
  });
  return table(['', 'one row', 'throughput', 'CPU client · server', 'as many rows', 'throughput', 'CPU'], rows);
}

async function stores(tables: Tables): Promise<void> {
  const targets: Figure[] = [];
  for (const synchronousCommit of ['off', 'on'] as const) {
    for (const concurrency of options.quick ? [8] : [1, 8, 32]) {
      const measured = await measureStores(tables, { ...size, synchronousCommit, concurrency });
      const connections = concurrency === 1 ? '1 connection' : `${concurrency} connections`;
      say('', `### ${connections}, synchronous_commit ${synchronousCommit}`, '', storeTable(measured));
      if (concurrency !== 8 || synchronousCommit === 'on') continue;
      for (const [name, floor] of BESIDE) {
        const target = throughput[name];
        if (target)
          targets.push(ratio(`${name}, beside ${floor} of one row`, measured.beside(name, floor).rate, target));
      }
    }
  }
  say('', '### Throughput at 8 connections, synchronous_commit off', '', figures(targets));
}

/** A share in percent. */
const percent = (name: string, share: number, target: Target): Figure => ({
  ...{ name, target },
  value: share * 100,
  shown: `${(share * 100).toFixed(1)} %`,
});

/** `fresh` and `new`: grants that have not been refreshed yet; of the others half have been. */
async function storage(grants: { fresh: Tables; many: Tables; few: Tables; newFew: Tables }): Promise<void> {
  const { fresh, many, few, newFew } = grants;
  const least95 = { least: 95 };
  say(
    '',
    '## Storage',
    '',
    figures([
      bytes('WAL of a refresh', await walOfRefresh(many, size.calls), { most: 850 }),
      bytes('grant with its first access token', await bytesOfGrant(fresh), { most: 670 }),
      bytes('the same where half of the grants have been refreshed', await bytesOfGrant(many)),
      bytes('further access token', await bytesOfFurtherToken(fresh), { most: 190 }),
      percent('refreshes that touch no index (HOT), six of each grant', await hotShare(few, 6), least95),
      percent('the same from the first refresh of each grant', await hotShare(newFew, 6), least95),
    ]),
  );
}

async function growth(few: Tables, many: Tables): Promise<void> {
  const measured = await measureGrowth(few, many, { ...size, synchronousCommit: 'off', concurrency: 8 });
  const target = { least: 0.85 };
  say(
    '',
    `## ${many.grants} grants beside ${few.grants}`,
    '',
    figures([
      ratio('throughput of lookup', measured.beside('lookup, many', 'lookup, few').rate, target),
      ratio('throughput of rotate', measured.beside('rotate, many', 'rotate, few').rate, target),
      ratio('throughput of the bare SELECT', measured.beside('select, many', 'select, few').rate),
    ]),
  );
}

async function http(tables: Tables, peerUrl: string): Promise<void> {
  const { requests, httpRounds: rounds } = size;
  const measured = await measureHttp(tables, peerUrl, { rounds, requests, connections: 8 });
  const cpu = (name: string) => measured.beside(name, 'floor').cpu;
  say(
    '',
    '## Over HTTP',
    '',
    figures(OPERATIONS.map((name) => ratio(`CPU of ${name}`, cpu(name), httpCpu[name]))),
    '',
    figures(OPERATIONS.map((name) => ratio(`CPU of ${name}, oidc-provider with a usual adapter`, cpu(`peer ${name}`)))),
  );
}

async function bundle(): Promise<void> {
  const targets = { postgresql: { kilobytes: 250, load: 1.5 }, dynamodb: { kilobytes: 350, load: 1.3 } };
  say('', '## Bundle of the authorizer');
  for (const engine of ['postgresql', 'dynamodb'] as const) {
    const { bytes, load } = await measureBundle(engine, size.processes);
    const kilobytes = bytes / 1000;
    say(
      '',
      figures([
        {
          name: `${engine}: size`,
          value: kilobytes,
          shown: `${kilobytes.toFixed(0)} kB`,
          target: { most: targets[engine].kilobytes },
        },
        ratio(`${engine}: time to load, beside its driver alone`, load, { most: targets[engine].load }),
      ]),
    );
  }
}

const server = await startPostgresql(options.postgresql, {
  fsync: 'on',
  synchronous_commit: 'on',
  shared_buffers: '4GB',
  max_wal_size: '16GB',
  autovacuum: 'off', // it would hit one contender and not the other
});
try {
  const database = async (name: string) => {
    await query(server.url, `CREATE DATABASE ${name}`);
    return server.url.replace(/\/postgres$/, `/${name}`);
  };
  const filled = async (name: string, grants: number, refreshed: boolean) => {
    const url = await database(name);
    await applySchema({ connectionString: url });
    return fill(url, grants, { refreshed });
  };
  const few = await filled('few', FEW, true);
  const many = await filled('many', size.many, true);
  const peerUrl = await database('peer');
  await query(peerUrl, peerSchema);
  say(
    `PostgreSQL ${server.version}, ${availableParallelism()} cores, Node ${process.versions.node}; ${many.grants} grants.`,
  );
  await storage({
    many,
    fresh: await filled('fresh', size.many, false),
    few: await filled('refreshed', FEW, true),
    newFew: await filled('unrefreshed', FEW, false),
  });
  await growth(few, many);
  say('', '## Stores beside the bare driver');
  await stores(many);
  await http(many, peerUrl);
  await bundle();
} finally {
  await server.stop();
}

if (options.write) {
  const file = new URL('../docs/figures.md', import.meta.url);
  const [before] = (await readFile(file, 'utf8')).split('<!-- figures -->');
  await writeFile(file, `${before}<!-- figures -->\n\n${lines.join('\n')}\n`);
}
