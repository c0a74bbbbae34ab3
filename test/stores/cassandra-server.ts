import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { Client } from 'cassandra-driver';
import { afterAll } from 'vitest';
import { statementsOf } from '../../functions/config/cassandra-tables.ts';
import { applySchema, keyspaceScript } from '../../functions/stores/cassandra/schema.ts';
import { type CassandraSettings, clientOptions } from '../../functions/stores/cassandra.ts';
import type { RoundTrips } from '../conformance/index.ts';

/** The server of CASSANDRA_URL; none where there is none, and then what needs it does not run. */
export const serverUrl = process.env.CASSANDRA_URL;

export const hosts = [new URL(serverUrl ?? 'cassandra://127.0.0.1:1').host];

const scripts = ['oauth-server', 'oauth-client'].map(
  (name) => new URL(`../../sql/cassandra/${name}.cql`, import.meta.url),
);

/** Makes a keyspace with all tables in it. */
export async function createKeyspace(settings: CassandraSettings, factor = 1): Promise<void> {
  const options = clientOptions(settings);
  await applySchema(options, [keyspaceScript(settings.keyspace, { strategy: 'SimpleStrategy', factor })]);
  for (const script of scripts) {
    await applySchema({ ...options, keyspace: settings.keyspace }, statementsOf(await readFile(script, 'utf8')));
  }
}

/** A keyspace with all tables in it, until the tests of the file are over. */
export async function lendKeyspace(borrower: CassandraSettings): Promise<void> {
  // What a busy node takes its time for is a change of its schema.
  const settings = { ...borrower, requestTimeoutMs: 60_000 };
  await createKeyspace(settings);
  afterAll(() => applySchema(clientOptions(settings), [`DROP KEYSPACE IF EXISTS "${settings.keyspace}"`]));
}

/** Everything in a keyspace: text as it is, bytes in hexadecimal. */
export async function dumpKeyspace(settings: CassandraSettings): Promise<Uint8Array> {
  const client = new Client({ ...clientOptions(settings), keyspace: settings.keyspace });
  const parts: string[] = [];
  const tables = await client.execute('SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?', [
    settings.keyspace,
  ]);
  for (const { table_name } of tables.rows) {
    for await (const row of await client.execute(`SELECT * FROM ${table_name}`)) {
      parts.push(JSON.stringify(Object.fromEntries(row.keys().map((name) => [name, textOf(row[name])]))));
    }
  }
  await client.shutdown();
  return Buffer.from(parts.join('\n'));
}

const textOf = (value: unknown) => (Buffer.isBuffer(value) ? value.toString('hex') : String(value));

/** A port that takes connections and never answers. */
export async function listenSilently(): Promise<number> {
  const listener = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  afterAll(() => {
    listener.close();
  });
  return (listener.address() as AddressInfo).port;
}

/** A way to a node whose connections can be cut, or come to nothing. */
export async function listenBefore(host: string) {
  const [address = '', port = ''] = host.split(':');
  const open = new Set<Socket>();
  const silent = new Set<Socket>();
  const [callers, nodes] = [new Set<Socket>(), new Set<Socket>()];
  const listener = createServer((near) => {
    const far = connect(Number(port), address);
    callers.add(near);
    nodes.add(far);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(one);
      one.on('error', () => {});
      one.on('close', () => {
        open.delete(one);
        other.destroy();
      });
      one.on('data', (chunk) => {
        if (!silent.has(one)) other.write(chunk);
      });
    }
  }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  afterAll(() => {
    listener.close();
  });
  const cut = () => {
    for (const socket of open) socket.destroy();
  };
  /** From now on nothing that the other end says on a connection that is open arrives, and nobody is told. */
  const swallow = (what: 'requests' | 'answers') => {
    for (const socket of what === 'requests' ? callers : nodes) silent.add(socket);
  };
  return { host: `127.0.0.1:${(listener.address() as AddressInfo).port}`, cut, swallow };
}

/** Counts what is sent: statements that are sent before anything is waited for are one round trip. */
export function countRounds(): RoundTrips {
  let rounds = 0;
  let isSending = false;
  for (const method of ['execute', 'batch'] as const) {
    const original = Client.prototype[method] as (...values: unknown[]) => unknown;
    Object.assign(Client.prototype, {
      [method](this: unknown, ...values: unknown[]) {
        if (!isSending) {
          rounds += 1;
          isSending = true;
          // Whatever the caller sends without waiting for an answer, it sends before this comes up.
          setImmediate(() => {
            isSending = false;
          });
        }
        return original.apply(this, values);
      },
    });
  }
  return {
    reset: () => {
      rounds = 0;
    },
    count: () => rounds,
  };
}

/** What takes more than one round trip. */
export const ROUND_TRIPS: Readonly<Record<string, number>> = {
  // The pointers, and the periods that are new; the marks; the grant.
  'accessTokens.persist': 3,
  // The grant is ended by a second transaction.
  'accessTokens.rotate reused': 2,
  // The way, then where it leads.
  'accessTokens.findAccess foreign': 2,
  'accessTokens.findRefresh foreign': 2,
  'artifacts.findByUid': 3,
  'artifacts.findByUserCode': 3,
  // Whether its ways are still its own.
  'artifacts.find': 2,
  // What stands, for how long, and then its end.
  'accessTokens.revokeAccess': 2,
  'accessTokens.revokeRefresh': 2,
  'accessTokens.revokeGrant': 2,
  'accessTokens.revokeAccessOfGrant': 2,
  // The mark, the periods, the pointers; what stands, and its end, for each of fifty grants at a time.
  'accessTokens.revokeBy': 85,
  'accessTokens.listGrants': 3,
  'clientAccessTokens.remove': 2,
  'artifacts.removeByConsent': 2,
};
