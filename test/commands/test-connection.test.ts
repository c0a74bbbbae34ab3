import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, describe, expect, it } from 'vitest';
import { examine } from '../../functions/stores/postgresql-diagnosis.ts';
import { startPostgresql } from '../engines/postgresql.ts';
import { createCommandLine } from './command-line.ts';

type Databases = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

const pool = { maxWaitMs: 2000 };

/** A configuration of these databases, each with a store of every kind. */
const configurationOf = (databases: Databases) => {
  const stores = (kind: string) =>
    Object.fromEntries(
      Object.keys(databases).map((database) => [`${kind} in ${database}`, { storeIn: 'database', database }]),
    );
  return {
    accessTokenStores: stores('tokens'),
    clientAccessTokenStores: stores('received'),
    databases: Object.fromEntries(
      Object.entries(databases).map(([name, database]) => [name, { engine: 'postgresql', pool, ...database }]),
    ),
  };
};

/** What is said of each connection, and the exit code. */
async function testAll(configuration: object, ...names: string[]) {
  const { status, stdout, stderr } = await createCommandLine(configuration).run(['test-connection', ...names]);
  const linesOf = (text: string) =>
    Object.fromEntries(
      text.split('\n').flatMap((line) => [/^(.+?): (.+)$/.exec(line)?.slice(1) ?? []].filter((pair) => pair.length)),
    );
  return { status, found: linesOf(stdout), faults: linesOf(stderr) };
}

async function listen(accept: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => accept(socket.on('error', () => {}))).listen(0, '127.0.0.1');
  await once(server, 'listening');
  afterAll(() => {
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

describe('test-connection, of servers that are not there, or not what they should be', async () => {
  const silent = await listen(() => {});
  const stranger = await listen((socket) => socket.end('SSH-2.0-OpenSSH\r\n'));
  const without = await listen((socket) => socket.once('data', () => socket.end('N')));
  const garbling = await listen((socket) => socket.once('data', () => socket.write('S', () => socket.end('garbage'))));
  const host = '127.0.0.1';
  const databases: Databases = {
    absent: { host: 'nowhere.invalid' },
    closed: { host, port: 1 },
    silent: { host, port: silent, pool: { maxWaitMs: 200 } },
    stranger: { host, port: stranger },
    'without TLS': { host, port: without, tls: true },
    garbling: { host, port: garbling, tls: true },
    socket: { host: '/nowhere' },
    deployed: {},
    secret: { host, user: 'app', password: { env: 'NOT_SET' } },
    certified: { host, tls: { trustedCertificates: 'absent.pem' } },
  };

  it('says in words what is wrong with each, and exits with 1', async () => {
    const { status, found, faults } = await testAll(configurationOf(databases));
    expect({ status, found }).toEqual({ status: 1, found: {} });
    expect(faults).toEqual({
      absent: 'the host "nowhere.invalid" is not found',
      closed: 'the port is refused: nobody listens at 127.0.0.1:1',
      silent: `no answer from 127.0.0.1:${silent} within 200 ms: a firewall or a security group may be in the way`,
      stranger: expect.stringContaining(
        `127.0.0.1:${stranger} ended the connection: it may not be a PostgreSQL server`,
      ),
      'without TLS': `TLS failed: 127.0.0.1:${without} offers none; "tls": false is for a server on this machine`,
      garbling: expect.stringContaining(`TLS failed with 127.0.0.1:${garbling}: `),
      socket: 'there is no socket in /nowhere',
      deployed:
        'the database "deployed" has neither url nor host: the deployment creates it, and its functions reach it',
      secret: 'environment variable NOT_SET is not set; accepted: the password of the database',
      certified: expect.stringContaining("no such file or directory, open 'absent.pem'"),
    });
  });

  it('says of what is in memory or embedded that there is nothing to connect to, and of what the deployment creates that it is reached from there', async () => {
    const others = {
      accessTokenStores: { tokens: { storeIn: 'database', database: 'embedded' } },
      caches: { memory: { engine: 'memory' }, table: { engine: 'dynamodb' } },
      databases: {
        embedded: { engine: 'postgresql', embedded: true, directory: 'files' },
        other: { engine: 'db2' },
      },
    };
    expect(await testAll(others)).toEqual({
      status: 1,
      found: {
        memory: 'in the memory of the process that serves it; there is nothing to connect to',
        embedded: 'embedded, in .data/files; there is no server to connect to',
      },
      faults: {
        table: 'the cache "table" has no tableName: the deployment creates its table, and its functions reach it',
        other: 'the database "other" has neither url nor host: the deployment creates it, and its functions reach it',
      },
    });
    expect(await testAll(others, 'tokens')).toMatchObject({ status: 0, found: { embedded: expect.anything() } });
  });

  it('asks a store that is kept there, where an engine has no other way to tell', async () => {
    const others = {
      accessTokenStores: { tokens: { cache: 'valkey' }, more: { storeIn: 'cassandra', cassandra: 'nodes' } },
      caches: {
        valkey: { engine: 'valkey', hosts: ['127.0.0.1:1'] },
        unused: { engine: 'valkey', hosts: ['127.0.0.1:1'] },
        created: { engine: 'valkey' },
      },
      artifactStores: { artifacts: { cache: 'created' } },
      cassandra: { nodes: { engine: 'cassandra', keyspace: 'oauth', hosts: ['127.0.0.1:1'] } },
    };
    expect(await testAll(others)).toEqual({
      status: 1,
      found: {},
      faults: {
        valkey: expect.stringMatching(/^Valkey cannot be reached: .*127\.0\.0\.1:1$/),
        unused: 'no store uses it, so there is nothing to ask it',
        created: 'caches["created"].hosts is missing; accepted: servers that are there',
        nodes: 'the port is refused: nobody listens at 127.0.0.1:1',
      },
    });
  });
});

it('a server is refused that is too old, or that only reads', async () => {
  const place = { server: 'db:5432', user: 'app', database: 'oauth' };
  const about = (row: Record<string, unknown>) => examine(async () => ({ rows: [row] }), place, []);
  expect(await about({ number: 120_022, version: '12.22', reads_only: false })).toEqual({
    fault: 'db:5432 is PostgreSQL 12.22: 13 or newer is needed',
  });
  expect(await about({ number: 130_000, version: '13.0', reads_only: true })).toEqual({
    fault: 'db:5432 takes no writes: it is a replica, or default_transaction_read_only is on',
  });
  expect(await about({ number: 130_000, version: '13.0', reads_only: false })).toMatchObject({
    found: expect.anything(),
  });
});

// The servers that npm carries are for this platform.
const isServed = process.platform === 'linux' && process.arch === 'x64';

const onServed = isServed ? describe : () => {};
onServed('test-connection, of a real server', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'test-connection-'));
  chmodSync(folder, 0o755); // the server may run as another user
  const rules = [
    'host all guarded 127.0.0.1/32 scram-sha-256',
    'host all banned 127.0.0.1/32 reject',
    'host all all 127.0.0.1/32 trust',
  ];
  writeFileSync(join(folder, 'pg_hba.conf'), `${rules.join('\n')}\n`);
  const server = isServed ? await startPostgresql('18', { hba_file: join(folder, 'pg_hba.conf') }) : undefined;
  afterAll(async () => {
    await server?.stop();
    rmSync(folder, { recursive: true });
  });
  const at = new URL(server?.url ?? 'postgres://postgres@127.0.0.1/postgres');
  const urlOf = (database: string, user = 'postgres') => `postgresql://${user}@${at.host}/${database}`;
  const change = async (database: string, ...statements: string[]) => {
    const client = new pg.Client({ connectionString: urlOf(database) });
    await client.connect();
    for (const statement of statements) await client.query(statement);
    await client.end();
  };

  it('says that everything is there once the schema is applied, and else what is wrong', async () => {
    const names = ['complete', 'empty', 'newer', 'older', 'replica', 'closed'];
    await change('postgres', ...names.map((name) => `CREATE DATABASE ${name}`));
    const complete = createCommandLine(configurationOf({ complete: { url: urlOf('complete') } }));
    const applying = ['schema', 'complete', '--apply'];
    const applied = { status: 0, stdout: 'the schema is applied to "complete"\n', stderr: '' };
    expect(await Promise.all([complete.run(applying), complete.run(applying)])).toEqual([applied, applied]);
    for (const name of ['newer', 'older']) {
      const other = createCommandLine(configurationOf({ [name]: { url: urlOf(name) } }));
      expect(await other.run(['schema', name, '--apply'])).toMatchObject({ status: 0 });
    }
    await change('newer', `UPDATE oauth_schema SET version = 2 WHERE component = 'oauth-client'`);
    await change('older', 'DROP TABLE client_access_token', 'DROP TABLE artifact');
    await change(
      'complete',
      `CREATE ROLE guarded LOGIN PASSWORD 'Mellon'`,
      'CREATE ROLE banned LOGIN',
      'CREATE ROLE reader LOGIN',
      'CREATE ROLE worker LOGIN',
      'GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader, worker, guarded',
      'GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO worker, guarded',
      'REVOKE INSERT, UPDATE, DELETE ON oauth_schema FROM worker',
      'REVOKE UPDATE ON artifact FROM worker',
    );
    await change(
      'postgres',
      'ALTER DATABASE replica SET default_transaction_read_only = on',
      'REVOKE CONNECT ON DATABASE closed FROM PUBLIC',
    );

    const { status, found, faults } = await testAll(
      configurationOf({
        complete: { url: urlOf('complete') },
        guarded: { url: urlOf('complete', 'guarded'), password: 'Mellon' },
        mistyped: { url: urlOf('complete', 'guarded'), password: 'Melon' },
        forgotten: { host: at.hostname, port: Number(at.port), database: 'complete', user: 'guarded' },
        banned: { url: urlOf('complete', 'banned') },
        stranger: { url: urlOf('complete', 'nobody') },
        reader: { url: urlOf('complete', 'reader') },
        worker: { url: urlOf('complete', 'worker') },
        closed: { url: urlOf('closed', 'reader') },
        empty: { url: urlOf('empty') },
        older: { url: urlOf('older') },
        newer: { url: urlOf('newer') },
        replica: { url: urlOf('replica') },
        missing: { url: urlOf('missing') },
        'with TLS': { url: urlOf('complete'), tls: true },
      }),
    );
    const everything = (user: string) =>
      expect.stringMatching(
        new RegExp(`^PostgreSQL 18\\.\\d+ at ${at.host}, database "complete", user "${user}": everything is there$`),
      );
    expect(status).toBe(1);
    expect(found).toEqual({ complete: everything('postgres'), guarded: everything('guarded') });
    const login = (user: string, why: string) => `the login as "${user}" failed at ${at.host}: ${why}`;
    expect(faults).toEqual({
      mistyped: login('guarded', 'password authentication failed for user "guarded"'),
      forgotten: login('guarded', 'a password is asked for, and none is given'),
      banned: expect.stringContaining(login('banned', 'pg_hba.conf rejects connection')),
      stranger: login('nobody', 'role "nobody" does not exist'),
      reader: expect.stringMatching(
        /^the user "reader" lacks privileges on access_token \(INSERT, UPDATE, DELETE\), artifact \(.*: grant them$/,
      ),
      worker: 'the user "worker" lacks privileges on artifact (UPDATE): grant them',
      closed: expect.stringMatching(/^the user "reader" lacks a privilege in the database "closed": permission denied/),
      empty: expect.stringMatching(
        /^the schema is missing in the database "empty": no table oauth_schema, oauth_grant, .*; apply sql\/postgresql\/oauth-server\.sql$/,
      ),
      older: expect.stringContaining('no table artifact that the user "postgres" can see'),
      newer: 'the schema oauth-client is of the wrong version 2: 1 is needed',
      replica: `${at.host} takes no writes: it is a replica, or default_transaction_read_only is on`,
      missing: `the database "missing" is missing at ${at.host}`,
      'with TLS': `TLS failed: ${at.host} offers none; "tls": false is for a server on this machine`,
    });
  });
});
