import { StoreError } from '../../domain/errors.ts';
import type { Page } from '../../domain/ports.ts';

/** Something in one or more series, in the order of `sequence`, which counts up from 1. */
export interface Member {
  readonly sequence: number;
  /** Set when it leaves; then each series that it is in is told with `forget`. */
  gone: boolean;
}

/** Members in the order in which they came. Plain data, for there is one for each grant and each subject. */
export interface Series<T extends Member> {
  members: T[];
  /** How many of them are gone. */
  gone: number;
}

export const newSeries = <T extends Member>(): Series<T> => ({ members: [], gone: 0 });

export const sizeOf = ({ members, gone }: Series<Member>): number => members.length - gone;

/** One of the members has gone: O(1) on average. */
export function forget(series: Series<Member>): void {
  series.gone += 1;
  if (series.gone * 2 <= series.members.length) return;
  series.members = series.members.filter((member) => !member.gone);
  series.gone = 0;
}

/** The members behind this place, found in O(log n). Members may leave meanwhile. */
export function* membersAfter<T extends Member>({ members }: Series<T>, sequence: number): Generator<T> {
  let [low, high] = [0, members.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((members[middle]?.sequence ?? 0) <= sequence) low = middle + 1;
    else high = middle;
  }
  for (let next = members[low]; next; low += 1, next = members[low]) if (!next.gone) yield next;
}

/**
 * One page of the members that fit, and where the next one goes on.
 *
 * @throws {StoreError} invalid: `after` is not the `next` of a page
 */
export function pageOf<T extends Member>(series: Series<T> | undefined, page: Page, fits: (member: T) => boolean) {
  const after = Number(page.after ?? 0);
  if (!Number.isInteger(after)) throw new StoreError('invalid', 'a page goes on at the `next` of the page before it');
  const found: T[] = [];
  for (const member of series ? membersAfter(series, after) : []) {
    if (!fits(member)) continue;
    if (found.length === page.limit) return { found, next: String(found.at(-1)?.sequence) };
    found.push(member);
  }
  return { found };
}
