import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { afterAll, describe, expect, it } from 'vitest';
import { createEngine, createTable } from '../../functions/stores/dynamodb.ts';
import { createVirtualClock } from '../conformance/index.ts';
import {
  accessOutcome,
  DAY,
  issue,
  keyOf,
  many,
  newAccess,
  newArtifact,
  newAttempt,
  newCode,
  newGrant,
  newName,
  newRefresh,
  newSuccessor,
  rotate,
} from '../conformance/records.ts';
import { emulated, findServer } from './dynamodb-server.ts';

const server = await findServer();
const clock = createVirtualClock(Date.now());
const now = clock.now();

/** An HTTP server until the tests are over; its address. */
async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const listener = createServer(answer).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  afterAll(() => {
    listener.closeAllConnections();
    listener.close();
  });
  return `http://127.0.0.1:${(listener.address() as AddressInfo).port}`;
}

/** What a client asks for: the operation's name. */
const targetOf = ({ headers }: IncomingMessage) => String(headers['x-amz-target']).split('.').at(-1);

describe('what DynamoDB answers when it does not do what it is asked', async () => {
  let asked: string[] = [];
  /** The answers to come, the last one for ever. */
  let answers: [status: number, body: object][] = [];
  const endpoint = await serve(async (incoming, response) => {
    asked.push(targetOf(incoming) ?? '');
    await buffer(incoming);
    const [status, body] = (answers.length > 1 ? answers.shift() : answers[0]) ?? [500, {}];
    response.writeHead(status, { 'content-type': 'application/x-amz-json-1.0' }).end(JSON.stringify(body));
  });
  const settings = { ...emulated, endpoint, tableName: 'stub' };
  const engine = createEngine(settings, clock.nowMs);
  const impatient = createEngine({ ...settings, maxAttempts: 1 }, clock.nowMs);
  afterAll(() => Promise.all([engine.close(), impatient.close()]));
  const answering = (...given: typeof answers) => {
    answers = given;
    asked = [];
  };
  const refused = (name: string, message = name) =>
    [400, { __type: `com.amazonaws.dynamodb.v20120810#${name}`, message }] as [number, object];

  const codes = {
    ProvisionedThroughputExceededException: 'throttled',
    ThrottlingException: 'throttled',
    RequestLimitExceeded: 'throttled',
    TransactionConflictException: 'throttled',
    ReplicatedWriteConflictException: 'throttled',
    ItemCollectionSizeLimitExceededException: 'invalid',
    ValidationException: 'invalid',
    ResourceNotFoundException: 'unsupported',
    AccessDeniedException: 'unsupported',
    UnrecognizedClientException: 'unavailable',
    InternalServerError: 'unavailable',
  };
  for (const [name, code] of Object.entries(codes)) {
    it(`${name} is ${code}, of a write and of a read, and never an absence`, async () => {
      answering(refused(name));
      const grant = newGrant(now);
      const key = { digest: randomBytes(16), grantId: grant.grantId };
      const { accessTokens } = impatient;
      const isCoded = { name: 'StoreError', code, retryable: code !== 'invalid' && code !== 'unsupported' };
      await expect(accessTokens.findAccess(key, { now })).rejects.toMatchObject(isCoded);
      await expect(rotate(accessTokens, grant, key, newSuccessor(now), { now })).rejects.toMatchObject(isCoded);
      await expect(accessTokens.revokeAccess(key, { now })).rejects.toMatchObject(isCoded);
    });
  }

  it('a request that is throttled is sent three times, no more, and says so', async () => {
    answering(refused('ThrottlingException'));
    const finding = engine.authorizationCodes.find(randomBytes(32), { now });
    await expect(finding).rejects.toMatchObject({ code: 'throttled', retryable: true });
    expect(asked).toEqual(['GetItem', 'GetItem', 'GetItem']);
  });

  it('an item of more than 400 kB is invalid, which no repeat cures', async () => {
    answering(refused('ValidationException', 'Item size to update has exceeded the maximum allowed size'));
    const adding = engine.accessTokens.revokeGrant(newGrant(now).grantId, { now, retainUntil: now + DAY });
    await expect(adding).rejects.toMatchObject({ code: 'invalid', retryable: false });
    expect(asked).toEqual(['UpdateItem']);
  });

  const persist = () =>
    engine.accessTokens.persist(
      { grant: newGrant(now) },
      { now, attempt: newAttempt(), authorizedAtMs: clock.nowMs() },
    );

  it('keys that a batch left unread are read again: the mark that bars a grant may be among them', async () => {
    let mark: object | undefined;
    const barring = await serve(async (incoming, response) => {
      const body = JSON.parse((await buffer(incoming)).toString());
      const answer = () => {
        if (targetOf(incoming) !== 'BatchGetItem') return {};
        const { Keys } = body.RequestItems.stub as { Keys: { p: { B: string }; k: object }[] };
        const isMark = (key: { p: { B: string } }) => Buffer.from(key.p.B, 'base64')[0] === 'm'.charCodeAt(0);
        if (!Keys.every(isMark)) return { Responses: { stub: [] } };
        if (!mark) {
          mark = Keys.at(-1);
          return { Responses: { stub: [] }, UnprocessedKeys: { stub: { Keys: [mark], ConsistentRead: true } } };
        }
        expect(Keys).toEqual([mark]);
        return { Responses: { stub: [{ ...mark, m: { N: String(clock.nowMs()) }, l: { N: String(now + DAY) } }] } };
      };
      response.writeHead(200, { 'content-type': 'application/x-amz-json-1.0' }).end(JSON.stringify(answer()));
    });
    const barred = createEngine({ ...emulated, endpoint: barring, tableName: 'stub' }, clock.nowMs);
    const write = { grant: newGrant(now) };
    const options = { now, attempt: newAttempt(), authorizedAtMs: clock.nowMs() };
    expect(await barred.accessTokens.persist(write, options)).toBe('barred');
    await barred.close();
  });

  it('keys that stay unread are a throttled request, not absent items', async () => {
    const Keys = [{ p: { B: 'bQ==' }, k: { B: 'AA==' } }];
    answering([200, { Responses: {}, UnprocessedKeys: { stub: { Keys } } }]);
    await expect(persist()).rejects.toMatchObject({ code: 'throttled' });
  });
});

describe.skipIf(server === undefined)(
  'a write that is done, whose answer is lost and which the SDK sends again',
  async () => {
    const target = new URL(server ?? 'http://127.0.0.1');
    let lost: string | undefined;
    let losing: ((target: string) => boolean) | undefined;
    const proxy = await serve(async (incoming, response) => {
      const body = await buffer(incoming);
      const { method, url, headers } = incoming;
      const upstream = request({ host: target.hostname, port: target.port, method, path: url, headers });
      upstream.end(body);
      const [answer] = (await once(upstream, 'response')) as [IncomingMessage];
      const given = await buffer(answer);
      const name = targetOf(incoming) ?? '';
      if (lost === undefined && losing?.(name)) {
        lost = name;
        response.destroy();
        return;
      }
      response.writeHead(answer.statusCode ?? 500, answer.headers).end(given);
    });
    const settings = { ...emulated, endpoint: server ?? '', tableName: `failures-${randomUUID()}` };
    if (server !== undefined) await createTable(settings);
    const engine = createEngine({ ...settings, endpoint: proxy }, clock.nowMs);
    afterAll(() => engine.close());

    /** What a call gives when the first answer to such a request does not arrive. */
    const losingAnswer = async <T>(name: string, call: () => Promise<T>): Promise<T> => {
      lost = undefined;
      losing = (each) => each === name;
      const result = await call();
      losing = undefined;
      expect(lost).toBe(name);
      return result;
    };
    const attempt = () => ({ now, attempt: newAttempt() });

    it('rotates, with the access token that it stored', async () => {
      const { grant, refreshKey } = await issue({ ...engine, clock });
      const successor = newSuccessor(now);
      const outcome = await losingAnswer('UpdateItem', () =>
        rotate(engine.accessTokens, grant, refreshKey, successor, { now }),
      );
      expect(outcome).toMatchObject({ outcome: 'rotated', sealed: successor.sealed });
      expect(await accessOutcome(engine.accessTokens, keyOf(grant, successor.access), now)).toBe('active');
    });

    it.each(['PutItem', 'UpdateItem'])(
      'rotates where the access token is an item of its own: lost is a %s',
      async (name) => {
        const { grant, refreshKey } = await issue({ ...engine, clock });
        const successor = newSuccessor(now, { access: newAccess(now, { expiresAt: now + DAY }) });
        const outcome = await losingAnswer(name, () =>
          rotate(engine.accessTokens, grant, refreshKey, successor, { now }),
        );
        expect(outcome.outcome).toBe('rotated');
        expect(await accessOutcome(engine.accessTokens, keyOf(grant, successor.access), now)).toBe('active');
      },
    );

    it('redeems a code', async () => {
      const code = newCode(now);
      await losingAnswer('PutItem', () => engine.authorizationCodes.add(code, attempt()));
      const redeeming = { binding: code.binding, ...attempt() };
      const outcome = await losingAnswer('UpdateItem', () => engine.authorizationCodes.redeem(code.digest, redeeming));
      expect(outcome).toMatchObject({ outcome: 'redeemed' });
      const again = { binding: code.binding, ...attempt() };
      expect((await engine.authorizationCodes.redeem(code.digest, again)).outcome).toBe('replayed');
    });

    it('persists a grant, with a token of its own item too', async () => {
      for (const expiresAt of [now + 60, now + 2 * DAY]) {
        const grant = newGrant(now);
        const access = newAccess(now, { expiresAt });
        const write = { grant, access, refresh: newRefresh(now) };
        const outcome = await losingAnswer('PutItem', () =>
          engine.accessTokens.persist(write, { ...attempt(), authorizedAtMs: clock.nowMs() }),
        );
        expect(outcome).toBe('persisted');
        expect(await accessOutcome(engine.accessTokens, keyOf(grant, access), now)).toBe('active');
      }
    });

    it('adds an access token, and revokes a grant and all of a subject', async () => {
      const { grant, accessKey } = await issue({ ...engine, clock });
      const { grantId, retainUntil, subject = '' } = grant;
      const access = newAccess(now);
      const added = await losingAnswer('UpdateItem', () =>
        engine.accessTokens.addAccess(grantId, access, { ...attempt(), retainUntil }),
      );
      expect(added).toBe('added');
      expect((await engine.accessTokens.listAccess(grantId, { limit: 10 })).tokens).toHaveLength(2);
      await losingAnswer('UpdateItem', () =>
        engine.accessTokens.revokeBy({ subject }, { nowMs: clock.nowMs(), retainUntil }),
      );
      expect(await accessOutcome(engine.accessTokens, accessKey, now)).toBe('revoked');
    });

    it('consumes an artifact, and stores one once', async () => {
      const { artifacts } = engine;
      const artifact = newArtifact(now);
      await artifacts.put(artifact, { now });
      const consume = () => artifacts.consume(artifact.kind, artifact.id, attempt());
      expect(await losingAnswer('UpdateItem', consume)).toBe(true);
      expect(await consume()).toBe(false);
      const once = newArtifact(now, { kind: newName('jti') });
      const put = () => artifacts.putOnce(once, attempt());
      expect(await losingAnswer('PutItem', put)).toBe(true);
      expect(await put()).toBe(false);
    });

    it('rotates once where twenty callers lose an answer among them', async () => {
      const { grant, refreshKey } = await issue({ ...engine, clock });
      const outcomes = await losingAnswer('UpdateItem', () =>
        Promise.all(many(20, () => rotate(engine.accessTokens, grant, refreshKey, newSuccessor(now), { now }))),
      );
      expect(outcomes.filter(({ outcome }) => outcome === 'rotated')).toHaveLength(1);
      expect(outcomes.filter(({ outcome }) => outcome === 'retried')).toHaveLength(19);
    });
  },
);
