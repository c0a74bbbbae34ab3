/** Bytes as the key of a map. */
export const text = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url');

/** Whether two values are the same bytes, or both absent. */
export const same = (one: Uint8Array | undefined, other: Uint8Array | undefined): boolean =>
  one && other ? Buffer.compare(one, other) === 0 : one === other;

/** A frozen copy with bytes of its own: what a caller does to his record afterwards does not reach the one that is stored. */
export function copy<T extends object>(record: T): T {
  const copied: T = { ...record };
  for (const field in copied) {
    const value = copied[field];
    if (value instanceof Uint8Array) copied[field] = Buffer.from(value) as typeof value & Buffer;
  }
  return Object.freeze(copied);
}
