import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { columnsOf, differenceOf, tablesIn } from '../../functions/config/cassandra-tables.ts';

const script = `-- A comment; of two sentences.
CREATE TABLE IF NOT EXISTS one (
  a blob,
  -- Another; too.
  b text STATIC,
  c frozen<map<text, frozen<tuple<bigint, blob>>>>,
  d bigint,
  e text,
  PRIMARY KEY ((a, e), d)
);
CREATE TABLE IF NOT EXISTS two (a blob, PRIMARY KEY (a));
`;
const [one, two] = tablesIn(script);

describe('a table of a script', () => {
  it('has its columns with type and kind, those of the key first and in its order', () => {
    expect(one).toEqual({
      name: 'one',
      columns: [
        { name: 'a', type: 'blob', kind: 'partition_key' },
        { name: 'e', type: 'text', kind: 'partition_key' },
        { name: 'd', type: 'bigint', kind: 'clustering' },
        { name: 'b', type: 'text', kind: 'static' },
        { name: 'c', type: 'frozen<map<text, frozen<tuple<bigint, blob>>>>', kind: 'regular' },
      ],
    });
    expect(two).toEqual({ name: 'two', columns: [{ name: 'a', type: 'blob', kind: 'partition_key' }] });
  });

  it.each([
    'DROP TABLE one',
    'CREATE TABLE IF NOT EXISTS x (a blob PRIMARY KEY)',
    'CREATE TABLE one (a blob, PRIMARY KEY (a))',
  ])('is not made of anything else: %s', (statement) =>
    expect(() => tablesIn(statement)).toThrow('not a plain CREATE TABLE'),
  );

  it('has every column that stands in the script', () => {
    for (const name of ['oauth-server', 'oauth-client']) {
      const text = readFileSync(new URL(`../../sql/cassandra/${name}.cql`, import.meta.url), 'utf8');
      const tables = tablesIn(text);
      const lines = [...text.matchAll(/^ {2}(\w+) [a-z][^;]*?,$/gm)].map(([, column]) => column);
      expect(tables.flatMap(({ columns }) => columns.map((column) => column.name)).toSorted()).toEqual(
        lines.toSorted(),
      );
      expect(tables.flatMap((table) => columnsOf(table, 'static')).length).toBe(text.match(/ STATIC,$/gm)?.length ?? 0);
      for (const { columns } of tables) for (const { type } of columns) expect(type).toMatch(/^[a-z<>, ]+$/);
    }
  });
});

describe('what is there', () => {
  it('may have more columns, and types that are written in another way', () => {
    if (!one) throw new Error('no table');
    const columns = one.columns.map((column) => ({ ...column, type: column.type.toUpperCase().replaceAll(', ', ',') }));
    const more = { name: 'z', type: 'int', kind: 'regular' as const };
    expect(differenceOf(one, { ...one, columns: [...columns, more] })).toEqual({ missing: [], faults: [] });
  });
});
