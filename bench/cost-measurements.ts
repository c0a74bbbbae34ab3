import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { arch, availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AttributeValue, DynamoDBClient, ScanCommand } from '@aws-sdk/client-dynamodb';
import pg from 'pg';
import { environment } from '../functions/config/environment.ts';
import { fromEnvironment } from '../functions/deployed.ts';
import { secretDigest } from '../functions/domain/clients.ts';
import { createAuthorizer } from '../functions/handlers/authorizer.ts';
import { createExchangeCode } from '../functions/handlers/exchange-code.ts';
import { createIntrospect } from '../functions/handlers/introspect.ts';
import { createIssueCode } from '../functions/handlers/issue-code.ts';
import { createIssueTokens } from '../functions/handlers/issue-tokens.ts';
import { createRefreshTokens } from '../functions/handlers/refresh-tokens.ts';
import { createRevokeToken } from '../functions/handlers/revoke-token.ts';
import type { HttpAnswer, HttpEvent } from '../functions/http.ts';
import type { Runtime } from '../functions/runtime.ts';
import { createTable } from '../functions/stores/dynamodb.ts';
import { applySchema } from '../functions/stores/postgresql-schema.ts';
import { startDynamodb } from '../test/engines/dynamodb.ts';
import { startPostgresql } from '../test/engines/postgresql.ts';
import { countCalls } from '../test/stores/count-calls.ts';
import { itemSize, measureUnits } from '../test/stores/dynamodb-units.ts';
import type { Engine, Measured, Measurements, OperationName } from './cost-model.ts';
import { type Call, type Contender, measure } from './measure.ts';
import { backendsOf } from './postgresql/stores.ts';
import { query } from './postgresql/tables.ts';

// The functions as they are deployed, in this process: told by the environment what a deployment tells them, their lines
// counted rather than written.

const CLIENT = 'client-00000000000000001'; // 24 characters
const SECRET = 'a secret';
const ASKER = 'resource-server';
const granted = { client_id: CLIENT, scope: 'openid orders:read', auth_time: 1_800_000_000, nonce: 'n-0S6_WzA2Mj' };
const verifier = randomBytes(32).toString('base64url');
const challenge = createHash('sha256').update(verifier).digest('base64url');
const emulated = { region: 'local', credentials: { accessKeyId: 'local', secretAccessKey: 'local' } };

const eventOf = (method: string, headers: Record<string, string>, body?: string): HttpEvent => ({
  version: '2.0',
  routeKey: '$default',
  rawPath: '/',
  rawQueryString: '',
  headers,
  requestContext: {
    accountId: '123456789012',
    apiId: 'api',
    domainName: 'api.example',
    domainPrefix: 'api',
    http: { method, path: '/', protocol: 'HTTP/1.1', sourceIp: '192.0.2.1', userAgent: '' },
    requestId: 'request',
    routeKey: '$default',
    stage: '$default',
    time: '',
    timeEpoch: 0,
  },
  ...(body !== undefined && { body }),
  isBase64Encoded: false,
});
const jsonEvent = (body: object) => eventOf('POST', { 'content-type': 'application/json' }, JSON.stringify(body));
const formEvent = (body: Record<string, string>, headers: Record<string, string>) =>
  eventOf(
    'POST',
    { ...headers, 'content-type': 'application/x-www-form-urlencoded' },
    new URLSearchParams(body).toString(),
  );

type Tokens = { readonly access_token: string; readonly refresh_token: string };

/** The functions, and for each operation calls of it that are ready to be made. */
function operationsOf(runtime: Runtime): Record<OperationName, Contender['prepare']> {
  const answered = (respond: (event: HttpEvent) => Promise<HttpAnswer>) => async (event: HttpEvent) => {
    const { statusCode = 500, body = '' } = await respond(event);
    if (statusCode >= 300) throw new Error(`status ${statusCode}: ${body}`);
    return JSON.parse(body);
  };
  const issueCode = answered(createIssueCode(runtime));
  const exchange = answered(createExchangeCode(runtime));
  const issue = answered(createIssueTokens(runtime));
  const introspect = answered(createIntrospect(runtime));
  const refresh = answered(createRefreshTokens(runtime));
  const revoke = answered(createRevokeToken(runtime));
  const authorize = createAuthorizer(runtime, { requiredScopes: ['orders:read'] });

  const newCode = () =>
    issueCode(
      jsonEvent({
        ...granted,
        subject: randomUUID(),
        redirect_uri: 'https://app.example/callback',
        code_challenge: challenge,
        code_challenge_method: 'S256',
      }),
    );
  const redeem = (code: string) =>
    exchange(
      jsonEvent({
        client_id: CLIENT,
        code,
        redirect_uri: 'https://app.example/callback',
        code_verifier: verifier,
        refresh_token: true,
      }),
    );
  const newTokens = (): Promise<Tokens> =>
    issue(jsonEvent({ ...granted, subject: randomUUID(), grant_type: 'password', refresh_token: true }));
  const authorization = {
    authorization: `Basic ${Buffer.from(`${ASKER}:${encodeURIComponent(SECRET)}`).toString('base64')}`,
  };
  const asked = (token: string) => {
    const source = `Bearer ${token}`;
    const { body: _, isBase64Encoded: __, ...event } = eventOf('GET', { authorization: source });
    return { ...event, type: 'REQUEST' as const, routeArn: 'arn', identitySource: [source], cookies: [] };
  };

  const each = async (count: number, make: () => Promise<Call>) => {
    const calls: Call[] = [];
    for (let n = 0; n < count; n += 1) calls.push(await make());
    return calls;
  };
  const withTokens = (call: (tokens: Tokens) => Promise<unknown>) => (count: number) =>
    each(count, async () => {
      const tokens = await newTokens();
      return () => call(tokens);
    });
  return {
    'issue a code': (count) => each(count, async () => newCode),
    'redeem a code': (count) =>
      each(count, async () => {
        const { code } = await newCode();
        return () => redeem(code);
      }),
    issue: (count) => each(count, async () => newTokens),
    'lookup (authorizer)': withTokens(async ({ access_token }) => {
      const { isAuthorized } = (await authorize(asked(access_token))) as { isAuthorized: boolean };
      if (!isAuthorized) throw new Error('refused');
    }),
    'lookup (introspection)': withTokens(({ access_token }) =>
      introspect(formEvent({ token: access_token }, authorization)),
    ),
    refresh: withTokens(({ refresh_token }) => refresh(jsonEvent({ client_id: CLIENT, refresh_token }))),
    revoke: withTokens(({ refresh_token }) =>
      revoke(jsonEvent({ token: refresh_token, token_type_hint: 'refresh_token' })),
    ),
  };
}

/** Bytes that CloudWatch charges for each line beside its own. */
const LINE_BYTES = 26;

/** Takes what is written to the standard output in place of it. */
function countLines() {
  const { write } = process.stdout;
  const metrics = new Set<string>();
  let bytes = 0;
  process.stdout.write = (line: string | Uint8Array) => {
    bytes += Buffer.byteLength(line) + LINE_BYTES;
    const { _aws, ...fields } = JSON.parse(String(line));
    for (const { Dimensions, Metrics } of _aws?.CloudWatchMetrics ?? []) {
      for (const dimensions of Dimensions as string[][]) {
        for (const { Name } of Metrics)
          metrics.add(JSON.stringify([Name, dimensions.map((each) => [each, fields[each]])]));
      }
    }
    return true;
  };
  return {
    metrics,
    of: async (call: Call) => {
      bytes = 0;
      await call();
      return bytes;
    },
    restore: () => {
      process.stdout.write = write;
    },
  };
}

/** Counts requests to DynamoDB, those at once as one. */
function countWaves(prototype: DynamoDBClient) {
  const send = prototype.send as (...values: unknown[]) => Promise<unknown>;
  let flying = 0;
  let waves = 0;
  const counted = async function (this: unknown, ...values: unknown[]) {
    if (flying === 0) waves += 1;
    flying += 1;
    try {
      return await send.apply(this, values);
    } finally {
      flying -= 1;
    }
  };
  Object.assign(prototype, { send: counted });
  return {
    reset: () => {
      waves = 0;
    },
    count: () => waves,
  };
}

interface Place {
  /** The sections of oauth-stores.json that say where stores are. */
  readonly stores: object;
  readonly connections: object;
  readonly server: () => Promise<readonly number[]>;
  readonly roundTrips: { reset(): void; count(): number };
  readonly units?: ReturnType<typeof measureUnits>;
  /** Bytes of everything that is stored. */
  readonly size: () => Promise<number>;
}

const ROUNDS = 7;
const CALLS = 200;
const GRANTS = 300;

async function measurePlace({ stores, connections, server, roundTrips, units, size }: Place, metrics: Set<string>) {
  const folder = mkdtempSync(join(tmpdir(), 'cost-'));
  const file = join(folder, 'oauth-stores.json');
  const clients = {
    [CLIENT]: { secretDigests: [secretDigest(SECRET)] },
    [ASKER]: { secretDigests: [secretDigest(SECRET)], mayIntrospect: true },
  };
  writeFileSync(file, JSON.stringify({ ...stores, clients }));
  Object.assign(process.env, {
    [environment.configurationFile.variable]: file,
    [environment.connections.variable]: JSON.stringify(connections),
    [environment.keyring.variable]: JSON.stringify({ current: 0, keys: { 0: randomBytes(32).toString('base64url') } }),
    AWS_ACCESS_KEY_ID: emulated.credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: emulated.credentials.secretAccessKey,
  });
  const runtime = await fromEnvironment();
  const lines = countLines();
  try {
    const operations = Object.entries(operationsOf(runtime)) as [OperationName, Contender['prepare']][];
    const before = await size();
    for (const call of (await operationsOf(runtime).issue(GRANTS)) as Call[]) await call();
    const grantBytes = Math.round(((await size()) - before) / GRANTS);
    const counted: Partial<Record<OperationName, Measured>> = {};
    for (const [name, prepare] of operations) {
      const [first, call] = (await prepare(2)) as [Call, Call];
      await first(); // opens what is opened once
      roundTrips.reset();
      let logBytes = 0;
      const logged = async () => {
        logBytes = await lines.of(call);
      };
      const used = units ? await units(logged) : await logged();
      counted[name] = { ...used, roundTrips: roundTrips.count(), cpuMs: 0, logBytes };
    }
    for (const each of lines.metrics) metrics.add(each);
    const contenders = Object.fromEntries(operations.map(([name, prepare]) => [name, { prepare, count: CALLS }]));
    const processes = async () => ({ server: await server(), client: [process.pid] });
    const { absolute } = await measure(contenders, { concurrency: 1, rounds: ROUNDS, processes });
    const rounded = (microseconds: number) => Math.round(microseconds / 10) / 100;
    const measured = operations.map(([name]) => {
      const { client, server: ofServer } = absolute(name);
      const cpu = { cpuMs: rounded(client), ...(!units && { serverCpuMs: rounded(ofServer) }) };
      return [name, { ...(counted[name] as Measured), ...cpu }];
    });
    return { grantBytes, operations: Object.fromEntries(measured) as Record<OperationName, Measured> };
  } finally {
    lines.restore();
    await runtime.stores.close();
    rmSync(folder, { recursive: true });
  }
}

async function measureDynamodb(metrics: Set<string>) {
  const server = await startDynamodb('dynoxide 1.2.1');
  const settings = { ...emulated, endpoint: server.url, tableName: 'cost' };
  try {
    await createTable(settings);
    const scanner = new DynamoDBClient({ ...emulated, endpoint: server.url });
    const size = async () => {
      let bytes = 0;
      let from: Record<string, AttributeValue> | undefined;
      do {
        const { Items = [], LastEvaluatedKey } = await scanner.send(
          new ScanCommand({ TableName: 'cost', ...(from && { ExclusiveStartKey: from }) }),
        );
        for (const item of Items) bytes += itemSize(item) + 100; // what DynamoDB adds to each for its storage
        from = LastEvaluatedKey;
      } while (from);
      return bytes;
    };
    const units = measureUnits(DynamoDBClient.prototype);
    return await measurePlace(
      {
        stores: storesIn({ cache: 'table' }, { caches: { table: { engine: 'dynamodb' } } }),
        connections: { caches: { table: { tableName: 'cost', region: emulated.region, endpoint: server.url } } },
        server: async () => [],
        roundTrips: countWaves(DynamoDBClient.prototype),
        units,
        size,
      },
      metrics,
    );
  } finally {
    await server.stop();
  }
}

async function measureAurora(metrics: Set<string>) {
  const { url, stop } = await startPostgresql('15', { synchronous_commit: 'on' });
  try {
    await applySchema({ connectionString: url });
    const size = async () => {
      await query(url, 'VACUUM ANALYZE');
      const total = `SELECT sum(pg_total_relation_size(oid))::int AS bytes FROM pg_class WHERE relname IN ('oauth_grant', 'access_token')`;
      return (await query<{ bytes: number }>(url, total))[0]?.bytes ?? 0;
    };
    return await measurePlace(
      {
        stores: storesIn(
          { storeIn: 'database', database: 'cost' },
          { databases: { cost: { engine: 'postgresql', url, pool: { maxActive: 1, idleEvictionMs: 0 } } } },
        ),
        connections: {},
        server: () => backendsOf(url),
        roundTrips: countCalls(pg.Client.prototype as unknown as Record<'query', () => unknown>, 'query'),
        size,
      },
      metrics,
    );
  } finally {
    await stop();
  }
}

const storesIn = (place: object, connections: object) => ({
  accessTokenStores: { tokens: place },
  authorizationCodeStores: { codes: place },
  artifactStores: { artifacts: place },
  ...connections,
});

/** Measures the operations on DynamoDB's emulator and on PostgreSQL, which stands for Aurora: some minutes. */
export async function measureCost(today: string): Promise<Measurements> {
  const metrics = new Set<string>();
  const places: Record<Engine, Awaited<ReturnType<typeof measurePlace>>> = {
    dynamodb: await measureDynamodb(metrics),
    aurora: await measureAurora(metrics),
  };
  return {
    when: today,
    where: `${cpus()[0]?.model ?? arch()}, ${availableParallelism()} cores, Node ${process.versions.node}; dynoxide 1.2.1 and PostgreSQL 15`,
    metrics: metrics.size,
    grantBytes: { dynamodb: places.dynamodb.grantBytes, aurora: places.aurora.grantBytes },
    operations: { dynamodb: places.dynamodb.operations, aurora: places.aurora.operations },
  };
}
