// The tables of sql/cassandra/*.cql, read from their text, so that whatever is made of them is made of nothing else; and how
// one that is there differs from them.

export type ColumnKind = 'partition_key' | 'clustering' | 'static' | 'regular';

export interface CassandraColumn {
  readonly name: string;
  readonly type: string;
  readonly kind: ColumnKind;
}

export interface CassandraTable {
  readonly name: string;
  /** All, in their order; those of the key in the order of the key. */
  readonly columns: readonly CassandraColumn[];
}

/** The statements of a script of sql/cassandra, without its comments. */
export const statementsOf = (script: string): string[] =>
  script
    .replace(/--.*$/gm, '')
    .split(';')
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '');

/**
 * The tables that a script makes.
 *
 * @throws {Error} a statement of another kind, which would be left out
 */
export const tablesIn = (script: string): CassandraTable[] => statementsOf(script).map(tableOf);

function tableOf(statement: string): CassandraTable {
  const [, name, body] = /^CREATE TABLE IF NOT EXISTS (\w+) \((.*)\)$/s.exec(statement) ?? [];
  const definitions = partsOf(body ?? '');
  const key = /^PRIMARY KEY \((.*)\)$/s.exec(definitions.at(-1) ?? '')?.[1];
  if (name === undefined || key === undefined) {
    throw new Error(`not a plain CREATE TABLE with its key at the end: ${statement.slice(0, 60)}`);
  }
  const [first = '', ...clustering] = partsOf(key);
  const partition = partsOf(first.replace(/^\((.*)\)$/s, '$1'));
  const columns = definitions.slice(0, -1).map((definition): CassandraColumn => {
    const [, column = '', type = '', isStatic] = /^(\w+) (.*?)( STATIC)?$/.exec(definition) ?? [];
    if (partition.includes(column)) return { name: column, type, kind: 'partition_key' };
    if (clustering.includes(column)) return { name: column, type, kind: 'clustering' };
    return { name: column, type, kind: isStatic === undefined ? 'regular' : 'static' };
  });
  const ofKey = [...partition, ...clustering].flatMap((column) => columns.find((each) => each.name === column) ?? []);
  return { name, columns: [...ofKey, ...columns.filter((column) => !ofKey.includes(column))] };
}

/** What stands between the commas, but for those within brackets. */
function partsOf(text: string): string[] {
  let depth = 0;
  const ends = [...text].flatMap((character, index) => {
    depth += '(<'.includes(character) ? 1 : ')>'.includes(character) ? -1 : 0;
    return character === ',' && depth === 0 ? [index] : [];
  });
  const starts = [0, ...ends.map((end) => end + 1)];
  return starts.map((start, index) => text.slice(start, ends[index]).trim().replace(/\s+/g, ' '));
}

/** The columns of one kind. */
export const columnsOf = ({ columns }: CassandraTable, kind: ColumnKind): CassandraColumn[] =>
  columns.filter((column) => column.kind === kind);

export interface Difference {
  /** Columns that can be added. */
  readonly missing: readonly CassandraColumn[];
  /** What cannot be mended, in words. */
  readonly faults: readonly string[];
}

/** What keeps a table that is there from being the one that is wanted; columns beyond those do no harm. */
export function differenceOf(wanted: CassandraTable, found: CassandraTable): Difference {
  if (keyOf(wanted) !== keyOf(found)) {
    return {
      missing: [],
      faults: [
        `the table "${wanted.name}" has the key ${keyOf(found)}: ${keyOf(wanted)} is needed, so give the stores a keyspace of their own`,
      ],
    };
  }
  const there = new Map(found.columns.map((column) => [column.name, column]));
  return {
    missing: wanted.columns.filter(({ name }) => !there.has(name)),
    faults: wanted.columns.flatMap((column) => {
      const other = there.get(column.name) ?? column;
      return other.kind === column.kind && plainType(other.type) === plainType(column.type)
        ? []
        : [
            `the column "${column.name}" of the table "${wanted.name}" is ${wordsOf(other)}: ${wordsOf(column)} is needed`,
          ];
    }),
  };
}

const keyOf = (table: CassandraTable): string => {
  const names = (kind: ColumnKind) => columnsOf(table, kind).map(({ name }) => name);
  return `(${[`(${names('partition_key').join(', ')})`, ...names('clustering')].join(', ')})`;
};

const wordsOf = ({ type, kind }: CassandraColumn) => (kind === 'static' ? `${type} STATIC` : type);

/** Without what servers write in several ways: spaces, and `frozen` where a type is never anything else. */
const plainType = (type: string) => type.toLowerCase().replace(/frozen|[<>\s]/g, '');
