import { globSync, readFileSync } from 'node:fs';
import { join, posix, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { SourceFile } from './module.ts';
import { type Rule, rules } from './rules.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const notOurs = new Set(['node_modules', 'dist', 'bundles', 'cdk.out', 'coverage', '.git', '.data', '.engines']);

const repository: readonly SourceFile[] = globSync(['**/*', '**/.*', '**/.*/**'], {
  cwd: root,
  withFileTypes: true,
  exclude: ({ name }) => notOurs.has(name) || name.endsWith('.tgz'),
})
  .filter((entry) => entry.isFile())
  .map((entry) => {
    const file = join(entry.parentPath, entry.name);
    return { path: file.slice(root.length).replaceAll(sep, posix.sep), text: readFileSync(file, 'utf8') };
  });

/** For each rule, files that break it, by path. Every one of them must be noticed. */
const breaking: Record<keyof typeof rules, Readonly<Record<string, string>>> = {
  domain: {
    'functions/domain/a.ts': `import { readFile } from 'node:fs';`,
    'functions/domain/b.ts': `import type { Settings } from '../config/settings.ts';`,
    'functions/domain/c.ts': `export type Pool = import('pg').Pool;`,
    'functions/domain/d.ts': `export * from '../stores/memory.ts';`,
    'functions/domain/e.ts': `export const load = () => import('pg');`,
  },
  config: {
    'functions/config/a.ts': `import { digest } from '../domain/digest.ts';`,
    'functions/config/b.ts': `import { join } from 'node:path';`,
  },
  stores: {
    'functions/stores/postgresql.ts': `import mysql from 'mysql2';`,
    'functions/stores/memory.ts': `import { Pool } from 'pg';`,
    'functions/stores/sql.ts': `import { handler } from '../handlers/lookup.ts';`,
  },
  engines: {
    'functions/stores/memory.ts': `import { createStore } from './postgresql.ts';`,
    'functions/stores/memory/grants.ts': `import { createStore } from '../postgresql.ts';`,
    'functions/stores/sql.ts': `import { persist } from './postgresql-statements.ts';`,
  },
  functions: {
    'functions/handlers/a.ts': `import { Stack } from 'aws-cdk-lib';`,
    'functions/handlers/b.ts': `import { grant } from '../../lib/grant.ts';`,
    'functions/domain/c.ts': `import { clock } from '../../test/clock.ts';`,
  },
  handlers: { 'functions/handlers/a.ts': `import { Pool } from 'pg';` },
  handlerLines: { 'functions/handlers/a.ts': 'export {};\n'.repeat(81) },
  lib: { 'lib/a.ts': `import { handler } from '../functions/handlers/lookup.ts';` },
  published: {
    'adapters/a.ts': `import { fake } from '../test/domain/fake.ts';`,
    'bin/oauth2-stores.ts': `import { run } from '../bench/run.ts';`,
  },
  cycles: { 'bin/a.ts': `import { b } from './b.ts';`, 'bin/b.ts': `export * from './a.ts';` },
  barrels: {
    'functions/domain/index.ts': `export { token } from './token.ts';`,
    'functions/stores/all.ts': `export * from './memory.ts';`,
  },
  defaultExports: { 'bin/a.ts': 'export default 1;', 'bin/b.ts': 'const b = 1;\nexport { b as default };' },
  clock: {
    'functions/domain/a.ts': 'export const now = Date.now();',
    'functions/stores/b.ts': 'export const now = new Date();',
    'functions/handlers/c.ts': 'export const id = Math.random();',
  },
  folders: { 'functions/utils/a.ts': '', 'src/a.sql': '' },
  names: { 'functions/domain/grantStore.ts': '', 'Docs/engines.md': '', 'sql/my_sql/a.sql': '' },
  hosts: {
    'docs/a.md': ['https:/', 'registry.example.org/oauth2-stores'].join('/'),
    'package-lock.json': ['      "resolved": "https:/', 'example.org/valibot.tgz"'].join('/'),
  },
  machinePaths: {
    'docs/a.md': ['see ', 'home', 'me/notes'].join('/'),
    'bin/a.ts': `'${['', 'root', '.npmrc'].join('/')}'`,
  },
};

/** Files that come close to breaking a rule and do not. */
const keeping: Partial<Record<keyof typeof rules, Readonly<Record<string, string>>>> = {
  domain: { 'functions/domain/a.ts': `import { hash } from 'node:crypto';\nimport { b } from './b.ts';` },
  config: { 'functions/config/a.ts': `import * as v from 'valibot';` },
  stores: {
    'functions/stores/postgresql.ts': `import { Pool } from 'pg';\nimport { clock } from '../domain/clock.ts';`,
  },
  engines: {
    'functions/stores/postgresql.ts': `import { persist } from './postgresql-statements.ts';`,
    'functions/stores/sql.ts': `import type * as statements from './postgresql-statements.ts';`,
  },
  handlerLines: { 'functions/handlers/a.ts': 'export {};\n'.repeat(80) },
  lib: { 'lib/a.ts': `import { engines } from '../functions/config/engines.ts';` },
  published: { 'test/conformance/a.ts': `import { b } from './b.ts';` },
  cycles: {
    'bin/a.ts': `import { b } from './b.ts';\nimport { c } from './c.ts';`,
    'bin/b.ts': `import type { A } from './a.ts';\nimport { c } from './c.ts';`,
  },
  barrels: { 'functions/index.ts': `export { openStores } from './open-stores.ts';` },
  defaultExports: { 'vitest.config.ts': 'export default {};' },
  clock: {
    'functions/domain/clock.ts': 'export const systemClock = () => Date.now();',
    'functions/domain/a.ts': `// Date.now() is for the clock alone\nexport const at = (ms: number) => new Date(ms);`,
  },
  names: { 'README.md': '', LICENSE: '', '.ci/run': '', 'test/domain/token.test.ts': '' },
  machinePaths: { 'bin/a.ts': `router.get('${['', 'home'].join('/')}', page); // ${['', 'usr', 'lib'].join('/')}` },
};

const files = (texts: Readonly<Record<string, string>>): readonly SourceFile[] =>
  Object.entries(texts).map(([path, text]) => ({ path, text }));

describe.each(Object.entries<Rule>(rules))('%s', (key, { name, findBreaches }) => {
  const rule = key as keyof typeof rules;

  it(name, () => {
    expect(findBreaches(repository)).toEqual([]);
  });

  it('notices what breaks it, and nothing else', () => {
    const bad = files(breaking[rule]);
    const noticed = findBreaches(bad).join('\n');
    for (const { path } of bad) expect(noticed).toContain(path);
    expect(findBreaches(files(keeping[rule] ?? {}))).toEqual([]);
  });
});

it('the rules see the repository', () => {
  const paths = repository.map(({ path }) => path);
  expect(paths).toEqual(expect.arrayContaining(['.gitignore', 'package.json', 'functions/domain/clock.ts']));
});
