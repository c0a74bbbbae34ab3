// What Amazon Keyspaces does not take, although Apache Cassandra does. After its language reference
// (https://docs.aws.amazon.com/keyspaces/latest/devguide/cql.dml.html, cql.ddl.html), functional differences
// (…/functional-differences.html), batches (…/batchStatements.html) and consistency levels (…/consistency.html).

/** The primary key and the static columns of each table, taken from its CREATE TABLE. */
export interface Table {
  readonly partitionKey: readonly string[];
  readonly clusteringKey: readonly string[];
  readonly statics: readonly string[];
}

const words = (list = '') => list.split(',').map((word) => word.trim());

export function tablesIn(statements: readonly string[]): ReadonlyMap<string, Table> {
  const tables = statements.flatMap((statement): [string, Table][] => {
    const name = /CREATE TABLE IF NOT EXISTS (\w+)/.exec(statement)?.[1];
    const key = /PRIMARY KEY \((?:\(([^)]*)\)|([^,)]*))(?:,([^)]*))?\)/.exec(statement);
    if (!name || !key) return [];
    const statics = [...statement.matchAll(/^\s*(\w+) [^,]*\bSTATIC\b/gm)].map(([, column]) => String(column));
    const clusteringKey = key[3] === undefined ? [] : words(key[3]);
    return [[name, { partitionKey: words(key[1] ?? key[2]), clusteringKey, statics }]];
  });
  return new Map(tables);
}

const NEVER: readonly (readonly [RegExp, string])[] = [
  [/\b(COUNT|SUM|AVG|MIN|MAX)\s*\(/i, 'aggregates'],
  [/^\s*TRUNCATE\b/i, 'TRUNCATE'],
  [/\bCREATE\s+(CUSTOM\s+)?INDEX\b/i, 'secondary indexes'],
  [/\bMATERIALIZED\s+VIEW\b/i, 'materialized views'],
  [/\bCREATE\s+(OR\s+REPLACE\s+)?(FUNCTION|AGGREGATE|TRIGGER)\b/i, 'functions and triggers'],
  [/\bALTER\s+TYPE\b/i, 'ALTER TYPE'],
  [/\bSELECT\s+DISTINCT\b/i, 'DISTINCT'],
  [/\bPER\s+PARTITION\s+LIMIT\b/i, 'PER PARTITION LIMIT'],
  [/\bGROUP\s+BY\b/i, 'GROUP BY'],
  [/\bALLOW\s+FILTERING\b/i, 'filtering: it is charged by what it reads'],
  [/!=/, '!='],
  [/\bUSING\s+(TTL\s+\S+\s+AND\s+)?TIMESTAMP\b/i, 'timestamps of the client'],
  [/\bBATCH\b/i, 'batches'],
  [/\bLIKE\b/i, 'LIKE'],
];

/** What a statement uses that Keyspaces does not have, in words; nothing for one that it takes. */
export function lint(statement: string, tables: ReadonlyMap<string, Table>): string[] {
  const breaches = NEVER.filter(([pattern]) => pattern.test(statement)).map(([, what]) => what);
  const [, verb = ''] = /^\s*(\w+)/.exec(statement) ?? [];
  const [, where = ''] = /\bWHERE\b(.*?)(\bIF\b|\bLIMIT\b|\bORDER\b|$)/is.exec(statement) ?? [];
  const [, condition = ''] = /\bIF\b(.*)$/is.exec(statement) ?? [];
  if (/CREATE TABLE/i.test(statement) && !/'ttl':\s*\{'status':\s*'enabled'\}/.test(statement)) {
    breaches.push('a table without TTL, whose rows are given one');
  }
  if (/\bIN\b/i.test(condition)) breaches.push('IN in a condition');
  if (verb === 'SELECT') return breaches;
  if (!['INSERT', 'UPDATE', 'DELETE', 'CREATE'].includes(verb)) breaches.push(verb);
  if (/\bIN\b/i.test(where)) breaches.push('IN in a write');
  if (/[<>]/.test(where)) breaches.push('a range in a write');
  if (verb !== 'UPDATE' && verb !== 'DELETE') return breaches;
  const name = /(?:UPDATE|FROM)\s+(\w+)/i.exec(statement)?.[1] ?? '';
  const table = tables.get(name);
  if (!table) return [...breaches, `the table ${name}, which is not in the schema`];
  const set = /\bSET\b(.*?)\bWHERE\b/is.exec(statement)?.[1] ?? '';
  const changed = [...set.matchAll(/(\w+)\s*=/g)].map(([, column]) => String(column));
  const onStatics = changed.length > 0 && changed.every((column) => table.statics.includes(column));
  const wanted = onStatics ? table.partitionKey : [...table.partitionKey, ...table.clusteringKey];
  const given = [...where.matchAll(/(\w+)\s*=/g)].map(([, column]) => String(column));
  if (wanted.some((column) => !given.includes(column))) breaches.push('a write without the whole key');
  return breaches;
}

/** What a request asks for that Keyspaces refuses. */
export function lintLevel(statement: string, level: string, serial: string | undefined): string[] {
  const levels = /^\s*SELECT/.test(statement) ? ['ONE', 'LOCAL_ONE', 'LOCAL_QUORUM'] : ['LOCAL_QUORUM'];
  return [
    ...(levels.includes(level) ? [] : [`${level} of ${statement.slice(0, 6)}`]),
    ...(serial === undefined ? [] : [`the serial consistency ${serial}`]),
  ];
}
