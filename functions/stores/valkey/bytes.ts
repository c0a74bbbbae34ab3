// Records as the scripts read and write them with Lua's `struct`: big-endian, an unsigned number of four bytes for a time,
// a length before what may be of any length.

/** In place of a time: there is none. */
export const NONE = 0xffffffff;

/** Times and other numbers of four bytes. */
export function u32(...values: readonly number[]): Buffer {
  const bytes = Buffer.allocUnsafe(values.length * 4);
  for (let at = 0; at < values.length; at += 1) bytes.writeUInt32BE(values[at] ?? 0, at * 4);
  return bytes;
}

/** Milliseconds of the epoch. */
export function f64(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeDoubleBE(value);
  return bytes;
}

export const u8 = (value: number): Buffer => Buffer.of(value);

export function join(...parts: readonly Uint8Array[]): Buffer {
  let length = 0;
  for (const part of parts) length += part.length;
  const bytes = Buffer.allocUnsafe(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Numbers, then bytes and texts of any length, each after its length, and bytes of a length that is known: what a script unpacks in one step. */
export function packed(numbers: readonly number[], parts: readonly (Uint8Array | string)[], last: Uint8Array): Buffer {
  let length = 4 * (numbers.length + parts.length) + last.length;
  for (const part of parts) length += typeof part === 'string' ? Buffer.byteLength(part) : part.length;
  const bytes = Buffer.allocUnsafe(length);
  let at = 0;
  for (const number of numbers) at = bytes.writeUInt32BE(number, at);
  for (const part of parts) {
    const size = typeof part === 'string' ? bytes.write(part, at + 4) : part.length;
    if (typeof part !== 'string') bytes.set(part, at + 4);
    bytes.writeUInt32BE(size, at);
    at += 4 + size;
  }
  bytes.set(last, at);
  return bytes;
}

export const base64url = (bytes: Uint8Array): string =>
  (bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)).toString(
    'base64url',
  );

/** At most 255 bytes, with their length. */
export const short = (bytes: Uint8Array | undefined): Buffer => join(u8(bytes?.length ?? 0), bytes ?? Buffer.of());

/** Text of at most 65,535 bytes, with its length. */
export function text(value: string | undefined): Buffer {
  const length = value === undefined ? 0 : Buffer.byteLength(value);
  const bytes = Buffer.allocUnsafe(2 + length);
  bytes.writeUInt16BE(length);
  if (value !== undefined) bytes.write(value, 2);
  return bytes;
}

/** The first eight of the sixteen bytes that name a try: enough to tell its repeat. */
export const traceOf = (attempt: Uint8Array): Uint8Array => attempt.subarray(0, 8);

export const same = (one: Uint8Array | undefined, other: Uint8Array | undefined): boolean =>
  one !== undefined && other !== undefined && Buffer.compare(one, other) === 0;

export const present = (time: number): number | undefined => (time === NONE ? undefined : time);

/** Reads a record from front to back. */
export interface Reader {
  u8(): number;
  u32(): number;
  bytes(length: number): Buffer;
  short(): Buffer;
  text(): string;
  rest(): Buffer;
}

export function readerOf(from: Buffer, start = 0): Reader {
  let at = start;
  /** Goes on by so many bytes, and gives where they begin. */
  const skip = (length: number) => {
    at += length;
    return at - length;
  };
  const bytes = (length: number) => {
    const begin = skip(length);
    return from.subarray(begin, at);
  };
  const u8 = () => from.readUInt8(skip(1));
  return {
    u8,
    u32: () => from.readUInt32BE(skip(4)),
    bytes,
    short: () => bytes(u8()),
    text: () => bytes(from.readUInt16BE(skip(2))).toString(),
    rest: () => from.subarray(at),
  };
}
