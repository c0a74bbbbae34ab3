import type { StoredAccessToken } from '../../functions/domain/ports.ts';

export const HOUR = 3600;
export const DAY = 24 * HOUR;

/** When a purge removes an access token where they are in expiry partitions: with the hour or the day that it expires in. */
export function leavesWithItsPartition({ issuedAt, expiresAt }: Pick<StoredAccessToken, 'issuedAt' | 'expiresAt'>) {
  const width = [HOUR, DAY].find((seconds) => expiresAt - issuedAt <= seconds) ?? 1;
  return width === 1 ? expiresAt : (Math.floor(expiresAt / width) + 1) * width;
}
