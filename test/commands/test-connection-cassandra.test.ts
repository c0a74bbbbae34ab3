import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'cassandra-driver';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { clientOptions } from '../../functions/stores/cassandra.ts';
import { startKeyspacesService } from '../aws/keyspaces-service.ts';
import { createCertificate } from '../deployment/local-aws.ts';
import { startNodes } from '../engines/cassandra.ts';
import { hosts, serverUrl } from '../stores/cassandra-server.ts';
import { describeOn } from '../stores/describe-on.ts';
import { createCommandLine } from './command-line.ts';

type Clusters = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** A configuration of these clusters, each with a store of tokens and one of received tokens. */
const configurationOf = (clusters: Clusters, levels: Record<string, object> = {}) => {
  const stores = (kind: string) =>
    Object.fromEntries(
      Object.keys(clusters).map((cassandra) => [
        `${kind} in ${cassandra}`,
        { storeIn: 'cassandra', cassandra, ...levels[cassandra] },
      ]),
    );
  return {
    accessTokenStores: stores('tokens'),
    clientAccessTokenStores: stores('received'),
    cassandra: Object.fromEntries(
      Object.entries(clusters).map(([name, cluster]) => [name, { engine: 'cassandra', keyspace: 'oauth', ...cluster }]),
    ),
  };
};

/** What is said of each connection, and the exit code. */
async function testAll(configuration: object) {
  const { status, stdout, stderr } = await createCommandLine(configuration).run(['test-connection']);
  const linesOf = (text: string) =>
    Object.fromEntries(
      text.split('\n').flatMap((line) => [/^(.+?): (.+)$/.exec(line)?.slice(1) ?? []].filter((pair) => pair.length)),
    );
  return { status, found: linesOf(stdout), faults: linesOf(stderr) };
}

describe('a keyspace', () => {
  it('has its statements printed, whole, as cqlsh takes them', async () => {
    const { run } = createCommandLine({
      cassandra: {
        own: {
          engine: 'cassandra',
          keyspace: 'tokens',
          replication: { strategy: 'NetworkTopologyStrategy', factors: { eu: 3 } },
        },
        aws: { engine: 'keyspaces', keyspace: 'oauth' },
      },
    });
    const [own, aws, refused] = await Promise.all([
      run(['schema', 'own']),
      run(['schema', 'aws']),
      run(['schema', 'own', '--roles']),
    ]);
    const scripts = ['oauth-server', 'oauth-client'].map((name) =>
      readFileSync(new URL(`../../sql/cassandra/${name}.cql`, import.meta.url), 'utf8'),
    );
    const lead = `CREATE KEYSPACE IF NOT EXISTS "tokens" WITH replication = {'class': 'NetworkTopologyStrategy', 'eu': 3};\nUSE "tokens";\n\n`;
    expect(own).toEqual({ status: 0, stdout: lead + scripts.join('\n'), stderr: '' });
    expect(aws.stdout).toMatch(
      /^CREATE KEYSPACE IF NOT EXISTS "oauth" WITH replication = \{'class': 'SingleRegionStrategy'\};/,
    );
    expect(aws.stdout.match(/\) WITH CUSTOM_PROPERTIES = \{'ttl': \{'status': 'enabled'\}\};/g)).toHaveLength(
      scripts.join('').match(/^CREATE TABLE/gm)?.length ?? 0,
    );
    expect(refused.stderr).toBe(
      '"own" is a keyspace: --roles and --from are for databases; what is missing there is found out\n',
    );
  });
});

describe('test-connection, of clusters that are not there', async () => {
  const stranger = createServer((socket) => socket.on('error', () => {}).end('SSH-2.0-OpenSSH\r\n')).listen(
    0,
    '127.0.0.1',
  );
  await once(stranger, 'listening');
  afterAll(() => {
    stranger.close();
  });
  const { port } = stranger.address() as AddressInfo;

  it('says in words what is wrong with each, and exits with 1', async () => {
    const clusters = {
      absent: { hosts: ['nowhere.invalid'], tls: false },
      closed: { hosts: ['127.0.0.1:1'] },
      'without TLS': { hosts: [`127.0.0.1:${port}`], tls: true },
      secret: { hosts: ['127.0.0.1:1'], user: 'app', password: { env: 'NOT_SET' } },
      certified: { hosts: ['127.0.0.1:1'], tls: { trustedCertificates: 'absent.pem' } },
    };
    const { status, found, faults } = await testAll(configurationOf(clusters));
    expect({ status, found }).toEqual({ status: 1, found: {} });
    expect(faults).toEqual({
      absent: 'none of the hosts is found: nowhere.invalid',
      closed: 'the port is refused: nobody listens at 127.0.0.1:1',
      'without TLS': `TLS failed: 127.0.0.1:${port} offers none; "tls": false is for a server on this machine`,
      secret: 'environment variable NOT_SET is not set; accepted: the password of the database',
      certified: expect.stringContaining('absent.pem'),
    });
  });
});

describe('Amazon Keyspaces', () => {
  it('is given keyspace and tables by the command line, and a table that is missing is named', async () => {
    const service = await startKeyspacesService('secret', 0);
    try {
      vi.stubEnv('AWS_ENDPOINT_URL', service.url);
      vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIAIOSFODNN7EXAMPLE');
      vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
      vi.stubEnv('AWS_REGION', 'eu-central-1');
      const aws = createCommandLine(configurationOf({ aws: { engine: 'keyspaces' } }));
      expect(await aws.run(['test-connection'])).toMatchObject({
        stderr: 'aws: the keyspace "oauth" is missing in this Region\n',
      });
      expect(await aws.run(['schema', 'aws', '--apply'])).toEqual({
        status: 0,
        stdout: 'the schema is applied to "aws"\n',
        stderr: '',
      });
      service.keyspaces.get('oauth')?.delete('oauth_code');
      expect(await aws.run(['test-connection'])).toMatchObject({
        stderr: 'aws: the keyspace "oauth" lacks the table oauth_code: apply the schema\n',
      });
    } finally {
      vi.unstubAllEnvs();
      await service.close();
    }
  });
});

describeOn(serverUrl)('test-connection, of a cluster', () => {
  const keyspaces = ['complete', 'empty', 'partly', 'older', 'strange'].map(
    (name) => `${name}_${randomUUID().slice(0, 8)}`,
  );
  const [complete = '', empty = '', partly = '', older = '', strange = ''] = keyspaces;
  const client = new Client(clientOptions({ hosts, keyspace: '' }));
  afterAll(async () => {
    for (const keyspace of keyspaces) await client.execute(`DROP KEYSPACE IF EXISTS ${keyspace}`);
    await client.shutdown();
  });

  it('says that everything is there once the schema is applied, and else what is wrong', async () => {
    for (const keyspace of [complete, partly, older, strange]) {
      const { run } = createCommandLine(configurationOf({ one: { hosts, keyspace } }));
      expect(await run(['schema', 'one', '--apply'])).toEqual({
        status: 0,
        stdout: 'the schema is applied to "one"\n',
        stderr: '',
      });
    }
    await client.execute(
      `CREATE KEYSPACE ${empty} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`,
    );
    await client.execute(`DROP TABLE ${partly}.oauth_client_token`);
    await client.execute(`ALTER TABLE ${older}.oauth_code DROP redemption`);
    await client.execute(`DROP TABLE ${strange}.oauth_code`);
    await client.execute(`CREATE TABLE ${strange}.oauth_code (id text PRIMARY KEY)`);
    const clusters = {
      complete: { hosts, keyspace: complete },
      missing: { hosts, keyspace: 'nowhere' },
      empty: { hosts, keyspace: empty },
      partly: { hosts, keyspace: partly },
      older: { hosts, keyspace: older },
      strange: { hosts, keyspace: strange },
      center: { hosts, keyspace: complete, localDataCenter: 'eu' },
      reading: { hosts, keyspace: complete },
      writing: { hosts, keyspace: complete },
      'with TLS': { hosts, keyspace: complete, tls: true },
    };
    const levels = { reading: { readConsistency: 'THREE' }, writing: { writeConsistency: 'TWO' } };
    const { status, found, faults } = await testAll(configurationOf(clusters, levels));
    const server = hosts.join();
    expect(status).toBe(1);
    expect(found).toEqual({
      complete: expect.stringMatching(
        new RegExp(`^Cassandra \\d\\S+ at ${server}, keyspace "${complete}": everything is there$`),
      ),
    });
    const replica = `the keyspace "${complete}" has one replica of each row`;
    expect(faults).toEqual({
      missing: 'the keyspace "nowhere" is missing: apply the schema, which makes it too',
      empty: expect.stringMatching(
        /^the schema is missing in the keyspace ".*": no table oauth_grant, .*; apply sql\/cassandra\/\*\.cql$/,
      ),
      partly: `the schema is missing in the keyspace "${partly}": no table oauth_client_token; apply sql/cassandra/*.cql`,
      older: `the schema of the keyspace "${older}" is of an older version, without oauth_code.redemption: apply it anew`,
      strange:
        'the table "oauth_code" has the key ((id)): ((code_digest)) is needed, so give the stores a keyspace of their own',
      center: `there is no data center "eu" at ${server}: "localDataCenter" is datacenter1`,
      reading: `the store "tokens in reading" reads at THREE, which cannot be: ${replica}`,
      writing: `the store "tokens in writing" writes at TWO, which cannot be: ${replica}`,
      'with TLS': `TLS failed: ${server} offers none; "tls": false is for a server on this machine`,
    });
  });
});

describeOn(serverUrl)('test-connection, of a cluster with users and TLS', () => {
  it('says whose login failed, which privileges are lacking, and which authority is not trusted', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'guarded-'));
    chmodSync(folder, 0o755); // the server may run as another user
    const { certificate, key } = await createCertificate(folder);
    const pem = join(folder, 'server.pem');
    writeFileSync(pem, readFileSync(key, 'utf8') + readFileSync(certificate, 'utf8'));
    const { nodes, port } = await startNodes(
      1,
      `authenticator: PasswordAuthenticator
authorizer: CassandraAuthorizer
client_encryption_options:
  enabled: true
  optional: true
  ssl_context_factory: {class_name: org.apache.cassandra.security.PEMBasedSslContextFactory}
  keystore: ${pem}
`,
    );
    const host = `127.0.0.1:${port}`;
    const admin = { hosts: [host], user: 'cassandra', password: 'cassandra' };
    const client = new Client(clientOptions({ ...admin, keyspace: '' }));
    try {
      await expect
        .poll(
          () =>
            client.execute('LIST ROLES').then(
              () => true,
              () => false,
            ),
          { timeout: 30_000 },
        )
        .toBe(true);
      const { run } = createCommandLine(configurationOf({ one: admin }));
      expect(await run(['schema', 'one', '--apply'])).toMatchObject({ status: 0 });
      for (const [user, privileges] of [
        ['reader', ['SELECT']],
        ['worker', ['SELECT', 'MODIFY']],
        ['nobody', []],
      ] as const) {
        await client.execute(`CREATE ROLE ${user} WITH PASSWORD = 'Mellon' AND LOGIN = true`);
        for (const privilege of privileges) await client.execute(`GRANT ${privilege} ON KEYSPACE oauth TO ${user}`);
      }
      const as = (user: string, more: object = {}) => ({ hosts: [host], user, password: 'Mellon', ...more });
      const { found, faults } = await testAll(
        configurationOf({
          worker: as('worker'),
          'over TLS': as('worker', { tls: { trustedCertificates: certificate } }),
          distrusted: as('worker', { tls: true }),
          reader: as('reader'),
          nobody: as('nobody'),
          mistyped: as('worker', { password: 'Melon' }),
          forgotten: { hosts: [host] },
        }),
      );
      const everything = expect.stringMatching(
        /^Cassandra \d\S+ at \S+, keyspace "oauth", user "worker": everything is there$/,
      );
      expect(found).toEqual({ worker: everything, 'over TLS': everything });
      expect(faults).toEqual({
        distrusted: expect.stringContaining(`TLS failed with ${host}: `),
        reader: expect.stringMatching(/^the user "reader" lacks privileges on oauth_grant \(MODIFY\), .*: grant them$/),
        nobody: expect.stringMatching(/^the user "nobody" lacks privileges on oauth_grant \(SELECT.*: grant them$/),
        mistyped: expect.stringMatching(new RegExp(`^the login as "worker" failed at ${host}: `)),
        forgotten: `the login as "" failed at ${host}: user and password are asked for, and none are given`,
      });
    } finally {
      await client.shutdown();
      await Promise.all(nodes.map((node) => node.stop()));
      rmSync(folder, { recursive: true });
    }
  }, 180_000);
});
