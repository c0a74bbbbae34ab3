import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

// The scripts of all database management systems say the same: tables, columns in one order, indexes by name, a column on a
// line. Whatever folder comes to sql/ is compared as well; Cassandra's is of another kind.

const root = fileURLToPath(new URL('../../sql/', import.meta.url));
const MODEL = 'postgresql';
const others = readdirSync(root).filter((folder) => folder !== MODEL && folder !== 'cassandra');

interface Schema {
  /** Columns by table, in their order. */
  readonly tables: Record<string, string[]>;
  readonly indexes: string[];
  readonly version: number;
}

const SEPARATE_INDEX = /\bINDEX\s+(?:IF NOT EXISTS\s+)?(\w+)\s+ON\s+\w+/gi;
const INDEX_WITHIN = /^\s*(?:KEY|INDEX)\s+(\w+)\s*[( ]/gim;
const CONSTRAINT = /^(constraint|key|index|primary|unique|period)$/;

function schemaOf(folder: string, script: string): Schema {
  const text = readFileSync(`${root}${folder}/${script}`, 'utf8').replaceAll(/--.*$/gm, '');
  const tables: Record<string, string[]> = {};
  for (const [, name = '', body = ''] of text.matchAll(
    /\bCREATE TABLE (?:IF NOT EXISTS )?(\w+)\s*\(\s*\n([\s\S]*?)\n\s*\)/gi,
  )) {
    const lines = body.split('\n').filter((line) => line.trim() !== '');
    const columns = lines
      // An index on an expression is one on a column that holds it, where the system knows no other.
      .filter((line) => !/\bAS\s*\(.*\)/i.test(line))
      .map((line) => /^\s*["`[]?(\w+)["`\]]?\s+\S/.exec(line)?.[1]?.toLowerCase() ?? line)
      .filter((word) => !CONSTRAINT.test(word));
    tables[name.toLowerCase()] = columns;
  }
  const indexes = [...text.matchAll(SEPARATE_INDEX), ...text.matchAll(INDEX_WITHIN)].map(([, name]) =>
    String(name).toLowerCase(),
  );
  const versions = [...text.matchAll(/'oauth-(?:server|client)', (\d+)/g)].map(([, version]) => Number(version));
  return { tables, indexes: [...new Set(indexes)].toSorted(), version: Math.max(...versions) };
}

describe.each(['oauth-server.sql', 'oauth-client.sql'])('%s', (script) => {
  const model = schemaOf(MODEL, script);

  it('of PostgreSQL is read by this test', () => {
    expect(Object.keys(model.tables).length).toBeGreaterThan(1);
    for (const columns of Object.values(model.tables)) expect(columns.length).toBeGreaterThan(1);
    expect(model.indexes.length).toBeGreaterThan(0);
  });

  it.each(others)('of %s has the same tables, columns in the same order, indexes and version', (folder) => {
    const schema = schemaOf(folder, script);
    expect(schema.tables).toEqual(model.tables);
    expect(schema.indexes).toEqual(model.indexes);
    expect(schema.version).toBe(model.version);
  });
});
