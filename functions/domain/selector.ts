import { createHash } from 'node:crypto';
import { StoreError } from './errors.ts';
import type { Selector } from './ports.ts';

type Owner = Pick<Selector, keyof Selector>;

/** What a selector can name, likeliest to have few grants first: the first of those that are given leads to the grants, all must match. */
export const selectorFields = ['subject', 'consentId', 'applicationId', 'clientId'] as const;
export type SelectorField = (typeof selectorFields)[number];

/**
 * The field by whose value the grants of a selector are looked for.
 * @throws {StoreError} invalid: the selector is empty
 */
export function leadOf(selector: Selector): SelectorField {
  const lead = selectorFields.find((field) => selector[field] !== undefined);
  if (!lead) throw new StoreError('invalid', `a selector names at least one of ${selectorFields.join(', ')}`);
  return lead;
}

/** 32 bytes that name a selector: the key under which a store remembers a revocation by it. */
export const selectorKey = (selector: Selector): Buffer =>
  createHash('sha256')
    .update(JSON.stringify(selectorFields.map((field) => selector[field] ?? null)))
    .digest();

/** The keys of every selector that matches a grant: a revocation under any of them concerns it. */
export function selectorKeysOf(grant: Owner): Buffer[] {
  const present = selectorFields.filter((field) => grant[field] !== undefined);
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
  selectorFields.every((field) => selector[field] === undefined || selector[field] === grant[field]);
