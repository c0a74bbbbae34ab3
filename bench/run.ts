/**
 * `npm run bench [engine…]` sets the stores of each engine (all of them when none is named) beside its bare driver, on a
 * server that it starts. See docs/figures.md; bench/engine.ts says what a further engine has to tell.
 *
 * `--quick` takes under a minute an engine, and its figures are rough. `--postgresql 18` takes that version instead of 15.
 * `--write` puts the section of each engine into docs/figures.md, in place of the one that it had.
 *
 * `npm run bench purge [engine…]` measures large tables and their purge instead, with ten million access tokens, or as many as
 * `--rows` says.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { measureBeside } from './beside.ts';
import type { BenchedEngine } from './engine.ts';
import { cassandra } from './engines/cassandra.ts';
import { dynamodb } from './engines/dynamodb.ts';
import { mariadb, mysql } from './engines/mysql.ts';
import { measurePostgresql } from './engines/postgresql.ts';
import { valkey } from './engines/valkey.ts';
import type { PurgedEngine } from './purge/engine.ts';
import { mariadb as purgedMariadb, mysql as purgedMysql } from './purge/mysql.ts';
import { postgresql as purgedPostgresql } from './purge/postgresql.ts';
import { measurePurge, ROWS } from './purge.ts';
import { type Say, withSection } from './report.ts';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    postgresql: { type: 'string', default: '15' },
    rows: { type: 'string' },
    write: { type: 'boolean', default: false },
  },
});

interface Section {
  readonly title: string;
  measure(say: Say): Promise<void>;
}

const engines: readonly BenchedEngine[] = [dynamodb, valkey, cassandra, mysql, mariadb];
const stores: Readonly<Record<string, Section>> = {
  postgresql: { title: 'PostgreSQL', measure: (say) => measurePostgresql(options.postgresql, options.quick, say) },
  ...Object.fromEntries(
    engines.map((engine): [string, Section] => [
      engine.name,
      { title: engine.title, measure: (say) => measureBeside(engine, options.quick, say) },
    ]),
  ),
};

const purgedEngines: readonly PurgedEngine[] = [purgedPostgresql, purgedMysql, purgedMariadb];
const rows = Number(options.rows ?? (options.quick ? ROWS.quick : ROWS.full));
const purges = Object.fromEntries(
  purgedEngines.map((engine): [string, Section] => [
    engine.name,
    {
      title: `Large tables and their purge: ${engine.title}`,
      measure: (say) => measurePurge(engine, rows, options.quick, say),
    },
  ]),
);

const isPurge = positionals[0] === 'purge';
const [sections, names] = isPurge ? [purges, positionals.slice(1)] : [stores, positionals];
const unknown = names.find((name) => !(name in sections));
if (unknown !== undefined) {
  console.error(`${unknown} is not measured; known: ${Object.keys(sections).join(', ')}`);
  process.exit(2);
}

for (const [name, { title, measure }] of Object.entries(sections)) {
  if (names.length > 0 && !names.includes(name)) continue;
  const lines: string[] = [];
  const say: Say = (...texts) => {
    for (const text of texts) console.log(text);
    lines.push(...texts);
  };
  say(`## ${title}`, '');
  await measure(say);
  console.log();
  if (!options.write) continue;
  const file = new URL('../docs/figures.md', import.meta.url);
  await writeFile(
    file,
    withSection(await readFile(file, 'utf8'), isPurge ? `purge of ${name}` : name, lines.join('\n')),
  );
}
