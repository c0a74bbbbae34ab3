import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import oracledb from 'oracledb';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Engine } from '../../functions/domain/ports.ts';
import { createEngine } from '../../functions/stores/oracle.ts';
import { columns, encoded, namesIn, values } from '../../functions/stores/oracle-binds.ts';
import { partitioned } from '../../functions/stores/oracle-partitions.ts';
import * as flat from '../../functions/stores/oracle-statements.ts';
import { everyOperation } from '../conformance/operations.ts';
import { issue, newArtifact, newAttempt, newGrant, newSuccessor, withKeys } from '../conformance/records.ts';
import { recordSent, type Sent } from './oracle-texts.ts';

// What the driver is told of each value and column. Oracle itself is not here to take it.

afterEach(() => {
  vi.restoreAllMocks();
});

const open = (): Promise<Engine> =>
  createEngine({ host: 'db', database: 'oauth', user: 'app', password: 'app', tls: false }, () => 0);

const statements = { flat, partitioned };

const textsIn = (from: object): string[] =>
  Object.values(from).flatMap((one) => (typeof one === 'string' ? [one] : typeof one === 'object' ? textsIn(one) : []));

/** What every operation sends, answered with nothing. */
async function sentByAll(): Promise<Sent[]> {
  const sent = recordSent((text) => {
    if (text.includes(':o_same')) return { outBinds: { o_same: 1 } };
    if (text.includes('v_marks')) return { outBinds: { o_outcome: 'persisted' } };
    return text.includes(':o_') ? { outBinds: {} } : { rows: [] };
  });
  const engine = await open();
  const now = 1_800_000_000;
  const clock = { now: () => now, nowMs: () => now * 1000, advance: () => {} };
  const calls = everyOperation(now, withKeys(newGrant(now), newSuccessor(now)));
  for (const [, call] of calls) await call(engine);
  await issue({ ...engine, clock }, { refresh: { foreign: true }, access: { foreign: true } });
  await engine.accessTokens.persist(
    { grant: newGrant(now) },
    { now, attempt: newAttempt(), authorizedAtMs: now * 1000 },
  );
  await engine.artifacts.put(newArtifact(now), { now });
  return sent.filter(({ text }) => !text.startsWith('ALTER SESSION'));
}

describe('each statement', () => {
  it('names values and columns that there are, and no others stand in the lists', () => {
    const names = textsIn(statements).map(namesIn);
    expect(new Set(names.flatMap((one) => one.values))).toEqual(new Set(Object.keys(values)));
    expect(new Set(names.flatMap((one) => one.columns))).toEqual(new Set(Object.keys(columns)));
  });

  it('has no colon but those of its names and of assignments', () => {
    for (const text of textsIn(statements)) {
      expect(text.replaceAll(/:(?:=|[io]_[A-Za-z_]+\b)/g, '')).not.toContain(':');
    }
  });

  it('holds no empty text: to Oracle that is NULL', () => {
    for (const text of textsIn(statements)) expect(text).not.toMatch(/''/);
  });

  it('names its binds in at most thirty letters, none of them by a word of SQL', () => {
    for (const name of [...Object.keys(values), ...Object.keys(columns)]) expect(`i_${name}`).toMatch(/^i_\w{1,28}$/);
  });
});

describe('what is bound', () => {
  it('is exactly what the text names, in the direction, of the type and with the room of the lists', async () => {
    const sent = await sentByAll();
    expect(sent.length).toBeGreaterThan(35);
    for (const { text, binds } of sent) {
      const names = namesIn(text);
      expect(Object.keys(binds).toSorted()).toEqual(
        [...names.values.map((name) => `i_${name}`), ...names.columns.map((name) => `o_${name}`)].toSorted(),
      );
      for (const name of names.values) {
        const bind = binds[`i_${name}`];
        expect(bind).toMatchObject({ dir: oracledb.BIND_IN, type: oracledb[values[name]?.type ?? 'CLOB'] });
        expect(bind).not.toHaveProperty('maxSize');
        if (bind?.type === oracledb.DB_TYPE_RAW && bind.val !== null) expect(bind.val).toBeInstanceOf(Buffer);
        if (bind?.type === oracledb.DB_TYPE_NUMBER && bind.val !== null) expect(bind.val).toBeTypeOf('number');
        if (bind?.type === oracledb.DB_TYPE_VARCHAR && bind.val !== null) expect(bind.val).toBeTypeOf('string');
      }
      for (const name of names.columns) {
        const { type, size } = columns[name] as (typeof columns)[string];
        expect(binds[`o_${name}`]).toEqual({
          dir: oracledb.BIND_OUT,
          type: oracledb[type],
          ...(size !== undefined && { maxSize: size }),
        });
      }
    }
  });

  it('has room for the longest record, name and digest', () => {
    expect(columns.data?.size).toBe(32_767);
    expect(columns.sealed?.size).toBe(32_767);
    // 255 characters of four bytes: the driver counts bytes.
    for (const name of ['client_id', 'subject', 'kind', 'token_key']) expect(columns[name]?.size).toBe(1020);
    for (const [name, { size }] of Object.entries(columns)) {
      if (name.endsWith('digest') || name.endsWith('sender')) expect(size).toBe(32);
    }
  });

  it('is of less than 4000 bytes at most, but for what goes into a BLOB', () => {
    for (const [name, { type, size = 0 }] of Object.entries(values)) {
      if (!/^(data|accessData|sealed)$/.test(name))
        expect(size * (type === 'DB_TYPE_VARCHAR' ? 4 : 1)).toBeLessThan(4000);
    }
  });

  it('is a NULL for an empty record, and refused by name where a name is empty or Oracle has no room for it', () => {
    expect(encoded('data', { data: new Uint8Array(0) })).toBeNull();
    expect(() => encoded('subject', { subject: '' })).toThrow('subject is empty, which Oracle takes for none');
    expect(encoded('subject', {})).toBeNull();
    expect(encoded('data', { data: randomBytes(32_767) })).toHaveLength(32_767);
    expect(() => encoded('data', { data: randomBytes(32_768) })).toThrow(
      'data is of 32768 bytes; Oracle stores 32767 of it at most',
    );
    expect(encoded('clientId', { clientId: '🐙'.repeat(255) })).toHaveLength(510);
    expect(() => encoded('clientId', { clientId: 'x'.repeat(256) })).toThrow(
      'clientId is of 256 characters; Oracle stores 255 of it at most',
    );
    expect(() => encoded('digest', { digest: randomBytes(33) })).toThrow('digest is of 33 bytes');
  });

  it('is a 1 for a flag, and the selectors in hexadecimal', () => {
    expect(encoded('accessForeign', { accessForeign: true })).toBe(1);
    expect(encoded('refreshForeign', { refreshForeign: false })).toBe(0);
    const selectors = Array.from({ length: 15 }, () => randomBytes(32));
    expect(encoded('selectors', { selectors })).toBe(selectors.map((one) => one.toString('hex')).join(''));
    expect(encoded('selectors', {})).toBeNull();
  });
});

describe('the driver', () => {
  const require = createRequire(import.meta.url);
  const [Connection, ThinConnection, StatementCache] = ['connection', 'thin/connection', 'thin/statementCache'].map(
    (name) => require(`oracledb/lib/${name}.js`),
  );

  /** Its own way from a text and binds to what it would send, which goes nowhere. */
  async function prepared(text: string, binds: object) {
    const connection = new Connection();
    let statement: { isPlSql: boolean; isQuery: boolean; bindInfoDict: Map<string, unknown> } | undefined;
    connection._impl = Object.assign(new ThinConnection(), {
      statementCache: new StatementCache(1),
      _protocol: {
        _processMessage: async (message: { statement: NonNullable<typeof statement> }) => {
          statement = message.statement;
        },
      },
    });
    await connection.execute(text, binds);
    return statement;
  }

  it('finds the same binds in every text, takes them as they are given, and knows a block from a query', async () => {
    for (const { text, binds } of await sentByAll()) {
      const statement = await prepared(text, binds);
      expect([...(statement?.bindInfoDict.keys() ?? [])].toSorted()).toEqual(
        Object.keys(binds)
          .map((name) => name.toUpperCase())
          .toSorted(),
      );
      expect(statement).toMatchObject({ isPlSql: /^\s*DECLARE/.test(text), isQuery: /^\s*SELECT/.test(text) });
    }
  });

  it('refuses a bind too few, too many, or of another name', async () => {
    const [sent] = await sentByAll();
    const { text, binds } = sent as Sent;
    const [first = '', ...others] = Object.keys(binds);
    const some = Object.fromEntries(others.map((name) => [name, binds[name]]));
    for (const wrong of [some, { ...binds, i_more: binds[first] }, { ...some, i_other: binds[first] }]) {
      await expect(prepared(text, wrong)).rejects.toThrow(/NJS-09[78]/);
    }
  });
});

describe('an answer', () => {
  const answered = async (answer: object) => {
    recordSent(() => answer);
    const engine = await open();
    return engine.authorizationCodes.find(randomBytes(32), { now: 0 });
  };

  it('of nothing but NULL is no row', async () => {
    expect(await answered({ outBinds: { o_digest: null, o_outcome: null } })).toEqual({ outcome: 'unknown' });
  });

  it('has an empty record where none is stored', async () => {
    const found = await answered({ outBinds: { o_digest: randomBytes(32), o_data: null, o_outcome: 'active' } });
    expect(found).toMatchObject({ outcome: 'active', code: { data: Buffer.alloc(0) } });
  });
});

describe('a server that is gone', () => {
  it('is given up, though the driver waits for it, and its connection ended', async () => {
    const ended: unknown[] = [];
    recordSent(
      (text) => (text.startsWith('ALTER SESSION') ? {} : new Promise<object>(() => {})),
      (reason) => ended.push(reason),
    );
    const place = { host: 'db', database: 'oauth', user: 'app', password: 'app', tls: false } as const;
    const engine = await createEngine({ ...place, pool: { statementTimeoutMs: 20 } }, () => 0);
    const find = engine.authorizationCodes.find(randomBytes(32), { now: 0 });
    await expect(find).rejects.toMatchObject({ code: 'timeout', retryable: true, cause: expect.any(Error) });
    expect(ended.length).toBeGreaterThan(0);
    await engine.close();
  });
});

describe('a page', () => {
  it('is fetched in one piece, records as bytes', async () => {
    const sent = recordSent(() => ({ rows: [] }));
    const engine = await open();
    await engine.accessTokens.listGrants({ subject: 'alice' }, { limit: 1000 });
    const { options } = sent.at(-1) as Sent;
    expect(options).toMatchObject({ prefetchRows: 1001, fetchArraySize: 1001, outFormat: oracledb.OUT_FORMAT_OBJECT });
    const handler = options.fetchTypeHandler as (column: object) => object | undefined;
    const column = { name: 'DATA', dbType: oracledb.DB_TYPE_BLOB };
    expect(handler(column)).toEqual({ type: oracledb.BUFFER });
    expect(column.name).toBe('data');
    expect(handler({ name: 'GRANT_ID', dbType: oracledb.DB_TYPE_RAW })).toBeUndefined();
  });
});
