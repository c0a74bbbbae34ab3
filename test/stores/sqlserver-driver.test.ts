import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../functions/domain/ports.ts';
import { packagedScripts } from '../../functions/stores/sql-schema.ts';
import type { DatabaseSettings } from '../../functions/stores/sql-settings.ts';
import { createEngine } from '../../functions/stores/sqlserver.ts';
import { connectionOf } from '../../functions/stores/sqlserver-connection.ts';
import { diagnose } from '../../functions/stores/sqlserver-diagnosis.ts';
import { parameters } from '../../functions/stores/sqlserver-parameters.ts';
import { applySchema, batchesOf, findMissingScripts } from '../../functions/stores/sqlserver-schema.ts';
import { createVirtualClock } from '../conformance/index.ts';
import { everyOperation } from '../conformance/operations.ts';
import { issue, keyOf, newAttempt, newCode, newGrant, newRefresh } from '../conformance/records.ts';
import { run } from '../engines/launch.ts';
import { startStandIn } from './sqlserver-stand-in.ts';
import type { Reply, Sent, TdsSettings } from './tds-server.ts';

// The driver and its settings against the protocol: what goes over the wire, and what becomes of what comes back.

const clock = createVirtualClock(Date.now());
const now = clock.now();
const opened: { close(): Promise<void> }[] = [];
afterAll(async () => {
  for (const each of opened) await each.close();
});

const start = async (
  settings: Omit<TdsSettings, 'answer'> & {
    schema?: boolean;
    quiet?: boolean;
    before?: (sent: Sent) => Reply | undefined;
  } = {},
) => {
  const server = await startStandIn(settings);
  opened.unshift({ close: server.stop });
  const reached = (more: DatabaseSettings = {}): DatabaseSettings => ({
    ...{ host: '127.0.0.1', port: server.port, user: 'app', password: 'Mellon', database: 'oauth', tls: false },
    ...more,
  });
  const engine = async (more?: DatabaseSettings): Promise<Engine> => {
    const created = await createEngine(reached(more), clock.nowMs);
    opened.unshift(created);
    return created;
  };
  return { ...server, reached, engine };
};
const failureOf = (work: Promise<unknown>) =>
  work.then(
    () => 'none',
    (error) => `${error.code}: ${error.message}`,
  );
const isOurs = (sent: Sent) => /oauth_grant|authorization_code/.test(sent.text);

describe('what is sent', () => {
  it('each operation binds every value by name, in the type that is said of it, whatever the value', async () => {
    const sent: Sent[] = [];
    const server = await start({ before: (each) => void sent.push(each) });
    const engine = await server.engine();
    const issued = await issue({ ...engine, clock });
    for (const [, call] of everyOperation(now, issued)) await call(engine);
    const calls = sent.filter(({ parameters }) => Object.keys(parameters).length > 0);
    expect(new Set(calls.map(({ text }) => text)).size).toBeGreaterThan(30);
    const declared = (name: string) => {
      const type = parameters[name.slice(1)];
      if (type === undefined || !('length' in type)) return type?.type;
      return `${type.type === 'binary' ? 'binary' : 'varbinary'}(${type.length > 8000 ? 'max' : type.length})`;
    };
    for (const call of calls) {
      for (const [name, parameter] of Object.entries(call.parameters)) {
        expect(parameter.declared, `${name} in ${call.text}`).toBe(declared(name));
        expect(parameter.type.replace('int64', 'bigint')).toBe(declared(name));
      }
    }
  });

  it('the same text with the same types, whether values are there or not: one plan', async () => {
    const shapes = new Set<string>();
    const server = await start({
      before: ({ text, parameters }) => {
        if (text.includes('INSERT INTO oauth_grant'))
          shapes.add(text + Object.entries(parameters).map(([name, { declared }]) => name + declared));
        return undefined;
      },
    });
    const { accessTokens } = await server.engine();
    const small = newGrant(now);
    const large = newGrant(now, {
      subject: 'a'.repeat(900),
      consentId: 'c',
      expiresAt: now + 10,
      data: Buffer.alloc(20_000, 1),
    });
    await accessTokens.persist({ grant: small }, { now, attempt: newAttempt() });
    await accessTokens.persist(
      { grant: large, refresh: newRefresh(now) },
      { now, attempt: newAttempt(), authorizedAtMs: 1 },
    );
    expect(shapes.size).toBe(1);
  });

  it('texts as their bytes in UTF-8, times as 64 bits, flags as bits, what is absent as NULL', async () => {
    let values: Sent['parameters'] = {};
    const server = await start({
      before: ({ text, parameters }) => {
        if (text.includes('INSERT INTO oauth_grant')) values = parameters;
        return undefined;
      },
    });
    const { accessTokens } = await server.engine();
    const grant = newGrant(now, { subject: 'Zoë ', retainUntil: 2 ** 40 });
    const refresh = newRefresh(now, { foreign: true });
    await accessTokens.persist({ grant, refresh }, { now, attempt: newAttempt() });
    expect(values['@subject']?.value).toEqual(new Uint8Array(Buffer.from('Zoë ')));
    expect(values['@retainUntil']?.value).toBe(2 ** 40);
    expect(values['@refreshForeign']?.value).toBe(true);
    expect(values['@grantId']?.value).toEqual(new Uint8Array(grant.grantId));
    for (const absent of ['@consentId', '@accessDigest', '@expiresAt', '@selectors', '@accessForeign'])
      expect(values[absent]?.value, absent).toBe(null);
    const key = keyOf(grant, refresh);
    expect(await accessTokens.findRefresh(key, { now })).toMatchObject({
      outcome: 'active',
      refresh: { foreign: true },
      grant,
    });
  });

  it('a value that does not fit its parameter is refused here: the server would cut it', async () => {
    const server = await start();
    const { accessTokens, authorizationCodes } = await server.engine();
    const before = server.logins();
    const persist = (fields: object) =>
      accessTokens.persist({ grant: newGrant(now, fields) }, { now, attempt: newAttempt() });
    expect(await failureOf(persist({ subject: 'a'.repeat(8001) }))).toBe(
      'invalid: subject has 8001 bytes; accepted: at most 8000',
    );
    expect(await failureOf(persist({ grantId: Buffer.alloc(11) }))).toBe('invalid: grantId has 11 bytes; accepted: 12');
    expect(await failureOf(persist({ subject: 'a\0' }))).toMatch('invalid: subject is a text with U+0000');
    const code = { ...newCode(now), binding: Buffer.alloc(33) };
    expect(await failureOf(authorizationCodes.add(code, { now, attempt: newAttempt() }))).toMatch(
      'invalid: binding has 33 bytes',
    );
    expect(server.logins()).toBe(before);
    expect(await failureOf(persist({ subject: 'a'.repeat(1001) }))).toMatch(
      'invalid: SQL Server refused with error 2628',
    );
  });
});

describe('what comes back', () => {
  const answering = async (reply: Reply, times = Number.POSITIVE_INFINITY) => {
    let left = times;
    let sent = 0;
    const server = await start({
      before: (each) => {
        if (!isOurs(each)) return undefined;
        sent += 1;
        left -= 1;
        return left >= 0 ? reply : undefined;
      },
    });
    const engine = await server.engine({ pool: { maxActive: 1, statementTimeoutMs: 300 } });
    return {
      server,
      sent: () => sent,
      add: () => engine.authorizationCodes.add(newCode(now), { now, attempt: newAttempt() }),
    };
  };
  const error = (...numbers: number[]): Reply => ({
    errors: numbers.map((number) => ({ number, message: `error ${number}` })),
  });

  it.each([
    [2627, 'conflict'],
    [2601, 'conflict'],
    [1205, 'throttled'],
    [3960, 'throttled'],
    [40501, 'throttled'],
    [49918, 'throttled'],
    [10928, 'throttled'],
    [1222, 'timeout'],
    [547, 'invalid'],
    [8152, 'invalid'],
    [2628, 'invalid'],
    [8114, 'invalid'],
    [208, 'unsupported'],
    [229, 'unsupported'],
    [262, 'unsupported'],
    [1934, 'unsupported'],
    [40613, 'unavailable'],
    [40197, 'unavailable'],
    [983, 'unavailable'],
    [3906, 'unavailable'],
    [6005, 'unavailable'],
  ])('error %i is %s, with its cause', async (number, code) => {
    const { add } = await answering(error(number));
    await expect(add()).rejects.toMatchObject({ name: 'StoreError', code, cause: { number } });
  });

  it('of several errors the one that says why, or else the first', async () => {
    const known = await answering(error(3621, 2627));
    expect(await failureOf(known.add())).toBe('conflict: SQL Server refused with error 2627');
    const unknown = await answering(error(5070, 5069));
    expect(await failureOf(unknown.add())).toBe('invalid: SQL Server refused with error 5070');
  });

  it.each([
    [9002, 17, 'throttled'], // the log is full
    [1105, 17, 'throttled'], // the disk
    [50_018, 18, 'unavailable'],
    [823, 24, 'unavailable'],
  ])('error %i, of which the number says nothing, is by its class %i %s', async (number, severity, code) => {
    const { add } = await answering({ errors: [{ number, message: 'full', severity }] });
    await expect(add()).rejects.toMatchObject({ name: 'StoreError', code, cause: { number } });
  });

  it('the victim of a deadlock is sent again, three times in all; nothing else is', async () => {
    const once = await answering(error(1205), 1);
    await once.add();
    expect(once.sent()).toBe(2);
    const always = await answering(error(1205));
    expect(await failureOf(always.add())).toMatch('throttled');
    expect(always.sent()).toBe(3);
    const other = await answering(error(3960));
    await failureOf(other.add());
    expect(other.sent()).toBe(1);
  });

  it('no answer in time is a timeout, and the connection is replaced', async () => {
    const { add, server } = await answering('silence', 1);
    expect(await failureOf(add())).toBe('timeout: no answer from SQL Server in time');
    await add();
    expect(server.logins()).toBe(2);
  });

  it('a connection to a server that is no longer the primary is replaced; one to a server that refuses is not', async () => {
    const logins = async (number: number) => {
      const { add, server } = await answering(error(number), 1);
      expect(await failureOf(add())).not.toBe('none');
      await add();
      return server.logins();
    };
    for (const number of [3906, 983, 40613]) expect(await logins(number), String(number)).toBe(2);
    for (const number of [547, 2627, 1222]) expect(await logins(number), String(number)).toBe(1);
  });

  it('a connection that is cut is unavailable for whoever is on it, and replaced for the next', async () => {
    const { add, server } = await answering('cut', 1);
    expect(await failureOf(add())).toBe('unavailable: SQL Server cannot be reached');
    await add();
    expect(server.logins()).toBe(2);
  });

  it('a connection that broke while nobody used it is replaced, and no call sees it', async () => {
    const { add, server } = await answering('cut', 0);
    await add();
    server.cut();
    await new Promise((resolve) => setTimeout(resolve, 50));
    await add();
    expect(server.logins()).toBe(2);
  });

  it('what was changed is counted, whatever the server counts by itself', async () => {
    const { engine } = await start({ quiet: true });
    const { accessTokens, authorizationCodes, clientAccessTokens, artifacts } = await engine();
    const options = { now, attempt: newAttempt() };
    const code = newCode(now);
    await authorizationCodes.add(code, options);
    expect(await authorizationCodes.remove(code.digest)).toBe(true);
    const [grant, refresh] = [newGrant(now), newRefresh(now)];
    await accessTokens.persist({ grant, refresh }, options);
    expect(await accessTokens.revokeRefresh(keyOf(grant, refresh), options)).toBe(true);
    const artifact = { kind: 'k', id: Buffer.alloc(32, 1), consentId: 'c', data: Buffer.alloc(1), retainUntil: now };
    const put = () => artifacts.put(artifact, options);
    await put();
    expect(await artifacts.consume('k', artifact.id, options)).toBe(true);
    expect(await artifacts.remove('k', artifact.id)).toBe(true);
    await put();
    expect(await artifacts.removeByConsent('c')).toBe(1);
    await put();
    expect((await artifacts.purgeExpired({ now, limit: 10 })).removed).toEqual({ artifacts: 1 });
    await clientAccessTokens.put({ clientId: 'c', key: 'k', expiresAt: now, data: Buffer.alloc(1) });
    expect(await clientAccessTokens.remove('c', 'k')).toBe(true);
  });

  it('a transaction that fails is rolled back whole', async () => {
    const server = await start();
    const { accessTokens } = await server.engine();
    const refresh = newRefresh(now, { foreign: true });
    const [first, second] = [newGrant(now), newGrant(now)];
    expect(await accessTokens.persist({ grant: first, refresh }, { now, attempt: newAttempt() })).toBe('persisted');
    expect(await failureOf(accessTokens.persist({ grant: second, refresh }, { now, attempt: newAttempt() }))).toMatch(
      'conflict',
    );
    expect(await accessTokens.listGrants({ clientId: second.clientId }, { limit: 1 })).toEqual({ grants: [] });
  });
});

describe('a login', () => {
  it('sets isolation and XACT_ABORT for its session, and is tried once', async () => {
    const set: string[] = [];
    const server = await start({ before: ({ text }) => void set.push(text.toLowerCase()) });
    const { authorizationCodes } = await server.engine();
    await authorizationCodes.remove(Buffer.alloc(32));
    expect(set[0]).toContain('set transaction isolation level read committed');
    expect(set[0]).toContain('set xact_abort on');
    const away = await start({ login: () => ({ number: 40613, message: 'not available' }) });
    await failureOf((await away.engine()).authorizationCodes.remove(Buffer.alloc(32)));
    expect(away.logins()).toBe(1);
  });

  it('goes with user, password and database, each time with the password of the moment', async () => {
    const seen: unknown[] = [];
    const server = await start({ login: (login) => void seen.push(login) });
    let number = 0;
    const { authorizationCodes } = await server.engine({
      password: async () => {
        number += 1;
        return `token ${number}`;
      },
      pool: { maxIdle: 0 },
    });
    await authorizationCodes.remove(Buffer.alloc(32));
    await authorizationCodes.remove(Buffer.alloc(32));
    expect(seen).toEqual([1, 2].map((each) => ({ user: 'app', password: `token ${each}`, database: 'oauth' })));
  });

  it.each([
    [18456, 'the login as "app" failed at 127.0.0.1:PORT: refused'],
    [4060, 'the database "oauth" is missing at 127.0.0.1:PORT, or the user "app" may not open it'],
    [40613, 'the database "oauth" is not available at 127.0.0.1:PORT for the moment'],
    [40615, 'the firewall of 127.0.0.1:PORT refuses this address'],
  ])('that is refused with %i is unavailable, and said in words', async (number, words) => {
    const server = await start({ login: () => ({ number, message: 'refused' }) });
    const { authorizationCodes } = await server.engine();
    await expect(authorizationCodes.remove(Buffer.alloc(32))).rejects.toMatchObject({
      code: 'unavailable',
      cause: { number },
    });
    expect(await diagnose(server.reached(), ['oauth-server'])).toEqual({
      fault: words.replace('PORT', String(server.port)),
    });
  });
});

describe('TLS', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sqlserver-tls-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const [key, cert] = ['key.pem', 'cert.pem'].map((name) => join(folder, name)) as [string, string];
  const options = [
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '2',
    '-subj',
    '/CN=db.test',
    '-addext',
    'subjectAltName=DNS:db.test',
  ];
  await run(['openssl', 'req', '-x509', ...options, '-keyout', key, '-out', cert]);
  const tls = { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
  const removing = async (server: Awaited<ReturnType<typeof start>>, more: DatabaseSettings) => {
    const { authorizationCodes } = await server.engine(more);
    return authorizationCodes.remove(Buffer.alloc(32)).then(
      () => 'accepted',
      (error) => `${error.code}: ${error.cause.message}`,
    );
  };

  it('a server is taken that a trusted authority signed for its name, and no other', async () => {
    const server = await start({ tls });
    expect(await removing(server, { tls: { servername: 'db.test' } })).toMatch(
      /^unavailable: .*self-signed certificate/,
    );
    expect(await removing(server, { tls: { ca: tls.cert } })).toMatch(/^unavailable: .*does not match certificate/);
    expect(await removing(server, { tls: { ca: tls.cert, servername: 'db.test' } })).toBe('accepted');
  });

  it('a server that would go on in plain text is refused before it is told who logs in', async () => {
    const server = await start();
    expect(await removing(server, { tls: {} })).toMatch(/^unavailable: Server did not negotiate encryption/);
    expect(server.logins()).toBe(0);
    const { fault = '' } = (await diagnose(server.reached({ tls: {} }), ['oauth-server'])) as { fault?: string };
    expect(fault).toMatch(/^TLS failed: .* offers none/);
  });

  it('a server that demands TLS says so', async () => {
    const server = await start({ tls });
    const { fault = '' } = (await diagnose(server.reached(), ['oauth-server'])) as { fault?: string };
    expect(fault).toMatch(/demands it/);
  });

  it('all addresses of a host are tried at once: the listener of an availability group has some that answer nobody', async () => {
    expect((await connectionOf({ host: 'db.example' })).options?.multiSubnetFailover).toBe(true);
  });

  it('a server of Amazon RDS is known by the authorities of its Region', async () => {
    const { options } = await connectionOf({ host: 'db.abc123.eu-west-1.rds.amazonaws.com', tls: {} });
    expect(options).toMatchObject({ encrypt: true, trustServerCertificate: false });
    expect(options?.cryptoCredentialsDetails?.ca).toMatch(/BEGIN CERTIFICATE/);
    expect((await connectionOf({ host: 'db.example', tls: {} })).options?.cryptoCredentialsDetails?.ca).toBeUndefined();
  });
});

describe('the schema', () => {
  it('is applied once by any number of callers, and then complete', async () => {
    const server = await start({ schema: false });
    const missing = ['oauth-server.sql', 'oauth-client.sql'];
    expect(await findMissingScripts(server.reached())).toEqual(missing);
    const applied = await Promise.all(Array.from({ length: 4 }, () => applySchema(server.reached())));
    expect(applied.flat()).toEqual(missing);
    expect(await findMissingScripts(server.reached())).toEqual([]);
    const engine = await server.engine();
    await issue({ ...engine, clock });
  });

  it('is applied with its roles, which a script run by hand leaves as they are', async () => {
    const server = await start();
    expect(await applySchema(server.reached(), { roles: true })).toEqual(['oauth-roles.sql']);
    expect(await applySchema(server.reached(), { roles: true })).toEqual([]);
    const roles = String((await packagedScripts('sqlserver'))['oauth-roles.sql']);
    for (const batch of batchesOf(roles)) server.database.run({}, batch); // as by hand
    const empty = await start({ schema: false });
    const [, made = '', granted = ''] = batchesOf(roles);
    empty.database.run({}, made);
    expect(() => empty.database.run({}, granted)).toThrow('cannot find oauth_schema');
  });

  it('can be run again over itself', async () => {
    const server = await start();
    const before = server.database.dump();
    await expect(applySchema(server.reached())).resolves.toEqual([]);
    expect(server.database.dump()).toBe(before);
  });

  it('is tried again when a lock does not come in time, from its start', async () => {
    let refusals = 1;
    const server = await start({
      schema: false,
      before: ({ text }) => {
        if (!text.includes('CREATE TABLE artifact') || refusals === 0) return undefined;
        refusals -= 1;
        return { errors: [{ number: 1222, message: 'Lock request time out period exceeded.' }] };
      },
    });
    expect(await applySchema(server.reached())).toEqual(['oauth-server.sql', 'oauth-client.sql']);
    expect(refusals).toBe(0);
  });

  it('of a database that is somebody else’s is left alone', async () => {
    const server = await start({ schema: false });
    server.database.run({}, 'CREATE TABLE artifact (name int NULL);');
    expect(await failureOf(applySchema(server.reached()))).toMatch('unsupported: the database has artifact already');
  });
});

describe('a diagnosis', () => {
  const about = (values: object): Reply => ({
    sets: [{ columns: Object.keys(values), rows: [Object.values(values)] }],
    counted: 1,
  });
  const examined = async (facts: object, lacking: string[][] = [], schema = true) => {
    const server = await start({
      schema,
      before: ({ text }) => {
        if (text.includes('SERVERPROPERTY'))
          return about({ major: 16, version: '16.0.4165.4', edition: 3, reads_only: 0, ...facts });
        if (text.includes('HAS_PERMS_BY_NAME'))
          return { sets: [{ columns: ['name', 'privilege'], rows: lacking }], counted: 0 };
        return undefined;
      },
    });
    const found = await diagnose(server.reached(), ['oauth-server', 'oauth-client']);
    return Object.entries(found).join().replaceAll(String(server.port), 'PORT');
  };

  it('names product, place, database and user when everything is there', async () => {
    expect(await examined({})).toBe(
      'found,SQL Server 16.0.4165.4 at 127.0.0.1:PORT, database "oauth", user "app": everything is there',
    );
    expect(await examined({ major: 12, edition: 5 })).toMatch('found,Azure SQL at');
  });

  it('says what is wrong with server, schema and privileges', async () => {
    expect(await examined({ major: 13, version: '13.0' })).toMatch(
      'fault,127.0.0.1:PORT is SQL Server 13.0: 2017 (14) or newer is needed',
    );
    expect(await examined({ reads_only: 1 })).toMatch('takes no writes');
    expect(await examined({}, [], false)).toMatch('no table oauth_schema, oauth_grant,');
    const lacking = [
      ['artifact', 'INSERT'],
      ['artifact', 'DELETE'],
    ];
    expect(await examined({}, lacking)).toBe(
      'fault,the user "app" lacks privileges on artifact (INSERT, DELETE): grant them',
    );
  });
});
