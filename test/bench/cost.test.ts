import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  billedMs,
  type Measured,
  type Measurements,
  mix,
  type OperationName,
  operationNames,
  page,
  perMillion,
  perMonth,
  totalOf,
} from '../../bench/cost-model.ts';
import { costOf } from '../../bench/prices.ts';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

const every = (measured: Measured) =>
  Object.fromEntries(operationNames.map((name) => [name, measured])) as Record<OperationName, Measured>;

const measurements: Measurements = {
  when: 'now',
  where: 'here',
  metrics: 10,
  grantBytes: { dynamodb: 1000, aurora: 1000 },
  operations: {
    dynamodb: every({ roundTrips: 2, cpuMs: 1, logBytes: 400, write: 2, read: 1 }),
    aurora: every({ roundTrips: 2, cpuMs: 1, logBytes: 400, serverCpuMs: 0.1 }),
  },
};

describe('the cost page', () => {
  it('is what the command writes of the measurements that are kept', () => {
    expect(read('docs/cost.md')).toBe(page(JSON.parse(read('bench/cost-measured.json'))));
  });

  it('charges what is beyond a tier at that tier’s price', () => {
    expect(costOf('logs', 10)).toBe(5);
    expect(costOf('logs', 40_000)).toBe(10_000 * 0.5 + 20_000 * 0.25 + 10_000 * 0.1);
    expect(costOf('httpApi', 400e6)).toBeCloseTo(300 + 90);
  });

  it('bills whole milliseconds of waiting, and of CPU as far as the function has a processor, and cold starts', () => {
    // 1 ms × 1769 / 512, two round trips of 5 ms, 1 ms around it: 14.46; 400 ms at every hundredth start.
    expect(billedMs('dynamodb', measurements.operations.dynamodb.refresh)).toBe(15 + 4);
    expect(billedMs('aurora', measurements.operations.aurora.refresh)).toBe(11 + 4);
  });

  it('adds up a million operations on DynamoDB', () => {
    const bill = perMillion(measurements, 'dynamodb', 'refresh');
    expect(bill.API).toBeCloseTo(1);
    expect(bill.function).toBeCloseTo(0.2 + 19_000 * 0.5 * 0.0000133334 + 10_000 * 0.000003);
    expect(bill.store).toBeCloseTo(2 * 0.625 + 0.125);
    expect(bill.logs).toBeCloseTo((1e6 * (400 + 600 + 450) * (0.5 + 0.12)) / 1e9);
    expect(bill.traces).toBeCloseTo(50_000 * 0.000005);
    expect(totalOf(bill)).toBeCloseTo(1 + 0.3567 + 1.375 + 0.899 + 0.25, 3);
    expect(perMillion(measurements, 'dynamodb', 'lookup (authorizer)').API).toBe(0);
  });

  it('pays for Aurora by the time of its processor and by its I/O, and never less than it costs when idle', () => {
    // 100 s of CPU × 4 ACUs / 0.6 for two instances, at 0.12 an hour; two statements.
    const busy = ((100 * 4) / 0.6 / 3600) * 2 * 0.12;
    expect(perMillion(measurements, 'aurora', 'refresh').store).toBeCloseTo(busy + 2 * 0.2);
    const idle = 0.5 * 2 * 0.12 * 730;
    expect(perMonth(measurements, 'aurora', 1).store).toBeGreaterThan(idle);
    expect(perMonth(measurements, 'aurora', 0).store).toBeCloseTo(idle);
    expect(perMonth(measurements, 'aurora', 0).fixed).toBeGreaterThan(8 * 0.015 * 730);
  });

  it('mixes a hundred operations into a month of 730 hours', () => {
    expect(Object.values(mix).reduce((sum, share) => sum + share)).toBe(100);
    const [one, hundred] = [perMonth(measurements, 'dynamodb', 1), perMonth(measurements, 'dynamodb', 100)];
    expect(one.API).toBeCloseTo(730 * 3600 * 0.06 * 1e-6);
    expect(hundred.store).toBeCloseTo(100 * one.store);
    expect(hundred.fixed).toBe(one.fixed);
    const cached = perMonth(measurements, 'dynamodb', 100, { cached: 0.9 });
    expect(hundred.traces - cached.traces).toBeCloseTo(730 * 3600 * 100 * 0.94 * 0.9 * 0.05 * 0.000005);
    expect(perMonth(measurements, 'dynamodb', 100, { traces: false }).traces).toBe(0);
    // X-Ray records all of the calls where there is one a second.
    expect(one.traces).toBeCloseTo(730 * 3600 * 0.000005);
  });
});
