import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type AssetCode, Code } from 'aws-cdk-lib/aws-lambda';
import type { Engine } from '../functions/config/engines.ts';
import type { BundledFunction, Manifest } from '../functions/config/functions.ts';

// The functions come bundled with the package, so that nothing is compiled when a deployment is made.
const bundles = fileURLToPath(new URL('.', import.meta.resolve('#bundles/manifest.json')));

const folders: string[] = [];
process.once('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/**
 * What a function's code is: its bundle, the files of the engines that it uses, and no others; with `texts` beside them. Of
 * the engines `apply-schema` uses schemas, `rotate-database-password` users, and every other function stores.
 */
export function functionCode(
  name: BundledFunction,
  engines: readonly Engine[],
  texts: Readonly<Record<string, string>> = {},
): AssetCode {
  const manifest: Manifest = JSON.parse(readFileSync(join(bundles, 'manifest.json'), 'utf8'));
  const added = manifest[addedTo(name)];
  const files = new Set([...(manifest.functions[name] ?? []), ...engines.flatMap((engine) => added[engine] ?? [])]);
  const folder = mkdtempSync(join(tmpdir(), 'function-'));
  folders.push(folder);
  for (const file of files) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    cpSync(join(bundles, file), join(folder, file));
  }
  for (const [file, text] of Object.entries(texts)) writeFileSync(join(folder, file), text);
  return Code.fromAsset(folder);
}

const addedTo = (name: BundledFunction) => {
  if (name === 'apply-schema') return 'schemas';
  return name === 'rotate-database-password' ? 'users' : 'engines';
};

/** How AWS Lambda names the function in its code. */
export const handlerOf = (name: BundledFunction): string => `${name}.handler`;
