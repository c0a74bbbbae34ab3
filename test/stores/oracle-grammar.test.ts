import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { diagnose } from '../../functions/stores/oracle-diagnosis.ts';
import { partitioned } from '../../functions/stores/oracle-partitions.ts';
import { applySchema } from '../../functions/stores/oracle-schema.ts';
import * as statements from '../../functions/stores/oracle-statements.ts';
import { SET_PASSWORD } from '../../functions/stores/oracle-users.ts';
import { packagedScripts } from '../../functions/stores/sql-schema.ts';
import { describeOn } from './describe-on.ts';
import { recordSent } from './oracle-texts.ts';

// Every text that can go to Oracle, held against a whole grammar of PL/SQL (Debezium's, for Java): that it is PL/SQL, and
// nothing about what it means. Planted faults show each time that the check is one.

const grammar = process.env.PLSQL_GRAMMAR;

/** What is wrong with each text; nothing where nothing is. */
async function faultsOf(texts: readonly string[]): Promise<string[]> {
  const program = fileURLToPath(new URL('../engines/plsql-syntax.java', import.meta.url));
  const java = spawn('java', ['-cp', join(String(grammar), '*'), program], { stdio: ['pipe', 'pipe', 'inherit'] });
  const printed = text(java.stdout);
  java.stdin.end(texts.join('\0'));
  const [exitCode] = await once(java, 'close');
  expect(exitCode).toBe(0);
  const faults = (await printed).split('\n').slice(0, -1);
  expect(faults).toHaveLength(texts.length);
  return faults;
}

const textsIn = (from: object): string[] =>
  Object.values(from).flatMap((one) => (typeof one === 'string' ? [one] : typeof one === 'object' ? textsIn(one) : []));

/** A query ends without a semicolon in the driver, and with one in the grammar. */
const ended = (statement: string) => statement.replace(/(?<!;)\s*$/, ';');

const settings = { host: 'db', database: 'oauth', user: 'app', password: 'app', tls: false } as const;

/** What applying the scripts and a diagnosis send. */
async function sentByOthers(): Promise<string[]> {
  const ABOUT = { metaData: [{ name: 'VERSION' }, { name: 'LETTERS' }, { name: 'ROLE' }] };
  const sent = recordSent((asked) => {
    if (asked.includes('product_component_version')) return { ...ABOUT, rows: [['19.0', 'AL32UTF8', 'PRIMARY']] };
    if (asked.includes('LISTAGG')) return { rows: [], metaData: [] };
    if (!asked.includes('all_synonyms')) return { rows: [{ version: 9 }], metaData: [] };
    const names = [...asked.matchAll(/'([A-Z_]+)'/g)].map(([, name]) => [String(name).toLowerCase()]);
    return { rows: names, metaData: [{ name: 'NAME' }] };
  });
  await diagnose(settings, ['oauth-server']);
  const first = sent.length;
  const scripts = { 'oauth-server.sql': "CREATE TABLE t (a NUMBER); 'oauth-server', 1", 'oauth-client.sql': '' };
  await applySchema(settings, { scripts }).catch(() => {});
  expect(first).toBeGreaterThan(3);
  expect(sent.length).toBeGreaterThan(first + 3);
  return sent.map((one) => one.text);
}

/** Faults that can be planted in a text; each must be found in every text that can take it. */
const planted: Readonly<Record<string, (text: string) => string>> = {
  'a word misspelt': (text) => text.replace(/\bWHERE\b/, 'WERE'),
  'a parenthesis missing': (text) => text.replace(/\)(?=[^)]*$)/, ''),
  'two commas': (text) => text.replace(/,/, ',,'),
  'an IF without its end': (text) => text.replace(/END IF;/, ''),
  'a THEN missing': (text) => text.replace(/\bTHEN\b/, ''),
  'a block without its end': (text) => text.replace(/END;\s*$/, ''),
  'an assignment by =': (text) => text.replace(/(:o_\w+) :=/, '$1 ='),
  'a LOOP without its end': (text) => text.replace(/END LOOP;/, ''),
  'a string without its end': (text) => text.replace(/'(?=[^']*$)/, ''),
};

describeOn(grammar)('every text for Oracle', async () => {
  const scripts = Object.values(await packagedScripts('oracle'));
  const made = scripts.flatMap((script) =>
    [...script.matchAll(/make\('(.*?)'\);$/gms)].map(([, one]) => String(one).replaceAll("''", "'")),
  );
  // As SQL*Plus reads a script: the grammar takes what stands before a line with a slash, and ends there.
  const pieces = scripts.flatMap((script) => script.trimEnd().replace(/\/$/, '').split(/^\/$/m));
  const others = await sentByOthers();
  // The grammar has roles to be granted, not to be made; a table that becomes one with partitions by range alone; and no index that
  // is made beside traffic.
  const known = made
    .filter((one) => !/^CREATE ROLE \w+$|MODIFY PARTITION BY LIST/.test(one))
    .map((one) => one.replace(/ ONLINE$/, ''));
  const texts = [
    ...new Set(
      [...textsIn(statements), ...textsIn(partitioned), SET_PASSWORD, ...known, ...pieces, ...others].map(ended),
    ),
  ];

  it('is PL/SQL or SQL', { timeout: 180_000 }, async () => {
    expect(textsIn(statements).length).toBeGreaterThan(50);
    expect(made.length).toBeGreaterThan(20);
    const faults = await faultsOf(texts);
    expect(
      texts.flatMap((one, index) => (faults[index] === '' ? [] : [`${faults[index]}: ${one.slice(0, 3000)}`])),
    ).toEqual([]);
  });

  it('is refused with a fault in it, each of them in each text that can take it', { timeout: 180_000 }, async () => {
    // What stands in a string is no text of its own here; those of the scripts are among the others.
    const plain = texts.filter((one) => !one.includes('EXECUTE IMMEDIATE'));
    const wrong = Object.entries(planted).flatMap(([fault, plant]) => {
      const changed = plain.flatMap((one) => (plant(one) === one ? [] : [plant(one)]));
      expect(changed.length, fault).toBeGreaterThan(0);
      return changed.map((one) => ({ fault, one }));
    });
    expect(wrong.length).toBeGreaterThan(300);
    const faults = await faultsOf(wrong.map(({ one }) => one));
    expect(wrong.flatMap(({ fault, one }, index) => (faults[index] === '' ? [`${fault}: ${one}`] : []))).toEqual([]);
  });
});
