import type { EventBridgeEvent } from 'aws-lambda';
import { describe, expect, it } from 'vitest';
import type { AccessTokenStore, PurgeRequest } from '../../functions/domain/ports.ts';
import { createIssueCode } from '../../functions/handlers/issue-code.ts';
import { createIssueTokens } from '../../functions/handlers/issue-tokens.ts';
import { createPurge } from '../../functions/handlers/purge.ts';
import type { Runtime } from '../../functions/runtime.ts';
import { ask, broken, deployment, jsonEvent, START } from './deployment.ts';

const scheduled: EventBridgeEvent<'Scheduled Event', object> = {
  id: '53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa',
  version: '0',
  account: '123456789012',
  time: '2027-01-15T08:00:00Z',
  region: 'eu-west-1',
  resources: ['arn:aws:events:eu-west-1:123456789012:rule/purge'],
  source: 'aws.events',
  'detail-type': 'Scheduled Event',
  detail: {},
};

const DAY = 86_400;

/** Access token stores that note what they are asked to purge. */
function noting(runtime: Runtime, requests: PurgeRequest[]): Runtime {
  const noted = new Map<AccessTokenStore, AccessTokenStore>();
  const accessTokenStore = (name?: string): AccessTokenStore => {
    const store = runtime.stores.accessTokenStore(name);
    const purgeExpired = async (request: PurgeRequest) => {
      requests.push(request);
      return { removed: {}, more: true };
    };
    const known = noted.get(store) ?? { ...store, purgeExpired };
    noted.set(store, known);
    return known;
  };
  return { ...runtime, stores: { ...runtime.stores, accessTokenStore } };
}

describe('purge', () => {
  it('removes what has expired from every store, and reports it in one line', async () => {
    const { runtime, lines, pass } = await deployment();
    await ask(createIssueCode(runtime), jsonEvent({ client_id: 'web' }));
    await ask(createIssueTokens(runtime), jsonEvent({ client_id: 'web', grant_type: 'client_credentials' }));
    const purge = createPurge(runtime);
    const before = await purge(scheduled);
    expect(before.map(({ report }) => report)).toEqual([
      { removed: { accessTokens: 0, grants: 0, revocations: 0 }, more: false },
      { removed: { codes: 0 }, more: false },
      { removed: { clientAccessTokens: 0 }, more: false },
      { removed: { artifacts: 0 }, more: false },
    ]);
    lines.length = 0;
    pass(2 * DAY);
    await purge(scheduled);
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      {
        level: 'info',
        message: 'purged what has expired',
        stores: [
          {
            kind: 'accessTokenStores',
            names: ['tokens'],
            report: { removed: { accessTokens: 1, grants: 1, revocations: 0 }, more: false },
          },
          { kind: 'authorizationCodeStores', names: ['codes'], report: { removed: { codes: 1 }, more: false } },
          {
            kind: 'clientAccessTokenStores',
            names: ['received'],
            report: { removed: { clientAccessTokens: 0 }, more: false },
          },
          { kind: 'artifactStores', names: ['artifacts'], report: { removed: { artifacts: 0 }, more: false } },
        ],
      },
    ]);
  });

  it('purges stores in one place once, up to the higher limit, and stores in two places each', async () => {
    const accessTokenStores = {
      a: { cache: 'all', purgeUpTo: 5 },
      b: { cache: 'all', purgeUpTo: 7 },
      c: { cache: 'other' },
    };
    const caches = { all: { engine: 'memory' }, other: { engine: 'memory' } };
    const { runtime, writes } = await deployment({ accessTokenStores, caches });
    const requests: PurgeRequest[] = [];
    await createPurge(noting(runtime, requests))(scheduled);
    expect(requests.map(({ limit }) => limit)).toEqual([7, 1000]);
    writes.length = 0;
    const report = await createPurge(runtime)(scheduled);
    expect(report.filter(({ kind }) => kind === 'accessTokenStores').map(({ names }) => names)).toEqual([
      ['a', 'b'],
      ['c'],
    ]);
    expect(writes).toEqual(Array(5).fill('purgeExpired'));
  });

  it('asks for as much as the configuration says, until shortly before the time of the function is over', async () => {
    const { runtime } = await deployment({ accessTokenStores: { tokens: { cache: 'all', purgeUpTo: 123 } } });
    const requests: PurgeRequest[] = [];
    const purge = createPurge(noting(runtime, requests));
    await purge(scheduled, { getRemainingTimeInMillis: () => 30_000 });
    await purge(scheduled);
    expect(requests).toEqual([
      { now: START, limit: 123, deadlineMs: START * 1000 + 28_000 },
      { now: START, limit: 123 },
    ]);
  });

  it('purges the others when one store fails, says so, and then fails itself', async () => {
    const made = await deployment();
    const { authorizationCodeStore } = broken(made, 'unavailable').stores;
    const runtime = { ...made.runtime, stores: { ...made.runtime.stores, authorizationCodeStore } };
    await expect(createPurge(runtime)(scheduled)).rejects.toThrow('the purge failed in codes');
    const [line = ''] = made.lines;
    expect(JSON.parse(line)).toMatchObject({
      level: 'error',
      stores: [
        { names: ['tokens'], report: { more: false } },
        { names: ['codes'], report: { failure: { error: 'StoreError', code: 'unavailable' } } },
        { names: ['received'], report: { more: false } },
        { names: ['artifacts'], report: { more: false } },
      ],
    });
  });
});
