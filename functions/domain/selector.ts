import { createHash } from 'node:crypto';
import type { Selector } from './ports.ts';

type Owner = Pick<Selector, keyof Selector>;

const FIELDS = ['subject', 'clientId', 'applicationId', 'consentId'] as const;

/** 32 bytes that name a selector: the key under which a store remembers a revocation by it. */
export const selectorKey = (selector: Selector): Buffer =>
  createHash('sha256')
    .update(JSON.stringify(FIELDS.map((field) => selector[field] ?? null)))
    .digest();

/** The keys of every selector that matches a grant: a revocation under any of them concerns it. */
export function selectorKeysOf(grant: Owner): Buffer[] {
  const present = FIELDS.filter((field) => grant[field] !== undefined);
  const keys: Buffer[] = [];
  for (let chosen = 1; chosen < 1 << present.length; chosen += 1) {
    keys.push(
      selectorKey(Object.fromEntries(present.filter((_, bit) => chosen & (1 << bit)).map((f) => [f, grant[f]]))),
    );
  }
  return keys;
}

/** Whether a grant matches a selector: all that the selector names is the same. */
export const matches = (grant: Owner, selector: Selector): boolean =>
  FIELDS.every((field) => selector[field] === undefined || selector[field] === grant[field]);
