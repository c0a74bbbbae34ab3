import { createHash } from 'node:crypto';
import { newAttempt } from './domain/issuing.ts';
import type { ArtifactStore } from './domain/ports.ts';

/** How much longer a use is remembered than it must be, for another function whose clock is behind. */
const MARGIN_SECONDS = 10;

/**
 * Whether this is the first use of what `name` names: true for exactly one of any number of concurrent callers, until
 * `expiresAt`. The name is stored as its digest.
 *
 * @throws {StoreError} that is not known; never to be taken for a first use
 */
export const isFirstUse = (
  artifacts: ArtifactStore,
  kind: string,
  name: readonly unknown[],
  { now, expiresAt }: { now: number; expiresAt: number },
): Promise<boolean> =>
  artifacts.putOnce(
    {
      kind,
      id: createHash('sha256').update(JSON.stringify(name)).digest(),
      expiresAt,
      retainUntil: expiresAt + MARGIN_SECONDS,
      data: Buffer.alloc(0),
    },
    { now, attempt: newAttempt() },
  );
