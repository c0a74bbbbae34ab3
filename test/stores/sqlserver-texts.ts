import { readFileSync } from 'node:fs';
import { ABOUT } from '../../functions/stores/sqlserver-diagnosis.ts';
import { partitioned } from '../../functions/stores/sqlserver-partitions.ts';
import * as statements from '../../functions/stores/sqlserver-statements.ts';
import { SET_PASSWORD } from '../../functions/stores/sqlserver-users.ts';

/** Every statement that the store can send, by its name. */
export const texts: readonly (readonly [name: string, text: string])[] = textsIn(statements, '');

/** Those that it sends in their place where access tokens are in expiry partitions. */
export const partitionTexts = textsIn(partitioned, 'partitioned').filter(
  ([, text]) => !texts.some(([, flat]) => flat === text),
);

/** What else is sent. */
export const others: readonly (readonly [name: string, text: string])[] = [
  ['diagnosis', ABOUT],
  ['set_password', SET_PASSWORD],
];

const scriptOf = (name: string) =>
  [name, readFileSync(new URL(`../../sql/sqlserver/${name}`, import.meta.url), 'utf8')] as const;

export const scripts = ['oauth-server.sql', 'oauth-client.sql', 'oauth-roles.sql'].map(scriptOf);

export const partitionScript = scriptOf('oauth-partitions.sql');

function textsIn(value: unknown, name: string): [string, string][] {
  if (typeof value === 'string') return [[name, value]];
  return Object.entries(value as object).flatMap(([key, inner]) =>
    textsIn(inner, name === '' ? key : `${name}_${key}`),
  );
}

/** Mistakes of a kind each, made in a text that has the place for it: what has to be noticed, or a check checks nothing. */
export const planted: readonly (readonly [mistake: string, made: (text: string) => string])[] = [
  ['a word too few', (text) => text.replace(/\bWHERE\b/, '')],
  ['a misspelt word', (text) => text.replace(/\bWHERE\b/, 'WHRE')],
  ['a comma too many', (text) => text.replace(/,(?=[^,]*\bFROM\b)/, ',,')],
  ['a parenthesis that stays open', (text) => text.replace(/\)(?!.*\))/s, '')],
  ['a CASE without END', (text) => text.replace(/\bEND AS outcome\b/, 'AS outcome')],
  ['another engine’s way to name a value', (text) => text.replace(/@now\b/, '@now::bigint')],
];
