import type { QueryConfig } from 'pg';
import type { Row } from './sql-dialect.ts';

type Parser = (text: string) => unknown;

/** A statement that each connection prepares when it first sends it. What its columns are is asked once, and kept here. */
export interface Prepared {
  readonly name: string;
  readonly text: string;
  columns?: readonly (readonly [name: string, parse: Parser])[];
}

/** What is used of pg's connection; pg-cursor and pg-query-stream rest on the same. */
interface Connection {
  readonly stream: { cork(): void; uncork(): void };
  /** The texts of the prepared statements, by name; pg keeps it. */
  readonly parsedStatements: Readonly<Record<string, string>>;
  parse(statement: { name: string; text: string }): void;
  bind(binding: { statement: string; values: unknown[]; valueMapper: typeof encoded }): void;
  describe(what: { type: 'P' }): void;
  execute(): void;
  sync(): void;
}

/** What pg's client calls. */
interface Execution extends QueryConfig {
  /** Set by pg. */
  callback?: (error: Error | null | undefined, result?: { rows: Row[] }) => void;
  submit(connection: Connection): void;
  handleRowDescription(message: { fields: { name: string; dataTypeID: number }[] }): void;
  handleDataRow(message: { fields: (string | null)[] }): void;
  handleCommandComplete(): void;
  handleError(error: Error): void;
  handleReadyForQuery(): void;
}

/**
 * Sends a statement with its values and gives its rows. pg's client uses what has a `submit` in place of a query of its own,
 * which has the columns described with every answer and builds what reads them anew, a quarter of the CPU of a lookup here
 * and in the server.
 */
export const execute = (
  client: { query(query: QueryConfig, done: Execution['callback']): void },
  statement: Prepared,
  values: unknown[],
  parserOf: (type: number) => Parser,
): Promise<Row[]> =>
  new Promise((resolve, reject) => {
    client.query(execution(statement, values, parserOf), (error, result) =>
      error ? reject(error) : resolve(result?.rows ?? []),
    );
  });

function execution(statement: Prepared, values: unknown[], parserOf: (type: number) => Parser): QueryConfig {
  const { name, text } = statement;
  const rows: Row[] = [];
  const query: Execution = {
    name,
    text,
    submit(connection) {
      connection.stream.cork();
      try {
        if (connection.parsedStatements[name] === undefined) connection.parse({ name, text });
        connection.bind({ statement: name, values, valueMapper: encoded });
        if (!statement.columns) connection.describe({ type: 'P' });
        connection.execute();
        connection.sync();
      } finally {
        connection.stream.uncork();
      }
    },
    handleRowDescription({ fields }) {
      statement.columns = fields.map((field) => [field.name, parserOf(field.dataTypeID)]);
    },
    handleDataRow({ fields }) {
      const row: Row = {};
      statement.columns?.forEach(([column, parse], index) => {
        const field = fields[index];
        row[column] = typeof field === 'string' ? parse(field) : null;
      });
      rows.push(row);
    },
    handleCommandComplete() {},
    handleError: (error) => query.callback?.(error),
    handleReadyForQuery: () => query.callback?.(null, { rows }),
  };
  return query;
}

/** Bytes as they are, all else as text. */
function encoded(value: unknown): Buffer | string | null {
  if (value === null) return null;
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  return Array.isArray(value) ? `{${value.map(element).join()}}` : String(value);
}

const element = (value: unknown): string =>
  value instanceof Uint8Array
    ? `"\\\\x${Buffer.from(value).toString('hex')}"`
    : `"${String(value).replaceAll(/["\\]/g, '\\$&')}"`;
