import { once } from 'node:events';
import { statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { lockFolder } from '../../bin/folder-lock.ts';
import {
  client,
  clientsOf,
  configurationFile,
  type Environment,
  freePort,
  type LocalServer,
  newFolder,
  postgresqlUrl,
  removeFolders,
  runToEnd,
  startServer,
  type Tokens,
} from './server.ts';

let servers: LocalServer[] = [];
/** Its database is made by the first test: that takes seconds. */
const usedFolder = newFolder();

async function started(environment: Environment & { DATA_DIR: string }) {
  const server = await startServer({ PORT: await freePort(), OAUTH_STORES: configurationFile(), ...environment });
  servers.push(server);
  return { ...server, ...clientsOf(server.url) };
}

afterEach(async () => {
  await Promise.all(servers.map((server) => server.stop('SIGKILL')));
  servers = [];
});
afterAll(removeFolders);

describe('npm start', () => {
  it('keeps keys and tokens when it is stopped and started again', async () => {
    const DATA_DIR = usedFolder;
    const before = await started({ DATA_DIR });
    const tokens = await before.issue();
    const stopped = await before.stop('SIGINT');
    expect(stopped.exitCode).toBe(0);
    expect(stopped.output).not.toMatch(/"level":"(warn|error)"/);
    for (const file of ['keyring.json', 'signing-keys.json', 'cookie-keys.json']) {
      expect(statSync(join(DATA_DIR, file)).mode & 0o777).toBe(0o600);
    }

    const after = await started({ DATA_DIR });
    expect(await after.isActive(tokens.access_token)).toBe(true);
    expect((await after.refresh(tokens.refresh_token)).status).toBe(200);
  });

  it('loses no chain, mints nothing twice and revives nothing when it is killed in the middle of traffic', async () => {
    const DATA_DIR = usedFolder;
    const OAUTH_STORES = configurationFile((configuration) => {
      configuration.issuing = { refreshToken: { graceSeconds: 300 } };
    });
    const before = await started({ DATA_DIR, OAUTH_STORES });
    const chains = await Promise.all(Array.from({ length: 6 }, () => chainOf(before)));
    const revoked: string[] = [];
    const traffic = [...chains.map((chain) => chain.refreshOnAndOn()), revokeOnAndOn()];
    await until(() => chains.every(({ acknowledged }) => acknowledged.length > 5) && revoked.length > 3);
    await before.stop('SIGKILL');
    await Promise.all(traffic);

    const after = await started({ DATA_DIR, OAUTH_STORES });
    const minted: string[] = [];
    for (const { acknowledged } of chains) {
      for (const { access_token } of acknowledged) expect(await after.isActive(access_token)).toBe(true);
      // Whether the refresh that was in flight had been carried out or not, the client repeats it.
      const last = acknowledged.at(-1)?.refresh_token ?? '';
      const repeated = await after.refresh(last);
      expect(repeated.status).toBe(200);
      const next = (await repeated.json()) as Tokens;
      expect((await after.refresh(next.refresh_token)).status).toBe(200);
      minted.push(...[...acknowledged, next].flatMap((tokens) => [tokens.access_token, tokens.refresh_token]));
    }
    expect(new Set(minted).size).toBe(minted.length);
    for (const token of revoked) expect(await after.isActive(token)).toBe(false);

    async function chainOf(server: Pick<Awaited<ReturnType<typeof started>>, 'issue' | 'refresh'>) {
      const acknowledged = [await server.issue()];
      return {
        acknowledged,
        async refreshOnAndOn() {
          try {
            for (;;) {
              const answer = await server.refresh(acknowledged.at(-1)?.refresh_token ?? '');
              acknowledged.push((await answer.json()) as Tokens);
            }
          } catch {} // the server is gone
        },
      };
    }

    async function revokeOnAndOn() {
      try {
        for (;;) {
          const { access_token } = await before.issue();
          if ((await before.post('/revoke', { token: access_token })).ok) revoked.push(access_token);
        }
      } catch {} // the server is gone
    }
  });

  it('lets requests in flight finish before it ends, and exits with 0', async () => {
    const server = await started({ DATA_DIR: usedFolder });
    const body = `${new URLSearchParams({ client_id: client.id, client_secret: client.secret, token: 'x' })}`;
    const headers = {
      'content-type': 'application/x-www-form-urlencoded',
      'content-length': body.length,
      expect: '100-continue',
    };
    const inFlight = request(`${server.url}/introspect`, { method: 'POST', headers });
    inFlight.flushHeaders();
    await once(inFlight, 'continue');
    const stopped = server.stop();
    await until(() => server.output().endsWith('stopping\n'));
    await expect(fetch(`${server.url}/health`)).rejects.toThrow('fetch failed');
    inFlight.end(body);
    const [answer] = await once(inFlight, 'response');
    // The example client is registered for client_secret_basic: its request is understood, and refused.
    expect(answer.statusCode).toBe(401);
    answer.resume();
    expect((await stopped).exitCode).toBe(0);
  });

  it('says in one line why it cannot start', async () => {
    const locked = newFolder();
    const release = lockFolder(locked);
    const file = join(newFolder(), 'file');
    writeFileSync(file, '');
    const PORT = await freePort();
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const takenPort = `${(taken.address() as AddressInfo).port}`;
    const failures: [Environment, RegExp][] = [
      [{ PORT, DATA_DIR: locked }, /^the data directory .* is in use by another process$/],
      [{ PORT, DATA_DIR: file }, /^the data directory .* cannot be used: /],
      [{ PORT, DATA_DIR: join(file, 'deeper') }, /^the data directory .* cannot be used: /],
      [{ PORT: takenPort, DATA_DIR: usedFolder }, /^cannot listen on port \d+ of 127\.0\.0\.1: it is in use/],
      [{ PORT: 'http' }, /^PORT is not a whole number from 1 to 65535$/],
      [{ PORT, OAUTH_STORES: join(locked, 'nowhere.json') }, /^\S+nowhere\.json: ENOENT/],
      [
        {
          PORT,
          DATA_DIR: newFolder(),
          OAUTH_STORES: configurationFile(({ databases }) => {
            databases.oauth_db = { engine: 'postgresql', url: 'postgresql://127.0.0.1:1/oauth' };
          }),
        },
        /^the store "OAuth Access Token Store" in accessTokenStores: PostgreSQL cannot be reached$/,
      ],
    ];
    for (const [environment, message] of failures) {
      const { exitCode, output } = await runToEnd('start', environment);
      expect(output.trimEnd()).toMatch(message);
      expect(exitCode).toBe(1);
    }
    taken.close();
    release();
  });

  it('listens on this machine only while example data are in use', async () => {
    const OAUTH_STORES = configurationFile((configuration) => {
      configuration.localDeployment = { ...configuration.localDeployment, host: '0.0.0.0' };
    });
    const { exitCode, output } = await runToEnd('start', {
      PORT: await freePort(),
      DATA_DIR: newFolder(),
      OAUTH_STORES,
    });
    expect(output).toMatch(/localDeployment\.host: .* accepted: 127\.0\.0\.1 while example data are in use/);
    expect(exitCode).toBe(1);
  });

  (postgresqlUrl ? it : () => {})('makes the missing tables of another PostgreSQL', async () => {
    const administration = new pg.Client({ connectionString: postgresqlUrl });
    await administration.connect();
    await administration.query('DROP DATABASE IF EXISTS another');
    await administration.query('CREATE DATABASE another');
    const url = new URL(postgresqlUrl ?? '');
    url.pathname = '/another';
    const OAUTH_STORES = configurationFile(({ databases }) => {
      databases.oauth_db = { engine: 'postgresql', url: url.href };
    });
    const server = await started({ DATA_DIR: newFolder(), OAUTH_STORES });
    expect(await server.isActive((await server.issue()).access_token)).toBe(true);
    await server.stop();
    await administration.query('DROP DATABASE another');
    await administration.end();
  });
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
}
