import { rmSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { parseConfiguration } from '../../functions/config/configuration.ts';
import { dimensions, metrics, outcomes } from '../../functions/config/metrics.ts';
import { deployed } from '../../functions/deployed.ts';
import { keysOf } from '../../functions/domain/digest.ts';
import { StoreError } from '../../functions/domain/errors.ts';
import { createAuthorizer } from '../../functions/handlers/authorizer.ts';
import { createExchangeCode } from '../../functions/handlers/exchange-code.ts';
import { createIntrospect } from '../../functions/handlers/introspect.ts';
import { createIssueCode } from '../../functions/handlers/issue-code.ts';
import { createIssueTokens } from '../../functions/handlers/issue-tokens.ts';
import { createPurge } from '../../functions/handlers/purge.ts';
import { createRefreshTokens } from '../../functions/handlers/refresh-tokens.ts';
import { createTokenInformation } from '../../functions/handlers/token-information.ts';
import { createMetrics } from '../../functions/metrics.ts';
import { type Observation, observedEngine } from '../../functions/observation.ts';
import { createEngine } from '../../functions/stores/memory.ts';
import { ask, basic, formEvent, httpEvent, jsonEvent, START, settings } from './deployment.ts';
import { datapointsOf, measuredDeployment, NAMESPACE } from './measured.ts';

const tokenEvent = (token: string) => ({
  type: 'TOKEN' as const,
  methodArn: 'arn:aws:execute-api:eu-west-1:123456789012:api/prod/GET/orders',
  authorizationToken: `Bearer ${token}`,
});

describe('an operation of a store', () => {
  it('is a line of which CloudWatch makes its duration, by operation and by outcome', async () => {
    const { runtime, lines, datapoints } = await measuredDeployment();
    await ask(createIssueTokens(runtime), jsonEvent({ client_id: 'web', grant_type: 'client_credentials' }));
    expect(lines).toHaveLength(1);
    const place = { Store: 'accessTokenStores.tokens', Operation: 'persist' };
    expect(JSON.parse(lines[0] ?? '')).toEqual({
      level: 'info',
      message: 'store operation',
      ...place,
      Outcome: 'persisted',
      DurationMs: expect.any(Number),
      _aws: {
        Timestamp: START * 1000,
        CloudWatchMetrics: [
          {
            Namespace: NAMESPACE,
            Dimensions: [
              ['Store', 'Operation'],
              ['Store', 'Operation', 'Outcome'],
            ],
            Metrics: [{ Name: 'DurationMs', Unit: 'Milliseconds' }],
          },
        ],
      },
    });
    expect(datapoints().map((each) => each.dimensions)).toEqual([place, { ...place, Outcome: 'persisted' }]);
  });

  it('says nothing of tokens, clients and subjects', async () => {
    const { runtime, lines } = await measuredDeployment();
    const request = { client_id: 'web', subject: 'alice', grant_type: 'password', refresh_token: true };
    const { body } = await ask(createIssueTokens(runtime), jsonEvent(request));
    await ask(createRefreshTokens(runtime), jsonEvent({ client_id: 'web', refresh_token: body.refresh_token }));
    await createAuthorizer(runtime)(tokenEvent(body.access_token));
    expect(lines).toHaveLength(3);
    const keys = keysOf(runtime.stores.tokens().recognition, 'access token', body.access_token);
    const digest = Buffer.from(keys[0]?.digest ?? []).toString('base64url');
    for (const secret of ['web', 'alice', body.access_token, body.refresh_token, body.grant_id, digest]) {
      expect(lines.join()).not.toContain(secret);
    }
  });

  const { configuration } = parseConfiguration({
    ...settings,
    accessTokenStores: { a: { cache: 'all' }, b: { cache: 'all' } },
  });

  it('goes by the place of its store, however many names that has, and gives what it gave unobserved', async () => {
    const seen: Observation[] = [];
    const engine = createEngine({}, () => START * 1000);
    const { accessTokens, artifacts, close } = observedEngine(engine, 'cache all', configuration, (each) =>
      seen.push(each),
    );
    const id = new Uint8Array(32);
    expect(await accessTokens.findAccess({ digest: id }, { now: START })).toEqual({ outcome: 'unknown' });
    const once = { kind: 'jti', id, data: id, expiresAt: START + 9 };
    expect(await artifacts.putOnce(once, { now: START, attempt: new Uint8Array(16) })).toBe(true);
    expect(await artifacts.putOnce(once, { now: START, attempt: new Uint8Array(16).fill(1) })).toBe(false);
    await close();
    expect(seen.map(({ store, operation, outcome }) => [store, operation, outcome])).toEqual([
      ['accessTokenStores.a+b', 'findAccess', 'unknown'],
      ['artifactStores.artifacts', 'putOnce', 'done'],
      ['artifactStores.artifacts', 'putOnce', 'refused'],
    ]);
    for (const { durationMs } of seen) expect(durationMs).toBeGreaterThan(0);
  });

  it('that fails has the code of its failure, and fails as it did unobserved', async () => {
    const seen: string[] = [];
    const engine = createEngine({}, () => START * 1000);
    for (const failure of [new StoreError('timeout', 'late'), new TypeError('a fault')]) {
      const failing = { ...engine, artifacts: { ...engine.artifacts, remove: () => Promise.reject(failure) } };
      const { artifacts } = observedEngine(failing, 'cache all', configuration, ({ outcome }) => seen.push(outcome));
      await expect(artifacts.remove('jti', new Uint8Array(32))).rejects.toBe(failure);
    }
    expect(seen).toEqual(['timeout', 'failed']);
  });
});

describe('dimensions', () => {
  it('are bounded, whatever a store or a handler says', () => {
    const lines: string[] = [];
    const write = (_level: string, _message: string, fields?: object) => void lines.push(JSON.stringify(fields));
    const { observe, log } = createMetrics(write, NAMESPACE, () => 0);
    const said = 'whatever a client sent';
    observe({ store: 'artifactStores.a', operation: 'find', outcome: said, durationMs: 1 });
    log('info', 'access refused', { reason: said });
    log('info', 'request refused', { function: said, refused: said, status: 418 });
    log('error', 'the function failed', { function: said });
    for (const { dimensions: given } of lines.flatMap(datapointsOf)) {
      for (const [name, value] of Object.entries(given)) {
        const values: unknown = dimensions[name as keyof typeof dimensions];
        if (Array.isArray(values)) expect(values).toContain(value);
      }
    }
    expect(lines.flatMap(datapointsOf).map(({ dimensions: given }) => Object.values(given).join())).not.toContain(said);
    expect(lines).toHaveLength(4);
  });

  it('of outcomes hold every word of the ports and every code of a failure', async () => {
    const { readFile } = await import('node:fs/promises');
    const source = async (file: string) => readFile(new URL(`../../functions/domain/${file}`, import.meta.url), 'utf8');
    const ports = [...(await source('ports.ts')).matchAll(/(?:outcome: |Promise<)((?:'\w+'[\s|]*)+)/g)];
    const codes = /StoreErrorCode = ([^;]+)/.exec(await source('errors.ts'))?.[1] ?? '';
    const words = [...ports.map(([, words]) => words), codes].flatMap((text) => text?.match(/\w+/g) ?? []);
    expect(words.length).toBeGreaterThan(30);
    expect(words.filter((word) => !outcomes.some((outcome) => outcome === word))).toEqual([]);
  });

  it('of stores are text that CloudWatch takes', async () => {
    const { runtime, datapoints } = await measuredDeployment({ accessTokenStores: { 'tökens 🔑': { cache: 'all' } } });
    await createAuthorizer(runtime)(tokenEvent('x'));
    await createPurge(runtime)({});
    const stores = new Set(datapoints().map(({ dimensions: { Store } }) => Store));
    expect(stores).toContain('accessTokenStores.t?kens ??');
  });
});

describe('a refusal is counted, also where the value failed its own check and no store was asked', () => {
  const sprayed = 'A'.repeat(54);

  it.each([
    ['authorizer', async ({ runtime }) => void (await createAuthorizer(runtime)(tokenEvent(sprayed)))],
    [
      'introspect',
      async ({ runtime }) => void (await ask(createIntrospect(runtime), formEvent({ token: sprayed }, basic('api')))),
    ],
    [
      'token-information',
      async ({ runtime }) =>
        void (await ask(
          createTokenInformation(runtime),
          httpEvent({ method: 'GET', query: `access_token=${sprayed}` }),
        )),
    ],
    [
      'refresh-tokens',
      async ({ runtime }) =>
        void (await ask(createRefreshTokens(runtime), jsonEvent({ client_id: 'web', refresh_token: sprayed }))),
    ],
    [
      'exchange-code',
      async ({ runtime }) =>
        void (await ask(createExchangeCode(runtime), jsonEvent({ client_id: 'web', code: sprayed }))),
    ],
  ] as [string, (made: Awaited<ReturnType<typeof measuredDeployment>>) => Promise<void>][])(
    'by %s',
    async (name, spray) => {
      const made = await measuredDeployment();
      await spray(made);
      expect(made.datapoints().map((each) => [each.name, each.value, each.dimensions])).toEqual([
        ['Refusals', 1, { Reason: 'unknown' }],
        ['Refusals', 1, { Function: name, Reason: 'unknown' }],
      ]);
      expect(made.lines).toHaveLength(1);
      expect(made.lines[0]).not.toContain(sprayed);
    },
  );

  it('and its line names the request of the API, so that the access log tells whose it was', async () => {
    const { runtime, lines } = await measuredDeployment();
    await ask(createIntrospect(runtime), formEvent({ token: sprayed }, basic('api')));
    await ask(createIntrospect(runtime), formEvent({ token: sprayed }, basic('api', 'a wrong secret')));
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { message: 'access refused', request: 'JKJaXmPLvHcESHA=', Reason: 'unknown' },
      { message: 'request refused', request: 'JKJaXmPLvHcESHA=', Reason: 'invalid_client' },
    ]);
  });

  it('of a request without a token is not taken for spraying', async () => {
    const { runtime, datapoints } = await measuredDeployment();
    await createAuthorizer(runtime)({ ...tokenEvent(''), authorizationToken: '' });
    expect(datapoints()[0]?.dimensions).toEqual({ Reason: 'invalid_request' });
  });
});

describe('events that alarms watch', () => {
  it('are a code that is replayed and a refresh token that is reused', async () => {
    const { runtime, pass, datapoints } = await measuredDeployment();
    const { body: issued } = await ask(createIssueCode(runtime), jsonEvent({ client_id: 'web' }));
    const exchange = () => ask(createExchangeCode(runtime), jsonEvent({ client_id: 'web', code: issued.code }));
    await exchange();
    expect(datapoints().filter(({ name }) => name === 'CodeReplays')).toEqual([]);
    await exchange();
    const request = { client_id: 'web', grant_type: 'password', refresh_token: true };
    const { body } = await ask(createIssueTokens(runtime), jsonEvent(request));
    const refresh = () =>
      ask(createRefreshTokens(runtime), jsonEvent({ client_id: 'web', refresh_token: body.refresh_token }));
    await refresh();
    pass(11);
    await refresh();
    const counted = datapoints().filter(({ name }) => name === 'CodeReplays' || name === 'RefreshReuses');
    expect(counted.map(({ name, value, dimensions: given }) => [name, value, given])).toEqual([
      ['CodeReplays', 1, {}],
      ['RefreshReuses', 1, {}],
    ]);
  });

  it('are runs of the purge, what they removed and left, and how late they were', async () => {
    const { runtime, pass, datapoints } = await measuredDeployment();
    await ask(createIssueTokens(runtime), jsonEvent({ client_id: 'web', grant_type: 'client_credentials' }));
    pass(2 * 86_400);
    const stores = [{ kind: 'accessTokenStores', name: 'tokens' }];
    const time = new Date((START + 2 * 86_400 - 5) * 1000).toISOString();
    await createPurge(runtime)({ intervalSeconds: 60, stores, time });
    const purged = datapoints().filter(({ name }) => name.startsWith('Purge'));
    expect(Object.fromEntries(purged.map(({ name, value }) => [name, value]))).toEqual({
      PurgeRuns: 1,
      PurgeRemoved: 2,
      PurgeUnfinished: 0,
      PurgeBacklog: 0,
      PurgeOldestSeconds: 0,
      PurgeLateSeconds: 5,
    });
    expect(new Set(purged.map(({ dimensions: { Store } }) => Store))).toEqual(new Set(['accessTokenStores.tokens']));
  });
});

describe('a deployed function', () => {
  const folders: string[] = [];
  afterEach(() => {
    vi.unstubAllEnvs();
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
  });

  /** What a deployed authorizer writes about one request. */
  const linesOf = async (file: string) => {
    const folder = await mkdtemp(join(tmpdir(), 'metrics-'));
    folders.push(folder);
    writeFileSync(join(folder, 'oauth-stores.json'), file);
    vi.stubEnv('OAUTH_STORES', join(folder, 'oauth-stores.json'));
    vi.stubEnv('OAUTH_STORES_KEYS', JSON.stringify({ current: 0, keys: { 0: 'A'.repeat(43) } }));
    const output = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    const handler = deployed(
      ({ stores }) =>
        async (_event: object) =>
          stores.accessTokenStore().findAccess({ digest: new Uint8Array(16) }, { now: START }),
      'authorizer',
    );
    await handler({}, { getRemainingTimeInMillis: () => 1000 }).catch(() => {});
    const lines = output.mock.calls.map(([line]) => String(line));
    output.mockRestore();
    return lines;
  };

  it('measures its stores, in the namespace that its environment names', async () => {
    for (const [variable, namespace] of [
      [undefined, 'OAuth2Stores'],
      [NAMESPACE, NAMESPACE],
    ]) {
      vi.stubEnv('OAUTH_STORES_METRICS', variable);
      const [line = ''] = await linesOf(JSON.stringify(settings));
      expect(datapointsOf(line)[0]).toMatchObject({
        namespace,
        name: 'DurationMs',
        dimensions: { Operation: 'findAccess' },
      });
    }
  });

  it('that cannot be made ready counts that, and says why', async () => {
    const [line = ''] = await linesOf('{ "accessTokenStores": 5 }');
    expect(datapointsOf(line)).toMatchObject([{ name: 'StartFailures', value: 1, dimensions: {} }]);
    expect(JSON.parse(line)).toMatchObject({ level: 'error', function: 'authorizer', error: 'ConfigurationError' });
  });
});

it('every metric is of few dimensions and has a unit', () => {
  for (const { unit, dimensions: sets } of Object.values(metrics)) {
    expect(['Count', 'Milliseconds', 'Seconds']).toContain(unit);
    for (const set of sets) for (const dimension of set) expect(dimensions).toHaveProperty(dimension);
  }
});
