import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Client, types } from 'cassandra-driver';
import { describe, expect, it } from 'vitest';
import { createCluster } from '../../functions/stores/cassandra/cluster.ts';
import { engineOver } from '../../functions/stores/cassandra/engine.ts';
import { createStatements, type Decision, type Statement } from '../../functions/stores/cassandra/statements.ts';
import { clientOptions } from '../../functions/stores/cassandra.ts';
import { KEYSPACES, tablesOf } from '../../functions/stores/keyspaces.ts';
import { createVirtualClock } from '../conformance/index.ts';
import {
  countRounds,
  dumpKeyspace,
  hosts,
  lendKeyspace,
  listenSilently,
  ROUND_TRIPS,
  serverUrl,
} from './cassandra-server.ts';
import { conform } from './conform.ts';
import { describeOn } from './describe-on.ts';
import { lint, lintLevel, tablesIn } from './keyspaces-linter.ts';
import { leftToTtl } from './left-to-ttl.ts';

const scripts = await Promise.all(
  ['oauth-server', 'oauth-client'].map((name) =>
    readFile(new URL(`../../sql/cassandra/${name}.cql`, import.meta.url), 'utf8'),
  ),
);
const schema = scripts.flatMap(tablesOf);
const tables = tablesIn(schema);

/** Every statement that a store can send, by its name. */
const all = Object.entries(createStatements(KEYSPACES.dialect)).flatMap(([name, made]) => textsOf(name, made));

function textsOf(name: string, made: Statement | Decision | Record<string, Decision>): [string, string][] {
  if ('text' in made) return [[name, String(made.text)]];
  if ('statements' in made) {
    const { statements, shows } = made as Decision;
    return [...statements, ...shows].map(({ text }) => [name, text]);
  }
  return Object.entries(made).flatMap(([variant, decision]) => textsOf(`${name}.${variant}`, decision));
}

describe('every statement for Amazon Keyspaces', () => {
  it.each([...all, ...schema.map((text): [string, string] => ['schema', text])])(
    '%s: is one that it takes',
    (_, text) => {
      expect(lint(text, tables)).toEqual([]);
    },
  );

  it('is one statement: there are no batches', () => {
    const decisions = Object.values(createStatements(KEYSPACES.dialect)).flatMap((made) =>
      'text' in made ? [] : 'statements' in made ? [made as Decision] : (Object.values(made) as Decision[]),
    );
    expect(decisions.map(({ statements }) => statements.length)).toEqual(decisions.map(() => 1));
  });

  it.each([
    ['SELECT COUNT(*) FROM oauth_grant', 'aggregates'],
    ['TRUNCATE oauth_grant', 'TRUNCATE'],
    ['CREATE INDEX ON oauth_grant (subject)', 'secondary indexes'],
    ['CREATE CUSTOM INDEX i ON oauth_grant (subject)', 'secondary indexes'],
    ['CREATE MATERIALIZED VIEW v AS SELECT * FROM oauth_grant', 'materialized views'],
    ['CREATE FUNCTION f (x int) RETURNS int', 'functions and triggers'],
    ['ALTER TYPE t ADD x int', 'ALTER TYPE'],
    ['SELECT DISTINCT grant_id FROM oauth_grant', 'DISTINCT'],
    ['SELECT * FROM oauth_grant PER PARTITION LIMIT 1', 'PER PARTITION LIMIT'],
    ['SELECT * FROM oauth_code WHERE grant_id = ? ALLOW FILTERING', 'filtering: it is charged by what it reads'],
    ['UPDATE oauth_code SET attempt = ? WHERE code_digest = ? IF attempt != 0x', '!='],
    ['INSERT INTO oauth_code (code_digest) VALUES (?) USING TIMESTAMP 1', 'timestamps of the client'],
    ['INSERT INTO oauth_code (code_digest) VALUES (?) USING TTL ? AND TIMESTAMP 1', 'timestamps of the client'],
    ['BEGIN BATCH UPDATE oauth_code SET attempt = ? WHERE code_digest = ? IF attempt = ? APPLY BATCH', 'batches'],
    ['DELETE FROM oauth_code WHERE code_digest IN (?, ?)', 'IN in a write'],
    ['UPDATE oauth_code SET attempt = ? WHERE code_digest IN ?', 'IN in a write'],
    ['UPDATE oauth_code SET attempt = ? WHERE code_digest = ? IF attempt IN (?, ?)', 'IN in a condition'],
    ['DELETE FROM oauth_grant WHERE grant_id = ? AND access_digest > ?', 'a range in a write'],
    ['DELETE FROM oauth_grant WHERE grant_id = ?', 'a write without the whole key'],
    ['UPDATE oauth_grant SET expires_at = ? WHERE grant_id = ?', 'a write without the whole key'],
    ['DELETE FROM oauth_elsewhere WHERE id = ?', 'the table oauth_elsewhere, which is not in the schema'],
    ['CREATE TABLE t (id blob PRIMARY KEY)', 'a table without TTL, whose rows are given one'],
    ['GRANT ALL ON oauth_grant TO x', 'GRANT'],
  ])('the linter refuses %s', (text, breach) => {
    expect(lint(text, tables)).toContain(breach);
  });

  it('the linter refuses levels that are not there, and any serial one', () => {
    for (const level of ['ANY', 'TWO', 'QUORUM', 'ALL', 'SERIAL', 'LOCAL_SERIAL', 'EACH_QUORUM']) {
      expect(lintLevel('SELECT a FROM b', level, undefined)).toHaveLength(1);
    }
    for (const level of ['ANY', 'ONE', 'LOCAL_ONE', 'QUORUM', 'ALL']) {
      expect(lintLevel('UPDATE b SET a = ?', level, undefined)).toHaveLength(1);
    }
    expect(lintLevel('UPDATE b SET a = ?', 'LOCAL_QUORUM', 'LOCAL_SERIAL')).toHaveLength(1);
    expect(lintLevel('UPDATE b SET a = ?', 'LOCAL_QUORUM', undefined)).toEqual([]);
    expect(lintLevel('SELECT a FROM b', 'LOCAL_ONE', undefined)).toEqual([]);
  });
});

const clock = createVirtualClock(Date.now());
const silentPort = await listenSilently();
const settings = { hosts, keyspace: `conformance_${randomUUID().slice(0, 8)}`, requestTimeoutMs: 30_000 };
if (serverUrl !== undefined) await lendKeyspace(settings);

/** The statements, levels and dialect of Keyspaces, on a node of Cassandra: without its TLS and its signatures. */
const openOn = (place: Parameters<typeof clientOptions>[0]) => async () => {
  const options = () => ({ ...clientOptions(place), keyspace: settings.keyspace });
  const cluster = createCluster({ ...KEYSPACES, options }, clock.nowMs);
  return engineOver(cluster, { read: 'LOCAL_QUORUM', write: 'LOCAL_QUORUM' }, clock.nowMs);
};
const openAt = (port: number) =>
  openOn({ ...settings, hosts: [`127.0.0.1:${port}`], connectTimeoutMs: 300, requestTimeoutMs: 300 });

const levelName = (level: number) =>
  Object.keys(types.consistencies)
    .find((name) => types.consistencies[name as keyof typeof types.consistencies] === level)
    ?.replace(/[A-Z]/g, '_$&')
    .toUpperCase() ?? 'none';

/** Refuses what Keyspaces would refuse, whatever Cassandra would do with it. */
function refuseAsKeyspaces(keyspace: string) {
  const { execute, batch } = Client.prototype;
  const sends = (client: Client) => client.keyspace === keyspace;
  const checked = function (this: Client, query: string, params: unknown, options: Record<string, number | undefined>) {
    const serial = options?.serialConsistency === undefined ? undefined : levelName(options.serialConsistency);
    const breaches =
      options?.prepare === undefined
        ? []
        : [...lint(query, tables), ...lintLevel(query, levelName(options.consistency ?? -1), serial)];
    if (sends(this) && breaches.length > 0) throw new Error(`Keyspaces has no ${breaches.join(', ')}: ${query}`);
    return (execute as (...values: unknown[]) => unknown).call(this, query, params, options);
  };
  const unbatched = function (this: Client, ...values: Parameters<typeof batch>) {
    if (sends(this)) throw new Error('Keyspaces has no conditional batches');
    return batch.apply(this, values);
  };
  Object.assign(Client.prototype, { execute: checked, batch: unbatched });
}

refuseAsKeyspaces(settings.keyspace);

describeOn(serverUrl)('the statements for Amazon Keyspaces, on a node of Cassandra', () => {
  conform(
    'keyspaces',
    {
      open: openOn(settings),
      clock,
      capabilities: {
        concurrent: true,
        purges: [],
        purgeBatch: 1,
        // After a refusal the record is read.
        roundTrips: Object.fromEntries([
          ...[
            'accessTokens.rotate expired',
            'accessTokens.rotate mismatched',
            'accessTokens.rotate rotated',
            'accessTokens.rotate retried',
            'accessTokens.rotate revoked',
            'accessTokens.rotate unknown',
            'accessTokens.rotate',
            'accessTokens.addRefresh',
            'authorizationCodes.redeem',
            'authorizationCodes.redeem unknown',
            'authorizationCodes.redeem mismatched',
            'authorizationCodes.redeem expired',
            'authorizationCodes.redeem replayed',
          ].map((name) => [name, 2]),
          ...Object.entries(ROUND_TRIPS),
          ['accessTokens.rotate reused', 3],
          ['artifacts.removeByConsent', 3],
        ]),
      },
      outage: { refused: openAt(1), silent: openAt(silentPort) },
      roundTrips: countRounds(),
      dump: () => dumpKeyspace({ ...settings }),
    },
    {
      ...leftToTtl,
      'connections cannot be cut from here': [
        'a rotation or redemption whose connection is cut fails with a coded error at most, and its repeat tells how it went',
      ],
      'the storage cannot be restarted from here': [
        'what was acknowledged is there after a restart: tokens, revocations, redemptions, the retired generation',
      ],
    },
  );
});
