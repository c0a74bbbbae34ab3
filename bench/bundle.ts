import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { cacheEngines, cassandraEngines, databaseEngines } from '../functions/config/engines.ts';
import { type Spread, spreadOf } from './measure.ts';

// The authorizer as it is deployed: one file, with PostgreSQL as its only engine.

const root = fileURLToPath(new URL('../', import.meta.url));

/** What a deployment with PostgreSQL leaves out: the other engines, the embedded database, a driver in C. */
const others = [...cacheEngines, ...databaseEngines, ...cassandraEngines].filter((engine) => engine !== 'postgresql');
const external = [...others.map((engine) => `./stores/${engine}.ts`), '@electric-sql/pglite', 'pg-native'];

const authorizer = `
  export { handler } from './functions/handlers/authorizer.ts';
  import { createEngine } from './functions/stores/postgresql.ts';
  export const open = () => createEngine({ host: 'nobody' }, Date.now);`;
const driver = `
  import pg from 'pg';
  export const open = () => new pg.Pool({ host: 'nobody' });`;

async function bundle(contents: string, outfile: string): Promise<void> {
  await build({
    stdin: { contents, resolveDir: root },
    outfile,
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    external,
    // pg asks for Node's own modules as CommonJS does.
    banner: { js: `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);` },
  });
}

/** Milliseconds that a fresh process takes to load the file and to open its pool, which connects to nothing. */
function loadMs(file: string): number {
  const script = `const from = performance.now();
    const { open } = await import(${JSON.stringify(file)});
    await open();
    console.log(performance.now() - from);`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  if (!stdout) throw new Error(stderr);
  return Number(stdout);
}

/** The authorizer's size in bytes, and the time that it takes to load as a multiple of pg's alone, bundled the same way. */
export async function measureBundle(processes: number): Promise<{ bytes: number; load: Spread }> {
  const folder = await mkdtemp(join(tmpdir(), 'bundle-'));
  try {
    const files = { authorizer: join(folder, 'authorizer.mjs'), driver: join(folder, 'driver.mjs') };
    await bundle(authorizer, files.authorizer);
    await bundle(driver, files.driver);
    const ratios = Array.from({ length: processes }, () => loadMs(files.authorizer) / loadMs(files.driver));
    return { bytes: (await readFile(files.authorizer)).length, load: spreadOf(ratios) };
  } finally {
    await rm(folder, { recursive: true });
  }
}
