import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import type {
  AccessTokenStore,
  Attempt,
  Digest,
  Engine,
  RotateOutcome,
  StoredAccessToken,
  StoredArtifact,
  StoredClientAccessToken,
  StoredCode,
  StoredGrant,
  StoredRefreshToken,
  Successor,
  TokenKey,
} from '../../functions/domain/ports.ts';
import { newGrantId } from '../../functions/domain/token.ts';
import type { Stage } from './harness.ts';

// Records as the domain would make them, new ones every time: storage is shared by all cases and never emptied.

export const HOUR = 3600;
export const DAY = 24 * HOUR;

export const newAttempt = (): Attempt => randomBytes(16);
export const newDigest = (): Digest => randomBytes(32);
export const newName = (what: string): string => `${what} ${randomUUID()}`;

export const newGrant = (now: number, fields: Partial<StoredGrant> = {}): StoredGrant => ({
  grantId: newGrantId(now),
  clientId: newName('client'),
  subject: newName('subject'),
  createdAt: now,
  retainUntil: now + 30 * DAY,
  data: randomBytes(24),
  ...fields,
});

export const newAccess = (now: number, fields: Partial<StoredAccessToken> = {}): StoredAccessToken => ({
  digest: randomBytes(16),
  issuedAt: now,
  expiresAt: now + HOUR,
  data: randomBytes(12),
  ...fields,
});

export const newRefresh = (now: number, fields: Partial<StoredRefreshToken> = {}): StoredRefreshToken => ({
  digest: newDigest(),
  expiresAt: now + DAY,
  ...fields,
});

export const newCode = (now: number, fields: Partial<StoredCode> = {}): StoredCode => ({
  digest: newDigest(),
  grantId: newGrantId(now),
  binding: newDigest(),
  expiresAt: now + 600,
  retainUntil: now + DAY,
  data: randomBytes(24),
  ...fields,
});

export const newArtifact = (now: number, fields: Partial<StoredArtifact> = {}): StoredArtifact => ({
  kind: 'Session',
  id: newDigest(),
  expiresAt: now + HOUR,
  retainUntil: now + DAY,
  data: randomBytes(24),
  ...fields,
});

export const newClientToken = (
  now: number,
  fields: Partial<StoredClientAccessToken> = {},
): StoredClientAccessToken => ({
  clientId: newName('client'),
  key: newName('subject'),
  expiresAt: now + HOUR,
  data: randomBytes(24),
  ...fields,
});

interface NewSuccessor extends Successor {
  readonly refresh: StoredRefreshToken;
  readonly access: StoredAccessToken;
}

/** A rotation to a new refresh token, with a new access token, unless `fields` say otherwise. */
export function newSuccessor(now: number): NewSuccessor;
export function newSuccessor<const F extends Partial<Successor>>(
  now: number,
  fields: F,
): Omit<NewSuccessor, keyof F> & F;
export function newSuccessor(now: number, fields: Partial<Successor> = {}): Successor {
  const tokens = { refresh: newRefresh(now), access: newAccess(now) };
  return { ...tokens, sealed: randomBytes(64), retainUntil: now + 30 * DAY, ...fields };
}

/** How a token is looked up: its own proof names its grant, a foreign one is its digest and nothing else. */
export const keyOf = (
  { grantId }: StoredGrant,
  { digest, foreign }: { digest: Digest; foreign?: boolean },
): TokenKey => (foreign ? { digest } : { digest, grantId });

/** A grant with its first tokens, as it was stored. */
export interface Issued {
  readonly grant: StoredGrant;
  readonly refresh: StoredRefreshToken;
  readonly access: StoredAccessToken;
  readonly refreshKey: TokenKey;
  readonly accessKey: TokenKey;
}

/** Tokens of a grant with the keys that lead to them. */
export const withKeys = (
  grant: StoredGrant,
  { refresh, access }: { refresh: StoredRefreshToken; access: StoredAccessToken },
): Issued => ({ grant, refresh, access, refreshKey: keyOf(grant, refresh), accessKey: keyOf(grant, access) });

/** Stores a grant with an access token and a refresh token. */
export async function issue(
  { accessTokens, clock }: Pick<Stage, 'accessTokens' | 'clock'>,
  fields: {
    grant?: Partial<StoredGrant>;
    refresh?: Partial<StoredRefreshToken>;
    access?: Partial<StoredAccessToken>;
    authorizedAtMs?: number;
  } = {},
): Promise<Issued> {
  const now = clock.now();
  const grant = newGrant(now, fields.grant);
  const refresh = newRefresh(now, fields.refresh);
  const access = newAccess(now, fields.access);
  const { authorizedAtMs = clock.nowMs() } = fields;
  const outcome = await accessTokens.persist(
    { grant, refresh, access },
    { now, attempt: newAttempt(), authorizedAtMs },
  );
  assert.equal(outcome, 'persisted');
  return withKeys(grant, { refresh, access });
}

/** Rotates as the grant's own client, with a new attempt and a grace of ten seconds unless told otherwise. */
export const rotate = (
  accessTokens: AccessTokenStore,
  grant: StoredGrant,
  key: TokenKey,
  successor: Successor,
  options: { now: number } & Partial<Parameters<AccessTokenStore['rotate']>[2]>,
): Promise<RotateOutcome> =>
  accessTokens.rotate(key, successor, {
    clientId: grant.clientId,
    attempt: newAttempt(),
    graceSeconds: 10,
    ...options,
  });

/** A record or outcome as plain data: bytes of any class in hexadecimal, fields by their names, and nothing where one is absent. */
export function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return `0x${Buffer.from(value).toString('hex')}`;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .sort(([one], [other]) => (one < other ? -1 : 1));
  return Object.fromEntries(fields.map(([name, field]) => [name, plain(field)]));
}

/** The same record or outcome, whatever class its bytes have. */
export const same = (actual: unknown, expected: unknown, message?: string): void =>
  assert.deepEqual(plain(actual), plain(expected), message);

/** How often each outcome came: `{ rotated: 1, retried: 19 }`. */
export const tally = (outcomes: readonly (string | boolean | { outcome: string })[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const each of outcomes) {
    const name = typeof each === 'object' ? each.outcome : String(each);
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
};

/** The outcome alone of what is found under a key. */
export const accessOutcome = async (accessTokens: AccessTokenStore, key: TokenKey, now: number): Promise<string> =>
  (await accessTokens.findAccess(key, { now })).outcome;
export const refreshOutcome = async (accessTokens: AccessTokenStore, key: TokenKey, now: number): Promise<string> =>
  (await accessTokens.findRefresh(key, { now })).outcome;

/** The code of the StoreError that a call fails with; any other error goes on. */
export async function errorCode(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return 'none';
  } catch (error) {
    if (error instanceof Error && error.name === 'StoreError' && 'code' in error) return String(error.code);
    throw error;
  }
}

export const many = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index));

/** One caller for each item, all at once, spread over four engines on the storage; their answers in the items' order. */
export async function atOnce<T, R>(
  { engines }: Stage,
  items: readonly T[],
  call: (engine: Engine, item: T) => Promise<R>,
): Promise<R[]> {
  const open = await engines(4);
  const calls = open.flatMap((engine, lot) =>
    items.flatMap((item, index) => (index % open.length === lot ? [{ index, answer: call(engine, item) }] : [])),
  );
  const answers: R[] = [];
  await Promise.all(calls.map(async ({ index, answer }) => (answers[index] = await answer)));
  return answers;
}

/** How often a race is run: fewer times where calls are served one after another anyway. */
export const rounds = ({ harness }: Stage, count: number): number =>
  harness.capabilities.concurrent ? count : Math.ceil(count / 10);
