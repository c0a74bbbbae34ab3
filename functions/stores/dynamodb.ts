import { createHash } from 'node:crypto';
import { CreateTableCommand, UpdateTimeToLiveCommand, waitUntilTableExists } from '@aws-sdk/client-dynamodb';
import type { Clock } from '../domain/clock.ts';
import { StoreError } from '../domain/errors.ts';
import type { AuthorizationCodeStore, ClientAccessTokenStore, Digest, Engine, StoredCode } from '../domain/ports.ts';
import { createArtifactStore } from './dynamodb/artifacts.ts';
import { createClient, type DynamodbSettings } from './dynamodb/client.ts';
import { createAccessTokenStore } from './dynamodb/grants.ts';
import { createPurge, type Purge } from './dynamodb/purge.ts';
import { createTable as createRequests, keyOf, type Table } from './dynamodb/table.ts';
import { type Item, same } from './dynamodb/values.ts';

// One table for all four stores. Every decision is one conditional write of one item; a refusal gives the item back, and
// the outcome is a function of it alone. Reads are strongly consistent. An SDK that sends a write again is recognised by
// the attempt. Attributes have one or two letters, since their names count in the size:
//
// every item          p what it is (a letter) and of whom · k which of them · l when it may go (the table's TTL attribute)
// g grant             c client · s subject · ap application · cs consent · i created · x end · d data · t attempt
//   its refresh token r digest · rx end · ri idle end · rf foreign · rs sender · rt issued, ra attempt: of addRefresh
//   the one before    q half of the digest, attempt, when, sealed
//   its access tokens A, B, C buckets of them (dynamodb/buckets.ts) · w their width · o until when some are items of their own
//   its end           v revoked · n when its access tokens were ended, latest first · b barred up to these milliseconds
//   its pointer       y until when it is kept, and the links to it
// x access token      i issued · x end · d data · t attempt · f foreign · v revoked (of its grant; k: its digest)
// s pointer to grant  c, s, ap, cs as there (of a subject or client; k: its client, its id)
// i link to pointers  nothing more (of one value of one field; k: the subject or client that has the pointers)
// f foreign digest    g grant
// m mark              m revoked at these milliseconds (of one selector)
// o code              g grant · b binding · x end · d data · t attempt · u redeemed · ut by which attempt
// a artifact          h kind · id · ui uid · uc userCode · cs consent · x end · r retainUntil · d data · t attempt of
//                     putOnce · u consumed · ut by which attempt · n which put
// w way to artifact   id · n which put (of one uid or userCode)
// n artifact of a consent  h kind · id
// t client's token    x end · d data

export type { DynamodbSettings };

/** Opens the four stores over one table, which is there already. A server that is away is noticed by the first call. */
export function createEngine(settings: DynamodbSettings, clock: Clock): Engine {
  const client = createClient(settings);
  const table = createRequests(client, settings.tableName);
  const purge = createPurge(table, clock, settings.nativeTimeToLive ?? true);
  return {
    accessTokens: createAccessTokenStore(table, purge, settings.accessTokenSeconds ?? 3600),
    authorizationCodes: createAuthorizationCodeStore(table, purge),
    clientAccessTokens: createClientAccessTokenStore(table, purge),
    artifacts: createArtifactStore(table, purge),
    close: async () => client.destroy(),
  };
}

/** Creates the table, paid by request, and waits until it can be used: for tests and the local deployment. */
export async function createTable(settings: DynamodbSettings): Promise<void> {
  const client = createClient(settings);
  const { tableName: TableName, nativeTimeToLive = true } = settings;
  await client.send(
    new CreateTableCommand({
      TableName,
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: [
        { AttributeName: 'p', AttributeType: 'B' },
        { AttributeName: 'k', AttributeType: 'B' },
      ],
      KeySchema: [
        { AttributeName: 'p', KeyType: 'HASH' },
        { AttributeName: 'k', KeyType: 'RANGE' },
      ],
    }),
  );
  await waitUntilTableExists({ client, maxWaitTime: 60, minDelay: 1 }, { TableName });
  if (nativeTimeToLive) {
    const TimeToLiveSpecification = { AttributeName: 'l', Enabled: true };
    await client.send(new UpdateTimeToLiveCommand({ TableName, TimeToLiveSpecification }));
  }
  client.destroy();
}

const codeOf = (digest: Digest, item: Item) =>
  ({
    digest,
    grantId: item.g,
    binding: item.b,
    expiresAt: item.x,
    retainUntil: item.l,
    data: item.d,
  }) as StoredCode;

function createAuthorizationCodeStore(table: Table, purge: Purge): AuthorizationCodeStore {
  const place = (digest: Digest) => keyOf('o', digest);
  return {
    async add({ digest, grantId, binding, expiresAt, retainUntil, data }, { attempt }) {
      const item = { g: grantId, b: binding, x: expiresAt, l: retainUntil, d: data, t: attempt };
      const { applied, item: stored } = await table.put({ ...place(digest), ...item }, () => [
        'attribute_not_exists(p)',
      ]);
      if (!applied && !same(stored?.t, attempt)) {
        throw new StoreError('conflict', 'an authorization code with this digest is stored already');
      }
    },
    async find(digest, { now }) {
      const item = await table.get(place(digest));
      if (!item) return { outcome: 'unknown' };
      const code = codeOf(digest, item);
      if (item.u !== undefined) return { outcome: 'redeemed', code, redeemedAt: item.u as number };
      return { outcome: code.expiresAt <= now ? 'expired' : 'active', code };
    },
    async redeem(digest, { binding, now, attempt }) {
      const { applied, item } = await table.update(place(digest), ({ value }) => ({
        set: { u: now, ut: attempt },
        when: [`b = ${value(binding)}`, 'attribute_not_exists(u)', `x > ${value(now)}`],
      }));
      if (!item) return { outcome: 'unknown' };
      const code = codeOf(digest, item);
      if (applied) return { outcome: 'redeemed', code };
      if (!same(code.binding, binding)) return { outcome: 'mismatched' };
      if (item.u === undefined) return { outcome: 'expired' };
      if (same(item.ut, attempt)) return { outcome: 'redeemed', code };
      return { outcome: 'replayed', grantId: code.grantId };
    },
    remove: async (digest) => (await table.remove(place(digest))).applied,
    purgeExpired: purge({ codes: 'o' }),
  };
}

function createClientAccessTokenStore(table: Table, purge: Purge): ClientAccessTokenStore {
  const place = (clientId: string, key: string) =>
    keyOf(
      't',
      createHash('sha256')
        .update(JSON.stringify([clientId, key]))
        .digest(),
    );
  return {
    async put({ clientId, key, expiresAt, data }) {
      await table.put({ ...place(clientId, key), x: expiresAt, l: expiresAt, d: data });
    },
    async get(clientId, key, { now }) {
      const item = await table.get(place(clientId, key));
      const expiresAt = Number(item?.x ?? 0);
      return expiresAt > now ? { clientId, key, expiresAt, data: item?.d as Uint8Array } : undefined;
    },
    remove: async (clientId, key) => (await table.remove(place(clientId, key))).applied,
    purgeExpired: purge({ clientAccessTokens: 't' }),
  };
}
