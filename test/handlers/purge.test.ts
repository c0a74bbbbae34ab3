import type { EventBridgeEvent } from 'aws-lambda';
import { describe, expect, it } from 'vitest';
import type { AccessTokenStore, PurgeReport, PurgeRequest } from '../../functions/domain/ports.ts';
import { createIssueCode } from '../../functions/handlers/issue-code.ts';
import { createIssueTokens } from '../../functions/handlers/issue-tokens.ts';
import { createPurge } from '../../functions/handlers/purge.ts';
import { ticksOf } from '../../functions/purge-ticks.ts';
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
const isoOf = (second: number) => new Date(second * 1000).toISOString();

const nothingLeft = { records: 0, precision: 'exact' } as const;
const left: PurgeReport = {
  removed: { grants: 3 },
  more: true,
  backlog: { records: 7, precision: 'exact', oldestDueAt: START - 40 },
};

/** Access token stores that note what they are asked to purge. */
function noting(runtime: Runtime, note: (request: PurgeRequest) => void): Runtime {
  const accessTokenStore = (name?: string): AccessTokenStore => ({
    ...runtime.stores.accessTokenStore(name),
    purgeExpired: async (request) => {
      note(request);
      return left;
    },
  });
  return { ...runtime, stores: { ...runtime.stores, accessTokenStore } };
}

describe('purge', () => {
  it('removes what has expired from every store, and reports each in a line', async () => {
    const { runtime, lines, pass } = await deployment();
    await ask(createIssueCode(runtime), jsonEvent({ client_id: 'web' }));
    await ask(createIssueTokens(runtime), jsonEvent({ client_id: 'web', grant_type: 'client_credentials' }));
    const purge = createPurge(runtime);
    const before = await purge(scheduled);
    expect(before.map(({ report }) => report?.removed)).toEqual([
      { accessTokens: 0, grants: 0, revocations: 0 },
      { codes: 0 },
      { clientAccessTokens: 0 },
      { artifacts: 0 },
    ]);
    lines.length = 0;
    pass(2 * DAY);
    await purge({});
    const said = { level: 'info', message: 'purged what has expired', lateSeconds: 0, oldestSeconds: 0 };
    const report = { more: false, backlog: nothingLeft };
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      {
        ...said,
        store: 'accessTokenStores.tokens',
        report: { ...report, removed: { accessTokens: 1, grants: 1, revocations: 0 } },
      },
      { ...said, store: 'authorizationCodeStores.codes', report: { ...report, removed: { codes: 1 } } },
      { ...said, store: 'clientAccessTokenStores.received', report: { ...report, removed: { clientAccessTokens: 0 } } },
      { ...said, store: 'artifactStores.artifacts', report: { ...report, removed: { artifacts: 0 } } },
    ]);
  });

  it('says how long the oldest record that is left has been due, and how late the run is', async () => {
    const { runtime, pass } = await deployment();
    pass(5);
    const [purged] = await createPurge(noting(runtime, () => {}))({ intervalSeconds: 60, time: isoOf(START) });
    expect(purged).toEqual({ store: 'accessTokenStores.tokens', lateSeconds: 5, oldestSeconds: 45, report: left });
  });

  it('purges stores in one place once, up to the higher limit, and stores in two places each', async () => {
    const accessTokenStores = {
      a: { cache: 'all', purgeUpTo: 5 },
      b: { cache: 'all', purgeUpTo: 7 },
      c: { cache: 'other' },
    };
    const caches = { all: { engine: 'memory' }, other: { engine: 'memory' } };
    const { runtime, writes } = await deployment({ accessTokenStores, caches });
    const limits: number[] = [];
    await createPurge(noting(runtime, ({ limit }) => limits.push(limit)))(scheduled);
    expect(limits).toEqual([7, 1000]);
    writes.length = 0;
    const purged = await createPurge(runtime)(scheduled);
    expect(purged.map(({ store }) => store).slice(0, 2)).toEqual(['accessTokenStores.a+b', 'accessTokenStores.c']);
    expect(writes).toEqual(Array(5).fill('purgeExpired'));
  });

  it('purges what the event names, and nothing else', async () => {
    const accessTokenStores = { a: { cache: 'all' }, codes: { cache: 'all' }, elsewhere: { cache: 'other' } };
    const caches = { all: { engine: 'memory' }, other: { engine: 'memory' } };
    const { runtime } = await deployment({ accessTokenStores, caches });
    const stores = [
      { kind: 'accessTokenStores', name: 'a' },
      { kind: 'authorizationCodeStores', name: 'codes' },
    ];
    const purged = await createPurge(runtime)({ intervalSeconds: 60, stores });
    // Its place goes by the same label whichever of its names the event has.
    expect(purged.map(({ store }) => store)).toEqual(['accessTokenStores.a+codes', 'authorizationCodeStores.codes']);
  });

  it('asks for as much as the configuration says, until shortly before the time of the function is over', async () => {
    const { runtime } = await deployment({ accessTokenStores: { tokens: { cache: 'all', purgeUpTo: 123 } } });
    const requests: PurgeRequest[] = [];
    const purge = createPurge(noting(runtime, (request) => requests.push(request)));
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
    await expect(createPurge(runtime)(scheduled)).rejects.toThrow('the purge failed in authorizationCodeStores.codes');
    expect(made.lines.map((line) => JSON.parse(line))).toMatchObject([
      { level: 'info', store: 'accessTokenStores.tokens' },
      {
        level: 'error',
        message: 'the purge failed',
        store: 'authorizationCodeStores.codes',
        failure: { error: 'StoreError', code: 'unavailable' },
      },
      { level: 'info', store: 'clientAccessTokenStores.received' },
      { level: 'info', store: 'artifactStores.artifacts' },
    ]);
  });
});

describe('purge at an interval that is not whole minutes', () => {
  const stores = [{ kind: 'accessTokenStores', name: 'tokens' }];

  /** The seconds after START at which the store is purged, by a call that comes so late, with so much time left. */
  const secondsOf = async (intervalSeconds: number, lateBy = 0, timeLeftMs = 90_000) => {
    const { runtime, lines, pass } = await deployment();
    const ran: number[] = [];
    const purge = createPurge(
      noting(runtime, ({ now }) => ran.push(now - START)),
      (ms) => pass(ms / 1000),
    );
    pass(lateBy);
    const event = { intervalSeconds, stores, time: isoOf(START) };
    const purged = await purge(event, { getRemainingTimeInMillis: () => timeLeftMs });
    return { ran, late: purged.map(({ lateSeconds }) => lateSeconds), lines };
  };

  it('waits for every tick of its minute', async () => {
    expect(await secondsOf(15)).toMatchObject({ ran: [0, 15, 30, 45], late: [0, 0, 0, 0] });
  });

  it('makes up for ticks that are over when it is called, and says how late it is', async () => {
    expect(await secondsOf(15, 20)).toMatchObject({ ran: [20, 20, 30, 45], late: [20, 5, 0, 0] });
  });

  it('does not begin what its time does not allow, and says so', async () => {
    const { ran, lines } = await secondsOf(15, 0, 32_000);
    expect(ran).toEqual([0, 15]);
    expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ level: 'warn', ticks: 4, done: 2 });
  });

  it('has nothing to do in a minute without a tick', async () => {
    const { runtime, lines } = await deployment();
    const event = { intervalSeconds: 7000, time: isoOf(START) };
    expect(await createPurge(runtime)(event)).toEqual([]);
    expect(lines).toEqual([]);
  });

  it.each([1, 15, 45, 61, 90, 100, 3601])(
    'of %i seconds runs at each multiple of it exactly once',
    (intervalSeconds) => {
      const from = START - (START % 60);
      const minutes = Array.from({ length: 120 }, (_, minute) => from + 60 * minute);
      const expected = Array.from({ length: 7200 }, (_, second) => from + second).filter(
        (second) => second % intervalSeconds === 0,
      );
      // Wherever within its minute the call is due, and however late it comes.
      for (const offset of [0, 1, 37, 59]) {
        const ticks = minutes.flatMap((minute) =>
          ticksOf({ intervalSeconds, time: isoOf(minute + offset) }, minute + 300),
        );
        expect(ticks).toEqual(expected);
      }
    },
  );

  it.each([60, 120, 5400])('of %i seconds, whole minutes, runs once, when it is due', (intervalSeconds) => {
    expect(ticksOf({ intervalSeconds, time: isoOf(START + 7) }, START + 9)).toEqual([START + 7]);
  });

  it('takes a time that cannot be read as now', () => {
    for (const time of ['', '<aws.scheduler.scheduled-time>']) {
      expect(ticksOf({ intervalSeconds: 60, time }, START + 9)).toEqual([START + 9]);
      expect(ticksOf({ intervalSeconds: 45, time }, START + 9)).toEqual(ticksOf({ intervalSeconds: 45 }, START + 9));
    }
  });
});
