import type { AttributeValue } from '@aws-sdk/client-dynamodb';

/** An item, or a map in one, as plain values. */
export type Item = Record<string, unknown>;

/** Whether two values are the same bytes, or both absent. */
export const same = (one: unknown, other: unknown): boolean =>
  one instanceof Uint8Array && other instanceof Uint8Array ? Buffer.compare(one, other) === 0 : one === other;

export const hex = (bytes: unknown): string => Buffer.from(bytes as Uint8Array).toString('hex');

export function attribute(value: unknown): AttributeValue {
  if (typeof value === 'string') return { S: value };
  if (typeof value === 'number') return { N: String(value) };
  if (typeof value === 'boolean') return { BOOL: value };
  if (value instanceof Uint8Array) return { B: value };
  if (Array.isArray(value)) return { L: value.map(attribute) };
  return { M: attributes(value as Item) };
}

/** The attributes of an item; what is undefined is left out. */
export function attributes(item: Item): Record<string, AttributeValue> {
  const all: Record<string, AttributeValue> = {};
  for (const name in item) if (item[name] !== undefined) all[name] = attribute(item[name]);
  return all;
}

function plainValue({ S, N, B, BOOL, L, M }: AttributeValue): unknown {
  if (B !== undefined) return B;
  if (N !== undefined) return Number(N);
  return S ?? BOOL ?? L?.map(plainValue) ?? (M && plain(M));
}

export function plain(attributes: Record<string, AttributeValue>): Item {
  const item: Item = {};
  for (const name in attributes) item[name] = plainValue(attributes[name] as AttributeValue);
  return item;
}

/** Only the fields that are there. */
export const present = (fields: Item): Item =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
