import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { codecOf } from '../../functions/stores/cassandra/codec.ts';
import { createRemembered } from '../../functions/stores/cassandra/remembered.ts';
import { plain } from '../conformance/records.ts';

const shape = { name: 'text', at: 'number', data: 'bytes', foreign: 'flag' } as const;
const codec = codecOf(shape);
const fields = fc.record(
  { name: fc.string({ unit: 'grapheme' }), at: fc.maxSafeInteger(), data: fc.uint8Array(), foreign: fc.boolean() },
  { requiredKeys: [] },
);

describe('a record in one cell', () => {
  it('is read as it was written, absent fields absent, empty ones empty', () => {
    fc.assert(
      fc.property(fields, (values) => {
        expect(plain(codec.decode(codec.encode(values)))).toEqual(plain(values));
      }),
    );
    const { length } = randomBytes(100_000);
    expect(codec.decode(codec.encode({ data: Buffer.alloc(length, 7), at: 1 }))).toMatchObject({ at: 1 });
  });

  it('is read by a later version, without the fields that came with it, and by an earlier one, without those it lacks', () => {
    const later = codecOf({ ...shape, more: 'text' });
    fc.assert(
      fc.property(fields, (values) => {
        expect(plain(later.decode(codec.encode(values)))).toEqual(plain(values));
        expect(plain(codec.decode(later.encode({ ...values, more: 'of it' })))).toEqual(plain(values));
      }),
    );
  });

  it('of another version is refused, not misread', () => {
    const record = codec.encode({ name: 'a' });
    record[0] = 2;
    expect(() => codec.decode(record)).toThrow(expect.objectContaining({ code: 'unsupported' }));
    expect(() => codec.decode(Buffer.of())).toThrow(expect.objectContaining({ code: 'unsupported' }));
  });
});

describe('what a process remembers', () => {
  const keyOf = (n: number) => Buffer.from(`key ${n}`);

  it('is what it stored or read last, and no more than so much', () => {
    const remembered = createRemembered();
    for (let n = 0; n < 5000; n += 1) {
      remembered.keep(keyOf(n), { n });
      remembered.keep(keyOf(0), { n: 0 });
    }
    const known = Array.from({ length: 5000 }, (_, n) => n).filter((n) => remembered.get(keyOf(n)));
    expect(known).toHaveLength(4096);
    expect(known.slice(0, 2)).toEqual([0, 5000 - 4095]);
  });

  it('keeps nothing else alive, and does not change with what it was made of', () => {
    const remembered = createRemembered();
    const received = randomBytes(65_536);
    const part = received.subarray(100, 200);
    const before = Buffer.from(part);
    remembered.keep(keyOf(1), { part, at: 5 });
    received.fill(0);
    const kept = remembered.get(keyOf(1)) ?? {};
    expect(kept).toEqual({ part: before, at: 5 });
    expect((kept.part as Buffer).buffer.byteLength).toBe(100);
  });
});
