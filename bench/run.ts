/**
 * `npm run bench [engine…]` sets the stores of each engine (all of them when none is named) beside its bare driver, on a
 * server that it starts. See docs/figures.md; bench/engine.ts says what a further engine has to tell.
 *
 * `--quick` takes under a minute an engine, and its figures are rough. `--postgresql 18` takes that version instead of 15.
 * `--write` puts the section of each engine into docs/figures.md, in place of the one that it had.
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
import { type Say, withSection } from './report.ts';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    postgresql: { type: 'string', default: '15' },
    write: { type: 'boolean', default: false },
  },
});

const engines: readonly BenchedEngine[] = [dynamodb, valkey, cassandra, mysql, mariadb];

const sections = new Map<string, { title: string; measure: (say: Say) => Promise<void> }>([
  ['postgresql', { title: 'PostgreSQL', measure: (say) => measurePostgresql(options.postgresql, options.quick, say) }],
  ...engines.map(
    (engine) =>
      [engine.name, { title: engine.title, measure: (say: Say) => measureBeside(engine, options.quick, say) }] as const,
  ),
]);

const unknown = positionals.find((name) => !sections.has(name));
if (unknown !== undefined) {
  console.error(`${unknown} is not measured; known: ${[...sections.keys()].join(', ')}`);
  process.exit(2);
}

for (const [name, { title, measure }] of sections) {
  if (positionals.length > 0 && !positionals.includes(name)) continue;
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
  await writeFile(file, withSection(await readFile(file, 'utf8'), name, lines.join('\n')));
}
