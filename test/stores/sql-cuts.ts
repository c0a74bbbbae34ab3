import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Engine } from '../../functions/domain/ports.ts';
import {
  issue,
  newAccess,
  newArtifact,
  newAttempt,
  newCode,
  newGrant,
  newSuccessor,
  rotate,
} from '../conformance/records.ts';
import { createRelay, type Place, places, type Relay } from './cutting-relay.ts';
import { onStage, startPlace, type Tested, type Place as Where } from './tested-database.ts';

// A connection that is cut around one call: whoever called cannot know how it went, is told that, and learns it by the repeat.

/** A call, made with the same attempt however often. */
interface Call {
  /** Through the way that is cut. */
  send(): Promise<unknown>;
  /** What it answers, the first time and whenever it is repeated. */
  readonly answers: unknown;
  /** Whether it was carried out, seen from beside. */
  isDone(): Promise<boolean>;
  /** What another attempt at the same answers, once it was carried out. */
  readonly rival?: readonly [send: () => Promise<unknown>, answers: unknown];
}

/** Prepares a call: `through` is the store behind the way that is cut, `beside` one with a way of its own. */
type Prepare = (through: Engine, beside: Engine, now: number) => Promise<Call>;

const calls: Readonly<Record<string, Prepare>> = {
  async 'the storing of a code'(through, beside, now) {
    const [code, attempt] = [newCode(now), newAttempt()];
    return {
      send: () => through.authorizationCodes.add(code, { now, attempt }),
      answers: undefined,
      isDone: async () => (await beside.authorizationCodes.find(code.digest, { now })).outcome === 'active',
    };
  },
  async 'a redemption'(through, beside, now) {
    const code = newCode(now);
    await beside.authorizationCodes.add(code, { now, attempt: newAttempt() });
    const by = (attempt: Uint8Array) => () =>
      through.authorizationCodes.redeem(code.digest, { binding: code.binding, now, attempt });
    return {
      send: by(newAttempt()),
      answers: expect.objectContaining({ outcome: 'redeemed' }),
      isDone: async () => (await beside.authorizationCodes.find(code.digest, { now })).outcome === 'redeemed',
      rival: [by(newAttempt()), { outcome: 'replayed', grantId: code.grantId }],
    };
  },
  async 'the storing of a grant'(through, beside, now) {
    const [grant, access] = [newGrant(now), newAccess(now)];
    const options = { now, attempt: newAttempt(), authorizedAtMs: Date.now() };
    const key = { grantId: grant.grantId, digest: access.digest };
    return {
      send: () => through.accessTokens.persist({ grant, access }, options),
      answers: 'persisted',
      isDone: async () => (await beside.accessTokens.findAccess(key, { now })).outcome === 'active',
    };
  },
  async 'a rotation'(through, beside, now) {
    const { grant, refreshKey } = await issue(onStage(beside));
    const given = newSuccessor(now);
    const sealed = Buffer.from(given.sealed);
    const by = (successor: typeof given) => {
      const options = { now, attempt: newAttempt() };
      return () => rotate(through.accessTokens, grant, refreshKey, successor, options);
    };
    return {
      send: by(given),
      answers: expect.objectContaining({ outcome: 'rotated', sealed }),
      isDone: async () => (await beside.accessTokens.findRefresh(refreshKey, { now })).outcome === 'retired',
      rival: [by(newSuccessor(now)), expect.objectContaining({ outcome: 'retried', sealed })],
    };
  },
  async 'an access token more'(through, beside, now) {
    const { grant } = await issue(onStage(beside));
    const access = newAccess(now);
    const options = { now, attempt: newAttempt(), retainUntil: grant.retainUntil };
    return {
      send: () => through.accessTokens.addAccess(grant.grantId, access, options),
      answers: 'added',
      isDone: async () => (await beside.accessTokens.listAccess(grant.grantId, { limit: 9 })).tokens.length === 2,
    };
  },
  async 'a revocation'(through, beside, now) {
    const { grant, accessKey } = await issue(onStage(beside));
    return {
      send: () => through.accessTokens.revokeGrant(grant.grantId, { now, retainUntil: grant.retainUntil }),
      answers: undefined,
      isDone: async () => (await beside.accessTokens.findAccess(accessKey, { now })).outcome === 'revoked',
    };
  },
  async 'the consumption of an artifact'(through, beside, now) {
    const artifact = newArtifact(now);
    await beside.artifacts.put(artifact, { now });
    const by = (attempt: Uint8Array) => () => through.artifacts.consume(artifact.kind, artifact.id, { now, attempt });
    return {
      send: by(newAttempt()),
      answers: true,
      isDone: async () => {
        const found = await beside.artifacts.find(artifact.kind, artifact.id, { now });
        return 'consumedAt' in found;
      },
      rival: [by(newAttempt()), false],
    };
  },
};

/** What has become of a call whose connection is cut there, if that is certain. */
const isDoneBy: Readonly<Record<Place, boolean | undefined>> = {
  'before its request arrives': false,
  'within its request': false,
  'behind its request': undefined,
  'before its answer arrives': true,
  'within its answer': true,
};

export function describeCuts(tested: Tested): void {
  const now = () => Math.floor(Date.now() / 1000);

  describe(`${tested.name}: a connection that is cut`, () => {
    let where: Where;
    let relay: Relay;
    let through: Engine;
    beforeAll(async () => {
      where = await startPlace(tested);
      relay = await createRelay(where.server.port);
      const pool = { maxActive: 1 };
      through = await tested.createEngine({ ...where.settings, host: '127.0.0.1', port: relay.port, pool }, Date.now);
    });
    afterAll(async () => {
      await through.close();
      relay.close();
      await where.engine.close();
      await where.server.stop();
    });

    describe.each(places)('%s', (place) => {
      it.each(Object.entries(calls))('%s is uncertain, and the repeat finds it', async (_, prepare) => {
        const { engine: beside } = where;
        const ready = await prepare(through, beside, now());
        expect(await ready.send()).toEqual(ready.answers); // the statement is prepared, and the connection new
        const { send, answers, isDone, rival } = await prepare(through, beside, now());
        expect(await isDone()).toBe(false);

        relay.cutNext(place);
        await expect(send()).rejects.toMatchObject({
          name: 'StoreError',
          code: expect.stringMatching(/^(unavailable|timeout)$/),
          retryable: true,
        });
        if (isDoneBy[place] === true) await vi.waitFor(async () => expect(await isDone()).toBe(true));
        if (isDoneBy[place] === false) expect(await isDone()).toBe(false);

        expect(await send()).toEqual(answers);
        expect(await isDone()).toBe(true);
        if (rival) expect(await rival[0]()).toEqual(rival[1]);
        expect(await send()).toEqual(answers);
      });

      it('a look-up is not answered, rather than that there is nothing', async () => {
        const { accessKey } = await issue(onStage(where.engine));
        const look = () => through.accessTokens.findAccess(accessKey, { now: now() });
        expect((await look()).outcome).toBe('active');
        relay.cutNext(place);
        await expect(look()).rejects.toMatchObject({ name: 'StoreError', retryable: true });
        expect((await look()).outcome).toBe('active');
      });
    });
  });
}
