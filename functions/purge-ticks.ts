/** The interval of rules that EventBridge can follow by itself: whole minutes. */
const MINUTE = 60;

/** What a rule hands to the purge. */
export interface PurgeEvent {
  /** Seconds between two runs. Absent: one run, now. */
  readonly intervalSeconds?: number;
  /** What to purge. Absent: every store. */
  readonly stores?: readonly { readonly kind: string; readonly name: string }[];
  /** When the rule was due, ISO 8601. Absent, or not a time: now. */
  readonly time?: string;
}

/**
 * The epoch seconds at which a call is to run the purge. A rule is due every minute at most, so one of an interval that is
 * not whole minutes is due every minute, and its call does the multiples of the interval, counted from the epoch, that fall
 * into the minute: over any time each of them exactly once, however the minutes are shared out among calls.
 */
export function ticksOf({ intervalSeconds = MINUTE, time }: PurgeEvent, now: number): readonly number[] {
  const said = Math.floor(Date.parse(time ?? '') / 1000);
  const due = Number.isNaN(said) ? now : said;
  if (intervalSeconds % MINUTE === 0) return [due];
  const minute = due - (due % MINUTE);
  const first = Math.ceil(minute / intervalSeconds);
  const end = Math.ceil((minute + MINUTE) / intervalSeconds);
  return Array.from({ length: end - first }, (_, index) => (first + index) * intervalSeconds);
}
