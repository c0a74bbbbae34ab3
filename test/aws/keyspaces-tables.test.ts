import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { callAws } from '../../functions/aws.ts';
import { tablesIn } from '../../functions/config/cassandra-tables.ts';
import { ensureKeyspace, ensureTables, missingTables } from '../../functions/keyspaces-tables.ts';
import { type FakeKeyspacesService, startKeyspacesService } from './keyspaces-service.ts';

const scripts = ['oauth-server', 'oauth-client'].map((name) =>
  readFileSync(new URL(`../../sql/cassandra/${name}.cql`, import.meta.url), 'utf8'),
);
const tables = scripts.flatMap(tablesIn);
const names = tables.map(({ name }) => name);
const wanted = { keyspace: 'oauth', tables };
const patience = () => ({ clock: Date.now, untilMs: Date.now() + 20_000, pauseMs: 2 });

let service: FakeKeyspacesService;
const tableOf = (name: string) => {
  const table = service.keyspaces.get('oauth')?.get(name);
  if (!table) throw new Error(`no table ${name}`);
  return table;
};
const columnsOf = (name: string) => tableOf(name).schemaDefinition.allColumns as { name: string; type: string }[];

beforeEach(async () => {
  service = await startKeyspacesService('secret');
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

describe('the tables of a keyspace', () => {
  it('are made as the script says, and can be used when it returns', async () => {
    expect(await ensureTables(callAws, wanted, patience())).toEqual(names.map((name) => `the table ${name}`));
    for (const { name, columns } of tables) {
      const { status, ttl, pointInTimeRecovery, schemaDefinition } = tableOf(name);
      expect({ status, ttl, pointInTimeRecovery }).toEqual({
        status: 'ACTIVE',
        ttl: { status: 'ENABLED' },
        pointInTimeRecovery: { status: 'ENABLED' },
      });
      expect(columnsOf(name)).toEqual(columns.map((column) => ({ name: column.name, type: column.type })));
      const ofKind = (kind: string) => columns.flatMap((column) => (column.kind === kind ? [column.name] : []));
      const given = (list: { name: string }[] = []) => list.map((column) => column.name);
      expect(given(schemaDefinition.partitionKeys)).toEqual(ofKind('partition_key'));
      expect(given(schemaDefinition.clusteringKeys)).toEqual(ofKind('clustering'));
      expect(given(schemaDefinition.staticColumns)).toEqual(ofKind('static'));
    }
    expect(columnsOf('oauth_grant').length).toBeGreaterThan(20);
  });

  it('that are there are left as they are', async () => {
    await ensureTables(callAws, wanted, patience());
    service.asked.length = 0;
    expect(await ensureTables(callAws, wanted, patience())).toEqual([]);
    expect(await missingTables(callAws, wanted, patience())).toEqual([]);
    expect([...new Set(service.asked.map(({ action }) => action))]).toEqual(['GetKeyspace', 'GetTable']);
  });

  it('are made once by five that make them at the same time', async () => {
    const made = await Promise.all(Array.from({ length: 5 }, () => ensureTables(callAws, wanted, patience())));
    expect(made.flat().toSorted()).toEqual(names.map((name) => `the table ${name}`).toSorted());
  });

  it('are given what they lack: one that is missing, a column, the TTL of rows', async () => {
    await ensureTables(callAws, wanted, patience());
    service.keyspaces.get('oauth')?.delete('oauth_owner');
    const code = columnsOf('oauth_code').findIndex(({ name }) => name === 'redemption');
    columnsOf('oauth_code').splice(code, 1);
    delete tableOf('oauth_code').ttl;
    const missing = ['the column oauth_code.redemption', 'the TTL of rows of oauth_code', 'the table oauth_owner'];
    expect((await missingTables(callAws, wanted, patience())).toSorted()).toEqual(missing.toSorted());
    expect((await ensureTables(callAws, wanted, patience())).toSorted()).toEqual(missing.toSorted());
    expect(await missingTables(callAws, wanted, patience())).toEqual([]);
    expect(columnsOf('oauth_code').at(-1)).toEqual({ name: 'redemption', type: 'blob' });
  });

  it('are recognised where the service writes a type in its own way', async () => {
    await ensureTables(callAws, wanted, patience());
    for (const name of names) {
      for (const column of columnsOf(name))
        column.type = column.type.replace(/^frozen<(.*)>$/, '$1').replace(', ', ',');
    }
    expect(await missingTables(callAws, wanted, patience())).toEqual([]);
  });

  it('that are others, or cannot be used, are all told in words, and nothing is changed', async () => {
    await ensureTables(callAws, wanted, patience());
    Object.assign(tableOf('oauth_owner'), { status: 'INACCESSIBLE_ENCRYPTION_CREDENTIALS' });
    Object.assign(tableOf('oauth_revocation').schemaDefinition, { clusteringKeys: [{ name: 'at_ms' }] });
    const code = columnsOf('oauth_code').find(({ name }) => name === 'expires_at');
    Object.assign(code ?? {}, { type: 'text' });
    const { schemaDefinition } = tableOf('oauth_grant');
    schemaDefinition.staticColumns.pop();
    const column = schemaDefinition.allColumns.findIndex(({ name }: { name: string }) => name === 'client_id');
    schemaDefinition.allColumns.splice(column, 1);
    schemaDefinition.staticColumns = schemaDefinition.staticColumns.filter(
      ({ name }: { name: string }) => name !== 'client_id',
    );
    service.keyspaces.get('oauth')?.delete('oauth_foreign');
    const error = await ensureTables(callAws, wanted, patience()).catch((reason) => reason);
    expect(error).toMatchObject({ code: 'unsupported' });
    expect(error.message.split('; ')).toEqual([
      'the column "access_ended_at" of the table "oauth_grant" is frozen<list<bigint>>: frozen<list<bigint>> STATIC is needed',
      'the column "client_id" of the table "oauth_grant" is missing, which CQL alone can add: ALTER TABLE oauth_grant ADD client_id text STATIC',
      'the table "oauth_owner" cannot be used: its status is INACCESSIBLE_ENCRYPTION_CREDENTIALS',
      'the table "oauth_revocation" has the key ((selector), at_ms): ((selector), at_ms, retain_until) is needed, so give the stores a keyspace of their own',
      'the column "expires_at" of the table "oauth_code" is text: bigint is needed',
    ]);
    expect(service.asked.filter(({ action }) => action === 'UpdateTable')).toEqual([]);
    expect(service.keyspaces.get('oauth')?.has('oauth_foreign')).toBe(false);
  });

  it('are looked for in their own Region', async () => {
    await ensureTables(callAws, { ...wanted, region: 'eu-west-1' }, patience());
    expect([...new Set(service.asked.map(({ region }) => region))]).toEqual(['eu-west-1']);
  });

  it('are waited for no longer than there is time', async () => {
    await service.close();
    service = await startKeyspacesService('secret', 1e9);
    service.keyspaces.set('oauth', new Map());
    vi.stubEnv('AWS_ENDPOINT_URL', service.url);
    const short = { clock: Date.now, untilMs: Date.now() + 300, pauseMs: 20 };
    await expect(ensureTables(callAws, wanted, short)).rejects.toMatchObject({
      code: 'timeout',
      message: expect.stringMatching(
        /^the table "oauth_\w+" is still CREATING$|^the service is not done with the table oauth_\w+$/,
      ),
    });
  });

  it('are not made by a request that is signed with another key', async () => {
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'another');
    await expect(ensureTables(callAws, wanted, patience())).rejects.toThrow('InvalidSignatureException');
  });

  it('say which action is not permitted', async () => {
    service.refusals.set('CreateTable', 'AccessDeniedException');
    await expect(ensureTables(callAws, wanted, patience())).rejects.toMatchObject({
      code: 'unsupported',
      message: 'KeyspacesService.CreateTable: AccessDeniedException',
    });
  });
});

describe('a keyspace', () => {
  it('that is missing is said to be', async () => {
    const elsewhere = { ...wanted, keyspace: 'nowhere', region: 'eu-west-1' };
    await expect(missingTables(callAws, elsewhere, patience())).rejects.toThrow(
      'the keyspace "nowhere" is missing in eu-west-1',
    );
  });

  it('is made where it is missing, once, whoever asks for it', async () => {
    const made = { ...wanted, keyspace: 'made' };
    await Promise.all([1, 2, 3].map(() => ensureKeyspace(callAws, made, patience())));
    expect(service.keyspaces.has('made')).toBe(true);
    await ensureKeyspace(callAws, made, patience());
    const creations = service.asked.filter(({ action }) => action === 'CreateKeyspace');
    expect(creations[0]?.body).toEqual({
      keyspaceName: 'made',
      replicationSpecification: { replicationStrategy: 'SINGLE_REGION' },
    });
  });
});
