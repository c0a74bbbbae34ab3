import { once } from 'node:events';
import { readdir, readFile, stat } from 'node:fs/promises';
import { type AddressInfo, createServer, connect as reach } from 'node:net';
import { basename, dirname } from 'node:path';
import { describe, expect, it } from 'vitest';
import { breaks, connect, connectionString, storeError } from '../../functions/stores/db2-connection.ts';
import { diagnose } from '../../functions/stores/db2-diagnosis.ts';
import * as statements from '../../functions/stores/db2-statements.ts';
import { bind, rowOf } from '../../functions/stores/db2-values.ts';
import { describeOn } from './describe-on.ts';

const said = (state: string, sqlcode = -1) =>
  Object.assign(new Error(`[IBM][CLI Driver][DB2/LINUXX8664] SQL${-sqlcode}N  Words.  SQLSTATE=${state}\n`), {
    sqlcode,
  });

describe('what an error of Db2 is', () => {
  it.each([
    ['23505', -803, 'conflict', false],
    ['40001', -911, 'throttled', true],
    ['57033', -913, 'throttled', true],
    ['57014', -952, 'timeout', true],
    ['08001', -30081, 'unavailable', true],
    ['08003', -99999, 'unavailable', true],
    ['40003', -30081, 'unavailable', true],
    ['28000', -30082, 'unavailable', true],
    ['42704', -204, 'unsupported', false],
    ['42884', -440, 'unsupported', false],
    ['42501', -551, 'unsupported', false],
    ['22001', -302, 'invalid', false],
    ['57030', -1040, 'throttled', true],
  ])('%s is %s', (state, sqlcode, code, retryable) => {
    expect(storeError(said(state, sqlcode))).toMatchObject({ code, retryable });
  });

  it('a connection that broke, or gave no answer, is not used again; one that was refused something is', () => {
    for (const state of ['08001', '40003', '57014']) expect(breaks(storeError(said(state)))).toBe(true);
    for (const state of ['23505', '40001', '22001', '42704']) expect(breaks(storeError(said(state)))).toBe(false);
  });

  it('the words name the scripts where something is missing', () => {
    expect(storeError(said('42884')).message).toContain('sql/db2/oauth-server.sql');
  });
});

describe('the connection string', () => {
  const place = { host: 'db.example', port: 50_001, database: 'OAUTH', user: 'stores', password: 'secret' };

  it('asks for verified TLS unless the server is on this machine', async () => {
    const ca = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
    const text = await connectionString({ ...place, tls: { ca } });
    expect(text).toContain('SECURITY=SSL;SSLCLIENTHOSTNAMEVALIDATION=BASIC;');
    const file = /SSLSERVERCERTIFICATE=([^;]+);/.exec(text)?.[1] ?? '';
    expect(await readFile(file, 'utf8')).toBe(ca);
    // Nobody else can have put it there, or a link in its place.
    expect((await stat(dirname(file))).mode & 0o777).toBe(0o700);
    expect(await readdir(dirname(file))).toEqual([basename(file)]);
    expect(await connectionString({ ...place, tls: { ca } })).toBe(text);
    expect(await connectionString({ ...place, tls: false })).not.toContain('SECURITY');
  });

  it('leaves it to the server how a password is sent', async () => {
    expect(await connectionString({ ...place, tls: false })).not.toContain('AUTHENTICATION');
  });

  it('takes nothing in a value for a keyword', async () => {
    const text = await connectionString({ ...place, tls: false, password: 'a;SECURITY=NONE' });
    expect(text).toContain('PWD={a;SECURITY=NONE};');
    await expect(connectionString({ ...place, tls: false, password: 'a}b' })).rejects.toMatchObject({
      code: 'invalid',
    });
  });

  it('asks for the password anew for each connection', async () => {
    let asked = 0;
    const password = () => {
      asked += 1;
      return `secret${asked}`;
    };
    await connectionString({ ...place, tls: false, password });
    expect(await connectionString({ ...place, tls: false, password })).toContain('PWD=secret2;');
  });

  it('refuses what the driver cannot do', async () => {
    await expect(connectionString({ ...place, tls: { servername: 'other' } })).rejects.toMatchObject({
      code: 'unsupported',
    });
    await expect(connectionString({ ...place, tls: { cert: 'x', key: 'y' } })).rejects.toMatchObject({
      code: 'unsupported',
    });
  });
});

describe('what is bound', () => {
  it('has a mark for every parameter of every procedure, in its order and direction', async () => {
    const scripts = await Promise.all(
      ['oauth-server', 'oauth-client'].map((part) =>
        readFile(new URL(`../../sql/db2/${part}.sql`, import.meta.url), 'utf8'),
      ),
    );
    const directions = new Map(
      [...scripts.join('\n').matchAll(/^CREATE OR REPLACE PROCEDURE (\w+) \(([\s\S]*?)\)\nLANGUAGE/gm)].map(
        ([, name, list]) => [
          String(name),
          [...String(list).matchAll(/\b(IN|OUT) p_/g)].map(([, direction]) => String(direction)),
        ],
      ),
    );
    const texts = Object.values(statements).flatMap((each) =>
      typeof each === 'string' ? [each] : Object.values(each),
    );
    const called = new Set<string>();
    for (const text of texts) {
      const name = /^\s*CALL (\w+)/.exec(text)?.[1];
      if (name === undefined) continue;
      called.add(name);
      const marks = text
        .slice(text.indexOf('('))
        .split(',')
        .map((mark) => (mark.includes('>') ? 'OUT' : 'IN'));
      expect(marks, name).toEqual(directions.get(name));
    }
    expect([...directions.keys()].toSorted()).toEqual([...called].toSorted());
  });

  it('a name is its UTF-8 with a full stop, a number its digits, and absent is NULL', () => {
    const { parametersOf } = bind('CALL p(:clientId, :nowMs, :subject, :digest, >outcome, >created_at)');
    const [name, number, absent, digest, ...out] = parametersOf({
      clientId: 'ä ',
      nowMs: 1_795_423_356_123,
      digest: new Uint8Array([0, 1]),
    });
    expect(name?.Data).toEqual(Buffer.from('ä .'));
    expect(number).toMatchObject({ CType: 'CHAR', SQLType: 'BIGINT', Data: '1795423356123' });
    expect(absent?.Data).toBeNull();
    expect(digest?.Data).toEqual(Buffer.from([0, 1]));
    expect(out.map(({ ParamType }) => ParamType)).toEqual(['OUTPUT', 'OUTPUT']);
    expect(rowOf({ CLIENT_ID: Buffer.from('ä .'), CREATED_AT: '5', data: null })).toEqual({
      client_id: 'ä ',
      created_at: 5,
      data: null,
    });
  });
});

describe('the scripts', () => {
  // db2 -td@ takes one for the begin of a string, in which it makes a blank of each end of a line: the comment goes on.
  it.each(['oauth-server', 'oauth-client', 'oauth-roles'])('of %s have no apostrophe in a comment', async (part) => {
    const text = await readFile(new URL(`../../sql/db2/${part}.sql`, import.meta.url), 'utf8');
    expect(text.match(/--.*'.*/g)).toBeNull();
  });
});

describe('a page of digests, whatever byte they begin with,', () => {
  /** As Db2 compares: the shorter one as if blanks stood behind it. */
  const padded = (bytes: unknown) => Buffer.concat([Buffer.from(bytes as Uint8Array), Buffer.alloc(32, 0x20)], 32);

  it('begins before all of them', () => {
    const values = { grantId: new Uint8Array(16), afterId: new Uint8Array() };
    const [, after] = bind(statements.listAccess).parametersOf(values);
    for (const first of [0, 0x1f, 0x20, 0xff]) {
      const digest = Buffer.alloc(32, 1).fill(first, 0, 1);
      expect(Buffer.compare(padded(digest), padded(after?.Data))).toBe(1);
    }
  });

  it('goes on behind the one that was last', () => {
    const last = Buffer.alloc(32, 1);
    const [, after] = bind(statements.listAccess).parametersOf({ grantId: new Uint8Array(16), afterId: last });
    expect(after?.Data).toEqual(last);
  });
});

const address = process.env.DB2_URL;
describeOn(address)('test-connection', () => {
  const { hostname, port, pathname } = new URL(address ?? 'db2://nobody');
  const place = {
    host: hostname,
    port: Number(port),
    database: pathname.slice(1),
    user: 'app',
    password: 'app',
    tls: false as const,
  };

  it('says that nobody listens', async () => {
    expect(await diagnose({ ...place, port: 1, pool: { maxWaitMs: 2000 } }, ['oauth-server'])).toEqual({
      fault: `the port is refused: nobody listens at ${hostname}:1`,
    });
  });

  it('says that a host is not there', async () => {
    const { fault } = (await diagnose({ ...place, host: 'nobody.invalid', pool: { maxWaitMs: 2000 } }, [
      'oauth-server',
    ])) as { fault: string };
    expect(fault).toContain('"nobody.invalid" is not found');
  });
});

describeOn(address)('a statement that was carried out with a warning', () => {
  const { hostname, port, pathname, username, password } = new URL(address ?? 'db2://nobody');
  const login = { user: decodeURIComponent(username), password: decodeURIComponent(password) };

  it('has not failed', async () => {
    // On the way to the driver an error becomes a warning: its code and state stand one behind the other.
    const server = createServer((driver) => {
      const db2 = reach(Number(port), hostname);
      driver.pipe(db2);
      db2.on('data', (data) => {
        const at = Math.max(data.indexOf('42Y55', 0, 'latin1'), data.indexOf('42704', 0, 'latin1'));
        if (at >= 4) data.writeInt32BE(598, at - 4);
        if (at >= 4) data.write('01550', at, 'latin1');
        driver.write(data);
      });
      driver.on('close', () => db2.destroy());
      db2.on('close', () => driver.destroy());
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const place = { ...login, host: '127.0.0.1', database: pathname.slice(1), tls: false as const };
    const connection = await connect({ ...place, port: (server.address() as AddressInfo).port });
    await connection.query('DROP TABLE that_is_not_there');
    await connection.endTransaction(true);
    await connection.close();
    server.close();
  });
});
