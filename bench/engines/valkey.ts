import { randomBytes } from 'node:crypto';
import { Redis } from 'iovalkey';
import { createEngine } from '../../functions/stores/valkey.ts';
import { createScratchFolder, findFreePort } from '../../test/engines/launch.ts';
import { startNode } from '../../test/engines/valkey.ts';
import type { BenchedEngine } from '../engine.ts';
import type { Contender } from '../measure.ts';
import { over, walk } from '../operations.ts';
import { DAY, NOW, randomValues, scattered } from '../records.ts';
import { bytes } from '../report.ts';

/** As long as the record of a grant that has been refreshed once. */
const BYTES = 560;
const TWO_DAYS_MS = 2 * DAY * 1000;

const keyOf = (n: number) => `{bare${String(n).padStart(12, '0')}}`;

/** The bare driver, its one connection shared by all calls in flight, as the store's. */
function floorsOf(client: Redis, rows: number): Record<string, Contender['prepare']> {
  const next = walk();
  const keys = (count: number) => next(count).map((n) => keyOf(scattered(n, rows)));
  const written = (count: number) => {
    const values = randomValues(count, BYTES);
    return keys(count).map((key, i) => ({ key, value: values[i] as Buffer }));
  };
  /** A script that is known to the server by its digest, of one key and one value. */
  const script = (text: string): Contender['prepare'] => {
    let sha: Promise<unknown> | undefined;
    return async (count) => {
      sha ??= client.script('LOAD', text);
      const digest = String(await sha);
      return over(written(count), ({ key, value }) => client.callBuffer('evalsha', digest, 1, key, value));
    };
  };
  return {
    GET: (count) => over(keys(count), (key) => client.getBuffer(key)),
    SET: (count) => over(written(count), ({ key, value }) => client.set(key, value, 'PX', TWO_DAYS_MS)),
    'SET in a script': script(`redis.call('SET', KEYS[1], ARGV[1], 'KEEPTTL') return 1`),
    'GET, SET and the value given back, in a script': script(
      `local s = redis.call('GET', KEYS[1]) redis.call('SET', KEYS[1], ARGV[1], 'KEEPTTL') return s`,
    ),
    'SET and two ZADD': (count) => {
      const members = randomValues(count, 17);
      return over(
        written(count).map((each, i) => ({ ...each, member: members[i] as Buffer })),
        ({ key, value, member }) =>
          Promise.all([
            client.set(`s${key}`, value, 'PX', TWO_DAYS_MS),
            client.zadd(`x${key}`, 0, member),
            client.zadd(`y${key}`, 0, member),
          ]),
      );
    },
  };
}

export const valkey: BenchedEngine = {
  name: 'valkey',
  title: 'Valkey',
  calls: 2000,
  beside: [
    { operation: 'lookup, hit', floor: 'GET', target: { least: 0.9 } },
    { operation: 'lookup, miss', floor: 'GET' },
    { operation: 'issue', floor: 'SET' },
    { operation: 'issue', floor: 'SET and two ZADD' },
    { operation: 'redeem', floor: 'SET' },
    { operation: 'rotate', floor: 'SET', target: { least: 0.8 } },
    { operation: 'rotate', floor: 'SET in a script' },
    { operation: 'rotate', floor: 'GET, SET and the value given back, in a script' },
  ],
  async start(rows) {
    const folder = await createScratchFolder('valkey');
    const node = await startNode(await findFreePort(), folder.path, '--save', '');
    const open = () => new Redis(node.port, '127.0.0.1');
    const client = open();
    const payload = randomBytes(BYTES);
    for (let row = 0; row < rows; row += 1000) {
      const pipeline = client.pipeline();
      for (let n = row; n < Math.min(row + 1000, rows); n += 1) pipeline.set(keyOf(n), payload, 'PX', TWO_DAYS_MS);
      await pipeline.exec();
    }
    const used = async () => Number(/^used_memory:(\d+)/m.exec(await client.info('memory'))?.[1]);
    const usedBefore = await used();
    const version = /^valkey_version:(\S+)/m.exec(await client.info('server'))?.[1];
    return {
      description: `Valkey ${version}, one process, nothing on disk`,
      processes: async () => [node.pid],
      connect: async () => {
        const engine = createEngine({ hosts: [`127.0.0.1:${node.port}`] }, () => NOW * 1000);
        const bare = open();
        return {
          engine,
          floors: floorsOf(bare, rows),
          close: async () => {
            await engine.close();
            bare.disconnect();
          },
        };
      },
      measureStorage: async (grants) => [
        bytes('a grant with an access token, its pointers included', ((await used()) - usedBefore) / grants),
      ],
      stop: async () => {
        client.disconnect();
        await node.stop();
        await folder.remove();
      },
    };
  },
};
