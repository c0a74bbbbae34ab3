import { StoreError } from '../../domain/errors.ts';

// What no condition names stands in one cell: each cell has a name, a time and a TTL of its own, and a lightweight
// transaction writes all of that three times over.
//
//   record   version (1 byte), then the fields in the order of their shape
//   field    length (4 bytes; -1: absent), bytes
//
// A later version may append fields: it reads a record that ends before them, and this one passes over what it does not
// know. Any other change needs another version.

const VERSION = 1;

interface Kinds {
  readonly bytes: Uint8Array;
  readonly text: string;
  readonly number: number;
  readonly flag: boolean;
}
type Shape = Readonly<Record<string, keyof Kinds>>;
type Fields<S extends Shape> = { readonly [K in keyof S]?: Kinds[S[K]] };

const bytesOf = (value: Kinds[keyof Kinds]): Uint8Array => {
  if (typeof value === 'string') return Buffer.from(value);
  if (typeof value === 'boolean') return Buffer.of(value ? 1 : 0);
  if (typeof value !== 'number') return value;
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeDoubleBE(value);
  return bytes;
};

const read: { readonly [K in keyof Kinds]: (bytes: Buffer) => Kinds[K] } = {
  bytes: (bytes) => bytes,
  text: (bytes) => bytes.toString(),
  number: (bytes) => bytes.readDoubleBE(),
  flag: (bytes) => bytes[0] === 1,
};

/** Records of one shape as the bytes of one cell. */
export function codecOf<const S extends Shape>(shape: S) {
  const fields = Object.entries(shape);
  return {
    encode(values: { readonly [K in keyof S]?: Kinds[S[K]] | undefined }): Buffer {
      const parts = fields.map(([name]) => (values[name] === undefined ? undefined : bytesOf(values[name])));
      const record = Buffer.allocUnsafe(parts.reduce((size, part) => size + 4 + (part?.length ?? 0), 1));
      let at = record.writeUInt8(VERSION);
      for (const part of parts) {
        at = record.writeInt32BE(part?.length ?? -1, at);
        if (part) record.set(part, at);
        at += part?.length ?? 0;
      }
      return record;
    },

    /** @throws {StoreError} unsupported: a later version wrote it */
    decode(record: Buffer): Fields<S> {
      if (record[0] !== VERSION) throw new StoreError('unsupported', 'a later version has written this record');
      const values: Record<string, unknown> = {};
      let at = 1;
      for (const [name, kind] of fields) {
        if (at === record.length) break;
        const length = record.readInt32BE(at);
        at += 4;
        if (length < 0) continue;
        values[name] = read[kind](record.subarray(at, at + length));
        at += length;
      }
      return values as Fields<S>;
    },
  };
}
