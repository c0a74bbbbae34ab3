import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Client } from 'cassandra-driver';
import { afterAll, describe, expect, it } from 'vitest';
import { tablesIn } from '../../functions/config/cassandra-tables.ts';
import { applySchema, keyspaceScript } from '../../functions/stores/cassandra/schema.ts';
import { ensureTables, missingTables } from '../../functions/stores/cassandra/tables.ts';
import { clientOptions } from '../../functions/stores/cassandra.ts';
import { hosts, serverUrl } from './cassandra-server.ts';
import { describeOn } from './describe-on.ts';

const scripts = ['oauth-server', 'oauth-client'].map((name) =>
  readFileSync(new URL(`../../sql/cassandra/${name}.cql`, import.meta.url), 'utf8'),
);
const names = scripts.flatMap(tablesIn).map(({ name }) => name);
const replication = { strategy: 'SimpleStrategy', factor: 1 } as const;
const options = () => clientOptions({ hosts, keyspace: '' });

const made: string[] = [];
const newKeyspace = () => {
  const keyspace = `tables_${randomUUID().slice(0, 8)}`;
  made.push(keyspace);
  return { keyspace, replication, scripts };
};
const client = new Client(options());
const run = async (query: string) => (await client.execute(query)).rows;
afterAll(async () => {
  if (serverUrl !== undefined) for (const keyspace of made) await run(`DROP KEYSPACE IF EXISTS ${keyspace}`);
  await client.shutdown();
});

describeOn(serverUrl)('a keyspace', () => {
  it('is made with its tables, whoever asks for it, and however many at once', async () => {
    const wanted = newKeyspace();
    const everything = [`the keyspace ${wanted.keyspace}`, ...names.map((name) => `the table ${name}`)];
    expect(await missingTables(options, wanted)).toEqual(everything.slice(0, 1));
    const said = await Promise.all(Array.from({ length: 6 }, () => ensureTables(options, wanted)));
    for (const words of said) expect(everything).toEqual(expect.arrayContaining(words));
    expect(await missingTables(options, wanted)).toEqual([]);
    expect(await ensureTables(options, wanted)).toEqual([]);
  });

  it('has tables whose ids follow from their names, so that nodes which make one at the same moment make the same', async () => {
    const idsIn = async (keyspace: string) => {
      const rows = await run(`SELECT table_name, id FROM system_schema.tables WHERE keyspace_name = '${keyspace}'`);
      return new Map(rows.map(({ table_name, id }) => [table_name, String(id)]));
    };
    const [wanted, other] = [newKeyspace(), newKeyspace()];
    await Promise.all([wanted, other].map((each) => ensureTables(options, each)));
    const ids = await idsIn(wanted.keyspace);
    expect([...ids.keys()].toSorted()).toEqual(names.toSorted());
    expect(new Set([...ids.values(), ...(await idsIn(other.keyspace)).values()]).size).toBe(2 * names.length);
    await run(`DROP KEYSPACE ${wanted.keyspace}`);
    await ensureTables(options, wanted);
    expect(await idsIn(wanted.keyspace)).toEqual(ids);
  });

  it('is given what it lacks: tables, columns, static ones too', async () => {
    const wanted = newKeyspace();
    await ensureTables(options, wanted);
    await run(`DROP TABLE ${wanted.keyspace}.oauth_owner`);
    await run(`ALTER TABLE ${wanted.keyspace}.oauth_grant DROP refresh_attempt`);
    await run(`ALTER TABLE ${wanted.keyspace}.oauth_code DROP redemption`);
    const lacking = [
      'the column oauth_grant.refresh_attempt',
      'the table oauth_owner',
      'the column oauth_code.redemption',
    ];
    expect(await missingTables(options, wanted)).toEqual(lacking);
    const said = await Promise.all([1, 2, 3].map(() => ensureTables(options, wanted)));
    for (const words of said) expect(lacking).toEqual(expect.arrayContaining(words));
    expect(await missingTables(options, wanted)).toEqual([]);
  });

  it('that holds other tables of these names is refused, each of them in words, and left as it is', async () => {
    const wanted = newKeyspace();
    await applySchema(options(), [keyspaceScript(wanted.keyspace, replication)]);
    await run(`CREATE TABLE ${wanted.keyspace}.oauth_code (id blob PRIMARY KEY)`);
    await run(
      `CREATE TABLE ${wanted.keyspace}.oauth_foreign (kind text, digest blob, grant_id text, PRIMARY KEY ((kind, digest)))`,
    );
    await expect(ensureTables(options, wanted)).rejects.toMatchObject({
      code: 'unsupported',
      message: [
        'the column "grant_id" of the table "oauth_foreign" is text: blob is needed',
        'the table "oauth_code" has the key ((id)): ((code_digest)) is needed, so give the stores a keyspace of their own',
      ].join('; '),
    });
    expect(
      await run(`SELECT table_name FROM system_schema.tables WHERE keyspace_name = '${wanted.keyspace}'`),
    ).toHaveLength(2);
  });

  it('is made over nodes of another data center than the one that functions ask', async () => {
    const elsewhere = () => clientOptions({ hosts, keyspace: '', localDataCenter: 'elsewhere' });
    expect(await missingTables(elsewhere, newKeyspace())).toHaveLength(1);
  });
});

describe('a cluster that is away', () => {
  it('is unavailable', async () => {
    const nowhere = () => clientOptions({ hosts: ['127.0.0.1:1'], keyspace: '' });
    await expect(ensureTables(nowhere, newKeyspace())).rejects.toMatchObject({ code: 'unavailable' });
  });
});
