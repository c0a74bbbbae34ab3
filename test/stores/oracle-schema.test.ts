import { afterEach, describe, expect, it, vi } from 'vitest';
import { applySchema, findMissingScripts, piecesOf } from '../../functions/stores/oracle-schema.ts';
import { packagedScripts } from '../../functions/stores/sql-schema.ts';
import { recordSent } from './oracle-texts.ts';

// How scripts are cut, ordered and repeated. What Oracle makes of them is for a server to say.

afterEach(() => {
  vi.restoreAllMocks();
});

const settings = { host: 'db', database: 'oauth', user: 'app', password: 'app', tls: false } as const;
const refusal = (code: string) => Object.assign(new Error(code), { code });

/** A database in which some tables are, and some versions; `refuse` may throw at a text. */
function database({
  tables = [] as string[],
  versions = {} as Record<string, number>,
  refuse = (_text: string) => {},
}) {
  const there = new Set(tables);
  const applied = new Map(Object.entries(versions));
  const sent = recordSent((text) => {
    refuse(text);
    for (const [, name] of text.matchAll(/CREATE TABLE (\w+)/g)) there.add(String(name));
    for (const [, part, version] of text.matchAll(/VALUES \('(oauth-\w+)', (\d+)\)/g)) {
      applied.set(String(part), Number(version));
    }
    if (text.includes('all_synonyms')) {
      return { rows: [...there].filter((name) => text.includes(`'${name.toUpperCase()}'`)).map((name) => ({ name })) };
    }
    const part = /SELECT version .* component = '(oauth-\w+)'/.exec(text)?.[1];
    return { rows: part !== undefined && applied.has(part) ? [{ version: applied.get(part) }] : [] };
  });
  return sent;
}

describe('a script', () => {
  it('is cut at its slashes, without what is for SQL*Plus alone', async () => {
    for (const [path, script] of Object.entries(await packagedScripts('oracle'))) {
      const pieces = piecesOf(script);
      expect(pieces).toHaveLength(path === 'oauth-partitions.sql' ? 5 : 2);
      for (const piece of pieces) {
        expect(piece).toMatch(/^(DECLARE|BEGIN|CREATE OR REPLACE PROCEDURE .*)\n[\s\S]*\nEND;$/);
        expect(piece).not.toMatch(/^(\/|WHENEVER|--)/m);
      }
    }
  });

  it('gives each table and index a name of its own, of at most thirty letters', async () => {
    const names = Object.values(await packagedScripts('oracle')).flatMap((script) =>
      [...script.matchAll(/(?:CREATE TABLE|CREATE INDEX|CONSTRAINT) (\w+)/g)].map(([, name]) => String(name)),
    );
    expect(names.length).toBeGreaterThan(30);
    for (const name of names) expect(name.length).toBeLessThanOrEqual(30);
  });
});

describe('applying the schema', () => {
  it('runs what is missing, in its order, behind the lock; and nothing the second time', async () => {
    const sent = database({});
    expect(await applySchema(settings)).toEqual(['oauth-server.sql', 'oauth-client.sql']);
    const texts = sent.map(({ text }) => text);
    const lock = texts.findIndex((text) => text.includes('FOR UPDATE NOWAIT'));
    expect(lock).toBeGreaterThan(0);
    expect(texts.findIndex((text) => text.includes('CREATE TABLE access_token'))).toBeGreaterThan(lock);
    expect(await applySchema(settings)).toEqual([]);
    expect(await findMissingScripts(settings)).toEqual([]);
    expect(await applySchema(settings, { roles: true })).toEqual(['oauth-roles.sql']);
    expect(sent.some(({ text }) => text.includes('GRANT READ ON oauth_grant TO oauth_reader'))).toBe(true);
  });

  it('waits for whoever applies it now, and gives up in time', async () => {
    let refusals = 2;
    const busy = (text: string) => {
      if (text.includes('FOR UPDATE NOWAIT') && refusals-- > 0) throw refusal('ORA-00054');
    };
    database({ refuse: busy });
    expect(await applySchema(settings)).toHaveLength(2);
    refusals = Number.POSITIVE_INFINITY;
    await expect(applySchema(settings, { withinMs: 150 })).rejects.toMatchObject({
      code: 'timeout',
      message: 'another one is applying the schema',
    });
  });

  it('is repeated where a table is in use, and named in the error where it stays so', async () => {
    let refusals = 1;
    const busy = (text: string) => {
      if (text.includes('CREATE TABLE access_token') && refusals-- > 0) throw refusal('ORA-00054');
    };
    const sent = database({ refuse: busy });
    expect(await applySchema(settings)).toHaveLength(2);
    expect(sent.filter(({ text }) => text.includes('CREATE TABLE access_token'))).toHaveLength(2);
    refusals = Number.POSITIVE_INFINITY;
    database({ refuse: busy });
    const failed = applySchema(settings, { withinMs: 500 });
    await expect(failed).rejects.toMatchObject({
      code: 'timeout',
      cause: { message: expect.stringContaining('oauth-server.sql') },
    });
  });

  it('leaves tables of somebody else, and a newer version, as they are', async () => {
    const strange = database({ tables: ['access_token'] });
    await expect(applySchema(settings)).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('the database has access_token already'),
    });
    expect(strange.some(({ text }) => text.includes('CREATE TABLE oauth_grant'))).toBe(false);
    database({ tables: ['oauth_schema'], versions: { 'oauth-server': 99 } });
    await expect(applySchema(settings)).rejects.toMatchObject({ code: 'unsupported' });
    const notOurs = (text: string) => {
      if (text.includes('INSERT INTO oauth_schema') || text.includes('SELECT version')) throw refusal('ORA-00904');
    };
    database({ tables: ['oauth_schema'], refuse: notOurs });
    await expect(applySchema(settings)).rejects.toMatchObject({
      code: 'unsupported',
      message: 'the table oauth_schema is not one that this package made',
    });
  });
});
