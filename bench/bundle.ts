import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { type Spread, spreadOf } from './measure.ts';

// The authorizer as it is deployed, beside the bare driver of its store, bundled the same way.

const root = fileURLToPath(new URL('../', import.meta.url));
const bundles = join(root, 'bundles');

/** Opens a driver as the store does, which connects to nothing; with the operations that a store of DynamoDB needs. */
const bareDrivers = {
  postgresql: `
    import pg from 'pg';
    export const open = () => new pg.Pool({ host: 'nobody' });`,
  dynamodb: `
    import { ${['BatchGetItem', 'BatchWriteItem', 'DeleteItem', 'GetItem', 'PutItem', 'Query', 'Scan', 'UpdateItem']
      .map((operation) => `${operation}Command`)
      .join(', ')}, DynamoDBClient } from '@aws-sdk/client-dynamodb';
    export const commands = [BatchGetItemCommand, BatchWriteItemCommand, DeleteItemCommand, GetItemCommand, PutItemCommand,
      QueryCommand, ScanCommand, UpdateItemCommand];
    export const open = () => new DynamoDBClient({ region: 'eu-central-1' });`,
};

export type BundledEngine = keyof typeof bareDrivers;

/** What a cold start loads: the function, then its store's engine. */
const openers = {
  postgresql: '({ createEngine }) => createEngine({ host: "nobody" }, Date.now)',
  dynamodb: '({ createEngine }) => createEngine({ tableName: "oauth", region: "eu-central-1" }, Date.now)',
};

async function bundleDriver(engine: BundledEngine, outdir: string): Promise<string> {
  await build({
    stdin: { contents: bareDrivers[engine], resolveDir: root, sourcefile: 'driver.ts' },
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

/** The authorizer's size in bytes with this engine, and the time that it takes to load as a multiple of the bare driver's. */
export async function measureBundle(
  engine: BundledEngine,
  processes: number,
): Promise<{ bytes: number; load: Spread }> {
  execFileSync(process.execPath, [join(root, 'bin/bundle.ts')]);
  const { functions, engines } = JSON.parse(readFileSync(join(bundles, 'manifest.json'), 'utf8'));
  const files = [...new Set<string>([...functions.authorizer, ...engines[engine]])];
  const entry = files.find((file) => file.startsWith(`shared/${engine}-`));
  const folder = mkdtempSync(join(tmpdir(), 'driver-'));
  try {
    const driver = await bundleDriver(engine, folder);
    const imported = (file: string) => `await import(${JSON.stringify(file)})`;
    const ours = `${imported(join(bundles, 'authorizer.mjs'))};
      await (${openers[engine]})(${imported(join(bundles, String(entry)))});`;
    const bare = `(${imported(driver)}).open();`;
    const ratios = Array.from({ length: processes }, () => loadMs(ours) / loadMs(bare));
    return {
      bytes: files.reduce((sum, file) => sum + statSync(join(bundles, file)).size, 0),
      load: spreadOf(ratios),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
