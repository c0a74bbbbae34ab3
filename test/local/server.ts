import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { authorizeAs } from '../../bin/demo/browser.ts';
import { readCredentials } from '../../bin/local/example.ts';

const { user, client, resourceServer } = readCredentials();

export { client, resourceServer };
export const redirectUri = 'http://127.0.0.1:9999/callback';

export interface Outcome {
  readonly exitCode: number | null;
  readonly output: string;
}

/** `npm start` as a process of its own. */
export interface LocalServer {
  readonly url: string;
  /** Standard output and standard error up to now. */
  output(): string;
  stop(signal?: NodeJS.Signals): Promise<Outcome>;
}

const bin = (name: string) => new URL(`../../bin/${name}.ts`, import.meta.url).pathname;

/** Settings of the environment that a program is run with. */
export type Environment = Readonly<Record<string, string>>;

function run(name: string, environment: Environment) {
  const child: ChildProcess = spawn(process.execPath, [bin(name)], { env: { ...process.env, ...environment } });
  let output = '';
  const collect = (chunk: Buffer) => {
    output += chunk;
  };
  child.stdout?.on('data', collect);
  child.stderr?.on('data', collect);
  const ended = once(child, 'close').then(([exitCode]): Outcome => ({ exitCode, output }));
  return { child, ended, output: () => output };
}

/** Runs a program of bin/ to its end. */
export const runToEnd = (name: 'start' | 'demo', environment: Environment): Promise<Outcome> =>
  run(name, environment).ended;

/** @throws {Error} with what it printed, when it ends instead of getting ready */
export async function startServer(
  environment: Environment & { PORT: string; DATA_DIR: string; OAUTH_STORES: string },
): Promise<LocalServer> {
  const { child, ended, output } = run('start', environment);
  const url = `http://127.0.0.1:${environment.PORT}`;
  let running = true;
  ended.finally(() => {
    running = false;
  });
  while (!output().includes('is ready')) {
    if (!running) throw new Error(`the server ended: ${output()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    url,
    output,
    stop(signal = 'SIGTERM') {
      child.kill(signal);
      return ended;
    },
  };
}

/** A port that nobody listens on. */
export async function freePort(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return `${port}`;
}

const folders: string[] = [];

export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'oauth2-stores-'));
  folders.push(folder);
  return folder;
}

export function removeFolders(): void {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
}

interface ExampleConfiguration {
  accessTokenStores: Record<string, { purgeExpiredTokensEvery?: number }>;
  clients: Record<string, object>;
  databases: Record<string, object>;
  issuing?: object;
  localDeployment: { users: Record<string, object>; [setting: string]: unknown };
}

/** A PostgreSQL server to keep the records on; without one they are kept embedded. */
export const postgresqlUrl = process.env.POSTGRESQL_URL;

/** The example configuration, changed; gives the file that it stands in. */
export function configurationFile(change: (configuration: ExampleConfiguration) => void = () => {}): string {
  const configuration = JSON.parse(readFileSync(new URL('../../oauth-stores.json', import.meta.url), 'utf8'));
  if (postgresqlUrl !== undefined) configuration.databases.oauth_db = { engine: 'postgresql', url: postgresqlUrl };
  change(configuration);
  const file = join(newFolder(), 'oauth-stores.json');
  writeFileSync(file, JSON.stringify(configuration));
  return file;
}

export type Form = Readonly<Record<string, string>>;

/** Tokens as the token endpoint gives them. */
export interface Tokens {
  readonly access_token: string;
  readonly refresh_token: string;
}

const basic = ({ id, secret }: { id: string; secret: string }) => ({
  authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
});

/** What the clients of a server send to it. */
export function clientsOf(url: string) {
  const post = (path: string, form: Form, as = client) =>
    fetch(`${url}${path}`, { method: 'POST', headers: basic(as), body: new URLSearchParams(form) });
  const refresh = (refreshToken: string) =>
    post('/token', { grant_type: 'refresh_token', refresh_token: refreshToken });

  /** A code, as what redeems it. */
  async function authorize(parameters: Form = {}, by = user): Promise<Form & { code: string }> {
    const code_verifier = randomBytes(32).toString('base64url');
    const request = new URL(`${url}/authorize`);
    request.search = `${new URLSearchParams({
      client_id: client.id,
      response_type: 'code',
      redirect_uri: redirectUri,
      scope: 'openid offline_access orders:read',
      code_challenge: createHash('sha256').update(code_verifier).digest('base64url'),
      code_challenge_method: 'S256',
      ...parameters,
    })}`;
    const answer = await authorizeAs(by, request, redirectUri);
    const code = answer.searchParams.get('code');
    if (code === null) throw new Error(`refused: ${answer.searchParams.get('error')}`);
    return { grant_type: 'authorization_code', code, redirect_uri: redirectUri, code_verifier };
  }

  return {
    post,
    refresh,
    authorize,
    issue: async () => (await (await post('/token', await authorize())).json()) as Tokens,
    isActive: async (token: string): Promise<boolean> =>
      ((await (await post('/introspect', { token }, resourceServer)).json()) as { active: boolean }).active,
  };
}
