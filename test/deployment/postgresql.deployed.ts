import { readFileSync } from 'node:fs';
import pg from 'pg';
import { afterAll, describe, expect, it } from 'vitest';
import { startPostgresql } from '../engines/postgresql.ts';
import { alarms } from './alarms.ts';
import { authorizers } from './authorizers.ts';
import { configurationOf } from './configuration.ts';
import { deploy } from './deployment.ts';
import { lifecycle } from './lifecycle.ts';
import { logs } from './logs.ts';
import { postgresqlPermissions } from './permissions.ts';
import { purging } from './purging.ts';
import { standardEndpoints } from './standard-endpoints.ts';
import { storeFunctions } from './store-functions.ts';
import { startWire } from './wire.ts';

const server = await startPostgresql('18');
afterAll(server.stop);

const run = async (url: string, text: string) => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query(text);
  await client.end();
  return rows;
};

// As Aurora is when it is new: the master user is no superuser, and may hand on the role that lets users log in by IAM.
await run(
  server.url,
  `CREATE ROLE rds_iam;
   CREATE ROLE oauth_admin LOGIN CREATEROLE CREATEDB;
   GRANT rds_iam TO oauth_admin WITH ADMIN OPTION;`,
);
await run(server.url, 'CREATE DATABASE oauth OWNER oauth_admin');
const database = Object.assign(new URL(server.url), { pathname: '/oauth' }).href;

// The schema of the first version, in use: the deployment finds it and brings it up to date.
const asMaster = Object.assign(new URL(database), { username: 'oauth_admin' }).href;
for (const script of ['../stores/schemas/oauth-server-1.sql', '../../sql/postgresql/oauth-client.sql'])
  await run(asMaster, readFileSync(new URL(script, import.meta.url), 'utf8'));

// Between Aurora and the server: it can be cut.
const { port, cut } = await startWire(Number(new URL(server.url).port));
afterAll(cut);

const deployment = await deploy('postgresql', configurationOf('aurora-postgresql'), cut, {
  database: `127.0.0.1:${port}`,
});
afterAll(deployment.stop);

describe('on Aurora PostgreSQL', () => {
  it('a schema of the first version was brought up to date', async () => {
    const rows = await run(database, 'SELECT component, version FROM oauth_schema ORDER BY component');
    expect(rows).toEqual([
      { component: 'oauth-client', version: 1 },
      { component: 'oauth-roles', version: 1 },
      { component: 'oauth-server', version: 2 },
    ]);
  });
  storeFunctions(deployment);
  standardEndpoints(deployment);
  authorizers(deployment);
  purging(deployment);
  postgresqlPermissions(deployment);
  alarms(deployment);
  logs(deployment);
  lifecycle(deployment);
});
