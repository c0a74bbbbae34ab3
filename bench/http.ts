import { type ChildProcess, fork } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { ask } from './ask.ts';
import type { Load, Request } from './http/load.ts';
import { type Call, type Contender, type Measured, measure } from './measure.ts';
import { backendsOf } from './postgresql/stores.ts';
import type { Tables } from './postgresql/tables.ts';
import { grantIdOf, scattered, subjectOf } from './records.ts';

// The functions behind the local gateway, and oidc-provider with a usual adapter, beside a bare server. Each is a process
// of its own, and so is what sends the requests.

async function start(program: URL, databaseUrl: string): Promise<{ child: ChildProcess; url: string }> {
  const child = fork(program, { env: { ...process.env, DATABASE_URL: databaseUrl } });
  const [url] = await once(child, 'message');
  return { child, url };
}

type Send = (url: string, requests: readonly Request[]) => Promise<Call>;

/** One call that sends all requests. */
const sending =
  (load: ChildProcess, connections: number): Send =>
  async (url, requests) => {
    await ask(load, { url, connections, requests } satisfies Load);
    return () => ask(load, 'go');
  };

const basic = (client: string) => ({
  authorization: `Basic ${Buffer.from(`${client}:${client}-secret`).toString('base64')}`,
});
const form = (path: string, client: string, parameters: Record<string, string>): Request => ({
  path,
  headers: { ...basic(client), 'content-type': 'application/x-www-form-urlencoded' },
  body: new URLSearchParams(parameters).toString(),
});
const json = (path: string, body: object): Request => ({
  path,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
});

const redirect_uri = 'https://app.example/callback';
const code_verifier = randomBytes(32).toString('base64url');
const code_challenge = createHash('sha256').update(code_verifier).digest('base64url');
const numbers = (count: number) => Array.from({ length: count }, (_, n) => n);

/** What is asked of an authorization server, in its own words. */
interface Requests {
  introspect(token: string): Request;
  issue(): Request;
  refresh(token: string): Request;
  redeem(code: string): Request;
  /** Makes codes, outside what is measured. */
  codes(subjects: string[]): Promise<string[]>;
}

const functions = (answers: (requests: Request[]) => Promise<Record<string, string>[]>): Requests => ({
  introspect: (token) => form('/introspect', 'api', { token }),
  issue: () => json('/store/tokens', { grant_type: 'client_credentials', client_id: 'app', scope: 'orders:read' }),
  refresh: (refresh_token) => json('/store/tokens/refresh', { refresh_token, client_id: 'app' }),
  redeem: (code) =>
    json('/store/codes/exchange', { code, client_id: 'app', redirect_uri, code_verifier, refresh_token: true }),
  codes: async (subjects) => {
    const granted = { client_id: 'app', scope: 'orders:read offline_access', redirect_uri };
    const challenge = { code_challenge, code_challenge_method: 'S256' };
    const made = await answers(subjects.map((subject) => json('/store/codes', { ...granted, ...challenge, subject })));
    return made.map(({ code = '' }) => code);
  },
});

const peer = (server: ChildProcess): Requests => ({
  introspect: (token) => form('/token/introspection', 'api', { token }),
  issue: () => form('/token', 'app', { grant_type: 'client_credentials', scope: 'orders:read' }),
  refresh: (refresh_token) => form('/token', 'app', { grant_type: 'refresh_token', refresh_token }),
  redeem: (code) => form('/token', 'app', { grant_type: 'authorization_code', code, redirect_uri, code_verifier }),
  codes: (subjects) => ask(server, { subjects, codeChallenge: code_challenge }),
});

/** The four operations; refreshes go on with the tokens that the refreshes before them gave. */
function contendersOf(url: string, requests: Requests, send: Send, count: number): Record<string, Contender> {
  const answers = async (sent: Request[]): Promise<Record<string, string>[]> =>
    ((await (await send(url, sent))()) as string[]).map((body) => JSON.parse(body));
  const codes = () => requests.codes(numbers(count).map(subjectOf));
  let accessTokens: string[] | undefined;
  let refreshTokens: string[] | undefined;
  const one = (prepare: () => Promise<Call>): Contender => ({ count, prepare: async () => [await prepare()] });
  return {
    introspect: one(async () => {
      accessTokens ??= (await answers(numbers(count).map(requests.issue))).map(({ access_token = '' }) => access_token);
      return send(url, accessTokens.map(requests.introspect));
    }),
    issue: one(() => send(url, numbers(count).map(requests.issue))),
    refresh: one(async () => {
      refreshTokens ??= (await answers((await codes()).map(requests.redeem))).map(
        ({ refresh_token = '' }) => refresh_token,
      );
      const call = await send(url, refreshTokens.map(requests.refresh));
      return async () => {
        refreshTokens = ((await call()) as string[]).map((body) => JSON.parse(body).refresh_token);
      };
    }),
    redeem: one(async () => send(url, (await codes()).map(requests.redeem))),
  };
}

export const OPERATIONS = ['introspect', 'issue', 'refresh', 'redeem'] as const;

/** `floor`, and each of {@link OPERATIONS} by name for the functions and with `peer ` in front for oidc-provider. */
export async function measureHttp(
  tables: Tables,
  peerUrl: string,
  { rounds, requests: count, connections }: { rounds: number; requests: number; connections: number },
): Promise<Measured> {
  const [floorServer, functionsServer, peerServer] = await Promise.all([
    start(new URL('./http/floor.ts', import.meta.url), tables.url),
    start(new URL('./http/functions.ts', import.meta.url), tables.url),
    start(new URL('./peer/server.ts', import.meta.url), peerUrl),
  ]);
  const load = fork(new URL('./http/load.ts', import.meta.url));
  const children = [floorServer.child, functionsServer.child, peerServer.child];
  try {
    const send = sending(load, connections);
    const answers = async (requests: Request[]) =>
      ((await (await send(functionsServer.url, requests))()) as string[]).map((body) => JSON.parse(body));
    // More of them than of the others, since everything is measured against them.
    const floor = numbers(3 * count).map((n) => ({
      path: `/?k=${grantIdOf(scattered(n, tables.grants), tables.grants).toString('base64url')}`,
    }));
    const ofPeer = contendersOf(peerServer.url, peer(peerServer.child), send, count);
    const contenders: Record<string, Contender> = {
      floor: { count: floor.length, prepare: async () => [await send(floorServer.url, floor)] },
      ...contendersOf(functionsServer.url, functions(answers), send, count),
      ...Object.fromEntries(Object.entries(ofPeer).map(([name, contender]) => [`peer ${name}`, contender])),
    };
    const client = children.map(({ pid }) => pid).filter((pid) => pid !== undefined);
    const processes = async () => ({ server: await backendsOf(tables.url), client });
    return await measure(contenders, { concurrency: 1, rounds, processes });
  } finally {
    for (const child of [load, ...children]) child.disconnect();
  }
}
