import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterAll, describe, expect, it } from 'vitest';
import { createApplySchema } from '../../functions/handlers/apply-schema.ts';
import { packagedScripts } from '../../functions/stores/sql-schema.ts';
import { findFreePort } from '../engines/launch.ts';
import { startPostgresql } from '../engines/postgresql.ts';
import { startStandIn } from '../stores/sqlserver-stand-in.ts';

const folder = fileURLToPath(new URL('../../sql/postgresql/', import.meta.url));
const scripts = Object.fromEntries(
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.sql'))
    .map((path) => [path, readFileSync(join(folder, path), 'utf8')]),
);
const one = {
  ...scripts,
  'oauth-server.sql': readFileSync(new URL('../stores/schemas/oauth-server-1.sql', import.meta.url), 'utf8'),
};
const everything = ['oauth-server.sql', 'oauth-client.sql', 'oauth-roles.sql'].join(', ');

it('makes the database of SQL Server, which an instance comes without, and then its schema', async () => {
  const packaged = await packagedScripts('sqlserver');
  const made: string[] = [];
  const server = await startStandIn({
    schema: false,
    before({ text }) {
      if (text.includes('DB_ID')) return { sets: [{ columns: ['id'], rows: [[null]] }], counted: 1 };
      if (!/^(CREATE|ALTER) DATABASE/.test(text)) return undefined;
      made.push(text);
      return { sets: [], counted: 0 };
    },
  });
  const place = { engine: 'sqlserver', host: '127.0.0.1', port: String(server.port), database: 'oauth' } as const;
  const apply = createApplySchema(
    async () => packaged,
    async () => 'password',
  );
  const event = { ...place, user: 'admin', secretArn: 'arn', application: 'automatic' } as const;
  expect(
    await apply({ RequestType: 'Create', ResourceProperties: event }, { getRemainingTimeInMillis: () => 60_000 }),
  ).toMatchObject({ Data: { scripts: everything } });
  expect(made).toEqual([
    'CREATE DATABASE [oauth];',
    'ALTER DATABASE [oauth] SET READ_COMMITTED_SNAPSHOT ON WITH ROLLBACK IMMEDIATE;',
  ]);
  await server.stop();
});

const isServed = process.platform === 'linux' && process.arch === 'x64';
const onServed = isServed ? describe : () => {};

onServed('apply-schema, as CloudFormation calls it', async () => {
  const server = await startPostgresql('18');
  afterAll(() => server.stop());
  const { hostname, port, username } = new URL(server.url);

  const newDatabase = async () => {
    const database = `deployed_${randomUUID().replaceAll('-', '')}`;
    const client = new pg.Client({ connectionString: server.url });
    await client.connect();
    await client.query(`CREATE DATABASE ${database}`);
    await client.end();
    return database;
  };
  interface Call {
    readonly application?: 'automatic' | 'manual';
    readonly type?: 'Create' | 'Update' | 'Delete';
    readonly texts?: Record<string, string>;
    readonly properties?: object;
    readonly remainingMs?: number;
  }
  const call = (
    database: string,
    { application = 'automatic', type = 'Create', texts = scripts, ...rest }: Call = {},
  ) =>
    createApplySchema(
      async () => texts,
      async (secretArn) => `password in ${secretArn}`,
    )(
      {
        RequestType: type,
        ResourceProperties: {
          engine: 'postgresql',
          ...{ host: hostname, port, database, user: username, secretArn: 'arn', application },
          ...rest.properties,
        },
      },
      { getRemainingTimeInMillis: () => rest.remainingMs ?? 60_000 },
    );

  it('makes everything, upgrades what is older, does nothing where nothing is missing, and deletes nothing', async () => {
    const database = await newDatabase();
    const answer = (applied: string) => ({ PhysicalResourceId: `schema of ${database}`, Data: { scripts: applied } });
    expect(await call(database, { texts: one })).toEqual(answer(everything));
    expect(await call(database, { type: 'Update' })).toEqual(answer('upgrades/oauth-server-2.sql'));
    expect(await call(database, { type: 'Delete' })).toEqual(answer(''));
    expect(await call(database, { type: 'Update' })).toEqual(answer(''));
  });

  it('makes expiry partitions where they are asked for, and does not go on as if there were none', async () => {
    const database = await newDatabase();
    await call(database);
    const asked = { type: 'Update', properties: { expiryPartitions: 'true' } } as const;
    expect(await call(database, asked)).toMatchObject({ Data: { scripts: 'oauth-partitions.sql' } });
    expect(await call(database, asked)).toMatchObject({ Data: { scripts: '' } });
    await expect(call(database, { type: 'Update' })).rejects.toThrow('set expiryPartitions');
  });

  it('left to somebody else, changes nothing: a new database may be empty, an old schema fails in words', async () => {
    const database = await newDatabase();
    const manual = { application: 'manual', type: 'Update' } as const;
    expect(await call(database, { ...manual, type: 'Create' })).toMatchObject({ Data: { scripts: everything } });
    await expect(call(database, manual)).rejects.toThrow(
      `the schema of "${database}" is too old for this version: run sql/postgresql/oauth-server.sql, then sql/postgresql/oauth-client.sql, then sql/postgresql/oauth-roles.sql`,
    );
    await call(database, { texts: one });
    await expect(call(database, manual)).rejects.toThrow('run sql/postgresql/upgrades/oauth-server-2.sql');
    await call(database);
    expect(await call(database, manual)).toMatchObject({ Data: { scripts: '' } });
  });

  it('waits for a server that is coming up', async () => {
    const database = await newDatabase();
    const later = await findFreePort();
    const applied = call(database, { properties: { port: String(later) } });
    await setTimeout(500);
    const way = createServer((socket) => socket.pipe(connect(Number(port), hostname)).pipe(socket)).listen(
      later,
      hostname,
    );
    expect(await applied).toMatchObject({ Data: { scripts: everything } });
    way.close();
  });

  it('fails at once where the login or a privilege is refused, and says so without the password', async () => {
    const database = await newDatabase();
    const refusal = (properties: object) => call(database, { properties }).catch(({ message }: Error) => message);
    expect(await refusal({ user: 'nobody' })).toBe(
      'PostgreSQL refused with SQLSTATE 28000: role "nobody" does not exist',
    );
    const client = new pg.Client({ connectionString: server.url });
    await client.connect();
    await client.query('CREATE ROLE reader LOGIN');
    await client.end();
    expect(await refusal({ user: 'reader' })).toMatch(
      /^PostgreSQL refused with SQLSTATE 42501: oauth-server\.sql: permission denied for schema public/,
    );
  });

  it('gives up in time to say that nobody answers', async () => {
    const properties = { port: String(await findFreePort()) };
    await expect(call('any', { properties, remainingMs: 11_000 })).rejects.toThrow(
      'PostgreSQL cannot be reached: connect ECONNREFUSED',
    );
  });
});
