/** `npm run build` makes `dist/`, which is what the package publishes: JavaScript, types, schema scripts, JSON Schema, OpenAPI. */
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { jsonSchema } from '../functions/config/json-schema.ts';
import { openApi } from './openapi.ts';

const root = new URL('../', import.meta.url);
const dist = new URL('dist/', root);
const compiler = new URL('bin/tsc', import.meta.resolve('typescript/package.json'));

rmSync(dist, { recursive: true, force: true });
const { status } = spawnSync(process.execPath, [fileURLToPath(compiler), '--project', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
});
if (status !== 0) process.exit(1);
cpSync(new URL('sql', root), new URL('sql', dist), { recursive: true }); // where the stores look for their scripts
writeFileSync(new URL('oauth-stores.schema.json', dist), `${JSON.stringify(jsonSchema(), null, 2)}\n`);
const { version }: { version: string } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'));
writeFileSync(new URL('openapi.json', dist), `${JSON.stringify(openApi(version), null, 2)}\n`);
chmodSync(new URL('bin/oauth2-stores.js', dist), 0o755);
