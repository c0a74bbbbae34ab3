import type { Row } from './values.ts';

/** So many are remembered: some megabytes. */
const MOST = 4096;

/** A copy that keeps nothing else in memory; what the driver gives is a part of all that it received at once. */
function copyOf(bytes: Uint8Array): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copy.set(bytes);
  return copy;
}

const nameOf = (key: Uint8Array) => Buffer.from(key).toString('latin1');

/**
 * What of records never changes, of those that this process has stored or read last. An applied transaction does not show
 * its record, which has to be read beside it unless it is known.
 */
export function createRemembered() {
  const rows = new Map<string, Row>();
  return {
    get: (key: Uint8Array): Row | undefined => rows.get(nameOf(key)),
    keep(key: Uint8Array, row: Row): void {
      const name = nameOf(key);
      rows.delete(name);
      const copied = Object.entries(row).map(([column, value]) => [
        column,
        value instanceof Uint8Array ? copyOf(value) : value,
      ]);
      rows.set(name, Object.fromEntries(copied));
      const [eldest] = rows.size > MOST ? rows.keys() : [];
      if (eldest !== undefined) rows.delete(eldest);
    },
  };
}
