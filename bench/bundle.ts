import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { type Spread, spreadOf } from './measure.ts';
import { figures, ratio, type Say } from './report.ts';

// The authorizer as it is deployed, beside the bare driver of its store, bundled the same way.

const root = fileURLToPath(new URL('../', import.meta.url));
const bundles = join(root, 'bundles');

/** How a bundle with an engine is measured. */
export interface Bundled {
  /** A module whose `open` opens the bare driver as the store does, which connects to nothing. */
  readonly driver: string;
  /** The settings that the engine is opened with, as an expression. */
  readonly settings: string;
  readonly target: { readonly kilobytes: number; readonly load: number };
}

async function bundleDriver(contents: string, outdir: string): Promise<string> {
  await build({
    stdin: { contents, resolveDir: root, sourcefile: 'driver.ts' },
    outdir,
    outExtension: { '.js': '.mjs' },
    entryNames: 'driver',
    bundle: true,
    splitting: true,
    minify: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    mainFields: ['module', 'main'],
    external: ['pg-native'],
    banner: {
      js: `import{createRequire as __bundleRequire}from'node:module';const require=__bundleRequire(import.meta.url);`,
    },
  });
  return join(outdir, 'driver.mjs');
}

/** Milliseconds that a fresh process takes to run these lines. */
function loadMs(lines: string): number {
  const script = `const from = performance.now();\n${lines}\nconsole.log(performance.now() - from);`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  if (!stdout) throw new Error(stderr);
  return Number(stdout);
}

/** The authorizer's size in bytes with an engine, and the time that it takes to load as a multiple of the bare driver's. */
async function measureBundle(
  engine: string,
  { driver, settings }: Bundled,
  processes: number,
): Promise<{ bytes: number; load: Spread }> {
  execFileSync(process.execPath, [join(root, 'bin/bundle.ts')]);
  const { functions, engines } = JSON.parse(readFileSync(join(bundles, 'manifest.json'), 'utf8'));
  const files = [...new Set<string>([...functions.authorizer, ...engines[engine]])];
  const entry = files.find((file) => file.startsWith(`shared/${engine}-`));
  const folder = mkdtempSync(join(tmpdir(), 'driver-'));
  try {
    const bundled = await bundleDriver(driver, folder);
    const imported = (file: string) => `await import(${JSON.stringify(file)})`;
    // What a cold start loads: the function, then its store's engine.
    const ours = `${imported(join(bundles, 'authorizer.mjs'))};
      await (({ createEngine }) => createEngine(${settings}, Date.now))(${imported(join(bundles, String(entry)))});`;
    const bare = `(${imported(bundled)}).open();`;
    const ratios = Array.from({ length: processes }, () => loadMs(ours) / loadMs(bare));
    return {
      bytes: files.reduce((sum, file) => sum + statSync(join(bundles, file)).size, 0),
      load: spreadOf(ratios),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The same as a part of the engine's section. */
export async function tellBundle(engine: string, bundled: Bundled, processes: number, say: Say): Promise<void> {
  const { bytes, load } = await measureBundle(engine, bundled, processes);
  const { target } = bundled;
  const kilobytes = bytes / 1000;
  say(
    '',
    '### Bundle of the authorizer',
    '',
    figures([
      { name: 'size', value: kilobytes, shown: `${kilobytes.toFixed(0)} kB`, target: { most: target.kilobytes } },
      ratio('time to load, beside the driver alone', load, { most: target.load }),
    ]),
  );
}
