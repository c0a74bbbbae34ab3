/** A row by its columns, as plain values; a column that is null is left out. */
export type Row = Readonly<Record<string, unknown>>;

/** What stands where a time has no end: the largest whole number that is one in JavaScript, too. */
export const NEVER = Number.MAX_SAFE_INTEGER;

/** Whether two values are the same bytes, or both absent. */
export const same = (one: unknown, other: unknown): boolean =>
  one instanceof Uint8Array && other instanceof Uint8Array ? Buffer.compare(one, other) === 0 : one === other;

export const hex = (bytes: unknown): string => Buffer.from(bytes as Uint8Array).toString('hex');

/** A time, unless it is {@link NEVER}. */
export const timeOf = (value: unknown): number | undefined => (value === NEVER ? undefined : (value as number));

/** Only the fields that are there. */
export const present = <T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };

const DAY = 86_400;
/** The longest TTL that there is. */
const LONGEST = 20 * 365 * DAY;
/** How much longer than its time a row is kept: a server's clock may be ahead, and an expired token is still told from none. */
const MARGIN_SECONDS = 600;

/** A TTL that ends some time after `until`; 0, none, where that is never. */
export const ttlUntil = (until: number, now: number): number =>
  until >= NEVER ? 0 : Math.min(Math.max(until - now, 0) + MARGIN_SECONDS, LONGEST);

/**
 * How much longer than its `retainUntil` a grant is kept at first, so that it need not be written anew whenever that
 * moves: it does so once a day.
 */
const SLACK_SECONDS = 3 * DAY;
export const keptUntil = (retainUntil: number): number => retainUntil + SLACK_SECONDS;
