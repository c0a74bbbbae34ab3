import type { Engine } from '../functions/domain/ports.ts';
import { type Call, secondsOf } from './measure.ts';
import {
  accessDigestOf,
  CODE_DATA,
  clientIdOf,
  DATA,
  DAY,
  type Grants,
  grantIdOf,
  HOUR,
  NOW,
  randomValues,
  refreshDigestOf,
  SEALED,
  scattered,
  subjectOf,
} from './records.ts';

// What is measured of every engine: the operations of the ports, on the grants of records.ts.

/** An endless walk: the numbers of the next `count` rows. */
export const walk = () => {
  let walked = 0;
  return (count: number) => Array.from({ length: count }, () => walked++);
};

/** Calls with a value for each, all values made before the first call. */
export const over = <Value>(values: readonly Value[], call: (value: Value) => Promise<unknown>): Call[] =>
  values.map((value) => () => call(value));

export const demand = (what: string, outcome: string, expected: string) => {
  if (outcome !== expected) throw new Error(`${what}: ${outcome} instead of ${expected}`);
};

/** Calls in flight where nothing is timed. */
const AT_ONCE = 32;

/** Stores that many grants with a refresh token and an access token each, through the port. */
export async function fill({ accessTokens }: Engine, grants: number): Promise<Grants> {
  const numbers = Array.from({ length: grants }, (_, i) => i);
  const calls = over(numbers, async (i) => {
    const grantId = grantIdOf(i, grants);
    const createdAt = grantId.readUInt32BE();
    const write = {
      grant: {
        ...{ grantId, clientId: clientIdOf(i), subject: subjectOf(i), createdAt },
        ...{ retainUntil: NOW + 2 * DAY, data: Buffer.from(DATA) },
      },
      refresh: { digest: refreshDigestOf(i), expiresAt: createdAt + DAY },
      access: { digest: accessDigestOf(i), issuedAt: createdAt, expiresAt: NOW + HOUR, data: Buffer.alloc(0) },
    };
    const attempt = refreshDigestOf(-i - 1).subarray(0, 16);
    demand('fill', await accessTokens.persist(write, { now: NOW, attempt }), 'persisted');
  });
  await secondsOf(calls, AT_ONCE);
  return { grants, refreshed: new Map() };
}

/** The operations of the stores. */
export function operationsOf({ accessTokens, authorizationCodes }: Engine, { grants, refreshed }: Grants) {
  const nextHit = walk();
  const nextMiss = walk();
  const nextRotation = walk();
  const accessKey = (n: number) => {
    const i = scattered(n, grants);
    return { grantId: grantIdOf(i, grants), digest: accessDigestOf(i) };
  };
  const find = (expected: string) => async (key: ReturnType<typeof accessKey>) =>
    demand('lookup', (await accessTokens.findAccess(key, { now: NOW })).outcome, expected);

  return {
    'lookup, hit': (count: number) => over(nextHit(count).map(accessKey), find('active')),
    'lookup, miss': (count: number) => {
      const digests = randomValues(count, 16);
      const keys = nextMiss(count).map((n, i) => ({ ...accessKey(n), digest: digests[i] as Buffer }));
      return over(keys, find('unknown'));
    },
    issue: (count: number) => {
      const [ids, digests] = [randomValues(count, 12), randomValues(count, 64)];
      const authorizedAtMs = NOW * 1000; // as after a code: revocations since then are looked for
      const requests = ids.map((grantId, i) => {
        grantId.writeUInt32BE(NOW);
        const random = digests[i] as Buffer;
        return {
          attempt: random.subarray(48),
          write: {
            grant: {
              ...{ grantId, clientId: clientIdOf(i), subject: `subject-${grantId.toString('hex').padStart(28, '0')}` },
              ...{ createdAt: NOW, retainUntil: NOW + 2 * DAY, data: Buffer.from(DATA) },
            },
            refresh: { digest: random.subarray(0, 32), expiresAt: NOW + DAY },
            access: {
              ...{ digest: random.subarray(32, 48), issuedAt: NOW, expiresAt: NOW + HOUR, data: Buffer.alloc(0) },
            },
          },
        };
      });
      return over(requests, async ({ write, attempt }) =>
        demand('issue', await accessTokens.persist(write, { now: NOW, attempt, authorizedAtMs }), 'persisted'),
      );
    },
    redeem: async (count: number) => {
      const codes = randomValues(count, 32);
      const attempts = randomValues(count, 16);
      const binding = Buffer.alloc(32);
      const requests = codes.map((digest, i) => ({ digest, attempt: attempts[i] as Buffer }));
      const adds = over(requests, ({ digest, attempt }) => {
        const ends = { expiresAt: NOW + 600, retainUntil: NOW + DAY };
        const code = { digest, grantId: digest.subarray(0, 12), binding, ...ends, data: Buffer.from(CODE_DATA) };
        return authorizationCodes.add(code, { now: NOW, attempt });
      });
      await secondsOf(adds, AT_ONCE);
      return over(requests, async ({ digest, attempt }) => {
        const { outcome } = await authorizationCodes.redeem(digest, { binding, now: NOW, attempt });
        demand('redeem', outcome, 'redeemed');
      });
    },
    rotate: (count: number) => {
      if (count > grants) throw new Error('a grant would be rotated twice in a round');
      const [digests, sealed] = [randomValues(count, 64), randomValues(count, SEALED)];
      const requests = nextRotation(count).map((n, i) => {
        const grant = scattered(n, grants);
        const random = digests[i] as Buffer;
        const digest = random.subarray(0, 32);
        const key = { grantId: grantIdOf(grant, grants), digest: refreshed.get(grant) ?? refreshDigestOf(grant) };
        refreshed.set(grant, digest);
        const successor = {
          refresh: { digest, expiresAt: NOW + DAY },
          access: { digest: random.subarray(32, 48), issuedAt: NOW, expiresAt: NOW + HOUR, data: Buffer.alloc(0) },
          sealed: sealed[i] as Buffer,
          retainUntil: NOW + 2 * DAY,
        };
        const options = { clientId: clientIdOf(grant), now: NOW, attempt: random.subarray(48), graceSeconds: 10 };
        return { key, successor, options };
      });
      return over(requests, async ({ key, successor, options }) =>
        demand('rotate', (await accessTokens.rotate(key, successor, options)).outcome, 'rotated'),
      );
    },
  };
}
