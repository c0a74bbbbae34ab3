import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createScratchFolder, findFreePort, launch, run } from '../engines/launch.ts';

const here = fileURLToPath(new URL('.', import.meta.url));

/** The Python that has MiniStack, installed once for this checkout. */
export async function findPython(): Promise<string> {
  const folder = fileURLToPath(new URL('../../.engines/ministack-1.5.33', import.meta.url));
  const python = join(folder, 'bin/python');
  if (existsSync(python)) return python;
  const made = `${folder}.part`;
  await rm(made, { recursive: true, force: true });
  await run(['python3', '-m', 'venv', made]);
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'];
  for (let tries = 3; ; tries -= 1) {
    try {
      await run([join(made, 'bin/python'), ...pip, '-r', join(here, 'requirements.txt')]);
      break;
    } catch (error) {
      if (tries <= 1) throw error;
      await sleep(2000);
    }
  }
  await rename(made, folder);
  return python;
}

/** Files with a certificate for the servers on this machine, signed by its own key, and with that key. */
export interface Certificate {
  readonly certificate: string;
  readonly key: string;
}

export const certificateIn = (folder: string): Certificate => ({
  certificate: join(folder, 'server.crt'),
  key: join(folder, 'server.key'),
});

/** Makes a certificate for the servers of {@link startLocalAws} in `folder`. */
export async function createCertificate(folder: string): Promise<Certificate> {
  const { certificate, key } = certificateIn(folder);
  const names = [
    'IP:127.0.0.1',
    'DNS:local.proxy-local.us-east-1.rds.amazonaws.com',
    'DNS:cluster.local-aws.test',
    'DNS:local-cache.serverless.us-east-1.cache.amazonaws.com',
    'DNS:local-aws.test',
    'DNS:*.execute-api.local-aws.test',
  ];
  const extensions = [
    'basicConstraints=critical,CA:FALSE',
    'extendedKeyUsage=serverAuth',
    `subjectAltName=${names.join(',')}`,
  ].flatMap((extension) => ['-addext', extension]);
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const files = ['-subj', '/CN=localhost', '-keyout', key, '-out', certificate];
  await run(['openssl', 'req', ...kind, ...files, ...extensions]);
  return { certificate, key };
}

export interface LocalAws {
  readonly endpoint: string;
  /** What clients, the CDK's included, need in their environment: credentials of the account, the endpoint, its certificate. */
  readonly env: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

/** The servers behind, each as host:port. */
export interface Behind {
  /** PostgreSQL, behind Aurora and its proxy. */
  readonly database?: string;
  /** Valkey, behind ElastiCache. */
  readonly cache?: string;
}

export interface LocalAwsOptions extends Certificate {
  /** Where Aurora and RDS Proxy listen (port 5432), and ElastiCache (6379). */
  readonly serverHost?: string;
  readonly behind?: Behind;
}

/** An address of the loopback on which nobody listens on the only ports of RDS Proxy for PostgreSQL and of ElastiCache. */
export async function findServerHost(): Promise<string> {
  for (;;) {
    const host = `127.${randomInt(1, 255)}.${randomInt(256)}.${randomInt(1, 255)}`;
    if ((await isFree(host, 5432)) && (await isFree(host, 6379))) return host;
  }
}

async function isFree(host: string, port: number): Promise<boolean> {
  const server = createServer().listen(port, host);
  const free = await once(server, 'listening').then(
    () => true,
    () => false,
  );
  server.close();
  return free;
}

/** How much faster than on AWS rules fire: one of a minute every three seconds. */
const TIME_SCALE = 0.05;

/** Starts an AWS account on the loopback address, with nothing in it. It checks signatures and permissions. */
export async function startLocalAws({ certificate, key, serverHost, behind = {} }: LocalAwsOptions): Promise<LocalAws> {
  const python = await findPython();
  const port = await findFreePort();
  const { path: folder, remove } = await createScratchFolder('local-aws');
  const account = {
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    AWS_REGION: 'us-east-1',
    AWS_DEFAULT_REGION: 'us-east-1',
  };
  // The functions inherit this environment, so nothing of this process's own goes along.
  const env = {
    ...account,
    HOME: folder,
    TMPDIR: folder,
    PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
    LANG: 'C.UTF-8',
    PYTHONDONTWRITEBYTECODE: '1',
    AUTH: 'true',
    USE_SSL: '1',
    BIND_HOST: '127.0.0.1',
    MINISTACK_HOST: 'local-aws.test',
    GATEWAY_PORT: `${port}`,
    IOT_MTLS_ENABLED: '0',
    EB_TIME_SCALE: `${TIME_SCALE}`,
    MINISTACK_SSL_CERT: certificate,
    MINISTACK_SSL_KEY: key,
    NODE_EXTRA_CA_CERTS: certificate,
    NODE_OPTIONS: `--import=${new URL('names.ts', import.meta.url)}`,
    ...(serverHost && { SERVER_HOST: serverHost }),
    ...(behind.database && { DATABASE_TARGET: behind.database }),
    ...(behind.cache && { CACHE_TARGET: behind.cache }),
  };
  const endpoint = `https://127.0.0.1:${port}`;
  const stop = await launch({
    command: [python, join(here, 'local-aws.py')],
    folder,
    env,
    asSelf: true,
    isReady: () => answers(`${endpoint}/_ministack/health`),
    stopSignal: 'SIGTERM',
  }).catch(async (error) => {
    await remove();
    throw error;
  });
  const clients = {
    ...account,
    AWS_ENDPOINT_URL: endpoint,
    AWS_CA_BUNDLE: certificate,
    NODE_EXTRA_CA_CERTS: certificate,
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
  };
  return { endpoint, env: clients, stop: () => stop().then(remove) };
}

const answers = (url: string) =>
  fetch(url, { signal: AbortSignal.timeout(1000) }).then(
    ({ ok }) => ok,
    () => false,
  );
