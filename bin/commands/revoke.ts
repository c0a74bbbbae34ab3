import { createInterface } from 'node:readline/promises';
import type { Configuration } from '../../functions/config/configuration.ts';
import { seconds, systemClock } from '../../functions/domain/clock.ts';
import { revocationRetention } from '../../functions/domain/issuing.ts';
import { type SelectorOptions, selectorOf } from './selector.ts';
import { chooseAccessTokenStore, withAccessTokenStore } from './stores.ts';

export interface RevokeOptions extends SelectorOptions {
  readonly grant?: string;
  readonly store?: string;
  readonly yes?: true;
}

/** Ends grants with all of their tokens, after it has been confirmed. */
export async function revoke(configuration: Configuration, options: RevokeOptions): Promise<void> {
  const selector = selectorOf(options);
  const { grant } = options;
  if ((selector === undefined) === (grant === undefined)) {
    throw new Error('say what ends: --grant alone, or --subject, --client, --application, --consent');
  }
  if (grant !== undefined && !/^[A-Za-z0-9_-]{16}$/.test(grant)) {
    throw new Error('--grant takes the 16 characters by which `list` names a grant');
  }
  const chosen = chooseAccessTokenStore(configuration, options.store);
  const what = grant === undefined ? `every grant with ${inWords(options)}` : `the grant ${grant}`;
  if (!options.yes && !(await confirmed(`End ${what} in "${chosen.name}", and all of its tokens?`))) {
    throw new Error('nothing was revoked');
  }
  await withAccessTokenStore(configuration, chosen, async (store) => {
    const nowMs = systemClock();
    const now = seconds(() => nowMs);
    const retainUntil = revocationRetention(configuration.issuing, now);
    if (selector) {
      const ended = await store.revokeBy(selector, { nowMs, retainUntil });
      console.log(`${ended} ${ended === 1 ? 'grant has' : 'grants have'} ended`);
    } else {
      await store.revokeGrant(Buffer.from(grant ?? '', 'base64url'), { now, retainUntil });
      console.log(`the grant ${grant} has ended`);
    }
  });
}

const inWords = (options: RevokeOptions) =>
  (['subject', 'client', 'application', 'consent'] as const)
    .filter((field) => options[field] !== undefined)
    .map((field) => `${field} ${JSON.stringify(options[field])}`)
    .join(' and ');

/** Whether the question is answered with yes; the end of the input is a no. */
async function confirmed(question: string): Promise<boolean> {
  process.stderr.write(`${question} [y/N] `);
  const lines = createInterface({ input: process.stdin });
  for await (const line of lines) return /^\s*y(es)?\s*$/i.test(line);
  return false;
}
