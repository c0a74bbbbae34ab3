import { execFileSync } from 'node:child_process';
import { globSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseModule } from '../architecture/module.ts';

// The package as its user gets it: packed, installed into an empty project, checked, compiled against and run.

const require = createRequire(import.meta.url);
const root = fileURLToPath(new URL('../../', import.meta.url));
const project = mkdtempSync(join(tmpdir(), 'consumer-'));
const installed = join(project, 'node_modules/oauth2-stores');

const run = (program: string, ...args: string[]): string => {
  try {
    return execFileSync(program, args, { cwd: project, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${program} ${args.join(' ')} failed:\n${stdout}\n${stderr}`);
  }
};

/** A program of a package that this repository is developed with. */
const runTool = (packageFile: string, program: string, ...args: string[]): string =>
  run(process.execPath, join(dirname(packageFile), program), ...args);

const write = (name: string, content: object | string): void =>
  writeFileSync(join(project, name), typeof content === 'string' ? content : JSON.stringify(content));

const filesOf = (folder: string): readonly string[] =>
  globSync(['**/*', '**/.*', '**/.*/**'], { cwd: folder, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();

/** The example is what a user would write. */
const consumer = readFileSync(join(root, 'examples/in-process.ts'), 'utf8');

const schemaReader = `
  import schema from 'oauth2-stores/schema.json' with { type: 'json' };
  console.log(schema.type);
`;

const deployment = `
  import { App } from 'aws-cdk-lib';
  import { ServiceStack, StoresStack } from 'oauth2-stores/cdk';
  const location = { configuration: 'node_modules/oauth2-stores/examples/dynamodb/oauth-stores.json' };
  const app = new App({ outdir: 'cdk.out' });
  new StoresStack(app, 'Data', location);
  new ServiceStack(app, 'Service', location);
  app.synth();
`;

let tarball = '';
let files: readonly string[] = [];
let manifest: { dependencies: Record<string, string>; peerDependencies: Record<string, string> };

beforeAll(() => {
  run(process.execPath, join(root, 'bin/build.ts'));
  run('npm', 'pack', root, '--ignore-scripts', '--silent', '--pack-destination', project);
  [tarball = ''] = globSync('*.tgz', { cwd: project });
  write('package.json', { name: 'consumer', private: true, type: 'module' });
  run('npm', 'install', '--prefer-offline', '--no-audit', '--no-fund', `./${tarball}`);
  files = filesOf(installed);
  manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
}, 300_000);

afterAll(() => rmSync(project, { recursive: true, force: true }));

describe('the published package', () => {
  it('holds the compiled code, the bundled functions, the suite, the scripts for a DBA and the texts, and nothing else', () => {
    const expected = [
      /^package\.json$/,
      /^README\.md$/,
      /^LICENSE$/,
      /^SECURITY\.md$/,
      /^dist\/(functions|lib|adapters|test\/conformance)\/.+\.(js|d\.ts)$/,
      /^bundles\/(manifest\.json|([a-z-]+|shared\/[\w-]+)\.mjs)$/,
      /^dist\/bin\/(oauth2-stores|folder-lock|commands\/[a-z-]+)\.(js|d\.ts)$/,
      /^dist\/(oauth-stores\.schema|openapi)\.json$/,
      /^(dist\/)?sql\/[a-z0-9]+\/.+\.(sql|cql)$/,
      /^examples\//,
    ];
    expect(files.filter((file) => !expected.some((pattern) => pattern.test(file)))).toEqual([]);
    expect(files.filter((file) => file.includes('.test.'))).toEqual([]);
    expect(expected.filter((pattern) => !files.some((file) => pattern.test(file)))).toEqual([]);
  });

  it('brings its dependencies and nothing else', () => {
    const packages = readdirSync(join(project, 'node_modules')).filter((name) => !name.startsWith('.'));
    expect(packages.sort()).toEqual(['oauth2-stores', ...Object.keys(manifest.dependencies)].sort());
  });

  it('imports only its dependencies and its optional peers', () => {
    const declared = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies });
    const imported = files
      .filter((path) => path.endsWith('.js'))
      .flatMap((path) => parseModule({ path, text: readFileSync(join(installed, path), 'utf8') }).imports)
      .filter(({ local, target }) => !local && !target.startsWith('node:'))
      .map(({ target }) => target);
    expect([...new Set(imported)].filter((name) => !declared.includes(name))).toEqual([]);
  });

  it.each([
    ['NodeNext', 'NodeNext'],
    ['ESNext', 'Bundler'],
  ])('type-checks with module %s and resolution %s, without skipping its declarations', (module, moduleResolution) => {
    write('consumer.ts', consumer);
    write('tsconfig.json', {
      compilerOptions: {
        module,
        moduleResolution,
        target: 'ES2023',
        strict: true,
        noEmit: true,
        types: ['node'],
        typeRoots: [join(root, 'node_modules/@types')],
      },
      files: ['consumer.ts'],
    });
    expect(runTool(require.resolve('typescript/package.json'), 'bin/tsc', '--project', '.')).toBe('');
  });

  it('runs', () => {
    write('consumer.js', consumer);
    expect(run(process.execPath, 'consumer.js')).toBe(
      'scopes: orders:read\nthe same tokens again: true\nactive: true then false\n',
    );
  });

  it('has a command line', () => {
    expect(run('npx', '--no-install', 'oauth2-stores', '--help')).toContain('oauth2-stores');
  });

  it('has a JSON Schema for editors', () => {
    write('schema.js', schemaReader);
    expect(run(process.execPath, 'schema.js')).toBe('object\n');
  });

  it('deploys its functions from a CDK app, which brings neither a bundler nor a driver', () => {
    for (const name of ['aws-cdk-lib', 'constructs']) {
      symlinkSync(join(root, 'node_modules', name), join(project, 'node_modules', name));
    }
    write('app.js', deployment);
    run(process.execPath, 'app.js');
    const template = JSON.parse(readFileSync(join(project, 'cdk.out/Service.template.json'), 'utf8'));
    const functions = Object.values<{ Type: string; Properties: { Handler: string } }>(template.Resources)
      .filter(({ Type }) => Type === 'AWS::Lambda::Function')
      .map(({ Properties }) => Properties.Handler.replace('.handler', '.mjs'));
    expect(functions).toContain('authorizer.mjs');
    const assets = globSync('asset.*/*.mjs', { cwd: join(project, 'cdk.out') }).map((file) => basename(file));
    expect(functions.filter((file) => !assets.includes(file))).toEqual([]);
  });

  it('passes publint', async () => {
    const { messages, pkg } = await publint({ pkgDir: installed, pack: false, strict: true });
    expect(messages.map((message) => formatMessage(message, pkg, { color: false }))).toEqual([]);
  });

  it('passes are-the-types-wrong', () => {
    const options = ['--profile', 'esm-only', '--format', 'ascii', '--no-color'];
    runTool(require.resolve('@arethetypeswrong/cli/package.json'), 'dist/index.js', tarball, ...options);
  });
});
