import { setTimeout } from 'node:timers/promises';
import { PGlite } from '@electric-sql/pglite';
import { expect, it } from 'vitest';
import { partitioned } from '../../functions/stores/mysql-partitions.ts';
import { statements } from '../../functions/stores/mysql-statements.ts';
import * as postgresql from '../../functions/stores/postgresql-statements.ts';
import { createSqlEngine } from '../../functions/stores/sql.ts';
import type { Run, Statements } from '../../functions/stores/sql-dialect.ts';

/** A server in which so many access tokens are due, and every batch of the purge takes its time. */
function purgeOf(due: number, batchMs: number, sent: Statements = statements) {
  const batches: { readonly from: number; readonly to: number; readonly changed: number }[] = [];
  let left = due;
  const run: Run = async (name, _text, { limit }) => {
    if (name !== 'purgeAccessTokens') return { rows: [], changed: 0 };
    const from = performance.now();
    await setTimeout(batchMs);
    const changed = Math.min(left, Number(limit));
    left -= changed;
    batches.push({ from, to: performance.now(), changed });
    return { rows: [], changed };
  };
  const { accessTokens } = createSqlEngine(sent, run, Date.now, async () => {});
  return { batches, purge: accessTokens.purgeExpired };
}

const sum = (values: readonly number[]) => values.reduce((all, value) => all + value, 0);
const lengthOf = ({ from, to }: { from: number; to: number }) => to - from;

it('of the time of a purge most is left to the others: it pauses for longer than each batch took', async () => {
  const { batches, purge } = purgeOf(225, 20);
  expect(await purge({ now: 0, limit: 1000 })).toMatchObject({ removed: { accessTokens: 225 }, more: false });
  expect(batches.map(({ changed }) => changed)).toEqual([50, 50, 50, 50, 25]);
  const pauses = batches.slice(1).map(({ from }, i) => from - (batches[i]?.to ?? 0));
  expect(sum(pauses)).toBeGreaterThan(2 * sum(batches.slice(0, -1).map(lengthOf)));
});

it('on PostgreSQL, where no commit of a purge waits for the disk, a batch is shorter', async () => {
  const { batches, purge } = purgeOf(50, 1, postgresql);
  expect(await purge({ now: 0, limit: 1000 })).toMatchObject({ removed: { accessTokens: 50 }, more: false });
  expect(batches.map(({ changed }) => changed)).toEqual([20, 20, 10]);
});

it('a purge does not pause beyond its deadline, nor when nothing is left to it', async () => {
  const late = purgeOf(225, 300);
  const from = performance.now();
  expect(await late.purge({ now: 0, limit: 1000, deadlineMs: Date.now() + 330 })).toMatchObject({ more: true });
  expect(performance.now() - from).toBeLessThan(2.5 * sum(late.batches.map(lengthOf)));

  const limited = purgeOf(225, 300);
  const start = performance.now();
  expect(await limited.purge({ now: 0, limit: 50 })).toMatchObject({ removed: { accessTokens: 50 }, more: true });
  expect(performance.now() - start).toBeLessThan(2.5 * sum(limited.batches.map(lengthOf)));
});

it('a purge empties partitions as long as there are some, and one of each ring at most, whatever the server says', async () => {
  const emptied = async (answers: readonly number[]) => {
    const asked: unknown[] = [];
    const run: Run = async (name) => {
      if (name !== 'emptyAccessPartitions') return { rows: [], changed: 0 };
      const records = answers[asked.push(name) - 1];
      return { rows: records === undefined ? [] : [{ records }], changed: 0 };
    };
    const { accessTokens } = createSqlEngine(partitioned(statements), run, Date.now, async () => {});
    const { removed } = await accessTokens.purgeExpired({ now: 0, limit: 1, deadlineMs: Date.now() + 2000 });
    return { asked: asked.length, removed: removed.accessTokens };
  };
  expect(await emptied([])).toEqual({ asked: 1, removed: 0 });
  expect(await emptied([7])).toEqual({ asked: 2, removed: 7 });
  expect(await emptied([7, 5])).toEqual({ asked: 2, removed: 12 });
  expect(await emptied(Array(100_000).fill(0))).toEqual({ asked: 2, removed: 0 });
});

it('on PostgreSQL the commit of a purge does not wait for the disk, and those after it do', async () => {
  const database = await PGlite.create('memory://');
  const setting = async () => (await database.query('SHOW synchronous_commit')).rows[0];
  await database.exec(`CREATE TABLE revocation (retain_until bigint); INSERT INTO revocation VALUES (1);
    SET synchronous_commit = on; BEGIN`);
  await database.query(postgresql.purgeRevocations.replace(':now', '$1').replace(':limit', '$2'), [1, 50]);
  expect(await setting()).toEqual({ synchronous_commit: 'off' });
  await database.exec('COMMIT');
  expect(await setting()).toEqual({ synchronous_commit: 'on' });
  expect((await database.query('SELECT * FROM revocation')).rows).toEqual([]);
  await database.close();
});
