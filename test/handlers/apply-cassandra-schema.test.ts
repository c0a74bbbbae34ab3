import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Client } from 'cassandra-driver';
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { tablesIn } from '../../functions/config/cassandra-tables.ts';
import { createApplyCassandraSchema } from '../../functions/handlers/apply-cassandra-schema.ts';
import { createApplyKeyspacesSchema } from '../../functions/handlers/apply-keyspaces-schema.ts';
import { clientOptions } from '../../functions/stores/cassandra.ts';
import { type FakeKeyspacesService, startKeyspacesService } from '../aws/keyspaces-service.ts';
import { hosts, serverUrl } from '../stores/cassandra-server.ts';
import { describeOn } from '../stores/describe-on.ts';

const scripts = Object.fromEntries(
  ['oauth-server.cql', 'oauth-client.cql'].map((name) => [
    name,
    readFileSync(new URL(`../../sql/cassandra/${name}`, import.meta.url), 'utf8'),
  ]),
);
const names = Object.values(scripts)
  .flatMap(tablesIn)
  .map(({ name }) => name);
const tables = names.map((name) => `the table ${name}`).join(', ');
const invocation = { getRemainingTimeInMillis: () => 60_000, awsRequestId: 'request' };

interface Call {
  readonly application?: 'automatic' | 'manual';
  readonly type?: 'Create' | 'Update' | 'Delete';
}

describeOn(serverUrl)('apply-cassandra-schema, as CloudFormation calls it', () => {
  const client = new Client(clientOptions({ hosts, keyspace: '' }));
  const made: string[] = [];
  const newKeyspace = () => {
    made.push(`applied_${randomUUID().slice(0, 8)}`);
    return made.at(-1) ?? '';
  };
  afterAll(async () => {
    for (const keyspace of made) await client.execute(`DROP KEYSPACE IF EXISTS ${keyspace}`);
    await client.shutdown();
  });
  const call = (keyspace: string, { application = 'automatic', type = 'Create' }: Call = {}, more: object = {}) => {
    const replication = { strategy: 'SimpleStrategy', factor: 1 };
    const cluster = {
      engine: 'cassandra',
      hosts,
      localDataCenter: 'datacenter1',
      keyspace,
      replication,
      tls: false,
      ...more,
    };
    const apply = createApplyCassandraSchema(
      async () => scripts,
      async () => 'secret',
    );
    return apply(
      { RequestType: type, ResourceProperties: { application, cluster: JSON.stringify(cluster) } },
      invocation,
    );
  };

  it('makes keyspace and tables, again without doing anything, and leaves them when it is deleted', async () => {
    const keyspace = newKeyspace();
    const PhysicalResourceId = `schema of ${keyspace}`;
    expect(await call(keyspace)).toEqual({
      PhysicalResourceId,
      Data: { scripts: `the keyspace ${keyspace}, ${tables}` },
    });
    expect(await call(keyspace, { type: 'Update' })).toEqual({ PhysicalResourceId, Data: { scripts: '' } });
    expect(await call(keyspace, { type: 'Delete' })).toEqual({ PhysicalResourceId, Data: { scripts: '' } });
    expect(await call(keyspace, { application: 'manual', type: 'Update' })).toMatchObject({ Data: { scripts: '' } });
  });

  it('left to others, says at first what is missing, and fails an update until it is there', async () => {
    const keyspace = newKeyspace();
    expect(await call(keyspace, { application: 'manual' })).toMatchObject({
      Data: { scripts: `the keyspace ${keyspace}` },
    });
    await expect(call(keyspace, { application: 'manual', type: 'Update' })).rejects.toThrow(
      `the keyspace "${keyspace}" lacks the keyspace ${keyspace}: apply what "oauth2-stores schema" prints`,
    );
  });

  it('says in words which tables are not its own', async () => {
    const keyspace = newKeyspace();
    await client.execute(
      `CREATE KEYSPACE ${keyspace} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`,
    );
    await client.execute(`CREATE TABLE ${keyspace}.oauth_code (id blob PRIMARY KEY)`);
    await expect(call(keyspace)).rejects.toThrow(
      'the table "oauth_code" has the key ((id)): ((code_digest)) is needed',
    );
  });
});

describe('apply-keyspaces-schema, as CloudFormation calls it', () => {
  let service: FakeKeyspacesService;
  beforeEach(async () => {
    service = await startKeyspacesService('secret', 0);
    service.keyspaces.set('oauth', new Map());
    vi.stubEnv('AWS_ENDPOINT_URL', service.url);
    vi.stubEnv('AWS_REGION', 'eu-central-1');
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIAIOSFODNN7EXAMPLE');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    await service.close();
  });
  const call = ({ application = 'automatic', type = 'Create' }: Call = {}, more: object = {}) =>
    createApplyKeyspacesSchema(async () => scripts)(
      { RequestType: type, ResourceProperties: { application, keyspace: 'oauth', ...more } },
      invocation,
    );

  it('makes the tables that are missing, again without doing anything, and leaves them when it is deleted', async () => {
    expect(await call()).toEqual({ PhysicalResourceId: 'schema of oauth', Data: { scripts: tables } });
    expect(await call({ type: 'Update' })).toMatchObject({ Data: { scripts: '' } });
    service.asked.length = 0;
    await call({ type: 'Delete' });
    expect(service.asked).toEqual([]);
  }, 20_000);

  it('left to others, fails an update until the tables are there', async () => {
    expect(await call({ application: 'manual' })).toMatchObject({ Data: { scripts: tables } });
    await expect(call({ application: 'manual', type: 'Update' })).rejects.toThrow(
      `the keyspace "oauth" lacks ${tables}: apply it by "oauth2-stores schema", with --apply`,
    );
    expect(service.asked.some(({ action }) => action === 'CreateTable')).toBe(false);
  });

  it('says in words which keyspace is missing, and what is not permitted', async () => {
    await expect(call({}, { keyspace: 'nowhere', region: 'eu-west-1' })).rejects.toThrow(
      'the keyspace "nowhere" is missing in eu-west-1',
    );
    service.refusals.set('GetKeyspace', 'AccessDeniedException');
    await expect(call()).rejects.toThrow('KeyspacesService.GetKeyspace: AccessDeniedException');
  });
});
