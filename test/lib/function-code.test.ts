import { spawnSync } from 'node:child_process';
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type BundledFunction, functionNames } from '../../functions/config/functions.ts';
import { createKeyring } from '../../functions/domain/keyring.ts';
import { mint, newGrantId } from '../../functions/domain/token.ts';
import { functionCode } from '../../lib/function-code.ts';

const engines = ['dynamodb', 'postgresql', 'sqlserver'] as const;
type Engine = (typeof engines)[number];

const folderOf = (name: BundledFunction, engines: readonly Engine[], texts = {}) =>
  functionCode(name, engines, texts).path;

const filesIn = (folder: string) => globSync('**/*.mjs', { cwd: folder }).map((file) => join(folder, file));
const holds = (folder: string, text: string) =>
  filesIn(folder).some((file) => readFileSync(file, 'utf8').includes(text));

/** A word that only the driver of each engine has. */
const drivers = { dynamodb: 'DynamoDB_20120810', postgresql: 'SCRAM-SHA-256', sqlserver: 'EINSTLOOKUP' };

const secret = Buffer.alloc(32, 7);
const token = mint(createKeyring([{ generation: 0, secret }]), 'access token', 54, newGrantId(1_800_000_000));
const places = {
  dynamodb: {
    accessTokenStores: { tokens: { cache: 'c' } },
    caches: { c: { engine: 'dynamodb', tableName: 'oauth', endpoint: 'http://127.0.0.1:1', region: 'eu-central-1' } },
  },
  postgresql: {
    accessTokenStores: { tokens: { storeIn: 'database', database: 'd' } },
    databases: { d: { engine: 'postgresql', host: '127.0.0.1', port: 1 } },
  },
  sqlserver: {
    accessTokenStores: { tokens: { storeIn: 'database', database: 'd' } },
    databases: { d: { engine: 'sqlserver', host: '127.0.0.1', port: 1 } },
  },
};

/** What a function answers that AWS Lambda runs from this folder: nothing else of the project is near it. */
function invoke(folder: string, name: BundledFunction, event: object, env: Record<string, string>) {
  const program = `
    const { handler } = await import(${JSON.stringify(join(folder, `${name}.mjs`))});
    const answer = await handler(${JSON.stringify(event)}, { getRemainingTimeInMillis: () => 10000 }).catch(String);
    console.log(JSON.stringify({ answer }));`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    cwd: folder,
    env: { AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'key', AWS_REGION: 'eu-central-1', ...env },
    encoding: 'utf8',
  });
  const line = stdout.trim().split('\n').at(-1);
  if (!line) throw new Error(stderr);
  return JSON.parse(line).answer;
}

const lookup = {
  requestContext: { http: { method: 'POST' } },
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ token }),
};
const keys = JSON.stringify({ current: 0, keys: { 0: secret.toString('base64url') } });

describe('the code of a function', () => {
  it.each(functionNames)('of %s holds the drivers of its engines alone', (name) => {
    for (const engine of engines) {
      const folder = folderOf(name, [engine]);
      for (const [driver, word] of Object.entries(drivers)) expect(holds(folder, word)).toBe(driver === engine);
    }
  });

  it('of two engines holds both', () => {
    const folder = folderOf('exchange-code', ['dynamodb', 'postgresql']);
    for (const engine of ['dynamodb', 'postgresql'] as const) expect(holds(folder, drivers[engine])).toBe(true);
  });

  it('of an authorizer is small: at most 360 kB with DynamoDB, 250 kB with PostgreSQL and no certificates of RDS', () => {
    // Those are read by a function that reaches a server without a proxy.
    const bytes = (engine: Engine) =>
      filesIn(folderOf('authorizer', [engine]))
        .filter((file) => !readFileSync(file, 'utf8').includes('BEGIN CERTIFICATE'))
        .reduce((sum, file) => sum + statSync(file).size, 0);
    expect(bytes('dynamodb')).toBeLessThanOrEqual(360_000);
    expect(bytes('postgresql')).toBeLessThanOrEqual(250_000);
  });

  it.each(engines)('with %s runs alone, and reaches for its store', (engine) => {
    const folder = folderOf('lookup-token', [engine], { 'oauth-stores.json': JSON.stringify(places[engine]) });
    const { statusCode, body } = invoke(folder, 'lookup-token', lookup, { OAUTH_STORES_KEYS: keys });
    expect({ statusCode, ...JSON.parse(body) }).toMatchObject({ statusCode: 503, error: 'temporarily_unavailable' });
  });

  it('with Db2 takes the driver from a layer, which Node.js finds by NODE_PATH', () => {
    const database = { engine: 'db2', host: '127.0.0.1', port: 1, database: 'oauth', user: 'app' };
    const configuration = { ...places.postgresql, databases: { d: database } };
    const folder = functionCode('lookup-token', ['db2'], { 'oauth-stores.json': JSON.stringify(configuration) }).path;
    const layer = mkdtempSync(join(tmpdir(), 'layer-'));
    mkdirSync(join(layer, 'ibm_db'));
    writeFileSync(
      join(layer, 'ibm_db', 'index.js'),
      "exports.open = async () => { throw new Error('SQL30081N, said by the driver of the layer'); };",
    );
    const answered = (env: Record<string, string>) => {
      const { statusCode } = invoke(folder, 'lookup-token', lookup, { OAUTH_STORES_KEYS: keys, ...env });
      return statusCode;
    };
    expect(answered({ NODE_PATH: layer })).toBe(503);
    expect(answered({})).not.toBe(503);
    rmSync(layer, { recursive: true });
  });

  it('that rotates passwords holds the driver of its engine alone, and asks AWS Secrets Manager', () => {
    const folder = folderOf('rotate-database-password', ['sqlserver']);
    for (const [driver, word] of Object.entries(drivers)) expect(holds(folder, word)).toBe(driver === 'sqlserver');
    const env = {
      ...{ DATABASE_ENGINE: 'sqlserver', DATABASE_HOST: '127.0.0.1', DATABASE_PORT: '1', DATABASE_NAME: 'oauth' },
      ...{ MASTER_SECRET_ARN: 'arn', AWS_ENDPOINT_URL: 'http://127.0.0.1:1' },
    };
    const event = { Step: 'setSecret', SecretId: 'arn', ClientRequestToken: 'token' };
    expect(invoke(folder, 'rotate-database-password', event, env)).toMatch(/DescribeSecret got no answer/);
  });

  it('without the driver of its store says that it has none', () => {
    const folder = folderOf('lookup-token', ['postgresql'], { 'oauth-stores.json': JSON.stringify(places.dynamodb) });
    expect(invoke(folder, 'lookup-token', lookup, { OAUTH_STORES_KEYS: keys })).toMatch(/Cannot find module.*dynamodb/);
  });

  it('asks AWS KMS for keys that are wrapped', () => {
    const folder = folderOf('lookup-token', ['dynamodb'], { 'oauth-stores.json': JSON.stringify(places.dynamodb) });
    const env = {
      OAUTH_STORES_KEYS: JSON.stringify({ current: 0, wrapped: { 0: 'AAAA' } }),
      AWS_ENDPOINT_URL: 'http://127.0.0.1:1',
    };
    expect(invoke(folder, 'lookup-token', lookup, env)).toMatch(/TrentService.Decrypt got no answer/);
  });
});
