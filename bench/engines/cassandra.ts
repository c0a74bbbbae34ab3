import { readFile } from 'node:fs/promises';
import { Client, type types } from 'cassandra-driver';
import type { Engine } from '../../functions/domain/ports.ts';
import { ensureTables } from '../../functions/stores/cassandra/tables.ts';
import { clientOptions, createEngine } from '../../functions/stores/cassandra.ts';
import { startNodes } from '../../test/engines/cassandra.ts';
import type { BenchedEngine } from '../engine.ts';
import type { Contender } from '../measure.ts';
import { over, walk } from '../operations.ts';
import { DAY, NOW, randomValues, scattered } from '../records.ts';

/** As long as what a refresh writes of its grant, and as what it writes of its access token. */
const BYTES = 300;
const ROW_BYTES = 60;
/** QUORUM of the protocol, and SERIAL. */
const LEVELS = { prepare: true, logged: false, consistency: 0x04, serialConsistency: 0x08 };

const TABLES = [
  'CREATE TABLE bare (k blob PRIMARY KEY, n bigint, v blob)',
  'CREATE TABLE bare_parted (k blob, c blob, n bigint STATIC, v blob STATIC, w blob, PRIMARY KEY (k, c))',
];
const ROW_KEY = Buffer.of(1);

const keyOf = (n: number) => {
  const key = Buffer.alloc(12);
  key.writeUInt32BE(n, 8);
  return key;
};

/** The bare driver, its one connection shared by all calls in flight, as the store's. */
function floorsOf(client: Client, rows: number, changes: Map<string, bigint>): Record<string, Contender['prepare']> {
  const next = walk();
  const run = (query: string, params: unknown[]) => client.execute(query, params, LEVELS);
  const read = (query: string, ...more: unknown[]): Contender['prepare'] => {
    return (count) =>
      over(
        next(count).map((n) => keyOf(scattered(n, rows))),
        (key) => run(query, [key, ...more]),
      );
  };
  /** Each value is written on the condition that the number before it stands there. */
  const decide = (
    table: string,
    send: (key: Buffer, numbers: { from: bigint; to: bigint }, value: Buffer) => Promise<types.ResultSet>,
  ): Contender['prepare'] => {
    return (count) => {
      const values = randomValues(count, BYTES);
      return next(count).map((n, i) => {
        const key = keyOf(scattered(n, rows));
        const name = `${table} ${key.toString('hex')}`;
        const from = changes.get(name) ?? 0n;
        changes.set(name, from + 1n);
        return async () => {
          const result = await send(key, { from, to: from + 1n }, values[i] as Buffer);
          if (!result.wasApplied()) throw new Error(`a bare transaction on ${table} was refused`);
        };
      });
    };
  };
  const ttl = 2 * DAY;
  const select = 'SELECT n, v FROM bare WHERE k = ?';
  const change = (key: Buffer, { from, to }: { from: bigint; to: bigint }, value: Buffer) =>
    run('UPDATE bare USING TTL ? SET n = ?, v = ? WHERE k = ? IF n = ?', [ttl, to, value, key, from]);
  const changeParted = (key: Buffer, { from, to }: { from: bigint; to: bigint }, value: Buffer) =>
    client.batch(
      [
        {
          query: 'UPDATE bare_parted USING TTL ? SET n = ?, v = ? WHERE k = ? IF n = ?',
          params: [ttl, to, value, key, from],
        },
        {
          query: 'UPDATE bare_parted USING TTL ? SET w = ? WHERE k = ? AND c = ?',
          params: [ttl, value.subarray(0, ROW_BYTES), key, ROW_KEY],
        },
      ],
      LEVELS,
    );
  const withRead =
    (send: typeof change): typeof change =>
    async (key, numbers, value) =>
      (await Promise.all([send(key, numbers, value), run(select, [key])]))[0];
  return {
    'read of a row': read(select),
    'read of a row with static columns': read('SELECT n, v, w FROM bare_parted WHERE k = ? AND c = ?', ROW_KEY),
    'plain write of a row': (count) => {
      const values = randomValues(count, BYTES);
      return over(
        next(count).map((n, i) => [ttl, values[i], keyOf(scattered(n, rows))]),
        (params) => run('UPDATE bare_parted USING TTL ? SET v = ? WHERE k = ?', params),
      );
    },
    transaction: decide('bare', change),
    'transaction, a read beside it': decide('bare', withRead(change)),
    'transaction on static columns and a row': decide('bare_parted', changeParted),
    'transaction on static columns and a row, a read beside it': decide('bare_parted', withRead(changeParted)),
  };
}

/** The same stores in another process: what one of them has stored the other does not know. */
const asAnother = (engine: Engine, writer: Engine): Engine => ({
  ...engine,
  authorizationCodes: { ...engine.authorizationCodes, add: writer.authorizationCodes.add },
});

export const cassandra: BenchedEngine = {
  name: 'cassandra',
  title: 'Cassandra',
  calls: 400,
  beside: [
    { operation: 'lookup, hit', floor: 'read of a row', target: { least: 0.95 } },
    { operation: 'lookup, hit', floor: 'read of a row with static columns' },
    { operation: 'lookup, miss', floor: 'read of a row' },
    { operation: 'issue', floor: 'transaction' },
    { operation: 'redeem', floor: 'transaction', target: { least: 0.85 } },
    { operation: 'redeem', floor: 'transaction, a read beside it' },
    { operation: 'rotate', floor: 'transaction', target: { least: 0.85 } },
    { operation: 'rotate', floor: 'transaction, a read beside it' },
    { operation: 'rotate', floor: 'transaction on static columns and a row, a read beside it' },
  ],
  async start(rows) {
    const { nodes, port } = await startNodes(1);
    const settings = {
      hosts: [`127.0.0.1:${port}`],
      keyspace: 'oauth',
      readConsistency: 'QUORUM',
      writeConsistency: 'QUORUM',
    } as const;
    const script = await readFile(new URL('../../sql/cassandra/oauth-server.cql', import.meta.url), 'utf8');
    await ensureTables(() => clientOptions(settings), {
      keyspace: settings.keyspace,
      replication: { strategy: 'SimpleStrategy', factor: 1 },
      scripts: [script],
    });
    const open = () =>
      new Client({
        ...clientOptions(settings),
        keyspace: settings.keyspace,
        encoding: { useBigIntAsLong: true },
        policies: { timestampGeneration: null } as never,
      });
    const client = open();
    for (const table of TABLES) await client.execute(table);
    const payload = randomValues(1, BYTES)[0] as Buffer;
    for (let row = 0; row < rows; row += 100) {
      const keys = Array.from({ length: Math.min(100, rows - row) }, (_, i) => keyOf(row + i));
      await Promise.all(
        keys.flatMap((key) => [
          client.execute('INSERT INTO bare (k, n, v) VALUES (?, 0, ?)', [key, payload], LEVELS),
          client.execute(
            'INSERT INTO bare_parted (k, c, n, v, w) VALUES (?, ?, 0, ?, ?)',
            [key, ROW_KEY, payload, payload.subarray(0, ROW_BYTES)],
            LEVELS,
          ),
        ]),
      );
    }
    const changes = new Map<string, bigint>();
    return {
      description: 'Cassandra 5.0.9, one node with 512 MB of heap and the first of the two compilers of its Java',
      processes: async () => nodes.map(({ pid }) => pid),
      connect: async () => {
        const [engine, writer] = [createEngine(settings, () => NOW * 1000), createEngine(settings, () => NOW * 1000)];
        const bare = open();
        await bare.connect();
        return {
          engine: asAnother(engine, writer),
          floors: floorsOf(bare, rows, changes),
          close: async () => {
            await Promise.all([engine.close(), writer.close(), bare.shutdown()]);
          },
        };
      },
      stop: async () => {
        await client.shutdown();
        await Promise.all(nodes.map((node) => node.stop()));
      },
    };
  },
};
