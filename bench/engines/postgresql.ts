import { availableParallelism } from 'node:os';
import { applySchema } from '../../functions/stores/postgresql-schema.ts';
import { startPostgresql } from '../../test/engines/postgresql.ts';
import { type Bundled, tellBundle } from '../bundle.ts';
import { measureHttp, OPERATIONS } from '../http.ts';
import type { Measured } from '../measure.ts';
import { schema as peerSchema } from '../peer/adapter.ts';
import { bytesOfFurtherToken, bytesOfGrant, hotShare, walOfRefresh } from '../postgresql/storage.ts';
import { measureGrowth, measureStores } from '../postgresql/stores.ts';
import { fill, query, type Tables } from '../postgresql/tables.ts';
import { bytes, type Figure, figures, ratio, type Say, spread, type Target, table } from '../report.ts';

// PostgreSQL is measured in more ways than the other engines: its log and its tables, a million grants beside a few, a
// commit that waits and one that does not, and the functions over HTTP beside a bare server and beside oidc-provider with a
// usual adapter.

const FEW = 10_000;
const full = { many: 1_000_000, calls: 600, rounds: 25, requests: 1500, httpRounds: 7, processes: 11 };
const quick = { many: 50_000, calls: 300, rounds: 4, requests: 500, httpRounds: 2, processes: 3 };
type Size = typeof full;

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

async function stores(tables: Tables, isQuick: boolean, size: Size, say: Say): Promise<void> {
  const targets: Figure[] = [];
  for (const synchronousCommit of ['off', 'on'] as const) {
    for (const concurrency of isQuick ? [8] : [1, 8, 32]) {
      const measured = await measureStores(tables, { ...size, synchronousCommit, concurrency });
      const connections = concurrency === 1 ? '1 connection' : `${concurrency} connections`;
      say('', `#### ${connections}, synchronous_commit ${synchronousCommit}`, '', storeTable(measured));
      if (concurrency !== 8 || synchronousCommit === 'on') continue;
      for (const [name, floor] of BESIDE) {
        const target = throughput[name];
        if (target)
          targets.push(ratio(`${name}, beside ${floor} of one row`, measured.beside(name, floor).rate, target));
      }
    }
  }
  say('', '#### Throughput at 8 connections, synchronous_commit off', '', figures(targets));
}

/** A share in percent. */
const percent = (name: string, share: number, target: Target): Figure => ({
  ...{ name, target },
  value: share * 100,
  shown: `${(share * 100).toFixed(1)} %`,
});

/** `fresh` and `new`: grants that have not been refreshed yet; of the others half have been. */
async function storage(
  { fresh, many, few, newFew }: { fresh: Tables; many: Tables; few: Tables; newFew: Tables },
  size: Size,
  say: Say,
): Promise<void> {
  const least95 = { least: 95 };
  say(
    '',
    '### Storage',
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

async function growth(few: Tables, many: Tables, size: Size, say: Say): Promise<void> {
  const measured = await measureGrowth(few, many, { ...size, synchronousCommit: 'off', concurrency: 8 });
  const target = { least: 0.85 };
  say(
    '',
    `### ${many.grants} grants beside ${few.grants}`,
    '',
    figures([
      ratio('throughput of lookup', measured.beside('lookup, many', 'lookup, few').rate, target),
      ratio('throughput of rotate', measured.beside('rotate, many', 'rotate, few').rate, target),
      ratio('throughput of the bare SELECT', measured.beside('select, many', 'select, few').rate),
    ]),
  );
}

async function http(tables: Tables, peerUrl: string, size: Size, say: Say): Promise<void> {
  const { requests, httpRounds: rounds } = size;
  const measured = await measureHttp(tables, peerUrl, { rounds, requests, connections: 8 });
  const cpu = (name: string) => measured.beside(name, 'floor').cpu;
  say(
    '',
    '### Over HTTP',
    '',
    figures(OPERATIONS.map((name) => ratio(`CPU of ${name}`, cpu(name), httpCpu[name]))),
    '',
    figures(OPERATIONS.map((name) => ratio(`CPU of ${name}, oidc-provider with a usual adapter`, cpu(`peer ${name}`)))),
  );
}

const bundled: Bundled = {
  driver: `
    import pg from 'pg';
    export const open = () => new pg.Pool({ host: 'nobody' });`,
  settings: '{ host: "nobody" }',
  target: { kilobytes: 250, load: 1.5 },
};

/** Starts a server of that major version, and tells its section. */
export async function measurePostgresql(version: string, isQuick: boolean, say: Say): Promise<void> {
  const size = isQuick ? quick : full;
  const server = await startPostgresql(version, {
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
    const fresh = await filled('fresh', size.many, false);
    const ofFew = { few: await filled('refreshed', FEW, true), newFew: await filled('unrefreshed', FEW, false) };
    await storage({ many, fresh, ...ofFew }, size, say);
    await growth(few, many, size, say);
    say('', '### Stores beside the bare driver');
    await stores(many, isQuick, size, say);
    await http(many, peerUrl, size, say);
    await tellBundle('postgresql', bundled, size.processes, say);
  } finally {
    await server.stop();
  }
}
