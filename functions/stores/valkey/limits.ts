import { NONE } from './bytes.ts';

/** How long an element may stay in the cache, whatever its own end. */
export interface Limits {
  /** How long after it was stored an element leaves. Default: no limit. */
  readonly timeToLiveSeconds?: number;
  /** How long after it was last stored, found or changed an element leaves. Default: no limit. */
  readonly timeToIdleSeconds?: number;
}

/** When an element that is stored now leaves for its age. */
export const leavesAt = ({ timeToLiveSeconds }: Limits, now: number): number =>
  timeToLiveSeconds === undefined ? NONE : Math.min(now + timeToLiveSeconds, NONE - 1);

/** In a record, in place of that: no limit of the cache concerns it. */
export const KEPT = 0;
