/**
 * `npm run bundle` makes `bundles/`: a file for each function, and files that several share. A function is deployed with
 * those that it loads and those of its engines; `manifest.json` says which these are.
 */
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Metafile, type Plugin } from 'esbuild';
import { cacheEngines, cassandraEngines, databaseEngines } from '../functions/config/engines.ts';
import { bundledFunctions, type Manifest } from '../functions/config/functions.ts';

const root = fileURLToPath(new URL('../', import.meta.url));

/** Left out of every function: embedded stores end with their process, and a driver in C. */
const external = ['*/stores/memory.ts', '@electric-sql/pglite', 'pg-native', 'ibm_db'];

/** What tedious loads to log in at Microsoft Entra and to open keys of Azure, which no store does: as large as all the rest of it. */
const withoutAzure: Plugin = {
  name: 'without-azure',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^@azure\// }, ({ path }) => ({ path, namespace: 'without-azure' }));
    onLoad({ filter: /./, namespace: 'without-azure' }, () => ({ contents: 'module.exports = {};' }));
  },
};

/** What mysql2 loads for character sets that no connection of ours has, and for a profile of TLS that none names: 0.7 MB. */
const withoutCharacterSets: Plugin = {
  name: 'without-character-sets',
  setup({ onLoad }) {
    onLoad({ filter: /[/\\]iconv-lite[/\\]lib[/\\]index\.js$/ }, () => ({
      contents: `const refuse = (name) => { throw new Error('the character set ' + name + ' is not UTF-8'); };
        module.exports = { getDecoder: refuse, getEncoder: refuse };`,
    }));
    onLoad({ filter: /[/\\]mysql2[/\\]lib[/\\]constants[/\\]ssl_profiles\.js$/ }, () => ({
      contents: 'module.exports = {};',
    }));
  },
};

const folder = join(root, 'bundles');

const { metafile, outputFiles } = await build({
  write: false,
  absWorkingDir: root,
  entryPoints: bundledFunctions.map((name) => `functions/handlers/${name}.ts`),
  outdir: folder,
  outExtension: { '.js': '.mjs' },
  chunkNames: 'shared/[name]-[hash]',
  bundle: true,
  splitting: true,
  minify: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  mainFields: ['module', 'main'],
  external,
  plugins: [withoutAzure, withoutCharacterSets],
  legalComments: 'none',
  metafile: true,
  // pg asks for Node's own modules as CommonJS does.
  banner: {
    js: `import{createRequire as __bundleRequire}from'node:module';const require=__bundleRequire(import.meta.url);`,
  },
});
// Beside what is there, and then in its place, so that whoever reads it meanwhile finds one or the other.
const draft = mkdtempSync(join(root, '.bundles-'));
mkdirSync(join(draft, 'shared'));
for (const { path, contents } of outputFiles) writeFileSync(join(draft, relative(folder, path)), contents);
writeFileSync(join(draft, 'manifest.json'), `${JSON.stringify(manifestOf(metafile), null, 2)}\n`);
chmodSync(draft, 0o755);
rmSync(folder, { recursive: true, force: true });
renameSync(draft, folder);

function manifestOf({ inputs, outputs }: Metafile): Manifest {
  const outputOf = new Map(Object.entries(outputs).map(([file, { entryPoint }]) => [entryPoint, file]));
  const entriesOf = (suffix: string) =>
    [...cacheEngines, ...databaseEngines, ...cassandraEngines].flatMap((engine) => {
      const file = outputOf.get(`functions/stores/${engine}${suffix}.ts`);
      return file === undefined ? [] : [[engine, file] as const];
    });
  const engines = entriesOf('');
  const schemas = entriesOf('-schema');
  const users = entriesOf('-users');
  const isEngine = (file: string) => [...engines, ...schemas, ...users].some(([, entry]) => entry === file);

  /**
   * A file and all that it loads, but for engines, their schemas and users. What a library would load only outside AWS Lambda, such as the SDK's
   * other sources of credentials, stays away; what the project's own modules load comes along.
   */
  const closureOf = (entry: string, seen = new Set<string>()): Set<string> => {
    if (seen.has(entry)) return seen;
    seen.add(entry);
    const { imports = [], inputs: parts = {} } = outputs[entry] ?? {};
    const ours = Object.keys(parts)
      .filter((part) => part.startsWith('functions/'))
      .flatMap((part) => inputs[part]?.imports ?? [])
      .flatMap(({ kind, path }) => (kind === 'dynamic-import' ? [outputOf.get(path)] : []));
    const loaded = imports.flatMap(({ kind, path }) => (kind === 'import-statement' && path in outputs ? [path] : []));
    for (const file of [...loaded, ...ours]) if (file !== undefined && !isEngine(file)) closureOf(file, seen);
    return seen;
  };
  const filesOf = (entry: string) => [...closureOf(entry)].map((file) => relative(folder, join(root, file))).toSorted();
  return {
    functions: Object.fromEntries(
      bundledFunctions.map((name) => [name, filesOf(String(outputOf.get(`functions/handlers/${name}.ts`)))]),
    ),
    engines: Object.fromEntries(engines.map(([engine, entry]) => [engine, filesOf(entry)])),
    schemas: Object.fromEntries(schemas.map(([engine, entry]) => [engine, filesOf(entry)])),
    users: Object.fromEntries(users.map(([engine, entry]) => [engine, filesOf(entry)])),
  };
}
